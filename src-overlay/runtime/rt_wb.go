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
// goroutine does not: its reserved P has some buffers, of which wbBuf.next and
// wbBuf.end point into one. When that is full the goroutine takes another, and
// the rtrefill thread (rt_reserve.go) marks from it once the task sleeps. If all
// are full the one in the P is used, as upstream's is, and when that is full the
// task marks itself.
//
// They belong to the P's buffer: wbBufFlush1 of the P, by which mark termination
// makes sure that nothing is left, empties them as well. What the rtrefill
// thread has taken out it marks without a safepoint in between, into the work
// buffer of its own P; if that P has already answered, the check with the world
// stopped finds the work there. With the world stopped no buffer is in the
// thread's hands, and after that check none is filled until the next cycle.
//
// Rejected: copying the P's buffer to another when it is full: 512 words are 4 µs
// in the lab, in one wake-up of 18 while the collector marks.
//
// An ordinary goroutine that is about to wake a task writes pointers as well,
// into the queue of a channel for example, and would mark for these 100 µs
// before it gets to the wake-up (seen in the lab: 113 µs instead of 15, once in
// 830 channel operations beside four allocating goroutines). So while there
// are tasks the buffers of ordinary Ps are taken for full after rtWBEntries. These
// are still 5 µs: a thread that holds a lock, as one that sends to a channel does,
// flushes later (rtWBLater), and a P empties its buffer before it runs the next
// goroutine (rtWBTidy), which then mostly gets by without a flush when it was woken
// to wake a task. (One cure alone changes nothing: the flush comes a moment later.)
// Rejected: more buffers for ordinary Ps, which nobody of less urgency could mark
// from: the rtrefill thread preempts their threads.

package runtime

import (
	"internal/runtime/atomic"
	"unsafe"
)

const (
	// rtWBBufs is how many buffers of 4 KB a reserved P has beside its own. A task that
	// links 64 new objects in each ms, with three words for each, fills the 17 in 45 ms,
	// which the rtrefill thread may spend waiting for the heap's lock. (It came after 13 ms in the lab, while the heap
	// grew over 700 MB, and the task marked for itself.)
	rtWBBufs = 16

	// rtWBEntries is about 5 µs of marking in the lab. At least
	// wbMaxEntriesPerCall, which one call may put in.
	rtWBEntries = 16
)

// rtWBEnd is the part of wbBuf.reset for the end of an ordinary P's buffer, which
// the P takes over when its buffer is next emptied, and for that of a reserved P.
//
//go:nowritebarrierrec
func rtWBEnd(b *wbBuf) {
	if atomic.Load(&rtSched.active) == 0 {
		return
	}
	pp := (*p)(unsafe.Pointer(uintptr(unsafe.Pointer(b)) - unsafe.Offsetof(p{}.wbBuf)))
	if rtReserved(pp) {
		rtWBNext((*rtP)(unsafe.Pointer(pp)))
	} else {
		b.end = uintptr(unsafe.Pointer(&b.buf[rtWBEntries]))
	}
}

// rtWBBuf is one more write barrier buffer of a reserved P.
type rtWBBuf struct {
	full atomic.Uint32 // 0, 1, or 2 while it is being emptied
	n    uintptr
	buf  [wbBufEntries]uintptr
}

// rtWBInit gives pp, which is nobody's yet or the calling thread's, its buffers,
// in memory that is there: a fault in a write barrier is 5 µs in the lab.
func rtWBInit(pp *rtP) {
	if pp.rt.wb == nil {
		const size = unsafe.Sizeof([rtWBBufs]rtWBBuf{})
		wb := persistentalloc(size, 0, &memstats.other_sys)
		memclrNoHeapPointers(wb, size)
		pp.rt.wb = (*[rtWBBufs]rtWBBuf)(wb)
	}
}

// rtWBNext makes write barriers on pp go on in an empty buffer. They go on in the
// one in the P if none is. The caller owns pp, and what was written is done with.
//
//go:nosplit
//go:nowritebarrierrec
func rtWBNext(pp *rtP) {
	if pp.rt.wb != nil {
		for i := range pp.rt.wb {
			if d := &pp.rt.wb[i]; d.full.Load() == 0 {
				rtWBSet(&pp.wbBuf, &d.buf)
				return
			}
		}
	}
	rtWBSet(&pp.wbBuf, &pp.wbBuf.buf)
}

// rtWBSet makes write barriers that use b go on at the start of buf.
//
//go:nosplit
//go:nowritebarrierrec
func rtWBSet(b *wbBuf, buf *[wbBufEntries]uintptr) {
	b.next = uintptr(unsafe.Pointer(buf))
	b.end = b.next + unsafe.Sizeof(*buf)
}

// rtWBCurrent returns the buffer that write barriers on pp write to, with n set,
// nil if it is the one in the P. The caller owns pp.
//
//go:nosplit
//go:nowritebarrierrec
func rtWBCurrent(pp *rtP) *rtWBBuf {
	if pp.rt.wb != nil {
		for i := range pp.rt.wb {
			d := &pp.rt.wb[i]
			start := uintptr(unsafe.Pointer(&d.buf[0]))
			if next := pp.wbBuf.next; start <= next && next <= start+unsafe.Sizeof(d.buf) {
				d.n = (next - start) / unsafe.Sizeof(d.buf[0])
				return d
			}
		}
	}
	return nil
}

// rtWBDefer empties the write barrier buffer of a real-time goroutine without
// marking. It reports false if wbBufFlush must mark. It comes before wbBufFlush
// discards what a thread that is going down has, as that knows only the buffer in
// the P.
//
//go:nosplit
//go:nowritebarrierrec
func rtWBDefer() bool {
	pp := getg().m.rt.p.ptr()
	if pp == nil {
		return rtWBLater()
	}
	pp.rt.used = true
	d := rtWBCurrent(pp)
	if d == nil {
		return false
	}
	d.full.Store(1)
	rtWBNext(pp)
	return true
}

// rtWBLater puts off the flush of an ordinary P's buffer if the calling thread
// holds a lock.
//
//go:nosplit
//go:nowritebarrierrec
func rtWBLater() bool {
	mp := getg().m
	b := &mp.p.ptr().wbBuf
	end := b.end + rtWBEntries*unsafe.Sizeof(b.buf[0])
	if mp.locks == 0 || atomic.Load(&rtSched.active) == 0 || end > uintptr(unsafe.Pointer(&b.buf))+unsafe.Sizeof(b.buf) {
		return false
	}
	b.end = end
	return true
}

// rtWBTidy empties an ordinary P's buffer before the next goroutine runs, so that
// one that was woken to wake a task finds room in it.
func rtWBTidy(pp *p) {
	if b := &pp.wbBuf; writeBarrier.enabled && !b.empty() && atomic.Load(&rtSched.active) != 0 {
		wbBufFlush1(pp)
	}
}

// rtWBFlush is the part of wbBufFlush1 for the buffers of a reserved P but the one
// in the P, which write barriers write to afterwards.
//
//go:nowritebarrierrec
//go:systemstack
func rtWBFlush(pp *p) {
	if !rtReserved(pp) {
		return
	}
	rp := (*rtP)(unsafe.Pointer(pp))
	if d := rtWBCurrent(rp); d != nil {
		rtWBSet(&pp.wbBuf, &pp.wbBuf.buf)
		d.mark(&pp.gcw)
	}
	rtWBMark(rp, &pp.gcw)
}

// rtWBMark marks the objects in the full buffers of pp. The caller owns gcw and is
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
	buf := &pp.wbBuf.buf
	if d := rtWBCurrent(pp); d != nil {
		buf = &d.buf
	}
	size := pp.wbBuf.next - uintptr(unsafe.Pointer(buf))
	memmove(unsafe.Pointer(&rtWBTaken.buf), unsafe.Pointer(buf), size)
	pp.wbBuf.next -= size
	rtWBTaken.n = size / unsafe.Sizeof(buf[0])
	return size != 0
}

// rtWBMarkTaken marks what rtWBTake took.
//
//go:nowritebarrierrec
//go:systemstack
func rtWBMarkTaken(gcw *gcWork) { rtWBTaken.mark(gcw) }
