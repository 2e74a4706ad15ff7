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
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func cycles() uint32 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.NumGC
}

// allocate allocates n bytes in pieces of 1 KB.
func allocate(n int) {
	for ; n > 0; n -= 1 << 10 {
		sink = make([]byte, 1<<10)
	}
}

// collects allocates and reports whether the collector runs meanwhile. It may
// start late beside a task, which does not start it itself.
func collects(n int) bool {
	began := cycles()
	for range 100 {
		allocate(n)
		if cycles() != began {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func TestNoGC(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	test := func() {
		const budget = 32 << 20
		if !collects(budget) {
			t.Error("the collector never runs; the test shows nothing")
		}
		var inside, outside uint32
		if err := NoGC(budget, func() {
			inside = cycles()
			allocate(budget * 3 / 4)
			outside = cycles()
		}); err != nil || inside != outside {
			t.Errorf("NoGC: %v, %d collections", err, outside-inside)
		}
		if !collects(budget) {
			t.Error("no collection afterwards")
		}
		// Overlapping ones.
		if err := NoGC(3*budget, func() { // the inner's preparation counts
			if err := NoGC(budget, func() { allocate(budget * 3 / 4) }); err != nil {
				t.Errorf("inner region: %v", err)
			}
		}); err != nil && Supported() { // elsewhere runtime.GC in it counts too
			t.Errorf("outer region: %v", err)
		}
		// More than the budget.
		err := NoGC(1<<20, func() { collects(budget) })
		if !errors.Is(err, ErrBudget) {
			t.Errorf("8 times the budget: %v, want ErrBudget", err)
		}
		// A region ends when its function panics.
		func() {
			defer func() {
				if recover() != "mine" {
					t.Error("the panic is lost")
				}
			}()
			NoGC(budget, func() { panic("mine") })
		}()
		if !collects(budget) {
			t.Error("no collection after a panic in a region")
		}
		for _, n := range []int{0, -1} {
			if err := NoGC(n, func() { t.Error("f called") }); !errors.Is(err, ErrAttr) {
				t.Errorf("NoGC(%d): %v, want ErrAttr", n, err)
			}
		}
		// A budget beyond the memory limit.
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(64 << 20))
		if err := NoGC(256<<20, func() { t.Error("f called") }); !errors.Is(err, ErrMemoryLimit) {
			t.Errorf("budget beyond the memory limit: %v, want ErrMemoryLimit", err)
		}
	}
	test()
	realtime(t, test)
}

// runtime.GC collects in a region, and the memory limit goes before it.
func TestNoGCLimit(t *testing.T) {
	if err := NoGC(8<<20, func() {
		n := cycles()
		runtime.GC()
		if cycles() == n {
			t.Error("runtime.GC did nothing")
		}
	}); err != nil {
		t.Errorf("with runtime.GC: %v", err)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	inUse := m.HeapAlloc + m.Sys - m.HeapSys // what is free may be given back
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	err := NoGC(16<<20, func() {
		debug.SetMemoryLimit(int64(inUse / 2))
		allocate(15 << 20)
		time.Sleep(10 * time.Millisecond)
	})
	if !errors.Is(err, ErrBudget) {
		t.Errorf("beyond the memory limit: %v, want ErrBudget", err)
	}
}

// A task that allocates within the heap made ready takes no page fault.
func TestPageFaults(t *testing.T) {
	needRT(t)
	mustChild(t, "faults", nil)
}

func init() {
	children["faults"] = func() {
		cold := faultsOf(false)
		check(cold > 1000, "%d page faults without Prepare; the test shows nothing", cold)
		err := Prepare(Options{Heap: 64 << 20, Memory: LockOnFault})
		check(err == nil || errors.Is(err, ErrMemoryLock), "%v", err)
		warm := faultsOf(true)
		for range 4 { // the collector's own memory comes with its first cycles
			if warm != 0 {
				warm = faultsOf(true)
			}
		}
		if !supported {
			// The scavenger works on, and the goroutine's thread and P vary.
			fmt.Println("ok")
			return
		}
		check(warm == 0, "%d page faults in steady state", warm)
		fmt.Println("ok")
	}
}

// faultsOf returns the page faults of a task in 200 cycles of 64 KB in small
// objects and a deep stack each, and some large objects, after some cycles that
// do not count if warmUp is set.
func faultsOf(warmUp bool) (n uint64) {
	err := Do(Attr{Priority: 30}, func() error {
		task := Self()
		begin := task.Stats()
		turns := 0
		for range Every(time.Millisecond) {
			turns++ // not releases: some may be missed
			if turns <= 100 && warmUp {
				begin = task.Stats()
			}
			allocate(64 << 10)
			if turns%50 == 0 {
				sink = make([]byte, 8<<20) // too large for the reserve
			}
			touchStack(32 << 10)
			if turns >= 300 {
				break
			}
		}
		s := task.Stats()
		check(s.MajorFaults == begin.MajorFaults, "%d major page faults", s.MajorFaults-begin.MajorFaults)
		n = s.MinorFaults - begin.MinorFaults
		return nil
	})
	must(err)
	return n
}

// What a task needed in its reserve is not kept for tasks that do not need it.
func TestReserveForgets(t *testing.T) {
	needRT(t)
	if !supported {
		t.Skip("stock Go has no reserve")
	}
	mustChild(t, "reserve", nil)
}

// The rtrefill thread sleeps when it has nothing to do, also on a P that was a
// task's: the first tasks of the process end while the thread begins, and leave
// their Ps, and then used-up spans are there to be taken back. (It took them back
// from itself, for ever.)
func TestRefillSleeps(t *testing.T) {
	needRT(t)
	if !supported {
		t.Skip("stock Go has no reserve")
	}
	for range 5 {
		mustChild(t, "refill", nil)
	}
}

func init() {
	children["refill"] = func() {
		// The thread that begins has others beside it.
		const hogs = 10
		runtime.GOMAXPROCS(hogs + runtime.NumCPU() + 1)
		var stop atomic.Bool
		for range hogs {
			go func() {
				for !stop.Load() {
				}
			}()
		}
		time.Sleep(10 * time.Millisecond)
		for range 20 {
			must(Do(Attr{Priority: 30}, func() error { return nil }))
		}
		stop.Store(true)
		var all []thread
		i := -1
		for i < 0 {
			time.Sleep(20 * time.Millisecond)
			all = threads()
			i = slices.IndexFunc(all, func(th thread) bool { return th.name == "rtrefill" })
		}
		must(Do(Attr{Priority: 30}, func() error {
			for range 20 {
				for range 1000 {
					sink = make([]byte, 64)
				}
				time.Sleep(time.Millisecond)
			}
			return nil
		}))
		// As long as it wants to run it does, or is about to: that counts too.
		busy := func() (ns int) {
			b, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/schedstat", all[i].tid))
			must(err)
			for _, s := range strings.Fields(string(b))[:2] {
				n, err := strconv.Atoi(s)
				must(err)
				ns += n
			}
			return ns
		}
		var since int
		for range 50 {
			before := busy()
			time.Sleep(20 * time.Millisecond)
			if since = busy() - before; since < 10e6 {
				fmt.Println("ok")
				return
			}
		}
		check(false, "the thread ran, or wanted to, for %d ns of 20 ms", since)
	}
	children["reserve"] = func() {
		held := func() uint64 {
			s := []metrics.Sample{{Name: "/rt/reserve/held:bytes"}}
			metrics.Read(s)
			return s[0].Value.Uint64()
		}
		// One task after the other has the same P.
		one := func(f func()) {
			must(Do(Attr{Priority: 30}, func() error { f(); return nil }))
		}
		var full uint64
		one(func() {
			for i := range 100 {
				for size := 256; size <= 8<<10; size += 256 {
					for range 16 * (8 << 10) / size {
						sink = make([]byte, size)
					}
				}
				time.Sleep(time.Millisecond)
				if i >= 20 {
					full = max(full, held())
				}
			}
		})
		idle := func() { time.Sleep(time.Millisecond) }
		one(idle)
		after := held()
		for i := range 100 {
			for range 20 {
				one(idle)
			}
			runtime.GC() // what is not wanted goes with the next cycle
			one(idle)
			if after = held(); i >= 5 && after < full/4 {
				break
			}
		}
		check(full > 1<<20, "%d bytes in the reserve of a task that allocates; the test shows nothing", full)
		check(after < full/4, "%d bytes in the reserve when no task needs it, %d when one did", after, full)
		fmt.Println("ok")
	}
}

// Large objects that ordinary goroutines make while there is a task are clear,
// although their memory was in use before.
func TestLargeObjectsClear(t *testing.T) {
	needRT(t)
	stop := make(chan bool)
	task, err := Go(Attr{Priority: 10}, func() {
		for range Every(time.Millisecond) {
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		size := 40<<10 + i*37_777 // up to 2 MB, no multiple of any piece
		b := make([]byte, size)
		p := make([]*byte, size/8)
		for j := range b {
			if b[j] != 0 {
				t.Fatalf("byte %d of %d is not clear", j, size)
			}
			b[j] = 0xff
		}
		for j := range p {
			if p[j] != nil {
				t.Fatalf("pointer %d of %d is not nil", j, len(p))
			}
			p[j] = &b[0]
		}
		if i%5 == 4 {
			runtime.GC()
		}
	}
	close(stop)
	task.Wait()
}

// The faults that another goroutine reads are those that the task's own count
// says.
func TestFaultCount(t *testing.T) {
	needRT(t)
	step := make(chan bool)
	task, err := Go(Attr{Priority: 10, Name: "a) (b c"}, func() {
		b, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			t.Error(err)
		}
		unix.Madvise(b, unix.MADV_NOHUGEPAGE)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		step <- true
		<-step
	})
	if err != nil {
		t.Fatal(err)
	}
	<-step
	n := task.Stats().MinorFaults
	if n < 256 || n > 1000 {
		t.Errorf("%d minor page faults, want at least the 256 made", n)
	}
	step <- true
	task.Wait()
	if end := task.Stats().MinorFaults; end < n || end > n+100 {
		t.Errorf("%d minor page faults at the end, %d before", end, n)
	}
}

// Stops that meet a running task are counted as its pauses.
func TestPauses(t *testing.T) {
	needRT(t)
	var s Stats
	err := Do(Attr{Priority: 30}, func() error {
		stop := make(chan bool)
		done := make(chan bool)
		go func() {
			for {
				select {
				case <-stop:
					close(done)
					return
				default:
					cycles() // stops the world
				}
			}
		}()
		for begin := time.Now(); time.Since(begin) < 200*time.Millisecond || supported && Self().Stats().Pauses.Count == 0 && time.Since(begin) < 5*time.Second; {
			burn(30 * time.Millisecond) // beyond the wait for a good moment
			time.Sleep(time.Millisecond)
		}
		stop <- true
		<-done
		s = Self().Stats()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	one, ten := s.Pauses.MMU()
	if !Supported() {
		if s.Pauses != (Pauses{}) || one != 1 || ten != 1 {
			t.Errorf("pauses %+v, which nobody has counted", s.Pauses)
		}
		return
	}
	p := s.Pauses
	if p.Count == 0 || p.Max <= 0 || p.Total < p.Max || p.In10ms < p.In1ms || p.In1ms > time.Millisecond || p.In10ms > 10*time.Millisecond || one < 0 || one >= 1 || ten < one {
		t.Errorf("pauses %+v, MMU %v and %v", p, one, ten)
	}
	t.Logf("%d pauses, longest %v; MMU(1 ms) %.3f, MMU(10 ms) %.3f", p.Count, p.Max, one, ten)
}

// A stop that waits for an ordinary goroutine does not stop the tasks yet.
func TestStoppedLast(t *testing.T) {
	needRT(t)
	if !Supported() {
		t.Skip("stock Go stops whom it can at once")
	}
	if raceEnabled {
		t.Skip("the race detector looks at each byte of 256 MB")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0))))
	const last = 10 * time.Millisecond
	// long counts stops that waited for somebody for two times last.
	long := func() (n uint64) {
		sample := []metrics.Sample{{Name: "/sched/pauses/stopping/other:seconds"}}
		metrics.Read(sample)
		h := sample[0].Value.Float64Histogram()
		for i, c := range h.Counts {
			if h.Buckets[i] >= 2*last.Seconds() {
				n += c
			}
		}
		return n
	}
	// Nothing interrupts a copy.
	buf := make([]byte, 1<<20)
	for try := 1; ; try++ {
		clear(buf)
		before := long()
		gap := time.Duration(0)
		err := Do(Attr{Priority: 30}, func() error {
			copying, copied, stopped := make(chan bool), make(chan bool), make(chan bool)
			go func() {
				copying <- true
				copy(buf[1:], buf)
				close(copied)
			}()
			<-copying
			go func() {
				cycles() // stops the world
				close(stopped)
			}()
			begin := time.Now()
			for woke := begin; woke.Sub(begin) < 10*time.Second; {
				time.Sleep(time.Millisecond)
				now := time.Now()
				gap = max(gap, now.Sub(woke))
				woke = now
				select {
				case <-copied:
					<-stopped
					return nil
				default:
				}
			}
			return errors.New("the copy takes too long")
		})
		if err != nil {
			t.Fatal(err)
		}
		if long() == before {
			// The machine is faster, or the stop began late.
			if try > 30 {
				t.Skipf("no stop waited for a copy of %d MB for %v", len(buf)>>20, 2*last)
			}
			if len(buf) < 1<<28 {
				buf = make([]byte, 2*len(buf))
			}
			continue
		}
		if gap < last {
			t.Logf("%v between two cycles at most while a stop waited for a copy of %d MB", gap, len(buf)>>20)
			return
		}
		if try > 30 {
			t.Fatalf("%v between two cycles of 1 ms while a stop waited for an ordinary goroutine", gap)
		}
	}
}

// In a critical window no stop begins, for its bound of 10 ms.
func TestCritical(t *testing.T) {
	if !Supported() {
		Critical(time.Second)
		if s := ReadRuntimeStats(); s != (RuntimeStats{}) {
			t.Errorf("counters %+v", s)
		}
		t.Skip("stock Go has no critical windows")
	}
	needRT(t)
	before := ReadRuntimeStats()
	err := Do(Attr{Priority: 30}, func() error {
		time.Sleep(time.Millisecond)
		Critical(200 * time.Millisecond)
		defer Critical(0)
		took := make(chan time.Duration)
		go func() {
			begin := time.Now()
			cycles()
			took <- time.Since(begin)
		}()
		if d := <-took; d < 9*time.Millisecond {
			t.Errorf("a stop took %v in a critical window", d)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s := ReadRuntimeStats()
	if s.Forced == before.Forced || s.Stops == before.Stops || s.MaxWait < 9*time.Millisecond || s.Wait < s.MaxWait {
		t.Errorf("counters before %+v, after %+v", before, s)
	}
}

// A collection waits for slack, but not beyond the memory limit.
func TestCriticalLimit(t *testing.T) {
	needRT(t)
	if !Supported() {
		t.Skip("stock Go has no critical windows")
	}
	err := Do(Attr{Priority: 30}, func() error {
		Critical(time.Hour)
		defer Critical(0)
		// collect returns the smallest of some: a busy machine adds. It
		// tries until that is good.
		collect := func(n int, good time.Duration) (least time.Duration) {
			least = time.Hour
			for i := 0; i < n && least > good; i++ {
				took := make(chan time.Duration)
				go func() {
					begin := time.Now()
					runtime.GC()
					took <- time.Since(begin)
				}()
				least = min(least, <-took)
			}
			return least
		}
		slow := collect(5, 0)
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(1))
		fast := collect(100, slow-10*time.Millisecond)
		t.Logf("a collection took %v, beyond the memory limit %v", slow, fast)
		// Two stops wait 10 ms each.
		if slow < 20*time.Millisecond || fast > slow-10*time.Millisecond {
			t.Errorf("a collection took %v, beyond the memory limit %v", slow, fast)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Prepare keeps ordinary threads off the CPUs of tasks, those started later
// as well, and follows the cpuset.
func TestSplit(t *testing.T) {
	needRT(t)
	t.Parallel()
	if len(cpusetCPUs()) < 2 {
		t.Skip("one CPU")
	}
	mustChild(t, "split", nil)
	mustChild(t, "splitcpuset", nil)
}

// affinity returns the CPUs of a thread by /proc, which is not what the
// package asks.
func affinity(tid int) string {
	b, _ := os.ReadFile("/proc/self/task/" + strconv.Itoa(tid) + "/status")
	_, rest, _ := strings.Cut(string(b), "Cpus_allowed_list:")
	list, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(list)
}

// wantSplit checks the affinity of all threads. It waits for the next look of
// housekeeping: a thread that was being started when the CPUs were split has
// what its creator had before, and is brought to its place then.
func wantSplit(rest string, tasks map[int]string) {
	var bad string
	for end := time.Now().Add(3 * housekeepingPeriod); time.Now().Before(end); {
		bad = ""
		for _, th := range threads() {
			want := rest
			if w := tasks[th.tid]; w != "" {
				want = w
			}
			if got := affinity(th.tid); got != want && got != "" {
				bad = fmt.Sprintf("thread %d %q may run on %s, want %s", th.tid, th.name, got, want)
			}
		}
		if bad == "" {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	check(false, "%s", bad)
}

func init() {
	children["split"] = func() {
		cpus := cpusetCPUs()
		own := cpus[1:]
		rest, all := cpuList(cpus[:1]), cpuList(cpus)
		err := Prepare(Options{Memory: LockNone, CPUs: cpus})
		check(errors.Is(err, ErrCPU) && strings.Contains(err.Error(), "rest of the program"), "all CPUs for tasks: %v", err)
		err = Prepare(Options{Memory: LockNone, CPUs: []int{cpus[len(cpus)-1] + 1}})
		check(errors.Is(err, ErrCPU), "a CPU that there is not: %v", err)
		wantSplit(all, nil)

		must(Prepare(Options{Memory: LockNone, CPUs: own}))
		wantSplit(rest, nil)
		stop := make(chan bool)
		var tasks []*Task
		want := map[int]string{}
		for i := range 6 {
			a := Attr{Priority: 10 + i}
			w := cpuList(own)
			if i%2 == 1 {
				a.CPUs, w = cpus[:1], rest
			}
			task, err := Go(a, func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Millisecond):
						runtime.KeepAlive(make([]byte, 10<<10))
					}
				}
			})
			must(err)
			check(fmt.Sprint(task.Attr().CPUs) == fmt.Sprint(map[bool][]int{true: cpus[:1], false: own}[i%2 == 1]), "Attr().CPUs %v", task.Attr().CPUs)
			tasks = append(tasks, task)
			want[task.TID()] = w
		}
		// Threads that are started now, some by a task.
		var fds [2]int
		must(unix.Pipe(fds[:]))
		must(Do(Attr{Priority: 20}, func() error {
			for range 30 {
				go unix.Read(fds[0], make([]byte, 1)) // blocks the thread
			}
			time.Sleep(50 * time.Millisecond)
			return nil
		}))
		runtime.GC()
		n := len(threads())
		check(n > 30, "%d threads only", n)
		wantSplit(rest, want)
		check(exec.Command("true").Run() == nil, "a process")
		// A thread that has gone astray is brought back.
		var set unix.CPUSet
		set.Fill()
		for _, th := range threads() {
			if want[th.tid] == "" { // a task's is its own affair
				must(unix.SchedSetaffinity(th.tid, &set))
				break
			}
		}
		time.Sleep(housekeepingPeriod + 300*time.Millisecond)
		wantSplit(rest, want)
		close(stop)
		for _, task := range tasks {
			task.Wait()
		}
		wantSplit(rest, nil)
		unix.Close(fds[1])
		fmt.Println("ok")
	}

	// A control group that shrinks and grows.
	children["splitcpuset"] = func() {
		cpus := cpusetCPUs()
		dir := ""
		for _, base := range []string{"/sys/fs/cgroup/cpuset", "/sys/fs/cgroup"} {
			if _, err := os.Stat(base + "/cpuset.cpus"); err == nil {
				dir = filepath.Join(base, "rt-test-"+strconv.Itoa(os.Getpid()))
				break
			}
		}
		if dir == "" || os.Mkdir(dir, 0o755) != nil {
			fmt.Println("SKIP no cpuset control group can be made here")
			return
		}
		parent := filepath.Dir(dir)
		defer func() {
			os.WriteFile(parent+"/cgroup.procs", []byte(strconv.Itoa(os.Getpid())), 0)
			for range 100 {
				if syscall.Rmdir(dir) == nil {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			fmt.Println("ok")
		}()
		if b, err := os.ReadFile(parent + "/cpuset.mems"); err == nil {
			os.WriteFile(dir+"/cpuset.mems", b, 0)
		}
		write := func(l []int) { must(os.WriteFile(dir+"/cpuset.cpus", []byte(cpuList(l)), 0)) }
		write(cpus)
		must(os.WriteFile(dir+"/cgroup.procs", []byte(strconv.Itoa(os.Getpid())), 0))
		last := cpus[len(cpus)-1:]
		must(Prepare(Options{Memory: LockNone, CPUs: last}))
		stop := make(chan bool)
		task, err := Go(Attr{Priority: 10}, func() { <-stop })
		must(err)
		rest := cpuList(cpus[:len(cpus)-1])
		wantSplit(rest, map[int]string{task.TID(): cpuList(last)})
		write(cpus[:1]) // nothing is left for tasks: shared
		time.Sleep(housekeepingPeriod + 300*time.Millisecond)
		wantSplit(cpuList(cpus[:1]), nil)
		write(cpus)
		time.Sleep(housekeepingPeriod + 300*time.Millisecond)
		wantSplit(rest, map[int]string{task.TID(): cpuList(last)})
		close(stop)
		task.Wait()
	}
}

// The heap keeps to the collector's goal beside tasks that allocate and do no
// work for it, as well as beside ordinary goroutines. With -v it logs the heap
// over time.
func TestHeapGoal(t *testing.T) {
	needRT(t)
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	live := make([][]byte, 16<<10) // 32 MB
	for i := range live {
		live[i] = make([]byte, 2<<10)
	}
	control := 0.0
	for _, c := range []struct {
		name            string
		tasks, ordinary int
	}{
		{"others alone", 0, 2}, // the control
		{"tasks and others", 2, 2},
		{"tasks alone", 2, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			stop := make(chan bool)
			var wg sync.WaitGroup
			for range c.ordinary {
				wg.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
							sinks[2] = make([]byte, 1<<10)
						}
					}
				})
			}
			for i := range c.tasks {
				task, err := Go(Attr{Priority: 10 + i}, func() {
					for range Every(time.Millisecond) {
						for range 32 {
							sinks[i] = make([]byte, 1<<10)
						}
						select {
						case <-stop:
							return
						default:
						}
					}
				})
				if err != nil {
					t.Fatal(err)
				}
				wg.Go(func() { task.Wait() })
			}
			const cycles = 8
			var over []float64 // of each cycle, the largest heap by its goal
			s := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/goal:bytes"}, {Name: "/gc/heap/live:bytes"}}
			metrics.Read(s)
			first := s[0].Value.Uint64()
			last := first
			peak := 0.0
			begin := time.Now()
			for last < first+cycles+1 && time.Since(begin) < 20*time.Second {
				time.Sleep(2 * time.Millisecond)
				metrics.Read(s)
				n, heap, goal := s[0].Value.Uint64(), float64(s[1].Value.Uint64()), float64(s[2].Value.Uint64())
				t.Logf("%d ms: cycle %d, heap %.1f MB, goal %.1f MB, live %.1f MB", time.Since(begin).Milliseconds(), n-first, heap/1e6, goal/1e6, float64(s[3].Value.Uint64())/1e6)
				if n != last { // the goal is the next cycle's already
					if last != first {
						over = append(over, peak)
					}
					last, peak = n, 0
					continue
				}
				peak = max(peak, heap/goal)
			}
			close(stop)
			wg.Wait()
			if len(over) < 3 {
				t.Fatalf("%d collections; the test shows nothing", len(over))
			}
			slices.Sort(over)
			t.Logf("%d collections, largest heap by goal: median %.3f, most %.3f", len(over), over[len(over)/2], over[len(over)-1])
			// On a busy machine the collector comes late, in the control too.
			m := over[len(over)/2]
			if control == 0 {
				control = m
			} else if m > 1.25 && m > 1.25*control {
				t.Errorf("the heap grows to %.2f times its goal in most cycles, without tasks to %.2f times", m, control)
			}
		})
	}
	runtime.KeepAlive(live)
}

var sinks [4][]byte

// The heap profile has the allocations of tasks if the program has chosen the
// rate.
func TestHeapProfile(t *testing.T) {
	needRT(t)
	if !supported {
		t.Skip("stock Go samples every goroutine")
	}
	mustChild(t, "heapprofile", nil)
}

func init() {
	children["heapprofile"] = func() {
		check(runtime.MemProfileRate == 512<<10, "MemProfileRate is %d by default", runtime.MemProfileRate)
		sampled := func() bool {
			must(Do(Attr{Priority: 30}, func() error { profiled(64 << 20); return nil }))
			runtime.GC()
			runtime.GC()
			var profile strings.Builder
			must(pprof.Lookup("allocs").WriteTo(&profile, 1))
			return strings.Contains(profile.String(), "rt.profiled+")
		}
		check(!sampled(), "a task was sampled at the default rate")
		runtime.MemProfileRate = 64 << 10
		check(sampled(), "no allocation of 64 MB was sampled at another rate")
		fmt.Println("ok")
	}
}

//go:noinline
func profiled(n int) { allocate(n) }

// What a task allocates while the collector marks outlives the cycle even if
// nothing but its stack, which has been scanned, refers to it.
func TestAllocateBlack(t *testing.T) {
	needRT(t)
	mustChild(t, "allocateblack", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "GODEBUG=clobberfree=1") })
}

func init() {
	children["allocateblack"] = func() {
		var done atomic.Bool
		var collecting sync.WaitGroup
		collecting.Go(func() {
			for !done.Load() {
				runtime.GC()
			}
		})
		must(Do(Attr{Priority: 30}, func() error {
			for range 25 {
				onStack[[2]uint64]()
				onStack[[4]uint64]()
				onStack[[88]uint64]()
				onStack[struct {
					_ *int
					v [3]uint64
				}]()
			}
			return nil
		}))
		done.Store(true)
		collecting.Wait()
		fmt.Println("ok")
	}
}

// onStack allocates values of type T, pausing in between, and looks at them after
// two collections.
//
//go:noinline
func onStack[T comparable]() {
	const pause = 100 * time.Microsecond
	var zero T
	var keep [64]*T // stays on the stack: no write barrier tells the collector of them
	for i := range keep {
		keep[i] = new(T)
		time.Sleep(pause)
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	for n := m.NumGC; m.NumGC < n+2; runtime.ReadMemStats(&m) {
		time.Sleep(pause)
	}
	for i, p := range keep {
		check(*p == zero, "object %d of %T was freed: %v", i, zero, *p)
	}
}
