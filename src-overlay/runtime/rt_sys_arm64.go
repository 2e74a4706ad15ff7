// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux

package runtime

const (
	rtSYS_ppoll             = 73
	rtSYS_clock_nanosleep   = 115
	rtSYS_sched_setaffinity = 122
	rtSYS_clock_gettime     = 113
	rtSYS_prctl             = 167
	rtSYS_sched_setattr     = 274
	rtSYS_sched_getattr     = 275
	rtSYS_signalfd4         = 74
	rtSYS_membarrier        = 283
)
