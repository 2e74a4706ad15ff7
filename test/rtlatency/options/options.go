// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package options reads rtlatency's command line, which is cyclictest's
// where the same flag can mean the same: short flags may be joined ("-mqp80")
// and -a and -t take an optional value.
package options

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
)

// Options are the choices made on the command line.
type Options struct {
	// As in cyclictest.
	Affinity    []int // -a CPUSET; empty with AffinityAll for -a alone
	AffinityAll bool
	Break       int64 // -b, µs; 0: none
	Distance    int64 // -d, µs; -1: default
	Duration    time.Duration
	Histogram   int  // -h, -H; 0: none
	HistAll     bool // -H
	HistFile    string
	Interval    int64 // -i, µs; 0: the scenario's
	JSON        string
	Latency     int64 // --latency, µs; -1: leave
	Loops       uint64
	Mlock       bool
	Nsecs       bool
	Priority    int
	Policy      string // "", fifo, rr, other
	PrioSpread  bool
	Quiet       bool
	SMP         bool
	Threads     int // 0: 1; -1: one per CPU
	Tracemark   bool
	Verbose     bool

	// rtlatency's own.
	Scenario string
	Load     string
	LoadOnly bool
	Result   string
	Compute  int // percent of the interval
	Conns    int
	Timers   int
	Split    []int // CPUs of the tasks alone
	Watchdog time.Duration
	List     bool
	Help     bool
	Version  bool
}

type arg int

const (
	none arg = iota
	required
	optional // may be the next word, if that is a value
)

type option struct {
	short byte
	long  string
	arg   arg
	set   func(o *Options, v string) error
}

func number(v string, lo, hi int64) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < lo || n > hi {
		if hi == math.MaxInt64 {
			return 0, fmt.Errorf("%q is not a number of at least %d", v, lo)
		}
		return 0, fmt.Errorf("%q is not a number from %d to %d", v, lo, hi)
	}
	return n, nil
}

func integer[T ~int | ~int64 | ~uint64](p func(*Options) *T, lo, hi int64) func(*Options, string) error {
	return func(o *Options, v string) error {
		n, err := number(v, lo, hi)
		*p(o) = T(n)
		return err
	}
}

func flag(p func(*Options) *bool) func(*Options, string) error {
	return func(o *Options, _ string) error { *p(o) = true; return nil }
}

func text(p func(*Options) *string) func(*Options, string) error {
	return func(o *Options, v string) error { *p(o) = v; return nil }
}

const limit = math.MaxInt64

var table = []option{
	{'a', "affinity", optional, func(o *Options, v string) (err error) {
		if v == "" {
			o.AffinityAll = true
			return nil
		}
		o.Affinity, err = cpuSet(v)
		return err
	}},
	{'b', "breaktrace", required, integer(func(o *Options) *int64 { return &o.Break }, 1, limit)},
	{'d', "distance", required, integer(func(o *Options) *int64 { return &o.Distance }, 0, limit)},
	{'D', "duration", required, func(o *Options, v string) (err error) { o.Duration, err = duration(v); return err }},
	{'h', "histogram", required, integer(func(o *Options) *int { return &o.Histogram }, 1, 1_000_000)},
	{'H', "histofall", required, func(o *Options, v string) error {
		n, err := number(v, 1, 1_000_000)
		o.Histogram, o.HistAll = int(n), true
		return err
	}},
	{0, "histfile", required, text(func(o *Options) *string { return &o.HistFile })},
	{'i', "interval", required, integer(func(o *Options) *int64 { return &o.Interval }, 1, limit)},
	{0, "json", required, text(func(o *Options) *string { return &o.JSON })},
	{0, "latency", required, integer(func(o *Options) *int64 { return &o.Latency }, 0, math.MaxInt32)},
	{0, "default-system", none, func(o *Options, _ string) error { o.Latency = -1; return nil }},
	{'l', "loops", required, integer(func(o *Options) *uint64 { return &o.Loops }, 0, limit)},
	{'m', "mlockall", none, flag(func(o *Options) *bool { return &o.Mlock })},
	{'N', "nsecs", none, flag(func(o *Options) *bool { return &o.Nsecs })},
	{'p', "priority", required, integer(func(o *Options) *int { return &o.Priority }, 0, 99)},
	{0, "policy", required, func(o *Options, v string) error {
		switch v = strings.ToLower(v); v {
		case "fifo", "rr":
			o.Policy = v
		case "other", "normal":
			o.Policy = "other"
		default:
			return fmt.Errorf("%q is not fifo, rr or other", v)
		}
		return nil
	}},
	{0, "priospread", none, flag(func(o *Options) *bool { return &o.PrioSpread })},
	{'q', "quiet", none, flag(func(o *Options) *bool { return &o.Quiet })},
	{'S', "smp", none, flag(func(o *Options) *bool { return &o.SMP })},
	{'t', "threads", optional, func(o *Options, v string) error {
		if v == "" {
			o.Threads = -1
			return nil
		}
		n, err := number(v, 1, 1024)
		o.Threads = int(n)
		return err
	}},
	{0, "tracemark", none, flag(func(o *Options) *bool { return &o.Tracemark })},
	{'u', "unbuffered", none, func(*Options, string) error { return nil }}, // output is never buffered
	{'v', "verbose", none, flag(func(o *Options) *bool { return &o.Verbose })},
	{0, "scenario", required, text(func(o *Options) *string { return &o.Scenario })},
	{0, "load", required, text(func(o *Options) *string { return &o.Load })},
	{0, "load-only", none, flag(func(o *Options) *bool { return &o.LoadOnly })},
	{0, "result", required, text(func(o *Options) *string { return &o.Result })},
	{0, "compute", required, integer(func(o *Options) *int { return &o.Compute }, 0, 90)},
	{0, "conns", required, integer(func(o *Options) *int { return &o.Conns }, 1, 1_000_000)},
	{0, "timers", required, integer(func(o *Options) *int { return &o.Timers }, 1, 100_000_000)},
	{0, "split", required, func(o *Options, v string) (err error) { o.Split, err = cpuSet(v); return err }},
	{0, "watchdog", required, func(o *Options, v string) (err error) { o.Watchdog, err = duration(v); return err }},
	{0, "list", none, flag(func(o *Options) *bool { return &o.List })},
	{0, "help", none, flag(func(o *Options) *bool { return &o.Help })},
	{0, "version", none, flag(func(o *Options) *bool { return &o.Version })},
}

// elsewhere are flags of cyclictest that rtlatency cannot honour, with what
// to do instead.
var elsewhere = map[string]string{
	"-s": "--scenario=periodic/sleep is the sleep of Go", "--system": "--scenario=periodic/sleep is the sleep of Go",
	"-x": "--scenario=periodic/timer is the timer of Go", "--posix_timers": "--scenario=periodic/timer is the timer of Go",
	"-r": "releases are always absolute", "--relative": "releases are always absolute",
	"-c": "the clock is always CLOCK_MONOTONIC", "--clock": "the clock is always CLOCK_MONOTONIC",
}

// Parse reads args, which do not include the program's name. A lone -h asks
// for help, as everywhere; with a value it is cyclictest's histogram.
func Parse(args []string) (*Options, error) {
	o := &Options{Distance: -1, Scenario: "periodic/abs", Watchdog: 10 * time.Second}
	if len(args) == 1 && args[0] == "-h" {
		args = []string{"--help"}
	}
	for i := 0; i < len(args); {
		s := args[i]
		i++
		value := func(name string, p *option, attached string, has bool) error {
			switch {
			case p.arg == none && has:
				return fmt.Errorf("%s takes no value", name)
			case p.arg == required && !has:
				if i == len(args) {
					return fmt.Errorf("%s needs a value; rtlatency --help shows the flags", name)
				}
				attached = args[i]
				i++
			case p.arg == optional && !has && i < len(args) && args[i] != "" && args[i][0] >= '0' && args[i][0] <= '9':
				attached = args[i]
				i++
			}
			if err := p.set(o, attached); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		}
		switch {
		case strings.HasPrefix(s, "--") && len(s) > 2:
			name, v, has := strings.Cut(s[2:], "=")
			p := find(func(p *option) bool { return p.long == name })
			if p == nil {
				return nil, unknown("--" + name)
			}
			if err := value("--"+name, p, v, has); err != nil {
				return nil, err
			}
		case len(s) > 1 && s[0] == '-':
			for rest := s[1:]; rest != ""; {
				c := rest[0]
				rest = rest[1:]
				p := find(func(p *option) bool { return p.short == c })
				if p == nil {
					return nil, unknown("-" + string(c))
				}
				attached, has := "", false
				if p.arg != none && rest != "" {
					attached, has, rest = rest, true, ""
				}
				if err := value("-"+string(c), p, attached, has); err != nil {
					return nil, err
				}
			}
		default:
			return nil, fmt.Errorf("unexpected argument %q; rtlatency --help shows the flags", s)
		}
	}
	return o, o.settle()
}

// settle applies the rules by which flags affect each other.
func (o *Options) settle() error {
	if len(o.Split) > 0 {
		if o.AffinityAll || len(o.Affinity) > 0 || o.SMP {
			return fmt.Errorf("--split says where the tasks run; drop -a or -S")
		}
		o.Affinity = o.Split
	}
	if o.SMP {
		o.AffinityAll, o.Threads = len(o.Affinity) == 0, -1
		if o.PrioSpread {
			return fmt.Errorf("-S gives all threads the same priority; drop --priospread")
		}
	}
	if o.Histogram > 0 || o.SMP || o.Distance < 0 {
		// As in cyclictest, which spreads the intervals by 500 µs unless
		// there is a histogram.
		if o.Histogram > 0 || o.SMP {
			o.Distance = 0
		} else {
			o.Distance = 500
		}
	}
	switch {
	case o.Policy == "other" && o.Priority > 0:
		return fmt.Errorf("-p %d needs --policy fifo or rr", o.Priority)
	case o.Policy == "" && o.Priority > 0:
		o.Policy = "fifo"
	case o.Policy == "":
		o.Policy = "other"
	case o.Policy != "other" && o.Priority == 0:
		o.Priority = max(o.Threads, 1) + 1 // as cyclictest
	}
	if o.HistFile != "" && o.Histogram == 0 {
		return fmt.Errorf("--histfile needs -h or -H")
	}
	if o.Tracemark && o.Break == 0 {
		return fmt.Errorf("--tracemark needs -b")
	}
	return nil
}

func find(f func(*option) bool) *option {
	for i := range table {
		if f(&table[i]) {
			return &table[i]
		}
	}
	return nil
}

func unknown(name string) error {
	if s := elsewhere[name]; s != "" {
		return fmt.Errorf("rtlatency has no %s: %s", name, s)
	}
	return fmt.Errorf("no flag %s; rtlatency --help shows the flags", name)
}

// duration reads cyclictest's "90", "5m", "12h", "1d", and Go's "250ms".
func duration(v string) (time.Duration, error) {
	bad := fmt.Errorf("%q is not a time such as 90 (seconds), 500ms, 5m, 12h or 1d", v)
	if n, ok := strings.CutSuffix(v, "d"); ok {
		d, err := strconv.ParseFloat(n, 64)
		if err != nil || d < 0 || d > 10000 {
			return 0, bad
		}
		return time.Duration(d * 24 * float64(time.Hour)), nil
	}
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, bad
	}
	return d, nil
}

// cpuSet reads "3-5,0", in that order.
func cpuSet(v string) ([]int, error) {
	var out []int
	for _, s := range strings.Split(v, ",") {
		lo, hi, isRange := strings.Cut(s, "-")
		a, err := number(lo, 0, 4095)
		b := a
		if err == nil && isRange {
			b, err = number(hi, a, 4095)
		}
		if err != nil {
			return nil, fmt.Errorf("%q is not a set of CPUs such as 2 or 3-5,0", v)
		}
		for ; a <= b; a++ {
			out = append(out, int(a))
		}
	}
	return out, nil
}

// Usage is the text of --help.
func Usage(loads []string) string {
	return fmt.Sprintf(usage, "  "+strings.Join(loads, "\n  "))
}

// Fatal prints one line to standard error and exits with code.
func Fatal(code int, err error) {
	fmt.Fprintln(os.Stderr, "rtlatency:", err)
	os.Exit(code)
}

const usage = `rtlatency measures how late a Go program's tasks run, as cyclictest does for C.

usage: rtlatency [flags]
       rtlatency campaign [flags]    stock Go, rtgo and C side by side (campaign -h)
       rtlatency problem  [flags]    what makes stock Go late, one by one (problem -h)

flags that mean what they mean in cyclictest:
  -a [CPUSET] --affinity     run task N on CPU N, or on the CPUs given in turn
  -b USEC     --breaktrace   stop when a latency exceeds USEC; exit code 2
  -d USEC     --distance     difference between the tasks' intervals (default 500, 0 with -h or -S)
  -D TIME     --duration     length of the run: seconds, or with m, h, d, ms
  -h USEC     --histogram    print a histogram of USEC microseconds after the run (-h alone is --help)
  -H USEC     --histofall    the same with a column for all tasks together
              --histfile F   write the histogram to F
  -i USEC     --interval     interval of the first task (default: the scenario's, mostly 1000)
              --json FILE    write the results as cyclictest's JSON
              --latency USEC value for /dev/cpu_dma_latency (default 0; --default-system leaves it)
  -l LOOPS    --loops        number of cycles (default: endless)
  -m          --mlockall     lock memory, what is mapped later as it is touched (rt.Prepare)
  -N          --nsecs        print nanoseconds
  -p PRIO     --priority     real-time priority of the tasks, 1 to 99 (default: ordinary)
              --policy NAME  fifo (default with -p), rr, other
              --priospread   each further task has a priority one lower
  -q          --quiet        print a summary only
  -S          --smp          one task per CPU: -a -t
  -t [NUM]    --threads      number of tasks; without NUM one per CPU
              --tracemark    write a mark to the kernel trace when -b is exceeded
  -v          --verbose      print every latency: task:cycle:latency

flags of rtlatency:
  --scenario NAME   what wakes the task (default periodic/abs); --list shows all
  --load LIST       work beside it, comma-separated:
%s
  --load-only       only put on the load, for -D; with it C programs are measured beside it
  --result FILE     write everything measured (JSON, format of package result)
  --compute PERCENT each periodic task computes for so much of its interval after it has been
                    measured, 0 to 90 (scenarios periodic and memory)
  --conns N         connections of network scenarios
  --timers N        live timers of timers/million
  --split CPUSET    the tasks alone on these CPUs (-a), everything else of the program on the
                    others, as rt.Prepare does it; also of a load with --load-only
  --watchdog TIME   the kernel kills the program when a task has computed for so long without
                    blocking (RLIMIT_RTTIME; default 10, 0 is off)
  --list, --help, --version

exit codes: 0 measured, 1 error, 2 a latency exceeded -b

examples:
  rtlatency -m -p80 -i1000 -D1m -q
  rtlatency -p80 -D10 -q --scenario handover/chan --load alloc,cpu -h200
  rtlatency -p80 -D10 -q --load stw:1000 -b 500 --result run.json
`
