// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"flag"
	"runtime"
	"testing"
	"time"
)

var long = flag.Bool("rt.long", false, "run the long tests: a million cycles and more")

// realtime calls f in real time if that is permitted, otherwise as an
// ordinary goroutine, where everything holds but punctuality.
func realtime(t testing.TB, f func()) {
	t.Helper()
	called := false
	err := Do(Attr{Priority: 60, Name: "test"}, func() error { called = true; f(); return nil })
	if !called {
		t.Log("as an ordinary goroutine: ", err)
		f()
	}
}

// Releases do not drift, and none is lost.
func TestEvery(t *testing.T) {
	period, n := 200*time.Microsecond, 5000
	switch {
	case *long:
		period, n = 100*time.Microsecond, 1_000_000
	case testing.Short():
		n = 500
	}
	realtime(t, func() {
		var first, last Cycle
		var turns, missed, overruns uint64
		before := time.Now()
		for c := range Every(period) {
			now := time.Now()
			if turns++; turns == 1 {
				first = c
			}
			if missed += c.Missed; c.Overrun > 0 {
				overruns++
			}
			switch {
			case c.N != turns+missed:
				t.Fatalf("turn %d has N=%d after %d missed", turns, c.N, missed)
			case !c.Release.Equal(first.Release.Add(time.Duration(c.N-first.N) * period)):
				t.Fatalf("release %d drifts: %v", c.N, c.Release.Sub(first.Release))
			case now.Before(c.Release):
				t.Fatalf("cycle %d begins %v before its release", c.N, c.Release.Sub(now))
			case c.Lateness < 0 || c.Lateness > now.Sub(c.Release)+time.Microsecond:
				t.Fatalf("cycle %d: lateness %v, but %v since its release", c.N, c.Lateness, now.Sub(c.Release))
			case c.Missed > 0 && c.Overrun == 0 || c.Overrun >= period || c.Overrun > c.Lateness:
				t.Fatalf("cycle %d: %+v", c.N, c)
			}
			if last = c; c.N >= uint64(n) {
				break
			}
		}
		if d := first.Release.Add(-time.Duration(first.N) * period).Sub(before); d < 0 || d > 50*time.Millisecond {
			t.Errorf("the loop began %v after it was started", d)
		}
		if task := Self(); task != nil {
			if s := task.Stats(); s.Cycles != turns || s.Missed != missed || s.Overruns != overruns || s.Dispatches < turns-overruns {
				t.Errorf("stats %d cycles, %d missed, %d overruns, %d dispatches; want %d, %d, %d", s.Cycles, s.Missed, s.Overruns, s.Dispatches, turns, missed, overruns)
			} else {
				t.Logf("%d cycles of %v: lateness p50 %v, p99 %v, max %v; %d missed, %d overruns", turns, period, s.Quantile(.5), s.Quantile(.99), s.MaxLateness, missed, overruns)
			}
		}
		_ = last
	})
}

// A body that takes too long gets the most recent release at once, and is
// told what it has missed.
func TestEveryOverrun(t *testing.T) {
	const period = 20 * time.Millisecond
	realtime(t, func() {
		var prev Cycle
		var end time.Time // of the body before
		missed, overruns := 0, 0
		turn := 0
		for c := range Every(period) {
			now := time.Now()
			late := end.Sub(c.Release) // of that body, if positive
			if turn > 0 {
				switch {
				case c.N != prev.N+1+c.Missed || !c.Release.Equal(prev.Release.Add(time.Duration(c.N-prev.N)*period)):
					t.Errorf("after %+v comes %+v", prev, c)
				case late > 0 && c.Overrun < late || c.Overrun > 0 && c.Overrun > now.Sub(c.Release):
					t.Errorf("overrun %v, but the body ended %v after the release and this one began %v after it", c.Overrun, late, now.Sub(c.Release))
				case c.Overrun >= period:
					t.Errorf("overrun %v: there is a more recent release", c.Overrun)
				case c.Missed > 0 && c.Overrun == 0:
					t.Errorf("%d missed without overrun", c.Missed)
				}
			} else if c.N != 1 || c.Overrun != 0 || c.Missed != 0 {
				t.Errorf("first cycle %+v", c)
			}
			missed += int(c.Missed)
			if c.Overrun > 0 {
				overruns++
			}
			// One cycle in time, one a quarter too long, one that takes 3.25
			// periods from its release.
			switch turn++; turn % 3 {
			case 1:
				SleepUntil(c.Release.Add(period + period/4))
			case 2:
				SleepUntil(c.Release.Add(3*period + period/4))
			}
			if turn == 9 {
				break
			}
			prev, end = c, time.Now()
		}
		if overruns < 5 || missed < 3*2 {
			t.Errorf("%d overruns, %d missed, want at least 5 and 6", overruns, missed)
		}
		if task := Self(); task != nil {
			if s := task.Stats(); s.Cycles != 9 || s.Missed != uint64(missed) || s.Overruns != uint64(overruns) {
				t.Errorf("stats %d cycles, %d missed, %d overruns, want 9, %d, %d", s.Cycles, s.Missed, s.Overruns, missed, overruns)
			}
		}
	})
}

func TestEveryAgain(t *testing.T) {
	seq := Every(time.Millisecond)
	for range 2 {
		for c := range seq {
			if c.N != 1 {
				t.Errorf("first cycle has N=%d", c.N)
			}
			break
		}
	}
	for _, p := range []time.Duration{0, -1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Every(%v) did not panic", p)
				}
			}()
			Every(p)
		}()
	}
}

// A cycle allocates nothing.
func TestEveryAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	loop := func(n uint64) func() {
		return func() {
			for c := range Every(50 * time.Microsecond) {
				if c.N >= n {
					break
				}
			}
		}
	}
	measure := func(what string) {
		if one, many := testing.AllocsPerRun(10, loop(1)), testing.AllocsPerRun(10, loop(200)); many > one {
			t.Errorf("%s: a loop of one cycle allocates %v times, one of 200 %v times", what, one, many)
		}
		at := time.Now()
		if n := testing.AllocsPerRun(100, func() { at = at.Add(50 * time.Microsecond); SleepUntil(at) }); n != 0 {
			t.Errorf("%s: SleepUntil allocates %v times", what, n)
		}
		if task := Self(); task != nil {
			if n := testing.AllocsPerRun(10, func() { s := task.Stats(); runtime.KeepAlive(&s.Late) }); n != 0 {
				t.Errorf("%s: Stats allocates %v times", what, n)
			}
		}
		var mu Mutex
		if n := testing.AllocsPerRun(100, func() { mu.Lock(); mu.Unlock() }); n != 0 {
			t.Errorf("%s: Mutex allocates %v times", what, n)
		}
	}
	measure("ordinary")
	realtime(t, func() { measure("real-time") })
}

func TestSleepUntil(t *testing.T) {
	test := func() {
		for _, d := range []time.Duration{-time.Hour, 0, 10 * time.Microsecond, time.Millisecond, 20 * time.Millisecond} {
			begin := time.Now()
			until := begin.Add(d)
			SleepUntil(until)
			if now := time.Now(); now.Before(until) {
				t.Errorf("SleepUntil(%v from now) returned %v early", d, until.Sub(now))
			} else if d < 0 && now.Sub(begin) > time.Second {
				t.Errorf("SleepUntil of the past took %v", now.Sub(begin))
			}
			// A time without monotonic reading.
			until = time.Now().Add(d).Round(0)
			SleepUntil(until)
			if now := time.Now(); now.Round(0).Before(until.Add(-time.Millisecond)) {
				t.Errorf("SleepUntil(%v from now, wall clock) returned %v early", d, until.Sub(now))
			}
		}
	}
	test()
	realtime(t, test)
}

func TestMonotonic(t *testing.T) {
	for range 1000 {
		a := rawNanotime()
		ns := monotonic(time.Now())
		b := rawNanotime()
		const slop = 10_000 // of the epoch
		if ns < a-slop || ns > b+slop {
			t.Fatalf("time.Now is %d on a clock that was between %d and %d", ns, a, b)
		}
		if n := nanotime(); n < b-slop || n > rawNanotime()+slop {
			t.Fatalf("nanotime is %d, the clock %d", n, b)
		}
	}
	now := time.Now()
	if d := monotonic(now.Add(time.Hour)) - monotonic(now); d != int64(time.Hour) {
		t.Errorf("an hour takes %d ns", d)
	}
}

func TestSetThreshold(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("nothing is counted on ", runtime.GOOS)
	}
	old := SetThreshold(time.Nanosecond)
	if old != 100*time.Microsecond {
		t.Errorf("default threshold %v, want 100 µs", old)
	}
	realtime(t, func() {
		task := Self()
		if task == nil {
			return
		}
		nap := func() Stats {
			before := task.Stats()
			for range 20 {
				SleepUntil(time.Now().Add(100 * time.Microsecond))
			}
			s := task.Stats()
			s.Late -= before.Late
			s.Dispatches -= before.Dispatches
			return s
		}
		s := nap()
		if s.Dispatches < 20 || s.Late < 20 {
			t.Errorf("threshold 1 ns: %d of %d wake-ups late, want all", s.Late, s.Dispatches)
		}
		var n uint64
		for _, c := range s.Causes {
			n += c
		}
		if n != task.Stats().Late {
			t.Errorf("causes of %d wake-ups, but %d were late", n, task.Stats().Late)
		}
		for _, d := range []time.Duration{0, time.Hour, -1} {
			SetThreshold(d)
			if s := nap(); s.Late != 0 {
				t.Errorf("threshold %v: %d wake-ups late, want none", d, s.Late)
			}
		}
	})
	if prev := SetThreshold(old); prev != 0 && Supported() {
		t.Errorf("threshold was %v, want 0", prev)
	}
}
