// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whole-program mode: GODEBUG=rtmain=N makes main.main real-time, nothing
// else, and freezes GOMAXPROCS.
func TestMainMode(t *testing.T) {
	needRT(t)
	t.Parallel()
	setting := func(s string) func(*exec.Cmd) {
		return func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "GODEBUG="+s) }
	}
	if !Supported() {
		mustChild(t, "mainordinary", setting("rtmain=37"))
		return
	}
	mustChild(t, "mainordinary", nil)
	mustChild(t, "mainordinary", setting("rtmain=0"))
	mustChild(t, "main37", setting("rtmain=37"))
	mustChild(t, "main37", setting("rtmain=36,gctrace=0,rtmain=37")) // the last one wins
	for _, s := range []string{"rtmain=100", "rtmain=-1", "rtmain=high", "rtmain=9999999999"} {
		out, err := runChild(t, "main37", setting(s))
		if err == nil || !strings.Contains(out, "priority must be 1 to 99") || strings.Contains(out, "goroutine ") {
			t.Errorf("%s: %v\n%s", s, err, out)
		}
	}
	out, err := runChild(t, "mainnocap", nil)
	if err == nil || !strings.Contains(out, "CAP_SYS_NICE") || strings.Count(out, "\n") != 1 {
		t.Errorf("without privilege: %v\n%s", err, out)
	}
	mustChild(t, "mainprocs", setting("rtmain=37"))
	mustChild(t, "mainend", setting("rtmain=37"))
}

// A line in the main package does the same.
func TestMainModeLine(t *testing.T) {
	needRT(t)
	out, err := goCommand(t, nil, "run", "./testdata/mainmode")
	if !Supported() {
		if err == nil {
			t.Errorf("//go:debug rtmain=37 built by stock Go:\n%s", out)
		}
		return
	}
	if strings.Contains(out, "unknown //go:debug setting") {
		t.Skip("this toolchain's go command does not know the setting rtmain; use GODEBUG")
	}
	if err != nil || out != "true\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

func init() {
	children["mainordinary"] = func() {
		check(Self() == nil, "main is a task")
		noneRT()
		fmt.Println("ok")
	}
	children["main37"] = func() {
		a, err := unix.SchedGetAttr(0, 0)
		must(err)
		check(a.Policy == unix.SCHED_FIFO && a.Priority == 37, "main has policy %d, priority %d", a.Policy, a.Priority)
		check(unix.Gettid() == os.Getpid(), "main is not on the main thread")
		task := Self()
		check(task != nil && task.Attr().Priority == 37 && task.TID() == os.Getpid(), "Self is %+v", task)
		time.Sleep(10 * time.Millisecond)
		check(task.Stats().Dispatches > 0, "no wake-up counted")
		c := make(chan int)
		for range 10 { // others are ordinary
			go func() { time.Sleep(time.Millisecond); c <- len(realtimeThreads(os.Getpid())) }()
		}
		for range 10 {
			check(<-c == 0, "other threads are real-time: %v", realtimeThreads(os.Getpid()))
		}
		check(len(realtimeThreads(os.Getpid())) == 0, "other threads are real-time")
		check(Do(Attr{Priority: 5}, never) != nil, "Do within main mode")
		must(task.SetPriority(12))
		a, _ = unix.SchedGetAttr(0, 0)
		check(a.Priority == 12, "priority %d after SetPriority(12)", a.Priority)
		fmt.Println("ok")
	}
	children["mainnocap"] = func() {
		os.Setenv("GODEBUG", "rtmain=37")
		dropCaps("main37", 0, 0, unix.CAP_SYS_NICE)
	}
	// GOMAXPROCS follows the affinity of the process, but not in this mode.
	children["mainprocs"] = func() {
		n := runtime.GOMAXPROCS(0)
		cpus := cpusetCPUs()
		if len(cpus) < 2 {
			fmt.Println("SKIP one CPU")
			return
		}
		confine(cpus[0])
		time.Sleep(2500 * time.Millisecond) // the runtime looks once a second
		check(runtime.GOMAXPROCS(0) == n, "GOMAXPROCS changed from %d to %d", n, runtime.GOMAXPROCS(0))
		fmt.Println("ok")
	}
	// The program ends in every way that others do.
	children["mainend"] = func() {
		fmt.Println("ok")
		defer os.Exit(0)
		runtime.Goexit() // runs the deferred function
	}
}

// A deadlock is found although goroutines that take part in it are real-time,
// and none is found where a task will go on.
func TestDeadlock(t *testing.T) {
	needRT(t)
	t.Parallel()
	exe := t.TempDir() + "/deadlock"
	if out, err := goCommand(t, []string{"CGO_ENABLED=0"}, "build", "-o", exe, "./testdata/deadlock"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, way := range []string{"tasks", "main", "locks", "mixed", "none"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		out, err := exec.CommandContext(ctx, exe, way).CombinedOutput()
		late := ctx.Err() != nil
		cancel()
		switch {
		case late:
			t.Errorf("%s: does not end", way)
		case way == "none" && (err != nil || string(out) != "ok\n"):
			t.Errorf("%s: %v\n%s", way, err, out)
		case way != "none" && !strings.Contains(string(out), "all goroutines are asleep - deadlock!"):
			t.Errorf("%s: %v\n%s", way, err, out)
		}
	}
}
