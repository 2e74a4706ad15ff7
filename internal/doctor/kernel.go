// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// realtime: /sys/kernel/realtime exists in PREEMPT_RT kernels and holds 1;
// the version string names the preemption model.
func (m *machine) realtime() bool {
	version := m.text("/proc/sys/kernel/version")
	return m.text("/sys/kernel/realtime") == "1" || strings.Contains(version, "PREEMPT_RT") || strings.Contains(version, "PREEMPT RT")
}

func preemptRT(m *machine) Result {
	r := Result{ID: "preempt-rt", Title: "PREEMPT_RT kernel", Where: "Documentation/core-api/real-time (mainline since Linux 6.12)"}
	version, err := m.read("/proc/sys/kernel/version")
	if m.realtime() {
		r.Level, r.Found = OK, strings.TrimSpace(m.release+" "+strings.TrimSpace(version))
		return r
	}
	if err != nil {
		return cannotRead(r, err)
	}
	r.Level, r.Found = Problem, m.release+" "+strings.TrimSpace(version)
	r.Why = "in other kernels interrupt handlers and sections that hold spinlocks cannot be preempted: single latencies of milliseconds occur under load, whatever the program does"
	r.Fix = []string{"apt-get install linux-image-rt-amd64   # Debian; arm64: linux-image-rt-arm64; Ubuntu: pro enable realtime-kernel; RHEL: dnf install kernel-rt"}
	if strings.Contains(version, "PREEMPT_DYNAMIC") {
		r.Fix = append(r.Fix, "# until then boot with preempt=full, which helps with the median, not with the maximum")
	}
	if m.container {
		r.Fix = []string{"# a container has no kernel of its own: run it on a host with PREEMPT_RT"}
	}
	return r
}

// throttling: Documentation/scheduler/sched-rt-group.rst. Since Linux 6.12
// (commit 5f6bd380c7bd) the limit exists only with CONFIG_RT_GROUP_SCHED;
// otherwise a deferred deadline server gives starved ordinary tasks 50 ms of
// each second.
func throttling(m *machine) Result {
	r := Result{ID: "rt-throttling", Title: "RT throttling", Where: "sched(7), Documentation/scheduler/sched-rt-group.rst, sched-deadline.rst"}
	n, err := m.number("/proc/sys/kernel/sched_rt_runtime_us")
	if err != nil {
		return cannotRead(r, err)
	}
	_, group := m.rtQuota()
	period, _ := m.number("/proc/sys/kernel/sched_rt_period_us")
	switch {
	case n == 0:
		r.Level, r.Found = Problem, "sched_rt_runtime_us is 0"
		r.Why = "no real-time task may run at all"
		r.Fix = []string{"sysctl -w kernel.sched_rt_runtime_us=950000"}
		return r
	case n < 0 && (group || !m.newer(6, 12)):
		r.Level, r.Found = OK, "off (sched_rt_runtime_us is -1); a real-time task that never blocks takes its CPU for good"
		return r
	case m.newer(6, 12) && !group:
		r.Level, r.Found = OK, "none in this kernel; a fair server gives starved ordinary tasks their share"
		servers := m.glob("/sys/kernel/debug/sched/fair_server/cpu*/runtime")
		var on []string
		for _, f := range servers {
			if v, err := m.number(f); err == nil && v > 0 {
				on = append(on, f)
			}
		}
		switch {
		case len(servers) > 0 && len(on) == 0:
			r.Found = "none in this kernel, and the fair server is off; a real-time task that never blocks takes its CPU for good"
		default:
			r.Level = Note
			r.Why = "real-time tasks that leave ordinary ones no time for most of a second are interrupted, as a rule for 50 ms; tasks that block each cycle never meet it"
			r.Fix = []string{"for f in /sys/kernel/debug/sched/fair_server/cpu*/runtime; do echo 0 > $f; done   # only for tasks that poll; a runaway task then hangs its CPU"}
		}
		return r
	}
	r.Level, r.Found = Note, fmt.Sprintf("real-time tasks get at most %d µs of each %d µs", n, period)
	r.Why = "tasks that together compute longer are stopped for the rest of the period (50 ms by default); those that block each cycle never meet it"
	r.Fix = []string{"sysctl -w kernel.sched_rt_runtime_us=-1   # a runaway task then hangs its CPU"}
	return r
}

// kstackOffset: arm64 draws the offset of the kernel's stack, at each system call,
// from get_random_u16, whose batch has a lock per CPU that sleeps in PREEMPT_RT
// kernels. Red Hat's for arm64 have it off (kernel-ark merge request 2933); since
// March 2026, Linux 7.1, mainline draws from a generator without a lock. Found in
// the lab, see docs/latency.md.
func kstackOffset(m *machine) Result {
	const option = "RANDOMIZE_KSTACK_OFFSET_DEFAULT"
	r := Result{ID: "kstack-offset", Title: "system calls take no lock for a random number", Where: "Documentation/admin-guide/kernel-parameters.txt: randomize_kstack_offset"}
	switch {
	case !strings.Contains(m.text("/proc/cpuinfo"), "CPU implementer"):
		r.Level, r.Found = OK, "matters on arm64 only"
		return r
	case m.newer(7, 1):
		r.Level, r.Found = OK, "not in Linux 7.1 and later"
		return r
	}
	r.Level = Note
	if v, ok := m.param("randomize_kstack_offset"); ok {
		r.Found = "booted with randomize_kstack_offset=" + v
		if slices.Contains([]string{"0", "n", "N", "off"}, v) {
			r.Level = OK
			return r
		}
	} else if config, err := m.read("/boot/config-" + m.release); err != nil {
		r.Found = "not on the kernel command line, and the kernel's default cannot be read (Debian's is on)"
	} else if !slices.Contains(strings.Split(config, "\n"), "CONFIG_"+option+"=y") {
		r.Level, r.Found = OK, option+" is not set"
		return r
	} else {
		r.Found = option + " is set"
	}
	r.Why = "each system call of any thread takes a random number under a lock of its CPU, which a thread keeps while it is preempted, and some make new ones: up to 50 µs of a real-time thread"
	r.Fix = []string{"# on the kernel command line: randomize_kstack_offset=off"}
	return r
}

// slowClocks are read from a device, and not by the vDSO.
var slowClocks = []string{"hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit"}

func clocksource(m *machine) Result {
	r := Result{ID: "clocksource", Title: "clocksource", Where: "Documentation/timers/timekeeping.rst, vdso(7)"}
	const dir = "/sys/devices/system/clocksource/clocksource0/"
	cur, err := m.read(dir + "current_clocksource")
	if err != nil {
		return cannotRead(r, err)
	}
	cur = strings.TrimSpace(cur)
	if v, ok := m.param("highres"); ok && v == "off" {
		r.Level, r.Found = Problem, "booted with highres=off"
		r.Why = "timers fire at ticks only, milliseconds apart"
		r.Fix = []string{"# remove highres=off from the kernel command line"}
		return r
	}
	if !slices.Contains(slowClocks, cur) {
		r.Level, r.Found = OK, cur
		return r
	}
	avail := strings.Fields(m.text(dir + "available_clocksource"))
	r.Level, r.Found = Problem, cur+" (available: "+strings.Join(avail, " ")+")"
	r.Why = "each reading of the time is a system call and an access to a device, about 1 µs or more instead of some 20 ns, and time.Now is everywhere"
	r.Fix = []string{"dmesg | grep -i -e tsc -e clocksource   # why the CPU's counter was not taken"}
	if slices.Contains(avail, "tsc") {
		r.Fix = append([]string{"echo tsc > " + dir + "current_clocksource"}, r.Fix...)
	}
	return r
}

// timers: tuned's profile network-latency, on which its real-time profile
// is built, sets kernel.timer_migration=0.
func timers(m *machine) Result {
	r := Result{ID: "timer-migration", Title: "timers stay on their CPU", Where: "tuned: profiles/network-latency; Documentation/admin-guide/sysctl/kernel.rst"}
	if len(m.online) == 1 {
		r.Level, r.Found = OK, "one CPU"
		return r
	}
	n, err := m.number("/proc/sys/kernel/timer_migration")
	if err != nil {
		return cannotRead(r, err)
	}
	if n == 0 {
		r.Level, r.Found = OK, "timer_migration is 0"
		return r
	}
	r.Level, r.Found = Note, "timer_migration is 1"
	r.Why = "a timer may be moved to another CPU, and waking then takes an interrupt between CPUs"
	r.Fix = []string{"sysctl -w kernel.timer_migration=0"}
	return r
}

// watchdogs: Documentation/admin-guide/lockup-watchdogs.rst. tuned's profile
// network-latency sets kernel.nmi_watchdog=0, its real-time profile adds
// nosoftlockup.
func watchdogs(m *machine) Result {
	r := Result{ID: "nmi-watchdog", Title: "NMI watchdog", Where: "Documentation/admin-guide/lockup-watchdogs.rst; tuned: profiles/network-latency"}
	n, err := m.number("/proc/sys/kernel/nmi_watchdog")
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			r.Level, r.Found = OK, "not in this kernel"
			return r
		}
		return cannotRead(r, err)
	}
	if n == 0 {
		r.Level, r.Found = OK, "off"
		return r
	}
	r.Level, r.Found = Note, "on"
	r.Why = "a non-maskable interrupt every few seconds delays whatever runs by some microseconds"
	r.Fix = []string{"sysctl -w kernel.nmi_watchdog=0"}
	return r
}

// vmstat: Documentation/admin-guide/sysctl/vm.rst, stat_interval.
func vmstat(m *machine) Result {
	r := Result{ID: "vm-stat-interval", Title: "statistics worker on real-time CPUs", Where: "Documentation/admin-guide/sysctl/vm.rst; tuned: profiles/network-latency"}
	if !m.split() {
		r.Level, r.Found = OK, "matters with CPUs kept for real-time work only"
		return r
	}
	n, err := m.number("/proc/sys/vm/stat_interval")
	if err != nil {
		return cannotRead(r, err)
	}
	if n >= 10 {
		r.Level, r.Found = OK, fmt.Sprintf("every %d s", n)
		return r
	}
	r.Level, r.Found = Note, fmt.Sprintf("every %d s", n)
	r.Why = "a kernel worker folds memory statistics on each CPU where they changed; real-time threads preempt it, but those that poll keep it and its queue waiting"
	r.Fix = []string{"sysctl -w vm.stat_interval=10"}
	return r
}

// virtualization: the CPU tells (cpuinfo's flag hypervisor), and /proc/stat
// counts what the hypervisor took.
func virtualization(m *machine) Result {
	r := Result{ID: "virtualization", Title: "the CPU is the machine's own", Where: "proc_stat(5): steal"}
	info, err := m.read("/proc/cpuinfo")
	if err != nil {
		return cannotRead(r, err)
	}
	virtual := strings.Contains(field(info, "flags")+" ", " hypervisor ")
	var steal, total int64
	for line := range strings.Lines(m.text("/proc/stat")) {
		if rest, ok := strings.CutPrefix(line, "cpu "); ok {
			for i, f := range strings.Fields(rest) {
				var v int64
				fmt.Sscan(f, &v)
				if i < 8 { // guest time is in user time already
					total += v
				}
				if i == 7 {
					steal = v
				}
			}
		}
	}
	switch {
	case steal > 0 && total > 0:
		r.Level, r.Found = Problem, fmt.Sprintf("a virtual machine; the hypervisor took the CPU away for %.2g %% of the time since boot", 100*float64(steal)/float64(total))
		r.Why = "while it is away nothing here runs, real-time or not, and nothing here can change it"
		r.Fix = []string{"# on the hypervisor: pin each virtual CPU to a physical one of its own, SCHED_FIFO, on a PREEMPT_RT host; or use a physical machine"}
	case virtual:
		r.Level, r.Found = Note, "a virtual machine; no time was taken away since boot, or the hypervisor does not tell"
		r.Why = "interrupts and timers pass through the hypervisor, and it may take the CPU away"
	default:
		r.Level, r.Found = OK, "no hypervisor seen"
	}
	return r
}
