// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Real-time goroutines: overview, states and invariants.
//
// # Guarantee
//
// A real-time goroutine is a goroutine with a thread (M) and a P of its own.
// While it is real-time nothing that it does to block or to wake goes through
// a run queue or needs another thread of the process to be scheduled: its
// lateness is that of its thread.
//
//   - The thread has the scheduling attributes the program asked for
//     (SCHED_FIFO, SCHED_RR or SCHED_DEADLINE; rt_task.go).
//   - The P is reserved: additional to GOMAXPROCS, never handed off, retaken,
//     stolen from, put on the idle list, or given a GC worker (rt_p.go).
//   - Blocking parks the thread in place, with the P still wired, on a futex
//     of its own; ready wakes exactly that futex (rt_park.go).
//   - Sleeping is clock_nanosleep(TIMER_ABSTIME) in the thread (rt_sleep.go);
//     waiting for a descriptor is ppoll in the thread (rt_net.go). A signal for
//     package os/signal comes through a thread of the runtime (rt_signal.go).
//   - Where the runtime must keep the goroutine from running (stop-the-world,
//     forEachP, a scan of its stack), the goroutine waits on a futex with
//     priority inheritance, so the kernel boosts whoever holds it up for
//     exactly as long as it does (rt_pi.go).
//
// # States of a reserved P
//
// p.rt.word is a priority-inheritance futex (FUTEX_LOCK_PI): it holds the
// thread id of whoever may use the P, 0 if nobody does.
//
//	        Enter                     park, syscall, sleep
//	spare ─────────▶ owned (word=tid) ─────────────────▶ released (word=0)
//	word=0  ◀───────                  ◀─────────────────
//	m=0      Leave                      wake: CAS 0→tid
//	  │                │ safepoint during a stop:   │
//	  │                ▼ transfers the word         ▼
//	  └────────▶ seized (word=tid of the stopper, status=_Pgcstop in a stop)
//	              start-the-world or end of forEachP: word=0, or the kernel
//	              hands it to the waiting owner
//
// A released P stays wired to its M (p.m, m.p) and in _Prunning, so nothing
// but a compare-and-swap stands between the wake-up and user code. What may
// touch a released P must seize it first; seizing is CAS(0→tid) and never
// waits. A P whose word is not 0 belongs to a running thread, which will pass
// a safepoint or release it; after every release it looks at
// rtStopping and p.runSafePointFn, and the stopper sets these before it
// tries to seize, so one of the two sees the other (sequential consistency).
// A reserved P therefore never needs setBlockOnExitSyscall, which refuses it.
//
// # Other invariants
//
//   - m.rt.p is the reserved P of an M that runs a real-time goroutine, 0
//     otherwise. It changes on that M alone, on g0, with g in _Grunnable.
//     A goroutine is real-time iff its lockedm has m.rt.p set; that holds for
//     coroutines (iter.Pull) it switches to as well.
//   - allp holds the ordinary Ps at [0, gomaxprocs) and the reserved ones,
//     spare or in use, behind them; id == index for all (rt_p.go says how
//     GOMAXPROCS changes keep this true). The execution trace knows reserved
//     Ps by a number that never changes.
//   - A reserved P's run queue is always empty.
//   - checkdead counts Ms parked in place (rtParked) as idle.
//   - Whoever sets _Gscan on a goroutine holds its scan lock (rtScanWord), so
//     that a thread that meets the bit can wait for it with inheritance instead
//     of spinning on a thread that it may itself keep off the CPU: on its own
//     goroutine, or on an ordinary one that it makes ready.
//
// # Spins examined
//
// Places where an urgent thread could spin on a less urgent one, and what
// became of each for a real-time thread:
//
//	casgstatus and                   wait on the scan lock with inheritance,
//	casGToPreemptScan on _Gscan      whoever's goroutine it is
//	exitsyscall, lost P              cannot happen: the P is never taken; a
//	                                 seized one is waited for with inheritance
//	castogscanstatus                 one try, the callers decide
//	suspendG of a running goroutine  only GC workers and profiles do it, never
//	                                 a real-time thread (it does no GC work)
//	runqgrab (usleep, osyield)       unreachable: it does not steal
//	forEachP, stopTheWorld           block on a note, do not spin
//	lock2 (osyield)                  unreachable: the lock is a futex with
//	                                 priority inheritance (rt_lock.go)
//	Gosched in a loop (runtime.GC)   rtYield
//	tryRecordGoroutineProfile, ensureSwept, the GC mask of a new type, the
//	profilers' and the trace's signal locks, suspendG, spanSet.pop (a pusher
//	between its two steps), AllThreadsSyscall, the first store into an
//	atomic.Value
//	                                 rtYield: a real-time thread sleeps 20 µs,
//	                                 or longer if the loop goes on
//	lockextra (cgo callbacks)        with tasks in the process every thread
//	                                 sleeps 20 µs, threads of C included
//	sync.Mutex, internal/sync        spin a bounded number of times
//	lfstack, gcWork, limiters        lock-free: who fails, another succeeded
//
// # Rejected designs
//
//   - Setting the thread's policy at each goroutine switch: a system call per
//     switch, and it cures none of the causes of lateness.
//   - Taking the P from a thread in a system call by the _Gscan bit, as for
//     ordinary Ps: the leaving thread then spins on the bit of a thread that
//     it preempted itself, for ever under SCHED_FIFO (seen: 150 s).
//   - Timed back-off on that bit: five microseconds were shorter than the
//     switch they made room for; sixty happened to work most of the time.
//   - A separate array of reserved Ps: everything that walks allp (GC phases,
//     statistics, timers, trace) would have to learn of it.
//   - Boosting with sched_setscheduler from user space: leaks when nested,
//     races with the kernel's own boosts, and costs two system calls.
package runtime

import (
	"internal/runtime/atomic"
	"unsafe"
)

// rtOn tells at compile time whether this runtime knows real-time goroutines.
// With it false every hook in upstream's files vanishes.
const rtOn = true

// mRT is the part of an m that real-time goroutines need.
type mRT struct {
	p      rtPuintptr // the reserved P this M runs a real-time goroutine on, or 0
	scan   uintptr    // the scan lock that this M holds (rtScanWord), or 0
	scanP  rtPuintptr // the reserved P of the goroutine it holds it for, or 0
	scanAt int64      // since when
	attr   uint32     // 1: entering real time; 2: boosted (rtBoost, rtScanBoost)
	pi     int32      // rt.Mutexes held by the goroutine locked to this M
	quiet  uint32     // the last step of rtLocksQuiesce that has passed this M

	scanSince int64       // when it began to wait for slack to scan (rtSlackScan)
	scanPrio  uint32      // what rtScanBoost has given it, or 0
	scanWas   rtSchedAttr // what it had before

	yield struct{ first, last int64 } // of rtYield, when the loop began and it returned
}

// rtP is a reserved P. A pointer to its p converts to a pointer to it, if
// rtReserved says so.
type rtP struct {
	p
	rt pRT
}

// rtPuintptr is to rtP what puintptr is to p.
type rtPuintptr uintptr

//go:nosplit
func (pp rtPuintptr) ptr() *rtP { return (*rtP)(unsafe.Pointer(pp)) }

//go:nosplit
func (pp *rtPuintptr) set(p *rtP) { *pp = rtPuintptr(unsafe.Pointer(p)) }

// pRT is what a reserved P has beyond a p.
type pRT struct {
	word uint32
	wake uint32 // one of the rtWake constants; a futex
	scan uint32 // priority-inheritance futex: who holds _Gscan of our goroutine
	free rtPuintptr

	task uint64 // number of the task, 0 if spare
	m    muintptr
	tid  uint32
	gp   guintptr // the goroutine that entered

	critical int64                           // no stop before this time (runtime/rt.Critical)
	room     int64                           // how long it sleeps until then, or parks until its next timer
	scans    rtStopLength                    // how long its goroutine's scan lock was held
	until    atomic.Int64                    // the time to which it parks, if rtWakeParked or rtWakePoll
	release  int64                           // the next release, if it sleeps until a known time; else 0
	readyAt  int64                           // when it was made ready, for its lateness; rtTicks
	woke     struct{ at, from, minus int64 } // see rtWoke
	turn     uint32                          // odd while owned; changes when released or given to a stop
	flushed  uint32                          // the turn in which its cache was emptied last (rtFlushed)
	watch    struct {                        // the watchdog's own
		turn     uint32
		reported bool
		since    int64
		cpu      int64 // CPU time of the thread then, ns
	}
	dump uint32 // the watchdog wants the stack

	funcs rtFuncs

	pollpd   *pollDesc // set by rtPollArm for the next park
	pollmode int32
	evfd     int32 // wakes a thread in ppoll; -1 until needed

	cause  rtCause // what the wake-up in progress had to wait for
	recent rtRecent

	saved   rtSaved
	stats   *rtStats
	reserve *rtReserve         // nil until its first task
	wb      *[rtWBBufs]rtWBBuf // nil until its first task
	used    bool               // reserve or wb were, since the last rtReserveRefill
	black   rtBlack            // where it marked last
}

// rtSched is the state shared by all real-time goroutines.
var rtSched struct {
	// Protected by sched.lock.
	spare   rtPuintptr // reserved Ps without a task, linked by p.rt.free
	nwant   int32      // reserved Ps that there should be; see rtAttach
	ntask   int32      // tasks in use
	taskgen uint64

	// Protected by worldsema and sched.lock, changed with the world stopped.
	ps   []*rtP // the reserved Ps
	ord  []*p   // allp without them
	full []*p   // allp with them

	// fresh are reserved Ps for rtAttach, which rtGrow has allocated before it
	// stopped the world.
	fresh []*rtP

	// list is ps for threads that no stop stops, never changed.
	list atomic.Pointer[[]*rtP]

	// attached is the length of allp beyond gomaxprocs.
	attached int32

	active    uint32       // ntask, to be read without the lock
	stopTID   uint32       // thread of the stop in progress; under sched.lock
	stopOrd   uint32       // a stop has begun, of the ordinary Ps only so far (rtStopPs)
	threshold atomic.Int64 // dispatch lateness that counts as late, ns
	global    rtStats      // sums over all tasks, for runtime/metrics

	// Two that could stand for themselves. The linker sorts variables by size, and
	// 32 bytes more before sched put its hot words into other cache lines than they
	// are in upstream's programs (CreateGoroutinesParallel: 25 % on two CPUs).
	warmSink   unsafe.Pointer // keeps the compiler from leaving out rtWarmClass's allocations
	histBounds []float64      // of the buckets of a lateness histogram, seconds
}

// rtReserved reports whether pp is a reserved P.
//
//go:nosplit
func rtReserved(pp *p) bool {
	// Never on the idle list, they link to themselves.
	return pp.link == puintptr(unsafe.Pointer(pp))
}

// rtIsM reports whether mp runs a real-time goroutine.
//
//go:nosplit
func rtIsM(mp *m) bool { return mp.rt.p != 0 }

// rtPOf returns the reserved P of the real-time goroutine gp, nil if gp is
// ordinary.
//
//go:nosplit
func rtPOf(gp *g) *rtP {
	mp := gp.lockedm.ptr()
	if mp == nil {
		return nil
	}
	return mp.rt.p.ptr()
}
