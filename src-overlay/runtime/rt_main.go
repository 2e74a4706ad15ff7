// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

// Whole-program mode: GODEBUG=rtmain=N, or //go:debug rtmain=N in the main
// package, runs main.main at SCHED_FIFO priority N (1 to 99), for programs
// that cannot be changed. GOMAXPROCS is frozen at its initial value, so that
// no automatic update stops the world.
//
// A process that was started under a real-time policy as a whole (chrt -f 80
// prog) has no task, but the same need for a watchdog: all its threads inherit
// the policy, and one that never blocks keeps its equals from running.

package runtime

import (
	"internal/bytealg"
	"internal/strconv"
)

// rtMain enters real time for main.main if the program asks for it. It ends
// the process if that is not possible: a program that was asked to be
// punctual must not run late in silence.
func rtMain() {
	var a rtSchedAttr
	if rtGetattr(0, &a) == 0 && (a.policy == _SCHED_FIFO || a.policy == _SCHED_RR) {
		rtWatch.process = a.priority
		rtWatchStart(a.priority)
		// Let it raise its priority before anybody keeps it from running.
		for i := 0; i < 1000 && rtWatch.up.Load() == 0; i++ {
			usleep(20)
		}
	}
	prio := rtMainPrio()
	if prio == 0 {
		return
	}
	if prio < 1 || prio > 99 {
		print("runtime: rtmain=", prio, ": priority must be 1 to 99\n")
		exit(1)
	}
	lock(&sched.lock)
	sched.customGOMAXPROCS = true
	unlock(&sched.lock)
	attr := rtAttr{sched: rtSchedAttr{policy: _SCHED_FIFO, priority: uint32(prio)}}
	if _, _, errno := rtEnter(&attr); errno != 0 {
		print("runtime: rtmain=", prio, ": sched_setattr: errno ", errno)
		if errno == _EPERM {
			print(" (not permitted: needs CAP_SYS_NICE or RLIMIT_RTPRIO of at least ", prio, ", and in a cgroup with RT group scheduling a cpu.rt_runtime_us above 0)")
		}
		print("\n")
		exit(1)
	}
}

// rtMainPrio returns the value of the setting rtmain, 0 if it is not set. The
// environment goes before what the program was built with. It is parsed here,
// not in dbgvars, so that the setting costs upstream's files nothing.
func rtMainPrio() int32 {
	for _, s := range [...]string{gogetenv("GODEBUG"), godebugDefault} {
		// As parsegodebug: the last setting of a name wins.
		for s != "" {
			i := bytealg.LastIndexByteString(s, ',')
			f := s[i+1:]
			s = s[:max(i, 0)]
			const key = "rtmain="
			if len(f) > len(key) && f[:len(key)] == key {
				n, err := strconv.ParseInt(f[len(key):], 10, 32)
				if err != nil {
					n = -1
				}
				return int32(n)
			}
		}
	}
	return 0
}
