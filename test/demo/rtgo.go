// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux

package main

import (
	"fmt"
	"runtime/rt"
	"syscall"
)

const realtime = true

// enter makes the calling goroutine real-time.
func enter(prio int) error {
	a := rt.Attr{Sched: rt.SchedAttr{Size: 48, Policy: 1 /* SCHED_FIFO */, Priority: uint32(prio)}}
	if _, step, errno := rt.Enter(&a); step != rt.StepNone {
		return fmt.Errorf("%w", syscall.Errno(errno))
	}
	return nil
}

func leave() { rt.Leave() }

func now() int64 { return rt.Nanotime() }

func sleepUntil(ns int64) { rt.SleepUntil(ns) }
