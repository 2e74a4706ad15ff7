// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestCheck(t *testing.T) {
	const ms = time.Millisecond
	for _, test := range []struct {
		a    Attr
		kind error
	}{
		{Attr{Priority: 1}, nil},
		{Attr{Priority: 99, Policy: RR, Name: "x", CPUs: []int{0}}, nil},
		{Attr{Policy: Deadline, Runtime: ms, Period: 10 * ms}, nil},
		{Attr{Policy: Deadline, Runtime: ms, Deadline: 10 * ms}, nil},
		{Attr{Policy: Deadline, Runtime: ms, Deadline: ms, Period: ms}, nil},
		{Attr{}, ErrPriority},
		{Attr{Priority: -1}, ErrPriority},
		{Attr{Priority: 100, Policy: RR}, ErrPriority},
		{Attr{Priority: 1, Policy: Deadline, Runtime: ms, Period: ms}, ErrPriority},
		{Attr{Priority: 1, Policy: 3}, ErrAttr},
		{Attr{Priority: 1, Period: ms}, ErrAttr},
		{Attr{Priority: 1, Name: "a\x00b"}, ErrAttr},
		{Attr{Policy: Deadline}, ErrAttr},
		{Attr{Policy: Deadline, Runtime: 1023, Period: ms}, ErrAttr},
		{Attr{Policy: Deadline, Runtime: 2 * ms, Period: ms}, ErrAttr},
		{Attr{Policy: Deadline, Runtime: ms, Deadline: 3 * ms, Period: 2 * ms}, ErrAttr},
		{Attr{Priority: 1, CPUs: []int{-1}}, ErrCPU},
		{Attr{Priority: 1, CPUs: []int{0, maxCPU}}, ErrCPU},
	} {
		_, err := test.a.check()
		if !errors.Is(err, test.kind) {
			t.Errorf("check(%+v) = %v, want %v", test.a, err, test.kind)
		}
		if err == nil {
			continue
		}
		e := err.(*Error)
		if e.Problem == "" || e.Fix == "" || strings.Contains(err.Error(), "\n") {
			t.Errorf("check(%+v): incomplete error %#v", test.a, e)
		}
		if err2 := Do(test.a, func() error { t.Error("f called"); return nil }); !errors.Is(err2, test.kind) {
			t.Errorf("Do(%+v) = %v, want %v", test.a, err2, test.kind)
		}
		if task, err2 := Go(test.a, func() { t.Error("f called") }); task != nil || !errors.Is(err2, test.kind) {
			t.Errorf("Go(%+v) = %v, want %v", test.a, err2, test.kind)
		}
	}
}

func TestCheckCopies(t *testing.T) {
	cpus := []int{3, 1, 3}
	a, err := Attr{Priority: 1, CPUs: cpus}.check()
	if err != nil {
		t.Fatal(err)
	}
	cpus[0] = 7
	if len(a.CPUs) != 2 || a.CPUs[0] != 1 || a.CPUs[1] != 3 {
		t.Errorf("CPUs = %v, want [1 3]", a.CPUs)
	}
	a, _ = Attr{Policy: Deadline, Runtime: time.Millisecond, Period: time.Second}.check()
	if a.Deadline != time.Second {
		t.Errorf("Deadline = %v, want Period", a.Deadline)
	}
}

func TestErrorChain(t *testing.T) {
	if !errors.Is(&Error{Kind: ErrUnsupported}, errors.ErrUnsupported) {
		t.Error("ErrUnsupported is not errors.ErrUnsupported")
	}
	for _, e := range []error{ErrPermission, ErrGroupQuota, ErrPriority, ErrAttr, ErrCPU, ErrAdmission, ErrDeadlineAffinity, ErrNested, ErrLocked, ErrEnded, ErrMemoryLock} {
		if errors.Is(e, ErrUnsupported) || !errors.Is(&Error{Kind: e}, e) {
			t.Errorf("%v does not stand for itself", e)
		}
	}
}

func TestStrings(t *testing.T) {
	if s := FIFO.String() + RR.String() + Deadline.String() + Policy(9).String(); s != "FIFORRDeadlinePolicy(9)" {
		t.Error(s)
	}
	for c := range Cause(NumCauses) {
		if s := c.String(); s == "" || strings.HasPrefix(s, "Cause(") {
			t.Errorf("Cause %d has no name", int(c))
		}
	}
	if s := Cause(-1).String(); s != "Cause(-1)" {
		t.Error(s)
	}
}

func TestQuantile(t *testing.T) {
	s := Stats{MaxLateness: 2500 * time.Microsecond}
	if q := s.Quantile(.5); q != s.MaxLateness || s.Mean() != 0 {
		t.Errorf("without wake-ups: %v, mean %v", q, s.Mean())
	}
	s.Hist[3], s.Hist[20], s.Overflow = 98, 1, 1
	s.Dispatches, s.SumLateness = 100, 100*time.Microsecond
	for q, want := range map[float64]time.Duration{0: 4, .5: 4, .98: 4, .99: 21, 1: 2500} {
		if got := s.Quantile(q); got != want*time.Microsecond {
			t.Errorf("Quantile(%v) = %v, want %v µs", q, got, int64(want))
		}
	}
	if s.Mean() != time.Microsecond {
		t.Errorf("mean %v", s.Mean())
	}
}
