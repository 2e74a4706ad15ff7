// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

// Package campaign measures many scenarios under many loads with several
// programs on one machine in one boot: cyclictest, the C twins, and rtlatency
// built by stock Go and by rtgo, side by side. The same code runs on a host
// and, as the one program started there, in the lab's machine.
package campaign

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"rtgo.dev/rtgo/test/rtlatency/cyclictest"
	"rtgo.dev/rtgo/test/rtlatency/load"
	"rtgo.dev/rtgo/test/rtlatency/result"
	"rtgo.dev/rtgo/test/rtlatency/scenario"
	"rtgo.dev/rtgo/test/rtlatency/sysenv"
)

// A Plan says what to measure and with what.
type Plan struct {
	Title string `json:"title"`
	// Environment has what the machine cannot find out about itself: ID,
	// Machine, Simulated, Emulator, Toolchains.
	Environment result.Environment `json:"environment"`
	Programs    Programs           `json:"programs"`
	Scenarios   []Item             `json:"scenarios"`
	Loads       []string           `json:"loads"` // as for rtlatency --load; "none" for none
	Duration    time.Duration      `json:"duration_ns"`
	Priority    int                `json:"priority"`
	Mlock       bool               `json:"mlockall"`
	// Split is the CPU that the tasks have to themselves, "" if they share all
	// with the rest.
	Split string        `json:"split,omitempty"`
	Bound time.Duration `json:"bound_ns"` // of the control
	// Tolerance is the relative difference within which the same measured
	// twice must agree: the control without load, and the first scenario
	// under each load. 0: nothing is measured twice.
	Tolerance float64 `json:"tolerance"`
	// Part tells the parts of one load's scenarios apart, from 1; see Parts.
	Part int `json:"part,omitempty"`
	// Problem also runs the set that shows what makes stock Go late.
	Problem bool `json:"problem,omitempty"`
}

// Programs are the paths of what measures. An empty one is left out.
type Programs struct {
	Stock      string `json:"stock"` // rtlatency built by upstream Go; also makes the load for C programs
	RTGo       string `json:"rtgo"`
	CTwin      string `json:"ctwin"`
	Cyclictest string `json:"cyclictest"`
}

// An Item is a scenario with its own flags.
type Item struct {
	Scenario string   `json:"scenario"`
	Flags    []string `json:"flags,omitempty"` // -i, -t, --conns, …
}

// Sets are ready-made lists of scenarios.
var Sets = map[string][]Item{
	"smoke": {{"periodic/abs", nil}, {"handover/chan", nil}},
	"figures": {{"periodic/abs", nil}, {"periodic/sleep", nil}, {"periodic/nanosleep", nil}, {"handover/chan", nil},
		{"handover/chan-busy", nil}, {"handover/signal", nil}, {"locks/rtmutex", nil}, {"network/udp", nil}, {"memory/alloc-cycle", nil}, {"timers/sleep", nil}},
	"periodic": {
		{"periodic/nanosleep", nil}, {"periodic/rawnanosleep", nil}, {"periodic/abs", nil}, {"periodic/sleep", nil}, {"periodic/timer", nil}, {"periodic/ticker", nil},
		{"periodic/abs", []string{"-i100"}}, {"periodic/abs", []string{"-i10000"}},
		{"periodic/abs", []string{"-t2", "-d0", "--priospread"}}, {"periodic/abs", []string{"-t8", "-d0", "--priospread"}}, {"periodic/abs", []string{"-t32", "-d0", "--priospread"}},
	},
	"handover": all(scenario.Handover, scenario.Locks),
	"network": {{"network/udp", nil}, {"network/udp", []string{"--conns=1000"}}, {"network/udp-peer", nil}, {"network/tcp", nil}, {"network/tcp", []string{"--conns=1000"}},
		{"network/deadline", nil}},
	"timers": {{"timers/sleep", []string{"-i10"}}, {"timers/sleep", []string{"-i50"}}, {"timers/sleep", []string{"-i1000"}}, {"timers/sleep", []string{"-i10000"}},
		{"timers/million", nil}},
	"memory": all(scenario.Memory),
}

func init() {
	var full []Item
	for _, s := range []string{"periodic", "handover", "network", "timers", "memory"} {
		full = append(full, Sets[s]...)
	}
	Sets["full"] = full
}

func all(groups ...string) []Item {
	var out []Item
	for _, s := range scenario.All() {
		if slices.Contains(groups, s.Group()) {
			out = append(out, Item{Scenario: s.Name})
		}
	}
	return out
}

// Loads are ready-made lists of loads.
var Loads = map[string][]string{
	"quick": {"none", "alloc,cpu"},
	"full": {"none", "alloc", "cpu", "alloc,cpu", "alloc:500", "gc", "stw", "churn", "syscall", "bigmap", "large",
		"stress-cpu", "stress-vm", "stress-io", "hackbench", "alloc,cpu,stw,churn,syscall"},
}

// Check tells what is wrong with a plan before it is run.
func (p *Plan) Check() error {
	if p.Programs.Stock == "" && p.Programs.RTGo == "" {
		return errors.New("campaign: no rtlatency program")
	}
	if len(p.Scenarios) == 0 && !p.Problem {
		return errors.New("campaign: no scenarios")
	}
	for _, it := range p.Scenarios {
		if _, err := scenario.Lookup(it.Scenario); err != nil {
			return err
		}
	}
	for _, l := range p.Loads {
		if _, err := load.Parse(l); err != nil {
			return err
		}
	}
	if _, err := strconv.ParseUint(cmp.Or(p.Split, "0"), 10, 12); err != nil {
		return fmt.Errorf("campaign: split: %q is not the number of a CPU", p.Split)
	}
	if p.Duration <= 0 || p.Priority < 1 || p.Priority > 99 {
		return fmt.Errorf("campaign: needs a duration and a priority from 1 to 99, got %v and %d", p.Duration, p.Priority)
	}
	return nil
}

// Parts divides p into plans of one load and at most n scenarios each, and one
// for the problem set: what is measured in one boot.
func (p *Plan) Parts(n int) []*Plan {
	var parts []*Plan
	for _, l := range p.Loads {
		for items := range slices.Chunk(p.Scenarios, n) {
			q := *p
			q.Loads, q.Scenarios, q.Problem, q.Part = []string{l}, items, false, 1
			if k := len(parts); k > 0 && parts[k-1].Loads[0] == l {
				q.Part = parts[k-1].Part + 1
				q.Tolerance = 0 // the first part's repetition is enough
			}
			parts = append(parts, &q)
		}
	}
	if p.Problem {
		q := *p
		q.Loads, q.Scenarios = nil, nil
		parts = append(parts, &q)
	}
	return parts
}

// Name says what a part measures.
func (p *Plan) Name() string {
	if len(p.Scenarios) == 0 {
		return "problem set"
	}
	name := "load " + strings.Join(p.Loads, " ")
	if p.Part > 1 {
		name += fmt.Sprintf(", part %d", p.Part)
	}
	return name
}

// In reports whether run has every measurement of p with p's programs, so
// that p need not be carried out again. What failed was measured, too.
func (p *Plan) In(run *result.Run) bool {
	have := make(map[string]bool)
	for i := range run.Measurements {
		m := &run.Measurements[i]
		have[strings.TrimSuffix(m.ID, "/with")] = true
	}
	for _, t := range p.goPrograms() {
		for _, name := range Problems {
			if p.Problem && !have[strings.Join([]string{p.Environment.ID, t.name, "problem", name}, "/")] {
				return false
			}
		}
		for _, l := range p.Loads {
			for _, it := range p.Scenarios {
				if !have[measurementID(p.Environment.ID, t.name, it.name(), loadNames(l))] {
					return false
				}
			}
		}
	}
	return true
}

// A program is rtlatency as built by one toolchain.
type program struct{ name, exe string }

func (p *Plan) goPrograms() []program {
	return slices.DeleteFunc([]program{{result.Stock, p.Programs.Stock}, {result.RTGo, p.Programs.RTGo}},
		func(t program) bool { return t.exe == "" })
}

func (it *Item) name() string { return strings.Join(append([]string{it.Scenario}, it.Flags...), " ") }

func loadNames(l string) (names []string) {
	loads, _ := load.Parse(l) // Check has seen it
	for _, x := range loads {
		names = append(names, x.Name())
	}
	return names
}

func measurementID(env, toolchain, scenario string, loads []string) string {
	return strings.Join([]string{env, toolchain, scenario, cmp.Or(strings.Join(loads, "+"), "none")}, "/")
}

// Jobs returns the number of measurements the plan takes.
func (p *Plan) Jobs() int {
	r := runner{p: p, count: true}
	r.run(context.Background())
	return r.total
}

// ReadPlan reads a plan from a file.
func ReadPlan(name string) (*Plan, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var p Plan
	if err := json.Unmarshal(b, &p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &p, nil
}

// A runner executes one plan.
type runner struct {
	p        *Plan
	dir      string // for the files of single measurements
	progress io.Writer
	out      *result.Run
	saved    func(*result.Run) error // after each measurement
	count    bool                    // only count
	total, n int
}

// Run executes p. save is called with everything measured so far after each
// measurement, so that a machine that dies leaves what it had. One line per
// measurement goes to progress.
func Run(ctx context.Context, p *Plan, progress io.Writer, save func(*result.Run) error) (*result.Run, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "campaign")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	env := sysenv.Read()
	o := p.Environment
	env.ID = cmp.Or(o.ID, env.ID)
	env.Machine = cmp.Or(o.Machine, env.Machine)
	env.Simulated, env.Emulator, env.EmuArgs, env.Toolchains = o.Simulated, o.Emulator, o.EmuArgs, o.Toolchains
	r := &runner{p: p, dir: dir, progress: progress, saved: save, total: p.Jobs(), out: &result.Run{
		Version: result.Version, Title: p.Title, Start: time.Now(), Environments: []result.Environment{env},
	}}
	err = r.run(ctx)
	r.out.End = time.Now()
	return r.out, err
}

func (r *runner) run(ctx context.Context) error {
	for _, l := range r.p.Loads {
		if err := r.underLoad(ctx, l); err != nil {
			return err
		}
	}
	if r.p.Problem {
		return r.problem(ctx)
	}
	return nil
}

func (r *runner) underLoad(ctx context.Context, l string) error {
	names := loadNames(l)
	what := "control"
	if r.p.Part > 1 {
		what = fmt.Sprintf("part %d", r.p.Part)
	}
	control, err := r.control(ctx, l, names, what)
	if err != nil {
		return err
	}
	if len(names) == 0 && r.p.Tolerance > 0 && r.p.Programs.Cyclictest != "" {
		second, err := r.control(ctx, l, names, "again")
		if err != nil {
			return err
		}
		if control != nil && second != nil && len(control.Threads) > 0 && len(second.Threads) > 0 {
			r.repeated(result.C, "cyclictest", names, &control.Threads[0].Stats, &second.Threads[0].Stats)
		}
	}
	twins := make(map[string]*result.Measurement)
	for i, it := range r.p.Scenarios {
		s, err := scenario.Lookup(it.Scenario)
		if err != nil {
			return err
		}
		if s.Twin != "" && r.p.Programs.CTwin != "" {
			// One measurement of a twin serves every scenario that has it
			// with the same flags.
			key := s.Twin + " " + strings.Join(it.Flags, " ")
			m := twins[key]
			if m == nil {
				if m, err = r.besideLoad(ctx, l, func(ctx context.Context) (*result.Measurement, error) {
					args := append([]string{"--scenario", s.Twin}, twinFlags(it.Flags)...)
					return r.measure(ctx, r.p.Programs.CTwin, args, "C "+it.Scenario, l)
				}); err != nil {
					return err
				}
				if m == nil { // counting
					m = new(result.Measurement)
				}
				twins[key] = m
			}
			if !r.count {
				c := *m
				c.Scenario, c.Group, c.Summary = it.Scenario, s.Group(), "C twin: "+s.Twin
				r.add(&c, result.C, it, names, control)
			}
		}
		programs := r.p.goPrograms()
		for k, t := range programs {
			args := append([]string{"--scenario", it.Scenario, "--load", cmp.Or(l, "none")}, it.Flags...)
			m, err := r.measure(ctx, t.exe, args, t.name+" "+it.Scenario, l)
			if err != nil {
				return err
			}
			if m != nil {
				m.Scenario, m.Group = it.Scenario, s.Group()
				r.add(m, t.name, it, names, control)
			}
			if i > 0 || k < len(programs)-1 || r.p.Tolerance == 0 {
				continue
			}
			again, err := r.measure(ctx, t.exe, args, t.name+" "+it.Scenario+", again", l)
			if err != nil {
				return err
			}
			if m != nil && m.All() != nil && again.All() != nil {
				r.repeated(t.name, it.name(), names, m.All(), again.All())
			}
		}
	}
	return nil
}

// twinFlags are the flags of a scenario that the C twin has as well. The
// periods of its tasks never differ (-d0), and it does nothing after a wake-up
// (--compute).
func twinFlags(flags []string) []string {
	var own []string
	for i := 0; i < len(flags); i++ {
		switch name, _, joined := strings.Cut(flags[i], "="); name {
		case "-d0":
		case "--timers", "--compute":
			if !joined { // its value is the next
				i++
			}
		default:
			own = append(own, flags[i])
		}
	}
	return own
}

// add completes a measurement and appends it.
func (r *runner) add(m *result.Measurement, toolchain string, it Item, loads []string, control *result.Control) {
	if len(it.Flags) > 0 {
		m.Scenario += " " + strings.Join(it.Flags, " ")
	}
	m.Env, m.Toolchain, m.Load = r.out.Environments[0].ID, toolchain, loads
	m.ID = measurementID(m.Env, toolchain, m.Scenario, loads)
	if control != nil {
		c := *control
		m.Judge(&c)
	}
	r.out.Measurements = append(r.out.Measurements, *m)
	if err := r.saved(r.out); err != nil {
		r.abort("%v", err)
	}
}

func (r *runner) abort(format string, args ...any) {
	r.out.Aborts = append(r.out.Aborts, fmt.Sprintf(format, args...))
	fmt.Fprintf(r.progress, format+"\n", args...)
}

// step prints what is measured next and reports whether only to count.
func (r *runner) step(what, l string) (counting bool) {
	if r.count {
		r.total++
		return true
	}
	r.n++
	fmt.Fprintf(r.progress, "[%d/%d] %-38s %-14s ", r.n, r.total, what, cmp.Or(l, "none"))
	return false
}

func (r *runner) outcome(m *result.Measurement) {
	s := m.All()
	if s == nil || s.Cycles == 0 {
		fmt.Fprintf(r.progress, "%s: %s\n", m.Outcome, m.Error)
		return
	}
	fmt.Fprintf(r.progress, "p50 %d p99 %d p99.99 %d max %d us, %d cycles", s.P50NS/1000, s.P99NS/1000, s.P9999NS/1000, s.MaxNS/1000, s.Cycles)
	if s.Missed > 0 {
		fmt.Fprintf(r.progress, ", %d missed", s.Missed)
	}
	fmt.Fprintln(r.progress)
}

// measure runs rtlatency or a C twin. It returns nil, nil when only counting.
func (r *runner) measure(ctx context.Context, exe string, args []string, what, l string) (*result.Measurement, error) {
	if r.step(what, l) {
		return nil, nil
	}
	file := filepath.Join(r.dir, "m.json")
	os.Remove(file)
	args = append(args, "-q", fmt.Sprintf("-p%d", r.p.Priority), "-D", fmt.Sprintf("%dms", r.p.Duration.Milliseconds()), "--result", file)
	if r.p.Mlock {
		args = append(args, "-m")
	}
	args = append(args, r.split()...)
	ctx, cancel := context.WithTimeout(ctx, 3*r.p.Duration+2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, args...)
	out, err := cmd.CombinedOutput()
	if run, rerr := result.ReadFile(file); rerr == nil {
		m := run.Measurements[0]
		r.outcome(&m)
		return &m, nil
	}
	if e := context.Cause(ctx); errors.Is(e, context.Canceled) {
		return nil, e
	}
	m := &result.Measurement{
		Program: filepath.Base(exe), Command: cmd.Args, Policy: "fifo", Priority: r.p.Priority, Start: time.Now(),
		Outcome: result.Failed, Validity: result.Uncontrolled, Error: lastLine(string(out)),
	}
	if m.Error == "" && err != nil {
		m.Error = err.Error()
	}
	if ws, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() == syscall.SIGKILL {
		m.Outcome, m.Error = result.Hang, "ended by the kernel: a thread computed for 10 s without blocking (RLIMIT_RTTIME)"
		if ctx.Err() != nil {
			m.Error = "no end within the time limit"
		}
	}
	r.outcome(m)
	return m, nil
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return lines[len(lines)-1]
}

// split is the flag of rtlatency and the C twins that gives the tasks a CPU of
// their own.
func (r *runner) split() []string {
	if r.p.Split == "" {
		return nil
	}
	return []string{"--split", r.p.Split}
}

// besideLoad runs f beside the load l put on by a process of its own.
func (r *runner) besideLoad(ctx context.Context, l string, f func(context.Context) (*result.Measurement, error)) (*result.Measurement, error) {
	if loads, _ := load.Parse(l); len(loads) == 0 || r.count {
		return f(ctx)
	}
	exe := cmp.Or(r.p.Programs.Stock, r.p.Programs.RTGo)
	cmd := exec.Command(exe, append([]string{"--load-only", "--load", l}, r.split()...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	var msg strings.Builder
	cmd.Stderr = &msg
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end := sync.OnceFunc(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		timer := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		io.Copy(io.Discard, out)
		cmd.Wait()
		timer.Stop()
	})
	defer end()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.HasPrefix(line, "# load started") {
		end() // only then is all of its message here
		return nil, fmt.Errorf("campaign: load %s: %s", l, lastLine(msg.String()+line))
	}
	return f(ctx)
}

// control runs cyclictest beside the load.
func (r *runner) control(ctx context.Context, l string, loads []string, what string) (*result.Control, error) {
	exe := r.p.Programs.Cyclictest
	if exe == "" {
		return nil, nil
	}
	const limit = 1000
	c := &result.Control{BoundNS: int64(r.p.Bound)}
	m, err := r.besideLoad(ctx, l, func(ctx context.Context) (*result.Measurement, error) {
		if r.step("cyclictest "+what, l) {
			return nil, nil
		}
		file := filepath.Join(r.dir, "c.json")
		os.Remove(file)
		args := []string{"-q", fmt.Sprintf("-p%d", r.p.Priority), "-i1000", fmt.Sprintf("-h%d", limit), "--json=" + file,
			// cyclictest knows whole seconds; by -l its length is exact.
			fmt.Sprintf("-l%d", max(r.p.Duration.Milliseconds(), 100))}
		if r.p.Mlock {
			args = append(args, "-m")
		}
		if r.p.Split != "" {
			args = append(args, "-a", r.p.Split)
		}
		ctx, cancel := context.WithTimeout(ctx, 3*r.p.Duration+2*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, exe, args...)
		c.Command = cmd.Args
		start := time.Now()
		out, err := cmd.CombinedOutput()
		m := &result.Measurement{Scenario: "cyclictest", Group: "cyclictest", Summary: "cyclictest of rt-tests, clock_nanosleep",
			Program: "cyclictest", Command: cmd.Args, Supported: true, Policy: "fifo", Priority: r.p.Priority, PeriodNS: 1e6, Mlock: r.p.Mlock,
			Start: start, Duration: int64(time.Since(start)), Outcome: result.OK, Validity: result.Uncontrolled}
		if err == nil {
			m.Threads, m.Version, err = readCyclictest(file, r.p.Priority, limit)
		}
		if err != nil {
			m.Outcome, m.Error = result.Failed, cmp.Or(lastLine(string(out)), err.Error())
		}
		r.outcome(m)
		return m, nil
	})
	if err != nil || m == nil {
		return nil, err
	}
	c.Threads = m.Threads
	it := Item{}
	if what != "control" {
		it.Flags = []string{what}
	}
	r.add(m, result.C, it, loads, c)
	last := r.out.Measurements[len(r.out.Measurements)-1]
	if last.Validity == result.Void {
		fmt.Fprintf(r.progress, "        VOID: %s: nothing measured under this load may be compared\n", last.Void)
	}
	return c, nil
}

func readCyclictest(file string, prio, limit int) ([]result.Thread, string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	c, err := cyclictest.Read(f)
	if err != nil {
		return nil, "", err
	}
	t, err := c.Threads(prio, 1000, limit)
	return t, "rt-tests " + c.TestVersion, err
}

// repeated compares two measurements of the same.
func (r *runner) repeated(toolchain, what string, loads []string, a, b *result.Stats) {
	rep := result.Repeat(a, b, r.p.Tolerance)
	rep.Toolchain, rep.Scenario, rep.Load = toolchain, what, cmp.Or(strings.Join(loads, "+"), "none")
	e := &r.out.Environments[0]
	e.Repeatability = append(e.Repeatability, rep)
	fmt.Fprintf(r.progress, "        the same twice: p50 differs by %.1f %%, p99 by %.1f %%, max by %.1f %% (tolerance %.0f %%)\n",
		100*rep.P50, 100*rep.P99, 100*rep.Max, 100*rep.Tolerance)
}

// Problems are the causes of the problem set, in order; see rtlatency problem.
var Problems = []string{"handoff", "retake", "time-slice", "own-slice", "gc-worker", "stop-the-world", "assist", "heap-lock",
	"chan-lock", "lock-inversion", "timers", "livelock", "sysmon"}

// problem runs the set that shows the causes, with stock Go and with rtgo.
func (r *runner) problem(ctx context.Context) error {
	for _, t := range r.p.goPrograms() {
		for _, name := range Problems {
			if r.step(t.name+" problem/"+name, "") {
				continue
			}
			file := filepath.Join(r.dir, "p.json")
			os.Remove(file)
			ctx, cancel := context.WithTimeout(ctx, 6*r.p.Duration+2*time.Minute)
			cmd := exec.CommandContext(ctx, t.exe, "problem", "-only", name, "-D", r.p.Duration.String(), "-p", fmt.Sprint(r.p.Priority), "-result", file)
			out, err := cmd.CombinedOutput()
			cancel()
			run, rerr := result.ReadFile(file)
			if rerr != nil {
				if e := context.Cause(ctx); errors.Is(e, context.Canceled) {
					return e
				}
				r.abort("problem/%s, %s: %s", name, t.name, cmp.Or(lastLine(string(out)), fmt.Sprint(err)))
				continue
			}
			for _, m := range run.Measurements {
				m.Env, m.Toolchain = r.out.Environments[0].ID, t.name
				m.ID = strings.Join([]string{m.Env, t.name, m.ID}, "/")
				r.out.Measurements = append(r.out.Measurements, m)
			}
			r.outcome(&r.out.Measurements[len(r.out.Measurements)-1])
			if err := r.saved(r.out); err != nil {
				return err
			}
		}
	}
	return nil
}

// Choose sets the plan's scenarios and loads from what a user named: a set,
// comma-separated scenarios, or both; loads, "quick" and "full" standing for
// the lists of these names.
func (p *Plan) Choose(set, scenarios string, loads []string) error {
	if set == "" && scenarios == "" && !p.Problem {
		set = "figures"
	}
	if set != "" {
		s, ok := Sets[set]
		if !ok {
			return fmt.Errorf("no set %q; there are smoke, figures, periodic, handover, network, timers, memory and full", set)
		}
		p.Scenarios = append(p.Scenarios, s...)
	}
	if scenarios != "" {
		for _, s := range strings.Split(scenarios, ",") {
			// "periodic/abs -i100" has flags of its own.
			f := strings.Fields(s)
			if len(f) == 0 {
				continue
			}
			p.Scenarios = append(p.Scenarios, Item{Scenario: f[0], Flags: f[1:]})
		}
	}
	if len(loads) == 0 {
		loads = []string{"quick"}
	}
	for _, l := range loads {
		if many, ok := Loads[l]; ok {
			p.Loads = append(p.Loads, many...)
		} else {
			p.Loads = append(p.Loads, l)
		}
	}
	return nil
}
