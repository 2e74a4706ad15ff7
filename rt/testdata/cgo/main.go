// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

// Cgo checks real-time goroutines that call C, and are called by it.
package main

/*

#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <sys/syscall.h>

extern int goCallback(int);

static int tid(void) { return syscall(SYS_gettid); }
// policy leaves out SCHED_RESET_ON_FORK.
static int policy(void) { return sched_getscheduler(0) & ~0x40000000; }
static int callback(int n) { return goCallback(n); }

static void *other(void *p) { *(int *)p = policy(); return 0; }

// started returns the policy of a thread started here, -1 if none can be.
static int started(void) {
	pthread_t t;
	int p = -1;
	if (pthread_create(&t, 0, other, &p))
		return -1;
	pthread_join(t, 0);
	return p;
}

// called runs a callback on a thread of C's own.
static void *caller(void *p) { *(int *)p = goCallback(-1); return 0; }
static int called(void) {
	pthread_t t;
	int p = -1;
	if (pthread_create(&t, 0, caller, &p))
		return -1;
	pthread_join(t, 0);
	return p;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/rt"
)

var task *rt.Task

//export goCallback
func goCallback(n C.int) C.int {
	if n < 0 {
		// On a thread that C started: not the task.
		if rt.Self() != nil {
			return 1
		}
		return C.policy()
	}
	if rt.Self() != task {
		return -1
	}
	time.Sleep(time.Millisecond)
	if n == 0 {
		return C.int(unix.Gettid())
	}
	return C.callback(n - 1)
}

func run() error {
	task = rt.Self()
	for range 100 {
		switch {
		case int(C.tid()) != unix.Gettid():
			return errors.New("C runs on another thread")
		case C.policy() != unix.SCHED_FIFO:
			return errors.New("C does not run at SCHED_FIFO")
		case C.started() != unix.SCHED_NORMAL:
			return errors.New("a thread started by C is real-time")
		}
	}
	if int(C.callback(5)) != unix.Gettid() {
		return errors.New("a callback runs on another thread, or not as the task")
	}
	if C.called() != unix.SCHED_NORMAL {
		return errors.New("a callback on a thread of C's own is real-time")
	}
	return nil
}

func main() {
	if err := rt.Do(rt.Attr{Priority: 20}, run); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	if C.policy() != unix.SCHED_NORMAL || C.started() != unix.SCHED_NORMAL {
		fmt.Println("real-time after leaving")
		os.Exit(1)
	}
	fmt.Println("ok")
}
