// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package benchcmp

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"path/filepath"
	"time"

	"rtgo.dev/rtgo/internal/lab"
	"rtgo.dev/rtgo/internal/lab/wire"
)

// A Lab runs benchmarks in one boot of a virtual machine with one CPU, whose
// time is the number of instructions executed.
type Lab struct {
	Arch  lab.Arch
	Store *lab.Store
	Job   *lab.Job                                    // a boot without steps
	Boot  func(context.Context, *lab.Job) *lab.Result // runs it
}

// measure runs each group once per side and round and appends the output of
// side i to raw[i].
func (l *Lab) measure(ctx context.Context, sides []*Side, o Options, bins map[string][]string, raw []*bytes.Buffer) error {
	guest := func(pkg string, side int) string {
		return path.Join("/root", sides[side].Label, pkg+".test")
	}
	for pkg, files := range bins {
		for i, f := range files {
			if err := l.Job.Image.AddProgram(guest(pkg, i), f, l.Store, l.Arch); err != nil {
				return err
			}
		}
	}
	// Tests run in their package's directory. Those of package time do not
	// begin without a file of the GOROOT, which they find from there.
	const goroot = "/root/goroot"
	if err := l.Job.Image.AddFile(goroot+"/lib/time/zoneinfo.zip", filepath.Join(sides[0].GOROOT, "lib", "time", "zoneinfo.zip")); err != nil {
		return err
	}
	for _, g := range o.Groups {
		l.Job.Image.AddDir(path.Join(goroot, "src", g.Pkg))
	}
	side := map[string]int{} // by step
	for round := range o.Rounds {
		for _, g := range o.Groups {
			for _, i := range order(len(sides), round) {
				name := fmt.Sprintf("round %d, %s, side %s", round+1, g.Name, sides[i].Label)
				side[name] = i
				l.Job.Plan.Steps = append(l.Job.Plan.Steps, wire.Step{Name: name, Dir: path.Join(goroot, "src", g.Pkg), Env: sides[i].Env, Argv: []string{guest(g.Pkg, i),
					"-test.run=^$", "-test.bench=^Benchmark(" + g.Bench + ")$", "-test.benchtime=" + o.Benchtime, "-test.timeout=1h"}})
			}
		}
	}
	start, done := time.Now(), 0
	l.Job.OnStep = func(step string, begins bool) {
		if !begins {
			done++
			d, n := time.Since(start), len(l.Job.Plan.Steps)
			o.progress("%s: %d of %d, %s, %s left", step, done, n, d.Round(time.Second), (d / time.Duration(done) * time.Duration(n-done)).Round(time.Second))
		}
	}
	r := l.Boot(ctx, l.Job)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, st := range r.Steps {
		raw[side[st.Name]].Write(st.Stdout)
		if st.Exit != 0 || st.Error != "" {
			return fmt.Errorf("%s: exit status %d %s\n%s%s", st.Name, st.Exit, st.Error, st.Stdout, st.Stderr)
		}
	}
	if r.Outcome != lab.OK {
		return fmt.Errorf("lab: %s: %s %s", r.Outcome, r.Reason, r.Diagnosis)
	}
	return nil
}
