// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

func prepare(o Options) error {
	if o.Heap < 0 {
		return &Error{Kind: ErrAttr, Problem: fmt.Sprintf("a heap of %d bytes", o.Heap), Fix: "set Options.Heap to 0 or more"}
	}
	self() // knows the main goroutine of GODEBUG=rtmain from here on
	var err error
	if len(o.CPUs) > 0 {
		err = split(o.CPUs)
	}
	// Locked before it is touched, so that it stays.
	err = errors.Join(raiseRTPrio(), lockMemory(o.Memory), err)
	if o.Heap > 0 {
		prefault(o.Heap)
	}
	switch {
	case o.Stack > 0:
		taskStack.Store(int64(o.Stack))
	case o.Stack == 0:
		taskStack.Store(defaultTaskStack)
	default:
		taskStack.Store(0)
	}
	return err
}

// raiseRTPrio raises the soft limit to the hard one, which needs no
// privilege.
func raiseRTPrio() error {
	var l unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_RTPRIO, nil, &l); err != nil {
		return &Error{Kind: ErrPermission, Problem: "RLIMIT_RTPRIO cannot be read", Errno: err.(syscall.Errno)}
	}
	if l.Cur >= l.Max {
		return nil
	}
	l.Cur = l.Max
	if err := unix.Prlimit(0, unix.RLIMIT_RTPRIO, &l, nil); err != nil {
		return &Error{Kind: ErrPermission, Problem: "RLIMIT_RTPRIO cannot be raised", Errno: err.(syscall.Errno)}
	}
	return nil
}

func lockMemory(m MemoryLock) error {
	const fix = "grant CAP_IPC_LOCK, or lift the limit: ulimit -l unlimited; memlock unlimited in /etc/security/limits.conf; LimitMEMLOCK=infinity (systemd); docker run --ulimit memlock=-1"
	fail := func(format string, args ...any) error {
		e := &Error{Kind: ErrMemoryLock, Problem: fmt.Sprintf(format, args...), Fix: fix}
		return e
	}
	var flags []int
	switch m {
	case LockResident:
		// The second call keeps what the first brought in.
		flags = []int{unix.MCL_CURRENT, unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT}
	case LockOnFault:
		flags = []int{unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT}
	case LockAll:
		flags = []int{unix.MCL_CURRENT | unix.MCL_FUTURE}
	case LockNone:
		return nil
	default:
		return &Error{Kind: ErrAttr, Problem: fmt.Sprintf("there is no MemoryLock %d", m), Fix: "choose one of the constants"}
	}
	if !capable(unix.CAP_IPC_LOCK) {
		var l unix.Rlimit
		if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, nil, &l); err == nil && l.Cur != unix.RLIM_INFINITY {
			return fail("memory is not locked: RLIMIT_MEMLOCK is %d KB and the process has no CAP_IPC_LOCK", l.Cur/1024)
		}
	}
	for _, f := range flags {
		err := unix.Mlockall(f)
		switch err {
		case nil:
		case unix.EINVAL:
			return &Error{Kind: ErrMemoryLock, Problem: "memory is not locked: the kernel does not know MCL_ONFAULT", Fix: "use Linux 4.4 or later, or LockAll", Errno: unix.EINVAL}
		default:
			e := fail("memory is not locked").(*Error)
			e.Errno = err.(syscall.Errno)
			return e
		}
	}
	return nil
}
