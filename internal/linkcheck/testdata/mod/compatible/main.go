// Compatible has types of its own that are passed alike.
package main

import (
	"sync"
	"unsafe"
)

type sema struct{ count uint32 }

//go:linkname semacquire sync.runtime_Semacquire
func semacquire(*sema)

//go:linkname memequal runtime.memequal
func memequal(a, b *int, size uintptr) bool

func main() {
	var mu sync.Mutex
	mu.Lock()
	s := sema{1}
	semacquire(&s)
	x := 1
	println(memequal(&x, &x, unsafe.Sizeof(x)))
}
