// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Entering and leaving real time.
//
// Enter locks the goroutine to its thread, applies the attributes to the
// thread, and moves both to a reserved P. Leave undoes it in reverse order;
// Goexit and the return of the goroutine's function leave too (rtGoexit).
//
// The attributes never reach another thread: the runtime starts threads for a
// locked M by its template thread, which is an ordinary one, and the
// attributes carry SCHED_FLAG_RESET_ON_FORK besides, which also covers
// processes that the goroutine starts. An unprivileged thread cannot clear
// that flag again (sched(7)); where that is so it stays set after leaving.

package runtime

import (
	"internal/runtime/atomic"
	"internal/runtime/syscall/linux"
	"unsafe"
)

const (
	_SCHED_FIFO               = 1
	_SCHED_RR                 = 2
	_SCHED_DEADLINE           = 6
	_SCHED_FLAG_RESET_ON_FORK = 1
	_PR_SET_NAME              = 15
	_PR_GET_NAME              = 16
	_EPERM                    = 1
	_ESRCH                    = 3
	_EBUSY                    = 16
)

// rtSchedAttr is runtime/rt.SchedAttr, the kernel's struct sched_attr.
type rtSchedAttr struct {
	size     uint32
	policy   uint32
	flags    uint64
	nice     int32
	priority uint32
	runtime  uint64
	deadline uint64
	period   uint64
}

// rtAttr is runtime/rt.Attr.
type rtAttr struct {
	sched rtSchedAttr
	cpus  []uint64
	name  string
}

// Steps of entering that can fail: runtime/rt.Step.
const (
	rtStepNone = iota
	rtStepState
	rtStepAffinity
	rtStepSched
)

// rtSaved is what Enter found and Leave restores.
type rtSaved struct {
	sched  rtSchedAttr
	prio   uint32 // what the task runs at, for the watchdog
	mask   [1024]byte
	maskn  int32 // bytes of mask to restore, 0 for none
	name   [16]byte
	rename bool
}

// rtGetattr fills a with the attributes of a thread, 0 for the calling one.
//
//go:nosplit
func rtGetattr(tid uint32, a *rtSchedAttr) uintptr {
	_, _, e := linux.Syscall6(rtSYS_sched_getattr, uintptr(tid), uintptr(noescape(unsafe.Pointer(a))), unsafe.Sizeof(*a), 0, 0, 0)
	a.size = uint32(unsafe.Sizeof(*a))
	return e
}

//go:nosplit
func rtSetattr(tid uint32, a *rtSchedAttr) uintptr {
	_, _, e := linux.Syscall6(rtSYS_sched_setattr, uintptr(tid), uintptr(noescape(unsafe.Pointer(a))), 0, 0, 0, 0)
	return e
}

// rtGiveBack sets attributes that a thread had before. Where the process may not
// clear SCHED_FLAG_RESET_ON_FORK it adds the flag to a.
//
//go:nosplit
func rtGiveBack(tid uint32, a *rtSchedAttr) uintptr {
	e := rtSetattr(tid, a)
	if e == _EPERM && a.flags&_SCHED_FLAG_RESET_ON_FORK == 0 {
		a.flags |= _SCHED_FLAG_RESET_ON_FORK
		e = rtSetattr(tid, a)
	}
	return e
}

func rtSetaffinity(tid uint32, n uintptr, mask unsafe.Pointer) uintptr {
	_, _, e := linux.Syscall6(rtSYS_sched_setaffinity, uintptr(tid), n, uintptr(noescape(mask)), 0, 0, 0)
	return e
}

// rtApply applies a to the calling thread and fills s with what was there.
func rtApply(a *rtAttr, s *rtSaved) (step int, errno uintptr) {
	s.maskn = 0
	s.rename = false
	if e := rtGetattr(0, &s.sched); e != 0 {
		return rtStepSched, e
	}
	if len(a.cpus) > 0 {
		n := sched_getaffinity(0, uintptr(len(s.mask)), &s.mask[0])
		if n < 0 {
			return rtStepAffinity, uintptr(-n)
		}
		if e := rtSetaffinity(0, uintptr(len(a.cpus))*8, unsafe.Pointer(&a.cpus[0])); e != 0 {
			return rtStepAffinity, e
		}
		s.maskn = n
	}
	attr := a.sched
	attr.size = uint32(unsafe.Sizeof(attr))
	attr.flags |= _SCHED_FLAG_RESET_ON_FORK
	if e := rtSetattr(0, &attr); e != 0 {
		if s.maskn != 0 {
			rtSetaffinity(0, uintptr(s.maskn), unsafe.Pointer(&s.mask[0]))
		}
		return rtStepSched, e
	}
	s.prio = attr.priority
	if a.name != "" {
		linux.Syscall6(rtSYS_prctl, _PR_GET_NAME, uintptr(noescape(unsafe.Pointer(&s.name))), 0, 0, 0, 0)
		rtSetName(a.name)
		s.rename = true
	}
	return rtStepNone, 0
}

// rtRestore undoes rtApply on the calling thread.
func rtRestore(s *rtSaved) {
	attr := s.sched
	if attr.policy != _SCHED_DEADLINE {
		// Since Linux 6.12 sched_getattr gives an ordinary thread's time
		// slice here, and setting it makes it a slice of its own.
		attr.runtime = 0
	}
	e := rtGiveBack(0, &attr)
	var now rtSchedAttr
	rtGetattr(0, &now)
	if e == 0 && now.runtime != s.sched.runtime {
		attr.runtime = s.sched.runtime // it had one of its own
		rtSetattr(0, &attr)
	}
	if s.maskn != 0 {
		rtSetaffinity(0, uintptr(s.maskn), unsafe.Pointer(&s.mask[0]))
	}
	if s.rename {
		linux.Syscall6(rtSYS_prctl, _PR_SET_NAME, uintptr(noescape(unsafe.Pointer(&s.name))), 0, 0, 0, 0)
	}
}

// rtGetP takes a spare reserved P, and makes a task of it if that is asked for.
func rtGetP(task bool) *rtP {
	for {
		lock(&sched.lock)
		if pp := rtSched.spare.ptr(); pp != nil {
			rtSched.spare = pp.rt.free
			if task {
				rtSched.taskgen++
				rtSched.ntask++
				atomic.Store(&rtSched.active, uint32(rtSched.ntask))
				pp.rt.task = rtSched.taskgen
			}
			unlock(&sched.lock)
			return pp
		}
		unlock(&sched.lock)
		rtGrow()
	}
}

// rtPutPLocked undoes rtGetP. sched.lock is held.
func rtPutPLocked(pp *rtP) {
	pp.rt.task = 0
	pp.rt.free = rtSched.spare
	rtSched.spare.set(pp)
	rtSched.ntask--
	atomic.Store(&rtSched.active, uint32(rtSched.ntask))
}

// rtOwnAttr makes sure that no stop boosts the thread of mp, the calling one,
// to which the goroutine is locked.
func rtOwnAttr(mp *m) {
	for !atomic.Cas(&mp.rt.attr, 0, 1) {
		Gosched() // boosted by a stop, which ends at the latest when we are stopped
	}
}

// rtEnter makes the calling goroutine real-time.
func rtEnter(a *rtAttr) (task uint64, step int, errno uintptr) {
	gp := getg()
	if gp.m.rt.p != 0 || gp.m.rt.pi != 0 {
		return 0, rtStepState, _EBUSY
	}
	LockOSThread() // from here on: rtmain promises the main thread
	rtLocksStart()
	rtRefillStart()
	rtTickInit()
	pp := rtGetP(true)
	rtOwnAttr(gp.m)
	step, errno = rtApply(a, &pp.rt.saved)
	if errno != 0 {
		lock(&sched.lock)
		rtPutPLocked(pp)
		unlock(&sched.lock)
		atomic.Store(&gp.m.rt.attr, 0)
		UnlockOSThread()
		return 0, step, errno
	}
	task = pp.rt.task
	*pp.rt.stats = rtStats{}
	pp.rt.recent.n = 0
	pp.rt.woke.at = 0
	rtReserveInit(pp)
	rtBind(pp, gp)
	pp.rt.release, pp.rt.readyAt, pp.rt.critical = 0, 0, 0
	pp.rt.pollpd = nil
	pp.rt.cause = rtCauseKernel
	rtSched.threshold.CompareAndSwap(0, rtDefaultThreshold)
	rtWatchStart(pp.rt.saved.prio)
	rtSignalStart()
	mcall(rtEnterM)
	return task, rtStepNone, 0
}

// rtHelper gives the calling goroutine, which does not end, a thread of its own
// and a reserved P that is no task: its p.rt.task is 0, so that stops wait for it to
// let go of the P (rtSlackAt) but not for its slack, the watchdog does not look at it
// and nothing counts it. It is less urgent than every task, and ordinary if it may
// not be SCHED_FIFO.
func rtHelper(name string) {
	gp := getg()
	for LockOSThread(); gp.m == &m0; LockOSThread() {
		// It would name the process.
		UnlockOSThread()
		mcall(rtHelperMove)
	}
	rtOwnAttr(gp.m)
	rtSetFIFO(0, max(rtReservePrio, rtWatch.process))
	rtSetName(name)
	pp := rtGetP(false)
	rtWBInit(pp)
	rtBind(pp, gp)
	mcall(rtEnterM)
}

// rtHelperMove leaves gp to another M, on g0.
func rtHelperMove(gp *g) {
	rtSwitchOut(gp)
	lock(&sched.lock)
	globrunqput(gp)
	unlock(&sched.lock)
	handoffp(releasep())
	stopm()
	schedule() // Never returns.
}

// rtBind notes for rtEnterM that gp, the calling goroutine, gets pp.
func rtBind(pp *rtP, gp *g) {
	pp.rt.tid = uint32(gp.m.procid)
	pp.rt.m.set(gp.m)
	pp.rt.gp.set(gp)
	pp.rt.wake = rtWakeNone
}

// rtTaskP returns the P of a task, nil if there is no such task. sched.lock
// is held.
func rtTaskP(task uint64) *rtP {
	if task != 0 {
		for _, pp := range rtSched.ps {
			if pp.rt.task == task {
				return pp
			}
		}
	}
	return nil
}

// rtSwitchOut makes gp, which is running on the calling M, _Grunnable and
// nobody's, as goschedImpl does.
func rtSwitchOut(gp *g) {
	trace := traceAcquire()
	if trace.ok() {
		trace.GoSched()
	}
	casgstatus(gp, _Grunning, _Grunnable)
	if trace.ok() {
		traceRelease(trace)
	}
	dropg()
}

// rtEnterM moves gp from its ordinary P to the reserved one whose rt.gp it
// is, on g0.
func rtEnterM(gp *g) {
	mp := getg().m
	var pp *rtP
	lock(&sched.lock)
	for _, p2 := range rtSched.ps {
		if p2.rt.gp.ptr() == gp {
			pp = p2
		}
	}
	unlock(&sched.lock)
	rtSwitchOut(gp)
	handoffp(releasep())
	// No P: a stop or forEachP may hold the spare one.
	rtAcquire(pp)
	pp.rt.cause = rtCauseKernel
	mp.rt.p.set(pp)
	acquirep(&pp.p)
	if writeBarrier.enabled {
		wbBufFlush1(&pp.p) // not later, in the task
	} else {
		pp.wbBuf.reset()
	}
	rtTouchStack()
	if rtStopping() || pp.runSafePointFn != 0 {
		// As at any safepoint.
		atomic.Store(&pp.rt.wake, rtWakeReady)
		rtPark()
	}
	execute(gp, false) // Never returns.
}

// rtLeave makes the calling goroutine ordinary again.
func rtLeave() {
	mp := getg().m
	pp := mp.rt.p.ptr()
	if pp == nil {
		return
	}
	// From here on nobody else changes the thread's attributes.
	lock(&sched.lock)
	pp.rt.m = 0
	unlock(&sched.lock)
	rtRestore(&pp.rt.saved)
	atomic.Store(&mp.rt.attr, 0)
	rtRecord(pp)
	rtFold(pp.rt.stats)
	timers := rtTakeTimers(pp)
	mcall(rtLeaveM)
	UnlockOSThread()
	rtGiveTimers(timers)
	rtWatchUpdate()
}

// rtLeaveM moves gp from its reserved P to an ordinary one, on g0.
func rtLeaveM(gp *g) {
	mp := getg().m
	pp := mp.rt.p.ptr()
	rtSwitchOut(gp)
	if pp.runSafePointFn != 0 {
		runSafePointFn()
	}
	pp.rt.turn += pp.rt.turn & 1
	releasep()

	// With sched.lock held no stop and no forEachP begins.
	lock(&sched.lock)
	mp.rt.p = 0
	pp.rt.gp = 0
	rtPutPLocked(pp)
	if atomic.Load(&pp.runSafePointFn) != 0 && atomic.Cas(&pp.runSafePointFn, 1, 0) {
		// One began before we took the lock. We have no P, like those
		// who run it for idle Ps.
		sched.safePointFn(&pp.p)
		if sched.safePointWait--; sched.safePointWait == 0 {
			notewakeup(&sched.safePointNote)
		}
	}
	if rtStopping() && sched.stopwait > 0 && sched.stopwait <= freezeStopWait/2 {
		rtGiveStopLocked(pp)
	} else {
		rtPIUnlock(&pp.rt.word, pp.rt.tid)
	}

	// As exitsyscallNoP.
	var p2 *p
	if schedEnabled(gp) {
		p2, _ = pidleget(0)
	}
	if p2 == nil {
		globrunqput(gp)
	} else if sched.sysmonwait.Load() {
		sched.sysmonwait.Store(false)
		notewakeup(&sched.sysmonnote)
	}
	unlock(&sched.lock)
	if p2 != nil {
		acquirep(p2)
		execute(gp, false) // Never returns.
	}
	stoplockedm()
	execute(gp, false) // Never returns.
}

// rtGoexit leaves real time when a goroutine ends in it.
func rtGoexit() {
	if mp := getg().m; mp.rt.pi != 0 || mp.rt.p != 0 {
		rtGoexitRT()
	}
}

func rtGoexitRT() {
	gp := getg()
	mp := gp.m
	if rtGuest(gp, mp) {
		return
	}
	if mp.rt.pi != 0 {
		rtMutexGoexit()
	}
	if mp.rt.p != 0 {
		rtLeave()
	}
}
