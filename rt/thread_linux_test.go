// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lastCPU returns the last CPU that the process may use.
func lastCPU() int {
	cpus := cpusetCPUs()
	return cpus[len(cpus)-1]
}

// confine leaves every thread of the process the CPU alone, as taskset does.
func confine(cpu int) (set unix.CPUSet) {
	set.Set(cpu)
	for _, th := range threads() {
		unix.SchedSetaffinity(th.tid, &set)
	}
	return set
}

// wantThread checks that the calling thread has the attributes of a.
func wantThread(t *testing.T, a Attr) {
	t.Helper()
	s := threadState()
	if s.policy != a.Policy.number() || s.priority != uint32(a.Priority) || s.flags&unix.SCHED_FLAG_RESET_ON_FORK == 0 {
		t.Errorf("thread has policy %d priority %d flags %#x, want those of %+v and reset on fork", s.policy, s.priority, s.flags, a)
	}
	if name := string(bytes.TrimRight(s.name[:], "\x00")); a.Name != "" && name != a.Name[:min(15, len(a.Name))] {
		t.Errorf("thread name %q, want %q", name, a.Name)
	}
	if len(a.CPUs) > 0 {
		var want unix.CPUSet
		for _, c := range a.CPUs {
			want.Set(c)
		}
		if s.cpus != want {
			t.Errorf("affinity %v, want %v", cpuList(threadCPUs()), a.CPUs)
		}
	}
	if bad := realtimeThreads(unix.Gettid()); len(bad) > 0 {
		t.Errorf("other threads are real-time: %v", bad)
	}
}

// Every way to leave restores exactly what was there, whatever it was.
func TestRestore(t *testing.T) {
	needRT(t)
	attrs := []Attr{
		{Priority: 1},
		{Priority: 98, Name: "a name longer than fifteen bytes"},
		{Policy: RR, Priority: 42, CPUs: []int{lastCPU()}},
		{Policy: Deadline, Runtime: time.Millisecond, Period: 100 * time.Millisecond, Name: "dl"},
	}
	before := map[string]func(){
		"plain": func() {},
		"nice": func() {
			unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_NORMAL, Nice: 7}, 0)
		},
		"batch, negative nice": func() {
			unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_BATCH, Nice: -3}, 0)
		},
		"reset on fork": func() {
			unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_NORMAL, Flags: unix.SCHED_FLAG_RESET_ON_FORK}, 0)
		},
		"real-time of its own": func() {
			unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_RR, Priority: 3}, 0)
		},
		"one CPU": func() {
			var set unix.CPUSet
			set.Set(cpusetCPUs()[0])
			unix.SchedSetaffinity(0, &set)
		},
	}
	errMine := errors.New("mine")
	ways := map[string]func(a Attr, f func()) (left bool){
		"return": func(a Attr, f func()) bool { return Do(a, func() error { f(); return nil }) == nil },
		"error":  func(a Attr, f func()) bool { return Do(a, func() error { f(); return errMine }) == errMine },
		"panic": func(a Attr, f func()) (left bool) {
			defer func() { left = recover() == "mine" }()
			Do(a, func() error { f(); panic("mine") })
			return false
		},
		"nil dereference": func(a Attr, f func()) (left bool) {
			defer func() { left = recover() != nil }()
			Do(a, func() error { f(); var p *int; *p = 1; return nil })
			return false
		},
	}
	for i, a := range attrs {
		for what, prepare := range before {
			if a.Policy == Deadline && what == "one CPU" {
				continue // the kernel forbids it
			}
			for way, do := range ways {
				t.Run(fmt.Sprintf("%d/%s/%s", i, what, way), func(t *testing.T) {
					done := make(chan bool)
					go func() {
						defer close(done)
						// It stays locked, so the thread ends with it. The main
						// thread does not, hence the rest.
						runtime.LockOSThread()
						all := unix.CPUSet{}
						all.Fill()
						defer unix.SchedSetaffinity(0, &all)
						defer unix.SchedSetAttr(0, &unix.SchedAttr{Policy: unix.SCHED_NORMAL}, 0)
						prepare()
						s := threadState()
						slice, _ := unix.SchedGetAttr(0, 0)
						ran := false
						if !do(a, func() { ran = true; wantThread(t, a) }) || !ran {
							t.Error("did not come back as expected")
						}
						if s2 := threadState(); s2 != s {
							t.Errorf("thread before %+v\nafter %+v", s, s2)
						}
						if slice2, _ := unix.SchedGetAttr(0, 0); *slice2 != *slice {
							t.Errorf("sched_attr before %+v\nafter %+v", *slice, *slice2)
						}
					}()
					<-done
				})
			}
		}
	}
	noRealtime(t)
}

// noRealtime checks that no thread is real-time.
func noRealtime(t testing.TB) {
	t.Helper()
	if bad := realtimeThreads(); len(bad) > 0 {
		t.Errorf("threads left real-time: %v", bad)
	}
}

func TestGoexit(t *testing.T) {
	needRT(t)
	var before, after threadAttr
	done := make(chan bool)
	go func() {
		runtime.LockOSThread()
		before = threadState()
		defer func() {
			after = threadState()
			close(done)
		}()
		Do(Attr{Priority: 20, Name: "goexit", CPUs: []int{lastCPU()}}, func() error {
			wantThread(t, Attr{Priority: 20, Name: "goexit", CPUs: []int{lastCPU()}})
			runtime.Goexit()
			return nil
		})
	}()
	<-done
	if before != after {
		t.Errorf("thread before %+v\nafter %+v", before, after)
	}

	task, err := Go(Attr{Priority: 20}, func() { runtime.Goexit() })
	if err != nil {
		t.Fatal(err)
	}
	task.Wait()
	noRealtime(t)
}

func TestGo(t *testing.T) {
	needRT(t)
	a := Attr{Policy: RR, Priority: 33, Name: "gotask", CPUs: []int{lastCPU()}}
	release := make(chan bool)
	var tid int
	task, err := Go(a, func() {
		tid = unix.Gettid()
		wantThread(t, a)
		if s := Self(); s == nil || s.TID() != tid {
			t.Errorf("Self() = %v", s)
		}
		<-release
	})
	if err != nil {
		t.Fatal(err)
	}
	if Self() != nil {
		t.Error("Self() of an ordinary goroutine is not nil")
	}
	got := task.Attr()
	if got.Policy != a.Policy || got.Priority != a.Priority || got.Name != a.Name || len(got.CPUs) != 1 || got.CPUs[0] != a.CPUs[0] {
		t.Errorf("Attr() = %+v, want %+v", got, a)
	}
	got.CPUs[0]++
	if task.Attr().CPUs[0] != a.CPUs[0] {
		t.Error("Attr() shares its CPUs")
	}
	select {
	case <-task.Done():
		t.Error("Done too early")
	default:
	}
	n := task.TID()
	close(release)
	task.Wait()
	<-task.Done()
	if n != tid {
		t.Errorf("TID() = %d, want %d", n, tid)
	}
	if n := task.TID(); n != 0 {
		t.Errorf("TID() = %d after the end, want 0", n)
	}
	noRealtime(t)
}

func TestNested(t *testing.T) {
	needRT(t)
	err := Do(Attr{Priority: 10}, func() error {
		err := Do(Attr{Priority: 20}, func() error { t.Error("f called"); return nil })
		wantThread(t, Attr{Priority: 10})
		// Another goroutine is not nested.
		task, err2 := Go(Attr{Priority: 20}, func() {})
		if err2 != nil {
			t.Error(err2)
		} else {
			task.Wait()
		}
		wantThread(t, Attr{Priority: 10})
		return err
	})
	if !errors.Is(err, ErrNested) {
		t.Errorf("got %v, want ErrNested", err)
	}
	// And afterwards all is as before.
	if err := Do(Attr{Priority: 20}, func() error { return nil }); err != nil {
		t.Error(err)
	}
	noRealtime(t)
}

func TestSetPriority(t *testing.T) {
	needRT(t)
	step := make(chan int)
	task, err := Go(Attr{Priority: 10}, func() {
		for p := range step {
			wantThread(t, Attr{Priority: p})
			step <- 0
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []int{11, 98, 1, 10} {
		if err := task.SetPriority(p); err != nil {
			t.Error(err)
		}
		if got := task.Attr().Priority; got != p {
			t.Errorf("Attr().Priority = %d, want %d", got, p)
		}
		step <- p
		<-step
	}
	for _, p := range []int{0, 100, -1} {
		if err := task.SetPriority(p); !errors.Is(err, ErrPriority) {
			t.Errorf("SetPriority(%d) = %v, want ErrPriority", p, err)
		}
	}
	step <- 10
	<-step
	close(step)
	task.Wait()
	if err := task.SetPriority(12); !errors.Is(err, ErrEnded) {
		t.Errorf("SetPriority after the end = %v, want ErrEnded", err)
	}

	// A task may change its own.
	err = Do(Attr{Policy: RR, Priority: 5}, func() error {
		err := Self().SetPriority(6)
		wantThread(t, Attr{Policy: RR, Priority: 6})
		return err
	})
	if err != nil {
		t.Error(err)
	}
	err = Do(Attr{Policy: Deadline, Runtime: time.Millisecond, Period: time.Second}, func() error { return Self().SetPriority(5) })
	if !errors.Is(err, ErrPriority) {
		t.Errorf("SetPriority of a Deadline task = %v, want ErrPriority", err)
	}
	noRealtime(t)
}

// A change of priority that meets the end of the task must not hit the thread
// when it is ordinary again.
func TestSetPriorityRace(t *testing.T) {
	needRT(t)
	t.Parallel()
	mustChild(t, "priorityrace", nil)
}

func init() {
	children["priorityrace"] = func() {
		var current atomic.Pointer[Task]
		for i := range 3 {
			go func() {
				for p := 10; ; p++ {
					task := current.Load()
					if task == nil {
						continue
					}
					err := task.SetPriority(10 + (p+i)%20)
					check(err == nil || errors.Is(err, ErrEnded), "%v", err)
				}
			}()
		}
		for i := range 3000 {
			err := Do(Attr{Priority: 10}, func() error {
				current.Store(Self())
				for range i % 50 {
					unix.Getppid()
				}
				return nil
			})
			check(err == nil, "%v", err)
			if i%100 == 99 {
				l := realtimeThreads()
				check(len(l) == 0, "after %d tasks these threads are real-time: %v", i+1, l)
			}
		}
		fmt.Println("ok")
	}
}

// Whatever a task does, it stays on its thread, and no other thread gets its
// attributes.
func TestKeeps(t *testing.T) {
	needRT(t)
	a := Attr{Priority: 30, Name: "keeps"}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	var mu sync.Mutex
	ch := make(chan int)
	steps := map[string]func(){
		"sleep":   func() { time.Sleep(time.Millisecond) },
		"until":   func() { SleepUntil(time.Now().Add(time.Millisecond)) },
		"gosched": func() { runtime.Gosched() },
		"gc":      func() { runtime.GC() },
		"memstats": func() {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
		},
		"gomaxprocs": func() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(3)) },
		"freeos":     func() { debug.FreeOSMemory() },
		"go":         func() { go func() { ch <- 1 }(); <-ch },
		"select": func() {
			go func() { ch <- 1 }()
			select {
			case <-ch:
			case <-time.After(time.Minute):
			}
		},
		"timer": func() { <-time.After(time.Millisecond) },
		"mutex": func() {
			mu.Lock()
			go func() { time.Sleep(time.Millisecond); mu.Unlock() }()
			mu.Lock()
			mu.Unlock()
		},
		"waitgroup": func() {
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() { time.Sleep(time.Millisecond) })
			}
			wg.Wait()
		},
		"pipe": func() {
			go func() { time.Sleep(time.Millisecond); w.Write([]byte{1}) }()
			r.Read(make([]byte, 1))
		},
		"deadline": func() {
			r.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("read: %v", err)
			}
			r.SetReadDeadline(time.Time{})
		},
		"file":    func() { os.ReadFile("/proc/self/status") },
		"stack":   func() { grow(1000) },
		"alloc":   func() { sink = make([]byte, 10<<20) },
		"recover": func() { defer func() { recover() }(); panic(1) },
		"lock":    func() { runtime.LockOSThread(); runtime.UnlockOSThread() },
		"map": func() {
			m := map[int]int{}
			for i := range 10000 {
				m[i] = i
			}
		},
	}
	err = Do(a, func() error {
		tid := unix.Gettid()
		for name, f := range steps {
			f()
			if unix.Gettid() != tid {
				return fmt.Errorf("after %s on another thread", name)
			}
			wantThread(t, a)
			if t.Failed() {
				return fmt.Errorf("after %s", name)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	noRealtime(t)
}

var sink []byte

//go:noinline
func grow(n int) int {
	var b [100]int
	if n == 0 {
		return 0
	}
	b[n%100] = n
	return grow(n-1) + b[n%100]
}

// Threads that the runtime starts meanwhile, for a task or for others, are
// ordinary ones.
func TestNewThreads(t *testing.T) {
	needRT(t)
	var fds [2]int
	if err := unix.Pipe(fds[:]); err != nil {
		t.Fatal(err)
	}
	const n = 60
	var started, ended sync.WaitGroup
	block := func() {
		for range n {
			started.Add(1)
			ended.Go(func() {
				started.Done()
				unix.Read(fds[0], make([]byte, 1)) // blocks the thread
			})
		}
	}
	before := len(threads())
	err := Do(Attr{Priority: 30, CPUs: []int{lastCPU()}}, func() error {
		block()
		started.Wait()
		for range 200 {
			time.Sleep(5 * time.Millisecond)
			if len(threads()) >= before+n/2 {
				break
			}
		}
		l := threads()
		if len(l) < before+n/2 {
			t.Errorf("only %d threads started", len(l)-before)
		}
		if bad := realtimeThreads(unix.Gettid()); len(bad) > 0 {
			t.Errorf("of %d threads these are real-time too: %v", len(l), bad)
		}
		for _, th := range l {
			var set unix.CPUSet
			if th.tid != unix.Gettid() && !runtimeThread(th) && unix.SchedGetaffinity(th.tid, &set) == nil && set.Count() == 1 && len(cpusetCPUs()) > 1 {
				t.Errorf("thread %v has the task's affinity", th)
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	unix.Close(fds[1])
	ended.Wait()
	unix.Close(fds[0])
	noRealtime(t)
}

// Processes started by a task are ordinary.
func TestExec(t *testing.T) {
	needRT(t)
	for _, a := range []Attr{{Priority: 30}, {Policy: Deadline, Runtime: 10 * time.Millisecond, Period: 100 * time.Millisecond}} {
		err := Do(a, func() error {
			out, err := exec.Command("cat", "/proc/self/stat").Output()
			if err != nil {
				return err
			}
			// After the name, which ends with a parenthesis, the third
			// field begins; policy is field 41, priority 40.
			_, rest, _ := strings.Cut(string(out), ") ")
			f := strings.Fields(rest)
			if f[41-3] != strconv.Itoa(unix.SCHED_NORMAL) || f[40-3] != "0" {
				t.Errorf("process started by a %v task has policy %s, priority %s", a.Policy, f[41-3], f[40-3])
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	noRealtime(t)
}

// Many tasks enter and leave at once.
func TestManyTasks(t *testing.T) {
	needRT(t)
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		var tasks []*Task
		release := make(chan bool)
		for i := range 64 {
			task, err := Go(Attr{Priority: 1 + i%90, Name: "many" + strconv.Itoa(i)}, func() {
				if i%2 == 0 {
					time.Sleep(time.Duration(i) * 10 * time.Microsecond)
				}
				<-release
			})
			if err != nil {
				t.Fatal(err)
			}
			tasks = append(tasks, task)
		}
		for i, task := range tasks {
			a, err := unix.SchedGetAttr(task.TID(), 0)
			if err != nil || a.Policy != unix.SCHED_FIFO || a.Priority != uint32(1+i%90) {
				t.Errorf("task %d: %+v, %v", i, a, err)
			}
		}
		close(release)
		for _, task := range tasks {
			task.Wait()
		}
	}
	noRealtime(t)
}

// 64 goroutines enter and leave at any time, and change each other's priority.
func TestChurn(t *testing.T) {
	needRT(t)
	rounds := 50
	if testing.Short() {
		rounds = 10
	}
	var all [64]atomic.Pointer[Task]
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			for n := range rounds {
				a := Attr{Priority: 1 + (i+n)%80}
				err := Do(a, func() error {
					all[i].Store(Self())
					time.Sleep(time.Duration((i*7+n*13)%50) * 10 * time.Microsecond)
					if other := all[(i+n)%len(all)].Load(); other != nil {
						if err := other.SetPriority(1 + n%80); err != nil && !errors.Is(err, ErrEnded) {
							return err
						}
					}
					if s, err := unix.SchedGetAttr(0, 0); err != nil || s.Policy != unix.SCHED_FIFO {
						return fmt.Errorf("in real time: policy %v, %v", s, err)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
				if Self() != nil {
					t.Error("a task after Do")
				}
			}
		})
	}
	wg.Wait()
	noRealtime(t)
}

// GOMAXPROCS means what it means without tasks.
func TestGOMAXPROCS(t *testing.T) {
	needRT(t)
	old := runtime.GOMAXPROCS(0)
	defer runtime.GOMAXPROCS(old)
	release := make(chan bool)
	var tasks []*Task
	for i := range 5 {
		task, err := Go(Attr{Priority: 10 + i}, func() { <-release })
		if err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, task)
		if n := runtime.GOMAXPROCS(0); n != old {
			t.Errorf("GOMAXPROCS = %d with %d tasks, want %d", n, i+1, old)
		}
	}
	for _, n := range []int{1, 7, 3, old} {
		runtime.GOMAXPROCS(n)
		if got := runtime.GOMAXPROCS(0); got != n {
			t.Errorf("GOMAXPROCS = %d, want %d", got, n)
		}
	}
	close(release)
	for _, task := range tasks {
		task.Wait()
	}
}

// A panic in a task ends the program with its message, as everywhere.
func TestGoPanic(t *testing.T) {
	needRT(t)
	out, err := runChild(t, "panic", nil)
	if err == nil || !strings.Contains(out, "panic: mine") || !strings.Contains(out, "thread_linux_test.go") {
		t.Errorf("%v\n%s", err, out)
	}
}

func init() {
	children["panic"] = func() {
		_, err := Go(Attr{Priority: 10}, func() { panic("mine") })
		check(err == nil, "%v", err)
		time.Sleep(10 * time.Second)
	}
}

// A thread whose flag cannot be cleared without privilege must end with the
// goroutine that Go started.
func TestUnprivileged(t *testing.T) {
	needRT(t)
	mustChild(t, "unprivileged", nil)
}

func init() {
	children["unprivileged"] = func() { dropCaps("unprivileged2", 10, 20, unix.CAP_SYS_NICE) }
	children["unprivileged2"] = func() {
		task, err := Go(Attr{Priority: 10}, func() {})
		check(err == nil, "%v", err)
		task.Wait()
		for range 100 {
			time.Sleep(time.Millisecond)
			if len(flagged()) == 0 {
				break
			}
		}
		check(len(flagged()) == 0, "threads with reset on fork left: %v", flagged())

		task, err = Go(Attr{Priority: 5}, func() { time.Sleep(time.Second) })
		check(err == nil, "%v", err)
		err = task.SetPriority(10)
		check(err == nil, "SetPriority within the limit: %v", err)
		err = task.SetPriority(11)
		check(errors.Is(err, ErrPermission), "SetPriority beyond the limit: %v", err)

		// Do leaves the flag, and may be used again.
		runtime.LockOSThread()
		for range 3 {
			err = Do(Attr{Priority: 10}, func() error { return nil })
			check(err == nil, "%v", err)
			s := threadState()
			check(s.policy == unix.SCHED_NORMAL && s.priority == 0, "left with policy %d", s.policy)
		}
		err = Do(Attr{Priority: 11}, nil)
		check(errors.Is(err, ErrPermission), "priority beyond the limit: %v", err)
		err = Prepare(Options{Memory: LockNone})
		check(err == nil, "%v", err)
		err = Do(Attr{Priority: 20}, func() error { return nil })
		check(err == nil, "after Prepare: %v", err)
		fmt.Println("ok")
	}
}

func flagged() (l []thread) {
	for _, th := range threads() {
		if th.flags&unix.SCHED_FLAG_RESET_ON_FORK != 0 && !runtimeThread(th) {
			l = append(l, th)
		}
	}
	return l
}

// cgo: C code runs on the task's thread, threads that it starts are ordinary
// ones, callbacks come back to the task.
func TestCgo(t *testing.T) {
	needRT(t)
	t.Parallel()
	if out, err := exec.Command("go", "env", "CGO_ENABLED").Output(); err != nil || strings.TrimSpace(string(out)) != "1" {
		t.Skip("no cgo: CGO_ENABLED is 0, or there is no C compiler")
	}
	exe := t.TempDir() + "/cgo"
	if out, err := exec.Command("go", "build", "-o", exe, "./testdata/cgo").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "timeout", "-s", "QUIT", "60", exe)
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "ok\n" {
		t.Errorf("%v\n%s", err, out)
	}
}

// The kernel writes a thread's name into the caller's variable, wherever the
// stack that holds it has to grow on the way: a uintptr does not move with it.
func TestThreadName(t *testing.T) {
	var bad atomic.Int32
	for depth := range 400 {
		done := make(chan bool)
		go func() {
			if !nameAt(depth) {
				bad.Add(1)
			}
			close(done)
		}()
		<-done
	}
	if n := bad.Load(); n > 0 {
		t.Errorf("the name was written elsewhere from %d of 400 depths of the stack", n)
	}
}

//go:noinline
func nameAt(depth int) bool {
	if depth > 0 {
		return nameAt(depth - 1)
	}
	var name [16]byte
	threadName(&name)
	return name[0] != 0
}
