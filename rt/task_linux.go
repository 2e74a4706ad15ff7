// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"slices"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Steps of entering real time that can fail, as in runtime/rt.
const (
	stepNone = iota
	stepState
	stepAffinity
	stepSched
)

// enter makes the calling goroutine real-time as t.
func (t *Task) enter() error {
	if step, errno := t.apply(); step != stepNone {
		return diagnose(&t.attr, step, errno)
	}
	if !t.hasCPUs() {
		t.restore()
		return cpuError(&t.attr, 0)
	}
	return nil
}

// hasCPUs reports whether the calling thread got every CPU it was to have: the
// kernel takes those of a mask that the cpuset allows and does not mention
// the rest.
func (t *Task) hasCPUs() bool {
	if len(t.attr.CPUs) == 0 {
		return true
	}
	set := unix.NewCPUSet(maxCPU)
	if unix.SchedGetaffinityDynamic(0, set) != nil {
		return false
	}
	for _, c := range t.attr.CPUs {
		if !set.IsSet(c) {
			return false
		}
	}
	return true
}

// schedAttr returns the kernel's form of a. SCHED_FLAG_RESET_ON_FORK keeps
// processes and threads started from the thread, by os/exec or by C, out of
// real time.
func (a *Attr) schedAttr() unix.SchedAttr {
	s := unix.SchedAttr{
		Size:     unix.SizeofSchedAttr,
		Policy:   a.Policy.number(),
		Flags:    unix.SCHED_FLAG_RESET_ON_FORK,
		Priority: uint32(a.Priority),
	}
	if a.Policy == Deadline {
		s.Runtime, s.Deadline, s.Period = uint64(a.Runtime), uint64(a.Deadline), uint64(a.Period)
	}
	return s
}

// number returns the kernel's number of p.
func (p Policy) number() uint32 {
	switch p {
	case RR:
		return unix.SCHED_RR
	case Deadline:
		return unix.SCHED_DEADLINE
	}
	return unix.SCHED_FIFO
}

// A threadAttr is what entering real time changes of a thread.
type threadAttr struct {
	policy   uint32
	flags    uint64
	nice     int32
	priority uint32
	cpus     unix.CPUSet
	name     [16]byte
}

// threadState returns the attributes of the calling thread.
func threadState() (s threadAttr) {
	if a, err := unix.SchedGetAttr(0, 0); err == nil {
		s.policy, s.flags, s.nice, s.priority = a.Policy, a.Flags, a.Nice, a.Priority
	}
	unix.SchedGetaffinity(0, &s.cpus)
	threadName(&s.name)
	return s
}

// threadName reads the name of the calling thread.
func threadName(name *[16]byte) {
	unix.Prctl(unix.PR_GET_NAME, uintptr(unsafe.Pointer(name)), 0, 0, 0)
}

// tasks lists the running tasks. It is read without a lock, and replaced as a
// whole.
var tasks atomic.Pointer[[]*Task]

func register(t *Task) {
	change(func(l []*Task) []*Task { return append(slices.Clone(l), t) })
}

func unregister(t *Task) {
	change(func(l []*Task) []*Task {
		return slices.DeleteFunc(slices.Clone(l), func(t2 *Task) bool { return t2 == t })
	})
}

func change(f func([]*Task) []*Task) {
	for {
		old := tasks.Load()
		var l []*Task
		if old != nil {
			l = *old
		}
		l = f(l)
		if tasks.CompareAndSwap(old, &l) {
			return
		}
	}
}
