// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package scenario

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/test/rtlatency/clock"
)

func gettid() int { return unix.Gettid() }

func init() {
	periodic := func(name, summary string, wait func(r *Run) func(next int64)) {
		register(&Scenario{Name: Periodic + "/" + name, Summary: summary, Twin: "periodic", Multi: true, setup: func(r *Run) error {
			for i := range r.Config.Tasks {
				p := r.Priority
				if r.PrioSpread {
					p = r.prio(i)
				}
				r.task(name, p, r.Period+time.Duration(i)*r.Distance, func(t *Task) { t.periodic(wait(r)) })
			}
			return nil
		}})
	}
	periodic("nanosleep", "clock_nanosleep(2) to the absolute release, as a system call the scheduler knows of", func(*Run) func(int64) {
		return clock.SleepUntil
	})
	periodic("rawnanosleep", "the same as a raw system call, which stops every stop-the-world", func(*Run) func(int64) {
		return clock.RawSleepUntil
	})
	periodic("abs", "rt.SleepUntil the absolute release", func(r *Run) func(int64) {
		return r.rtSleep
	})
	periodic("sleep", "time.Sleep for the rest of the period", func(*Run) func(int64) {
		return func(next int64) { time.Sleep(time.Duration(next - clock.Now())) }
	})
	periodic("timer", "receive from a time.Timer that is reset to the release", func(*Run) func(int64) {
		var t *time.Timer
		return func(next int64) {
			if d := time.Duration(next - clock.Now()); t == nil {
				t = time.NewTimer(d)
			} else {
				t.Reset(d)
			}
			<-t.C
		}
	})
	register(&Scenario{Name: "periodic/ticker", Summary: "receive from a time.Ticker", Twin: "periodic", Multi: true, setup: func(r *Run) error {
		for i := range r.Config.Tasks {
			p := r.Priority
			if r.PrioSpread {
				p = r.prio(i)
			}
			r.task("ticker", p, r.Period+time.Duration(i)*r.Distance, (*Task).ticker)
		}
		return nil
	}})

	allocating := func(name, twin, summary string, f func()) {
		register(&Scenario{Name: "memory/" + name, Twin: twin,
			Summary: summary + ": from release to the end of its cycle; the second thread is the allocation alone",
			setup: func(r *Run) error {
				var cost *Task
				t := r.task("cycle", r.Priority, r.Period, func(t *Task) {
					t.cycles(func(next int64) (late, now int64) {
						r.rtSleep(next)
						begin := clock.Now()
						f()
						now = clock.Now()
						cost.Rec.Record(now-begin, now)
						return now - next, now
					})
				})
				cost = r.aspect("allocation", t)
				return nil
			}})
	}
	allocating("alloc-cycle", "alloc-cycle", "a periodic task that allocates 2 KB in small objects", cycle)
	allocating("alloc-span", "alloc-span", "a periodic task that allocates 64 KB, which takes the heap's lock", span)

	register(&Scenario{Name: "timers/sleep", Summary: "time.Sleep of the period (-i, 10 to 10000 µs) by an ordinary goroutine: how much longer it took", Twin: "sleep", Multi: true, Period: 50 * time.Microsecond, setup: func(r *Run) error {
		for range r.Config.Tasks {
			t := r.task("sleep", 0, r.Period, func(t *Task) {
				d := time.Duration(t.Period)
				for now := clock.Now(); !t.over(now); {
					time.Sleep(d)
					end := clock.Now()
					t.sample(end-now-int64(d), end)
					now = clock.Now()
				}
			})
			t.unpaced = true
		}
		return nil
	}})
	register(&Scenario{Name: "timers/million", Summary: "a time.Timer received by a real-time task beside a million live timers that are re-armed (--timers)", Twin: "periodic", setup: func(r *Run) error {
		n := r.Timers
		if n == 0 {
			n = 1_000_000
		}
		live := make([]*time.Timer, n)
		x := uint32(1)
		for i := range live {
			x = x*1664525 + 1013904223
			// 10 to 70 s away: some thousand fire a second once the first
			// do, and each is armed again.
			d := 10*time.Second + time.Duration(x%60000)*time.Millisecond
			live[i] = time.AfterFunc(d, func() { live[i].Reset(d) })
		}
		r.cleanup = append(r.cleanup, func() {
			for _, t := range live {
				t.Stop()
			}
		})
		r.task("timer", r.Priority, r.Period, func(t *Task) {
			tm := time.NewTimer(time.Hour)
			defer tm.Stop()
			t.periodic(func(next int64) {
				tm.Reset(time.Duration(next - clock.Now()))
				<-tm.C
			})
		})
		return nil
	}})
}

// ticker is periodic for a time.Ticker, which keeps its own releases: they
// count from when it is made. A tick tells when the runtime sent it, and
// stands for every release up to then that no tick was received for; one
// that passed later has its own tick, or is counted with the next.
func (t *Task) ticker() {
	next := clock.Now() + t.Period
	tick := time.NewTicker(time.Duration(t.Period))
	defer tick.Stop()
	for !t.over(next) {
		sent := <-tick.C
		now := clock.Now()
		var missed int64
		if by := t.run.base.Nano(sent); by > next {
			missed = (by - next) / t.Period
		}
		t.record(now-next, now, uint64(missed))
		t.compute()
		next += t.Period * (1 + missed)
	}
}

type cell struct {
	next *cell
	v    [3]int64
}

var cells [64]*cell

// cycle allocates 64 objects of 32 bytes, linked, and drops those of the
// cycle before.
//
//go:noinline
func cycle() {
	var head *cell
	for i := range cells {
		head = &cell{next: head}
		cells[i] = head
	}
}

var spans [4][]byte

//go:noinline
func span() {
	copy(spans[1:], spans[:3])
	spans[0] = make([]byte, 64<<10)
	runtime.KeepAlive(spans[0])
}

// cpuTime returns the CPU time of the calling thread in nanoseconds.
func cpuTime() int64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return ts.Nano()
}

// firstCPU returns the lowest CPU on which the process may run.
func firstCPU() int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) == nil {
		for i := range len(set) * 64 {
			if set.IsSet(i) {
				return i
			}
		}
	}
	return 0
}
