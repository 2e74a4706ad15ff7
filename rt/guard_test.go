// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// goCommand runs the go command that runs the test.
func goCommand(t *testing.T, env []string, args ...string) (string, error) {
	t.Helper()
	name := filepath.Join(runtime.GOROOT(), "bin", "go")
	if _, err := os.Stat(name); err != nil {
		if name, err = exec.LookPath("go"); err != nil {
			t.Skip("no go command")
		}
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// One import makes the build by another Go fail, with a readable message.
func TestRequire(t *testing.T) {
	const text = "this program must be built by the rtgo toolchain"
	exe := filepath.Join(t.TempDir(), "guard")
	out, err := goCommand(t, nil, "build", "-o", exe, "./testdata/guard")
	if Supported() {
		if err != nil {
			t.Errorf("under rtgo: %v\n%s", err, out)
		}
		out, err = goCommand(t, []string{"GOEXPERIMENT=nort"}, "build", "-o", exe, "./testdata/guard")
	}
	if err == nil || !strings.Contains(out, text) {
		t.Errorf("build without the experiment: %v\n%s\nwant an error with %q", err, out, text)
	}
	// It does not get in the way of ./... in this module.
	if out, err := goCommand(t, nil, "list", "./..."); err != nil || strings.Contains(out, "/require") {
		t.Errorf("go list ./...: %v\n%s", err, out)
	}
}

func TestWarn(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "warn")
	if out, err := goCommand(t, nil, "build", "-o", exe, "./testdata/warn"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := func(env ...string) string {
		cmd := exec.CommandContext(t.Context(), exe)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Error(err)
		}
		return string(out)
	}
	out := run("RTGO_WARN=")
	if warned := strings.HasPrefix(out, "rt: built by "+runtime.Version()+", not by rtgo"); warned == Supported() || strings.Count(out, "\n") > 1 {
		t.Errorf("output %q, rtgo: %t", out, Supported())
	}
	if out := run("RTGO_WARN=0"); out != "" {
		t.Errorf("with RTGO_WARN=0: %q", out)
	}
}
