// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// The watchdog: what keeps a process alive whose real-time goroutines take
// every CPU.
//
// sysmon is an ordinary thread and has to stay one: its tick of 20 µs to 10 ms
// above every real-time thread would be a disturbance of its own. When
// SCHED_FIFO threads occupy the CPUs it starves, and with it preemption, the
// hand-over of Ps from system calls, network polling, and the start of
// periodic collections. So a thread of its own, the watchdog, runs while there
// are real-time goroutines, one priority above the most urgent of them (equal
// is not enough: SCHED_FIFO does not preempt its equals). It looks every
// rtWatchPeriod, and less and less often, at last every rtWatchCalm, as long as it
// finds sysmon alive. A look takes 33 µs (in the lab), which are a task's lateness
// if the two coincide. So it keeps clear of known releases; and as a task that
// others wake has none, the first task that goes to sleep in the second half of the
// period makes it look then: who has just been woken, and has done its work, is
// least likely to be woken in the next moment. It does little:
//
//   - If sysmon has not ticked for rtWatchStarved it is starved: the watchdog
//     makes it SCHED_FIFO at its own priority for rtWatchBoost. This begins
//     at most twice rtWatchCalm after the last tick: that may come just after
//     a look, and then the next still finds sysmon alive.
//     In a process that is SCHED_FIFO as a whole, where threads starve that
//     wait for an equal, it makes them take turns (SCHED_RR).
//   - If a real-time goroutine has kept its P that long without blocking while
//     sysmon starved, and for longer than the limit (one second), it is
//     reported on standard error with its stack, once.
//   - A signal sent to the process that the kernel gave to a starved thread is
//     taken over: changing the signal mask makes the kernel look again at what
//     is pending for the process. SIGTERM thus ends the process.
//   - It looks for a deadlock when every other thread is idle (rt_park.go).
//
// It runs as well in a process that is real-time as a whole (rt_main.go).
// Otherwise, without real-time goroutines, it waits on a futex.
//
// Rejected: a timer that sysmon pushes back as long as it runs, so that the
// watchdog does not wake at all. On PREEMPT_RT only the sleep of a real-time
// thread itself ends in the timer's interrupt; timerfd and POSIX timers expire
// in a SCHED_FIFO thread of priority 1, which the same tasks starve.

package runtime

import (
	"internal/runtime/atomic"
	"internal/runtime/syscall/linux"
	"unsafe"
)

const (
	rtWatchPeriod  = 50 * 1000 * 1000
	rtWatchCalm    = 8 * rtWatchPeriod
	rtWatchStarved = 2 * rtWatchPeriod
	rtWatchBoost   = 20 * rtWatchPeriod
	rtWatchMargin  = 100 * 1000
	rtWatchLimit   = 1000 * 1000 * 1000 // unless the program sets another
)

var rtWatch struct {
	started atomic.Uint32
	active  uint32 // futex: 1 while there are real-time goroutines
	lock    uint32 // priority-inheritance futex of rtWatchUpdate
	tid     atomic.Uint32
	up      atomic.Uint32 // runs, at its priority
	prio    atomic.Uint32 // what the watchdog shall run at
	limit   atomic.Int64  // time that a goroutine may hog, ns; 0 is the default, negative none
	due     atomic.Int64  // when the next task that goes to sleep makes it look, rtTicks, or 0
	look    uint32        // futex: 1 if one does

	process    uint32 // priority of the process as a whole if it is real-time, else 0
	sysmonTID  atomic.Uint32
	sysmonTick atomic.Uint64
	named      bool // by sysmon

	boosts  atomic.Uint64
	reports atomic.Uint64
}

// rtSysmonTick is called by sysmon at each round.
//
//go:nowritebarrierrec
func rtSysmonTick() {
	if rtWatch.sysmonTID.Load() == 0 {
		rtWatch.sysmonTID.Store(uint32(getg().m.procid))
	}
	if !rtWatch.named && atomic.Load(&rtSched.active) != 0 {
		// So that a listing tells it from a task when it is boosted.
		rtWatch.named = true
		rtSetName("sysmon")
	}
	rtWatch.sysmonTick.Add(1)
}

// rtSetName names the calling thread.
//
//go:nowritebarrierrec
func rtSetName(s string) {
	var name [16]byte
	copy(name[:15], s)
	linux.Syscall6(rtSYS_prctl, _PR_SET_NAME, uintptr(noescape(unsafe.Pointer(&name))), 0, 0, 0, 0)
}

// rtWatchStart makes sure that the watchdog runs above priority prio.
func rtWatchStart(prio uint32) {
	if rtWatch.started.CompareAndSwap(0, 1) {
		systemstack(func() {
			newm(rtWatchLoop, nil, -1)
		})
	}
	rtWatchUpdate()
}

// rtWatchUpdate adapts the watchdog and the process to the tasks there are.
func rtWatchUpdate() {
	mp := acquirem() // no other goroutine must run here while we hold the lock
	tid := uint32(mp.procid)
	rtPILock(&rtWatch.lock, tid)
	rtWatchUpdateLocked()
	rtMemUpdate()
	rtPIUnlock(&rtWatch.lock, tid)
	releasem(mp)
}

func rtWatchUpdateLocked() {
	prio := rtWatch.process
	lock(&sched.lock)
	n := rtSched.ntask
	if prio != 0 {
		n++
	}
	for _, pp := range rtSched.ps {
		if pp.rt.task != 0 {
			prio = max(prio, pp.rt.saved.prio)
		}
	}
	unlock(&sched.lock)
	prio = min(prio+1, 99)
	if n > 0 && prio != rtWatch.prio.Load() {
		rtWatch.prio.Store(prio)
		if tid := rtWatch.tid.Load(); tid != 0 {
			rtSetFIFO(tid, prio)
		}
	}
	active := uint32(0)
	if n > 0 {
		active = 1
	}
	if atomic.Xchg(&rtWatch.active, active) == 0 && active == 1 {
		futex(unsafe.Pointer(&rtWatch.active), _FUTEX_WAKE_PRIVATE, 1, nil, nil, 0)
	}
}

// rtSetFIFO makes a thread SCHED_FIFO at prio, or as near to it as the
// process may.
//
//go:nowritebarrierrec
//go:nosplit
func rtSetFIFO(tid, prio uint32) uintptr {
	a := rtSchedAttr{size: 48, policy: _SCHED_FIFO, flags: _SCHED_FLAG_RESET_ON_FORK}
	var e uintptr
	// RLIMIT_RTPRIO may end at the task's own priority.
	for a.priority = prio; a.priority > 0 && a.priority+1 >= prio; a.priority-- {
		if e = rtSetattr(tid, &a); e == 0 {
			break
		}
	}
	return e
}

// rtWatchLoop is the watchdog's thread. It never has a P.
//
//go:nowritebarrierrec
func rtWatchLoop() {
	lock(&sched.lock)
	sched.nmsys++
	checkdead()
	unlock(&sched.lock)

	rtWatch.tid.Store(uint32(getg().m.procid))
	if prio := rtWatch.prio.Load(); prio != 0 {
		rtSetFIFO(0, prio)
	}
	rtWatch.up.Store(1)
	rtSetName("rtwatch")

	tick := rtWatch.sysmonTick.Load()
	tickAt := nanotime()
	boostedAt := int64(0)
	period := int64(rtWatchPeriod)
	var normal rtSchedAttr
	for {
		for atomic.Load(&rtWatch.active) == 0 {
			if boostedAt != 0 {
				rtSetattr(rtWatch.sysmonTID.Load(), &normal)
				boostedAt = 0
			}
			futex(unsafe.Pointer(&rtWatch.active), _FUTEX_WAIT_PRIVATE, 0, nil, nil, 0)
			tickAt = nanotime()
			period = rtWatchPeriod
		}
		rtWatchSleep(period)
		rtTickRefine()
		now := nanotime()

		if t := rtWatch.sysmonTick.Load(); t != tick {
			tick, tickAt = t, now
		} else if sched.sysmonwait.Load() {
			tickAt = now // in its deep sleep
		}
		calm := tickAt == now && boostedAt == 0
		if calm {
			period = min(2*period, rtWatchCalm)
		} else {
			period = rtWatchPeriod
		}
		// See the pending signals of the process again.
		var all, old sigset
		for i := range all {
			all[i] = ^uint32(0)
		}
		sigprocmask(_SIG_SETMASK, &all, &old)
		sigprocmask(_SIG_SETMASK, &old, nil)

		if calm && !sched.sysmonwait.Load() {
			continue // ordinary threads run
		}
		starved := now-tickAt >= rtWatchStarved
		sysmon := rtWatch.sysmonTID.Load()
		if starved && boostedAt == 0 && sysmon != 0 {
			rtGetattr(sysmon, &normal)
			normal.runtime = 0 // see rtRestore
			if rtSetFIFO(sysmon, rtWatch.prio.Load()) == 0 {
				boostedAt = now
				rtWatch.boosts.Add(1)
			}
			rtWatchTurns()
		} else if boostedAt != 0 && now-boostedAt >= rtWatchBoost {
			rtSetattr(sysmon, &normal)
			boostedAt = 0
			tickAt = now
		}
		rtWatchHogs(now, starved || boostedAt != 0)

		if n := rtParked(); n > 0 && mcount()-sched.nmidle-sched.nmidlelocked-sched.nmsys <= n {
			lock(&sched.lock)
			checkdead()
			unlock(&sched.lock)
		}
	}
}

// rtWatchTurns makes the ordinary threads of a process that is SCHED_FIFO as a
// whole take turns: it changes them to SCHED_RR, at the same priority. There
// may be more of them than CPUs, and the collector needs them all.
//
//go:nowritebarrierrec
func rtWatchTurns() {
	if rtWatch.process == 0 {
		return
	}
	for mp := allm; mp != nil; mp = mp.alllink {
		tid := uint32(mp.procid)
		if tid == 0 || !atomic.Cas(&mp.rt.attr, 0, 2) {
			continue
		}
		var a rtSchedAttr
		if rtGetattr(tid, &a) == 0 && a.policy == _SCHED_FIFO && a.priority == rtWatch.process {
			a.policy = _SCHED_RR
			rtSetattr(tid, &a)
		}
		atomic.Store(&mp.rt.attr, 0)
	}
}

// rtWatchSleep sleeps for period, ns, or less if rtWatchLook ends it, and ends away
// from the next known release of any real-time goroutine.
func rtWatchSleep(period int64) {
	when := nanotime() + period
	if ns := rtTick.ns.Load(); ns != 0 {
		rtWatch.due.Store(rtTicks() + int64(float64(period/2)/ns))
	}
	rtFutexWait(&rtWatch.look, 0, when)
	rtWatch.due.Store(0)
	atomic.Store(&rtWatch.look, 0)
	for range 3 {
		// Another release is near: let it pass.
		now := nanotime()
		when = 0
		for _, pp := range rtAllPs() {
			if r := pp.rt.release; r > now-rtWatchMargin/2 && r < now+rtWatchMargin/2 {
				when = max(when, r+rtWatchMargin)
			}
		}
		if when == 0 {
			return
		}
		var ts timespec
		ts.setNsec(when)
		linux.Syscall6(rtSYS_clock_nanosleep, _CLOCK_MONOTONIC, _TIMER_ABSTIME, uintptr(noescape(unsafe.Pointer(&ts))), 0, 0, 0)
	}
}

// rtWatchLook makes the watchdog look now, instead of at the end of its period, the
// second half of which began at due. A task calls it that goes to sleep.
func rtWatchLook(due int64) {
	if rtWatch.due.CompareAndSwap(due, 0) {
		atomic.Store(&rtWatch.look, 1)
		futex(unsafe.Pointer(&rtWatch.look), _FUTEX_WAKE_PRIVATE, 1, nil, nil, 0)
	}
}

// rtWatchHogs reports real-time goroutines that have run for too long while
// sysmon starved.
//
//go:nowritebarrierrec
func rtWatchHogs(now int64, starved bool) {
	limit := rtWatch.limit.Load()
	if limit == 0 {
		limit = rtWatchLimit
	}
	for _, pp := range rtAllPs() {
		w := &pp.rt.watch
		if n := pp.rt.turn; pp.rt.task == 0 || n != w.turn || n&1 == 0 {
			w.turn = n
			w.since = now
			w.reported = false
			if pp.rt.task != 0 && n&1 != 0 {
				// Only then can the next look find it unchanged.
				w.cpu = rtThreadTime(pp.rt.tid)
			}
			continue
		}
		if w.reported || !starved || limit < 0 || now-w.since < limit {
			continue
		}
		if rtThreadTime(pp.rt.tid)-w.cpu < (now-w.since)/2 {
			continue // starved itself, by another process
		}
		w.reported = true
		rtWatch.reports.Add(1)
		print("runtime: real-time goroutine has kept the other threads from running for ", (now-w.since)/1000000, " ms: task ", pp.rt.task, ", thread ", pp.rt.tid, ", priority ", pp.rt.saved.prio, "\n")
		if mp := pp.rt.m.ptr(); mp != nil {
			atomic.Store(&pp.rt.dump, 1)
			signalM(mp, sigPreempt)
		}
	}
}

// rtThreadTime returns the CPU time that a thread has used, ns, 0 if the
// kernel does not tell.
func rtThreadTime(tid uint32) int64 {
	var ts timespec
	clock := int32(^tid<<3 | 6) // CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED
	_, _, e := linux.Syscall6(rtSYS_clock_gettime, uintptr(clock), uintptr(noescape(unsafe.Pointer(&ts))), 0, 0, 0, 0)
	if e != 0 {
		return 0
	}
	return ts.tv_sec*1e9 + ts.tv_nsec
}

// rtSigDump prints the stack of a reported goroutine, in the handler of the
// signal sent by rtWatchHogs.
//
//go:nowritebarrierrec
func rtSigDump(gp *g, c *sigctxt) {
	pp := getg().m.rt.p.ptr()
	if pp == nil || atomic.Xchg(&pp.rt.dump, 0) == 0 {
		return
	}
	print("goroutine ", gp.goid, " [real-time, running]:\n")
	traceback(c.sigpc(), c.sigsp(), c.siglr(), gp)
	print("\n")
}
