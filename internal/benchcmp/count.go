// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package benchcmp

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/perf/benchfmt"
)

// countFor is how long a benchmark runs natively in the number of iterations
// that are counted, about, and countMost the largest such number. Programs run
// fifty times slower in valgrind.
const (
	countFor  = 4 * time.Millisecond
	countMost = 100_000
)

// countEnv makes the number of instructions depend on the benchmark as much as
// can be: one P, and no preemption and no collection at random moments.
var countEnv = []string{"GODEBUG=asyncpreemptoff=1", "GOGC=off", "GOMAXPROCS=1"}

// collected is what callgrind reports at the end.
var collected = regexp.MustCompile(`(?m)^==\d+== Collected *: (\d+)`)

// iterations returns how many iterations of b to count.
func (s *Side) iterations(ctx context.Context, b *benchmark, i int) (int, error) {
	out, err := s.run(ctx, b, i, Options{Benchtime: "1ms"})
	if err != nil {
		return 0, err
	}
	longest := 0.0 // of its sub-benchmarks, s
	for r := benchfmt.NewReader(bytes.NewReader(out), b.name); r.Scan(); {
		if res, ok := r.Result().(*benchfmt.Result); ok {
			for _, v := range res.Values {
				if v.Unit == timeUnit {
					longest = max(longest, v.Value)
				}
			}
		}
	}
	if longest == 0 {
		return 0, fmt.Errorf("%s of %s printed no time:\n%s", b.name, b.group.Pkg, out)
	}
	return max(1, min(countMost, int(countFor.Seconds()/longest))), nil
}

// count returns how many instructions the program of b executes in n iterations.
func (s *Side) count(ctx context.Context, b *benchmark, i, n int) (int, error) {
	// Without fair-sched the thread that computes may keep sysmon out for ever,
	// and with it the preemption that PingPongHog waits for.
	cmd := s.command(ctx, b.group.Pkg, "valgrind", "--fair-sched=try", "--tool=callgrind", "--callgrind-out-file=/dev/null",
		b.bins[i], "-test.run=^$", "-test.bench=^"+b.name+"$", fmt.Sprintf("-test.benchtime=%dx", n))
	cmd.Env = append(cmd.Env, countEnv...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	m := collected.FindSubmatch(out)
	if err != nil || m == nil {
		return 0, fmt.Errorf("%s of %s with %s in valgrind: %v\n%s", b.name, b.group.Pkg, s.GOROOT, err, out)
	}
	return strconv.Atoi(string(m[1]))
}

// measureCounts counts instructions instead of time: in each round those of n
// iterations more, of each benchmark function with all its sub-benchmarks.
func measureCounts(ctx context.Context, sides []*Side, o Options, benches []*benchmark, raw []*bytes.Buffer) error {
	if _, err := exec.LookPath("valgrind"); err != nil {
		return fmt.Errorf("counting instructions takes valgrind: apt-get install valgrind")
	}
	n := map[*benchmark]int{}
	for _, b := range benches {
		var err error
		if n[b], err = sides[0].iterations(ctx, b, 0); err != nil {
			return err
		}
	}
	return o.rounds(sides, benches, func(b *benchmark, i int) error {
		once, err := sides[i].count(ctx, b, i, n[b])
		if err != nil {
			return err
		}
		twice, err := sides[i].count(ctx, b, i, 2*n[b])
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(raw[i], "pkg: %s\n%s %d %.1f %s\n\n", b.group.Pkg, b.name, n[b], float64(twice-once)/float64(n[b]), countUnit)
		return err
	})
}
