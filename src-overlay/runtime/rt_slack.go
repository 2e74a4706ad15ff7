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
// A stop that has begun is short only if its initiator gets the CPU: it runs
// at the priority of the most urgent real-time goroutine for the length of the
// stop (rtBoost) and then gets back what it had. A real-time goroutine that
// wakes during the stop would lend it its priority anyway (rt_p.go), but only
// once it is late. Tried and taken out again: boosting the threads that the
// initiator waits for as well; test/rtstress found a task without its policy
// after 50,000 operations.

package runtime

import (
	"internal/runtime/atomic"
	"internal/runtime/syscall/linux"
	"unsafe"
)

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
		if r := pp.rt.release; r != 0 && r < now+min(need, pp.rt.room-pp.rt.room/8) {
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
			rtUnboost(0)
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
	n   int
	ms  [64]muintptr
	was [64]rtSchedAttr
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
	_, _, e := linux.Syscall6(rtSYS_sched_getattr, uintptr(tid), uintptr(unsafe.Pointer(was)), unsafe.Sizeof(*was), 0, 0, 0)
	if e != 0 || was.policy != 0 {
		atomic.Store(&mp.rt.attr, 0)
		return
	}
	was.size = uint32(unsafe.Sizeof(*was))
	was.runtime = 0 // see rtRestore
	a := rtSchedAttr{size: was.size, policy: _SCHED_FIFO, flags: _SCHED_FLAG_RESET_ON_FORK, priority: max(prio, 2) - 1}
	if rtSetattr(tid, &a) != 0 {
		atomic.Store(&mp.rt.attr, 0)
		return
	}
	b.ms[b.n].set(mp)
	b.n++
}

// rtUnboost gives boosted threads back what they had, from the i-th on.
func rtUnboost(i int) {
	b := &rtBoosted
	for j := i; j < b.n; j++ {
		mp := b.ms[j].ptr()
		if rtSetattr(uint32(mp.procid), &b.was[j]) == _EPERM {
			b.was[j].flags |= _SCHED_FLAG_RESET_ON_FORK
			rtSetattr(uint32(mp.procid), &b.was[j])
		}
		atomic.Store(&mp.rt.attr, 0)
	}
	b.n = min(b.n, i)
}
