// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package report renders latency measurements (package result): a page and a
// table for people, and the formats that continuous integration, monitoring
// and statistics tools read.
//
// Measurements of one scenario under one load in one boot form a case; stock
// Go, rtgo and C stand beside each other there. What must not be compared is
// not: a void run has no figures, a quantile that the samples do not reach
// has no ratio, and outside simulated time only the median and the 99th
// percentile have one unless the machine is a real one with a PREEMPT_RT
// kernel, because a hypervisor's or a preempting kernel's outliers are not
// the program's.
package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

// A Report is a run prepared for rendering, and the form of report.json.
type Report struct {
	Schema string         `json:"schema"` // "rtgo-latency-report/1"
	Title  string         `json:"title"`
	Start  time.Time      `json:"start"`
	End    time.Time      `json:"end"`
	Counts Counts         `json:"counts"`
	Cases  []*Case        `json:"cases"`
	Run    *result.Run    `json:"run"`
	envs   map[string]int // order of environments
}

// Counts sums up the measurements of a report.
type Counts struct {
	Measurements int `json:"measurements"`
	Compared     int `json:"compared"` // with a ratio to C
	Void         int `json:"void"`
	Exceeded     int `json:"exceeded"`     // over the given bound
	Failed       int `json:"failed"`       // error, hang or panic
	Demonstrated int `json:"demonstrated"` // a hang that the problem set is there to show
	Skipped      int `json:"skipped"`
}

// A Case is what may be compared: one scenario, load and period, one boot.
type Case struct {
	Env      string   `json:"env"`
	Scenario string   `json:"scenario"`
	Group    string   `json:"group"`
	Summary  string   `json:"summary,omitempty"`
	Cause    string   `json:"cause,omitempty"`
	Load     string   `json:"load"`
	PeriodNS int64    `json:"period_ns,omitempty"`
	Tasks    int      `json:"tasks,omitempty"`
	Panels   []*Panel `json:"panels"`

	env *result.Environment
	ms  []*result.Measurement
}

// A Panel is one quantity of a case: most have one, some measure two (the
// wake-up, and what the task does then).
type Panel struct {
	Name      string  `json:"name,omitempty"`
	Reference string  `json:"reference,omitempty"` // what ratios refer to
	Rows      []*Row  `json:"rows"`
	Plots     []*Plot `json:"-"`
}

// Kinds of rows, in the order in which they stand.
const (
	kindStock      = "stock"
	kindRTGo       = "rtgo"
	kindOutsideSTW = "rtgo-outside-stw"
	kindC          = "c"
	kindControl    = "control"
)

var kinds = []string{kindStock, kindRTGo, kindOutsideSTW, kindC, kindControl}

// A Row is one program's figures. Values are nil where there is nothing to
// show.
type Row struct {
	Kind        string  `json:"kind"`
	Label       string  `json:"label"`
	Measurement string  `json:"measurement"` // its ID
	Outcome     string  `json:"outcome"`
	Validity    string  `json:"validity"`
	Note        string  `json:"note,omitempty"`
	Samples     uint64  `json:"samples,omitempty"`
	Missed      uint64  `json:"missed,omitempty"`
	DurationNS  int64   `json:"duration_ns,omitempty"`
	P50         *Figure `json:"p50,omitempty"`
	P99         *Figure `json:"p99,omitempty"`
	P999        *Figure `json:"p99.9,omitempty"`
	P9999       *Figure `json:"p99.99,omitempty"`
	Max         *Figure `json:"max,omitempty"`

	m     *result.Measurement
	stats *result.Stats
	with  bool // problem set: measured with the cause
}

// A Figure is one latency.
type Figure struct {
	NS    int64    `json:"ns"`
	Ratio *float64 `json:"ratio,omitempty"` // to the reference
	// Few: there are fewer samples than the quantile needs to be told from
	// the maximum.
	Few bool `json:"few_samples,omitempty"`
	// Over: beyond the histogram; NS is its end, the value is larger.
	Over bool `json:"over,omitempty"`

	// Bound is "≥" or "≤" where the ratio of a maximum is only that, because
	// the other side had more than twice the samples.
	Bound string `json:"ratio_bound,omitempty"`

	whole bool // measured in whole microseconds
}

// Figures returns the figures of r in the order of the columns.
func (r *Row) Figures() []*Figure { return []*Figure{r.P50, r.P99, r.P999, r.P9999, r.Max} }

// Shown returns the rows as they are to be listed: void ones with the same
// reason together.
func (p *Panel) Shown() []*Row {
	var out []*Row
	for _, r := range p.Rows {
		i := slices.IndexFunc(out, func(o *Row) bool { return r.Void() && o.Void() && o.Note == r.Note })
		if i < 0 {
			out = append(out, r)
			continue
		}
		both := *out[i]
		both.Label += ", " + r.Label
		out[i] = &both
	}
	return out
}

// Void reports whether r must not be compared because its control failed.
func (r *Row) Void() bool { return r.Validity == result.Void }

// New prepares run for rendering. An empty title takes the run's.
func New(run *result.Run, title string) (*Report, error) {
	if err := run.Check(); err != nil {
		return nil, err
	}
	if len(run.Measurements) == 0 {
		return nil, fmt.Errorf("no measurements to report")
	}
	r := &Report{
		Schema: "rtgo-latency-report/1", Title: cmp.Or(title, run.Title, "Latency report"),
		Start: run.Start, End: run.End, Run: run, envs: make(map[string]int),
	}
	for i, e := range run.Environments {
		r.envs[e.ID] = i
	}
	r.group()
	for _, c := range r.Cases {
		c.fill()
		for _, p := range c.Panels {
			p.plot(c)
		}
	}
	r.count()
	return r, nil
}

type caseKey struct {
	env, scenario, load string
	period              int64
	tasks               int
}

// group sorts measurements into cases. Those without samples (a hang, a
// failure) tell no period and join a case of their scenario.
func (r *Report) group() {
	byKey := make(map[caseKey]*Case)
	add := func(m *result.Measurement, k caseKey) {
		c := byKey[k]
		if c == nil {
			c = &Case{Env: k.env, Scenario: k.scenario, Group: m.Group, Load: k.load, PeriodNS: k.period, Tasks: k.tasks, env: r.Run.Env(m)}
			byKey[k] = c
			r.Cases = append(r.Cases, c)
		}
		c.ms = append(c.ms, m)
		if len(c.Summary) < len(m.Summary) {
			c.Summary = m.Summary
		}
		c.Cause = cmp.Or(c.Cause, m.Cause)
	}
	ms := r.Run.Measurements
	for i := range ms {
		if m := &ms[i]; len(m.Threads) > 0 {
			k := caseKey{m.Env, m.Scenario, m.LoadName(), m.PeriodNS, len(m.Threads)}
			if name, _, ok := problem(m); ok {
				// Measured with the cause and without: the load may be the cause.
				k = caseKey{m.Env, name, "", 0, 0}
			}
			add(m, k)
		}
	}
	for i := range ms {
		m := &ms[i]
		if len(m.Threads) > 0 {
			continue
		}
		name, _, _ := problem(m)
		k := caseKey{env: m.Env, scenario: name, load: m.LoadName()}
		for _, c := range r.Cases {
			if c.Env == m.Env && c.Scenario == name && (c.Load == m.LoadName() || c.Load == "") {
				k = caseKey{c.Env, c.Scenario, c.Load, c.PeriodNS, c.Tasks}
				break
			}
		}
		add(m, k)
	}
	first := make(map[string]int) // loads of a scenario stand together
	for i, c := range r.Cases {
		if _, ok := first[c.Scenario]; !ok {
			first[c.Scenario] = i
		}
	}
	slices.SortStableFunc(r.Cases, func(a, b *Case) int {
		return cmp.Or(
			cmp.Compare(r.envs[a.Env], r.envs[b.Env]),
			cmp.Compare(groupRank(a.Group), groupRank(b.Group)),
			cmp.Compare(a.Group, b.Group),
			cmp.Compare(first[a.Scenario], first[b.Scenario]),
		)
	})
}

// groupOrder is the order of a report; groups that are not in it come last.
var groupOrder = []string{"periodic", "handover", "locks", "network", "timers", "memory", "cyclictest", "ctwin", "problem"}

func groupRank(g string) int {
	if i := slices.Index(groupOrder, g); i >= 0 {
		return i
	}
	return len(groupOrder)
}

// problem splits the scenario of a measurement of the problem set into its
// cause and whether it was measured with it.
func problem(m *result.Measurement) (name string, with, ok bool) {
	if m.Group != "problem" {
		return m.Scenario, false, false
	}
	if s, ok := strings.CutSuffix(m.Scenario, "/with"); ok {
		return s, true, true
	}
	if s, ok := strings.CutSuffix(m.Scenario, "/without"); ok {
		return s, false, true
	}
	return m.Scenario, true, true
}

// fill builds the panels.
func (c *Case) fill() {
	for _, name := range c.quantities() {
		p := &Panel{Name: name}
		for _, m := range c.ms {
			p.Rows = append(p.Rows, rowsOf(m, name)...)
		}
		p.addControls(c)
		slices.SortStableFunc(p.Rows, func(a, b *Row) int {
			return cmp.Or(cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)))
		})
		p.label()
		p.ratios(c)
		c.Panels = append(c.Panels, p)
	}
}

// quantities returns the names of what the case measured: "" unless its
// threads are different quantities instead of several tasks.
func (c *Case) quantities() []string {
	var names []string
	for _, m := range c.ms {
		if m.Total != nil || len(m.Threads) < 2 {
			continue
		}
		for _, t := range m.Threads {
			if !slices.Contains(names, t.Name) {
				names = append(names, t.Name)
			}
		}
	}
	if len(names) < 2 {
		return []string{""}
	}
	return names
}

func rowsOf(m *result.Measurement, quantity string) []*Row {
	r := &Row{Kind: m.Toolchain, Measurement: m.ID, Outcome: m.Outcome, Validity: m.Validity, DurationNS: m.Duration, m: m}
	_, r.with, _ = problem(m)
	switch {
	case r.Void():
		r.Note = m.Void
		return []*Row{r}
	case m.Outcome != result.OK:
		r.Note = m.Error
		if m.Outcome == result.Threshold && r.Note == "" {
			r.Note = fmt.Sprintf("exceeded the bound of %s µs", us(m.ThresholdNS, false))
		}
	}
	s := m.All()
	if quantity != "" {
		s = nil
		for i := range m.Threads {
			if m.Threads[i].Name == quantity || len(m.Threads) == 1 {
				s = &m.Threads[i].Stats
			}
		}
	}
	r.set(s)
	rows := []*Row{r}
	if o := m.OutsideSTW; o == nil || s == nil || quantity != "" && quantity != m.Threads[0].Name {
		return rows
	} else if o.Cycles == s.Cycles {
		r.Note = cmp.Or(r.Note, "no stop-the-world fell into it")
	} else {
		o := *r
		o.Kind, o.Note = m.Toolchain, "samples in whose waiting time no stop-the-world fell"
		if m.Toolchain == result.RTGo {
			o.Kind = kindOutsideSTW
		}
		o.P50, o.P99, o.P999, o.P9999, o.Max = nil, nil, nil, nil, nil
		o.set(m.OutsideSTW)
		o.Label = "outside stops"
		rows = append(rows, &o)
	}
	return rows
}

// addControls adds the controls of the case, each once.
func (p *Panel) addControls(c *Case) {
	var seen []*result.Control
	for _, m := range c.ms {
		k := m.Control
		if k == nil || len(k.Threads) == 0 || c.Group == "cyclictest" || slices.ContainsFunc(seen, func(o *result.Control) bool { return sameControl(o, k) }) {
			continue
		}
		seen = append(seen, k)
		s := &k.Threads[0].Stats
		if len(k.Threads) > 1 {
			all := result.Merge(k.Threads)
			s = &all
		}
		r := &Row{Kind: kindControl, Measurement: m.ID, Outcome: result.OK, Validity: result.Valid, m: m,
			Note: fmt.Sprintf("bound %s µs: held", us(k.BoundNS, false))}
		if !k.OK {
			r.Outcome, r.Note = result.Failed, k.Reason
		}
		r.set(s)
		p.Rows = append(p.Rows, r)
	}
}

func sameControl(a, b *result.Control) bool {
	if a.BoundNS != b.BoundNS || a.OK != b.OK || len(a.Threads) != len(b.Threads) {
		return false
	}
	for i := range a.Threads {
		x, y := &a.Threads[i], &b.Threads[i]
		if x.TID != y.TID || x.Cycles != y.Cycles || x.MinNS != y.MinNS || x.AvgNS != y.AvgNS || x.MaxNS != y.MaxNS {
			return false
		}
	}
	return true
}

// set takes the figures of s.
func (r *Row) set(s *result.Stats) {
	if s == nil || s.Cycles == 0 {
		return
	}
	r.stats = s
	r.Samples, r.Missed = s.Cycles, s.Missed
	whole := len(s.Log) == 0
	fig := func(ns int64, per uint64) *Figure {
		f := &Figure{NS: ns, whole: whole}
		f.Few = s.Cycles+s.Missed < per
		if whole {
			f.NS -= f.NS % 1000
		}
		return f
	}
	r.Max = fig(s.MaxNS, 1)
	if whole && len(s.Linear.Counts) == 0 {
		return // no histogram, no quantiles
	}
	r.P50, r.P99, r.P999, r.P9999 = fig(s.P50NS, 2), fig(s.P99NS, 100), fig(s.P999NS, 1000), fig(s.P9999NS, 10000)
	if whole && s.Linear.Overflow > 0 {
		for _, x := range []struct {
			f *Figure
			q float64
		}{{r.P50, .5}, {r.P99, .99}, {r.P999, .999}, {r.P9999, .9999}} {
			if float64(s.Cycles-s.Linear.Overflow) < x.q*float64(s.Cycles) {
				x.f.NS, x.f.Over = int64(s.Linear.Limit)*1000, true
			}
		}
	}
}

var kindLabels = map[string]string{
	kindStock: "stock Go", kindRTGo: "rtgo", kindOutsideSTW: "rtgo, outside stops", kindC: "C", kindControl: "cyclictest (control)",
}

// label names the rows so that they can be told apart.
func (p *Panel) label() {
	base := func(r *Row) string {
		l := cmp.Or(kindLabels[r.Kind], r.Kind)
		if r.Label != "" { // a second row of one measurement
			l = kindLabels[r.m.Toolchain] + ", " + r.Label
		}
		if r.m.Group == "problem" && strings.HasSuffix(r.m.Scenario, "/without") {
			l += ", without the cause"
		} else if r.m.Group == "problem" && strings.HasSuffix(r.m.Scenario, "/with") {
			l += ", with the cause"
		}
		return l
	}
	count := make(map[string]int)
	for _, r := range p.Rows {
		count[base(r)]++
	}
	n := make(map[string]int)
	for _, r := range p.Rows {
		l := base(r)
		if count[l] > 1 {
			n[l]++
			if r.m.Group == "cyclictest" {
				l = r.m.ID
			} else {
				l = fmt.Sprintf("%s (%d)", l, n[l])
			}
		}
		r.Label = l
	}
}

// ratios compares with C: the twin if it was measured, cyclictest's control
// for periodic wake-ups if not.
func (p *Panel) ratios(c *Case) {
	var ref *Row
	for _, kind := range []string{kindC, kindControl} {
		if kind == kindControl && c.Group != "periodic" {
			continue
		}
		for _, r := range p.Rows {
			if ref == nil && r.Kind == kind && r.stats != nil && r.Outcome != result.Failed && !r.Void() {
				ref = r
			}
		}
	}
	if ref == nil || c.Group == "cyclictest" {
		return
	}
	worst := comparesWorst(c.env)
	any := false
	for _, r := range p.Rows {
		if r == ref || r.Kind == kindC || r.Kind == kindControl || !r.m.Comparable() {
			continue
		}
		rf := ref.Figures()
		for i, f := range r.Figures() {
			if f == nil || rf[i] == nil || f.Few || rf[i].Few || f.Over || rf[i].Over || rf[i].NS <= 0 || i >= 2 && !worst {
				continue
			}
			q := float64(f.NS) / float64(rf[i].NS)
			f.Ratio = &q
			any = true
			if i == len(rf)-1 {
				f.Bound = boundOf(r.Samples+r.Missed, ref.Samples+ref.Missed)
			}
		}
	}
	if any {
		p.Reference = ref.Label
	}
}

// boundOf tells what the ratio of two maxima says about the programs: one of
// many more samples has had many more chances.
func boundOf(n, ref uint64) string {
	switch {
	case 2*n < ref:
		return "≥"
	case n > 2*ref:
		return "≤"
	}
	return ""
}

// comparesWorst reports whether the rare latencies of e belong to the
// programs measured.
func comparesWorst(e *result.Environment) bool {
	return e.Simulated || e.Realtime && e.Virtualization == ""
}

// expected reports whether m is there to show a hang.
func expected(m *result.Measurement) bool {
	return m.Group == "problem" && m.Toolchain != result.RTGo && m.Outcome == result.Hang
}

func failed(m *result.Measurement) bool {
	return m.Outcome == result.Failed || m.Outcome == result.Hang || m.Outcome == result.GuestPanic
}

func (r *Report) count() {
	r.Counts.Measurements = len(r.Run.Measurements)
	for i := range r.Run.Measurements {
		m := &r.Run.Measurements[i]
		switch {
		case expected(m):
			r.Counts.Demonstrated++
		case failed(m):
			r.Counts.Failed++
		case m.Outcome == result.NotRun:
			r.Counts.Skipped++
		case m.Validity == result.Void:
			r.Counts.Void++
		case m.Outcome == result.Threshold:
			r.Counts.Exceeded++
		}
	}
	for _, c := range r.Cases {
		for _, p := range c.Panels {
			for _, row := range p.Rows {
				if row.P50 != nil && row.P50.Ratio != nil {
					r.Counts.Compared++
				}
			}
		}
	}
}

// WriteJSON writes everything: the measurements, the cases and their ratios.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	return enc.Encode(r)
}
