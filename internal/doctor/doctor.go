// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package doctor checks what a machine and a process must have right for
// real-time goroutines to be on time, and says why it matters and how to put
// it right.
//
// Checks read /proc and /sys below a root that can be another directory, so
// that a recorded machine is diagnosed like the one at hand. What cannot be
// read is reported as unknown, never as wrong.
package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Levels of a result.
const (
	OK      = "ok"
	Note    = "note"    // may well be intended; costs latency in some uses
	Problem = "finding" // costs latency, or keeps real time from working
	Unknown = "unknown" // could not be read
)

// A Result is the outcome of one check.
type Result struct {
	ID    string   `json:"id"`
	Title string   `json:"title"`
	Level string   `json:"level"`
	Found string   `json:"found"`
	Why   string   `json:"why,omitempty"`
	Fix   []string `json:"fix,omitempty"`    // commands; # starts a remark
	Where string   `json:"source,omitempty"` // where the fact is written
}

// A Report has the results of all checks.
type Report struct {
	Schema   string   `json:"schema"` // "rtgo-doctor/1"
	Kernel   string   `json:"kernel,omitempty"`
	Priority int      `json:"priority"`
	CPUs     string   `json:"cpus"` // taken as the real-time CPUs
	Findings int      `json:"findings"`
	Notes    int      `json:"notes"`
	Unknown  int      `json:"unknown"`
	Results  []Result `json:"results"`
}

// Options says what the machine is to be fit for.
type Options struct {
	// Priority is the SCHED_FIFO priority wanted, 1 to 99; 0 means 80.
	Priority int
	// CPUs are those on which real-time goroutines are to run; nil means the
	// isolated ones, or if there are none all that the process may use.
	CPUs []int
}

// machine is what several checks need to know.
type machine struct {
	*System
	prio      int
	named     bool  // the real-time CPUs were named
	cpus      []int // real-time CPUs
	online    []int
	allowed   []int // of this process
	isolated  []int
	cmdline   []string
	release   string
	major     int
	minor     int
	caps      uint64
	capsKnown bool
	initUser  bool // in the initial user namespace
	container bool
	cgroups   cgroups
}

// checks are run in this order.
var checks = []func(*machine) Result{
	preemptRT, setPolicy, rtprio, groupScheduling, memlock, rttime, throttling,
	isolation, nohzFull, irqAffinity, allowedCPUs, cpuQuota, memoryHigh,
	governor, idleStates, smt, numa,
	clocksource, timers, kstackOffset, watchdogs, vmstat,
	hugePages, swap, virtualization, priority,
}

// Run examines s.
func Run(s *System, o Options) (*Report, error) {
	m, err := newMachine(s, o)
	if err != nil {
		return nil, err
	}
	r := &Report{Schema: "rtgo-doctor/1", Kernel: m.release, Priority: m.prio, CPUs: formatCPUs(m.cpus)}
	for _, check := range checks {
		x := check(m)
		switch x.Level {
		case Problem:
			r.Findings++
		case Note:
			r.Notes++
		case Unknown:
			r.Unknown++
		}
		r.Results = append(r.Results, x)
	}
	return r, nil
}

func newMachine(s *System, o Options) (*machine, error) {
	m := &machine{System: s, prio: cmp.Or(o.Priority, 80), named: o.CPUs != nil}
	if m.prio < 1 || m.prio > 99 {
		return nil, fmt.Errorf("priority %d is not from 1 to 99", m.prio)
	}
	status, err := s.read("/proc/self/status")
	if err != nil {
		return nil, fmt.Errorf("%w (is %s the root of a Linux machine, or a recording of one?)", err, s.Root)
	}
	if v := field(status, "CapEff"); v != "" {
		_, err := fmt.Sscanf(v, "%x", &m.caps)
		m.capsKnown = err == nil
	}
	uidMap, err := s.read("/proc/self/uid_map")
	m.initUser = err != nil || slices.Equal(strings.Fields(uidMap), []string{"0", "0", "4294967295"})
	m.release = s.text("/proc/sys/kernel/osrelease")
	fmt.Sscanf(m.release, "%d.%d", &m.major, &m.minor)
	m.cmdline = strings.Fields(s.text("/proc/cmdline"))
	m.online, _ = parseCPUs(s.text("/sys/devices/system/cpu/online"))
	m.allowed, _ = parseCPUs(field(status, "Cpus_allowed_list"))
	m.cgroups = readCgroups(s)
	m.isolated, _ = parseCPUs(s.text("/sys/devices/system/cpu/isolated"))
	if m.cgroups.v2root != "" {
		// Partitions of cpuset, since Linux 6.7.
		more, _ := parseCPUs(s.text(m.cgroups.v2root + "/cpuset.cpus.isolated"))
		m.isolated = union(m.isolated, more)
	}
	m.container = s.exists("/.dockerenv") || s.exists("/run/.containerenv") ||
		strings.Contains(m.cgroups.text, "docker") || strings.Contains(m.cgroups.text, "kubepods") || strings.Contains(m.cgroups.text, "libpod")
	switch {
	case m.named:
		m.cpus = o.CPUs
	case len(m.isolated) > 0:
		m.cpus = m.isolated
	case len(m.allowed) > 0:
		m.cpus = intersect(m.allowed, m.online)
	default:
		m.cpus = m.online
	}
	return m, nil
}

// newer reports whether the kernel is at least major.minor.
func (m *machine) newer(major, minor int) bool {
	return m.major > major || m.major == major && m.minor >= minor
}

// param returns the value of a kernel parameter and whether it is set.
func (m *machine) param(name string) (string, bool) {
	for _, p := range slices.Backward(m.cmdline) {
		if p == name {
			return "", true
		}
		if v, ok := strings.CutPrefix(p, name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// split reports whether some CPUs are kept for real time and others are not.
func (m *machine) split() bool { return len(m.cpus) > 0 && len(m.cpus) < len(m.online) }

// Capabilities, capability.h.
const (
	capIPCLock = 14
	capSysNice = 23
)

func (m *machine) has(capability uint) bool {
	return m.capsKnown && m.initUser && m.caps>>capability&1 == 1
}
