// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"regexp"
	"strings"
)

// An Event is something that a kernel's console tells.
type Event struct {
	Kind Outcome `json:"kind,omitempty"` // what it makes of the run; "" is a note
	Text string  `json:"text"`           // the console line, without its time stamp
}

// A Scanner recognises events in a kernel's console, line by line.
type Scanner struct {
	Events []Event
}

// patterns are tried in order; the first that matches names the event. The
// texts are those of Linux 5.15 to 6.12.
var patterns = []struct {
	kind Outcome
	re   *regexp.Regexp
}{
	{OutOfMemory, regexp.MustCompile(`Kernel panic - not syncing: (Out of memory|System is deadlocked on memory)`)},
	{GuestPanic, regexp.MustCompile(`Kernel panic - not syncing`)},
	{OutOfMemory, regexp.MustCompile(`Out of memory( and no killable processes|: Killed process|: Kill process)|Memory cgroup out of memory: Killed process`)},
	{RCUStall, regexp.MustCompile(`rcu: INFO: \S+ (self-)?detected (expedited )?stalls?|rcu: \S+ kthread starved for|rcu: \S+ kthread timer wakeup didn't happen`)},
	{RTThrottling, regexp.MustCompile(`sched: RT throttling activated`)},
	{Hang, regexp.MustCompile(`watchdog: (BUG: soft lockup|Watchdog detected hard LOCKUP)|NMI watchdog: `)},
	{GuestPanic, regexp.MustCompile(`(^|: )(Oops|Internal error|BUG): |kernel BUG at |Unable to handle kernel |general protection fault.*(?:SMP|PREEMPT)`)},
	{"", regexp.MustCompile(`invoked oom-killer:|INFO: task .* blocked for more than|sched: DL replenish lagged|WARNING: CPU: |irq \d+: nobody cared|clocksource: timekeeping watchdog|perf: interrupt took too long`)},
}

var (
	stamp = regexp.MustCompile(`^\s*(<\d>)?\[\s*\d+\.\d+\](\[\s*[TC]\d+\])?\s?`)
	// What user space prints is not the kernel's: a test may well print
	// "Kernel panic". Only lines with the kernel's time stamp count.
	ansi = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")
)

// Line examines one line of the console and returns the event in it, or nil.
func (s *Scanner) Line(line string) *Event {
	line = ansi.ReplaceAllString(strings.TrimRight(line, "\r\n"), "")
	loc := stamp.FindStringIndex(line)
	if loc == nil {
		return nil
	}
	return s.Message(line[loc[1]:])
}

// Message examines the text of one message of the kernel. Only the first of
// equal ones counts: the console and the kernel's log tell the same.
func (s *Scanner) Message(text string) *Event {
	for _, e := range s.Events {
		if e.Text == text {
			return nil
		}
	}
	for _, p := range patterns {
		if p.re.MatchString(text) {
			s.Events = append(s.Events, Event{p.kind, text})
			return &s.Events[len(s.Events)-1]
		}
	}
	return nil
}

// severity orders kinds of events: the first one found is what the run is
// called by. A panic that follows the OOM killer is the memory's doing.
var severity = []Outcome{OutOfMemory, GuestPanic, RCUStall, Hang, RTThrottling}

// Worst returns the gravest event, the first one of its kind, or nil.
func (s *Scanner) Worst() *Event {
	for _, kind := range severity {
		for i := range s.Events {
			if s.Events[i].Kind == kind {
				return &s.Events[i]
			}
		}
	}
	return nil
}

// Panicked reports whether the kernel has said its last word.
func (s *Scanner) Panicked() *Event {
	for i := range s.Events {
		if strings.Contains(s.Events[i].Text, "Kernel panic - not syncing") {
			return &s.Events[i]
		}
	}
	return nil
}
