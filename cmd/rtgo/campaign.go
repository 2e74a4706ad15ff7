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
(amd64, arm64), where each load is one boot and all its figures are of that
boot. Results of several machines go into one file, which "rtgo report" renders.

Lab figures are in simulated time and repeat on any host; host figures are as
good as the host: on a machine that others share the control fails and says so.

Examples:
	rtgo campaign -on amd64 -set smoke -D 2s -o out/smoke.json
	rtgo campaign -on amd64,arm64 -set figures -load alloc,cpu -D 10s -o out/figures.json
	rtgo campaign -on amd64,arm64,host -set full -load full -problem -D 30s -o out/full.json
	rtgo campaign -on host -scenario 'periodic/abs -i250,handover/chan' -load none -load stw:1000
	rtgo report out/figures.json -o out/report

Exit status: 0 measured, 1 an error or a boot that failed, 2 wrong usage.
`

func runCampaign(args []string) int {
	const name = "campaign"
	fs := newFlags(name)
	var loads stringList
	p := &campaign.Plan{}
	on := fs.String("on", "amd64", "comma-separated `machines`: amd64 and arm64 (lab), host")
	set := fs.String("set", "", "`set` of scenarios: smoke, figures, periodic, handover, network, timers, memory, full (default figures)")
	scenarios := fs.String("scenario", "", "comma-separated `scenarios`, each with its own flags if it has any (rtlatency --list)")
	fs.Var(&loads, "load", "`load` as for rtlatency --load, or quick or full for a list; may be repeated (default quick)")
	fs.DurationVar(&p.Duration, "D", 10*time.Second, "length of each measurement, in the machine's time")
	fs.IntVar(&p.Priority, "p", 80, "priority of the tasks")
	fs.BoolVar(&p.Mlock, "m", true, "lock memory")
	fs.DurationVar(&p.Bound, "bound", 100*time.Microsecond, "worst latency of the control beyond which a load's measurements are void")
	fs.Float64Var(&p.Tolerance, "tolerance", 0.1, "relative difference within which the control must repeat; 0 skips this")
	fs.BoolVar(&p.Problem, "problem", false, "also run the set that shows what makes stock Go late")
	fs.StringVar(&p.Title, "title", "", "`text` for the report")
	stock := fs.String("stock", "", "GOROOT `dir` of stock Go (default: that of the go command on PATH; none leaves it out)")
	rtgo := fs.String("rtgo", "", "GOROOT `dir` of rtgo (default: out/go in the repository; none leaves it out)")
	noC := fs.Bool("no-c", false, "leave out the C twins")
	out := fs.String("o", "", "result `file` (default out/campaign/result.json)")
	limit := fs.Duration("timeout", 30*time.Minute, "time limit of each boot of the lab, in this host's time")
	rest, code, ok := parse(fs, args, 0)
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
	c := &campaigner{root: root, plan: p, out: *out, limit: *limit, noC: *noC}
	if c.goroots, err = campaignToolchains(ctx, root, *stock, *rtgo); err != nil {
		return fail(name, err)
	}
	c.run = &result.Run{Version: result.Version, Title: p.Title, Start: time.Now(), Command: append([]string{"rtgo", name}, args...)}
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
	run     *result.Run
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

func (c *campaigner) on(ctx context.Context, machine string) error {
	if machine == "host" {
		return c.onHost(ctx)
	}
	return c.inLab(ctx, machine)
}

func (c *campaigner) save() error { return c.run.WriteFile(c.out) }

func (c *campaigner) onHost(ctx context.Context) error {
	p, err := c.build(ctx, runtime.GOARCH)
	if err != nil {
		return err
	}
	p.Environment.ID, p.Environment.Machine = "host", "host"
	if p.Programs.Cyclictest, err = exec.LookPath("cyclictest"); err != nil {
		fmt.Fprintln(os.Stderr, "rtgo campaign: no cyclictest (apt-get install rt-tests): measurements on the host have no control")
	}
	r, err := campaign.Run(ctx, p, os.Stdout, func(*result.Run) error { return nil })
	if r != nil {
		c.run.Add(r)
		err = errors.Join(err, c.save())
	}
	return err
}

// inLab boots once for each load, so that a machine that dies takes no other
// load's figures with it.
func (c *campaigner) inLab(ctx context.Context, machine string) error {
	p, err := c.build(ctx, machine)
	if err != nil {
		return err
	}
	store, err := labStore()
	if err != nil {
		return err
	}
	type boot struct {
		loads   []string
		problem bool
	}
	var boots []boot
	for _, l := range p.Loads {
		if len(p.Scenarios) > 0 {
			boots = append(boots, boot{loads: []string{l}})
		}
	}
	if p.Problem {
		boots = append(boots, boot{problem: true})
	}
	var errs []error
	for i, b := range boots {
		q := *p
		q.Loads, q.Problem = b.loads, b.problem
		what := strings.Join(b.loads, "")
		if b.problem {
			q.Scenarios, what = nil, "problem set"
		}
		fmt.Printf("lab %s, boot %d of %d: %s\n", machine, i+1, len(boots), what)
		r, err := c.boot(ctx, store, machine, &q)
		if r != nil {
			c.addLab(r)
			errs = append(errs, c.save())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", what, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// addLab appends the results of one more boot of the same virtual machine.
func (c *campaigner) addLab(r *result.Run) {
	if len(r.Environments) == 1 {
		if e := c.run.Env(&result.Measurement{Env: r.Environments[0].ID}); e != nil && e.Repeatability == nil {
			e.Repeatability = r.Environments[0].Repeatability
		}
	}
	c.run.Add(r)
}

// Paths in the guest. The result is compressed because it comes back over
// a serial line.
const (
	guestPlan   = "/campaign/plan.json"
	guestResult = "/campaign/result.json.gz"
)

func (c *campaigner) boot(ctx context.Context, store *lab.Store, machine string, p *campaign.Plan) (*result.Run, error) {
	s := &labSetup{arch: machine, clock: string(lab.Icount), cpus: 1, mem: 2048, timeout: c.limit, hang: 5 * time.Minute}
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
	p.Programs.Cyclictest = "" // from the guest's PATH
	p.Environment.ID, p.Environment.Machine, p.Environment.Simulated = "lab-"+machine, "lab", true
	p.Environment.Emulator, p.Environment.EmuArgs = "qemu", "-icount shift=2,sleep=off, one CPU"
	plan, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	job.Image.AddData(guestPlan, plan, 0o644)
	job.Image.AddDir("/campaign")
	job.Plan.Steps = append(job.Plan.Steps, wire.Step{
		Name: "campaign",
		Argv: []string{runner, "campaign", "-plan", guestPlan, "-o", guestResult},
		Get:  []string{guestResult},
	})
	job.OnOutput = func(_ string, fd int, data []byte) {
		if fd == 2 {
			os.Stderr.Write(data)
		} else {
			os.Stdout.Write(data)
		}
	}
	res, err := s.boot(ctx, store, job)
	if err != nil {
		return nil, err
	}
	var run *result.Run
	if b, ok := res.Files[guestResult]; ok {
		if run, err = result.Read(bytes.NewReader(b)); err != nil {
			return nil, err
		}
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
