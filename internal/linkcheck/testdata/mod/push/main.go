// Push declares a function that package lib defines.
package main

import _ "example.com/m/lib"

func hello() int

func main() { println(hello()) }
