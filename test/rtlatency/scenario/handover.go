// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package scenario

import (
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/rt"
	"rtgo.dev/rtgo/test/rtlatency/clock"
)

// A wakeup is one way for a goroutine to wake another.
type wakeup struct {
	arm  func() // by the waiter, before it says that it is about to wait; may be nil
	wait func() // by the waiter: returns when woken
	wake func() // by the waker: wakes the waiter once
}

// A lever starts each hand-over: the waker reads the clock just before it
// wakes the waiter, and the waiter's lateness counts from that moment.
type lever struct {
	wakeup
	armed atomic.Int64 // number of hand-overs the waiter has got ready for
	stamp atomic.Int64
}

// waiter is the measured side.
func (l *lever) waiter(t *Task) {
	for n := int64(1); ; n++ {
		if l.arm != nil {
			l.arm()
		}
		l.armed.Store(n)
		l.wait()
		now := clock.Now()
		if t.run.stopped.Load() {
			break
		}
		t.sample(now-l.stamp.Load(), now)
		if r := t.run; r.Loops != 0 && uint64(n) >= r.Loops {
			r.Stop()
		}
	}
	l.armed.Store(-1)
}

// waker wakes the waiter once per period, by absolute times, as long as the
// run lasts. A release at which the waiter is not yet back is passed over.
func (l *lever) waker(r *Run, period int64, sleep func(next int64)) {
	next, n := r.begin+period, int64(1)
	for ; !r.stopped.Load() && (r.end == 0 || next < r.end); next += period {
		next = skipMissed(next, period)
		sleep(next)
		if l.armed.Load() != n {
			continue
		}
		n++
		checkStack()
		l.stamp.Store(clock.Now())
		l.wake()
	}
	r.Stop()
	for l.armed.Load() >= 0 {
		if l.armed.Load() == n {
			n++
			l.wake()
		}
		time.Sleep(time.Millisecond)
	}
}

func (r *Run) goSleep(next int64) { time.Sleep(time.Duration(next - clock.Now())) }

// compute burns CPU until next.
func (r *Run) compute(next int64) {
	for clock.Now() < next && !r.stopped.Load() {
		checkStack()
	}
}

// checkStack checks its stack, and hence for preemption, as functions that call
// others do. A waker calls it just before it reads the clock: a preemption that
// was asked for earlier would else take effect at the next function that checks
// its stack, which is the wake-up itself, and the waker's own absence would
// count as the task's lateness.
//
//go:noinline
func checkStack() { spin() }

//go:noinline
func spin() {
	for range 256 {
		burn.Add(1)
	}
}

func (r *Run) rtSleep(next int64) { rt.SleepUntil(r.base.Time(next)) }

func channel(n int) func() wakeup {
	return func() wakeup {
		c := make(chan struct{}, n)
		return wakeup{wait: func() { <-c }, wake: func() { c <- struct{}{} }}
	}
}

func init() {
	ways := []struct {
		name, what, twin string
		new              func() wakeup
	}{
		{"chan", "receive from an unbuffered channel", "sem", channel(0)},
		{"chan-buffered", "receive from a buffered channel", "sem", channel(16)},
		{"chan-send", "send to an unbuffered channel that another goroutine receives from", "sem", func() wakeup {
			c := make(chan struct{})
			return wakeup{wait: func() { c <- struct{}{} }, wake: func() { <-c }}
		}},
		{"select", "select on two channels and a nil one", "sem", func() wakeup {
			a, b := make(chan struct{}), make(chan struct{})
			var none chan struct{}
			return wakeup{wait: func() {
				select {
				case <-a:
				case <-b:
				case <-none:
				}
			}, wake: func() { a <- struct{}{} }}
		}},
		{"mutex", "Lock of a sync.Mutex that another goroutine unlocks", "sem", func() wakeup {
			m := new(sync.Mutex)
			m.Lock()
			return wakeup{wait: m.Lock, wake: m.Unlock}
		}},
		{"cond", "Wait on a sync.Cond", "cond", func() wakeup {
			c := sync.NewCond(new(sync.Mutex))
			set := false
			return wakeup{wait: func() {
				c.L.Lock()
				for !set {
					c.Wait()
				}
				set = false
				c.L.Unlock()
			}, wake: func() {
				c.L.Lock()
				set = true
				c.L.Unlock()
				c.Signal()
			}}
		}},
		{"waitgroup", "Wait on a sync.WaitGroup", "sem", func() wakeup {
			wg := new(sync.WaitGroup)
			return wakeup{arm: func() { wg.Add(1) }, wait: wg.Wait, wake: wg.Done}
		}},
		{"signal", "receive of a signal to the process from the channel of os/signal", "signal", func() wakeup {
			c := make(chan os.Signal, 1)
			signal.Notify(c, unix.SIGUSR1)
			return wakeup{wait: func() { <-c }, wake: func() { unix.Kill(unix.Getpid(), unix.SIGUSR1) }}
		}},
	}
	for _, w := range ways {
		register(&Scenario{Name: "handover/" + w.name, Twin: w.twin,
			Summary: w.what + ": real-time task woken by an ordinary goroutine",
			setup: func(r *Run) error {
				l := &lever{wakeup: w.new()}
				r.task(w.name, r.Priority, r.Period, l.waiter)
				r.other(func() { l.waker(r, int64(r.Period), r.goSleep) })
				return nil
			}})
		register(&Scenario{Name: "handover/" + w.name + "-rt", Twin: w.twin + "-rt",
			Summary: w.what + ": real-time task woken by another of lower priority",
			setup: func(r *Run) error {
				l := &lever{wakeup: w.new()}
				r.task(w.name, r.Priority, r.Period, l.waiter)
				r.helper("waker", r.prio(1), func() { l.waker(r, int64(r.Period), r.rtSleep) })
				return nil
			}})
	}
	register(&Scenario{Name: "handover/chan-busy", Twin: "sem-busy",
		Summary: "receive from a buffered channel: real-time task woken by an ordinary goroutine that computes and never blocks",
		setup: func(r *Run) error {
			l := &lever{wakeup: channel(16)()}
			r.task("chan-busy", r.Priority, r.Period, l.waiter)
			r.other(func() { l.waker(r, int64(r.Period), r.compute) })
			return nil
		}})
	register(&Scenario{Name: "handover/chan-to-ordinary", Twin: "sem-to-ordinary",
		Summary: "receive by an ordinary goroutine from a real-time task, and what the send costs the task (second thread)",
		setup: func(r *Run) error {
			l := &lever{wakeup: channel(16)()}
			r.task("ordinary", 0, r.Period, l.waiter)
			var cost *Task
			sender := r.helper("sender", r.Priority, func() {
				wake := l.wake
				l.wake = func() {
					wake()
					if now := clock.Now(); !r.stopped.Load() {
						cost.sample(now-l.stamp.Load(), now)
					}
				}
				l.waker(r, int64(r.Period), r.rtSleep)
			})
			cost = r.aspect("send", sender)
			return nil
		}})
	register(&Scenario{Name: "handover/pingpong", Twin: "pingpong",
		Summary: "two real-time tasks of equal priority pass a token over two unbuffered channels, without pause: time of a round trip",
		setup: func(r *Run) error {
			ping, pong := make(chan struct{}), make(chan struct{})
			r.task("ping", r.Priority, 0, func(t *Task) {
				defer close(ping)
				for now := clock.Now(); !t.over(now); {
					ping <- struct{}{}
					<-pong
					end := clock.Now()
					t.sample(end-now, end)
					now = clock.Now()
				}
				r.Stop()
			})
			r.helper("pong", r.Priority, func() {
				for range ping {
					pong <- struct{}{}
				}
			})
			return nil
		}})

	held := func(name, twin, what string, new func() sync.Locker) {
		register(&Scenario{Name: "locks/" + name, Twin: twin,
			Summary: what + " held by an ordinary goroutine when the task comes: from unlock to the task running with it",
			setup:   func(r *Run) error { return heldLock(r, new()) }})
	}
	held("mutex", "mutex", "sync.Mutex", func() sync.Locker { return new(sync.Mutex) })
	held("rtmutex", "pimutex", "rt.Mutex", func() sync.Locker { return new(rt.Mutex) })
	inversion := func(name, twin, what string, new func() sync.Locker) {
		register(&Scenario{Name: "locks/inversion-" + name, Twin: twin,
			Summary: what + " held for 200 µs of work by a goroutine of low priority while one of medium priority computes for 5 of every 10 ms: from Lock to having it",
			Period:  10 * time.Millisecond,
			setup:   func(r *Run) error { return invertLock(r, new()) }})
	}
	inversion("mutex", "inversion-mutex", "sync.Mutex", func() sync.Locker { return new(sync.Mutex) })
	inversion("rtmutex", "inversion-pimutex", "rt.Mutex", func() sync.Locker { return new(rt.Mutex) })
	register(&Scenario{Name: "locks/chan",
		Summary: "non-blocking receive from a channel of 32 KB elements that four ordinary goroutines fill and drain without pause, and whose runtime lock they hold most of the time: how long the receive took",
		setup:   chanLock})
}

// chanLock: a channel's lock is held while an element is copied. A goroutine
// whose thread the kernel takes off the CPU meanwhile keeps the task out.
func chanLock(r *Run) error {
	type element [32 << 10]byte
	c := make(chan element, 8)
	for range cap(c) / 2 {
		c <- element{}
	}
	r.task("chan", r.Priority, r.Period, func(t *Task) {
		e := new(element)
		t.cycles(func(next int64) (took, now int64) {
			r.rtSleep(next)
			begin := clock.Now()
			select {
			case *e = <-c:
			default:
			}
			now = clock.Now()
			return now - begin, now
		})
		r.Stop()
	})
	for range 4 {
		r.other(func() {
			for e := new(element); !r.stopped.Load(); {
				select {
				case c <- *e:
				default:
				}
				select {
				case *e = <-c:
				default:
				}
			}
		})
	}
	return nil
}

// heldLock: an ordinary goroutine takes the lock and keeps it until it sees
// that the task has come for it; it reads the clock and unlocks. The holder
// computes meanwhile, so the lock is released at once when it gets to run.
func heldLock(r *Run, m sync.Locker) error {
	var held, wanted, done atomic.Int64
	var stamp atomic.Int64
	r.task("lock", r.Priority, r.Period, func(t *Task) {
		n := int64(1)
		for next := r.begin + t.Period; !t.over(next); next += t.Period {
			next = skipMissed(next, t.Period)
			r.rtSleep(next)
			if held.Load() != n {
				continue // the holder is not there yet: nothing to measure
			}
			wanted.Store(n)
			m.Lock()
			now := clock.Now()
			m.Unlock()
			t.sample(now-stamp.Load(), now)
			done.Store(n)
			n++
		}
		wanted.Store(-1)
		done.Store(-1)
	})
	r.other(func() {
		for n := int64(1); done.Load() >= 0; n++ {
			m.Lock()
			held.Store(n)
			for w := wanted.Load(); w != n && w >= 0; w = wanted.Load() {
			}
			// On another CPU the task may still be on its way into the lock.
			for t := clock.Now() + 20_000; clock.Now() < t; {
			}
			stamp.Store(clock.Now())
			m.Unlock()
			for d := done.Load(); d != n && d >= 0; d = done.Load() {
				time.Sleep(50 * time.Microsecond)
			}
		}
	})
	return nil
}

// work computes until the calling thread has done so for d of its own CPU
// time.
func work(d time.Duration) {
	// CPU time, not the clock: who is preempted has not worked.
	for end := cpuTime() + int64(d); cpuTime() < end; {
		for i := range 200 {
			burn.Store(int64(i))
		}
	}
}

var burn atomic.Int64

// invertLock is the three-priority inversion, all three of them real-time so
// that the kernel obeys their order. They share one CPU, and sleep by the
// kernel's own call so that they meet at the right moment under any runtime.
func invertLock(r *Run, m sync.Locker) error {
	cpu := firstCPU()
	if len(r.CPUs) == 0 {
		r.CPUs = []int{cpu}
	}
	t := r.task("high", r.Priority, r.Period, func(t *Task) {
		t.cycles(func(next int64) (took, now int64) {
			clock.SleepUntil(next)
			begin := clock.Now()
			m.Lock()
			now = clock.Now()
			m.Unlock()
			return now - begin, now
		})
		r.Stop()
	})
	// low takes the lock 100 µs before high comes for it; medium arrives
	// 50 µs before.
	at := func(before time.Duration, f func()) func() {
		return func() {
			for next := r.begin + t.Period - int64(before); !r.stopped.Load(); next += t.Period {
				if now := clock.Now(); next < now {
					next += (now - next + t.Period - 1) / t.Period * t.Period
				}
				clock.SleepUntil(next)
				f()
			}
		}
	}
	r.helper("medium", r.prio(10), at(50*time.Microsecond, func() { work(5 * time.Millisecond) }))
	r.helper("low", r.prio(20), at(100*time.Microsecond, func() {
		m.Lock()
		work(200 * time.Microsecond)
		m.Unlock()
	}))
	return nil
}
