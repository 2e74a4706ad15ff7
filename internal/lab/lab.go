// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package lab runs programs under a PREEMPT_RT kernel in a QEMU virtual
// machine whose clock is its instruction count. Latency there is a property
// of the code path: it repeats to a few percent on any host. It is simulated
// time, and every figure from here is to be labelled so; docs/lab.md says what
// such a figure can and cannot tell.
//
// Where what is:
//
//	store.go     Debian's kernels and tools, unpacked and checksummed
//	elf.go       which shared libraries a program needs
//	image.go     the initramfs, byte for byte reproducible
//	wire, guest  the guest's init and how it reports
//	machine.go   one QEMU process
//	console.go   what a kernel's console says has happened
//	run.go       one boot, from plan to outcome
//	scenario.go  measured runs, their controls, and repeatability
//	container.go containers as engines start them
package lab

import (
	"fmt"
	"runtime"
)

// An Arch is a guest architecture, named as in GOARCH.
type Arch string

const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)

// Arches lists the supported architectures.
var Arches = []Arch{AMD64, ARM64}

// ParseArch returns the architecture of that name.
func ParseArch(s string) (Arch, error) {
	for _, a := range Arches {
		if s == string(a) {
			return a, nil
		}
	}
	return "", fmt.Errorf("unknown architecture %q; use amd64 or arm64", s)
}

// Native returns the host's architecture, or amd64 on hosts whose own has no
// machine here.
func Native() Arch {
	if a, err := ParseArch(runtime.GOARCH); err == nil {
		return a
	}
	return AMD64
}

// triplet is Debian's multiarch directory name.
func (a Arch) triplet() string {
	if a == ARM64 {
		return "aarch64-linux-gnu"
	}
	return "x86_64-linux-gnu"
}

// An Outcome says how a boot of the lab ended. There is exactly one for each.
type Outcome string

const (
	OK              Outcome = "ok"               // everything ran and succeeded
	ProgramFailed   Outcome = "program-failed"   // a command exited non-zero or was killed
	ThresholdBreach Outcome = "threshold-breach" // a measured latency exceeds its limit
	Void            Outcome = "void"             // the control failed: the machine's figures mean nothing
	BootFailure     Outcome = "boot-failure"     // the guest's init never reported
	GuestPanic      Outcome = "guest-panic"      // the kernel panicked
	Hang            Outcome = "hang"             // no sign of life for the hang limit
	Timeout         Outcome = "timeout"          // still alive at the time limit
	RTThrottling    Outcome = "rt-throttling"    // the kernel throttled real-time tasks
	RCUStall        Outcome = "rcu-stall"        // RCU was kept from making progress
	OutOfMemory     Outcome = "out-of-memory"    // the guest's OOM killer ran
	InfraError      Outcome = "infra-error"      // no QEMU, no kernel, a lost record: nothing about the program
)
