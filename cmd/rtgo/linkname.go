// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"rtgo.dev/rtgo/internal/linkcheck"
	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/toolchain"
	"rtgo.dev/rtgo/internal/upstream"
	"rtgo.dev/rtgo/internal/upstreamtest"
)

func init() {
	register("linkname", "check what packages bind with go:linkname", linknameHelp, runLinkname)
}

const linknameHelp = `
Usage: rtgo linkname [flags] [packages]
       rtgo linkname -overlay [flags]

Linkname lists what Go packages bind with go:linkname, or from assembly, and
checks each binding against the source of the other side, in the packages
themselves and in the GOROOT: whether the symbol exists, whether it is declared
with the same types, and whether this release's linker allows the reference
(-checklinkname, its block list, symbols that are not opened by their package).
Neither compiler nor linker compares types. It works in any module and with any
Go from 1.23 on; the linker's rules are read from the GOROOT's own linker.

A body never replaces a function that has one: a linkname to
runtime.entersyscall with a body is reported as a duplicate, since the program
does not link. Changing the runtime takes a changed runtime.

	ok          same types on both sides
	compatible  other types, passed and laid out alike
	unchecked   the other side is assembly or C: it has no types to compare
	prefix      one side knows only a struct's first fields, and must not allocate it
	unbound     a body that nothing declares, or a declaration that nothing defines
	unopened    the linker does not allow it, and does not notice as long as the
	            declaring package makes no use of what it declares
	missing     no such symbol in this release                       refused
	signature   arguments or results are passed differently          refused
	layout      memory behind a pointer is laid out differently      refused
	forbidden   the linker does not allow the reference              refused
	duplicate   a body for a symbol that is defined elsewhere        refused
	malformed   the compiler does not accept the directive           refused

With -expect, bindings must also be those of a record file, made earlier with
-record, so that a change between two releases is seen even where it is
harmless.

With -overlay, the packages are those of rtgo: the overlay, what the patches
add, and the repository's modules, against verified upstream source, for both
platforms. The record is then test/linkname/LINE.txt.

Exit status: 0 nothing refused and no difference from the record, 1 otherwise,
2 wrong usage, 3 the check could not be made.

Examples:
	rtgo linkname ./...
	rtgo linkname -goroot out/go -deps ./...         third-party modules as well
	rtgo linkname -expect linkname.txt -record ./... record, then drop -record
	rtgo linkname -overlay -upstream go1.26
`

func runLinkname(args []string) int {
	const name = "linkname"
	fs := newFlags(name)
	var (
		goroot  = fs.String("goroot", "", "GOROOT `dir` to check against (default: that of go on PATH; with -overlay: found)")
		overlay = fs.Bool("overlay", false, "check rtgo's own overlay, patches and modules")
		ups     = fs.String("upstream", "", "with -overlay: release or line (default: every line)")
		tags    = fs.String("tags", "", "comma-separated build `tags`")
		deps    = fs.Bool("deps", false, "check the packages depended on as well, except the standard library")
		linker  = fs.Bool("checklinkname", true, "apply the linker's rules; false for programs linked with -ldflags=-checklinkname=0")
		expect  = fs.String("expect", "", "compare with the record `file`")
		record  = fs.Bool("record", false, "write the record file instead of comparing")
		asJSON  = fs.Bool("json", false, "print reports as JSON")
		quiet   = fs.Bool("q", false, "print only what is refused or differs")
	)
	patterns, code, ok := parse(fs, args, -1)
	switch {
	case !ok:
		return code
	case *overlay && (len(patterns) > 0 || *deps || *tags != "" || !*linker):
		return usageError(name, "-overlay takes no packages, -deps, -tags or -checklinkname")
	case !*overlay && *ups != "":
		return usageError(name, "-upstream is for -overlay")
	case *record && *expect == "" && !*overlay:
		return usageError(name, "-record needs the file's name with -expect")
	}
	ctx, stop := interruptible()
	defer stop()
	show := func(file string, reports ...*linkcheck.Report) int {
		return showLinknames(name, reports, file, *record, *asJSON, *quiet)
	}
	if *overlay {
		return checkOverlays(ctx, name, *ups, *goroot, *expect, show)
	}
	if len(patterns) == 0 {
		patterns = []string{"."}
	}
	o := linkcheck.Options{Go: "go", Patterns: patterns, Tags: *tags, Deps: *deps, NoLinkerCheck: !*linker}
	if *goroot != "" {
		dir, err := filepath.Abs(*goroot)
		if err != nil {
			return fail(name, err)
		}
		o.Env = []string{"GOROOT=" + dir, "GOTOOLCHAIN=local"}
		tool := filepath.Join(dir, "bin", "go")
		if info, err := os.Stat(tool); err == nil && info.Mode().IsRegular() {
			o.Go = tool
		}
	}
	r, err := linkcheck.Check(ctx, o)
	if err != nil {
		fail(name, err)
		return 3
	}
	return show(*expect, r)
}

// checkOverlays checks rtgo's own bindings against one pinned release or, if
// ups is empty, each of them, and returns the worst exit code.
func checkOverlays(ctx context.Context, name, ups, goroot, expect string, show func(string, ...*linkcheck.Report) int) int {
	root, err := repoRoot()
	if err != nil {
		return fail(name, err)
	}
	pins, err := upstream.LoadPins(root)
	if err != nil {
		return fail(name, err)
	}
	chosen := slices.Sorted(maps.Keys(pins.Lines))
	if ups != "" {
		chosen = []string{ups}
	} else if len(chosen) > 1 && (goroot != "" || expect != "") {
		return usageError(name, "-goroot and -expect are for one release; choose it with -upstream")
	}
	worst := 0
	for _, want := range chosen {
		pin, err := pins.Select(want)
		if err != nil {
			return fail(name, err)
		}
		reports, err := overlayReports(ctx, name, root, pin, goroot)
		if err != nil {
			fail(name, fmt.Errorf("%s: %v", pin.Version, err))
			return 3
		}
		file := expect
		if file == "" {
			file = filepath.Join(root, linkcheck.RecordFile(pin.Line))
		}
		worst = max(worst, show(file, reports...))
	}
	return worst
}

func overlayReports(ctx context.Context, name, root string, pin *upstream.Pin, goroot string) ([]*linkcheck.Report, error) {
	set, err := series.LoadSet(root, pin.Line)
	if err != nil {
		return nil, err
	}
	tree, err := toolchain.FindSource(ctx, pin, goroot, "", logStderr(name))
	if err != nil {
		return nil, err
	}
	unpatched, err := upstreamtest.PathTree(ctx, pin.Version)
	if err != nil {
		return nil, err
	}
	return linkcheck.CheckOverlay(ctx, root, filepath.Join(unpatched.GOROOT, "bin", "go"), tree, set)
}

// showLinknames prints reports, one for each GOARCH, compares them with the
// record file if there is one, and returns the exit code.
func showLinknames(name string, reports []*linkcheck.Report, file string, record, asJSON, quiet bool) int {
	bad := 0
	for _, r := range reports {
		bad += len(r.Bad())
		if !asJSON {
			r.Print(os.Stdout, quiet)
		}
	}
	if asJSON {
		data, err := json.MarshalIndent(reports, "", "\t")
		if err != nil {
			return fail(name, err)
		}
		fmt.Printf("%s\n", data)
	}
	lines := linkcheck.Record(reports...)
	switch {
	case file == "":
	case record:
		if err := linkcheck.WriteRecord(file, lines); err != nil {
			return fail(name, err)
		}
	default:
		diff, err := linkcheck.CompareRecord(file, lines)
		if err != nil {
			fail(name, err)
			return 3
		}
		for _, line := range diff {
			fmt.Fprintln(os.Stderr, line)
		}
		if len(diff) > 0 {
			return fail(name, fmt.Errorf("%d lines differ from %s; if that is right, repeat with -record", len(diff), file))
		}
	}
	if bad > 0 {
		return fail(name, fmt.Errorf("%d bindings refused", bad))
	}
	return 0
}
