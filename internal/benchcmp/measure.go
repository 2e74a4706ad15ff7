// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package benchcmp compares two toolchains by upstream's own benchmarks.
//
// It is made for small noisy machines: test binaries are compiled once per
// toolchain, and each benchmark function is run alternately with one and the
// other (AB, BA, AB, ...) in many short rounds, so that slow drift of the
// machine hits both alike. Statistics are those of golang.org/x/perf.
//
// Or it runs them in the lab, whose clock counts instructions: there a
// difference of a few instructions shows, whatever else the host does, and
// caches and the cost of single instructions do not. Or it counts the program's
// instructions alone, with valgrind, which says most where goroutines do not take
// turns.
package benchcmp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"
)

// A Group is a choice of benchmarks of one std package.
type Group struct {
	Name  string
	Pkg   string
	Bench string // regexp of benchmark names without "Benchmark"
}

// Groups are upstream's benchmarks of what rtgo changes.
var Groups = []Group{
	{"scheduler", "runtime", `CreateGoroutines|CreateGoroutinesParallel|CreateGoroutinesCapture|CreateGoroutinesSingle|PingPongHog|Matmult|StackGrowth`},
	{"channel", "runtime", `MakeChan|Chan(Nonblocking|Uncontended|Contended|Sync|SyncWork|ProdCons0|ProdCons10|ProdCons100|Creation|Sem|Popular|Closed)|Select(Uncontended|SyncContended|AsyncContended|Nonblock|ProdCons)`},
	{"timer", "time", `AfterFunc1000|After|Stop|SimultaneousAfterFunc1000|StartStop1000|Reset|Sleep1000|Ticker|TickerReset|AdjustTimers10000|Now`},
	{"net", "net", `TCP4(OneShot|OneShotTimeout|Persistent|PersistentTimeout|ConcurrentReadWrite)|SetReadDeadline|WriteToReadFromUDP`},
	{"malloc", "runtime", `Malloc(8|16|32|TypeInfo8|TypeInfo16|TypeInfo32|LargeStruct)|Allocation`},
	{"sync", "sync", `Cond(2|32)|Mutex(Uncontended|Work|Spin|NoSpin)?|RWMutex(Uncontended|Write100|WorkWrite100)|WaitGroup(Uncontended|AddDone|Wait)|SemaSyntBlock|Pool`},
}

// A Side is one toolchain of the comparison.
type Side struct {
	Label  string
	GOROOT string
	Env    []string // K=V, for compiling and for running
}

// Options say how to measure.
type Options struct {
	Groups    []Group
	Rounds    int
	Benchtime string // of each run of each benchmark, as go test -benchtime
	CPU       string // GOMAXPROCS list as go test -cpu; "" is the default
	Keep      string // directory for the raw output, one file per side, for benchstat
	Lab       *Lab   // runs them there instead of here; may be nil
	Count     bool   // counts instructions; Benchtime and CPU are of no effect
	Progress  io.Writer
}

func (o *Options) progress(format string, a ...any) {
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, "bench-compare: "+format+"\n", a...)
	}
}

// A Measurement holds one unit of one benchmark: for each side a value per
// round, NaN-free and of equal length.
type Measurement struct {
	Group  string
	Name   string // pkg.Benchmark-N
	Unit   string // sec/op, B/op, instr/op, ...
	Values [][]float64
}

// environ is small and the same for both sides: the size of the environment
// shifts the stack and with it some benchmarks.
func (s *Side) environ() []string {
	var env []string
	for _, k := range []string{"PATH", "HOME", "TMPDIR", "GOCACHE", "GOMODCACHE", "GOPATH"} {
		if v := os.Getenv(k); v != "" {
			env = append(env, k+"="+v)
		}
	}
	return append(append(env, "GOENV=off", "GOFLAGS=", "GOTOOLCHAIN=local"), s.Env...)
}

// compile builds the test binary of pkg, with env in addition.
func (s *Side) compile(ctx context.Context, pkg, out string, env ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(s.GOROOT, "bin", "go"), "test", "-c", "-vet=off", "-o", out, pkg)
	cmd.Dir = filepath.Join(s.GOROOT, "src")
	cmd.Env = append(append(s.environ(), "GOROOT="+s.GOROOT), env...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compiling the tests of %s with %s: %v\n%s", pkg, s.GOROOT, err, bytes.TrimSpace(msg))
	}
	return nil
}

// benchmark is one benchmark function, compiled for all sides.
type benchmark struct {
	group Group
	name  string   // BenchmarkX
	bins  []string // by side
}

// Measure compiles and runs everything. It takes about rounds x sides x
// benchmarks x 2.5 benchtimes.
func Measure(ctx context.Context, sides []*Side, o Options) ([]*Measurement, error) {
	tmp, err := os.MkdirTemp("", "rtgo-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	bins, err := compileAll(ctx, sides, o, tmp)
	if err != nil {
		return nil, err
	}
	raw := make([]*bytes.Buffer, len(sides))
	for i := range raw {
		raw[i] = new(bytes.Buffer)
	}
	if o.Lab != nil {
		err = o.Lab.measure(ctx, sides, o, bins, raw)
	} else {
		err = measureHere(ctx, sides, o, bins, raw)
	}
	if o.Keep != "" {
		if err := os.MkdirAll(o.Keep, 0o777); err != nil {
			return nil, err
		}
		for i, s := range sides {
			if err := os.WriteFile(filepath.Join(o.Keep, s.Label+".txt"), raw[i].Bytes(), 0o666); err != nil {
				return nil, err
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return collect(sides, o.Groups, raw)
}

// compileAll builds the test binaries of all packages below tmp. It returns
// their names by package and side.
func compileAll(ctx context.Context, sides []*Side, o Options, tmp string) (map[string][]string, error) {
	bins := map[string][]string{}
	var env []string
	if o.Lab != nil {
		env = []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + string(o.Lab.Arch)}
	}
	for _, g := range o.Groups {
		if bins[g.Pkg] != nil {
			continue
		}
		for i, s := range sides {
			dir := filepath.Join(tmp, string(rune('a'+i)))
			if err := os.MkdirAll(dir, 0o777); err != nil {
				return nil, err
			}
			out := filepath.Join(dir, strings.ReplaceAll(g.Pkg, "/", "_")+".test")
			o.progress("compiling %s tests with %s", g.Pkg, s.GOROOT)
			if err := s.compile(ctx, g.Pkg, out, env...); err != nil {
				return nil, err
			}
			bins[g.Pkg] = append(bins[g.Pkg], out)
		}
	}
	return bins, nil
}

// measureHere runs everything on this machine.
func measureHere(ctx context.Context, sides []*Side, o Options, bins map[string][]string, raw []*bytes.Buffer) error {
	var benches []*benchmark
	for _, g := range o.Groups {
		names, err := list(ctx, sides, bins[g.Pkg], g)
		if err != nil {
			return err
		}
		for _, n := range names {
			benches = append(benches, &benchmark{g, n, bins[g.Pkg]})
		}
	}
	if o.Count {
		return measureCounts(ctx, sides, o, benches, raw)
	}
	return o.rounds(sides, benches, func(b *benchmark, i int) error {
		out, err := sides[i].run(ctx, b, i, o)
		raw[i].Write(out)
		return err
	})
}

// rounds calls f for each benchmark and side, alternately, in each round.
func (o *Options) rounds(sides []*Side, benches []*benchmark, f func(b *benchmark, side int) error) error {
	start := time.Now()
	for round := range o.Rounds {
		for _, b := range benches {
			for _, i := range order(len(sides), round) {
				if err := f(b, i); err != nil {
					return err
				}
			}
		}
		d := time.Since(start)
		o.progress("round %d of %d, %s, %s left", round+1, o.Rounds, d.Round(time.Second),
			(d / time.Duration(round+1) * time.Duration(o.Rounds-round-1)).Round(time.Second))
	}
	return nil
}

// order returns the n sides in the order in which they run in a round: who
// goes second finds warmer caches and a hotter CPU.
func order(n, round int) []int {
	sides := make([]int, n)
	for i := range sides {
		sides[i] = i
	}
	if round%2 == 1 {
		slices.Reverse(sides)
	}
	return sides
}

// list returns the benchmark functions of g that all sides have.
func list(ctx context.Context, sides []*Side, bins []string, g Group) ([]string, error) {
	var common []string
	for i, bin := range bins {
		out, err := sides[i].command(ctx, g.Pkg, bin, "-test.list=^Benchmark("+g.Bench+")$").Output()
		if err != nil {
			return nil, fmt.Errorf("listing the benchmarks of %s with %s: %v", g.Pkg, sides[i].GOROOT, err)
		}
		names := strings.Fields(string(out))
		if i == 0 {
			common = names
			continue
		}
		common = slices.DeleteFunc(common, func(n string) bool { return !slices.Contains(names, n) })
	}
	if len(common) == 0 {
		return nil, fmt.Errorf("no benchmark of %s matches %s on all sides", g.Pkg, g.Bench)
	}
	return common, nil
}

// command is a program that is, or runs, the test binary of pkg: in the directory of
// the package, as under go test.
func (s *Side) command(ctx context.Context, pkg, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = filepath.Join(s.GOROOT, "src", filepath.FromSlash(pkg))
	cmd.Env = s.environ()
	return cmd
}

func (s *Side) run(ctx context.Context, b *benchmark, i int, o Options) ([]byte, error) {
	args := []string{"-test.run=^$", "-test.bench=^" + b.name + "$", "-test.benchtime=" + o.Benchtime, "-test.timeout=10m"}
	if o.CPU != "" {
		args = append(args, "-test.cpu="+o.CPU)
	}
	cmd := s.command(ctx, b.group.Pkg, b.bins[i], args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%s of %s with %s: %v\n%s%s", b.name, b.group.Pkg, s.GOROOT, err, out, stderr.Bytes())
	}
	return out, nil
}

// collect parses the raw output and pairs the sides.
func collect(sides []*Side, groups []Group, raw []*bytes.Buffer) ([]*Measurement, error) {
	type key struct{ name, unit string }
	var order []key
	byKey := map[key]*Measurement{}
	groupOf := func(pkg, name string) string {
		top, _, _ := strings.Cut(name, "/")
		if i := strings.LastIndexByte(top, '-'); i > 0 {
			top = top[:i]
		}
		for _, g := range groups {
			if g.Pkg == pkg && regexp.MustCompile("^("+g.Bench+")$").MatchString(top) {
				return g.Name
			}
		}
		return pkg
	}
	for i := range sides {
		r := benchfmt.NewReader(bytes.NewReader(raw[i].Bytes()), sides[i].Label)
		for r.Scan() {
			res, ok := r.Result().(*benchfmt.Result)
			if !ok {
				continue // unit metadata, or a line that is no benchmark
			}
			pkg := res.GetConfig("pkg")
			name := string(res.Name.Full())
			for _, v := range res.Values {
				k := key{pkg + "." + name, v.Unit}
				m := byKey[k]
				if m == nil {
					m = &Measurement{groupOf(pkg, name), k.name, k.unit, make([][]float64, len(sides))}
					byKey[k] = m
					order = append(order, k)
				}
				m.Values[i] = append(m.Values[i], v.Value)
			}
		}
		if err := r.Err(); err != nil {
			return nil, err
		}
	}
	var ms []*Measurement
	for _, k := range order {
		m := byKey[k]
		for _, v := range m.Values[1:] {
			if len(v) != len(m.Values[0]) {
				return nil, fmt.Errorf("%s %s: %d values on one side, %d on the other", m.Name, m.Unit, len(m.Values[0]), len(v))
			}
		}
		ms = append(ms, m)
	}
	if len(ms) == 0 {
		return nil, errors.New("the benchmarks printed no results")
	}
	return ms, nil
}
