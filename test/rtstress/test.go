// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/rt"
)

// A tester is the process under test.
type tester struct {
	*Config
	*board
	ops   []*op
	total int // of the weights

	begin time.Time
	end   atomic.Bool

	// Each worker holds episode while one of its episodes lasts; the check
	// of the whole process excludes them all.
	episode sync.RWMutex
	base    int // goroutines when no worker is busy
	allCPUs unix.CPUSet
	nice    int32 // of the process when it began

	procs  sync.Mutex // GOMAXPROCS
	tasks  taskSet
	shared *shared

	failures atomic.Int32
}

// test runs the stress and returns the exit status.
func test(c *Config, ops []*op) int {
	b, err := openBoard(boardFD)
	if err != nil {
		fmt.Fprintln(os.Stderr, "rtstress:", err)
		return 1
	}
	t := &tester{Config: c, board: b, ops: ops, begin: time.Now()}
	for _, o := range ops {
		t.total += o.weight
	}
	unix.SchedGetaffinity(0, &t.allCPUs)
	if a, err := unix.SchedGetAttr(0, 0); err == nil {
		t.nice = a.Nice
	}
	if t.shared, err = newShared(t); err != nil {
		fmt.Fprintln(os.Stderr, "rtstress:", err)
		return 1
	}
	defer os.RemoveAll(t.shared.dir)
	if c.Duration > 0 {
		time.AfterFunc(c.Duration, func() { t.end.Store(true) })
	}

	stop := make(chan bool)
	var loads sync.WaitGroup
	for range c.Hogs {
		loads.Go(func() { hog(stop) })
	}
	for range c.Alloc {
		loads.Go(func() { allocate(stop) })
	}
	var disturber sync.WaitGroup
	workersDone := make(chan bool)

	var workers []*worker
	for i := range c.Workers {
		w := t.worker(i, c.Seed+uint64(i)*1000003)
		w.prepare()
		workers = append(workers, w)
	}
	time.Sleep(20 * time.Millisecond) // the servers are started
	t.base = runtime.NumGoroutine()
	if c.Disturb {
		t.base++
		disturber.Go(func() { t.disturb(workersDone) })
	}
	var checker sync.WaitGroup
	checker.Go(func() {
		for {
			select {
			case <-workersDone:
				return
			case <-time.After(2 * time.Second):
				t.check()
			}
		}
	})
	t.base += 1 + len(workers)

	var wg sync.WaitGroup
	for _, w := range workers {
		wg.Go(w.run)
	}
	wg.Wait()
	close(workersDone)
	checker.Wait()
	disturber.Wait()
	close(stop)
	loads.Wait()
	t.base -= 1 + len(workers) + c.Hogs + c.Alloc
	if c.Disturb {
		t.base--
	}
	t.check()

	d := time.Since(t.begin)
	result := "PASS"
	if t.failures.Load() > 0 {
		result = "FAIL"
	}
	fmt.Printf("%s: %d operations in %v, %d times in real time, %d deadlines refused, %d checks of all threads, %d failures\n",
		result, t.board.ops.Load(), d.Round(time.Millisecond), b.tasks.Load(), b.refused.Load(), b.checks.Load(), t.failures.Load())
	if result != "PASS" {
		return 1
	}
	return 0
}

// fail reports a bug and ends the run.
func (t *tester) fail(format string, args ...any) {
	if n := t.failures.Add(1); n <= 10 {
		fmt.Fprintf(os.Stderr, "rtstress: FAIL: "+format+"\n", args...)
	}
	t.end.Store(true)
}

// over reports whether the run has ended.
func (t *tester) over() bool {
	return t.end.Load() || t.Ops > 0 && t.board.ops.Load() >= t.Ops
}

// check waits until no worker is busy and then looks at every thread: none
// may have anything left of a task.
func (t *tester) check() {
	t.episode.Lock()
	defer t.episode.Unlock()
	// What the last operations started may still be ending, and the runtime
	// lends its sysmon a priority for a second when it starves.
	var what string
	for range 500 {
		if what = t.leftover(); what == "" {
			t.checks.Add(1)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.fail("when no worker was busy: %s", what)
}

func (t *tester) leftover() string {
	if n := t.tasks.len(); n > 0 {
		return fmt.Sprintf("%d tasks left", n)
	}
	dir, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err.Error()
	}
	for _, d := range dir {
		tid, _ := strconv.Atoi(d.Name())
		a, err := unix.SchedGetAttr(tid, 0)
		comm, err2 := os.ReadFile("/proc/self/task/" + d.Name() + "/comm")
		if err != nil || err2 != nil {
			continue // it ended meanwhile
		}
		name := strings.TrimSpace(string(comm))
		if name == "rtwatch" || name == "rtrefill" || name == "rtsignal" {
			continue // of the runtime
		}
		var cpus unix.CPUSet
		switch unix.SchedGetaffinity(tid, &cpus); {
		case a.Policy != unix.SCHED_NORMAL || a.Priority != 0:
			return fmt.Sprintf("thread %d %q has policy %d, priority %d", tid, name, a.Policy, a.Priority)
		case a.Nice != t.nice:
			return fmt.Sprintf("thread %d %q has nice %d, not %d", tid, name, a.Nice, t.nice)
		case a.Flags&unix.SCHED_FLAG_RESET_ON_FORK != 0 && os.Geteuid() == 0:
			return fmt.Sprintf("thread %d %q has reset on fork", tid, name)
		case cpus != t.allCPUs && cpus != (unix.CPUSet{}):
			return fmt.Sprintf("thread %d %q may run on %d CPUs, not on all %d", tid, name, cpus.Count(), t.allCPUs.Count())
		case strings.HasPrefix(name, taskName):
			return fmt.Sprintf("thread %d has the name of a task, %q", tid, name)
		}
	}
	if n := runtime.NumGoroutine(); n > t.base+10 {
		return fmt.Sprintf("%d goroutines, %d when it began", n, t.base)
	}
	return ""
}

const taskName = "stress"

// A worker runs episodes, of several operations each, most of them in real
// time.
type worker struct {
	*tester
	*slot
	id   int
	rng  *rand.Rand
	task *rt.Task // nil: ordinary
	tid  int
	res  *resources
	deep bool // started by another worker's episode
}

func (t *tester) worker(slot int, seed uint64) *worker {
	return &worker{tester: t, slot: &t.slots[slot], id: slot, rng: rand.New(rand.NewPCG(seed, 1))}
}

func (w *worker) run() {
	for !w.over() {
		w.episode.RLock()
		w.runEpisode()
		w.episode.RUnlock()
	}
	w.slot.op.Store(0)
}

var errEpisode = errors.New("episode")

// runEpisode runs some operations, and ends in one of all possible ways.
func (w *worker) runEpisode() {
	n := 1 + w.rng.IntN(20)
	body := func() {
		w.enter()
		for range n {
			w.step()
			if w.over() {
				break
			}
		}
		w.slot.tid.Store(0)
		w.task = nil
	}
	kind := w.rng.IntN(100)
	if w.Ordinary || kind < 15 {
		body()
		return
	}
	a := w.attr()
	var err error
	called := false
	switch {
	case kind < 40: // in a goroutine of its own
		var task *rt.Task
		exit := kind < 45
		task, err = rt.Go(a, func() {
			called = true
			body()
			if exit {
				runtime.Goexit()
			}
		})
		if err == nil {
			task.Wait()
		}
	case kind < 50: // ended by Goexit
		done := make(chan bool)
		go func() {
			defer close(done)
			err = rt.Do(a, func() error { called = true; body(); runtime.Goexit(); return nil })
		}()
		<-done
	case kind < 60: // ended by a panic
		func() {
			defer func() {
				if r := recover(); called != (r == errEpisode) {
					w.fail("panic in a task: recovered %v", r)
				}
			}()
			err = rt.Do(a, func() error { called = true; body(); panic(errEpisode) })
		}()
	default:
		err = rt.Do(a, func() error { called = true; body(); return errEpisode })
		if called && err != errEpisode {
			w.fail("Do returned %v, not the function's error", err)
		}
	}
	switch {
	case called:
		w.board.tasks.Add(1)
	case errors.Is(err, rt.ErrAdmission) && a.Policy == rt.Deadline:
		w.refused.Add(1)
	default:
		w.fail("cannot enter real time with %+v: %v", a, err)
	}
	if called {
		w.tester.tasks.remove(w.id)
	}

	// What is left on this thread?
	runtime.LockOSThread()
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		s, err := unix.SchedGetAttr(0, 0)
		if err != nil || s.Policy == unix.SCHED_NORMAL {
			break
		}
		// The runtime lends a task's priority to threads that hold it up.
		if time.Since(begin) > 5*time.Second {
			w.fail("worker %d after real time: thread %d has policy %d, priority %d", w.id, unix.Gettid(), s.Policy, s.Priority)
			break
		}
	}
	runtime.UnlockOSThread()
	if rt.Self() != nil {
		w.fail("worker %d after real time: Self is not nil", w.id)
	}
}

// attr returns random attributes.
func (w *worker) attr() rt.Attr {
	a := rt.Attr{Priority: 1 + w.rng.IntN(w.MaxPrio)}
	if w.rng.IntN(2) == 0 {
		a.Name = taskName + strconv.Itoa(w.id)
	}
	if w.rng.IntN(100) < w.Deadline {
		a.Policy, a.Priority = rt.Deadline, 0
		a.Period = 100 * time.Millisecond
		a.Runtime = time.Duration(1+w.rng.IntN(5)) * time.Millisecond
		return a
	}
	if w.rng.IntN(4) == 0 {
		a.Policy = rt.RR
	}
	if w.rng.IntN(5) == 0 {
		for c := range 1024 {
			if w.allCPUs.IsSet(c) && (len(a.CPUs) == 0 || w.rng.IntN(2) == 0) {
				a.CPUs = append(a.CPUs, c)
			}
		}
		if len(a.CPUs) > 1 && w.rng.IntN(2) == 0 {
			a.CPUs = a.CPUs[1:]
		}
	}
	return a
}

// enter notes that the episode has begun.
func (w *worker) enter() {
	w.task = rt.Self()
	w.slot.tid.Store(0)
	w.slot.prio.Store(0)
	if w.task != nil {
		w.tid = unix.Gettid()
		w.slot.tid.Store(int32(w.tid))
		w.slot.prio.Store(int32(w.task.Attr().Priority))
		w.tester.tasks.add(w.id, w.task)
		w.checkTask("after entering")
	}
}

// step runs one operation.
func (w *worker) step() {
	n := w.rng.IntN(w.total)
	var o *op
	for _, o = range w.tester.ops {
		if n -= o.weight; n < 0 {
			break
		}
	}
	w.slot.op.Store(uint32(o.number) + 1)
	w.slot.n.Add(1)
	o.f(w)
	if w.task != nil {
		w.checkTask(o.name)
	}
	w.board.ops.Add(1)
}

// checkTask checks that the task is where it was, and what it was.
func (w *worker) checkTask(after string) {
	if tid := unix.Gettid(); tid != w.tid {
		w.fail("worker %d after %s: on thread %d, was on %d", w.id, after, tid, w.tid)
		w.tid = tid
	}
	s, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		w.fail("sched_getattr: %v", err)
		return
	}
	a := w.task.Attr()
	want := map[rt.Policy]uint32{rt.FIFO: unix.SCHED_FIFO, rt.RR: unix.SCHED_RR, rt.Deadline: unix.SCHED_DEADLINE}[a.Policy]
	// Others change the priority meanwhile.
	if s.Policy != want || s.Flags&unix.SCHED_FLAG_RESET_ON_FORK == 0 || a.Policy != rt.Deadline && (s.Priority < 1 || int(s.Priority) > w.MaxPrio) {
		w.fail("worker %d after %s: thread has policy %d, priority %d, flags %#x, want those of %+v", w.id, after, s.Policy, s.Priority, s.Flags, a)
	}
	if rt.Self() != w.task {
		w.fail("worker %d after %s: Self is %p, was %p", w.id, after, rt.Self(), w.task)
	}
}

// A taskSet is the tasks there are, for operations on those of others.
type taskSet struct {
	mu sync.Mutex
	m  map[int]*rt.Task
}

func (s *taskSet) add(id int, t *rt.Task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[int]*rt.Task)
	}
	s.m[id] = t
}

func (s *taskSet) remove(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, id)
}

func (s *taskSet) len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.m)
}

// pick returns one of the tasks, nil if there is none.
func (s *taskSet) pick(n int) *rt.Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.m) == 0 {
		return nil
	}
	n %= len(s.m)
	for _, t := range s.m {
		if n--; n < 0 {
			return t
		}
	}
	return nil
}
