// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"os"

	"rtgo.dev/rtgo/internal/doctor"
)

func init() {
	register("doctor", "check what a real-time program needs from this machine", doctorHelp, doctorCmd)
}

const doctorHelp = `usage: rtgo doctor [flags]

Checks what must be right for real-time goroutines to be on time: the kernel's
preemption model, leave to use real-time policies (tried on a thread that then
ends) and to lock memory, RT throttling and RT group scheduling, CPU isolation
and interrupt affinity, frequency and idle states, control groups, clock, huge
pages, swap, NUMA, SMT and more. For each finding it says why it matters and
what puts it right. It changes nothing.

A note is something that may well be intended. What cannot be read is unknown,
not wrong; as root more can be read. Run it as the user, and in the container,
that the program will have.

Exit status: 0 no findings, 1 an error, 2 findings or wrong usage.

Examples:
  rtgo doctor
  rtgo doctor -cpus 2-3 -priority 90     these CPUs are to be the real-time ones
  rtgo doctor -json | jq '.results[] | select(.level=="finding")'
  rtgo doctor -record machine/           keep what was read, for someone else:
  rtgo doctor -root machine/
`

func doctorCmd(args []string) int {
	const name = "doctor"
	fs := newFlags(name)
	var (
		cpus   = fs.String("cpus", "", "`list` of the real-time CPUs, such as 2-3 (default: the isolated ones, else all)")
		prio   = fs.Int("priority", 80, "SCHED_FIFO `priority` that the program wants, 1 to 99")
		json   = fs.Bool("json", false, "print JSON")
		quiet  = fs.Bool("q", false, "do not print what is all right")
		root   = fs.String("root", "", "examine the machine recorded in `dir`ectory")
		record = fs.String("record", "", "copy everything that is read to a new `dir`ectory")
	)
	if _, code, ok := parse(fs, args, 0); !ok {
		return code
	}
	if *prio < 1 || *prio > 99 {
		return usageError(name, "-priority %d is not from 1 to 99", *prio)
	}
	if *root != "" && *record != "" {
		return usageError(name, "-root and -record exclude each other")
	}
	o := doctor.Options{Priority: *prio}
	if *cpus != "" {
		var err error
		if o.CPUs, err = doctor.ParseCPUs(*cpus); err != nil {
			return usageError(name, "-cpus: %v", err)
		}
	}
	sys := doctor.Host()
	if *root != "" {
		sys = doctor.Recorded(*root)
	}
	if *record != "" {
		if err := sys.Record(*record); err != nil {
			return fail(name, err)
		}
	}
	r, err := doctor.Run(sys, o)
	if err != nil {
		return fail(name, err)
	}
	if *json {
		err = r.WriteJSON(os.Stdout)
	} else {
		err = r.WriteText(os.Stdout, *quiet)
	}
	if err != nil {
		return fail(name, err)
	}
	if r.Findings > 0 {
		return 2
	}
	return 0
}
