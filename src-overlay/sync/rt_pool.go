// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package sync

import "internal/goexperiment"

// rtProcs returns how many Ps may call Pool's methods beyond GOMAXPROCS:
// those reserved for real-time goroutines.
func rtProcs() int {
	if goexperiment.RT {
		return runtime_rtProcs()
	}
	return 0
}

// Implemented in runtime (rt_p.go).
func runtime_rtProcs() int
