// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"runtime/trace"
	"time"
)

// disturb does to the whole process what programs do rarely, all the time.
func (t *tester) disturb(stop chan bool) {
	rng := rand.New(rand.NewPCG(t.Seed, 2))
	procs := runtime.GOMAXPROCS(0)
	percent := debug.SetGCPercent(100)
	defer func() {
		runtime.GOMAXPROCS(procs)
		debug.SetGCPercent(percent)
		runtime.SetMutexProfileFraction(0)
		runtime.SetBlockProfileRate(0)
	}()
	samples := make([]metrics.Sample, 0, 100)
	for _, d := range metrics.All() {
		samples = append(samples, metrics.Sample{Name: d.Name})
	}
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(rng.IntN(5000)) * time.Microsecond):
		}
		switch rng.IntN(15) {
		case 0:
			runtime.GC()
		case 1:
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
		case 2, 3:
			t.setProcs(1 + rng.IntN(2*procs+2))
		case 4:
			pprof.Lookup("goroutine").WriteTo(io.Discard, rng.IntN(3))
		case 5:
			runtime.Stack(make([]byte, 64<<10), true)
		case 6:
			debug.SetGCPercent([]int{-1, 1, 10, 50, 100, 400}[rng.IntN(6)])
		case 7:
			metrics.Read(samples)
		case 8:
			if rng.IntN(10) == 0 {
				debug.FreeOSMemory()
			}
		case 9:
			if rng.IntN(10) == 0 && pprof.StartCPUProfile(io.Discard) == nil {
				time.Sleep(20 * time.Millisecond)
				pprof.StopCPUProfile()
			}
		case 10:
			if rng.IntN(10) == 0 && trace.Start(io.Discard) == nil {
				time.Sleep(20 * time.Millisecond)
				trace.Stop()
			}
		case 11:
			p := pprof.Lookup([]string{"heap", "allocs", "threadcreate", "mutex", "block"}[rng.IntN(5)])
			p.WriteTo(io.Discard, rng.IntN(2))
		case 12:
			debug.SetMemoryLimit([]int64{64 << 20, 1 << 30, 1<<63 - 1}[rng.IntN(3)])
		case 13:
			debug.SetGCPercent(100)
			debug.SetMemoryLimit(1<<63 - 1)
		case 14:
			runtime.SetMutexProfileFraction([]int{0, 1, 5}[rng.IntN(3)])
			runtime.SetBlockProfileRate([]int{0, 1, 100_000}[rng.IntN(3)])
		}
	}
}

// setProcs changes GOMAXPROCS. Tasks do not count.
func (t *tester) setProcs(n int) {
	t.procs.Lock()
	defer t.procs.Unlock()
	runtime.GOMAXPROCS(n)
	if got := runtime.GOMAXPROCS(0); got != n {
		t.fail("GOMAXPROCS is %d, was set to %d", got, n)
	}
}

// hog computes most of the time.
func hog(stop chan bool) {
	for x := uint32(1); ; {
		for range 2_000_000 {
			x = x*1664525 + 1013904223
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(x%500) * time.Microsecond):
		}
	}
}

type node struct {
	left, right *node
	data        [4]int
}

func tree(depth int) *node {
	if depth == 0 {
		return new(node)
	}
	return &node{left: tree(depth - 1), right: tree(depth - 1)}
}

// allocate makes garbage.
func allocate(stop chan bool) {
	var live [64]*node
	for i := 0; ; i++ {
		live[i%len(live)] = tree(6)
		select {
		case <-stop:
			return
		default:
		}
		if i%64 == 0 {
			time.Sleep(100 * time.Microsecond)
		}
	}
}
