// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wantError checks a child's error: its kind, and that it names what helps.
func wantError(err, kind error, words ...string) {
	check(errors.Is(err, kind), "got %v, want %v", err, kind)
	for _, other := range []error{ErrUnsupported, ErrPermission, ErrGroupQuota, ErrPriority, ErrAttr, ErrCPU, ErrAdmission, ErrDeadlineAffinity, ErrNested, ErrLocked, ErrEnded, ErrMemoryLock} {
		check(other == kind || !errors.Is(err, other), "%v is %v too", err, other)
	}
	for _, w := range words {
		check(strings.Contains(err.Error(), w), "%q does not say %q", err, w)
	}
	check(!strings.Contains(err.Error(), "\n"), "%q has several lines", err)
	noneRT()
}

func noneRT() {
	bad := realtimeThreads()
	check(len(bad) == 0, "real-time threads after a failure: %v", bad)
}

func never() error {
	check(false, "f called")
	return nil
}

func TestNoPermission(t *testing.T) { mustChild(t, "nopermission", nil) }

func init() {
	children["nopermission"] = func() { dropCaps("nopermission2", 0, 0, unix.CAP_SYS_NICE, unix.CAP_IPC_LOCK) }
	children["nopermission2"] = func() {
		before := threadState()
		wantError(Do(Attr{Priority: 1}, never), ErrPermission, "CAP_SYS_NICE", "RLIMIT_RTPRIO 0", "setcap", "ulimit")
		wantError(Do(Attr{Policy: RR, Priority: 50, Name: "no", CPUs: []int{lastCPU()}}, never), ErrPermission)
		wantError(Do(Attr{Policy: Deadline, Runtime: 1e6, Period: 1e8}, never), ErrPermission, "Deadline", "CAP_SYS_NICE")
		_, err := Go(Attr{Priority: 1}, func() { never() })
		wantError(err, ErrPermission)
		check(errors.Is(err, syscall.EPERM), "%v is not EPERM", err)
		check(threadState() == before, "thread changed: %+v", threadState())

		l := unix.Rlimit{Cur: 8 << 20, Max: 8 << 20}
		check(unix.Setrlimit(unix.RLIMIT_MEMLOCK, &l) == nil, "setrlimit")
		for _, m := range []MemoryLock{LockResident, LockOnFault, LockAll} {
			wantError(Prepare(Options{Memory: m}), ErrMemoryLock, "RLIMIT_MEMLOCK is 8192 KB", "CAP_IPC_LOCK", "ulimit -l")
		}
		check(Prepare(Options{Memory: LockNone}) == nil, "nothing to do, and that failed")
		wantError(Prepare(Options{Memory: 9}), ErrAttr)
		fmt.Println("ok")
	}
}

// A soft limit below a sufficient hard one has a fix of its own.
func TestSoftLimit(t *testing.T) { mustChild(t, "softlimit", nil) }

func init() {
	children["softlimit"] = func() { dropCaps("softlimit2", 0, 40, unix.CAP_SYS_NICE) }
	children["softlimit2"] = func() {
		wantError(Do(Attr{Priority: 40}, never), ErrPermission, "rt.Prepare", "(40)")
		wantError(Do(Attr{Priority: 41}, never), ErrPermission, "LimitRTPRIO")
		check(Prepare(Options{Memory: LockNone}) == nil, "Prepare")
		err := Do(Attr{Priority: 40}, func() error { return nil })
		if errors.Is(err, ErrGroupQuota) {
			fmt.Println("SKIP", err)
			os.Exit(0)
		}
		check(err == nil, "after Prepare: %v", err)
		wantError(Do(Attr{Priority: 41}, never), ErrPermission, "RLIMIT_RTPRIO 40")
		fmt.Println("ok")
	}
}

// The capabilities of a user namespace do not count, and the error says so.
func TestUserNamespace(t *testing.T) {
	exe, _ := os.Executable()
	probe := exec.Command(exe)
	probe.Env = append(os.Environ(), "RT_TEST_CHILD=true")
	ns := &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
	}
	probe.SysProcAttr = ns
	if err := probe.Run(); err != nil {
		t.Skip("user namespaces are not permitted here: ", err)
	}
	mustChild(t, "namespace", func(cmd *exec.Cmd) { cmd.SysProcAttr = ns })
}

func init() {
	children["true"] = func() {}
	children["namespace"] = func() {
		err := Do(Attr{Priority: 10}, never)
		wantError(err, ErrPermission, "initial user namespace")
		fmt.Println("ok")
	}
}

// RT group scheduling without quota: EPERM although CAP_SYS_NICE is held.
func TestGroupQuota(t *testing.T) {
	needRT(t)
	g := groupQuota()
	if g.file == "" {
		t.Skip("no RT group scheduling here: no cpu.rt_runtime_us for this process")
	}
	dir := filepath.Join(filepath.Dir(g.file), "rt-test-"+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("cannot make a control group: ", err)
	}
	t.Cleanup(func() {
		for range 100 {
			if os.Remove(dir) == nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error("cannot remove ", dir)
	})
	mustChild(t, "quota", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "RT_TEST_GROUP="+dir) })
}

func init() {
	children["quota"] = func() {
		dir := os.Getenv("RT_TEST_GROUP")
		err := os.WriteFile(dir+"/cgroup.procs", []byte("0"), 0)
		check(err == nil, "%v", err)
		err = Do(Attr{Priority: 10}, never)
		wantError(err, ErrGroupQuota, dir+"/cpu.rt_runtime_us", "no privilege helps", "echo ")
		check(errors.Is(err, syscall.EPERM), "%v is not EPERM", err)
		_, err = Go(Attr{Policy: RR, Priority: 10}, func() { never() })
		wantError(err, ErrGroupQuota)
		// The fix of the message works.
		if err := os.WriteFile(dir+"/cpu.rt_runtime_us", []byte("10000"), 0); err == nil {
			err := Do(Attr{Priority: 10}, func() error { return nil })
			check(err == nil, "with a quota: %v", err)
		}
		fmt.Println("ok")
	}
}

func TestCPUErrors(t *testing.T) {
	needRT(t)
	last := lastCPU()
	for _, cpus := range [][]int{{last + 1}, {last, last + 1}, {maxCPU - 1}} {
		before := threadState()
		err := Do(Attr{Priority: 10, CPUs: cpus}, func() error { t.Error("f called"); return nil })
		if !errors.Is(err, ErrCPU) || !strings.Contains(err.Error(), strconv.Itoa(cpus[len(cpus)-1])) {
			t.Errorf("CPUs %v: %v, want ErrCPU", cpus, err)
		}
		_ = before
	}
	noRealtime(t)
	mustChild(t, "taskset", nil)
}

func init() {
	// The allowed set is the cpuset, not what taskset left of it.
	children["taskset"] = func() {
		cpus := cpusetCPUs()
		if len(cpus) < 2 {
			fmt.Println("SKIP one CPU")
			return
		}
		set := confine(cpus[0])
		err := Do(Attr{Priority: 10, CPUs: cpus[1:]}, func() error {
			if l := threadCPUs(); len(l) != len(cpus)-1 || l[0] != cpus[1] {
				return fmt.Errorf("affinity %v", l)
			}
			return nil
		})
		check(err == nil, "%v", err)
		for _, th := range threads() {
			var s unix.CPUSet
			if unix.SchedGetaffinity(th.tid, &s) == nil && s != set && !runtimeThread(th) {
				check(false, "thread %v has another affinity afterwards", th)
			}
		}
		fmt.Println("ok")
	}
}

func TestDeadlineErrors(t *testing.T) {
	needRT(t)
	fail := func(a Attr, kind error) {
		t.Helper()
		err := Do(a, func() error { t.Error("f called"); return nil })
		if !errors.Is(err, kind) {
			t.Errorf("%+v: %v, want %v", a, err, kind)
		}
	}
	if len(cpusetCPUs()) > 1 {
		fail(Attr{Policy: Deadline, Runtime: time.Millisecond, Period: time.Second, CPUs: []int{lastCPU()}}, ErrDeadlineAffinity)
	}
	// Less than the kernel's smallest period.
	fail(Attr{Policy: Deadline, Runtime: 2 * time.Microsecond, Period: 10 * time.Microsecond}, ErrAttr)

	// More than all CPUs can give.
	var tasks []*Task
	release := make(chan bool)
	var err error
	for range len(cpusetCPUs()) + 1 {
		var task *Task
		task, err = Go(Attr{Policy: Deadline, Runtime: 900 * time.Millisecond, Period: time.Second}, func() { <-release })
		if err != nil {
			break
		}
		tasks = append(tasks, task)
	}
	close(release)
	for _, task := range tasks {
		task.Wait()
	}
	if !errors.Is(err, ErrAdmission) || !errors.Is(err, syscall.EBUSY) {
		t.Errorf("%d tasks of 90 %%: %v, want ErrAdmission", len(tasks)+1, err)
	}
	noRealtime(t)
}

func TestPrepare(t *testing.T) {
	for _, test := range []struct {
		m    MemoryLock
		args string
	}{{LockResident, "0"}, {LockOnFault, "1"}, {LockAll, "2"}} {
		t.Run(test.args, func(t *testing.T) {
			mustChild(t, "prepare", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "RT_TEST_MODE="+test.args) })
		})
	}
}

func init() {
	children["prepare"] = func() {
		mode, _ := strconv.Atoi(os.Getenv("RT_TEST_MODE"))
		rss := memory("VmRSS:")
		err := Prepare(Options{Memory: MemoryLock(mode)})
		if errors.Is(err, ErrMemoryLock) {
			fmt.Println("SKIP", err)
			return
		}
		check(err == nil, "%v", err)
		check(memory("VmLck:") > 0, "nothing is locked")
		grown := memory("VmRSS:") - rss
		const size = 64 << 10 // KB
		before := memory("VmRSS:")
		b, err := unix.Mmap(-1, 0, size<<10, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		check(err == nil, "%v", err)
		later := memory("VmRSS:") - before
		switch MemoryLock(mode) {
		case LockOnFault:
			check(grown < 10<<10, "resident memory grew by %d KB", grown)
			check(later < size/2, "new memory is resident: %d KB", later)
		case LockResident:
			check(grown > 1<<10, "resident memory grew by %d KB only", grown)
			check(later < size/2, "new memory is resident: %d KB", later)
		case LockAll:
			check(grown > 1<<10, "resident memory grew by %d KB only", grown)
			check(later >= size/2, "new memory is not resident: %d KB", later)
		}
		b[0] = 1
		// The program still works.
		for range 100 {
			sink = make([]byte, 1<<20)
		}
		err = Do(Attr{Priority: 10}, func() error { time.Sleep(time.Millisecond); return nil })
		check(err == nil || errors.Is(err, ErrPermission) || errors.Is(err, ErrGroupQuota), "%v", err)
		fmt.Println("ok")
	}
}

// memory returns a line of /proc/self/status, in KB.
func memory(name string) int {
	b, _ := os.ReadFile("/proc/self/status")
	_, rest, _ := strings.Cut(string(b), name)
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	check(err == nil, "%s: %v", name, err)
	return n
}

func TestParseGroup(t *testing.T) {
	const v1 = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n" +
		"34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n" +
		"32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n"
	const docker = "32 31 0:29 /docker/abc /sys/fs/cgroup/cpu ro,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
	files := map[string]string{
		"/sys/fs/cgroup/cpu,cpuacct/cpu.rt_runtime_us":                  "950000\n",
		"/sys/fs/cgroup/cpu,cpuacct/system.slice/ssh/cpu.rt_runtime_us": "0\n",
		"/sys/fs/cgroup/cpu/cpu.rt_runtime_us":                          "0\n",
		"/sys/fs/cgroup/cpu/sub/cpu.rt_runtime_us":                      "5000\n",
	}
	read := func(name string) ([]byte, error) {
		if s, ok := files[name]; ok {
			return []byte(s), nil
		}
		return nil, os.ErrNotExist
	}
	for name, test := range map[string]struct {
		cgroup, mounts string
		want           group
	}{
		"v1 root":                      {"4:cpu,cpuacct:/\n0::/\n", v1, group{"/", "/sys/fs/cgroup/cpu,cpuacct/cpu.rt_runtime_us", 950000}},
		"v1 service":                   {"9:cpuset:/x\n4:cpu,cpuacct:/system.slice/ssh\n0::/system.slice/ssh\n", v1, group{"/system.slice/ssh", "/sys/fs/cgroup/cpu,cpuacct/system.slice/ssh/cpu.rt_runtime_us", 0}},
		"v1 order":                     {"0::/u\n4:cpu,cpuacct:/system.slice/ssh\n", v1, group{"/system.slice/ssh", "/sys/fs/cgroup/cpu,cpuacct/system.slice/ssh/cpu.rt_runtime_us", 0}},
		"no quota file in this kernel": {"4:cpu,cpuacct:/gone\n", v1, group{path: "/"}},
		"container":                    {"4:cpu,cpuacct:/docker/abc\n", docker, group{"/docker/abc", "/sys/fs/cgroup/cpu/cpu.rt_runtime_us", 0}},
		"group in container":           {"4:cpu,cpuacct:/docker/abc/sub\n", docker, group{"/docker/abc/sub", "/sys/fs/cgroup/cpu/sub/cpu.rt_runtime_us", 5000}},
		"mount of another container":   {"4:cpu,cpuacct:/docker/abcd\n", docker, group{path: "/docker/abcd"}},
		"v2":                           {"0::/user.slice/a\n", "29 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", group{path: "/user.slice/a"}},
		"v2 root":                      {"0::/\n", "", group{path: "/"}},
		"empty":                        {"", "", group{path: "/"}},
		"garbage":                      {"x\n4:cpu\n::\n", "a - b\n", group{path: "/"}},
	} {
		if got := parseGroup([]byte(test.cgroup), []byte(test.mounts), read); got != test.want {
			t.Errorf("%s: got %+v, want %+v", name, got, test.want)
		}
	}
}

func TestCPUList(t *testing.T) {
	for want, cpus := range map[string][]int{"": nil, "0": {0}, "0-3,8": {0, 1, 2, 3, 8}, "1,3,5-6": {1, 3, 5, 6}} {
		if got := cpuList(cpus); got != want {
			t.Errorf("cpuList(%v) = %q, want %q", cpus, got, want)
		}
	}
}

// A kernel or sandbox without the system call, and a filter that forbids it,
// are told apart.
func TestSandbox(t *testing.T) {
	needRT(t)
	for _, errno := range []syscall.Errno{unix.ENOSYS, unix.EPERM} {
		mustChild(t, "sandbox", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "RT_TEST_ERRNO="+strconv.Itoa(int(errno))) })
	}
}

func init() {
	children["sandbox"] = func() {
		errno, _ := strconv.Atoi(os.Getenv("RT_TEST_ERRNO"))
		const load, jumpEqual, ret = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, unix.BPF_RET | unix.BPF_K
		const allow, fail = 0x7fff0000, 0x00050000 // SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO
		prog := []unix.SockFilter{
			{Code: load, K: 0}, // the number of the system call
			{Code: jumpEqual, Jf: 1, K: unix.SYS_SCHED_SETATTR},
			{Code: ret, K: fail | uint32(errno)},
			{Code: ret, K: allow},
		}
		must(unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		const setModeFilter, tsync = 1, 1
		_, _, e := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, tsync, uintptr(unsafe.Pointer(&unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]})))
		if e != 0 {
			fmt.Println("SKIP no seccomp filters: ", e)
			return
		}
		before := threadState()
		err := Do(Attr{Priority: 10, Name: "no", CPUs: []int{lastCPU()}}, never)
		_, err2 := Go(Attr{Policy: RR, Priority: 10}, func() { never() })
		if errno == int(unix.ENOSYS) {
			wantError(err, ErrUnsupported, "sched_setattr", "gVisor")
			wantError(err2, ErrUnsupported)
			check(errors.Is(err, errors.ErrUnsupported), "%v is not errors.ErrUnsupported", err)
		} else {
			wantError(err, ErrPermission, "seccomp")
			wantError(err2, ErrPermission)
		}
		check(threadState() == before, "thread changed: %+v", threadState())
		fmt.Println("ok")
	}
}
