// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Rtgo builds, checks and measures the rtgo toolchain: upstream Go plus the
// patches and the overlay of this repository.
//
//	rtgo help            list the subcommands
//	rtgo help build      what one of them does, with examples
//
// Every subcommand lives in a file of its own that registers it from init;
// the work is done by the packages under internal.
//
// Building a toolchain must work without a network, so build.sh compiles only
// those files of this command that import no other module.
//
// Exit codes: 0 success, 1 failure, 2 wrong usage, unless a subcommand's help
// says more.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A command is one subcommand of rtgo.
type command struct {
	name    string
	summary string                  // one line for the list
	help    string                  // usage line, description, examples; flags are appended
	run     func(args []string) int // returns the exit code
}

var commands []*command

// register adds a subcommand. It is called from init functions.
func register(name, summary, help string, run func(args []string) int) {
	commands = append(commands, &command{name, summary, help, run})
}

func lookup(name string) *command {
	for _, c := range commands {
		if c.name == name {
			return c
		}
	}
	return nil
}

func main() { os.Exit(dispatch(os.Args[1:])) }

func dispatch(args []string) int {
	if len(args) == 0 {
		usage(os.Stderr)
		return 2
	}
	switch name := args[0]; name {
	case "help", "-h", "-help", "--help":
		if len(args) == 1 {
			usage(os.Stdout)
			return 0
		}
		c := lookup(args[1])
		if c == nil {
			return unknown(args[1])
		}
		return c.run([]string{"-h"})
	default:
		c := lookup(name)
		if c == nil {
			return unknown(name)
		}
		return c.run(args[1:])
	}
}

func unknown(name string) int {
	fmt.Fprintf(os.Stderr, "rtgo: unknown subcommand %q; run 'rtgo help' for the list\n", name)
	return 2
}

func usage(w io.Writer) {
	fmt.Fprintf(w, "Rtgo builds, checks and measures the rtgo toolchain.\n\nUsage: rtgo <subcommand> [flags] [arguments]\n\n")
	slices.SortFunc(commands, func(a, b *command) int { return strings.Compare(a.name, b.name) })
	for _, c := range commands {
		fmt.Fprintf(w, "  %-14s %s\n", c.name, c.summary)
	}
	fmt.Fprintf(w, "\nRun 'rtgo help <subcommand>' for flags and examples.\n")
}

// newFlags returns the flag set of a registered subcommand. Its -h prints the
// long help followed by the flags.
func newFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // parse reports, in one line
	return fs
}

// parse parses args, accepting flags and arguments in any order. If it
// reports false the subcommand is to return code: 0 after -h, 2 after wrong
// usage, which has been reported. More than maxArgs arguments are wrong
// usage; a negative maxArgs allows any number and, as in "lab exec PROG -x",
// ends flag parsing at the first argument.
func parse(fs *flag.FlagSet, args []string, maxArgs int) (rest []string, code int, ok bool) {
	for {
		switch err := fs.Parse(args); {
		case errors.Is(err, flag.ErrHelp):
			if c := lookup(fs.Name()); c != nil {
				fmt.Printf("%s\n", strings.TrimSpace(c.help))
			}
			any := false
			fs.VisitAll(func(*flag.Flag) { any = true })
			if any {
				fmt.Printf("\nFlags:\n")
				fs.SetOutput(os.Stdout)
				fs.PrintDefaults()
			}
			return nil, 0, false
		case err != nil:
			return nil, usageError(fs.Name(), "%v", err), false
		}
		if maxArgs < 0 {
			return fs.Args(), 0, true
		}
		if fs.NArg() == 0 {
			return rest, 0, true
		}
		if len(rest) == maxArgs {
			return nil, usageError(fs.Name(), "unexpected argument %q", fs.Arg(0)), false
		}
		rest = append(rest, fs.Arg(0))
		args = fs.Args()[1:]
	}
}

// usageError reports wrong usage of a subcommand and returns exit code 2.
func usageError(name, format string, args ...any) int {
	fmt.Fprintf(os.Stderr, "rtgo %s: %s; run 'rtgo help %s'\n", name, fmt.Sprintf(format, args...), name)
	return 2
}

// fail reports err, one line where it has one, and returns exit code 1.
func fail(name string, err error) int {
	fmt.Fprintf(os.Stderr, "rtgo %s: %v\n", name, err)
	return 1
}

// repoRoot returns the root of the rtgo repository: $RTGO_ROOT, or the
// nearest directory at or above the current one that holds upstream.json.
func repoRoot() (string, error) {
	if dir := os.Getenv("RTGO_ROOT"); dir != "" {
		if _, err := os.Stat(filepath.Join(dir, "upstream.json")); err != nil {
			return "", fmt.Errorf("RTGO_ROOT=%s is not an rtgo repository: it has no upstream.json", dir)
		}
		return filepath.Abs(dir)
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "upstream.json")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no upstream.json in %s or above it; run inside the rtgo repository or set RTGO_ROOT", wd)
		}
	}
}
