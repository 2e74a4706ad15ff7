// Replaceopen gives a body to a function of the runtime that is open to
// linkname. It does not replace it.
package main

import _ "unsafe"

//go:linkname entersyscall runtime.entersyscall
func entersyscall() { println("mine") }

func main() { entersyscall() }
