// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const maxWorkers = 64

// A board is memory that the process under test shares with the one that
// watches it, which can read it whatever became of the other's runtime.
type board struct {
	ops     atomic.Uint64 // operations ended
	tasks   atomic.Uint64 // times that real time was entered
	refused atomic.Uint64 // times that the kernel refused a deadline
	checks  atomic.Uint64 // times that the whole process was checked
	slots   [2 * maxWorkers]slot
}

// A slot says what a worker does.
type slot struct {
	op   atomic.Uint32 // number of the operation + 1; 0: none
	tid  atomic.Int32  // thread of the task; 0: ordinary
	prio atomic.Int32
	n    atomic.Uint64 // operations begun
}

const boardFD = 3 // in the process under test

func isTested() bool { return os.Getenv("RTSTRESS_TESTED") == "1" }

// newBoard makes a board and a file to pass on.
func newBoard() (*board, *os.File, error) {
	fd, err := unix.MemfdCreate("rtstress", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("memfd_create: %w", err)
	}
	f := os.NewFile(uintptr(fd), "board")
	if err := f.Truncate(int64(unsafe.Sizeof(board{}))); err != nil {
		return nil, nil, err
	}
	b, err := openBoard(fd)
	return b, f, err
}

func openBoard(fd int) (*board, error) {
	m, err := unix.Mmap(fd, 0, int(unsafe.Sizeof(board{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	return (*board)(unsafe.Pointer(&m[0])), nil
}
