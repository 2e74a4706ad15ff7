// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"bytes"
	"slices"
	"strconv"
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
	housekeeping.entering.RLock()
	defer housekeeping.entering.RUnlock()
	if cpus := splitCPUs(); cpus != nil && len(t.attr.CPUs) == 0 && t.attr.Policy != Deadline {
		t.attr.CPUs, t.split = cpus, true
	}
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
	prctlName(unix.PR_GET_NAME, name)
}

// prctlName passes a name to the kernel or back. It does not call unix.Prctl:
// the stack that holds the name may move on the way into it.
func prctlName(option uintptr, name *[16]byte) {
	unix.RawSyscall6(unix.SYS_PRCTL, option, uintptr(unsafe.Pointer(name)), 0, 0, 0, 0)
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

// faults are page faults of a thread.
type faults struct{ minor, major uint64 }

// threadFaults returns the page faults of the thread tid, 0 for the calling
// one. It does not allocate.
func threadFaults(tid int) (f faults) {
	if tid == 0 || tid == unix.Gettid() {
		var u unix.Rusage
		if unix.Getrusage(unix.RUSAGE_THREAD, &u) == nil {
			f.minor, f.major = uint64(u.Minflt), uint64(u.Majflt)
		}
		return f
	}
	name := append(make([]byte, 0, 64), "/proc/self/task/"...)
	name = strconv.AppendInt(name, int64(tid), 10)
	name = append(name, "/stat\x00"...)
	at := unix.AT_FDCWD
	fd, _, e := unix.Syscall6(unix.SYS_OPENAT, uintptr(at), uintptr(unsafe.Pointer(&name[0])), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if e != 0 {
		return f
	}
	var buf [512]byte
	n, _, e := unix.Syscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
	unix.Syscall(unix.SYS_CLOSE, fd, 0, 0)
	if e != 0 {
		return f
	}
	// After the name, which ends with the last parenthesis, field 3 begins;
	// minflt is field 10, majflt field 12.
	b := buf[:n]
	field := 2
	var value uint64
	for _, c := range b[bytes.LastIndexByte(b, ')')+1:] {
		switch {
		case c == ' ':
			switch field {
			case 10:
				f.minor = value
			case 12:
				f.major = value
				return f
			}
			field++
			value = 0
		case c >= '0' && c <= '9':
			value = value*10 + uint64(c-'0')
		}
	}
	return f
}

// countFaults puts the page faults of t's thread since t entered into s.
func (t *Task) countFaults(s *Stats) {
	tid := t.threadID()
	if tid == 0 {
		return
	}
	f := threadFaults(tid)
	s.MinorFaults, s.MajorFaults = f.minor-t.faults.minor, f.major-t.faults.major
}
