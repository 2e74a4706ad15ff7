// Missing refers to a function that no release has.
package main

import _ "unsafe"

//go:linkname f runtime.rtgoNoSuchFunction
func f()

func main() { f() }
