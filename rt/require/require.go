// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package require makes the build of a program fail if the toolchain is not
// rtgo. One line is the guard:
//
//	import _ "rtgo.dev/rtgo/rt/require"
//
// It is needed because nothing else stops an ordinary Go from building the
// program: the go and toolchain lines of a go.mod compare versions, and for
// them go1.26.8 is as good as go1.26.8-rtgo1. Package
// rtgo.dev/rtgo/rt/warn warns instead, at run time.
package require
