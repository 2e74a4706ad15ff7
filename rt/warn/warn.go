// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package warn prints a line to standard error at the start of a program that
// was not built by rtgo:
//
//	import _ "rtgo.dev/rtgo/rt/warn"
//
// The program goes on; package rt then does what can be done without the
// runtime's help. Package rtgo.dev/rtgo/rt/require makes the build fail
// instead. The environment variable RTGO_WARN=0 silences the line.
package warn

import (
	"os"
	"runtime"

	"rtgo.dev/rtgo/rt"
)

func init() {
	if !rt.Supported() && os.Getenv("RTGO_WARN") != "0" {
		os.Stderr.WriteString("rt: built by " + runtime.Version() + ", not by rtgo: real-time goroutines may run late by tens of milliseconds\n")
	}
}
