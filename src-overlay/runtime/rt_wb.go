// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Full write barrier buffers of real-time goroutines, and of those that wake
// them.
//
// While the collector marks, each pointer write puts two words into the P's
// write barrier buffer. When it is full, the thread that filled it marks the
// 512 objects, about 100 µs of marking in one pointer write. A real-time
// goroutine does not: it copies the buffer to one of a few that its reserved P
// has for this, and the rtrefill thread (rt_reserve.go) marks from there once
// the task sleeps. If all are full the task marks itself.
//
// The copies belong to the P's buffer: wbBufFlush1 of the P, by which mark
// termination makes sure that nothing is left, empties them as well. What the
// rtrefill thread has taken out it marks without a safepoint in between, into
// the work buffer of its own P; if that P has already answered, the check with
// the world stopped finds the work there. With the world stopped no copy is
// in the thread's hands, and after that check none is filled until the next
// cycle.
//
// An ordinary goroutine that is about to wake a task writes pointers as well,
// into the queue of a channel for example, and would mark for these 100 µs
// before it gets to the wake-up (seen in the lab: 113 µs instead of 15, once in
// 830 channel operations beside four allocating goroutines). So while there
// are tasks the buffers of ordinary Ps are taken for full after rtWBEntries.
// Rejected: copies for ordinary Ps, which nobody of less urgency could mark
// from: the rtrefill thread preempts their threads.

package runtime

import (
	"internal/runtime/atomic"
	"unsafe"
)

const (
	rtWBBufs = 4

	// rtWBEntries is about 3 µs of marking. At least wbMaxEntriesPerCall,
	// which one call may put in.
	rtWBEntries = 16
)

// rtWBEnd is the part of wbBuf.reset for the capacity of an ordinary P's
// buffer. A P takes it over when its buffer is next emptied.
//
//go:nowritebarrierrec
func rtWBEnd(b *wbBuf) {
	if atomic.Load(&rtSched.active) == 0 {
		return
	}
	if pp := (*p)(unsafe.Pointer(uintptr(unsafe.Pointer(b)) - unsafe.Offsetof(p{}.wbBuf))); !rtReserved(pp) {
		b.end = uintptr(unsafe.Pointer(&b.buf[rtWBEntries]))
	}
}

// rtWBBuf is a copy of a full write barrier buffer.
type rtWBBuf struct {
	full atomic.Uint32 // 0, 1, or 2 while it is being emptied
	n    uintptr
	buf  [wbBufEntries]uintptr
}

// fill moves what is in b to d. It reports false if that is nothing.
//
//go:nosplit
//go:nowritebarrierrec
func (d *rtWBBuf) fill(b *wbBuf) bool {
	start := uintptr(unsafe.Pointer(&b.buf[0]))
	d.n = (b.next - start) / unsafe.Sizeof(b.buf[0])
	memmove(unsafe.Pointer(&d.buf), unsafe.Pointer(&b.buf), b.next-start)
	b.next = start
	return d.n != 0
}

// rtWBDefer empties the write barrier buffer of a real-time goroutine without
// marking. It reports false if wbBufFlush must mark.
//
//go:nosplit
//go:nowritebarrierrec
func rtWBDefer() bool {
	pp := getg().m.rt.p.ptr()
	if pp == nil || pp.rt.wb == nil {
		return false
	}
	for i := range pp.rt.wb {
		d := &pp.rt.wb[i]
		if d.full.Load() != 0 {
			continue
		}
		d.fill(&pp.wbBuf)
		d.full.Store(1)
		pp.rt.used = true
		return true
	}
	pp.rt.used = true // for what we put into the work queues
	return false
}

// rtWBFlush is the part of wbBufFlush1 for the copies.
//
//go:nowritebarrierrec
//go:systemstack
func rtWBFlush(pp *p) {
	if rtReserved(pp) {
		rtWBMark((*rtP)(unsafe.Pointer(pp)), &pp.gcw)
	}
}

// rtWBMark marks the objects in the copies of pp. The caller owns gcw and is
// not preempted.
//
//go:nowritebarrierrec
//go:systemstack
func rtWBMark(pp *rtP, gcw *gcWork) {
	if pp.rt.wb == nil {
		return
	}
	for i := range pp.rt.wb {
		d := &pp.rt.wb[i]
		if d.full.Load() == 0 || !d.full.CompareAndSwap(1, 2) {
			continue
		}
		d.mark(gcw)
		d.full.Store(0)
	}
}

// mark marks the objects in d.
//
//go:nowritebarrierrec
//go:systemstack
func (d *rtWBBuf) mark(gcw *gcWork) {
	for _, ptr := range d.buf[:d.n] {
		if ptr < minLegalPointer || tryDeferToSpanScan(ptr, gcw) {
			continue
		}
		if obj, span, objIndex := findObject(ptr, 0, 0); obj != 0 {
			greyobject(obj, 0, 0, span, gcw, objIndex)
		}
	}
}

// rtWBTaken is what rtWBTake has taken. forEachP's caller, who holds worldsema,
// owns it.
var rtWBTaken rtWBBuf

// rtWBTake empties the write barrier buffer of pp, which the calling thread has
// seized, for rtWBMarkTaken. It reports false if there is nothing in it.
func rtWBTake(pp *rtP) bool {
	return rtWBTaken.fill(&pp.wbBuf)
}

// rtWBMarkTaken marks what rtWBTake took.
//
//go:nowritebarrierrec
//go:systemstack
func rtWBMarkTaken(gcw *gcWork) { rtWBTaken.mark(gcw) }
