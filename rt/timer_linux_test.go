// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A task that waits for a timer or a deadline is woken at the new time if
// another goroutine makes it an earlier one meanwhile.
func TestTimerMoved(t *testing.T) {
	needRT(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	c1, c2 := tcpPair()
	defer c1.Close()
	defer c2.Close()
	timer := time.NewTimer(time.Hour)
	ticker := time.NewTicker(time.Hour)
	soon := func() time.Time { return time.Now().Add(5 * time.Millisecond) }
	for _, test := range []struct {
		name  string
		set   func()
		block func() error
		move  func()
	}{
		{"pipe", func() { r.SetReadDeadline(time.Now().Add(time.Hour)) },
			func() error { _, err := r.Read(make([]byte, 1)); return wantIs(err, os.ErrDeadlineExceeded) },
			func() { r.SetReadDeadline(soon()) }},
		{"tcp", func() { c1.SetReadDeadline(time.Now().Add(time.Hour)) },
			func() error { _, err := c1.Read(make([]byte, 1)); return wantIs(err, os.ErrDeadlineExceeded) },
			func() { c1.SetReadDeadline(soon()) }},
		{"tcp, first deadline", func() { c1.SetReadDeadline(time.Time{}) },
			func() error { _, err := c1.Read(make([]byte, 1)); return wantIs(err, os.ErrDeadlineExceeded) },
			func() { c1.SetReadDeadline(soon()) }},
		{"timer", func() { timer.Reset(time.Hour) },
			func() error {
				if d := time.Since(<-timer.C); d > time.Second {
					return errors.New("the timer is late by " + d.String())
				}
				return nil
			},
			func() { timer.Reset(5 * time.Millisecond) }},
		{"ticker", func() { ticker.Reset(time.Hour) },
			func() error { <-ticker.C; return nil },
			func() { ticker.Reset(5 * time.Millisecond) }},
	} {
		for range 3 {
			ended := make(chan error, 1)
			task, err := Go(Attr{Priority: 10}, func() {
				test.set()
				ended <- test.block()
			})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
			test.move()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("%s: %v", test.name, err)
				}
			case <-time.After(2 * time.Second):
				t.Fatalf("%s: not woken at the earlier time", test.name)
			}
			task.Wait()
		}
	}
}

// busy keeps every ordinary P busy until the returned function is called.
func busy() (stop func()) {
	var ended atomic.Bool
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) + 1 {
		wg.Go(func() {
			for !ended.Load() {
			}
		})
	}
	return func() {
		ended.Store(true)
		wg.Wait()
	}
}

// Timers that a task has made run though no ordinary P is idle, which alone
// would look for them: while the task sleeps, while it waits, and when it has
// left real time.
func TestTimersOfTask(t *testing.T) {
	needRT(t)
	defer busy()()
	for _, test := range []struct {
		name string
		wait func(fired *atomic.Bool)
	}{
		{"sleeps", func(fired *atomic.Bool) {
			for range 2000 {
				if fired.Load() {
					break
				}
				SleepUntil(time.Now().Add(time.Millisecond))
			}
		}},
		{"sleeps by time.Sleep", func(fired *atomic.Bool) {
			for range 2000 {
				if fired.Load() {
					break
				}
				time.Sleep(time.Millisecond)
			}
		}},
		{"waits", func(fired *atomic.Bool) { <-time.After(2 * time.Second) }},
		{"leaves", func(*atomic.Bool) {}},
	} {
		var fired atomic.Bool
		err := Do(Attr{Priority: 10}, func() error {
			time.AfterFunc(5*time.Millisecond, func() { fired.Store(true) })
			test.wait(&fired)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for until := time.Now().Add(5 * time.Second); !fired.Load(); time.Sleep(time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%s: the timer never fired", test.name)
			}
		}
	}
}

// The deadline of a context that a task has made ends a wait for it though no
// ordinary goroutine can run: one holds an rt.Mutex, so that it is not
// preempted, and computes on the only ordinary P.
func TestContextDeadline(t *testing.T) {
	needRT(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	type key struct{}
	background := context.Background()
	for _, test := range []struct {
		name   string
		parent func() (context.Context, context.CancelFunc)
	}{
		{"background", func() (context.Context, context.CancelFunc) { return background, func() {} }},
		{"without cancel", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(context.WithValue(background, key{}, 1))
			return context.WithoutCancel(ctx), cancel
		}},
		{"later deadline", func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithTimeout(background, time.Hour)
			return context.WithValue(ctx, key{}, 1), cancel
		}},
	} {
		var holds, done, gaveUp atomic.Bool
		var mu Mutex
		err := Do(Attr{Priority: 10}, func() error {
			go func() {
				mu.Lock()
				defer mu.Unlock()
				holds.Store(true)
				for start := time.Now(); !done.Load(); {
					if time.Since(start) > 10*time.Second {
						gaveUp.Store(true)
						return
					}
				}
			}()
			defer done.Store(true)
			for !holds.Load() {
				SleepUntil(time.Now().Add(time.Millisecond))
			}
			parent, cancel := test.parent()
			defer cancel()
			for range 50 {
				if err := expire(parent); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if gaveUp.Load() {
			t.Errorf("%s: the wait ended only when an ordinary goroutine could run", test.name)
		}
	}
}

// expire waits for a deadline by a child of the context that has it.
func expire(parent context.Context) error {
	ctx, cancel := context.WithTimeout(parent, 2*time.Millisecond)
	defer cancel()
	child, cancelChild := context.WithCancel(ctx)
	defer cancelChild()
	<-child.Done()
	return wantIs(child.Err(), context.DeadlineExceeded)
}
