// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package sysenv

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRead(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"sys/devices/system/cpu/online":         "0-3,8\n",
		"proc/cpuinfo":                          "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\nflags\t\t: fpu hypervisor lm\n",
		"proc/meminfo":                          "MemTotal:        2048 kB\nMemFree: 1 kB\n",
		"sys/kernel/realtime":                   "1\n",
		"proc/sys/kernel/sched_rt_runtime_us":   "-1\n",
		"sys/devices/system/node/node0/cpulist": "0-3\n",
		"sys/class/dmi/id/bios_vendor":          "Vendor\n",
		"sys/class/dmi/id/bios_version":         "1.0\n",
	} {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	e := read(root)
	if e.CPUsOnline != 5 || e.CPUModel != "Some CPU @ 2.00GHz" || e.MemoryBytes != 2<<20 || !e.Realtime ||
		e.RTRuntimeUS != -1 || e.NUMANodes != 1 || e.BIOS != "Vendor 1.0" || e.Virtualization == "" || e.Kernel == "" {
		t.Errorf("%+v", e)
	}
}
