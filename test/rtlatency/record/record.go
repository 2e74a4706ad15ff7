// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package record keeps the latencies of one measured task without
// allocating: fixed histograms, and counters that another goroutine may read
// while the task runs.
package record

import (
	"sync/atomic"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

// DefaultLimit is the length in microseconds of the linear histogram where
// the user asks for none.
const DefaultLimit = 1000

// A Recorder takes the samples of one task. One goroutine records; any may
// call Live.
type Recorder struct {
	// Period is the time between releases in nanoseconds. A sample later
	// than that also counts the releases that passed meanwhile. 0: the task
	// has no period.
	Period int64

	cycles, missed atomic.Uint64
	min, max, act  atomic.Int64
	sum            int64
	early          uint64
	start, worstAt int64
	worstCycle     uint64
	linear         []uint64
	overflow       uint64
	overflowCycles []uint64 // the first cycles that overflowed, as cyclictest lists them
	log            []uint64
	values         []int64 // the latest samples, for -v
}

// New returns a Recorder with a linear histogram of limit microseconds; its
// memory is touched, so that recording takes no page fault.
func New(limit int, period int64) *Recorder {
	r := &Recorder{
		Period:         period,
		linear:         make([]uint64, limit),
		overflowCycles: make([]uint64, 0, limit),
		log:            make([]uint64, result.LogBuckets),
	}
	for _, s := range [][]uint64{r.linear, r.log, r.overflowCycles[:limit]} {
		for i := range s {
			s[i] = 1
		}
		clear(s)
	}
	return r
}

// Begin sets the time from which the time of the worst sample counts.
func (r *Recorder) Begin(now int64) { r.start = now }

// Keep makes r remember its latest n samples for [Recorder.Values].
func (r *Recorder) Keep(n int) { r.values = make([]int64, n) }

// Missed returns how many later releases have passed when a task runs lat
// nanoseconds after its own.
func (r *Recorder) Missed(lat int64) uint64 {
	if r.Period <= 0 || lat <= 0 {
		return 0
	}
	return uint64(lat / r.Period)
}

// Record takes one sample: the task ran lat nanoseconds after its release,
// at CLOCK_MONOTONIC now. It returns the number of later releases that had
// passed by then, which the caller must skip.
func (r *Recorder) Record(lat, now int64) (missed uint64) {
	missed = r.Missed(lat)
	r.RecordMissed(lat, now, missed)
	return missed
}

// RecordMissed is Record for a task that knows how many later releases this
// wake-up stands for.
func (r *Recorder) RecordMissed(lat, now int64, missed uint64) {
	n := r.cycles.Load()
	if n == 0 || lat < r.min.Load() {
		r.min.Store(lat)
	}
	if n == 0 || lat > r.max.Load() {
		r.max.Store(lat)
		r.worstAt, r.worstCycle = now-r.start, n
	}
	r.act.Store(lat)
	r.sum += lat
	if lat < 0 {
		r.early++
	}
	if us := max(lat, 0) / 1000; us < int64(len(r.linear)) {
		r.linear[us]++
	} else {
		if r.overflow < uint64(cap(r.overflowCycles)) {
			r.overflowCycles = append(r.overflowCycles, n)
		}
		r.overflow++
	}
	r.log[result.LogIndex(lat)]++
	if r.values != nil {
		r.values[n%uint64(len(r.values))] = lat
	}
	for i := range missed {
		r.log[result.LogIndex(lat-int64(i+1)*r.Period)]++
	}
	if missed > 0 {
		r.missed.Add(missed)
	}
	r.cycles.Add(1)
}

// Live is what may be read while the task runs, in nanoseconds.
type Live struct {
	Cycles, Missed     uint64
	Min, Act, Avg, Max int64
}

// Live returns the state of r. Avg is exact only when the task has ended.
func (r *Recorder) Live() Live {
	l := Live{r.cycles.Load(), r.missed.Load(), r.min.Load(), r.act.Load(), 0, r.max.Load()}
	if l.Cycles > 0 {
		l.Avg = r.sum / int64(l.Cycles)
	}
	return l
}

// Values appends to b the samples from cycle from on that are still kept,
// and returns the number of the next.
func (r *Recorder) Values(b []int64, from uint64) ([]int64, uint64) {
	n := r.cycles.Load()
	if r.values == nil {
		return b, n
	}
	if k := uint64(len(r.values)); n > k {
		from = max(from, n-k)
	}
	for ; from < n; from++ {
		b = append(b, r.values[from%uint64(len(r.values))])
	}
	return b, n
}

// OverflowCycles returns the numbers of the first cycles whose latency was
// beyond the linear histogram.
func (r *Recorder) OverflowCycles() []uint64 { return r.overflowCycles }

// Linear returns the linear histogram, one bucket per microsecond.
func (r *Recorder) Linear() []uint64 { return r.linear }

// Overflow returns the number of samples beyond the linear histogram.
func (r *Recorder) Overflow() uint64 { return r.overflow }

// Stats returns the statistics of a task that has ended.
func (r *Recorder) Stats() result.Stats {
	l := r.Live()
	s := result.Stats{
		Cycles: l.Cycles, Missed: l.Missed, Early: r.early,
		MinNS: l.Min, AvgNS: l.Avg, MaxNS: l.Max,
		Linear:  result.Linear{Limit: len(r.linear), Counts: make(map[int]uint64), Overflow: r.overflow},
		WorstAt: r.worstAt, WorstCyc: r.worstCycle,
	}
	for us, n := range r.linear {
		if n > 0 {
			s.Linear.Counts[us] = n
		}
	}
	for i, n := range r.log {
		if n > 0 {
			from, to := result.LogBounds(i)
			s.Log = append(s.Log, result.Bucket{From: from, To: to, N: n})
		}
	}
	s.SetQuantiles()
	return s
}
