// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Signals that package os/signal receives.
//
// Upstream such a signal waits twice for an ordinary thread. The kernel gives
// one that is sent to the process to a thread of its choice, the main thread if
// it can, and that runs the handler when it gets the CPU. And the goroutine
// of os/signal, which passes the signal on to the channels, needs an ordinary P.
// From the first task on that goroutine has a thread and a reserved P of its
// own (rtHelper), at SCHED_FIFO 1: above every ordinary thread, and below the tasks,
// since the kernel wakes it at each signal to any thread of the process, those that
// preempt goroutines among them (at the priority of a task it made that 20 µs late
// in one wake-up of 1,000 beside a storm of stops). The thread waits in ppoll for
// two descriptors:
//
//   - A signalfd of the signals that somebody wants. The kernel wakes who waits
//     for it when the signal is sent, whatever thread it gives it to, and who
//     comes first takes it: the handler there, or a read here.
//   - An eventfd, which sigsend writes to in a handler instead of waking the
//     note. Signals for one thread, and those that a handler takes first, come
//     this way.
//
// Either way a signal passes sigsend, so that nothing changes for
// signalWaitUntilIdle. One that was read and that nobody wants any more is sent
// again, to take the effect it has then. The set of the signalfd follows
// signal_enable at once, and a signal that is given up at the next one of its
// kind: that is sent again only after the set has changed, or this thread would
// read it again and again while it keeps the other off the CPU that gives it up.
//
// A debugger that waits for the process to get a signal does not see those that
// are read here.
//
// Rejected: blocking these signals in every thread but this one. Masks are
// inherited by new threads and executed programs, and threads of C have their
// own. Rejected: sigwaitinfo here; the kernel asks the main thread first.

package runtime

import (
	"internal/runtime/atomic"
	"internal/runtime/syscall/linux"
	"unsafe"
)

var rtSignal struct {
	state atomic.Uint32 // one of the constants below
	fd    atomic.Int32  // signalfd, or 0
	evfd  int32
}

const (
	rtSignalNone   = iota
	rtSignalRuns   // sigsend wakes the thread by the eventfd
	rtSignalFailed // no descriptors: as upstream
)

// rtSignalStart wakes the goroutine of os/signal, if there is one and it has no
// thread of its own yet, so that it gets one. There is a task.
func rtSignalStart() {
	if rtSignal.state.Load() == rtSignalNone && sig.state.CompareAndSwap(sigReceiving, sigIdle) {
		notewakeup(&sig.note)
	}
}

// rtSignalInit gives the goroutine of os/signal, the calling one, a thread of its
// own if there are tasks. No sender is about to wake it: sig.state is not
// sigReceiving.
func rtSignalInit() {
	if rtSignal.state.Load() != rtSignalNone || atomic.Load(&rtSched.active) == 0 || getg().bubble != nil {
		return
	}
	var none sigset
	fd := rtSignalfd(-1, &none)
	evfd, errno := linux.Eventfd(0, linux.EFD_CLOEXEC|linux.EFD_NONBLOCK)
	if fd <= 0 || errno != 0 {
		if fd >= 0 {
			closefd(fd)
		}
		if errno == 0 {
			closefd(evfd)
		}
		rtSignal.state.Store(rtSignalFailed)
		return
	}
	rtHelper("rtsignal")
	rtSignal.evfd = evfd
	rtSignal.fd.Store(fd)
	rtSignalMask()
	rtSignal.state.Store(rtSignalRuns)
}

// rtSignalfd makes a signalfd for set, or changes the set of fd.
func rtSignalfd(fd int32, set *sigset) int32 {
	r, _, e := linux.Syscall6(rtSYS_signalfd4, uintptr(fd), uintptr(noescape(unsafe.Pointer(set))), unsafe.Sizeof(*set),
		linux.EFD_CLOEXEC|linux.EFD_NONBLOCK, 0, 0)
	if e != 0 {
		return -1
	}
	return int32(r)
}

// rtSignalMask makes the set of the signalfd the signals that os/signal wants,
// without those that a handler must see first.
func rtSignalMask() {
	fd := rtSignal.fd.Load()
	if fd == 0 {
		return
	}
	for {
		wanted := sig.wanted
		var set sigset
		for i := range uint32(len(sigtable)) {
			if wanted[i/32]&(1<<(i&31)) != 0 && sigtable[i].flags&_SigNotify != 0 && i != _SIGPROF {
				sigaddset(&set, int(i))
			}
		}
		rtSignalfd(fd, &set)
		same := true
		for i := range wanted {
			same = same && wanted[i] == atomic.Load(&sig.wanted[i])
		}
		if same {
			return // or who has changed it since does this as well
		}
	}
}

// rtSignalWait waits for a signal. It reports false if the calling goroutine has
// to wait as upstream's does. sig.state is sigReceiving, and is not when it
// reports true.
func rtSignalWait() bool {
	if rtSignal.state.Load() != rtSignalRuns {
		return false
	}
	for {
		rtReserveRefill(getg().m.rt.p.ptr())
		fds := [2]rtPollfd{{fd: rtSignal.fd.Load(), events: _POLLIN}, {fd: rtSignal.evfd, events: _POLLIN}}
		entersyscallblock()
		linux.Syscall6(rtSYS_ppoll, uintptr(noescape(unsafe.Pointer(&fds))), 2, 0, 0, 0, 0)
		exitsyscall()
		if (fds[0].revents|fds[1].revents)&^_POLLIN != 0 {
			// The program has closed them, as some do with all they do not know.
			rtSignal.state.Store(rtSignalFailed)
			return sig.state.Load() != sigReceiving
		}
		if fds[1].revents != 0 {
			var v uint64
			read(rtSignal.evfd, noescape(unsafe.Pointer(&v)), 8)
			return true
		}
		if fds[0].revents != 0 && rtSignalRead() {
			return true
		}
	}
}

// rtSignalRead takes a signal from the signalfd, if no handler has taken it. It
// reports false if the thread has to wait on.
func rtSignalRead() bool {
	var info struct { // the kernel's struct signalfd_siginfo
		signo uint32
		_     [124]byte
	}
	if read(rtSignal.fd.Load(), noescape(unsafe.Pointer(&info)), int32(unsafe.Sizeof(info))) <= 0 {
		return false
	}
	// If this fails a handler sends meanwhile, and writes to the eventfd.
	awake := sig.state.CompareAndSwap(sigReceiving, sigIdle)
	if !sigsend(info.signo) {
		rtSignalMask()
		raiseproc(info.signo)
	}
	return awake
}

// rtSignalWake is sigsend's part to wake the goroutine of os/signal, in a signal
// handler. It reports false if that waits as upstream's does.
//
//go:nowritebarrierrec
func rtSignalWake() bool {
	if rtSignal.state.Load() != rtSignalRuns {
		return false
	}
	one := uint64(1)
	write(uintptr(rtSignal.evfd), noescape(unsafe.Pointer(&one)), 8)
	return true
}
