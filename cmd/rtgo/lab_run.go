// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"rtgo.dev/rtgo/internal/lab"
	"rtgo.dev/rtgo/internal/lab/wire"
)

func init() {
	labCommands = append(labCommands,
		labCommand{"fetch", labFetchHelp, labFetch},
		labCommand{"run", labRunHelp, labRun},
		labCommand{"shell", labShellHelp, labShell},
		labCommand{"exec", labExecHelp, labExec})
}

const labFetchHelp = `usage: rtgo lab fetch [flags]

Downloads PREEMPT_RT kernels, a static busybox, rt-tests and stress-ng with the
libraries they need, from the Debian archive of this machine's apt sources, and
unpacks them into out/cache/lab. Nothing is installed and no privileges are
needed. What is there already is compared with its checksums.

Examples:
  rtgo lab fetch                 both architectures
  rtgo lab fetch -f -arch arm64  again, taking newer versions
`

func labFetch(args []string) int {
	fs := labFlags("fetch")
	arch := fs.String("arch", "", "only this `architecture`: amd64 or arm64 (default: both)")
	force := fs.Bool("f", false, "fetch again even if all is there")
	if code, ok := labParse(fs, args); !ok {
		return code
	}
	if fs.NArg() > 0 {
		return labUsage(fs, "unexpected argument %q", fs.Arg(0))
	}
	arches := lab.Arches
	if *arch != "" {
		a, err := lab.ParseArch(*arch)
		if err != nil {
			return labUsage(fs, "%v", err)
		}
		arches = []lab.Arch{a}
	}
	ctx, stop := labContext()
	defer stop()
	store, err := labStore()
	if err != nil {
		return fail(fs.Name(), err)
	}
	for _, a := range arches {
		m, err := store.Fetch(ctx, a, *force, os.Stderr)
		if err != nil {
			return fail(fs.Name(), fmt.Errorf("%s: %w", a, err))
		}
		fmt.Printf("%s: kernel %s, %d packages, %d files, checksums good\n", a,
			strings.TrimPrefix(filepath.Base(m.Kernel), "vmlinuz-"), len(m.Packages), len(m.Files))
	}
	return 0
}

const labRunHelp = `usage: rtgo lab run [flags] [--] COMMAND [ARG...]

Boots the guest, runs COMMAND as root in /root, and passes its output and exit
status through. A COMMAND with a slash is a program on the host: it is copied
into the guest with the shared libraries it needs. One without is a program of
the guest's: busybox's commands, rt-tests (cyclictest, hackbench, ...),
stress-ng. Output is passed on as it comes; what was written before a crash of
the guest is kept.

Any other outcome than success or a failed program is reported on standard error
by its name: boot-failure, guest-panic, hang, timeout, rt-throttling, rcu-stall,
out-of-memory, infra-error.

Exit status: that of COMMAND, 128 plus the signal that killed it; 1 for any
other outcome, 2 wrong usage.

Examples:
  rtgo lab run cyclictest -p80 -i1000 -l2000 -q
  rtgo lab run -arch arm64 sh -c 'uname -a; cat /sys/kernel/realtime'
  CGO_ENABLED=0 out/go/bin/go build -o prog ./cmd/prog && rtgo lab run ./prog -flag
  rtgo lab run -file ./loadgen -get /root/result.json ./prog -load /root/loadgen -o result.json
  rtgo lab run -file ./a -file ./b sh -c './a & ./b; kill $!'
  rtgo lab run -kernel ~/linux/arch/x86/boot/bzImage ./prog
`

func labRun(args []string) int {
	fs := labFlags("run")
	var s labSetup
	s.register(fs)
	if code, ok := labParse(fs, args); !ok {
		return code
	}
	if fs.NArg() == 0 {
		return labUsage(fs, "no command given")
	}
	argv := fs.Args()
	program := ""
	if strings.Contains(argv[0], "/") {
		if fi, err := os.Stat(argv[0]); err == nil && fi.Mode().IsRegular() {
			program = argv[0]
		} else if !strings.HasPrefix(argv[0], "/") {
			return fail(fs.Name(), fmt.Errorf("no program %s here", argv[0]))
		}
	}
	step := wire.Step{Name: filepath.Base(argv[0]), Argv: argv, Dir: "/root"}
	if program != "" {
		step.Argv = append([]string{"/root/" + filepath.Base(program)}, argv[1:]...)
	}
	return s.runOne(fs.Name(), program, step, nil)
}

// runOne boots for a single command, whose exit status it returns.
func (s *labSetup) runOne(name, program string, step wire.Step, prepare func(*lab.Job, *lab.Store, lab.Arch) error) int {
	ctx, stop := labContext()
	defer stop()
	arch, err := s.archFor(program)
	if err != nil {
		return fail(name, err)
	}
	store, err := labStore()
	if err != nil {
		return fail(name, err)
	}
	j, err := s.job(ctx, store, arch)
	if err != nil {
		return fail(name, err)
	}
	if program != "" {
		if err := j.Image.AddProgram(step.Argv[0], program, store, arch); err != nil {
			return fail(name, err)
		}
	}
	if prepare != nil {
		if err := prepare(j, store, arch); err != nil {
			return fail(name, err)
		}
	}
	step.Env = append(step.Env, s.env...)
	step.Get = s.getPaths()
	j.Plan.Steps = []wire.Step{step}
	if step.Console {
		j.Terminal, j.Console = os.Stdin, os.Stdout
	}
	j.OnOutput = func(_ string, fd int, data []byte) {
		if fd == 2 {
			os.Stderr.Write(data)
		} else {
			os.Stdout.Write(data)
		}
	}
	r, err := s.boot(ctx, store, j)
	if r.Outcome != lab.OK && r.Outcome != lab.ProgramFailed {
		msg := fmt.Sprintf("%s: %s", r.Outcome, r.Reason)
		if r.Diagnosis != "" {
			msg += " (" + r.Diagnosis + ")"
		}
		return fail(name, fmt.Errorf("%s", msg))
	}
	if err != nil {
		return fail(name, err)
	}
	st := r.Step(step.Name)
	if st.Exit != 0 {
		if st.Error != "" {
			fmt.Fprintf(os.Stderr, "rtgo %s: %s: %s\n", name, step.Argv[0], st.Error)
		}
		return st.Exit
	}
	if r.Outcome != lab.OK {
		return fail(name, fmt.Errorf("%s", r.Reason))
	}
	return 0
}

const labShellHelp = `usage: rtgo lab shell [flags] [COMMAND [ARG...]]

Boots the guest with this terminal as its console and starts a shell, or
COMMAND. Leave it with exit, or end the machine with Control-A X.

Examples:
  rtgo lab shell
  rtgo lab shell -arch arm64 -cpus 2 -file ./prog
`

func labShell(args []string) int {
	fs := labFlags("shell")
	var s labSetup
	s.register(fs)
	if code, ok := labParse(fs, args); !ok {
		return code
	}
	argv := fs.Args()
	if len(argv) == 0 {
		argv = []string{"sh", "-i"}
	}
	if s.timeout == 10*time.Minute {
		s.timeout = 0 // people take their time
	}
	return s.runOne(fs.Name(), "", wire.Step{Name: "shell", Argv: argv, Console: true}, nil)
}

const labExecHelp = `usage: go test -exec 'rtgo lab exec [flags]' PACKAGES

Runs a test binary in the guest, as go test -exec wants it: in a directory of
the same name as the package's, which holds the package's own files and its
testdata, with output and exit status passed through. Binaries for arm64 run in
an arm64 guest. Tests of several packages run one after another.

Exit status: that of the test; 1 for any outcome of the machine's own.

Examples:
  go test -exec 'rtgo lab exec' ./...
  GOARCH=arm64 go test -exec 'rtgo lab exec -cpus 2' ./rt
  go test -exec 'rtgo lab exec -file ../testdata:/data' -run TestX -v .
`

func labExec(args []string) int {
	fs := labFlags("exec")
	var s labSetup
	s.register(fs)
	if code, ok := labParse(fs, args); !ok {
		return code
	}
	if fs.NArg() == 0 {
		return labUsage(fs, "no test binary given; go test -exec 'rtgo lab exec' adds it")
	}
	program, err := filepath.Abs(fs.Arg(0))
	if err != nil {
		return fail(fs.Name(), err)
	}
	wd, err := os.Getwd()
	if err != nil {
		return fail(fs.Name(), err)
	}
	if _, err := os.Stat(program); err != nil {
		return fail(fs.Name(), err)
	}
	// The go command sets these, and tests ask for them.
	step := wire.Step{Name: filepath.Base(program), Dir: wd, Argv: append([]string{program}, fs.Args()[1:]...), Env: []string{"PWD=" + wd}}
	for _, k := range []string{"GODEBUG", "GOTRACEBACK", "GOGC", "GOMEMLIMIT", "GOMAXPROCS"} {
		if v, ok := os.LookupEnv(k); ok {
			step.Env = append(step.Env, k+"="+v)
		}
	}
	return s.runOne(fs.Name(), program, step, func(j *lab.Job, store *lab.Store, arch lab.Arch) error {
		return addPackageDir(j.Image, wd)
	})
}

// addPackageDir copies a package's files and its testdata to the same path in
// the guest.
func addPackageDir(m *lab.Image, dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	m.AddDir(dir)
	const limit = 16 << 20 // a larger file beside the sources is no test's input
	for _, e := range list {
		fi, err := e.Info()
		if err != nil {
			return err
		}
		name := filepath.Join(dir, e.Name())
		if fi.Mode().IsRegular() && fi.Size() < limit || e.Name() == "testdata" && fi.IsDir() {
			if err := m.AddFile(name, name); err != nil {
				return err
			}
		}
	}
	return nil
}
