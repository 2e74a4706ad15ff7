// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package report

import (
	"bytes"
	"encoding/xml"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/perf/benchfmt"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// stats returns the statistics of n wake-ups spread over [from, to) ns, the
// last of them being the maximum, plus missed releases with that lateness.
func stats(from, to int64, n, missed int) result.Stats {
	s := result.Stats{MinNS: from, MaxNS: to - 1, Missed: uint64(missed), Linear: result.Linear{Limit: 1000, Counts: make(map[int]uint64)}}
	log := make(map[int]uint64)
	sum := int64(0)
	for i := range n {
		v := from + (to-1-from)*int64(i)*int64(i)/int64(max(n-1, 1)*max(n-1, 1))
		sum += v
		s.Cycles++
		if us := int(v / 1000); us < s.Linear.Limit {
			s.Linear.Counts[us]++
		} else {
			s.Linear.Overflow++
		}
		log[result.LogIndex(v)]++
	}
	log[result.LogIndex(to-1)] += uint64(missed)
	s.AvgNS = sum / int64(n)
	for i := range result.LogBuckets {
		if log[i] > 0 {
			a, b := result.LogBounds(i)
			s.Log = append(s.Log, result.Bucket{From: a, To: b, N: log[i]})
		}
	}
	s.SetQuantiles()
	return s
}

func thread(s result.Stats) result.Thread {
	return result.Thread{Name: "abs", Priority: 80, PeriodNS: 1e6, CPU: -1, Stats: s}
}

var start = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func measurement(env, toolchain, scenario string, threads ...result.Thread) result.Measurement {
	group, _, _ := strings.Cut(scenario, "/")
	return result.Measurement{
		ID: env + "/" + toolchain + "/" + scenario, Env: env, Scenario: scenario, Group: group, Toolchain: toolchain,
		Program: "rtlatency", Policy: "fifo", Priority: 80, PeriodNS: 1e6, Load: []string{"alloc", "cpu"},
		LoadInfo: []string{"alloc: 4 goroutines", "cpu: 4 goroutines"}, Start: start, Duration: 20e9,
		Command: []string{"rtlatency", "--scenario", scenario}, Outcome: result.OK, Validity: result.Valid, Threads: threads,
	}
}

func control(bound int64, s result.Stats) *result.Control {
	s.Log = nil // cyclictest has whole microseconds only
	s.SetQuantiles()
	return &result.Control{Command: []string{"cyclictest", "-p80"}, BoundNS: bound, Threads: []result.Thread{thread(s)}}
}

// sample is a run that has every kind of thing a report can show.
func sample() *result.Run {
	r := &result.Run{
		Version: result.Version, Title: "Sample <run>", Start: start, End: start.Add(5 * time.Minute),
		Environments: []result.Environment{
			{ID: "lab-amd64", Machine: "lab", Simulated: true, Emulator: "QEMU 7.2", Arch: "amd64", CPUsOnline: 1, MemoryBytes: 2 << 30,
				Kernel: "6.1.0-rt-amd64", Realtime: true, RTRuntimeUS: -1, Virtualization: "hypervisor",
				Toolchains: []result.Toolchain{{Name: result.Stock, Version: "go1.26.8"}, {Name: result.RTGo, Version: "go1.26.8-rtgo1", PatchSet: "abc"}},
				Repeatability: []result.Repeatability{
					{Toolchain: result.C, Scenario: "cyclictest", Load: "none", Tolerance: .1, P50: .01, Max: .05, OK: true},
					{Toolchain: result.RTGo, Scenario: "periodic/abs", Load: "alloc+cpu", Tolerance: .1, P99: .02, Max: .25}}},
			{ID: "host", Machine: "host", Arch: "amd64", CPUsOnline: 2, Kernel: "6.12.0", RTRuntimeUS: 950000, Virtualization: "hypervisor"},
		},
		Aborts: []string{"handover/chan: not run | no time left"},
	}
	add := func(m result.Measurement, c *result.Control) {
		if c != nil {
			m.Judge(c)
		}
		r.Measurements = append(r.Measurements, m)
	}
	ctl := func() *result.Control { return control(100e3, stats(13e3, 25e3, 2000, 0)) }
	outside := stats(14e3, 27e3, 19000, 0)
	rtgo := measurement("lab-amd64", result.RTGo, "periodic/abs", thread(stats(14e3, 30e3, 20000, 0)))
	rtgo.OutsideSTW = &outside
	rtgo.Runtime = &result.GoRuntime{GCs: 12, STWs: 24, STWMaxNS: 20480, StoppingP50NS: 4096, StoppingP99NS: 8192, StoppingMaxNS: 10240, HeapBytes: 100 << 20, AllocBytes: 1 << 30, LoadOps: 12345, CPUTimeNS: 20e9, GCCPUFrac: .2}
	rtgo.Threads[0].RT = &result.RTStats{Dispatches: 20000, Late: 3, MaxLatenessNS: 29000, Causes: map[string]uint64{"gc": 2, "timer": 1}}
	add(measurement("lab-amd64", result.Stock, "periodic/abs", thread(stats(10e3, 150e6, 300, 19700))), ctl())
	add(rtgo, ctl())
	add(measurement("lab-amd64", result.C, "periodic/abs", thread(stats(13e3, 24e3, 20000, 0))), ctl())

	bad := control(100e3, stats(13e3, 18_534e3, 2000, 0))
	for _, tc := range []string{result.Stock, result.RTGo, result.C} {
		add(measurement("lab-amd64", tc, "handover/chan", thread(stats(777e3, 777_777_777, 50, 0))), bad)
	}

	over := measurement("lab-amd64", result.RTGo, "network/udp", thread(stats(50e3, 400e3, 500, 0)))
	over.Outcome, over.ThresholdNS = result.Threshold, 300e3
	add(over, nil)
	skipped := measurement("lab-amd64", result.Stock, "network/udp")
	skipped.Outcome, skipped.Error = result.NotRun, "the threshold was exceeded before"
	add(skipped, nil)
	failed := measurement("lab-amd64", result.C, "network/tcp")
	failed.Outcome, failed.Error = result.Failed, "bind: address in use"
	add(failed, nil)

	cycle, alloc := thread(stats(15e3, 700e3, 12000, 3)), thread(stats(2e3, 60e3, 12000, 0))
	cycle.Name, alloc.Name, alloc.Index = "cycle", "allocation", 1
	add(measurement("host", result.RTGo, "memory/alloc-cycle", cycle, alloc), nil)
	cycle.Stats, alloc.Stats = stats(12e3, 500e3, 12000, 0), stats(1e3, 30e3, 12000, 0)
	add(measurement("host", result.C, "memory/alloc-cycle", cycle, alloc), nil)

	for _, x := range []struct {
		suffix string
		s      result.Stats
	}{{"without", stats(20e3, 90e3, 2000, 0)}, {"with", stats(20e3, 60e6, 700, 1300)}} {
		m := measurement("host", result.Stock, "problem/handoff/"+x.suffix, thread(x.s))
		m.Cause = "a locked goroutine that blocks gives its P away"
		m.Summary = "handover/chan"
		m.Validity = result.Uncontrolled
		add(m, nil)
	}
	hang := measurement("host", result.Stock, "problem/livelock")
	hang.Outcome, hang.Error, hang.Cause = result.Hang, "ended by a watchdog after 3 s", "casgstatus spins"
	add(hang, nil)
	return r
}

func newReport(t *testing.T, run *result.Run) *Report {
	t.Helper()
	r, err := New(run, "")
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func render(t *testing.T, r *Report, format string) string {
	t.Helper()
	f, err := LookupFormat(format)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := f.Write(r, &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	r := newReport(t, sample())
	for _, f := range Formats {
		if f.Name == "json" {
			continue // long; TestReportJSONIsReadAgain
		}
		got := render(t, r, f.Name)
		name := filepath.Join("testdata", "golden", f.File)
		if *update {
			if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), got); d != "" {
			t.Errorf("%s differs from %s (go test -update rewrites it):\n%s", f.Name, name, d)
		}
	}
}

// TestVoidShowsNothing: no figure of a void measurement may reach a reader.
func TestVoidShowsNothing(t *testing.T) {
	r := newReport(t, sample())
	shown := regexp.MustCompile(`777[,.]?777|0\.7777`)
	for _, f := range Formats {
		if f.Name == "json" {
			continue // holds the measurements themselves
		}
		if s := shown.FindString(render(t, r, f.Name)); s != "" {
			t.Errorf("%s shows %q of a void measurement", f.Name, s)
		}
	}
	for _, c := range r.Cases {
		for _, p := range c.Panels {
			for _, row := range p.Rows {
				if row.Void() && (row.Max != nil || len(p.Plots) > 0) {
					t.Errorf("%s: void row has figures or a plot", row.Measurement)
				}
			}
		}
	}
	if r.Counts.Void != 3 {
		t.Errorf("counted %d void measurements, want 3", r.Counts.Void)
	}
}

func find(t *testing.T, r *Report, env, scenario string, panel int, kind string) *Row {
	t.Helper()
	for _, c := range r.Cases {
		if c.Env == env && c.Scenario == scenario {
			for _, row := range c.Panels[panel].Rows {
				if row.Kind == kind {
					return row
				}
			}
		}
	}
	t.Fatalf("no row %s of %s in %s", kind, scenario, env)
	return nil
}

func TestRatios(t *testing.T) {
	r := newReport(t, sample())
	row := find(t, r, "lab-amd64", "periodic/abs", 0, kindRTGo)
	ref := find(t, r, "lab-amd64", "periodic/abs", 0, kindC)
	for i, f := range row.Figures() {
		want := float64(f.NS) / float64(ref.Figures()[i].NS)
		if f.Ratio == nil || *f.Ratio != want {
			t.Errorf("figure %d: ratio %v, want %v", i, f.Ratio, want)
		}
	}
	// In a virtual machine in real time, only the median and p99.
	row = find(t, r, "host", "memory/alloc-cycle", 0, kindRTGo)
	for i, f := range row.Figures() {
		if got, want := f.Ratio != nil, i < 2; got != want {
			t.Errorf("host figure %d: has a ratio: %t, want %t", i, got, want)
		}
	}
	// 500 samples do not tell p99.9 from the maximum.
	row = find(t, r, "lab-amd64", "network/udp", 0, kindRTGo)
	if row.P99.Few || !row.P999.Few || !row.P9999.Few || row.Max.Few {
		t.Errorf("500 samples: few samples said of p99 %t, p99.9 %t, p99.99 %t, max %t; want only the middle two", row.P99.Few, row.P999.Few, row.P9999.Few, row.Max.Few)
	}
}

// TestControlIsReference: without a C twin a periodic wake-up is compared
// with cyclictest, other scenarios with nothing.
func TestControlIsReference(t *testing.T) {
	for scenario, want := range map[string]string{"periodic/abs": "cyclictest (control)", "network/udp": ""} {
		run := &result.Run{Version: result.Version, Environments: []result.Environment{{ID: "lab", Simulated: true}}}
		m := measurement("lab", result.RTGo, scenario, thread(stats(14e3, 30e3, 20000, 0)))
		m.Judge(control(100e3, stats(13e3, 25e3, 20000, 0)))
		run.Measurements = append(run.Measurements, m)
		if got := newReport(t, run).Cases[0].Panels[0].Reference; got != want {
			t.Errorf("%s: compared with %q, want %q", scenario, got, want)
		}
	}
}

// TestBoundedRatio: a maximum of few samples bounds the ratio from below.
func TestBoundedRatio(t *testing.T) {
	for n, want := range map[int]string{1000: "≥2.00×", 15000: "2.00×", 60000: "≤2.00×"} {
		run := &result.Run{Version: result.Version, Environments: []result.Environment{{ID: "lab", Simulated: true}}}
		run.Measurements = append(run.Measurements,
			measurement("lab", result.RTGo, "handover/chan", thread(stats(14e3, 40e3+1, n, 0))),
			measurement("lab", result.C, "handover/chan", thread(stats(13e3, 20e3+1, 20000, 0))))
		if got := find(t, newReport(t, run), "lab", "handover/chan", 0, kindRTGo).Max.RatioText(); got != want {
			t.Errorf("%d samples to 20000: %s, want %s", n, got, want)
		}
	}
}

func TestBootsAreNotMixed(t *testing.T) {
	dir := t.TempDir()
	var files []string
	write := func(tc, boot string) {
		run := &result.Run{Version: result.Version, Environments: []result.Environment{{ID: "host", Simulated: true, Kernel: "6.12", Boot: boot}}}
		m := measurement("host", tc, "periodic/abs", thread(stats(14e3, 30e3, 20000, 0)))
		m.ID = "same"
		run.Measurements = append(run.Measurements, m)
		name := filepath.Join(dir, fmt.Sprintf("%d.json", len(files)))
		if err := run.WriteFile(name); err != nil {
			t.Fatal(err)
		}
		files = append(files, name)
	}
	write(result.Stock, "a")
	write(result.RTGo, "a")
	write(result.C, "b")
	run, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	r := newReport(t, run)
	var got []string
	for _, c := range r.Cases {
		got = append(got, fmt.Sprintf("%s %d %q", c.Env, len(c.Panels[0].Rows), c.Panels[0].Reference))
	}
	want := []string{`host 2 ""`, `host-2 1 ""`}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("cases (-want +got):\n%s", d)
	}
}

func TestCyclictestFile(t *testing.T) {
	name := filepath.Join("..", "cyclictest", "testdata", "cyclictest-2.40.json")
	run, err := Load([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	m := run.Measurements[0]
	if m.Priority != 80 || m.PeriodNS != 1e6 || !m.Mlock || m.Policy != "fifo" || m.Duration != int64(time.Second) {
		t.Errorf("command line read as priority %d, period %d, mlockall %t, policy %s, duration %d", m.Priority, m.PeriodNS, m.Mlock, m.Policy, m.Duration)
	}
	row := newReport(t, run).Cases[0].Panels[0].Rows[0]
	// 14 of 50 samples are in the histogram, which ends at 20 µs.
	if !row.P50.Over || row.P50.String() != "> 20" || row.Max.String() != "61" {
		t.Errorf("p50 %s, max %s; want > 20 and 61", row.P50, row.Max)
	}
}

func TestReportJSONIsReadAgain(t *testing.T) {
	r := newReport(t, sample())
	name := filepath.Join(t.TempDir(), "report.json")
	if err := os.WriteFile(name, []byte(render(t, r, "json")), 0o644); err != nil {
		t.Fatal(err)
	}
	run, err := Load([]string{name})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(render(t, r, "html"), render(t, newReport(t, run), "html")); d != "" {
		t.Errorf("the page of report.json differs:\n%s", d)
	}
}

func TestLoadErrors(t *testing.T) {
	for content, want := range map[string]string{
		`[]`:                             "not JSON",
		`{"a":1}`:                        "neither a result of rtlatency nor of cyclictest",
		`{"version":99}`:                 "version 99",
		`{"file_version":1,"thread":{}}`: "no threads",
	} {
		name := filepath.Join(t.TempDir(), "in.json")
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Load([]string{name}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want the file's name and %q", content, err, want)
		}
	}
}

func TestSelfContained(t *testing.T) {
	page := render(t, newReport(t, sample()), "html")
	if s := regexp.MustCompile(`(?i)https?:|url\(|@import|<script|<link|<img|src=`).FindString(page); s != "" {
		t.Errorf("the page refers to something outside: %q", s)
	}
	if strings.Contains(page, "Sample <run>") {
		t.Error("the title is not escaped")
	}
	for _, want := range []string{"simulated time", "VOID", "not compared", "HANG, as expected", "over the bound"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestJUnit(t *testing.T) {
	var s junitSuites
	if err := xml.Unmarshal([]byte(render(t, newReport(t, sample()), "junit")), &s); err != nil {
		t.Fatal(err)
	}
	// The run: 3 void, 1 not run and 1 expected hang are skipped.
	if s.Tests != 14 || s.Failures != 1 || s.Errors != 1 || s.Skipped != 5 {
		t.Errorf("tests %d failures %d errors %d skipped %d, want 14 1 1 5", s.Tests, s.Failures, s.Errors, s.Skipped)
	}
}

func TestKTAP(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(render(t, newReport(t, sample()), "ktap")), "\n")
	if lines[0] != "KTAP version 1" || lines[1] != "1..14" {
		t.Fatalf("begins with %q, %q", lines[0], lines[1])
	}
	test := regexp.MustCompile(`^(ok|not ok) (\d+) [^#]+?( # (SKIP|XFAIL|TIMEOUT|ERROR) .+)?$`)
	n := 0
	for _, l := range lines[2:] {
		if strings.HasPrefix(l, "# ") {
			continue
		}
		m := test.FindStringSubmatch(l)
		if n++; m == nil || m[2] != strconv.Itoa(n) {
			t.Errorf("not test line %d: %q", n, l)
		}
	}
	if n != 14 {
		t.Errorf("%d tests, the plan says 14", n)
	}
}

// TestOpenMetrics checks what a scraper rejects: interleaved families,
// samples without a family, buckets that fall, duplicates, a missing end.
func TestOpenMetrics(t *testing.T) {
	text := render(t, newReport(t, sample()), "openmetrics")
	if !strings.HasSuffix(text, "\n# EOF\n") {
		t.Error("does not end with # EOF")
	}
	line := regexp.MustCompile(`^([a-z_]+)\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)+)\} (\S+)$`)
	family := ""
	families, samples := make(map[string]bool), make(map[string]bool)
	last := map[string]float64{}
	for l := range strings.Lines(strings.TrimSuffix(text, "# EOF\n")) {
		l = strings.TrimSpace(l)
		if f, ok := strings.CutPrefix(l, "# TYPE "); ok {
			family, _, _ = strings.Cut(f, " ")
			if families[family] {
				t.Errorf("family %s begins twice", family)
			}
			families[family] = true
			continue
		}
		if strings.HasPrefix(l, "# ") {
			continue
		}
		m := line.FindStringSubmatch(l)
		if m == nil {
			t.Fatalf("not a sample: %q", l)
		}
		if !strings.HasPrefix(m[1], family) {
			t.Errorf("sample %s in family %s", m[1], family)
		}
		if samples[m[1]+m[2]] {
			t.Errorf("twice: %s", l)
		}
		samples[m[1]+m[2]] = true
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			t.Error(err)
		}
		if strings.HasSuffix(m[1], "_bucket") {
			key := regexp.MustCompile(`,le=".*"`).ReplaceAllString(m[2], "")
			if v < last[key] {
				t.Errorf("bucket falls: %s", l)
			}
			last[key] = v
		}
	}
	if len(samples) < 50 {
		t.Errorf("only %d samples", len(samples))
	}
}

func TestBench(t *testing.T) {
	text := render(t, newReport(t, sample()), "bench")
	r := benchfmt.NewReader(strings.NewReader(text), "bench.txt")
	toolchains := make(map[string]int)
	for r.Scan() {
		switch rec := r.Result().(type) {
		case *benchfmt.Result:
			toolchains[rec.GetConfig("toolchain")]++
			if _, ok := rec.Value("max-sec"); !ok {
				t.Errorf("%s has no maximum", rec.Name)
			}
			if rec.Name.Full()[0] < 'A' || rec.Name.Full()[0] > 'Z' {
				t.Errorf("name %s", rec.Name)
			}
		case *benchfmt.SyntaxError:
			t.Error(rec)
		}
	}
	if err := r.Err(); err != nil {
		t.Error(err)
	}
	if toolchains["stock"] != 3 || toolchains["rtgo"] != 4 || toolchains["c"] != 3 {
		t.Errorf("lines by toolchain: %v", toolchains)
	}
}

func TestMissedReleasesAreInThePlot(t *testing.T) {
	s := stats(10e3, 150e6, 300, 19700)
	var n uint64
	for _, c := range binned(&s, 200e3, 2500, false) {
		n += c
	}
	if n != 20000 {
		t.Errorf("the plot holds %d releases, want 20000", n)
	}
}

func TestNumbers(t *testing.T) {
	for ns, want := range map[int64]string{0: "0", 850: "0.85", 9_994: "9.99", 9_999: "10.0", 15_432: "15.4", 99_960: "100", 147_295_400: "147,295", -1500: "-1.50"} {
		if got := us(ns, false); got != want {
			t.Errorf("us(%d) = %s, want %s", ns, got, want)
		}
	}
	for v, want := range map[float64]float64{0.5: 1, 17: 20, 20: 20, 21: 25, 1_100: 1200, 147_295: 150_000} {
		if got := ceilNice(v); got != want {
			t.Errorf("ceilNice(%v) = %v, want %v", v, got, want)
		}
	}
}

func TestOption(t *testing.T) {
	args := strings.Fields("cyclictest -mqp80 -i 200 --duration=3 -h400 --policy rr")
	for _, x := range []struct {
		short byte
		long  string
		want  string
		ok    bool
	}{{'p', "priority", "80", true}, {'i', "interval", "200", true}, {'D', "duration", "3", true}, {'h', "histogram", "400", true}, {0, "policy", "rr", true}, {'m', "mlockall", "qp80", true}, {'t', "threads", "", false}} {
		got, ok := option(args, x.short, x.long)
		if got != x.want || ok != x.ok {
			t.Errorf("option %s: %q, %t; want %q, %t", x.long, got, ok, x.want, x.ok)
		}
	}
}
