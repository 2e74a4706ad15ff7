// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"math"
	"strconv"
	"time"
)

// A Cause says what a late wake-up had to wait for.
type Cause int

const (
	CauseKernel    Cause = iota // clock, interrupt or kernel scheduler: late before the runtime was reached
	CauseStopWorld              // a stop-the-world
	CauseForEachP               // a change of GC phase or the like, which every P must note
	CauseStackScan              // somebody scanned the goroutine's stack
	CauseRuntime                // the runtime, by none of these
	CauseUnknown                // not known: the runtime is not rtgo's
	NumCauses      = iota
)

var causes = [NumCauses]string{"kernel", "stop-the-world", "forEachP", "stack scan", "runtime", "unknown"}

func (c Cause) String() string {
	if c >= 0 && c < NumCauses {
		return causes[c]
	}
	return "Cause(" + strconv.Itoa(int(c)) + ")"
}

// HistBuckets is the number of buckets of [Stats].Hist, of 1 µs each.
const HistBuckets = 1000

// Stats are the counts of a [Task] since it entered real time.
//
// The lateness of a wake-up is the time from its release (the time slept
// until, or under rtgo the moment somebody made the blocked goroutine ready)
// until the goroutine runs. Under rtgo every wake-up counts; elsewhere those
// by [SleepUntil] and [Every] do.
type Stats struct {
	Cycles   uint64 // cycles that [Every] has begun
	Missed   uint64 // releases that passed unused: the sum of [Cycle].Missed
	Overruns uint64 // cycles whose body ran beyond the next release

	Dispatches  uint64 // wake-ups measured
	Late        uint64 // of these, later than the threshold ([SetThreshold])
	MaxLateness time.Duration
	SumLateness time.Duration
	Causes      [NumCauses]uint64   // late wake-ups by cause
	Hist        [HistBuckets]uint64 // Hist[i]: lateness of i µs to less than i+1 µs
	Overflow    uint64              // lateness of HistBuckets µs and more
}

// Mean returns the mean lateness, 0 without wake-ups.
func (s *Stats) Mean() time.Duration {
	if s.Dispatches == 0 {
		return 0
	}
	return s.SumLateness / time.Duration(s.Dispatches)
}

// Quantile returns an upper bound, to the microsecond, of the lateness that
// the share q (0 to 1) of the wake-ups did not exceed: Quantile(0.99) is the
// 99th percentile. It returns MaxLateness where the histogram ends.
func (s *Stats) Quantile(q float64) time.Duration {
	var n uint64
	for _, c := range s.Hist {
		n += c
	}
	rank := uint64(math.Ceil(q * float64(n+s.Overflow)))
	if rank == 0 {
		rank = 1
	}
	n = 0
	for i, c := range s.Hist {
		if n += c; n >= rank {
			return min(time.Duration(i+1)*time.Microsecond, s.MaxLateness)
		}
	}
	return s.MaxLateness
}
