// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package release

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"rtgo.dev/rtgo/internal/toolchain"
	"rtgo.dev/rtgo/internal/upstream"
)

// distributed are the commands that distpack puts into a distribution (see
// toolsIncludedInDistpack in cmd/dist). A release line whose list differs
// makes distpack fail or verification of the archives' contents complain.
var distributed = []string{
	"cmd/go", "cmd/gofmt",
	"cmd/asm", "cmd/cgo", "cmd/compile", "cmd/cover", "cmd/fix", "cmd/link", "cmd/preprofile", "cmd/vet",
}

// CrossPack makes the distribution archives of another platform from a
// finished GOROOT: it does the last step of a cross-compiling make.bash, with
// the flags that cmd/dist uses for releases, and then runs distpack. The
// archives go to dist. work is an empty directory for temporary files.
func CrossPack(ctx context.Context, goroot, platform, work, dist string, logf func(string, ...any)) error {
	goos, goarch, ok := strings.Cut(platform, "-")
	if !ok || platform == upstream.Platform() {
		return fmt.Errorf("%q is not another platform such as linux-arm64", platform)
	}
	stage := filepath.Join(work, "go")
	logf("copying %s", goroot)
	if err := os.CopyFS(stage, os.DirFS(goroot)); err != nil {
		return err
	}
	run := func(env []string, name string, args ...string) error {
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Dir = filepath.Join(stage, "src")
		for _, kv := range os.Environ() {
			key, _, _ := strings.Cut(kv, "=")
			if !strings.HasPrefix(key, "GO") && !strings.HasPrefix(key, "CGO_") && key != "CC" && key != "CXX" {
				cmd.Env = append(cmd.Env, kv)
			}
		}
		// Everything is compiled here, into a cache that goes with work, so
		// that no earlier build can have a part in the release.
		cmd.Env = append(toolchain.GoEnv(cmd.Env, stage), "GOENV=off", "GOPROXY=off", "GOWORK=off", "GOEXPERIMENT=",
			"GOAMD64=", "GOARM64=", "LC_ALL=C", "CGO_ENABLED=0", "GOCACHE="+filepath.Join(work, "cache"))
		cmd.Env = append(cmd.Env, env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s %s: %v\n%s", filepath.Base(name), strings.Join(args, " "), err, bytes.TrimSpace(out))
		}
		return nil
	}
	goCmd := filepath.Join(stage, "bin", "go")
	distpack := filepath.Join(work, "distpack")
	target := []string{"GOOS=" + goos, "GOARCH=" + goarch}
	if err := run([]string{"GOFLAGS="}, goCmd, "build", "-trimpath", "-o", distpack, "cmd/distpack"); err != nil {
		return err
	}
	logf("compiling the commands for %s", platform)
	flags := "GOFLAGS=-trimpath -ldflags=-w -gcflags=cmd/...=-dwarf=false" // toolenv in cmd/dist
	if err := run(append(target, flags), goCmd, append([]string{"install"}, distributed...)...); err != nil {
		return err
	}
	logf("packing %s", platform)
	if err := run(target, distpack); err != nil {
		return err
	}
	return os.Rename(filepath.Join(stage, "pkg", "distpack"), dist)
}
