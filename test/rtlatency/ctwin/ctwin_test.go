// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package ctwin

import (
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"testing"
	"time"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

func build(t *testing.T, arch string) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil && arch == runtime.GOARCH {
		t.Skip("no C compiler (apt-get install gcc)")
	}
	if _, err := exec.LookPath(compilers[arch][0].name); err != nil && arch != runtime.GOARCH {
		t.Skipf("no C compiler for %s (apt-get install %s)", arch, compilers[arch][0].pkg)
	}
	exe, err := Build(t.Context(), arch, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return exe
}

// Every scenario runs, and its file is one that package result reads: same
// buckets, no sample lost.
func TestScenarios(t *testing.T) {
	exe := build(t, runtime.GOARCH)
	for _, s := range Scenarios {
		t.Run(s, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "r.json")
			args := []string{"-D200ms", "--scenario", s, "--result", file}
			if s == "poll" {
				args = append(args, "--conns=50")
			}
			out, err := exec.Command(exe, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if !regexp.MustCompile(`(?m)^T: 0 \([ \d]+\) P: 0 I:\d+ C: +[1-9]\d* Min: +-?\d+ Act: *-?\d+ Avg: *-?\d+ Max: +-?\d+$`).Match(out) {
				t.Errorf("output %q", out)
			}
			r, err := result.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, th := range r.Measurements[0].Threads {
				for _, b := range th.Log {
					if from, to := result.LogBounds(result.LogIndex(b.From)); from != b.From || to != b.To {
						t.Fatalf("bucket [%d, %d) is not one of package result", b.From, b.To)
					}
				}
				want := th.Stats
				want.SetQuantiles()
				if th.P50NS != want.P50NS || th.P99NS != want.P99NS || th.P999NS != want.P999NS || th.P9999NS != want.P9999NS {
					t.Errorf("quantiles %d %d %d %d, package result has %d %d %d %d", th.P50NS, th.P99NS, th.P999NS, th.P9999NS,
						want.P50NS, want.P99NS, want.P999NS, want.P9999NS)
				}
			}
		})
	}
}

// While it runs CPUs do not sleep, as while cyclictest and rtlatency do: a twin
// without that measures the machine's idle states, and whatever is compared
// with it looks better than it is.
func TestIdleStatesBarred(t *testing.T) {
	exe := build(t, runtime.GOARCH)
	const file = "/dev/cpu_dma_latency"
	limit := func() uint32 { // what is in force, in µs
		b, err := os.ReadFile(file)
		if err != nil || len(b) != 4 {
			t.Skipf("%s: %d bytes, %v", file, len(b), err)
		}
		return binary.NativeEndian.Uint32(b)
	}
	if limit() == 0 {
		t.Skip("another process bars idle states")
	}
	if f, err := os.OpenFile(file, os.O_WRONLY, 0); err != nil {
		t.Skip(err)
	} else {
		f.Close()
	}
	cmd := exec.Command(exe, "-D1m")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	for deadline := time.Now().Add(20 * time.Second); limit() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s says %d µs beside a running ctwin, want 0", file, limit())
		}
	}
}

func TestThreshold(t *testing.T) {
	exe := build(t, runtime.GOARCH)
	err := exec.Command(exe, "-D2", "-b1").Run()
	if e, ok := err.(*exec.ExitError); !ok || e.ExitCode() != 2 {
		t.Errorf("exit %v, want status 2", err)
	}
}

func TestErrors(t *testing.T) {
	exe := build(t, runtime.GOARCH)
	for _, args := range [][]string{{"--scenario", "no"}, {"-p100"}, {"-D", "soon"}, {"x"}, {"--no"}} {
		err := exec.Command(exe, args...).Run()
		if e, ok := err.(*exec.ExitError); !ok || e.ExitCode() != 1 {
			t.Errorf("%v: %v, want status 1", args, err)
		}
	}
}

func TestStaticForBothArchitectures(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		t.Run(arch, func(t *testing.T) {
			f, err := elf.Open(build(t, arch))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if libs, _ := f.ImportedLibraries(); len(libs) > 0 {
				t.Errorf("needs %v", libs)
			}
			if want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[arch]; f.Machine != want {
				t.Errorf("machine %v, want %v", f.Machine, want)
			}
		})
	}
}
