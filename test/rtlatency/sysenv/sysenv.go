// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

// Package sysenv describes the machine on which is measured.
package sysenv

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/test/rtlatency/result"
)

// Read returns the environment of this process. What cannot be read is left
// empty.
func Read() result.Environment { return read("/") }

func read(root string) result.Environment {
	file := func(name string) string {
		b, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return ""
		}
		return string(bytes.TrimSpace(bytes.TrimRight(b, "\x00")))
	}
	cpuinfo := file("proc/cpuinfo")
	e := result.Environment{
		ID: "host", Machine: "host",
		Arch:        runtime.GOARCH,
		CPUsOnline:  countCPUs(file("sys/devices/system/cpu/online")),
		CPUModel:    field(cpuinfo, "model name"),
		Clocksource: file("sys/devices/system/clocksource/clocksource0/current_clocksource"),
		Cmdline:     file("proc/cmdline"),
		Realtime:    file("sys/kernel/realtime") == "1",
		Governor:    file("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
		Isolated:    file("sys/devices/system/cpu/isolated"),
		Boot:        file("proc/sys/kernel/random/boot_id"),
	}
	if e.CPUModel == "" { // arm64 names no model
		e.CPUModel = strings.TrimSpace(file("proc/device-tree/model") + " " + field(cpuinfo, "CPU part"))
	}
	dmi := "sys/class/dmi/id/"
	e.BIOS = strings.Join(strings.Fields(strings.Join([]string{file(dmi + "bios_vendor"), file(dmi + "bios_version"), file(dmi + "product_name")}, " ")), " ")
	nodes, _ := filepath.Glob(filepath.Join(root, "sys/devices/system/node/node[0-9]*"))
	e.NUMANodes = len(nodes)
	if kb, err := strconv.ParseInt(strings.TrimSuffix(field(file("proc/meminfo"), "MemTotal"), " kB"), 10, 64); err == nil {
		e.MemoryBytes = kb << 10
	}
	e.RTRuntimeUS, _ = strconv.ParseInt(file("proc/sys/kernel/sched_rt_runtime_us"), 10, 64)
	if strings.Contains(field(cpuinfo, "flags")+" ", " hypervisor ") {
		e.Virtualization = "hypervisor"
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		e.Node = unix.ByteSliceToString(u.Nodename[:])
		e.Kernel = unix.ByteSliceToString(u.Release[:])
		e.KernelVersion = unix.ByteSliceToString(u.Version[:])
	}
	return e
}

// Toolchain returns what built this program.
func Toolchain() result.Toolchain {
	t := result.Toolchain{Name: result.Stock, Version: runtime.Version()}
	if strings.Contains(t.Version, "rtgo") {
		t.Name = result.RTGo
	}
	if bi, ok := debug.ReadBuildInfo(); ok {
		for _, s := range bi.Settings {
			if strings.HasPrefix(s.Key, "rtgo") || strings.Contains(s.Key, "patchset") {
				t.PatchSet = s.Value
			}
		}
	}
	return t
}

// field returns the value of the first "name : value" line.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		k, v, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// countCPUs counts the CPUs of a list such as "0-3,8".
func countCPUs(list string) int {
	n := 0
	for _, s := range strings.Split(list, ",") {
		lo, hi, isRange := strings.Cut(s, "-")
		a, err := strconv.Atoi(lo)
		if err != nil {
			continue
		}
		b := a
		if isRange {
			if b, err = strconv.Atoi(hi); err != nil {
				continue
			}
		}
		n += b - a + 1
	}
	return n
}
