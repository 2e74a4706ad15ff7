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
// counted by what it had to wait for. To keep the way of a wake-up short, it
// only reads the CPU's counter, three instructions where nanotime takes a hundred
// and more; it is counted when the goroutine blocks next.
//
// Pauses are the times for which the runtime kept a real-time goroutine that
// could run from running: its P was seized by a stop or for a safepoint
// function, it ran the function itself, or its stack was being scanned. Of
// these the largest sums within any window of 1 ms and of 10 ms are kept, from
// which the minimum mutator utilization (MMU, as in the papers on Metronome)
// follows: 1 - sum/window.

package runtime

import "internal/runtime/atomic"

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

// rtTicks returns the CPU's counter (TSC, CNTVCT_EL0), which is not read in order
// with other instructions. It stands for cputicks, which is nanotime on arm64. The
// kernel lets programs read it, or does so for them where it has errata.
func rtTicks() int64

// rtTick is the rate of rtTicks, measured better and better by the watchdog.
// (ticksPerSecond reads the two clocks one after the other, and is wrong for
// good if the thread loses the CPU in between.)
var rtTick struct {
	ns            atomic.Float64 // per tick
	time0, ticks0 int64
	gap           int64 // between the readings of the clocks, ticks
}

// rtTickRead reads both clocks, at the same time but for gap.
//
//go:nowritebarrierrec
func rtTickRead() (time, ticks, gap int64) {
	gap = 1 << 62
	for range 5 {
		a := rtTicks()
		t := nanotime()
		b := rtTicks()
		if b-a < gap {
			time, ticks, gap = t, a, b-a
		}
	}
	return time, ticks, gap
}

// rtTickInit measures the rate roughly. It sleeps for a few milliseconds, once.
func rtTickInit() {
	if rtTick.ns.Load() != 0 {
		return
	}
	time0, ticks0, gap := rtTickRead()
	timeSleep(4 * 1000 * 1000)
	time, ticks, _ := rtTickRead()
	lock(&sched.lock)
	if rtTick.ns.Load() == 0 {
		rtTick.time0, rtTick.ticks0, rtTick.gap = time0, ticks0, gap
		rtTick.ns.Store(float64(time-time0) / float64(max(1, ticks-ticks0)))
	}
	unlock(&sched.lock)
}

// rtTickRefine is called by the watchdog.
//
//go:nowritebarrierrec
func rtTickRefine() {
	time, ticks, gap := rtTickRead()
	if gap <= 4*rtTick.gap && ticks > rtTick.ticks0 && rtTick.time0 != 0 {
		rtTick.ns.Store(float64(time-rtTick.time0) / float64(ticks-rtTick.ticks0))
	}
}

// rtAnchorMax is the longest sleep that rtTicks measures, ns: their rate is
// known to some parts in 10^4 at first.
const rtAnchorMax = 20 * 1000 * 1000

// rtWoke notes that the goroutine of pp runs again, released when rtTicks was
// from and minus ns had passed.
func rtWoke(pp *rtP, from, minus int64) {
	pp.rt.woke.at, pp.rt.woke.from, pp.rt.woke.minus = rtTicks(), from, minus
}

// rtRecord counts the wake-up noted by rtWoke, if any.
func rtRecord(pp *rtP) {
	w := &pp.rt.woke
	if w.at == 0 {
		return
	}
	at, ticks := w.at, w.at-w.from
	w.at = 0
	rtCheckPreemptLatency(pp, int64(float64(ticks)*rtTick.ns.Load())-w.minus)
	if due := rtWatch.due.Load(); due != 0 && at-due > 0 {
		rtWatchLook(due)
	}
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
