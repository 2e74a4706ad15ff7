// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package doctor

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// tuned is a machine with four CPUs that has everything right; 2 and 3 are
// kept for real time. Formats are those of Linux 6.12.
var tuned = map[string]string{
	"proc/self/status":                                                  "Name:\trtgo\nCapEff:\t0000000000804000\nCpus_allowed_list:\t0-1\n",
	"proc/self/uid_map":                                                 "         0          0 4294967295\n",
	"proc/self/limits":                                                  limits("0", "8388608", "unlimited"),
	"proc/self/cgroup":                                                  "0::/system.slice/plc.service\n",
	"proc/self/mountinfo":                                               "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
	"proc/cmdline":                                                      "root=/dev/sda1 isolcpus=managed_irq,domain,2-3 nohz_full=2-3\n",
	"proc/cpuinfo":                                                      "processor\t: 0\nflags\t\t: fpu tsc constant_tsc\n",
	"proc/stat":                                                         "cpu  100 0 100 1000 0 0 0 0 0 0\n",
	"proc/swaps":                                                        "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n",
	"proc/interrupts":                                                   "           CPU0       CPU1       CPU2       CPU3\n 24:     100      0      0      0  PCI-MSI 1-edge  nvme0q0\n 25:       0    200      0      0  PCI-MSI 2-edge  eth0\nLOC:   1 2 3 4  Local timer interrupts\n",
	"proc/irq/24/effective_affinity_list":                               "0\n",
	"proc/irq/25/effective_affinity_list":                               "1\n",
	"proc/sys/kernel/osrelease":                                         "6.12.74-rt\n",
	"proc/sys/kernel/version":                                           "#1 SMP PREEMPT_RT Debian 6.12\n",
	"proc/sys/kernel/sched_rt_runtime_us":                               "-1\n",
	"proc/sys/kernel/sched_rt_period_us":                                "1000000\n",
	"proc/sys/kernel/timer_migration":                                   "0\n",
	"proc/sys/kernel/nmi_watchdog":                                      "0\n",
	"proc/sys/kernel/numa_balancing":                                    "0\n",
	"proc/sys/vm/stat_interval":                                         "10\n",
	"sys/kernel/realtime":                                               "1\n",
	"sys/kernel/mm/transparent_hugepage/enabled":                        "always [madvise] never\n",
	"sys/kernel/debug/sched/fair_server/cpu0/runtime":                   "0\n",
	"sys/devices/system/cpu/online":                                     "0-3\n",
	"sys/devices/system/cpu/isolated":                                   "2-3\n",
	"sys/devices/system/cpu/nohz_full":                                  "2-3\n",
	"sys/devices/system/cpu/smt/active":                                 "0\n",
	"sys/devices/system/cpu/cpu2/cpufreq/scaling_governor":              "performance\n",
	"sys/devices/system/cpu/cpu3/cpufreq/scaling_governor":              "performance\n",
	"sys/devices/system/cpu/cpu2/cpuidle/state0/latency":                "0\n",
	"sys/devices/system/cpu/cpu2/cpuidle/state0/disable":                "0\n",
	"sys/devices/system/cpu/cpu2/cpuidle/state1/latency":                "2\n",
	"sys/devices/system/cpu/cpu2/cpuidle/state1/disable":                "0\n",
	"sys/devices/system/cpu/cpu2/cpuidle/state2/name":                   "C6\n",
	"sys/devices/system/cpu/cpu2/cpuidle/state2/latency":                "133\n",
	"sys/devices/system/cpu/cpu2/cpuidle/state2/disable":                "1\n",
	"sys/devices/system/clocksource/clocksource0/current_clocksource":   "tsc\n",
	"sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet acpi_pm \n",
	"sys/devices/system/node/node0/cpulist":                             "0-3\n",
	"sys/fs/cgroup/system.slice/cpu.max":                                "max 100000\n",
	"sys/fs/cgroup/system.slice/plc.service/cpu.max":                    "max 100000\n",
	"sys/fs/cgroup/system.slice/plc.service/memory.high":                "max\n",
	"sys/fs/cgroup/cpuset.cpus.isolated":                                "\n",
}

func limits(rtprio, memlock, rttime string) string {
	return "Limit                     Soft Limit           Hard Limit           Units     \n" +
		fmt.Sprintf("%-26s%-21s%-21s%-10s\n", "Max locked memory", memlock, memlock, "bytes") +
		fmt.Sprintf("%-26s%-21s%-21s%-10s\n", "Max realtime priority", rtprio, rtprio, "") +
		fmt.Sprintf("%-26s%-21s%-21s%-10s\n", "Max realtime timeout", rttime, rttime, "us")
}

// write makes a tree of tuned with changes; an empty string takes a file
// away.
func write(t *testing.T, changes map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	files := maps.Clone(tuned)
	maps.Copy(files, changes)
	for name, content := range files {
		if content == "" {
			continue
		}
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func says(errno syscall.Errno) func(int) (syscall.Errno, error) {
	return func(int) (syscall.Errno, error) { return errno, nil }
}

func run(t *testing.T, s *System, o Options) *Report {
	t.Helper()
	r, err := Run(s, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTunedMachineIsFine(t *testing.T) {
	r := run(t, &System{Root: write(t, nil), Try: says(0)}, Options{})
	for _, x := range r.Results {
		if x.Level != OK {
			t.Errorf("%s: %s: %s", x.Level, x.ID, x.Found)
		}
	}
	if r.CPUs != "2-3" {
		t.Errorf("real-time CPUs %s, want the isolated ones, 2-3", r.CPUs)
	}
}

// TestOneThingWrong changes one thing and wants exactly one result to change.
func TestOneThingWrong(t *testing.T) {
	noCaps := "CapEff:\t0000000000000000\nCpus_allowed_list:\t0-1\n"
	for _, x := range []struct {
		name    string
		changes map[string]string
		errno   syscall.Errno
		options Options
		want    map[string]string // ID to level
		found   string            // in the first of them
		fix     string
	}{
		{"not PREEMPT_RT", map[string]string{"sys/kernel/realtime": "", "proc/sys/kernel/version": "#1 SMP PREEMPT_DYNAMIC Debian\n"}, 0, Options{},
			map[string]string{"preempt-rt": Problem}, "PREEMPT_DYNAMIC", "linux-image-rt"},
		{"unknown kernel", map[string]string{"sys/kernel/realtime": "", "proc/sys/kernel/version": ""}, 0, Options{},
			map[string]string{"preempt-rt": Unknown}, "absent", ""},
		{"no privilege", map[string]string{"proc/self/status": noCaps, "proc/self/limits": limits("0", "unlimited", "unlimited")}, syscall.EPERM, Options{},
			map[string]string{"sched-fifo": Problem, "rlimit-rtprio": Problem}, "neither CAP_SYS_NICE nor", "setcap"},
		{"no privilege in a container", map[string]string{"proc/self/status": noCaps, "proc/self/limits": limits("50", "unlimited", "unlimited"), "run/.containerenv": "engine\n"}, syscall.EPERM, Options{},
			map[string]string{"sched-fifo": Problem, "rlimit-rtprio": Problem}, "neither CAP_SYS_NICE nor", "docker run --cap-add SYS_NICE"},
		{"the limit suffices", map[string]string{"proc/self/status": noCaps, "proc/self/limits": limits("99", "unlimited", "unlimited")}, 0, Options{}, nil, "", ""},
		{"capability of a user namespace", map[string]string{"proc/self/uid_map": "0 1000 1\n", "proc/self/limits": limits("0", "unlimited", "unlimited")}, syscall.EPERM, Options{},
			map[string]string{"sched-fifo": Problem, "rlimit-rtprio": Problem}, "user namespace", "ulimit -r"},
		{"group without budget", map[string]string{
			"proc/self/cgroup": "4:cpu,cpuacct:/user\n0::/\n", "proc/self/mountinfo": "30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n",
			"sys/fs/cgroup/cpu/user/cpu.rt_runtime_us": "0\n", "proc/sys/kernel/sched_rt_runtime_us": "950000\n"}, syscall.EPERM, Options{},
			map[string]string{"sched-fifo": Problem, "rt-group": Problem, "rt-throttling": Note}, "the control group has no real-time budget", "echo 950000 > /sys/fs/cgroup/cpu/user/cpu.rt_runtime_us"},
		{"group without budget, lifted", map[string]string{
			"proc/self/cgroup": "4:cpu,cpuacct:/user\n0::/\n", "proc/self/mountinfo": "30 24 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n",
			"sys/fs/cgroup/cpu/user/cpu.rt_runtime_us": "0\n"}, 0, Options{}, nil, "", ""},
		{"refused in a group of version 2", nil, syscall.EPERM, Options{}, map[string]string{"sched-fifo": Problem}, "control groups of version 2", "rt_group_sched=0"},
		{"refused without visible cause", map[string]string{"proc/self/cgroup": "0::/\n"}, syscall.EPERM, Options{}, map[string]string{"sched-fifo": Problem}, "seccomp", "Seccomp"},
		{"no such call", nil, syscall.ENOSYS, Options{}, map[string]string{"sched-fifo": Problem}, "sandbox", ""},
		{"memory cannot be locked", map[string]string{"proc/self/status": "CapEff:\t0000000000800000\nCpus_allowed_list:\t0-1\n"}, 0, Options{},
			map[string]string{"rlimit-memlock": Problem}, "8192 KiB", "cap_ipc_lock"},
		{"RLIMIT_RTTIME", map[string]string{"proc/self/limits": limits("0", "unlimited", "200000")}, 0, Options{}, map[string]string{"rlimit-rttime": Note}, "200000", ""},
		{"no real-time time at all", map[string]string{"proc/sys/kernel/sched_rt_runtime_us": "0\n"}, 0, Options{}, map[string]string{"rt-throttling": Problem}, "is 0", "950000"},
		{"throttling before 6.12", map[string]string{"proc/sys/kernel/sched_rt_runtime_us": "950000\n", "proc/sys/kernel/osrelease": "6.1.0-49-rt-amd64\n"}, 0, Options{},
			map[string]string{"rt-throttling": Note}, "950000 µs of each 1000000 µs", "sched_rt_runtime_us=-1"},
		{"fair server since 6.12", map[string]string{"proc/sys/kernel/sched_rt_runtime_us": "950000\n", "sys/kernel/debug/sched/fair_server/cpu0/runtime": "50000000\n"}, 0, Options{},
			map[string]string{"rt-throttling": Note}, "fair server", "fair_server"},
		{"nothing isolated", map[string]string{"sys/devices/system/cpu/isolated": "\n", "sys/devices/system/cpu/nohz_full": "(null)\n", "proc/self/status": "CapEff:\t0000000000804000\nCpus_allowed_list:\t0-3\n"}, 0, Options{},
			map[string]string{"isolated-cpus": Problem}, "none", "isolcpus=managed_irq,domain,3"},
		{"isolated by a partition", map[string]string{"sys/devices/system/cpu/isolated": "\n", "sys/fs/cgroup/cpuset.cpus.isolated": "2-3\n"}, 0, Options{}, nil, "", ""},
		{"named CPU is not isolated", nil, 0, Options{CPUs: []int{1, 2}},
			map[string]string{"isolated-cpus": Problem, "nohz-full": Note, "irq-affinity": Problem}, "not among them: 1", ""},
		{"named CPU is offline", map[string]string{"sys/devices/system/cpu/online": "0-2\n"}, 0, Options{CPUs: []int{2, 3}}, map[string]string{"cpuset": Problem}, "CPUs 3 are not online", "cpu3/online"},
		{"named CPU is not allowed", map[string]string{"sys/devices/system/cpu/isolated": "3\n"}, 0, Options{CPUs: []int{2, 3}}, map[string]string{"isolated-cpus": Problem, "cpuset": Problem}, "not among them: 2", ""},
		{"tick on a real-time CPU", map[string]string{"sys/devices/system/cpu/nohz_full": "(null)\n"}, 0, Options{}, map[string]string{"nohz-full": Note}, "2-3", "nohz_full=2-3"},
		{"interrupt on a real-time CPU", map[string]string{"proc/irq/25/effective_affinity_list": "3\n"}, 0, Options{}, map[string]string{"irq-affinity": Problem}, "25 (PCI-MSI 2-edge eth0)", "echo 0-1 >"},
		{"interrupt that never fires", map[string]string{"proc/irq/26/effective_affinity_list": "3\n", "proc/interrupts": tuned["proc/interrupts"] + " 26: 0 0 0 0 PCI-MSI 3-edge idle\n"}, 0, Options{}, nil, "", ""},
		{"CPU quota of a parent", map[string]string{"sys/fs/cgroup/system.slice/cpu.max": "200000 100000\n"}, 0, Options{}, map[string]string{"cgroup-cpu": Problem}, "system.slice/cpu.max is 200000", "echo max"},
		{"memory.high", map[string]string{"sys/fs/cgroup/system.slice/plc.service/memory.high": "1073741824\n"}, 0, Options{}, map[string]string{"cgroup-memory": Note}, "1073741824", "GOMEMLIMIT"},
		{"governor", map[string]string{"sys/devices/system/cpu/cpu3/cpufreq/scaling_governor": "schedutil\n"}, 0, Options{}, map[string]string{"cpufreq": Problem}, "schedutil on CPUs 3", "cpupower -c 3"},
		{"governor elsewhere", map[string]string{"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n"}, 0, Options{}, nil, "", ""},
		{"deep idle state", map[string]string{"sys/devices/system/cpu/cpu2/cpuidle/state2/disable": "0\n"}, 0, Options{}, map[string]string{"idle-states": Problem}, "C6 takes 133 µs", "cpu_dma_latency"},
		{"deep idle state, barred", map[string]string{"sys/devices/system/cpu/cpu2/cpuidle/state2/disable": "0\n", "dev/cpu_dma_latency": "\x00\x00\x00\x00"}, 0, Options{}, nil, "", ""},
		{"siblings", map[string]string{"sys/devices/system/cpu/smt/active": "1\n", "sys/devices/system/cpu/cpu2/topology/thread_siblings_list": "0,2\n"}, 0, Options{}, map[string]string{"smt": Problem}, "CPUs 2 share", "smt/control"},
		{"siblings elsewhere", map[string]string{"sys/devices/system/cpu/smt/active": "1\n", "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0,1\n", "sys/devices/system/cpu/cpu2/topology/thread_siblings_list": "2\n"}, 0, Options{}, nil, "", ""},
		{"NUMA balancing", map[string]string{"sys/devices/system/node/node1/cpulist": "4-7\n", "proc/sys/kernel/numa_balancing": "1\n"}, 0, Options{}, map[string]string{"numa": Problem}, "2 nodes", "numa_balancing=0"},
		{"across nodes", map[string]string{"sys/devices/system/node/node0/cpulist": "0-2\n", "sys/devices/system/node/node1/cpulist": "3\n"}, 0, Options{}, map[string]string{"numa": Note}, "nodes 0, 1", "numactl"},
		{"slow clock", map[string]string{"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n"}, 0, Options{}, map[string]string{"clocksource": Problem}, "hpet", "echo tsc"},
		{"clock of a hypervisor", map[string]string{"sys/devices/system/clocksource/clocksource0/current_clocksource": "kvm-clock\n"}, 0, Options{}, nil, "", ""},
		{"timer migration", map[string]string{"proc/sys/kernel/timer_migration": "1\n"}, 0, Options{}, map[string]string{"timer-migration": Note}, "is 1", "timer_migration=0"},
		{"stack offset", map[string]string{"proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\n", "boot/config-6.12.74-rt": "CONFIG_RANDOMIZE_KSTACK_OFFSET_DEFAULT=y\n"}, 0, Options{}, map[string]string{"kstack-offset": Note}, "is set", "randomize_kstack_offset=off"},
		{"stack offset asked for", map[string]string{"proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\n", "proc/cmdline": tuned["proc/cmdline"] + " randomize_kstack_offset=1"}, 0, Options{}, map[string]string{"kstack-offset": Note}, "=1", "randomize_kstack_offset=off"},
		{"stack offset of an unknown kernel", map[string]string{"proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\n"}, 0, Options{}, map[string]string{"kstack-offset": Note}, "cannot be read", "randomize_kstack_offset=off"},
		{"no stack offset", map[string]string{"proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\n", "boot/config-6.12.74-rt": "# CONFIG_RANDOMIZE_KSTACK_OFFSET_DEFAULT is not set\n"}, 0, Options{}, nil, "", ""},
		{"stack offset off", map[string]string{"proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\n", "proc/cmdline": tuned["proc/cmdline"] + " randomize_kstack_offset=off"}, 0, Options{}, nil, "", ""},
		{"stack offset without a lock", map[string]string{"proc/cpuinfo": "processor\t: 0\nCPU implementer\t: 0x41\n", "proc/sys/kernel/osrelease": "7.1.3-rt\n"}, 0, Options{}, nil, "", ""},
		{"watchdog", map[string]string{"proc/sys/kernel/nmi_watchdog": "1\n"}, 0, Options{}, map[string]string{"nmi-watchdog": Note}, "on", "nmi_watchdog=0"},
		{"no watchdog in the kernel", map[string]string{"proc/sys/kernel/nmi_watchdog": ""}, 0, Options{}, nil, "", ""},
		{"statistics", map[string]string{"proc/sys/vm/stat_interval": "1\n"}, 0, Options{}, map[string]string{"vm-stat-interval": Note}, "every 1 s", "stat_interval=10"},
		{"huge pages", map[string]string{"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n"}, 0, Options{}, map[string]string{"thp": Problem}, "always", "echo madvise"},
		{"PREEMPT_RT has no huge pages", map[string]string{"sys/kernel/mm/transparent_hugepage/enabled": ""}, 0, Options{}, nil, "", ""},
		{"swap", map[string]string{"proc/swaps": tuned["proc/swaps"] + "/dev/sda2 partition 1 0 -2\n"}, 0, Options{}, map[string]string{"swap": Note}, "/dev/sda2", "swapoff"},
		{"virtual", map[string]string{"proc/cpuinfo": "flags\t: fpu hypervisor tsc\n"}, 0, Options{}, map[string]string{"virtualization": Note}, "virtual machine", ""},
		{"stolen time", map[string]string{"proc/cpuinfo": "flags\t: fpu hypervisor tsc\n", "proc/stat": "cpu  100 0 100 790 0 0 0 10 50 0\n"}, 0, Options{}, map[string]string{"virtualization": Problem}, "1 %", ""},
		{"priority 99", nil, 0, Options{Priority: 99}, map[string]string{"priority": Note}, "99", "98"},
		{"priority of interrupt threads", nil, 0, Options{Priority: 50}, map[string]string{"priority": Note}, "50", ""},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := run(t, &System{Root: write(t, x.changes), Try: says(x.errno)}, x.options)
			got := make(map[string]string)
			var first *Result
			for i := range r.Results {
				if res := &r.Results[i]; res.Level != OK {
					got[res.ID] = res.Level
					if first == nil {
						first = res
					}
				}
			}
			if x.want == nil {
				x.want = map[string]string{}
			}
			if d := cmp.Diff(x.want, got); d != "" {
				t.Fatalf("levels (-want +got):\n%s", d)
			}
			if first == nil {
				return
			}
			if !strings.Contains(first.Found, x.found) {
				t.Errorf("found %q, want it to tell %q", first.Found, x.found)
			}
			if fixes := strings.Join(first.Fix, "\n"); !strings.Contains(fixes, x.fix) {
				t.Errorf("fix %q, want it to tell %q", fixes, x.fix)
			}
			if first.Level == Problem && first.Why == "" {
				t.Error("does not say why it matters")
			}
		})
	}
}

// TestNothingReadable: what cannot be read is unknown, never a finding.
func TestNothingReadable(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "proc/self"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "proc/self/status"), []byte("Name:\tx\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := run(t, Recorded(dir), Options{})
	for _, x := range r.Results {
		if x.Level == Problem || x.Level == Note {
			t.Errorf("%s: %s: %s", x.Level, x.ID, x.Found)
		}
	}
	if r.Unknown < 12 {
		t.Errorf("only %d results unknown", r.Unknown)
	}
}

func TestNotAMachine(t *testing.T) {
	dir := t.TempDir()
	if _, err := Run(Recorded(dir), Options{}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v, want one that names %s", err, dir)
	}
}

// TestRecordings examines machines recorded by rtgo doctor -record.
func TestRecordings(t *testing.T) {
	dirs, err := filepath.Glob("testdata/*/proc")
	if err != nil || len(dirs) < 2 {
		t.Fatalf("%d recordings, %v", len(dirs), err)
	}
	for _, dir := range dirs {
		dir = filepath.Dir(dir)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var b bytes.Buffer
			if err := run(t, Recorded(dir), Options{}).WriteText(&b, false); err != nil {
				t.Fatal(err)
			}
			got := strings.ReplaceAll(b.String(), dir, "")
			golden := dir + ".txt"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("differs from %s (go test -update rewrites it):\n%s", golden, d)
			}
		})
	}
}

// TestRecord: a recording of this machine is diagnosed like this machine.
func TestRecord(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc and /sys")
	}
	dir := filepath.Join(t.TempDir(), "machine")
	s := Host()
	if err := s.Record(dir); err != nil {
		t.Fatal(err)
	}
	host := run(t, s, Options{})
	again := run(t, Recorded(dir), Options{})
	levels := func(r *Report) (l []string) {
		for _, x := range r.Results {
			l = append(l, x.ID+" "+x.Level)
		}
		return l
	}
	if d := cmp.Diff(levels(host), levels(again)); d != "" {
		t.Errorf("recorded machine (-host +recording):\n%s", d)
	}
	if err := Host().Record(dir); err == nil {
		t.Error("a second recording overwrites the first")
	}
}

// TestTryLeavesNothing: after trying, no thread of this process has a
// real-time policy.
func TestTryLeavesNothing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux")
	}
	if _, err := tryFIFO(1); err != nil {
		t.Fatal(err)
	}
	stats, err := filepath.Glob("/proc/self/task/*/stat")
	if err != nil || len(stats) == 0 {
		t.Fatal("no threads", err)
	}
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		f := strings.Fields(rest)
		if len(f) > 38 && f[38] != "0" { // field 41 of proc_pid_stat(5): policy
			t.Errorf("%s: policy %s", name, f[38])
		}
	}
}

func TestCPULists(t *testing.T) {
	for in, want := range map[string]string{"0-3,8": "0-3,8", "3,1,2": "1-3", "5\n": "5", "": "", "0-1,1-2": "0-2"} {
		cpus, err := parseCPUs(in)
		if err != nil || formatCPUs(cpus) != want {
			t.Errorf("%q: %q, %v; want %q", in, formatCPUs(cpus), err, want)
		}
	}
	for _, in := range []string{"a", "3-1", "-1", "1-", "0-99999999"} {
		if cpus, err := parseCPUs(in); err == nil {
			t.Errorf("%q: %v, want an error", in, cpus)
		}
	}
	if !slices.Equal(above("/sys/fs/cgroup/a/b", "/sys/fs/cgroup"), []string{"/sys/fs/cgroup/a/b", "/sys/fs/cgroup/a"}) || above("", "") != nil {
		t.Error("above")
	}
}
