// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Sleeping.
//
// A real-time goroutine sleeps in its own thread, as in a system call, to an
// absolute time: neither drift nor the interruption by a signal (SIGURG ends
// clock_nanosleep early) can move its releases.
//
// Ordinary goroutines keep upstream's timers, but the thread that waits for
// the next one waits for it to the nanosecond (epoll_pwait2, Linux 5.11), not
// to the next whole millisecond (golang/go#44343). Rejected: a timerfd in the
// epoll set, as it costs two more system calls per change of the next timer.

package runtime

import (
	"internal/runtime/atomic"
	"internal/runtime/syscall/linux"
	"unsafe"
)

const (
	_CLOCK_MONOTONIC = 1
	_TIMER_ABSTIME   = 1
)

// rtSleep is timeSleep for a real-time goroutine. It reports false if gp is
// ordinary.
func rtSleep(gp *g, ns int64) bool {
	if gp.m.rt.p == 0 || gp.bubble != nil {
		return false
	}
	when := nanotime() + ns
	if when < 0 { // check for overflow.
		when = maxWhen
	}
	rtSleepUntil(when)
	return true
}

// rtSleepUntil sleeps in the calling real-time thread until the
// CLOCK_MONOTONIC time when.
func rtSleepUntil(when int64) {
	mp := getg().m
	pp := mp.rt.p.ptr()
	pp.rt.room = max(0, when-nanotime())
	pp.rt.release = when
	rtNanosleep(when)
	pp.rt.release = 0
	rtRecord(pp, when)
}

// rtNanosleep must not split the stack between entersyscall and exitsyscall.
//
//go:nosplit
func rtNanosleep(when int64) {
	var ts timespec
	ts.tv_sec = when / 1e9
	ts.tv_nsec = when % 1e9
	entersyscall()
	for {
		_, _, e := linux.Syscall6(rtSYS_clock_nanosleep, _CLOCK_MONOTONIC, _TIMER_ABSTIME, uintptr(noescape(unsafe.Pointer(&ts))), 0, 0, 0)
		if e != _EINTR {
			break
		}
	}
	exitsyscall()
}

// rtNoEpollPwait2 is set once the kernel has said that it lacks
// epoll_pwait2.
var rtNoEpollPwait2 atomic.Bool

// rtEpollWait is linux.EpollWait for netpoll, which may wait for delay
// nanoseconds; ms is the same in whole milliseconds.
//
//go:nowritebarrierrec
func rtEpollWait(epfd int32, events []linux.EpollEvent, ms int32, delay int64) (int32, uintptr) {
	if delay > 0 && !rtNoEpollPwait2.Load() {
		var ts timespec
		ts.tv_sec = delay / 1e9
		ts.tv_nsec = delay % 1e9
		n, _, e := linux.Syscall6(rtSYS_epoll_pwait2, uintptr(epfd), uintptr(unsafe.Pointer(&events[0])), uintptr(len(events)), uintptr(noescape(unsafe.Pointer(&ts))), 0, 0)
		if e != _ENOSYS && e != _EPERM {
			return int32(n), e
		}
		// An old kernel, or a sandbox that filters what it does not know.
		rtNoEpollPwait2.Store(true)
	}
	return linux.EpollWait(epfd, events, int32(len(events)), ms)
}
