// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package result

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLogBuckets(t *testing.T) {
	// The buckets tile [0, 2^40) without gap or overlap.
	next := int64(0)
	for i := range LogBuckets {
		from, to := LogBounds(i)
		if from != next || to <= from {
			t.Fatalf("bucket %d is [%d, %d), want it to start at %d", i, from, to, next)
		}
		if from >= 1<<logBits && float64(to-from)/float64(from) > 1.0/64 {
			t.Fatalf("bucket %d [%d, %d) is too wide", i, from, to)
		}
		if LogIndex(from) != i || LogIndex(to-1) != i {
			t.Fatalf("bucket %d: bounds map to %d and %d", i, LogIndex(from), LogIndex(to-1))
		}
		next = to
	}
	if next != 1<<logMaxBits {
		t.Fatalf("buckets end at %d", next)
	}
	if LogIndex(1<<62) != LogBuckets-1 || LogIndex(-5) != 0 {
		t.Fatal("values outside the range")
	}
}

func buckets(ns []int64) []Bucket {
	var c [LogBuckets]uint64
	for _, x := range ns {
		c[LogIndex(x)]++
	}
	var b []Bucket
	for i, n := range c {
		if n > 0 {
			from, to := LogBounds(i)
			b = append(b, Bucket{from, to, n})
		}
	}
	return b
}

func TestQuantile(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	ns := make([]int64, 20001)
	for i := range ns {
		ns[i] = int64(r.ExpFloat64() * 30000)
	}
	b := buckets(ns)
	slices.Sort(ns)
	for _, q := range []float64{.5, .9, .99, .999, .9999, 1} {
		rank := int(q*float64(len(ns))+.9999999) - 1
		want := ns[min(rank, len(ns)-1)]
		got := Quantile(b, q)
		if got < want || float64(got) > float64(want)*(1+1.0/64)+1 {
			t.Errorf("q %v: %d, exact %d", q, got, want)
		}
	}
	if Quantile(nil, .5) != 0 {
		t.Error("no samples")
	}
}

func TestQuantileFromLinear(t *testing.T) {
	s := Stats{Cycles: 100, MaxNS: 5000000, Linear: Linear{Limit: 100, Counts: map[int]uint64{14: 98}, Overflow: 2}}
	s.SetQuantiles()
	if s.P50NS != 14999 || s.P99NS != 5000000 {
		t.Errorf("p50 %d p99 %d", s.P50NS, s.P99NS)
	}
}

func TestMerge(t *testing.T) {
	mk := func(ns ...int64) Thread {
		var th Thread
		th.Log = buckets(ns)
		th.Cycles = uint64(len(ns))
		th.Linear = Linear{Limit: 10, Counts: map[int]uint64{}}
		var sum int64
		for _, x := range ns {
			sum += x
			if x/1000 < 10 {
				th.Linear.Counts[int(x/1000)]++
			} else {
				th.Linear.Overflow++
			}
		}
		th.MinNS, th.MaxNS = slices.Min(ns), slices.Max(ns)
		th.AvgNS = sum / int64(len(ns))
		return th
	}
	s := Merge([]Thread{mk(1000, 2000, 3000), mk(500, 20000, 30000)})
	if s.Cycles != 6 || s.MinNS != 500 || s.MaxNS != 30000 || s.AvgNS != 9416 || s.Linear.Overflow != 2 {
		t.Errorf("%+v", s)
	}
	if err := s.check(); err != nil {
		t.Error(err)
	}
}

func TestJudge(t *testing.T) {
	ctl := func(max int64, n uint64) *Control {
		return &Control{BoundNS: 100000, Threads: []Thread{{Stats: Stats{MaxNS: max, Cycles: n}}}}
	}
	var m Measurement
	m.Outcome, m.Threads = OK, make([]Thread, 1)
	if m.Judge(ctl(20000, 10)); m.Validity != Valid || !m.Comparable() {
		t.Errorf("good control: %s", m.Validity)
	}
	if m.Judge(ctl(18534000, 10)); m.Validity != Void || m.Comparable() || !strings.Contains(m.Void, "18534 µs") {
		t.Errorf("bad control: %s %q", m.Validity, m.Void)
	}
	if m.Judge(ctl(0, 0)); m.Validity != Void {
		t.Errorf("empty control: %s", m.Validity)
	}
}

func TestFile(t *testing.T) {
	r := &Run{Version: Version, Environments: []Environment{{ID: "host"}}}
	m := Measurement{ID: "a", Env: "host"}
	th := Thread{Stats: Stats{Cycles: 2, Linear: Linear{Limit: 3, Counts: map[int]uint64{1: 1}, Overflow: 1}, MaxNS: 9000}}
	m.Threads = []Thread{th}
	r.Measurements = []Measurement{m}
	for _, base := range []string{"r.json", "r.json.gz"} {
		name := filepath.Join(t.TempDir(), base)
		if err := r.WriteFile(name); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if isJSON := b[0] == '{'; isJSON != (base == "r.json") {
			t.Errorf("%s begins with %q", base, b[:2])
		}
		got, err := ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if got.Measurements[0].Threads[0].Linear.Counts[1] != 1 {
			t.Errorf("%+v", got)
		}
	}
	r.Measurements[0].Threads[0].Cycles = 3 // a lost sample
	if err := r.Check(); err == nil || !strings.Contains(err.Error(), "cycles says 3") {
		t.Errorf("lost sample: %v", err)
	}
	r.Measurements[0].Threads[0].Cycles = 2
	r.Measurements[0].Env = "moon"
	if err := r.Check(); err == nil {
		t.Error("unknown environment accepted")
	}
}
