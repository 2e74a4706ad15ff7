// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux && !(goexperiment.rt && (amd64 || arm64))

// The package under any other Go: what can be done from outside the runtime.
// The goroutine is locked to its thread, the thread has the attributes, and
// everything else is as usual: the goroutine needs a P from a scheduler that
// knows no urgency.

package rt

import (
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const supported = false

type backend struct {
	tid  int
	held int // Mutexes; used by the task's goroutine alone

	// mu keeps SetPriority away from a thread that is being restored.
	mu    Mutex
	ended bool

	saved  unix.SchedAttr
	cpus   unix.CPUSetDynamic // nil if not changed
	name   [16]byte
	rename bool

	counts counts
}

func (t *Task) apply() (step int, errno syscall.Errno) {
	runtime.LockOSThread()
	defer func() {
		if step != stepNone {
			runtime.UnlockOSThread()
		}
	}()
	t.tid = unix.Gettid()
	if byTID(t.tid) != nil {
		return stepState, unix.EBUSY
	}
	saved, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return stepSched, err.(syscall.Errno)
	}
	t.saved = *saved
	if len(t.attr.CPUs) > 0 {
		old := unix.NewCPUSet(maxCPU)
		if err = unix.SchedGetaffinityDynamic(0, old); err == nil {
			err = unix.SchedSetaffinityDynamic(0, cpuSet(t.attr.CPUs))
		}
		if err != nil {
			return stepAffinity, err.(syscall.Errno)
		}
		t.cpus = old
	}
	a := t.attr.schedAttr()
	if err := unix.SchedSetAttr(0, &a, 0); err != nil {
		if t.cpus != nil {
			unix.SchedSetaffinityDynamic(0, t.cpus)
		}
		return stepSched, err.(syscall.Errno)
	}
	if t.attr.Name != "" {
		threadName(&t.name)
		t.rename = true
		var name [16]byte
		copy(name[:15], t.attr.Name)
		prctlName(unix.PR_SET_NAME, &name)
	}
	register(t)
	return stepNone, 0
}

func (t *Task) restore() {
	t.mu.Lock()
	t.ended = true
	// By thread id, not 0: should f have undone our lock of the thread, this
	// may be another.
	a := t.saved
	slice := a.Runtime
	if a.Policy != unix.SCHED_DEADLINE {
		// The kernel reports the time slice of an ordinary thread here, and
		// takes it as a request for a slice of its own.
		a.Runtime = 0
	}
	err := unix.SchedSetAttr(t.tid, &a, 0)
	if err == unix.EPERM && a.Flags&unix.SCHED_FLAG_RESET_ON_FORK == 0 {
		// Only the privileged may clear the flag.
		a.Flags |= unix.SCHED_FLAG_RESET_ON_FORK
		err = unix.SchedSetAttr(t.tid, &a, 0)
	}
	if slice != a.Runtime && err == nil {
		if now, err := unix.SchedGetAttr(t.tid, 0); err == nil && now.Runtime != slice {
			a.Runtime = slice // it had its own
			unix.SchedSetAttr(t.tid, &a, 0)
		}
	}
	if t.cpus != nil {
		unix.SchedSetaffinityDynamic(t.tid, t.cpus)
	}
	if t.rename && unix.Gettid() == t.tid {
		prctlName(unix.PR_SET_NAME, &t.name)
	}
	t.mu.Unlock()
	unregister(t)
	runtime.UnlockOSThread()
}

func (t *Task) setPriority(priority int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.attr
	a.Priority = priority
	if t.ended {
		return diagnose(&a, stepState, unix.ESRCH)
	}
	s := a.schedAttr()
	if err := unix.SchedSetAttr(t.tid, &s, 0); err != nil {
		return diagnose(&a, stepSched, err.(syscall.Errno))
	}
	return nil
}

func (t *Task) threadID() int { return t.tid }

// checkHeld reports a Mutex that t's goroutine leaves locked as it ends.
func (t *Task) checkHeld() {
	if t.held != 0 {
		panic(errOrphan)
	}
}

func byTID(tid int) *Task {
	if l := tasks.Load(); l != nil {
		for _, t := range *l {
			if t.tid == tid {
				return t
			}
		}
	}
	return nil
}

// self identifies the goroutine by its thread: nobody else runs on the
// thread of a task.
func self() *Task {
	if l := tasks.Load(); l == nil || len(*l) == 0 {
		return nil
	}
	return byTID(unix.Gettid())
}

// counts are written by the task's goroutine alone.
type counts struct {
	dispatches, late, sum, overflow atomic.Uint64
	max                             atomic.Int64
	hist                            [HistBuckets]atomic.Uint64
}

var threshold atomic.Int64

func init() { threshold.Store(int64(100 * time.Microsecond)) }

func setThreshold(d time.Duration) time.Duration {
	return time.Duration(threshold.Swap(int64(d)))
}

func (c *counts) record(ns int64) {
	ns = max(ns, 0)
	c.dispatches.Add(1)
	c.sum.Add(uint64(ns))
	if ns > c.max.Load() {
		c.max.Store(ns)
	}
	if us := ns / 1000; us < HistBuckets {
		c.hist[us].Add(1)
	} else {
		c.overflow.Add(1)
	}
	if limit := threshold.Load(); limit > 0 && ns > limit {
		c.late.Add(1)
	}
}

func (t *Task) readStats(s *Stats) bool {
	c := &t.counts
	*s = Stats{
		Cycles: t.cycles.Load(), Missed: t.missed.Load(), Overruns: t.overruns.Load(),
		Dispatches:  c.dispatches.Load(),
		Late:        c.late.Load(),
		MaxLateness: time.Duration(c.max.Load()),
		SumLateness: time.Duration(c.sum.Load()),
		Overflow:    c.overflow.Load(),
	}
	s.Causes[CauseUnknown] = s.Late
	for i := range s.Hist {
		s.Hist[i] = c.hist[i].Load()
	}
	t.countFaults(s)
	return true
}

func critical(time.Duration) {}

func setWatchdog(time.Duration) time.Duration { return 0 }

func readRuntime() RuntimeStats { return RuntimeStats{} }

func rawNanotime() int64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

func sleepUntil(t *Task, when int64) {
	if t == nil {
		if d := when - nanotime(); d > 0 {
			time.Sleep(time.Duration(d))
		}
		return
	}
	ts := unix.NsecToTimespec(when)
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &ts, nil) == unix.EINTR {
	}
	t.counts.record(nanotime() - when)
}

// mutex is a futex with priority inheritance. The goroutine is locked to its
// thread while it holds it, so the thread's id stands for the goroutine.
type mutex struct{ word uint32 }

const (
	futexLockPI    = 6 | futexPrivate
	futexUnlockPI  = 7 | futexPrivate
	futexPrivate   = 128
	futexOwnerDied = 0x40000000
	futexTIDMask   = 0x3fffffff
)

func (m *mutex) futex(op uintptr) syscall.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&m.word)), op, 0, 0, 0, 0)
	return errno
}

func (m *mutex) lock() {
	runtime.LockOSThread()
	tid := unix.Gettid()
	if !atomic.CompareAndSwapUint32(&m.word, 0, uint32(tid)) {
		if err := m.wait(uint32(tid)); err != "" {
			runtime.UnlockOSThread()
			panic(err)
		}
	}
	hold(tid, 1)
}

func (m *mutex) wait(tid uint32) misuse {
	for {
		if atomic.LoadUint32(&m.word)&futexTIDMask == tid {
			return errRelock
		}
		switch errno := m.futex(futexLockPI); errno {
		case 0:
			if atomic.LoadUint32(&m.word)&futexOwnerDied != 0 {
				return errOrphaned
			}
			return ""
		case unix.EAGAIN, unix.EINTR:
		case unix.ESRCH:
			return errOrphaned
		case unix.EDEADLK:
			return errDeadlock
		case unix.ENOSYS:
			// A kernel without them, such as gVisor's.
			time.Sleep(50 * time.Microsecond)
			if atomic.CompareAndSwapUint32(&m.word, 0, tid) {
				return ""
			}
		default:
			return misuse("rt: Mutex: futex: " + errno.Error())
		}
	}
}

func (m *mutex) tryLock() bool {
	runtime.LockOSThread()
	tid := unix.Gettid()
	if !atomic.CompareAndSwapUint32(&m.word, 0, uint32(tid)) {
		runtime.UnlockOSThread()
		return false
	}
	hold(tid, 1)
	return true
}

func (m *mutex) unlock() {
	tid := unix.Gettid()
	switch w := atomic.LoadUint32(&m.word); {
	case w == 0:
		panic(errUnlocked)
	case w&futexTIDMask != uint32(tid):
		panic(errForeign)
	}
	if !atomic.CompareAndSwapUint32(&m.word, uint32(tid), 0) {
		if errno := m.futex(futexUnlockPI); errno != 0 {
			panic(misuse("rt: Mutex: futex: " + errno.Error()))
		}
	}
	hold(tid, -1)
	runtime.UnlockOSThread()
}

// hold counts the Mutexes that a task holds.
func hold(tid, n int) {
	if t := byTID(tid); t != nil {
		t.held += n
	}
}
