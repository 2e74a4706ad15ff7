// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// children are programs of their own: what may hang, crash, or changes the
// process for good. The test binary runs one of them if RT_TEST_CHILD names
// it.
var children = map[string]func(){}

func TestMain(m *testing.M) {
	if name := os.Getenv("RT_TEST_CHILD"); name != "" {
		children[name]()
		os.Exit(0)
	}
	code := m.Run()
	if bad := realtimeThreads(); len(bad) > 0 {
		fmt.Fprintf(os.Stderr, "real-time threads left after all tests: %v\n", bad)
		code = 1
	}
	os.Exit(code)
}

// runChild runs a child and returns its output. It fails the test if the
// child does not end in time.
func runChild(t *testing.T, name string, prepare func(*exec.Cmd)) (string, error) {
	t.Helper()
	if children[name] == nil {
		t.Fatalf("no child %s", name)
	}
	// For a child that hangs; a slow machine is no failure.
	limit := 4 * time.Minute
	if end, ok := t.Deadline(); ok {
		limit = min(limit, time.Until(end)-30*time.Second)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), "RT_TEST_CHILD="+name)
	cmd.WaitDelay = 5 * time.Second
	if prepare != nil {
		prepare(cmd)
	}
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("child %s did not end in time:\n%s", name, out)
	}
	return string(out), err
}

// mustChild runs a child that must print ok alone and succeed.
func mustChild(t *testing.T, name string, prepare func(*exec.Cmd)) {
	t.Helper()
	out, err := runChild(t, name, prepare)
	if reason, ok := strings.CutPrefix(out, "SKIP "); ok && err == nil {
		t.Skip(strings.TrimSpace(reason))
	}
	if err != nil || out != "ok\n" {
		t.Errorf("child %s: %v\n%s", name, err, out)
	}
}

// check ends a child if the condition does not hold.
func check(cond bool, format string, args ...any) {
	if !cond {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
		os.Exit(1)
	}
}

// needRT skips the test where real-time scheduling is not permitted.
func needRT(t testing.TB) {
	t.Helper()
	err := Do(Attr{Priority: 50}, func() error { return nil })
	if errors.Is(err, ErrPermission) || errors.Is(err, ErrGroupQuota) || errors.Is(err, ErrUnsupported) {
		t.Skip("run as root for this test: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A thread is what the kernel says of one.
type thread struct {
	tid      int
	name     string
	policy   uint32
	priority uint32
	flags    uint64
	nice     int32
}

// threads lists the threads of the process.
func threads() (l []thread) {
	dir, err := os.ReadDir("/proc/self/task")
	if err != nil {
		panic(err)
	}
	for _, d := range dir {
		tid, _ := strconv.Atoi(d.Name())
		name, err := os.ReadFile("/proc/self/task/" + d.Name() + "/comm")
		a, err2 := unix.SchedGetAttr(tid, 0)
		if err != nil || err2 != nil {
			continue // it ended meanwhile
		}
		l = append(l, thread{tid, string(bytes.TrimSpace(name)), a.Policy, a.Priority, a.Flags, a.Nice})
	}
	return l
}

// runtimeThread reports whether th is one of rtgo's runtime: its watchdog, and
// those that fill the reserves of tasks and receive signals. They keep their
// attributes.
func runtimeThread(th thread) bool {
	return th.name == "rtwatch" || th.name == "rtrefill" || th.name == "rtsignal"
}

// realtimeThreads lists the threads that have a real-time policy and keep it,
// except those with the given ids and the runtime's own. The runtime
// lends a task's priority to threads that hold it up, and to its sysmon when
// that starves, for a second at most.
func realtimeThreads(except ...int) (l []thread) {
	for i := range 100 {
		if i > 0 {
			time.Sleep(30 * time.Millisecond)
		}
		now := slices.DeleteFunc(threads(), func(th thread) bool {
			return th.policy == unix.SCHED_NORMAL || runtimeThread(th) || slices.Contains(except, th.tid)
		})
		if i == 0 {
			l = now
		}
		// Those that were seen each time.
		l = slices.DeleteFunc(l, func(th thread) bool {
			return !slices.ContainsFunc(now, func(th2 thread) bool { return th2.tid == th.tid })
		})
		if len(l) == 0 {
			break
		}
	}
	return l
}

// dropCaps ends the privilege of the process by executing it again as next.
func dropCaps(next string, soft, hard uint64, caps ...uintptr) {
	runtime.LockOSThread()
	for _, c := range caps {
		if n, _ := unix.PrctlRetInt(unix.PR_CAPBSET_READ, c, 0, 0, 0); n == 0 || os.Getuid() != 0 {
			continue // no program executed next can have it
		}
		err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0)
		check(err == nil, "drop capability: %v", err)
	}
	l := unix.Rlimit{Cur: soft, Max: hard}
	if err := unix.Prlimit(0, unix.RLIMIT_RTPRIO, &l, nil); err != nil {
		fmt.Println("SKIP cannot set RLIMIT_RTPRIO:", err)
		os.Exit(0)
	}
	os.Setenv("RT_TEST_CHILD", next)
	err := syscall.Exec("/proc/self/exe", os.Args[:1], os.Environ())
	check(false, "exec: %v", err)
}
