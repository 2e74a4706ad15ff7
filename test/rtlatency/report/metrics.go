// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

// bucketBounds are the upper ends of the exported buckets, in microseconds.
var bucketBounds = []int64{1, 2, 5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 10_000_000}

// WriteOpenMetrics writes the figures as OpenMetrics 1.0 text, latencies in
// seconds. A void measurement exports that it is void and nothing else.
//
// Buckets count releases; a sample whose class straddles a bound counts as
// above it. There is no _sum, as the mean of releases is not measured, and so
// no _count, which must not stand without it.
func (r *Report) WriteOpenMetrics(w io.Writer) error {
	var b bytes.Buffer
	family := func(name, typ, unit, help string) {
		fmt.Fprintf(&b, "# TYPE %s %s\n", name, typ)
		if unit != "" {
			fmt.Fprintf(&b, "# UNIT %s %s\n", name, unit)
		}
		fmt.Fprintf(&b, "# HELP %s %s\n", name, omText(help))
	}
	family("rtlatency_environment", "info", "", "Machine on which was measured.")
	for i := range r.Run.Environments {
		e := &r.Run.Environments[i]
		fmt.Fprintf(&b, "rtlatency_environment_info{%s} 1\n", labels(
			"env", e.ID, "arch", e.Arch, "kernel", e.Kernel, "realtime", strconv.FormatBool(e.Realtime), "simulated", strconv.FormatBool(e.Simulated)))
	}
	// One metric for each row of each panel; a metric family must not be
	// interrupted by another.
	type metric struct {
		labels string
		row    *Row
	}
	var all, figs []metric
	seen := make(map[string]int)
	for _, c := range r.Cases {
		for _, p := range c.Panels {
			for _, row := range p.Rows {
				kv := []string{"env", c.Env, "scenario", row.m.Scenario, "load", row.m.LoadName(), "program", row.Kind}
				if c.PeriodNS > 0 {
					kv = append(kv, "period", time.Duration(c.PeriodNS).String())
				}
				if c.Tasks > 1 && len(c.Panels) == 1 {
					kv = append(kv, "tasks", strconv.Itoa(c.Tasks))
				}
				if p.Name != "" {
					kv = append(kv, "quantity", p.Name)
				}
				l := labels(kv...)
				if seen[l]++; seen[l] > 1 {
					l += fmt.Sprintf(",repeat=\"%d\"", seen[l])
				}
				all = append(all, metric{l, row})
				if row.Max != nil {
					figs = append(figs, metric{l, row})
				}
			}
		}
	}
	family("rtlatency_valid", "gauge", "", "1 if the measurement ran and its control held, 0 if not.")
	for _, m := range all {
		v := 0
		if m.row.Max != nil && m.row.Outcome != result.Failed {
			v = 1
		}
		fmt.Fprintf(&b, "rtlatency_valid{%s} %d\n", m.labels, v)
	}
	family("rtlatency_max_seconds", "gauge", "seconds", "Largest lateness.")
	for _, m := range figs {
		fmt.Fprintf(&b, "rtlatency_max_seconds{%s} %s\n", m.labels, omSeconds(m.row.Max.NS))
	}
	family("rtlatency_quantile_seconds", "gauge", "seconds", "Lateness that the fraction of releases does not exceed.")
	for _, m := range figs {
		for i, q := range []string{"0.5", "0.99", "0.999", "0.9999"} {
			if f := m.row.Figures()[i]; f != nil && !f.Few && !f.Over {
				fmt.Fprintf(&b, "rtlatency_quantile_seconds{%s,quantile=%q} %s\n", m.labels, q, omSeconds(f.NS))
			}
		}
	}
	family("rtlatency_samples", "gauge", "", "Wake-ups measured.")
	for _, m := range figs {
		fmt.Fprintf(&b, "rtlatency_samples{%s} %d\n", m.labels, m.row.Samples)
	}
	family("rtlatency_missed", "gauge", "", "Releases that passed while the task was late.")
	for _, m := range figs {
		fmt.Fprintf(&b, "rtlatency_missed{%s} %d\n", m.labels, m.row.Missed)
	}
	family("rtlatency_latency_seconds", "histogram", "seconds", "Lateness of releases.")
	for _, m := range figs {
		s := m.row.stats
		if len(s.Log) == 0 {
			continue
		}
		n := cumulative(s.Log)
		for i, le := range bucketBounds {
			fmt.Fprintf(&b, "rtlatency_latency_seconds_bucket{%s,le=%q} %d\n", m.labels, omFloat(float64(le)/1e6), n[i])
		}
		fmt.Fprintf(&b, "rtlatency_latency_seconds_bucket{%s,le=\"+Inf\"} %d\n", m.labels, s.Cycles+s.Missed)
	}
	b.WriteString("# EOF\n")
	_, err := w.Write(b.Bytes())
	return err
}

// cumulative returns the number of samples at or below each bound.
func cumulative(log []result.Bucket) []uint64 {
	n := make([]uint64, len(bucketBounds))
	for _, x := range log {
		i, _ := slices.BinarySearch(bucketBounds, (x.To-1+999)/1000)
		if i < len(n) {
			n[i] += x.N
		}
	}
	for i := 1; i < len(n); i++ {
		n[i] += n[i-1]
	}
	return n
}

func labels(kv ...string) string {
	var s []string
	for i := 0; i < len(kv); i += 2 {
		s = append(s, kv[i]+`="`+omText(kv[i+1])+`"`)
	}
	return strings.Join(s, ",")
}

var omReplacer = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

func omText(s string) string { return omReplacer.Replace(s) }

func omSeconds(ns int64) string { return omFloat(float64(ns) / 1e9) }

// omFloat writes canonical floats: 1.0, not 1.
func omFloat(x float64) string {
	s := strconv.FormatFloat(x, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

// WriteBench writes the figures in Go's benchmark format: one line for each
// program in each case, so that
//
//	benchstat -col toolchain bench.txt
//	benchstat old/bench.txt new/bench.txt
//
// compare toolchains, or two runs. Void measurements are left out.
func (r *Report) WriteBench(w io.Writer) error {
	var b bytes.Buffer
	for _, u := range []string{"p50-ns", "p99-ns", "p99.9-ns", "p99.99-ns", "max-ns"} {
		fmt.Fprintf(&b, "Unit %s better=lower\n", u)
	}
	config := make(map[string]string)
	set := func(key, value string) {
		if config[key] != value {
			config[key] = value
			fmt.Fprintf(&b, "%s: %s\n", key, one(value, ""))
		}
	}
	for _, c := range r.Cases {
		for _, p := range c.Panels {
			for _, row := range p.Rows {
				if row.Max == nil || row.Void() || row.Outcome != result.OK && row.Outcome != result.Threshold {
					continue
				}
				set("goos", "linux")
				set("goarch", c.env.Arch)
				set("env", c.Env)
				set("kernel", c.env.Kernel)
				set("time", map[bool]string{true: "simulated", false: "real"}[c.env.Simulated])
				set("toolchain", row.Kind)
				fmt.Fprintf(&b, "Benchmark%s %d", benchName(c, p, row), row.Samples)
				for i, u := range []string{"p50-ns", "p99-ns", "p99.9-ns", "p99.99-ns", "max-ns"} {
					if f := row.Figures()[i]; f != nil && !f.Few && !f.Over {
						fmt.Fprintf(&b, " %d %s", f.NS, u)
					}
				}
				b.WriteByte('\n')
			}
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// benchName names a row as a benchmark: upper case first, no spaces, no
// trailing number that would read as GOMAXPROCS.
func benchName(c *Case, p *Panel, row *Row) string {
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r == ' ' || r == '-' || r < ' ' {
				return '_'
			}
			return r
		}, s)
	}
	name := clean(row.m.Scenario)
	name = strings.ToUpper(name[:1]) + name[1:] + "/load=" + clean(row.m.LoadName())
	if c.PeriodNS > 0 {
		name += "/period=" + time.Duration(c.PeriodNS).String()
	}
	if c.Tasks > 1 && len(c.Panels) == 1 {
		name += fmt.Sprintf("/tasks=%d", c.Tasks)
	}
	if p.Name != "" {
		name += "/of=" + clean(p.Name)
	}
	return name
}
