// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build !goexperiment.rt && linux

package main

import (
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

const realtime = false

// enter gives the calling goroutine a thread of its own at SCHED_FIFO, the
// best that a program can do under stock Go.
func enter(prio int) error {
	runtime.LockOSThread()
	attr := struct {
		size, policy              uint32
		flags                     uint64
		nice                      int32
		priority                  uint32
		runtime, deadline, period uint64
	}{size: 48, policy: 1 /* SCHED_FIFO */, priority: uint32(prio)}
	if _, _, errno := syscall.Syscall(sysSchedSetattr, 0, uintptr(unsafe.Pointer(&attr)), 0); errno != 0 {
		return errno
	}
	return nil
}

// leave ends the thread with the goroutine: it stays locked.
func leave() {}

var start = time.Now()

func now() int64 { return int64(time.Since(start)) }

func sleepUntil(ns int64) { time.Sleep(time.Duration(ns - now())) }
