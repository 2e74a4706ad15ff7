// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import "sync/atomic"

// A Mutex is a lock with priority inheritance: while a more urgent task waits
// for it, its holder runs at that task's priority, so that nothing of a
// priority in between can delay the two. It is a [sync.Locker]; its zero
// value is unlocked; it must not be copied after first use. Ordinary and
// real-time goroutines may share one.
//
// A goroutine that holds it is locked to its thread, since the kernel knows
// threads (the lock is a futex, FUTEX_LOCK_PI). Keep what is done under it
// short, and do not block in it. Uncontended, Lock and Unlock make no system
// call under rtgo.
//
// Under rtgo the holder, once boosted, really runs: it is not preempted in
// favour of other ordinary goroutines while it holds the lock. Under stock Go
// the kernel boosts the holder's thread all the same, but whether the
// goroutine has a P to run Go code with is up to a scheduler that knows no
// priorities, so inversion stays possible; and Lock and Unlock need a system
// call to find out the thread. On other systems it is a sync.Mutex.
//
// Misuse is reported: locking a Mutex again that the goroutine holds, and
// unlocking one that it does not hold, panic. A goroutine that ends while it
// holds one crashes the program; under stock Go this is noticed when the
// goroutine was started by [Go], otherwise when the next one calls Lock. On
// systems other than Linux, what sync.Mutex reports is reported.
type Mutex struct {
	m    mutex
	race atomic.Uint32 // tells the race detector what the futex orders
}

// Lock locks m and waits for it if need be. Waiters get it by priority.
func (m *Mutex) Lock() {
	m.m.lock()
	if raceEnabled {
		m.race.Load()
	}
}

// TryLock locks m if it is free, and reports whether it did.
func (m *Mutex) TryLock() bool {
	if !m.m.tryLock() {
		return false
	}
	if raceEnabled {
		m.race.Load()
	}
	return true
}

// Unlock unlocks m, which the calling goroutine must hold. If others wait the
// most urgent one gets it.
func (m *Mutex) Unlock() {
	if raceEnabled {
		m.race.Add(1)
	}
	m.m.unlock()
}

// Misuse of a Mutex.
const (
	errRelock   = misuse("rt: Lock of a Mutex that the goroutine holds already")
	errUnlocked = misuse("rt: Unlock of an unlocked Mutex")
	errForeign  = misuse("rt: Unlock of a Mutex that another goroutine holds")
	errOrphan   = misuse("rt: goroutine exits while it holds an rt.Mutex")
	errDeadlock = misuse("rt: Lock of a Mutex whose holder waits for one that the goroutine holds")
	errOrphaned = misuse("rt: Lock of a Mutex whose holder has exited")
)

// misuse is a runtime.Error, like what the runtime of rtgo panics with.
type misuse string

func (e misuse) Error() string { return string(e) }
func (misuse) RuntimeError()   {}
