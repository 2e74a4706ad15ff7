// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package doctor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// isolation: Documentation/admin-guide/kernel-parameters.txt (isolcpus),
// cgroup-v2.rst (cpuset.cpus.partition).
func isolation(m *machine) Result {
	r := Result{ID: "isolated-cpus", Title: "CPUs kept for real-time work", Where: "Documentation/admin-guide/kernel-parameters.txt: isolcpus; cgroup-v2.rst: cpuset.cpus.partition"}
	switch {
	case len(m.online) == 0:
		r.Level, r.Found = Unknown, "this kernel does not tell its CPUs"
	case len(m.online) == 1:
		r.Level, r.Found = OK, "one CPU, nothing to keep apart"
	case len(without(m.cpus, m.isolated)) == 0:
		r.Level, r.Found = OK, "CPUs "+formatCPUs(m.isolated)
	default:
		r.Level = Problem
		r.Found = "none"
		if len(m.isolated) > 0 {
			r.Found = "CPUs " + formatCPUs(m.isolated)
		}
		want := formatCPUs(m.cpus)
		if m.named {
			r.Found += fmt.Sprintf("; not among them: %s", formatCPUs(without(m.cpus, m.isolated)))
		} else {
			want = strconv.Itoa(m.online[len(m.online)-1])
		}
		r.Why = "other programs and their kernel work run on the same CPU and evict its caches; real-time threads preempt them, at a cost"
		r.Fix = []string{
			"# on the kernel command line: isolcpus=managed_irq,domain," + want,
			"# or without a reboot, cgroup v2: mkdir /sys/fs/cgroup/rt; echo +cpuset > /sys/fs/cgroup/cgroup.subtree_control; echo " + want + " > /sys/fs/cgroup/rt/cpuset.cpus; echo isolated > /sys/fs/cgroup/rt/cpuset.cpus.partition",
		}
	}
	return r
}

// nohzFull: Documentation/timers/no_hz.rst says itself that it costs on
// every kernel entry and serves tasks that compute alone.
func nohzFull(m *machine) Result {
	r := Result{ID: "nohz-full", Title: "no tick on CPUs that poll", Where: "Documentation/timers/no_hz.rst"}
	if !m.split() {
		r.Level, r.Found = OK, "matters with CPUs kept for real-time work only"
		return r
	}
	// The kernel writes "(null)" where there are none.
	full, err := parseCPUs(strings.ReplaceAll(m.text("/sys/devices/system/cpu/nohz_full"), "(null)", ""))
	if err != nil {
		r.Level, r.Found = Unknown, err.Error()
		return r
	}
	if missing := without(m.cpus, full); len(missing) > 0 {
		r.Level, r.Found = Note, "the tick runs on CPUs "+formatCPUs(missing)
		r.Why = "a task that polls is interrupted at each tick; one that sleeps each cycle gains nothing from nohz_full and pays for it at each system call"
		r.Fix = []string{"# only for tasks that poll, on the kernel command line: nohz_full=" + formatCPUs(m.cpus) + " rcu_nocbs=" + formatCPUs(m.cpus)}
		return r
	}
	r.Level, r.Found = OK, "nohz_full="+formatCPUs(full)
	return r
}

// irqAffinity: Documentation/core-api/irq/irq-affinity.rst.
func irqAffinity(m *machine) Result {
	r := Result{ID: "irq-affinity", Title: "device interrupts stay off real-time CPUs", Where: "Documentation/core-api/irq/irq-affinity.rst"}
	if !m.split() {
		r.Level, r.Found = OK, "matters with CPUs kept for real-time work only"
		return r
	}
	table, err := m.read("/proc/interrupts")
	if err != nil {
		return cannotRead(r, err)
	}
	type irq struct{ num, name string }
	var hit []irq
	seen := 0
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		num, ok := strings.CutSuffix(f[0], ":")
		if _, err := strconv.Atoi(num); !ok || err != nil {
			continue
		}
		var fired bool
		i := 1
		for ; i < len(f); i++ {
			if _, err := strconv.ParseUint(f[i], 10, 64); err != nil {
				break
			}
			fired = fired || f[i] != "0"
		}
		dir := "/proc/irq/" + num
		list := m.text(dir + "/effective_affinity_list")
		if list == "" {
			list = m.text(dir + "/smp_affinity_list")
		}
		cpus, err := parseCPUs(list)
		if err != nil || list == "" {
			continue
		}
		seen++
		if fired && len(intersect(cpus, m.cpus)) > 0 {
			hit = append(hit, irq{num, strings.Join(f[min(i, len(f)-1):], " ")})
		}
	}
	if seen == 0 {
		r.Level, r.Found = Unknown, "no affinity can be read in /proc/irq"
		return r
	}
	if len(hit) == 0 {
		r.Level, r.Found = OK, fmt.Sprintf("none of %d interrupts is delivered to CPUs %s", seen, formatCPUs(m.cpus))
		return r
	}
	rest := formatCPUs(without(m.online, m.cpus))
	r.Level, r.Found = Problem, fmt.Sprintf("%d of %d interrupts are delivered to CPUs %s:", len(hit), seen, formatCPUs(m.cpus))
	for i, x := range hit {
		if i == 3 {
			r.Found += " …"
			break
		}
		r.Found += fmt.Sprintf(" %s (%s)", x.num, x.name)
	}
	r.Why = "each interrupt delays whatever runs there by microseconds"
	r.Fix = []string{
		"systemctl stop irqbalance   # or IRQBALANCE_BANNED_CPULIST=" + formatCPUs(m.cpus),
		"for i in /proc/irq/[0-9]*; do echo " + rest + " > $i/smp_affinity_list; done   # some refuse: those of timers and of managed queues",
		"# on the kernel command line: irqaffinity=" + rest + ", and isolcpus=managed_irq,… for the queues of network and storage",
	}
	return r
}

// allowedCPUs: sched_setaffinity(2) refuses CPUs outside the cpuset with
// EINVAL.
func allowedCPUs(m *machine) Result {
	r := Result{ID: "cpuset", Title: "the process may use the real-time CPUs", Where: "cpuset(7), sched_setaffinity(2)"}
	if m.allowed == nil || m.online == nil {
		r.Level, r.Found = Unknown, "this kernel does not tell the process's CPUs"
		return r
	}
	missing := without(m.cpus, m.allowed)
	offline := without(m.cpus, m.online)
	switch {
	case len(offline) > 0:
		r.Level, r.Found = Problem, "CPUs "+formatCPUs(offline)+" are not online"
		r.Why = "a goroutine cannot be bound to them"
		r.Fix = []string{fmt.Sprintf("echo 1 > /sys/devices/system/cpu/cpu%d/online", offline[0])}
	case len(missing) > 0 && !m.named:
		// Isolated CPUs are outside the default affinity, but a thread may
		// be put there unless a cpuset forbids it.
		r.Level, r.Found = OK, fmt.Sprintf("runs on CPUs %s by default; isolated CPUs are joined by asking for them (rt.Attr.CPUs)", formatCPUs(m.allowed))
	case len(missing) > 0 && len(without(missing, m.isolated)) == 0:
		r.Level, r.Found = OK, fmt.Sprintf("runs on CPUs %s by default; %s are isolated and joined by asking for them", formatCPUs(m.allowed), formatCPUs(missing))
	case len(missing) > 0:
		r.Level, r.Found = Problem, fmt.Sprintf("it may use CPUs %s, not %s", formatCPUs(m.allowed), formatCPUs(missing))
		r.Why = "a goroutine cannot be bound to a CPU outside the process's affinity and cpuset"
		r.Fix = []string{"taskset -c " + formatCPUs(union(m.allowed, m.cpus)) + " PROGRAM", "# in a container: docker run --cpuset-cpus " + formatCPUs(union(m.allowed, m.cpus))}
	default:
		r.Level, r.Found = OK, "CPUs "+formatCPUs(m.allowed)
	}
	return r
}

// cpuQuota: Documentation/scheduler/sched-bwc.rst; cgroup-v2.rst, cpu.max.
// The bandwidth controller limits ordinary tasks, not real-time ones.
func cpuQuota(m *machine) Result {
	r := Result{ID: "cgroup-cpu", Title: "no CPU quota on the process", Where: "Documentation/admin-guide/cgroup-v2.rst: cpu.max; scheduler/sched-bwc.rst"}
	why := "a quota does not limit real-time threads, but stops all ordinary threads of the process for the rest of a period: the collector, sysmon, whoever holds a lock or a message that a real-time goroutine waits for"
	for _, dir := range above(m.cgroups.v2, m.cgroups.v2root) {
		f := strings.Fields(m.text(dir + "/cpu.max"))
		if len(f) == 2 && f[0] != "max" {
			r.Level, r.Found, r.Why = Problem, fmt.Sprintf("%s/cpu.max is %s µs in each %s µs", dir, f[0], f[1]), why
			r.Fix = []string{"echo max > " + dir + "/cpu.max   # docker: no --cpus; Kubernetes: limits.cpu a whole number with the static CPU manager"}
			return r
		}
	}
	if m.cgroups.cpu1 != "" {
		if q, err := m.number(m.cgroups.cpu1 + "/cpu.cfs_quota_us"); err == nil && q > 0 {
			r.Level, r.Found, r.Why = Problem, fmt.Sprintf("%s/cpu.cfs_quota_us is %d", m.cgroups.cpu1, q), why
			r.Fix = []string{"echo -1 > " + m.cgroups.cpu1 + "/cpu.cfs_quota_us"}
			return r
		}
	}
	if m.cgroups.text == "" {
		r.Level, r.Found = Unknown, "this kernel does not tell the process's control group"
		return r
	}
	r.Level, r.Found = OK, "none"
	return r
}

// memoryHigh: cgroup-v2.rst, memory.high: "the processes of the cgroup are
// throttled and put under heavy reclaim pressure".
func memoryHigh(m *machine) Result {
	r := Result{ID: "cgroup-memory", Title: "no memory throttling of the process", Where: "Documentation/admin-guide/cgroup-v2.rst: memory.high"}
	for _, dir := range above(m.cgroups.v2, m.cgroups.v2root) {
		v := m.text(dir + "/memory.high")
		if v != "" && v != "max" {
			r.Level, r.Found = Note, dir+"/memory.high is "+v
			r.Why = "above it every thread that allocates pages is put to sleep, real-time ones too"
			r.Fix = []string{"echo max > " + dir + "/memory.high   # and bound the heap by GOMEMLIMIT"}
			return r
		}
	}
	if m.cgroups.text == "" {
		r.Level, r.Found = Unknown, "this kernel does not tell the process's control group"
		return r
	}
	r.Level, r.Found = OK, "none"
	return r
}

// governor: Documentation/admin-guide/pm/cpufreq.rst.
func governor(m *machine) Result {
	r := Result{ID: "cpufreq", Title: "constant CPU frequency", Where: "Documentation/admin-guide/pm/cpufreq.rst"}
	var other []int
	names := make(map[string]bool)
	seen := 0
	for _, c := range m.cpus {
		g := m.text(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", c))
		if g == "" {
			continue
		}
		seen++
		if g != "performance" {
			other = append(other, c)
			names[g] = true
		}
	}
	switch {
	case seen == 0:
		r.Level, r.Found = OK, "the kernel does not change it (no cpufreq driver)"
	case len(other) == 0:
		r.Level, r.Found = OK, "governor performance"
	default:
		var list []string
		for n := range names {
			list = append(list, n)
		}
		slices.Sort(list)
		r.Level, r.Found = Problem, fmt.Sprintf("governor %s on CPUs %s", strings.Join(list, ", "), formatCPUs(other))
		r.Why = "after a sleep the CPU runs slowly at first, and changing the frequency takes time itself"
		r.Fix = []string{"cpupower -c " + formatCPUs(other) + " frequency-set -g performance", "# without cpupower: for c in /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; do echo performance > $c; done"}
	}
	return r
}

// idleLimit is the exit latency in µs from which an idle state is a finding.
const idleLimit = 10

// idleStates: Documentation/admin-guide/pm/cpuidle.rst, power/pm_qos_interface.rst.
// Reading /dev/cpu_dma_latency yields the limit in force, a native 32-bit
// number of microseconds.
func idleStates(m *machine) Result {
	r := Result{ID: "idle-states", Title: "idle CPUs wake quickly", Where: "Documentation/admin-guide/pm/cpuidle.rst, power/pm_qos_interface.rst"}
	if v, ok := m.param("idle"); ok && v == "poll" {
		r.Level, r.Found = OK, "idle=poll"
		return r
	}
	var deepest int64
	var name string
	for _, c := range m.cpus {
		for _, dir := range m.glob(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/cpuidle/state*/latency", c)) {
			dir = filepath.Dir(dir)
			lat, err := m.number(dir + "/latency")
			if off, _ := m.number(dir + "/disable"); err == nil && off == 0 && lat > deepest {
				deepest, name = lat, m.text(dir+"/name")
			}
		}
	}
	if deepest < idleLimit {
		r.Level, r.Found = OK, fmt.Sprintf("the deepest idle state takes %d µs to leave", deepest)
		if name == "" {
			r.Found = "the kernel uses no deep idle states (no cpuidle driver)"
		}
		return r
	}
	r.Found = fmt.Sprintf("idle state %s takes %d µs to leave", name, deepest)
	if b, err := m.read("/dev/cpu_dma_latency"); err == nil && len(b) == 4 {
		limit := int64(int32(binary.NativeEndian.Uint32([]byte(b))))
		if limit < deepest {
			r.Level, r.Found = OK, fmt.Sprintf("states that take longer than %d µs to leave are barred by a process that holds /dev/cpu_dma_latency", limit)
			return r
		}
	}
	r.Level = Problem
	r.Why = "a wake-up that finds its CPU idle is late by that much"
	r.Fix = []string{"# hold 0 in /dev/cpu_dma_latency while the program runs, as cyclictest and rtlatency do: exec 3>/dev/cpu_dma_latency; printf '\\0\\0\\0\\0' >&3; PROGRAM", "cpupower idle-set -D " + strconv.Itoa(idleLimit)}
	if m.container {
		r.Fix = append([]string{"docker run --device /dev/cpu_dma_latency …"}, r.Fix...)
	}
	return r
}

// smt: Documentation/ABI/testing/sysfs-devices-system-cpu.
func smt(m *machine) Result {
	r := Result{ID: "smt", Title: "real-time CPUs do not share a core", Where: "Documentation/ABI/testing/sysfs-devices-system-cpu: smt, thread_siblings_list"}
	active, err := m.number("/sys/devices/system/cpu/smt/active")
	if err != nil {
		return cannotRead(r, err)
	}
	if active == 0 {
		r.Level, r.Found = OK, "no simultaneous multithreading"
		return r
	}
	var shared []int
	for _, c := range m.cpus {
		sib, err := parseCPUs(m.text(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", c)))
		if err == nil && len(sib) > 1 {
			shared = append(shared, c)
		}
	}
	if len(shared) == 0 {
		r.Level, r.Found = OK, "no CPU of "+formatCPUs(m.cpus)+" has a sibling online"
		return r
	}
	r.Level, r.Found = Problem, fmt.Sprintf("CPUs %s share their core with a sibling", formatCPUs(shared))
	r.Why = "what runs on the sibling takes a part of the core's units and caches that varies from moment to moment"
	r.Fix = []string{"echo off > /sys/devices/system/cpu/smt/control   # or nosmt on the kernel command line"}
	return r
}

// numa: Documentation/admin-guide/sysctl/kernel.rst, numa_balancing.
func numa(m *machine) Result {
	r := Result{ID: "numa", Title: "memory is near", Where: "Documentation/admin-guide/sysctl/kernel.rst: numa_balancing; numa(7)"}
	nodes := m.glob("/sys/devices/system/node/node[0-9]*/cpulist")
	if len(nodes) < 2 {
		r.Level, r.Found = OK, "one node"
		return r
	}
	var on []string
	for _, f := range nodes {
		cpus, err := parseCPUs(m.text(f))
		if err == nil && len(intersect(cpus, m.cpus)) > 0 {
			on = append(on, strings.TrimPrefix(filepath.Base(filepath.Dir(f)), "node"))
		}
	}
	if n, err := m.number("/proc/sys/kernel/numa_balancing"); err == nil && n != 0 {
		r.Level, r.Found = Problem, fmt.Sprintf("%d nodes, and automatic NUMA balancing is on", len(nodes))
		r.Why = "the kernel unmaps pages from time to time to see who uses them; each costs a page fault, and maybe a migration"
		r.Fix = []string{"sysctl -w kernel.numa_balancing=0"}
		return r
	}
	if len(on) > 1 {
		r.Level, r.Found = Note, "real-time CPUs lie on nodes "+strings.Join(on, ", ")
		r.Why = "memory of the other node takes longer to reach"
		r.Fix = []string{fmt.Sprintf("numactl --cpunodebind=%s --membind=%s PROGRAM", on[0], on[0])}
		return r
	}
	r.Level, r.Found = OK, fmt.Sprintf("%d nodes; the real-time CPUs lie on one", len(nodes))
	return r
}

// hugePages: Documentation/admin-guide/mm/transhuge.rst. PREEMPT_RT kernels
// have none (mm/Kconfig: depends on !PREEMPT_RT).
func hugePages(m *machine) Result {
	r := Result{ID: "thp", Title: "transparent huge pages", Where: "Documentation/admin-guide/mm/transhuge.rst; go.dev/doc/gc-guide#Linux_transparent_huge_pages"}
	v, err := m.read("/sys/kernel/mm/transparent_hugepage/enabled")
	if errors.Is(err, fs.ErrNotExist) && m.realtime() {
		r.Level, r.Found = OK, "not in PREEMPT_RT kernels"
		return r
	}
	if err != nil {
		return cannotRead(r, err)
	}
	_, v, _ = strings.Cut(v, "[")
	v, _, _ = strings.Cut(v, "]")
	if v != "always" {
		r.Level, r.Found = OK, v
		return r
	}
	r.Level, r.Found = Problem, "always"
	r.Why = "a first touch clears 2 MB instead of 4 KB, and khugepaged moves pages of the running program, during which threads that touch them wait"
	r.Fix = []string{"echo madvise > /sys/kernel/mm/transparent_hugepage/enabled   # or transparent_hugepage=madvise on the kernel command line"}
	return r
}

func swap(m *machine) Result {
	r := Result{ID: "swap", Title: "no swap", Where: "mlockall(2), proc(5): /proc/swaps"}
	t, err := m.read("/proc/swaps")
	if err != nil {
		return cannotRead(r, err)
	}
	lines := strings.Split(strings.TrimSpace(t), "\n")
	if len(lines) < 2 {
		r.Level, r.Found = OK, "none"
		return r
	}
	var dev []string
	for _, l := range lines[1:] {
		if f := strings.Fields(l); len(f) > 0 {
			dev = append(dev, f[0])
		}
	}
	r.Level, r.Found = Note, strings.Join(dev, ", ")
	r.Why = "memory of a program that does not lock it (rt.Prepare, mlockall) may be swapped out, and comes back in milliseconds"
	r.Fix = []string{"swapoff -a   # and remove it from /etc/fstab"}
	return r
}
