// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:debug rtmain=37

// Mainmode is made real-time as a whole by one line.
package main

import (
	"fmt"

	"rtgo.dev/rtgo/rt"
)

func main() {
	fmt.Println(rt.Self() != nil && rt.Self().Attr().Priority == 37)
}
