// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

// Package victim has the two ways in which stock Go does not merely become
// late under SCHED_FIFO but stops. Each is run in a process of its own that
// the kernel ends: RLIMIT_RTTIME kills a thread that has computed for too
// long at a real-time priority without blocking, whoever else is starved.
package victim

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/rt"
	"rtgo.dev/rtgo/test/rtlatency/clock"
	"rtgo.dev/rtgo/test/rtlatency/result"
)

// Limit is the CPU time that the kernel lets a victim burn.
const Limit = 3 * time.Second

const priority = 80

// linearLimit is the length of the victims' linear histogram in µs.
const linearLimit = 1000

// A board is memory that the victim shares with its parent and that survives
// it.
type board struct {
	cycles, overflow  uint64
	min, max, sum     int64
	worstAt, worstCyc int64
	begin, end        int64
	linear            [linearLimit]uint64
	log               [result.LogBuckets]uint64
}

func openBoard(f *os.File) (*board, error) {
	b, err := unix.Mmap(int(f.Fd()), 0, int(unsafe.Sizeof(board{})), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return (*board)(unsafe.Pointer(&b[0])), nil
}

func (b *board) record(lat, now int64) {
	if b.cycles == 0 || lat < b.min {
		b.min = lat
	}
	if b.cycles == 0 || lat > b.max {
		b.max, b.worstAt, b.worstCyc = lat, now-b.begin, int64(b.cycles)
	}
	b.sum += lat
	if us := lat / 1000; us < linearLimit {
		b.linear[us]++
	} else {
		b.overflow++
	}
	b.log[result.LogIndex(lat)]++
	b.cycles++
}

func (b *board) stats() result.Stats {
	s := result.Stats{Cycles: b.cycles, MinNS: b.min, MaxNS: b.max, WorstAt: b.worstAt, WorstCyc: uint64(b.worstCyc),
		Linear: result.Linear{Limit: linearLimit, Counts: make(map[int]uint64), Overflow: b.overflow}}
	if b.cycles > 0 {
		s.AvgNS = b.sum / int64(b.cycles)
	}
	for us, n := range b.linear {
		if n > 0 {
			s.Linear.Counts[us] = n
		}
	}
	for i, n := range b.log {
		if n > 0 {
			from, to := result.LogBounds(i)
			s.Log = append(s.Log, result.Bucket{From: from, To: to, N: n})
		}
	}
	s.SetQuantiles()
	return s
}

// A Kind is one victim.
type Kind struct {
	Name    string
	Summary string
	Cause   string
	whole   bool // the whole process is real-time from its start, as under chrt
	run     func(b *board, d time.Duration)
}

// Kinds are the victims.
var Kinds = []Kind{
	{
		Name:    "livelock",
		Summary: "FIFO 80 task in clock_nanosleep each 100 to 116 µs beside a goroutine that yields, one CPU: CPU time burnt per wake-up",
		Cause:   "leaving a system call, the task spins with sched_yield on a bit set by an ordinary thread that it has preempted (casgstatus on _Gscan)",
		run:     livelock,
	},
	{
		Name:    "sysmon",
		Summary: "whole process at FIFO 80 (chrt) on one CPU with one goroutine that computes: time until SIGTERM ends it",
		Cause:   "sysmon and the thread that would take the signal have the same FIFO priority as the task that computes, and never run",
		whole:   true,
		run:     starve,
	},
}

// livelock is design point 10: wake-ups by a system call that the scheduler
// knows of, beside ordinary work that makes sysmon retake the P.
func livelock(b *board, d time.Duration) {
	go func() {
		for {
			runtime.Gosched()
		}
	}()
	done := make(chan struct{})
	_, err := rt.Go(rt.Attr{Name: "victim", Policy: rt.FIFO, Priority: priority}, func() {
		defer close(done)
		b.begin = clock.Now()
		x := uint32(1)
		for next := b.begin; next < b.begin+int64(d); {
			// 100 to 116 µs: a machine in simulated time would else meet
			// sysmon at the same place for ever, or never.
			x = x*1664525 + 1013904223
			next = max(next, clock.Now()) + 100_000 + int64(x>>18)
			c := cpuTime()
			clock.SleepUntil(next)
			b.record(cpuTime()-c, clock.Now())
		}
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "rtlatency:", err)
		os.Exit(1)
	}
	<-done
	b.end = clock.Now()
}

// starve is points 8 and 11. The kernel itself sends the SIGTERM, since no
// other process may get to run.
func starve(b *board, d time.Duration) {
	b.begin = clock.Now()
	if err := alarm(500*time.Millisecond, syscall.SIGTERM); err != nil {
		fmt.Fprintln(os.Stderr, "rtlatency: timer:", err)
		os.Exit(1)
	}
	var compute func()
	compute = func() {
		// The kernel prefers the first thread for a signal of the process. That
		// one must wait, not compute.
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			go compute()
			select {}
		}
		for i := 0; ; i++ {
			if i&0xffff == 0 {
				b.end = clock.Now()
			}
		}
	}
	go compute()
	select {}
}

// alarm makes the kernel send sig to this process once, when it has used d of
// CPU time. A timer of another clock would not do: under PREEMPT_RT it expires
// in a thread of SCHED_FIFO priority 1, which starves as well; one of CPU time
// expires in the thread that computes.
func alarm(d time.Duration, sig syscall.Signal) error {
	ev := struct {
		value  uint64
		signo  int32
		notify int32 // 0: SIGEV_SIGNAL
		pad    [48]byte
	}{signo: int32(sig)}
	var id int32
	if _, _, e := syscall.Syscall(unix.SYS_TIMER_CREATE, unix.CLOCK_PROCESS_CPUTIME_ID, uintptr(unsafe.Pointer(&ev)), uintptr(unsafe.Pointer(&id))); e != 0 {
		return e
	}
	var spec struct{ interval, value unix.Timespec }
	spec.value = unix.NsecToTimespec(int64(d))
	if _, _, e := syscall.Syscall6(unix.SYS_TIMER_SETTIME, uintptr(id), 0, uintptr(unsafe.Pointer(&spec)), 0, 0, 0); e != 0 {
		return e
	}
	return nil
}

func cpuTime() int64 {
	var ts unix.Timespec
	syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_THREAD_CPUTIME_ID, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// Main is the victim's own main function: args are its name and the duration
// in nanoseconds; descriptor 3 is the board.
func Main(args []string) error {
	if len(args) != 2 {
		return errors.New("victim: started by rtlatency problem only")
	}
	b, err := openBoard(os.NewFile(3, "board"))
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return err
	}
	us := uint64(Limit / time.Microsecond)
	if err := unix.Setrlimit(unix.RLIMIT_RTTIME, &unix.Rlimit{Cur: us, Max: us}); err != nil {
		return os.NewSyscallError("setrlimit", err)
	}
	for _, k := range Kinds {
		if k.Name == args[0] {
			k.run(b, time.Duration(n))
			return nil
		}
	}
	return fmt.Errorf("victim: no kind %q", args[0])
}

// Run runs a victim for d in a child process on one CPU and tells what
// became of it. The measurement's Outcome is result.Hang if the kernel had
// to end it.
func Run(k Kind, d time.Duration) (*result.Measurement, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("board", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "board")
	defer f.Close()
	if err := f.Truncate(int64(unsafe.Sizeof(board{}))); err != nil {
		return nil, err
	}
	b, err := openBoard(f)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(exe, "victim", k.Name, strconv.FormatInt(int64(d), 10))
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stderr = os.Stderr
	start := time.Now()
	if err := startInherited(cmd, k.whole); err != nil {
		return nil, err
	}
	// Should the kernel not end it (no RLIMIT_RTTIME), we do.
	timer := time.AfterFunc(d+10*Limit, func() { cmd.Process.Kill() })
	defer timer.Stop()
	err = cmd.Wait()
	m := &result.Measurement{
		Scenario: "problem/" + k.Name, Group: "problem", Summary: k.Summary, Cause: k.Cause,
		Policy: "fifo", Priority: priority, Start: start, Duration: int64(time.Since(start)),
		Outcome: result.OK, Validity: result.Uncontrolled,
	}
	t := result.Thread{Name: k.Name, TID: cmd.Process.Pid, Priority: priority, CPU: -1}
	ws := cmd.ProcessState.Sys().(syscall.WaitStatus)
	elapsed := time.Since(start)
	if k.whole {
		// Its one sample is how long SIGTERM took, sent after 500 ms.
		b.record(max(b.end-b.begin-int64(500*time.Millisecond), 0), b.end)
	}
	t.Stats = b.stats()
	m.Threads = []result.Thread{t}
	switch {
	case ws.Signaled() && ws.Signal() == syscall.SIGKILL:
		m.Outcome = result.Hang
		m.Error = fmt.Sprintf("no progress: ended by the kernel after a thread had computed for %v without blocking (RLIMIT_RTTIME), %.1f s after its start", Limit, elapsed.Seconds())
	case ws.Signaled() && ws.Signal() == syscall.SIGTERM && k.whole:
	case err != nil:
		m.Outcome, m.Error = result.Failed, err.Error()
	}
	return m, nil
}

// startInherited starts cmd on one CPU and, if fifo is set, at the victims'
// priority, as taskset and chrt do: the child inherits both from the thread
// that starts it.
func startInherited(cmd *exec.Cmd, fifo bool) error {
	errc := make(chan error)
	go func() {
		// The thread is not used again: its goroutine ends without unlocking.
		runtime.LockOSThread()
		errc <- func() error {
			var set, one unix.CPUSet
			if err := unix.SchedGetaffinity(0, &set); err != nil {
				return err
			}
			for i := range len(set) * 64 {
				if set.IsSet(i) {
					one.Set(i)
					break
				}
			}
			if err := unix.SchedSetaffinity(0, &one); err != nil {
				return err
			}
			if !fifo {
				return cmd.Start()
			}
			a := &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: priority}
			if err := unix.SchedSetAttr(0, a, 0); err != nil {
				return fmt.Errorf("FIFO %d: %w: needs CAP_SYS_NICE or RLIMIT_RTPRIO of at least %d", priority, err, priority)
			}
			err := cmd.Start()
			unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr}, 0)
			return err
		}()
	}()
	return <-errc
}
