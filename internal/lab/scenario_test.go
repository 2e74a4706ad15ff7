// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

const twoRuns = `{
	"name": "test", "control": {"bound_us": 100},
	"runs": [
		{"name": "c", "program": ["cyclictest"], "format": "cyclictest", "output": "/tmp/c", "reference": true},
		{"name": "go", "program": ["./p"], "format": "cyclictest", "output": "/tmp/go", "load": [{"argv": ["hog"]}], "max_us": 500}
	]}`

// cyclictestJSON is a file with the given histogram, in µs.
func cyclictestJSON(hist map[int]int) []byte {
	var keys []string
	n, sum, lo, hi := 0, 0, -1, 0
	for us := range 100000 {
		if c := hist[us]; c > 0 {
			keys = append(keys, fmt.Sprintf("%q:%d", fmt.Sprint(us), c))
			if lo < 0 {
				lo = us
			}
			n, sum, hi = n+c, sum+c*us, us
		}
	}
	return fmt.Appendf(nil, `{"file_version":1,"cmdline:":"x","rt_test_version:":"2.4","num_threads":1,"resolution_in_ns":0,
		"thread":{"0":{"histogram":{%s},"cycles":%d,"min":%d,"max":%d,"avg":%d,"cpu":0,"node":0}}}`,
		strings.Join(keys, ","), n, lo, hi, sum/max(n, 1))
}

// boot returns a boot in which both runs of twoRuns went well.
func goodBoot() *Result {
	good := cyclictestJSON(map[int]int{14: 990, 20: 10})
	r := &Result{Outcome: OK, Kernel: "6.1.0-rt", Machine: Machine{Arch: AMD64, CPUs: 1, Seed: 1}, Files: map[string][]byte{
		"/tmp/c":  cyclictestJSON(map[int]int{15: 990, 22: 10}),
		"/tmp/go": cyclictestJSON(map[int]int{30: 990, 44: 10}),
	}}
	for _, run := range []string{"c", "go"} {
		for _, when := range []string{"before", "after"} {
			r.Files[controlFile(run, when)] = good
		}
		r.Steps = append(r.Steps, &StepResult{Name: run})
	}
	r.Steps = append(r.Steps, &StepResult{Name: "go: load 1", Background: true, Unfinished: true})
	return r
}

func TestJudge(t *testing.T) {
	bad := cyclictestJSON(map[int]int{14: 990, 101: 1})
	atBound := cyclictestJSON(map[int]int{14: 990, 100: 1})
	for _, tt := range []struct {
		name     string
		edit     func(*Result)
		want     Outcome
		reason   string
		compared bool
	}{
		{"good", func(r *Result) {}, OK, "", true},
		{"control at its bound", func(r *Result) { r.Files[controlFile("go", "after")] = atBound }, OK, "", true},
		{"control before too late", func(r *Result) { r.Files[controlFile("go", "before")] = bad }, Void, "before it reached 101", false},
		{"control after too late", func(r *Result) { r.Files[controlFile("go", "after")] = bad }, Void, "after it reached 101", false},
		{"reference void", func(r *Result) { r.Files[controlFile("c", "after")] = bad }, Void, "c: ", false},
		{"no control", func(r *Result) { delete(r.Files, controlFile("go", "after")) }, Void, "no control after", false},
		{"control without samples", func(r *Result) { r.Files[controlFile("go", "after")] = cyclictestJSON(nil) }, Void, "", false},
		{"control unreadable", func(r *Result) { r.Files[controlFile("go", "after")] = []byte("{") }, Void, "", false},
		{"load gone", func(r *Result) { r.Step("go: load 1").Unfinished = false }, Void, "load 1 ended before", false},
		{"threshold", func(r *Result) { r.Files["/tmp/go"] = cyclictestJSON(map[int]int{30: 9, 501: 1}) }, ThresholdBreach, "max 501", true},
		{"no figures", func(r *Result) { delete(r.Files, "/tmp/go") }, ProgramFailed, "left no /tmp/go", false},
		{"program fails", func(r *Result) { r.Outcome = ProgramFailed; r.Step("go").Exit = 1 }, ProgramFailed, "exit status 1", false},
		{"program killed at its limit", func(r *Result) { r.Outcome = Timeout; r.Step("go").TimedOut = true }, Timeout, "killed after", false},
		{"machine hangs", func(r *Result) {
			r.Outcome, r.Reason = Hang, "no sign of life"
			r.Step("go").Unfinished = true
			delete(r.Files, "/tmp/go")
			delete(r.Files, controlFile("go", "after"))
		}, Hang, "no sign of life", false},
		{"throttled", func(r *Result) { r.Outcome = RTThrottling }, RTThrottling, "", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parseScenario([]byte(twoRuns))
			if err != nil {
				t.Fatal(err)
			}
			boot := goodBoot()
			tt.edit(boot)
			res := s.Judge(boot)
			if res.Outcome != tt.want || !strings.Contains(res.Reason, tt.reason) {
				t.Errorf("%s (%s), want %s (%s)", res.Outcome, res.Reason, tt.want, tt.reason)
			}
			if got := res.Runs[1].Ratio != nil; got != tt.compared {
				t.Errorf("compared with the reference: %v, want %v", got, tt.compared)
			}
			var b bytes.Buffer
			if err := NewReport(s, []*ScenarioResult{res}).WriteText(&b); err != nil {
				t.Fatal(err)
			}
			text := b.String()
			if !strings.Contains(text, "SIMULATED") {
				t.Error("the report does not say that time is simulated")
			}
			if void := res.Runs[1].Outcome == Void; void && (!strings.Contains(text, "VOID: go") || strings.Contains(text, "44")) {
				t.Errorf("void run shown:\n%s", text)
			}
		})
	}
	s, _ := parseScenario([]byte(twoRuns))
	q := s.Judge(goodBoot()).Runs[1].Ratio
	// A quantile is the upper end of its class of 1 µs.
	if q.P50 < 1.9 || q.P50 > 2 || q.Max != 2 {
		t.Errorf("ratio %+v, want 31/16 and 2", q)
	}
}

func TestRepeat(t *testing.T) {
	s, err := parseScenario([]byte(twoRuns))
	if err != nil {
		t.Fatal(err)
	}
	other := func(maxUS int) *ScenarioResult {
		b := goodBoot()
		b.Files["/tmp/go"] = cyclictestJSON(map[int]int{30: 990, maxUS: 10})
		return s.Judge(b)
	}
	void := func() *ScenarioResult {
		b := goodBoot()
		delete(b.Files, controlFile("go", "before"))
		return s.Judge(b)
	}
	for _, tt := range []struct {
		name  string
		boots []*ScenarioResult
		want  bool
	}{
		{"same", []*ScenarioResult{other(44), other(44)}, true},
		{"within the tolerance", []*ScenarioResult{other(44), other(48)}, true},
		{"beyond it", []*ScenarioResult{other(44), other(44), other(49)}, false},
		{"one void", []*ScenarioResult{other(44), void()}, false},
		{"one boot only", []*ScenarioResult{other(44)}, false},
	} {
		if got := NewReport(s, tt.boots).Repeatable; got != tt.want {
			t.Errorf("%s: repeatable %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestParseScenario(t *testing.T) {
	s, err := parseScenario([]byte(twoRuns))
	if err != nil {
		t.Fatal(err)
	}
	if s.Arch != AMD64 || s.Control.Priority != 90 || s.Runs[1].Load[0].SettleMS != 500 {
		t.Errorf("defaults: %+v", s)
	}
	var names []string
	for _, st := range s.steps() {
		names = append(names, st.Name)
	}
	want := "c: control before|c|c: control after|go: load 1|go: control before|go|go: control after|go: end"
	if got := strings.Join(names, "|"); got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	for _, tt := range []struct{ json, want string }{
		{`{"name":"x"}`, "no runs"},
		{`{"name":"x","runs":[{"name":"a"},{"name":"a"}]}`, "used twice"},
		{`{"name":"x","runs":[{"name":"a","colour":1}]}`, "unknown field"},
		{`{"name":"x","arch":"mips","runs":[{"name":"a"}]}`, "unknown architecture"},
		{`{"name":"x","runs":[{"name":"a","program":["p"],"format":"csv","output":"/o"}]}`, "unknown format"},
		{`{"name":"x","runs":[{"name":"a","program":["p"],"format":"cyclictest"}]}`, "go together"},
		{`{"name":"x","runs":[{"name":"a","program":["p"],"max_us":5}]}`, "limits need figures"},
		{`{"name":"x","runs":[{"name":"a","load":[{}]}]}`, "no command"},
		{`{"name":"x","control":{"priority":100},"runs":[{"name":"a"}]}`, "priority 1 to 99"},
		{`{"name":"x","runs":[{"name":"a","reference":true},{"name":"b","reference":true}]}`, "more than one run"},
	} {
		if _, err := parseScenario([]byte(tt.json)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.json, err, tt.want)
		}
	}
}
