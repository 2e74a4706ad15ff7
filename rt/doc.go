// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package rt runs goroutines in real time: at a priority of the kernel's
// classes SCHED_FIFO, SCHED_RR and SCHED_DEADLINE, woken as punctually as a C
// thread of that priority, beside whatever else the program does.
//
//	err := rt.Do(rt.Attr{Name: "control", Priority: 80}, func() error {
//		for c := range rt.Every(time.Millisecond) {
//			if c.Missed > 0 {
//				log.Printf("cycle %d: %d missed", c.N, c.Missed)
//			}
//			step()
//		}
//		return nil
//	})
//
// # Two implementations
//
// A program built by rtgo, the Go toolchain whose runtime knows real-time
// goroutines, gets all of it: [Supported] reports true. A task has a thread
// and a scheduler's P of its own; nothing that it does to block or to wake
// waits for a run queue, another goroutine's time slice, or the collector's
// workers. It may use time.Sleep, timers, channels, select, package sync, the
// network, files and cgo, and allocate.
//
// Built by any other Go, the same program compiles and runs, and the
// attributes reach the thread, but the goroutine needs a P from a scheduler
// that knows no urgency: beside a load of computing or allocating goroutines
// it runs late by 10 to 150 ms, and a task on the only CPU can
// livelock with the runtime. That is good for development, not for a machine.
// Two packages tell the two builds apart: importing
// rtgo.dev/rtgo/rt/require makes a build by another Go fail, rt/warn prints a
// line at the start of the program.
//
// On systems other than Linux, [Do] and [Go] return [ErrUnsupported]; [Every],
// [SleepUntil] and [Mutex] work with ordinary punctuality.
//
// # Privileges
//
// SCHED_FIFO and SCHED_RR need the capability CAP_SYS_NICE, or a soft limit
// RLIMIT_RTPRIO of at least the priority; SCHED_DEADLINE needs CAP_SYS_NICE
// (sched(7)). A kernel with RT group scheduling also wants a quota of CPU time
// in the control group. Locked memory ([Prepare]) needs CAP_IPC_LOCK or an
// unlimited RLIMIT_MEMLOCK. Affinity needs no privilege within the cpuset. In
// a container:
//
//	docker run --cap-add SYS_NICE --cap-add IPC_LOCK ...
//	docker run --ulimit rtprio=99 --ulimit memlock=-1 ...
//
// What is missing is found out, and the error names it and what to do: see
// [Error] and the Err variables. Several distinct faults are one EPERM to the
// kernel; the package reads capabilities, limits and control groups to tell
// them apart.
//
// # What a task may rely on
//
//   - Attributes are those of the thread that runs the goroutine, always the
//     same one while it is in real time, across blocking, system calls, cgo
//     calls and callbacks.
//   - They reach no other thread and no process: neither goroutines that the
//     task starts, nor threads of the runtime, nor programs started with
//     os/exec, nor threads that C code starts (SCHED_FLAG_RESET_ON_FORK).
//     C code's threads do inherit affinity and name, as C defines it.
//   - Leaving restores policy, priority, nice value, affinity and name, on
//     return, panic and runtime.Goexit. An unprivileged process cannot clear
//     SCHED_FLAG_RESET_ON_FORK again: after [Do] it stays set on the thread,
//     where it has no effect but that the processes and threads started from
//     it have no real-time policy and no negative nice value; after [Go] the
//     thread ends with the goroutine, unless it is the main thread.
//   - Nothing that can fail is late: Do and Go return the error before f runs.
//
// # What it must do itself
//
// SCHED_FIFO means that a task which never blocks keeps its CPU. Let a task
// block in each cycle, and leave a CPU, or part of one, to the rest of the
// program: it must be able to collect garbage, among other things. Under rtgo
// a watchdog, which looks at least every 0.4 s, keeps the process alive and
// reports the goroutine that hogs.
//
// What a task waits for decides how long it waits: a channel that an ordinary
// goroutine serves is as late as that goroutine, and so is a sync.Mutex that
// one holds. [Mutex] lends the waiter's priority to the holder.
//
// Call [Prepare] first, so that no page of the program is missing when it is
// needed; it also keeps the rest of the program off the CPUs of the tasks, if
// it is told which. [NoGC] and [Critical] keep the collector, and every stop of
// the world, away from what must not meet them. On the machine, use a kernel with PREEMPT_RT (in mainline since
// Linux 6.12), whatever the program is written in.
//
// # Whole programs
//
// Under rtgo the setting rtmain=N in GODEBUG, or the line
//
//	//go:debug rtmain=80
//
// in package main, runs main.main at SCHED_FIFO priority N without a change of
// the program, and freezes GOMAXPROCS. (Other toolchains refuse the //go:debug
// line.)
//
// # Measuring
//
// Each task counts its wake-ups and their lateness: [Task.Stats]. Lateness is
// taken when the goroutine runs again, so it contains everything: timer,
// interrupt, the kernel's scheduler and the runtime. The same statistics have
// the task's page faults, and its [Pauses], for which the runtime kept it from
// running. Under rtgo package runtime/metrics has the sums over all tasks, as
// metrics /rt/*, and [ReadRuntimeStats] the counters of the process. Durations are
// time.Durations; the clock is CLOCK_MONOTONIC, in nanoseconds, which no
// change of the wall clock moves.
//
// # What is not true
//
// Some things that one reads elsewhere are wrong.
//
//   - There is no prctl(PR_SET_SCHED_POLICY). Policies are set per thread, with
//     sched_setattr(2); setting one on a goroutine's thread without locking
//     the goroutine to it sets it on whatever goroutine runs there next.
//   - golang.org/x/sys/unix has no SchedSetScheduler and no SchedSetParam. It
//     has SchedSetAttr.
//   - runtime.LockOSThread with SCHED_FIFO does not make a goroutine
//     punctual: it still needs a P, for which it queues.
//   - The kernel drops no signals sent to SCHED_FIFO threads. The runtime's
//     sysmon fails beside them because it is an ordinary thread and starves.
//   - Goroutine preemption is not cooperative only: since Go 1.14 it is done by
//     signal. GODEBUG=asyncpreemptoff=1 lowers nobody's latency by itself, and
//     makes pauses for the collector unbounded in tight loops.
//   - No function of the runtime can be replaced with //go:linkname, and none
//     of the kernel's.
//   - Neither nice -20 nor GOMAXPROCS=1 gives real time.
//   - mlockall(MCL_CURRENT|MCL_FUTURE), which every C program for real time
//     begins with, makes a Go program worse as long as its heap grows: see
//     [LockAll].
//   - A container has no kernel of its own. A "PREEMPT_RT container" is one
//     that runs on a PREEMPT_RT host.
//
// # Sources
//
// sched(7), sched_setattr(2), capabilities(7), futex(2), mlock(2), cpuset(7),
// cgroups(7); Documentation/scheduler/sched-rt-group.rst and
// sched-deadline.rst of the kernel, and its kernel/sched/syscalls.c for what
// the manual pages leave out. Figures are rtgo's own measurements; its
// repository has the commands.
package rt
