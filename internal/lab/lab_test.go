// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSmoke boots real machines.
func TestSmoke(t *testing.T) {
	if os.Getenv("RTGO_LAB") == "" {
		t.Skip("boots virtual machines, takes minutes; set RTGO_LAB=1, or run 'rtgo lab smoke'")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{Dir: filepath.Join(root, "out/cache/lab")}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	for _, a := range Arches {
		t.Run(string(a), func(t *testing.T) {
			cache, err := os.UserCacheDir()
			if err != nil {
				t.Fatal(err)
			}
			checks, err := Smoke(ctx, s, a, filepath.Join(cache, "rtgo/lab.lock"), root, t.Output())
			if err != nil {
				t.Fatal(err)
			}
			if len(checks) < 8 {
				t.Errorf("%d checks only", len(checks))
			}
			for _, c := range checks {
				if !c.OK {
					t.Errorf("%s: %s", c.Name, c.Detail)
				}
			}
		})
	}
}

// TestTwoCPUs measures beside a busy loop on two CPUs: the control has to
// hold with Bochs and, to show that it can fail, to break under icount.
func TestTwoCPUs(t *testing.T) {
	if os.Getenv("RTGO_LAB") != "bochs" {
		t.Skip("boots a slow simulator, takes ten minutes; set RTGO_LAB=bochs")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Minute)
	defer cancel()
	s := &Store{Dir: "../../out/cache/lab"}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		arch  Arch
		clock Clock
		want  Outcome
	}{{ARM64, Icount, Void}, {AMD64, Bochs, OK}} {
		t.Run(string(tt.clock), func(t *testing.T) {
			sc, err := ReadScenario("../../docs/lab/two-cpus.json")
			if err != nil {
				t.Fatal(err)
			}
			sc.Arch, sc.Clock = tt.arch, tt.clock
			mf, err := s.Fetch(ctx, tt.arch, false, t.Output())
			if err != nil {
				t.Fatal(err)
			}
			j := sc.Job(filepath.Join(s.Root(tt.arch), mf.Kernel), nil, DefaultLimits, 1)
			j.Limits.Total = 20 * time.Minute
			if err := j.Machine.Ensure(ctx, true, t.Output()); err != nil {
				t.Fatal(err)
			}
			if j.Image, err = s.BaseImage(ctx, tt.arch, mf, t.Output()); err != nil {
				t.Fatal(err)
			}
			r := sc.Judge(Run(ctx, j, filepath.Join(cache, "rtgo/lab.lock"), t.Output()))
			NewReport(sc, []*ScenarioResult{r}).WriteText(t.Output())
			if r.Outcome != tt.want {
				t.Errorf("%s: %s, want %s", r.Outcome, r.Reason, tt.want)
			}
		})
	}
}
