// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package series

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mail returns a patch of a.go, at the given line, that adds text.
func mail(t *testing.T, name string, line int, text string) *Patch {
	t.Helper()
	p, err := Parse(name, fmt.Appendf(nil, `From %s Mon Sep 17 00:00:00 2001
From: %s
Subject: [PATCH] runtime: %s

What: x.
Why: y.
---
 1 file changed

diff --git a/a.go b/a.go
index 00000000000000..11111111111111 100644
--- a/a.go
+++ b/a.go
@@ -%d,1 +%d,2 @@ func f() {
 	old()
+%s
`, strings.Repeat("0", 40), author, name, line, line, text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// files lists what is in patches, with the line that each patch adds.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(filepath.Join(root, "patches"), func(file string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(filepath.Join(root, "patches"), file)
		_, text, _ := strings.Cut(string(raw), "\n+")
		_, text, _ = strings.Cut(text, "\n+") // after that of +++
		out[rel] = strings.TrimSpace(text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestStore(t *testing.T) {
	root := t.TempDir()
	store := func(line string, follow bool, ps ...*Patch) {
		t.Helper()
		if _, err := Store(root, line, ps, follow); err != nil {
			t.Fatal(err)
		}
	}
	want := func(step string, w map[string]string) {
		t.Helper()
		if got := files(t, root); !maps.Equal(got, w) {
			t.Errorf("%s: %v, want %v", step, got, w)
		}
	}
	a, b, c := "0001-a.patch", "0002-b.patch", "0003-c.patch"
	store("go1.26", true, mail(t, a, 1, "a"), mail(t, b, 1, "b"), mail(t, c, 1, "c"))
	want("one line", map[string]string{"go1.26/" + a: "a", "go1.26/" + b: "b", "go1.26/" + c: "c"})

	// b differs on the new line; a and c by no more than their place.
	store("go1.27", false, mail(t, a, 7, "a"), mail(t, b, 7, "b27"), mail(t, c, 7, "c"))
	want("two lines", map[string]string{"common/" + a: "a", "common/" + c: "c", "go1.26/" + b: "b", "go1.27/" + b: "b27"})
	if ps, err := Load(root, "go1.27"); err != nil || len(ps) != 3 || ps[1].File != filepath.Join("patches", "go1.27", b) || ps[2].File != filepath.Join("patches", "common", c) {
		t.Errorf("series of go1.27: %v, %v", ps, err)
	}

	// An edit of a shared patch is one for both; a new one in front moves all.
	store("go1.26", true, mail(t, "0001-new.patch", 1, "new"), mail(t, "0002-a.patch", 1, "a2"), mail(t, "0003-b.patch", 1, "b"), mail(t, "0004-c.patch", 1, "c"))
	want("insertion", map[string]string{"go1.26/0001-new.patch": "new", "common/0002-a.patch": "a2",
		"go1.26/0003-b.patch": "b", "go1.27/0003-b.patch": "b27", "common/0004-c.patch": "c"})
	drift, err := Drift(root, "go1.26", "go1.27")
	if err != nil || len(drift) != 2 || drift[0].Patch != "0001-new.patch" || !strings.Contains(drift[1].Patch, "go1.27/0003-b.patch") {
		t.Errorf("drift after the insertion: %v, %v", drift, err)
	}

	// Without the new patch the numbers of go1.27 have a gap, which is no
	// problem, and stay.
	old, err := Load(root, "go1.26")
	if err != nil {
		t.Fatal(err)
	}
	ps, err := Load(root, "go1.27")
	if err != nil {
		t.Fatal(err)
	}
	ps[1].SetPort("go1.26", SameSubject(old, ps[1]))
	if _, err := Parse(ps[1].Name, ps[1].Raw); err != nil {
		t.Error(err)
	}
	store("go1.27", false, ps...)
	if err := SetWithout(root, "go1.27", old[:1]); err != nil {
		t.Fatal(err)
	}
	if drift, err := Drift(root, "go1.26", "go1.27"); err != nil || len(drift) > 0 {
		t.Errorf("drift after the port: %v, %v", drift, err)
	}
	gs, err := gaps(root, "go1.27")
	if err != nil || !slices.Equal(gs, []int{1}) {
		t.Errorf("gaps %v, %v", gs, err)
	}
	set, err := LoadSet(root, "go1.27")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range Lint(set) {
		if strings.Contains(p.Text, "number") {
			t.Error(p)
		}
	}
	renumber(ps, gs)
	if ps[0].Name != "0002-a.patch" || ps[2].Name != "0004-c.patch" {
		t.Errorf("renumbered to %s and %s", ps[0].Name, ps[2].Name)
	}

	// A change of go1.26's own patch makes the port out of date; the removal
	// of a shared patch is one for both.
	store("go1.26", true, mail(t, "0001-new.patch", 1, "new"), mail(t, "0002-b.patch", 1, "b3"), mail(t, "0003-c.patch", 1, "c"))
	got := files(t, root)
	if got["go1.26/0002-b.patch"] != "b3" || got["go1.27/0002-b.patch"] != "b27" || got["common/0003-c.patch"] != "c" || len(got) != 5 {
		t.Errorf("after a removal: %v", got)
	}
	if drift, err := Drift(root, "go1.26", "go1.27"); err != nil || len(drift) != 1 || !strings.Contains(drift[0].Patch, "0002-b.patch") {
		t.Errorf("drift after a change: %v, %v", drift, err)
	}
}
