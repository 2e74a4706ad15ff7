// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"iter"
	"time"
)

// A Cycle is one turn of [Every].
type Cycle struct {
	// N is the number of the release since the loop began, from 1. It
	// counts the missed ones, so N minus the number of turns is the sum of
	// Missed.
	N uint64

	// Release is when the cycle was due: the beginning of the loop plus N
	// periods, exactly.
	Release time.Time

	// Lateness is the time from Release until the cycle began.
	Lateness time.Duration

	// Overrun is how long after Release the body of the previous cycle
	// ended; 0 if it ended in time, and the goroutine slept.
	Overrun time.Duration

	// Missed is the number of releases just before this one that passed
	// unused, because the body of the previous cycle took until after this
	// one.
	Missed uint64
}

// Every returns a loop with one turn per period, to be used in a [Task]:
//
//	for c := range rt.Every(time.Millisecond) {
//		...
//	}
//
// The first release is one period after the loop begins, and each further
// one a period later, at absolute times of CLOCK_MONOTONIC: nothing drifts,
// however late single cycles are, and changes of the wall clock do not
// matter. A body that runs beyond the next release gets the next cycle at
// once (Overrun); if more than one release has passed by then, the most
// recent one is the cycle's, and the others are counted, never dropped in
// silence (Missed).
//
// A turn allocates nothing. The loop may be left at any time, and ranged over
// again, which begins anew. In an ordinary goroutine it works with ordinary
// punctuality.
//
// Every panics if period is not positive.
func Every(period time.Duration) iter.Seq[Cycle] {
	if period <= 0 {
		panic("rt: Every: period must be positive")
	}
	return func(yield func(Cycle) bool) {
		t := self()
		begin := time.Now()
		release := monotonic(begin)
		c := Cycle{Release: begin}
		for now := release; ; now = nanotime() {
			c.N++
			c.Release = c.Release.Add(period)
			release += int64(period)
			c.Missed, c.Overrun = 0, 0
			if late := now - release; late > 0 {
				c.Missed = uint64(late / int64(period))
				skip := int64(c.Missed) * int64(period)
				c.N += c.Missed
				c.Release = c.Release.Add(time.Duration(skip))
				release += skip
				c.Overrun = time.Duration(now - release)
			} else {
				sleepUntil(t, release)
				now = nanotime()
			}
			c.Lateness = time.Duration(max(now-release, 0))
			if t != nil {
				t.cycles.Add(1)
				if late := c.Overrun; late > 0 {
					t.overruns.Add(1)
					t.missed.Add(c.Missed)
				}
			}
			if !yield(c) {
				return
			}
		}
	}
}

// SleepUntil waits until t. In a [Task] the thread itself sleeps until that
// absolute time (clock_nanosleep(2) with TIMER_ABSTIME), which is the most
// punctual sleep there is; signals do not shorten it. In an ordinary
// goroutine it is a time.Sleep.
//
// If t has a monotonic clock reading, as times from [time.Now] and from
// [Cycle] have, the wall clock does not matter; if not, t is converted once,
// and a later change of the wall clock is not noticed. A time in the past
// returns at once.
func SleepUntil(t time.Time) { sleepUntil(self(), monotonic(t)) }
