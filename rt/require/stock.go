// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build !goexperiment.rt

package require

// This does not compile, and its text is the error message.
const _ int = "this program must be built by the rtgo toolchain (its go version prints -rtgo), with GOEXPERIMENT=nort not set: see the README of rtgo.dev/rtgo"
