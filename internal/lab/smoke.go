// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"rtgo.dev/rtgo/internal/lab/wire"
)

// A Check is one thing that the smoke test finds to be so or not.
type Check struct {
	Arch   Arch   `json:"arch"`
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// smokeScenario measures an idle guest and one with a busy loop. C alone is
// measured: what is tested is the lab.
func smokeScenario(a Arch) *Scenario {
	s, err := parseScenario(fmt.Appendf(nil, `{
		"name": "smoke", "arch": %q, "memory_mb": 512,
		"control": {"loops": 1000, "priority": 80},
		"runs": [
			{"name": "idle"},
			{"name": "busy loop", "load": [{"argv": ["sh", "-c", "while :; do :; done"]}],
			 "program": ["cyclictest", "-q", "-p80", "-i1000", "-l1000", "-h200", "--json=/tmp/c.json"],
			 "format": "cyclictest", "output": "/tmp/c.json"}
		]}`, a))
	if err != nil {
		panic(err)
	}
	return s
}

// Smoke boots the machines of one architecture and checks that what the lab
// promises is so: a PREEMPT_RT kernel, output and exit status passed through,
// figures with valid controls, a Go test, and crashes and hangs told apart
// with nothing lost. It takes about a minute. Each check is reported to w as
// it ends. RepoRoot is where this repository is, for the Go test.
func Smoke(ctx context.Context, s *Store, a Arch, lock, repoRoot string, w io.Writer) ([]Check, error) {
	mf, err := s.Fetch(ctx, a, false, w)
	if err != nil {
		return nil, err
	}
	kernel := filepath.Join(s.Root(a), mf.Kernel)
	limits := Limits{Boot: 2 * time.Minute, Hang: time.Minute, Total: 3 * time.Minute}
	var checks []Check
	check := func(name string, ok bool, format string, args ...any) {
		c := Check{a, name, ok, fmt.Sprintf(format, args...)}
		checks = append(checks, c)
		fmt.Fprintf(w, "%s  %s  %s: %s\n", map[bool]string{true: "PASS", false: "FAIL"}[ok], a, name, c.Detail)
	}
	boot := func(j *Job) (*Result, error) {
		if j.Image, err = s.BaseImage(ctx, a, mf, w); err != nil {
			return nil, err
		}
		return Run(ctx, j, lock, w), ctx.Err()
	}
	job := func(limits Limits, steps ...wire.Step) *Job {
		return &Job{Machine: Machine{Arch: a, Clock: Icount, CPUs: 1, MemoryMB: 512, Kernel: kernel, Seed: 1}, Limits: limits,
			Plan: wire.Plan{RTRuntimeUS: -1, Realtime: true, HeartbeatSeconds: 5, Steps: steps}}
	}

	// Output and exit status, and that the same boot gives the same guest.
	script := "cat /sys/kernel/realtime; cat /proc/sys/kernel/sched_rt_runtime_us; echo err >&2; exit 7"
	var last float64
	for i := range 2 {
		r, err := boot(job(limits, wire.Step{Name: "sh", Argv: []string{"sh", "-c", script}}))
		if err != nil {
			return checks, err
		}
		st := r.Step("sh")
		if st == nil {
			check("boot", false, "%s: %s", r.Outcome, r.Reason)
			return checks, nil
		}
		if i == 0 {
			check("boot", r.Realtime, "%s, %.1f s", r.Kernel, r.Seconds)
			check("program", r.Outcome == ProgramFailed && st.Exit == 7 && string(st.Stdout) == "1\n-1\n" && string(st.Stderr) == "err\n",
				"%s, exit status %d, output %q and %q", r.Outcome, st.Exit, st.Stdout, st.Stderr)
			last = r.GuestTime
			continue
		}
		check("determinism", r.GuestTime == last, "two boots took %.9f and %.9f s of guest time", last, r.GuestTime)
	}

	// Figures and their controls.
	sc := smokeScenario(a)
	j := sc.Job(kernel, nil, limits, 1)
	r, err := boot(j)
	if err != nil {
		return checks, err
	}
	sr := sc.Judge(r)
	for _, rr := range sr.Runs {
		ok := rr.Outcome == OK && rr.Figures != nil && rr.Figures.Min > 0
		detail := fmt.Sprintf("%s %s", rr.Outcome, rr.Reason)
		if rr.Figures != nil {
			detail = fmt.Sprintf("cyclictest avg %.0f, max %.0f µs simulated; %s", rr.Figures.Avg, rr.Figures.Max, detail)
		}
		check("control "+rr.Name, ok, "%s", strings.TrimSpace(detail))
	}

	// A Go test, compiled for the guest.
	dir, err := os.MkdirTemp("", "rtgo-smoke-")
	if err != nil {
		return checks, err
	}
	defer os.RemoveAll(dir)
	prog := filepath.Join(dir, "wire.test")
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", prog, "./internal/lab/wire")
	cmd.Dir = repoRoot
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+string(a))
	if out, err := cmd.CombinedOutput(); err != nil {
		return checks, fmt.Errorf("go test -c: %v: %s", err, bytes.TrimSpace(out))
	}
	j = job(limits, wire.Step{Name: "test", Argv: []string{"/root/wire.test", "-test.v"}})
	if j.Image, err = s.BaseImage(ctx, a, mf, w); err != nil {
		return checks, err
	}
	if err := j.Image.AddProgram("/root/wire.test", prog, s, a); err != nil {
		return checks, err
	}
	r = Run(ctx, j, lock, w)
	if st := r.Step("test"); st == nil {
		check("go test", false, "%s: %s", r.Outcome, r.Reason)
	} else {
		check("go test", r.Outcome == OK && bytes.HasSuffix(st.Stdout, []byte("PASS\n")), "%s, exit status %d", r.Outcome, st.Exit)
	}

	// A crash loses nothing that was said before.
	r, err = boot(job(limits,
		wire.Step{Name: "first", Argv: []string{"sh", "-c", "echo kept"}},
		wire.Step{Name: "crash", Argv: []string{"sh", "-c", "echo c >/proc/sysrq-trigger; sleep 5"}}))
	if err != nil {
		return checks, err
	}
	st := r.Step("first")
	check("guest panic", r.Outcome == GuestPanic && st != nil && string(st.Stdout) == "kept\n", "%s: %s", r.Outcome, r.Reason)

	// A real-time loop with throttling off leaves nothing for anything else.
	short := limits
	short.Hang = 20 * time.Second
	r, err = boot(job(short, wire.Step{Name: "hog", Argv: []string{"chrt", "-f", "80", "sh", "-c", "while :; do :; done"}}))
	if err != nil {
		return checks, err
	}
	check("hang", r.Outcome == Hang, "%s: %s; %s", r.Outcome, r.Reason, r.Diagnosis)
	return checks, nil
}
