// Unbound gives a body to a name that nothing declares.
package main

import _ "unsafe"

//go:linkname f runtime.rtgoNoSuchFunction
func f() {}

func main() { f() }
