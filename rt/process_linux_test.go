// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A process that is SCHED_FIFO as a whole, on one CPU, goes on: the collector
// ends its cycles and timers fire. Under stock Go all of it waits for ever for
// a thread that its equals keep off the CPU (golang.org/issue/76353).
func TestProcessFIFO(t *testing.T) {
	needRT(t)
	if !supported {
		t.Skip("stock Go hangs here")
	}
	for _, procs := range []string{"1", "2", "4"} {
		mustChild(t, "fifoprocess", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "GOMAXPROCS="+procs) })
	}
}

type fifoTree struct {
	l, r *fifoTree
	data [6]int
}

func newFIFOTree(n int) *fifoTree {
	if n == 0 {
		return new(fifoTree)
	}
	return &fifoTree{l: newFIFOTree(n - 1), r: newFIFOTree(n - 1)}
}

func init() {
	children["fifoprocess"] = func() {
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(cpusetCPUs()[0])
		must(unix.SchedSetaffinity(0, &set))
		must(unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 20}, 0))
		os.Setenv("RT_TEST_CHILD", "fifosweep")
		err := syscall.Exec("/proc/self/exe", os.Args[:1], os.Environ())
		check(false, "exec: %v", err)
	}
	children["fifosweep"] = func() {
		for _, th := range threads() {
			check(th.policy != unix.SCHED_NORMAL, "thread %v is ordinary; the test shows nothing", th)
		}
		var live [16]*fifoTree
		for i := range live {
			live[i] = newFIFOTree(10)
		}
		var trees atomic.Int64
		for range 8 {
			go func() {
				for {
					newFIFOTree(8)
					runtime.KeepAlive(make([]byte, 100<<10))
					trees.Add(1)
				}
			}()
		}
		for range 10 {
			time.Sleep(20 * time.Millisecond)
			runtime.GC()
		}
		check(trees.Load() > 0, "the allocating goroutines did not run")
		runtime.KeepAlive(&live)
		fmt.Println("ok")
	}
}

// The runtime's locks change how they are taken when the first goroutine of a
// process becomes real-time, whatever holds or wants one just then. What gets
// lost there would leave a lock taken for ever.
func TestFirstTask(t *testing.T) {
	needRT(t)
	for range 15 {
		mustChild(t, "firsttask", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "GOMAXPROCS=16") })
	}
}

func init() {
	children["firsttask"] = func() {
		// More threads than CPUs, so that most are off the CPU at any time, and
		// all of them most of the time in or near a lock.
		c := make(chan int, 1000)
		send := func() {
			select {
			case c <- 1:
			default:
			}
		}
		receive := func() {
			select {
			case <-c:
			default:
			}
		}
		var ops [16]atomic.Int64
		for i := range ops {
			go func() {
				for {
					send()
					ops[i].Add(1)
					receive()
				}
			}()
		}
		time.Sleep(5 * time.Millisecond)
		done := make(chan error)
		for range 4 {
			go func() {
				done <- Do(Attr{Policy: FIFO, Priority: 10}, func() error {
					for range 200 {
						send()
						receive()
						time.Sleep(20 * time.Microsecond)
					}
					return nil
				})
			}()
		}
		for range 4 {
			must(<-done)
		}
		var before [len(ops)]int64
		for i := range ops {
			before[i] = ops[i].Load()
		}
		for i := range ops {
			for ops[i].Load() == before[i] {
				time.Sleep(time.Millisecond)
			}
		}
		fmt.Println("ok")
	}
}
