// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"rtgo.dev/rtgo/internal/demo"
	"rtgo.dev/rtgo/internal/rebuild"
	"rtgo.dev/rtgo/internal/toolchain"
)

func init() {
	register("build", "build the toolchain from verified upstream source", `
Usage: rtgo build [flags]

Build verifies upstream's source, applies the patches and the overlay, runs
make.bash in a scrubbed environment, and leaves a complete GOROOT, which may be
moved anywhere, in out/VERSION-HASH with a link to it in out/go. What is built
already is not built again. At the end it compiles a small periodic real-time
program with the new toolchain and with the bootstrap Go, runs both beside a
load that allocates, and prints both latencies.

With --unpatched it builds upstream as it is. --compare-upstream then reports,
file by file, whether the result is what upstream published, bit for bit.
--compare-second builds a second time, in another directory, and compares
everything; a build that is in that directory already is taken as it is,
unless --force is given. The exit code is 1 if a comparison fails.

Examples:
	./build.sh
	./build.sh --upstream go1.26.8 --out /var/tmp/rtgo
	./build.sh --unpatched --compare-upstream --report out/upstream.json
	./build.sh --compare-second /var/tmp/second
`, runBuild)
}

func runBuild(args []string) int {
	fs := newFlags("build")
	var u upstreamFlags
	fs.StringVar(&u.upstream, "upstream", "", "release or line to build, such as go1.26.8 or go1.26 (default: the default line)")
	fs.StringVar(&u.goroot, "goroot", "", "upstream source tree `dir` (default: a local GOROOT that matches the pin, or the downloaded toolchain)")
	fs.StringVar(&u.bootstrap, "bootstrap", "", "GOROOT `dir` of the Go that compiles (default: $GOROOT_BOOTSTRAP, or found)")
	out := fs.String("out", "", "output `dir` (default: out in the repository)")
	force := fs.Bool("force", false, "build even if the result exists")
	unpatched := fs.Bool("unpatched", false, "build upstream without patches and overlay")
	compareUpstream := fs.Bool("compare-upstream", false, "compare an unpatched build with the published release")
	compareSecond := fs.String("compare-second", "", "build a second time below `dir` and compare")
	report := fs.String("report", "", "write the comparison as JSON to `file`")
	noDemo := fs.Bool("no-demo", false, "do not run the periodic program at the end")
	demoTime := fs.Duration("demo-time", 4*time.Second, "how long each run of the periodic program takes")
	if _, code, ok := parse(fs, args, 0); !ok {
		return code
	}
	if *compareUpstream && !*unpatched {
		return usageError("build", "--compare-upstream needs --unpatched")
	}
	if *report != "" && !*compareUpstream && *compareSecond == "" {
		return usageError("build", "--report needs --compare-upstream or --compare-second")
	}
	root, pin, err := u.load()
	if err != nil {
		return fail("build", err)
	}
	if *out == "" {
		*out = filepath.Join(root, "out")
	}
	start := time.Now()
	logf := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "[%4ds] %s\n", int(time.Since(start).Seconds()), fmt.Sprintf(format, args...))
	}
	ctx, stop := interruptible()
	defer stop()
	o := toolchain.Options{
		Root: root, Out: *out, Pin: pin, GOROOT: u.goroot, Bootstrap: u.bootstrap,
		Unpatched: *unpatched, Force: *force, Logf: logf,
	}
	r, err := toolchain.Build(ctx, o)
	if err != nil {
		return fail("build", err)
	}
	code := 0
	if *compareUpstream || *compareSecond != "" {
		reports, err := compareBuilds(ctx, o, r, *compareUpstream, *compareSecond)
		if err != nil {
			return fail("build", err)
		}
		for i, rep := range reports {
			rep.Text(os.Stdout)
			if rep.Status == rebuild.FAIL {
				code = 1
			}
			if *report != "" {
				file := *report
				if i > 0 {
					file += ".second"
				}
				if err := rep.WriteJSON(file); err != nil {
					return fail("build", err)
				}
			}
		}
	}
	if *unpatched {
		fmt.Printf("%s: %s\n", r.Version, r.Root)
		return code
	}
	fmt.Printf("%s (rtgo=%s): %s\n", r.Version, r.Stamp, filepath.Join(*out, "go"))
	if !*noDemo {
		logf("measuring: a 1 kHz SCHED_FIFO goroutine beside an allocating load, %v under each toolchain", *demoTime)
		if err := demo.Run(ctx, os.Stdout, root, r.Root, r.BootstrapRoot, *demoTime); err != nil {
			return fail("build", fmt.Errorf("the toolchain is built, but the periodic program failed: %v", err))
		}
	}
	return code
}

// compareBuilds makes the comparisons that were asked for.
func compareBuilds(ctx context.Context, o toolchain.Options, r *toolchain.Result, withUpstream bool, second string) ([]*rebuild.Report, error) {
	var reports []*rebuild.Report
	if withUpstream {
		local := ""
		if v, err := os.ReadFile(filepath.Join(r.BootstrapRoot, "VERSION")); err == nil && string(v) == o.Pin.VersionFile {
			local = r.BootstrapRoot
		}
		rep, err := rebuild.Upstream(o.Pin, r.Root, r.Dist, local)
		if err != nil {
			return nil, err
		}
		reports = append(reports, rep)
	}
	if second != "" {
		if a, err := filepath.EvalSymlinks(second); err == nil {
			if b, err := filepath.EvalSymlinks(o.Out); err == nil && a == b {
				return nil, fmt.Errorf("--compare-second %s is the output directory itself; name another", second)
			}
		}
		o.Out = second
		o.Logf("second build, in %s", second)
		b, err := toolchain.Build(ctx, o)
		if err != nil {
			return nil, err
		}
		if b.Name != r.Name {
			return nil, fmt.Errorf("patches or overlay changed between the two builds; run the same command again")
		}
		rep, err := rebuild.Second(r.Root, r.Dist, b.Root, b.Dist)
		if err != nil {
			return nil, err
		}
		reports = append(reports, rep)
	}
	return reports, nil
}
