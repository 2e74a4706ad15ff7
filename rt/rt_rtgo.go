// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// The package under rtgo: the runtime does the work.

package rt

import (
	"runtime"
	"runtime/rt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const supported = true

// The package is written for this form of the runtime's interface.
const _ = uint(rt.ABI-2) + uint(2-rt.ABI)

type backend struct {
	id uint64 // the runtime's number of the task
}

func toRuntime(a unix.SchedAttr) rt.SchedAttr {
	return rt.SchedAttr{
		Size: 48, Policy: a.Policy, Flags: a.Flags, Nice: a.Nice, Priority: a.Priority,
		Runtime: a.Runtime, Deadline: a.Deadline, Period: a.Period,
	}
}

func (t *Task) apply() (step int, errno syscall.Errno) {
	a := rt.Attr{Sched: toRuntime(t.attr.schedAttr()), Name: t.attr.Name}
	if n := len(t.attr.CPUs); n > 0 {
		a.CPUs = make([]uint64, t.attr.CPUs[n-1]/64+1) // they are sorted
		for _, c := range t.attr.CPUs {
			a.CPUs[c/64] |= 1 << (c % 64)
		}
	}
	id, s, e := rt.Enter(&a)
	if s != rt.StepNone {
		return int(s), syscall.Errno(e)
	}
	t.id = id
	register(t)
	return stepNone, 0
}

func (t *Task) restore() {
	unregister(t)
	rt.Leave()
}

func (t *Task) setPriority(priority int) error {
	a := t.attr
	a.Priority = priority
	s := toRuntime(a.schedAttr())
	if step, e := rt.SetSched(t.id, &s); step != rt.StepNone {
		return diagnose(&a, int(step), syscall.Errno(e))
	}
	return nil
}

func (t *Task) threadID() int { return rt.TID(t.id) }

// checkHeld has nothing to do: the runtime looks when a goroutine ends.
func (t *Task) checkHeld() {}

func self() *Task {
	id := rt.Self()
	if id == 0 {
		return nil
	}
	if l := tasks.Load(); l != nil {
		for _, t := range *l {
			if t.id == id {
				return t
			}
		}
	}
	// The runtime made the goroutine real-time (GODEBUG=rtmain).
	t := &Task{done: make(chan struct{}), split: true}
	t.id = id
	t.faults = threadFaults(0)
	if a, err := unix.SchedGetAttr(0, 0); err == nil {
		t.priority.Store(int32(a.Priority))
	}
	register(t)
	return t
}

func (t *Task) readStats(s *Stats) bool {
	var r rt.Stats
	if !rt.ReadStats(t.id, &r) {
		return false
	}
	*s = Stats{
		Cycles: t.cycles.Load(), Missed: t.missed.Load(), Overruns: t.overruns.Load(),
		Dispatches:  r.Dispatches,
		Late:        r.Late,
		MaxLateness: time.Duration(r.MaxLateness),
		SumLateness: time.Duration(r.SumLateness),
		Overflow:    r.Overflow,
		Hist:        r.Hist,
	}
	copy(s.Causes[:], r.Causes[:])
	s.Pauses = Pauses{Count: r.Pauses.Count, Total: time.Duration(r.Pauses.Total), Max: time.Duration(r.Pauses.Max),
		In1ms: time.Duration(r.Pauses.In[0]), In10ms: time.Duration(r.Pauses.In[1])}
	t.countFaults(s)
	return true
}

// startNoGC opens a region of the runtime's.
func startNoGC(bytes int) (end func() error, err error) {
	prefault(bytes)
	for {
		gen, errno := rt.StartNoGC(uint64(bytes))
		switch syscall.Errno(errno) {
		case 0:
			return func() error {
				if !rt.EndNoGC(uint64(bytes), gen) {
					return errBroken(bytes)
				}
				return nil
			}, nil
		case unix.ENOMEM:
			return nil, errNoRoom(bytes)
		}
		runtime.GC() // one was running
	}
}

func critical(d time.Duration) { rt.Critical(int64(d)) }

func setWatchdog(d time.Duration) time.Duration { return time.Duration(rt.SetWatchdog(int64(d))) }

func readRuntime() RuntimeStats {
	var r rt.RuntimeStats
	rt.ReadRuntime(&r)
	return RuntimeStats{Stops: r.Stops, Forced: r.Forced, Wait: time.Duration(r.WaitTotal), MaxWait: time.Duration(r.WaitMax), Boosts: r.Boosts, Reports: r.Reports}
}

func setThreshold(d time.Duration) time.Duration {
	return time.Duration(rt.SetThreshold(int64(d)))
}

func rawNanotime() int64 { return rt.Nanotime() }

func sleepUntil(_ *Task, when int64) { rt.SleepUntil(when) }

type mutex struct{ m rt.Mutex }

func (m *mutex) lock()         { m.m.Lock() }
func (m *mutex) tryLock() bool { return m.m.TryLock() }
func (m *mutex) unlock()       { m.m.Unlock() }

// The causes of package runtime/rt are the first of ours.
const (
	_ = uint(CauseKernel-Cause(rt.CauseKernel)) + uint(CauseStopWorld-Cause(rt.CauseSTW)) +
		uint(CauseForEachP-Cause(rt.CauseForEachP)) + uint(CauseStackScan-Cause(rt.CauseScan)) +
		uint(CauseRuntime-Cause(rt.CauseOther)) + uint(CauseUnknown-Cause(rt.NumCauses))
	_ = uint(HistBuckets - rt.HistBuckets)
)
