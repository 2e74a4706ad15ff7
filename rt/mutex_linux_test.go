// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var _ sync.Locker = (*Mutex)(nil)

func TestMutex(t *testing.T) {
	n := 20000
	if testing.Short() {
		n = 1000
	}
	var mu Mutex
	var wg sync.WaitGroup
	count := 0
	work := func() {
		for i := range n {
			mu.Lock()
			count++
			if i%1000 == 0 {
				runtime.Gosched()
			}
			mu.Unlock()
		}
	}
	const ordinary = 4
	for range ordinary {
		wg.Go(work)
	}
	tasks := 0
	for i := range 3 {
		wg.Add(1)
		if _, err := Go(Attr{Priority: 10 + i}, func() { defer wg.Done(); work() }); err != nil {
			t.Log(err)
			wg.Done()
		} else {
			tasks++
		}
	}
	wg.Wait()
	if count != (ordinary+tasks)*n {
		t.Errorf("count %d, want %d", count, (ordinary+tasks)*n)
	}
}

func TestTryLock(t *testing.T) {
	var mu Mutex
	if !mu.TryLock() {
		t.Fatal("TryLock of a free Mutex failed")
	}
	if mu.TryLock() {
		t.Error("TryLock succeeded again")
	}
	done := make(chan bool)
	go func() { done <- mu.TryLock() }()
	if <-done {
		t.Error("TryLock by another succeeded")
	}
	mu.Unlock()
	if !mu.TryLock() {
		t.Error("TryLock after Unlock failed")
	}
	mu.Unlock()
}

func TestMutexMisuse(t *testing.T) {
	panics := func(what, want string, f func()) {
		t.Helper()
		defer func() {
			t.Helper()
			r := recover()
			if _, ok := r.(runtime.Error); !ok || !strings.Contains(fmt.Sprint(r), want) {
				t.Errorf("%s: panic value %v, want a runtime.Error with %q", what, r, want)
			}
		}()
		f()
	}
	test := func() {
		var mu Mutex
		panics("Unlock of a free one", "unlocked", mu.Unlock)
		mu.Lock()
		panics("Lock again", "holds already", mu.Lock)
		done := make(chan bool)
		go func() {
			defer close(done)
			panics("Unlock by another", "another goroutine", mu.Unlock)
		}()
		<-done
		mu.Unlock()
		mu.Lock() // still usable
		mu.Unlock()
	}
	test()
	realtime(t, test)
}

// A Mutex held on entering must be released after leaving in the same order
// as always, or be refused.
func TestMutexAcross(t *testing.T) {
	needRT(t)
	var mu Mutex
	Do(Attr{Priority: 10}, func() error { mu.Lock(); return nil })
	if mu.TryLock() {
		t.Error("free after leaving real time")
	}
	if bad := realtimeThreads(); len(bad) > 0 {
		t.Errorf("real-time threads: %v", bad)
	}
	err := Do(Attr{Priority: 10}, func() error { return nil })
	mu.Unlock()
	if Supported() && err == nil {
		t.Error("entered real time with a Mutex held")
	}
	if err := Do(Attr{Priority: 10}, func() error { return nil }); err != nil {
		t.Error(err)
	}
	noRealtime(t)
}

func TestMutexCond(t *testing.T) {
	var mu Mutex
	cond := sync.NewCond(&mu)
	queue := 0
	var wg sync.WaitGroup
	consume := func() {
		for range 1000 {
			mu.Lock()
			for queue == 0 {
				cond.Wait()
			}
			queue--
			mu.Unlock()
		}
	}
	wg.Go(consume)
	wg.Add(1)
	if _, err := Go(Attr{Priority: 10}, func() { defer wg.Done(); consume() }); err != nil {
		wg.Done()
		wg.Go(consume)
	}
	for range 2000 {
		mu.Lock()
		queue++
		mu.Unlock()
		cond.Signal()
	}
	wg.Wait()
	if queue != 0 {
		t.Errorf("%d left in the queue", queue)
	}
}

// Misuse that ends the program.
func TestMutexFatal(t *testing.T) {
	needRT(t)
	for child, want := range map[string]string{
		"orphantask": "goroutine exits while it holds an rt.Mutex",
		"orphan":     "exit",
		"deadlock":   "rt",
	} {
		out, err := runChild(t, child, nil)
		if err == nil || !strings.Contains(out, want) || !strings.Contains(out, "goroutine ") {
			t.Errorf("%s: %v\n%s", child, err, out)
		}
	}
}

func init() {
	children["orphantask"] = func() {
		var mu Mutex
		_, err := Go(Attr{Priority: 10}, mu.Lock)
		check(err == nil, "%v", err)
		time.Sleep(10 * time.Second)
	}
	children["orphan"] = func() {
		var mu Mutex
		done := make(chan bool)
		go func() {
			// Not on the main thread, which outlives its goroutine.
			for unix.Gettid() == os.Getpid() {
				time.Sleep(time.Millisecond)
			}
			mu.Lock()
			close(done)
		}()
		<-done
		time.Sleep(100 * time.Millisecond)
		mu.Lock()
	}
	children["deadlock"] = func() {
		var a, b Mutex
		go func() {
			b.Lock()
			time.Sleep(100 * time.Millisecond)
			a.Lock()
		}()
		a.Lock()
		time.Sleep(50 * time.Millisecond)
		b.Lock()
		time.Sleep(10 * time.Second)
	}
}

// Who waits for a Mutex, or blocks while it holds one, leaves the only P to
// those who must run.
func TestMutexYieldsP(t *testing.T) {
	for _, child := range []string{"waiters", "holder"} {
		t.Run(child, func(t *testing.T) { mustChild(t, child, nil) })
	}
}

func init() {
	children["waiters"] = func() {
		time.AfterFunc(20*time.Second, func() { panic("hung") })
		for range 100 {
			runtime.GOMAXPROCS(1)
			var mu Mutex
			locked, wait := make(chan bool), make(chan bool)
			var wg sync.WaitGroup
			wg.Go(func() {
				mu.Lock()
				close(locked)
				<-wait // needs a P to go on
				mu.Unlock()
			})
			<-locked
			for range 3 {
				wg.Go(func() {
					mu.Lock()
					mu.Unlock()
				})
			}
			go func() {
				time.Sleep(100 * time.Microsecond)
				close(wait)
			}()
			wg.Wait()
		}
		fmt.Println("ok")
	}
	children["holder"] = func() {
		time.AfterFunc(20*time.Second, func() { panic("hung") })
		runtime.GOMAXPROCS(1)
		var fds [2]int
		check(unix.Pipe(fds[:]) == nil, "pipe")
		for range 100 {
			var mu Mutex
			go unix.Write(fds[1], []byte{1})
			mu.Lock()
			n, err := unix.Read(fds[0], make([]byte, 1)) // blocks the thread
			mu.Unlock()
			check(n == 1, "read: %v", err)
		}
		fmt.Println("ok")
	}
}

// invert makes low hold the lock, high wait for it, and medium keep the CPU
// from low for the time hog, all on one CPU. It returns how long high waited.
func invert(t *testing.T, mu sync.Locker, hog time.Duration) (waited time.Duration) {
	cpus := []int{lastCPU()}
	start := func(name string, priority int, f func()) *Task {
		task, err := Go(Attr{Name: name, Priority: priority, CPUs: cpus}, f)
		if err != nil {
			t.Fatal(err)
		}
		return task
	}
	locked, hogging := make(chan bool), make(chan bool)
	tasks := []*Task{
		start("high", 30, func() {
			<-locked
			close(hogging)
			begin := time.Now()
			mu.Lock()
			waited = time.Since(begin)
			mu.Unlock()
		}),
		start("medium", 20, func() {
			<-hogging
			burn(hog)
		}),
		start("low", 10, func() {
			mu.Lock()
			close(locked) // high goes on at once, then medium
			burn(time.Millisecond)
			mu.Unlock()
		}),
	}
	for _, task := range tasks {
		task.Wait()
	}
	return waited
}

// burn uses the CPU for the time d.
func burn(d time.Duration) {
	for begin := time.Now(); time.Since(begin) < d; {
	}
}

// Three priorities: with a plain mutex the most urgent task waits for one of
// the priority in between, with a Mutex it does not.
func TestInversion(t *testing.T) {
	if !Supported() {
		t.Skip("stock Go cannot promise it: the boosted thread may lack a P, and the plain mutex is not deterministic either")
	}
	needRT(t)
	const hog = 200 * time.Millisecond
	for range 3 {
		if d := invert(t, new(sync.Mutex), hog); d < hog {
			t.Errorf("with a sync.Mutex the wait was %v; the test does not show inversion", d)
		}
		if d := invert(t, new(Mutex), hog); d > hog/4 {
			t.Errorf("with a Mutex the wait was %v beside a medium task that computes for %v", d, hog)
		} else {
			t.Logf("with a Mutex: %v", d)
		}
	}
	noRealtime(t)
}

// Waiters get the lock by priority.
func TestMutexOrder(t *testing.T) {
	needRT(t)
	var mu Mutex
	var order []int
	var tasks []*Task
	mu.Lock()
	for _, p := range []int{20, 40, 10, 30} {
		task, err := Go(Attr{Priority: p}, func() {
			mu.Lock()
			order = append(order, p)
			mu.Unlock()
		})
		if err != nil {
			t.Fatal(err)
		}
		tasks = append(tasks, task)
	}
	time.Sleep(100 * time.Millisecond) // all wait
	mu.Unlock()
	for _, task := range tasks {
		task.Wait()
	}
	if fmt.Sprint(order) != "[40 30 20 10]" {
		t.Errorf("order %v, want by priority", order)
	}
	noRealtime(t)
}
