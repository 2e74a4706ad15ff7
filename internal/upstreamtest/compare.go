// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package upstreamtest

import (
	"context"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// A Verdict is what became of a difference between the two sides.
type Verdict string

const (
	// Regression: it happens patched and not unpatched. Fails the comparison.
	Regression Verdict = "regression"
	// Unreproduced: seen once patched, never again in the tries, and not a
	// crash. Fails the comparison only if strict.
	Unreproduced Verdict = "unreproduced"
	// Flaky: it happened unpatched too, in the same number of tries.
	Flaky Verdict = "flaky"
	// Same: on this machine it always happens unpatched too; the recorded
	// baseline comes from another environment.
	Same Verdict = "same-unpatched"
	// KnownFlake: the baseline saw this outcome in some of its runs.
	KnownFlake Verdict = "known-flake"
)

// A Difference is a test whose patched outcome is not one it has unpatched.
type Difference struct {
	Test
	Want    string  `json:"unpatched"` // outcomes unpatched, with run counts if several
	Got     Outcome `json:"patched"`
	Verdict Verdict `json:"verdict"`
	Crash   string  `json:"crash,omitempty"`  // how the package ended, if it did early
	Hidden  int     `json:"hidden,omitempty"` // further tests that did not run in consequence

	Level         string `json:"retried_as,omitempty"` // "test" or "package": what was run in isolation
	Tries         int    `json:"tries"`
	PatchedBad    int    `json:"patched_bad"`     // tries with an outcome not seen unpatched
	UnpatchedTry  int    `json:"unpatched_tries"` // 0: no unpatched tree at hand
	UnpatchedBad  int    `json:"unpatched_bad"`
	Output        string `json:"output,omitempty"` // of the patched failure
	want          Expectation
	expectPresent bool
}

// bad reports whether outcome o of the test is what the difference complains of.
func (d *Difference) bad(o Outcome) bool {
	if !d.expectPresent { // new in the patched tree
		return o == Fail
	}
	return !d.want.Allows(o)
}

// A Comparison is the result of [Compare].
type Comparison struct {
	Differences []*Difference // judged; worst first
	KnownFlakes []*Difference
	Compared    int // tests present on both sides, or expected
	New         int // tests that only the patched tree has
	Better      int // fail or skip unpatched, pass patched
}

// Count returns how many differences got v.
func (c *Comparison) Count(v Verdict) int {
	n := 0
	for _, d := range c.Differences {
		if d.Verdict == v {
			n++
		}
	}
	return n
}

// A Rerun runs one package, limited to the tests that match run ("" is all),
// once on one side. ok is false if that side is not available.
type Rerun func(ctx context.Context, patched bool, pkg, run string) (res *Results, ok bool, err error)

// maxUnits is how many tests of one package are retried one by one; if more
// differ, the package is retried as a whole.
const maxUnits = 20

// Compare judges the patched results against the expectations.
//
// A difference is first retried tries times in isolation on both sides. Bad
// only patched is a regression; bad unpatched as well, in the same number of
// tries, is flaky. What cannot be reproduced alone is retried packageTries
// times with its whole package. What still does not come back is
// unreproduced, unless the package crashed: a runtime that crashed once is a
// regression until the unpatched one does it too.
func Compare(ctx context.Context, want map[Test]Expectation, got *Results, tries, packageTries int, rerun Rerun) (*Comparison, error) {
	c := &Comparison{}
	suspects := c.suspects(want, got)
	for _, u := range units(suspects) {
		if err := u.retry(ctx, tries, packageTries, rerun); err != nil {
			return nil, err
		}
		c.Differences = append(c.Differences, u.diffs...)
	}
	order := []Verdict{Regression, Unreproduced, Flaky, Same}
	slices.SortStableFunc(c.Differences, func(a, b *Difference) int {
		if i, j := slices.Index(order, a.Verdict), slices.Index(order, b.Verdict); i != j {
			return i - j
		}
		return compareTests(a.Test, b.Test)
	})
	return c, nil
}

// suspects returns the differences to be judged. Those that merely follow
// from another one are folded into it.
func (c *Comparison) suspects(want map[Test]Expectation, got *Results) []*Difference {
	hasFailedChild := map[Test]bool{}
	pkgHasFailure := map[string]bool{}
	for t, o := range got.Outcomes {
		if o != Fail || t.Name == "" {
			continue
		}
		pkgHasFailure[t.Pkg] = true
		for p := parent(t); p.Name != ""; p = parent(p) {
			hasFailedChild[p] = true
		}
	}

	all := map[Test]bool{}
	for t := range want {
		all[t] = true
	}
	for t := range got.Outcomes {
		all[t] = true
	}
	byTest := map[Test]*Difference{}
	var absent []*Difference
	for t := range all {
		w, expected := want[t]
		o, ok := got.Outcomes[t]
		if !ok {
			o = Absent
		}
		if t.Name != "" {
			if expected {
				c.Compared++
			} else {
				c.New++
			}
		}
		d := &Difference{Test: t, Want: w.String(), Got: o, want: w, expectPresent: expected, Output: got.Output[t]}
		if !expected {
			d.Want = "no such test"
		}
		crashed := t.Name == "" && got.Crashed[t.Pkg] != ""
		switch {
		case expected && w.Allows(o):
			if o == Fail && len(w) > 1 {
				d.Verdict = KnownFlake
				c.KnownFlakes = append(c.KnownFlakes, d)
			}
			continue
		case !d.bad(o):
			continue
		case o == Pass:
			c.Better++
			continue
		case !w.Allows(Pass) && w.Allows(Fail):
			continue // fails unpatched too; skipped or gone is no loss
		case o == Fail && hasFailedChild[t]:
			continue // the failed subtest speaks for it
		case o == Fail && t.Name == "" && pkgHasFailure[t.Pkg] && !crashed:
			continue // the failed tests speak for it
		case o == Absent:
			absent = append(absent, d)
			continue
		}
		if crashed {
			d.Crash = got.Crashed[t.Pkg]
		}
		byTest[t] = d
	}

	// Fold what did not run into what kept it from running, and tests that are
	// gone into the topmost one that is.
	slices.SortFunc(absent, func(a, b *Difference) int { return compareTests(a.Test, b.Test) }) // parents first
next:
	for _, d := range absent {
		for t := d.Test; t.Name != ""; {
			t = parent(t)
			if up := byTest[t]; up != nil {
				up.Hidden++
				continue next
			}
			if t.Name != "" && got.Outcomes[t] == Fail {
				continue next // judged by the failure of another subtest, or a known flake
			}
		}
		byTest[d.Test] = d
	}
	list := slices.Collect(maps.Values(byTest))
	slices.SortFunc(list, func(a, b *Difference) int { return compareTests(a.Test, b.Test) })
	slices.SortFunc(c.KnownFlakes, func(a, b *Difference) int { return compareTests(a.Test, b.Test) })
	return list
}

// parent returns the test that contains t; for a top-level test its package.
func parent(t Test) Test {
	i := strings.LastIndexByte(t.Name, '/')
	if i < 0 {
		return Test{t.Pkg, ""}
	}
	return Test{t.Pkg, t.Name[:i]}
}

// A unit is what is retried together: the differences of one top-level test
// or of one package.
type unit struct {
	Test
	diffs []*Difference
}

func units(suspects []*Difference) []*unit {
	perPkg := map[string]map[Test]bool{}
	for _, d := range suspects {
		if perPkg[d.Pkg] == nil {
			perPkg[d.Pkg] = map[Test]bool{}
		}
		perPkg[d.Pkg][d.top()] = true
	}
	var list []*unit
	for _, d := range suspects {
		key := d.top()
		if len(perPkg[d.Pkg]) > maxUnits {
			key.Name = ""
		}
		i := slices.IndexFunc(list, func(u *unit) bool { return u.Test == key })
		if i < 0 {
			i = len(list)
			list = append(list, &unit{Test: key})
		}
		list[i].diffs = append(list[i].diffs, d)
	}
	return list
}

func (u *unit) retry(ctx context.Context, tries, packageTries int, rerun Rerun) error {
	if u.Name == "" {
		return u.level(ctx, "package", "", packageTries, rerun)
	}
	if err := u.level(ctx, "test", "^"+regexp.QuoteMeta(u.Name)+"$", tries, rerun); err != nil {
		return err
	}
	again := &unit{Test: u.Test}
	for _, d := range u.diffs {
		if d.Verdict == Unreproduced {
			again.diffs = append(again.diffs, d)
		}
	}
	if len(again.diffs) == 0 || packageTries == 0 {
		return nil
	}
	return again.level(ctx, "package", "", packageTries, rerun)
}

// level runs n tries on both sides, alternating so that a busy machine is
// unfair to neither, and judges.
func (u *unit) level(ctx context.Context, name, run string, n int, rerun Rerun) error {
	for _, d := range u.diffs {
		d.Level, d.Tries, d.PatchedBad, d.UnpatchedTry, d.UnpatchedBad = name, 0, 0, 0, 0
	}
	for range n {
		for _, patched := range []bool{true, false} {
			res, ok, err := rerun(ctx, patched, u.Pkg, run)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			for _, d := range u.diffs {
				o, ran := res.Outcomes[d.Test]
				if !ran {
					o = Absent
				}
				bad := d.bad(o)
				if patched {
					d.Tries++
				} else {
					d.UnpatchedTry++
				}
				if bad && patched {
					d.PatchedBad++
					if d.Output == "" {
						d.Output = res.Output[d.Test]
					}
				} else if bad {
					d.UnpatchedBad++
				}
			}
		}
	}
	for _, d := range u.diffs {
		d.Verdict = d.judge()
	}
	return nil
}

func (d *Difference) judge() Verdict {
	switch {
	case d.UnpatchedBad > 0 && d.UnpatchedBad == d.UnpatchedTry && d.PatchedBad == d.Tries:
		return Same
	case d.UnpatchedBad > 0:
		return Flaky
	case d.PatchedBad > 0 || d.Crash != "":
		return Regression
	}
	return Unreproduced
}
