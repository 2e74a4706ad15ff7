// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package upstreamtest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// outcomes builds Results from lines "pass pkg Test".
func outcomes(t *testing.T, lines string) *Results {
	t.Helper()
	r := newResults()
	for _, l := range strings.Split(strings.TrimSpace(lines), "\n") {
		f := strings.Fields(l)
		name := ""
		if len(f) > 2 {
			name = f[2]
		}
		r.Outcomes[Test{f[1], name}] = Outcome(f[0])
	}
	return r
}

const unpatched = `
pass p
pass p TestA
pass p TestA/x
pass p TestA/y
pass p TestB
skip p TestS
fail p TestF
pass q
pass q TestQ`

// compareText compares with an unpatched side that always does as base says,
// and a patched side that in retries does as retry says.
func compareText(t *testing.T, base map[Test]Expectation, patched, retryPatched, retryUnpatched *Results) []string {
	t.Helper()
	rerun := func(_ context.Context, patchedSide bool, pkg, run string) (*Results, bool, error) {
		src := retryUnpatched
		if patchedSide {
			src = retryPatched
		}
		return src, src != nil, nil
	}
	c, err := Compare(context.Background(), base, patched, 3, 2, rerun)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, d := range c.Differences {
		out = append(out, fmt.Sprintf("%s %s %s->%s %s %d/%d %d/%d hidden %d",
			d.Verdict, d.Test, d.Want, d.Got, d.Level, d.PatchedBad, d.Tries, d.UnpatchedBad, d.UnpatchedTry, d.Hidden))
	}
	return out
}

func TestCompare(t *testing.T) {
	base := outcomes(t, unpatched)
	change := func(edits ...string) *Results {
		r := outcomes(t, unpatched)
		for _, e := range edits {
			f := strings.Fields(e)
			k := Test{f[1], ""}
			if len(f) > 2 {
				k.Name = f[2]
			}
			if f[0] == "absent" {
				delete(r.Outcomes, k)
			} else {
				r.Outcomes[k] = Outcome(f[0])
			}
		}
		return r
	}
	crash := func(r *Results) *Results { r.Crashed["p"] = "fatal error: boom"; return r }
	for _, tt := range []struct {
		name                    string
		first, again, unpatched *Results
		want                    []string
	}{
		{"equal", base, base, base, nil},
		{"fails again", change("fail p", "fail p TestB"), change("fail p", "fail p TestB"), base,
			[]string{"regression p.TestB pass->fail test 3/3 0/3 hidden 0"}},
		{"subtest speaks for its parents", change("fail p", "fail p TestA", "fail p TestA/x"), change("fail p TestA", "fail p TestA/x"), base,
			[]string{"regression p.TestA/x pass->fail test 3/3 0/3 hidden 0"}},
		{"parent stops early", change("fail p", "fail p TestA", "absent p TestA/x", "absent p TestA/y"), change("fail p TestA"), base,
			[]string{"regression p.TestA pass->fail test 3/3 0/3 hidden 2"}},
		{"fails unpatched too", change("fail p TestB"), change("fail p TestB"), change("fail p TestB"),
			[]string{"same-unpatched p.TestB pass->fail test 3/3 3/3 hidden 0"}},
		{"flaky only if unpatched fails", change("fail p TestB"), base, change("fail p TestB"),
			[]string{"flaky p.TestB pass->fail test 0/3 3/3 hidden 0"}},
		{"never again", change("fail p TestB"), base, base,
			[]string{"unreproduced p.TestB pass->fail package 0/2 0/2 hidden 0"}},
		{"vanished", change("absent p TestA", "absent p TestA/x", "absent p TestA/y"), change("absent p TestA"), base,
			[]string{"regression p.TestA pass->absent test 3/3 0/3 hidden 2"}},
		{"package vanished", change("absent q", "absent q TestQ"), change("absent q", "absent q TestQ"), base,
			[]string{"regression q pass->absent package 2/2 0/2 hidden 1"}},
		{"now skipped", change("skip p TestB"), change("skip p TestB"), base,
			[]string{"regression p.TestB pass->skip test 3/3 0/3 hidden 0"}},
		{"skip becomes failure", change("fail p TestS"), change("fail p TestS"), base,
			[]string{"regression p.TestS skip->fail test 3/3 0/3 hidden 0"}},
		{"failure becomes pass", change("pass p TestF"), base, base, nil},
		{"new passing", change("pass p TestNew"), base, base, nil},
		{"new failing", change("fail p TestNew"), change("fail p TestNew"), base,
			[]string{"regression p.TestNew no such test->fail test 3/3 0/3 hidden 0"}},
		{"crash is never unreproduced", crash(change("fail p", "absent p TestB", "absent p TestS")), base, base,
			[]string{"regression p pass->fail package 0/2 0/2 hidden 2"}},
		{"no unpatched tree", change("fail p TestB"), change("fail p TestB"), nil,
			[]string{"regression p.TestB pass->fail test 3/3 0/0 hidden 0"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := compareText(t, mergeRuns([]*Results{base}), tt.first, tt.again, tt.unpatched)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestCompareKnownFlake(t *testing.T) {
	ok := outcomes(t, "pass p\npass p TestA\npass p TestB")
	bad := outcomes(t, "fail p\nfail p TestA\npass p TestB")
	base := NewBaseline([]*Results{ok, ok, bad}).Expectations()
	if got := compareText(t, base, bad, ok, ok); got != nil {
		t.Errorf("recorded flake is a difference: %q", got)
	}
	worse := outcomes(t, "fail p\nskip p TestA\nfail p TestB")
	want := []string{
		"regression p.TestA pass 2, fail 1->skip test 3/3 0/3 hidden 0",
		"regression p.TestB pass->fail test 3/3 0/3 hidden 0",
	}
	if d := cmp.Diff(want, compareText(t, base, worse, worse, ok)); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}
}

func TestBaselineFile(t *testing.T) {
	a := outcomes(t, unpatched)
	b := outcomes(t, strings.ReplaceAll(unpatched, "pass p TestB", "fail p TestB")+"\npass p TestSometimes")
	base := NewBaseline([]*Results{a, b})
	base.Go, base.Platform = "go1.26.8", "linux/amd64"
	if d := cmp.Diff(Counts{Packages: 2, Pass: 4, Skip: 1, Fail: 1, Flaky: 2}, base.Counts); d != "" {
		t.Errorf("counts (-want +got)\n%s", d)
	}
	file := BaselineFile(t.TempDir(), base.Go, base.Platform, "ci")
	if err := base.Write(file); err != nil {
		t.Fatal(err)
	}
	back, err := ReadBaseline(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(mergeRuns([]*Results{a, b}), back.Expectations()); d != "" {
		t.Errorf("expectations after reading back (-want +got)\n%s", d)
	}
	if err := back.Usable("go1.26.8", "linux/amd64", false); err != nil {
		t.Error(err)
	}
	if back.Usable("go1.27.3", "linux/amd64", false) == nil || back.Usable("go1.26.8", "linux/arm64", false) == nil {
		t.Error("baseline of another version or platform accepted")
	}
}
