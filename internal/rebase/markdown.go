// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rebase

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// WriteFiles writes the report as JSON and as Markdown; an empty name leaves
// one out.
func (r *Report) WriteFiles(jsonFile, mdFile string) error {
	if jsonFile != "" {
		data, err := json.MarshalIndent(r, "", "\t")
		if err != nil {
			return err
		}
		if err := os.WriteFile(jsonFile, append(data, '\n'), 0o666); err != nil {
			return err
		}
	}
	if mdFile == "" {
		return nil
	}
	var b strings.Builder
	r.Markdown(&b)
	return os.WriteFile(mdFile, []byte(b.String()), 0o666)
}

// maxDiff is the length in bytes up to which a diff is shown; hosts limit the
// size of a pull request's text to 64 KB.
const maxDiff = 4000

// Markdown writes the report in a form for a pull request: what a human has to
// do first, figures after it.
func (r *Report) Markdown(w io.Writer) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	p("# %s to %s: %s", r.From, r.To, r.headline())
	p("")
	count := map[Class]int{}
	for _, q := range r.Patches {
		count[q.Class]++
	}
	var parts []string
	for _, c := range []Class{Clean, LineNumbers, Kept, ThreeWay, ByHand, Upstreamed, Dropped, Conflicting, TargetGone} {
		if count[c] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", count[c], c))
		}
	}
	if r.Waiting > 0 {
		parts = append(parts, fmt.Sprintf("%d not tried yet", r.Waiting))
	}
	p("Patches: %s.", strings.Join(parts, ", "))

	for _, q := range r.Patches {
		if len(q.Conflicts) > 0 {
			r.conflict(w, &q)
		}
	}
	if r.Status == Conflict {
		p("\nResolve it with git in `%s` (`git status` there says what is unmerged; commit with `git commit` or leave the patch out with `git cherry-pick --skip`), then run `%s`.", r.Checkout, r.Command)
	}
	for _, c := range r.Checks {
		if c.Result == "fail" {
			p("\n## Failed: %s", c.Name)
			fence(w, "", c.Detail)
		}
	}
	if len(r.Identifiers) > 0 {
		p("\n## Upstream identifiers that the overlay uses and that changed\n")
		for _, id := range r.Identifiers {
			p("- `%s.%s` %s (%s), used in %s", id.Package, id.Name, id.Change, strings.Join(id.Arch, ", "), strings.Join(id.Uses, ", "))
			p("  - old: `%s`", id.Old)
			if id.New != "" {
				p("  - new: `%s`", id.New)
			}
		}
	}
	p("\n## Patches\n")
	p("| patch | came over | what it does |")
	p("|---|---|---|")
	for _, q := range r.Patches {
		class := string(q.Class)
		for _, old := range slices.Sorted(maps.Keys(q.Moved)) {
			class += fmt.Sprintf("; %s is now %s", old, q.Moved[old])
		}
		p("| %s | %s | %s |", cell(q.Name[:min(4, len(q.Name))]+" "+q.Subject), cell(class), cell(q.What))
	}
	l := r.Lines
	p("\n## Upstream lines touched\n")
	p("| series | patches | files | hunks | added | removed |")
	p("|---|---|---|---|---|---|")
	for _, row := range []struct {
		name string
		n    LineCount
	}{{r.From, l.Old}, {r.To, l.New}, {r.ToLine + ", not shared with other lines", l.Own}} {
		p("| %s | %d | %d | %d | %d | %d |", row.name, row.n.Patches, row.n.Files, row.n.Hunks, row.n.Added, row.n.Removed)
	}
	if len(r.Checks) > 0 {
		p("\n## Checks\n")
		p("| check | result | time | |")
		p("|---|---|---|---|")
		for _, c := range r.Checks {
			detail, _, _ := strings.Cut(c.Detail, "\n")
			p("| %s | %s | %.0f s | %s |", c.Name, c.Result, c.Seconds, cell(detail))
		}
	}
	if len(r.Latency) > 0 {
		p("\n## Latency, µs: p50 / p99 / max (maximum of the C control beside it)\n")
		p("| where | scenario | load | %s | %s |", r.From, r.To)
		p("|---|---|---|---|---|")
		for _, row := range r.Latency {
			p("| %s | %s | %s | %s | %s |", cell(row.Where), cell(row.Scenario), cell(row.Load), row.Old, row.New)
		}
	}
	if len(r.Reviews) > 0 {
		p("\n## Upstream code that changed under the patches and the overlay\n")
		p("Nothing conflicts here, but the meaning may have changed: read these.\n")
		for _, v := range r.Reviews {
			p("<details><summary><code>%s</code> in %s (%s)</summary>", htmlText.Replace(v.Name), v.File, htmlText.Replace(strings.Join(v.By, ", ")))
			fence(w, "diff", v.Diff)
			p("</details>\n")
		}
	}
}

func (r *Report) headline() string {
	switch r.Status {
	case Conflict:
		return "a patch needs a human"
	case Check:
		return "carried over, but a check failed"
	}
	return "carried over"
}

func (r *Report) conflict(w io.Writer, q *Patch) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	p("\n## %s: %s\n", q.Class, q.Name)
	p("**What it does:** %s\n", q.What)
	p("**Why:** %s", q.Why)
	for _, c := range q.Conflicts {
		p("\n### %s: %s", c.File, c.Reason)
		p("\nOur change:")
		fence(w, "diff", c.Patch)
		for _, f := range c.Functions {
			where := ""
			if f.New != "" {
				where = ", now " + f.New
			}
			p("Upstream's `%s`: **%s**%s", f.Name, f.Change, where)
			if f.Diff != "" {
				fence(w, "diff", f.Diff)
			}
		}
		if c.Merge != "" {
			p("\nAs git left it:")
			fence(w, "diff", c.Merge)
		}
	}
}

// String returns the figures as a cell of a table.
func (f *Figures) String() string {
	switch {
	case f == nil:
		return "not measured"
	case f.Void:
		return fmt.Sprintf("void (control %.0f)", f.Control)
	}
	s := fmt.Sprintf("%.0f / %.0f / %.0f", f.P50, f.P99, f.Max)
	if f.Control > 0 {
		s += fmt.Sprintf(" (%.0f)", f.Control)
	}
	return s
}

var htmlText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}

// fence writes a code block that nothing in text can end.
func fence(w io.Writer, lang, text string) {
	if len(text) > maxDiff {
		text = strings.ToValidUTF8(text[:maxDiff], "") + "\n... (the rest is in the JSON report)"
	}
	mark := "```"
	for strings.Contains(text, mark) {
		mark += "`"
	}
	fmt.Fprintf(w, "\n%s%s\n%s\n%s\n\n", mark, lang, strings.TrimRight(text, "\n"), mark)
}
