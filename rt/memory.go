// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"fmt"
	"runtime"
	"sync/atomic"
)

// NoGC calls f while no garbage collection begins by itself, as long as the
// process, all its goroutines together, allocates no more than bytes
// meanwhile. The memory is allocated, touched and freed again before f is
// called, which takes the time of a collection: open regions ahead of what
// they are for, and from an ordinary goroutine.
//
// Regions may overlap; their budgets add up, but what a later one allocates to
// make it ready counts in those that are open. [runtime.GC] collects whatever
// is open.
//
// NoGC returns an [*Error] of kind
//
//   - [ErrAttr] if bytes is not positive, and f is not called;
//   - [ErrMemoryLimit] if the budget does not fit into the memory limit
//     (GOMEMLIMIT, [runtime/debug.SetMemoryLimit]), and f is not called;
//   - [ErrBudget] if more was allocated than bytes, or the memory limit was
//     reached, so that the collector may have run: f has been called.
//
// Without rtgo the collector is switched off (GOGC=off) for the whole time
// instead, which the memory limit alone overrules, and ErrBudget is found out
// afterwards.
func NoGC(bytes int, f func()) (err error) {
	if bytes <= 0 {
		return &Error{Kind: ErrAttr, Problem: fmt.Sprintf("a no-GC region of %d bytes", bytes), Fix: "give a positive number"}
	}
	end, err := startNoGC(bytes)
	if err != nil {
		return err
	}
	defer func() { err = end() }()
	f()
	return nil
}

func errNoRoom(bytes int) error {
	return &Error{Kind: ErrMemoryLimit, Problem: fmt.Sprintf("%d bytes more than the live heap exceed the memory limit", bytes), Fix: "ask for less, or raise GOMEMLIMIT (debug.SetMemoryLimit)"}
}

func errBroken(bytes int) error {
	return &Error{Kind: ErrBudget, Problem: fmt.Sprintf("more than %d bytes were allocated, or the memory limit was reached", bytes), Fix: "give a larger budget; Go's heap profile (go tool pprof -alloc_space) shows who allocates"}
}

// prefault makes bytes of the heap resident: it allocates and touches them, and
// gives them back to the heap.
func prefault(bytes int) {
	const piece = 1 << 20
	held := make([][]byte, 0, bytes/piece+1)
	for ; bytes > 0; bytes -= piece {
		b := make([]byte, min(bytes, piece))
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		held = append(held, b)
	}
	runtime.KeepAlive(held)
	runtime.GC()
}

// taskStack is how much of its stack a task touches before anything else,
// bytes.
var taskStack atomic.Int64

const defaultTaskStack = 64 << 10

// touchStack makes the stack of the goroutine at least n bytes large, which
// it remains in real time, and touches it.
//
//go:noinline
func touchStack(n int64) byte {
	var frame [4 << 10]byte
	for i := 0; i < len(frame); i += 1 << 10 {
		frame[i] = byte(n)
	}
	if n > int64(len(frame)) {
		frame[0] += touchStack(n - int64(len(frame)))
	}
	return frame[0]
}
