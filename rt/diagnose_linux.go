// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// diagnose finds out why the kernel or the runtime refused a, which it says
// with few errno values, each for several reasons.
func diagnose(a *Attr, step int, errno syscall.Errno) error {
	e := &Error{Errno: errno}
	switch {
	case step == stepState && errno == unix.ESRCH:
		e.Kind, e.Problem, e.Errno = ErrEnded, "the task has ended", 0
	case step == stepState:
		e.Errno = 0
		if self() == nil {
			e.Kind, e.Problem, e.Fix = ErrLocked, "the goroutine holds a Mutex and cannot enter real time", "unlock it before, lock it after entering"
			break
		}
		e.Kind, e.Problem, e.Fix = ErrNested, "the goroutine is real-time already", "call Task.SetPriority to change its priority, or Go for another goroutine"
	case step == stepAffinity && errno == unix.EINVAL:
		return cpuError(a, errno)
	case errno == unix.EPERM:
		diagnoseEPERM(a, e)
	case errno == unix.EBUSY && a.Policy == Deadline:
		e.Kind = ErrAdmission
		e.Problem = fmt.Sprintf("the kernel cannot guarantee %v in each %v besides what it has promised to others", a.Runtime, a.Period)
		e.Fix = "ask for less, end other SCHED_DEADLINE threads, or raise /proc/sys/kernel/sched_rt_runtime_us (the share of sched_rt_period_us open to real time)"
	case errno == unix.EINVAL && a.Policy == Deadline:
		e.Kind = ErrAttr
		e.Problem = fmt.Sprintf("the kernel refuses runtime %v, deadline %v, period %v", a.Runtime, a.Deadline, a.Period)
		e.Fix = fmt.Sprintf("choose a period of %s to %s µs (/proc/sys/kernel/sched_deadline_period_{min,max}_us)", sysctl("sched_deadline_period_min_us"), sysctl("sched_deadline_period_max_us"))
	case errno == unix.ENOSYS:
		e.Kind = ErrUnsupported
		e.Problem, e.Fix = "the kernel has no sched_setattr(2)", "use Linux 3.14 or later; sandboxes such as gVisor have none"
	default:
		e.Kind = ErrAttr
		e.Problem = fmt.Sprintf("the kernel refuses policy %v, priority %d", a.Policy, a.Priority)
	}
	return e
}

// diagnoseEPERM goes through the kernel's checks in the kernel's order
// (kernel/sched/syscalls.c, __sched_setscheduler).
func diagnoseEPERM(a *Attr, e *Error) {
	const grant = "grant CAP_SYS_NICE: setcap cap_sys_nice+ep PROGRAM; AmbientCapabilities=CAP_SYS_NICE (systemd); docker run --cap-add SYS_NICE"
	held := capable(unix.CAP_SYS_NICE)
	if !held && a.Policy == Deadline {
		e.Kind = ErrPermission
		e.Problem = "policy Deadline needs CAP_SYS_NICE" + inNamespace()
		e.Fix = grant + "; RLIMIT_RTPRIO does not help"
		return
	}
	if !held {
		var l unix.Rlimit
		unix.Prlimit(0, unix.RLIMIT_RTPRIO, nil, &l)
		if l.Cur < uint64(a.Priority) {
			e.Kind = ErrPermission
			e.Problem = fmt.Sprintf("no CAP_SYS_NICE%s, and RLIMIT_RTPRIO %d is below priority %d", inNamespace(), l.Cur, a.Priority)
			e.Fix = grant + "; or raise the limit: ulimit -r; rtprio in /etc/security/limits.conf; LimitRTPRIO= (systemd); docker run --ulimit rtprio=99"
			if l.Max >= uint64(a.Priority) {
				e.Fix = fmt.Sprintf("call rt.Prepare, which raises the soft limit to the hard one (%s), or run ulimit -S -r hard", limit(l.Max))
			}
			return
		}
	}
	if a.Policy == Deadline {
		e.Kind = ErrDeadlineAffinity
		e.Problem = "policy Deadline needs a thread that may run on every CPU of its root domain"
		if len(a.CPUs) > 0 {
			e.Problem += ", not just " + cpuList(a.CPUs)
		} else {
			e.Problem += fmt.Sprintf("; it may run on %s of %s", cpuList(threadCPUs()), onlineCPUs())
		}
		e.Fix = "leave Attr.CPUs nil and taskset away; to keep it on some CPUs put the process into a cpuset partition of its own (cpuset.cpus.partition=root)"
		if sysctl("sched_rt_runtime_us") == "0" {
			e.Problem += "; or the machine's real-time share /proc/sys/kernel/sched_rt_runtime_us is 0"
		}
		return
	}
	g := groupQuota()
	switch {
	case g.file != "" && g.runtime == 0:
		e.Kind = ErrGroupQuota
		e.Problem = fmt.Sprintf("RT group scheduling: control group %s has no real-time quota (%s is 0), so that no privilege helps", g.path, g.file)
		e.Fix = fmt.Sprintf("give it a share, from the top group downwards, of what its parent has: echo 200000 >%s; or move the process into a group that has one; or echo -1 >/proc/sys/kernel/sched_rt_runtime_us", g.file)
	case g.file == "" && g.path != "/":
		e.Kind = ErrGroupQuota
		e.Problem = fmt.Sprintf("the kernel refuses although the process may: most likely RT group scheduling, in which control groups of version 2 such as %s get no quota", g.path)
		e.Fix = "boot with rt_group_sched=0 (Linux 6.15) or use a kernel without CONFIG_RT_GROUP_SCHED; or echo -1 >/proc/sys/kernel/sched_rt_runtime_us"
	default:
		e.Kind = ErrPermission
		e.Problem = "the kernel refuses although the process may use real-time scheduling"
		e.Fix = "look for a seccomp filter or security module (AppArmor, SELinux) that forbids sched_setattr(2)"
	}
}

// capable reports whether the calling thread has the capability where it
// counts for scheduling and memory locks: in the initial user namespace.
func capable(c uint) bool {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if unix.Capget(&h, &d[0]) != nil {
		return false
	}
	return d[c/32].Effective&(1<<(c%32)) != 0 && !userNamespace()
}

// userNamespace reports whether the process is in a user namespace other
// than the initial one, which alone maps every user id to itself.
func userNamespace() bool {
	b, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false
	}
	f := strings.Fields(string(b))
	return len(f) != 3 || f[0] != "0" || f[1] != "0" || f[2] != "4294967295"
}

func inNamespace() string {
	if userNamespace() {
		return " of the initial user namespace (that of a container's or user's own namespace does not count)"
	}
	return ""
}

func limit(n uint64) string {
	if n == unix.RLIM_INFINITY {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}

// A group is what is known of the control group of the process.
type group struct {
	path    string // in the hierarchy
	file    string // its cpu.rt_runtime_us, version 1 alone
	runtime int64
}

// groupQuota looks for the real-time quota of the thread's control group.
func groupQuota() (g group) {
	g.path = "/"
	f, err := os.ReadFile("/proc/thread-self/cgroup")
	if err != nil {
		return g
	}
	mounts, _ := os.ReadFile("/proc/thread-self/mountinfo")
	return parseGroup(f, mounts, os.ReadFile)
}

// parseGroup finds the group in /proc/PID/cgroup and its directory in
// /proc/PID/mountinfo.
func parseGroup(cgroup, mountinfo []byte, read func(string) ([]byte, error)) (g group) {
	g.path = "/"
	for line := range strings.Lines(string(cgroup)) {
		// hierarchy:controllers:path
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		if f[0] == "0" && f[1] == "" && g.file == "" {
			g.path = f[2]
			continue
		}
		if !hasField(f[1], "cpu") {
			continue
		}
		g.path = f[2]
		dir := controllerDir(mountinfo, f[2])
		if dir == "" {
			return g
		}
		name := filepath.Join(dir, "cpu.rt_runtime_us")
		b, err := read(name)
		if err != nil {
			// No RT group scheduling in this kernel.
			return group{path: "/"}
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil {
			g.file, g.runtime = name, n
		}
		return g
	}
	return g
}

// controllerDir returns the directory of the group path of the cpu
// controller, "" if it is not mounted where we see it.
func controllerDir(mountinfo []byte, path string) string {
	s := bufio.NewScanner(bytes.NewReader(mountinfo))
	for s.Scan() {
		// id parent major:minor root mountpoint options... - type source super-options
		before, after, ok := strings.Cut(s.Text(), " - ")
		b, a := strings.Fields(before), strings.Fields(after)
		if !ok || len(b) < 5 || len(a) < 3 || a[0] != "cgroup" || !hasField(a[2], "cpu") {
			continue
		}
		rel, err := filepath.Rel(b[3], path)
		if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
			continue
		}
		return filepath.Join(b[4], rel)
	}
	return ""
}

func hasField(list, name string) bool {
	for f := range strings.SplitSeq(list, ",") {
		if f == name {
			return true
		}
	}
	return false
}

// cpuError tells which CPUs of a the process may not use.
func cpuError(a *Attr, errno syscall.Errno) error {
	cpus := cpusetCPUs()
	bad := without(a.CPUs, cpus)
	if len(bad) == 0 {
		bad = a.CPUs // the cpuset changed meanwhile
	}
	noun := "CPU"
	if len(bad) > 1 {
		noun = "CPUs"
	}
	return &Error{
		Kind:    ErrCPU,
		Problem: fmt.Sprintf("%s %s not in the allowed set %s", noun, cpuList(bad), cpuList(cpus)),
		Fix:     fmt.Sprintf("choose from the set, or widen it: cpuset.cpus of the control group, docker run --cpuset-cpus; online are %s", onlineCPUs()),
		Errno:   errno,
	}
}

// cpusetCPUs returns the CPUs that the cpuset of the process allows, whatever
// the affinity of its threads: a thread may always widen its own to that. The
// control group's files may be out of sight, so it asks by trying.
func cpusetCPUs() []int {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	old, all := unix.NewCPUSet(maxCPU), unix.NewCPUSet(maxCPU)
	all.Fill()
	if unix.SchedGetaffinityDynamic(0, old) != nil || unix.SchedSetaffinityDynamic(0, all) != nil {
		return threadCPUs()
	}
	defer unix.SchedSetaffinityDynamic(0, old)
	return threadCPUs()
}

// threadCPUs returns the affinity of the calling thread.
func threadCPUs() (cpus []int) {
	set := unix.NewCPUSet(maxCPU)
	if unix.SchedGetaffinityDynamic(0, set) == nil {
		for c := range maxCPU {
			if set.IsSet(c) {
				cpus = append(cpus, c)
			}
		}
	}
	return cpus
}

func onlineCPUs() string {
	b, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(b))
}

func sysctl(name string) string {
	b, err := os.ReadFile("/proc/sys/kernel/" + name)
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(b))
}

// cpuList formats sorted CPU numbers as the kernel does: 0-3,8.
func cpuList(cpus []int) string {
	var b strings.Builder
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.Itoa(cpus[i]))
		if j > i {
			b.WriteByte('-')
			b.WriteString(strconv.Itoa(cpus[j]))
		}
		i = j + 1
	}
	return b.String()
}
