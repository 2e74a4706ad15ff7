// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package lab_test shows facts about the runtime that only a kernel of the
// lab's can tell. RTGO_GOROOT is the built toolchain.
package lab_test

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"rtgo.dev/rtgo/internal/toolchain/toolchaintest"
)

const repo = "../.."

// rtlatency builds the latency suite for a guest.
func rtlatency(t *testing.T, arch string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "rtlatency")
	cmd := exec.Command(filepath.Join(toolchaintest.Goroot(t), "bin", "go"), "build", "-o", bin, "./test/rtlatency")
	cmd.Dir = repo
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	return bin
}

// offsets returns where in the file the functions begin, for uprobes.
func offsets(t *testing.T, bin string, names ...string) []string {
	t.Helper()
	f, err := elf.Open(bin)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	syms, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	text := f.Section(".text")
	var list []string
	for _, name := range names {
		for _, s := range syms {
			if s.Name == name {
				list = append(list, fmt.Sprintf("%#x", s.Value-text.Addr+text.Offset))
			}
		}
	}
	if len(list) != len(names) {
		t.Fatalf("%v: found %d of these functions in %s", names, len(list), bin)
	}
	return list
}

// TestStops shows that who stops the world beside real-time goroutines takes no
// page fault, and neither maps nor unmaps memory, while these are stopped: it
// may wait then for a lock that the kernel shares with all processes. (Beside
// stress-ng's vm stressor a task was late by 2 ms for that.)
func TestStops(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			bin := rtlatency(t, arch)
			args := []string{"run", "./cmd/rtgo", "lab", "run", "-arch", arch, "-timeout", "10m",
				"-file", bin, "-file", "test/lab/testdata/stops.sh", "sh", "./stops.sh"}
			args = append(args, offsets(t, bin, "runtime.rtSlackTasks", "runtime.rtStartPs", "runtime.rtForEachP")...)
			args = append(args, "./rtlatency", "-m", "-p80", "-i1000", "-l10000", "-q", "--scenario", "periodic/abs",
				"--compute", "20", "--load", "large,gc:20,stw:0")
			cmd := exec.Command("go", args...)
			cmd.Dir = repo
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Fatal(err)
			}
			m := regexp.MustCompile(`(?m)^(\d+) stops, (\d+) safepoint rounds`).FindSubmatch(out)
			if m == nil {
				t.Fatal("no count of stops")
			}
			for i, least := range []int{100, 20} {
				if n, err := strconv.Atoi(string(m[i+1])); err != nil || n < least {
					t.Errorf("%s has too few to tell, want %d and more", m[0], least)
				}
			}
		})
	}
}
