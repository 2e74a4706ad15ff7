// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Parking and waking a real-time goroutine in place.
//
// A real-time goroutine that blocks runs gopark as any other: it becomes
// _Gwaiting and its M enters schedule. There stoplockedm calls rtPark, which
// releases the reserved P and waits on p.rt.wake. Whoever makes the goroutine
// ready sets p.rt.wake and wakes that futex, whether it has a P or not: no
// run queue, no sched.lock, no other thread.
//
// Timers in the reserved P's heap (a receive from time.Timer or Ticker puts
// them there) fire in the parked thread: it waits no longer than to the next
// one and runs it itself. While it does, timerpMask hides its heap from the
// other Ps, so that it never waits for a heap lock held by an ordinary thread.
// Another goroutine may still move such a timer to an earlier time (Reset,
// SetDeadline). Then rtTimersMoved wakes the thread: the thread stores the time
// to which it will sleep, sets p.rt.wake and looks at its heap once more, the
// other changes the heap and then looks at p.rt.wake, so that one sees what the
// other did.
//
// Deadlock detection: checkdead does not count parked Ms as running. Going idle
// must not cost a real-time thread sched.lock, so the watchdog thread looks for
// a deadlock on its behalf (rt_watch.go).

package runtime

import (
	"internal/runtime/atomic"
	"unsafe"
)

// Values of p.rt.wake.
const (
	rtWakeNone   = iota // running, or on its way to park
	rtWakeReady         // made ready; consumed by rtPark
	rtWakeParked        // waits on the futex, idle to checkdead
	rtWakePoll          // waits in ppoll
	rtWakeTimer         // rtWakeParked, but told to look at its timers
)

// rtEnterSyscall releases the reserved P of an M that enters a system call.
// It reports whether rtEnterSyscallSlow must be called, on the system stack.
//
//go:nosplit
func rtEnterSyscall(mp *m) (slow bool) {
	return rtRelease(mp.rt.p.ptr())
}

func rtEnterSyscallSlow() {
	rtReleaseSlow(getg().m.rt.p.ptr())
}

// rtExitSyscall takes the reserved P back.
//
//go:nosplit
func rtExitSyscall(mp *m) {
	rtAcquire(mp.rt.p.ptr())
}

// rtAny reports whether there may be real-time goroutines. There were none
// until the first reserved P was made, with the world stopped; and who deals
// with a goroutine sees what that goroutine did when it entered real time. The
// hooks on upstream's hot paths ask this or less, inlined, and call what does
// the work.
//
//go:nosplit
func rtAny() bool { return rtSched.attached != 0 }

// rtReady does what ready does once gp is _Grunnable, if a real-time
// goroutine is concerned: it wakes gp in its own thread if gp is real-time,
// and puts gp where an ordinary P finds it if pp, the P of the calling M, is
// reserved. Otherwise it reports false.
//
//go:nowritebarrier
func rtReady(gp *g, pp *p) bool { return rtAny() && rtReadyAny(gp, pp) }

//go:nowritebarrier
func rtReadyAny(gp *g, pp *p) bool {
	if rp := rtPOf(gp); rp != nil {
		rtWake(rp)
		return true
	}
	if pp != nil && rtReserved(pp) {
		if mp := getg().m; mp.rt.p != 0 && mp.rt.p.ptr().rt.funcs.mine {
			mp.rt.p.ptr().rt.funcs.q.pushBack(gp)
			return true
		}
		lock(&sched.lock)
		globrunqput(gp)
		unlock(&sched.lock)
		wakep()
		return true
	}
	return false
}

// rtWake makes the thread of the reserved P pp go on with its goroutine,
// which the caller made _Grunnable.
//
//go:nowritebarrierrec
//go:nosplit
func rtWake(pp *rtP) {
	pp.rt.readyAt = rtTicks()
	switch atomic.Xchg(&pp.rt.wake, rtWakeReady) {
	case rtWakeParked, rtWakeTimer:
		futex(unsafe.Pointer(&pp.rt.wake), _FUTEX_WAKE_PRIVATE, 1, nil, nil, 0)
	case rtWakePoll:
		rtPollWake(pp)
	}
}

// rtGoready is goready for a goroutine that is locked to its thread: it makes
// gp ready on the short way if it is real-time and nobody wants to know more of
// it. It must not be preempted between its checks.
//
//go:nosplit
//go:nowritebarrier
func rtGoready(gp *g) bool {
	pp := rtPOf(gp)
	if pp == nil || gp.tracking || gp.bubble != nil || traceEnabled() || !gp.atomicstatus.CompareAndSwap(_Gwaiting, _Grunnable) {
		return false
	}
	rtWake(pp)
	return true
}

// rtReceived is what chanrecv does in a real-time goroutine that a sender, or
// close, woke, and returns what chanrecv returns. The pointer writes stand
// together so that they share one write barrier, 80 instructions less while the
// collector marks than one each and releaseSudog.
func rtReceived(gp *g, c *hchan, s *sudog) (selected, received bool) {
	if c.timer != nil {
		unblockTimerChan(c)
	}
	gp.activeStackChans = false
	received = s.success
	pp := gp.m.p.ptr()
	if n := len(pp.sudogcache); n < cap(pp.sudogcache) {
		pp.sudogcache = pp.sudogcache[:n+1]
		pp.sudogcache[n] = s
		gp.waiting = nil
		gp.param = nil
		s.c.set(nil)
		return true, received
	}
	gp.waiting = nil
	gp.param = nil
	s.c.set(nil)
	releaseSudog(s)
	return true, received
}

// rtReadyM is rtReady for ready, whose mp it releases if it reports true.
func rtReadyM(gp *g, mp *m) bool { return rtAny() && rtReadyAnyM(gp, mp) }

func rtReadyAnyM(gp *g, mp *m) bool {
	if rtReadyAny(gp, mp.p.ptr()) {
		releasem(mp)
		return true
	}
	return false
}

// rtGosched is goschedImpl's and goyield's part for a goroutine that must not
// go into a run queue, which the caller made _Grunnable and dropped. It
// reports true for a real-time goroutine, which stays with its thread, so that
// schedule finds it there; it goes on at once with the holder of an rt.Mutex;
// and it reports false for others. yield is set for a call of
// runtime.Gosched, by which loops wait for other goroutines: it sleeps for a
// moment, so that they do run.
func rtGosched(gp *g, yield bool) bool {
	mp := getg().m
	return uintptr(mp.rt.p)|uintptr(mp.rt.pi) != 0 && rtGoschedRT(mp, gp, yield)
}

func rtGoschedRT(mp *m, gp *g, yield bool) bool {
	if pp := mp.rt.p.ptr(); pp != nil {
		if rtGuest(gp, mp) {
			return rtReady(gp, &pp.p)
		}
		atomic.Store(&pp.rt.wake, rtWakeReady)
		if yield {
			rtYield()
		}
		return true
	}
	if mp.rt.pi != 0 && !sched.gcwaiting.Load() && gp.lockedm.ptr() == mp {
		if mp.p.ptr().runSafePointFn != 0 {
			runSafePointFn()
		}
		execute(gp, true) // Never returns.
	}
	return false
}

// rtInject takes the real-time goroutines that injectglist has made
// _Grunnable out of q and wakes them.
func rtInject(q *gQueue) {
	if rtAny() {
		rtInjectAny(q)
	}
}

func rtInjectAny(q *gQueue) {
	var rest gQueue
	for !q.empty() {
		gp := q.pop()
		if pp := rtPOf(gp); pp != nil {
			rtWake(pp)
		} else {
			rest.pushBack(gp)
		}
	}
	*q = rest
}

// rtDispatch wakes a real-time goroutine that came out of a run queue, which
// happens on rare paths alone (a debugger call, a goroutine that entered real
// time while queued).
func rtDispatch(gp *g) bool { return rtAny() && rtDispatchAny(gp) }

func rtDispatchAny(gp *g) bool {
	pp := rtPOf(gp)
	if pp == nil {
		rtWBTidy(getg().m.p.ptr())
		return false
	}
	rtWake(pp)
	return true
}

// rtPark is stoplockedm for an M that runs a real-time goroutine. It returns
// once the goroutine is _Grunnable, with the reserved P owned. It reports
// false, having done nothing, on other Ms.
func rtPark() bool {
	mp := getg().m
	pp := mp.rt.p.ptr()
	if pp == nil {
		return false
	}
	pp.preempt = false
	gp := mp.lockedg.ptr()
	gp.tracking = false // sampled for /sched/latencies, it would not go the short ways
	short := gp.bubble == nil && !gp.ditWanted && !mp.ditEnabled
	rtRecord(pp)
	rtReserveRefill(pp)
	if traceEnabled() || traceShuttingDown() {
		// As handoffp: the goroutine may wait for the reader. A wakep alone is
		// lost on a thread that is about to stop spinning: that looks at run
		// queues once more, not for the reader.
		if reader := traceReader(); reader != nil {
			ready(reader, 0, true)
		}
	}
	scan := int64(0)
	if readgstatus(gp)&^_Gscan == _Gpreempted {
		scan = nanotime() // the scanner makes gp ready
	}
	woken := false
	for {
		// We own the P: a safepoint.
		if rtStopping() {
			if rtGiveStop(pp) {
				rtAcquire(pp)
				continue
			}
			if freezing.Load() {
				// As gcstopm would, for ever.
				lock(&deadlock)
				lock(&deadlock)
			}
		}
		if pp.runSafePointFn != 0 && !woken {
			start := nanotime()
			runSafePointFn()
			rtPaused(pp, start)
		}
		if atomic.Load(&pp.rt.wake) == rtWakeReady {
			break
		}

		next := rtRunTimers(pp)
		if atomic.Load(&pp.rt.wake) == rtWakeReady {
			break
		}
		if woken {
			// A goroutine that was made ready does not wait for a safepoint
			// function. The P runs it when the goroutine parks again, or is
			// preempted for it, or here.
			woken = false
			if pp.runSafePointFn != 0 {
				continue
			}
		}
		if next != 0 {
			pp.rt.until.Store(next)
		} else {
			pp.rt.until.Store(maxWhen)
		}
		if gp.waitreason == waitReasonIOWait && pp.rt.pollpd != nil && readgstatus(gp)&^_Gscan == _Gwaiting {
			rtParkPoll(pp, gp, next)
			woken = true
			continue
		}

		if !atomic.Cas(&pp.rt.wake, rtWakeNone, rtWakeParked) {
			continue
		}
		if rtTimerBefore(pp) {
			rtUnpark(pp)
			continue
		}
		if next != 0 {
			timerpMask.clear(pp.id)
		}
		if rtRelease(pp) {
			systemstack(func() { rtReleaseSlow(pp) })
		}
		if next != 0 {
			rtSlackSleeps()
			rtFutexWait(&pp.rt.wake, rtWakeParked, next)
		} else {
			futex(unsafe.Pointer(&pp.rt.wake), _FUTEX_WAIT_PRIVATE, rtWakeParked, nil, nil, 0)
		}
		rtAcquire(pp)
		if next == 0 && atomic.Load(&pp.rt.wake) == rtWakeReady && !rtStopping() {
			break // the short way round
		}
		woken = true
		if next != 0 {
			timerpMask.set(pp.id)
		}
		if atomic.Load(&pp.rt.wake) != rtWakeReady {
			rtUnpark(pp) // woken by a timer or a signal: look again
		}
	}
	atomic.Store(&pp.rt.wake, rtWakeNone)
	if scan != 0 {
		pp.rt.cause = rtCauseScan
		rtPaused(pp, scan)
	}
	if at := pp.rt.readyAt; at != 0 {
		pp.rt.readyAt = 0
		rtWoke(pp, at, 0)
	}
	if !short || goroutineProfile.active || mp.profilehz != sched.profilehz || traceEnabled() {
		return true
	}
	// This is execute on a short way, if nobody wants to know more of it. Neither
	// pointer needs a write barrier: gp is in allgs, and mp, which runs, in allm.
	setGNoWB(&mp.curg, gp)
	setMNoWB(&gp.m, mp)
	gp.syncSafePoint = false
	if gp.atomicstatus.CompareAndSwap(_Grunnable, _Grunning) {
		gp.waitsince = 0
		gp.preempt = false
		gp.stackguard0 = gp.stack.lo + stackGuard
		pp.schedtick++
		gogo(&gp.sched) // Never returns.
	}
	return true // being scanned
}

// rtUnpark takes back that the thread of pp, the calling one, is parked,
// unless rtWake did.
func rtUnpark(pp *rtP) {
	if !atomic.Cas(&pp.rt.wake, rtWakeParked, rtWakeNone) {
		atomic.Cas(&pp.rt.wake, rtWakeTimer, rtWakeNone)
	}
}

// rtTimerBefore reports whether pp has a timer before the time to which its
// thread sleeps.
func rtTimerBefore(pp *rtP) bool {
	at := pp.timers.wakeTime()
	return at != 0 && at < pp.rt.until.Load()
}

// rtTimersMoved wakes the real-time threads that sleep beyond one of their
// timers. wakeNetPoller calls it, after a timer was moved to an earlier time.
// Its caller without a P is handoffp, whose timers are those of an ordinary P.
func rtTimersMoved() {
	if atomic.Load(&rtSched.active) != 0 && getg().m.p != 0 {
		rtTimersWake()
	}
}

func rtTimersWake() {
	mp := acquirem() // the world stays started: rtSched.ps does not change
	for _, pp := range rtSched.ps {
		switch atomic.Load(&pp.rt.wake) {
		case rtWakeParked:
			// Another state than None, as rtWake must still wake the
			// futex if we are kept from it.
			if rtTimerBefore(pp) && atomic.Cas(&pp.rt.wake, rtWakeParked, rtWakeTimer) {
				futex(unsafe.Pointer(&pp.rt.wake), _FUTEX_WAKE_PRIVATE, 1, nil, nil, 0)
			}
		case rtWakePoll:
			if rtTimerBefore(pp) {
				rtPollWake(pp)
			}
		}
	}
	releasem(mp)
}

// rtFutexWait waits while *addr is val, at most until the CLOCK_MONOTONIC
// time deadline.
func rtFutexWait(addr *uint32, val uint32, deadline int64) {
	const _FUTEX_WAIT_BITSET_PRIVATE = 9 | 128
	var ts timespec
	ts.setNsec(deadline)
	futex(unsafe.Pointer(addr), _FUTEX_WAIT_BITSET_PRIVATE, val, &ts, nil, 0xffffffff)
}

// rtParked returns how many Ms are parked in place, for checkdead.
//
//go:nowritebarrierrec
func rtParked() (n int32) {
	for _, pp := range rtAllPs() {
		if w := atomic.Load(&pp.rt.wake); w == rtWakeParked || w == rtWakeTimer {
			n++
		}
	}
	if rtRefill.state.Load() == rtRefillParked {
		n++
	}
	return n
}

// rtAllPs returns the reserved Ps, for threads that no stop stops.
//
//go:nowritebarrierrec
func rtAllPs() []*rtP {
	if list := rtSched.list.Load(); list != nil {
		return *list
	}
	return nil
}
