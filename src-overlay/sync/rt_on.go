// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

package sync

const rtOn = true

// rtProcs returns how many Ps may call Pool's methods beyond GOMAXPROCS:
// those reserved for real-time goroutines.
func rtProcs() int { return runtime_rtProcs() }

// Implemented in runtime (rt_p.go).
func runtime_rtProcs() int
