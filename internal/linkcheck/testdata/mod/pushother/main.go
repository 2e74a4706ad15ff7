// Pushother declares with other results what package lib defines.
package main

import (
	_ "example.com/m/lib"
	_ "unsafe"
)

//go:linkname hello
func hello() (int, int)

func main() { println(hello()) }
