// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package campaign

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

// BuildProgram compiles rtlatency for goarch with the toolchain in goroot
// into dir, without cgo, so that it runs where there is a kernel and nothing
// else. root is the repository.
func BuildProgram(ctx context.Context, root, goroot, goarch, dir string) (exe string, t result.Toolchain, err error) {
	gocmd := filepath.Join(goroot, "bin", "go")
	env := append(os.Environ(), "GOTOOLCHAIN=local", "GOROOT=", "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+goarch)
	run := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, gocmd, args...)
		cmd.Dir, cmd.Env = root, env
		out, err := cmd.CombinedOutput()
		s := strings.TrimSpace(string(out))
		if err != nil {
			return "", fmt.Errorf("%s %s: %w: %s", gocmd, args[0], err, s)
		}
		return s, nil
	}
	if t.Version, err = run("env", "GOVERSION"); err != nil {
		return "", t, err
	}
	t.Name = result.Stock
	if strings.Contains(t.Version, "rtgo") {
		t.Name = result.RTGo
	}
	exe = filepath.Join(dir, "rtlatency-"+t.Name+"-"+goarch)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", t, err
	}
	if _, err = run("build", "-o", exe, "./test/rtlatency"); err != nil {
		return "", t, err
	}
	info, err := run("version", "-m", exe)
	if err != nil {
		return "", t, err
	}
	for line := range strings.Lines(info) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == "build" {
			if v, ok := strings.CutPrefix(f[1], "rtgo="); ok {
				t.PatchSet = v
			}
		}
	}
	return exe, t, nil
}
