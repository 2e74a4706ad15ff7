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

	Pauses Pauses

	// Page faults of the task's thread: minor ones, which the kernel served
	// from memory, and major ones, which waited for a disk. Both are 0 in
	// steady state if the memory was made ready ([Prepare]).
	MinorFaults, MajorFaults uint64
}

// Pauses are the times for which the runtime kept a task that could run from
// running: in stops of the world, for safepoint functions such as changes of
// the collector's phase, and while its stack was scanned. Without rtgo nothing
// is known of them.
type Pauses struct {
	Count  uint64
	Total  time.Duration
	Max    time.Duration // the longest one
	In1ms  time.Duration // the largest sum within any 1 ms
	In10ms time.Duration // the largest sum within any 10 ms
}

// MMU returns the minimum mutator utilization over any 1 ms and any 10 ms:
// the smallest share of such a window that the runtime left to the task, from
// 0 to 1, as papers on real-time collectors give it.
func (p *Pauses) MMU() (in1ms, in10ms float64) {
	share := func(d, window time.Duration) float64 { return max(0, 1-float64(d)/float64(window)) }
	return share(p.In1ms, time.Millisecond), share(p.In10ms, 10*time.Millisecond)
}

// RuntimeStats are counters of the process, of rtgo's runtime alone. The same
// and more are metrics /rt/* of package runtime/metrics.
type RuntimeStats struct {
	Stops   uint64        // stops of the world and safepoint rounds while there were tasks
	Forced  uint64        // of these, begun at a bad moment because none was good for 10 ms
	Wait    time.Duration // that these waited for a good moment, in total
	MaxWait time.Duration // the longest such wait
	Boosts  uint64        // times that the watchdog found sysmon starved
	Reports uint64        // tasks that the watchdog reported
}

// ReadRuntimeStats returns the counters of the process, zeroes without rtgo.
func ReadRuntimeStats() RuntimeStats { return readRuntime() }

// Critical asks that nothing stops the calling task in the next d: no stop of
// the world and no safepoint round begins. It is a request: the runtime waits
// 10 ms at most, then goes on and counts a forced stop ([RuntimeStats]). A
// further call replaces the window, 0 ends it. In an ordinary goroutine, and
// without rtgo, it does nothing.
func Critical(d time.Duration) { critical(max(d, 0)) }

// SetWatchdog sets for how long a task may keep all ordinary threads from
// running before the runtime reports it, with its stack, on standard error,
// and returns the previous value. 0 reports none. The default is one second.
// Without rtgo it does nothing and returns 0.
func SetWatchdog(d time.Duration) time.Duration { return setWatchdog(max(d, 0)) }

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
