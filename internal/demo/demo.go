// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package demo shows a toolchain at work: it compiles one periodic program
// with two toolchains, runs both, and prints their latencies.
package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"rtgo.dev/rtgo/internal/toolchain"
)

// Program is the directory, in the repository, of the program that is run.
const Program = "test/demo"

// A result is what the program prints with -json.
type result struct {
	Version  string
	Realtime bool
	Error    string
	Releases int
	Missed   int
	P50      float64
	P99      float64
	Max      float64
}

// Run compiles the program in the repository at root with the toolchains in
// two GOROOTs, stock first, runs each for about d, and prints a table. That
// SCHED_FIFO is not permitted is reported and no error.
func Run(ctx context.Context, w io.Writer, root, goroot, stock string, d time.Duration) error {
	tmp, err := os.MkdirTemp("", "rtgo-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	var rs []*result
	for i, g := range []string{stock, goroot} {
		bin := filepath.Join(tmp, fmt.Sprintf("demo%d", i))
		cmd := exec.CommandContext(ctx, filepath.Join(g, "bin", "go"), "build", "-o", bin, ".")
		cmd.Dir = filepath.Join(root, filepath.FromSlash(Program))
		cmd.Env = append(toolchain.GoEnv(os.Environ(), g), "GOFLAGS=-buildvcs=false", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s cannot compile %s: %v\n%s", g, Program, err, bytes.TrimSpace(out))
		}
		r, err := run(ctx, bin, d)
		if err != nil {
			return fmt.Errorf("under %s: %v", g, err)
		}
		rs = append(rs, r)
	}
	table(w, rs)
	for _, r := range rs {
		if r.Error != "" {
			fmt.Fprintf(w, "SCHED_FIFO was not permitted (%s), so these are figures of an ordinary thread; %s\n", r.Error, remedy())
			break
		}
	}
	return nil
}

// run runs the program. A stock program with a FIFO thread can hang; it does
// not get more than half a minute beyond its time.
func run(ctx context.Context, bin string, d time.Duration) (*result, error) {
	limit := d + 30*time.Second
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "-json", "-time", d.String())
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, fmt.Errorf("no end after %v", limit)
		}
		line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return nil, fmt.Errorf("%v: %s", err, line)
	}
	r := &result{}
	if err := json.Unmarshal(stdout.Bytes(), r); err != nil {
		return nil, err
	}
	if r.Releases == 0 {
		return nil, errors.New("nothing measured")
	}
	return r, nil
}

func table(w io.Writer, rs []*result) {
	fmt.Fprintf(w, "\nLateness of a 1 kHz goroutine at SCHED_FIFO 80; beside it 4 goroutines allocate, 100 MB live heap:\n")
	fmt.Fprintf(w, "  %-18s %10s %10s %10s %10s %8s\n", "", "p50 µs", "p99 µs", "max µs", "releases", "missed")
	for _, r := range rs {
		fmt.Fprintf(w, "  %-18s %10.0f %10.0f %10.0f %10d %8d\n", r.Version, r.P50, r.P99, r.Max, r.Releases, r.Missed)
	}
}

// remedy says what makes SCHED_FIFO permitted to this process.
func remedy() string {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if hex, ok := strings.CutPrefix(line, "CapEff:"); ok {
			var caps uint64
			fmt.Sscanf(strings.TrimSpace(hex), "%x", &caps)
			if caps&(1<<23) != 0 { // CAP_SYS_NICE
				return "the process may set it but its cgroup has no real-time quota: write a quota to the cgroup's cpu.rt_runtime_us or run in the root cgroup"
			}
		}
	}
	return "run as root, or allow it with 'ulimit -r 99' (limits.conf: rtprio) or 'setcap cap_sys_nice+ep PROGRAM'"
}
