// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux

package runtime

const (
	rtSYS_clock_gettime     = 228
	rtSYS_prctl             = 157
	rtSYS_sched_setaffinity = 203
	rtSYS_clock_nanosleep   = 230
	rtSYS_ppoll             = 271
	rtSYS_sched_setattr     = 314
	rtSYS_sched_getattr     = 315
	rtSYS_signalfd4         = 289
	rtSYS_membarrier        = 324
)
