// Loophole calls what package loopholelib declares: the linker does not see
// that it is a linkname.
package main

import "example.com/m/loopholelib"

func main() { println(loopholelib.Retake(0)) }
