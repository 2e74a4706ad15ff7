// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Memory while there are real-time goroutines.
//
// Two things make a page fault of an ordinary thread the business of a
// real-time one, and both are off while there are tasks:
//
//   - Transparent huge pages. A thread that first touches a fresh huge page
//     waits until the kernel has cleared 2 MB. It cannot be stopped meanwhile,
//     so a stop-the-world waits for it, and every task with it (1.2 to 2.3 ms
//     in the lab, in the first stop after the heap had grown). The first task
//     sets PR_SET_THP_DISABLE for the process, the last one restores what it
//     found. Huge pages that are there stay.
//   - The background scavenger. What it gives back to the kernel comes again
//     as a page fault, maybe of a task. It rests. Allocation still scavenges
//     when the heap reaches GOMEMLIMIT.
//
// A third one is the runtime's own memory, which a stop-the-world may be the
// first to touch. The sets of spans of each size class come with their first
// span, and a stop empties the caches of all Ps: some hundred page faults, 1.1 to
// 2.6 ms of the first stops in the lab. rtWarmSpanSets brings them in before the
// first task begins. A stop that sweeps may have to clear a piece of 64 KB for
// mark bits that has hardly been used before: nine page faults, which made a task
// with 70 % utilization 237 µs late once, in the first cycles. What the runtime
// has mapped for itself is brought in before the first task begins, and what it
// maps later by the rtrefill thread in its next turn, or by a stop or a safepoint
// round that comes before that. They ask the kernel to do it (Linux 5.14 and later),
// since a piece may be unmapped meanwhile, as buffers of the execution trace are.
//
// Fresh spans are touched by who needs them first, and some stops allocate with
// the world stopped, or need a larger stack, or write to memory of the caller.
// rtWarmCache, rtSemacquire, rtTouch and rtTouchProfile see to it before. (Four page
// faults in a goroutine profile's first stops made a task with 70 % utilization 80
// µs late, eight for the stack of a collector's worker 217 µs, at any time.)
//
// A page fault is not only slow. It may wait for a lock of the kernel's memory
// management whose holder, an ordinary thread of whatever process, then runs with
// the priority of who waits until it lets go: beside stress-ng's vm stressor that
// was two milliseconds once, in a stop that should have lasted a tenth of one.
//
// Large objects, stacks and data that a task touches first are still page faults
// of its own; Prepare of package rtgo.dev/rtgo/rt is for that. Spans of small
// objects come from the reserve (rt_reserve.go), already touched.

package runtime

import (
	"internal/cpu"
	"internal/goarch"
	"internal/profilerecord"
	"internal/runtime/atomic"
	"internal/runtime/gc"
	"internal/runtime/syscall/linux"
	"unsafe"
)

const (
	_PR_SET_THP_DISABLE  = 41
	_PR_GET_THP_DISABLE  = 42
	_MADV_POPULATE_WRITE = 23
)

// rtNoTHP is set while huge pages are off, and not by the program. Written with
// rtWatch.lock held.
var rtNoTHP bool

// rtMemUpdate adapts the process to whether there are tasks, for
// rtWatchUpdate.
func rtMemUpdate() {
	on := atomic.Load(&rtSched.active) != 0
	if on == rtNoTHP {
		return
	}
	if !on {
		linux.Syscall6(rtSYS_prctl, _PR_SET_THP_DISABLE, 0, 0, 0, 0, 0)
		rtNoTHP = false
		return
	}
	off, _, e := linux.Syscall6(rtSYS_prctl, _PR_GET_THP_DISABLE, 0, 0, 0, 0, 0)
	if e == 0 && off == 0 {
		_, _, e = linux.Syscall6(rtSYS_prctl, _PR_SET_THP_DISABLE, 1, 0, 0, 0, 0)
		rtNoTHP = e == 0
	}
}

// rtWarmed is set by the first who comes to rtWarmSpanSets.
var rtWarmed atomic.Uint32

// rtWarmSpanSets gives each set of spans its spine, as spanSet.push would, and
// puts as many blocks into their pool as there are sets in use at a time: the
// swept of each class. That is 2.2 MB.
//
//go:systemstack
func rtWarmSpanSets() {
	const (
		spine = spanSetInitSpineCap * goarch.PtrSize
		block = unsafe.Sizeof(spanSetBlock{})
	)
	for i := range mheap_.central {
		c := &mheap_.central[i].mcentral
		for j := range 2 {
			for _, b := range [...]*spanSet{&c.partial[j], &c.full[j]} {
				lock(&b.spineLock)
				if b.spineCap == 0 {
					p := persistentalloc(spine, cpu.CacheLineSize, &memstats.gcMiscSys)
					rtTouch(p, spine)
					b.spine.StoreNoWB(spanSetSpinePointer{p})
					b.spineCap = spanSetInitSpineCap
				}
				unlock(&b.spineLock)
			}
			p := persistentalloc(block, max(cpu.CacheLineSize, tagAlign), &memstats.gcMiscSys)
			rtTouch(p, block)
			spanSetBlockPool.free((*spanSetBlock)(p))
		}
	}
}

// rtFresh are the pieces of memory that the runtime has mapped for itself and
// nobody has brought in on purpose: the last of as many as there is room for.
var rtFresh struct {
	n     atomic.Uint32 // noted since the program began
	left  atomic.Int32  // in piece
	piece [256]atomic.Uintptr
}

const (
	// rtFreshMax is the largest mapping that is brought in, bytes. The table of
	// the profilers' buckets has 1.4 MB.
	rtFreshMax = 2 << 20

	// rtFreshPart is how much of it is one piece, which is brought in at a time,
	// bytes.
	rtFreshPart = 64 << 10
)

// rtSysAlloc notes memory that sysAlloc has mapped. An entry is the address, and in
// the bits that are 0 in it the size in units of 4 KB.
//
//go:nosplit
func rtSysAlloc(p unsafe.Pointer, size uintptr) {
	if p == nil || size > rtFreshMax {
		return
	}
	for off := uintptr(0); off < size; off += rtFreshPart {
		i := rtFresh.n.Add(1) - 1
		w := (uintptr(p) + off) | (min(size-off, rtFreshPart)+4095)/4096
		if rtFresh.piece[i%uint32(len(rtFresh.piece))].Swap(w) == 0 {
			rtFresh.left.Add(1)
		}
	}
}

// rtFreshTouch brings in what has been noted.
func rtFreshTouch() {
	for rtFreshPiece() {
	}
}

// rtFreshPiece brings in one piece of what has been noted, and reports whether there
// was one. The rtrefill thread makes way for a stop before, and that brings in the
// rest before it stops the tasks.
func rtFreshPiece() bool {
	for i := 0; i < len(rtFresh.piece) && rtFresh.left.Load() != 0; i++ {
		rtRefillYield()
		if w := rtFresh.piece[i].Swap(0); w != 0 {
			rtFresh.left.Add(-1)
			madvise(unsafe.Pointer(w&^4095), w&4095*4096, _MADV_POPULATE_WRITE)
			return true
		}
	}
	return false
}

// rtTouch brings in the n bytes at p. Others may be using them: an atomic write that
// changes nothing disturbs none.
//
//go:nosplit
func rtTouch(p unsafe.Pointer, n uintptr) {
	if n == 0 {
		return
	}
	for off := uintptr(0); off < n; off += physPageSize {
		atomic.Or8((*uint8)(add(p, off)), 0)
	}
	atomic.Or8((*uint8)(add(p, n-1)), 0)
}

// rtTouchProfile is rtTouch for what a goroutine profile writes to with the world
// stopped: the records and labels of the caller and of the tasks, and pcbuf.
func rtTouchProfile(p []profilerecord.StackRecord, labels []unsafe.Pointer, pcbuf []uintptr) {
	n := int(atomic.Load(&rtSched.active)) + 1
	rtTouchSlice(p, n)
	rtTouchSlice(labels, n)
	rtTouchSlice(pcbuf, len(pcbuf))
}

func rtTouchSlice[T any](s []T, n int) {
	var t T
	rtTouch(unsafe.Pointer(unsafe.SliceData(s)), uintptr(min(n, len(s)))*unsafe.Sizeof(t))
}

// rtWarmCache makes room for what a stop for the given reason allocates once the
// tasks have stopped, so that it needs no span then: two page faults and a search
// for a fresh one, and after a cycle up to a hundred to be swept first. A change of
// GOMAXPROCS allocates slices of pointers to Ps and of numbers of Ps, and Ps if there
// have never been as many; a goroutine profile the stacks of the caller and of the
// tasks. If the P of the caller is one of those that a change of GOMAXPROCS destroys,
// it goes on with the first.
func rtWarmCache(reason stwReason) {
	pp := getg().m.p.ptr()
	if rtReserved(pp) {
		return
	}
	switch reason {
	case stwGOMAXPROCS:
		for i := range rtFreshPs {
			if rtFreshPs[i] == nil {
				rtFreshPs[i] = new(p)
				rtTouch(unsafe.Pointer(rtFreshPs[i]), unsafe.Sizeof(p{}))
			}
		}
		rtWarmTimers(&pp.timers)
		rtWarmTimers(&rtSched.ord[0].timers)
		n := uintptr(2*numCPUStartup + int32(cap(allp)) + 2*rtSched.attached)
		warm := func() {
			rtWarmClasses(n*goarch.PtrSize, false)
			rtWarmClasses(n*4, true)
		}
		warm()
		if first := rtSched.ord[0]; first != pp {
			pp.mcache, first.mcache = first.mcache, pp.mcache
			warm()
			pp.mcache, first.mcache = first.mcache, pp.mcache
		}
	case stwGoroutineProfile:
		rtWarmClasses(uintptr(debug.profstackdepth)*goarch.PtrSize, true)
	}
}

// rtWarmClasses makes room for objects of up to most bytes in the cache of the
// calling P.
func rtWarmClasses(most uintptr, noscan bool) {
	c := getg().m.p.ptr().mcache
	for sc := uint8(2); sc < gc.NumSizeClasses; sc++ {
		rtWarmClass(c, makeSpanClass(sc, noscan))
		if uintptr(gc.SizeClassToSize[sc]) >= most {
			break
		}
	}
}

// rtWarmClass makes room for an object of the class spc for each task, and some.
func rtWarmClass(c *mcache, spc spanClass) {
	size := uintptr(gc.SizeClassToSize[spc.sizeclass()])
	if !spc.noscan() && !heapBitsInSpan(size) {
		size -= gc.MallocHeaderSize
	}
	want := uint16(4 + rtSched.attached)
	for range 32 { // spans of the mcentral may be nearly full
		s := c.alloc[spc]
		if room := s.nelems - s.allocCount; room > 0 && room >= min(want, s.nelems/2) {
			break
		}
		if spc.noscan() {
			rtSched.warmSink = unsafe.Pointer(unsafe.SliceData(make([]uintptr, size/goarch.PtrSize)))
		} else {
			rtSched.warmSink = unsafe.Pointer(unsafe.SliceData(make([]unsafe.Pointer, size/goarch.PtrSize)))
		}
	}
	rtSched.warmSink = nil
	s := c.alloc[spc]
	rtTouch(unsafe.Pointer(s.base()), s.npages*pageSize)
}

// rtWarmTimers makes room in ts for the timers of all ordinary Ps, which timers.take
// would do one after the other.
func rtWarmTimers(ts *timers) {
	n := uint32(0)
	for _, pp := range rtSched.ord {
		n += pp.timers.len.Load()
	}
	if n == ts.len.Load() {
		return
	}
	ts.lock()
	room := cap(ts.heap)
	ts.unlock()
	if room >= int(n) {
		return
	}
	heap := make([]timerWhen, 2*n)
	ts.lock()
	// A task may have run some of them meanwhile, but added none.
	ts.heap = heap[:copy(heap, ts.heap)]
	ts.unlock()
}

// rtWarmWork sees to it that there are work buffers for the scan of a stack, which
// takes up to four, at most 16 of which come with a fresh span.
func rtWarmWork() {
	if gcphase != _GCmark {
		return
	}
	var bufs [4]*workbuf
	for i := range bufs {
		bufs[i] = getempty()
	}
	for _, b := range bufs {
		putempty(b)
	}
}

// rtSemacquire gives the calling goroutine a larger stack, if it needs one,
// before it stops the world: growing it takes a fresh span of stacks, eight page
// faults. (The collector's workers have small ones: 250 µs in a kernel trace.)
func rtSemacquire(addr *uint32) {
	if addr == &worldsema && atomic.Load(&rtSched.active) != 0 {
		rtStackRoom()
	}
}

//go:noinline
func rtStackRoom() {
	var room [4 << 10]byte
	rtUse(unsafe.Pointer(&room))
}

// rtUse keeps the compiler from leaving out what p points to.
//
//go:noinline
//go:nosplit
func rtUse(p unsafe.Pointer) {}

// rtFreshPs are for procresize, which may need Ps that have never been. Written
// with worldsema held.
var rtFreshPs [8]*p

// rtNewP returns a new P for procresize, nil if none is ready.
func rtNewP() *p {
	for i, pp := range rtFreshPs {
		if pp != nil {
			rtFreshPs[i] = nil
			return pp
		}
	}
	return nil
}

// rtNoScavenge reports whether the background scavenger must rest.
func rtNoScavenge() bool { return atomic.Load(&rtSched.active) != 0 }

// rtClearPiece is how much of a large object is cleared between two looks for
// a stop, bytes: four page faults at most, with pages of 4 KB.
const rtClearPiece = 16 << 10

// rtClear is memclrNoHeapPointersChunked while there are tasks. It reports false
// otherwise. Upstream's pieces of 256 KB cost up to 64 page faults each, and a
// stop waits for them: 2 ms in the lab.
func rtClear(size uintptr, x unsafe.Pointer) bool {
	if atomic.Load(&rtSched.active) == 0 {
		return false
	}
	for off := uintptr(0); off < size; off += rtClearPiece {
		if getg().preempt {
			goschedguarded()
		}
		memclrNoHeapPointers(add(x, off), min(size-off, rtClearPiece))
	}
	return true
}

// rtTouchStack brings in the pages of the system stack that the runtime's
// slow paths use.
//
//go:systemstack
//go:noinline
func rtTouchStack() {
	var a [8 << 10]byte // cleared, and so touched
	rtUse(unsafe.Pointer(&a))
}

// The no-GC region (runtime/rt.StartNoGC).
//
// While a region is open no cycle begins by heap growth or by time until the
// live heap has grown by the sum of the open regions' budgets, or the memory
// limit is exceeded: then the collector may run again, and the regions are
// broken, which they learn at their end. runtime.GC runs whatever is open.
var rtNoGC struct {
	open   atomic.Int32
	limit  atomic.Uint64 // of gcController.heapLive
	broken atomic.Uint32 // counts regions broken
}

// rtNoGCTest reports whether a cycle that t makes due must not begin.
func rtNoGCTest(t gcTrigger) bool {
	if rtNoGC.open.Load() == 0 || t.kind == gcTriggerCycle {
		return false
	}
	if gcController.heapLive.Load() >= rtNoGC.limit.Load() || rtOverLimit() {
		rtNoGC.broken.Add(1)
		return false
	}
	return true
}

// rtOverLimit reports whether the process uses more than its memory limit
// (GOMEMLIMIT, debug.SetMemoryLimit).
func rtOverLimit() bool {
	return int64(gcController.mappedReady.Load()) > gcController.memoryLimit.Load()
}

// rtStartNoGC opens a region with the given budget, unless a cycle is
// running. gen is for rtEndNoGC.
func rtStartNoGC(bytes uint64) (gen uint32, errno uintptr) {
	// gcStart tests its trigger again with this semaphore held.
	semacquire(&work.startSema)
	if gcphase != _GCoff {
		semrelease(&work.startSema)
		return 0, _EAGAIN
	}
	if rtNoGC.open.Load() == 0 {
		rtNoGC.limit.Store(gcController.heapLive.Load())
	}
	limit := rtNoGC.limit.Add(int64(bytes))
	if limit < bytes || int64(limit) > gcController.memoryLimit.Load() {
		rtNoGC.limit.Add(-int64(bytes))
		semrelease(&work.startSema)
		return 0, _ENOMEM
	}
	rtNoGC.open.Add(1)
	gen = rtNoGC.broken.Load()
	semrelease(&work.startSema)
	return gen, 0
}

// rtEndNoGC closes a region and reports whether it kept the collector away.
func rtEndNoGC(bytes uint64, gen uint32) bool {
	rtNoGC.limit.Add(-int64(bytes))
	rtNoGC.open.Add(-1)
	return rtNoGC.broken.Load() == gen
}
