// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/toolchain"
	"rtgo.dev/rtgo/internal/typecheck"
	"rtgo.dev/rtgo/internal/upstream"
)

func init() {
	register("verify", "check an upstream source tree against its pin", `
Usage: rtgo verify [flags] [DIR]

Verify checks every file of a source tree, a GOROOT or an extracted toolchain
module, against the pin, and names those that differ. Without DIR it finds a
tree as a build would: the bootstrap Go's GOROOT, /usr/local/go, or the
toolchain that the go command downloads.

Examples:
	rtgo verify
	rtgo verify /usr/local/go
	rtgo verify --upstream go1.26.8 ~/sdk/go1.26.8
`, runVerify)
	register("lint", "check the form of the patch series", `
Usage: rtgo lint [flags]

Lint checks that patches are numbered without gaps, that their messages have
the form 'dir/path: summary' and the fields What, Why, Upstream-Status and
Tested, that their hunks are hooks (at most 3 added lines of code, no
declarations, no new files) unless a 'Hook-Waiver: path: reason' says why not,
that they keep out of the overlay's files, and that a line has every patch that
the default line has, made from its present state. It does not apply them; see
'rtgo help series'.

Example:
	rtgo lint --upstream go1.26
`, runLint)
	register("series", "apply the patch series to verified upstream, strictly", `
Usage: rtgo series [flags]

Series applies the patches to a verified source tree in a temporary directory
as a build does: all context must match, white space included. It checks that
overlay files only add and prints the git hash of the resulting tree, which is
the same on every machine. With --types it also type-checks the packages that
the overlay adds to, on each platform, with the experiment rt and without.

Examples:
	rtgo series --upstream go1.26
	rtgo series --upstream go1.27 --types
`, runSeries)
	register("stats", "count the upstream lines that the patches touch", `
Usage: rtgo stats [flags]

Example:
	rtgo stats --json
`, runStats)
}

// upstreamFlags are the flags of subcommands that need a source tree.
type upstreamFlags struct {
	upstream, goroot, bootstrap string
}

// load returns the repository's root and the chosen pin.
func (u *upstreamFlags) load() (root string, pin *upstream.Pin, err error) {
	if root, err = repoRoot(); err != nil {
		return "", nil, err
	}
	pins, err := upstream.LoadPins(root)
	if err != nil {
		return "", nil, err
	}
	pin, err = pins.Select(u.upstream)
	return root, pin, err
}

// defaultLine returns the release line that is built when none is named.
func defaultLine(root string) (string, error) {
	pins, err := upstream.LoadPins(root)
	if err != nil {
		return "", err
	}
	return pins.Default, nil
}

// logStderr prints progress.
func logStderr(name string) func(string, ...any) {
	return func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "rtgo "+name+": "+format+"\n", args...)
	}
}

func runVerify(args []string) int {
	fs := newFlags("verify")
	var u upstreamFlags
	fs.StringVar(&u.upstream, "upstream", "", "release or line, such as go1.26.8 or go1.26 (default: the default line)")
	fs.StringVar(&u.bootstrap, "bootstrap", "", "GOROOT `dir` of the Go that fetches")
	all := fs.Bool("all", false, "list every file that differs")
	args, code, ok := parse(fs, args, 1)
	if !ok {
		return code
	}
	if len(args) == 1 {
		u.goroot = args[0]
	}
	_, pin, err := u.load()
	if err != nil {
		return fail("verify", err)
	}
	ctx, stop := interruptible()
	defer stop()
	tree, err := toolchain.FindSource(ctx, pin, u.goroot, u.bootstrap, logStderr("verify"))
	if m := (*upstream.Mismatch)(nil); errors.As(err, &m) && *all {
		for _, f := range m.Files {
			fmt.Println(f)
		}
	}
	if err != nil {
		return fail("verify", err)
	}
	for _, n := range tree.Notes {
		fmt.Println("note:", n)
	}
	fmt.Printf("%s is %s: %d files, manifest %s\n", tree.Dir, pin.Version, len(tree.Files), pin.SHA256)
	return 0
}

func runLint(args []string) int {
	fs := newFlags("lint")
	var u upstreamFlags
	fs.StringVar(&u.upstream, "upstream", "", "release or line (default: the default line)")
	if _, code, ok := parse(fs, args, 0); !ok {
		return code
	}
	root, pin, err := u.load()
	if err != nil {
		return fail("lint", err)
	}
	set, err := series.LoadSet(root, pin.Line)
	if err != nil {
		return fail("lint", err)
	}
	problems := series.Lint(set)
	if def, err := defaultLine(root); err != nil {
		return fail("lint", err)
	} else if def != pin.Line {
		drift, err := series.Drift(root, def, pin.Line)
		if err != nil {
			return fail("lint", err)
		}
		for _, p := range drift {
			p.Text += fmt.Sprintf("; run 'rtgo rebase --to %s'", pin.Version)
			problems = append(problems, p)
		}
	}
	for _, p := range problems {
		fmt.Println(p)
	}
	if n := len(problems); n > 0 {
		return fail("lint", fmt.Errorf("%d problems in the series of %s", n, pin.Line))
	}
	fmt.Printf("%d patches of %s and %d overlay files: no problems\n", len(set.Patches), pin.Line, len(set.Overlay))
	return 0
}

func runSeries(args []string) int {
	fs := newFlags("series")
	var u upstreamFlags
	fs.StringVar(&u.upstream, "upstream", "", "release or line (default: the default line)")
	fs.StringVar(&u.goroot, "goroot", "", "upstream source tree `dir` (default: found)")
	fs.StringVar(&u.bootstrap, "bootstrap", "", "GOROOT `dir` of the Go that fetches")
	types := fs.Bool("types", false, "type-check the overlay")
	if _, code, ok := parse(fs, args, 0); !ok {
		return code
	}
	root, pin, err := u.load()
	if err != nil {
		return fail("series", err)
	}
	set, err := series.LoadSet(root, pin.Line)
	if err != nil {
		return fail("series", err)
	}
	ctx, stop := interruptible()
	defer stop()
	tree, err := toolchain.FindSource(ctx, pin, u.goroot, u.bootstrap, logStderr("series"))
	if err != nil {
		return fail("series", err)
	}
	tmp, err := os.MkdirTemp("", "rtgo-series-")
	if err != nil {
		return fail("series", err)
	}
	defer os.RemoveAll(tmp)
	goroot := filepath.Join(tmp, "go")
	hash, err := toolchain.PatchedTree(ctx, tree, set, goroot, filepath.Join(tmp, "git"))
	if err != nil {
		return fail("series", err)
	}
	if *types {
		var files []string
		for _, f := range set.Overlay {
			files = append(files, f.Path)
		}
		problems, err := typecheck.Overlay(goroot, pin.Version, files)
		if err != nil {
			return fail("series", err)
		}
		for _, p := range problems {
			fmt.Println(p)
		}
		if n := len(problems); n > 0 {
			return fail("series", fmt.Errorf("the overlay has %d type errors with %s", n, pin.Version))
		}
	}
	fmt.Printf("%s: %d patches apply, %d overlay files added\npatch set %s\ntree %s\n", pin.Version, len(set.Patches), len(set.Overlay), set.Hash(), hash)
	return 0
}

func runStats(args []string) int {
	fs := newFlags("stats")
	var u upstreamFlags
	fs.StringVar(&u.upstream, "upstream", "", "release or line (default: the default line)")
	asJSON := fs.Bool("json", false, "print JSON")
	if _, code, ok := parse(fs, args, 0); !ok {
		return code
	}
	root, pin, err := u.load()
	if err != nil {
		return fail("stats", err)
	}
	set, err := series.LoadSet(root, pin.Line)
	if err != nil {
		return fail("stats", err)
	}
	stats := series.Stats(set.Patches)
	if *asJSON {
		data, err := json.MarshalIndent(stats, "", "\t")
		if err != nil {
			return fail("stats", err)
		}
		fmt.Printf("%s\n", data)
		return 0
	}
	var hunks, added, removed int
	files := map[string]bool{}
	last := ""
	for _, s := range stats {
		if s.Patch != last {
			fmt.Println(s.Patch)
			last = s.Patch
		}
		fmt.Printf("  %+5d %+5d  %3d hunks  %s\n", s.Added, -s.Removed, s.Hunks, s.File)
		hunks += s.Hunks
		added += s.Added
		removed += s.Removed
		files[s.File] = true
	}
	lines := 0
	for _, f := range set.Overlay {
		for _, b := range f.Data {
			if b == '\n' {
				lines++
			}
		}
	}
	fmt.Printf("total %d patches, %d upstream files, %d hunks: %d lines touched (+%d -%d); overlay %d files, %d lines\n",
		len(set.Patches), len(files), hunks, added+removed, added, removed, len(set.Overlay), lines)
	return 0
}
