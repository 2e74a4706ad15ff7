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
