// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// A Task is a goroutine in real time, from its entry to its leaving.
type Task struct {
	attr     Attr
	priority atomic.Int32
	done     chan struct{}
	backend

	split  bool   // runs on the CPUs that Prepare gave to tasks
	faults faults // of the thread, when it entered

	cycles, missed, overruns atomic.Uint64 // written by Every

	left  atomic.Bool // final is valid
	final Stats
}

// Supported reports whether the program was built by rtgo, so that its
// runtime knows real-time goroutines and the package's promises hold. Without
// it the package does what can be done from outside the runtime.
func Supported() bool { return supported }

// Do calls f in real time on the calling goroutine and returns f's error. If
// the goroutine cannot enter real time Do returns an [*Error] at once and
// does not call f.
//
// When f returns, panics or calls [runtime.Goexit], the thread has its former
// policy, priority, nice value, affinity and name again before anything else
// of the goroutine runs. The single thing that can remain is the thread's
// SCHED_FLAG_RESET_ON_FORK if the process has no CAP_SYS_NICE: the kernel
// lets nobody but the privileged clear it.
//
// Do must not be nested ([ErrNested]). Within f, [runtime.LockOSThread] and
// [runtime.UnlockOSThread] must be balanced.
func Do(a Attr, f func() error) error {
	t, err := newTask(a)
	if err != nil {
		return err
	}
	if err := t.enter(); err != nil {
		return err
	}
	defer func() {
		t.leave()
		close(t.done)
	}()
	t.begin()
	return f()
}

// Go starts a goroutine that runs f in real time. It returns when the
// goroutine has entered real time, or has failed to: the error is never late.
// f's goroutine then may not have run any of f yet.
//
// The goroutine is started by ordinary threads, so a real-time goroutine that
// calls Go waits for them.
//
// A panic in f ends the program as in any goroutine. If f's goroutine ends
// while it holds a [Mutex] the program crashes, since the waiters could never
// go on.
func Go(a Attr, f func()) (*Task, error) {
	t, err := newTask(a)
	if err != nil {
		return nil, err
	}
	entered := make(chan error, 1)
	go func() {
		// A thread that does not get back all it had must end with the
		// goroutine: it does if the goroutine is still locked to it.
		runtime.LockOSThread()
		before := threadState()
		if err := t.enter(); err != nil {
			runtime.UnlockOSThread()
			entered <- err
			return
		}
		defer func() {
			t.leave()
			if threadState() == before {
				runtime.UnlockOSThread()
			}
			close(t.done)
			t.checkHeld()
		}()
		t.begin()
		entered <- nil
		f()
	}()
	if err := <-entered; err != nil {
		return nil, err
	}
	return t, nil
}

func newTask(a Attr) (*Task, error) {
	a, err := a.check()
	if err != nil {
		return nil, err
	}
	t := &Task{attr: a, done: make(chan struct{})}
	t.priority.Store(int32(a.Priority))
	return t, nil
}

// begin readies the calling task, which has entered.
func (t *Task) begin() {
	if n := taskStack.Load(); n > 0 {
		touchStack(n)
	}
	t.faults = threadFaults(0)
}

// leave makes the calling goroutine, which is t's, ordinary again.
func (t *Task) leave() {
	t.readStats(&t.final)
	t.left.Store(true)
	t.restore()
}

// Self returns the task of the calling goroutine, nil if it is ordinary.
func Self() *Task { return self() }

// Attr returns the attributes of the task, with its present priority.
func (t *Task) Attr() Attr {
	a := t.attr
	a.Priority = int(t.priority.Load())
	a.CPUs = append([]int(nil), a.CPUs...)
	return a
}

// TID returns the kernel's id of the thread that runs the task, which is
// what /proc/self/task and kernel traces call it; 0 once the task has ended.
func (t *Task) TID() int {
	if t.left.Load() {
		return 0
	}
	return t.threadID()
}

// Done returns a channel that is closed when the task has left real time.
func (t *Task) Done() <-chan struct{} { return t.done }

// Wait waits until the task has left real time and its thread has its
// former attributes again.
func (t *Task) Wait() { <-t.done }

// SetPriority changes the priority of the task, from any goroutine, to 1
// (lowest) to 99. The policy must be FIFO or RR. What applies to entering
// real time applies to it as well: it needs CAP_SYS_NICE, or an RLIMIT_RTPRIO
// of at least the new priority. On a task that has left real time it does
// nothing and returns [ErrEnded].
func (t *Task) SetPriority(priority int) error {
	if t.attr.Policy == Deadline {
		return &Error{Kind: ErrPriority, Problem: "policy Deadline has no priority", Fix: "use FIFO or RR"}
	}
	if priority < 1 || priority > 99 {
		return &Error{Kind: ErrPriority, Problem: fmt.Sprintf("priority %d is out of range for policy %v", priority, t.attr.Policy), Fix: "set it to 1 (lowest) to 99"}
	}
	if err := t.setPriority(priority); err != nil {
		return err
	}
	t.priority.Store(int32(priority))
	return nil
}

// Stats returns what has been counted for the task so far, or until it ended.
// It does not allocate. It reads a file in /proc for the page faults of another
// goroutine's task.
func (t *Task) Stats() Stats {
	var s Stats
	if t.left.Load() || !t.readStats(&s) {
		// If there is nothing to read any more the task has set left.
		t.left.Load()
		s = t.final
	}
	return s
}

// SetThreshold sets the lateness above which the wake-up of any task counts
// as late, and returns the previous value. 0 counts none. The default is
// 100 µs.
func SetThreshold(d time.Duration) time.Duration { return setThreshold(max(d, 0)) }
