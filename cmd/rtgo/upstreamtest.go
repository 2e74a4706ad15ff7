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
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"rtgo.dev/rtgo/internal/upstreamtest"
)

func init() {
	register("upstream-test", "run Go's own tests patched and unpatched, and compare", upstreamTestHelp, upstreamTest)
}

const upstreamTestHelp = `usage: rtgo upstream-test [flags] [packages]

Runs Go's own tests with a patched GOROOT and compares them, test by test and
subtest by subtest, with the unpatched one. No test may fail, vanish or be
skipped that passes unpatched.

The unpatched side comes from a recorded baseline if there is one for this Go
version and platform (test/upstream), else the unpatched tree is run as well.
A test that differs is retried in isolation on both sides before it is judged:

  regression      it happens patched and not unpatched: the comparison fails
  flaky           it happened unpatched too, in the same number of tries
  same-unpatched  on this machine it always happens unpatched too
  known-flake     the baseline saw that outcome in some of its runs
  unreproduced    seen once and never again in the tries, and no crash;
                  fails the comparison with -strict

Exit status: 0 no regression, 1 a regression or an error, 2 wrong usage.

Examples:
  rtgo upstream-test                              the ci set, out/go against the baseline
  rtgo upstream-test -baseline none               the same, running the unpatched tree too
  rtgo upstream-test -set std -json out/std.json
  for k in 1 2 3 4; do rtgo upstream-test -set cmd -piece $k/4 -json out/cmd$k.json; done
                                                  in pieces, each with a result of its own
  rtgo upstream-test net net/http                 these packages
  rtgo upstream-test -env GOEXPERIMENT=nort       with the real-time runtime compiled out
  rtgo upstream-test -test-env GODEBUG=rtmain=10 sync
                                                  with a setting in force in the tests
  rtgo upstream-test -realtime 10 sync net        each test function and subtest in real
                                                  time, at SCHED_FIFO 10; needs root
  rtgo upstream-test -record 5                    measure the unpatched tree, write its baseline
`

func upstreamTest(args []string) int {
	const name = "upstream-test"
	fs := newFlags(name)
	var env, testEnv stringList
	var (
		set       = fs.String("set", "ci", "package `set`: ci, std or cmd; ignored if packages are listed")
		piece     = fs.String("piece", "", "`K/N`: of the packages only each N-th, beginning with the K-th; the unpatched tree is run as well")
		goroot    = fs.String("goroot", "", "patched GOROOT `dir`ectory (default: out/go in the repository)")
		unpatched = fs.String("unpatched", "", "unpatched GOROOT `dir`ectory (default: that of the go command on PATH, or what it downloads)")
		baseline  = fs.String("baseline", "auto", "baseline `file`; none runs the unpatched tree instead; auto looks in test/upstream")
		record    = fs.Int("record", 0, "run the unpatched set `N` times and write the baseline")
		tries     = fs.Int("retries", 3, "isolated retries of a differing test, on each side")
		pkgTries  = fs.Int("package-retries", 2, "retries of a whole package, on each side")
		timeout   = fs.Duration("timeout", 20*time.Minute, "of one package's tests")
		p         = fs.Int("p", 0, "packages tested in parallel (default: the number of CPUs)")
		long      = fs.Bool("long", false, "without -short")
		realtime  = fs.Int("realtime", 0, "run each test function in a real-time goroutine of SCHED_FIFO `priority`, 1 to 98 (in a goroutine locked to its thread where unpatched), but those in -realtime-skip")
		rtSkip    = fs.String("realtime-skip", "", "`file` with tests that -realtime leaves ordinary, and why (default: test/upstream/realtime-skip.txt)")
		run       = fs.String("run", "", "only tests matching `regexp`; needs -baseline none")
		strict    = fs.Bool("strict", false, "unreproduced differences fail the comparison")
		jsonFile  = fs.String("json", "", "write the report as JSON to `file`")
		logDir    = fs.String("logs", "", "keep the raw go test -json streams in `dir`")
		quiet     = fs.Bool("q", false, "no progress on standard error")
	)
	fs.Var(&env, "env", "`K=V` for the patched side's environment; may be repeated")
	fs.Var(&testEnv, "test-env", "`K=V` for the patched side's test binaries alone; may be repeated")
	list, code, ok := parse(fs, args, -1)
	if !ok {
		return code
	}
	root, err := repoRoot()
	if err != nil {
		return fail(name, err)
	}
	for _, kv := range testEnv {
		if k, _, ok := strings.Cut(kv, "="); !ok || k == "" || strings.ContainsAny(kv, " \t'\"") {
			return usageError(name, "-test-env %q is not K=V without spaces and quotes", kv)
		}
	}
	if *realtime < 0 || *realtime > 98 {
		return usageError(name, "-realtime must be 1 to 98")
	}
	if *record < 0 || *tries < 1 || *pkgTries < 1 || *timeout <= 0 || *p < 0 {
		return usageError(name, "-record, -retries, -package-retries, -timeout and -p must be positive")
	}

	pkgs, err := upstreamtest.LookupSet(*set)
	if err != nil {
		return usageError(name, "%v", err)
	}
	if len(list) > 0 {
		pkgs = upstreamtest.Set{Name: "list", Packages: list}
	}
	if *piece != "" {
		if pkgs.Piece, pkgs.Pieces, err = upstreamtest.ParsePiece(*piece); err != nil {
			return usageError(name, "-piece: %v", err)
		}
		if *record > 0 || *baseline != "auto" && *baseline != "none" {
			return usageError(name, "a baseline is of a whole set; -piece excludes -record and -baseline FILE")
		}
		*baseline = "none"
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	opts := upstreamtest.Options{Timeout: *timeout, Parallel: *p, Long: *long, Run: *run, LogDir: *logDir, Progress: os.Stderr}
	if *quiet {
		opts.Progress = nil
	}
	command := "rtgo upstream-test " + strings.Join(args, " ")

	if *record > 0 {
		if *run != "" || *long {
			return usageError(name, "a baseline is of whole packages with -short; -record excludes -run and -long")
		}
		t, err := unpatchedTree(ctx, *unpatched, "")
		if err != nil {
			return fail(name, err)
		}
		b, err := upstreamtest.Record(ctx, t, pkgs, opts, *record, command)
		if err != nil {
			return fail(name, err)
		}
		file := *baseline
		if file == "auto" || file == "none" {
			file = upstreamtest.BaselineFile(filepath.Join(root, baselineDir), b.Go, b.Platform, b.Set)
		}
		if err := b.Write(file); err != nil {
			return fail(name, err)
		}
		fmt.Printf("%s: %d packages, %d pass, %d skip, %d fail, %d flaky in %d runs\n",
			file, b.Counts.Packages, b.Counts.Pass, b.Counts.Skip, b.Counts.Fail, b.Counts.Flaky, b.Runs)
		for _, f := range b.Flakes {
			fmt.Printf("  flake: %s: %s\n", f.Test, upstreamtest.Expectation(f.Runs))
		}
		return 0
	}

	patched, err := builtGOROOT(root, *goroot)
	if err != nil {
		return fail(name, err)
	}
	if patched, err = upstreamtest.OutsideModules(patched); err != nil {
		return fail(name, err)
	}
	j := &upstreamtest.Job{
		Patched: &upstreamtest.Tree{GOROOT: patched, Env: env, TestEnv: testEnv}, Set: pkgs, Options: opts,
		Tries: *tries, PackageTries: *pkgTries, Strict: *strict, Command: command,
	}
	version, err := j.Patched.Version(ctx)
	if err != nil {
		return fail(name, err)
	}
	upstream := upstreamtest.UpstreamVersion(version)
	j.Unpatched, err = unpatchedTree(ctx, *unpatched, upstream)
	if err != nil && *unpatched != "" {
		return fail(name, err)
	}
	noTree := err
	if *realtime != 0 {
		file := *rtSkip
		if file == "" {
			file = filepath.Join(root, baselineDir, "realtime-skip.txt")
		}
		skip, err := upstreamtest.ReadSkipList(file)
		if err != nil {
			return fail(name, err)
		}
		for _, t := range []*upstreamtest.Tree{j.Patched, j.Unpatched} {
			if t == nil {
				continue
			}
			dir, err := os.MkdirTemp("", "rtgo-realtime-")
			if err != nil {
				return fail(name, err)
			}
			defer os.RemoveAll(dir)
			if err := t.RealTime(dir, *realtime, skip); err != nil {
				return fail(name, err)
			}
		}
	}
	if *baseline != "none" && len(list) == 0 && !*long && *run == "" {
		file := *baseline
		if file == "auto" {
			file = upstreamtest.BaselineFile(filepath.Join(root, baselineDir), upstream, upstreamtest.Platform(), pkgs.Name)
		}
		b, err := upstreamtest.ReadBaseline(file)
		if err == nil {
			err = b.Usable(upstream, upstreamtest.Platform(), os.Geteuid() == 0)
		}
		switch {
		case err == nil:
			j.Baseline, j.BaselineFile = b, file
		case *baseline != "auto" || j.Unpatched == nil:
			return fail(name, fmt.Errorf("baseline %s: %v", file, err))
		default:
			fmt.Fprintf(os.Stderr, "rtgo upstream-test: running the unpatched tree: baseline %s: %v\n", file, err)
		}
	}
	if j.Baseline == nil && j.Unpatched == nil {
		return fail(name, noTree)
	}
	r, err := j.Run(ctx)
	if err != nil {
		return fail(name, err)
	}
	r.WriteText(os.Stdout)
	if *jsonFile != "" {
		if err := writeJSONFile(*jsonFile, r.WriteJSON); err != nil {
			return fail(name, err)
		}
	}
	if r.Result != "PASS" {
		return 1
	}
	return 0
}

// baselineDir holds the recorded outcomes of unpatched trees, below the
// repository's root.
const baselineDir = "test/upstream"

// builtGOROOT returns the directory of a built toolchain: dir, or the
// repository's out/go if that is "".
func builtGOROOT(repo, dir string) (string, error) {
	if dir == "" {
		dir = filepath.Join(repo, "out", "go")
	}
	// Tests run in it by its real name: the link may be moved meanwhile.
	real, err := filepath.EvalSymlinks(dir)
	if err == nil {
		real, err = filepath.Abs(real)
	}
	if err != nil {
		return "", fmt.Errorf("no toolchain at %s; run ./build.sh, or give another GOROOT", dir)
	}
	return real, nil
}

// unpatchedTree returns the tree at dir, or that which the go command on PATH
// knows, and requires it to be of the given upstream version unless that is "".
func unpatchedTree(ctx context.Context, dir, upstream string) (*upstreamtest.Tree, error) {
	t := &upstreamtest.Tree{GOROOT: dir}
	var err error
	if dir == "" {
		t, err = upstreamtest.PathTree(ctx, upstream)
	} else {
		t.GOROOT, err = filepath.Abs(dir)
	}
	if err != nil {
		return nil, err
	}
	v, err := t.Version(ctx)
	if err != nil {
		return nil, err
	}
	if upstream != "" && v != upstream {
		return nil, fmt.Errorf("%s is %s; the comparison needs an unpatched %s", t.GOROOT, v, upstream)
	}
	return t, nil
}

func writeJSONFile(name string, write func(io.Writer) error) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := write(f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// stringList is a flag that may be given several times.
type stringList []string

func (l *stringList) String() string     { return strings.Join(*l, " ") }
func (l *stringList) Set(s string) error { *l = append(*l, s); return nil }
