// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"rtgo.dev/rtgo/test/rtlatency/campaign"
	"rtgo.dev/rtgo/test/rtlatency/result"
	"rtgo.dev/rtgo/test/rtlatency/sysenv"
	"rtgo.dev/rtgo/test/rtlatency/victim"
)

func init() {
	commands["problem"] = problem
	commands["victim"] = victim.Main
}

// A problemCase shows one cause by two measurements: with it, and without.
type problemCase struct {
	name, cause string
	with        []string // rtlatency's flags
	without     []string
	env         []string
}

var problemCases = []problemCase{
	{"handoff", "a locked goroutine that blocks gives its P away and must get one back through the ordinary run queue (handoffp, startlockedm)",
		[]string{"--scenario", "handover/chan-busy", "--load", "cpu"}, []string{"--scenario", "handover/chan"}, nil},
	{"retake", "a system call longer than a sysmon tick loses the P to other goroutines, and its end waits for one",
		[]string{"--scenario", "periodic/nanosleep", "--load", "cpu"}, []string{"--scenario", "periodic/nanosleep"}, nil},
	{"time-slice", "run queues are first in, first out, with a slice of 10 ms for each goroutine ahead",
		[]string{"--scenario", "periodic/sleep", "--load", "cpu:16"}, []string{"--scenario", "periodic/sleep", "--load", "cpu:1"}, nil},
	{"own-slice", "a task that keeps its P while it sleeps (raw system call) is preempted after 10 ms like any other, and queues behind all",
		[]string{"--scenario", "periodic/rawnanosleep", "--load", "cpu"}, []string{"--scenario", "periodic/rawnanosleep"}, nil},
	{"gc-worker", "collector workers run on Ps ahead of ready goroutines",
		[]string{"--scenario", "periodic/sleep", "--load", "gc"}, []string{"--scenario", "periodic/sleep"}, nil},
	{"stop-the-world", "a stop takes the task's P until every thread has reached a safepoint (the task keeps its P otherwise)",
		[]string{"--scenario", "periodic/rawnanosleep", "--load", "stw:0"}, []string{"--scenario", "periodic/rawnanosleep"}, nil},
	{"assist", "an allocating goroutine is made to work for the collector (second thread: the allocation alone)",
		[]string{"--scenario", "memory/alloc-cycle", "--load", "alloc"}, []string{"--scenario", "memory/alloc-cycle"}, nil},
	{"heap-lock", "mheap.lock has no owner and no priority inheritance (second thread: the allocation alone, which includes assists)",
		[]string{"--scenario", "memory/alloc-span", "--load", "span,cpu"}, []string{"--scenario", "memory/alloc-span"}, []string{"GOMAXPROCS=8"}},
	{"chan-lock", "a channel's lock, held while an element is copied, has no owner and no priority inheritance",
		[]string{"--scenario", "locks/chan", "--load", "cpu"}, []string{"--scenario", "locks/chan"}, []string{"GOMAXPROCS=8"}},
	{"lock-inversion", "sync.Mutex has no priority inheritance: who holds it is kept from running by work of medium priority",
		[]string{"--scenario", "locks/inversion-mutex"}, []string{"--scenario", "locks/inversion-rtmutex"}, nil},
	{"timers", "the netpoller waits in whole milliseconds (epoll_wait): time.Sleep(50 µs) by an ordinary goroutine",
		[]string{"--scenario", "timers/sleep", "-i50"}, []string{"--scenario", "timers/sleep", "-i10000"}, nil},
}

const problemHelp = `usage: rtlatency problem [flags]

Shows what makes a Go program late under SCHED_FIFO, one cause after the
other: each is measured with the cause and without. Meant for a stock Go
build; an rtgo build shows what became of each. The last two do not make late
but hang: they run in a process that the kernel ends after ` + "3 s" + ` (RLIMIT_RTTIME).

examples:
  rtlatency problem -D 5s -result problem.json
  rtlatency problem -only handoff,livelock

flags:
`

// problem runs the set and writes its measurements.
func problem(args []string) error {
	fs := flag.NewFlagSet("problem", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Print(problemHelp)
		fs.SetOutput(os.Stdout)
		fs.PrintDefaults()
	}
	file := fs.String("result", "", "write the measurements to `file`")
	d := fs.Duration("D", 5*time.Second, "length of each measurement")
	only := fs.String("only", "", "comma-separated `names` of the causes to show")
	prio := fs.Int("p", 80, "priority of the task")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	names := campaign.Problems
	wanted := names
	if *only != "" {
		wanted = strings.Split(*only, ",")
		for _, n := range wanted {
			if !slices.Contains(names, n) {
				return fmt.Errorf("-only: no cause %q; there are %s", n, strings.Join(names, ", "))
			}
		}
	}
	env := sysenv.Read()
	tool := sysenv.Toolchain()
	env.Toolchains = []result.Toolchain{tool}
	run := &result.Run{Version: result.Version, Title: "what makes " + tool.Version + " late", Start: time.Now(), Command: os.Args, Environments: []result.Environment{env}}
	add := func(m *result.Measurement) {
		m.Env, m.Toolchain, m.Program = env.ID, tool.Name, "rtlatency"
		m.Version = tool.Version
		run.Measurements = append(run.Measurements, *m)
		print := func(t *result.Thread) {
			fmt.Printf("  %-34s %-22s p50 %9s  p99 %9s  max %9s us  cycles %d missed %d\n", m.Scenario+" "+t.Name, m.LoadName(), us(t.P50NS), us(t.P99NS), us(t.MaxNS), t.Cycles, t.Missed)
		}
		for i := range m.Threads {
			print(&m.Threads[i])
		}
		if m.Outcome != result.OK {
			fmt.Printf("  %s: %s\n", m.Outcome, m.Error)
		}
	}
	for _, c := range problemCases {
		if !slices.Contains(wanted, c.name) {
			continue
		}
		fmt.Printf("%s: %s\n", c.name, c.cause)
		for i, flags := range [][]string{c.without, c.with} {
			m, err := again(append(flags, "-q", fmt.Sprintf("-p%d", *prio), "-D", d.String()), c.env)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			m.ID = "problem/" + c.name + []string{"/without", "/with"}[i]
			m.Summary = m.Scenario + ": " + m.Summary
			m.Scenario = m.ID
			m.Group = "problem"
			if i == 1 {
				m.Cause = c.cause
			}
			add(m)
		}
	}
	for _, k := range victim.Kinds {
		if !slices.Contains(wanted, k.Name) {
			continue
		}
		fmt.Printf("%s: %s\n", k.Name, k.Cause)
		// A livelock needs some ten thousand wake-ups to be met for certain.
		m, err := victim.Run(k, max(*d, 5*time.Second))
		if err != nil {
			return fmt.Errorf("%s: %w", k.Name, err)
		}
		m.ID = "problem/" + k.Name
		add(m)
	}
	run.End = time.Now()
	if *file == "" {
		return nil
	}
	return run.WriteFile(*file)
}

// again runs this program with other flags and returns its measurement.
func again(flags, env []string) (*result.Measurement, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "rtlatency")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "r.json")
	cmd := exec.Command(exe, append(flags, "--result", file)...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	r, rerr := result.ReadFile(file)
	if rerr == nil {
		return &r.Measurements[0], nil
	}
	m := &result.Measurement{Scenario: strings.Join(flags, " "), Outcome: result.Failed, Validity: result.Uncontrolled,
		Error: cmp.Or(strings.TrimSpace(string(out)), rerr.Error())}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL {
		m.Outcome = result.Hang
		m.Error = "ended by the kernel: a task computed without blocking for longer than --watchdog (RLIMIT_RTTIME)"
		return m, nil
	}
	return m, err
}
