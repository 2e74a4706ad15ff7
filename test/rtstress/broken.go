// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux && rtstress_broken

package main

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Bugs that the checks must find.
func init() {
	register("broken-hang", 1, "never ends", func(w *worker) { select {} })
	register("broken-policy", 1, "a thread left in real time", func(w *worker) {
		go func() {
			runtime.LockOSThread()
			unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_FIFO, Priority: 1}, 0)
			time.Sleep(time.Hour)
		}()
	})
	register("broken-affinity", 1, "a thread left on one CPU", func(w *worker) {
		go func() {
			runtime.LockOSThread()
			for c := range 1024 {
				if w.allCPUs.IsSet(c) {
					var set unix.CPUSet
					set.Set(c)
					unix.SchedSetaffinity(0, &set)
					break
				}
			}
			time.Sleep(time.Hour)
		}()
	})
	register("broken-goroutine", 1, "goroutines left", func(w *worker) {
		go time.Sleep(time.Hour)
	})
	register("broken-thread", 1, "a task whose thread loses its policy", func(w *worker) {
		unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_NORMAL}, 0)
	})
	register("broken-crash", 1, "the program ends", func(w *worker) {
		go panic("broken")
	})
}
