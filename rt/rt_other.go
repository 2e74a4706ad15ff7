// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build !linux

// The package where there is no real-time scheduling that it knows.

package rt

import (
	"runtime"
	"sync"
	"time"
)

const supported = false

type backend struct{}

type faults struct{}

func threadFaults(int) (f faults) { return f }

func (t *Task) enter() error {
	return &Error{Kind: ErrUnsupported, Problem: "real-time scheduling is not supported on " + runtime.GOOS, Fix: "run the program on Linux"}
}

func (t *Task) restore()                       {}
func (t *Task) setPriority(priority int) error { return t.enter() }
func (t *Task) threadID() int                  { return 0 }
func (t *Task) checkHeld()                     {}
func (t *Task) readStats(*Stats) bool          { return false }
func self() *Task                              { return nil }
func threadState() struct{}                    { return struct{}{} }
func setThreshold(time.Duration) time.Duration { return 0 }

func critical(time.Duration)                  {}
func setWatchdog(time.Duration) time.Duration { return 0 }
func readRuntime() RuntimeStats               { return RuntimeStats{} }

var start = time.Now()

func rawNanotime() int64 { return int64(time.Since(start)) }

func sleepUntil(_ *Task, when int64) {
	if d := when - nanotime(); d > 0 {
		time.Sleep(time.Duration(d))
	}
}

func prepare(o Options) error { return (*Task)(nil).enter() }

type mutex struct{ m sync.Mutex }

func (m *mutex) lock()         { m.m.Lock() }
func (m *mutex) tryLock() bool { return m.m.TryLock() }
func (m *mutex) unlock()       { m.m.Unlock() }
