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
}

// Prepare readies the process for real time. Call it at the start of main,
// after the program has allocated what it will need and before the first task.
// It applies to the whole process and cannot be undone. It
//
//   - raises the soft RLIMIT_RTPRIO to the hard limit, so that tasks may use
//     what the administrator granted;
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
