// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"rtgo.dev/rtgo/internal/lab/wire"
)

// A figure in a container equals that outside of one, in a control group of the
// same depth, if it differs by no more than this: of the median and the 99th
// percentile, and of the maximum, which is a single sample.
const (
	containerTolerancePct    = 10.0
	containerToleranceUS     = 2.0
	containerMaxTolerancePct = 50.0
	containerMaxToleranceUS  = 10.0

	// Where a quota is used up, the kernel stops and starts the ordinary
	// threads in every period, at whatever moment.
	containerThrottledUS = 30.0
)

// dockerRights is what 'docker run --ulimit rtprio=99 --ulimit memlock=-1' gives
// an ordinary user, as deploy/docker/rtlatency.sh calls it.
func dockerRights() *Container {
	return &Container{User: "65532:65532", Caps: []string{"SYS_NICE", "IPC_LOCK"}, Rlimits: map[string]int64{"rtprio": 99, "memlock": -1}, CPUs: "0"}
}

// engines are the ways in which a container comes by its rights.
func engines() []namedContainer {
	caps := []string{"SYS_NICE", "IPC_LOCK"}
	half := dockerRights()
	half.CPUMax = "50000 100000"
	return []namedContainer{
		{"docker, limits", dockerRights()},
		{halfCPU, half},
		{"podman, capabilities", &Container{User: "65532:65532", Caps: caps, Ambient: true, CPUs: "0"}},
		// All of one CPU, as a pod of class Guaranteed has it.
		{"Kubernetes, root", &Container{User: "0:0", Caps: caps, CPUs: "0", CPUMax: "100000 100000"}},
	}
}

// halfCPU is the container whose load uses up its quota.
const halfCPU = "docker, half a CPU"

type namedContainer struct {
	name string
	c    *Container
}

// A refusal is a container that lacks something, and what the program has to
// say about it.
type refusal struct {
	namedContainer
	args []string
	want []string
}

func refusals() []refusal {
	with := func(f func(*Container)) *Container {
		c := dockerRights()
		f(c)
		return c
	}
	return []refusal{
		{namedContainer{"no limit, no capability", with(func(c *Container) { c.Rlimits = nil })},
			[]string{"-p80", "-l10", "-q"},
			[]string{"no CAP_SYS_NICE", "RLIMIT_RTPRIO 0 is below priority 80", "docker run --cap-add SYS_NICE", "docker run --ulimit rtprio=99"}},
		{namedContainer{"limit too low", with(func(c *Container) { c.Rlimits["rtprio"] = 50 })},
			[]string{"-p80", "-l10", "-q"},
			[]string{"RLIMIT_RTPRIO 50 is below priority 80", "docker run --ulimit rtprio=99"}},
		{namedContainer{"memory not to be locked", with(func(c *Container) { delete(c.Rlimits, "memlock") })},
			[]string{"-m", "-p80", "-l10", "-q"},
			[]string{"RLIMIT_MEMLOCK is 8192 KB", "CAP_IPC_LOCK", "docker run --ulimit memlock=-1"}},
		{namedContainer{"root without the capability", &Container{User: "0:0", Caps: []string{"IPC_LOCK"}, CPUs: "0"}},
			[]string{"-p80", "-l10", "-q"},
			[]string{"no CAP_SYS_NICE", "docker run --cap-add SYS_NICE"}},
		{namedContainer{"engine without root", &Container{User: "0:0", Caps: []string{"SYS_NICE", "IPC_LOCK"}, UserNamespace: true}},
			[]string{"-p80", "-l10", "-q"},
			[]string{"CAP_SYS_NICE of the initial user namespace"}},
		{namedContainer{"CPU outside of the cpuset", dockerRights()},
			[]string{"-p80", "-l10", "-q", "-a1"},
			[]string{"CPU 1 is not one this process may use", "cpuset"}},
	}
}

// rightsScript prints what a container has. It needs a shell alone.
const rightsScript = `id -u; while read -r k v; do case $k in CapBnd:|CapEff:|NoNewPrivs:) echo "$k $v";; esac; done </proc/self/status
ulimit -r; ulimit -l; cat /sys/fs/cgroup/cpuset.cpus.effective /sys/fs/cgroup/cpu.max /sys/kernel/realtime`

// ContainerCheck boots one machine with the exported rtlatency image in rootfs
// and checks that it is there what it is outside of a container: its programs
// measure the same beside the same load, in the same boot, however an engine
// grants the rights, and say clearly what is wrong where one is missing. Checks
// are reported to w as they are made. The scenario and its result have the
// figures. It takes one to two minutes.
func ContainerCheck(ctx context.Context, s *Store, a Arch, lock, rootfs string, cfg *ImageConfig, w io.Writer) ([]Check, *Scenario, *ScenarioResult, error) {
	mf, err := s.Fetch(ctx, a, false, w)
	if err != nil {
		return nil, nil, nil, err
	}
	m, err := s.BaseImage(ctx, a, mf, w)
	if err != nil {
		return nil, nil, nil, err
	}
	if err := m.AddRootfs(s, a, rootfs); err != nil {
		return nil, nil, nil, err
	}
	program := cfg.Entrypoint
	if len(program) == 0 {
		return nil, nil, nil, fmt.Errorf("%s: the image has no entry point; is it rtgo/rtlatency?", rootfs)
	}
	var steps []wire.Step
	add := func(id string, c *Container, args ...string) error {
		c.Env, c.Dir, c.Args = cfg.Env, cfg.WorkingDir, args
		return m.AddContainer(id, c)
	}
	brief := func(name, id string) {
		steps = append(steps, wire.Step{Name: name, Argv: ContainerCommand(id), TimeoutSeconds: 60})
	}

	rights := dockerRights()
	rights.User, rights.CPUMax = cfg.User, "80000 100000"
	if err := add("rights", rights, "/bin/sh", "-c", rightsScript); err != nil {
		return nil, nil, nil, err
	}
	brief("rights", "rights")
	refused := refusals()
	for i, r := range refused {
		id := fmt.Sprintf("refused-%d", i)
		if err := add(id, r.c, slices.Concat(program, r.args)...); err != nil {
			return nil, nil, nil, err
		}
		brief(r.name, id)
	}

	// The measured runs. A process of the lab is in the root control group, a
	// container two levels below: to the kernel, switching from a nested task to
	// a real-time one is a longer way, whoever asks. So the program is measured
	// outside of a container both in the root group and in one like the
	// container's, and so is cyclictest, with the load alone in the group.
	const load, group = "alloc,cpu", "/sys/fs/cgroup/rtgo/outside"
	flags := []string{"-m", "-p80", "-i1000", "-l3000", "-q", "--load", load, "--result"}
	outside := slices.Concat([]string{containerRoot + program[0]}, program[1:])
	beside := slices.Concat(outside, []string{"--load", load, "--load-only"})
	inGroup := func(argv []string) []string {
		return slices.Concat([]string{"sh", "-c", `echo $$ >` + group + `/cgroup.procs && exec "$0" "$@"`}, argv)
	}
	steps = append(steps, wire.Step{Name: "control group", TimeoutSeconds: 60, Argv: []string{"sh", "-ec",
		"cd /sys/fs/cgroup; mkdir -p rtgo/outside; for d in . rtgo; do echo +cpu +cpuset >$d/cgroup.subtree_control; done"}})
	sc := &Scenario{Name: "rtlatency in a container", Arch: a, CPUs: 1, MemoryMB: 2048, Clock: Icount,
		Control:          Control{BoundUS: 100, Priority: 80, IntervalUS: 1000, Loops: 500},
		TolerancePercent: containerTolerancePct, ToleranceUS: containerToleranceUS,
		Runs: []ScenarioRun{
			{Name: "cyclictest", Load: []Load{{Argv: beside, SettleMS: 1000}}},
			{Name: "cyclictest, load in a group", Load: []Load{{Argv: inGroup(beside), SettleMS: 1000}}},
		}}
	run := func(name, id string, program []string) {
		sc.Runs = append(sc.Runs, ScenarioRun{Name: name, Program: program, Beside: beside, Format: "rtlatency",
			Output: containerResults + "/" + id + ".json", TimeoutSeconds: 120, Reference: id == "group"})
	}
	run("outside", "root", slices.Concat(outside, flags, []string{containerResults + "/root.json"}))
	run("outside, in a group", "group", inGroup(slices.Concat(outside, flags, []string{containerResults + "/group.json"})))
	for i, e := range engines() {
		id := fmt.Sprintf("inside-%d", i)
		if err := add(id, e.c, slices.Concat(program, flags, []string{"/results/" + id + ".json"})...); err != nil {
			return nil, nil, nil, err
		}
		run(e.name, id, ContainerCommand(id))
	}
	j := sc.Job(filepath.Join(s.Root(a), mf.Kernel), m, checkLimits, 1)
	j.Plan.Steps = append(steps, j.Plan.Steps...)
	j.OnStep = func(step string, begins bool) {
		if begins && !strings.Contains(step, "beside") {
			fmt.Fprintf(w, "lab: %s\n", step)
		}
	}
	boot := Run(ctx, j, lock, w)
	if ctx.Err() != nil {
		return nil, nil, nil, ctx.Err()
	}
	res := sc.Judge(boot)

	t := &checker{arch: a, w: w}
	t.check("boot", boot.Realtime && boot.GuestDone(), "%s, %.0f s here; %s %s", orNothing(boot.Kernel), boot.Seconds, boot.Outcome, boot.Reason)
	uid, _, _ := strings.Cut(cfg.User, ":")
	want := uid + "\nCapEff: 0000000000000000\nCapBnd: 0000000000804000\nNoNewPrivs: 1\n99\nunlimited\n0\n80000 100000\n1\n"
	out, exit := stepOutput(boot, "rights")
	t.check("rights of docker's limits", uid != "0" && exit == 0 && out == want, "exit status %d, %s", exit, strings.Join(strings.Fields(out), " "))
	for _, r := range refused {
		out, exit := stepOutput(boot, r.name)
		lacks := ""
		for _, want := range r.want {
			if !strings.Contains(out, want) {
				lacks += fmt.Sprintf("; it lacks %q", want)
			}
		}
		t.check("refused: "+r.name, exit == 1 && lacks == "", "exit status %d, %s%s", exit, strings.Join(strings.Fields(out), " "), lacks)
	}
	for _, rr := range res.Runs {
		if rr.Outcome != OK || rr.Figures == nil {
			t.check("measurement "+rr.Name, false, "%s %s", rr.Outcome, rr.Reason)
		}
	}
	if slices.ContainsFunc(t.checks, func(c Check) bool { return !c.OK && strings.HasPrefix(c.Name, "measurement") }) {
		return t.checks, sc, res, nil
	}
	const c, cInGroup, goOutside, goInGroup, containers = 0, 1, 2, 3, 4
	ref := res.Runs[goInGroup].Figures
	for _, rr := range res.Runs[containers:] {
		f := rr.Figures
		near := func(a, b, pct, us float64) bool { return math.Abs(a-b) <= max(us, b*pct/100) }
		maxUS := containerMaxToleranceUS
		if rr.Name == halfCPU {
			maxUS = containerThrottledUS
		}
		ok := near(f.P50, ref.P50, containerTolerancePct, containerToleranceUS) && near(f.P99, ref.P99, containerTolerancePct, containerToleranceUS) &&
			near(f.Max, ref.Max, containerMaxTolerancePct, maxUS)
		t.check("figures "+rr.Name, ok, "p50 %.1f, p99 %.1f, max %.1f µs simulated; outside p50 %.1f, p99 %.1f, max %.1f; %d cycles",
			f.P50, f.P99, f.Max, ref.P50, ref.P99, ref.Max, f.Cycles)
	}
	goCost := ref.P50 - res.Runs[goOutside].Figures.P50
	cCost := res.Runs[cInGroup].Figures.P50 - res.Runs[c].Figures.P50
	t.check("cost of a control group", goCost <= cCost+containerToleranceUS, "p50 %+.1f µs, of cyclictest %+.1f (%.1f to %.1f; %.1f to %.1f), simulated",
		goCost, cCost, res.Runs[goOutside].Figures.P50, ref.P50, res.Runs[c].Figures.P50, res.Runs[cInGroup].Figures.P50)
	return t.checks, sc, res, nil
}

// stepOutput returns what a step wrote, and its exit status, or -1 if it never
// ended by itself.
func stepOutput(r *Result, name string) (out string, exit int) {
	st := r.Step(name)
	if st == nil {
		return "", -1
	}
	if st.Unfinished || st.TimedOut {
		return string(st.Stdout) + string(st.Stderr), -1
	}
	return string(st.Stdout) + string(st.Stderr), st.Exit
}
