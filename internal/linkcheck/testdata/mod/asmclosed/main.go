// Asmclosed refers to data of the runtime that is not open.
package main

func get() int32

func main() { println(get()) }
