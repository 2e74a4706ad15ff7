// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// What package runtime/rt calls. Its types and ours have the same layout.

package runtime

import _ "unsafe" // for go:linkname

//go:linkname rt_enter runtime/rt.enter
func rt_enter(a *rtAttr) (task uint64, step int, errno uintptr) { return rtEnter(a) }

//go:linkname rt_leave runtime/rt.leave
func rt_leave() { rtLeave() }

//go:linkname rt_self runtime/rt.self
func rt_self() uint64 {
	if pp := getg().m.rt.p.ptr(); pp != nil {
		return pp.rt.task
	}
	return 0
}

//go:linkname rt_setSched runtime/rt.setSched
func rt_setSched(task uint64, a *rtSchedAttr) (step int, errno uintptr) {
	attr := *a
	attr.size = 48
	attr.flags |= _SCHED_FLAG_RESET_ON_FORK
	lock(&sched.lock)
	pp := rtTaskP(task)
	if pp == nil || pp.rt.m == 0 {
		unlock(&sched.lock)
		return rtStepState, _ESRCH
	}
	// With the lock held the task cannot leave and its thread not exit.
	e := rtSetattr(pp.rt.tid, &attr)
	if e == 0 {
		pp.rt.saved.prio = attr.priority
	}
	unlock(&sched.lock)
	if e != 0 {
		return rtStepSched, e
	}
	rtWatchUpdate()
	return rtStepNone, 0
}

//go:linkname rt_tid runtime/rt.tid
func rt_tid(task uint64) int {
	id := 0
	lock(&sched.lock)
	if pp := rtTaskP(task); pp != nil && pp.rt.m != 0 {
		id = int(pp.rt.tid)
	}
	unlock(&sched.lock)
	return id
}

//go:linkname rt_nanotime runtime/rt.nanotime
func rt_nanotime() int64 { return nanotime() }

//go:linkname rt_sleepUntil runtime/rt.sleepUntil
func rt_sleepUntil(when int64) {
	if getg().m.rt.p != 0 {
		rtSleepUntil(when)
		return
	}
	if d := when - nanotime(); d > 0 {
		timeSleep(d)
	}
}

//go:linkname rt_readStats runtime/rt.readStats
func rt_readStats(task uint64, s *rtStats) bool {
	if pp := getg().m.rt.p.ptr(); pp != nil {
		rtRecord(pp)
	}
	lock(&sched.lock)
	pp := rtTaskP(task)
	if pp != nil {
		*s = *pp.rt.stats
	}
	unlock(&sched.lock)
	return pp != nil
}

//go:linkname rt_setThreshold runtime/rt.setThreshold
func rt_setThreshold(ns int64) int64 {
	if ns <= 0 {
		ns = -1 // 0 stands for the default not yet set
	}
	old := rtSched.threshold.Swap(ns)
	switch {
	case old == 0:
		return rtDefaultThreshold
	case old < 0:
		return 0
	}
	return old
}

//go:linkname rt_mutexLock runtime/rt.mutexLock
func rt_mutexLock(m *rtMutex) { m.lock() }

//go:linkname rt_mutexTryLock runtime/rt.mutexTryLock
func rt_mutexTryLock(m *rtMutex) bool { return m.tryLock() }

//go:linkname rt_mutexUnlock runtime/rt.mutexUnlock
func rt_mutexUnlock(m *rtMutex) { m.unlock() }

//go:linkname rt_critical runtime/rt.critical
func rt_critical(ns int64) {
	if pp := getg().m.rt.p.ptr(); pp != nil {
		pp.rt.critical = nanotime() + ns
	}
}

//go:linkname rt_startNoGC runtime/rt.startNoGC
func rt_startNoGC(bytes uint64) (gen uint32, errno uintptr) { return rtStartNoGC(bytes) }

//go:linkname rt_endNoGC runtime/rt.endNoGC
func rt_endNoGC(bytes uint64, gen uint32) bool { return rtEndNoGC(bytes, gen) }

// rtRunStats is runtime/rt.RuntimeStats.
type rtRunStats struct {
	stops, forced, waitTotal, waitMax, boosts, reports uint64
}

//go:linkname rt_readRuntime runtime/rt.readRuntime
func rt_readRuntime(s *rtRunStats) {
	s.stops = rtSlack.stops.Load()
	s.forced = rtForcedStops()
	s.waitTotal = uint64(rtSlack.waited.Load())
	s.waitMax = uint64(rtSlack.max.Load())
	s.boosts = rtWatch.boosts.Load()
	s.reports = rtWatch.reports.Load()
}

//go:linkname rt_setWatchdog runtime/rt.setWatchdog
func rt_setWatchdog(ns int64) int64 {
	if ns <= 0 {
		ns = -1
	}
	old := rtWatch.limit.Swap(ns)
	switch {
	case old == 0:
		return rtWatchLimit
	case old < 0:
		return 0
	}
	return old
}
