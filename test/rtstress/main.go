// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

// Rtstress looks for bugs in the runtime's handling of real-time goroutines.
// A number of goroutines enter and leave real time at random, and meanwhile
// block on everything there is, change each other's priority, panic, start
// goroutines and processes, while the collector runs, GOMAXPROCS changes and
// profiles are taken. It checks that a task stays on its thread with its
// attributes, that nothing of them is left anywhere afterwards, and that
// everything goes on.
//
//	go build ./test/rtstress && sudo ./rtstress -ops 1000000
//
// Run it with -h for the flags. The choices depend on the seed alone, so a
// failure can be looked for again with the command line that is printed; the
// schedule is the machine's.
//
// A process of its own watches the one under test, at a higher priority if
// that is permitted: when nothing goes on it prints what each worker does,
// the state of each thread, and the goroutines' stacks.
//
// Under stock Go it stalls now and then, within some thousand operations: the
// runtime livelocks when a SCHED_FIFO thread spins (sched_yield in
// casgstatus) on one of lower priority that it keeps from running. With
// -maxprio 1 no such pair exists.
//
// Tasks with policy Deadline are left out unless -deadline asks for them: some
// kernels hang such threads when they meet priority inheritance
// (testdata/deadlinepi.c shows it without Go).
//
// Built with -tags rtstress_cgo it calls C as well.
//
// Exit status: 0 passed, 1 a bug or an error, 2 wrong usage.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"rtgo.dev/rtgo/rt"
)

// Config is what the user chose.
type Config struct {
	Ops      uint64
	Seed     uint64
	Duration time.Duration
	Workers  int
	MaxPrio  int
	Deadline int
	Hogs     int
	Alloc    int
	Stall    time.Duration
	Ordinary bool
	Disturb  bool
	Only     string
	Skip     string
	Quiet    bool
}

const usage = `usage: rtstress [flags]

Random use of real-time goroutines, checked throughout. Needs root, or
CAP_SYS_NICE, or RLIMIT_RTPRIO of -maxprio; or -ordinary.

`

const examples = `
Examples:
  rtstress                               100,000 operations, some seconds
  rtstress -ops 0 -duration 8h -p 32     as many as fit into a night
  rtstress -seed 7 -only 'chan*,select'  one kind of operation
  rtstress -list                         the operations

Exit status: 0 passed, 1 a bug or an error, 2 wrong usage.
`

func main() {
	var c Config
	f := flag.NewFlagSet("rtstress", flag.ContinueOnError)
	f.Uint64Var(&c.Ops, "ops", 100_000, "end after this `number` of operations; 0: none")
	f.Uint64Var(&c.Seed, "seed", 0, "`seed` of the random choices; 0: take one from the clock and print it")
	f.DurationVar(&c.Duration, "duration", 0, "end after this `time`; 0: none")
	f.IntVar(&c.Workers, "p", 12, "`number` of workers, 1 to 64; each may be a task and may have one more")
	f.IntVar(&c.MaxPrio, "maxprio", 50, "highest `priority` of a task, 1 to 98")
	f.IntVar(&c.Deadline, "deadline", 0, "share of tasks with policy Deadline, in `percent`; see testdata/deadlinepi.c")
	f.IntVar(&c.Hogs, "hogs", 1, "`number` of ordinary goroutines that compute")
	f.IntVar(&c.Alloc, "alloc", 1, "`number` of ordinary goroutines that allocate")
	f.DurationVar(&c.Stall, "stall", 60*time.Second, "report a deadlock when no operation has ended for this `time`")
	f.BoolVar(&c.Ordinary, "ordinary", false, "no real time: the same operations by ordinary goroutines")
	f.BoolVar(&c.Disturb, "disturb", true, "collect garbage, change GOMAXPROCS, take profiles and traces meanwhile")
	f.StringVar(&c.Only, "only", "", "only the operations that match one of these `patterns`")
	f.StringVar(&c.Skip, "skip", "", "not the operations that match one of these `patterns`")
	f.BoolVar(&c.Quiet, "q", false, "no progress")
	list := f.Bool("list", false, "list the operations and exit")
	f.Usage = func() {
		fmt.Fprint(f.Output(), usage)
		f.PrintDefaults()
		fmt.Fprint(f.Output(), examples)
	}
	switch err := f.Parse(os.Args[1:]); {
	case err == flag.ErrHelp:
		os.Exit(0)
	case err != nil:
		os.Exit(2)
	}
	bad := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "rtstress: "+format+"; see -h\n", args...)
		os.Exit(2)
	}
	switch {
	case f.NArg() > 0:
		bad("unexpected argument %q", f.Arg(0))
	case c.Ops == 0 && c.Duration <= 0:
		bad("give -ops or -duration")
	case c.Duration < 0 || c.Stall < time.Second:
		bad("-duration must not be negative, -stall at least 1s")
	case c.Workers < 1 || c.Workers > maxWorkers:
		bad("-p must be 1 to %d", maxWorkers)
	case c.MaxPrio < 1 || c.MaxPrio > 98:
		bad("-maxprio must be 1 to 98")
	case c.Deadline < 0 || c.Deadline > 100:
		bad("-deadline must be 0 to 100")
	case c.Hogs < 0 || c.Alloc < 0:
		bad("-hogs and -alloc must not be negative")
	}
	ops, err := choose(c.Only, c.Skip)
	if err != nil {
		bad("%v", err)
	}
	if *list {
		slices.SortFunc(ops, func(a, b *op) int { return strings.Compare(a.name, b.name) })
		for _, o := range ops {
			fmt.Printf("%-18s weight %3d  %s\n", o.name, o.weight, o.doc)
		}
		return
	}
	if c.Seed == 0 {
		c.Seed = uint64(time.Now().UnixNano()) % 1_000_000
	}
	if isTested() {
		os.Exit(test(&c, ops))
	}
	if !c.Ordinary {
		if err := rt.Do(rt.Attr{Priority: c.MaxPrio}, func() error { return nil }); err != nil {
			fmt.Fprintf(os.Stderr, "rtstress: %v; or use -ordinary\n", err)
			os.Exit(1)
		}
	}
	os.Exit(watch(&c))
}

// args returns the command line that repeats the run.
func (c *Config) args() []string {
	a := []string{fmt.Sprint("-seed=", c.Seed), fmt.Sprint("-ops=", c.Ops), fmt.Sprint("-p=", c.Workers)}
	add := func(yes bool, s ...any) {
		if yes {
			a = append(a, fmt.Sprint(s...))
		}
	}
	add(c.Duration != 0, "-duration=", c.Duration)
	add(c.MaxPrio != 50, "-maxprio=", c.MaxPrio)
	add(c.Deadline != 0, "-deadline=", c.Deadline)
	add(c.Hogs != 1, "-hogs=", c.Hogs)
	add(c.Alloc != 1, "-alloc=", c.Alloc)
	add(c.Stall != 60*time.Second, "-stall=", c.Stall)
	add(c.Ordinary, "-ordinary")
	add(!c.Disturb, "-disturb=false")
	add(c.Only != "", "-only=", c.Only)
	add(c.Skip != "", "-skip=", c.Skip)
	add(c.Quiet, "-q")
	return a
}
