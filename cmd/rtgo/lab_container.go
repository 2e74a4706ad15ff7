// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"rtgo.dev/rtgo/internal/lab"
	"rtgo.dev/rtgo/internal/lab/wire"
)

func init() {
	labCommands = append(labCommands, labCommand{"container", labContainerHelp, labContainer})
}

const labContainerHelp = `usage: rtgo lab container [flags] [--] [ARG...]
       rtgo lab container -check [flags]

Runs a container of an exported image under the guest's PREEMPT_RT kernel, as
docker run does: the image's entry point with the arguments, as the image's
user, in namespaces and a control group of its own (crun), with the rights and
limits that the flags give it. /results in the container is /container/results
in the guest, for -get.

With -check it boots once and checks the image of the latency suite: that it
measures in a container what it measures outside of one beside the same load,
with rights given as docker, podman and Kubernetes give them, and that it says
clearly what is missing where a right or limit is.

Exit status: that of the container's command, 1 for any other outcome, 2 wrong
usage; with -check 0 all checks passed, 1 one failed or an error.

Examples:
  ci/image.sh && rtgo lab container -check
  rtgo lab container -ulimit rtprio=99 -ulimit memlock=-1 -- -m -p80 -l5000 -q
  rtgo lab container -user 0:0 -cap SYS_NICE -cpuset 0 -cpu-max '50000 100000' -- -p80 -l5000 -q --load cpu
  rtgo lab container -entrypoint /usr/local/bin/rtgo -- doctor
`

func labContainer(args []string) int {
	fs := labFlags("container")
	var s labSetup
	s.register(fs)
	image := fs.String("image", "out/image/rtlatency", "root file system `dir`; its configuration is in dir.json")
	check := fs.Bool("check", false, "check the image of the latency suite")
	user := fs.String("user", "", "`UID[:GID]` (default: the image's)")
	entry := fs.String("entrypoint", "", "`program` in place of the image's entry point")
	cpuset := fs.String("cpuset", "", "`CPUs` of the control group's cpuset")
	cpuMax := fs.String("cpu-max", "", "`QUOTA PERIOD` in µs, as in cpu.max")
	ambient := fs.Bool("ambient", false, "let an ordinary user have the capabilities in effect, as podman does")
	var caps, ulimits stringList
	fs.Var(&caps, "cap", "`capability` besides which it has none; may be repeated")
	fs.Var(&ulimits, "ulimit", "`NAME=N` with -1 for unlimited; may be repeated")
	if code, ok := labParse(fs, args); !ok {
		return code
	}
	dir, err := filepath.Abs(*image)
	if err != nil {
		return fail(fs.Name(), err)
	}
	cfg, err := lab.ReadImageConfig(dir)
	if err != nil {
		return fail(fs.Name(), err)
	}
	c := &lab.Container{Env: append(cfg.Env, s.env...), Dir: cfg.WorkingDir, User: cfg.User, Caps: caps, Ambient: *ambient, CPUs: *cpuset, CPUMax: *cpuMax,
		Rlimits: make(map[string]int64)}
	if *user != "" {
		c.User = *user
	}
	c.Args = append(cfg.Entrypoint, fs.Args()...)
	if *entry != "" {
		c.Args = append([]string{*entry}, fs.Args()...)
	} else if fs.NArg() == 0 {
		c.Args = append(cfg.Entrypoint, cfg.Cmd...)
	}
	for _, l := range ulimits {
		k, v, _ := strings.Cut(l, "=")
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < -1 {
			return labUsage(fs, "-ulimit %s: not NAME=N with N of at least -1", l)
		}
		c.Rlimits[k] = n
	}
	if s.arch == "" && len(c.Args) > 0 {
		// The image's architecture is that of its programs.
		if a, err := lab.ProgramArch(filepath.Join(dir, c.Args[0])); err == nil {
			s.arch = string(a)
		}
	}
	if *check {
		if fs.NArg() > 0 {
			return labUsage(fs, "-check takes no arguments")
		}
		return labContainerCheck(fs.Name(), &s, dir, cfg)
	}
	s.env = nil // they are the container's
	step := wire.Step{Name: "container", Argv: lab.ContainerCommand("container")}
	return s.runOne(fs.Name(), "", step, func(j *lab.Job, store *lab.Store, arch lab.Arch) error {
		if err := j.Image.AddRootfs(store, arch, dir); err != nil {
			return err
		}
		return j.Image.AddContainer("container", c)
	})
}

func labContainerCheck(name string, s *labSetup, dir string, cfg *lab.ImageConfig) int {
	ctx, stop := labContext()
	defer stop()
	arch, err := s.archFor("")
	if err != nil {
		return fail(name, err)
	}
	store, err := labStore()
	if err != nil {
		return fail(name, err)
	}
	m := &lab.Machine{Arch: arch}
	if err := m.Ensure(ctx, !s.noInstall, os.Stderr); err != nil {
		return fail(name, err)
	}
	checks, sc, res, err := lab.ContainerCheck(ctx, store, arch, labLock(store), dir, cfg, os.Stdout)
	if err != nil {
		return fail(name, err)
	}
	r := lab.NewReport(sc, []*lab.ScenarioResult{res})
	if err := r.WriteText(os.Stdout); err != nil {
		return fail(name, err)
	}
	err = labWriteJSON(s.jsonFile, struct {
		Checks []lab.Check `json:"checks"`
		Report *lab.Report `json:"report"`
	}{checks, r})
	if err != nil {
		return fail(name, err)
	}
	return labVerdict(checks)
}
