// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"rtgo.dev/rtgo/internal/rebase"
)

func init() {
	var checks strings.Builder
	for _, k := range rebase.Kinds {
		fmt.Fprintf(&checks, "\n\t%-13s  %s", k.Name, k.Doc)
	}
	register("rebase", "carry the series to another upstream release", `
Usage: rtgo rebase --to RELEASE [flags]

Rebase obtains, verifies and pins an upstream release and carries the patches to
it: strictly first, then by a three-way merge. Its report says for each patch
how it came over; for a conflict it shows the hunks, what they are for, and what
upstream made of those functions. Every identifier of upstream that the overlay
uses and that is declared otherwise now is listed. At the end patches/, pins/
and upstream.json have the result; nothing is committed. Patches that are the
same in all release lines stand once, in patches/common.

Where a patch needs a human the exit code is 3. Resolve it with git in the
checkout, out/rebase-RELEASE, and run the same command with --continue. The
report does not change what is in the checkout, and nothing there is ever
overwritten; patches/ is written when no conflict is left.

Between two lines that both exist (go1.26 and go1.27) it carries over what
changed since the last time: a conflict that was resolved once is not asked
about again as long as the patch is the same.

Checks of the result, chosen with --checks, "all" or "none":
`+checks.String()+`

Exit code: 0 done, 1 an error, 2 wrong usage, 3 a human is needed: for a
conflict, or for a check that failed (--continue makes the checks again).

Examples:
	rtgo rebase --to go1.27.3
	rtgo rebase --to go1.26.9 --checks all --markdown out/pr.md --json out/pr.json
	cd out/rebase-go1.27.3 && git status && vi src/runtime/proc.go && git add -A
	rtgo rebase --to go1.27.3 --continue
	rtgo rebase --to go1.27.3 --abort
`, runRebase)
}

func runRebase(args []string) int {
	const name = "rebase"
	fs := newFlags(name)
	var o rebase.Options
	fs.StringVar(&o.To, "to", "", "`release` to carry the series to, such as go1.27.3")
	fs.StringVar(&o.From, "from", "", "release or line whose series is carried over (default: the line of RELEASE, or the default line if that is new or has that release)")
	fs.StringVar(&o.Dir, "dir", "", "checkout `dir` to work in (default: out/rebase-RELEASE)")
	fs.StringVar(&o.FromGOROOT, "from-goroot", "", "source tree `dir` of the old release (default: found)")
	fs.StringVar(&o.ToGOROOT, "to-goroot", "", "source tree `dir` of the new release (default: the downloaded toolchain)")
	fs.StringVar(&o.Bootstrap, "bootstrap", "", "GOROOT `dir` of the Go that downloads")
	platforms := fs.String("platforms", "linux-amd64,linux-arm64", "comma-separated `list` of platforms whose toolchains to pin")
	goOn := fs.Bool("continue", false, "go on after a conflict or a failed check")
	abort := fs.Bool("abort", false, "give a rebase up; work of yours in the checkout is kept")
	checkList := fs.String("checks", "lint,types", "comma-separated `list` of checks")
	jsonFile := fs.String("json", "", "write the report as JSON to `file`")
	mdFile := fs.String("markdown", "", "write the report as Markdown to `file`")
	oldGOROOT := fs.String("old-goroot", "", "GOROOT `dir` of rtgo for the old release, to compare latencies with (default: out/go)")
	if _, code, ok := parse(fs, args, 0); !ok {
		return code
	}
	checks, err := rebase.Select(*checkList)
	switch {
	case err != nil:
		return usageError(name, "%v", err)
	case o.To == "":
		return usageError(name, "want --to RELEASE, such as --to go1.27.3")
	case *goOn && *abort:
		return usageError(name, "--continue and --abort exclude each other")
	}
	if o.Root, err = repoRoot(); err != nil {
		return fail(name, err)
	}
	out := filepath.Join(o.Root, "out")
	if o.Dir == "" {
		o.Dir = filepath.Join(out, "rebase-"+o.To)
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return fail(name, err)
	}
	if *oldGOROOT == "" {
		*oldGOROOT = filepath.Join(out, "go")
	}
	o.Platforms = strings.Split(*platforms, ",")
	o.Command = "rtgo rebase --to " + o.To + " --continue"
	o.Logf = logStderr(name)
	ctx, stop := interruptible()
	defer stop()

	if *abort {
		kept, err := rebase.Abort(ctx, &o)
		if err != nil {
			return fail(name, err)
		}
		if kept != "" {
			fmt.Printf("given up; what you did in the checkout is in %s\n", kept)
		} else {
			fmt.Println("given up; nothing is left of it")
		}
		return 0
	}
	begin := rebase.Start
	if *goOn {
		begin = rebase.Open
	}
	r, err := begin(ctx, &o)
	if err != nil {
		return fail(name, err)
	}
	if err := r.Run(ctx); err != nil {
		return fail(name, err)
	}
	rep := r.Report()
	if rep.Status == rebase.Done {
		self, err := os.Executable()
		if err != nil {
			return fail(name, err)
		}
		if err := r.Check(ctx, checks, self, out, *oldGOROOT); err != nil {
			return fail(name, err)
		}
	}
	if err := rep.WriteFiles(*jsonFile, *mdFile); err != nil {
		return fail(name, err)
	}
	if *mdFile == "" {
		rep.Markdown(os.Stdout)
	}
	return rep.ExitCode()
}
