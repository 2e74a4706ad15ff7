// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package linkcheck

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// recordHeader begins a record file.
const recordHeader = `# What these packages bind with go:linkname, written by 'rtgo linkname -record'.
# package, form, symbol: declaration here => declaration there, status
`

// Record returns the lines that describe the bindings of some reports, one
// report for each GOARCH. A line that not all of them have names the GOARCH.
// Positions and Go versions are left out, so that a line changes when a
// binding does.
func Record(reports ...*Report) []string {
	in := map[string][]string{}
	for _, r := range reports {
		for _, b := range r.Bindings {
			line := fmt.Sprintf("%s %s %s: %s", b.Package, b.Form, b.Symbol, b.LocalType)
			if b.Target != "" {
				line += " => " + b.Target
				if b.TargetType != "" {
					line += " " + b.TargetType
				}
			}
			line += ", " + string(b.Status)
			if !slices.Contains(in[line], r.GOARCH) {
				in[line] = append(in[line], r.GOARCH)
			}
		}
	}
	var lines []string
	for _, line := range slices.Sorted(maps.Keys(in)) {
		if len(in[line]) < len(reports) {
			line += " [" + strings.Join(in[line], " ") + "]"
		}
		lines = append(lines, line)
	}
	return lines
}

// WriteRecord writes a record file, and its directory if need be.
func WriteRecord(file string, lines []string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(recordHeader+strings.Join(lines, "\n")+"\n"), 0o666)
}

// CompareRecord returns how lines differ from a record file: lines that are
// gone begin with "-", new ones with "+".
func CompareRecord(file string, lines []string) (diff []string, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%v; make it with -record", err)
	}
	var old []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			old = append(old, line)
		}
	}
	for _, line := range old {
		if !slices.Contains(lines, line) {
			diff = append(diff, "-"+line)
		}
	}
	for _, line := range lines {
		if !slices.Contains(old, line) {
			diff = append(diff, "+"+line)
		}
	}
	// Both sides of a change next to each other, the old one first.
	key := func(s string) string { k, _, _ := strings.Cut(s[1:], ": "); return k }
	slices.SortStableFunc(diff, func(a, b string) int { return strings.Compare(key(a), key(b)) })
	return diff, nil
}
