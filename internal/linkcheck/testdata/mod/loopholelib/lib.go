// Package loopholelib declares a function of the runtime that is not open,
// and does not call it.
package loopholelib

import _ "unsafe"

//go:linkname Retake runtime.retake
func Retake(int64) uint32
