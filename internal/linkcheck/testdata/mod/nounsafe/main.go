// Nounsafe forgets to import unsafe.
package main

//go:linkname nanotime runtime.nanotime
func nanotime() int64

func main() { println(nanotime()) }
