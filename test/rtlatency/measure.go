// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/rt"
	"rtgo.dev/rtgo/test/rtlatency/cyclictest"
	"rtgo.dev/rtgo/test/rtlatency/load"
	"rtgo.dev/rtgo/test/rtlatency/options"
	"rtgo.dev/rtgo/test/rtlatency/record"
	"rtgo.dev/rtgo/test/rtlatency/result"
	"rtgo.dev/rtgo/test/rtlatency/scenario"
	"rtgo.dev/rtgo/test/rtlatency/sysenv"
)

// loadOnly puts on the load for -D, or until a signal.
func loadOnly(o *options.Options) error {
	loads, err := load.Parse(o.Load)
	if err != nil {
		return err
	}
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM)
	if len(o.Split) > 0 {
		if err := rt.Prepare(rt.Options{CPUs: o.Split}); err != nil {
			return fmt.Errorf("--split: %w", err)
		}
	}
	r, err := load.Start(loads)
	if err != nil {
		return err
	}
	defer r.Stop()
	// Whoever measures beside the load waits for this line.
	fmt.Println("# load started:", strings.Join(r.Info(), "; "))
	var end <-chan time.Time
	if o.Duration > 0 {
		end = time.After(o.Duration)
	}
	select {
	case <-sig:
	case <-end:
	}
	fmt.Printf("# load operations: %d\n", r.Ops())
	return nil
}

// config turns the command line into a scenario's configuration.
func config(o *options.Options) (scenario.Config, error) {
	c := scenario.Config{
		Period:   time.Duration(o.Interval) * time.Microsecond,
		Distance: time.Duration(o.Distance) * time.Microsecond,
		Tasks:    o.Threads, Realtime: o.Policy != "other", Priority: o.Priority, PrioSpread: o.PrioSpread,
		CPUs: o.Affinity, Loops: o.Loops, Duration: o.Duration, Limit: o.Histogram,
		Threshold: time.Duration(o.Break) * time.Microsecond, Compute: o.Compute, Conns: o.Conns, Timers: o.Timers,
	}
	if o.Policy == "rr" {
		c.Policy = rt.RR
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return c, os.NewSyscallError("sched_getaffinity", err)
	}
	if c.Tasks < 0 {
		c.Tasks = set.Count()
	}
	for _, cpu := range c.CPUs {
		if !set.IsSet(cpu) {
			return c, fmt.Errorf("-a or --split: CPU %d is not one this process may use (taskset, cpuset)", cpu)
		}
	}
	if o.AffinityAll {
		for i := range len(set) * 64 {
			if set.IsSet(i) {
				c.CPUs = append(c.CPUs, i)
			}
		}
	}
	if len(c.CPUs) > 0 && !c.Realtime {
		return c, errors.New("-a needs real-time tasks (-p): the Go scheduler moves ordinary goroutines between threads; use taskset for the process")
	}
	if o.Verbose {
		c.Keep = 1 << 16
	}
	return c, nil
}

// prepare sets up the process: limits, memory, power management.
func prepare(o *options.Options, out io.Writer) (undo func(), err error) {
	undo = func() {}
	if o.Watchdog > 0 && o.Policy != "other" {
		us := uint64(o.Watchdog / time.Microsecond)
		if err := unix.Setrlimit(unix.RLIMIT_RTTIME, &unix.Rlimit{Cur: us, Max: us}); err != nil {
			return undo, fmt.Errorf("--watchdog: %w (RLIMIT_RTTIME; --watchdog 0 goes without)", err)
		}
	}
	p := rt.Options{CPUs: o.Split}
	if o.Mlock {
		// As Go programs should: with plain MCL_FUTURE whoever maps memory
		// for the heap waits for the kernel to fill it with zeroes.
		p.Memory = rt.LockResident
	}
	if o.Mlock || len(o.Split) > 0 {
		if err := rt.Prepare(p); err != nil {
			return undo, fmt.Errorf("-m or --split: %w", err)
		}
	}
	if o.Latency >= 0 {
		f, err := os.OpenFile("/dev/cpu_dma_latency", os.O_WRONLY, 0)
		if err == nil {
			var b [4]byte
			binary.NativeEndian.PutUint32(b[:], uint32(o.Latency))
			_, err = f.Write(b[:])
			undo = func() { f.Close() } // the kernel keeps the value as long as the file is open
		}
		if err != nil {
			fmt.Fprintf(out, "WARN: /dev/cpu_dma_latency: %v\n", err)
		} else {
			fmt.Fprintf(out, "# /dev/cpu_dma_latency set to %dus\n", o.Latency)
		}
	}
	return undo, nil
}

// measure runs one scenario and prints and writes what it found.
func measure(o *options.Options, stdout io.Writer) error {
	s, err := scenario.Lookup(o.Scenario)
	if err != nil {
		return err
	}
	loads, err := load.Parse(o.Load)
	if err != nil {
		return err
	}
	c, err := config(o)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(stdout)
	defer out.Flush()
	undo, err := prepare(o, out)
	if err != nil {
		return err
	}
	defer undo()
	out.Flush()
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM)

	run, err := scenario.New(s, c)
	if err != nil {
		return err
	}
	work, err := load.Start(loads)
	if err != nil {
		return err
	}
	defer work.Stop()
	before := readRuntime()
	start := time.Now()
	ops := work.Ops()
	if err := run.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- run.Wait() }()
	err = watch(o, run, sig, ended, out)
	elapsed := run.Elapsed()
	after := readRuntime()
	if err != nil {
		return err
	}

	m := &result.Measurement{
		Scenario: s.Name, Group: s.Group(), Summary: s.Summary, Program: "rtlatency",
		Toolchain: sysenv.Toolchain().Name, Version: runtime.Version(), Supported: rt.Supported(),
		Command: os.Args, Policy: o.Policy, Priority: o.Priority, PeriodNS: int64(run.Period), Mlock: o.Mlock,
		MaxProcs: runtime.GOMAXPROCS(0), LoadInfo: work.Info(), Start: start, Duration: int64(elapsed),
		Outcome: result.OK, Validity: result.Uncontrolled, ThresholdNS: int64(c.Threshold),
		Runtime: before.until(after),
	}
	m.Runtime.LoadOps = work.Ops() - ops
	for _, l := range loads {
		m.Load = append(m.Load, l.Name())
	}
	m.ID = strings.Join([]string{m.Toolchain, m.Scenario, m.LoadName()}, "/")
	for _, t := range run.Tasks {
		m.Threads = append(m.Threads, thread(t))
	}
	if len(m.Threads) > 1 && s.Multi {
		total := result.Merge(m.Threads)
		m.Total = &total
	}
	m.OutsideSTW = outside(run, m.Total != nil)
	tripped := run.Tripped()
	if tripped != nil {
		m.Outcome = result.Threshold
	}
	if err := report(o, run, m, out); err != nil {
		return err
	}
	if tripped != nil {
		fmt.Fprintf(out, "# Thread Ids:")
		for _, t := range run.Tasks {
			fmt.Fprintf(out, " %05d", t.TID.Load())
		}
		fmt.Fprintf(out, "\n# Break thread: %d\n# Break value: %d\n", tripped.TID.Load(), tripped.Rec.Live().Max/unitOf(o))
		if o.Tracemark {
			tracemark(tripped, o)
		}
		return errThreshold
	}
	return nil
}

// outside returns the statistics of the samples outside stops of the world,
// of all tasks or of the first one alone; nil where they are not known.
func outside(run *scenario.Run, all bool) *result.Stats {
	var calm []result.Thread
	for _, t := range run.Tasks {
		if t.Calm == nil {
			return nil
		}
		calm = append(calm, result.Thread{Stats: t.Calm.Stats()})
		if !all {
			break
		}
	}
	s := result.Merge(calm)
	return &s
}

func unitOf(o *options.Options) int64 {
	if o.Nsecs {
		return 1
	}
	return 1000
}

// watch shows progress until the run ends.
func watch(o *options.Options, run *scenario.Run, sig <-chan os.Signal, ended <-chan error, out *bufio.Writer) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	if o.Quiet {
		tick.Stop()
	}
	var shown []uint64
	var values []int64
	progress := func() {
		if o.Verbose {
			if shown == nil {
				shown = make([]uint64, len(run.Tasks))
			}
			for i, t := range run.Tasks {
				from := shown[i]
				values, shown[i] = t.Rec.Values(values[:0], from)
				first := shown[i] - uint64(len(values))
				for k, v := range values {
					fmt.Fprintf(out, "%8d:%8d:%8d\n", i, first+uint64(k), v/unitOf(o))
				}
			}
		} else if !o.Quiet {
			load, _ := os.ReadFile("/proc/loadavg")
			fmt.Fprintf(out, "policy: %s: loadavg: %s          \n\n", o.Policy, bytes.TrimSpace(load))
			for _, t := range run.Tasks {
				fmt.Fprintln(out, line(t, o.Nsecs))
			}
			fmt.Fprintf(out, "\033[%dA", len(run.Tasks)+2)
		}
		out.Flush()
	}
	for {
		select {
		case err := <-ended:
			if o.Verbose {
				progress()
			} else if !o.Quiet {
				fmt.Fprintf(out, "policy: %s:\033[K\n\n", o.Policy)
			}
			return err
		case <-sig:
			run.Stop()
		case <-tick.C:
			progress()
		}
	}
}

func line(t *scenario.Task, nsec bool) string {
	return cyclictest.NewLine(result.Thread{Index: t.Index, TID: int(t.TID.Load()), Priority: t.Priority, PeriodNS: t.Period}, t.Rec.Live(), nsec).Format(nsec)
}

// report prints the summary and writes the files that were asked for.
func report(o *options.Options, run *scenario.Run, m *result.Measurement, out *bufio.Writer) error {
	var recs []*record.Recorder
	for _, t := range run.Tasks {
		recs = append(recs, t.Rec)
	}
	if o.Histogram > 0 {
		w := io.Writer(out)
		if o.HistFile != "" {
			f, err := os.Create(o.HistFile)
			if err != nil {
				return err
			}
			defer f.Close()
			w = f
		}
		if err := cyclictest.WriteHistogram(w, recs, o.HistAll); err != nil {
			return err
		}
	}
	// With -q a histogram stands for the summary lines, as in cyclictest.
	if o.Histogram == 0 || !o.Quiet || o.HistFile != "" {
		for _, t := range run.Tasks {
			fmt.Fprintln(out, line(t, o.Nsecs))
		}
	}
	// Lines that cyclictest does not have begin with "#", as its own
	// comments do.
	for i, t := range m.Threads {
		fmt.Fprintf(out, "# Thread %d (%s): missed %d, p50 %s p99 %s p99.9 %s p99.99 %s us\n", i, t.Name, t.Missed,
			us(t.P50NS), us(t.P99NS), us(t.P999NS), us(t.P9999NS))
	}
	if s := m.OutsideSTW; s != nil {
		fmt.Fprintf(out, "# Outside stops of the world: cycles %d missed %d, p50 %s p99 %s p99.9 %s p99.99 %s max %s us\n", s.Cycles, s.Missed,
			us(s.P50NS), us(s.P99NS), us(s.P999NS), us(s.P9999NS), us(s.MaxNS))
	}
	for i, t := range m.Threads {
		if r := t.RT; r != nil {
			fmt.Fprintf(out, "# Thread %d: %d pauses, longest %s us, utilization in any 1 ms %.3f, 10 ms %.3f; page faults %d\n", i,
				r.Pauses, us(r.PauseMaxNS), r.MMU1ms, r.MMU10ms, r.MinorFaults+r.MajorFaults)
		}
	}
	if r := m.Runtime; r != nil && r.STWs > 0 {
		fmt.Fprintf(out, "# Stops of the world: %d, longest %s us; until all had stopped p50 %s p99 %s max %s us (upper bounds)\n", r.STWs,
			us(r.STWMaxNS), us(r.StoppingP50NS), us(r.StoppingP99NS), us(r.StoppingMaxNS))
	}
	if r := m.Runtime; r != nil && rt.Supported() {
		fmt.Fprintf(out, "# Stops and safepoint rounds: %d, without slack %d; collections %d\n", r.RTStops, r.RTForced, r.GCs)
	}
	env := sysenv.Read()
	if o.JSON != "" {
		if err := writeJSON(o, m, &env); err != nil {
			return err
		}
	}
	if o.Result != "" {
		env.Toolchains = []result.Toolchain{sysenv.Toolchain()}
		m.Env = env.ID
		r := &result.Run{Version: result.Version, Start: m.Start, End: time.Now(), Command: os.Args,
			Environments: []result.Environment{env}, Measurements: []result.Measurement{*m}}
		if err := r.WriteFile(o.Result); err != nil {
			return err
		}
	}
	return nil
}

// us formats nanoseconds as microseconds with one decimal.
func us(ns int64) string { return strconv.FormatFloat(float64(ns)/1000, 'f', 1, 64) }

func writeJSON(o *options.Options, m *result.Measurement, env *result.Environment) error {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return os.NewSyscallError("uname", err)
	}
	f := &cyclictest.File{
		FileVersion: 1, Cmdline: strings.Join(os.Args, " "), TestVersion: runtime.Version(),
		StartTime: cyclictest.Stamp(m.Start), EndTime: cyclictest.Stamp(time.Now()),
		Sysinfo: cyclictest.Sysinfo{
			Sysname:  unix.ByteSliceToString(u.Sysname[:]),
			Nodename: unix.ByteSliceToString(u.Nodename[:]),
			Release:  unix.ByteSliceToString(u.Release[:]),
			Version:  unix.ByteSliceToString(u.Version[:]),
			Machine:  unix.ByteSliceToString(u.Machine[:]),
		},
		NumThreads: len(m.Threads), Thread: make(map[string]cyclictest.Thread),
	}
	if m.Outcome == result.Threshold {
		f.ReturnCode = exitThreshold
	}
	if env.Realtime {
		f.Sysinfo.Realtime = 1
	}
	if o.Nsecs {
		f.Resolution = 1
	}
	for i := range m.Threads {
		f.Thread[strconv.Itoa(i)] = cyclictest.NewThread(&m.Threads[i], o.Histogram > 0, o.Nsecs)
	}
	w, err := os.Create(o.JSON)
	if err != nil {
		return err
	}
	return errors.Join(f.Write(w), w.Close())
}

func thread(t *scenario.Task) result.Thread {
	r := result.Thread{Index: t.Index, Name: t.Name, TID: int(t.TID.Load()), Priority: t.Priority, PeriodNS: t.Period, CPU: t.CPU, Stats: t.Rec.Stats()}
	if s, ok := t.RT(); ok {
		r.RT = rtStats(s)
	}
	return r
}

// tracemark writes the breach into the kernel's trace and stops it, so that
// what led there is kept.
func tracemark(t *scenario.Task, o *options.Options) {
	for _, dir := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		if f, err := os.OpenFile(dir+"/trace_marker", os.O_WRONLY, 0); err == nil {
			fmt.Fprintf(f, "hit latency threshold (%d > %d)\n", t.Rec.Live().Max/1000, o.Break)
			f.Close()
			os.WriteFile(dir+"/tracing_on", []byte("0"), 0)
			return
		}
	}
	fmt.Fprintln(os.Stderr, "rtlatency: --tracemark: no trace_marker: mount -t tracefs nodev /sys/kernel/tracing")
}
