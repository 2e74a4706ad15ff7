// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package toolchain

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/toolchain/toolchaintest"
	"rtgo.dev/rtgo/internal/upstream"
)

// TestInnerLoop edits the runtime in a checkout and runs a program that sees
// the edit, which must not take a minute. It takes the compilers of the
// toolchain in RTGO_GOROOT.
func TestInnerLoop(t *testing.T) {
	goroot := toolchaintest.Goroot(t)
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	pins, err := upstream.LoadPins(root)
	if err != nil {
		t.Fatal(err)
	}
	pin, err := pins.Select("")
	if err != nil {
		t.Fatal(err)
	}
	set, err := series.LoadSet(root, pin.Line)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	tree, err := FindSource(ctx, pin, "", "", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	c := series.NewCheckout(root, pin, filepath.Join(t.TempDir(), "edit"))
	if err := c.Create(ctx, tree, set, map[string][]byte{StampFile: StampSource(DevStamp(pin))}); err != nil {
		t.Fatal(err)
	}
	// What is cross-compiled first must not become the go command's architecture.
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	t.Setenv("GOARCH", other)
	if err := EquipCheckout(ctx, c.WorkTree, goroot, pin, t.Logf); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOARCH", runtime.GOARCH)
	prog := t.TempDir()
	write(t, prog, map[string]string{"go.mod": "module x\n", "main.go": "package main\n\nimport \"runtime\"\n\nfunc main() { println(runtime.Edited) }\n"})
	run := func(args ...string) (string, error) {
		cmd := exec.Command(filepath.Join(c.WorkTree, "bin", "go"), args...)
		cmd.Dir = prog
		cmd.Env = append(GoEnv(os.Environ(), c.WorkTree), "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := run("run", "."); err == nil || !strings.Contains(out, "Edited") {
		t.Fatalf("before the edit: %v\n%s", err, out)
	}
	file := filepath.Join(c.WorkTree, "src/runtime/extern.go")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(data, "\n// Edited is there for a test.\nconst Edited = \"seen\"\n"...), 0o666); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if out, err := run("run", "."); err != nil || out != "seen\n" {
		t.Fatalf("after the edit: %v\n%s", err, out)
	}
	took := time.Since(start)
	t.Logf("from edit to result in %v", took)
	if took > time.Minute {
		t.Errorf("from edit to result in %v, want less than a minute", took)
	}
	if out, err := run("build", "-o", "x", "."); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if out, err := run("version", "-m", "x"); err != nil || !strings.Contains(out, "\trtgo="+DevStamp(pin)+"\n") {
		t.Errorf("go version -m: %v\n%s", err, out)
	}
}
