// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Dispatch lateness of real-time goroutines.
//
// Each wake-up of a real-time goroutine is measured from its release (the
// absolute time that it slept until, or the moment another thread made it
// ready) to the moment it runs again, in a fixed histogram of its own P: no
// allocation, no lock, no sharing. A wake-up later than the threshold is
// counted by what it had to wait for.
//
// Pauses are the times for which the runtime kept a real-time goroutine that
// could run from running: its P was seized by a stop or for a safepoint
// function, it ran the function itself, or its stack was being scanned. Of
// these the largest sums within any window of 1 ms and of 10 ms are kept, from
// which the minimum mutator utilization (MMU, as in the papers on Metronome)
// follows: 1 - sum/window.

package runtime

// rtCause is runtime/rt.Cause.
type rtCause uint8

const (
	rtCauseKernel rtCause = iota
	rtCauseSTW
	rtCauseForEachP
	rtCauseScan
	rtCauseOther
	rtNumCauses
)

// rtHistBuckets is runtime/rt.HistBuckets.
const rtHistBuckets = 1000

// rtStats has the layout of runtime/rt.Stats.
type rtStats struct {
	dispatches  uint64
	late        uint64
	maxLateness int64
	sumLateness int64
	overflow    uint64
	causes      [rtNumCauses]uint64
	hist        [rtHistBuckets]uint64
	pauses      rtPauses
}

// rtPauses has the layout of runtime/rt.Pauses. All times are in ns.
type rtPauses struct {
	count uint64
	total int64
	max   int64
	in    [len(rtWindows)]int64 // largest sum in a window
}

// rtWindows are the windows of the minimum mutator utilization, ns.
var rtWindows = [2]int64{1e6, 10e6}

// add adds the pauses q of another task.
func (p *rtPauses) add(q *rtPauses) {
	p.count += q.count
	p.total += q.total
	p.max = max(p.max, q.max)
	for i := range p.in {
		p.in[i] = max(p.in[i], q.in[i])
	}
}

// rtRecent are the last pauses of a task, in a ring.
type rtRecent struct {
	n    uint32
	ring [64]struct{ start, end int64 }
}

// rtPaused records that the runtime kept the real-time goroutine of pp from
// running since start. A window that holds the largest sum ends with a pause,
// or can be moved to end with one, so these are the ones looked at. More than
// 64 pauses in a window count as 64.
//
//go:nosplit
func rtPaused(pp *rtP, start int64) {
	end := nanotime()
	st, r := &pp.rt.stats.pauses, &pp.rt.recent
	st.count++
	st.total += end - start
	st.max = max(st.max, end-start)
	r.ring[r.n%uint32(len(r.ring))].start = start
	r.ring[r.n%uint32(len(r.ring))].end = end
	r.n++
	for i, w := range rtWindows {
		sum := int64(0)
		for j := uint32(1); j <= uint32(len(r.ring)) && j <= r.n; j++ {
			x := &r.ring[(r.n-j)%uint32(len(r.ring))]
			if x.end <= end-w {
				break
			}
			sum += x.end - max(x.start, end-w)
		}
		st.in[i] = max(st.in[i], sum)
	}
}

// rtDefaultThreshold is the dispatch lateness that counts as late unless the
// program sets another, in nanoseconds.
const rtDefaultThreshold = 100 * 1000

// rtRecord measures the dispatch of the real-time goroutine of pp, released
// at the time at.
func rtRecord(pp *rtP, at int64) {
	rtCheckPreemptLatency(pp, nanotime()-at)
}

// rtCheckPreemptLatency counts a dispatch that was ns late.
func rtCheckPreemptLatency(pp *rtP, ns int64) {
	st := pp.rt.stats
	if ns < 0 {
		ns = 0
	}
	st.dispatches++
	st.sumLateness += ns
	if ns > st.maxLateness {
		st.maxLateness = ns
	}
	if us := uint64(ns) / 1000; us < rtHistBuckets {
		st.hist[us]++
	} else {
		st.overflow++
	}
	if limit := rtSched.threshold.Load(); limit > 0 && ns > limit {
		st.late++
		st.causes[pp.rt.cause]++
	}
	pp.rt.cause = rtCauseKernel
}
