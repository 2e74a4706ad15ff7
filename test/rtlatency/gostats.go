// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"math"
	"runtime"
	"runtime/metrics"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/rt"
	"rtgo.dev/rtgo/test/rtlatency/result"
)

// runtimeState is what the runtime and the kernel have counted so far.
type runtimeState struct {
	gcs, alloc, heap uint64
	gcCPU, totalCPU  float64
	stops            []*metrics.Float64Histogram // whole
	stopping         *metrics.Float64Histogram   // until all had stopped
	latency          *metrics.Float64Histogram
	usage            unix.Rusage
	rt               rt.RuntimeStats
}

func readRuntime() *runtimeState {
	s := []metrics.Sample{
		{Name: "/gc/cycles/total:gc-cycles"},
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/cpu/classes/gc/total:cpu-seconds"},
		{Name: "/cpu/classes/total:cpu-seconds"},
		{Name: "/sched/pauses/total/gc:seconds"},
		{Name: "/sched/pauses/total/other:seconds"},
		{Name: "/sched/latencies:seconds"},
		{Name: "/sched/pauses/stopping/gc:seconds"},
		{Name: "/sched/pauses/stopping/other:seconds"},
	}
	metrics.Read(s)
	r := &runtimeState{
		gcs: s[0].Value.Uint64(), alloc: s[1].Value.Uint64(), heap: s[2].Value.Uint64(),
		gcCPU: s[3].Value.Float64(), totalCPU: s[4].Value.Float64(),
		stops:    []*metrics.Float64Histogram{s[5].Value.Float64Histogram(), s[6].Value.Float64Histogram()},
		latency:  s[7].Value.Float64Histogram(),
		stopping: sum(s[8].Value.Float64Histogram(), s[9].Value.Float64Histogram()),
		rt:       rt.ReadRuntimeStats(),
	}
	unix.Getrusage(unix.RUSAGE_SELF, &r.usage)
	return r
}

// until returns what happened between two readings.
func (a *runtimeState) until(b *runtimeState) *result.GoRuntime {
	g := &result.GoRuntime{
		GCs: uint32(b.gcs - a.gcs), HeapBytes: b.heap, AllocBytes: b.alloc - a.alloc,
		RTStops:     b.rt.Stops - a.rt.Stops,
		RTForced:    b.rt.Forced - a.rt.Forced,
		Goroutines:  runtime.NumGoroutine(),
		MajorFaults: b.usage.Majflt - a.usage.Majflt,
		MinorFaults: b.usage.Minflt - a.usage.Minflt,
		InvolCtxSw:  b.usage.Nivcsw - a.usage.Nivcsw,
		CPUTimeNS:   b.usage.Utime.Nano() + b.usage.Stime.Nano() - a.usage.Utime.Nano() - a.usage.Stime.Nano(),
	}
	if d := b.totalCPU - a.totalCPU; d > 0 {
		g.GCCPUFrac = (b.gcCPU - a.gcCPU) / d
	}
	for i := range a.stops {
		n, worst := diff(a.stops[i], b.stops[i], 1)
		g.STWs += n
		g.STWMaxNS = max(g.STWMaxNS, worst)
	}
	_, g.StoppingP50NS = diff(a.stopping, b.stopping, .5)
	_, g.StoppingP99NS = diff(a.stopping, b.stopping, .99)
	_, g.StoppingMaxNS = diff(a.stopping, b.stopping, 1)
	_, g.SchedLatNS = diff(a.latency, b.latency, .99)
	return g
}

// sum adds b, a histogram with the same buckets, to a.
func sum(a, b *metrics.Float64Histogram) *metrics.Float64Histogram {
	for i, n := range b.Counts {
		a.Counts[i] += n
	}
	return a
}

// diff returns how many samples b has more than a and the upper bound of the
// bucket that holds their quantile q, in nanoseconds.
func diff(a, b *metrics.Float64Histogram, q float64) (n uint64, ns int64) {
	for i := range b.Counts {
		n += b.Counts[i] - a.Counts[i]
	}
	rank := uint64(math.Ceil(q * float64(n)))
	var k uint64
	for i := range b.Counts {
		if d := b.Counts[i] - a.Counts[i]; d > 0 {
			if k += d; k >= rank {
				bound := b.Buckets[i+1]
				if math.IsInf(bound, 1) {
					bound = b.Buckets[i]
				}
				return n, int64(bound * 1e9)
			}
		}
	}
	return n, 0
}

// rtStats are the runtime's own counts in the form of the result file.
func rtStats(s rt.Stats) *result.RTStats {
	r := &result.RTStats{
		Dispatches: s.Dispatches, Late: s.Late, MaxLatenessNS: int64(s.MaxLateness),
		Pauses: s.Pauses.Count, PauseMaxNS: int64(s.Pauses.Max), MinorFaults: s.MinorFaults, MajorFaults: s.MajorFaults,
	}
	r.MMU1ms, r.MMU10ms = s.Pauses.MMU()
	for c, n := range s.Causes {
		if n > 0 {
			if r.Causes == nil {
				r.Causes = make(map[string]uint64)
			}
			r.Causes[rt.Cause(c).String()] = n
		}
	}
	return r
}
