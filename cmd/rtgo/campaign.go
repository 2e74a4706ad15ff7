// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"rtgo.dev/rtgo/internal/lab"
	"rtgo.dev/rtgo/internal/lab/wire"
	"rtgo.dev/rtgo/test/rtlatency/campaign"
	"rtgo.dev/rtgo/test/rtlatency/ctwin"
	"rtgo.dev/rtgo/test/rtlatency/result"
)

func init() {
	register("campaign", "measure latencies of stock Go, rtgo and C side by side", campaignHelp, runCampaign)
}

const campaignHelp = `
Usage: rtgo campaign [flags]

Campaign builds the latency suite with stock Go and with rtgo, and its C twin,
and measures scenarios under loads with all of them and cyclictest, one after
the other, each load with its control: on this machine (host), or in the lab
(amd64, arm64). Results of several machines go into one file, which "rtgo
report" renders.

A campaign consists of parts: at most 12 scenarios under one load, with a
control of their own. In the lab each part is one boot, and programs are
compared within it. The file is written after each part; -resume goes on where
an interrupted campaign ended.

Lab figures are in simulated time and repeat on any host; host figures are as
good as the host: on a machine that others share the control fails and says so.

Examples:
	rtgo campaign -on amd64 -set smoke -D 2s -o out/smoke.json
	rtgo campaign -on amd64,arm64 -set figures -load alloc,cpu -D 10s -o out/figures.json
	rtgo campaign -on host -scenario 'periodic/abs -i250,handover/chan' -load none -load stw:1000
	rtgo campaign -on host -split 1 -scenario handover/chan,network/udp -stock none
	rtgo campaign -on amd64,arm64,host -set full -load full -problem -D 10s -resume -o out/full.json
	                               the long campaign: all there is; docs/rtlatency.md says how long
	rtgo campaign -on amd64,arm64,host -set full -load full -problem -D 10s -n
	                               only list its parts
	rtgo report out/figures.json -o out/report

Exit status: 0 measured, 1 an error or a boot that failed, 2 wrong usage.
`

func runCampaign(args []string) int {
	const name = "campaign"
	flags := newFlags(name)
	var loads stringList
	p := &campaign.Plan{}
	on := flags.String("on", "amd64", "comma-separated `machines`: amd64 and arm64 (lab), host")
	set := flags.String("set", "", "`set` of scenarios: smoke, figures, periodic, handover, network, timers, memory, full (default figures)")
	scenarios := flags.String("scenario", "", "comma-separated `scenarios`, each with its own flags if it has any (rtlatency --list)")
	flags.Var(&loads, "load", "`load` as for rtlatency --load, or quick or full for a list; may be repeated (default quick)")
	flags.DurationVar(&p.Duration, "D", 10*time.Second, "length of each measurement, in the machine's time")
	flags.IntVar(&p.Priority, "p", 80, "priority of the tasks")
	flags.BoolVar(&p.Mlock, "m", true, "lock memory")
	flags.StringVar(&p.Split, "split", "", "the `CPU` that tasks have to themselves, with everything else on the others (default: no split)")
	flags.DurationVar(&p.Bound, "bound", 100*time.Microsecond, "worst latency of the control beyond which a load's measurements are void")
	flags.Float64Var(&p.Tolerance, "tolerance", 0.1, "relative difference within which the control must repeat; 0 skips this")
	flags.BoolVar(&p.Problem, "problem", false, "also run the set that shows what makes stock Go late")
	flags.StringVar(&p.Title, "title", "", "`text` for the report")
	stock := flags.String("stock", "", "GOROOT `dir` of stock Go (default: that of the go command on PATH; none leaves it out)")
	rtgo := flags.String("rtgo", "", "GOROOT `dir` of rtgo (default: out/go in the repository; none leaves it out)")
	noC := flags.Bool("no-c", false, "leave out the C twins")
	out := flags.String("o", "", "result `file` (default out/campaign/result.json)")
	limit := flags.Duration("timeout", 0, "time limit of each boot of the lab, in this host's time (default: 10 minutes and five times its measurements)")
	seed := flags.Int("seed", 0, "seed of the lab's randomness, a `number`: another one gives another run")
	resume := flags.Bool("resume", false, "keep what the result file has, and measure what it lacks")
	list := flags.Bool("n", false, "list the parts and the least time they take, and measure nothing")
	rest, code, ok := parse(flags, args, 0)
	if !ok {
		return code
	}
	_ = rest
	machines := strings.Split(*on, ",")
	for _, m := range machines {
		if !slices.Contains([]string{"amd64", "arm64", "host"}, m) {
			return usageError(name, "-on: no machine %q", m)
		}
	}
	if err := p.Choose(*set, *scenarios, loads); err != nil {
		return usageError(name, "%v", err)
	}
	p.Programs.Stock = "planned" // so that the plan can be checked before anything is built
	if err := p.Check(); err != nil {
		return usageError(name, "%v", err)
	}
	root, err := repoRoot()
	if err != nil {
		return fail(name, err)
	}
	if *out == "" {
		*out = filepath.Join(root, "out", "campaign", "result.json")
	}
	if err := os.MkdirAll(filepath.Dir(*out), 0o755); err != nil {
		return fail(name, err)
	}
	ctx, stop := labContext()
	defer stop()
	c := &campaigner{root: root, plan: p, out: *out, limit: *limit, seed: *seed, noC: *noC, list: *list}
	if c.goroots, err = campaignToolchains(ctx, root, *stock, *rtgo); err != nil {
		return fail(name, err)
	}
	c.run = &result.Run{Version: result.Version, Title: p.Title, Start: time.Now(), Command: append([]string{"rtgo", name}, args...)}
	if *resume {
		r, err := result.ReadFile(*out)
		if err == nil {
			c.run, c.run.Aborts = r, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fail(name, err)
		}
	}
	failed := false
	for _, m := range machines {
		if err := c.on(ctx, m); err != nil {
			fmt.Fprintf(os.Stderr, "rtgo %s: %s: %v\n", name, m, err)
			c.run.Aborts = append(c.run.Aborts, fmt.Sprintf("%s: %v", m, err))
			failed = true
		}
		if ctx.Err() != nil {
			break
		}
	}
	if *list {
		fmt.Printf("%d parts, %d measurements, at least %v in the machines' time\n", c.parts, c.jobs, (time.Duration(c.jobs) * p.Duration).Round(time.Second))
		return 0
	}
	c.run.End = time.Now()
	if len(c.run.Measurements) == 0 {
		return fail(name, errors.New("nothing was measured"))
	}
	if err := c.run.WriteFile(*out); err != nil {
		return fail(name, err)
	}
	fmt.Printf("%d measurements in %s; rtgo report %s -o DIR renders them\n", len(c.run.Measurements), *out, *out)
	if failed {
		return 1
	}
	return 0
}

// campaignToolchains returns the GOROOTs to build the suite with.
func campaignToolchains(ctx context.Context, root, stock, rtgo string) ([]string, error) {
	var out []string
	if stock == "" {
		b, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return nil, fmt.Errorf("no go command on PATH: %w; name stock Go with -stock", err)
		}
		stock = string(bytes.TrimSpace(b))
	}
	if rtgo == "" {
		rtgo = filepath.Join(root, "out", "go")
	}
	for _, dir := range []string{stock, rtgo} {
		if dir == "none" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "bin", "go")); err != nil {
			return nil, fmt.Errorf("no toolchain in %s; ./build.sh makes out/go, -stock and -rtgo name others or none", dir)
		}
		out = append(out, dir)
	}
	if len(out) == 0 {
		return nil, errors.New("no toolchain to measure with")
	}
	return out, nil
}

// A campaigner carries one plan out on one machine after the other.
type campaigner struct {
	root    string
	plan    *campaign.Plan
	goroots []string
	noC     bool
	out     string
	limit   time.Duration
	seed    int
	run     *result.Run
	list    bool // only list the parts

	parts, jobs int // listed
}

// build compiles all programs for goarch and returns a plan that names them.
func (c *campaigner) build(ctx context.Context, goarch string) (*campaign.Plan, error) {
	p := *c.plan
	p.Programs = campaign.Programs{}
	p.Environment = result.Environment{}
	dir := filepath.Join(c.root, "out", "cache", "rtlatency")
	for _, goroot := range c.goroots {
		exe, t, err := campaign.BuildProgram(ctx, c.root, goroot, goarch, dir)
		if err != nil {
			return nil, err
		}
		if t.Name == result.RTGo {
			p.Programs.RTGo = exe
		} else {
			p.Programs.Stock = exe
		}
		p.Environment.Toolchains = append(p.Environment.Toolchains, t)
	}
	if !c.noC {
		exe, err := ctwin.Build(ctx, goarch, dir)
		if err != nil {
			return nil, fmt.Errorf("%w; -no-c goes without", err)
		}
		p.Programs.CTwin = exe
	}
	return &p, nil
}

// partSize bounds the scenarios of one boot, so that one that fails loses
// little and its time limit can be stated.
const partSize = 12

// on carries the plan out on one machine, part by part. The result file is
// written after each.
func (c *campaigner) on(ctx context.Context, machine string) error {
	goarch := machine
	if machine == "host" {
		goarch = runtime.GOARCH
	}
	p, err := c.build(ctx, goarch)
	if err != nil {
		return err
	}
	measure, err := c.machine(machine, p)
	if err != nil {
		return err
	}
	if e := c.run.Env(&result.Measurement{Env: p.Environment.ID}); e != nil && !slices.Equal(e.Toolchains, p.Environment.Toolchains) {
		return fmt.Errorf("-resume: %s was measured with %v, now there is %v; write to another file", c.out, e.Toolchains, p.Environment.Toolchains)
	}
	var errs []error
	start := time.Now()
	parts := p.Parts(partSize)
	for i, q := range parts {
		what := fmt.Sprintf("%s, part %d of %d: %s", p.Environment.ID, i+1, len(parts), q.Name())
		if q.In(c.run) {
			fmt.Printf("%s: measured before\n", what)
			continue
		}
		if c.list {
			fmt.Printf("%s: %d measurements\n", what, q.Jobs())
			c.parts++
			c.jobs += q.Jobs()
			continue
		}
		fmt.Printf("%s (after %v)\n", what, time.Since(start).Round(time.Second))
		r, err := measure(ctx, q)
		if r != nil {
			c.add(r)
			errs = append(errs, c.run.WriteFile(c.out))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", q.Name(), err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// add adds the results of a part in place of those that an attempt before gave.
func (c *campaigner) add(r *result.Run) {
	ids := make(map[string]bool)
	for i := range r.Measurements {
		ids[r.Measurements[i].ID] = true
	}
	c.run.Measurements = slices.DeleteFunc(c.run.Measurements, func(m result.Measurement) bool { return ids[m.ID] })
	for _, e := range r.Environments {
		if have := c.run.Env(&result.Measurement{Env: e.ID}); have != nil {
			have.Repeatability = slices.DeleteFunc(have.Repeatability, func(x result.Repeatability) bool {
				return slices.ContainsFunc(e.Repeatability, func(y result.Repeatability) bool {
					return x.Toolchain == y.Toolchain && x.Scenario == y.Scenario && x.Load == y.Load
				})
			})
		}
	}
	c.run.Add(r)
}

// machine completes p for a machine and returns what measures a part of it
// there.
func (c *campaigner) machine(name string, p *campaign.Plan) (func(context.Context, *campaign.Plan) (*result.Run, error), error) {
	e := &p.Environment
	if name == "host" {
		e.ID, e.Machine = "host", "host"
		var err error
		if p.Programs.Cyclictest, err = exec.LookPath("cyclictest"); err != nil {
			fmt.Fprintln(os.Stderr, "rtgo campaign: no cyclictest (apt-get install rt-tests): measurements on the host have no control")
		}
		return func(ctx context.Context, q *campaign.Plan) (*result.Run, error) {
			return campaign.Run(ctx, q, os.Stdout, func(*result.Run) error { return nil })
		}, nil
	}
	e.ID, e.Machine, e.Simulated = "lab-"+name, "lab", true
	e.Emulator, e.EmuArgs = "qemu", "-icount shift=2,sleep=off, one CPU"
	store, err := labStore()
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, q *campaign.Plan) (*result.Run, error) {
		boot := *q
		return c.boot(ctx, store, name, &boot)
	}, nil
}

// Paths in the guest.
const (
	guestPlan   = "/campaign/plan.json"
	guestResult = "/campaign/result.json.gz"
)

func (c *campaigner) boot(ctx context.Context, store *lab.Store, machine string, p *campaign.Plan) (*result.Run, error) {
	limit := c.limit
	if limit == 0 {
		limit = 10*time.Minute + 5*time.Duration(p.Jobs())*p.Duration
	}
	s := &labSetup{arch: machine, clock: string(lab.Icount), cpus: 1, mem: 2048, seed: c.seed, timeout: limit, bootTime: lab.DefaultLimits.Boot, hang: 5 * time.Minute}
	job, err := s.job(ctx, store, lab.Arch(machine))
	if err != nil {
		return nil, err
	}
	add := func(exe *string) error {
		if *exe == "" {
			return nil
		}
		guest := "/campaign/" + filepath.Base(*exe)
		host := *exe
		*exe = guest
		return job.Image.AddProgram(guest, host, store, lab.Arch(machine))
	}
	runner := p.Programs.Stock
	if runner == "" {
		runner = p.Programs.RTGo
	}
	runner = "/campaign/" + filepath.Base(runner)
	if err := errors.Join(add(&p.Programs.Stock), add(&p.Programs.RTGo), add(&p.Programs.CTwin)); err != nil {
		return nil, err
	}
	plan, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	job.Image.AddData(guestPlan, plan, 0o644)
	job.Image.AddDir("/campaign")
	job.Plan.Steps = append(job.Plan.Steps, wire.Step{
		Name: "campaign",
		Argv: []string{runner, "campaign", "-plan", guestPlan, "-o", guestResult, "-stream"},
	})
	// What was measured before a machine dies is kept.
	stream := &campaign.Stream{Text: os.Stdout}
	job.OnOutput = func(_ string, fd int, data []byte) {
		if fd == 2 {
			os.Stderr.Write(data)
		} else {
			stream.Write(data)
		}
	}
	res, err := s.boot(ctx, store, job)
	if err != nil {
		return nil, err
	}
	run := stream.Run
	if run != nil {
		err = errors.Join(stream.Err, run.Check())
	}
	if err != nil {
		return nil, err
	}
	if res.Outcome != lab.OK {
		if res.Diagnosis != "" {
			fmt.Fprintln(os.Stderr, res.Diagnosis)
		}
		err = fmt.Errorf("%s: %s", res.Outcome, res.Reason)
	} else if run == nil {
		err = errors.New("the machine sent no result")
	}
	return run, err
}
