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
//   - sleeping until a known time: a stop may begin if it is expected to end
//     before that.
//   - waiting for something else (a channel, a descriptor, a lock, a system
//     call): nobody knows when it goes on, so it is not waited for. (Treating
//     it as running delayed every stop by the whole bound.)
//
// A critical window (runtime/rt.Critical) counts as running until it ends.
// How long a stop takes is learned for each reason from measured stops, those
// before the first task included: a maximum that decays by 1/64 per stop. If
// that is longer than a task ever sleeps, no moment is good enough, and the
// best one, when the task has just gone to sleep, is taken. The check is made before taking
// sched.lock and again with it held, since the initiator is an ordinary
// thread that may lose the CPU in between. After rtSlackBound it goes on
// anyway, and the stop is counted as forced.
//
// With no real-time goroutine this is one comparison.
//
// A stop that has begun is short only if the threads it needs get the CPU. The
// initiator runs at the priority of the most urgent real-time goroutine
// for the length of the stop, and so do the threads that it still waits for
// while it does (rtBoost); each gets back what it had. A real-time goroutine
// that wakes during the stop would lend the initiator its priority anyway
// (rt_p.go), but only once it is late, and not to those the initiator waits
// for.

package runtime

import "internal/runtime/atomic"

const (
	// rtSlackBound is the longest that a stop waits for slack, ns.
	rtSlackBound = 10 * 1000 * 1000

	// rtSlackMargin is added to what a stop is expected to take, for the
	// initiator's own way to it, ns.
	rtSlackMargin = 30 * 1000

	// rtSlackPoll is how often a running goroutine is looked at again, ns.
	rtSlackPoll = 50 * 1000

	// rtSlackNeed is what forEachP needs, ns.
	rtSlackNeed = 50 * 1000

	// rtSlackUnknown is what a stop is expected to take if none for its
	// reason has been measured, ns.
	rtSlackUnknown = 400 * 1000

	// rtSlackForEachP stands for forEachP among the reasons of stops.
	rtSlackForEachP = stwReason(31)
)

// rtSlack is written with worldsema held.
var rtSlack struct {
	est    [32]int64 // expected length by reason, ns
	stops  atomic.Uint64
	forced [32]atomic.Uint64
	waited atomic.Int64 // ns, all
	max    atomic.Int64 // ns, the longest
}

// rtSlackAt reports whether something that takes need may begin now, and if
// not, when to look again.
//
//go:nosplit
func rtSlackAt(now, need int64) (ok bool, again int64) {
	ok = true
	for _, pp := range rtSched.ps {
		if pp.rt.task == 0 {
			continue
		}
		if c := pp.rt.critical; c > now {
			ok = false
			again = max(again, min(c, now+rtSlackPoll))
			continue
		}
		if pp.rt.running != 0 {
			ok = false
			again = max(again, now+rtSlackPoll)
			continue
		}
		// A stop that is expected to take longer than the task ever
		// sleeps begins right after it has gone to sleep.
		if r := pp.rt.release; r != 0 && r < now+min(need, max(0, pp.rt.room-pp.rt.room/8)) {
			ok = false
			again = max(again, max(r, now)+rtSlackPoll)
		}
	}
	return ok, again
}

// rtSlackLock takes sched.lock to begin a stop for the given reason, or
// rtSlackForEachP, when there is slack for it. It reports false, without the
// lock, if there is nobody to take care of.
func rtSlackLock(reason stwReason) bool {
	if atomic.Load(&rtSched.active) == 0 || getg().m.rt.p != 0 {
		return false
	}
	need := int64(rtSlackNeed)
	if reason != rtSlackForEachP {
		if need = rtSlack.est[reason]; need == 0 {
			need = rtSlackUnknown
		}
	}
	need += rtSlackMargin
	start := nanotime()
	for {
		now := nanotime()
		ok, again := rtSlackAt(now, need)
		if now-start > rtSlackBound {
			rtSlack.forced[reason].Add(1)
			rtBoostSelf(reason)
			lock(&sched.lock)
			break
		}
		if ok {
			rtBoostSelf(reason)
			lock(&sched.lock)
			if ok, _ = rtSlackAt(nanotime(), need); ok {
				break
			}
			unlock(&sched.lock)
			rtUnboost()
			continue
		}
		usleep(uint32(max(again-now, 1000) / 1000))
	}
	rtSlack.stops.Add(1)
	if w := nanotime() - start; w > 0 {
		rtSlack.waited.Add(w)
		if w > rtSlack.max.Load() {
			rtSlack.max.Store(w)
		}
	}
	return true
}

// rtBoostSelf boosts the initiator of a stop until rtStartPs.
func rtBoostSelf(reason stwReason) {
	if reason != rtSlackForEachP {
		rtBoost(getg().m)
	}
}

// rtSlackDone learns from a stop for the given reason that took ns.
func rtSlackDone(reason stwReason, ns int64) {
	est := rtSlack.est[reason]
	rtSlack.est[reason] = max(ns, est-est/64)
}

// rtBoosted are the threads that run at a borrowed priority, and what they
// had. Written with worldsema held.
var rtBoosted struct {
	n    int
	prio uint32
	ms   [64]muintptr
	tids [64]uint32
	was  [64]rtSchedAttr
}

// rtBoost lends the thread of mp the priority of the most urgent task, unless
// it has a real-time policy of its own or is entering real time: m.rt.attr
// keeps the two apart, and rtEnter waits for the end of a boost. The caller
// holds worldsema.
func rtBoost(mp *m) {
	b := &rtBoosted
	prio := rtWatch.prio.Load()
	tid := uint32(mp.procid)
	if b.n == len(b.ms) || tid == 0 || prio == 0 || !atomic.Cas(&mp.rt.attr, 0, 2) {
		return
	}
	was := &b.was[b.n]
	if rtGetattr(tid, was) != 0 || was.policy != 0 {
		atomic.Store(&mp.rt.attr, 0)
		return
	}
	was.runtime = 0 // see rtRestore
	if b.n == 0 {
		b.prio = max(prio, 2) - 1
	}
	a := rtSchedAttr{size: was.size, policy: _SCHED_FIFO, flags: _SCHED_FLAG_RESET_ON_FORK, priority: b.prio}
	if rtSetattr(tid, &a) != 0 {
		atomic.Store(&mp.rt.attr, 0)
		return
	}
	b.ms[b.n].set(mp)
	b.tids[b.n] = tid
	b.n++
}

// rtBoostWaited boosts the threads that the stop in progress waits for, if the
// initiator, which gives them back what they had, is boosted itself.
func rtBoostWaited() {
	if atomic.Load(&rtSched.active) == 0 || rtBoosted.n == 0 {
		return
	}
	for _, pp := range rtSched.ord {
		if mp := pp.m.ptr(); mp != nil && atomic.Load(&pp.status) == _Prunning && mp != getg().m {
			rtBoost(mp)
		}
	}
	// Those that were given a P and have not run since.
	for mp := allm; mp != nil; mp = mp.alllink {
		if mp.nextp != 0 {
			rtBoost(mp)
		}
	}
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
			if rtGetattr(tid, &now) != 0 || now.policy != _SCHED_FIFO || now.priority != b.prio {
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
