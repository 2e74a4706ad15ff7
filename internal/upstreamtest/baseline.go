// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package upstreamtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// baselineSchema changes when older files can no longer be read.
const baselineSchema = 1

// A Baseline is what the unpatched tree did, measured over several runs on
// one machine. It names every test, so that one which vanishes is noticed.
type Baseline struct {
	Schema   int    `json:"schema"`
	Go       string `json:"go"`       // go1.26.8
	Platform string `json:"platform"` // linux/amd64
	Set      string `json:"set"`
	Command  string `json:"command"` // what recorded it
	GoTest   string `json:"go_test"` // what each run executed
	Runs     int    `json:"runs"`
	CPUs     int    `json:"cpus"`
	Root     bool   `json:"root"` // tests that need or refuse root are skipped by it
	Counts   Counts `json:"counts"`

	// Flakes did not give the same outcome in every run.
	Flakes []Flake `json:"flakes"`

	// Packages holds the tests that did.
	Packages map[string]*PackageBaseline `json:"packages"`
}

// Counts are numbers of tests, subtests included, over all packages.
type Counts struct {
	Packages int `json:"packages"`
	Pass     int `json:"pass"`
	Skip     int `json:"skip"`
	Fail     int `json:"fail"`
	Flaky    int `json:"flaky"`
}

// A Flake gives the outcomes of one test and how many runs gave each.
type Flake struct {
	Test
	Runs map[Outcome]int `json:"runs"`
}

// PackageBaseline are the stable outcomes of one package.
type PackageBaseline struct {
	Outcome Outcome  `json:"outcome"` // of the package; "" if it is a flake
	Pass    []string `json:"pass,omitempty"`
	Skip    []string `json:"skip,omitempty"`
	Fail    []string `json:"fail,omitempty"`
}

// Expectation is what a baseline, or a single run, says of one test.
type Expectation map[Outcome]int

// Allows reports whether o was seen unpatched.
func (e Expectation) Allows(o Outcome) bool { return e[o] > 0 }

// String lists the outcomes, most frequent first: "pass" or "pass 4, fail 1".
func (e Expectation) String() string {
	keys := slices.Collect(maps.Keys(e))
	slices.SortFunc(keys, func(a, b Outcome) int {
		if e[a] != e[b] {
			return e[b] - e[a]
		}
		return strings.Compare(string(a), string(b))
	})
	if len(keys) == 1 {
		return string(keys[0])
	}
	var parts []string
	for _, k := range keys {
		parts = append(parts, fmt.Sprintf("%s %d", k, e[k]))
	}
	return strings.Join(parts, ", ")
}

// Expectations returns what is expected of every test in b.
func (b *Baseline) Expectations() map[Test]Expectation {
	m := map[Test]Expectation{}
	for pkg, p := range b.Packages {
		if p.Outcome != "" {
			m[Test{pkg, ""}] = Expectation{p.Outcome: b.Runs}
		}
		for _, l := range []struct {
			o     Outcome
			names []string
		}{{Pass, p.Pass}, {Skip, p.Skip}, {Fail, p.Fail}} {
			for _, n := range l.names {
				m[Test{pkg, n}] = Expectation{l.o: b.Runs}
			}
		}
	}
	for _, f := range b.Flakes {
		m[f.Test] = Expectation(f.Runs)
	}
	return m
}

// mergeRuns folds several runs of the same tests into counts by outcome. In a
// run in which a package crashed, tests that the run did not reach say
// nothing and are left out rather than counted as absent.
func mergeRuns(runs []*Results) map[Test]Expectation {
	m := map[Test]Expectation{}
	for _, r := range runs {
		for t := range r.Outcomes {
			m[t] = Expectation{}
		}
	}
	for t, e := range m {
		for _, r := range runs {
			o, ok := r.Outcomes[t]
			if !ok {
				if r.Crashed[t.Pkg] != "" {
					continue
				}
				o = Absent
			}
			e[o]++
		}
	}
	return m
}

// NewBaseline makes a baseline from runs of the unpatched tree. The caller
// fills in Go, Set, Command and the like.
func NewBaseline(runs []*Results) *Baseline {
	b := &Baseline{Schema: baselineSchema, Runs: len(runs), Flakes: []Flake{}, Packages: map[string]*PackageBaseline{}}
	for t, e := range mergeRuns(runs) {
		p := b.Packages[t.Pkg]
		if p == nil {
			p = &PackageBaseline{}
			b.Packages[t.Pkg] = p
			b.Counts.Packages++
		}
		if len(e) > 1 {
			b.Flakes = append(b.Flakes, Flake{t, e})
			if t.Name != "" {
				b.Counts.Flaky++
			}
			continue
		}
		for o := range e {
			if t.Name == "" {
				p.Outcome = o
				continue
			}
			switch o {
			case Pass:
				p.Pass = append(p.Pass, t.Name)
				b.Counts.Pass++
			case Skip:
				p.Skip = append(p.Skip, t.Name)
				b.Counts.Skip++
			case Fail:
				p.Fail = append(p.Fail, t.Name)
				b.Counts.Fail++
			}
		}
	}
	slices.SortFunc(b.Flakes, func(x, y Flake) int { return compareTests(x.Test, y.Test) })
	for _, p := range b.Packages {
		slices.Sort(p.Pass)
		slices.Sort(p.Skip)
		slices.Sort(p.Fail)
	}
	return b
}

func compareTests(a, b Test) int {
	if c := strings.Compare(a.Pkg, b.Pkg); c != 0 {
		return c
	}
	return strings.Compare(a.Name, b.Name)
}

// BaselineFile returns the path, below dir, of the baseline of a Go version
// on a platform.
func BaselineFile(dir, goVersion, platform, set string) string {
	return filepath.Join(dir, goVersion+"-"+strings.ReplaceAll(platform, "/", "-")+"-"+set+".json")
}

// ReadBaseline reads a file written by [Baseline.Write]. The error wraps
// fs.ErrNotExist if there is none.
func ReadBaseline(file string) (*Baseline, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	b := new(Baseline)
	if err := json.Unmarshal(data, b); err != nil {
		return nil, fmt.Errorf("%s: %v; record it anew with rtgo upstream-test -record N", file, err)
	}
	if b.Schema != baselineSchema {
		return nil, fmt.Errorf("%s has schema %d, want %d; record it anew with rtgo upstream-test -record N", file, b.Schema, baselineSchema)
	}
	return b, nil
}

// Usable says why b cannot stand for the unpatched tree of goVersion under
// these conditions, or nil.
func (b *Baseline) Usable(goVersion, platform string, root bool) error {
	switch {
	case b.Go != goVersion:
		return fmt.Errorf("it was recorded with %s, not %s", b.Go, goVersion)
	case b.Platform != platform:
		return fmt.Errorf("it was recorded on %s, not %s", b.Platform, platform)
	case b.Root != root:
		return errors.New("it was recorded by another kind of user (root or not root)")
	}
	return nil
}

// Write writes b to file, one test per line so that a new recording can be
// reviewed as a diff.
func (b *Baseline) Write(file string) error {
	data, err := json.MarshalIndent(b, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	tmp := file + ".tmp"
	if err := os.WriteFile(tmp, append(data, '\n'), 0o666); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}

// IsNotExist reports whether err says that there is no baseline file.
func IsNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
