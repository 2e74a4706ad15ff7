// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

// A MemoryLock says how [Prepare] locks the memory of the process
// (mlockall(2)). A page that is locked is never taken away again; the question
// is when it comes to be there.
type MemoryLock int

const (
	// LockResident makes every page mapped now resident (program, libraries,
	// stacks, the heap as far as it reaches) and locks what is mapped later
	// as it is touched.
	LockResident MemoryLock = iota

	// LockOnFault locks each page as it is first touched, and brings none
	// in: the least memory, and one page fault per page.
	LockOnFault

	// LockAll makes everything resident, now and whenever memory is mapped.
	// In a Go program this is harmful as long as the heap grows: the runtime
	// maps it in pieces of megabytes, and whoever needs the piece waits
	// until all of it is filled with zeroes (30 to 90 ms were measured),
	// other goroutines behind it. Choose it for programs that have
	// reached their full heap when they call Prepare.
	LockAll

	// LockNone leaves the memory unlocked.
	LockNone
)

// Options say what [Prepare] does. The zero value is right for most programs.
type Options struct {
	Memory MemoryLock

	// Heap is how much of the heap is made ready, bytes: allocated, touched
	// and freed again, so that what the program allocates later is there. A
	// task that allocates no more than that between two collections takes no
	// page fault for it. 0 is none.
	Heap int

	// Stack is how much of its stack each task touches when it begins, bytes.
	// The stack of a task never shrinks. 0 is 64 KB, negative none.
	Stack int

	// CPUs are those of tasks that name none themselves ([Attr].CPUs); all
	// other threads of the process, those of the runtime and the collector
	// included, are kept off them, without isolcpus or other boot parameters.
	// At least one CPU of the cpuset must be left for these. The process
	// follows changes of its control group's cpuset within a second or two.
	// GOMAXPROCS follows the CPUs that are left unless the program sets it.
	// A task with policy Deadline runs on every CPU, as the kernel wants it.
	// None leaves the affinity of all threads.
	CPUs []int
}

// Prepare readies the process for real time. Call it at the start of main,
// after the program has allocated what it will need and before the first task.
// It applies to the whole process and cannot be undone. It
//
//   - raises the soft RLIMIT_RTPRIO to the hard limit, so that tasks may use
//     what the administrator granted;
//   - makes o.Heap bytes of the heap resident;
//   - notes o.Stack for the tasks to come;
//   - splits the CPUs as o.CPUs says;
//   - locks the memory as o.Memory says, which needs CAP_IPC_LOCK or an
//     unlimited RLIMIT_MEMLOCK. A finite limit is refused even where the
//     memory would fit for now: the runtime could not get more later, and
//     that ends a Go program.
//
// Locked memory is not given back to the system: the collector's scavenger
// tries in vain. Page faults at first touch remain (see [LockResident]).
//
// What could not be done does not keep Prepare from doing the rest. The error
// joins an [*Error] for each such thing, which says how to fix it. A program
// may go on without: it is then exposed to page faults, and right otherwise.
func Prepare(o Options) error { return prepare(o) }
