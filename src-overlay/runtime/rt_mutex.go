// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// rt.Mutex: a lock with priority inheritance between goroutines.
//
// The word is a PI futex, so it belongs to a thread. While a goroutine holds
// it the goroutine is locked to its thread, and since the boosted thread is
// of use only if it runs Go code, the goroutine is not preempted for its time
// slice or a GC worker (rtHoldsPI, rtGosched) while it holds one: a stop-the-world alone
// stops it. Critical sections must be short and must not block: a goroutine
// that blocks while it holds the lock gives its P up like any other.
//
// Uncontended, Lock and Unlock are one compare-and-swap each and the
// bookkeeping of the thread lock.

package runtime

import "internal/runtime/atomic"

// rtMutex is runtime/rt.Mutex.
type rtMutex struct {
	word  uint32
	depth uint32 // unused, keeps the layout
	owner uint64 // goid of the holder
}

func (m *rtMutex) lock() {
	gp := getg()
	lockOSThread()
	mp := gp.m
	tid := uint32(mp.procid)
	if !atomic.Cas(&m.word, 0, tid) {
		if atomic.Load(&m.word)&_FUTEX_TID_MASK == tid {
			unlockOSThread()
			panic(plainError("rt: Lock of a Mutex that the goroutine holds already"))
		}
		rtMutexWait(&m.word, tid)
	}
	mp.rt.pi++
	m.owner = gp.goid
}

// rtMutexWait waits for word as in a system call: a real-time goroutine keeps
// its P, an ordinary one may lose it.
//
//go:nosplit
func rtMutexWait(word *uint32, tid uint32) {
	entersyscall()
	rtPILock(word, tid)
	exitsyscall()
}

func (m *rtMutex) tryLock() bool {
	gp := getg()
	lockOSThread()
	if !atomic.Cas(&m.word, 0, uint32(gp.m.procid)) {
		unlockOSThread()
		return false
	}
	gp.m.rt.pi++
	m.owner = gp.goid
	return true
}

func (m *rtMutex) unlock() {
	gp := getg()
	mp := gp.m
	tid := uint32(mp.procid)
	switch w := atomic.Load(&m.word); {
	case w == 0:
		panic(plainError("rt: Unlock of an unlocked Mutex"))
	case w&_FUTEX_TID_MASK != tid || m.owner != gp.goid:
		panic(plainError("rt: Unlock of a Mutex that another goroutine holds"))
	}
	m.owner = 0
	rtPIUnlock(&m.word, tid)
	mp.rt.pi--
	unlockOSThread()
}

// rtMutexGoexit reports a goroutine that ends while it holds an rt.Mutex. Its
// waiters could never go on.
func rtMutexGoexit() {
	fatal("rt: goroutine exits while it holds an rt.Mutex")
}

// rtHoldsPI reports whether the goroutine of mp is running and holds an
// rt.Mutex, so that it must not be preempted for the sake of other ordinary
// goroutines. In a system call it loses its P like any other.
func rtHoldsPI(mp *m) bool {
	if mp == nil || mp.rt.pi == 0 {
		return false
	}
	gp := mp.curg
	return gp != nil && readgstatus(gp)&^_Gscan == _Grunning
}
