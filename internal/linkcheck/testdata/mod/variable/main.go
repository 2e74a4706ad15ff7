// Variable refers to an open variable of the runtime.
package main

import _ "unsafe"

//go:linkname zeroVal runtime.zeroVal
var zeroVal [1024]byte

func main() { println(zeroVal[0]) }
