// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
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

// smokeScenario measures an idle guest, one with a busy loop, and one with
// a limit that no machine keeps. C alone is measured: what is tested is the
// lab.
func smokeScenario(a Arch) *Scenario {
	return mustScenario(fmt.Sprintf(`{
		"name": "smoke", "arch": %q, "memory_mb": 512,
		"control": {"loops": 1000, "priority": 80},
		"runs": [
			{"name": "idle"},
			{"name": "busy loop", "load": [{"argv": ["sh", "-c", "while :; do :; done"]}],
			 "program": ["cyclictest", "-q", "-p80", "-i1000", "-l1000", "-h200", "--json=/tmp/c.json"],
			 "format": "cyclictest", "output": "/tmp/c.json"},
			{"name": "limit of 1 µs",
			 "program": ["cyclictest", "-q", "-p80", "-i1000", "-l100", "-h200", "--json=/tmp/limit.json"],
			 "format": "cyclictest", "output": "/tmp/limit.json", "max_us": 1}
		]}`, a))
}

// twoCPUs is a machine of QEMU's that measures itself, and has to be found out
// by its control.
func twoCPUs(a Arch) *Scenario {
	return mustScenario(fmt.Sprintf(`{
		"name": "two CPUs", "arch": %q, "memory_mb": 512, "cpus": 2,
		"control": {"loops": 1000, "priority": 80},
		"runs": [{"name": "two CPUs, busy loop", "load": [{"argv": ["sh", "-c", "while :; do :; done"]}]}]}`, a))
}

func mustScenario(text string) *Scenario {
	s, err := parseScenario([]byte(text))
	if err != nil {
		panic(err)
	}
	return s
}

// A smokeTest boots machines of one architecture and keeps what was found.
type smokeTest struct {
	checker
	ctx    context.Context
	store  *Store
	mf     *Manifest
	kernel string
	lock   string
}

// A checker makes checks and reports each to w as it is made.
type checker struct {
	arch   Arch
	w      io.Writer
	checks []Check
}

// checkLimits are far away: a busy host must not fail the test.
var checkLimits = Limits{Boot: 10 * time.Minute, Hang: 4 * time.Minute, Total: 15 * time.Minute}

func (t *checker) check(name string, ok bool, format string, args ...any) {
	c := Check{t.arch, name, ok, fmt.Sprintf(format, args...)}
	t.checks = append(t.checks, c)
	fmt.Fprintf(t.w, "%s  %s  %s: %s\n", map[bool]string{true: "PASS", false: "FAIL"}[ok], t.arch, name, c.Detail)
}

func (t *smokeTest) job(steps ...wire.Step) *Job {
	return &Job{Machine: Machine{Arch: t.arch, Clock: Icount, CPUs: 1, MemoryMB: 512, Kernel: t.kernel, Seed: 1}, Limits: checkLimits,
		Plan: wire.Plan{RTRuntimeUS: -1, Realtime: true, HeartbeatSeconds: 5, Steps: steps}}
}

// boot runs j; files go into the guest as programs, by their names there.
func (t *smokeTest) boot(j *Job, files map[string]string) (*Result, error) {
	var err error
	if j.Image, err = t.store.BaseImage(t.ctx, t.arch, t.mf, t.w); err != nil {
		return nil, err
	}
	for guest, host := range files {
		if err := j.Image.AddProgram(guest, host, t.store, t.arch); err != nil {
			return nil, err
		}
	}
	return Run(t.ctx, j, t.lock, t.w), t.ctx.Err()
}

// Smoke boots the machines of one architecture and checks that what the lab
// promises is so: a PREEMPT_RT kernel, output, files and exit status passed
// through, figures with controls that hold or void them, a Go test, and each
// outcome told from the others with nothing lost. It takes about two minutes.
// Each check is reported to w as it ends. RepoRoot is where this repository
// is, for the Go test.
func Smoke(ctx context.Context, s *Store, a Arch, lock, repoRoot string, w io.Writer) ([]Check, error) {
	mf, err := s.Fetch(ctx, a, false, w)
	if err != nil {
		return nil, err
	}
	t := &smokeTest{checker: checker{arch: a, w: w}, ctx: ctx, store: s, mf: mf, kernel: filepath.Join(s.Root(a), mf.Kernel), lock: lock}
	for _, f := range []func() error{t.programs, t.files, t.figures, func() error { return t.goTest(repoRoot) }, t.outcomes} {
		if err := f(); err != nil {
			return t.checks, err
		}
	}
	return t.checks, nil
}

// programs: output and exit status come through, and the same boot gives the
// same guest.
func (t *smokeTest) programs() error {
	script := "cat /sys/kernel/realtime; cat /proc/sys/kernel/sched_rt_runtime_us; echo err >&2; exit 7"
	var last float64
	for i := range 2 {
		r, err := t.boot(t.job(wire.Step{Name: "sh", Argv: []string{"sh", "-c", script}}), nil)
		if err != nil {
			return err
		}
		st := r.Step("sh")
		if st == nil {
			t.check("boot", false, "%s: %s", r.Outcome, r.Reason)
			return nil
		}
		if i == 0 {
			t.check("boot", r.Realtime, "%s, %.1f s", r.Kernel, r.Seconds)
			t.check("program", r.Outcome == ProgramFailed && st.Exit == 7 && string(st.Stdout) == "1\n-1\n" && string(st.Stderr) == "err\n",
				"%s, exit status %d, output %q and %q", r.Outcome, st.Exit, st.Stdout, st.Stderr)
			last = r.GuestTime
			continue
		}
		t.check("determinism", r.GuestTime == last, "two boots took %.9f and %.9f s of guest time", last, r.GuestTime)
	}
	return nil
}

// files: a large file comes back whole.
func (t *smokeTest) files() error {
	const size = 512 << 10
	r, err := t.boot(t.job(wire.Step{Name: "make", Argv: []string{"sh", "-c", fmt.Sprintf("head -c %d /dev/urandom >/tmp/f; sha256sum </tmp/f", size)}, Get: []string{"/tmp/f"}}), nil)
	if err != nil {
		return err
	}
	sum := ""
	if st := r.Step("make"); st != nil {
		sum, _, _ = strings.Cut(string(st.Stdout), " ")
	}
	b := r.Files["/tmp/f"]
	t.check("file of 512 KB", r.Outcome == OK && len(b) == size && fmt.Sprintf("%x", sha256.Sum256(b)) == sum, "%s %s, %d bytes in %.1f s", r.Outcome, r.Reason, len(b), r.Seconds)
	return nil
}

// figures: controls that hold, a limit that is exceeded, and, where QEMU can
// have two CPUs, a control that fails.
func (t *smokeTest) figures() error {
	scenarios := []*Scenario{smokeScenario(t.arch)}
	if t.arch == ARM64 {
		scenarios = append(scenarios, twoCPUs(t.arch))
	}
	for _, sc := range scenarios {
		r, err := t.boot(sc.Job(t.kernel, nil, checkLimits, 1), nil)
		if err != nil {
			return err
		}
		for i, rr := range sc.Judge(r).Runs {
			want := OK
			if sc.CPUs > 1 {
				want = Void
			} else if sc.Runs[i].MaxUS > 0 {
				want = ThresholdBreach
			}
			detail := fmt.Sprintf("%s %s", rr.Outcome, rr.Reason)
			if rr.Figures != nil {
				detail = fmt.Sprintf("cyclictest avg %.0f, max %.0f µs simulated; %s", rr.Figures.Avg, rr.Figures.Max, detail)
			}
			t.check("figures, "+rr.Name, rr.Outcome == want && rr.Figures != nil && rr.Figures.Min > 0, "%s", strings.TrimSpace(detail))
		}
	}
	return nil
}

// goTest: a Go test, compiled for the guest.
func (t *smokeTest) goTest(repoRoot string) error {
	dir, err := os.MkdirTemp("", "rtgo-smoke-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	prog := filepath.Join(dir, "wire.test")
	cmd := exec.CommandContext(t.ctx, "go", "test", "-c", "-o", prog, "./internal/lab/wire")
	cmd.Dir = repoRoot
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+string(t.arch))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go test -c: %v: %s", err, bytes.TrimSpace(out))
	}
	r, err := t.boot(t.job(wire.Step{Name: "test", Argv: []string{"/root/wire.test", "-test.v"}}), map[string]string{"/root/wire.test": prog})
	if err != nil {
		return err
	}
	st := r.Step("test")
	t.check("go test", r.Outcome == OK && st != nil && bytes.HasSuffix(st.Stdout, []byte("PASS\n")), "%s %s", r.Outcome, r.Reason)
	return nil
}

// outcomes: what can become of a machine, made to happen.
func (t *smokeTest) outcomes() error {
	sh := func(name, script string) wire.Step {
		return wire.Step{Name: name, Argv: []string{"sh", "-c", script}}
	}
	// A loop of so many thousands that then ends by itself; one takes about
	// 50 ms of the guest's time.
	loop := func(prio, n int) wire.Step {
		s := fmt.Sprintf("i=0; while [ $i -lt %d ]; do i=$((i+1)); done", 1000*n)
		return wire.Step{Name: "loop", Argv: []string{"chrt", "-f", fmt.Sprint(prio), "sh", "-c", s}}
	}
	sleeper := sh("sleeper", "sleep 100")
	sleeper.TimeoutSeconds = 1
	for _, c := range []struct {
		want  Outcome
		setup func(j *Job)
		steps []wire.Step
	}{
		{BootFailure, func(j *Job) { j.Machine.Append = "rdinit=/nonexistent" }, nil},
		// A crash loses nothing that was said before.
		{GuestPanic, nil, []wire.Step{sh("first", "echo kept"), sh("crash", "echo c >/proc/sysrq-trigger; sleep 5")}},
		{OutOfMemory, nil, []wire.Step{sh("first", "echo kept"), sh("eater", "tail /dev/zero")}},
		// The loop ends by itself, or the kernel's message, which the throttled
		// threads of SCHED_FIFO 1 hold up, would come after that of an RCU stall.
		{RTThrottling, func(j *Job) { j.Plan.RTRuntimeUS = 950000 }, []wire.Step{sh("first", "echo kept"), loop(50, 100)}},
		{RCUStall, func(j *Job) { j.Machine.Append = "rcupdate.rcu_cpu_stall_timeout=3" }, []wire.Step{sh("first", "echo kept"), loop(80, 300)}},
		// With throttling off a real-time loop leaves nothing for anything else.
		{Hang, func(j *Job) { j.Limits.Hang = 20 * time.Second }, []wire.Step{sh("first", "echo kept"),
			{Name: "hog", Argv: []string{"chrt", "-f", "80", "sh", "-c", "while :; do :; done"}}}},
		{Timeout, nil, []wire.Step{sh("first", "echo kept"), sleeper}},
	} {
		j := t.job(c.steps...)
		if c.setup != nil {
			c.setup(j)
		}
		r, err := t.boot(j, nil)
		if err != nil {
			return err
		}
		kept := len(c.steps) == 0
		if st := r.Step("first"); st != nil {
			kept = string(st.Stdout) == "kept\n"
		}
		detail := fmt.Sprintf("%s: %s", r.Outcome, r.Reason)
		if r.Diagnosis != "" {
			detail += "; " + r.Diagnosis
		}
		t.check("outcome "+string(c.want), r.Outcome == c.want && kept, "%s", detail)
	}
	return nil
}
