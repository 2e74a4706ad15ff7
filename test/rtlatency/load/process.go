// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package load

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Loads outside the process. They need Debian's stress-ng and rt-tests.
func init() {
	stress := func(what, summary string, args ...string) {
		register(kind{"stress-" + what, "workers", 2, "stress-ng: " + summary, func(r *Running, n int) error {
			a := append([]string{"--quiet", "--temp-path", os.TempDir(), "--" + what, strconv.Itoa(n)}, args...)
			return r.process("stress-ng", a...)
		}})
	}
	stress("cpu", "computing processes")
	stress("vm", "processes that map, touch and unmap 64 MB", "--vm-bytes", "64M")
	stress("io", "processes that sync")
	register(kind{"hackbench", "groups", 2, "hackbench: groups of processes that exchange messages without end", func(r *Running, n int) error {
		return r.process("hackbench", "-g", strconv.Itoa(n), "-l", "1000000000")
	}})
}

// process starts an outside load in its own process group.
func (r *Running) process(name string, args ...string) error {
	exe, err := exec.LookPath(name)
	if err != nil {
		return fmt.Errorf("%s is not installed (apt-get install stress-ng rt-tests)", name)
	}
	c := exec.Command(exe, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.Start(); err != nil {
		return err
	}
	r.procs = append(r.procs, c)
	// A wrong option ends it at once: better known now than measured idle.
	time.Sleep(200 * time.Millisecond)
	var ws syscall.WaitStatus
	if pid, _ := syscall.Wait4(c.Process.Pid, &ws, syscall.WNOHANG, nil); pid != 0 {
		r.procs = r.procs[:len(r.procs)-1]
		return fmt.Errorf("%s ended at once with status %d", name, ws.ExitStatus())
	}
	r.info = append(r.info, fmt.Sprint(append([]string{name}, args...)))
	return nil
}

func stopProcess(c *exec.Cmd) {
	syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
	c.Wait()
}
