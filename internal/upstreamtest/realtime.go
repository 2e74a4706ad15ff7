// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package upstreamtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// RealTime makes the tests of a tree run in real time: every test function
// and subtest, in the goroutine that package testing starts for it. Its files
// are written below dir, which must live as long as the tests run; the tree's
// own are not touched. Tests that skip names run as ordinary goroutines.
//
// A test cannot do it for itself, since upstream's tests are to be run as they
// are; and GODEBUG=rtmain makes only the goroutine real-time that waits for
// the tests.
//
// In a tree without real-time goroutines the tests are locked to their threads
// instead, as real-time goroutines are: what that breaks is no fault of real
// time.
func (t *Tree) RealTime(dir string, priority int, skip *SkipList) error {
	name := filepath.Join(t.src(), "testing", "testing.go")
	src, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("%v: is %s a GOROOT?", err, t.GOROOT)
	}
	enter, imports := fmt.Sprintf(realTimeEnter, priority), `"runtime/rt"`
	if _, err := os.Stat(filepath.Join(t.src(), "runtime", "rt")); err != nil {
		enter, imports = lockedEnter, ""
	}
	for _, r := range [...][2]string{
		{"\n\tfn(t)\n", "\n\trtRun(t, fn)\n"}, // in tRunner
		// Hundreds of tests may wait for their turn: not in real time.
		{"\t<-t.parent.barrier ", "\tdefer rtPause(t)()\n\t<-t.parent.barrier "},
	} {
		if n := bytes.Count(src, []byte(r[0])); n != 1 {
			return fmt.Errorf("%s: %d times %q, want 1; adapt RealTime to this release", name, n, r[0])
		}
		src = bytes.Replace(src, []byte(r[0]), []byte(r[1]), 1)
	}
	var ordinary strings.Builder
	for _, s := range skip.tests() {
		fmt.Fprintf(&ordinary, "\t%q: true,\n", s)
	}
	rt := fmt.Sprintf(realTimeSource, imports, enter, ordinary.String())
	replace := map[string]string{}
	for to, data := range map[string][]byte{name: src, filepath.Join(t.src(), "testing", "rtgo_realtime.go"): []byte(rt)} {
		file := filepath.Join(dir, filepath.Base(to))
		if err := os.WriteFile(file, data, 0o666); err != nil {
			return err
		}
		replace[to] = file
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, overlay, 0o666); err != nil {
		return err
	}
	// The tests' own child processes must not compile with it.
	t.flags = append(t.flags, "-overlay="+file)
	return nil
}

// realTimeSource is the file added to package testing.
const realTimeSource = `package testing

import (
	"reflect"
	"runtime"
	"strings"
	"sync"
	%s
)

%s
// rtOrdinary names the tests that run as ordinary goroutines, with their
// subtests.
var rtOrdinary = map[string]bool{
%s}

var rtTop sync.Map // names of top-level tests that are ordinary

// rtRun calls fn in real time.
func rtRun(t *T, fn func(*T)) {
	top, _, sub := strings.Cut(t.name, "/")
	if !sub {
		pkg := runtime.FuncForPC(reflect.ValueOf(fn).Pointer()).Name()
		dir := pkg[:strings.LastIndexByte(pkg, '/')+1]
		base, _, _ := strings.Cut(pkg[len(dir):], ".")
		if rtOrdinary[dir+strings.TrimSuffix(base, "_test")+" "+top] {
			rtTop.Store(top, true)
		}
	}
	if _, ordinary := rtTop.Load(top); !ordinary {
		rtEnter()
		defer rtLeave()
	}
	fn(t)
}

// rtPause ends real time and returns what begins it again.
func rtPause(t *T) func() {
	top, _, _ := strings.Cut(t.name, "/")
	if _, ordinary := rtTop.Load(top); ordinary {
		return func() {}
	}
	rtLeave()
	return rtEnter
}
`

// realTimeEnter is the part of it that enters and leaves real time.
const realTimeEnter = `func rtEnter() {
	const fifo = 1
	_, step, errno := rt.Enter(&rt.Attr{Sched: rt.SchedAttr{Size: 48, Policy: fifo, Priority: %d}})
	if step != rt.StepNone {
		println("cannot run the test in real time: step", step, "errno", errno)
		panic("real time is not permitted: run as root")
	}
}

func rtLeave() { rt.Leave() }
`

// lockedEnter is the same where there is no real time.
const lockedEnter = `func rtEnter() { runtime.LockOSThread() }
func rtLeave() { runtime.UnlockOSThread() }
`

// A SkipList names tests, and says why each must not do what others do.
type SkipList struct {
	Skips []Exempt
}

// An Exempt is an entry of a [SkipList]: a top-level test.
type Exempt struct {
	Test
	Reason string
}

func (l *SkipList) tests() (names []string) {
	if l != nil {
		for _, s := range l.Skips {
			names = append(names, s.Pkg+" "+s.Name)
		}
	}
	return names
}

var skipLine = regexp.MustCompile(`^(\S+) (Test\w*): (\S.*)$`)

// ReadSkipList reads a file with lines of the form
//
//	package TestName: reason
//
// Empty lines and lines that begin with # do not count.
func ReadSkipList(file string) (*SkipList, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	l := new(SkipList)
	seen := map[Test]bool{}
	for sc, n := bufio.NewScanner(bytes.NewReader(data)), 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		m := skipLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("%s:%d: not of the form \"package TestName: reason\"", file, n)
		}
		t := Test{m[1], m[2]}
		if seen[t] {
			return nil, fmt.Errorf("%s:%d: %v is named twice", file, n, t)
		}
		seen[t] = true
		l.Skips = append(l.Skips, Exempt{t, m[3]})
	}
	return l, nil
}
