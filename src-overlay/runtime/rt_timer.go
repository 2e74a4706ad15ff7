// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Timers that a real-time goroutine makes.
//
// They are in the heap of its reserved P, at which other Ps look only when they
// are idle. So it is the task's own thread that runs them: while it is parked
// (rt_park.go), and while it sleeps, which it does parked if a timer is due
// before its release (rtTimersDue). One that computes without a pause, or blocks
// in a system call, runs them late. What is left when it leaves real time
// moves to an ordinary P (rtGiveTimers).
//
// The function of time.AfterFunc is started as an ordinary goroutine, like
// everything that a task starts. The deadline of a context is different: who
// waits for it wants to wake in time, maybe the task itself. So the thread of
// the task that made the context runs its cancellation, as a goroutine that is
// not locked to it, in the place of the task's own while that waits
// (rtRunFunc). If it blocks it goes on as an ordinary goroutine. Package context
// sees to it that it runs no code but its own, so it is short, and does not
// lock itself to the thread, enter system calls, or sleep.
//
// Rejected: a thread of the runtime at the priority of the most urgent task for
// all deadlines of contexts. A server with many requests would then cancel
// them above its tasks.

package runtime

import "unsafe"

// rtTimerRoom is how long before a release timers must be due to be run
// before it, ns.
const rtTimerRoom = 50 * 1000

// rtTimersDue reports whether pp has timers to run before its thread, the
// calling one, wakes at the time when.
func rtTimersDue(pp *rtP, when int64) bool {
	at := pp.timers.wakeTime()
	return at != 0 && at < when-rtTimerRoom
}

// rtTakeTimers takes all timers out of the heap of pp. They are in none until
// rtGiveTimers.
func rtTakeTimers(pp *rtP) []timerWhen {
	ts := &pp.timers
	if ts.len.Load() == 0 {
		return nil
	}
	ts.lock()
	heap := ts.heap
	ts.heap = nil
	for _, tw := range heap {
		t := tw.timer
		t.lock()
		t.ts = nil
		t.state &^= timerHeaped | timerModified | timerZombie
		t.unlock()
	}
	ts.zombies.Store(0)
	ts.minWhenHeap.Store(0)
	ts.minWhenModified.Store(0)
	ts.len.Store(0)
	ts.unlock()
	return heap
}

// rtGiveTimers puts timers that have not been stopped, or put into a heap,
// meanwhile into that of the calling goroutine's P.
func rtGiveTimers(heap []timerWhen) {
	for _, tw := range heap {
		tw.timer.maybeAdd()
	}
}

//go:linkname context_rtTimer context.runtime_rtTimer
func context_rtTimer(t *timeTimer) {
	if getg().m.rt.p == 0 {
		return
	}
	t.lock()
	if t.f != nil {
		t.f = rtGoFunc
	}
	t.unlock()
}

// rtGoFunc is time.goFunc for the deadline of a context made by a task.
func rtGoFunc(arg any, _ uintptr, _ int64) {
	// On the thread of a parked task newproc leaves it to rtRunFunc.
	pp := getg().m.rt.p.ptr()
	if pp != nil {
		pp.rt.funcs.mine = pp.rt.funcs.parked
	}
	go arg.(func())()
	if pp != nil {
		pp.rt.funcs.mine = false
	}
}

// rtFuncs are the goroutines that the thread of a parked task has to run.
type rtFuncs struct {
	parked bool // the thread runs timers and can run them
	mine   bool // what newproc makes now is one of them
	q      gQueue
	locked guintptr // m.lockedg while one of them runs, as gdestroy clears it
}

// rtRunTimers runs what is due of the timers of pp, whose task is parked.
// It returns the time of the next one. If there are goroutines for the thread
// to run it does not return, and rtPark begins again when they have ended or
// block.
func rtRunTimers(pp *rtP) (next int64) {
	f := &pp.rt.funcs
	if pp.timers.wakeTime() != 0 {
		f.parked = true
		var now int64
		now, next, _ = pp.timers.check(0, nil)
		pp.rt.room = next - now // for a stop that looks for slack
		f.parked = false
	}
	if !f.q.empty() {
		f.locked = getg().m.lockedg
		execute(f.q.pop(), false) // Never returns.
	}
	return next
}

// rtFuncEnded restores what gdestroy has cleared when a goroutine of
// rtRunTimers has ended.
func rtFuncEnded(mp *m) {
	if pp := mp.rt.p.ptr(); pp != nil && pp.rt.funcs.locked != 0 {
		mp.lockedg = pp.rt.funcs.locked
		pp.rt.funcs.locked = 0
	}
}

// rtGuest reports whether gp is an ordinary goroutine that runs on the thread
// of a parked task.
//
//go:nosplit
func rtGuest(gp *g, mp *m) bool { return mp.lockedg != guintptr(unsafe.Pointer(gp)) }
