// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package options

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	def := Options{Distance: 500, Policy: "other", Scenario: "periodic/abs", Watchdog: 10 * time.Second}
	for _, c := range []struct {
		args string
		f    func(o *Options)
	}{
		{"", func(o *Options) {}},
		{"-p80 -i1000 -l10000 -q", func(o *Options) { o.Priority, o.Interval, o.Loops, o.Quiet, o.Policy = 80, 1000, 10000, true, "fifo" }},
		{"-p 80 -i 1000 -l 10000 -q", func(o *Options) { o.Priority, o.Interval, o.Loops, o.Quiet, o.Policy = 80, 1000, 10000, true, "fifo" }},
		{"--priority=80 --interval=1000 --quiet", func(o *Options) { o.Priority, o.Interval, o.Quiet, o.Policy = 80, 1000, true, "fifo" }},
		{"--priority 80", func(o *Options) { o.Priority, o.Policy = 80, "fifo" }},
		{"-mqp80", func(o *Options) { o.Mlock, o.Quiet, o.Priority, o.Policy = true, true, 80, "fifo" }},
		{"-t", func(o *Options) { o.Threads = -1 }},
		{"-t -q", func(o *Options) { o.Threads, o.Quiet = -1, true }},
		{"-t5", func(o *Options) { o.Threads = 5 }},
		{"-t 5 -a 3-5,0", func(o *Options) { o.Threads, o.Affinity = 5, []int{3, 4, 5, 0} }},
		{"-a", func(o *Options) { o.AffinityAll = true }},
		{"-p80 --split 1", func(o *Options) { o.Priority, o.Policy, o.Split, o.Affinity = 80, "fifo", []int{1}, []int{1} }},
		{"-S -p95", func(o *Options) {
			o.SMP, o.AffinityAll, o.Threads, o.Priority, o.Policy, o.Distance = true, true, -1, 95, "fifo", 0
		}},
		{"-D 12h -h60 -i200 -b 40", func(o *Options) {
			o.Duration, o.Histogram, o.Interval, o.Break, o.Distance = 12*time.Hour, 60, 200, 40, 0
		}},
		{"-D90", func(o *Options) { o.Duration = 90 * time.Second }},
		{"-D 1d", func(o *Options) { o.Duration = 24 * time.Hour }},
		{"-D 250ms", func(o *Options) { o.Duration = 250 * time.Millisecond }},
		{"-H100", func(o *Options) { o.Histogram, o.HistAll, o.Distance = 100, true, 0 }},
		{"--policy=rr -t4", func(o *Options) { o.Policy, o.Threads, o.Priority = "rr", 4, 5 }},
		{"--policy=OTHER", func(o *Options) {}},
		{"-h", func(o *Options) { o.Help = true }},
		{"-h 100 -q", func(o *Options) { o.Histogram, o.Quiet, o.Distance = 100, true, 0 }},
		{"--default-system", func(o *Options) { o.Latency = -1 }},
		{"--load alloc,cpu:3 --scenario=handover/chan --result x.json", func(o *Options) {
			o.Load, o.Scenario, o.Result = "alloc,cpu:3", "handover/chan", "x.json"
		}},
	} {
		want := def
		c.f(&want)
		got, err := Parse(strings.Fields(c.args))
		if err != nil {
			t.Errorf("%q: %v", c.args, err)
		} else if !reflect.DeepEqual(*got, want) {
			t.Errorf("%q:\n got %+v\nwant %+v", c.args, *got, want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for args, want := range map[string]string{
		"--bogus":             "no flag --bogus; rtlatency --help",
		"-Z":                  "no flag -Z",
		"-p":                  "-p needs a value",
		"-q -h":               "-h needs a value; rtlatency --help",
		"-p100":               `"100" is not a number from 0 to 99`,
		"-i 0":                "-i: \"0\" is not a number of at least 1",
		"-q=1":                "no flag -=",
		"--quiet=1":           "--quiet takes no value",
		"-D soon":             "not a time such as",
		"-a 5-3":              "not a set of CPUs",
		"-a --split 1":        "drop -a",
		"-x":                  "--scenario=periodic/timer",
		"--relative":          "always absolute",
		"file":                "unexpected argument",
		"-p 5 --policy=other": "needs --policy fifo or rr",
		"--policy deadline":   "is not fifo, rr or other",
		"-S --priospread":     "drop --priospread",
		"--histfile x":        "needs -h",
		"--tracemark":         "needs -b",
	} {
		if _, err := Parse(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

// Every flag that is read is explained, and the other way round.
func TestUsageNamesEveryFlag(t *testing.T) {
	u := Usage(nil)
	for _, p := range table {
		if p.long == "unbuffered" {
			continue // accepted for cyclictest's sake
		}
		if !strings.Contains(u, "--"+p.long) {
			t.Errorf("--%s is not in the help", p.long)
		}
		if p.short != 0 && !strings.Contains(u, "\n  -"+string(p.short)+" ") {
			t.Errorf("-%c is not in the help", p.short)
		}
	}
}
