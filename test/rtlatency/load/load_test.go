// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package load

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	l, err := Parse("alloc,cpu:8, stw")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, x := range l {
		names = append(names, x.Name())
	}
	if !slices.Equal(names, []string{"alloc", "cpu:8", "stw"}) {
		t.Errorf("%v", names)
	}
	for _, s := range []string{"", "none", "none,"} {
		if l, err := Parse(s); err != nil || len(l) != 0 {
			t.Errorf("%q: %v %v", s, l, err)
		}
	}
	for s, want := range map[string]string{
		"allok":    "no load \"allok\"; the loads are none, alloc,",
		"cpu:x":    "not a number of goroutines",
		"alloc:-1": "not a number of MB",
	} {
		if _, err := Parse(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// Every load inside the process does work, stops, and leaves nothing behind.
func TestLoadsRunAndStop(t *testing.T) {
	procs := runtime.GOMAXPROCS(0)
	for _, s := range []string{"alloc:2", "cpu:2", "churn:2", "stw:0", "gc:2", "syscall:2", "bigmap:1000", "large:1", "span:2", "gosched:2", "parked:100"} {
		t.Run(s, func(t *testing.T) {
			before := runtime.NumGoroutine()
			l, err := Parse(s)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Start(l)
			if err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(time.Minute); r.Ops() < 70; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("only %d operations", r.Ops())
				}
			}
			r.Stop()
			// One that has called Done is still there for a moment.
			for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("%d goroutines left", runtime.NumGoroutine()-before)
				}
			}
			if runtime.GOMAXPROCS(0) != procs {
				t.Errorf("GOMAXPROCS left at %d", runtime.GOMAXPROCS(0))
			}
		})
	}
}

func TestProcessThatFails(t *testing.T) {
	r := &Running{quit: make(chan struct{})}
	if err := r.process("false"); err == nil || !strings.Contains(err.Error(), "ended at once with status 1") {
		t.Errorf("%v", err)
	}
	if err := r.process("no-such-program"); err == nil || !strings.Contains(err.Error(), "apt-get install") {
		t.Errorf("%v", err)
	}
}
