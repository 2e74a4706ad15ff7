// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

// WriteMarkdown writes the environments and one table of all figures, for
// pull requests and logs.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# %s\n\n", mdText(r.Title))
	if s := r.when(); s != "" {
		fmt.Fprintf(&b, "%s\n\n", s)
	}
	fmt.Fprintf(&b, "%s\n", r.Counts)
	for i := range r.Run.Environments {
		e := &r.Run.Environments[i]
		fmt.Fprintf(&b, "\n**%s**", mdText(e.ID))
		if e.Simulated {
			fmt.Fprint(&b, " (simulated time)")
		}
		fmt.Fprint(&b, "\n\n| | |\n|---|---|\n")
		for _, f := range Facts(e) {
			fmt.Fprintf(&b, "| %s | %s |\n", f.Name, mdText(f.Value))
		}
	}
	fmt.Fprint(&b, "\nLateness in µs; in brackets the ratio to C in the same boot, where it may be compared.\n\n")
	fmt.Fprint(&b, "| environment | scenario | load | program | samples | missed | duration | p50 | p99 | p99.9 | p99.99 | max | |\n")
	fmt.Fprint(&b, "|---|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|---|\n")
	controls := make(map[string]bool)
	for _, c := range r.Cases {
		env := c.Env
		if c.env.Simulated {
			env += " (simulated)"
		}
		for _, p := range c.Panels {
			name := c.Scenario
			if c.PeriodNS > 0 {
				name += ", " + period(c.PeriodNS)
			}
			if c.Tasks > 1 && len(c.Panels) == 1 {
				name += fmt.Sprintf(", %d tasks", c.Tasks)
			}
			if p.Name != "" {
				name += ": " + p.Name
			}
			for _, row := range p.Shown() {
				if row.Kind == kindControl {
					// One control serves all cases beside its load.
					k := c.Env + c.Load + row.Note + row.Max.String()
					if controls[k] {
						continue
					}
					controls[k] = true
				}
				cells := []string{env, name, c.Load, row.Label}
				if row.Void() || row.Max == nil {
					cells = append(cells, "", "", "", "", "", "", "", "", "**"+status(row)+"** "+row.Note)
				} else {
					cells = append(cells, thousands(int64(row.Samples)), thousands(int64(row.Missed)), span(row.DurationNS))
					for _, f := range row.Figures() {
						s := f.String()
						if t := f.RatioText(); t != "" {
							s += " (" + t + ")"
						}
						cells = append(cells, s)
					}
					note := row.Note
					if row.Outcome != result.OK {
						note = "**" + status(row) + "** " + note
					}
					cells = append(cells, note)
				}
				b.WriteString("|")
				for _, s := range cells {
					fmt.Fprintf(&b, " %s |", mdText(s))
				}
				b.WriteByte('\n')
			}
		}
	}
	if len(r.Run.Aborts) > 0 {
		fmt.Fprint(&b, "\nEnded early or not run:\n\n")
		for _, s := range r.Run.Aborts {
			fmt.Fprintf(&b, "- %s\n", mdText(s))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// status is a word or two for a row without figures to trust.
func status(r *Row) string {
	if r.Void() {
		return "VOID"
	}
	return outcomeText(r)
}

// String sums the counts up in one line.
func (c Counts) String() string {
	s := []string{fmt.Sprintf("%d measurements", c.Measurements)}
	for _, x := range []struct {
		n    int
		what string
	}{
		{c.Compared, "compared with C"}, {c.Void, "void"}, {c.Exceeded, "over the bound"}, {c.Failed, "failed"},
		{c.Demonstrated, "hung as expected"}, {c.Skipped, "skipped"},
	} {
		if x.n > 0 {
			s = append(s, fmt.Sprintf("%d %s", x.n, x.what))
		}
	}
	return strings.Join(s, ", ")
}

// mdText keeps s inside its table cell and free of markup.
var mdReplacer = strings.NewReplacer("|", `\|`, "\n", " ", "<", "&lt;", "_", `\_`)

func mdText(s string) string { return strings.TrimSpace(mdReplacer.Replace(s)) }
