// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"rtgo.dev/rtgo/test/rtlatency/campaign"
	"rtgo.dev/rtgo/test/rtlatency/result"
	"rtgo.dev/rtgo/test/rtlatency/sysenv"
)

func init() { commands["campaign"] = runCampaign }

const campaignHelp = `usage: rtlatency campaign [flags]

Measures scenarios under loads on this machine, with this program and those
named by flags, each load with its control: cyclictest beside it. "rtgo
campaign" builds the programs and also runs them in the lab.

examples:
  rtlatency campaign -set figures -D 30s -rtgo ./rtlatency-rtgo -ctwin ./ctwin -o run.json
  rtlatency campaign -scenario periodic/abs,handover/chan -load none -load alloc,cpu -o run.json
  rtlatency campaign -plan plan.json -o run.json

flags:
`

type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func runCampaign(args []string) error {
	fs := flag.NewFlagSet("campaign", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Print(campaignHelp)
		fs.SetOutput(os.Stdout)
		fs.PrintDefaults()
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	p := &campaign.Plan{Bound: 100 * time.Microsecond}
	var loads list
	planFile := fs.String("plan", "", "read everything from a plan `file` instead")
	set := fs.String("set", "", "`name` of a set of scenarios: smoke, figures, periodic, handover, network, timers, memory, full")
	scenarios := fs.String("scenario", "", "comma-separated `names` of scenarios")
	fs.Var(&loads, "load", "a `load`, as for rtlatency --load; may be repeated; quick and full are lists (default quick)")
	fs.DurationVar(&p.Duration, "D", 10*time.Second, "length of each measurement")
	fs.IntVar(&p.Priority, "p", 80, "priority of the tasks")
	fs.BoolVar(&p.Mlock, "m", true, "lock memory")
	fs.StringVar(&p.Split, "split", "", "the `CPU` that tasks have to themselves; everything else runs on the others (default: no split)")
	fs.DurationVar(&p.Bound, "bound", 100*time.Microsecond, "worst latency of the control beyond which a load's measurements are void")
	fs.Float64Var(&p.Tolerance, "tolerance", 0.1, "relative difference within which the control, and the first scenario under each load, must repeat; 0 skips this")
	fs.BoolVar(&p.Problem, "problem", false, "also run the set that shows what makes stock Go late")
	fs.StringVar(&p.Programs.Stock, "stock", "", "rtlatency built by stock Go (default: this program, if it is)")
	fs.StringVar(&p.Programs.RTGo, "rtgo", "", "rtlatency built by rtgo (default: this program, if it is)")
	fs.StringVar(&p.Programs.CTwin, "ctwin", "", "the C twin")
	fs.StringVar(&p.Programs.Cyclictest, "cyclictest", "", "cyclictest (default: from PATH)")
	out := fs.String("o", "rtlatency.json", "write the results to `file`")
	stream := fs.Bool("stream", false, "also write each result to standard output, for rtgo campaign")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("campaign: unexpected argument %q", fs.Arg(0))
	}
	if *planFile != "" {
		if p, err = campaign.ReadPlan(*planFile); err != nil {
			return err
		}
	} else {
		if err := p.Choose(*set, *scenarios, loads); err != nil {
			return err
		}
		t := sysenv.Toolchain()
		if t.Name == result.RTGo && p.Programs.RTGo == "" {
			p.Programs.RTGo = self
		} else if t.Name == result.Stock && p.Programs.Stock == "" {
			p.Programs.Stock = self
		}
		p.Environment.Toolchains = []result.Toolchain{t}
	}
	if p.Programs.Cyclictest == "" {
		if p.Programs.Cyclictest, err = exec.LookPath("cyclictest"); err != nil {
			fmt.Fprintln(os.Stderr, "rtlatency: no cyclictest (apt-get install rt-tests): measurements have no control")
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	streamer := campaign.Streamer{W: os.Stdout}
	run, err := campaign.Run(ctx, p, os.Stdout, func(r *result.Run) error {
		if *stream {
			if err := streamer.Save(r); err != nil {
				return err
			}
		}
		return r.WriteFile(*out)
	})
	if run != nil {
		if *stream { // its end, and what ended early
			err = errors.Join(err, streamer.Save(run))
		}
		run.Command = os.Args
		err = errors.Join(err, run.WriteFile(*out))
		fmt.Printf("%d measurements in %s\n", len(run.Measurements), *out)
	}
	return err
}
