// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package record

import (
	"slices"
	"testing"
)

func TestRecordDoesNotAllocate(t *testing.T) {
	r := New(50, 1000)
	r.Keep(10)
	var now int64
	if n := testing.AllocsPerRun(1000, func() { now += 1000; r.Record(now%200000, now) }); n != 0 {
		t.Errorf("Record allocates %v times", n)
	}
}

func TestMissedCycles(t *testing.T) {
	// A task of 1 ms period is 20 µs late nine times and 5.02 ms late once:
	// five further releases passed, and each was as late as it was.
	r := New(100, 1e6)
	for i := range 9 {
		if m := r.Record(20e3, int64(i)*1e6); m != 0 {
			t.Fatalf("cycle %d missed %d", i, m)
		}
	}
	if m := r.Record(5020e3, 14e6); m != 5 {
		t.Fatalf("missed %d, want 5", m)
	}
	s := r.Stats()
	if s.Cycles != 10 || s.Missed != 5 || s.MaxNS != 5020e3 || s.Linear.Overflow != 1 || s.Linear.Counts[20] != 9 {
		t.Errorf("%+v", s)
	}
	var n uint64
	var late []int64
	for _, b := range s.Log {
		n += b.N
		if b.From > 900e3 {
			late = append(late, (b.From+b.To+1e6)/2/1e6)
		}
	}
	if n != 15 || !slices.Equal(late, []int64{1, 2, 3, 4, 5}) {
		t.Errorf("%d releases, late ones (ms) %v", n, late)
	}
	// 10 of 15 releases were 20 µs late (the last missed one was, too), so
	// that the median is there and the third quartile is not; cyclictest's
	// view would put nine tenths at 20 µs.
	if s.P50NS > 21e3 || s.P99NS < 4e6 {
		t.Errorf("p50 %d p99 %d", s.P50NS, s.P99NS)
	}
	if s.WorstCyc != 9 || s.WorstAt != 14e6 {
		t.Errorf("worst cycle %d at %d", s.WorstCyc, s.WorstAt)
	}
	if !slices.Equal(r.OverflowCycles(), []uint64{9}) {
		t.Errorf("overflow cycles %v", r.OverflowCycles())
	}
}

func TestExactlyOnePeriodLateIsMissed(t *testing.T) {
	r := New(10, 100)
	if m := r.Record(100, 0); m != 1 {
		t.Errorf("missed %d, want 1: the next release is now", m)
	}
}

func TestEarly(t *testing.T) {
	r := New(10, 0)
	r.Record(-3, 0)
	r.Record(5, 0)
	s := r.Stats()
	if s.Early != 1 || s.MinNS != -3 || s.Linear.Counts[0] != 2 {
		t.Errorf("%+v", s)
	}
}

func TestValues(t *testing.T) {
	r := New(10, 0)
	r.Keep(4)
	for i := range 10 {
		r.Record(int64(i), 0)
	}
	v, next := r.Values(nil, 0)
	if !slices.Equal(v, []int64{6, 7, 8, 9}) || next != 10 {
		t.Errorf("%v %d", v, next)
	}
}
