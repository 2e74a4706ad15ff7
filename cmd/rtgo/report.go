// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"os"
	"strings"

	"rtgo.dev/rtgo/test/rtlatency/report"
)

func init() {
	register("report", "render latency measurements as HTML, Markdown, JUnit, KTAP, …", reportHelp, reportCmd)
}

const reportHelp = `usage: rtgo report [flags] file.json ... -o DIR

Renders latency measurements: what rtlatency --result and the campaign write,
report.json of an earlier report, and what cyclictest --json writes. Files of
one boot are laid over each other: stock Go, rtgo and C of one scenario under
one load stand in one plot and one table, with ratios to C. Void measurements
are shown as void and compared with nothing.

Into DIR go
  index.html    one self-contained page
  report.md     one table
  report.json   the measurements, cases and ratios
  junit.xml     for CI; a void measurement is skipped, one over its bound fails
  report.ktap   the same in the format of the kernel's test runners
  metrics.txt   OpenMetrics text for monitoring
  bench.txt     Go benchmark lines for benchstat

Exit status: 0 rendered, whatever it says; 1 an error; 2 wrong usage.

Examples:
  rtgo report out/campaign/result.json -o out/report
  rtgo report stock.json rtgo.json c.json -o out/report -title 'Control loop, 1 kHz'
  rtgo report -print markdown result.json
  cyclictest -m -p80 -h400 -D1m -q --json=ct.json; rtgo report ct.json -o out/ct
  benchstat -col toolchain out/report/bench.txt
`

func reportCmd(args []string) int {
	const name = "report"
	fs := newFlags(name)
	var (
		dir     = fs.String("o", "", "write the files to `directory`")
		title   = fs.String("title", "", "`text` at the top (default: the title in the measurements)")
		formats = fs.String("format", "", "comma-separated `list` of html, markdown, json, junit, ktap, openmetrics, bench (default all)")
		print   = fs.String("print", "", "write one `format` to standard output instead")
	)
	files, code, ok := parse(fs, args, 1<<20)
	if !ok {
		return code
	}
	switch {
	case len(files) == 0:
		return usageError(name, "no file of measurements given")
	case (*dir == "") == (*print == ""):
		return usageError(name, "give either -o DIR or -print FORMAT")
	}
	chosen := report.Formats
	if list := *formats + *print; list != "" {
		chosen = nil
		for _, s := range strings.Split(list, ",") {
			f, err := report.LookupFormat(s)
			if err != nil {
				return usageError(name, "%v", err)
			}
			chosen = append(chosen, f)
		}
	}
	run, err := report.Load(files)
	if err != nil {
		return fail(name, err)
	}
	r, err := report.New(run, *title)
	if err != nil {
		return fail(name, err)
	}
	if *print != "" {
		if err := chosen[0].Write(r, os.Stdout); err != nil {
			return fail(name, err)
		}
		return 0
	}
	written, err := r.WriteDir(*dir, chosen)
	if err != nil {
		return fail(name, err)
	}
	fmt.Println(r.Counts)
	for _, f := range written {
		fmt.Println(f)
	}
	return 0
}
