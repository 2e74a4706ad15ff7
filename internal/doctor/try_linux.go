// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package doctor

import (
	"errors"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryFIFO sets SCHED_FIFO on a thread of its own, which ends with the
// goroutine, as that never unlocks it.
func tryFIFO(priority int) (syscall.Errno, error) {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: uint32(priority)}, 0)
		if err == nil {
			// Nothing is to run at this priority on the way out.
			err = unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}, 0)
		}
		result <- err
	}()
	err := <-result
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno, nil
	}
	return 0, err
}
