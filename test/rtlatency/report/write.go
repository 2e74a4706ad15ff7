// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package report

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Format is one form in which a report is written.
type Format struct {
	Name  string // as flags know it
	File  string // its file in the report's directory
	Write func(*Report, io.Writer) error
}

// Formats are all forms of a report.
var Formats = []Format{
	{"html", "index.html", (*Report).WriteHTML},
	{"markdown", "report.md", (*Report).WriteMarkdown},
	{"json", "report.json", (*Report).WriteJSON},
	{"junit", "junit.xml", (*Report).WriteJUnit},
	{"ktap", "report.ktap", (*Report).WriteKTAP},
	{"openmetrics", "metrics.txt", (*Report).WriteOpenMetrics},
	{"bench", "bench.txt", (*Report).WriteBench},
}

// LookupFormat finds a format by name.
func LookupFormat(name string) (Format, error) {
	i := slices.IndexFunc(Formats, func(f Format) bool { return f.Name == name })
	if i < 0 {
		var names []string
		for _, f := range Formats {
			names = append(names, f.Name)
		}
		return Format{}, fmt.Errorf("no format %q; there are %s", name, strings.Join(names, ", "))
	}
	return Formats[i], nil
}

// WriteDir writes the formats into dir, which is created if need be, and
// returns the names of the files. All are rendered before any is written.
func (r *Report) WriteDir(dir string, formats []Format) ([]string, error) {
	contents := make([]bytes.Buffer, len(formats))
	for i, f := range formats {
		if err := f.Write(r, &contents[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	var names []string
	for i, f := range formats {
		name := filepath.Join(dir, f.File)
		if err := os.WriteFile(name, contents[i].Bytes(), 0o644); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}
