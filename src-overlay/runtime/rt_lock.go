// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Runtime locks with priority inheritance.
//
// From the first real-time goroutine on every runtime lock (sched.lock,
// mheap.lock, channels, timers, semaphore roots, ...) is taken in two steps:
// first a priority-inheritance futex, the upper half of the mutex's key, then
// the byte that is upstream's lock. A thread that waits for the first lends the
// holder its priority, by the kernel, transitively, until the holder unlocks.
// The second is uncontended then, and where both are, one operation takes them.
//
// In a process that never had one, lock2 and unlock2 are upstream's to the
// instruction (amd64). Instead of with 0 lock2 compares the M's lock count with
// rtLocksMin, which is larger than every count once there was a task. unlock2
// asks nothing: who took the lock in two steps has left mutexSleeping in the
// byte, so that unlock2 believes in a sleeper and calls rtUnlockWake.
//
// Neither that bit nor the futex could stand beside upstream's way to lock: an
// exchange of its fast path may clear the bit, and the upper half of the key
// belongs to its list of sleeping Ms. So rtLocksStart goes in steps, between
// which it waits until it has seen each M without a lock (lock2 counts first and
// compares then):
//
//	rtLocksByte	rtLock2 takes upstream's byte. When each M has been seen, none
//			is on its way to that exchange or sleeps.
//	rtLocksAwake	unlock2 wakes nobody any more. When each M has been seen, none
//			takes the upper half for a sleeper: it is 0.
//	rtLocksFutex	Locks have two steps. When each M has been seen, none is held
//			that has no owner in its futex.
//	rtLocksDone	The first task begins.
//
// There is no way back, whatever becomes of the tasks.
//
// To keep lock2 as cheap as it was the hook returns instead of going on in
// upstream's code: a variable that lives across a call is written to the stack
// on the path without the call as well. That a lock still has upstream's byte
// is for unlock2, which has nothing else to tell the two kinds of locks apart.
//
// Rejected: recording the owner in upstream's lock and boosting it by
// sched_setattr. The boost may arrive when the owner has unlocked already, and
// nobody is left to drop it. Also rejected: asking one word in lock2 and in
// unlock2 whether there ever was a task, 4 instructions for both and 2 % of a
// channel operation. Also rejected: the futex in a word of its own, which makes a
// channel 16 bytes larger and so slower to make, by an eighth.
//
// The contention profile of runtime locks does not see these waits.

package runtime

import (
	"internal/runtime/atomic"
	"internal/runtime/syscall/linux"
	"unsafe"
)

// rtLocksMin is what the lock count of an M in lock2 is at least, 0, for that to
// be upstream's lock2. Since there was the first task it is more than any.
var rtLocksMin int32

// rtLocksPI says how far rtLocksStart is.
var rtLocksPI uint32

const (
	rtLocksByte = 1 + iota
	rtLocksAwake
	rtLocksFutex
	rtLocksDone
)

// rtUnlockFrames is how many stack frames there are between unlock2 and
// unlock2Wake, for the contention profile: rtUnlockWake's.
const rtUnlockFrames = 1

// rtLockWord returns the PI futex of l.
//
//go:nosplit
func rtLockWord(l *mutex) *uint32 {
	return &(*[2]uint32)(unsafe.Pointer(&l.key))[1]
}

// rtLocksStart gives runtime locks priority inheritance, and returns when all
// have it. It is called without locks, by goroutines that become real-time.
func rtLocksStart() {
	if !atomic.Cas(&rtLocksPI, 0, rtLocksByte) {
		for atomic.Load(&rtLocksPI) != rtLocksDone {
			usleep(20)
			Gosched()
		}
		return
	}
	atomic.Storeint32(&rtLocksMin, 1<<31-1)
	for step := uint32(rtLocksByte); step < rtLocksDone; step++ {
		rtLocksQuiesce(step)
		atomic.Store(&rtLocksPI, step+1)
	}
}

// rtLocksQuiesce waits until each other M has done with locks that it took, was
// about to take or to release in the way of the step before: it is seen without
// any, or says so itself in rtLockSlow. It lets stops and forEachP have the P
// meanwhile, for which one of them may wait with its count raised (acquirem).
func rtLocksQuiesce(step uint32) {
	rtMembarrier()
	for {
		quiet := true
		lock(&sched.lock)
		for mp := allm; mp != nil; mp = mp.alllink {
			quiet = rtLocksQuiet(mp, step) && quiet
		}
		for mp := sched.freem; mp != nil; mp = mp.freelink {
			quiet = rtLocksQuiet(mp, step) && quiet // may be on its way through mexit
		}
		unlock(&sched.lock)
		if quiet {
			return
		}
		usleep(20)
		Gosched()
	}
}

func rtLocksQuiet(mp *m, step uint32) bool {
	if mp != getg().m && mp.rt.quiet < step {
		if atomic.Loadint32(&mp.locks) != 0 {
			return false
		}
		mp.rt.quiet = step
	}
	return true
}

// rtMembarrier has each thread pass a memory barrier between two of its
// instructions, so that one that has counted a lock and read rtLocksMin or
// rtLocksPI before the caller changed it also shows its count.
func rtMembarrier() {
	const (
		cmdPrivateExpedited         = 1 << 3
		cmdRegisterPrivateExpedited = 1 << 4
	)
	_, _, e := linux.Syscall6(rtSYS_membarrier, cmdRegisterPrivateExpedited, 0, 0, 0, 0, 0)
	if e == 0 {
		_, _, e = linux.Syscall6(rtSYS_membarrier, cmdPrivateExpedited, 0, 0, 0, 0, 0)
	}
	if e != 0 {
		usleep(1000) // no such call, or a filter: no store is in flight for so long
	}
}

// rtLock2 is lock2 from where the M's lock count has grown; before, it was
// locks. It calls something only at its end or in one place, for the reason
// above.
//
//go:nosplit
func rtLock2(l *mutex, locks int32) {
	if locks < 0 {
		throw("runtime·lock: lock count")
	}
	if rtLocksPI < rtLocksFutex || !atomic.Casuintptr(&l.key, 0, uintptr(getg().m.procid)<<32|mutexLocked|mutexSleeping) {
		rtLockSlow(l, locks)
	}
}

// rtLockSlow is rtLock2 where the lock is not free, or the futex not yet in use.
//
//go:noinline
func rtLockSlow(l *mutex, locks int32) {
	mp := getg().m
	step := atomic.Load(&rtLocksPI)
	if step < rtLocksDone && (step == rtLocksByte || locks == 0) {
		// Threads that crowd about one lock would rarely be seen without.
		mp.rt.quiet = step
	}
	// deadlock is locked twice, on purpose. An M without a thread does not
	// unlock the futex either.
	if tid := uint32(mp.procid); step >= rtLocksFutex && tid != 0 && l != &deadlock {
		rtLockPI(l, tid)
	}
	rtLockByte(l)
}

func rtLockPI(l *mutex, tid uint32) {
	word := rtLockWord(l)
	if numCPUStartup > 1 {
		for range 4 {
			procyield(30)
			if atomic.Cas(word, 0, tid) {
				return
			}
		}
	}
	rtPILock(word, tid)
}

// rtLockByte takes upstream's lock, which somebody may have who took it before
// locks had two steps.
//
//go:noinline
func rtLockByte(l *mutex) {
	for atomic.Xchg8(key8(&l.key), mutexLocked|mutexSleeping)&mutexLocked != 0 {
		usleep_no_g(20)
	}
}

// rtUnlockWake is unlock2Wake, which unlock2 calls when it has released
// upstream's lock and found mutexSleeping in it. It releases the futex, if that
// is the calling thread's.
//
//go:nosplit
//go:nowritebarrier
func rtUnlockWake(l *mutex, haveStackLock bool, endTicks int64) {
	if step := atomic.Load(&rtLocksPI); step >= rtLocksFutex {
		if tid := uint32(getg().m.procid); !atomic.Cas(rtLockWord(l), tid, 0) {
			rtUnlockSlow(l, tid)
		}
	} else if step < rtLocksAwake {
		unlock2Wake(l, haveStackLock, endTicks)
	}
}

// rtUnlockSlow releases the futex if it has waiters and is the calling thread's,
// whose id is tid. It is not if the lock was taken as its byte alone.
//
//go:noinline
//go:nowritebarrier
func rtUnlockSlow(l *mutex, tid uint32) {
	if word := rtLockWord(l); tid != 0 && atomic.Load(word)&_FUTEX_TID_MASK == tid {
		rtPIUnlock(word, tid)
	}
}
