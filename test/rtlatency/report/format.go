// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

// us formats nanoseconds as microseconds with no more digits than matter.
func us(ns int64, whole bool) string {
	x := float64(ns) / 1000
	switch {
	case whole || math.Abs(x) >= 99.95:
		if whole {
			x = math.Floor(x)
		}
		return thousands(int64(math.Round(x)))
	case math.Abs(x) >= 9.995:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case ns == 0:
		return "0"
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// thousands formats n with commas.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// String formats f in microseconds, "–" if it is nil.
func (f *Figure) String() string {
	if f == nil {
		return "–"
	}
	if f.Over {
		return "> " + us(f.NS, true)
	}
	return us(f.NS, f.whole)
}

// RatioText formats the ratio of f, "" if there is none.
func (f *Figure) RatioText() string {
	if f == nil || f.Ratio == nil {
		return ""
	}
	s := f.Bound
	switch q := *f.Ratio; {
	case q >= 9.95:
		s += thousands(int64(math.Round(q)))
	default:
		s += strconv.FormatFloat(q, 'f', 2, 64)
	}
	return s + "×"
}

// span formats a duration for people.
func span(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d <= 0:
		return "–"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}

// period formats the time between releases.
func period(ns int64) string {
	if ns <= 0 {
		return ""
	}
	s := time.Duration(ns).String()
	i := strings.IndexFunc(s, func(r rune) bool { return (r < '0' || r > '9') && r != '.' })
	return s[:i] + " " + s[i:]
}

// Conditions tells what distinguishes the case from others of its scenario.
func (c *Case) Conditions() string {
	var s []string
	if c.Load != "" {
		s = append(s, "load "+c.Load)
	}
	if c.PeriodNS > 0 {
		s = append(s, "every "+period(c.PeriodNS))
	}
	if c.Tasks > 1 && len(c.Panels) == 1 {
		s = append(s, fmt.Sprintf("%d tasks", c.Tasks))
	}
	return strings.Join(s, ", ")
}

// A Fact is one line about an environment.
type Fact struct{ Name, Value string }

// Facts describes an environment in rteval's order: the node and its
// firmware, processors, memory, kernel, clock, then what is special.
func Facts(e *result.Environment) []Fact {
	var f []Fact
	add := func(name, value string) {
		if value != "" {
			f = append(f, Fact{name, value})
		}
	}
	n := func(x int) string {
		if x == 0 {
			return ""
		}
		return strconv.Itoa(x)
	}
	machine := e.Machine
	if e.Simulated {
		machine += " (simulated time)"
	}
	add("Machine", strings.TrimSpace(machine))
	add("Node", e.Node)
	add("BIOS", e.BIOS)
	add("Architecture", e.Arch)
	add("CPU", e.CPUModel)
	add("CPU cores online", n(e.CPUsOnline))
	add("NUMA nodes", n(e.NUMANodes))
	if e.MemoryBytes > 0 {
		add("Memory", fmt.Sprintf("%.1f GiB", float64(e.MemoryBytes)/(1<<30)))
	}
	kernel := e.Kernel
	if e.Realtime {
		kernel += " (RT enabled)"
	} else {
		kernel += " (not PREEMPT_RT)"
	}
	add("Kernel", kernel)
	add("Kernel build", e.KernelVersion)
	add("Clocksource", e.Clocksource)
	add("Kernel command line", e.Cmdline)
	switch {
	case e.RTRuntimeUS < 0:
		add("RT throttling", "off")
	case e.RTRuntimeUS > 0:
		add("RT throttling", fmt.Sprintf("after %s µs (sched_rt_runtime_us)", thousands(e.RTRuntimeUS)))
	}
	add("CPU governor", e.Governor)
	add("Isolated CPUs", e.Isolated)
	add("Virtualization", e.Virtualization)
	add("Emulator", strings.TrimSpace(e.Emulator+" "+e.EmuArgs))
	for _, t := range e.Toolchains {
		v := t.Version
		if t.PatchSet != "" {
			v += " (patch set " + t.PatchSet + ")"
		}
		add(toolchainLabel(t.Name), v)
	}
	add("Boot", e.Boot)
	for _, r := range e.Repeatability {
		verdict := "within"
		if !r.OK {
			verdict = "NOT within"
		}
		add("Repeatability", fmt.Sprintf("%s, %s, load %s, twice: p50 differs by %.1f %%, p99 by %.1f %%, max by %.1f %%: %s the tolerance of %.0f %%",
			toolchainLabel(r.Toolchain), r.Scenario, r.Load, 100*r.P50, 100*r.P99, 100*r.Max, verdict, 100*r.Tolerance))
	}
	return f
}

func toolchainLabel(name string) string {
	if l, ok := kindLabels[name]; ok {
		return l
	}
	return name
}
