// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package report

import (
	"cmp"
	_ "embed" // the page's template and style
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

//go:embed report.tmpl
var pageTemplate string

//go:embed report.css
var pageStyle string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"count":   func(n uint64) string { return thousands(int64(n)) },
	"outcome": outcomeText,
	"outcomeClass": func(r *Row) string {
		if expected(r.m) || r.Outcome == result.NotRun {
			return "warn"
		}
		return "bad"
	},
}).Parse(pageTemplate))

func outcomeText(r *Row) string {
	switch {
	case r.Kind == kindControl:
		return "bound exceeded"
	case expected(r.m):
		return "HANG, as expected"
	case r.Outcome == result.NotRun:
		return "skipped"
	case r.Outcome == result.Threshold:
		return "over the bound"
	case r.Outcome == result.OK:
		return "no sample"
	}
	return strings.ToUpper(r.Outcome)
}

// pageData is what the template sees.
type pageData struct {
	*Report
	CSS           template.CSS
	When, Kernels string
	Simulated     bool
	OverviewKinds []string
	Overview      []overviewEnv
	Envs          []pageEnv
	Aborts        []string
}

type overviewEnv struct {
	Env       string
	Simulated bool
	Columns   int
	Cases     []overviewCase
}

type overviewCase struct {
	Anchor, Name, Detail, Load, Ratio string
	Cells                             []overviewCell
}

type overviewCell struct {
	Text, Class, Series string
	Bar                 int // pixels
}

type pageEnv struct {
	Anchor string
	Env    *result.Environment
	Worst  bool
	Open   bool
	Facts  []Fact
	Loads  []string
	Groups []pageGroup
}

type pageGroup struct {
	Title string
	Cases []pageCase
}

type pageCase struct {
	*Case
	Anchor       string
	Measurements []pageMeasurement
}

type pageMeasurement struct {
	Label, Version, Policy, Command, LoadInfo string
	Counters                                  []Fact
	Threads                                   []pageThread
}

type pageThread struct {
	Name, Period, Samples, Missed, Min, Avg, Max string
	Priority                                     int
}

var groupTitles = map[string]string{
	"periodic": "Periodic wake-up", "handover": "Hand-over", "locks": "Locks", "network": "Network", "timers": "Timers",
	"memory": "Memory", "cyclictest": "cyclictest", "ctwin": "C twins", "problem": "What makes Go late, cause by cause",
}

// WriteHTML writes one self-contained page.
func (r *Report) WriteHTML(w io.Writer) error {
	d := pageData{Report: r, CSS: template.CSS(pageStyle), When: r.when(), Aborts: r.Run.Aborts}
	var kernels []string
	for _, e := range r.Run.Environments {
		d.Simulated = d.Simulated || e.Simulated
		if k := e.Arch + " " + e.Kernel; !slices.Contains(kernels, k) {
			kernels = append(kernels, k)
		}
	}
	d.Kernels = strings.Join(kernels, ", ")
	d.overview()
	for i := range r.Run.Environments {
		d.Envs = append(d.Envs, r.pageEnv(i))
	}
	var b strings.Builder
	if err := page.Execute(&b, &d); err != nil {
		return err
	}
	_, err := io.WriteString(w, strings.TrimLeft(b.String(), "\n"))
	return err
}

// when tells when was measured. A simulated machine has a calendar of its
// own, which starts anywhere; then only the end is known.
func (r *Report) when() string {
	if slices.ContainsFunc(r.Run.Environments, func(e result.Environment) bool { return e.Simulated }) {
		if r.End.IsZero() {
			return ""
		}
		return r.End.UTC().Format("2006-01-02 15:04 UTC")
	}
	if r.Start.IsZero() {
		return ""
	}
	s := r.Start.UTC().Format("2006-01-02 15:04 UTC")
	if r.End.After(r.Start) {
		s += ", " + span(int64(r.End.Sub(r.Start)))
	}
	return s
}

func (r *Report) anchor(c *Case) string { return fmt.Sprintf("case-%d", slices.Index(r.Cases, c)+1) }

// overview is one line for each panel with figures.
func (d *pageData) overview() {
	var have []string
	cols := []string{kindStock, kindRTGo, kindC}
	for _, k := range cols {
		if slices.ContainsFunc(d.Cases, func(c *Case) bool {
			return slices.ContainsFunc(c.Panels, func(p *Panel) bool {
				return slices.ContainsFunc(p.Rows, func(r *Row) bool { return r.Kind == k || k == kindC && r.Kind == kindControl })
			})
		}) {
			have = append(have, k)
			d.OverviewKinds = append(d.OverviewKinds, kindLabels[k])
		}
	}
	for i := range d.Run.Environments {
		e := &d.Run.Environments[i]
		oe := overviewEnv{Env: e.ID, Simulated: e.Simulated, Columns: len(have) + 3}
		for _, c := range d.Cases {
			if c.Env != e.ID {
				continue
			}
			for _, p := range c.Panels {
				oe.Cases = append(oe.Cases, d.overviewCase(c, p, have))
			}
		}
		if len(oe.Cases) > 0 {
			d.Overview = append(d.Overview, oe)
		}
	}
}

func (d *pageData) overviewCase(c *Case, p *Panel, have []string) overviewCase {
	o := overviewCase{Anchor: d.anchor(c), Name: c.Scenario, Load: c.Load, Ratio: ""}
	var detail []string
	if c.PeriodNS > 0 {
		detail = append(detail, period(c.PeriodNS))
	}
	if c.Tasks > 1 && len(c.Panels) == 1 {
		detail = append(detail, fmt.Sprintf("%d tasks", c.Tasks))
	}
	if p.Name != "" {
		detail = append(detail, p.Name)
	}
	o.Detail = strings.Join(detail, ", ")
	var top int64
	for _, r := range p.Rows {
		if r.Max != nil {
			top = max(top, r.Max.NS)
		}
	}
	for _, k := range have {
		cell := overviewCell{Text: "–", Class: "absent"}
		pick := func(r *Row) bool { return r.Kind == k }
		if k == kindC && !slices.ContainsFunc(p.Rows, pick) {
			pick = func(r *Row) bool { return r.Kind == kindControl }
		}
		for _, r := range p.Rows {
			if !pick(r) || r.m.Group == "problem" && !r.with {
				continue
			}
			switch {
			case r.Void():
				cell = overviewCell{Text: "void", Class: "warn"}
			case r.Max == nil && expected(r.m):
				cell = overviewCell{Text: "hang", Class: "warn"}
			case r.Max == nil:
				cell = overviewCell{Text: outcomeText(r), Class: "bad"}
			default:
				cell = overviewCell{Text: r.Max.String(), Series: "s-" + r.Kind, Bar: logBar(r.Max.NS, top)}
				if r.Outcome != result.OK {
					cell.Class = "bad"
				}
				if k == kindRTGo {
					o.Ratio = r.Max.RatioText()
					if o.Ratio == "" && r.P99.RatioText() != "" {
						o.Ratio = r.P99.RatioText() + " (p99)"
					}
				}
			}
			break
		}
		o.Cells = append(o.Cells, cell)
	}
	return o
}

// logBar is the length of a bar for ns, 80 pixels for top, on a logarithmic
// scale that starts at 1 µs.
func logBar(ns, top int64) int {
	if ns <= 1000 || top <= 1000 {
		return 1
	}
	return max(1, int(80*math.Log10(float64(ns)/1000)/math.Log10(float64(top)/1000)))
}

func (r *Report) pageEnv(i int) pageEnv {
	e := &r.Run.Environments[i]
	pe := pageEnv{
		Anchor: fmt.Sprintf("env-%d", i+1), Env: e, Worst: comparesWorst(e), Facts: Facts(e),
		Open: len(r.Run.Environments) <= 2,
	}
	for _, c := range r.Cases {
		if c.Env != e.ID {
			continue
		}
		title := cmp.Or(groupTitles[c.Group], c.Group)
		if n := len(pe.Groups); n == 0 || pe.Groups[n-1].Title != title {
			pe.Groups = append(pe.Groups, pageGroup{Title: title})
		}
		pc := pageCase{Case: c, Anchor: r.anchor(c)}
		for _, m := range c.ms {
			pc.Measurements = append(pc.Measurements, pageMeasurementOf(m))
			for _, l := range m.LoadInfo {
				if !slices.Contains(pe.Loads, l) {
					pe.Loads = append(pe.Loads, l)
				}
			}
		}
		g := &pe.Groups[len(pe.Groups)-1]
		g.Cases = append(g.Cases, pc)
	}
	return pe
}

func pageMeasurementOf(m *result.Measurement) pageMeasurement {
	pm := pageMeasurement{Label: m.ID, Version: m.Version, Command: strings.Join(m.Command, " "), LoadInfo: strings.Join(m.LoadInfo, "; "), Counters: counters(m)}
	if m.Policy != "" {
		pm.Policy = "SCHED_" + strings.ToUpper(m.Policy)
		if m.Priority > 0 {
			pm.Policy += fmt.Sprintf(" %d", m.Priority)
		}
		if m.MaxProcs > 0 {
			pm.Policy += fmt.Sprintf(" · GOMAXPROCS %d", m.MaxProcs)
		}
		if m.Mlock {
			pm.Policy += " · mlockall"
		}
	}
	if m.Control != nil {
		pm.Counters = append(pm.Counters, Fact{"control", strings.Join(m.Control.Command, " ")})
	}
	if len(m.Threads) > 1 && m.Validity != result.Void {
		for _, t := range m.Threads {
			pm.Threads = append(pm.Threads, pageThread{
				Name: strings.TrimSpace(fmt.Sprintf("%d %s", t.Index, t.Name)), Priority: t.Priority, Period: period(t.PeriodNS),
				Samples: thousands(int64(t.Cycles)), Missed: thousands(int64(t.Missed)),
				Min: us(t.MinNS, len(t.Log) == 0), Avg: us(t.AvgNS, false), Max: us(t.MaxNS, len(t.Log) == 0),
			})
		}
	}
	return pm
}

// counters lists what the runtimes counted while measuring.
func counters(m *result.Measurement) []Fact {
	var f []Fact
	if g := m.Runtime; g != nil {
		f = append(f,
			Fact{"collections", fmt.Sprintf("%d, %.1f %% of the CPU time", g.GCs, 100*g.GCCPUFrac)},
			Fact{"stops of the world", fmt.Sprintf("%s, the longest at most %s µs; until all had stopped p50 %s p99 %s max %s µs", thousands(int64(g.STWs)), us(g.STWMaxNS, false),
				us(g.StoppingP50NS, false), us(g.StoppingP99NS, false), us(g.StoppingMaxNS, false))},
			Fact{"heap", fmt.Sprintf("%.1f MiB live, %.1f MiB allocated", float64(g.HeapBytes)/(1<<20), float64(g.AllocBytes)/(1<<20))},
			Fact{"page faults", fmt.Sprintf("%s major, %s minor", thousands(g.MajorFaults), thousands(g.MinorFaults))},
			Fact{"CPU time", span(g.CPUTimeNS)},
			Fact{"work done by the load", thousands(int64(g.LoadOps))},
		)
	}
	for _, t := range m.Threads {
		if t.RT == nil {
			continue
		}
		v := fmt.Sprintf("%s dispatches, %s late, at most %s µs", thousands(int64(t.RT.Dispatches)), thousands(int64(t.RT.Late)), us(t.RT.MaxLatenessNS, false))
		for _, cause := range sortedKeys(t.RT.Causes) {
			v += fmt.Sprintf("; %s %s", cause, thousands(int64(t.RT.Causes[cause])))
		}
		f = append(f, Fact{fmt.Sprintf("runtime, thread %d", t.Index), v})
	}
	return f
}

func sortedKeys(m map[string]uint64) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
