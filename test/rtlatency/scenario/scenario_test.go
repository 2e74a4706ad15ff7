// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package scenario

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rtgo.dev/rtgo/rt"
	"rtgo.dev/rtgo/test/rtlatency/ctwin"
	"rtgo.dev/rtgo/test/rtlatency/result"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == PeerCommand {
		if err := Peer(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func run(t *testing.T, s *Scenario, c Config) *Run {
	t.Helper()
	r, err := New(s, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		if errors.Is(err, syscall.EPERM) {
			t.Skipf("no real-time priorities here: %v", err)
		}
		t.Fatal(err)
	}
	if err := r.Wait(); err != nil {
		t.Fatal(err)
	}
	return r
}

// small keeps expensive scenarios small.
func small(s *Scenario, c Config) Config {
	switch s.Name {
	case "network/deadline":
		c.Conns = 50
	case "timers/million":
		c.Timers = 1000
	}
	if s.Period == 10*time.Millisecond {
		c.Duration *= 3
	}
	return c
}

// Every scenario measures something, loses no sample, and ends in time.
func TestScenarios(t *testing.T) {
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			start := time.Now()
			r := run(t, s, small(s, Config{Duration: 100 * time.Millisecond}))
			if d := time.Since(start); d > time.Minute {
				t.Errorf("took %v", d)
			}
			for _, task := range r.Tasks {
				st := task.Rec.Stats()
				if st.Cycles == 0 {
					t.Errorf("%s: no sample", task.Name)
				}
				var lin, log uint64
				for _, n := range st.Linear.Counts {
					lin += n
				}
				for _, b := range st.Log {
					log += b.N
				}
				if lin+st.Linear.Overflow != st.Cycles || log != st.Cycles+st.Missed {
					t.Errorf("%s: %d cycles, %d missed, but %d and %d in the histograms", task.Name, st.Cycles, st.Missed, lin+st.Linear.Overflow, log)
				}
				if st.Early > 0 {
					t.Errorf("%s: %d samples before their release", task.Name, st.Early)
				}
			}
		})
	}
}

// The same with real-time tasks, where they are allowed.
func TestScenariosRealtime(t *testing.T) {
	if testing.Short() {
		t.Skip("short")
	}
	for _, s := range All() {
		t.Run(s.Name, func(t *testing.T) {
			run(t, s, small(s, Config{Duration: 50 * time.Millisecond, Realtime: true, Policy: rt.FIFO, Priority: 40}))
		})
	}
}

// Releases are absolute: whatever each wake-up took, the number of releases
// is that of the periods that fit into the time.
func TestNoDrift(t *testing.T) {
	for _, name := range []string{"periodic/nanosleep", "periodic/abs", "periodic/sleep", "periodic/timer"} {
		s, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		r := run(t, s, Config{Duration: 200 * time.Millisecond, Period: 500 * time.Microsecond})
		st := r.Tasks[0].Rec.Stats()
		// Releases at 0.5, 1.0, …, 199.5 ms, and those missed by the last.
		if n := st.Cycles + st.Missed; n < 399 || n > 399+uint64(st.MaxNS/500_000) {
			t.Errorf("%s: %d cycles and %d missed, want 399 together", name, st.Cycles, st.Missed)
		}
	}
}

func TestLoops(t *testing.T) {
	for _, name := range []string{"periodic/nanosleep", "handover/chan", "locks/mutex", "network/udp", "network/udp-peer"} {
		s, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		r := run(t, s, Config{Loops: 20, Duration: 20 * time.Second})
		if n := r.Tasks[0].Rec.Live().Cycles; n < 20 || n > 21 {
			t.Errorf("%s: %d cycles, want 20", name, n)
		}
	}
}

// A task computes for the share of its period that was asked for.
func TestCompute(t *testing.T) {
	for _, name := range []string{"periodic/sleep", "periodic/ticker", "memory/alloc-cycle"} {
		s, err := Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		used := func(percent int) time.Duration {
			var a, b syscall.Rusage
			syscall.Getrusage(syscall.RUSAGE_SELF, &a)
			run(t, s, Config{Period: 10 * time.Millisecond, Loops: 20, Compute: percent})
			syscall.Getrusage(syscall.RUSAGE_SELF, &b)
			return time.Duration(b.Utime.Nano() - a.Utime.Nano())
		}
		// Of 200 ms; who is preempted computes less.
		if none, half := used(0), used(50); half < none+20*time.Millisecond {
			t.Errorf("%s: %v of CPU time, and %v with half of the period computing", name, none, half)
		}
	}
}

// A client in a process of its own that goes down ends the run, which says so.
func TestPeerDies(t *testing.T) {
	s, err := Lookup("network/udp-peer")
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(s, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	for r.Tasks[0].Rec.Live().Cycles == 0 && !r.stopped.Load() {
		time.Sleep(time.Millisecond)
	}
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lists {
		b, _ := os.ReadFile(l) // of a thread that may have ended
		for _, pid := range strings.Fields(string(b)) {
			n, err := strconv.Atoi(pid)
			if err != nil {
				t.Fatal(err)
			}
			syscall.Kill(n, syscall.SIGKILL)
		}
	}
	if err := r.Wait(); err == nil || !strings.Contains(err.Error(), "peer: signal: killed") {
		t.Errorf("error %v, want that of a killed peer", err)
	}
}

func TestThresholdStops(t *testing.T) {
	s, err := Lookup("periodic/nanosleep")
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, s, Config{Duration: 20 * time.Second, Threshold: time.Nanosecond})
	if r.Tripped() != r.Tasks[0] || r.Tasks[0].Rec.Live().Cycles != 1 {
		t.Errorf("tripped %v after %d cycles", r.Tripped(), r.Tasks[0].Rec.Live().Cycles)
	}
}

func TestSeveralTasks(t *testing.T) {
	s, err := Lookup("periodic/abs")
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, s, Config{Duration: 50 * time.Millisecond, Tasks: 8, Distance: 500 * time.Microsecond})
	for i, task := range r.Tasks {
		if task.Index != i || task.Period != int64(time.Millisecond)+int64(i)*500_000 || task.Rec.Live().Cycles == 0 {
			t.Errorf("task %d: %+v", i, task)
		}
	}
	if s, _ := Lookup("handover/chan"); s != nil {
		if _, err := New(s, Config{Tasks: 2}); err == nil {
			t.Error("two tasks accepted where there is one")
		}
	}
}

// The second figures of a task are its own, and the sum is none of theirs.
func TestPriorities(t *testing.T) {
	s, _ := Lookup("periodic/abs")
	r, err := New(s, Config{Tasks: 3, Realtime: true, Priority: 2, PrioSpread: true})
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	for _, task := range r.Tasks {
		got = append(got, task.Priority)
	}
	if !slices.Equal(got, []int{2, 1, 1}) {
		t.Errorf("priorities %v", got)
	}
}

func TestTwinsExist(t *testing.T) {
	for _, s := range All() {
		if s.Twin != "" && !slices.Contains(ctwin.Scenarios, s.Twin) {
			t.Errorf("%s: the C twin has no scenario %s", s.Name, s.Twin)
		}
		if s.Summary == "" {
			t.Errorf("%s has no summary", s.Name)
		}
	}
}

// A lost sample is found by the reader of a result.
func TestStatsAreConsistent(t *testing.T) {
	s, _ := Lookup("periodic/ticker")
	r := run(t, s, Config{Duration: 100 * time.Millisecond, Period: 100 * time.Microsecond})
	run := &result.Run{Version: result.Version, Environments: []result.Environment{{ID: "x"}}, Measurements: []result.Measurement{{
		ID: "m", Env: "x", Threads: []result.Thread{{Stats: r.Tasks[0].Rec.Stats()}},
	}}}
	if err := run.Check(); err != nil {
		t.Error(err)
	}
}

// Samples in whose waiting time a stop-the-world fell are told from others,
// where the runtime tells: by rtgo's, and for real-time tasks.
func TestOutsideStops(t *testing.T) {
	s, err := Lookup("periodic/abs")
	if err != nil {
		t.Fatal(err)
	}
	measure := func(stops bool) (all, calm uint64) {
		done := make(chan struct{})
		var wg sync.WaitGroup
		if stops {
			wg.Go(func() {
				var m runtime.MemStats
				for {
					select {
					case <-done:
						return
					case <-time.After(20 * time.Millisecond):
						runtime.ReadMemStats(&m)
					}
				}
			})
		}
		r := run(t, s, Config{Duration: 400 * time.Millisecond, Period: 2 * time.Millisecond, Realtime: true, Policy: rt.FIFO, Priority: 40})
		close(done)
		wg.Wait()
		task := r.Tasks[0]
		if rt.Supported() != (task.Calm != nil) {
			t.Fatalf("supported %t, but recorder %v", rt.Supported(), task.Calm)
		}
		if task.Calm == nil {
			t.Skip("the runtime does not tell")
		}
		return task.Rec.Live().Cycles, task.Calm.Live().Cycles
	}
	debug.SetGCPercent(-1) // no stop that is not asked for
	defer debug.SetGCPercent(100)
	if all, calm := measure(false); calm != all {
		t.Errorf("without stops %d of %d samples are outside stops", calm, all)
	}
	// Each stop touches two samples; at most 20 stops fit.
	if all, calm := measure(true); calm >= all || calm+60 < all {
		t.Errorf("with 20 stops %d of %d samples are outside stops", calm, all)
	}
}
