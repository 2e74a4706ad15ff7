// Signature links, and calls with the wrong registers.
package main

import _ "unsafe"

//go:linkname nanotime runtime.nanotime
func nanotime(clock int32) int64

func main() { println(nanotime(1)) }
