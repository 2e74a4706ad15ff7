// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"errors"
	"syscall"
)

// What can go wrong when a goroutine enters real time, for [errors.Is]. The
// errors that functions return are of type [*Error] and say more: what was
// found, and what to do about it.
var (
	// ErrUnsupported: the operating system has no real-time scheduling that
	// this package knows. It is [errors.ErrUnsupported] too.
	ErrUnsupported error = unsupported{}

	// ErrPermission: the process has neither CAP_SYS_NICE in the initial
	// user namespace nor a soft RLIMIT_RTPRIO of at least the priority.
	ErrPermission = errors.New("rt: no permission to use real-time scheduling")

	// ErrGroupQuota: the kernel has RT group scheduling
	// (CONFIG_RT_GROUP_SCHED) and the control group of the process has no
	// share of real-time CPU time. The kernel reports EPERM for this too,
	// but no capability helps.
	ErrGroupQuota = errors.New("rt: control group has no real-time quota")

	// ErrPriority: the priority is not one of the policy's.
	ErrPriority = errors.New("rt: priority out of range")

	// ErrAttr: the attributes contradict each other, or the kernel has
	// narrower bounds for them.
	ErrAttr = errors.New("rt: invalid attributes")

	// ErrCPU: a CPU does not exist, is offline, or is outside the cpuset of
	// the process.
	ErrCPU = errors.New("rt: CPU not in the allowed set")

	// ErrAdmission: policy Deadline, and the kernel cannot guarantee the
	// bandwidth besides what it has promised already.
	ErrAdmission = errors.New("rt: deadline bandwidth refused")

	// ErrDeadlineAffinity: policy Deadline for a thread that may not run on
	// every CPU of its root domain.
	ErrDeadlineAffinity = errors.New("rt: policy Deadline excludes CPU affinity")

	// ErrNested: the goroutine is real-time already.
	ErrNested = errors.New("rt: goroutine is real-time already")

	// ErrLocked: the goroutine holds a [Mutex].
	ErrLocked = errors.New("rt: goroutine holds a Mutex")

	// ErrEnded: the task has left real time.
	ErrEnded = errors.New("rt: task has ended")

	// ErrMemoryLimit: the budget of [NoGC] does not fit into the memory limit
	// of the process.
	ErrMemoryLimit = errors.New("rt: memory limit too low")

	// ErrBudget: more was allocated in [NoGC] than its budget.
	ErrBudget = errors.New("rt: no-GC region exceeded its budget")

	// ErrMemoryLock: [Prepare] could not lock the memory of the process.
	ErrMemoryLock = errors.New("rt: cannot lock memory")
)

type unsupported struct{}

func (unsupported) Error() string        { return "rt: real-time scheduling is not supported here" }
func (unsupported) Is(target error) bool { return target == errors.ErrUnsupported }

// An Error tells why a goroutine could not enter real time, or why another
// request failed.
type Error struct {
	Kind    error         // one of the Err variables of this package
	Problem string        // what was found
	Fix     string        // what to do about it
	Errno   syscall.Errno // what the kernel said; 0 if it was not asked
}

func (e *Error) Error() string {
	s := "rt: " + e.Problem
	if e.Errno != 0 {
		s += " (" + e.Errno.Error() + ")"
	}
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}

// Unwrap returns Kind and, if there is one, Errno.
func (e *Error) Unwrap() []error {
	if e.Errno == 0 {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Errno}
}
