// Method refers to a method, its receiver being the first parameter.
package main

import (
	"reflect"
	"unsafe"
)

//go:linkname align reflect.(*rtype).Align
func align(unsafe.Pointer) int

func main() {
	t := reflect.TypeFor[int64]()
	println(align((*[2]unsafe.Pointer)(unsafe.Pointer(&t))[1]))
}
