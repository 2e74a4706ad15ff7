// Layout links, and the callee reads half of what the pointer points to.
package main

import _ "unsafe"

//go:linkname semacquire sync.runtime_Semacquire
func semacquire(*uint64)

func main() {
	s := uint64(1)
	semacquire(&s)
}
