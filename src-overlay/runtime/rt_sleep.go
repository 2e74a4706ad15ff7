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
// the next one waits for it to the nanosecond, not to the next whole
// millisecond (golang/go#44343): it calls ppoll on the epoll descriptor, which
// is readable when an event is there, and then epoll_wait without waiting.
// Rejected: epoll_pwait2, which saves the second call but needs Linux 5.11, a
// probe, and a second copy of netpoll (a wrapper around its call changes the
// code that GOEXPERIMENT=nort compiles); a timerfd in the epoll set, which
// costs a call more per change of the next timer.

package runtime

import (
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
	if pp := gp.m.rt.p.ptr(); pp.rt.release != 0 || rtTimersDue(pp, when) {
		return false // sleep parked
	}
	rtSleepUntil(when)
	return true
}

// rtSleepUntil sleeps in the calling real-time thread until the
// CLOCK_MONOTONIC time when.
func rtSleepUntil(when int64) {
	mp := getg().m
	pp := mp.rt.p.ptr()
	rtRecord(pp)
	rtReserveRefill(pp)
	room := when - nanotime()
	from := rtTicks()
	pp.rt.room = room
	pp.rt.release = when
	if rtTimersDue(pp, when) {
		timeSleep(room)
	} else {
		rtNanosleep(when)
	}
	pp.rt.release = 0
	if room < rtAnchorMax {
		rtWoke(pp, from, room)
	} else {
		pp.rt.woke.at = 0 // noted if it slept parked
		rtCheckPreemptLatency(pp, nanotime()-when)
	}
}

// rtNanosleep must not split the stack between entersyscall and exitsyscall.
//
//go:nosplit
func rtNanosleep(when int64) {
	var ts timespec
	ts.tv_sec = when / 1e9
	ts.tv_nsec = when % 1e9
	entersyscall()
	rtSlackSleeps()
	for {
		_, _, e := linux.Syscall6(rtSYS_clock_nanosleep, _CLOCK_MONOTONIC, _TIMER_ABSTIME, uintptr(noescape(unsafe.Pointer(&ts))), 0, 0, 0)
		if e != _EINTR {
			break
		}
	}
	exitsyscall()
}

// rtNetpollWait waits until the runtime's epoll set has events, at most delay
// nanoseconds. It reports true if the time is up and there are none. Otherwise
// netpoll must look, waiting waitms, which is set to 0 unless there was
// an error.
//
//go:nowritebarrierrec
func rtNetpollWait(delay int64, waitms *int32) bool {
	// The time that delay counts from was read before findRunnable looked
	// for work everywhere.
	if until := sched.pollUntil.Load(); until != 0 {
		delay = until - nanotime()
	}
	if delay <= 0 {
		*waitms = 0
		return false
	}
	fd := rtPollfd{fd: epfd, events: _POLLIN}
	var ts timespec
	ts.tv_sec = delay / 1e9
	ts.tv_nsec = delay % 1e9
	n, _, e := linux.Syscall6(rtSYS_ppoll, uintptr(noescape(unsafe.Pointer(&fd))), 1, uintptr(noescape(unsafe.Pointer(&ts))), 0, 0, 0)
	if e == 0 || e == _EINTR {
		*waitms = 0
	}
	return e == 0 && n == 0
}
