// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package upstreamtest runs Go's own tests with a patched GOROOT and
// compares them, test by test, with those of the unpatched one: no test may
// fail, vanish or be skipped that passes unpatched.
//
// The unpatched side is either run as well or taken from a [Baseline], a
// recorded file of outcomes measured over several runs. A difference is
// judged only after it was retried on both sides, see [Compare].
package upstreamtest

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
)

// A Test names one test, subtest, example or fuzz target of a package. An
// empty Name stands for the package as a whole.
type Test struct {
	Pkg  string `json:"pkg"`
	Name string `json:"test,omitempty"`
}

func (t Test) String() string {
	if t.Name == "" {
		return t.Pkg
	}
	return t.Pkg + "." + t.Name
}

// top returns the top-level test that t belongs to: the smallest unit that
// can be run on its own.
func (t Test) top() Test {
	name, _, _ := strings.Cut(t.Name, "/")
	return Test{t.Pkg, name}
}

// An Outcome is how a test ended.
type Outcome string

const (
	Pass   Outcome = "pass"
	Skip   Outcome = "skip"
	Fail   Outcome = "fail"
	Absent Outcome = "absent" // the test did not exist, or its package ended before it
)

// A Set is a named choice of packages.
type Set struct {
	Name     string
	Packages []string // patterns as for the go command, relative to GOROOT/src
	Doc      string

	// Piece of Pieces, counted from 1, is all of the set that is meant; 0 of 0
	// is the whole.
	Piece, Pieces int
}

// String names the set and the piece.
func (s *Set) String() string {
	if s.Pieces == 0 {
		return s.Name
	}
	return fmt.Sprintf("%s %d/%d", s.Name, s.Piece, s.Pieces)
}

// choose returns what of pkgs, the packages of the set, belongs to its piece.
// Every Pieces-th does, so that big neighbours fall into different pieces.
func (s *Set) choose(pkgs []string) []string {
	if s.Pieces == 0 {
		return pkgs
	}
	var out []string
	for i := s.Piece - 1; i < len(pkgs); i += s.Pieces {
		out = append(out, pkgs[i])
	}
	return out
}

// ParsePiece parses "K/N", the K-th of N pieces, 1 <= K <= N.
func ParsePiece(s string) (piece, pieces int, err error) {
	k, n, ok := strings.Cut(s, "/")
	piece, err1 := strconv.Atoi(k)
	pieces, err2 := strconv.Atoi(n)
	if !ok || err1 != nil || err2 != nil || piece < 1 || piece > pieces {
		return 0, 0, fmt.Errorf("piece %q is not K/N with 1 <= K <= N", s)
	}
	return piece, pieces, nil
}

// Sets are the package sets known by name. The first is the default.
var Sets = []Set{
	{Name: "ci", Packages: []string{"runtime/...", "sync/...", "time", "os/...", "net", "internal/poll", "context", "testing/synctest"},
		Doc: "what a change of the scheduler, timers or netpoller can break first"},
	{Name: "std", Packages: []string{"std"}, Doc: "the whole standard library"},
	{Name: "cmd", Packages: []string{"cmd"}, Doc: "the go command, compiler, linker and the other tools"},
}

// LookupSet returns the set of the given name.
func LookupSet(name string) (Set, error) {
	var names []string
	for _, s := range Sets {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Set{}, fmt.Errorf("unknown package set %q; known are %s, or list packages as arguments", name, strings.Join(names, ", "))
}

// Platform is the os/arch pair that results hold for.
func Platform() string { return runtime.GOOS + "/" + runtime.GOARCH }
