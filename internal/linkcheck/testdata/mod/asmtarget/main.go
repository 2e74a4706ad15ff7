// Asmtarget refers to an assembly function of the runtime, which needs no
// opening before Go 1.27.
package main

import _ "unsafe"

//go:linkname publicationBarrier runtime.publicationBarrier
func publicationBarrier()

func main() { publicationBarrier() }
