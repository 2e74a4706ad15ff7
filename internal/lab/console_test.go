// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the expectations of testdata anew; look at the difference before you commit it")

// TestConsoles runs the scanner over recorded consoles. Each file begins with
// what it is and what the scanner makes of it, up to an empty line.
func TestConsoles(t *testing.T) {
	files, err := filepath.Glob("testdata/console/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded consoles: %v", err)
	}
	kinds := make(map[Outcome]bool)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			head, body, ok := bytes.Cut(b, []byte("\n\n"))
			if !ok {
				t.Fatal("no header")
			}
			var keep, want []string
			for _, l := range strings.Split(string(head), "\n") {
				if strings.HasPrefix(l, "ABOUT:") {
					keep = append(keep, l)
				} else {
					want = append(want, l)
				}
			}
			var s Scanner
			for _, l := range strings.SplitAfter(string(body), "\n") {
				s.Line(l)
			}
			worst := Outcome("none")
			if w := s.Worst(); w != nil {
				worst = w.Kind
				kinds[w.Kind] = true
			}
			got := []string{fmt.Sprintf("WORST: %s", worst), fmt.Sprintf("PANICKED: %v", s.Panicked() != nil)}
			for _, e := range s.Events {
				kind := e.Kind
				if kind == "" {
					kind = "note"
				}
				got = append(got, fmt.Sprintf("EVENT: %s: %s", kind, e.Text))
			}
			if *update {
				out := strings.Join(append(keep, got...), "\n") + "\n\n" + string(body)
				if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got; go test -update ./internal/lab after a wanted change)\n%s", d)
			}
		})
	}
	for _, k := range []Outcome{OutOfMemory, GuestPanic, RCUStall, RTThrottling} {
		if !kinds[k] {
			t.Errorf("no recorded console whose worst event is %s", k)
		}
	}
}

// TestConsoleLines has texts of other kernel versions than the recorded one,
// and what is not the kernel's.
func TestConsoleLines(t *testing.T) {
	for _, tt := range []struct {
		line string
		want string // kind, "note" or "nothing"
	}{
		{"[   12.000000] sched: RT throttling activated", "rt-throttling"},
		{"<4>[   12.000000][  T123] sched: RT throttling activated", "rt-throttling"},
		{"[    9.1] rcu: INFO: rcu_preempt self-detected stall on CPU", "rcu-stall"},
		{"[    9.1] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "rcu-stall"},
		{"[    9.1] rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 0-... } 21 jiffies", "rcu-stall"},
		{"[    9.1] rcu: rcu_preempt kthread starved for 5250 jiffies! g1 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x0 ->cpu=0", "rcu-stall"},
		{"[    9.1] rcu: \tUnless rcu_preempt kthread gets sufficient CPU time, OOM is now expected behavior.", "nothing"},
		{"[   50.9] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [sh:97]", "hang"},
		{"[   50.9] Out of memory: Killed process 98 (tail) total-vm:1kB", "out-of-memory"},
		{"[   50.9] Memory cgroup out of memory: Killed process 98 (tail)", "out-of-memory"},
		{"[   50.9] Kernel panic - not syncing: System is deadlocked on memory", "out-of-memory"},
		{"[   50.9] Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled", "out-of-memory"},
		{"[    0.9] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)", "guest-panic"},
		{"[    5.0] BUG: kernel NULL pointer dereference, address: 0000000000000000", "guest-panic"},
		{"[    5.0] Internal error: Oops: 96000004 [#1] PREEMPT_RT SMP", "guest-panic"},
		{"[    5.0] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008", "guest-panic"},
		{"[    5.0] BUG: scheduling while atomic: sh/97/0x00000002", "guest-panic"},
		{"[  245.1] INFO: task kworker/0:1:12 blocked for more than 120 seconds.", "note"},
		{"[    5.0] WARNING: CPU: 0 PID: 1 at kernel/sched/core.c:3100 set_task_cpu+0x1", "note"},
		{"[    8.1] irq 3: nobody cared (try booting with the \"irqpoll\" option)", "note"},
		{"[    0.0] Linux version 6.1.0-56-rt-amd64", "nothing"},
		{"[    0.0] rcu: \tRCU priority boosting: priority 1 delay 500 ms.", "nothing"},
		{"Kernel panic - not syncing: printed by a program", "nothing"},
		{"sched: RT throttling activated", "nothing"},
		{"\x1b[32m[   12.000000] sched: RT throttling activated\x1b[m\r\n", "rt-throttling"},
		{"", "nothing"},
	} {
		var s Scanner
		got := "nothing"
		if e := s.Line(tt.line); e != nil {
			got = "note"
			if e.Kind != "" {
				got = string(e.Kind)
			}
		}
		if got != tt.want {
			t.Errorf("%q: %s, want %s", tt.line, got, tt.want)
		}
	}
}
