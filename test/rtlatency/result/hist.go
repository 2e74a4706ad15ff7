// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package result

import (
	"math/bits"
	"slices"
)

// The log-linear histogram: values below 2^logBits nanoseconds have a bucket
// each; every further power of two is divided into 2^(logBits-1) buckets, so
// that no bucket is wider than 1/64 of its lower bound.
const (
	logBits    = 7
	logHalf    = 1 << (logBits - 1)
	logMaxBits = 40 // values of 2^40 ns (18 minutes) and more share the last bucket
	LogBuckets = (logMaxBits-logBits)*logHalf + 1<<logBits
)

// LogIndex returns the bucket of a value in nanoseconds, which may be
// negative (bucket 0).
func LogIndex(ns int64) int {
	if ns < 1<<logBits {
		return int(max(ns, 0))
	}
	if ns >= 1<<logMaxBits {
		return LogBuckets - 1
	}
	shift := bits.Len64(uint64(ns)) - logBits
	return shift*logHalf + int(ns>>shift)
}

// LogBounds returns the range [from, to) of bucket i in nanoseconds.
func LogBounds(i int) (from, to int64) {
	if i < 1<<logBits {
		return int64(i), int64(i) + 1
	}
	shift := i/logHalf - 1
	m := int64(i - shift*logHalf)
	return m << shift, (m + 1) << shift
}

// Quantile returns the value below or at which the fraction q of the samples
// in sorted buckets lies: the upper end of the bucket that holds it, less
// one, so that it never flatters. It is 0 without samples.
func Quantile(b []Bucket, q float64) int64 {
	var total uint64
	for _, x := range b {
		total += x.N
	}
	if total == 0 {
		return 0
	}
	rank := uint64(q * float64(total))
	if float64(rank) < q*float64(total) || rank == 0 {
		rank++
	}
	rank = min(rank, total)
	var n uint64
	for _, x := range b {
		if n += x.N; n >= rank {
			return x.To - 1
		}
	}
	return b[len(b)-1].To - 1
}

// SetQuantiles fills the quantiles of s from Log, or from Linear if there is
// no Log. Neither exceeds the measured maximum.
func (s *Stats) SetQuantiles() {
	b := s.Log
	if len(b) == 0 {
		b = s.Linear.buckets()
		if s.Linear.Overflow > 0 {
			b = append(b, Bucket{From: int64(s.Linear.Limit) * 1000, To: s.MaxNS + 1, N: s.Linear.Overflow})
		}
	}
	for _, x := range []struct {
		p *int64
		q float64
	}{{&s.P50NS, .5}, {&s.P99NS, .99}, {&s.P999NS, .999}, {&s.P9999NS, .9999}} {
		*x.p = min(Quantile(b, x.q), max(s.MaxNS, 0))
	}
}

func (l *Linear) buckets() []Bucket {
	var b []Bucket
	for us, n := range l.Counts {
		b = append(b, Bucket{From: int64(us) * 1000, To: int64(us+1) * 1000, N: n})
	}
	slices.SortFunc(b, func(x, y Bucket) int { return int(x.From - y.From) })
	return b
}

// Merge returns the statistics of several threads taken together.
func Merge(threads []Thread) Stats {
	var s Stats
	first := true
	log := make(map[int64]Bucket)
	s.Linear.Counts = make(map[int]uint64)
	var sum float64
	haveLog := true
	for i := range threads {
		t := &threads[i].Stats
		s.Missed += t.Missed
		s.Early += t.Early
		if t.Cycles == 0 {
			continue
		}
		if first || t.MinNS < s.MinNS {
			s.MinNS = t.MinNS
		}
		if first || t.MaxNS > s.MaxNS {
			s.MaxNS, s.WorstAt, s.WorstCyc = t.MaxNS, t.WorstAt, t.WorstCyc
		}
		first = false
		s.Cycles += t.Cycles
		sum += float64(t.AvgNS) * float64(t.Cycles)
		s.Linear.Limit = max(s.Linear.Limit, t.Linear.Limit)
		s.Linear.Overflow += t.Linear.Overflow
		for us, n := range t.Linear.Counts {
			s.Linear.Counts[us] += n
		}
		haveLog = haveLog && t.Log != nil
		for _, b := range t.Log {
			x := log[b.From]
			x.From, x.To, x.N = b.From, b.To, x.N+b.N
			log[b.From] = x
		}
	}
	if s.Cycles > 0 {
		s.AvgNS = int64(sum / float64(s.Cycles))
	}
	if haveLog {
		for _, b := range log {
			s.Log = append(s.Log, b)
		}
		slices.SortFunc(s.Log, func(x, y Bucket) int { return int(x.From - y.From) })
	}
	s.SetQuantiles()
	return s
}
