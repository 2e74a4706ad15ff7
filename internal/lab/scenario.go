// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"rtgo.dev/rtgo/internal/lab/wire"
	"rtgo.dev/rtgo/test/rtlatency/cyclictest"
	"rtgo.dev/rtgo/test/rtlatency/result"
)

// A Scenario is a list of measured runs in one boot, each between two
// controls beside its load. Latencies are in microseconds.
type Scenario struct {
	Name       string   `json:"name"`
	Arch       Arch     `json:"arch,omitempty"`       // default amd64
	CPUs       int      `json:"cpus,omitempty"`       // default 1
	MemoryMB   int      `json:"memory_mb,omitempty"`  // default 2048
	Clock      Clock    `json:"clock,omitempty"`      // default icount
	Throttling bool     `json:"throttling,omitempty"` // leave RT throttling on
	Files      []string `json:"files,omitempty"`      // HOST[:GUEST], relative to the scenario's directory

	Control Control `json:"control"`

	// Repeated boots agree if each of p50, p99 and max differs by no more
	// than TolerancePercent or ToleranceUS, whichever is more.
	TolerancePercent float64 `json:"tolerance_percent,omitempty"` // default 10
	ToleranceUS      float64 `json:"tolerance_us,omitempty"`      // default 3

	Runs []ScenarioRun `json:"runs"`
}

// A Control is cyclictest, run beside each load. If its worst latency exceeds
// the bound, the machine and not the program is what is late.
type Control struct {
	BoundUS    int `json:"bound_us,omitempty"`    // default 100
	Priority   int `json:"priority,omitempty"`    // default 90
	IntervalUS int `json:"interval_us,omitempty"` // default 1000
	Loops      int `json:"loops,omitempty"`       // default 1000
}

// A ScenarioRun is one measured program with its load.
type ScenarioRun struct {
	Name string `json:"name"`
	Load []Load `json:"load,omitempty"`

	// Program is the measured command; if its first word has a slash it is a
	// path in the guest, else a command of the guest's. Without a program,
	// the control is the measurement.
	Program []string `json:"program,omitempty"`
	Env     []string `json:"env,omitempty"`

	// Beside is a command to run beside the controls: the program itself, in
	// general, when it brings its load with it.
	Beside []string `json:"beside,omitempty"`

	// Format says how to read figures: "cyclictest" is cyclictest's JSON, as
	// rtlatency writes it too; "rtlatency" its own result file; "" none.
	Format string `json:"format,omitempty"`
	Output string `json:"output,omitempty"` // the file with the figures, in the guest

	TimeoutSeconds int `json:"timeout_seconds,omitempty"` // in guest time; default 300

	// Reference marks the run that others are compared with: the C twin.
	Reference bool `json:"reference,omitempty"`

	// Limits, in microseconds; 0 is none. A program that exits with status 2
	// says itself that a limit is exceeded, if ThresholdExit is set.
	MaxUS         float64 `json:"max_us,omitempty"`
	P99US         float64 `json:"p99_us,omitempty"`
	ThresholdExit bool    `json:"threshold_exit,omitempty"`
}

// A Load is a process that runs beside a measurement.
type Load struct {
	Argv     []string `json:"argv"`
	Env      []string `json:"env,omitempty"`
	SettleMS int      `json:"settle_ms,omitempty"` // default 500
}

// ReadScenario reads and checks a scenario file. Unknown keys are errors.
func ReadScenario(name string) (*Scenario, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	s, err := parseScenario(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func parseScenario(b []byte) (*Scenario, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	s := new(Scenario)
	if err := d.Decode(s); err != nil {
		return nil, err
	}
	setDefault(&s.Arch, AMD64)
	setDefault(&s.CPUs, 1)
	setDefault(&s.MemoryMB, 2048)
	setDefault(&s.Clock, Icount)
	setDefault(&s.Control.BoundUS, 100)
	setDefault(&s.Control.Priority, 90)
	setDefault(&s.Control.IntervalUS, 1000)
	setDefault(&s.Control.Loops, 1000)
	setDefault(&s.TolerancePercent, 10)
	setDefault(&s.ToleranceUS, 3)
	if _, err := ParseArch(string(s.Arch)); err != nil {
		return nil, err
	}
	if len(s.Runs) == 0 {
		return nil, errors.New("no runs")
	}
	c := s.Control
	if c.BoundUS < 1 || c.Priority < 1 || c.Priority > 99 || c.IntervalUS < 10 || c.Loops < 100 {
		return nil, errors.New("control: bound_us is at least 1, priority 1 to 99, interval_us at least 10, loops at least 100")
	}
	refs := 0
	names := make(map[string]bool)
	for i := range s.Runs {
		r := &s.Runs[i]
		setDefault(&r.TimeoutSeconds, 300)
		switch {
		case r.Name == "" || names[r.Name]:
			return nil, fmt.Errorf("run %d: its name is empty or used twice", i+1)
		case r.Format != "" && r.Format != "cyclictest" && r.Format != "rtlatency":
			return nil, fmt.Errorf("run %s: unknown format %q; use cyclictest or rtlatency", r.Name, r.Format)
		case (r.Format == "") != (r.Output == ""):
			return nil, fmt.Errorf("run %s: format and output go together", r.Name)
		case r.Format != "" && len(r.Program) == 0:
			return nil, fmt.Errorf("run %s: figures without a program", r.Name)
		case r.Format == "" && len(r.Program) > 0 && (r.MaxUS > 0 || r.P99US > 0):
			return nil, fmt.Errorf("run %s: limits need figures; give format and output", r.Name)
		}
		names[r.Name] = true
		for j := range r.Load {
			if len(r.Load[j].Argv) == 0 {
				return nil, fmt.Errorf("run %s: load %d has no command", r.Name, j+1)
			}
			setDefault(&r.Load[j].SettleMS, 500)
		}
		if r.Reference {
			refs++
		}
	}
	if refs > 1 {
		return nil, errors.New("more than one run is the reference")
	}
	return s, nil
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func controlFile(run, when string) string {
	return "/tmp/control-" + strings.Map(func(r rune) rune {
		if r == '/' || r == ' ' {
			return '-'
		}
		return r
	}, run) + "-" + when + ".json"
}

// steps turns the scenario into a plan.
func (s *Scenario) steps() []wire.Step {
	var steps []wire.Step
	for i := range s.Runs {
		r := &s.Runs[i]
		var loads []string
		for j, l := range r.Load {
			name := fmt.Sprintf("%s: load %d", r.Name, j+1)
			loads = append(loads, name)
			steps = append(steps, wire.Step{Name: name, Argv: l.Argv, Env: l.Env, Background: true, SettleMS: l.SettleMS})
		}
		control := func(when string) {
			if len(r.Beside) > 0 {
				steps = append(steps, wire.Step{Name: r.Name + ": beside " + when, Argv: r.Beside, Env: r.Env, Background: true, SettleMS: 500})
			}
			c := s.Control
			file := controlFile(r.Name, when)
			steps = append(steps, wire.Step{
				Name: r.Name + ": control " + when,
				Argv: []string{"cyclictest", "-q", "-m", "-p" + strconv.Itoa(c.Priority), "-i" + strconv.Itoa(c.IntervalUS),
					"-l" + strconv.Itoa(c.Loops), "-h" + strconv.Itoa(2*c.BoundUS), "-a", "-t" + strconv.Itoa(s.CPUs), "--json=" + file},
				TimeoutSeconds: 60 + 10*c.Loops*c.IntervalUS/1e6,
				Get:            []string{file},
			})
			if len(r.Beside) > 0 {
				steps = append(steps, wire.Step{Name: r.Name + ": end beside " + when, Stop: []string{r.Name + ": beside " + when}})
			}
		}
		control("before")
		if len(r.Program) > 0 {
			st := wire.Step{Name: r.Name, Argv: r.Program, Env: r.Env, TimeoutSeconds: r.TimeoutSeconds}
			if r.Output != "" {
				st.Get = []string{r.Output}
			}
			steps = append(steps, st)
			control("after")
		}
		if len(loads) > 0 {
			steps = append(steps, wire.Step{Name: r.Name + ": end", Stop: loads})
		}
	}
	return steps
}

// A ScenarioResult is what one boot of a scenario gave.
type ScenarioResult struct {
	Outcome Outcome     `json:"outcome"`
	Reason  string      `json:"reason,omitempty"`
	Boot    *Result     `json:"boot"`
	Runs    []RunResult `json:"runs"`
}

// A RunResult is one measured run.
type RunResult struct {
	Name     string        `json:"name"`
	Outcome  Outcome       `json:"outcome"`
	Reason   string        `json:"reason,omitempty"`
	Controls []*Figures    `json:"controls"`
	Figures  *Figures      `json:"figures,omitempty"`
	Ratio    *Ratio        `json:"ratio_to_reference,omitempty"` // absent for void runs
	Stats    *result.Stats `json:"stats,omitempty"`
}

// Figures are latencies in microseconds of simulated time, if the clock is
// icount.
type Figures struct {
	Cycles uint64  `json:"cycles"`
	Min    float64 `json:"min_us"`
	Avg    float64 `json:"avg_us"`
	P50    float64 `json:"p50_us"`
	P99    float64 `json:"p99_us"`
	P9999  float64 `json:"p99.99_us"`
	Max    float64 `json:"max_us"`
}

// Ratio is a run's figures divided by the reference's.
type Ratio struct {
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	P9999 float64 `json:"p99.99"`
	Max   float64 `json:"max"`
}

func newFigures(s *result.Stats) *Figures {
	us := func(ns int64) float64 { return float64(ns) / 1000 }
	return &Figures{s.Cycles, us(s.MinNS), us(s.AvgNS), us(s.P50NS), us(s.P99NS), us(s.P9999NS), us(s.MaxNS)}
}

// figures reads a program's output file.
func figures(format string, b []byte) (*result.Stats, error) {
	if format == "rtlatency" {
		r, err := result.Read(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		if len(r.Measurements) != 1 || r.Measurements[0].All() == nil {
			return nil, fmt.Errorf("%d measurements in the result file, want one with figures", len(r.Measurements))
		}
		return r.Measurements[0].All(), nil
	}
	f, err := cyclictest.Read(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	ts, err := f.Threads(0, 0, 0)
	if err != nil {
		return nil, err
	}
	if len(ts) == 1 {
		return &ts[0].Stats, nil
	}
	s := result.Merge(ts)
	return &s, nil
}

// Judge reads the figures of a boot of s. Runs whose controls failed, or did
// not happen, are void, and void runs are compared with nothing.
func (s *Scenario) Judge(boot *Result) *ScenarioResult {
	res := &ScenarioResult{Outcome: boot.Outcome, Reason: boot.Reason, Boot: boot}
	ref := -1
	for i := range s.Runs {
		r := &s.Runs[i]
		rr := RunResult{Name: r.Name, Outcome: OK}
		s.judgeRun(r, &rr, boot)
		if r.Reference && rr.Outcome == OK && rr.Figures != nil {
			ref = i
		}
		res.Runs = append(res.Runs, rr)
	}
	for i := range res.Runs {
		rr := &res.Runs[i]
		if ref < 0 || i == ref || rr.Figures == nil || rr.Outcome != OK && rr.Outcome != ThresholdBreach {
			continue
		}
		c := res.Runs[ref].Figures
		div := func(a, b float64) float64 {
			if b == 0 {
				return 0
			}
			return math.Round(100*a/b) / 100
		}
		rr.Ratio = &Ratio{div(rr.Figures.P50, c.P50), div(rr.Figures.P99, c.P99), div(rr.Figures.P9999, c.P9999), div(rr.Figures.Max, c.Max)}
	}
	// What happened to the machine goes before what happened to a run; among
	// runs a void one is the worst, since it says nothing at all.
	if boot.Outcome == OK || boot.Outcome == ProgramFailed || boot.Outcome == Timeout && boot.GuestDone() {
		res.Outcome, res.Reason = OK, ""
		for _, o := range []Outcome{Void, InfraError, ProgramFailed, Timeout, ThresholdBreach} {
			i := slices.IndexFunc(res.Runs, func(r RunResult) bool { return r.Outcome == o })
			if i >= 0 {
				res.Outcome, res.Reason = o, res.Runs[i].Name+": "+res.Runs[i].Reason
				break
			}
		}
	}
	return res
}

func (s *Scenario) judgeRun(r *ScenarioRun, rr *RunResult, boot *Result) {
	set := func(o Outcome, format string, args ...any) {
		if rr.Outcome == OK {
			rr.Outcome, rr.Reason = o, fmt.Sprintf(format, args...)
		}
	}
	whens := []string{"before", "after"}
	if len(r.Program) == 0 {
		whens = whens[:1]
	}
	for _, when := range whens {
		b, ok := boot.Files[controlFile(r.Name, when)]
		if !ok {
			set(Void, "no control %s it", when)
			continue
		}
		st, err := figures("cyclictest", b)
		if err != nil {
			set(Void, "control %s it: %v", when, err)
			continue
		}
		f := newFigures(st)
		rr.Controls = append(rr.Controls, f)
		if f.Cycles == 0 {
			set(Void, "the control %s it took no sample", when)
		}
		if f.Max > float64(s.Control.BoundUS) {
			set(Void, "the control %s it reached %.0f µs, its bound is %d: this machine measures itself", when, f.Max, s.Control.BoundUS)
		}
	}
	for j := range r.Load {
		st := boot.Step(fmt.Sprintf("%s: load %d", r.Name, j+1))
		if st == nil || !st.Unfinished {
			set(Void, "load %d ended before the measurement did", j+1)
		}
	}
	if len(r.Program) == 0 {
		if len(rr.Controls) > 0 {
			rr.Figures = rr.Controls[0]
		}
	} else {
		st := boot.Step(r.Name)
		switch {
		case st == nil || st.Unfinished:
			set(ProgramFailed, "it did not finish: %s %s", boot.Outcome, boot.Reason)
			return
		case st.TimedOut:
			set(Timeout, "killed after %d s", r.TimeoutSeconds)
			return
		case st.Exit == 2 && r.ThresholdExit:
			set(ThresholdBreach, "exit status 2")
		case st.Exit != 0:
			set(ProgramFailed, "%s", st.how())
		}
		if r.Format != "" {
			b, ok := boot.Files[r.Output]
			if !ok {
				set(ProgramFailed, "it left no %s", r.Output)
				return
			}
			stats, err := figures(r.Format, b)
			if err != nil {
				set(ProgramFailed, "%s: %v", r.Output, err)
				return
			}
			rr.Stats, rr.Figures = stats, newFigures(stats)
		}
	}
	if f := rr.Figures; f != nil {
		if r.MaxUS > 0 && f.Max > r.MaxUS {
			set(ThresholdBreach, "max %.0f µs, limit %g", f.Max, r.MaxUS)
		}
		if r.P99US > 0 && f.P99 > r.P99US {
			set(ThresholdBreach, "p99 %.0f µs, limit %g", f.P99, r.P99US)
		}
	}
}

// GuestDone reports whether every step of the plan that was to end did.
func (r *Result) GuestDone() bool {
	for _, s := range r.Steps {
		if s.Unfinished && !s.Background {
			return false
		}
	}
	return len(r.Steps) > 0
}

// A Repetition compares the figures of one run over several boots.
type Repetition struct {
	Run        string  `json:"run"`
	Figure     string  `json:"figure"`
	Least      float64 `json:"least_us"`
	Most       float64 `json:"most_us"`
	SpreadPct  float64 `json:"spread_percent"`
	WithinBand bool    `json:"within_tolerance"`
}

// A Report is a scenario and all its boots.
type Report struct {
	Schema      int               `json:"schema"`
	Label       string            `json:"label"` // what kind of time the figures are in
	Scenario    *Scenario         `json:"scenario"`
	Boots       []*ScenarioResult `json:"boots"`
	Repeated    []Repetition      `json:"repeated,omitempty"`
	Repeatable  bool              `json:"repeatable"` // with two boots or more: all within tolerance
	Outcome     Outcome           `json:"outcome"`
	Reason      string            `json:"reason,omitempty"`
	QEMU        string            `json:"qemu"`
	Packages    []Package         `json:"packages,omitempty"`
	VariedSeeds bool              `json:"varied_seeds,omitempty"`
}

// label says what kind of time a clock gives.
func label(c Clock) string {
	switch c {
	case Icount, Bochs:
		return "SIMULATED time: 4 ns per instruction, no caches, no firmware"
	case Host:
		return "EMULATED in host time: functional only, latencies mean nothing"
	}
	return "virtual machine on this host: no better than the host"
}

// NewReport compares boots of one scenario.
func NewReport(s *Scenario, boots []*ScenarioResult) *Report {
	r := &Report{Schema: 1, Label: label(s.Clock), Scenario: s, Boots: boots, Outcome: OK, Repeatable: true}
	for _, b := range boots {
		if b.Outcome != OK && r.Outcome == OK {
			r.Outcome, r.Reason = b.Outcome, b.Reason
		}
	}
	if len(boots) < 2 {
		r.Repeatable = false
		return r
	}
	for i := range s.Runs {
		var fs []*Figures
		for _, b := range boots {
			if f := b.Runs[i].Figures; f != nil && b.Runs[i].Outcome != Void {
				fs = append(fs, f)
			}
		}
		if len(fs) < len(boots) {
			if s.Runs[i].Format != "" || len(s.Runs[i].Program) == 0 {
				r.Repeatable = false
			}
			continue
		}
		for _, q := range []struct {
			name string
			get  func(*Figures) float64
		}{{"p50", func(f *Figures) float64 { return f.P50 }}, {"p99", func(f *Figures) float64 { return f.P99 }}, {"max", func(f *Figures) float64 { return f.Max }}} {
			x := Repetition{Run: s.Runs[i].Name, Figure: q.name, Least: math.Inf(1)}
			for _, f := range fs {
				x.Least, x.Most = min(x.Least, q.get(f)), max(x.Most, q.get(f))
			}
			if x.Least > 0 {
				x.SpreadPct = math.Round(1000*(x.Most-x.Least)/x.Least) / 10
			}
			x.WithinBand = x.Most-x.Least <= max(s.ToleranceUS, x.Least*s.TolerancePercent/100)
			r.Repeatable = r.Repeatable && x.WithinBand
			r.Repeated = append(r.Repeated, x)
		}
	}
	return r
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	s := r.Scenario
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n%s\n", s.Name, r.Label)
	for n, boot := range r.Boots {
		k := boot.Boot
		fmt.Fprintf(&b, "\nboot %d: %s, %d CPU, seed %d, kernel %s; control bound %d µs; %.0f s here, %.1f s there\n", n+1,
			k.Machine.Arch, k.Machine.CPUs, k.Machine.Seed, orNothing(strings.SplitN(k.Kernel, " ", 2)[0]), s.Control.BoundUS, k.Seconds, k.GuestTime)
		tw := tabwriter.NewWriter(&b, 0, 8, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintf(tw, "run\tcontrol max\tcycles\tmin\tavg\tp50\tp99\tp99.99\tmax\tto reference p50/p99.99/max\toutcome\t\n")
		for _, rr := range boot.Runs {
			var cs []string
			for _, c := range rr.Controls {
				cs = append(cs, fmt.Sprintf("%.0f", c.Max))
			}
			fmt.Fprintf(tw, "%s\t%s\t", rr.Name, strings.Join(cs, "/"))
			switch f := rr.Figures; {
			case rr.Outcome == Void:
				fmt.Fprintf(tw, "\t\t\t\t\t\t\t\tVOID\t\n")
				continue
			case f == nil:
				fmt.Fprintf(tw, "\t\t\t\t\t\t\t")
			default:
				fmt.Fprintf(tw, "%d\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t", f.Cycles, f.Min, f.Avg, f.P50, f.P99, f.P9999, f.Max)
			}
			if q := rr.Ratio; q != nil {
				fmt.Fprintf(tw, "%.2f/%.2f/%.2f", q.P50, q.P9999, q.Max)
			}
			fmt.Fprintf(tw, "\t%s\t\n", rr.Outcome)
		}
		tw.Flush()
		for _, rr := range boot.Runs {
			switch {
			case rr.Outcome == Void:
				fmt.Fprintf(&b, "VOID: %s: %s; its figures are not shown and compared with nothing\n", rr.Name, rr.Reason)
			case rr.Outcome != OK:
				fmt.Fprintf(&b, "%s: %s: %s\n", rr.Outcome, rr.Name, rr.Reason)
			}
		}
		if boot.Boot.Outcome != OK {
			fmt.Fprintf(&b, "machine: %s: %s\n", boot.Boot.Outcome, boot.Boot.Reason)
			if d := boot.Boot.Diagnosis; d != "" {
				fmt.Fprintf(&b, "  %s\n", d)
			}
		}
		for _, e := range boot.Boot.Events {
			fmt.Fprintf(&b, "console: %s\n", e.Text)
		}
	}
	if len(r.Boots) > 1 {
		fmt.Fprintf(&b, "\nrepeated %d times, %s; tolerance %g%% or %g µs\n", len(r.Boots),
			map[bool]string{true: "each with another seed", false: "same seed"}[r.VariedSeeds], s.TolerancePercent, s.ToleranceUS)
		for _, x := range r.Repeated {
			verdict := "within"
			if !x.WithinBand {
				verdict = "BEYOND"
			}
			fmt.Fprintf(&b, "  %s %s: %.0f to %.0f µs, spread %.1f%%: %s\n", x.Run, x.Figure, x.Least, x.Most, x.SpreadPct, verdict)
		}
		fmt.Fprintf(&b, "repeatable: %v\n", r.Repeatable)
	}
	fmt.Fprintf(&b, "\n%s", r.Outcome)
	if r.Reason != "" {
		fmt.Fprintf(&b, ": %s", r.Reason)
	}
	fmt.Fprintln(&b)
	_, err := w.Write(b.Bytes())
	return err
}

// Job makes a boot of the scenario.
func (s *Scenario) Job(kernel string, m *Image, limits Limits, seed int) *Job {
	j := &Job{
		Machine: Machine{Arch: s.Arch, Clock: s.Clock, CPUs: s.CPUs, MemoryMB: s.MemoryMB, Kernel: kernel, Seed: seed},
		Image:   m, Limits: limits,
		Plan: wire.Plan{RTRuntimeUS: -1, Realtime: true, HeartbeatSeconds: 5, Steps: s.steps()},
	}
	if s.Throttling {
		j.Plan.RTRuntimeUS = 950000
	}
	return j
}
