// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package victim

import (
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/rt"
	"rtgo.dev/rtgo/test/rtlatency/result"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "victim" {
		if err := Main(os.Args[2:]); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// Whatever becomes of a victim, it ends, and its outcome is told.
func TestVictimsEnd(t *testing.T) {
	a, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	a.Policy, a.Priority = unix.SCHED_FIFO, 1
	if unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: priority}, 0) != nil {
		t.Skip("no real-time priorities here")
	}
	unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr}, 0)
	if os.Getenv("RTGO_TEST_HEAVY") == "" {
		t.Skip("occupies a CPU at FIFO 80 for some seconds; set RTGO_TEST_HEAVY=1")
	}
	for _, k := range Kinds {
		start := time.Now()
		m, err := Run(k, 500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > 8*Limit {
			t.Errorf("%s took %v", k.Name, d)
		}
		if m.Outcome != result.OK && m.Outcome != result.Hang {
			t.Errorf("%s: %s: %s", k.Name, m.Outcome, m.Error)
		}
		if rt.Supported() && m.Outcome != result.OK {
			t.Errorf("%s under rtgo: %s: %s", k.Name, m.Outcome, m.Error)
		}
		if m.Outcome == result.Hang && !strings.Contains(m.Error, "RLIMIT_RTTIME") {
			t.Errorf("%s: a hang without its reason: %s", k.Name, m.Error)
		}
		if m.Threads[0].Cycles == 0 {
			t.Errorf("%s recorded nothing", k.Name)
		}
	}
}
