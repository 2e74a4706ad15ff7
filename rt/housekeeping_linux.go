// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// housekeeping keeps ordinary threads off the CPUs of tasks. New threads are
// started by ordinary ones and have their affinity, so it is enough to set that
// of those there are, and to look again now and then: the control group's
// cpuset may change, and a task that entered before may give its thread an old
// affinity back.
type housekeeper struct {
	// entering is held for reading while a goroutine enters real time, so that
	// apply never takes the thread of a new task for an ordinary one.
	entering sync.RWMutex

	mu   sync.Mutex
	want []int // as given; nil if there is no split

	cpus atomic.Pointer[[]int] // of tasks without CPUs of their own
}

var housekeeping housekeeper

// housekeepingPeriod is how often the threads and the cpuset are looked at.
const housekeepingPeriod = time.Second

// split gives the CPUs to tasks and the others of the cpuset to all other
// threads. The process follows the cpuset from then on.
func split(cpus []int) error {
	a, err := Attr{Priority: 1, CPUs: cpus}.check()
	if err != nil {
		return err
	}
	cpuset := cpusetCPUs()
	if len(without(a.CPUs, cpuset)) > 0 {
		return cpuError(&a, 0)
	}
	if len(without(cpuset, a.CPUs)) == 0 {
		return &Error{
			Kind:    ErrCPU,
			Problem: "CPUs " + cpuList(a.CPUs) + " for tasks leave none of the allowed set " + cpuList(cpuset) + " for the rest of the program",
			Fix:     "leave one, or Options.CPUs nil",
		}
	}
	h := &housekeeping
	h.mu.Lock()
	defer h.mu.Unlock()
	first := h.want == nil
	h.want = a.CPUs
	h.apply(cpuset)
	if first {
		go func() {
			for range time.Tick(housekeepingPeriod) {
				h.mu.Lock()
				h.apply(cpusetCPUs())
				h.mu.Unlock()
			}
		}()
	}
	return nil
}

// without returns the elements of a that are not in b.
func without(a, b []int) (l []int) {
	for _, c := range a {
		if !slices.Contains(b, c) {
			l = append(l, c)
		}
	}
	return l
}

func cpuSet(cpus []int) unix.CPUSetDynamic {
	set := unix.NewCPUSet(maxCPU)
	for _, c := range cpus {
		set.Set(c)
	}
	return set
}

// apply sets the affinity of every thread. mu is held. If the cpuset has become
// so small that one side would have no CPU, both share what there is.
func (h *housekeeper) apply(cpuset []int) {
	rest := without(cpuset, h.want)
	own := without(cpuset, rest)
	if len(own) == 0 || len(rest) == 0 {
		own, rest = cpuset, cpuset
	}
	h.entering.Lock()
	defer h.entering.Unlock()
	h.cpus.Store(&own)
	ownSet, restSet := cpuSet(own), cpuSet(rest)
	now := unix.NewCPUSet(maxCPU)
	set := func(tid int, want unix.CPUSetDynamic) {
		if unix.SchedGetaffinityDynamic(tid, now) == nil && !slices.Equal(now, want) {
			unix.SchedSetaffinityDynamic(tid, want)
		}
	}
	tids := map[int]bool{} // of tasks
	if l := tasks.Load(); l != nil {
		for _, t := range *l {
			tid := t.TID()
			tids[tid] = true
			if t.split && tid != 0 {
				set(tid, ownSet)
			}
		}
	}
	// Threads may start others meanwhile: until a pass finds nothing new.
	seen := map[int]bool{}
	for again := true; again; {
		again = false
		dir, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return
		}
		for _, d := range dir {
			tid, _ := strconv.Atoi(d.Name())
			if tids[tid] || seen[tid] {
				continue
			}
			seen[tid] = true
			again = true
			set(tid, restSet)
		}
	}
}

// splitCPUs returns the CPUs of tasks that name none, nil if there is no
// split.
func splitCPUs() []int {
	if l := housekeeping.cpus.Load(); l != nil {
		return *l
	}
	return nil
}
