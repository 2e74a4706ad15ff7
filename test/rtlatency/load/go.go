// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package load

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"syscall"
	"time"
)

func init() {
	register(kind{"alloc", "MB", 100, "4 goroutines build small trees beside a live heap of MB", startAlloc})
	register(kind{"cpu", "goroutines", 4, "goroutines that compute and never block", startCPU})
	register(kind{"churn", "goroutines", 4, "each starts and awaits 100 short goroutines, again and again", startChurn})
	register(kind{"stw", "per-second", 500, "stop-the-world storm: ReadMemStats, goroutine profiles, GOMAXPROCS changes, GC; 0 is back to back", startSTW})
	register(kind{"gc", "MB", 100, "collections back to back over a live heap of MB", startGC})
	register(kind{"syscall", "goroutines", 4, "short and blocking system calls", startSyscall})
	register(kind{"bigmap", "entries", 1 << 20, "a map of that many entries, updated and rebuilt", startBigMap})
	register(kind{"large", "MB", 32, "objects of 64 KB to MB, allocated and dropped", startLarge})
	register(kind{"span", "goroutines", 4, "goroutines that allocate 64 KB objects, each of which takes the heap's lock", startSpan})
	register(kind{"parked", "goroutines", 100_000, "goroutines that wait and do nothing", startParked})
	register(kind{"gosched", "goroutines", 1, "goroutines that only yield", startGosched})
}

type node struct {
	l, r *node
	v    [6]int64
}

func tree(depth int) *node {
	n := &node{v: [6]int64{int64(depth)}}
	if depth > 0 {
		n.l, n.r = tree(depth-1), tree(depth-1)
	}
	return n
}

const (
	liveDepth = 13 // 16,383 nodes of 64 bytes, 1 MB
	treeDepth = 9  // 1,023 nodes
)

// liveHeap returns about mb megabytes of small linked objects.
func liveHeap(mb int) []*node {
	live := make([]*node, mb)
	for i := range live {
		live[i] = tree(liveDepth)
	}
	return live
}

func startAlloc(r *Running, mb int) error {
	live := liveHeap(mb)
	sinks := make([]*node, 4)
	r.each(len(sinks), func(i int) { sinks[i] = tree(treeDepth) })
	r.undo = append(r.undo, func() { runtime.KeepAlive(live); runtime.KeepAlive(sinks) })
	r.info = append(r.info, fmt.Sprintf("alloc: %d goroutines build trees of %d nodes, live heap %d MB", len(sinks), 1<<(treeDepth+1)-1, mb))
	return nil
}

var sink struct {
	sync.Mutex
	n uint64
}

func startCPU(r *Running, n int) error {
	r.each(n, func(i int) {
		x := uint64(i) + 1
		for range 1_000_000 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
		}
		sink.Lock()
		sink.n += x
		sink.Unlock()
	})
	r.info = append(r.info, fmt.Sprintf("cpu: %d goroutines compute", n))
	return nil
}

func startChurn(r *Running, n int) error {
	r.each(n, func(int) {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {})
		}
		wg.Wait()
	})
	r.info = append(r.info, fmt.Sprintf("churn: %d goroutines start 100 each at a time", n))
	return nil
}

func startSpan(r *Running, n int) error {
	keep := make([][]byte, n)
	r.each(n, func(i int) { keep[i] = make([]byte, 64<<10) })
	r.undo = append(r.undo, func() { runtime.KeepAlive(keep) })
	r.info = append(r.info, fmt.Sprintf("span: %d goroutines allocate 64 KB objects", n))
	return nil
}

func startParked(r *Running, n int) error {
	var begun sync.WaitGroup
	begun.Add(n)
	for range n {
		r.wg.Go(func() {
			r.ops.Add(1)
			begun.Done()
			<-r.quit
		})
	}
	begun.Wait()
	r.info = append(r.info, fmt.Sprintf("parked: %d goroutines wait on a channel", n))
	return nil
}

func startGosched(r *Running, n int) error {
	r.each(n, func(int) { runtime.Gosched() })
	r.info = append(r.info, fmt.Sprintf("gosched: %d goroutines yield", n))
	return nil
}

func startSTW(r *Running, rate int) error {
	procs := runtime.GOMAXPROCS(0)
	r.undo = append(r.undo, func() { runtime.GOMAXPROCS(procs) })
	var ms runtime.MemStats
	profile := pprof.Lookup("goroutine")
	i := 0
	r.each(1, func(int) {
		switch i++; {
		case i%64 == 0:
			runtime.GC()
		case i%4 == 0:
			runtime.GOMAXPROCS(procs + i/4%2)
		case i%4 == 1:
			profile.WriteTo(io.Discard, 0)
		default:
			runtime.ReadMemStats(&ms)
		}
		if rate > 0 {
			r.pause(time.Second / time.Duration(rate))
		}
	})
	r.info = append(r.info, fmt.Sprintf("stw: %d stops a second (0: back to back)", rate))
	return nil
}

func (r *Running) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.quit:
	}
}

func startGC(r *Running, mb int) error {
	live := liveHeap(mb)
	r.each(1, func(int) { runtime.GC() })
	r.undo = append(r.undo, func() { runtime.KeepAlive(live) })
	r.info = append(r.info, fmt.Sprintf("gc: back to back over %d MB", mb))
	return nil
}

func startSyscall(r *Running, n int) error {
	zero, err := os.Open("/dev/zero")
	if err != nil {
		return err
	}
	fd := int(zero.Fd()) // blocking mode: no netpoller
	r.undo = append(r.undo, func() { zero.Close() })
	bufs := make([][]byte, n)
	r.each(n, func(i int) {
		if bufs[i] == nil {
			bufs[i] = make([]byte, 4096)
		}
		for range 100 {
			syscall.Read(fd, bufs[i])
			syscall.Getppid()
		}
		ts := syscall.NsecToTimespec(50_000)
		syscall.Nanosleep(&ts, nil)
	})
	r.info = append(r.info, fmt.Sprintf("syscall: %d goroutines", n))
	return nil
}

func startBigMap(r *Running, n int) error {
	fill := func() map[int]*node {
		m := make(map[int]*node)
		for i := range n {
			if r.stop.Load() {
				break
			}
			m[i] = &node{}
		}
		return m
	}
	m := fill()
	k := 0
	r.each(1, func(int) {
		for range 1000 {
			k = (k*1103515245 + 12345) & 0x7fffffff
			m[k%max(n, 1)] = &node{}
			delete(m, (k>>3)%max(n, 1))
		}
		if k%4096 < 4 {
			m = fill()
		}
	})
	r.info = append(r.info, fmt.Sprintf("bigmap: %d entries", n))
	return nil
}

func startLarge(r *Running, mb int) error {
	if mb < 1 {
		return fmt.Errorf("needs at least 1 MB")
	}
	keep := make([][]byte, 4)
	i := 0
	r.each(1, func(int) {
		size := 64 << 10 << (i % 16)
		if size > mb<<20 {
			size = mb << 20
		}
		b := make([]byte, size)
		for j := 0; j < len(b); j += 4096 {
			b[j] = 1
		}
		keep[i%len(keep)] = b
		i++
	})
	r.undo = append(r.undo, debug.FreeOSMemory)
	r.info = append(r.info, fmt.Sprintf("large: objects up to %d MB", mb))
	return nil
}
