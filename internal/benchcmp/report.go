// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package benchcmp

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchmath"
	"golang.org/x/perf/benchunit"
)

// Confidence is the level of all confidence intervals.
const Confidence = 0.95

// A Row compares one unit of one benchmark between two sides.
type Row struct {
	Group string  `json:"group"`
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	A     Median  `json:"a"`
	B     Median  `json:"b"`
	Delta float64 `json:"delta"` // b/a-1 of the medians
	P     float64 `json:"p"`     // Mann-Whitney; small: the sides differ
	N     int     `json:"n"`
}

// A Median is a median with its confidence interval.
type Median struct {
	Center float64 `json:"center"`
	Lo     float64 `json:"lo"`
	Hi     float64 `json:"hi"`
}

// Alpha is the p value below which a row's sides are said to differ.
const Alpha = 0.05

// A Geomean is the geometric mean of ratios b/a, of times or counts of
// instructions, over several benchmarks.
// The interval is that of the median over rounds of each round's geometric
// mean, which pairs runs made within seconds of each other.
type Geomean struct {
	Group      string  `json:"group"` // "all" for the whole
	Benchmarks int     `json:"benchmarks"`
	Delta      float64 `json:"delta"` // ratio-1, of the paired rounds
	Lo         float64 `json:"lo"`
	Hi         float64 `json:"hi"`
	Confidence float64 `json:"confidence"` // reached; below 0.95 there were too few rounds
	Medians    float64 `json:"of_medians"` // ratio-1, of the medians, as benchstat prints it
}

func (g Geomean) String() string {
	return fmt.Sprintf("%+.2f%% [%+.2f%%, %+.2f%%]", 100*g.Delta, 100*g.Lo, 100*g.Hi)
}

// A Verdict says whether the geomean stays within the limit.
type Verdict string

const (
	Within       Verdict = "PASS"         // the whole interval is at or below the limit
	Beyond       Verdict = "FAIL"         // the whole interval is above the limit
	Inconclusive Verdict = "INCONCLUSIVE" // the limit is inside the interval: more rounds
	NoLimit      Verdict = "REPORT"       // no limit was given
)

// A Report is the comparison of sides a and b.
type Report struct {
	Schema    int       `json:"schema"`
	Result    Verdict   `json:"result"`
	Limit     float64   `json:"limit"` // of the geomean's delta, 0 for none
	Command   string    `json:"command"`
	A         string    `json:"a"`
	B         string    `json:"b"`
	Platform  string    `json:"platform"`
	CPUs      int       `json:"cpus"`
	Rounds    int       `json:"rounds"`
	Benchtime string    `json:"benchtime"`
	Start     time.Time `json:"start"`
	Seconds   float64   `json:"seconds"`
	Geomean   Geomean   `json:"geomean"`
	Groups    []Geomean `json:"groups"`
	Control   *Geomean  `json:"control,omitempty"` // side a against itself, interleaved: the noise
	Rows      []Row     `json:"rows"`
}

// The units whose ratios make the geomeans; a report has one of them.
const (
	timeUnit  = "sec/op"
	countUnit = "instr/op"
)

// inGeomean reports whether a unit makes the geomeans.
func inGeomean(unit string) bool { return unit == timeUnit || unit == countUnit }

// Fill computes rows and geomeans of sides 0 (a) and 1 (b) from ms. If there
// is a side 2, it is side a once more.
func (r *Report) Fill(ms []*Measurement) {
	var groups []string
	for _, m := range ms {
		a, b := benchmath.NewSample(slices.Clone(m.Values[0]), &benchmath.DefaultThresholds), benchmath.NewSample(slices.Clone(m.Values[1]), &benchmath.DefaultThresholds)
		c := benchmath.AssumeNothing.Compare(a, b)
		row := Row{Group: m.Group, Name: m.Name, Unit: m.Unit, A: median(a), B: median(b), P: c.P, N: len(a.Values)}
		if row.A.Center != 0 {
			row.Delta = row.B.Center/row.A.Center - 1
		}
		r.Rows = append(r.Rows, row)
		if inGeomean(m.Unit) && !slices.Contains(groups, m.Group) {
			groups = append(groups, m.Group)
		}
	}
	r.Geomean = geomean(ms, "all", 0, 1)
	for _, g := range groups {
		r.Groups = append(r.Groups, geomean(ms, g, 0, 1))
	}
	if len(ms) > 0 && len(ms[0].Values) > 2 {
		c := geomean(ms, "all", 0, 2)
		r.Control = &c
	}
	switch {
	case r.Limit == 0:
		r.Result = NoLimit
	case r.Geomean.Confidence < Confidence:
		r.Result = Inconclusive
	case r.Geomean.Hi <= r.Limit:
		r.Result = Within
	case r.Geomean.Lo > r.Limit:
		r.Result = Beyond
	default:
		r.Result = Inconclusive
	}
}

func median(s *benchmath.Sample) Median {
	x := benchmath.AssumeNothing.Summary(s, Confidence)
	return Median{x.Center, x.Lo, x.Hi}
}

// geomean compares side j with side i over the benchmarks of a group.
func geomean(ms []*Measurement, group string, i, j int) Geomean {
	g := Geomean{Group: group}
	var logs [][]float64 // per benchmark, per round
	medians := 0.0
	rounds := math.MaxInt
	for _, m := range ms {
		if !inGeomean(m.Unit) || group != "all" && m.Group != group {
			continue
		}
		var l []float64
		for k := range m.Values[i] {
			if a, b := m.Values[i][k], m.Values[j][k]; a > 0 && b > 0 {
				l = append(l, math.Log(b/a))
			}
		}
		a, b := benchmath.NewSample(slices.Clone(m.Values[i]), &benchmath.DefaultThresholds), benchmath.NewSample(slices.Clone(m.Values[j]), &benchmath.DefaultThresholds)
		ca, cb := median(a).Center, median(b).Center
		if len(l) == 0 || ca <= 0 || cb <= 0 {
			continue // a benchmark that takes no measurable time has no ratio
		}
		medians += math.Log(cb / ca)
		logs = append(logs, l)
		rounds = min(rounds, len(l))
	}
	g.Benchmarks = len(logs)
	if g.Benchmarks == 0 {
		return g
	}
	g.Medians = math.Exp(medians/float64(len(logs))) - 1
	perRound := make([]float64, rounds)
	for k := range perRound {
		for _, l := range logs {
			perRound[k] += l[k]
		}
		perRound[k] /= float64(len(logs))
	}
	s := benchmath.AssumeNothing.Summary(benchmath.NewSample(perRound, &benchmath.DefaultThresholds), Confidence)
	g.Delta, g.Lo, g.Hi, g.Confidence = math.Exp(s.Center)-1, math.Exp(s.Lo)-1, math.Exp(s.Hi)-1, s.Confidence
	if math.IsInf(s.Lo, 0) || math.IsInf(s.Hi, 0) || math.IsNaN(s.Lo) || math.IsNaN(s.Hi) {
		// Too few rounds for an interval: give the extremes and say so.
		g.Lo, g.Hi, g.Confidence = math.Exp(slices.Min(perRound))-1, math.Exp(slices.Max(perRound))-1, 0
	}
	return g
}

// WriteJSON writes r as indented JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	clean := *r
	clean.Rows = slices.Clone(r.Rows)
	for i := range clean.Rows { // JSON has no infinities; an unbounded interval is its center
		for _, m := range []*Median{&clean.Rows[i].A, &clean.Rows[i].B} {
			if math.IsInf(m.Lo, 0) {
				m.Lo = m.Center
			}
			if math.IsInf(m.Hi, 0) {
				m.Hi = m.Center
			}
		}
	}
	data, err := json.MarshalIndent(&clean, "", "\t")
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// WriteText writes r for people. Rows of other units than time or instructions are
// shown only where the sides differ.
func (r *Report) WriteText(w io.Writer) {
	fmt.Fprintf(w, "Benchmarks: a = %s\n            b = %s\n", r.A, r.B)
	fmt.Fprintf(w, "%d interleaved rounds of %s on %s, %d CPUs, %.0f s; medians, 95%% intervals; p by Mann-Whitney, ~ is no difference at %.2f\n\n",
		r.Rounds, r.Benchtime, r.Platform, r.CPUs, r.Seconds, Alpha)
	width := 10
	for _, row := range r.Rows {
		width = max(width, len(row.Name))
	}
	group := ""
	for _, row := range r.Rows {
		if !inGeomean(row.Unit) && (row.P >= Alpha || row.A.Center == row.B.Center) {
			continue
		}
		if row.Group != group {
			group = row.Group
			fmt.Fprintf(w, "%s\n", group)
		}
		delta := "~"
		if row.P < Alpha {
			delta = fmt.Sprintf("%+.2f%%", 100*row.Delta)
		}
		fmt.Fprintf(w, "  %-*s %12s %12s %9s  p=%.3f n=%d %s\n", width, row.Name, value(row.A, row.Unit), value(row.B, row.Unit), delta, row.P, row.N, unitNote(row.Unit))
	}
	fmt.Fprintf(w, "\ngeomean, b against a, paired by round\n")
	for _, g := range r.Groups {
		fmt.Fprintf(w, "  %-10s %3d benchmarks  %s   (of medians %+.2f%%)\n", g.Group, g.Benchmarks, g, 100*g.Medians)
	}
	fmt.Fprintf(w, "  %-10s %3d benchmarks  %s   (of medians %+.2f%%)\n", "all", r.Geomean.Benchmarks, r.Geomean, 100*r.Geomean.Medians)
	if r.Control != nil {
		fmt.Fprintf(w, "  control: a against itself  %s\n", *r.Control)
	}
	switch r.Result {
	case NoLimit:
	case Inconclusive:
		fmt.Fprintf(w, "%s: the limit of %+.2f%% lies within the interval, or the rounds are too few for one; give more -rounds\n", r.Result, 100*r.Limit)
	default:
		fmt.Fprintf(w, "%s: limit %+.2f%%\n", r.Result, 100*r.Limit)
	}
}

func unitNote(unit string) string {
	if unit == timeUnit {
		return ""
	}
	return unit
}

// value prints a median with its unit's prefix and its relative interval.
func value(m Median, unit string) string {
	s := benchunit.Scale(m.Center, benchunit.ClassOf(unit))
	if unit == timeUnit {
		s = strings.TrimSpace(s) + "s"
	}
	if m.Center != 0 && !math.IsInf(m.Lo, 0) && !math.IsInf(m.Hi, 0) {
		half := max(m.Center-m.Lo, m.Hi-m.Center) / m.Center
		s += fmt.Sprintf(" ±%2.0f%%", 100*half)
	}
	return s
}
