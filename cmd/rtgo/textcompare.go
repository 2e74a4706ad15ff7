// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"rtgo.dev/rtgo/internal/textcmp"
	"rtgo.dev/rtgo/internal/upstreamtest"
)

func init() {
	register("text-compare", "show that GOEXPERIMENT=nort compiles upstream's machine code", textCompareHelp, textCompare)
}

const textCompareHelp = `usage: rtgo text-compare [flags] [file.go ...]

Compiles programs with the toolchain under GOEXPERIMENT=nort and with unpatched
Go of the same upstream version, and requires their .text sections to be equal:
EQUAL, byte for byte; or MOVED, but for addresses of sections that the linker
placed elsewhere, each of which must lead to the same offset of the same
section. (go1.27 places the line tables before the types, and these tables grow
with every line that a patch adds.) With -strict MOVED fails. Programs are a
hello, an HTTP server and gofmt, or the files given. If a section differs, the
first function that does is named.

Both sides are linked with the same version string, no build settings and
data segments at fixed addresses, because these are not code and would show
in the addresses that the code contains.

Exit status: 0 all equal or moved, 1 a difference or an error, 2 wrong usage.

Examples:
  rtgo text-compare
  rtgo text-compare -strict
  rtgo text-compare -goroot out/go -ref /usr/local/go -json out/text.json
  rtgo text-compare -env GOEXPERIMENT=rt     see what the experiment changes
  rtgo text-compare -arch amd64 -cgo=false mine.go
`

func textCompare(args []string) int {
	const name = "text-compare"
	fs := newFlags(name)
	var env stringList
	var (
		goroot   = fs.String("goroot", "", "GOROOT `dir`ectory to examine (default: out/go in the repository)")
		ref      = fs.String("ref", "", "unpatched GOROOT `dir`ectory (default: that of the go command on PATH, or what it downloads)")
		archs    = fs.String("arch", "amd64,arm64", "GOARCH `list` to compile for")
		cgo      = fs.Bool("cgo", true, "compile for "+runtime.GOARCH+" with cgo as well; needs gcc")
		strict   = fs.Bool("strict", false, "require equality byte for byte")
		jsonFile = fs.String("json", "", "write the report as JSON to `file`")
		quiet    = fs.Bool("q", false, "no progress on standard error")
	)
	fs.Var(&env, "env", "`K=V` for the examined side; may be repeated (default GOEXPERIMENT=nort)")
	files, code, ok := parse(fs, args, -1)
	if !ok {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	dir := *goroot
	if dir == "" {
		repo, err := repoRoot()
		if err != nil {
			return fail(name, err)
		}
		dir = filepath.Join(repo, "out", "go")
	}
	patched, err := builtGOROOT("", dir)
	if err != nil {
		return fail(name, err)
	}
	version, err := (&upstreamtest.Tree{GOROOT: patched}).Version(ctx)
	if err != nil {
		return fail(name, err)
	}
	unpatched, err := unpatchedTree(ctx, *ref, upstreamtest.UpstreamVersion(version))
	if err != nil {
		return fail(name, err)
	}
	if len(env) == 0 {
		env = stringList{"GOEXPERIMENT=nort"}
	}
	var targets []textcmp.Target
	for _, a := range strings.Split(*archs, ",") {
		targets = append(targets, textcmp.Target{GOARCH: a})
	}
	if *cgo {
		if _, err := exec.LookPath("gcc"); err != nil {
			return fail(name, errors.New("no gcc for the comparison with cgo; apt-get install gcc libc6-dev, or give -cgo=false"))
		}
		targets = append(targets, textcmp.Target{GOARCH: runtime.GOARCH, Cgo: true})
	}
	progs := textcmp.Programs
	if len(files) > 0 {
		progs = nil
		for _, f := range files {
			abs, err := filepath.Abs(f)
			if err == nil {
				_, err = os.Stat(abs)
			}
			if err != nil {
				return fail(name, err)
			}
			progs = append(progs, textcmp.Program{Name: strings.TrimSuffix(filepath.Base(f), ".go"), File: abs})
		}
	}
	var progress io.Writer = os.Stderr
	if *quiet {
		progress = nil // not a nil *os.File
	}
	r, err := textcmp.Run(ctx, &textcmp.Toolchain{GOROOT: unpatched.GOROOT}, &textcmp.Toolchain{GOROOT: patched, Env: env}, progs, targets, *strict, progress)
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
