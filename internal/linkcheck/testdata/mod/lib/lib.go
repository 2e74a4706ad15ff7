// Package lib defines a function of program push, and a variable.
package lib

import _ "unsafe"

//go:linkname hello main.hello
func hello() int { return Answer }

//go:linkname Answer
var Answer = 42
