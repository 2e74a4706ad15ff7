// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package upstreamtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A Job compares a patched tree with the unpatched one.
type Job struct {
	Patched      *Tree
	Unpatched    *Tree     // may be nil if Baseline is not; then nothing is retried unpatched
	Baseline     *Baseline // nil runs the unpatched tree
	BaselineFile string    // for the report
	Set          Set
	Options      Options
	Tries        int // isolated retries of a differing test, on each side
	PackageTries int // retries of a whole package, on each side
	Strict       bool
	Command      string // for the report
}

// A Report is the outcome of a [Job], written as text or JSON.
type Report struct {
	Schema       int           `json:"schema"`
	Result       string        `json:"result"` // PASS or FAIL
	Command      string        `json:"command"`
	GoTest       string        `json:"go_test"`
	Set          string        `json:"set"`
	Packages     int           `json:"packages"`
	Patched      string        `json:"patched"` // version and GOROOT
	PatchedEnv   []string      `json:"patched_env,omitempty"`
	Unpatched    string        `json:"unpatched"` // version, and GOROOT or baseline file
	Platform     string        `json:"platform"`
	CPUs         int           `json:"cpus"`
	Root         bool          `json:"root"`
	Start        time.Time     `json:"start"`
	Seconds      float64       `json:"seconds"`
	TestSeconds  float64       `json:"patched_seconds"` // of the patched run, builds included
	Counts       Counts        `json:"patched_counts"`
	Compared     int           `json:"compared"`
	New          int           `json:"new"`
	Better       int           `json:"better"`
	Tries        int           `json:"tries"`
	PackageTries int           `json:"package_tries"`
	Strict       bool          `json:"strict"`
	Differences  []*Difference `json:"differences"`
	KnownFlakes  []*Difference `json:"known_flakes"`
}

// Run does the job. It takes as long as the tests do.
func (j *Job) Run(ctx context.Context) (*Report, error) {
	start := time.Now()
	patchedVersion, err := j.Patched.Version(ctx)
	if err != nil {
		return nil, err
	}
	pkgs, err := j.Patched.List(ctx, j.Set.Packages)
	if err != nil {
		return nil, err
	}
	pkgs = j.Set.choose(pkgs)
	if len(pkgs) == 0 {
		return nil, fmt.Errorf("no package is left for piece %d of %d", j.Set.Piece, j.Set.Pieces)
	}
	r := &Report{
		Schema: 1, Command: j.Command, Set: j.Set.String(), Platform: Platform(), CPUs: runtime.NumCPU(), Root: os.Geteuid() == 0,
		Start: start.UTC().Truncate(time.Second), Patched: patchedVersion + " " + j.Patched.GOROOT, PatchedEnv: slices.Concat(j.Patched.Env, j.Patched.TestEnv, j.Patched.flags),
		GoTest: "go " + strings.Join(j.Options.Args(), " ") + " " + strings.Join(j.Set.Packages, " "), Packages: len(pkgs),
		Tries: j.Tries, PackageTries: j.PackageTries, Strict: j.Strict,
	}

	var want map[Test]Expectation
	if j.Baseline != nil {
		want = j.Baseline.Expectations()
		r.Unpatched = fmt.Sprintf("%s %s (%d runs)", j.Baseline.Go, j.BaselineFile, j.Baseline.Runs)
	} else {
		if j.Unpatched == nil {
			return nil, errors.New("neither a baseline nor an unpatched GOROOT to compare with; give -unpatched DIR")
		}
		v, err := j.Unpatched.Version(ctx)
		if err != nil {
			return nil, err
		}
		r.Unpatched = v + " " + j.Unpatched.GOROOT
		upkgs, err := j.Unpatched.List(ctx, j.Set.Packages)
		if err != nil {
			return nil, err
		}
		if j.Set.Pieces != 0 { // the numbering is that of the patched tree's packages
			upkgs = slices.DeleteFunc(upkgs, func(p string) bool { return !slices.Contains(pkgs, p) })
		}
		res, err := RunTests(ctx, j.Unpatched, upkgs, j.Options, "unpatched")
		if err != nil {
			return nil, err
		}
		want = mergeRuns([]*Results{res})
	}

	t0 := time.Now()
	got, err := RunTests(ctx, j.Patched, pkgs, j.Options, "patched")
	if err != nil {
		return nil, err
	}
	r.TestSeconds = time.Since(t0).Round(time.Second).Seconds()
	r.Counts = NewBaseline([]*Results{got}).Counts

	n := 0
	rerun := func(ctx context.Context, patched bool, pkg, run string) (*Results, bool, error) {
		t, side := j.Patched, "patched"
		if !patched {
			t, side = j.Unpatched, "unpatched"
		}
		if t == nil {
			return nil, false, nil
		}
		n++
		o := j.Options
		if run != "" {
			o.Run = run
		}
		if !patched {
			// A package that only the patched tree has is not an error here.
			if _, err := t.List(ctx, []string{pkg}); err != nil {
				return newResults(), true, nil
			}
		}
		res, err := RunTests(ctx, t, []string{pkg}, o, fmt.Sprintf("retry %d %s %s", n, side, strings.Trim(run, "^$")))
		return res, true, err
	}
	c, err := Compare(ctx, want, got, j.Tries, j.PackageTries, rerun)
	if err != nil {
		return nil, err
	}
	r.Compared, r.New, r.Better = c.Compared, c.New, c.Better
	r.Differences, r.KnownFlakes = c.Differences, c.KnownFlakes
	r.Result = "PASS"
	if c.Compared == 0 || c.Count(Regression) > 0 || j.Strict && c.Count(Unreproduced) > 0 {
		r.Result = "FAIL"
	}
	r.Seconds = time.Since(start).Round(time.Second).Seconds()
	return r, nil
}

// Record runs the unpatched tree n times and returns the baseline.
func Record(ctx context.Context, t *Tree, set Set, o Options, n int, command string) (*Baseline, error) {
	v, err := t.Version(ctx)
	if err != nil {
		return nil, err
	}
	pkgs, err := t.List(ctx, set.Packages)
	if err != nil {
		return nil, err
	}
	var runs []*Results
	for i := range n {
		res, err := RunTests(ctx, t, pkgs, o, fmt.Sprintf("run %d of %d", i+1, n))
		if err != nil {
			return nil, err
		}
		runs = append(runs, res)
	}
	b := NewBaseline(runs)
	b.Go, b.Platform, b.Set, b.Command = v, Platform(), set.Name, command
	b.GoTest = "go " + strings.Join(o.Args(), " ") + " " + strings.Join(set.Packages, " ")
	b.CPUs, b.Root = runtime.NumCPU(), os.Geteuid() == 0
	return b, nil
}

// WriteJSON writes r as indented JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}

// textOutputLines is how much of a failure's output the text report shows;
// the JSON report has more.
const textOutputLines = 25

// WriteText writes r for people.
func (r *Report) WriteText(w io.Writer) {
	fmt.Fprintf(w, "Upstream tests, %s set: %d packages on %s, %d CPUs\n", r.Set, r.Packages, r.Platform, r.CPUs)
	fmt.Fprintf(w, "  patched    %s %s\n", r.Patched, strings.Join(r.PatchedEnv, " "))
	fmt.Fprintf(w, "  unpatched  %s\n", r.Unpatched)
	fmt.Fprintf(w, "  tests      %d pass, %d skip, %d fail; %d compared, %d new, %d better; %.0f s (with retries %.0f s)\n",
		r.Counts.Pass, r.Counts.Skip, r.Counts.Fail, r.Compared, r.New, r.Better, r.TestSeconds, r.Seconds)
	for _, d := range r.Differences {
		fmt.Fprintf(w, "%s: %s: unpatched %s, patched %s", strings.ToUpper(string(d.Verdict)), d.Test, d.Want, d.Got)
		if d.Crash != "" {
			fmt.Fprintf(w, " (%s)", d.Crash)
		}
		if d.Hidden > 0 {
			fmt.Fprintf(w, "; %d more tests did not run", d.Hidden)
		}
		fmt.Fprintf(w, "; retried (the %s alone): patched %d of %d, unpatched ", d.Level, d.PatchedBad, d.Tries)
		if d.UnpatchedTry > 0 {
			fmt.Fprintf(w, "%d of %d\n", d.UnpatchedBad, d.UnpatchedTry)
		} else {
			fmt.Fprintf(w, "not tried (give -unpatched)\n")
		}
		if d.Verdict == Regression || d.Verdict == Unreproduced {
			lines := strings.Split(strings.TrimRight(d.Output, "\n"), "\n")
			for i, l := range lines {
				if i == textOutputLines {
					fmt.Fprintf(w, "    | ... %d more lines\n", len(lines)-i)
					break
				}
				if l != "" {
					fmt.Fprintf(w, "    | %s\n", l)
				}
			}
		}
	}
	for _, d := range r.KnownFlakes {
		fmt.Fprintf(w, "known flake: %s failed; unpatched: %s\n", d.Test, d.Want)
	}
	count := map[Verdict]int{}
	for _, d := range r.Differences {
		count[d.Verdict]++
	}
	fmt.Fprintf(w, "%s: %d regressions, %d unreproduced, %d flaky, %d same unpatched, %d known flakes\n",
		r.Result, count[Regression], count[Unreproduced], count[Flaky], count[Same], len(r.KnownFlakes))
}
