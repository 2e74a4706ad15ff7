// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/test/rtlatency/campaign"
	"rtgo.dev/rtgo/test/rtlatency/cyclictest"
	"rtgo.dev/rtgo/test/rtlatency/result"
	"rtgo.dev/rtgo/test/rtlatency/victim"
)

func TestMain(m *testing.M) {
	if os.Getenv("RTLATENCY_TEST_MAIN") != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// program returns a command that runs the program itself.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), "RTLATENCY_TEST_MAIN=1")
	return cmd
}

// rtlatency runs the program itself.
func rtlatency(t *testing.T, args ...string) (out string, code int) {
	t.Helper()
	cmd := program(t, args...)
	b, err := cmd.CombinedOutput()
	var e *exec.ExitError
	if err != nil && !errors.As(err, &e) {
		t.Fatal(err)
	}
	return string(b), cmd.ProcessState.ExitCode()
}

var summary = regexp.MustCompile(`(?m)^T: ?(\d+) \( *\d+\) P: ?(\d+) I:(\d+) C: *(\d+) Min: *(\d+) Act: *\d+ Avg: *\d+ Max: *(\d+)$`)

func TestSummary(t *testing.T) {
	out, code := rtlatency(t, "-q", "-l50", "-i1000", "-t2")
	if m := summary.FindAllStringSubmatch(out, -1); code != 0 || len(m) != 2 || m[0][4] != "50" || m[1][3] != "1500" {
		t.Errorf("exit %d: %s", code, out)
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	js, res := filepath.Join(dir, "c.json"), filepath.Join(dir, "r.json")
	out, code := rtlatency(t, "-q", "-l30", "-h500", "--json="+js, "--result", res, "--scenario=periodic/nanosleep", "--load", "alloc:1")
	if code != 0 || !strings.Contains(out, "\n# Max Latencies: ") || !strings.Contains(out, "# Histogram Overflows: ") || !strings.Contains(out, "# Total: ") {
		t.Fatalf("exit %d: %s", code, out)
	}
	if summary.MatchString(out) {
		t.Errorf("-q with -h printed the summary lines, which cyclictest does not: %s", out)
	}
	f, err := os.Open(js)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := cyclictest.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	if c.NumThreads != 1 || c.Thread["0"].Cycles != 30 || c.ReturnCode != 0 || c.Sysinfo.Sysname != "Linux" {
		t.Errorf("%+v", c)
	}
	r, err := result.ReadFile(res)
	if err != nil {
		t.Fatal(err)
	}
	m := r.Measurements[0]
	if m.Outcome != result.OK || m.LoadName() != "alloc:1" || m.Runtime.LoadOps == 0 || m.Threads[0].Cycles != 30 || m.Runtime.AllocBytes == 0 {
		t.Errorf("%+v", m)
	}
}

func TestThresholdExit(t *testing.T) {
	res := filepath.Join(t.TempDir(), "r.json")
	out, code := rtlatency(t, "-q", "-D20", "-b1", "--result", res)
	if code != exitThreshold || !strings.Contains(out, "# Break value: ") || !strings.Contains(out, "# Break thread: ") {
		t.Fatalf("exit %d: %s", code, out)
	}
	r, err := result.ReadFile(res)
	if err != nil {
		t.Fatal(err)
	}
	if r.Measurements[0].Outcome != result.Threshold || r.Measurements[0].ThresholdNS != 1000 {
		t.Errorf("%+v", r.Measurements[0])
	}
}

// No thread of a load runs on the CPU that --split gives to the tasks.
func TestSplit(t *testing.T) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	if set.Count() < 2 {
		t.Skip("needs two CPUs")
	}
	last := len(set)*64 - 1
	for !set.IsSet(last) {
		last--
	}
	cmd := program(t, "--load-only", "--load", "cpu,syscall", "-D1", "--split", strconv.Itoa(last))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	tids, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", cmd.Process.Pid))
	for _, tid := range tids {
		n, _ := strconv.Atoi(filepath.Base(tid))
		if err := unix.SchedGetaffinity(n, &set); err == nil && set.IsSet(last) {
			t.Errorf("thread %d may run on CPU %d", n, last)
		}
	}
	if err := cmd.Wait(); err != nil || len(tids) < 4 {
		t.Errorf("%v; %d threads; %s", err, len(tids), line)
	}
}

// A load that is over leaves no process behind: hackbench's go on when the one
// that started them is gone.
func TestLoadOnlyEnds(t *testing.T) {
	if _, err := exec.LookPath("hackbench"); err != nil {
		t.Skip("no hackbench (apt-get install rt-tests)")
	}
	cmd := program(t, "--load-only", "--load", "hackbench", "-D1")
	cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	// Those that are killed take a moment to die.
	var left []int
	for range 100 {
		left = nil
		files, _ := filepath.Glob("/proc/[0-9]*/stat")
		for _, file := range files {
			b, _ := os.ReadFile(file)
			_, rest, _ := strings.Cut(string(b), ") ")
			// state, parent, process group, session
			if f := strings.Fields(rest); len(f) > 3 && f[0] != "Z" && f[3] == strconv.Itoa(cmd.Process.Pid) {
				pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
				left = append(left, pid)
			}
		}
		if len(left) == 0 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, pid := range left { // in a process group of their own
		unix.Kill(pid, unix.SIGKILL)
	}
	t.Errorf("%d processes of the load are left, such as %d", len(left), left[0])
}

func TestErrorsAreOneLine(t *testing.T) {
	for args, want := range map[string]string{
		"--scenario no/such":              `no scenario "no/such"; rtlatency --list`,
		"--load heavy":                    `no load "heavy"; the loads are`,
		"-x":                              "--scenario=periodic/timer",
		"-a":                              "needs real-time tasks",
		"-t2 --scenario handover/chan":    "has one task",
		"-l1 -q --result /no/such/r.json": "no such file",
		"problem -only nothing":           `no cause "nothing"`,
		"campaign -set nothing":           `no set "nothing"`,
		"campaign extra":                  "unexpected argument",
	} {
		out, code := rtlatency(t, strings.Fields(args)...)
		var lines []string
		for _, l := range strings.Split(strings.TrimSpace(out), "\n") {
			if strings.HasPrefix(l, "rtlatency: ") && !strings.Contains(l, "no cyclictest") {
				lines = append(lines, l)
			}
		}
		if code != exitError || len(lines) != 1 || !strings.Contains(lines[0], want) {
			t.Errorf("%s: exit %d: %s", args, code, out)
		}
	}
}

func TestListAndHelp(t *testing.T) {
	if out, code := rtlatency(t, "--list"); code != 0 || !strings.Contains(out, "periodic/abs ") {
		t.Errorf("--list: exit %d: %s", code, out)
	}
	for _, args := range []string{"--help", "problem -h", "campaign -h"} {
		if out, code := rtlatency(t, strings.Fields(args)...); code != 0 || !strings.Contains(out, "examples:") {
			t.Errorf("%s: exit %d: %s", args, code, out)
		}
	}
}

func TestVerbose(t *testing.T) {
	out, code := rtlatency(t, "-v", "-l5")
	if m := regexp.MustCompile(`(?m)^ {7}0: {7}[0-4]: +\d+$`).FindAllString(out, -1); code != 0 || len(m) != 5 {
		t.Errorf("exit %d: %s", code, out)
	}
}

// The line that campaigns wait for.
func TestLoadOnly(t *testing.T) {
	out, code := rtlatency(t, "--load-only", "--load", "cpu:1", "-D", "100ms")
	if code != 0 || !strings.HasPrefix(out, "# load started: cpu: 1 goroutines") || !regexp.MustCompile(`# load operations: [1-9]`).MatchString(out) {
		t.Errorf("exit %d: %s", code, out)
	}
}

// What a campaign asks for is what there is, in the same order.
func TestProblems(t *testing.T) {
	var names []string
	for _, c := range problemCases {
		names = append(names, c.name)
	}
	for _, k := range victim.Kinds {
		names = append(names, k.Name)
	}
	if !slices.Equal(names, campaign.Problems) {
		t.Errorf("causes %q, campaigns run %q", names, campaign.Problems)
	}
}

func TestCampaign(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.json")
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("RTLATENCY_TEST_MAIN", "1")
	out, code := rtlatency(t, "campaign", "-scenario", "periodic/abs,periodic/abs -i5000", "-load", "none", "-load", "cpu:1",
		"-D", "200ms", "-p", "1", "-m=false", "-stock", exe, "-rtgo", exe, "-bound", "100ns", "-o", file, "-stream")
	if strings.Contains(out, "RLIMIT_RTPRIO") || strings.Contains(out, "operation not permitted") {
		t.Skip("no real-time priorities here")
	}
	if code != 0 {
		t.Fatalf("exit %d: %s", code, out)
	}
	r, err := result.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var go1 int
	for _, m := range r.Measurements {
		if m.Program == "rtlatency" {
			go1++
			if m.Outcome != result.OK || m.Threads[0].Cycles == 0 {
				t.Errorf("%s: %s %s", m.ID, m.Outcome, m.Error)
			}
		}
		// No machine wakes within 100 ns: a control that does not fail is
		// none.
		if _, err := exec.LookPath("cyclictest"); err == nil && (m.Validity != result.Void || m.Comparable()) {
			t.Errorf("%s is %s with a bound of 100 ns", m.ID, m.Validity)
		}
	}
	if go1 != 8 {
		b, _ := json.Marshal(r.Measurements)
		t.Errorf("%d measurements by rtlatency, want 8: %s", go1, b)
	}
	// The same came over standard output, piece by piece.
	var stream campaign.Stream
	stream.Write([]byte(out))
	if stream.Run == nil || stream.Err != nil || len(stream.Run.Measurements) != len(r.Measurements) || len(stream.Run.Environments) != 1 ||
		!slices.Equal(stream.Run.Environments[0].Repeatability, r.Environments[0].Repeatability) {
		t.Errorf("streamed %+v, error %v", stream.Run, stream.Err)
	}
	if !strings.Contains(out, "] ") || strings.Contains(out, "%!") {
		t.Errorf("progress %q", out)
	}
}
