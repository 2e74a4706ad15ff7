// Closedvar refers to a variable of the runtime that is not open.
package main

import _ "unsafe"

//go:linkname forcegcperiod runtime.forcegcperiod
var forcegcperiod int64

func main() { println(forcegcperiod) }
