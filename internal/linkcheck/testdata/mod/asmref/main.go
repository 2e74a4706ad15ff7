// Asmref refers to functions of the runtime from assembly.
package main

func call()

func main() { call() }
