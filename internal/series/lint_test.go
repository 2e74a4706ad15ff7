// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package series

import (
	"fmt"
	"strings"
	"testing"
)

const goodMail = `From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: The rtgo Authors <authors@rtgo.dev>
Date: Tue, 1 Sep 2026 12:00:00 +0000
Subject: [PATCH] runtime: keep the P of a real-time goroutine

What: x
Why: y
Upstream-Status: Inappropriate [z]
Tested: t
---
 src/runtime/proc.go | 1 +
 1 file changed, 1 insertion(+)

diff --git a/src/runtime/proc.go b/src/runtime/proc.go
index aa41986e8e9387..409d3522e5fc72 100644
--- a/src/runtime/proc.go
+++ b/src/runtime/proc.go
@@ -5,3 +5,4 @@ func schedule() {
 	a()
 	b()
 	c()
+	rtHook()
`

func TestLint(t *testing.T) {
	hunk := func(n int) string {
		return strings.Replace(strings.Replace(goodMail, "-5,3 +5,4", fmt.Sprintf("-5,3 +5,%d", 3+n), 1), "+\trtHook()\n", strings.Repeat("+\trtHook()\n", n), 1)
	}
	replace := func(old, new string) string {
		out := strings.Replace(goodMail, old, new, 1)
		if out == goodMail {
			t.Fatalf("no %q", old)
		}
		return out
	}
	const name = "0001-runtime-keep.patch"
	for _, tt := range []struct {
		what, name, mail string
		want             string // "" is no problem
	}{
		{"good", name, goodMail, ""},
		{"no number", "runtime.patch", goodMail, "not of the form 0001-"},
		{"gap", "0002-runtime.patch", goodMail, "number 0002 where 0001"},
		{"commit name", name, strings.Replace(goodMail, "From 0000", "From 1234", 1), "names a commit"},
		{"author", name, replace("From: The rtgo Authors <authors@rtgo.dev>", "From: A B\n <a@b.example>"), "author is \"A B <a@b.example>\""},
		{"subject without path", name, replace("runtime: keep", "keep"), "not of the form 'dir/path"},
		{"capital", name, replace("runtime: keep", "runtime: Keep"), "not of the form 'dir/path"},
		{"full stop", name, replace("goroutine\n", "goroutine.\n"), "not of the form 'dir/path"},
		{"long", name, replace("goroutine\n", "goroutine over and over and over and over again, always\n"), "bytes long"},
		{"no Why", name, replace("Why: y\n", ""), "lacks 'Why"},
		{"empty Tested", name, replace("Tested: t\n", "Tested:\n"), "lacks 'Tested"},
		{"bad status", name, replace("Inappropriate [z]", "Maybe"), "is none of"},
		{"status without reason", name, replace("Inappropriate [z]", "Inappropriate"), "is none of"},
		{"three lines", name, hunk(3), ""},
		{"four lines", name, hunk(4), "adds 4 lines of code"},
		{"four lines in a test", name, strings.ReplaceAll(hunk(4), "proc.go", "proc_test.go"), ""},
		{"waived", name, strings.Replace(hunk(4), "Tested: t\n", "Tested: t\nHook-Waiver: src/runtime/proc.go: one loop,\nwhich cannot be split\n", 1), ""},
		{"waived without reason", name, replace("Tested: t\n", "Tested: t\nHook-Waiver: src/runtime/proc.go\n"), "not of the form 'path: reason'"},
		{"idle waiver", name, replace("Tested: t\n", "Tested: t\nHook-Waiver: src/runtime/proc.go: x\n"), "is not needed"},
		{"declaration", name, replace("+\trtHook()\n", "+func rtHook() {}\n"), "declares"},
		{"new file", name, replace("index aa", "new file mode 100644\nindex aa"), "new file"},
		{"overlay file", name, strings.ReplaceAll(goodMail, "proc.go", "rt_on.go"), "change it there"},
		{"optional directory", name, strings.ReplaceAll(goodMail, "src/runtime/proc.go", "api/go1.txt"), "may lack"},
		{"carriage return", name, replace("+\trtHook()\n", "+\trtHook()\r\n"), "carriage"},
	} {
		t.Run(tt.what, func(t *testing.T) {
			p, err := Parse(tt.name, []byte(tt.mail))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, pr := range Lint(&Set{Patches: []*Patch{p}, Overlay: []OverlayFile{{Path: "src/runtime/rt_on.go"}}}) {
				got = append(got, pr.String())
			}
			text := strings.Join(got, "\n")
			if tt.want == "" && text != "" || tt.want != "" && (len(got) != 1 || !strings.Contains(text, tt.want)) {
				t.Errorf("problems %q, want %q", text, tt.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ what, mail, want string }{
		{"not a mail", "diff --git a/x b/x\n", "not a mail"},
		{"no diff", goodMail[:strings.Index(goodMail, "---")], "no '---'"},
		{"empty", goodMail[:strings.Index(goodMail, "diff --git")], "changes nothing"},
		{"cut short", strings.TrimSuffix(goodMail, "+\trtHook()\n"), "cut short"},
	} {
		if _, err := Parse("0001-x.patch", []byte(tt.mail)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.what, err, tt.want)
		}
	}
}

func TestStats(t *testing.T) {
	p, err := Parse("0001-x.patch", []byte(goodMail))
	if err != nil {
		t.Fatal(err)
	}
	got := Stats([]*Patch{p})
	want := Stat{"0001-x.patch", "src/runtime/proc.go", 1, 1, 0}
	if len(got) != 1 || got[0] != want {
		t.Errorf("Stats = %+v, want %+v", got, want)
	}
}
