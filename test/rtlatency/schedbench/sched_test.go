// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package schedbench

import (
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rtgo.dev/rtgo/test/rtlatency/clock"
)

func procs(b *testing.B, n int) {
	old := runtime.GOMAXPROCS(n)
	b.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

// quantiles reports the distribution of samples in nanoseconds.
func quantiles(b *testing.B, ns []int64) {
	slices.Sort(ns)
	at := func(q float64) float64 { return float64(ns[min(int(q*float64(len(ns))), len(ns)-1)]) }
	b.ReportMetric(at(.5), "p50-ns")
	b.ReportMetric(at(.99), "p99-ns")
	b.ReportMetric(float64(ns[len(ns)-1]), "max-ns")
}

// BenchmarkContextSwitch: one goroutine to the next on one P.
func BenchmarkContextSwitch(b *testing.B) {
	procs(b, 1)
	stop := make(chan struct{})
	var quit atomic.Bool
	go func() {
		defer close(stop)
		for !quit.Load() {
			runtime.Gosched()
		}
	}()
	for b.Loop() {
		runtime.Gosched() // there and back: two switches
	}
	quit.Store(true)
	<-stop
}

// BenchmarkChannelSwitch: the same by an unbuffered channel, one way.
func BenchmarkChannelSwitch(b *testing.B) {
	procs(b, 1)
	c, d := make(chan struct{}), make(chan struct{})
	go func() {
		for range c {
			d <- struct{}{}
		}
	}()
	for b.Loop() {
		c <- struct{}{}
		<-d
	}
	close(c)
}

// BenchmarkHandoffP: the same to a goroutine that is locked to its thread:
// the P is handed from thread to thread, there and back.
func BenchmarkHandoffP(b *testing.B) {
	procs(b, 1)
	c, d := make(chan struct{}), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for range c {
			d <- struct{}{}
		}
	}()
	for b.Loop() {
		c <- struct{}{}
		<-d
	}
	close(c)
}

// BenchmarkSyscall: into the kernel and back with the P still there.
func BenchmarkSyscall(b *testing.B) {
	for b.Loop() {
		syscall.Getppid()
	}
}

// BenchmarkSyscallRaw is what of it is the kernel's.
func BenchmarkSyscallRaw(b *testing.B) {
	for b.Loop() {
		syscall.RawSyscall(syscall.SYS_GETPPID, 0, 0, 0)
	}
}

// BenchmarkRebindM: back from a system call of 100 µs during which another
// goroutine took the P: how long after its due time the goroutine runs.
func BenchmarkRebindM(b *testing.B) {
	procs(b, 1)
	var quit atomic.Bool
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for !quit.Load() {
			runtime.Gosched()
		}
	}()
	ns := make([]int64, 0, 1<<16)
	for b.Loop() {
		when := clock.Now() + 100_000
		clock.SleepUntil(when)
		ns = append(ns, clock.Now()-when)
	}
	quit.Store(true)
	<-stop
	quantiles(b, ns)
}

// BenchmarkSteal: from the go statement of a goroutine that goes on
// computing to the new one running, which another P must steal.
func BenchmarkSteal(b *testing.B) {
	if runtime.NumCPU() < 2 {
		b.Skip("needs two CPUs")
	}
	procs(b, 2)
	ns := make([]int64, 0, 1<<16)
	var ran atomic.Int64
	for b.Loop() {
		ran.Store(0)
		begin := clock.Now()
		go func() { ran.Store(clock.Now()) }()
		for ran.Load() == 0 {
			// Not a scheduling point: this P stays busy. Preemption after
			// 10 ms would let the new goroutine run here, which counts.
		}
		ns = append(ns, ran.Load()-begin)
	}
	quantiles(b, ns)
}

// BenchmarkStealProbe: the same where the thief looks at many idle Ps first.
func BenchmarkStealProbe(b *testing.B) {
	if runtime.NumCPU() < 2 {
		b.Skip("needs two CPUs")
	}
	procs(b, 64)
	ns := make([]int64, 0, 1<<16)
	var ran atomic.Int64
	for b.Loop() {
		ran.Store(0)
		begin := clock.Now()
		go func() { ran.Store(clock.Now()) }()
		for ran.Load() == 0 {
		}
		ns = append(ns, ran.Load()-begin)
	}
	quantiles(b, ns)
}

// BenchmarkWake: a parked goroutine made ready by a timer.
func BenchmarkWake(b *testing.B) {
	ns := make([]int64, 0, 1<<16)
	for b.Loop() {
		begin := clock.Now()
		time.Sleep(100 * time.Microsecond)
		ns = append(ns, clock.Now()-begin-100_000)
	}
	quantiles(b, ns)
}
