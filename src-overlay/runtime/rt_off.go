// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build !(goexperiment.rt && linux && (amd64 || arm64))

// Without GOEXPERIMENT=rt nothing of rtgo remains in the runtime: rtOn is a
// false constant in every hook, and the types that hooks add to upstream's
// structures are empty. The functions exist so that the hooks type-check.

package runtime

import (
	"internal/trace/tracev2"
	"unsafe"
)

const rtOn = false

// The generic ones have parameters whose types some platforms lack.

// mRT is for debuglog_on.go.
type mRT struct{}

func rtReserved(pp *p) bool                             { return false }
func rtIsM(mp *m) bool                                  { return false }
func rtNumP() int32                                     { return 0 }
func rtTraceID(pp *p) int32                             { return pp.id }
func rtTraceArgs(ev tracev2.EventType, args []traceArg) {}
func rtForeignP(pp *p, mp *m, gen uintptr) bool         { return false }
func rtDetach()                                         {}
func rtAttach(nprocs int32)                             {}
func rtStopOrd() int32                                  { return 0 }
func rtStopLater(pp *p) bool                            { return false }
func rtStopPs(reason stwReason, start int64)            {}
func rtStartPs(w worldStop)                             {}
func rtFlushed(pp *p) bool                              { return false }
func rtForEachP(fn func(*p))                            {}
func rtEnterSyscall(mp *m) bool                         { return false }
func rtEnterSyscallSlow()                               {}
func rtExitSyscall(mp *m)                               {}
func rtReady(gp *g, pp *p) bool                         { return false }
func rtReadyM(gp *g, mp *m) bool                        { return false }
func rtGoready(gp *g) bool                              { return false }
func rtReceived(gp *g, c *hchan, s *sudog) (bool, bool) { return false, false }
func rtGosched(gp *g, yield bool) bool                  { return false }
func rtHoldsPI(mp *m) bool                              { return false }
func rtInject(q *gQueue)                                {}
func rtDispatch(gp *g) bool                             { return false }
func rtPark() bool                                      { return false }
func rtScanLock(gp *g) bool                             { return true }
func rtScanUnlock()                                     {}
func rtSlackScan(gp *g, first bool)                     {}
func rtScanUnboost()                                    {}
func rtWaitScan(gp *g) bool                             { return false }
func rtYield()                                          {}
func rtYieldNoG()                                       {}
func rtSleep(gp *g, ns int64) bool                      { return false }
func rtPollArm[T any](pd T, mode int32)                 {}
func rtNetReady(gp *g, delta *int32) *g                 { return gp }
func rtParked() int32                                   { return 0 }
func rtTimersMoved()                                    {}
func rtSysmonTick()                                     {}
func rtSignalInit()                                     {}
func rtSignalMask()                                     {}
func rtSignalWait() bool                                { return false }
func rtSignalWake() bool                                { return false }
func rtSigDump[T any](gp *g, c T)                       {}
func rtGoexit()                                         {}
func rtFuncEnded(mp *m)                                 {}
func rtMain()                                           {}
func rtNoAssist(gp *g) bool                             { return false }
func rtNoSweep() bool                                   { return false }
func rtGCStart(trigger gcTrigger) bool                  { return false }
func rtKeepUser() bool                                  { return false }
func rtForceGC()                                        {}
func rtNoShrink(gp *g) bool                             { return false }
func rtMarkNew(span *mspan, obj uintptr) bool           { return false }
func rtReserveTake(c *mcache, spc spanClass) bool       { return false }
func rtReserveGive(s *mspan) bool                       { return false }
func rtReserveFinish()                                  {}
func rtEnsureSwept(s *mspan)                            {}
func rtWBDefer() bool                                   { return false }
func rtWBFlush(pp *p)                                   {}
func rtWBEnd(b *wbBuf)                                  {}
func rtNoSample(mp *m) bool                             { return false }
func rtSweepBudget(n int) int                           { return n }

const (
	rtSlackForEachP  = stwUnknown
	rtLocksMin       = 0
	rtUnlockFrames   = 0
	rtRootBlockBytes = 256 << 10
	rtObletBytes     = 128 << 10
)

func rtSlackLock(reason stwReason) bool { return false }

func rtLock2(l *mutex, locks int32)                             {}
func rtUnlockWake(l *mutex, haveStackLock bool, endTicks int64) {}

func rtNetpollWait(delay int64, waitms *int32) bool { return false }

func rtBoostWaited()                 {}
func rtSlackProfile(pcbuf []uintptr) {}

func rtClear(size uintptr, x unsafe.Pointer) bool { return false }
func rtNoScavenge() bool                          { return false }
func rtSysAlloc(p unsafe.Pointer, size uintptr)   {}
func rtTouch(p unsafe.Pointer, n uintptr)         {}
func rtTouchProfile[R any](records []R, labels []unsafe.Pointer, pcbuf []uintptr) {
}
func rtSemacquire(addr *uint32)   {}
func rtNewP() *p                  { return nil }
func rtNoGCTest(t gcTrigger) bool { return false }
func rtMetrics()                  {}
