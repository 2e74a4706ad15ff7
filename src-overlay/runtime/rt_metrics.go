// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Metrics of real-time goroutines for runtime/metrics. Their descriptions are
// in runtime/metrics/rt.go.
//
// A task counts in its own rtStats. When it ends, its counts are added to
// rtSched.global; reading a metric adds those of the tasks that there are.

package runtime

import "internal/runtime/atomic"

// rtFold adds the counts of a task that has ended to the global ones.
func rtFold(s *rtStats) {
	lock(&sched.lock)
	rtAddStats(&rtSched.global, s)
	unlock(&sched.lock)
}

func rtAddStats(sum, s *rtStats) {
	sum.dispatches += s.dispatches
	sum.late += s.late
	sum.maxLateness = max(sum.maxLateness, s.maxLateness)
	sum.sumLateness += s.sumLateness
	sum.overflow += s.overflow
	for i, n := range s.causes {
		sum.causes[i] += n
	}
	for i, n := range s.hist {
		sum.hist[i] += n
	}
	sum.pauses.add(&s.pauses)
}

// rtTotal returns the counts of all tasks, past and present.
func rtTotal() *rtStats {
	sum := new(rtStats)
	lock(&sched.lock)
	rtAddStats(sum, &rtSched.global)
	for _, pp := range rtSched.ps {
		if pp.rt.task != 0 {
			rtAddStats(sum, pp.rt.stats)
		}
	}
	unlock(&sched.lock)
	return sum
}

// rtMetrics adds the metrics. Functions that capture variables are not
// allowed here.
func rtMetrics() {
	u := func(name string, f metricCompute) { metrics[name] = metricData{compute: f} }
	u("/rt/dispatch/late/forEachP:dispatches", func(_ *statAggregate, out *metricValue) {
		out.setUint(rtTotal().causes[rtCauseForEachP])
	})
	u("/rt/dispatch/late/kernel:dispatches", func(_ *statAggregate, out *metricValue) {
		out.setUint(rtTotal().causes[rtCauseKernel])
	})
	u("/rt/dispatch/late/runtime:dispatches", func(_ *statAggregate, out *metricValue) {
		out.setUint(rtTotal().causes[rtCauseOther])
	})
	u("/rt/dispatch/late/stack-scan:dispatches", func(_ *statAggregate, out *metricValue) {
		out.setUint(rtTotal().causes[rtCauseScan])
	})
	u("/rt/dispatch/late/stop-the-world:dispatches", func(_ *statAggregate, out *metricValue) {
		out.setUint(rtTotal().causes[rtCauseSTW])
	})
	rtSched.histBounds = make([]float64, rtHistBuckets+2)
	for i := range rtHistBuckets + 1 {
		rtSched.histBounds[i] = float64(i) / 1e6
	}
	rtSched.histBounds[rtHistBuckets+1] = float64Inf()
	u("/rt/dispatch/lateness:seconds", func(_ *statAggregate, out *metricValue) {
		sum := rtTotal()
		hist := out.float64HistOrInit(rtSched.histBounds)
		copy(hist.counts, sum.hist[:])
		hist.counts[rtHistBuckets] = sum.overflow
	})
	u("/rt/pauses/total:seconds", func(_ *statAggregate, out *metricValue) {
		out.setSeconds(rtTotal().pauses.total)
	})
	u("/rt/reserve/held:bytes", func(_ *statAggregate, out *metricValue) {
		out.setUint(uint64(max(rtRefill.held.Load(), 0)))
	})
	u("/rt/reserve/hits:spans", func(_ *statAggregate, out *metricValue) {
		out.setUint(rtRefill.hits.Load())
	})
	u("/rt/reserve/misses:spans", func(_ *statAggregate, out *metricValue) {
		out.setUint(rtRefill.misses.Load())
	})
	u("/rt/stops/forced:stops", func(_ *statAggregate, out *metricValue) {
		out.setUint(rtForcedStops())
	})
	u("/rt/stops/total:stops", func(_ *statAggregate, out *metricValue) {
		out.setUint(rtSlack.stops.Load())
	})
	u("/rt/stops/wait/total:seconds", func(_ *statAggregate, out *metricValue) {
		out.setSeconds(rtSlack.waited.Load())
	})
	u("/rt/tasks:tasks", func(_ *statAggregate, out *metricValue) {
		out.setUint(uint64(atomic.Load(&rtSched.active)))
	})
	u("/rt/watchdog/boosts:boosts", func(_ *statAggregate, out *metricValue) {
		out.setUint(rtWatch.boosts.Load())
	})
	u("/rt/watchdog/reports:reports", func(_ *statAggregate, out *metricValue) {
		out.setUint(rtWatch.reports.Load())
	})
}

type metricCompute func(in *statAggregate, out *metricValue)

func (v *metricValue) setUint(n uint64) {
	v.kind = metricKindUint64
	v.scalar = n
}

func (v *metricValue) setSeconds(ns int64) {
	v.kind = metricKindFloat64
	v.scalar = float64bits(nsToSec(ns))
}

// rtForcedStops counts the stops that began without slack.
func rtForcedStops() (n uint64) {
	for i := range rtSlack.forced {
		n += rtSlack.forced[i].Load()
	}
	return n
}
