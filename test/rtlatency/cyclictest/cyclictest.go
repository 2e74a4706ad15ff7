// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package cyclictest speaks the formats of rt-tests' cyclictest: its summary
// lines and its histogram, which scripts grep, and its JSON, which tools
// read.
package cyclictest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"rtgo.dev/rtgo/test/rtlatency/record"
	"rtgo.dev/rtgo/test/rtlatency/result"
)

// A Line is one thread's summary. Latencies are in the unit printed.
type Line struct {
	Index, TID, Priority int
	Interval             int64 // µs
	Cycles               uint64
	Min, Act, Avg, Max   int64
}

// Format returns the line as cyclictest prints it: in microseconds, or with
// the wider columns of -N.
func (l Line) Format(nsec bool) string {
	f := "T:%2d (%5d) P:%2d I:%d C:%7d Min:%7d Act:%5d Avg:%5d Max:%8d"
	if nsec {
		f = "T:%2d (%5d) P:%2d I:%d C:%7d Min:%7d Act:%8d Avg:%8d Max:%8d"
	}
	return fmt.Sprintf(f, l.Index, l.TID, l.Priority, l.Interval, l.Cycles, l.Min, l.Act, l.Avg, l.Max)
}

// NewLine returns the summary of a task from its recorder's state.
func NewLine(t result.Thread, l record.Live, nsec bool) Line {
	unit := int64(1000)
	if nsec {
		unit = 1
	}
	return Line{t.Index, t.TID, t.Priority, t.PeriodNS / 1000, l.Cycles, l.Min / unit, l.Act / unit, l.Avg / unit, l.Max / unit}
}

// WriteHistogram writes the histogram of the recorders as -h does, and as -H
// does if all is set.
func WriteHistogram(w io.Writer, recs []*record.Recorder, all bool) error {
	all = all && len(recs) > 1
	var b bytes.Buffer
	b.WriteString("# Histogram\n")
	for us := range recs[0].Linear() {
		fmt.Fprintf(&b, "%06d ", us)
		var sum uint64
		for i, r := range recs {
			if i > 0 {
				b.WriteByte('\t')
			}
			fmt.Fprintf(&b, "%06d", r.Linear()[us])
			sum += r.Linear()[us]
		}
		if all {
			fmt.Fprintf(&b, "\t%06d", sum)
		}
		b.WriteByte('\n')
	}
	row := func(title, format string, f func(*record.Recorder) uint64, total func(a, b uint64) uint64) {
		b.WriteString(title)
		var t uint64
		for _, r := range recs {
			x := f(r)
			fmt.Fprintf(&b, format, x)
			if total != nil {
				t = total(t, x)
			}
		}
		if all && total != nil {
			fmt.Fprintf(&b, format, t)
		}
		b.WriteByte('\n')
	}
	add := func(a, b uint64) uint64 { return a + b }
	us := func(ns int64) uint64 { return uint64(max(ns, 0) / 1000) }
	row("# Total:", " %09d", func(r *record.Recorder) uint64 {
		var n uint64
		for _, c := range r.Linear() {
			n += c
		}
		return n
	}, add)
	row("# Min Latencies:", " %05d", func(r *record.Recorder) uint64 { return us(r.Live().Min) }, nil)
	row("# Avg Latencies:", " %05d", func(r *record.Recorder) uint64 { return us(r.Live().Avg) }, nil)
	row("# Max Latencies:", " %05d", func(r *record.Recorder) uint64 { return us(r.Live().Max) }, func(a, b uint64) uint64 { return max(a, b) })
	row("# Histogram Overflows:", " %05d", (*record.Recorder).Overflow, add)
	b.WriteString("# Histogram Overflow at cycle number:\n")
	for i, r := range recs {
		fmt.Fprintf(&b, "# Thread %d:", i)
		for _, c := range r.OverflowCycles() {
			fmt.Fprintf(&b, " %05d", c)
		}
		if n := uint64(len(r.OverflowCycles())); n < r.Overflow() {
			fmt.Fprintf(&b, " # %05d others", r.Overflow()-n)
		}
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	_, err := w.Write(b.Bytes())
	return err
}

// A File is cyclictest's JSON (file_version 1).
type File struct {
	FileVersion int               `json:"file_version"`
	Cmdline     string            `json:"cmdline"`
	TestVersion string            `json:"rt_test_version"`
	StartTime   string            `json:"start_time"`
	EndTime     string            `json:"end_time"`
	ReturnCode  int               `json:"return_code"`
	Sysinfo     Sysinfo           `json:"sysinfo"`
	NumThreads  int               `json:"num_threads"`
	Resolution  int               `json:"resolution_in_ns"` // 0: microseconds, 1: nanoseconds
	Thread      map[string]Thread `json:"thread"`
}

// Sysinfo is uname(2) and /sys/kernel/realtime.
type Sysinfo struct {
	Sysname  string `json:"sysname"`
	Nodename string `json:"nodename"`
	Release  string `json:"release"`
	Version  string `json:"version"`
	Machine  string `json:"machine"`
	Realtime int    `json:"realtime"`
}

// Thread is one thread's result; latencies in the file's resolution.
type Thread struct {
	Histogram Counts  `json:"histogram"`
	Cycles    uint64  `json:"cycles"`
	Min       int64   `json:"min"`
	Max       int64   `json:"max"`
	Avg       float64 `json:"avg"`
	CPU       int     `json:"cpu"`
	Node      int     `json:"node"`
}

// Counts is a sparse histogram, written in order of latency.
type Counts map[int]uint64

// MarshalJSON writes the buckets in numeric order.
func (c Counts) MarshalJSON() ([]byte, error) {
	keys := make([]int, 0, len(c))
	for k := range c {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	b := []byte{'{'}
	for i, k := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(strconv.AppendInt(append(b, '"'), int64(k), 10), '"', ':')
		b = strconv.AppendUint(b, c[k], 10)
	}
	return append(b, '}'), nil
}

// NewThread returns the result of a task in microseconds, or nanoseconds.
// hist tells whether its histogram was asked for.
func NewThread(t *result.Thread, hist, nsec bool) Thread {
	unit := int64(1000)
	if nsec {
		unit = 1
	}
	c := Thread{
		Histogram: Counts{}, Cycles: t.Cycles,
		Min: t.MinNS / unit, Max: t.MaxNS / unit,
		// Two decimals, as cyclictest prints it.
		Avg: float64(int64(float64(t.AvgNS)/float64(unit)*100)) / 100,
		CPU: max(t.CPU, 0),
	}
	if hist {
		c.Histogram = t.Linear.Counts
	}
	return c
}

// Write writes f, indented as cyclictest does.
func (f *File) Write(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(f)
}

// Read reads cyclictest's JSON. Some versions write the keys "cmdline:" and
// "rt_test_version:"; both spellings are read.
func Read(r io.Reader) (*File, error) {
	var raw map[string]json.RawMessage
	if err := json.NewDecoder(r).Decode(&raw); err != nil {
		return nil, fmt.Errorf("cyclictest JSON: %w", err)
	}
	clean := make(map[string]json.RawMessage, len(raw))
	for k, v := range raw {
		clean[strings.TrimSuffix(k, ":")] = v
	}
	b, err := json.Marshal(clean)
	if err != nil {
		return nil, err
	}
	var f File
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("cyclictest JSON: %w", err)
	}
	if f.FileVersion != 1 {
		return nil, fmt.Errorf("cyclictest JSON: file_version %d, want 1", f.FileVersion)
	}
	if len(f.Thread) == 0 {
		return nil, fmt.Errorf("cyclictest JSON: no threads")
	}
	return &f, nil
}

// Threads returns f's threads in the suite's own form. prio and interval
// (of thread 0, microseconds) are not in the file; limit is the -h value.
func (f *File) Threads(prio int, interval int64, limit int) ([]result.Thread, error) {
	unit := int64(1000)
	if f.Resolution != 0 {
		unit = int64(f.Resolution)
	}
	out := make([]result.Thread, 0, len(f.Thread))
	for i := range len(f.Thread) {
		c, ok := f.Thread[strconv.Itoa(i)]
		if !ok {
			return nil, fmt.Errorf("cyclictest JSON: no thread %d of %d", i, len(f.Thread))
		}
		t := result.Thread{Index: i, Name: "cyclictest", Priority: prio, PeriodNS: interval * 1000, CPU: c.CPU}
		t.Cycles, t.MinNS, t.MaxNS, t.AvgNS = c.Cycles, c.Min*unit, c.Max*unit, int64(c.Avg*float64(unit))
		t.Linear = result.Linear{Limit: limit, Counts: c.Histogram}
		var n uint64
		for _, x := range c.Histogram {
			n += x
		}
		if n > c.Cycles {
			return nil, fmt.Errorf("cyclictest JSON: thread %d: %d samples in %d cycles", i, n, c.Cycles)
		}
		t.Linear.Overflow = c.Cycles - n
		t.SetQuantiles()
		out = append(out, t)
	}
	return out, nil
}

// Stamp formats a time as the file's start_time and end_time.
func Stamp(t time.Time) string { return t.Format(time.RFC1123Z) }
