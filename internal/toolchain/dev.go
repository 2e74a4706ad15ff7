// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package toolchain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"rtgo.dev/rtgo/internal/upstream"
)

// DevStamp returns the stamp of binaries compiled by a checkout's toolchain,
// whose content nobody has recorded.
func DevStamp(pin *upstream.Pin) string { return fmt.Sprintf("%d+dev", pin.Revision) }

// equippedFile, in a checkout's pkg, names the toolchain whose binaries the
// checkout has. It is written last.
const equippedFile = "rtgo-toolchain"

// EquipCheckout makes a checkout of the series a working GOROOT, with the
// binaries of a built toolchain and a go command of its own that stamps
// binaries as made from a checkout. It does nothing if the checkout has them
// already.
func EquipCheckout(ctx context.Context, dir, goroot string, pin *upstream.Pin, logf func(string, ...any)) error {
	goroot, err := filepath.EvalSymlinks(goroot)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("no toolchain in out/go to take the compilers from; run ./build.sh once, or give --out")
	}
	if err != nil {
		return err
	}
	v, err := os.ReadFile(filepath.Join(goroot, "VERSION"))
	if err != nil {
		return err
	}
	if !bytes.Equal(v, VersionFile(pin)) {
		have, _, _ := strings.Cut(string(v), "\n")
		return fmt.Errorf("%s is %s, the checkout is of %s; build the same line first", goroot, have, pin.Version)
	}
	mark := filepath.Join(dir, "pkg", equippedFile)
	if old, err := os.ReadFile(mark); err == nil && string(old) == goroot {
		return nil
	}
	logf("taking the compilers of %s", goroot)
	for _, name := range []string{"bin", "pkg"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(goroot, name))); err != nil {
			return err
		}
	}
	for _, name := range upstream.Generated() {
		data, err := os.ReadFile(filepath.Join(goroot, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), data, 0o666); err != nil {
			return err
		}
	}
	// The go command is compiled from the built toolchain's source, but for
	// its stamp, so that a mistake in the checkout's runtime cannot break it.
	logf("compiling the go command (once for each build of out/go)")
	bin := filepath.Join(dir, "bin", "go")
	stamp := filepath.Join(dir, "pkg", "rtgo_stamp.go")
	if err := os.WriteFile(stamp, StampSource(DevStamp(pin)), 0o666); err != nil {
		return err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(goroot, filepath.FromSlash(StampFile)): stamp}})
	if err != nil {
		return err
	}
	overlayFile := filepath.Join(dir, "pkg", "rtgo_stamp.json")
	if err := os.WriteFile(overlayFile, overlay, 0o666); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, filepath.Join(goroot, "bin", "go"), "build", "-trimpath", "-overlay", overlayFile, "-o", bin, "cmd/go")
	cmd.Dir = filepath.Join(goroot, "src")
	cmd.Env = append(GoEnv(os.Environ(), goroot), "CGO_ENABLED=0", "GOFLAGS=", "GOENV=off", "GOWORK=off",
		"GOOS=", "GOARCH=", "GOEXPERIMENT=") // those are for what it will build
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s cannot compile its go command: %v\n%s", goroot, err, bytes.TrimSpace(out))
	}
	return os.WriteFile(mark, []byte(goroot), 0o666)
}

// GoEnv returns env for running the go command of a GOROOT itself.
func GoEnv(env []string, goroot string) []string {
	var out []string
	for _, kv := range env {
		if key, _, _ := strings.Cut(kv, "="); key != "GOROOT" && key != "GOTOOLCHAIN" && key != "GOEXPERIMENT" {
			out = append(out, kv)
		}
	}
	return append(out, "GOROOT="+goroot, "GOTOOLCHAIN=local")
}
