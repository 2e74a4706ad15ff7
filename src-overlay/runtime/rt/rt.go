// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux

// Package rt is the narrow door between the rtgo runtime and the module
// package rtgo.dev/rtgo/rt, which is what programs import. Its calls are low
// level (kernel structures, absolute CLOCK_MONOTONIC nanoseconds, errno
// values) and may change with every rtgo release; [ABI] tells which form
// a toolchain has.
//
// The package exists in rtgo toolchains alone, so that a program which must
// never be built by another toolchain can say so in one line:
//
//	import _ "runtime/rt" // fails to compile under any Go but rtgo
package rt

import _ "unsafe" // for go:linkname

// ABI is the version of this package's interface.
const ABI = 2

// SchedAttr has the layout of the kernel's struct sched_attr, version 0
// (48 bytes; sched_setattr(2)). Runtime, Deadline and Period are in
// nanoseconds and used by SCHED_DEADLINE alone.
type SchedAttr struct {
	Size     uint32
	Policy   uint32
	Flags    uint64
	Nice     int32
	Priority uint32
	Runtime  uint64
	Deadline uint64
	Period   uint64
}

// Attr is what [Enter] applies to the calling thread.
type Attr struct {
	Sched SchedAttr
	CPUs  []uint64 // affinity mask for sched_setaffinity(2), bit i of word i/64; nil leaves it
	Name  string   // thread name, cut to 15 bytes by the kernel; "" leaves it
}

// Step names the part of [Enter] or [SetSched] that failed.
type Step int

const (
	StepNone     Step = iota
	StepState         // the goroutine is real-time already, or no such task (errno EBUSY, ESRCH)
	StepAffinity      // sched_setaffinity(2)
	StepSched         // sched_setattr(2)
)

// Cause says what a late dispatch of a real-time goroutine waited for.
type Cause int

const (
	CauseKernel   Cause = iota // clock, interrupt or kernel scheduler: late before the runtime was reached
	CauseSTW                   // a stop-the-world held its P
	CauseForEachP              // a forEachP (GC phase change and others) held its P
	CauseScan                  // a suspendG (stack scan, profile) held the goroutine
	CauseOther                 // the runtime, by none of the above
	NumCauses
)

// HistBuckets is the number of one-microsecond buckets of a lateness
// histogram; lateness of HistBuckets µs and more is counted in Overflow.
const HistBuckets = 1000

// Stats are a task's counters since it entered real time. Lateness is the
// time from the release (the absolute time slept until, or the moment another
// thread made the goroutine ready) until the goroutine runs, in nanoseconds.
type Stats struct {
	Dispatches  uint64 // wake-ups measured
	Late        uint64 // of these, over the threshold
	MaxLateness int64
	SumLateness int64
	Overflow    uint64
	Causes      [NumCauses]uint64 // late dispatches by cause
	Hist        [HistBuckets]uint64
	Pauses      Pauses
}

// Pauses are the times for which the runtime kept a real-time goroutine that
// could run from running: stops, safepoint functions, stack scans. Times are
// in nanoseconds. The minimum mutator utilization over 1 ms is 1 -
// float64(In[0])/1e6, that over 10 ms 1 - float64(In[1])/10e6.
type Pauses struct {
	Count uint64
	Total int64
	Max   int64
	In    [2]int64 // the largest sum within any 1 ms, any 10 ms
}

// Enter makes the calling goroutine real-time: locks it to its thread, gives
// the thread the attributes and attaches a reserved P. On failure nothing
// has changed and errno tells why. Tasks are identified by a number that is
// never used twice.
func Enter(a *Attr) (task uint64, step Step, errno uintptr) { return enter(a) }

// Leave undoes [Enter] exactly. It is a no-op on an ordinary goroutine.
func Leave() { leave() }

// Self returns the calling goroutine's task number, 0 if it is ordinary.
func Self() uint64 { return self() }

// SetSched changes the scheduling attributes of a running task, from any
// goroutine.
func SetSched(task uint64, a *SchedAttr) (step Step, errno uintptr) { return setSched(task, a) }

// TID returns the kernel's thread id of a running task, 0 if there is none.
func TID(task uint64) int { return tid(task) }

// Nanotime returns CLOCK_MONOTONIC in nanoseconds.
func Nanotime() int64 { return nanotime() }

// SleepUntil sleeps until the absolute CLOCK_MONOTONIC time when, in
// nanoseconds. A real-time goroutine sleeps in its own thread
// (clock_nanosleep(2) with TIMER_ABSTIME) and keeps its P.
func SleepUntil(when int64) { sleepUntil(when) }

// ReadStats fills s with a task's statistics. It reports whether the task
// exists.
func ReadStats(task uint64, s *Stats) bool { return readStats(task, s) }

// SetThreshold sets the dispatch lateness, in nanoseconds, above which a
// dispatch of any real-time goroutine counts as late, and returns the
// previous value. 0 counts none. The default is 100 µs.
func SetThreshold(ns int64) int64 { return setThreshold(ns) }

// Critical asks that no stop-the-world and no safepoint function begins in
// the next ns nanoseconds. It is a request: after 10 ms of waiting for a
// good moment a stop begins anyway, and is counted as forced. On an ordinary
// goroutine it does nothing.
func Critical(ns int64) { critical(ns) }

// SetWatchdog sets how long, in nanoseconds, a real-time goroutine may keep
// every ordinary thread from running before it is reported on standard error
// with its stack, and returns the previous value. 0 reports none. The default
// is one second.
func SetWatchdog(ns int64) int64 { return setWatchdog(ns) }

// StartNoGC opens a region in which no garbage collection begins by itself
// while the process allocates no more than bytes, to be closed with EndNoGC;
// regions may overlap. The memory should be there before: see the package
// rtgo.dev/rtgo/rt. It fails with EAGAIN while a collection runs (wait for it
// with runtime.GC), and with ENOMEM if the budget does not fit into the memory
// limit (debug.SetMemoryLimit).
func StartNoGC(bytes uint64) (gen uint32, errno uintptr) { return startNoGC(bytes) }

// EndNoGC closes a region and reports whether it held: no collection had to
// begin since the budget or the memory limit was exceeded.
func EndNoGC(bytes uint64, gen uint32) bool { return endNoGC(bytes, gen) }

// RuntimeStats are counters of the process.
type RuntimeStats struct {
	Stops     uint64 // stops and safepoint rounds begun while tasks existed
	Forced    uint64 // of these, begun without slack after the bound
	WaitTotal uint64 // time that these waited for slack, ns
	WaitMax   uint64 // the longest of these waits, ns
	Boosts    uint64 // times that the watchdog found sysmon starved
	Reports   uint64 // goroutines that the watchdog reported
}

// ReadRuntime fills s.
func ReadRuntime(s *RuntimeStats) { readRuntime(s) }

// A Mutex is a lock with priority inheritance (FUTEX_LOCK_PI). Its zero
// value is unlocked. See rtgo.dev/rtgo/rt.Mutex.
type Mutex struct {
	word  uint32 // the futex: owner's TID | FUTEX_WAITERS
	depth uint32
	owner uint64 // goid of the holder, for reports
}

// Lock locks m. A goroutine that holds m already panics.
func (m *Mutex) Lock() { mutexLock(m) }

// TryLock tries to lock m and reports whether it succeeded.
func (m *Mutex) TryLock() bool { return mutexTryLock(m) }

// Unlock unlocks m. Unlocking a mutex that the calling goroutine does not
// hold panics.
func (m *Mutex) Unlock() { mutexUnlock(m) }

// Implemented in package runtime (rt_api.go).

//go:noescape
//go:linkname enter
func enter(a *Attr) (task uint64, step Step, errno uintptr)

//go:linkname leave
func leave()

//go:linkname self
func self() uint64

//go:noescape
//go:linkname setSched
func setSched(task uint64, a *SchedAttr) (step Step, errno uintptr)

//go:linkname tid
func tid(task uint64) int

//go:linkname nanotime
func nanotime() int64

//go:linkname sleepUntil
func sleepUntil(when int64)

//go:noescape
//go:linkname readStats
func readStats(task uint64, s *Stats) bool

//go:linkname setThreshold
func setThreshold(ns int64) int64

//go:noescape
//go:linkname mutexLock
func mutexLock(m *Mutex)

//go:noescape
//go:linkname mutexTryLock
func mutexTryLock(m *Mutex) bool

//go:noescape
//go:linkname mutexUnlock
func mutexUnlock(m *Mutex)

//go:linkname critical
func critical(ns int64)

//go:noescape
//go:linkname readRuntime
func readRuntime(s *RuntimeStats)

//go:linkname startNoGC
func startNoGC(bytes uint64) (gen uint32, errno uintptr)

//go:linkname endNoGC
func endNoGC(bytes uint64, gen uint32) bool

//go:linkname setWatchdog
func setWatchdog(ns int64) int64
