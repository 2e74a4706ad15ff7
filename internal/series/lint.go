// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package series

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"rtgo.dev/rtgo/internal/upstream"
)

// Fields are the header fields that the message of every patch must have,
// each at the beginning of a line and followed by its value, which may go on
// in the next lines:
//
//	What: what changes, for someone who reads upstream's source
//	Why: why rtgo needs it
//	Upstream-Status: one of [Statuses], with the detail it asks for
//	Tested: the test or command that fails without the patch
//
// A patch with hunks that are more than hooks also has, for each such file,
//
//	Hook-Waiver: path: why the change cannot live in the overlay
var Fields = []string{"What", "Why", "Upstream-Status", "Tested"}

// Statuses are the values of Upstream-Status. Those in square brackets take a
// detail, as in "Submitted [go.dev/cl/1]".
var Statuses = []string{"Pending", "Submitted [CL or issue]", "Backport [commit]", "Denied [issue]", "Inappropriate [reason]"}

// MaxHook is the number of lines that one hunk may add and remain a hook.
const MaxHook = 3

// A Problem is a finding of Lint.
type Problem struct {
	Patch string
	Text  string
}

func (p Problem) String() string { return p.Patch + ": " + p.Text }

var (
	subjectRE = regexp.MustCompile(`^[a-zA-Z0-9_./-]+(?:, [a-zA-Z0-9_./-]+)*: [^A-Z ].*[^. ]$`)
	statusRE  = regexp.MustCompile(`^(?:Pending|(?:Submitted|Backport|Denied|Inappropriate) \[.+\])`)
	declRE    = regexp.MustCompile(`^(?:func|type|const|var)\b`)
)

// Lint checks the form of a series, without applying it. Files of the
// overlay and paths outside of the buildable tree are out of bounds for
// patches.
func Lint(s *Set) []Problem {
	var out []Problem
	overlay := map[string]bool{}
	for _, f := range s.Overlay {
		overlay[f.Path] = true
	}
	due := 0
	slugs := map[string]string{}
	for _, p := range s.Patches {
		for due++; slices.Contains(s.gaps, due); due++ {
		}
		complain := func(format string, args ...any) {
			out = append(out, Problem{p.Name, fmt.Sprintf(format, args...)})
		}
		if p.Number == 0 {
			complain("name is not of the form 0001-subject.patch; run 'rtgo export'")
		} else if p.Number != due {
			complain("number %04d where %04d is due; run 'rtgo export'", p.Number, due)
		}
		if other := slugs[slug(p.Name)]; other != "" {
			complain("the name is that of %s; give them subjects that differ in the first 50 bytes", other)
		}
		slugs[slug(p.Name)] = p.Name
		if !strings.HasPrefix(string(p.Raw), "From "+strings.Repeat("0", 40)+" ") {
			complain("names a commit; export with 'rtgo export' (git format-patch --zero-commit)")
		}
		if p.Author != author {
			complain("author is %q, must be %q; run 'rtgo export'", p.Author, author)
		}
		if strings.Contains(string(p.Raw), "\r") {
			complain("contains carriage returns")
		}
		if !subjectRE.MatchString(p.Subject) {
			complain("subject %q is not of the form 'dir/path: lower-case summary' without a full stop", p.Subject)
		}
		if len(p.Subject) > 76 {
			complain("subject is %d bytes long, at most 76", len(p.Subject))
		}
		for _, f := range Fields {
			if p.Field(f) == "" {
				complain("message lacks '%s: ...'", f)
			}
		}
		if st := p.Field("Upstream-Status"); st != "" && !statusRE.MatchString(st) {
			complain("Upstream-Status %q is none of %s", st, strings.Join(Statuses, ", "))
		}
		waived := map[string]bool{}
		for _, w := range p.fields("Hook-Waiver") {
			file, reason, ok := strings.Cut(w, ": ")
			if !ok || strings.TrimSpace(reason) == "" {
				complain("Hook-Waiver %q is not of the form 'path: reason'", w)
				continue
			}
			waived[file] = false
		}
		for _, f := range p.Files {
			if overlay[f.Path] {
				complain("%s is in src-overlay; change it there", f.Path)
			}
			if upstream.Optional(f.Path) {
				complain("%s is in a directory that a source tree may lack", f.Path)
			}
			problem := hookProblem(f)
			if problem == "" {
				continue
			}
			if _, ok := waived[f.Path]; ok {
				waived[f.Path] = true
				continue
			}
			complain("%s: %s; move it to src-overlay or add 'Hook-Waiver: %s: reason'", f.Path, problem, f.Path)
		}
		for file, used := range waived {
			if !used {
				complain("Hook-Waiver for %s is not needed", file)
			}
		}
	}
	return out
}

// hookProblem says why a change to a file is more than a hook, or returns "".
// Tests may change freely: they cost users nothing.
func hookProblem(f FileDiff) string {
	switch f.Change {
	case "new":
		return "new file"
	case "":
	default:
		return f.Change
	}
	if strings.HasSuffix(f.Path, "_test.go") || strings.Contains(f.Path, "/testdata/") {
		return ""
	}
	for _, h := range f.Hunks {
		code := 0
		for _, l := range h.Added {
			t := strings.TrimSpace(l)
			if t != "" && !strings.HasPrefix(t, "//") {
				code++
			}
			if path.Ext(f.Path) == ".go" && declRE.MatchString(l) {
				return fmt.Sprintf("hunk %s declares %q", place(h), t)
			}
		}
		if code > MaxHook {
			return fmt.Sprintf("hunk %s adds %d lines of code, a hook has at most %d", place(h), code, MaxHook)
		}
	}
	return ""
}

// place returns the part of a hunk's header that says where it is.
func place(h Hunk) string {
	if i := strings.LastIndex(h.Header, "@@"); i > 0 {
		return strings.TrimSpace(h.Header[:i+2])
	}
	return h.Header
}

// Stat counts the lines of upstream that a patch touches in one file.
type Stat struct {
	Patch   string `json:"patch"`
	File    string `json:"file"`
	Hunks   int    `json:"hunks"`
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
}

// Stats returns what each patch does to each file, in order.
func Stats(patches []*Patch) []Stat {
	var out []Stat
	for _, p := range patches {
		for _, f := range p.Files {
			out = append(out, Stat{p.Name, f.Path, len(f.Hunks), f.Added, f.Removed})
		}
	}
	return out
}
