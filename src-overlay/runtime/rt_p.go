// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Reserved Ps: creation, stop-the-world, forEachP.
//
// Reserved Ps live at the end of allp, so that everything that must visit
// every P (flushing caches and buffers, statistics, timers, trace) does so
// unchanged, while everything that counts processors (GOMAXPROCS, GC worker
// quotas, idle counts) goes on using gomaxprocs. They are created with the
// world stopped, a few at a time, and kept for reuse.
//
// procresize works on the ordinary Ps alone: rtDetach takes the reserved ones
// off allp before it, rtAttach puts them back behind however many ordinary
// ones there are then, and renumbers them. That is safe since the world is
// stopped, and since sync.Pool, the one user of P numbers as indices beyond
// the runtime, accepts any dense numbering. The execution trace must not see
// numbers change, so it gets rtTraceID.
//
// A stop of the world stops the ordinary Ps first, and the reserved ones once
// all those have stopped. How long the first part takes nobody knows: a thread
// may be off the CPU, copy 100 MB, or be in a part of the runtime that cannot be
// preempted (480 µs of it made a task 284 µs late, in a kernel trace). So the
// tasks go on meanwhile, and the world counts as running. The second part begins
// when the tasks have slack for what the world is stopped for (rt_slack.go), and
// as nobody else runs then, that is short. (Seizing the reserved Ps of sleeping
// tasks when the stop began made those late that woke before all the others had
// stopped, though it began only where the whole was expected to fit: once in some
// thousand stops it took longer than the longest that was remembered.)

package runtime

import (
	"internal/runtime/atomic"
	"internal/trace/tracev2"
	"unsafe"
)

// rtTraceBase is where the trace's numbers for reserved Ps start. It is above
// any GOMAXPROCS.
const rtTraceBase = 1 << 20

// rtTraceID returns the number by which the execution trace knows pp.
//
//go:nosplit
func rtTraceID(pp *p) int32 {
	if pp.id >= gomaxprocs {
		return rtTraceBase + pp.id - gomaxprocs
	}
	return pp.id
}

// rtTraceArgs replaces the number of a P in the arguments of an event.
//
//go:nosplit
func rtTraceArgs(ev tracev2.EventType, args []traceArg) {
	switch ev {
	case tracev2.EvProcStart, tracev2.EvProcSteal, tracev2.EvProcStatus, tracev2.EvGCSweepActive:
		// The i-th reserved P has the number gomaxprocs+i.
		if n := traceArg(gomaxprocs); args[0] >= n {
			args[0] += rtTraceBase - n
		}
	}
}

// rtForeignP reports whether pp is wired to an M other than mp. The status of
// such a P cannot be traced by mp: a running P's status event binds the P to
// the thread that writes it. Its own M writes it with its next event, maybe in
// a later generation, for which pp is readied as if it had been traced.
//
//go:nosplit
func rtForeignP(pp *p, mp *m, gen uintptr) bool {
	if !rtReserved(pp) || pp.m == 0 || pp.m.ptr() == mp {
		return false
	}
	pp.trace.readyNextGen(gen)
	return true
}

// rtNumP returns the number of reserved Ps in allp.
//
//go:nosplit
func rtNumP() int32 { return rtSched.attached }

// rtStopOrd begins a stop with the ordinary Ps. It returns how many more than
// gomaxprocs have to stop: the initiator stops its own P at once. sched.lock is
// held and sched.gcwaiting not set yet.
func rtStopOrd() int32 {
	if rtSched.attached == 0 {
		return 0
	}
	atomic.Store(&rtSched.stopOrd, 1)
	if getg().m.rt.p != 0 {
		return 1
	}
	return 0
}

// rtStopLater reports whether the stop in progress, if there is one, leaves pp
// alone for now.
//
//go:nosplit
func rtStopLater(pp *p) bool {
	return atomic.Load(&rtSched.stopOrd) != 0 && rtReserved(pp) && !freezing.Load()
}

// rtStopping reports whether reserved Ps have to stop. It is what
// sched.gcwaiting is to ordinary Ps.
//
//go:nosplit
func rtStopping() bool {
	return sched.gcwaiting.Load() && (atomic.Load(&rtSched.stopOrd) == 0 || freezing.Load())
}

// sync_rtProcs is sync.runtime_rtProcs: how many Ps there are beyond
// GOMAXPROCS.
//
//go:linkname sync_rtProcs sync.runtime_rtProcs
func sync_rtProcs() int { return int(rtSched.attached) }

// rtDetach makes allp the ordinary Ps alone. The world is stopped and
// sched.lock held.
func rtDetach() {
	if rtSched.attached == 0 {
		return
	}
	lock(&allpLock)
	allp = rtSched.ord
	unlock(&allpLock)
}

// rtAttach puts the reserved Ps behind the nprocs ordinary ones, creating
// those that are wanted, and makes them ready to run once the world starts.
// The world is stopped and sched.lock held.
func rtAttach(nprocs int32) {
	n := rtSched.nwant
	if n == 0 {
		return
	}
	same := rtSched.attached == n && len(rtSched.ord) == len(allp) && &rtSched.ord[0] == &allp[0]
	rtSched.ord = allp
	if !same {
		total := nprocs + n
		ps := append(rtSched.ps, rtSched.fresh...)
		rtSched.fresh = nil
		for i := int32(len(ps)); i < n; i++ {
			ps = append(ps, new(rtP)) // many enter at once
		}
		ps = ps[:n]
		// Destroyed ordinary Ps stay within cap(allp), where the trace
		// looks for them.
		all := make([]*p, total, int(total)+cap(allp)-len(allp))
		copy(all, allp)
		for i, pp := range ps {
			all[int(nprocs)+i] = &pp.p
		}
		copy(all[total:cap(all)], allp[len(allp):cap(allp)])

		lock(&allpLock)
		allp = all
		idlepMask = idlepMask.resize(total)
		timerpMask = timerpMask.resize(total)
		work.spanqMask = work.spanqMask.resize(total)
		unlock(&allpLock)

		for i := range ps {
			pp := ps[i]
			id := nprocs + int32(i)
			if pp.mcache == nil {
				pp.link.set(&pp.p) // before init, which asks rtReserved
				pp.init(id)
				pp.rt.evfd = -1
				pp.rt.stats = (*rtStats)(persistentalloc(unsafe.Sizeof(rtStats{}), 0, &memstats.other_sys))
				pp.gcStopTime = 0
				pp.rt.free = rtSched.spare
				rtSched.spare.set(pp)
				// Its word is held like that of any stopped P.
				pp.rt.word = uint32(getg().m.procid)
			}
			pp.id = id
			pp.gcw.id = id
			// Never idle; always worth a look for timers.
			idlepMask.clear(id)
			timerpMask.set(id)
		}
		rtSched.ps = ps
		list := new([]*rtP)
		*list = ps
		rtSched.list.Store(list)
		rtSched.attached = n
		rtSched.full = all
	} else {
		lock(&allpLock)
		allp = rtSched.full
		unlock(&allpLock)
	}
	// Thieves find nothing to run on a reserved P, but timers that are due
	// and spans to mark.
	stealOrder.reset(uint32(nprocs + n))
	mine := getg().m.p.ptr()
	for _, pp := range rtSched.ps {
		if &pp.p == mine {
			continue
		}
		pp.status = _Pidle
		if pp.m != 0 {
			pp.status = _Prunning
		}
		pp.mcache.prepareForSweep()
	}
}

// rtGrow creates more reserved Ps. It stops the world.
func rtGrow() {
	if rtWarmed.CompareAndSwap(0, 1) {
		systemstack(rtWarmSpanSets)
	}
	rtFreshTouch()
	fresh := make([]*rtP, max(4, rtSched.attached))
	for i := range fresh {
		fresh[i] = new(rtP)
	}
	stw := stopTheWorldGC(stwGOMAXPROCS)
	lock(&sched.lock)
	if rtSched.spare == 0 {
		// A few at first, then twice as many.
		rtSched.nwant = max(4, 2*rtSched.nwant)
		rtSched.fresh = fresh
	}
	unlock(&sched.lock)
	startTheWorldGC(stw)
}

// rtStopPs is the part for reserved Ps of a stop that began at start, once the
// ordinary ones have stopped: it waits for slack and seizes those that no thread
// is using. The others stop themselves (rtGiveStop).
func rtStopPs(reason stwReason, start int64) {
	if rtSched.attached == 0 || freezing.Load() {
		return
	}
	rtFlushOrd(reason)
	if atomic.Load(&rtSched.active) != 0 {
		rtWarmCache(reason)
		rtWarmWork()
		rtFreshTouch()
	}
	rtSlack.begin.add(nanotime() - start)
	rtSlackTasks(reason) // takes sched.lock
	mp := getg().m
	tid := uint32(mp.procid)
	rtSched.stopTID = tid
	now := nanotime()
	rtSlack.stopped = now
	sched.stopwait = rtSched.attached
	if mp.rt.p != 0 {
		sched.stopwait-- // stopped already
	}
	atomic.Store(&rtSched.stopOrd, 0)
	for _, pp := range rtSched.ps {
		if pp.status != _Pgcstop && rtPITryLock(&pp.rt.word, tid) {
			pp.status = _Pgcstop
			pp.gcStopTime = now
			sched.stopwait--
		}
	}
	wait := sched.stopwait > 0
	unlock(&sched.lock)
	for wait {
		preemptall()
		if notetsleep(&sched.stopnote, 100*1000) {
			noteclear(&sched.stopnote)
			wait = false
		}
	}
}

// rtFlushOrd empties the caches of the ordinary Ps, which have stopped, for a stop
// that would do it when the tasks have stopped as well: ReadMemStats, a change of
// GOMAXPROCS for those that it destroys, which is never the first, and mark
// termination for the P of the caller, whose spans it would sweep, which takes mark
// bits that may have to be mapped first. (In the lab, arm64, that was half of the 240
// µs for which a task could not run in ReadMemStats, of the 270 µs for which it slept.)
func rtFlushOrd(reason stwReason) {
	ps := rtSched.ord
	switch reason {
	case stwReadMemStats:
	case stwGOMAXPROCS:
		ps = ps[1:]
	case stwGCMarkTerm:
		mine := getg().m.p.ptr()
		if rtReserved(mine) {
			return
		}
		ps = ps[mine.id : mine.id+1]
	default:
		return
	}
	for _, pp := range ps {
		// Not by flushmcache: the world counts as running.
		if c := pp.mcache; c != nil {
			c.releaseAll()
			stackcache_clear(c)
		}
		if reason == stwGOMAXPROCS {
			// p.destroy would unmap the rings of the queue. Others use it in
			// the mark phase only, and that does not begin now.
			worldStopped() // destroy asserts it
			pp.gcw.spanq.destroy()
			worldStarted()
		}
	}
	rtSlack.flushed = reason == stwReadMemStats
}

// rtFlushed reports whether there is nothing in the cache of pp that flushmcache
// has to flush: rtFlushOrd has, or nobody has used the reserved P since the last
// time. If somebody has, flushmcache is about to.
func rtFlushed(pp *p) bool {
	if !rtReserved(pp) {
		return rtSlack.flushed
	}
	rp := (*rtP)(unsafe.Pointer(pp))
	if rp.rt.turn&1 == 0 && rp.rt.turn == rp.rt.flushed {
		return true
	}
	rp.rt.flushed = rp.rt.turn
	return false
}

// rtStartPs gives the reserved Ps back after the stop w. The thread is the one
// that stopped the world: its m.preemptoff or m.locks kept it.
func rtStartPs(w worldStop) {
	if rtSlack.stopped == 0 { // no reserved P: rtStopPs did nothing
		rtSlack.begin.add(w.finishedStopping - w.startedStopping)
		rtSlack.stopped = w.finishedStopping
	}
	rtSlack.rest[w.reason].add(nanotime() - rtSlack.stopped)
	rtSlack.begun, rtSlack.stopped, rtSlack.flushed = 0, 0, false
	mp := getg().m
	tid := uint32(mp.procid)
	mine := mp.p.ptr()
	for _, pp := range rtSched.ps {
		if &pp.p != mine {
			rtPIUnlock(&pp.rt.word, tid)
		}
	}
	rtUnboost()
	if w.reason == stwGCMarkTerm {
		rtRefillWake() // the reserves are stale
	}
}

// rtForEachP is forEachPInternal's part for reserved Ps: it runs fn on those
// that no thread is using. The others run it themselves, at the latest when
// they release their P. sched.lock is held, as for idle Ps. The Ps of tasks come
// first: they are the ones that had slack when it began. (Behind the P of the
// rtrefill thread, whose cache takes longer to flush than a task's, one was held
// for 40 µs beyond the release of a task with 70 % utilization, in 200,000 cycles.)
func rtForEachP(fn func(*p)) {
	rtForEachOf(true, fn)
	if b := rtSlack.begun; b != 0 {
		rtSlack.rest[rtSlackForEachP].add(nanotime() - b)
		rtSlack.begun = 0
	}
	rtForEachOf(false, fn)
	rtUnboost()
}

// rtForEachOf is rtForEachP for the Ps that tasks have, or for the others.
func rtForEachOf(tasks bool, fn func(*p)) {
	mp := getg().m
	gcw := &mp.p.ptr().gcw
	tid := uint32(mp.procid)
	for _, pp := range rtSched.ps {
		if (pp.rt.task != 0) != tasks || &pp.p == mp.p.ptr() || atomic.Load(&pp.runSafePointFn) == 0 {
			continue
		}
		// What its write barriers have noted is marked while it may run.
		rtWBMark(pp, gcw)
		if !rtPITryLock(&pp.rt.word, tid) {
			continue
		}
		taken := false
		if atomic.Cas(&pp.runSafePointFn, 1, 0) {
			taken = rtWBTake(pp)
			fn(&pp.p)
			sched.safePointWait--
		}
		rtPIUnlock(&pp.rt.word, tid)
		if taken {
			rtWBMarkTaken(gcw)
		}
	}
}

// rtRelease lets go of pp, the reserved P of the calling thread, which is
// about to block and keeps pp wired. It reports whether a stop or a safepoint
// function may be waiting for it; then the caller must call rtReleaseSlow.
//
//go:nosplit
func rtRelease(pp *rtP) (slow bool) {
	pp.rt.turn++
	rtPIUnlock(&pp.rt.word, pp.rt.tid)
	return rtStopping() || atomic.Load(&pp.runSafePointFn) != 0
}

// rtReleaseSlow serves a stop or forEachP that missed the release of pp.
//
//go:systemstack
func rtReleaseSlow(pp *rtP) {
	if !rtPITryLock(&pp.rt.word, pp.rt.tid) {
		return // seized, so served
	}
	if pp.runSafePointFn != 0 {
		runSafePointFn()
	}
	if rtStopping() && rtGiveStop(pp) {
		return
	}
	rtPIUnlock(&pp.rt.word, pp.rt.tid)
}

// rtGiveStop hands pp, which the calling thread owns, to the stop in
// progress. It reports false if there is none or pp takes no part in it, or not yet.
func rtGiveStop(pp *rtP) bool {
	lock(&sched.lock)
	stop := sched.stopwait > 0 && sched.stopwait <= freezeStopWait/2 && pp.status != _Pgcstop && rtSched.stopOrd == 0
	if stop {
		rtGiveStopLocked(pp)
	}
	unlock(&sched.lock)
	return stop
}

// rtGiveStopLocked hands pp to the stop that is in progress and has begun with
// the reserved Ps. sched.lock is held.
func rtGiveStopLocked(pp *rtP) {
	pp.rt.turn += 2
	pp.status = _Pgcstop
	pp.gcStopTime = nanotime()
	// Pass the word on. A kernel hand-over leaves FUTEX_WAITERS set though
	// nobody waits: release it properly first. The stopper tries to seize
	// with sched.lock held alone, so nobody comes between.
	rtPIUnlock(&pp.rt.word, pp.rt.tid)
	if !rtPITryLock(&pp.rt.word, rtSched.stopTID) {
		throw("real-time: P seized while stopping")
	}
	if sched.stopwait--; sched.stopwait == 0 {
		notewakeup(&sched.stopnote)
	}
}

// rtAcquire takes back the released P of the calling thread. If a stop or
// forEachP has seized it, it waits, lending the seizing thread its priority.
//
//go:nosplit
func rtAcquire(pp *rtP) {
	if !atomic.Cas(&pp.rt.word, 0, pp.rt.tid) {
		rtAcquireSlow(pp)
	}
	pp.rt.turn |= 1
}

//go:nosplit
func rtAcquireSlow(pp *rtP) {
	if pp.status == _Pgcstop {
		pp.rt.cause = rtCauseSTW
	} else {
		pp.rt.cause = rtCauseForEachP
	}
	start := nanotime()
	rtPILock(&pp.rt.word, pp.rt.tid)
	rtPaused(pp, start)
}
