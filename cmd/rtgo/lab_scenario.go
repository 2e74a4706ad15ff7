// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rtgo.dev/rtgo/internal/lab"
)

func init() {
	labCommands = append(labCommands,
		labCommand{"scenario", labScenarioHelp, labScenario},
		labCommand{"smoke", labSmokeHelp, labSmoke})
}

const labScenarioHelp = `usage: rtgo lab scenario [flags] FILE

Runs the measurements that the JSON file describes in one boot: each with its
load, and before and after it cyclictest beside the same load as the control. A
run whose control exceeds its bound (100 µs unless the file says otherwise) is
void: it is reported as such and compared with nothing. docs/lab.md describes
the file.

With -repeat the scenario is booted several times and the report says by how
much the figures differ and whether that is within the scenario's tolerance.
The same seed gives the same figures; -vary-seed shows how much they owe to
chance.

Exit status: 0 all runs valid and within their limits; 1 a void run, a failure,
or figures beyond the tolerance; 2 a latency exceeds its limit, or wrong usage.

Examples:
  rtgo lab scenario docs/lab/busy-loops.json
  rtgo lab scenario -repeat 2 -json out/report.json test.json
  rtgo lab scenario -arch arm64 -repeat 3 -vary-seed test.json
  rtgo lab scenario -clock icount -arch arm64 docs/lab/two-cpus.json    void, as it should be
`

func labScenario(args []string) int {
	fs := labFlags("scenario")
	arch := fs.String("arch", "", "`architecture` in place of the file's")
	cpus := fs.Int("cpus", 0, "number of `CPUs` in place of the file's")
	clock := fs.String("clock", "", "`clock` in place of the file's: icount, bochs, host or kvm")
	kernel := fs.String("kernel", "", "boot this kernel `file` instead of Debian's")
	repeat := fs.Int("repeat", 1, "boots")
	vary := fs.Bool("vary-seed", false, "give each boot another seed")
	seed := fs.Int("seed", 1, "seed of the guest's randomness")
	timeout := fs.Duration("timeout", 20*time.Minute, "time limit of each boot, in the host's time")
	limits := lab.DefaultLimits
	bootFlag(fs, &limits.Boot)
	hang := fs.Duration("hang", 90*time.Second, "without a sign of life for so long the guest hangs; in the host's time")
	jsonFile := fs.String("json", "", "write the report as JSON to `file`")
	console := fs.String("console", "", "write the consoles of the guests to `file`")
	noInstall := fs.Bool("no-install", false, "do not install QEMU if it is missing")
	if code, ok := labParse(fs, args); !ok {
		return code
	}
	if fs.NArg() != 1 {
		return labUsage(fs, "give one scenario file")
	}
	if *repeat < 1 {
		return labUsage(fs, "-repeat must be positive")
	}
	file := fs.Arg(0)
	s, err := lab.ReadScenario(file)
	if err != nil {
		return fail(fs.Name(), err)
	}
	if *arch != "" {
		if s.Arch, err = lab.ParseArch(*arch); err != nil {
			return labUsage(fs, "%v", err)
		}
	}
	if *clock != "" {
		s.Clock = lab.Clock(*clock)
	}
	if *cpus > 0 {
		s.CPUs = *cpus
	}
	ctx, stop := labContext()
	defer stop()
	store, err := labStore()
	if err != nil {
		return fail(fs.Name(), err)
	}
	limits.Hang, limits.Total = *hang, *timeout
	var log io.Writer
	if *console != "" {
		f, err := os.Create(*console)
		if err != nil {
			return fail(fs.Name(), err)
		}
		defer f.Close()
		log = f
	}
	var boots []*lab.ScenarioResult
	for i := range *repeat {
		n := *seed
		if *vary {
			n += i
		}
		j, err := scenarioJob(ctx, store, s, filepath.Dir(file), *kernel, limits, n, !*noInstall)
		if err != nil {
			return fail(fs.Name(), err)
		}
		j.Console = log
		j.OnStep = func(step string, begins bool) {
			if begins {
				fmt.Fprintf(os.Stderr, "lab: boot %d of %d: %s\n", i+1, *repeat, step)
			}
		}
		boots = append(boots, s.Judge(lab.Run(ctx, j, labLock(store), os.Stderr)))
		if ctx.Err() != nil {
			break
		}
	}
	r := lab.NewReport(s, boots)
	r.VariedSeeds = *vary
	r.QEMU = boots[0].Boot.Machine.Version(ctx)
	if mf, err := store.Manifest(s.Arch); err == nil {
		r.Packages = mf.Packages
	}
	if err := r.WriteText(os.Stdout); err != nil {
		return fail(fs.Name(), err)
	}
	if err := labWriteJSON(*jsonFile, r); err != nil {
		return fail(fs.Name(), err)
	}
	switch {
	case r.Outcome == lab.ThresholdBreach:
		return 2
	case r.Outcome != lab.OK:
		return 1
	case *repeat > 1 && !r.Repeatable:
		return fail(fs.Name(), fmt.Errorf("figures of %d boots differ by more than the tolerance", *repeat))
	}
	return 0
}

// scenarioJob makes ready one boot of s, whose files are relative to dir.
func scenarioJob(ctx context.Context, store *lab.Store, s *lab.Scenario, dir, kernel string, limits lab.Limits, seed int, install bool) (*lab.Job, error) {
	j := s.Job(kernel, nil, limits, seed)
	if err := j.Machine.Check(); err != nil {
		return nil, err
	}
	if err := j.Machine.Ensure(ctx, install, os.Stderr); err != nil {
		return nil, err
	}
	mf, err := store.Fetch(ctx, s.Arch, false, os.Stderr)
	if err != nil {
		return nil, err
	}
	if kernel == "" {
		j.Machine.Kernel = filepath.Join(store.Root(s.Arch), mf.Kernel)
	}
	if j.Image, err = store.BaseImage(ctx, s.Arch, mf, os.Stderr); err != nil {
		return nil, err
	}
	for _, f := range s.Files {
		host, guest, ok := strings.Cut(f, ":")
		if !filepath.IsAbs(host) {
			host = filepath.Join(dir, host)
		}
		if !ok || guest == "" {
			guest = "/root/" + filepath.Base(host)
		}
		if err := j.Image.AddTree(guest, host, store, s.Arch); err != nil {
			return nil, err
		}
	}
	return j, nil
}

const labSmokeHelp = `usage: rtgo lab smoke [flags]

Boots each architecture a few times and checks that the lab keeps its promises:
a PREEMPT_RT kernel, output, files and exit status passed through, two boots
alike, figures with valid controls, a control that fails (two CPUs of arm64), a
Go test, and every outcome made to happen and told from the others, with nothing
lost. It takes about five minutes.

Exit status: 0 all checks passed, 1 one failed or an error, 2 wrong usage.
`

func labSmoke(args []string) int {
	fs := labFlags("smoke")
	arch := fs.String("arch", "", "only this `architecture`: amd64 or arm64 (default: both)")
	jsonFile := fs.String("json", "", "write the checks as JSON to `file`")
	noInstall := fs.Bool("no-install", false, "do not install QEMU if it is missing")
	if code, ok := labParse(fs, args); !ok {
		return code
	}
	if fs.NArg() > 0 {
		return labUsage(fs, "unexpected argument %q", fs.Arg(0))
	}
	arches := lab.Arches
	if *arch != "" {
		a, err := lab.ParseArch(*arch)
		if err != nil {
			return labUsage(fs, "%v", err)
		}
		arches = []lab.Arch{a}
	}
	root, err := repoRoot()
	if err != nil {
		return fail(fs.Name(), err)
	}
	store, err := labStore()
	if err != nil {
		return fail(fs.Name(), err)
	}
	ctx, stop := labContext()
	defer stop()
	var checks []lab.Check
	for _, a := range arches {
		m := &lab.Machine{Arch: a}
		if err := m.Ensure(ctx, !*noInstall, os.Stderr); err != nil {
			return fail(fs.Name(), err)
		}
		c, err := lab.Smoke(ctx, store, a, labLock(store), root, os.Stdout)
		checks = append(checks, c...)
		if err != nil {
			return fail(fs.Name(), err)
		}
	}
	if err := labWriteJSON(*jsonFile, checks); err != nil {
		return fail(fs.Name(), err)
	}
	return labVerdict(checks)
}

// labWriteJSON writes v to the file, if one is given.
func labWriteJSON(file string, v any) error {
	if file == "" {
		return nil
	}
	return writeJSONFile(file, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", "\t")
		return e.Encode(v)
	})
}

// labVerdict prints how many checks passed and returns the exit status.
func labVerdict(checks []lab.Check) int {
	failed := 0
	for _, c := range checks {
		if !c.OK {
			failed++
		}
	}
	fmt.Printf("%d passed, %d failed\n", len(checks)-failed, failed)
	if failed > 0 {
		return 1
	}
	return 0
}
