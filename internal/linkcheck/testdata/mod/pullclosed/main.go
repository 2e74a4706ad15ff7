// Pullclosed refers to a function that the runtime does not open.
package main

import _ "unsafe"

//go:linkname sysmon runtime.sysmon
func sysmon()

func main() { sysmon() }
