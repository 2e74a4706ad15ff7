// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package upstreamtest

import (
	"bufio"
	"encoding/json"
	"io"
	"regexp"
	"strings"
	"time"
)

// Results are the outcomes of one run of go test.
type Results struct {
	Outcomes map[Test]Outcome
	// Crashed holds the packages whose test binary ended before all its
	// tests did (panic, fatal error, timeout, killed), with the first line
	// that tells why. Their absent tests are a consequence.
	Crashed map[string]string
	Output  map[Test]string // of failed tests and packages, cut to outputLimit
	Elapsed map[string]time.Duration
}

// outputLimit bounds what is kept of one test's output, in bytes. A goroutine
// dump can be megabytes; its beginning tells the cause and its end the exit.
const outputLimit = 32 << 10

func newResults() *Results {
	return &Results{
		Outcomes: map[Test]Outcome{},
		Crashed:  map[string]string{},
		Output:   map[Test]string{},
		Elapsed:  map[string]time.Duration{},
	}
}

// event is a line of go test -json; see go doc test2json and, for the build
// events, go help buildjson.
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Elapsed     float64 // seconds
	Output      string
	FailedBuild string
}

// crashLine matches the lines by which a test binary announces that it did
// not come to its end. They stand at the beginning of a line; a child
// process' crash that a test reports is indented.
var crashLine = regexp.MustCompile(`^(panic: |fatal error: |SIG[A-Z]+: |runtime: out of memory|signal: |\*\*\* Test killed|WARNING: DATA RACE|unexpected fault address)`)

// collector turns the events of one go test invocation into Results.
type collector struct {
	res      *Results
	running  map[Test]bool
	output   map[Test]*clip
	crash    map[Test]string // first crash line printed by a test
	started  map[string]bool
	finished map[string]bool
	onPkg    func(pkg string, o Outcome, d time.Duration) // progress; may be nil
}

func newCollector(onPkg func(string, Outcome, time.Duration)) *collector {
	return &collector{
		res:      newResults(),
		running:  map[Test]bool{},
		output:   map[Test]*clip{},
		crash:    map[Test]string{},
		started:  map[string]bool{},
		finished: map[string]bool{},
		onPkg:    onPkg,
	}
}

// read consumes the events until EOF. beat is called for every line.
func (c *collector) read(r io.Reader, beat func()) error {
	br := bufio.NewReaderSize(r, 1<<20)
	for {
		line, err := br.ReadBytes('\n')
		if len(line) > 0 {
			beat()
			var e event
			if json.Unmarshal(line, &e) == nil {
				c.add(e)
			}
			// Other lines come from a child that outlives its test and writes
			// to the inherited descriptor; they belong to no test.
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (c *collector) add(e event) {
	t := Test{e.Package, e.Test}
	switch e.Action {
	case "start":
		c.started[e.Package] = true
	case "run":
		c.running[t] = true
	case "output", "build-output":
		if e.Action == "build-output" {
			t = Test{buildKey(e.ImportPath), ""}
		}
		b := c.output[t]
		if b == nil {
			b = new(clip)
			c.output[t] = b
		}
		b.add(e.Output)
		if e.Package != "" && c.crash[t] == "" && crashLine.MatchString(e.Output) {
			c.crash[t] = strings.TrimSpace(e.Output) // counts only if t fails
		}
	case "pass", "fail", "skip":
		c.end(t, Outcome(e.Action), e)
	}
}

// buildKey maps "net [net.test]" to "net".
func buildKey(importPath string) string {
	p, _, _ := strings.Cut(importPath, " ")
	return p
}

func (c *collector) end(t Test, o Outcome, e event) {
	delete(c.running, t)
	c.res.Outcomes[t] = o
	if o == Fail {
		if b := c.output[t]; b != nil {
			c.res.Output[t] += b.String()
		}
		if why := c.crash[t]; why != "" && c.res.Crashed[t.Pkg] == "" {
			c.res.Crashed[t.Pkg] = why
		}
	}
	delete(c.output, t)
	if t.Name != "" {
		return
	}
	pkg := t.Pkg
	c.finished[pkg] = true
	d := time.Duration(e.Elapsed * float64(time.Second))
	c.res.Elapsed[pkg] = d
	if e.FailedBuild != "" {
		b := Test{buildKey(e.FailedBuild), ""}
		if out := c.output[b]; out != nil {
			c.res.Output[t] += out.String()
		}
		c.res.Crashed[pkg] = "build failed: " + e.FailedBuild
	}
	c.closePkg(pkg)
	if c.onPkg != nil {
		c.onPkg(pkg, o, d)
	}
}

// closePkg gives tests that began but never ended their outcome.
func (c *collector) closePkg(pkg string) {
	for t := range c.running {
		if t.Pkg != pkg {
			continue
		}
		delete(c.running, t)
		c.res.Outcomes[t] = Fail
		if b := c.output[t]; b != nil {
			c.res.Output[t] += b.String()
		}
		if c.res.Crashed[pkg] == "" {
			c.res.Crashed[pkg] = t.Name + " never ended"
		}
	}
}

// kill records that the run was ended from outside while pkg was running.
func (c *collector) kill(pkg, why string) {
	t := Test{pkg, ""}
	c.res.Outcomes[t] = Fail
	c.res.Crashed[pkg] = why
	if b := c.output[t]; b != nil {
		c.res.Output[t] += b.String()
	}
	c.res.Output[t] += why + "\n"
	c.closePkg(pkg)
	c.finished[pkg] = true
	if c.onPkg != nil {
		c.onPkg(pkg, Fail, 0)
	}
}

// unfinished returns the packages that started and did not end.
func (c *collector) unfinished() []string {
	var out []string
	for p := range c.started {
		if !c.finished[p] {
			out = append(out, p)
		}
	}
	return out
}

// merge adds the results of a later invocation for other packages.
func (r *Results) merge(o *Results) {
	for k, v := range o.Outcomes {
		r.Outcomes[k] = v
	}
	for k, v := range o.Crashed {
		r.Crashed[k] = v
	}
	for k, v := range o.Output {
		r.Output[k] = v
	}
	for k, v := range o.Elapsed {
		r.Elapsed[k] = v
	}
}

// clip keeps the beginning and the end of a stream.
type clip struct {
	head, tail strings.Builder
	cut        bool
}

func (c *clip) add(s string) {
	if c.head.Len() < outputLimit/2 {
		c.head.WriteString(s)
		return
	}
	c.tail.WriteString(s)
	if c.tail.Len() > outputLimit {
		t := c.tail.String()
		t = t[len(t)-outputLimit/2:]
		if i := strings.IndexByte(t, '\n'); i >= 0 {
			t = t[i+1:]
		}
		c.tail.Reset()
		c.tail.WriteString(t)
		c.cut = true
	}
}

func (c *clip) String() string {
	if c.cut {
		return c.head.String() + "\n[... output cut ...]\n" + c.tail.String()
	}
	return c.head.String() + c.tail.String()
}
