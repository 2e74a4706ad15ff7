// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

// Package clock is the suite's time base: CLOCK_MONOTONIC in nanoseconds,
// read without a system call, and the kernel's own absolute sleep.
package clock

import (
	"syscall"
	"time"
	"unsafe"
	_ "unsafe" // for go:linkname

	"golang.org/x/sys/unix"
)

// Now returns CLOCK_MONOTONIC in nanoseconds. It is the runtime's own
// reading, since time.Now costs two and has another origin; upstream keeps
// runtime.nanotime open to linkname.
//
//go:linkname Now runtime.nanotime
func Now() int64

// Base converts many times with one reading of the wall clock.
type Base struct {
	t  time.Time
	ns int64
}

// NewBase returns a Base whose two readings lie as close as they can be had.
func NewBase() Base {
	var b Base
	best := int64(1) << 62
	for range 1000 {
		n0 := Now()
		t := time.Now()
		n1 := Now()
		// time.Now reads the monotonic clock last.
		if n1-n0 < best {
			best, b = n1-n0, Base{t, n1}
		}
	}
	return b
}

// Time returns the time.Time of a CLOCK_MONOTONIC time.
// It carries a monotonic reading, so that sleeping until it does not depend
// on the wall clock.
func (b Base) Time(ns int64) time.Time { return b.t.Add(time.Duration(ns - b.ns)) }

// Nano returns the CLOCK_MONOTONIC time of a time.Time that has a monotonic
// reading.
func (b Base) Nano(t time.Time) int64 { return b.ns + int64(t.Sub(b.t)) }

// SleepUntil sleeps by clock_nanosleep(2) until the absolute time ns, as
// a system call that the Go scheduler knows of. Signals do not shorten it.
func SleepUntil(ns int64) { sleep(ns, false) }

// RawSleepUntil is SleepUntil as a raw system call: the thread keeps its P,
// and no stop-the-world can begin while it sleeps.
func RawSleepUntil(ns int64) { sleep(ns, true) }

func sleep(ns int64, raw bool) {
	ts := unix.NsecToTimespec(ns)
	for {
		var e syscall.Errno
		if raw {
			_, _, e = syscall.RawSyscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
		} else {
			_, _, e = syscall.Syscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
		}
		if e != unix.EINTR {
			return
		}
	}
}
