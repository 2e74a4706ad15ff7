// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package campaign

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

func TestChoose(t *testing.T) {
	var p Plan
	if err := p.Choose("", "periodic/abs -i250 -t2,handover/chan", []string{"none", "quick", "stw:1000"}); err != nil {
		t.Fatal(err)
	}
	if len(p.Scenarios) != 2 || !slices.Equal(p.Scenarios[0].Flags, []string{"-i250", "-t2"}) {
		t.Errorf("scenarios %v", p.Scenarios)
	}
	if !slices.Equal(p.Loads, []string{"none", "none", "alloc,cpu", "stw:1000"}) {
		t.Errorf("loads %v", p.Loads)
	}
	if err := new(Plan).Choose("moon", "", nil); err == nil || !strings.Contains(err.Error(), "there are smoke") {
		t.Errorf("unknown set: %v", err)
	}
}

func TestCheck(t *testing.T) {
	good := Plan{Programs: Programs{Stock: "x"}, Scenarios: Sets["smoke"], Loads: []string{"none"}, Duration: time.Second, Priority: 80}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for name, f := range map[string]func(p *Plan){
		"no program":    func(p *Plan) { p.Programs.Stock = "" },
		"no scenario":   func(p *Plan) { p.Scenarios = nil },
		"bad scenario":  func(p *Plan) { p.Scenarios = []Item{{Scenario: "x"}} },
		"bad load":      func(p *Plan) { p.Loads = []string{"x"} },
		"no duration":   func(p *Plan) { p.Duration = 0 },
		"high priority": func(p *Plan) { p.Priority = 100 },
	} {
		p := good
		if f(&p); p.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Every set names scenarios that exist and takes a C twin once for all
// scenarios that share it.
func TestSets(t *testing.T) {
	for name, s := range Sets {
		p := Plan{Programs: Programs{Stock: "s", RTGo: "r", CTwin: "c", Cyclictest: "t"}, Scenarios: s, Loads: Loads["full"], Duration: time.Second, Priority: 80}
		if err := p.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := Plan{Programs: Programs{Stock: "s", RTGo: "r", CTwin: "c", Cyclictest: "t"}, Loads: []string{"none", "cpu"}, Tolerance: .1,
		Scenarios: []Item{{Scenario: "periodic/abs"}, {Scenario: "periodic/sleep"}, {Scenario: "periodic/sleep", Flags: []string{"-i100"}}}}
	// For each load: the control, 3 scenarios by 2 programs, 2 twins, the
	// first scenario again; and one repetition of the control.
	if n := p.Jobs(); n != 2*(1+3*2+2+1)+1 {
		t.Errorf("%d jobs, want 21", n)
	}
}

// The parts of a plan measure what the plan does, each thing once, and a part
// is complete when all of it is there.
func TestParts(t *testing.T) {
	p := Plan{Programs: Programs{Stock: "s", RTGo: "r", Cyclictest: "t"}, Loads: []string{"none", "cpu,alloc:500"}, Tolerance: .1, Problem: true, Duration: time.Second, Priority: 80,
		Environment: result.Environment{ID: "lab-amd64"},
		Scenarios:   []Item{{Scenario: "periodic/abs"}, {Scenario: "periodic/abs", Flags: []string{"-i100"}}, {Scenario: "periodic/sleep"}}}
	parts := p.Parts(2)
	var names []string
	run := &result.Run{}
	add := func(toolchain, group, id string) {
		run.Measurements = append(run.Measurements, result.Measurement{ID: id, Env: "lab-amd64", Toolchain: toolchain, Group: group})
	}
	for i, q := range parts {
		names = append(names, q.Name())
		if err := q.Check(); err != nil {
			t.Error(err)
		}
		if q.In(run) {
			t.Errorf("%s: done before it began", q.Name())
		}
		for _, tc := range []string{"stock", "rtgo"} {
			for _, it := range q.Scenarios {
				add(tc, "periodic", "lab-amd64/"+tc+"/"+strings.TrimSpace(it.Scenario+" "+strings.Join(it.Flags, " "))+"/"+[]string{"none", "cpu+alloc:500"}[i/2])
			}
			for _, name := range Problems {
				if q.Problem {
					add(tc, "problem", "lab-amd64/"+tc+"/problem/"+name+"/with")
				}
			}
			if q.In(run) != (tc == "rtgo") {
				t.Errorf("%s: done %t with %s", q.Name(), q.In(run), tc)
			}
		}
	}
	want := []string{"load none", "load none, part 2", "load cpu,alloc:500", "load cpu,alloc:500, part 2", "problem set"}
	if !slices.Equal(names, want) {
		t.Errorf("parts %q", names)
	}
	if parts[0].Tolerance == 0 || parts[1].Tolerance != 0 || parts[2].Tolerance == 0 {
		t.Error("what is measured twice is not the first part of each load")
	}
}

func TestTwinFlags(t *testing.T) {
	for flags, want := range map[string]string{
		"-i250 --conns=10":              "-i250 --conns=10",
		"-d0 --timers=5 -t4":            "-t4",
		"--compute 20 -i997":            "-i997",
		"-i997 --timers 5 --compute=20": "-i997",
		"--compute":                     "",
	} {
		if got := strings.Join(twinFlags(strings.Fields(flags)), " "); got != want {
			t.Errorf("%q: %q, want %q", flags, got, want)
		}
	}
}

// A program that cannot run, and one whose end is a signal, are outcomes.
func TestOutcomes(t *testing.T) {
	for _, c := range []struct{ exe, outcome string }{
		{"testdata/fails.sh", result.Failed},
		{"testdata/killed.sh", result.Hang},
	} {
		p := &Plan{Programs: Programs{Stock: c.exe}, Scenarios: []Item{{Scenario: "periodic/abs"}}, Loads: []string{"none"}, Duration: time.Millisecond, Priority: 1}
		r, err := Run(context.Background(), p, io.Discard, func(*result.Run) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Measurements) != 1 || r.Measurements[0].Outcome != c.outcome || r.Measurements[0].Error == "" || r.Measurements[0].Comparable() {
			t.Errorf("%s: %+v", c.exe, r.Measurements)
		}
		if err := r.Check(); err != nil {
			t.Error(err)
		}
	}
	p := &Plan{Programs: Programs{Stock: "testdata/fails.sh", CTwin: "testdata/fails.sh"}, Scenarios: []Item{{Scenario: "periodic/abs"}}, Loads: []string{"cpu"}, Duration: time.Millisecond, Priority: 1}
	if _, err := Run(context.Background(), p, io.Discard, func(*result.Run) error { return nil }); err == nil || !strings.Contains(err.Error(), "load cpu: it is broken") {
		t.Errorf("a load that does not start: %v", err)
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	p := &Plan{Programs: Programs{Stock: "testdata/killed.sh"}, Scenarios: Sets["smoke"], Loads: []string{"none"}, Duration: time.Millisecond, Priority: 1}
	if _, err := Run(ctx, p, io.Discard, func(*result.Run) error { return nil }); err == nil {
		t.Error("an interrupted campaign succeeded")
	}
}
