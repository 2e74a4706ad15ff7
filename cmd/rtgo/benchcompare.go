// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"rtgo.dev/rtgo/internal/benchcmp"
	"rtgo.dev/rtgo/internal/lab"
	"rtgo.dev/rtgo/internal/upstreamtest"
)

func init() {
	register("bench-compare", "run upstream's benchmarks with two toolchains, interleaved", benchCompareHelp, benchCompare)
}

const benchCompareHelp = `usage: rtgo bench-compare [flags]

Runs upstream's scheduler, channel, timer, net, malloc and sync benchmarks with
two toolchains, a (by default unpatched Go) and b (by default out/go), and
prints the difference of each and of the geometric means with confidence
intervals. Test binaries are compiled once; every benchmark then runs
alternately with a and b in many short rounds. Run it on an otherwise idle
machine.

With -limit the geomean must stay at or below it with its whole 95% interval.
-control runs a a second time as a third side: what it differs from itself is
the noise of the machine.

-lab runs everything in the lab instead, in one boot of a virtual machine with
one CPU whose clock counts instructions (docs/lab.md). Other load of this
machine has no influence there, and a few rounds are enough; the figures are
path lengths, without caches. CGO_ENABLED=0.

-instructions counts those of the program, without the kernel's, with valgrind
and one P, without preemption and collections. It needs no idle machine either.
Benchmarks in which goroutines take turns may go another way in each round.

Exit status: 0 within the limit, or none given; 1 beyond the limit,
inconclusive, or an error; 2 wrong usage.

Examples:
  rtgo bench-compare -limit 1 -rounds 30 -control
  rtgo bench-compare -groups channel,timer -rounds 10
  rtgo bench-compare -env GOEXPERIMENT=nort -keep out/bench    then: benchstat out/bench/a.txt out/bench/b.txt
  rtgo bench-compare -pkg net/http -bench 'ClientServer' -rounds 20
  rtgo bench-compare -lab amd64 -limit 1 -rounds 6 -benchtime 10ms
  rtgo bench-compare -instructions -limit 1 -rounds 6
`

func benchCompare(args []string) int {
	const name = "bench-compare"
	var groupNames []string
	for _, g := range benchcmp.Groups {
		groupNames = append(groupNames, g.Name)
	}
	fs := newFlags(name)
	var env stringList
	var (
		a         = fs.String("a", "", "reference GOROOT `dir`ectory (default: that of the go command on PATH, or what it downloads)")
		b         = fs.String("b", "", "examined GOROOT `dir`ectory (default: out/go in the repository)")
		groups    = fs.String("groups", strings.Join(groupNames, ","), "`list` of benchmark groups")
		pkg       = fs.String("pkg", "", "run benchmarks of this std `package` instead of the groups")
		bench     = fs.String("bench", ".*", "with -pkg: benchmarks matching `regexp`, without the word Benchmark")
		rounds    = fs.Int("rounds", 20, "rounds; below 6 there are no 95% intervals")
		benchtime = fs.String("benchtime", "50ms", "go test -benchtime of each run")
		cpu       = fs.String("cpu", "", "go test -cpu `list`")
		limit     = fs.Float64("limit", 0, "largest slow-down of the geomean, in percent; 0 only reports")
		control   = fs.Bool("control", false, "compare a with itself as well")
		inLab     = fs.String("lab", "", "run in the lab, on a machine of this `architecture`: amd64 or arm64")
		count     = fs.Bool("instructions", false, "count instructions instead of time")
		keep      = fs.String("keep", "", "keep the raw output in `dir`, for benchstat")
		jsonFile  = fs.String("json", "", "write the report as JSON to `file`")
		quiet     = fs.Bool("q", false, "no progress on standard error")
	)
	fs.Var(&env, "env", "`K=V` for compiling and running b; may be repeated")
	if _, code, ok := parse(fs, args, 0); !ok {
		return code
	}
	if *rounds < 1 || *limit < 0 {
		return usageError(name, "-rounds must be positive and -limit not negative")
	}
	if _, err := regexp.Compile(*bench); err != nil {
		return usageError(name, "-bench: %v", err)
	}
	if *inLab != "" && *cpu != "" {
		return usageError(name, "the lab's machine has one CPU; -lab excludes -cpu")
	}
	if *count && (*cpu != "" || *inLab != "") {
		return usageError(name, "-instructions excludes -cpu and -lab")
	}
	o := benchcmp.Options{Rounds: *rounds, Benchtime: *benchtime, CPU: *cpu, Keep: *keep, Count: *count}
	if !*quiet {
		o.Progress = io.Writer(os.Stderr)
	}
	if *pkg != "" {
		o.Groups = []benchcmp.Group{{Name: *pkg, Pkg: *pkg, Bench: *bench}}
	} else {
		for _, want := range strings.Split(*groups, ",") {
			i := slices.Index(groupNames, want)
			if i < 0 {
				return usageError(name, "unknown group %q; known are %s", want, strings.Join(groupNames, ", "))
			}
			o.Groups = append(o.Groups, benchcmp.Groups[i])
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	repo := ""
	if *b == "" {
		var err error
		if repo, err = repoRoot(); err != nil {
			return fail(name, err)
		}
	}
	broot, err := builtGOROOT(repo, *b)
	if err != nil {
		return fail(name, err)
	}
	bv, err := (&upstreamtest.Tree{GOROOT: broot, Env: env}).Version(ctx)
	if err != nil {
		return fail(name, err)
	}
	upstream := "" // a named reference may be of any version
	if *a == "" {
		upstream = upstreamtest.UpstreamVersion(bv)
	}
	at, err := unpatchedTree(ctx, *a, upstream)
	if err != nil {
		return fail(name, err)
	}
	av, err := at.Version(ctx)
	if err != nil {
		return fail(name, err)
	}
	machine := upstreamtest.Platform()
	cpus := runtime.NumCPU()
	if *inLab != "" {
		if o.Lab, err = benchLab(ctx, *inLab); err != nil {
			return fail(name, err)
		}
		machine, cpus = "linux/"+*inLab+", simulated time", 1
	}
	sides := []*benchcmp.Side{{Label: "a", GOROOT: at.GOROOT}, {Label: "b", GOROOT: broot, Env: env}}
	if *control {
		sides = append(sides, &benchcmp.Side{Label: "control", GOROOT: at.GOROOT})
	}
	r := &benchcmp.Report{
		Schema: 1, Command: "rtgo bench-compare " + strings.Join(args, " "), Limit: *limit / 100,
		A: av + " " + at.GOROOT, B: strings.TrimSpace(bv + " " + broot + " " + strings.Join(env, " ")),
		Platform: machine, CPUs: cpus, Rounds: *rounds, Benchtime: *benchtime,
		Start: time.Now().UTC().Truncate(time.Second),
	}
	if *count {
		r.Benchtime = "counted instructions"
	}
	ms, err := benchcmp.Measure(ctx, sides, o)
	if err != nil {
		return fail(name, err)
	}
	r.Seconds = time.Since(r.Start).Round(time.Second).Seconds()
	r.Fill(ms)
	r.WriteText(os.Stdout)
	if *jsonFile != "" {
		if err := writeJSONFile(*jsonFile, r.WriteJSON); err != nil {
			return fail(name, err)
		}
	}
	switch r.Result {
	case benchcmp.Beyond:
		return fail(name, fmt.Errorf("the geomean is %s, beyond the limit of %+.2f%%", r.Geomean, *limit))
	case benchcmp.Inconclusive:
		return fail(name, fmt.Errorf("inconclusive: the geomean is %s, the limit %+.2f%%; give more -rounds on an idle machine", r.Geomean, *limit))
	}
	return 0
}

// benchLab makes ready a boot of the lab for benchmarks.
func benchLab(ctx context.Context, arch string) (*benchcmp.Lab, error) {
	a, err := lab.ParseArch(arch)
	if err != nil {
		return nil, err
	}
	store, err := labStore()
	if err != nil {
		return nil, err
	}
	s := &labSetup{arch: arch, clock: string(lab.Icount), cpus: 1, mem: 2048, seed: 1, timeout: 2 * time.Hour, bootTime: lab.DefaultLimits.Boot, hang: 5 * time.Minute}
	job, err := s.job(ctx, store, a)
	if err != nil {
		return nil, err
	}
	return &benchcmp.Lab{Arch: a, Store: store, Job: job, Boot: func(ctx context.Context, j *lab.Job) *lab.Result {
		return lab.Run(ctx, j, labLock(store), os.Stderr)
	}}, nil
}
