// Pullopen refers to a function that the runtime keeps open.
package main

import _ "unsafe"

//go:linkname nanotime runtime.nanotime
func nanotime() int64

func main() { println(nanotime()) }
