// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package doctor

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// limit returns the soft limit of a line of /proc/self/limits; -1 is
// unlimited.
func (m *machine) limit(name string) (int64, error) {
	t, err := m.read("/proc/self/limits")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(t) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			f := strings.Fields(rest)
			if len(f) == 0 {
				break
			}
			if f[0] == "unlimited" {
				return -1, nil
			}
			return strconv.ParseInt(f[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("/proc/self/limits has no line %q", name)
}

// grant is how a program gets leave to use real-time policies.
func (m *machine) grant() []string {
	if m.container {
		return []string{
			"docker run --cap-add SYS_NICE --cap-add IPC_LOCK --ulimit rtprio=99 --ulimit memlock=-1 …",
		}
	}
	return []string{
		"setcap cap_sys_nice,cap_ipc_lock+ep PROGRAM   # as root; lost when the file is rebuilt",
		"printf '%s\\n' '@realtime - rtprio 99' '@realtime - memlock unlimited' >/etc/security/limits.d/realtime.conf   # members of the group realtime, from their next login",
		"# in a systemd unit: LimitRTPRIO=99 and LimitMEMLOCK=infinity",
	}
}

// setPolicy asks the kernel itself, and explains its answer. sched(7),
// "Privileges and resource limits": a thread may set a real-time policy if it
// has CAP_SYS_NICE or the priority is within RLIMIT_RTPRIO. The kernel asks
// for the capability in the initial user namespace (capable() in
// kernel/sched/syscalls.c). With CONFIG_RT_GROUP_SCHED it refuses with the
// same EPERM if the group has no real-time budget.
func setPolicy(m *machine) Result {
	r := Result{ID: "sched-fifo", Title: "SCHED_FIFO is permitted", Where: "sched(7), sched_setattr(2)"}
	if m.Try == nil {
		r.Level, r.Found = Unknown, "the recording does not tell"
		return r
	}
	errno, err := m.Try(m.prio)
	if err != nil {
		r.Level, r.Found = Unknown, err.Error()
		return r
	}
	if errno == 0 {
		r.Level, r.Found = OK, fmt.Sprintf("a thread was set to SCHED_FIFO %d", m.prio)
		return r
	}
	r.Level = Problem
	r.Why = "without a real-time policy a goroutine is scheduled like any other thread of the machine"
	r.Found = fmt.Sprintf("sched_setattr to SCHED_FIFO %d: %s", m.prio, errnoName(errno))
	rtprio, err := m.limit("Max realtime priority")
	within := err == nil && (rtprio < 0 || rtprio >= int64(m.prio))
	switch {
	case errno == syscall.EPERM && (m.has(capSysNice) || within):
		if q, ok := m.rtQuota(); ok && q == 0 {
			r.Found += ": the privilege is there, the control group has no real-time budget"
			r.Fix = m.quotaFix()
			break
		}
		if m.cgroups.v2 != m.cgroups.v2root && m.cgroups.cpu1 == "" {
			r.Found += ", and the privilege is there: as a rule RT group scheduling (CONFIG_RT_GROUP_SCHED), in which control groups of version 2 have no real-time budget"
			r.Fix = m.quotaFix()[1:]
			break
		}
		r.Found += " although the privilege is there: RT group scheduling (CONFIG_RT_GROUP_SCHED), a security module or a seccomp filter refuses"
		r.Fix = []string{"zgrep RT_GROUP_SCHED /proc/config.gz /boot/config-$(uname -r)", "grep Seccomp /proc/self/status"}
	case errno == syscall.EPERM && m.capsKnown && m.caps>>capSysNice&1 == 1 && !m.initUser:
		r.Found += ": CAP_SYS_NICE is that of a user namespace, the kernel asks for the initial one's"
		r.Fix = []string{"ulimit -r 99   # before the namespace is entered (rootless containers: the limit of the user's session)"}
	case errno == syscall.EPERM:
		r.Found += ": neither CAP_SYS_NICE nor a sufficient RLIMIT_RTPRIO"
		r.Fix = m.grant()
	case errno == syscall.ENOSYS:
		r.Found += ": the kernel, or a sandbox in its place, has no such call"
	}
	return r
}

func errnoName(e syscall.Errno) string {
	names := map[syscall.Errno]string{syscall.EPERM: "EPERM", syscall.EINVAL: "EINVAL", syscall.ENOSYS: "ENOSYS", syscall.EBUSY: "EBUSY", syscall.EACCES: "EACCES"}
	if n := names[e]; n != "" {
		return n
	}
	return e.Error()
}

func rtprio(m *machine) Result {
	r := Result{ID: "rlimit-rtprio", Title: "CAP_SYS_NICE or RLIMIT_RTPRIO", Where: "sched(7), getrlimit(2)"}
	if m.has(capSysNice) {
		r.Level, r.Found = OK, "CAP_SYS_NICE; the limit does not matter"
		return r
	}
	n, err := m.limit("Max realtime priority")
	if err != nil {
		return cannotRead(r, err)
	}
	if n < 0 || n >= int64(m.prio) {
		r.Level, r.Found = OK, fmt.Sprintf("RLIMIT_RTPRIO %s", limitText(n))
		return r
	}
	r.Level, r.Found = Problem, fmt.Sprintf("no CAP_SYS_NICE, and RLIMIT_RTPRIO %d is below the priority of %d", n, m.prio)
	r.Why = "real-time policies are refused"
	r.Fix = m.grant()
	return r
}

func limitText(n int64) string {
	if n < 0 {
		return "unlimited"
	}
	return strconv.FormatInt(n, 10)
}

// rtQuota is the real-time budget of the process's group in microseconds per
// period, where the kernel has RT group scheduling on cgroup version 1.
func (m *machine) rtQuota() (int64, bool) {
	if m.cgroups.cpu1 == "" {
		return 0, false
	}
	q, err := m.number(m.cgroups.cpu1 + "/cpu.rt_runtime_us")
	return q, err == nil
}

func (m *machine) quotaFix() []string {
	return []string{
		"echo 950000 > " + m.cgroups.cpu1 + "/cpu.rt_runtime_us   # as root; the groups above it first",
		"sysctl -w kernel.sched_rt_runtime_us=-1   # lifts it for all groups, together with RT throttling",
		"# or boot with rt_group_sched=0 (recent kernels), or use a kernel without CONFIG_RT_GROUP_SCHED",
	}
}

// groupScheduling: Documentation/scheduler/sched-rt-group.rst. A group other
// than the root has a budget of 0 until it is given one. The budget is asked
// for only while rt_bandwidth_enabled(), that is sched_rt_runtime_us >= 0
// (kernel/sched/syscalls.c).
func groupScheduling(m *machine) Result {
	r := Result{ID: "rt-group", Title: "RT group scheduling", Where: "Documentation/scheduler/sched-rt-group.rst"}
	q, ok := m.rtQuota()
	switch {
	case !ok:
		r.Level, r.Found = OK, "no cpu.rt_runtime_us in the process's control group"
	case q == 0 && m.text("/proc/sys/kernel/sched_rt_runtime_us") == "-1":
		r.Level, r.Found = OK, "budgets are lifted (sched_rt_runtime_us is -1)"
	case q == 0:
		r.Level, r.Found = Problem, m.cgroups.cpu1+"/cpu.rt_runtime_us is 0"
		r.Why = "in a group without budget every real-time policy is refused with EPERM, whatever the capabilities"
		r.Fix = m.quotaFix()
	case q < 0:
		r.Level, r.Found = OK, "the control group's real-time budget is unlimited"
	default:
		period, err := m.number(m.cgroups.cpu1 + "/cpu.rt_period_us")
		r.Level, r.Found = OK, fmt.Sprintf("budget of %d µs", q)
		if err == nil {
			r.Found += fmt.Sprintf(" in each %d µs", period)
		}
	}
	return r
}

// memlock: mlock(2), capabilities(7).
func memlock(m *machine) Result {
	r := Result{ID: "rlimit-memlock", Title: "memory may be locked", Where: "mlock(2)"}
	if m.has(capIPCLock) {
		r.Level, r.Found = OK, "CAP_IPC_LOCK; the limit does not matter"
		return r
	}
	n, err := m.limit("Max locked memory")
	if err != nil {
		return cannotRead(r, err)
	}
	if n < 0 {
		r.Level, r.Found = OK, "RLIMIT_MEMLOCK unlimited"
		return r
	}
	r.Level, r.Found = Problem, fmt.Sprintf("no CAP_IPC_LOCK, and RLIMIT_MEMLOCK is %d KiB", n>>10)
	r.Why = "memory that is not locked may be taken away, and a page fault of a real-time goroutine then waits for a disk"
	r.Fix = m.grant()
	return r
}

// rttime: getrlimit(2). At the soft limit comes SIGXCPU, at the hard one
// SIGKILL; a blocking system call starts the count again.
func rttime(m *machine) Result {
	r := Result{ID: "rlimit-rttime", Title: "no limit on real-time CPU time", Where: "getrlimit(2)"}
	n, err := m.limit("Max realtime timeout")
	if err != nil {
		return cannotRead(r, err)
	}
	if n < 0 {
		r.Level, r.Found = OK, "RLIMIT_RTTIME unlimited"
		return r
	}
	r.Level, r.Found = Note, fmt.Sprintf("RLIMIT_RTTIME %d µs", n)
	r.Why = "a real-time thread that computes for so long without blocking gets SIGXCPU, then SIGKILL; a safety net for tasks that block each cycle"
	return r
}

// priority: kernel threads of PREEMPT_RT.
func priority(m *machine) Result {
	r := Result{ID: "priority", Title: "the priority leaves the kernel's threads where they belong", Where: "kernel/irq/manage.c (sched_set_fifo: 50)"}
	switch {
	case m.prio == 99:
		r.Level, r.Found = Note, "priority 99"
		r.Why = "the kernel's own most urgent threads share it, and nothing can be put above it, such as a watchdog that ends a runaway task"
		r.Fix = []string{"# use 98 or less"}
	case m.prio <= 50:
		r.Level, r.Found = Note, fmt.Sprintf("priority %d", m.prio)
		r.Why = "threaded interrupt handlers run at 50: each of them, whatever its device, delays this task; right if the task waits for one of them"
	default:
		r.Level, r.Found = OK, fmt.Sprintf("priority %d is above threaded interrupts (50) and below 99", m.prio)
	}
	return r
}
