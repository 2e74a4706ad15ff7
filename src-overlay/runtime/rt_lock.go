// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Runtime locks with priority inheritance.
//
// While there are real-time goroutines every runtime lock (sched.lock,
// mheap.lock, channels, timers, semaphore roots, ...) is taken in two steps:
// first a priority-inheritance futex in the mutex, then upstream's lock. A
// thread that waits for the first lends the holder its priority, by the
// kernel, transitively, until the holder unlocks. The second is uncontended
// then, but for threads that took it before the first real-time goroutine
// entered, or after the last one left.
//
// Without real-time goroutines locking costs one load and one comparison
// more than upstream. That is why it is two steps: a PI futex alone would hand
// the lock over at each contended unlock, and lose upstream's throughput
// under contention for everybody.
//
// Rejected: recording the owner in upstream's lock and boosting it by
// sched_setattr. The boost may arrive when the owner has unlocked already, and
// nobody is left to drop it.
//
// The contention profile of runtime locks does not see waits for the first
// step.

package runtime

import "internal/runtime/atomic"

// rtMutexPI is the part of a mutex that real-time goroutines need.
type rtMutexPI struct {
	word uint32
}

// rtLock2 is the first step of lock2. Like rtUnlock2 it is small enough to be
// inlined.
func rtLock2(l *mutex) {
	if rtSched.active != 0 && !atomic.Cas(&l.rt.word, 0, uint32(getg().m.procid)) {
		rtLockPI(l)
	}
}

func rtLockPI(l *mutex) {
	tid := uint32(getg().m.procid)
	if tid == 0 || l == &deadlock {
		return // deadlock is locked twice, on purpose
	}
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

// rtUnlock2 is the last step of unlock2, which has released upstream's lock. It
// is inlined.
//
//go:nowritebarrier
func rtUnlock2(l *mutex) {
	if atomic.Load(&l.rt.word) != 0 {
		rtUnlockPI(l)
	}
}

//go:nosplit
//go:nowritebarrier
func rtUnlockPI(l *mutex) {
	if tid := uint32(getg().m.procid); !atomic.Cas(&l.rt.word, tid, 0) && atomic.Load(&l.rt.word)&_FUTEX_TID_MASK == tid {
		rtPIUnlock(&l.rt.word, tid)
	}
}
