// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// The reserve: spans that wait for the small objects of real-time goroutines.
//
// An allocation takes a slot of a span that the P's mcache holds, in about a
// microsecond. When the span is full, mcache.refill takes another from the
// mcentral, which may have to sweep spans for that, or from the page heap,
// whose lock and search cost up to 50 µs, and first touching fresh memory
// costs page faults on top. For a real-time goroutine others do that work in
// advance: each reserved P has a few spans ready for each span class that its
// task has run out of before, and refill only exchanges pointers. The rtrefill
// thread fills the reserve and takes the used-up spans back. It is SCHED_FIFO 1:
// above no task, so that it delays none, and above the ordinary threads, which
// may not run for tens of milliseconds.
//
// How many spans are kept ready is learned for each P and class: one more than the
// task has taken in any 100 ms (rtReserveTime), and a miss or a use of the last one
// doubles the number. (The rtrefill thread may be kept waiting itself, by a page fault
// while others map memory for one. In the lab it came back after 34 ms once, and a
// task with four spans had run out of them after 16.) One that no task has needed is
// not kept for the next task of the P. (Without that, many short tasks made every P
// keep the most of every class, which the rtrefill thread swept after each cycle: a
// quarter of what test/rtstress used.) A miss takes the ordinary way, and is counted
// (/rt/reserve/misses:spans). The thread is woken when the task goes to sleep after
// it used the reserve, at once after a miss. Large objects (over 32 KB) have spans of
// their own and no reserve.
//
// A span in the reserve is like one in an mcache: nobody else's, and cached
// (sweepgen is mheap_.sweepgen+3). The pacer learns of it when the task takes
// it. After a cycle it is stale (sweepgen+1) and must be swept before the next
// cycle begins, as a cached span must: the rtrefill thread does it as soon as
// the world has started, the task if it takes the span before, who waits for
// it in ensureSwept, and finishsweep_m what is left. (Sweeping it in the stop,
// where mcaches are flushed, cost milliseconds with many tasks.) Nothing is
// allocated in it, so after sweeping there still is a free object. An entry is
// an atomic word, so that filling and use need no lock between them: who takes
// the pointer out owns the span. Neither is preemptible: no stop, and so no
// change of sweepgen, comes in between.
//
// The rtrefill thread runs a goroutine on a reserved P that is no task
// (rtHelper). It starts with the first task and stays, asleep. It also brings in
// the runtime's own memory (rt_mem.go), a piece at a time: what the tasks need comes
// first. (When it brought in all at once, 2 MB for a larger heap kept it for ten
// cycles of a task that allocates, in the lab, and that one marked for itself.)
//
// Rejected: refilling in the task's own thread before it sleeps. It needs no
// thread, but a message that comes meanwhile waits for the work, and a page
// fault may wait for as long as another thread maps memory. An ordinary
// goroutine: on a loaded machine it comes too late.

package runtime

import (
	"internal/runtime/atomic"
	"internal/runtime/gc"
	"unsafe"
)

const (
	rtReserveTime   = 100 * 1000 * 1000 // ns; what a task takes in that time is kept ready
	rtReserveDepth  = 32                // spans of a class, at most
	rtReserveBytes  = 256 << 10         // in spans of a class, at most, unless
	rtReserveLeast  = 8                 // that is less than this many
	rtReserveSmall  = 128               // bytes; one span of the classes up to this is there from the start
	rtReserveFull   = 64                // used-up spans
	rtReservePrio   = 1                 // of the runtime's own threads (rtHelper)
	rtReserveBudget = 4                 // spans to sweep in search of a free object
)

// rtReserve is the reserve of one P.
type rtReserve struct {
	tidy  uint32                        // mheap_.sweepgen when nothing in class was stale
	full  [rtReserveFull]atomic.Uintptr // *mspan, used up, on their way to the mcentral
	class [numSpanClasses]rtReserveClass
}

// rtReserveClass is what a reserve has of one class.
type rtReserveClass struct {
	want  atomic.Uint32                  // spans to keep ready
	top   atomic.Uint32                  // the most that want has been
	most  uint32                         // that the task has needed
	taken uint32                         // spans that the task has taken since
	since int64                          // this time, ns
	spans [rtReserveDepth]atomic.Uintptr // *mspan, which are not in the heap; none from top on
}

// keep sets want.
func (c *rtReserveClass) keep(want uint32) {
	if want > c.top.Load() {
		c.top.Store(want)
	}
	c.want.Store(want)
}

// took counts that the task takes a span of class spc, and keeps n or more.
func (c *rtReserveClass) took(spc spanClass, n uint32) {
	if now := nanotime(); now-c.since > rtReserveTime {
		c.since, c.taken = now, 0
	}
	c.taken++
	c.most = max(c.most, c.taken)
	depth := max(rtReserveLeast, min(rtReserveDepth, rtReserveBytes/(uint32(gc.SizeClassToNPages[spc.sizeclass()])*pageSize)))
	c.keep(min(max(c.want.Load(), n, c.taken+1), depth))
}

// rtRefill is the state of the rtrefill thread.
var rtRefill struct {
	started      atomic.Uint32
	up           uint32        // semaphore, not 0 from when it runs
	state        atomic.Uint32 // one of the constants below; a futex
	hits, misses atomic.Uint64
	held         atomic.Int64 // bytes of the spans in all reserves
}

const (
	rtRefillNone   = iota // does not run yet
	rtRefillRuns          // and will see what has been taken until now
	rtRefillWanted        // must look once more
	rtRefillParked
)

// rtRefillStart makes sure that the rtrefill thread runs, for the calling goroutine,
// which is still ordinary. (When it did not wait, a task had no reserve for half a
// second of a storm of stops, in the lab, until the thread's goroutine got a P.)
func rtRefillStart() {
	if rtRefill.started.CompareAndSwap(0, 1) {
		gp := getg()
		bubble := gp.bubble
		gp.bubble = nil // as gcStart does: it is not the bubble's goroutine
		go rtRefillLoop()
		gp.bubble = bubble
	}
	if rtRefill.state.Load() == rtRefillNone {
		semacquire(&rtRefill.up)
		semrelease(&rtRefill.up) // for the next who waits
	}
}

// rtReserveInit gives pp, which is to get a task, what it needs beside the P.
func rtReserveInit(pp *rtP) {
	rtWBInit(pp)
	if pp.rt.reserve == nil {
		pp.rt.reserve = (*rtReserve)(persistentalloc(unsafe.Sizeof(rtReserve{}), 0, &memstats.other_sys))
	}
	for spc := range pp.rt.reserve.class {
		class := &pp.rt.reserve.class[spc] // want may be less than the spans there are until rtReserveTidy
		want := class.want.Load()
		if want > class.most {
			want--
		}
		if n := gc.SizeClassToSize[spanClass(spc).sizeclass()]; n > 0 && n <= rtReserveSmall {
			want = max(want, 1)
		}
		class.keep(want)
		class.most, class.taken = 0, 0
	}
	rtRefillWake()
}

func rtRefillLoop() {
	rtHelper("rtrefill")
	rtRefill.state.Store(rtRefillWanted)
	semrelease(&rtRefill.up)
	for {
		rtRefill.state.Store(rtRefillRuns)
		rtRefillAll()
		if gcBlackenEnabled != 0 && gcMarkWorkAvailable() {
			// Left by us or by a task while every ordinary P has gone
			// idle: none of them would look, and marking not end.
			wakep()
		}
		if !rtFreshPiece() {
			rtRefillSleep()
		}
	}
}

// rtRefillSleep waits until somebody asks for the rtrefill thread, if nobody has
// meanwhile. It waits as in a system call: a task that wakes a parked goroutine
// waits while the collector scans that one's stack (in the lab 55 µs, in one of
// 100,000 cycles of a task that allocates). checkdead counts it as parked (rtParked).
//
// It must not split the stack between entersyscall and exitsyscall.
//
//go:nosplit
func rtRefillSleep() {
	entersyscall()
	if rtRefill.state.CompareAndSwap(rtRefillRuns, rtRefillParked) {
		for rtRefill.state.Load() == rtRefillParked {
			futexsleep((*uint32)(unsafe.Pointer(&rtRefill.state)), rtRefillParked, -1)
		}
	}
	exitsyscall()
}

// rtRefillYield lets go of the P of the rtrefill thread until the stop in progress
// is over, if there is one. The tasks are stopped once it has (rtSlackAt). In the lab,
// arm64, it was in a system call that brings in memory when they were, and they waited
// for 1.2 ms. For other callers, who may be in that stop, it does nothing.
//
//go:nosplit
func rtRefillYield() {
	if pp := getg().m.rt.p.ptr(); pp == nil || pp.rt.task != 0 || !sched.gcwaiting.Load() {
		return
	}
	entersyscall()
	for sched.gcwaiting.Load() {
		usleep(rtSlackPoll / 1000)
	}
	exitsyscall()
}

// rtRefillWake makes the rtrefill thread look at the reserves, once it runs.
func rtRefillWake() {
	if rtRefill.state.Load() != rtRefillNone && rtRefill.state.Swap(rtRefillWanted) == rtRefillParked {
		futexwakeup((*uint32)(unsafe.Pointer(&rtRefill.state)), 1)
	}
}

// rtRefillAll empties the write barrier buffers and fills the reserves.
func rtRefillAll() {
	for i := 0; ; i++ {
		mp := acquirem() // rtSched.ps does not change
		if i >= len(rtSched.ps) {
			releasem(mp)
			return
		}
		pp := rtSched.ps[i]
		systemstack(func() { rtWBMark(pp, &mp.p.ptr().gcw) })
		releasem(mp)
		r := pp.rt.reserve
		if r == nil {
			continue
		}
		rtReserveTidy(pp)
		if pp.rt.task == 0 {
			continue
		}
		for spc := range r.class {
			want := r.class[spc].want.Load()
			for j := range want {
				if e := &r.class[spc].spans[j]; e.Load() == 0 {
					rtRefillYield()
					if !rtRefillOne(e, spanClass(spc)) {
						return
					}
				}
			}
		}
	}
}

// rtRefillOne puts a span of the given class into the entry e, as
// mcache.refill puts it into an mcache. It reports false if there is no
// memory.
func rtRefillOne(e *atomic.Uintptr, spc spanClass) bool {
	mp := acquirem()
	s := mheap_.central[spc].mcentral.cacheSpan()
	if s == nil {
		releasem(mp)
		return false
	}
	s.sweepgen = mheap_.sweepgen + 3
	// The task shall not meet the page faults, of objects or of the heap bits
	// behind them.
	rtTouch(unsafe.Pointer(s.base()), s.npages*pageSize)
	rtReservePut(e, s)
	releasem(mp)
	return true
}

// rtReservePut puts s, which is cached and nobody's, into the entry e, or gives
// it back if somebody was faster.
func rtReservePut(e *atomic.Uintptr, s *mspan) {
	size := int64(s.npages * pageSize)
	if !e.CompareAndSwap(0, uintptr(unsafe.Pointer(s))) {
		rtReserveFree(s)
		return
	}
	rtRefill.held.Add(size)
}

// rtReserveGet takes the span out of the entry e, nil if there is none.
func rtReserveGet(e *atomic.Uintptr) *mspan {
	s := (*mspan)(unsafe.Pointer(e.Swap(0)))
	if s != nil {
		rtRefill.held.Add(-int64(s.npages * pageSize))
	}
	return s
}

// rtReserveFree gives s, which is cached, not full and nobody's, back to the
// mcentral, or to the heap, as the mcentral takes no empty span.
func rtReserveFree(s *mspan) {
	if s.allocCount != 0 {
		mheap_.central[s.spanclass].mcentral.uncacheSpan(s)
		return
	}
	atomic.Store(&s.sweepgen, mheap_.sweepgen)
	mheap_.freeSpan(s)
}

// rtEnsureSwept is called in the loop of ensureSwept, which waits for somebody
// to sweep s. If s is stale in a reserve it does so itself: the rtrefill thread
// may be waiting for the end of a stop that waits for the caller.
func rtEnsureSwept(s *mspan) {
	p := uintptr(unsafe.Pointer(s))
	for _, pp := range rtSched.ps {
		r := pp.rt.reserve
		if r == nil {
			continue
		}
		class := &r.class[s.spanclass]
		for i := range class.top.Load() {
			if e := &class.spans[i]; e.Load() == p && e.CompareAndSwap(p, 0) {
				rtRefill.held.Add(-int64(s.npages * pageSize))
				rtReserveRenew(s)
				rtReservePut(e, s)
				return
			}
		}
		for i := range r.full {
			if e := &r.full[i]; e.Load() == p && e.CompareAndSwap(p, 0) {
				mheap_.central[s.spanclass].mcentral.uncacheSpan(s)
				return
			}
		}
	}
	rtYield()
}

// rtReserveTake is what mcache.refill does from where it looks for a span, for
// the mcache of a reserved P. It reports false if the reserve has none.
func rtReserveTake(c *mcache, spc spanClass) bool {
	pp := getg().m.rt.p.ptr()
	return pp != nil && pp.rt.task != 0 && rtReserveTakeP(pp, c, spc)
}

func rtReserveTakeP(pp *rtP, c *mcache, spc spanClass) bool {
	r := pp.rt.reserve
	if pp.mcache != c {
		return false
	}
	class := &r.class[spc]
	want := class.want.Load()
	for i := range want {
		e := &class.spans[i]
		if e.Load() == 0 {
			continue
		}
		s := rtReserveGet(e)
		if s == nil {
			continue
		}
		rtReserveRenew(s)
		class.most = max(class.most, i+1)
		if i+1 == want {
			want *= 2
		}
		class.took(spc, want)
		pp.rt.used = true
		rtRefill.hits.Add(1)
		// As mcache.refill does.
		s.allocCountBeforeCache = s.allocCount
		gcController.update(int64(s.npages*pageSize)-int64(uintptr(s.allocCount)*s.elemsize), int64(c.scanAlloc))
		c.scanAlloc = 0
		c.alloc[spc] = s
		return true
	}
	class.took(spc, max(2*want, 1))
	class.most = class.want.Load()
	rtRefill.misses.Add(1)
	rtRefillWake()
	return false
}

// rtReserveGive is uncacheSpan for a full span that a real-time goroutine has
// used up: the mcentral may need memory to note it. It reports false if the
// caller must do it. (The rtrefill thread must: it would give the span to itself,
// again and again, if its P has been a task's.)
func rtReserveGive(s *mspan) bool {
	pp := getg().m.rt.p.ptr()
	if pp == nil || pp.rt.task == 0 || s.sweepgen != mheap_.sweepgen+3 || s.allocCount != s.nelems {
		return false
	}
	for i := range pp.rt.reserve.full {
		if e := &pp.rt.reserve.full[i]; e.Load() == 0 {
			e.Store(uintptr(unsafe.Pointer(s)))
			pp.rt.used = true
			return true
		}
	}
	return false
}

// rtReserveRefill wakes the rtrefill thread if the task of pp, which is about
// to block, has left it something to do.
func rtReserveRefill(pp *rtP) {
	if pp.rt.used {
		pp.rt.used = false
		rtRefillWake()
	}
}

// rtReserveRenew makes s, which the caller has taken out, usable again if it
// is stale, and reports whether it was.
func rtReserveRenew(s *mspan) bool {
	sg := mheap_.sweepgen
	if s.sweepgen != sg+1 {
		return false
	}
	// As uncacheSpan does.
	atomic.Store(&s.sweepgen, sg-1)
	sl := sweepLocked{s}
	sl.sweep(true)
	s.sweepgen = sg + 3
	return true
}

// rtReserveFinish sweeps all stale spans. The world is stopped, and a cycle
// about to begin.
func rtReserveFinish() {
	for _, pp := range rtSched.ps {
		pp.rt.black = rtBlack{}
		if pp.rt.reserve != nil {
			rtReserveTidy(pp)
		}
	}
}

// rtReserveTidy sweeps what is stale in the reserve of pp, and drops what no task
// of pp wants.
func rtReserveTidy(pp *rtP) {
	r := pp.rt.reserve
	for i := range r.full {
		mp := acquirem()
		if s := (*mspan)(unsafe.Pointer(r.full[i].Swap(0))); s != nil {
			mheap_.central[s.spanclass].mcentral.uncacheSpan(s)
		}
		releasem(mp)
	}
	gen := atomic.Load(&mheap_.sweepgen)
	if r.tidy == gen {
		return
	}
	for spc := range r.class {
		class := &r.class[spc]
		for i := range class.top.Load() {
			e := &class.spans[i]
			if e.Load() == 0 {
				continue
			}
			rtRefillYield()
			mp := acquirem()
			if s := rtReserveGet(e); s != nil {
				if stale := rtReserveRenew(s); stale && (pp.rt.task == 0 || i >= class.want.Load()) {
					rtReserveFree(s)
				} else {
					rtReservePut(e, s)
				}
			}
			releasem(mp)
		}
	}
	r.tidy = gen
}

// rtNoSample reports whether the heap profile leaves out an allocation of mp's
// that it would sample: one by a real-time goroutine, at the default rate. The
// stack is unwound and looked up with a lock held, 60 µs in the lab for one
// object in half a MB, and new stacks cost page faults. A program that sets
// MemProfileRate to another value has chosen to pay for it.
func rtNoSample(mp *m) bool {
	return mp.rt.p != 0 && MemProfileRate == 512*1024
}

// rtSweepBudget returns how many spans cacheSpan may sweep for the calling M
// instead of the given number: many would keep a real-time thread for long.
func rtSweepBudget(n int) int {
	if getg().m.rt.p != 0 {
		return rtReserveBudget
	}
	return n
}
