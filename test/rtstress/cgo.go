// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux && cgo && rtstress_cgo

package main

/*
#include <pthread.h>
#include <time.h>
#include <sched.h>

extern int rtstressCallback(int);

static void pause_us(long us) {
	struct timespec t = {0, us * 1000};
	nanosleep(&t, 0);
}
static int callback(int n) { return rtstressCallback(n); }
static void *run(void *p) { *(int *)p = sched_getscheduler(0) & ~0x40000000; rtstressCallback(0); return 0; }

// thread returns the policy of a thread started here, which calls Go too.
static int thread(void) {
	pthread_t t;
	int p = 0;
	if (pthread_create(&t, 0, run, &p) == 0)
		pthread_join(t, 0);
	return p;
}
*/
import "C"

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

//export rtstressCallback
func rtstressCallback(n C.int) C.int {
	time.Sleep(20 * time.Microsecond)
	if n <= 0 {
		return C.int(unix.Gettid())
	}
	return C.callback(n - 1)
}

func init() {
	register("cgo", 15, "calls to C, some of them block", func(w *worker) {
		C.pause_us(C.long(w.rng.IntN(300)))
	})
	register("cgo-callback", 10, "C calls Go, which calls C", func(w *worker) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if tid := int(C.callback(C.int(w.rng.IntN(5)))); tid != unix.Gettid() {
			w.fail("callback ran on thread %d, not %d", tid, unix.Gettid())
		}
	})
	register("cgo-thread", 2, "C starts a thread that calls Go", func(w *worker) {
		if p := C.thread(); p != unix.SCHED_NORMAL {
			w.fail("a thread started by C has policy %d", int(p))
		}
	})
}
