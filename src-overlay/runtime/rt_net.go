// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Waiting for a descriptor.
//
// A real-time goroutine that must wait for a descriptor parks as others do,
// with its g in pollDesc.rg or wg, so that deadlines and Close wake it as they
// wake others; but its thread waits in ppoll, for the descriptor and for an
// eventfd by which rtWake reaches it. When the descriptor is ready the thread
// takes the g out of the pollDesc itself (netpollunblock) and runs it. If the
// ordinary poller got there first, it has made the goroutine ready
// (rtNetReady) without going through its list.
//
// The descriptor stays in the runtime's epoll set, so an ordinary thread may
// see the same event later and leave pdReady behind; the next wait then
// returns at once and the read finds nothing (EAGAIN) and waits again.
//
// Rejected: a private epoll set per real-time goroutine. It would need every
// descriptor to be moved between sets whenever another goroutine uses it.

package runtime

import (
	"internal/runtime/atomic"
	"internal/runtime/syscall/linux"
	"unsafe"
)

// rtPollfd is the kernel's struct pollfd.
type rtPollfd struct {
	fd      int32
	events  int16
	revents int16
}

const (
	_POLLIN    = 1
	_POLLOUT   = 4
	_POLLRDHUP = 0x2000
)

// rtPollArm notes what the next park of a real-time goroutine waits for.
func rtPollArm(pd *pollDesc, mode int32) {
	if pp := getg().m.rt.p.ptr(); pp != nil {
		rtPollArmP(pp, pd, mode)
	}
}

func rtPollArmP(pp *rtP, pd *pollDesc, mode int32) {
	if pp.rt.evfd < 0 {
		fd, errno := linux.Eventfd(0, linux.EFD_CLOEXEC|linux.EFD_NONBLOCK)
		if errno != 0 {
			return // park on the futex; the ordinary poller wakes us
		}
		pp.rt.evfd = fd
	}
	pp.rt.pollmode = mode
	pp.rt.pollpd = pd
}

// rtParkPoll waits for the descriptor armed by rtPollArm or for rtWake. The
// caller owns pp and looks afterwards at what happened; next is the time of
// the next timer of pp, or 0.
func rtParkPoll(pp *rtP, gp *g, next int64) {
	pd := pp.rt.pollpd
	if !atomic.Cas(&pp.rt.wake, rtWakeNone, rtWakePoll) {
		return
	}
	if rtTimerBefore(pp) {
		atomic.Cas(&pp.rt.wake, rtWakePoll, rtWakeNone)
		return
	}
	fds := [2]rtPollfd{{fd: int32(pd.fd), events: _POLLIN | _POLLRDHUP}, {fd: pp.rt.evfd, events: _POLLIN}}
	if pp.rt.pollmode == 'w' {
		fds[0].events = _POLLOUT
	}
	var ts timespec
	tsp := unsafe.Pointer(nil)
	if next != 0 {
		timerpMask.clear(pp.id)
		ts.setNsec(max(0, next-nanotime()))
		tsp = unsafe.Pointer(&ts)
	}
	if rtRelease(pp) {
		systemstack(func() { rtReleaseSlow(pp) })
	}
	n, _, e := linux.Syscall6(rtSYS_ppoll, uintptr(noescape(unsafe.Pointer(&fds))), 2, uintptr(noescape(tsp)), 0, 0, 0)
	woken := rtTicks()
	rtAcquire(pp)
	if next != 0 {
		timerpMask.set(pp.id)
	}
	mine := atomic.Cas(&pp.rt.wake, rtWakePoll, rtWakeNone)
	if fds[1].revents != 0 {
		// If the token of a wake-up comes only after we have looked, it
		// ends the next wait early, which then looks again.
		var v uint64
		read(pp.rt.evfd, noescape(unsafe.Pointer(&v)), 8)
	}
	if !mine {
		return // rtWake has made gp ready
	}
	if e != 0 || int32(n) <= 0 || fds[0].revents == 0 {
		return // a timer or a signal
	}
	delta := int32(0)
	got := netpollunblock(pd, pp.rt.pollmode, true, &delta)
	if got != gp {
		// Somebody else has taken gp out and makes it ready.
		pp.rt.pollpd = nil
		if got != nil {
			throw("real-time: unexpected goroutine in pollDesc")
		}
		return
	}
	pp.rt.pollpd = nil
	trace := traceAcquire()
	casgstatus(gp, _Gwaiting, _Grunnable)
	if trace.ok() {
		trace.GoUnpark(gp, 0)
		traceRelease(trace)
	}
	netpollAdjustWaiters(delta)
	pp.rt.readyAt = woken
	atomic.Store(&pp.rt.wake, rtWakeReady)
}

// rtPollWake ends the ppoll of the thread of pp.
//
//go:nosplit
//go:nowritebarrierrec
func rtPollWake(pp *rtP) {
	one := uint64(1)
	write(uintptr(pp.rt.evfd), noescape(unsafe.Pointer(&one)), 8)
}

// rtNetReady makes gp ready at once if it is real-time, so that it does not
// wait in netpoll's list for an ordinary thread. It returns what must still
// go into the list, and corrects delta.
//
//go:nowritebarrier
func rtNetReady(gp *g, delta *int32) *g {
	if gp == nil || !rtAny() {
		return gp
	}
	return rtNetReadyAny(gp, delta)
}

//go:nowritebarrier
func rtNetReadyAny(gp *g, delta *int32) *g {
	pp := rtPOf(gp)
	if pp == nil {
		return gp
	}
	trace := traceAcquire()
	casgstatus(gp, _Gwaiting, _Grunnable)
	if trace.ok() {
		trace.GoUnpark(gp, 0)
		traceRelease(trace)
	}
	*delta++
	netpollAdjustWaiters(-1)
	rtWake(pp)
	return nil
}
