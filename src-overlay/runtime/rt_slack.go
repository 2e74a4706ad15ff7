// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Slack: stops and safepoints between the releases of real-time goroutines.
//
// Whoever stops the world, or runs forEachP, first looks at each real-time
// goroutine. It is in one of three states:
//
//   - running: a stop would preempt it. Not now.
//   - sleeping until a known time, that of its own sleep or that of the next
//     timer of its P (a Ticker, a deadline): a stop may begin if it is expected
//     to end before that.
//   - waiting for something else (a channel, a descriptor, a lock, a system
//     call): nobody knows when it goes on, so it is not waited for. (Treating
//     it as running delayed every stop by the whole bound.)
//
// A critical window (runtime/rt.Critical) counts as running until it ends.
// How long a stop takes is learned from measured stops, those before the first
// task included: until the world has stopped, which depends on the load and not
// on the reason, from all of them; what follows for each reason. Of each it is
// the longest of the last 256 to 511, a quantile of 99.6 % at least, and more
// than the longest as long as there were fewer. If that is
// longer than a task ever sleeps, no moment is good enough, and the best one,
// when the task has just gone to sleep, is taken, as it is until a few have been
// measured. (A length learned for each reason as a whole made a task late once
// for each reason when a load began.) The check is made before
// taking sched.lock and again with it held, since the initiator may lose the
// CPU in between.
//
// The longest stop is still to come, so for a while each look asks for room for twice
// the longest that is known, or the best moment: a task of 1 kHz has one each
// millisecond. (With three times the second look rarely succeeds in the period in
// which the first has, and the ordinary part of the program stands still until the
// next.)
//
// A stop looks twice: where the whole is expected to fit, before it begins with
// the ordinary Ps, so that these rarely wait for the tasks; and before it stops
// the tasks (rtStopPs), for what the world is stopped for. rtSlackBound after
// the first look it goes on anyway, and so it does if there is no slack at the
// second until then, or for half of rtSlackBound: then the stop is counted as
// forced. The collector's stops do so at once if the process has reached its
// memory limit. (/sched/pauses/stopping has the wait between the two, since
// ordinary goroutines do not run in it.)
//
// An initiator that has to wait runs at SCHED_FIFO 1 meanwhile. An ordinary
// thread would not get the CPU at the right moment: on a loaded machine it
// comes late by milliseconds, and then the moment is over. suspendG, by which the
// collector gets hold of a task to scan its stack, waits in the same way
// (rtSlackScan).
//
// With no real-time goroutine this is one comparison.
//
// A stop that has begun is short only if the threads it needs get the CPU. The
// initiator runs at a priority just below that of the most urgent real-time
// goroutine for the length of the stop, or until forEachP has dealt with the
// reserved Ps, which it does first, and so do the threads that a stop still waits
// for while it does (rtBoost); each gets back what it had. Just below, so that a
// goroutine that was made to wait goes on as soon as it has its P, and not when
// the threads have been given back what they had. A real-time goroutine that wakes
// during the stop would lend the initiator its priority anyway (rt_p.go), but only
// once it is late, and not to those the initiator waits for.

package runtime

import "internal/runtime/atomic"

const (
	// rtSlackBound is the longest that a stop waits for slack, ns.
	rtSlackBound = 10 * 1000 * 1000

	// rtSlackLate is after how long it takes a moment that is not the best, ns.
	rtSlackLate = rtSlackBound / 4 * 3

	// For rtSlackPatient a look for slack asks for rtSlackSpare times what is
	// expected, ns.
	rtSlackPatient = rtSlackBound / 4
	rtSlackSpare   = 2

	// rtSlackMargin is added to what a stop is expected to take, for the
	// initiator's own way to it, ns.
	rtSlackMargin = 30 * 1000

	// rtSlackPoll is how often a running goroutine is looked at again, ns.
	rtSlackPoll = 50 * 1000

	// rtSlackUnknown is what a stop is expected to take until rtSlackEnough
	// have been measured, ns: longer than tasks sleep.
	rtSlackUnknown = rtSlackBound
	rtSlackEnough  = 4

	// rtSlackWindow is how many stops are remembered, at least.
	rtSlackWindow = 256

	// rtSlackFew says what the longest of few is worth: of n < rtSlackWindow it
	// is taken 1 + rtSlackFew/n times. (Where every so many times longer is so
	// much rarer, the longest of 256 is ln(256)/ln(n) times that of n: 4 times
	// that of 4, and twice that of 16.)
	rtSlackFew = 16

	// rtSlackForEachP stands for forEachP among the reasons of stops.
	rtSlackForEachP = stwReason(31)
)

// rtSlack is written with worldsema held, but for waiting and slept.
var rtSlack struct {
	since   int64            // when the initiator of the one in progress began to wait, or as if it had, ns
	begun   int64            // when the one in progress was let begin, ns, or 0
	stopped int64            // when it began to stop reserved Ps, ns, or 0
	flushed bool             // it has emptied the caches of all ordinary Ps (rtFlushOrd)
	waiting atomic.Int32     // threads in rtSlackPause, or about to look
	slept   uint32           // futex: changes when a task goes to sleep and one waits
	begin   rtStopLength     // until the world has stopped
	rest    [32]rtStopLength // from there, by reason; forEachP as a whole
	stops   atomic.Uint64
	forced  [32]atomic.Uint64
	waited  atomic.Int64 // ns, all
	max     atomic.Int64 // ns, the longest
}

// rtStopLength remembers how long something took, ns: the longest of
// the rtSlackWindow before the last multiple of that many, and since.
type rtStopLength struct {
	before, since int64
	n             uint32
}

//go:nosplit
func (l *rtStopLength) add(ns int64) {
	l.since = max(l.since, ns)
	if l.n++; l.n%rtSlackWindow == 0 {
		l.before, l.since = l.since, 0
	}
}

// expected returns how long a stop takes at most, as far as is known.
//
//go:nosplit
func (l *rtStopLength) expected() int64 {
	if l.n < rtSlackEnough {
		return rtSlackUnknown
	}
	most := max(l.before, l.since)
	if l.n < rtSlackWindow {
		most += most * rtSlackFew / int64(l.n)
	}
	return most
}

// rtSlackNeed returns how long a stop for the given reason, or rtSlackForEachP,
// takes at most, as far as is known.
func rtSlackNeed(reason stwReason) int64 {
	need := rtSlack.rest[reason].expected()
	if reason != rtSlackForEachP {
		need += rtSlack.begin.expected()
	}
	return need + rtSlackMargin
}

// rtSlackAsk returns how much slack somebody asks for who has waited for the given
// time for something that takes need.
//
//go:nosplit
func rtSlackAsk(need, waited int64) int64 {
	if waited < rtSlackPatient {
		need *= rtSlackSpare
	}
	return need
}

// rtSlackAt reports whether something that takes need may begin now, and if
// not, when to look again. late says that it has waited for long, tasks that the
// tasks are to be stopped: the runtime's own threads have reserved Ps as well
// (rtHelper), and the tasks would wait until these stop.
//
//go:nosplit
func rtSlackAt(now, need int64, late, tasks bool) (ok bool, again int64) {
	ok = true
	for _, pp := range rtSched.ps {
		t := rtSlackOf(pp, now, need, late)
		if tasks && pp.rt.task == 0 && pp.rt.turn&1 != 0 {
			t = now + rtSlackPoll
		}
		if t != 0 {
			ok = false
			again = max(again, t)
		}
	}
	return ok, again
}

// rtSlackOf returns 0 if something that keeps the task of pp for need may
// begin now, and otherwise when to look again.
//
//go:nosplit
func rtSlackOf(pp *rtP, now, need int64, late bool) (again int64) {
	if pp.rt.task == 0 {
		return 0
	}
	if c := pp.rt.critical; c > now {
		return min(c, now+rtSlackPoll)
	}
	if pp.rt.turn&1 != 0 {
		return now + rtSlackPoll
	}
	// What is expected to take longer than the task ever sleeps begins right
	// after it has gone to sleep, when that is hard to meet not so long after.
	// (In the lab, arm64, the initiator came too late for the first eighth ten
	// times in a row, where a task sleeps for 300 µs.)
	most := pp.rt.room - pp.rt.room/8
	if late {
		most = pp.rt.room - pp.rt.room*3/8
	}
	r := pp.rt.release
	if w := atomic.Load(&pp.rt.wake); r == 0 && (w == rtWakeParked || w == rtWakePoll) {
		r = pp.rt.until.Load()
	}
	if r != 0 && r < now+min(need, max(0, most)) {
		return max(r, now) + rtSlackPoll
	}
	return 0
}

// rtSlackScan is called by suspendG before each look at gp. If gp is real-time it
// waits for a moment to set _Gscan, for rtSlackBound after the first look at most,
// and leaves the calling thread with the priority of the initiator of a stop, until
// rtScanUnboost. (As an ordinary thread it was preempted in one scan of fifty on a
// busy CPU, and the goroutine waited for the rest of the scan, 119 µs, if it woke
// meanwhile; and where a task sleeps for 300 µs it looked too late, again and
// again, for all of rtSlackBound.) A stop that waits for the caller is not kept
// waiting: it has slack itself.
func rtSlackScan(gp *g, first bool) {
	pp := rtPOf(gp)
	if pp == nil || pp.rt.task == 0 {
		rtScanUnboost()
		return
	}
	mp := getg().m
	if first {
		mp.rt.scanSince = nanotime()
		rtWarmWork()
	}
	prio := rtStopPrio()
	rtSlack.waiting.Add(1)
	for {
		slept := atomic.Load(&rtSlack.slept)
		now := nanotime()
		waited := now - mp.rt.scanSince
		need := rtSlackAsk(pp.rt.scans.expected()+rtSlackMargin, waited)
		again := rtSlackOf(pp, now, need, waited > rtSlackLate)
		if again == 0 || waited > rtSlackBound || rtStopping() {
			if !rtScanBoost(mp, prio) {
				rtSlack.waiting.Add(-1)
				return
			}
			continue // it may have lost the CPU since it looked (in the lab for 80 µs)
		}
		rtScanBoost(mp, rtReservePrio)
		rtSlackPause(slept, min(again-now, rtSlackPoll))
	}
}

// rtSlackPause makes a thread that waits for slack wait for ns, or until a task
// goes to sleep, if none has since rtSlack.slept was slept. (With usleep it was 28
// µs later that a stop began, in the lab, arm64, where a task sleeps for 270 µs.)
func rtSlackPause(slept uint32, ns int64) {
	futexsleep(&rtSlack.slept, slept, max(ns, 1000))
}

// rtSlackSleeps is called by a task that is about to sleep until a known time
// and has released its P.
//
//go:nosplit
func rtSlackSleeps() {
	if rtSlack.waiting.Load() != 0 {
		atomic.Xadd(&rtSlack.slept, 1)
		futexwakeup(&rtSlack.slept, 1<<30)
	}
}

// rtSlackProfile records the tasks for a goroutine profile that is beginning,
// with the world stopped. A task that is not recorded yet when it wakes would
// do it itself, before it goes on.
func rtSlackProfile(pcbuf []uintptr) {
	for _, pp := range rtSched.ps {
		if gp := pp.rt.gp.ptr(); pp.rt.task != 0 && gp != nil && readgstatus(gp) != _Grunning {
			tryRecordGoroutineProfile(gp, pcbuf, rtYield)
		}
	}
}

// rtSlackLock takes sched.lock to begin a stop for the given reason, or
// rtSlackForEachP, when there is slack for it. It reports false, without the
// lock, if there is nobody to take care of.
func rtSlackLock(reason stwReason) bool {
	if atomic.Load(&rtSched.active) == 0 || getg().m.rt.p != 0 {
		return false
	}
	if reason == rtSlackForEachP {
		rtWarmWork()
		rtFreshTouch()
	}
	rtSlack.since = nanotime()
	if !rtSlackWait(reason, rtSlackNeed(reason), false) && reason == rtSlackForEachP {
		rtSlack.forced[reason].Add(1)
	}
	rtSlack.stops.Add(1)
	return true
}

// rtSlackTasks takes sched.lock to stop the tasks, the last part of a stop for
// the given reason, when they have slack for what follows.
func rtSlackTasks(reason stwReason) {
	if atomic.Load(&rtSched.active) == 0 || getg().m.rt.p != 0 {
		lock(&sched.lock)
		return
	}
	if now := nanotime(); rtSlack.begun == 0 { // there was no task when the stop began
		rtSlack.since = now
	} else {
		rtSlack.since = max(rtSlack.since, now-rtSlackBound/2)
	}
	if !rtSlackWait(reason, rtSlack.rest[reason].expected()+rtSlackMargin, true) {
		rtSlack.forced[reason].Add(1)
	}
}

// rtSlackWait takes sched.lock when there is slack for something that takes
// need, or rtSlackBound after rtSlack.since; then it reports false. tasks is as for
// rtSlackAt.
func rtSlackWait(reason stwReason, need int64, tasks bool) bool {
	bound := int64(rtSlackBound)
	if reason.isGC() && rtOverLimit() {
		bound = 0 // memory goes before slack
	}
	start := nanotime()
	rtSlack.waiting.Add(1)
	for {
		slept := atomic.Load(&rtSlack.slept)
		now := nanotime()
		late := now-rtSlack.since >= rtSlackLate
		ask := rtSlackAsk(need, now-start)
		ok, again := rtSlackAt(now, ask, late, tasks)
		forced := now-rtSlack.since >= bound
		if ok || forced {
			rtBoostSelf(rtStopPrio())
			lock(&sched.lock)
			// procresize takes this one in every stop. Sysmon may hold it
			// and be off the CPU: wait for it while the tasks do not.
			lock(&allpLock)
			unlock(&allpLock)
			rtSlack.begun = nanotime()
			if ok, again = rtSlackAt(rtSlack.begun, ask, late, tasks); ok || forced {
				if w := rtSlack.begun - start; w > 0 {
					rtSlack.waited.Add(w)
					rtSlack.max.Store(max(w, rtSlack.max.Load()))
				}
				rtSlack.waiting.Add(-1)
				return ok
			}
			unlock(&sched.lock)
		}
		rtBoostSelf(rtReservePrio)
		rtSlackPause(slept, again-now)
	}
}

// rtBoosted are the threads that run at a borrowed priority, and what they
// had. The initiator is the first. Written with worldsema held.
var rtBoosted struct {
	n    int
	prio uint32 // of the initiator
	ms   [64]muintptr
	tids [64]uint32
	was  [64]rtSchedAttr
}

// rtStopPrio returns the priority of the initiator of a stop: one less than
// that of the most urgent task, but so high that there is one less than it for
// the threads that it waits for.
//
//go:nosplit
func rtStopPrio() uint32 {
	urgent := max(rtWatch.prio.Load(), 1) - 1 // the watchdog is one above
	if urgent > 2 {
		return urgent - 1
	}
	return max(urgent, 1)
}

// rtBoostSelf makes the calling thread, the initiator of a stop, run at prio
// until rtUnboost.
func rtBoostSelf(prio uint32) {
	b := &rtBoosted
	if b.n == 0 {
		b.prio = prio
		rtBoost(getg().m, prio)
	} else if b.prio != prio && rtSetFIFO(0, prio) == 0 {
		b.prio = prio
	}
}

// rtBoost makes the thread of mp run at prio until rtUnboost, if it can
// (rtLend). The caller holds worldsema.
func rtBoost(mp *m, prio uint32) {
	b := &rtBoosted
	tid := uint32(mp.procid)
	if b.n == len(b.ms) || !rtLend(mp, tid, prio, &b.was[b.n]) {
		return
	}
	b.ms[b.n].set(mp)
	b.tids[b.n] = tid
	b.n++
}

// rtLend makes tid, the thread of mp, run at prio, unless it has a real-time policy
// of its own or is entering real time: m.rt.attr keeps the two apart, and
// rtEnter waits for the end of a boost. If so it reports true, with what the
// thread had in was; the caller gives it back and then sets m.rt.attr to 0.
//
//go:nosplit
func rtLend(mp *m, tid, prio uint32, was *rtSchedAttr) bool {
	if tid == 0 || !atomic.Cas(&mp.rt.attr, 0, 2) {
		return false
	}
	if rtGetattr(tid, was) == 0 && was.policy == 0 && rtSetFIFO(tid, prio) == 0 {
		was.runtime = 0 // see rtRestore
		return true
	}
	atomic.Store(&mp.rt.attr, 0)
	return false
}

// rtBoostWaited boosts the threads that the stop in progress waits for, if the
// initiator, which gives them back what they had, is boosted itself. They run
// at one priority less: a thread that was between two goroutines when
// preemptall looked may have gone on to the next, and then the initiator must
// get the CPU to preempt it once more. (At the same priority it does not, and
// the stop took as long as the tasks slept.)
//
// That happens with one stop in ten on a loaded CPU, so the first looks come
// sooner than those of stopTheWorldWithSema. After 2 ms they come ever more
// rarely: each sends a signal to each thread that runs, and five threads on
// one CPU that needed more time to handle theirs than there is from one look
// to the next never came to stop (in the lab, arm64: the initiator has the
// more urgent priority, and the kernel passes sighand->siglock around among
// threads of one priority). Not from the beginning: what waits for the next
// look waits longer then, up to 7 ms beside stress-ng.
func rtBoostWaited() {
	b := &rtBoosted
	if atomic.Load(&rtSched.active) == 0 || b.n == 0 {
		return
	}
	if prio := b.prio - 1; prio > 0 {
		for _, pp := range rtSched.ord {
			if mp := pp.m.ptr(); mp != nil && atomic.Load(&pp.status) == _Prunning && mp != getg().m {
				rtBoost(mp, prio)
			}
		}
		// Those that were given a P and have not run since.
		for mp := allm; mp != nil; mp = mp.alllink {
			if mp.nextp != 0 {
				rtBoost(mp, prio)
			}
		}
	}
	wait := int64(20 * 1000)
	for i := 1; !notetsleep(&sched.stopnote, wait); i++ {
		preemptall()
		switch {
		case i == 5:
			wait = 100 * 1000
		case i > 25:
			wait = min(2*wait, 5*1000*1000)
		}
	}
	// The caller's notetsleep will return at once as well.
}

// rtUnboost gives boosted threads back what they had, the initiator, which was
// the first and calls it, last: a collector thread that is still boosted may
// spin until an ordinary thread has stopped (suspendG), this one for example.
func rtUnboost() {
	b := &rtBoosted
	for i := b.n - 1; i >= 0; i-- {
		mp, tid := b.ms[i].ptr(), b.tids[i]
		if !rtBoostedM(mp, tid) {
			// The M has lost its thread: the thread has exited, or it is C's
			// and goes on there. mp may be gone, and its procid is 0, which
			// to the kernel is the calling thread.
			var now rtSchedAttr
			if rtGetattr(tid, &now) != 0 || now.policy != _SCHED_FIFO || now.priority != b.prio-1 {
				continue
			}
			mp = nil
		}
		rtGiveBack(tid, &b.was[i])
		if mp != nil {
			atomic.Store(&mp.rt.attr, 0)
		}
	}
	b.n = 0
}

// rtBoostedM reports whether mp is still the M of the thread tid. If mp still
// exists without its thread, it may be boosted again with the next.
func rtBoostedM(mp *m, tid uint32) bool {
	for m1 := allm; m1 != nil; m1 = m1.alllink {
		if m1 != mp {
			continue
		}
		if uint32(mp.procid) == tid {
			return true
		}
		atomic.Store(&mp.rt.attr, 0)
		return false
	}
	return false
}
