// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// The garbage collector and real-time goroutines.
//
// A real-time goroutine owes the collector nothing: no mark assist, no sweep
// credit, no reclaiming of pages, and it does not start cycles itself. What it
// would have owed for marking is taken from the credit of the background
// workers, so that ordinary allocators assist in its stead and the heap goal
// holds; what it would have swept, the proportional sweep makes ordinary
// allocators sweep.
// A cycle that its allocation makes due is started by the forced-GC helper.
// What it allocates while the collector marks is black, as everybody's is, but
// marked in fewer steps (rtMarkNew). Rejected: marking all free objects of a span
// at once, as the sweep takes marked ones for allocated and counts them; and marking
// many at once after they have been allocated, as who meets one before makes work of
// it, and with a task that goes on allocating marking need not come to an end.

// A mark worker looks for a stop between two pieces of work, and every task
// waits for the piece. Upstream's largest, 256 KB of data and 128 KB of an
// object, took 1.9 ms in the lab; the pieces are smaller here, at about
// a hundred instructions for each.

package runtime

import (
	"internal/goexperiment"
	"internal/runtime/atomic"
	"unsafe"
)

const (
	rtRootBlockBytes = 32 << 10
	rtObletBytes     = 40 << 10 // must be more than _MaxSmallSize
)

// rtGCDue is set by a real-time goroutine whose allocation made a GC cycle
// due.
var rtGCDue atomic.Uint32

// rtAssistBytes is how much a real-time goroutine allocates for one settlement
// of its assist debt, bytes: it would settle with each object otherwise.
const rtAssistBytes = 8 << 10

// rtNoAssist settles the assist debt of gp if it is real-time, and that of the
// next rtAssistBytes. It reports false otherwise.
func rtNoAssist(gp *g) bool {
	if gp.m.rt.p == 0 {
		return false
	}
	debt := rtAssistBytes - gp.gcAssistBytes
	gp.gcAssistBytes = rtAssistBytes
	work := int64(float64(debt) * gcController.assistWorkPerByte.Load())
	gcController.bgScanCredit.Add(-work)
	return true
}

// rtNoSweep reports whether the calling goroutine is real-time, or the rtrefill
// thread's, and does not sweep for what it allocates: neither in proportion to it
// nor to reclaim as many pages (mheap.alloc: 13 ms of a task and 34 of the rtrefill
// thread in the lab, beside four goroutines that allocate).
func rtNoSweep() bool {
	return getg().m.rt.p != 0
}

// rtGCStart is gcStart's part for a real-time goroutine that allocates: it
// leaves the start of the cycle to forcegchelper and reports true.
func rtGCStart(trigger gcTrigger) bool {
	if trigger.kind != gcTriggerHeap {
		return false
	}
	mp := acquirem()
	rt := mp.rt.p != 0
	releasem(mp)
	if !rt {
		return false
	}
	rtGCDue.Store(1)
	if forcegc.idle.Load() {
		lock(&forcegc.lock)
		if forcegc.idle.Load() {
			forcegc.idle.Store(false)
			var list gList
			list.push(forcegc.g)
			injectglist(&list)
		}
		unlock(&forcegc.lock)
	}
	return true
}

// rtKeepUser reports whether ordinary goroutines must run while the collector
// marks. With GODEBUG=gcstoptheworld they do not, but real-time ones do, and
// may stop the world meanwhile: the semaphore for that could then pass to an
// ordinary goroutine and the collector wait for it for ever. So those modes mark
// concurrently, as the collector does without them, from the first reserved P on
// and for ever: an ordinary goroutine that assisted in one cycle may hold or be
// next for markDoneSema in the following one, where a mark worker needs it. The
// first reserved Ps come between two cycles (rtGrow holds gcsema), so no cycle
// begins one way and ends the other. sched.lock is held.
func rtKeepUser() bool { return rtSched.nwant > 0 }

// rtForceGC starts the cycle that a real-time goroutine made due, if one did.
func rtForceGC() {
	if rtGCDue.Swap(0) != 0 {
		if t := (gcTrigger{kind: gcTriggerHeap}); t.test() {
			gcStart(t)
		}
	}
}

// rtNoShrink reports whether the stack of gp must not shrink: it would have
// to be grown again, at a bad moment.
func rtNoShrink(gp *g) bool {
	return rtPOf(gp) != nil
}

// rtBlack is where a reserved P marks what it allocates from a span in a cycle.
// Nothing of it moves in that time: the span is swept, and given back or set up
// anew, only after the cycle, of which no mark bits are freed before the next. That
// begins with no span here (rtReserveFinish).
type rtBlack struct {
	span  uintptr // the *mspan
	marks uintptr // its mark bits
	scans uintptr // and scanned bits, if it has them inline; else 0
}

// rtMarkNew is gcmarknewobject for a task, in half of upstream's instructions, which is
// a tenth of a cycle that allocates 2 KB in small objects. It reports false where
// upstream's way must be taken: elsewhere, and for the first object of a span, for
// which that checks the phase and marks the page.
//
//go:nowritebarrier
//go:nosplit
func rtMarkNew(span *mspan, obj uintptr) bool {
	pp := getg().m.p.ptr()
	if !rtReserved(pp) {
		return false
	}
	b := &(*rtP)(unsafe.Pointer(pp)).rt.black
	if b.span != uintptr(unsafe.Pointer(span)) {
		b.set(span)
		return false
	}
	i := span.objIndex(obj)
	mask := uint8(1) << (i % 8)
	atomic.Or8((*uint8)(unsafe.Pointer(b.marks+i/8)), mask)
	if b.scans != 0 {
		atomic.Or8((*uint8)(unsafe.Pointer(b.scans+i/8)), mask)
	}
	pp.gcw.bytesMarked += uint64(span.elemsize)
	return true
}

// set makes span the one of b.
//
//go:nowritebarrier
//go:nosplit
//go:noinline
func (b *rtBlack) set(span *mspan) {
	b.span = uintptr(unsafe.Pointer(span))
	b.marks = uintptr(unsafe.Pointer(span.markBitsForIndex(0).bytep))
	b.scans = 0
	if goexperiment.GreenTeaGC && gcUsesSpanInlineMarkBits(span.elemsize) {
		b.scans = uintptr(unsafe.Pointer(span.scannedBitsForIndex(0).bytep))
	}
}
