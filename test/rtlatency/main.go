// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

// Rtlatency measures how late the tasks of a Go program run: cyclictest's
// flags and output for goroutines, with the situations and loads that
// matter to Go. See rtlatency --help.
package main

import (
	"errors"
	"fmt"
	"os"

	"rtgo.dev/rtgo/rt"
	"rtgo.dev/rtgo/test/rtlatency/load"
	"rtgo.dev/rtgo/test/rtlatency/options"
	"rtgo.dev/rtgo/test/rtlatency/scenario"
	"rtgo.dev/rtgo/test/rtlatency/sysenv"
)

// Exit codes.
const (
	exitPass      = 0
	exitError     = 1
	exitThreshold = 2
)

// errThreshold ends a run whose latency exceeded -b. It is no error of the
// program.
var errThreshold = errors.New("threshold exceeded")

func main() {
	args := os.Args[1:]
	if len(args) > 0 {
		if f := commands[args[0]]; f != nil {
			exit(f(args[1:]))
		}
	}
	o, err := options.Parse(args)
	if err != nil {
		exit(err)
	}
	switch {
	case o.Help:
		fmt.Print(options.Usage(load.Describe()))
	case o.Version:
		t := sysenv.Toolchain()
		fmt.Printf("rtlatency %s (%s, real-time runtime: %t)\n", t.Version, t.Name, rt.Supported())
	case o.List:
		for _, s := range scenario.All() {
			fmt.Printf("%-28s %s\n", s.Name, s.Summary)
		}
	case o.LoadOnly:
		exit(loadOnly(o))
	default:
		exit(measure(o, os.Stdout))
	}
}

// commands are the words that may stand first on the command line.
var commands = map[string]func(args []string) error{scenario.PeerCommand: scenario.Peer}

func exit(err error) {
	switch {
	case err == nil:
		os.Exit(exitPass)
	case errors.Is(err, errThreshold):
		os.Exit(exitThreshold)
	default:
		options.Fatal(exitError, err)
	}
}
