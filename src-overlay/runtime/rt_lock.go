// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Runtime locks with priority inheritance.
//
// Once there has been a real-time goroutine every runtime lock (sched.lock,
// mheap.lock, channels, timers, semaphore roots, ...) is taken in two steps:
// first a priority-inheritance futex in the mutex, then the byte that is
// upstream's lock. A thread that waits for the first lends the holder its
// priority, by the kernel, transitively, until the holder unlocks. The second
// is uncontended then, but for threads that had it, or were on the way to it,
// when the first real-time goroutine entered.
//
// In a process that never had one, lock2 and unlock2 cost a comparison with
// memory and a branch each. To keep it so low the hooks return instead of
// going on in upstream's code: a variable that lives across a call is written
// to the stack on the path without the call as well. The flag is never
// cleared, so that a lock taken in two steps is also released in two, whatever
// becomes of the tasks meanwhile. That a lock always has a step of upstream's
// keeps those two kinds of threads apart, and keeps upstream's throughput under
// contention for everybody else: a PI futex hands the lock over at each
// contended unlock.
//
// Rejected: recording the owner in upstream's lock and boosting it by
// sched_setattr. The boost may arrive when the owner has unlocked already, and
// nobody is left to drop it. Also rejected: asking for the number of tasks and
// the lock's own word and joining upstream's code again, 17 instructions for
// lock and unlock together.
//
// The contention profile of runtime locks does not see these waits.

package runtime

import "internal/runtime/atomic"

// rtLocksPI is 1 since there was the first task.
var rtLocksPI uint32

// rtMutexPI is the part of a mutex that real-time goroutines need.
type rtMutexPI struct {
	word uint32 // PI futex
}

// rtLock2 is lock2 from where the M's lock count has grown. Like rtUnlock2 it
// calls something only at its end or in one place, for the reason above.
//
//go:nosplit
func rtLock2(l *mutex) {
	if !atomic.Cas(&l.rt.word, 0, uint32(getg().m.procid)) {
		rtLockSlow(l)
		return
	}
	if v8 := atomic.Xchg8(key8(&l.key), mutexLocked); v8 != 0 {
		rtLockByte(l, v8)
	}
}

// rtLockSlow is rtLock2 where the word is not free.
//
//go:noinline
func rtLockSlow(l *mutex) {
	// deadlock is locked twice, on purpose. An M without a thread does not
	// unlock the word either.
	if tid := uint32(getg().m.procid); tid != 0 && l != &deadlock {
		rtLockPI(l, tid)
	}
	if v8 := atomic.Xchg8(key8(&l.key), mutexLocked); v8 != 0 {
		rtLockByte(l, v8)
	}
}

func rtLockPI(l *mutex, tid uint32) {
	if numCPUStartup > 1 {
		for range 4 {
			procyield(30)
			if atomic.Cas(&l.rt.word, 0, tid) {
				return
			}
		}
	}
	rtPILock(&l.rt.word, tid)
}

// rtLockByte takes upstream's lock after an exchange for mutexLocked has
// returned v8, which is not 0.
//
//go:noinline
func rtLockByte(l *mutex, v8 uint8) {
	k8 := key8(&l.key)
	if v8&mutexLocked == 0 {
		atomic.Or8(k8, mutexSleeping)
		return
	}
	// Somebody has it who took it the ordinary way. There may be sleepers, whom
	// the exchange has hidden, as that of lock2 may.
	for atomic.Xchg8(k8, mutexLocked|mutexSleeping)&mutexLocked != 0 {
		usleep_no_g(20)
	}
}

// rtUnlock2 is unlock2. The M's lock count falls by delta.
//
//go:nosplit
//go:nowritebarrier
func rtUnlock2(l *mutex, delta int32) {
	gp := getg()
	mp := gp.m
	v8 := atomic.Xchg8(key8(&l.key), 0)
	if !atomic.Cas(&l.rt.word, uint32(mp.procid), 0) || mp.mLockProfile.haveStack {
		rtUnlockSlow(l, delta)
	}
	mp.locks -= delta
	if mp.locks < 0 {
		throw("runtime·unlock: lock count")
	}
	if mp.locks == 0 && gp.preempt {
		gp.stackguard0 = stackPreempt
	}
	if v8 != mutexLocked {
		rtUnlockWake(l, v8)
	}
}

// rtUnlockSlow releases the word if it is the calling thread's and has waiters.
// It is not its own if the lock was taken the ordinary way.
//
//go:noinline
//go:nowritebarrier
func rtUnlockSlow(l *mutex, delta int32) {
	mp := getg().m
	if tid := uint32(mp.procid); tid != 0 && atomic.Load(&l.rt.word)&_FUTEX_TID_MASK == tid {
		rtPIUnlock(&l.rt.word, tid)
	}
	if mp.locks == delta && mp.mLockProfile.haveStack {
		mp.mLockProfile.storeSlow()
	}
}

// rtUnlockWake wakes one of those who sleep in lock2.
//
//go:noinline
//go:nowritebarrier
func rtUnlockWake(l *mutex, v8 uint8) {
	if v8&mutexLocked == 0 {
		throw("unlock of unlocked lock")
	}
	mp := acquirem()
	unlock2Wake(l, false, 0)
	releasem(mp)
}
