// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/rt"
)

func build(t *testing.T, tags string) string {
	t.Helper()
	exe := filepath.Join(t.TempDir(), "rtstress")
	if out, err := exec.Command("go", "build", "-tags", tags, "-o", exe, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return exe
}

func run(t *testing.T, exe string, args ...string) (out string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, args...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("rtstress %v did not end in time:\n%s", args, &b)
	}
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

func permitted() bool {
	return rt.Do(rt.Attr{Priority: 50}, func() error { return nil }) == nil
}

func TestRun(t *testing.T) {
	exe := build(t, "")
	args := []string{"-ops", "2000", "-seed", "5", "-p", "6", "-stall", "30s"}
	if !permitted() {
		args = append(args, "-ordinary")
	}
	if !rt.Supported() {
		args = append(args, "-maxprio", "1") // stock Go livelocks otherwise
	}
	out, status := run(t, exe, args...)
	if status != 0 || !strings.Contains(out, "PASS: 20") {
		t.Errorf("exit status %d\n%s", status, out)
	}
	if threads := !strings.Contains(out, ", 0 times in real time"); threads != permitted() {
		t.Errorf("real time is permitted: %t\n%s", permitted(), out)
	}
	out, status = run(t, exe, "-ordinary", "-ops", "0", "-duration", "500ms", "-q")
	if status != 0 || !strings.Contains(out, "PASS") {
		t.Errorf("exit status %d\n%s", status, out)
	}
}

// The checks find what they are there for.
func TestFinds(t *testing.T) {
	exe := build(t, "rtstress_broken")
	for _, test := range []struct {
		op   string
		rt   bool
		want []string
	}{
		{"hang", false, []string{"STALLED", "worker   0: operation 1, broken-hang", "thread ", "goroutine ", "[select (no cases)"}},
		{"policy", true, []string{"FAIL: when no worker was busy: thread", "policy 1, priority 1"}},
		{"affinity", false, []string{"FAIL: when no worker was busy: thread", "may run on 1 CPUs"}},
		{"goroutine", false, []string{"FAIL: when no worker was busy", " goroutines, "}},
		{"thread", true, []string{"FAIL: worker", "after broken-thread: thread has policy 0"}},
		{"crash", false, []string{"panic: broken", "the process under test ended"}},
	} {
		t.Run(test.op, func(t *testing.T) {
			t.Parallel()
			var set unix.CPUSet
			if unix.SchedGetaffinity(0, &set); test.op == "affinity" && set.Count() < 2 {
				t.Skip("one CPU")
			}
			stall := "20s"
			if test.op == "hang" {
				stall = "2s"
			}
			args := []string{"-only", "broken-" + test.op, "-ops", "50", "-p", "2", "-stall", stall, "-seed", "9"}
			if !test.rt {
				args = append(args, "-ordinary")
			} else if !permitted() {
				t.Skip("real time is not permitted")
			}
			out, status := run(t, exe, args...)
			if status != 1 {
				t.Errorf("exit status %d, want 1", status)
			}
			for _, w := range append(test.want, "to repeat: rtstress -seed=9 -ops=50 -p=2") {
				if !strings.Contains(out, w) {
					t.Errorf("does not say %q", w)
				}
			}
			if t.Failed() {
				t.Logf("%.3000s", out)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	exe := build(t, "")
	for want, lists := range map[int][][]string{
		0: {{"-h"}, {"-list"}, {"-list", "-only", "chan*"}},
		2: {{"-x"}, {"arg"}, {"-ops", "0"}, {"-p", "0"}, {"-p", "65"}, {"-maxprio", "99"}, {"-only", "nothing"}, {"-only", "["}, {"-skip", "*"}, {"-stall", "1ms"}, {"-duration", "-1s"}, {"-hogs", "-1"}, {"-deadline", "101"}},
	} {
		for _, args := range lists {
			out, status := run(t, exe, args...)
			if status != want {
				t.Errorf("rtstress %v: exit status %d, want %d\n%s", args, status, want, out)
			}
			if want == 2 && strings.Count(out, "\n") != 1 && args[0] != "-x" {
				t.Errorf("rtstress %v: want one line\n%s", args, out)
			}
		}
	}
}
