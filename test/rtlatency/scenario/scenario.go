// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

// Package scenario has the situations in which rtlatency measures: what
// wakes the task, and from when its lateness counts.
package scenario

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rtgo.dev/rtgo/rt"
	"rtgo.dev/rtgo/test/rtlatency/clock"
	"rtgo.dev/rtgo/test/rtlatency/record"
)

// Groups of scenarios.
const (
	Periodic = "periodic"
	Handover = "handover"
	Network  = "network"
	Timers   = "timers"
	Memory   = "memory"
	Locks    = "locks"
)

// A Scenario is one situation by name.
type Scenario struct {
	Name    string // "group/what"
	Summary string
	Twin    string // the C twin's scenario, "" if there is none
	Multi   bool   // can run several tasks (-t)
	// Period is the default time between releases, 0: 1 ms.
	Period time.Duration
	setup  func(r *Run) error
}

// Group returns the part of the name before the slash.
func (s *Scenario) Group() string {
	g, _, _ := strings.Cut(s.Name, "/")
	return g
}

var all []*Scenario

func register(s *Scenario) { all = append(all, s) }

// All returns every scenario, sorted by name.
func All() []*Scenario {
	out := slices.Clone(all)
	slices.SortFunc(out, func(a, b *Scenario) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Lookup finds a scenario by name.
func Lookup(name string) (*Scenario, error) {
	i := slices.IndexFunc(all, func(s *Scenario) bool { return s.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("no scenario %q; rtlatency --list shows them", name)
	}
	return all[i], nil
}

// Config is what the user chose.
type Config struct {
	Period     time.Duration // of task 0
	Distance   time.Duration // task i has Period + i*Distance
	Tasks      int
	Policy     rt.Policy
	Realtime   bool // Policy and Priority apply; otherwise tasks are ordinary goroutines
	Priority   int
	PrioSpread bool  // task i has Priority-i, at least 1
	CPUs       []int // task i runs on CPUs[i mod len]; nil: anywhere
	Loops      uint64
	Duration   time.Duration // 0: until Loops, or until stopped
	Limit      int           // of the linear histogram, µs
	Threshold  time.Duration // stop when a sample exceeds it; 0: never
	Keep       int           // samples kept for -v
	Compute    int           // percent of the period that a task computes after a sample, scenarios periodic and memory
	Conns      int           // connections, network scenarios
	Timers     int           // live timers, timers/million
}

// A Task is one measured goroutine.
type Task struct {
	Index    int
	Name     string
	Priority int // 0: ordinary
	Period   int64
	CPU      int // -1: anywhere
	Rec      *record.Recorder
	TID      atomic.Int64

	// Calm has those samples of Rec in whose waiting time no stop-the-world
	// was under way, nor another call of all Ps to a safepoint. It is nil
	// where the runtime does not tell: under stock Go, and for tasks that are
	// not real-time.
	Calm  *record.Recorder
	stops [2]uint64 // stops begun by the last sample but one, and by the last

	unpaced bool  // has no releases, so none can be missed
	of      *Task // the task of which these are more figures
	run     *Run
	f       func()
	rt      *rt.Task
	stats   rt.Stats // when it ended
}

// RT returns what the runtime counted for the task, if it is a real-time
// task of a runtime that counts.
func (t *Task) RT() (rt.Stats, bool) { return t.stats, t.rt != nil && rt.Supported() }

// A Run is one scenario being measured.
type Run struct {
	Config
	Tasks []*Task

	base    clock.Base
	begin   int64 // first release of task 0 is begin + Period
	end     int64 // 0: none
	stopped atomic.Bool
	tripped atomic.Pointer[Task]
	failed  atomic.Pointer[error]
	ready   sync.WaitGroup // tasks that have reached their attributes
	open    atomic.Bool    // set when begin is
	wg      sync.WaitGroup
	others  []func()
	helpers []*Task
	cleanup []func()
}

// New prepares a run of s; nothing is measured yet.
func New(s *Scenario, c Config) (*Run, error) {
	if c.Tasks == 0 {
		c.Tasks = 1
	}
	if c.Tasks > 1 && !s.Multi {
		return nil, fmt.Errorf("scenario %s has one task; -t %d does not apply", s.Name, c.Tasks)
	}
	if c.Period == 0 {
		c.Period = s.Period
	}
	if c.Period == 0 {
		c.Period = time.Millisecond
	}
	if c.Limit == 0 {
		c.Limit = record.DefaultLimit
	}
	r := &Run{Config: c, base: clock.NewBase()}
	if err := s.setup(r); err != nil {
		r.close()
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return r, nil
}

func (r *Run) close() {
	for _, f := range slices.Backward(r.cleanup) {
		f()
	}
}

// task adds a task that runs f; prio 0 makes it an ordinary goroutine.
func (r *Run) task(name string, prio int, period time.Duration, f func(t *Task)) *Task {
	i := len(r.Tasks)
	if !r.Realtime {
		prio = 0
	}
	t := &Task{Index: i, Name: name, Priority: prio, Period: int64(period), CPU: -1, run: r}
	if len(r.CPUs) > 0 {
		t.CPU = r.CPUs[i%len(r.CPUs)]
	}
	t.f = func() { f(t) }
	r.Tasks = append(r.Tasks, t)
	return t
}

// helper adds a real-time task that is part of the scenario but is not
// measured.
func (r *Run) helper(name string, prio int, f func()) *Task {
	t := r.task(name, prio, 0, func(*Task) { f() })
	r.Tasks = r.Tasks[:len(r.Tasks)-1]
	r.helpers = append(r.helpers, t)
	return t
}

// aspect adds a second set of figures about a task, which records them
// itself.
func (r *Run) aspect(name string, of *Task) *Task {
	t := r.task(name, of.Priority, 0, nil)
	t.f, t.of = nil, of
	return t
}

// prio returns the priority of task i below the highest.
func (r *Run) prio(i int) int { return max(r.Priority-i, 1) }

// other adds an ordinary goroutine that belongs to the scenario and ends by
// itself when the tasks have ended.
func (r *Run) other(f func()) { r.others = append(r.others, f) }

// Start starts the tasks; they are under way when it returns.
func (r *Run) Start() error {
	for _, t := range slices.Concat(r.Tasks, r.helpers) {
		t.Rec = record.New(r.Limit, t.Period)
		if t.unpaced {
			t.Rec.Period = 0
		}
		if r.Keep > 0 {
			t.Rec.Keep(r.Keep)
		}
		if t.f == nil {
			continue
		}
		if t.Priority > 0 && rt.Supported() {
			t.Calm = record.New(r.Limit, t.Rec.Period)
		}
		body := func() {
			defer r.wg.Done()
			t.TID.Store(int64(gettid()))
			r.ready.Done()
			r.await()
			t.f()
			if t.rt != nil {
				t.stats = t.rt.Stats()
			}
		}
		r.wg.Add(1)
		r.ready.Add(1)
		if t.Priority == 0 {
			go body()
			continue
		}
		a := rt.Attr{Name: fmt.Sprintf("rtl-%s-%d", t.Name, t.Index), Policy: r.Policy, Priority: t.Priority}
		if t.CPU >= 0 {
			a.CPUs = []int{t.CPU}
		}
		var err error
		if t.rt, err = rt.Go(a, body); err != nil {
			r.wg.Done()
			r.ready.Done()
			r.stopped.Store(true)
			r.ready.Wait()
			r.open.Store(true)
			r.wg.Wait()
			r.close()
			return err
		}
	}
	r.ready.Wait()
	for _, t := range r.Tasks {
		if t.of != nil {
			t.TID.Store(t.of.TID.Load())
		}
	}
	r.begin = clock.Now() + int64(startLead) + int64(len(r.Tasks))*int64(startLeadTask)
	stops := rt.ReadRuntimeStats().Stops
	for _, t := range r.Tasks {
		t.Rec.Begin(r.begin)
		if t.Calm != nil {
			t.Calm.Begin(r.begin)
			t.stops = [2]uint64{stops, stops}
		}
	}
	if r.Duration > 0 {
		r.end = r.begin + int64(r.Duration)
	}
	for _, f := range r.others {
		r.wg.Go(func() { r.await(); f() })
	}
	r.open.Store(true)
	return nil
}

// await returns when the run is open. A channel to close would not do: who
// closes it is an ordinary goroutine, which the load, and the tasks that have
// been woken, keep from waking the next.
func (r *Run) await() {
	for !r.open.Load() {
		time.Sleep(startPoll)
	}
}

// How often who waits looks whether the run is open, and the time from there to
// the first releases: 32 tasks of 1 kHz that were let go one by one, with the
// run already begun, had the last 50 ms late, under stock Go 31 ms.
const (
	startPoll     = time.Millisecond
	startLead     = 10 * time.Millisecond
	startLeadTask = time.Millisecond
)

// Wait waits for the tasks to end and reports what went wrong.
func (r *Run) Wait() error {
	r.wg.Wait()
	r.close()
	if e := r.failed.Load(); e != nil {
		return *e
	}
	return nil
}

// Stop asks the tasks to end at their next wake-up.
func (r *Run) Stop() { r.stopped.Store(true) }

// Tripped returns the task whose latency exceeded the threshold, nil if none
// did.
func (r *Run) Tripped() *Task { return r.tripped.Load() }

// Elapsed returns the time since the first task could run, at least 0.
func (r *Run) Elapsed() time.Duration { return time.Duration(max(0, clock.Now()-r.begin)) }

func (r *Run) fail(err error) {
	if err != nil && !r.stopped.Load() {
		err = errors.New(err.Error())
		r.failed.CompareAndSwap(nil, &err)
	}
	r.stopped.Store(true)
}

// skipMissed returns next, or the last release that is over if next is, for a loop
// that passes over the releases it has missed.
func skipMissed(next, period int64) int64 {
	if now := clock.Now(); next < now {
		next += (now - next) / period * period
	}
	return next
}

// over reports whether t must not wait for a release at next any more.
func (t *Task) over(next int64) bool {
	r := t.run
	return r.stopped.Load() || r.end != 0 && next >= r.end || r.Loops != 0 && t.Rec.Live().Cycles >= r.Loops
}

// sample records that t ran at now, lat nanoseconds late, and returns the
// releases missed meanwhile.
func (t *Task) sample(lat, now int64) uint64 {
	missed := t.Rec.Missed(lat)
	t.record(lat, now, missed)
	return missed
}

// record is sample for a task that knows how many releases it missed.
func (t *Task) record(lat, now int64, missed uint64) {
	t.Rec.RecordMissed(lat, now, missed)
	if t.Calm != nil {
		// One that began before the last sample may have gone on into this
		// wait, so there must have been none since the sample before that.
		n := rt.ReadRuntimeStats().Stops
		if n == t.stops[0] {
			t.Calm.RecordMissed(lat, now, missed)
		}
		t.stops = [2]uint64{t.stops[1], n}
	}
	if th := t.run.Threshold; th > 0 && lat > int64(th) {
		t.run.tripped.CompareAndSwap(nil, t)
		t.run.stopped.Store(true)
	}
}

// compute computes for the share of the period that the user chose.
func (t *Task) compute() {
	if p := t.run.Compute; p > 0 {
		t.run.compute(clock.Now() + t.Period*int64(p)/100)
	}
}

// periodic waits for one release after the other and samples how late it
// woke.
func (t *Task) periodic(wait func(next int64)) {
	t.cycles(func(next int64) (late, now int64) {
		wait(next)
		now = clock.Now()
		return now - next, now
	})
}

// cycles calls f for one release after the other, but for those that pass
// meanwhile, and samples what it returns: how late it was, or how long it took,
// ns, and the time at its end. Then it computes for the share of the period that
// the user chose.
func (t *Task) cycles(f func(next int64) (d, now int64)) {
	for next := t.run.begin + t.Period; !t.over(next); {
		missed := t.sample(f(next))
		t.compute()
		next += t.Period * int64(1+missed)
	}
}
