// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package ctwin builds the C twin of rtlatency: one static program that runs
// wherever a kernel does.
package ctwin

import (
	"context"
	"crypto/sha256"
	_ "embed" // the source is part of the program that builds it
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

//go:embed src/ctwin.c
var source []byte

// Scenarios are the names that --scenario of the built program knows.
var Scenarios = []string{
	"periodic", "sleep", "alloc-cycle", "alloc-span",
	"sem", "sem-rt", "sem-busy", "sem-to-ordinary", "cond", "cond-rt", "signal", "signal-rt", "pingpong",
	"mutex", "pimutex", "inversion-mutex", "inversion-pimutex",
	"udp", "tcp", "poll",
}

// compilers are tried in order, by GOARCH; the package is the Debian one.
var compilers = map[string][]struct{ name, pkg string }{
	"amd64": {{"x86_64-linux-gnu-gcc", "gcc"}},
	"arm64": {{"aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"}},
}

// Build returns the path of the program for goarch in dir, compiling it if
// it is not there yet.
func Build(ctx context.Context, goarch, dir string) (string, error) {
	cands := compilers[goarch]
	if len(cands) == 0 {
		return "", fmt.Errorf("ctwin: no C compiler is known for %s", goarch)
	}
	var cc string
	for _, c := range cands {
		if p, err := exec.LookPath(c.name); err == nil {
			cc = p
			break
		}
	}
	if cc == "" && goarch == runtime.GOARCH {
		cc, _ = exec.LookPath("gcc")
	}
	if cc == "" {
		return "", fmt.Errorf("ctwin: no C compiler for %s (apt-get install %s)", goarch, cands[0].pkg)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	out := filepath.Join(dir, fmt.Sprintf("ctwin-%s-%.6x", goarch, sha256.Sum256(source)))
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	tmp, err := os.MkdirTemp(dir, "build")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	src, exe := filepath.Join(tmp, "ctwin.c"), filepath.Join(tmp, "ctwin")
	if err := os.WriteFile(src, source, 0o644); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, cc, "-O2", "-Wall", "-Werror", "-static", "-pthread", "-o", exe, src, "-lm")
	if msg, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("ctwin: %s: %w: %s", filepath.Base(cc), err, strings.TrimSpace(string(msg)))
	}
	return out, os.Rename(exe, out)
}
