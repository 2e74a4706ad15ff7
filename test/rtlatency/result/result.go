// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package result is the file format in which latency measurements are kept:
// what rtlatency and its C twins write, what a campaign merges, and what the
// reports render.
//
// A [Run] is a list of [Measurement]s and the [Environment]s (machines) in
// which they were taken. All times are nanoseconds unless a name says
// otherwise. Nothing in a file is estimated: a value that was not measured is
// absent.
package result

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Version is the version of the format, the "version" key of a file.
const Version = 1

// A Run is one file: one campaign, or one call of rtlatency.
type Run struct {
	Version      int           `json:"version"`
	Title        string        `json:"title,omitempty"`
	Start        time.Time     `json:"start"`
	End          time.Time     `json:"end"`
	Command      []string      `json:"command,omitempty"`
	Environments []Environment `json:"environments"`
	Measurements []Measurement `json:"measurements"`
	// Aborts tells what ended early or was not run, one line each.
	Aborts []string `json:"aborts,omitempty"`
}

// An Environment is one machine in one boot, described in rteval's order.
type Environment struct {
	ID        string `json:"id"`                // "host", "lab-amd64", "lab-arm64", …
	Machine   string `json:"machine,omitempty"` // "host" or "lab"
	Simulated bool   `json:"simulated"`         // time is QEMU's instruction count
	Emulator  string `json:"emulator,omitempty"`
	EmuArgs   string `json:"emulator_args,omitempty"`

	Node           string      `json:"node,omitempty"`
	BIOS           string      `json:"bios,omitempty"` // vendor, version, product
	Arch           string      `json:"arch"`           // GOARCH
	CPUModel       string      `json:"cpu_model,omitempty"`
	CPUsOnline     int         `json:"cpus_online"`
	NUMANodes      int         `json:"numa_nodes,omitempty"`
	MemoryBytes    int64       `json:"memory_bytes,omitempty"`
	Kernel         string      `json:"kernel"`                   // release
	KernelVersion  string      `json:"kernel_version,omitempty"` // uname -v
	Realtime       bool        `json:"realtime"`                 // /sys/kernel/realtime is 1
	Clocksource    string      `json:"clocksource,omitempty"`
	Cmdline        string      `json:"cmdline,omitempty"`
	RTRuntimeUS    int64       `json:"sched_rt_runtime_us"` // -1: throttling off
	Governor       string      `json:"governor,omitempty"`
	Isolated       string      `json:"isolated,omitempty"` // /sys/devices/system/cpu/isolated
	Virtualization string      `json:"virtualization,omitempty"`
	Toolchains     []Toolchain `json:"toolchains,omitempty"`
	Boot           string      `json:"boot,omitempty"` // same value = same boot
	// Repeatability tells what running the same twice gave here.
	Repeatability []Repeatability `json:"repeatability,omitempty"`
}

// Names of toolchains, Measurement.Toolchain.
const (
	Stock = "stock" // upstream Go
	RTGo  = "rtgo"
	C     = "c"
)

// A Toolchain tells what built the programs of one name.
type Toolchain struct {
	Name     string `json:"name"`    // Stock, RTGo or C
	Version  string `json:"version"` // as `go version` or the compiler prints it
	PatchSet string `json:"patch_set,omitempty"`
}

// Repeatability compares two runs of the same scenario in one boot. Its
// differences are relative; those of a microsecond or less count as none.
type Repeatability struct {
	Toolchain string  `json:"toolchain"`
	Scenario  string  `json:"scenario"`
	Load      string  `json:"load"`
	Tolerance float64 `json:"tolerance"` // allowed
	P50       float64 `json:"p50"`       // found
	P99       float64 `json:"p99"`
	Max       float64 `json:"max"`
	OK        bool    `json:"ok"`
}

// Repeat compares the statistics of two runs.
func Repeat(a, b *Stats, tolerance float64) Repeatability {
	rel := func(x, y int64) float64 {
		if d := x - y; d >= -1000 && d <= 1000 {
			return 0
		}
		return math.Abs(float64(x-y)) / float64(max(x, y))
	}
	r := Repeatability{Tolerance: tolerance, P50: rel(a.P50NS, b.P50NS), P99: rel(a.P99NS, b.P99NS), Max: rel(a.MaxNS, b.MaxNS)}
	r.OK = a.Cycles > 0 && b.Cycles > 0 && max(r.P50, r.P99, r.Max) <= tolerance
	return r
}

// Outcomes of a measurement.
const (
	OK         = "ok"
	Threshold  = "threshold" // a latency exceeded the given bound
	Failed     = "error"     // did not run; see Error
	Hang       = "hang"      // ended by a watchdog
	NotRun     = "skip"
	GuestPanic = "panic"
)

// States of validity.
const (
	Valid        = "valid"        // the control held its bound
	Void         = "void"         // the control exceeded it: never compare
	Uncontrolled = "uncontrolled" // no control was run
)

// A Measurement is one scenario under one load, by one program.
type Measurement struct {
	ID        string   `json:"id"`  // unique within the run
	Env       string   `json:"env"` // Environment.ID
	Scenario  string   `json:"scenario"`
	Group     string   `json:"group"` // periodic, handover, network, timers, problem, cyclictest
	Summary   string   `json:"summary,omitempty"`
	Cause     string   `json:"cause,omitempty"` // problem set: what makes stock Go late here
	Toolchain string   `json:"toolchain"`       // Stock, RTGo or C
	Program   string   `json:"program"`         // rtlatency, ctwin, cyclictest
	Version   string   `json:"program_version,omitempty"`
	Supported bool     `json:"rt_supported"` // rt.Supported()
	Command   []string `json:"command,omitempty"`

	Policy   string    `json:"policy"` // fifo, rr, other
	Priority int       `json:"priority"`
	PeriodNS int64     `json:"period_ns,omitempty"`
	Mlock    bool      `json:"mlockall"`
	MaxProcs int       `json:"gomaxprocs,omitempty"`
	Load     []string  `json:"load"` // nil or ["none"]: none
	LoadInfo []string  `json:"load_info,omitempty"`
	Start    time.Time `json:"start"`
	Duration int64     `json:"duration_ns"`

	Outcome     string `json:"outcome"`
	Error       string `json:"error,omitempty"`
	ThresholdNS int64  `json:"threshold_ns,omitempty"`

	Validity string   `json:"validity"`
	Void     string   `json:"void_reason,omitempty"`
	Control  *Control `json:"control,omitempty"`

	Threads []Thread `json:"threads"`
	// Total is all threads taken together; absent for one thread.
	Total *Stats `json:"total,omitempty"`
	// OutsideSTW has the statistics of the samples in whose waiting time no
	// stop-the-world and no other round of safepoints fell, of what [All]
	// or the first thread counts. Only rtgo's runtime tells.
	OutsideSTW *Stats `json:"outside_stw,omitempty"`

	Runtime *GoRuntime `json:"go_runtime,omitempty"`
}

// Control is the measurement that proves the machine fit to be measured on:
// cyclictest beside the same load in the same boot.
type Control struct {
	Command []string `json:"command"`
	BoundNS int64    `json:"bound_ns"`
	OK      bool     `json:"ok"`
	Reason  string   `json:"reason,omitempty"`
	Threads []Thread `json:"threads"`
}

// A Thread is one measured task.
type Thread struct {
	Index    int    `json:"index"`
	Name     string `json:"name,omitempty"`
	TID      int    `json:"tid,omitempty"`
	Priority int    `json:"priority"`
	PeriodNS int64  `json:"period_ns,omitempty"`
	CPU      int    `json:"cpu"` // -1: not bound
	Stats
	RT *RTStats `json:"rt,omitempty"`
}

// Stats are latency statistics. Cycles, Min, Avg, Max and Linear count the
// wake-ups that happened, as cyclictest does. The quantiles and Log count
// every release: a release that passed while the task was still waiting for
// an earlier one counts with the lateness it had when the task ran, so that
// one long delay weighs as many samples as it cost (no coordinated omission).
type Stats struct {
	Cycles uint64 `json:"cycles"`
	Missed uint64 `json:"missed"` // releases passed while late; each is in Log, none in Linear
	Early  uint64 `json:"early,omitempty"`
	MinNS  int64  `json:"min_ns"`
	AvgNS  int64  `json:"avg_ns"`
	MaxNS  int64  `json:"max_ns"`

	P50NS   int64 `json:"p50_ns"`
	P99NS   int64 `json:"p99_ns"`
	P999NS  int64 `json:"p99.9_ns"`
	P9999NS int64 `json:"p99.99_ns"`

	Linear   Linear   `json:"linear"`
	Log      []Bucket `json:"log,omitempty"`
	WorstAt  int64    `json:"worst_at_ns,omitempty"` // of the maximum, since the start
	WorstCyc uint64   `json:"worst_cycle,omitempty"`
}

// Linear is cyclictest's histogram: one bucket per microsecond from 0 to
// Limit-1, samples above in Overflow. Only filled buckets are kept.
type Linear struct {
	Limit    int            `json:"limit_us"`
	Counts   map[int]uint64 `json:"counts"` // µs to samples
	Overflow uint64         `json:"overflow"`
}

// A Bucket counts the samples in [From, To) nanoseconds. Buckets are sorted
// and at most 1/64 of their lower bound wide.
type Bucket struct {
	From int64  `json:"from"`
	To   int64  `json:"to"`
	N    uint64 `json:"n"`
}

// RTStats are what an rtgo runtime counted itself for a task.
type RTStats struct {
	Dispatches    uint64            `json:"dispatches"`
	Late          uint64            `json:"late"` // over the runtime's threshold
	MaxLatenessNS int64             `json:"max_lateness_ns"`
	Causes        map[string]uint64 `json:"causes,omitempty"` // late dispatches by cause

	// Pauses are the times for which the runtime kept the task, ready to run,
	// from running. MMU is the minimum mutator utilization, 0 to 1.
	Pauses     uint64  `json:"pauses"`
	PauseMaxNS int64   `json:"pause_max_ns"`
	MMU1ms     float64 `json:"mmu_1ms"`
	MMU10ms    float64 `json:"mmu_10ms"`

	// Page faults of the task's thread, since it began.
	MinorFaults uint64 `json:"minor_faults"`
	MajorFaults uint64 `json:"major_faults"`
}

// GoRuntime is what happened in the Go runtime while measuring.
type GoRuntime struct {
	GCs      uint32 `json:"gcs"`
	STWs     uint64 `json:"stws"`       // stops of any kind
	STWMaxNS int64  `json:"stw_max_ns"` // upper bound of the longest stop's bucket

	// Until all had stopped: upper bounds of the buckets of runtime/metrics.
	StoppingP50NS int64 `json:"stopping_p50_ns"`
	StoppingP99NS int64 `json:"stopping_p99_ns"`
	StoppingMaxNS int64 `json:"stopping_max_ns"`

	RTStops     uint64  `json:"rt_stops,omitempty"`  // stops and safepoint rounds that looked for slack (rtgo)
	RTForced    uint64  `json:"rt_forced,omitempty"` // of these, begun without
	HeapBytes   uint64  `json:"heap_bytes"`          // live at the end
	AllocBytes  uint64  `json:"alloc_bytes"`         // allocated while measuring
	Goroutines  int     `json:"goroutines"`          // at the end
	MajorFaults int64   `json:"major_faults"`        // of the process while measuring
	MinorFaults int64   `json:"minor_faults"`        // of the process while measuring
	LoadOps     uint64  `json:"load_ops"`            // work the load did, to see that it ran
	CPUTimeNS   int64   `json:"cpu_time_ns"`         // of the process while measuring
	InvolCtxSw  int64   `json:"invol_ctx_sw"`        // involuntary context switches
	SchedLatNS  int64   `json:"sched_p99_ns"`        // p99 of /sched/latencies while measuring
	GCCPUFrac   float64 `json:"gc_cpu_fraction"`
}

// Comparable reports whether m may be set beside others: it ran, and its
// control did not fail.
func (m *Measurement) Comparable() bool {
	return m.Validity != Void && (m.Outcome == OK || m.Outcome == Threshold) && len(m.Threads) > 0
}

// All returns the statistics of all tasks together, nil if there are none.
// Threads without a Total are other quantities, such as the round trip of the
// client beside the server's wake-up; the first is the one of the scenario.
func (m *Measurement) All() *Stats {
	switch {
	case m.Total != nil:
		return m.Total
	case len(m.Threads) == 0:
		return nil
	}
	return &m.Threads[0].Stats
}

// LoadName returns the loads joined by "+", "none" if there is none.
func (m *Measurement) LoadName() string {
	if len(m.Load) == 0 {
		return "none"
	}
	return strings.Join(m.Load, "+")
}

// Judge applies control c to m: void when the control's worst latency
// exceeds its bound or when it has no sample.
func (m *Measurement) Judge(c *Control) {
	m.Control = c
	var cycles uint64
	var max int64
	for _, t := range c.Threads {
		cycles += t.Cycles
		if t.MaxNS > max {
			max = t.MaxNS
		}
	}
	switch {
	case cycles == 0:
		c.OK, c.Reason = false, "the control took no sample"
	case max > c.BoundNS:
		c.OK = false
		c.Reason = fmt.Sprintf("control max %d µs exceeds its bound of %d µs", max/1000, c.BoundNS/1000)
	default:
		c.OK, c.Reason = true, ""
	}
	m.Validity, m.Void = Valid, ""
	if !c.OK {
		m.Validity, m.Void = Void, c.Reason
	}
}

// Env returns the environment of m.
func (r *Run) Env(m *Measurement) *Environment {
	for i := range r.Environments {
		if r.Environments[i].ID == m.Env {
			return &r.Environments[i]
		}
	}
	return nil
}

// Check tells what is inconsistent in r, nil if nothing is.
func (r *Run) Check() error {
	if r.Version != Version {
		return fmt.Errorf("result: version %d, this program reads version %d", r.Version, Version)
	}
	ids := make(map[string]bool)
	for i := range r.Measurements {
		m := &r.Measurements[i]
		if m.ID == "" || ids[m.ID] {
			return fmt.Errorf("result: measurement %d: id %q is empty or used twice", i, m.ID)
		}
		ids[m.ID] = true
		if r.Env(m) == nil {
			return fmt.Errorf("result: measurement %s: no environment %q", m.ID, m.Env)
		}
		for _, t := range m.Threads {
			if err := t.check(); err != nil {
				return fmt.Errorf("result: measurement %s thread %d: %w", m.ID, t.Index, err)
			}
		}
	}
	return nil
}

func (s *Stats) check() error {
	var n uint64
	for _, c := range s.Linear.Counts {
		n += c
	}
	if n += s.Linear.Overflow; n != s.Cycles {
		return fmt.Errorf("histogram holds %d samples, cycles says %d", n, s.Cycles)
	}
	if s.Log == nil {
		return nil
	}
	n = 0
	for _, b := range s.Log {
		n += b.N
	}
	if n != s.Cycles+s.Missed {
		return fmt.Errorf("log histogram holds %d releases, cycles and missed say %d", n, s.Cycles+s.Missed)
	}
	return nil
}

// Add appends the environments and measurements of o to r. An environment
// that r has already must be the same machine.
func (r *Run) Add(o *Run) {
	for _, e := range o.Environments {
		if have := r.Env(&Measurement{Env: e.ID}); have == nil {
			r.Environments = append(r.Environments, e)
		} else {
			have.Repeatability = append(have.Repeatability, e.Repeatability...)
		}
	}
	r.Measurements = append(r.Measurements, o.Measurements...)
	r.Aborts = append(r.Aborts, o.Aborts...)
	if r.Start.IsZero() || (!o.Start.IsZero() && o.Start.Before(r.Start)) {
		r.Start = o.Start
	}
	if o.End.After(r.End) {
		r.End = o.End
	}
}

// Read decodes and checks one run, which may be compressed by gzip.
func Read(rd io.Reader) (*Run, error) {
	br := bufio.NewReader(rd)
	rd = br
	if magic, _ := br.Peek(2); string(magic) == "\x1f\x8b" {
		z, err := gzip.NewReader(br)
		if err != nil {
			return nil, fmt.Errorf("result: %w", err)
		}
		rd = z
	}
	var r Run
	if err := json.NewDecoder(rd).Decode(&r); err != nil {
		return nil, fmt.Errorf("result: %w", err)
	}
	if err := r.Check(); err != nil {
		return nil, err
	}
	return &r, nil
}

// ReadFile reads the run in file name.
func ReadFile(name string) (*Run, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

// WriteFile writes r to file name, which has either its old or its whole new
// content afterwards. A name that ends in .gz gets it compressed.
func (r *Run) WriteFile(name string) error {
	if err := r.Check(); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	var w io.WriteCloser = nopCloser{f}
	if strings.HasSuffix(name, ".gz") {
		w = gzip.NewWriter(f)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", " ")
	if err := errors.Join(enc.Encode(r), w.Close(), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
