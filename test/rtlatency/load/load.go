// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

// Package load puts the measured process, and the machine, under work: the
// loads beside which a real-time task must keep its latency. Loads have
// names and can be combined.
package load

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// A kind is one load by name.
type kind struct {
	name    string
	arg     string // name of the parameter, "" if there is none
	def     int    // its default
	summary string
	start   func(r *Running, n int) error
}

var kinds []kind

func register(k kind) { kinds = append(kinds, k) }

// A Load is a load with its parameter.
type Load struct {
	k *kind
	n int
}

// Name returns the load as the user wrote it, "alloc" or "alloc:500".
func (l Load) Name() string {
	if l.k.arg == "" || l.n == l.k.def {
		return l.k.name
	}
	return fmt.Sprintf("%s:%d", l.k.name, l.n)
}

// Parse reads a comma-separated list such as "alloc,cpu:8". "none" and ""
// stand for no load.
func Parse(spec string) ([]Load, error) {
	var out []Load
	for _, s := range strings.Split(spec, ",") {
		s = strings.TrimSpace(s)
		if s == "" || s == "none" {
			continue
		}
		name, arg, has := strings.Cut(s, ":")
		i := slices.IndexFunc(kinds, func(k kind) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no load %q; the loads are %s", name, strings.Join(Names(), ", "))
		}
		l := Load{&kinds[i], kinds[i].def}
		if has {
			n, err := strconv.Atoi(arg)
			if err != nil || n < 0 || l.k.arg == "" {
				return nil, fmt.Errorf("load %q: %q is not a number of %s", name, arg, l.k.arg)
			}
			l.n = n
		}
		out = append(out, l)
	}
	return out, nil
}

// Names returns the names of all loads, "none" first.
func Names() []string {
	out := []string{"none"}
	for _, k := range kinds {
		out = append(out, k.name)
	}
	slices.Sort(out[1:])
	return out
}

// Describe returns one line of help per load.
func Describe() []string {
	var out []string
	for _, k := range kinds {
		name := k.name
		if k.arg != "" {
			name += "[:" + k.arg + "]"
		}
		s := k.summary
		if k.arg != "" {
			s += fmt.Sprintf(" (default %d)", k.def)
		}
		out = append(out, fmt.Sprintf("%-22s %s", name, s))
	}
	slices.Sort(out)
	return out
}

// Running are loads at work.
type Running struct {
	ops   atomic.Uint64
	stop  atomic.Bool
	quit  chan struct{}
	wg    sync.WaitGroup
	procs []*exec.Cmd
	undo  []func()
	info  []string
}

// Start starts loads and returns when all of them are under way: live heaps
// are built and processes are started.
func Start(loads []Load) (*Running, error) {
	r := &Running{quit: make(chan struct{})}
	for _, l := range loads {
		if err := l.k.start(r, l.n); err != nil {
			r.Stop()
			return nil, fmt.Errorf("load %s: %w", l.Name(), err)
		}
	}
	return r, nil
}

// Stop ends the loads and waits for them.
func (r *Running) Stop() {
	if r.stop.Swap(true) {
		return
	}
	close(r.quit)
	for _, p := range r.procs {
		stopProcess(p)
	}
	r.wg.Wait()
	for _, f := range r.undo {
		f()
	}
}

// Ops returns how many units of work the goroutine loads have done, to see
// that they ran.
func (r *Running) Ops() uint64 { return r.ops.Load() }

// Info tells, one line per load, what was started.
func (r *Running) Info() []string { return r.info }

// each starts n goroutines that call f until the load stops.
func (r *Running) each(n int, f func(i int)) {
	for i := range n {
		r.wg.Go(func() {
			for !r.stop.Load() {
				f(i)
				r.ops.Add(1)
			}
		})
	}
}
