// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package doctor

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// WriteText writes r for people. Checks that are all right take one line
// each, and none if quiet is set.
func (r *Report) WriteText(w io.Writer, quiet bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "kernel %s, SCHED_FIFO %d, real-time CPUs %s\n\n", r.Kernel, r.Priority, r.CPUs)
	for _, x := range r.Results {
		if x.Level == OK && quiet {
			continue
		}
		fmt.Fprintf(&b, "%-8s %s: %s\n", marks[x.Level], x.Title, x.Found)
		if x.Level == OK || x.Level == Unknown {
			continue
		}
		if x.Why != "" {
			fmt.Fprintf(&b, "         why: %s\n", x.Why)
		}
		for i, f := range x.Fix {
			label := "fix:"
			if i > 0 {
				label = "    "
			}
			fmt.Fprintf(&b, "         %s %s\n", label, f)
		}
		if x.Where != "" {
			fmt.Fprintf(&b, "         see: %s\n", x.Where)
		}
	}
	fmt.Fprintf(&b, "\n%s\n", r.Summary())
	_, err := io.WriteString(w, b.String())
	return err
}

var marks = map[string]string{OK: "ok", Note: "note", Problem: "FINDING", Unknown: "unknown"}

// Summary is one line.
func (r *Report) Summary() string {
	s := fmt.Sprintf("%d checks: ", len(r.Results))
	if r.Findings == 0 {
		s += "no findings"
	} else {
		s += plural(r.Findings, "finding")
	}
	if r.Notes > 0 {
		s += ", " + plural(r.Notes, "note")
	}
	if r.Unknown > 0 {
		s += fmt.Sprintf(", %d could not be checked", r.Unknown)
	}
	return s
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// WriteJSON writes r for programs.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}
