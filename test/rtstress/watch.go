// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/rt"
)

// watch runs the test in a process of its own and ends it when nothing goes
// on any more. It returns the exit status.
func watch(c *Config) int {
	b, file, err := newBoard()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rtstress:", err)
		return 1
	}
	exe, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rtstress:", err)
		return 1
	}
	cmd := exec.Command(exe, c.args()...)
	cmd.Env = append(os.Environ(), "RTSTRESS_TESTED=1")
	if os.Getenv("GOTRACEBACK") == "" {
		cmd.Env = append(cmd.Env, "GOTRACEBACK=all")
	}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{file}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	fmt.Printf("rtstress: rtgo %t, rtstress %s\n", rt.Supported(), strings.Join(c.args(), " "))
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "rtstress:", err)
		return 1
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt, syscall.SIGTERM)

	status := -1
	loop := func() error {
		status = b.watch(c, cmd, ended, interrupt)
		return nil
	}
	// Above the tasks, which may take every CPU.
	if rt.Do(rt.Attr{Name: "rtstress-watch", Priority: 99}, loop) != nil && status < 0 {
		loop()
	}
	if status != 0 {
		fmt.Fprintf(os.Stderr, "FAIL; to repeat: rtstress %s\n", strings.Join(c.args(), " "))
	}
	return status
}

func (b *board) watch(c *Config, cmd *exec.Cmd, ended chan error, interrupt chan os.Signal) int {
	begin := time.Now()
	last, at, shown := uint64(0), begin, begin
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			if err != nil {
				fmt.Fprintln(os.Stderr, "rtstress: the process under test ended:", err)
				return 1
			}
			return 0
		case s := <-interrupt:
			fmt.Fprintln(os.Stderr, "rtstress: ended by signal", s)
			cmd.Process.Kill()
			<-ended
			return 1
		case <-tick.C:
		}
		now := time.Now()
		if n := b.ops.Load(); n != last {
			last, at = n, now
		} else if now.Sub(at) > c.Stall {
			b.stalled(cmd, ended, now.Sub(at))
			return 1
		}
		if !c.Quiet && now.Sub(shown) >= 10*time.Second {
			shown = now
			of := ""
			if c.Ops > 0 {
				of = fmt.Sprintf(" of %d", c.Ops)
			}
			fmt.Fprintf(os.Stderr, "rtstress: %.0fs: %d%s operations, %d tasks, %d checks\n", now.Sub(begin).Seconds(), last, of, b.tasks.Load(), b.checks.Load())
		}
	}
}

// stalled prints all that there is to know and ends the process.
func (b *board) stalled(cmd *exec.Cmd, ended chan error, d time.Duration) {
	fmt.Fprintf(os.Stderr, "rtstress: STALLED: no operation has ended for %v, after %d operations\n", d.Round(time.Millisecond), b.ops.Load())
	for i := range b.slots {
		s := &b.slots[i]
		if n := s.op.Load(); n > 0 && int(n) <= len(allOps) {
			fmt.Fprintf(os.Stderr, "worker %3d: operation %d, %s; thread %d, priority %d\n", i, s.n.Load(), allOps[n-1].name, s.tid.Load(), s.prio.Load())
		}
	}
	dirs, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", cmd.Process.Pid))
	var hung []int
	for _, dir := range dirs {
		read := func(name string) string {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				return "?"
			}
			return strings.TrimSpace(string(b))
		}
		// state, then utime, stime, rt_priority, policy
		_, rest, _ := strings.Cut(read("stat"), ") ")
		f := strings.Fields(rest)
		if len(f) < 40 {
			continue
		}
		fmt.Fprintf(os.Stderr, "thread %s %q: state %s, policy %s, priority %s, user %s and system %s ticks, in %s, syscall %s\n",
			filepath.Base(dir), read("comm"), f[0], f[38], f[37], f[11], f[12], read("wchan"), read("syscall"))
		if tid, _ := strconv.Atoi(filepath.Base(dir)); f[0] == "R" && f[38] == "6" {
			hung = append(hung, tid)
		}
		if s := read("stack"); s != "?" && s != "" {
			fmt.Fprintln(os.Stderr, "\t"+strings.ReplaceAll(s, "\n", "\n\t"))
		}
	}
	for _, tid := range hung {
		// A kernel bug, see testdata/deadlinepi.c; such a thread cannot even
		// be killed.
		fmt.Fprintf(os.Stderr, "rtstress: the SCHED_DEADLINE thread %d is runnable and does not run: this may be the kernel's fault; made SCHED_OTHER\n", tid)
		unix.SchedSetAttr(tid, &unix.SchedAttr{Policy: unix.SCHED_NORMAL}, 0)
	}
	fmt.Fprintln(os.Stderr, "rtstress: SIGQUIT for the stacks:")
	cmd.Process.Signal(syscall.SIGQUIT)
	select {
	case <-ended:
	case <-time.After(15 * time.Second):
		fmt.Fprintln(os.Stderr, "rtstress: it does not react to SIGQUIT either")
		cmd.Process.Kill()
		<-ended
	}
}
