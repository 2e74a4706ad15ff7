// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"rtgo.dev/rtgo/internal/lab"
	"rtgo.dev/rtgo/internal/lab/wire"
)

func init() {
	register("lab", "run programs under a PREEMPT_RT kernel in simulated time", labHelp, labMain)
}

const labHelp = `usage: rtgo lab <command> [flags] [arguments]

Runs programs under a PREEMPT_RT kernel in a QEMU virtual machine whose clock is
its instruction count, so that latencies repeat on any host. All its figures are
in simulated time; docs/lab.md says what they can and cannot tell.

  fetch     download kernels and tools (Debian packages, never installed)
  run       run a program, pass its output and exit status through
  shell     an interactive shell in the guest
  exec      for go test: go test -exec 'rtgo lab exec' ./...
  scenario  measured runs with loads and controls, from a file
  container run an exported container image with an engine's rights and limits
  smoke     does the lab itself work? both architectures, a few minutes

'rtgo lab <command> -h' has flags and examples. The first use fetches what is
missing. QEMU is installed with apt-get if it is missing.
`

type labCommand struct {
	name, help string
	run        func(args []string) int
}

// labCommands is filled by the init functions of the files lab_*.go.
var labCommands []labCommand

func labMain(args []string) int {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, labHelp)
		return 2
	}
	switch args[0] {
	case "-h", "-help", "--help", "help":
		if len(args) > 1 && args[0] == "help" {
			return labMain([]string{args[1], "-h"})
		}
		fmt.Print(labHelp)
		return 0
	}
	for _, c := range labCommands {
		if c.name == args[0] {
			return c.run(args[1:])
		}
	}
	fmt.Fprintf(os.Stderr, "rtgo lab: unknown command %q; run 'rtgo lab -h' for the list\n", args[0])
	return 2
}

// labFlags returns the flag set of a lab command; its -h prints the command's
// help.
func labFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet("lab "+name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// labParse parses flags up to the first argument.
func labParse(fs *flag.FlagSet, args []string) (code int, ok bool) {
	err := fs.Parse(args)
	if err == nil {
		return 0, true
	}
	name := strings.TrimPrefix(fs.Name(), "lab ")
	if err == flag.ErrHelp {
		for _, c := range labCommands {
			if c.name == name {
				fmt.Printf("%s\nFlags:\n", strings.TrimPrefix(c.help, "\n"))
			}
		}
		fs.SetOutput(os.Stdout)
		fs.PrintDefaults()
		return 0, false
	}
	return labUsage(fs, "%v", err), false
}

func labUsage(fs *flag.FlagSet, format string, args ...any) int {
	fmt.Fprintf(os.Stderr, "rtgo %s: %s; run 'rtgo %s -h'\n", fs.Name(), fmt.Sprintf(format, args...), fs.Name())
	return 2
}

// A labSetup holds the flags that all commands that boot share.
type labSetup struct {
	arch, kernel, clock, append_, logFile, jsonFile string
	cpus, mem, seed                                 int
	throttling, anyKernel, verbose, noInstall       bool
	timeout, hang, bootTime                         time.Duration
	files, gets, env, allow                         stringList
}

func (s *labSetup) register(fs *flag.FlagSet) {
	fs.StringVar(&s.arch, "arch", "", "guest `architecture`, amd64 or arm64 (default: that of the program, else of the host)")
	fs.IntVar(&s.cpus, "cpus", 1, "guest `CPUs`; figures under load need 1, see docs/lab.md")
	fs.IntVar(&s.mem, "mem", 2048, "guest memory in `MB`")
	fs.StringVar(&s.kernel, "kernel", "", "boot this kernel `file` (bzImage or Image) instead of Debian's")
	fs.BoolVar(&s.anyKernel, "any-kernel", false, "go on under a kernel that is not PREEMPT_RT")
	fs.StringVar(&s.clock, "clock", "icount", "guest `clock`: icount (deterministic), bochs (deterministic, amd64 with several CPUs, slow), host (functional checks only) or kvm")
	fs.IntVar(&s.seed, "seed", 1, "seed of the guest's randomness; the same `number` gives the same run, to the nanosecond")
	fs.StringVar(&s.append_, "append", "", "more `words` for the kernel's command line")
	fs.BoolVar(&s.throttling, "throttling", false, "leave RT throttling on (950 ms of each second); it is off otherwise")
	fs.DurationVar(&s.timeout, "timeout", 10*time.Minute, "time limit of the whole boot, in the host's time; 0 is none")
	bootFlag(fs, &s.bootTime)
	fs.DurationVar(&s.hang, "hang", 90*time.Second, "without a sign of life for so long the guest hangs; in the host's time")
	fs.StringVar(&s.logFile, "console", "", "write the guest's console to `file`")
	fs.StringVar(&s.jsonFile, "json", "", "write the result as JSON to `file`")
	fs.Var(&s.files, "file", "`HOST[:GUEST]`: copy a file or directory into the guest (default /root/BASE); may be repeated")
	fs.Var(&s.gets, "get", "`GUEST[:HOST]`: copy a file out of the guest afterwards (default ./BASE); may be repeated")
	fs.Var(&s.env, "env", "`K=V` for the program; may be repeated")
	fs.Var(&s.allow, "allow", "`outcome` of kernel messages to tolerate: rt-throttling, rcu-stall or out-of-memory; may be repeated")
	fs.BoolVar(&s.verbose, "v", false, "show the guest's console on standard error")
	fs.BoolVar(&s.noInstall, "no-install", false, "do not install QEMU if it is missing")
}

func bootFlag(fs *flag.FlagSet, d *time.Duration) {
	fs.DurationVar(d, "boot", lab.DefaultLimits.Boot, "time limit until the guest's init reports, in the host's time; five times as much with bochs")
}

// labStore returns the store: that of the repository around the current
// directory or around this executable, else one in the user's cache.
func labStore() (*lab.Store, error) {
	if root, err := repoRoot(); err == nil {
		return &lab.Store{Dir: filepath.Join(root, "out/cache/lab")}, nil
	}
	if exe, err := os.Executable(); err == nil {
		for dir := filepath.Dir(exe); dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			if _, err := os.Stat(filepath.Join(dir, "upstream.json")); err == nil {
				return &lab.Store{Dir: filepath.Join(dir, "out/cache/lab")}, nil
			}
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	return &lab.Store{Dir: filepath.Join(cache, "rtgo/lab")}, nil
}

// labLock is the file whose lock is held while a machine runs, one for all
// checkouts of a user.
func labLock(s *lab.Store) string {
	if cache, err := os.UserCacheDir(); err == nil {
		return filepath.Join(cache, "rtgo", "lab.lock")
	}
	return filepath.Join(s.Dir, "machine.lock")
}

// job makes ready a boot for arch.
func (s *labSetup) job(ctx context.Context, store *lab.Store, arch lab.Arch) (*lab.Job, error) {
	j := &lab.Job{
		Machine: lab.Machine{Arch: arch, Clock: lab.Clock(s.clock), CPUs: s.cpus, MemoryMB: s.mem, Kernel: s.kernel, Append: s.append_, Seed: s.seed},
		Plan:    wire.Plan{RTRuntimeUS: -1, Realtime: !s.anyKernel, HeartbeatSeconds: 5},
		Limits:  lab.Limits{Boot: s.bootTime, Hang: s.hang, Total: s.timeout},
	}
	if s.throttling {
		j.Plan.RTRuntimeUS = 950000
	}
	if s.timeout == 0 {
		j.Limits.Total = 1 << 62
	}
	for _, a := range s.allow {
		o := lab.Outcome(a)
		if !slices.Contains([]lab.Outcome{lab.RTThrottling, lab.RCUStall, lab.OutOfMemory}, o) {
			return nil, fmt.Errorf("-allow %s: only rt-throttling, rcu-stall and out-of-memory can be tolerated", a)
		}
		j.Tolerate = append(j.Tolerate, o)
	}
	if err := j.Machine.Check(); err != nil {
		return nil, err
	}
	if s.kernel != "" {
		if _, err := os.Stat(s.kernel); err != nil {
			return nil, err
		}
	}
	if err := j.Machine.Ensure(ctx, !s.noInstall, os.Stderr); err != nil {
		return nil, err
	}
	mf, err := store.Fetch(ctx, arch, false, os.Stderr)
	if err != nil {
		return nil, err
	}
	if j.Machine.Kernel == "" {
		j.Machine.Kernel = filepath.Join(store.Root(arch), mf.Kernel)
	}
	if j.Image, err = store.BaseImage(ctx, arch, mf, os.Stderr); err != nil {
		return nil, err
	}
	for _, f := range s.files {
		host, guest, ok := strings.Cut(f, ":")
		if host, err = filepath.Abs(host); err != nil {
			return nil, err
		}
		if !ok || guest == "" {
			guest = "/root/" + filepath.Base(host)
		} else if !strings.HasPrefix(guest, "/") {
			guest = "/root/" + guest
		}
		if err := j.Image.AddTree(guest, host, store, arch); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// boot runs the job and writes what the flags ask for.
func (s *labSetup) boot(ctx context.Context, store *lab.Store, j *lab.Job) (*lab.Result, error) {
	var console bytes.Buffer
	ws := []io.Writer{&console}
	if s.verbose {
		ws = append(ws, os.Stderr)
	}
	if j.Console != nil {
		ws = append(ws, j.Console)
	}
	j.Console = io.MultiWriter(ws...)
	r := lab.Run(ctx, j, labLock(store), os.Stderr)
	if s.logFile != "" {
		if err := os.WriteFile(s.logFile, console.Bytes(), 0o644); err != nil {
			return r, err
		}
	}
	for _, g := range s.gets {
		guest, host, ok := strings.Cut(g, ":")
		if !ok || host == "" {
			host = filepath.Base(guest)
		}
		b, ok := r.Files[guest]
		if !ok {
			continue // the outcome says so
		}
		if err := os.WriteFile(host, b, 0o644); err != nil {
			return r, err
		}
	}
	return r, labWriteJSON(s.jsonFile, r)
}

// getPaths returns the guest's side of the -get flags.
func (s *labSetup) getPaths() []string {
	var out []string
	for _, g := range s.gets {
		guest, _, _ := strings.Cut(g, ":")
		out = append(out, guest)
	}
	return out
}

// archFor chooses the guest's architecture for a program on the host, which
// may be "".
func (s *labSetup) archFor(program string) (lab.Arch, error) {
	if s.arch != "" {
		return lab.ParseArch(s.arch)
	}
	if program != "" {
		a, err := lab.ProgramArch(program)
		if err != nil {
			return "", fmt.Errorf("%s: %v", program, err)
		}
		if a != "" {
			return a, nil
		}
	}
	return lab.Native(), nil
}

func labContext() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
}
