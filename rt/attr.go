// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Policy is a real-time scheduling policy of the kernel (sched(7)).
type Policy int

const (
	// FIFO is SCHED_FIFO: the thread runs until it blocks or a thread of
	// higher priority becomes ready.
	FIFO Policy = iota
	// RR is SCHED_RR: FIFO with a time slice among threads of equal
	// priority (/proc/sys/kernel/sched_rr_timeslice_ms).
	RR
	// Deadline is SCHED_DEADLINE: the kernel gives the thread Runtime of
	// CPU time in each Period, at the latest Deadline after its beginning,
	// and no more than that. It runs before every FIFO and RR thread.
	//
	// Some kernels, Linux 6.18 among them, lose such a thread for ever when it
	// meets priority inheritance: test/rtstress/testdata/deadlinepi.c in
	// rtgo's repository shows it, without Go. Under rtgo every task meets it,
	// by a Mutex and when the world is stopped. Try the kernel before you rely
	// on the policy.
	Deadline
)

func (p Policy) String() string {
	switch p {
	case FIFO:
		return "FIFO"
	case RR:
		return "RR"
	case Deadline:
		return "Deadline"
	}
	return "Policy(" + strconv.Itoa(int(p)) + ")"
}

// Attr says how a goroutine runs in real time.
type Attr struct {
	// Name is the thread's name, as ps -L, top -H and kernel traces show it,
	// cut to 15 bytes. The empty name leaves the thread's own. The name of
	// the main thread is that of the process.
	Name string

	Policy Policy

	// Priority is 1 (lowest) to 99 for FIFO and RR, and 0 for Deadline. The
	// kernel's own threads, those of interrupts among them, run at 50;
	// choose a higher one only if the task can do without them. Leave 99 to
	// the runtime's watchdog, which must be able to run above every task.
	Priority int

	// Runtime, Deadline and Period are for policy Deadline alone:
	// 1.024 µs <= Runtime <= Deadline <= Period, and Period within
	// /proc/sys/kernel/sched_deadline_period_{min,max}_us (by default 100 µs
	// to 4.19 s). A zero Deadline is Period, a zero Period is Deadline.
	Runtime, Deadline, Period time.Duration

	// CPUs are the numbers of the CPUs the goroutine may run on, from 0. All
	// must be in the cpuset of the process. None leaves the thread's
	// affinity. The kernel refuses policy Deadline for a thread that may not
	// run on every CPU of its root domain.
	CPUs []int
}

// maxCPU bounds CPU numbers; the kernel's limit (CONFIG_NR_CPUS) is at most
// this.
const maxCPU = 8192

// minRuntime is the kernel's lower bound of Runtime (1 << DL_SCALE ns).
const minRuntime = 1024 * time.Nanosecond

// check returns a copy of a that shares no memory with it and has its
// defaults filled in.
func (a Attr) check() (Attr, error) {
	bad := func(kind error, fix, format string, args ...any) (Attr, error) {
		return Attr{}, &Error{Kind: kind, Problem: fmt.Sprintf(format, args...), Fix: fix}
	}
	switch a.Policy {
	case FIFO, RR:
		if a.Priority < 1 || a.Priority > 99 {
			return bad(ErrPriority, "set Attr.Priority to 1 (lowest) to 99", "priority %d is out of range for policy %v", a.Priority, a.Policy)
		}
		if a.Runtime != 0 || a.Deadline != 0 || a.Period != 0 {
			return bad(ErrAttr, "leave them 0, or choose policy Deadline", "Runtime, Deadline and Period do not apply to policy %v", a.Policy)
		}
	case Deadline:
		if a.Priority != 0 {
			return bad(ErrPriority, "leave Attr.Priority 0", "priority %d given, but policy Deadline has none", a.Priority)
		}
		if a.Deadline == 0 {
			a.Deadline = a.Period
		}
		if a.Period == 0 {
			a.Period = a.Deadline
		}
		if a.Runtime < minRuntime || a.Runtime > a.Deadline || a.Deadline > a.Period {
			return bad(ErrAttr, "choose 1.024µs <= Runtime <= Deadline <= Period", "runtime %v, deadline %v and period %v do not fit policy Deadline", a.Runtime, a.Deadline, a.Period)
		}
	default:
		return bad(ErrAttr, "choose FIFO, RR or Deadline", "there is no %v", a.Policy)
	}
	if strings.IndexByte(a.Name, 0) >= 0 {
		return bad(ErrAttr, "remove it", "thread name %q has a zero byte", a.Name)
	}
	for _, c := range a.CPUs {
		if c < 0 || c >= maxCPU {
			return bad(ErrCPU, "CPUs are numbered from 0; see /sys/devices/system/cpu/online", "there is no CPU %d", c)
		}
	}
	a.CPUs = slices.Clone(a.CPUs)
	slices.Sort(a.CPUs)
	a.CPUs = slices.Compact(a.CPUs)
	return a, nil
}
