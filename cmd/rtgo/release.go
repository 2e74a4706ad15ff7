// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rtgo.dev/rtgo/internal/rebuild"
	"rtgo.dev/rtgo/internal/release"
	"rtgo.dev/rtgo/internal/toolchain"
	"rtgo.dev/rtgo/internal/upstream"
)

func init() {
	register("release", "make the files of a release, or verify a release", `
Usage: rtgo release [flags]
       rtgo release verify [flags] DIR

Release builds the toolchain, unless that is done already, and writes to
out/release/VERSION the distribution archives (those of other platforms
compiled with the toolchain just built), the source archive, checksums, an
index, a CycloneDX bill of materials and a SLSA provenance statement; see
docs/release.md. The same commit gives the same bytes. SOURCE_DATE_EPOCH sets
the time in the documents; it is otherwise that of the upstream release.

Release verify checks such a directory, without a network: every file against
the checksums, the documents against the files and each other, and the source
in the archives against the pinned upstream, the patches and the overlay. With
-rebuild it also builds the release again, from this repository, in an empty
directory, and compares.

Examples:
	rtgo release
	rtgo release -platforms linux-amd64 -dir /srv/rtgo -url https://example.org/rtgo
	rtgo release verify out/release/go1.26.8-rtgo1
	rtgo release verify -rebuild ~/Downloads/go1.26.8-rtgo1
`, runRelease)
}

func runRelease(args []string) int {
	if len(args) > 0 && args[0] == "verify" {
		return runReleaseVerify(args[1:])
	}
	fs := newFlags("release")
	var u upstreamFlags
	fs.StringVar(&u.upstream, "upstream", "", "release or line, such as go1.26 (default: the default line)")
	fs.StringVar(&u.goroot, "goroot", "", "upstream source tree `dir` (default: found)")
	fs.StringVar(&u.bootstrap, "bootstrap", "", "GOROOT `dir` of the Go that compiles (default: found)")
	out := fs.String("out", "", "`dir` of the build (default: out in the repository)")
	dir := fs.String("dir", "", "`dir` to write the release to, which must not exist (default: release/VERSION in the build's)")
	force := fs.Bool("force", false, "replace the release directory")
	platforms := fs.String("platforms", "linux-amd64,linux-arm64", "comma-separated `list` of platforms")
	url := fs.String("url", "", "where the release will be found, for the Bazel fragment")
	builder := fs.String("builder", release.DefaultBuilder, "`URI` of the builder, for the provenance statement")
	dirty := fs.Bool("allow-dirty", false, "release uncommitted patches; the release says so, and verifying fails unless told the same")
	if _, code, ok := parse(fs, args, 0); !ok {
		return code
	}
	root, pin, err := u.load()
	if err != nil {
		return fail("release", err)
	}
	if *out == "" {
		*out = filepath.Join(root, "out")
	}
	if *dir == "" {
		*dir = filepath.Join(*out, "release", pin.Name())
	}
	if *force {
		// Only what is a release is removed.
		if _, err := os.Stat(filepath.Join(*dir, release.SumsFile)); err == nil {
			if err := os.RemoveAll(*dir); err != nil {
				return fail("release", err)
			}
		}
	}
	ctx, stop := interruptible()
	defer stop()
	o := releaseOptions(root, *out, pin, u)
	o.Dir, o.URL, o.Builder, o.Dirty = *dir, *url, *builder, *dirty
	o.Platforms = strings.Split(*platforms, ",")
	if err := release.Make(ctx, o); err != nil {
		return fail("release", err)
	}
	fmt.Printf("%s: %s\n", pin.Name(), *dir)
	return 0
}

func releaseOptions(root, out string, pin *upstream.Pin, u upstreamFlags) release.Options {
	start := time.Now()
	logf := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "[%4ds] %s\n", int(time.Since(start).Seconds()), fmt.Sprintf(format, args...))
	}
	return release.Options{
		Build: toolchain.Options{Root: root, Out: out, Pin: pin, GOROOT: u.goroot, Bootstrap: u.bootstrap, Logf: logf},
		Logf:  logf, Builder: release.DefaultBuilder,
	}
}

func runReleaseVerify(args []string) int {
	fs := newFlags("release")
	var u upstreamFlags
	again := fs.Bool("rebuild", false, "build the release again and compare; takes minutes")
	dirty := fs.Bool("allow-dirty", false, "accept a release of uncommitted patches")
	jsonFile := fs.String("json", "", "write the report as JSON to `file`")
	fs.StringVar(&u.goroot, "goroot", "", "upstream source tree `dir` for -rebuild (default: found)")
	fs.StringVar(&u.bootstrap, "bootstrap", "", "GOROOT `dir` of the Go that compiles for -rebuild (default: found)")
	args, code, ok := parse(fs, args, 1)
	if !ok {
		return code
	}
	if len(args) != 1 {
		return usageError("release", "verify: want one DIR")
	}
	var pins *upstream.Pins
	root, err := repoRoot()
	if err == nil {
		if pins, err = upstream.LoadPins(root); err != nil {
			return fail("release", err)
		}
	} else if *again {
		return fail("release", err)
	}
	r, err := release.Verify(args[0], pins, *dirty)
	if err != nil {
		return fail("release", err)
	}
	reports := []*rebuild.Report{r}
	if *again && r.Status == rebuild.PASS {
		r, err := rebuildRelease(args[0], root, pins, u)
		if err != nil {
			return fail("release", err)
		}
		reports = append(reports, r)
	}
	code = 0
	for i, r := range reports {
		r.Text(os.Stdout)
		if r.Status == rebuild.FAIL {
			code = 1
		}
		if *jsonFile != "" {
			file := *jsonFile
			if i > 0 {
				file += ".rebuild"
			}
			if err := r.WriteJSON(file); err != nil {
				return fail("release", err)
			}
		}
	}
	return code
}

// rebuildRelease makes the release in dir again and compares.
func rebuildRelease(dir, root string, pins *upstream.Pins, u upstreamFlags) (*rebuild.Report, error) {
	v, platforms, err := release.Describe(dir)
	if err != nil {
		return nil, err
	}
	pin, err := pins.Select(v.Upstream)
	if err != nil {
		return nil, err
	}
	if pin.Name() != v.Version {
		return nil, fmt.Errorf("this repository builds %s, the release is %s; check out its commit", pin.Name(), v.Version)
	}
	tmp, err := os.MkdirTemp("", "rtgo-release-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	ctx, stop := interruptible()
	defer stop()
	o := releaseOptions(root, filepath.Join(tmp, "out"), pin, u)
	o.Dir, o.Platforms, o.Dirty = filepath.Join(tmp, "release"), platforms, true
	if err := release.Make(ctx, o); err != nil {
		return nil, err
	}
	return release.Compare(dir, o.Dir)
}
