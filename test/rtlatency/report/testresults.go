// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"time"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

// Verdicts of a measurement as a test.
const (
	pass  = "pass"
	fail  = "fail"  // the bound was exceeded
	erred = "error" // no figures: failure, hang, panic
	skip  = "skip"  // not run, or void
	xfail = "xfail" // hung, which is what it was to show
)

// verdict judges m as a test and says why in one line.
func verdict(m *result.Measurement) (v, why string) {
	switch {
	case expected(m):
		return xfail, one(m.Error, "hang")
	case failed(m):
		return erred, one(m.Error, m.Outcome)
	case m.Outcome == result.NotRun:
		return skip, one(m.Error, "not run")
	case m.Validity == result.Void:
		return skip, one("void: "+m.Void, "")
	case m.Outcome == result.Threshold:
		why = "a latency exceeded the bound"
		if s := m.All(); s != nil && m.ThresholdNS > 0 {
			why = fmt.Sprintf("max %s µs exceeds the bound of %s µs", us(s.MaxNS, false), us(m.ThresholdNS, false))
		}
		return fail, why
	}
	return pass, ""
}

// one returns s, or def if s is empty, as one line.
func one(s, def string) string {
	if s = strings.Join(strings.Fields(s), " "); s == "" {
		return def
	}
	return s
}

// testName names m unambiguously within its environment.
func testName(m *result.Measurement) string {
	s := []string{m.Toolchain, m.Scenario, m.LoadName()}
	if m.PeriodNS > 0 {
		s = append(s, time.Duration(m.PeriodNS).String())
	}
	if len(m.Threads) > 1 {
		s = append(s, fmt.Sprintf("%d-threads", len(m.Threads)))
	}
	return strings.Join(s, " ")
}

type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Skipped  int          `xml:"skipped,attr"`
	Time     string       `xml:"time,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name       string          `xml:"name,attr"`
	Tests      int             `xml:"tests,attr"`
	Failures   int             `xml:"failures,attr"`
	Errors     int             `xml:"errors,attr"`
	Skipped    int             `xml:"skipped,attr"`
	Time       string          `xml:"time,attr"`
	Timestamp  string          `xml:"timestamp,attr,omitempty"`
	Hostname   string          `xml:"hostname,attr,omitempty"`
	Properties []junitProperty `xml:"properties>property"`
	Cases      []junitCase     `xml:"testcase"`
}

type junitProperty struct {
	Name  string `xml:"name,attr"`
	Value string `xml:"value,attr"`
}

type junitCase struct {
	Name      string        `xml:"name,attr"`
	Classname string        `xml:"classname,attr"`
	Time      string        `xml:"time,attr"`
	Failure   *junitMessage `xml:"failure"`
	Error     *junitMessage `xml:"error"`
	Skipped   *junitMessage `xml:"skipped"`
	Out       string        `xml:"system-out,omitempty"`
}

type junitMessage struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr,omitempty"`
}

// WriteJUnit writes one test suite for each environment and one test case
// for each measurement. Void measurements are skipped, those over their
// bound failed.
func (r *Report) WriteJUnit(w io.Writer) error {
	all := junitSuites{Name: r.Title}
	var total time.Duration
	for i := range r.Run.Environments {
		e := &r.Run.Environments[i]
		s := junitSuite{Name: e.ID, Hostname: e.Node}
		for _, f := range Facts(e) {
			s.Properties = append(s.Properties, junitProperty{f.Name, f.Value})
		}
		if e.Simulated {
			s.Properties = append(s.Properties, junitProperty{"Time", "simulated"})
		}
		var spent time.Duration
		for j := range r.Run.Measurements {
			m := &r.Run.Measurements[j]
			if m.Env != e.ID {
				continue
			}
			if s.Timestamp == "" && !m.Start.IsZero() && !e.Simulated {
				s.Timestamp = m.Start.UTC().Format("2006-01-02T15:04:05")
			}
			c := junitCase{Name: testName(m), Classname: e.ID + "." + m.Group, Time: seconds(m.Duration), Out: figuresLine(m)}
			v, why := verdict(m)
			switch v {
			case fail:
				c.Failure = &junitMessage{why, "threshold"}
				s.Failures++
			case erred:
				c.Error = &junitMessage{why, m.Outcome}
				s.Errors++
			case skip:
				c.Skipped = &junitMessage{Message: why}
				s.Skipped++
			case xfail:
				c.Skipped = &junitMessage{Message: "expected failure: " + why}
				s.Skipped++
			}
			s.Cases = append(s.Cases, c)
			spent += time.Duration(m.Duration)
		}
		s.Tests, s.Time = len(s.Cases), seconds(int64(spent))
		all.Tests, all.Failures, all.Errors, all.Skipped = all.Tests+s.Tests, all.Failures+s.Failures, all.Errors+s.Errors, all.Skipped+s.Skipped
		total += spent
		all.Suites = append(all.Suites, s)
	}
	all.Time = seconds(int64(total))
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", " ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(ns int64) string { return fmt.Sprintf("%.3f", time.Duration(max(ns, 0)).Seconds()) }

// figuresLine is what m measured, in one line; "" if it is void or has none.
func figuresLine(m *result.Measurement) string {
	rows := rowsOf(m, "")
	r := rows[0]
	if r.Max == nil {
		return ""
	}
	s := fmt.Sprintf("samples %d missed %d", r.Samples, r.Missed)
	for i, name := range []string{"p50", "p99", "p99.9", "p99.99", "max"} {
		if f := r.Figures()[i]; f != nil && !f.Few {
			s += fmt.Sprintf(" %s %s", name, f)
		}
	}
	return s + " µs"
}

// WriteKTAP writes the measurements as tests in the format of the kernel's
// own test runners, KTAP version 1.
func (r *Report) WriteKTAP(w io.Writer) error {
	ms := r.Run.Measurements
	var b strings.Builder
	fmt.Fprintf(&b, "KTAP version 1\n1..%d\n", len(ms))
	for i := range ms {
		m := &ms[i]
		v, why := verdict(m)
		if s := figuresLine(m); s != "" {
			fmt.Fprintf(&b, "# %s\n", s)
		}
		ok := "ok"
		directive := ""
		switch v {
		case fail:
			ok = "not ok"
			fmt.Fprintf(&b, "# %s\n", why)
		case erred:
			ok, directive = "not ok", " # ERROR "+why
			if m.Outcome == result.Hang {
				directive = " # TIMEOUT " + why
			}
		case skip:
			directive = " # SKIP " + why
		case xfail:
			directive = " # XFAIL " + why
		}
		// A '#' would start a directive.
		fmt.Fprintf(&b, "%s %d %s%s\n", ok, i+1, strings.ReplaceAll(m.Env+" "+testName(m), "#", "-"), directive)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
