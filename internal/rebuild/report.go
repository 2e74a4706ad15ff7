// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package rebuild compares builds of a toolchain, file by file: an unpatched
// build with what upstream published, and two builds of the same input with
// each other. It follows golang.org/x/build/cmd/gorebuild, down to the form
// of its report.
package rebuild

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// A Status is the outcome of a comparison.
type Status string

const (
	PASS Status = "PASS"
	FAIL Status = "FAIL"
	SKIP Status = "SKIP" // not compared; the result is not completely verified
)

// A Report is the outcome of some comparisons.
type Report struct {
	Title  string
	Status Status // the worst of the groups'
	Groups []*Group
}

// A Group compares one build with one other.
type Group struct {
	Name   string
	Status Status // the worst of the items'
	Items  []Item
}

// An Item is one file, or one property of a whole tree.
type Item struct {
	Name   string
	Status Status
	Detail string `json:",omitempty"` // what differs, or why it was skipped
	SHA256 string `json:",omitempty"` // of our file
}

func worse(a, b Status) Status {
	rank := map[Status]int{"": 0, PASS: 1, SKIP: 2, FAIL: 3}
	if rank[b] > rank[a] {
		return b
	}
	return a
}

// Group adds a group of comparisons.
func (r *Report) Group(format string, args ...any) *Group {
	g := &Group{Name: fmt.Sprintf(format, args...)}
	r.Groups = append(r.Groups, g)
	return g
}

// Add adds an item to the group.
func (g *Group) Add(it Item) {
	g.Items = append(g.Items, it)
	g.Status = worse(g.Status, it.Status)
}

// Finish computes the report's status. A group without items, and a report
// without groups, has verified nothing and fails.
func (r *Report) Finish() {
	r.Status = ""
	for _, g := range r.Groups {
		if g.Status == "" {
			g.Add(Item{Name: "(nothing)", Status: FAIL, Detail: "nothing was compared"})
		}
		r.Status = worse(r.Status, g.Status)
	}
	if r.Status == "" {
		r.Status = FAIL
	}
}

// maxListed is the number of passing items of a group that Text lists.
const maxListed = 20

// Text writes the report for people. Items that pass are listed one by one in
// small groups only.
func (r *Report) Text(w io.Writer) {
	fmt.Fprintf(w, "%s: %s\n", r.Status, r.Title)
	for _, g := range r.Groups {
		fmt.Fprintf(w, "%s: %s\n", g.Status, g.Name)
		passed := 0
		for _, it := range g.Items {
			if it.Status == PASS {
				passed++
				if len(g.Items) > maxListed {
					continue
				}
			}
			fmt.Fprintf(w, "  %s  %s", it.Status, it.Name)
			if it.SHA256 != "" {
				fmt.Fprintf(w, "  sha256 %.16s", it.SHA256)
			}
			if it.Detail != "" {
				fmt.Fprintf(w, "  %s", it.Detail)
			}
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "  %d of %d identical\n", passed, len(g.Items))
	}
}

// WriteJSON writes the report to a file.
func (r *Report) WriteJSON(file string) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, '\n'), 0o666)
}
