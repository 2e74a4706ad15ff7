// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Demo runs a 1 kHz loop at SCHED_FIFO 80 beside goroutines that allocate
// without pause, and prints how late the loop woke up. It compiles under
// rtgo and under stock Go; build.sh runs it under both.
//
//	rtgo dev run ./test/demo -time 10s
//
// It needs no module, so that build.sh needs no network: it calls runtime/rt
// and system calls itself. Programs use rtgo.dev/rtgo/rt instead.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// A Result is what -json prints. Times are in microseconds.
type Result struct {
	Version  string  `json:"version"`
	Realtime bool    `json:"realtime"`        // the runtime knows real-time goroutines
	Error    string  `json:"error,omitempty"` // why the loop did not run at SCHED_FIFO
	Releases int     `json:"releases"`
	Missed   int     `json:"missed"` // releases that passed while the loop was late
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
	Max      float64 `json:"max"`
}

func main() {
	period := flag.Duration("period", time.Millisecond, "`period` of the loop")
	length := flag.Duration("time", 5*time.Second, "how long to measure")
	prio := flag.Int("prio", 80, "SCHED_FIFO `priority`, 1 to 99")
	live := flag.Int("live", 100, "live heap of the load, in `MB`")
	workers := flag.Int("load", 4, "`number` of goroutines that allocate")
	asJSON := flag.Bool("json", false, "print JSON")
	flag.Parse()
	if flag.NArg() > 0 || *period < 10*time.Microsecond || *length < *period || *prio < 1 || *prio > 99 {
		fmt.Fprintln(os.Stderr, "demo: bad flag or argument; see -h")
		os.Exit(2)
	}

	heap := grow(*live)
	for range *workers {
		go allocate()
	}
	time.Sleep(200 * time.Millisecond) // the load is under way

	r := Result{Version: runtime.Version(), Realtime: realtime}
	done := make(chan []int64)
	go func() {
		if err := enter(*prio); err != nil {
			r.Error = err.Error()
		}
		lateness, missed := loop(*period, *length)
		leave()
		r.Missed = missed
		done <- lateness
	}()
	lateness := <-done
	runtime.KeepAlive(heap)

	slices.Sort(lateness)
	µs := func(q float64) float64 { return float64(lateness[int(q*float64(len(lateness)-1))]) / 1e3 }
	r.Releases, r.P50, r.P99, r.Max = len(lateness), µs(0.50), µs(0.99), µs(1)
	if *asJSON {
		json.NewEncoder(os.Stdout).Encode(r)
		return
	}
	if r.Error != "" {
		fmt.Println("not at SCHED_FIFO:", r.Error)
	}
	fmt.Printf("%s: p50 %.0f µs, p99 %.0f µs, max %.0f µs; %d releases, %d missed\n", r.Version, r.P50, r.P99, r.Max, r.Releases, r.Missed)
}

// loop waits for one absolute release after the other and returns how late
// it was for each, in nanoseconds. A release that passed while the loop was
// still late for an earlier one counts with its own lateness and is missed.
func loop(period, length time.Duration) (lateness []int64, missed int) {
	n := int(length / period)
	lateness = make([]int64, 0, n)
	release := now() + int64(period)
	for len(lateness) < n {
		sleepUntil(release)
		t := now()
		lateness = append(lateness, t-release)
		release += int64(period)
		for release <= t && len(lateness) < n {
			lateness = append(lateness, t-release)
			missed++
			release += int64(period)
		}
	}
	return lateness, missed
}

// A node is part of a binary tree: pointers for the collector to follow.
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

// grow returns trees of about mb megabytes in total.
func grow(mb int) []*node {
	var trees []*node
	for range mb * 4 { // 2^12 nodes of 64 bytes are 256 KB
		trees = append(trees, tree(11))
	}
	return trees
}

var sink [64]*node

// allocate makes garbage forever.
func allocate() {
	for i := 0; ; i++ {
		sink[i%len(sink)] = tree(6)
	}
}
