// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Locks with priority inheritance between threads, and the wait for _Gscan.
//
// The kernel's PI futexes (futex(2), "Priority-inheritance futexes") do what
// a runtime cannot do well from user space: the owner of a contended word
// runs at the priority of its most urgent waiter, transitively, and drops
// back when it unlocks, whatever its policy was. Uncontended, locking is one
// compare-and-swap of the thread id.
//
// SCHED_DEADLINE and PI futexes do not go together on some kernels: a deadline
// thread that was boosted while throttled may never be replenished (seen on
// 6.18; test/rtstress/testdata/deadlinepi.c shows it without Go). Such a
// kernel can hang a program that has Deadline tasks.

package runtime

import (
	"internal/runtime/atomic"
	"unsafe"
)

const (
	_FUTEX_LOCK_PI_PRIVATE    = 6 | 128
	_FUTEX_UNLOCK_PI_PRIVATE  = 7 | 128
	_FUTEX_TRYLOCK_PI_PRIVATE = 8 | 128
	_FUTEX_WAITERS            = 0x80000000
	_FUTEX_TID_MASK           = 0x3fffffff
)

// rtPILock takes word for the calling thread, whose id is tid. It waits with
// priority inheritance and must not be called by the owner.
//
//go:nosplit
func rtPILock(word *uint32, tid uint32) {
	if atomic.Cas(word, 0, tid) {
		return
	}
	for {
		r := futex(unsafe.Pointer(word), _FUTEX_LOCK_PI_PRIVATE, 0, nil, nil, 0)
		switch -r {
		case 0:
			return
		case _EAGAIN, _EINTR:
		case _ENOSYS:
			// No PI futexes (a sandbox kernel): sleep and look.
			usleep_no_g(50)
			if atomic.Cas(word, 0, tid) {
				return
			}
		default:
			rtPIFail(word, r)
		}
	}
}

// rtPITryLock takes word if nobody has it.
//
//go:nosplit
func rtPITryLock(word *uint32, tid uint32) bool {
	return atomic.Cas(word, 0, tid)
}

// rtPIUnlock releases word, which the calling thread must own. If a thread
// waits the kernel makes it the owner.
//
//go:nosplit
func rtPIUnlock(word *uint32, tid uint32) {
	if atomic.Cas(word, tid, 0) {
		return
	}
	if r := futex(unsafe.Pointer(word), _FUTEX_UNLOCK_PI_PRIVATE, 0, nil, nil, 0); r != 0 {
		rtPIFail(word, r)
	}
}

//go:nosplit
func rtPIFail(word *uint32, r int32) {
	systemstack(func() {
		print("runtime: rt: PI futex ", word, " word=", hex(*word), " tid=", getg().m.procid, " errno=", -r, "\n")
		throw("real-time: PI futex failed")
	})
}

// rtScanWords are the scan locks of ordinary goroutines, which share them: a
// g has no room for one.
var rtScanWords [64]uint32

// rtScanWord returns the scan lock of gp, nil if nobody needs one.
//
//go:nosplit
func rtScanWord(gp *g) *uint32 {
	if pp := rtPOf(gp); pp != nil {
		return &pp.rt.scan
	}
	if atomic.Load(&rtSched.active) == 0 {
		return nil
	}
	return &rtScanWords[gp.goid%uint64(len(rtScanWords))]
}

// rtScanLock takes the scan lock of gp before the calling M sets _Gscan on
// it. It reports whether the M may go on to try: another thread holding the
// lock has, or is about to have, the bit, of gp or of an ordinary goroutine
// that shares the lock.
//
//go:nosplit
func rtScanLock(gp *g) bool {
	word := rtScanWord(gp)
	if word == nil {
		return true
	}
	mp := getg().m
	if !rtPITryLock(word, uint32(mp.procid)) {
		return false
	}
	mp.rt.scan = uintptr(unsafe.Pointer(word))
	if pp := rtPOf(gp); pp != nil {
		mp.rt.scanP.set(pp)
		mp.rt.scanAt = nanotime()
	}
	return true
}

// rtScanBoost makes the calling thread, that of mp, run at prio until
// rtScanUnboost, unless it is boosted as one that a stop waits for or has a
// real-time policy of its own. It reports whether that is a change.
func rtScanBoost(mp *m, prio uint32) bool {
	if mp.rt.scanPrio == prio ||
		mp.rt.scanPrio != 0 && rtSetFIFO(0, prio) != 0 ||
		mp.rt.scanPrio == 0 && !rtLend(mp, uint32(mp.procid), prio, &mp.rt.scanWas) {
		return false
	}
	mp.rt.scanPrio = prio
	return true
}

// rtScanUnboost undoes rtScanBoost. resumeG calls it, and suspendG if there is
// nothing to resume.
func rtScanUnboost() {
	if mp := getg().m; mp.rt.scanPrio != 0 {
		mp.rt.scanPrio = 0
		rtGiveBack(0, &mp.rt.scanWas)
		atomic.Store(&mp.rt.attr, 0)
	}
}

// rtScanUnlock releases the scan lock that the calling M holds, if any.
//
//go:nosplit
func rtScanUnlock() {
	mp := getg().m
	if word := (*uint32)(unsafe.Pointer(mp.rt.scan)); word != nil {
		mp.rt.scan = 0
		if pp := mp.rt.scanP.ptr(); pp != nil {
			mp.rt.scanP = 0
			pp.rt.scans.add(nanotime() - mp.rt.scanAt)
		}
		rtPIUnlock(word, uint32(mp.procid))
	}
}

// rtWaitScan waits until nobody holds _Gscan of gp, lending the holder the
// calling thread's priority. It reports false, having done nothing, if there
// is no real-time goroutine that could be concerned or the bit is not set.
//
//go:nosplit
func rtWaitScan(gp *g) bool {
	word := rtScanWord(gp)
	if word == nil || gp.atomicstatus.Load()&_Gscan == 0 {
		return false
	}
	mp := getg().m
	tid := uint32(mp.procid)
	if tid == 0 || atomic.Load(word)&_FUTEX_TID_MASK == tid {
		return false
	}
	free := rtPITryLock(word, tid)
	if !free {
		start := nanotime()
		rtPILock(word, tid)
		if pp := mp.rt.p.ptr(); pp != nil {
			pp.rt.cause = rtCauseScan
			rtPaused(pp, start)
		}
	}
	rtPIUnlock(word, tid)
	if free && gp.atomicstatus.Load()&_Gscan != 0 {
		// The bit was set before gp entered real time, or before anybody
		// did. Sleep rather than spin: its holder may be a thread that we
		// keep off the CPU.
		usleep_no_g(10)
	}
	return true
}

// rtYield makes a real-time thread sleep in the runtime's loops around
// osyield: sched_yield never yields to a less urgent thread and may keep the
// very thread off the CPU that the loop waits for. So does a thread that a stop
// has boosted (in the lab one of the collector spun for 1.8 s in suspendG). On
// other threads it does nothing.
//
// It sleeps for a quarter of the time that the loop has waited so far, since
// where timers are slow (a virtual machine) two threads that wake every 20 µs
// leave two CPUs no time for anybody else.
func rtYield() {
	mp := getg().m
	if !rtIsM(mp) && atomic.Load(&mp.rt.attr) != 2 {
		return
	}
	y := &mp.rt.yield
	now := nanotime()
	if now-y.last > 5*rtYieldMin {
		y.first = now // another loop
	}
	usleep(uint32(min(max((now-y.first)/4, rtYieldMin), rtYieldMax) / 1000))
	y.last = nanotime()
}

// The least and the most that rtYield sleeps, ns.
const (
	rtYieldMin = 20 * 1000
	rtYieldMax = 1000 * 1000
)

// rtYieldNoG is rtYield for loops that threads of C run as well, which have no
// g: with tasks in the process every thread sleeps in them.
//
//go:nosplit
func rtYieldNoG() {
	if atomic.Load(&rtSched.active) != 0 {
		usleep_no_g(20)
	}
}

//go:linkname atomic_rtYield sync/atomic.runtime_rtYield
func atomic_rtYield() { rtYield() }
