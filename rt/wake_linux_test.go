// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A wakePath is a way to block and be woken.
type wakePath struct {
	name string
	// block waits for what the function given to arm does, or for the clock.
	// That function runs on an ordinary P, a little later, and does not block.
	block func(arm func(func())) error

	uncounted bool   // by the runtime: not a wake-up from a parked state
	helper    string // the ordinary goroutine it needs; it is not direct
}

// spin computes without a call, and so without a preemption point.
func spin(n int) {
	var x atomic.Int32
	for range n {
		x.Load()
	}
}

const spinMillisecond = 1_000_000 // loops of spin that take about that long, or more

var noChan chan int

func must(err error) {
	check(err == nil, "%v", err)
}

// rawWrite writes a byte without giving up the P.
func rawWrite(fd uintptr) {
	b := [1]byte{1}
	syscall.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&b[0])), 1)
}

// rawFD returns a descriptor of the file or connection.
func rawFD(c syscall.Conn) (fd uintptr) {
	rc, err := c.SyscallConn()
	must(err)
	must(rc.Control(func(f uintptr) { fd = f }))
	return fd
}

func tcpPair() (a, b *net.TCPConn) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	must(err)
	s, err := l.Accept()
	must(err)
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

func wantIs(err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("got %v, want %v", err, want)
	}
	return nil
}

const nap = 3 * time.Millisecond

// wakePaths are all ways to wait that a task may use.
func wakePaths() []wakePath {
	one := make([]byte, 1)
	pr, pw, err := os.Pipe()
	must(err)
	c1, c2 := tcpPair()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	must(err)
	var fds [2]int
	must(unix.Pipe(fds[:]))
	fill := func() {
		pw.SetWriteDeadline(time.Now().Add(nap))
		_, err := pw.Write(make([]byte, 1<<20))
		check(errors.Is(err, os.ErrDeadlineExceeded), "%v", err)
		pw.SetWriteDeadline(time.Time{})
	}
	big := make([]byte, 1<<20)
	drain := func() {
		syscall.RawSyscall(unix.SYS_READ, rawFD(pr), uintptr(unsafe.Pointer(&big[0])), uintptr(len(big)))
	}
	usr1 := make(chan os.Signal, 1)
	signal.Notify(usr1, unix.SIGUSR1)

	return []wakePath{
		// The clock.
		{name: "sleep", block: func(func(func())) error { time.Sleep(nap); return nil }},
		{name: "until", block: func(func(func())) error { SleepUntil(time.Now().Add(nap)); return nil }},
		{name: "every", block: func(func(func())) error {
			for c := range Every(nap) {
				if c.N > 2 {
					break
				}
			}
			return nil
		}},
		{name: "timer", block: func(func(func())) error { <-time.NewTimer(nap).C; return nil }},
		{name: "timer-reset", block: func(func(func())) error {
			t := time.NewTimer(time.Hour)
			t.Reset(nap)
			<-t.C
			return nil
		}},
		{name: "after", block: func(func(func())) error { <-time.After(nap); return nil }},
		{name: "ticker", block: func(func(func())) error {
			t := time.NewTicker(nap)
			defer t.Stop()
			for range 3 {
				<-t.C
			}
			return nil
		}},
		{name: "select-after", block: func(func(func())) error {
			select {
			case <-noChan:
			case noChan <- 1:
			case <-time.After(nap):
			}
			return nil
		}},
		{name: "context-timeout", helper: "the goroutine of time.AfterFunc", block: func(func(func())) error {
			ctx, cancel := context.WithTimeout(context.Background(), nap)
			defer cancel()
			<-ctx.Done()
			return wantIs(ctx.Err(), context.DeadlineExceeded)
		}},

		// Channels.
		{name: "chan-receive", block: func(arm func(func())) error {
			c := make(chan int)
			arm(func() { c <- 1 })
			<-c
			return nil
		}},
		{name: "chan-send", block: func(arm func(func())) error {
			c := make(chan int)
			arm(func() { <-c })
			c <- 1
			return nil
		}},
		{name: "chan-buffer-empty", block: func(arm func(func())) error {
			c := make(chan int, 1)
			arm(func() { c <- 1 })
			<-c
			return nil
		}},
		{name: "chan-buffer-full", block: func(arm func(func())) error {
			c := make(chan int, 1)
			c <- 1
			arm(func() { <-c })
			c <- 1
			return nil
		}},
		{name: "chan-close", block: func(arm func(func())) error {
			c := make(chan int)
			arm(func() { close(c) })
			<-c
			return nil
		}},
		{name: "chan-range", block: func(arm func(func())) error {
			c := make(chan int, 2)
			arm(func() { c <- 1; c <- 2; close(c) })
			for range c {
			}
			return nil
		}},
		{name: "select-receive", block: func(arm func(func())) error {
			c := make(chan int)
			arm(func() { c <- 1 })
			select {
			case <-c:
			case <-noChan:
			}
			return nil
		}},
		{name: "select-send", block: func(arm func(func())) error {
			c := make(chan int)
			arm(func() { <-c })
			select {
			case c <- 1:
			case <-noChan:
			}
			return nil
		}},
		{name: "select-close", block: func(arm func(func())) error {
			c := make(chan int)
			arm(func() { close(c) })
			select {
			case <-c:
			case noChan <- 1:
			}
			return nil
		}},
		{name: "context-cancel", block: func(arm func(func())) error {
			ctx, cancel := context.WithCancel(context.Background())
			arm(cancel)
			<-ctx.Done()
			return wantIs(ctx.Err(), context.Canceled)
		}},

		// Package sync.
		{name: "mutex", block: func(arm func(func())) error {
			var mu sync.Mutex
			mu.Lock()
			arm(mu.Unlock)
			mu.Lock()
			return nil
		}},
		{name: "rwmutex-read", block: func(arm func(func())) error {
			var mu sync.RWMutex
			mu.Lock()
			arm(mu.Unlock)
			mu.RLock()
			return nil
		}},
		{name: "rwmutex-write", block: func(arm func(func())) error {
			var mu sync.RWMutex
			mu.RLock()
			arm(mu.RUnlock)
			mu.Lock()
			return nil
		}},
		{name: "cond-signal", block: func(arm func(func())) error { return condWait(arm, (*sync.Cond).Signal) }},
		{name: "cond-broadcast", block: func(arm func(func())) error { return condWait(arm, (*sync.Cond).Broadcast) }},
		{name: "waitgroup", block: func(arm func(func())) error {
			var wg sync.WaitGroup
			wg.Add(1)
			arm(wg.Done)
			wg.Wait()
			return nil
		}},
		{name: "once", block: func(arm func(func())) error {
			var once sync.Once
			var entered atomic.Bool
			arm(func() { once.Do(func() { entered.Store(true); spin(5 * spinMillisecond) }) })
			for !entered.Load() {
				SleepUntil(time.Now().Add(100 * time.Microsecond))
			}
			once.Do(func() { check(false, "twice") })
			return nil
		}},
		{name: "rt-mutex", uncounted: true, block: func(arm func(func())) error {
			var mu Mutex
			var entered atomic.Bool
			arm(func() { mu.Lock(); entered.Store(true); spin(5 * spinMillisecond); mu.Unlock() })
			for !entered.Load() {
				SleepUntil(time.Now().Add(100 * time.Microsecond))
			}
			mu.Lock()
			mu.Unlock()
			return nil
		}},

		// Files.
		{name: "pipe-read", block: func(arm func(func())) error {
			fd := rawFD(pw)
			arm(func() { rawWrite(fd) })
			_, err := pr.Read(one)
			return err
		}},
		{name: "pipe-write", block: func(arm func(func())) error {
			fill()
			arm(drain)
			_, err := pw.Write(one)
			drain()
			return err
		}},
		{name: "pipe-deadline", block: func(func(func())) error {
			pr.SetReadDeadline(time.Now().Add(nap))
			defer pr.SetReadDeadline(time.Time{})
			_, err := pr.Read(one)
			return wantIs(err, os.ErrDeadlineExceeded)
		}},
		{name: "pipe-deadline-past", block: func(arm func(func())) error {
			arm(func() { pr.SetReadDeadline(time.Unix(1, 0)) })
			defer pr.SetReadDeadline(time.Time{})
			_, err := pr.Read(one)
			return wantIs(err, os.ErrDeadlineExceeded)
		}},
		{name: "pipe-close", block: func(arm func(func())) error {
			r, w, err := os.Pipe()
			must(err)
			defer w.Close()
			arm(func() { r.Close() })
			_, err = r.Read(one)
			return wantIs(err, os.ErrClosed)
		}},

		// The network.
		{name: "tcp-read", block: func(arm func(func())) error {
			fd := rawFD(c2)
			arm(func() { rawWrite(fd) })
			_, err := c1.Read(one)
			return err
		}},
		{name: "tcp-deadline", block: func(func(func())) error {
			c1.SetReadDeadline(time.Now().Add(nap))
			defer c1.SetReadDeadline(time.Time{})
			_, err := c1.Read(one)
			return wantIs(err, os.ErrDeadlineExceeded)
		}},
		{name: "tcp-close", block: func(arm func(func())) error {
			a, b := tcpPair()
			defer b.Close()
			arm(func() { a.Close() })
			_, err := a.Read(one)
			return wantIs(err, net.ErrClosed)
		}},
		{name: "tcp-accept", block: func(arm func(func())) error {
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			must(err)
			defer l.Close()
			s, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
			must(err)
			defer unix.Close(s)
			sa := unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: [4]byte{127, 0, 0, 1}}
			port := l.Addr().(*net.TCPAddr).Port
			sa.Port = uint16(port>>8 | port&0xff<<8)
			arm(func() {
				syscall.RawSyscall(unix.SYS_CONNECT, uintptr(s), uintptr(unsafe.Pointer(&sa)), unix.SizeofSockaddrInet4)
			})
			c, err := l.Accept()
			if err == nil {
				c.Close()
			}
			return err
		}},
		{name: "udp-read", block: func(arm func(func())) error {
			c, err := net.Dial("udp", udp.LocalAddr().String())
			must(err)
			defer c.Close()
			fd := rawFD(c.(*net.UDPConn))
			arm(func() { rawWrite(fd) })
			_, _, err = udp.ReadFrom(one)
			return err
		}},

		// The system.
		{name: "syscall", uncounted: true, block: func(arm func(func())) error {
			arm(func() { rawWrite(uintptr(fds[1])) })
			_, err := unix.Read(fds[0], one) // blocks the thread
			return err
		}},
		{name: "process", uncounted: true, block: func(func(func())) error { return exec.Command("true").Run() }},
		{name: "signal", block: func(arm func(func())) error {
			arm(func() { syscall.RawSyscall(unix.SYS_KILL, uintptr(os.Getpid()), uintptr(unix.SIGUSR1), 0) })
			<-usr1
			return nil
		}},
	}
}

func condWait(arm func(func()), wake func(*sync.Cond)) error {
	var mu sync.Mutex
	var woken atomic.Bool
	cond := sync.NewCond(&mu)
	mu.Lock()
	arm(func() {
		for !woken.Load() {
			wake(cond)
			spin(spinMillisecond / 10)
		}
	})
	cond.Wait()
	woken.Store(true)
	mu.Unlock()
	return nil
}

// While ordinary goroutines occupy every ordinary P and never yield, a task is
// woken nevertheless, by each path, on its own thread: neither a run queue nor
// another goroutine is on the way.
func TestDirectWake(t *testing.T) {
	needRT(t)
	if raceEnabled {
		t.Skip("the race detector's memory accesses are calls")
	}
	if !Supported() {
		// The test can fail: stock Go needs a P for each of these.
		for _, path := range []string{"sleep", "chan-receive", "pipe-read"} {
			if out, ended := runWake(t, path, 1, time.Second); ended {
				t.Errorf("%s: direct in a runtime that cannot do it\n%s", path, out)
			}
		}
		return
	}
	for _, procs := range []int{1, runtime.NumCPU()} {
		out, ended := runWake(t, "", procs, 20*time.Second)
		if !ended || !strings.HasSuffix(out, "ok\n") {
			t.Errorf("GOMAXPROCS=%d: the last path named did not end, or not well\n%s", procs, out)
			continue
		}
		t.Logf("GOMAXPROCS=%d, from the call that wakes to the goroutine\n%s", procs, out)
	}
	// The one that goes through a goroutine of the standard library.
	out, ended := runWake(t, "context-timeout", 1, time.Second)
	t.Logf("context-timeout: direct: %t %s", ended && strings.HasSuffix(out, "ok\n"), strings.ReplaceAll(out, "\n", "; "))
}

// runWake runs the child that tests the path, all direct ones if it is "".
func runWake(t *testing.T, path string, procs int, limit time.Duration) (out string, ended bool) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), "RT_TEST_CHILD=wake", "RT_TEST_PATH="+path, "RT_TEST_PROCS="+strconv.Itoa(procs),
		"GODEBUG=asyncpreemptoff=1") // an ordinary goroutine must not be preempted in the loop
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err = cmd.Run()
	return b.String(), ctx.Err() == nil && err == nil
}

func init() {
	children["wake"] = func() {
		debug.SetGCPercent(-1) // it could not stop the world
		only := os.Getenv("RT_TEST_PATH")
		procs, _ := strconv.Atoi(os.Getenv("RT_TEST_PROCS"))
		var paths []wakePath
		for _, p := range wakePaths() {
			if only == p.name || only == "" && p.helper == "" {
				paths = append(paths, p)
			}
		}
		runtime.GOMAXPROCS(procs)

		var trigger atomic.Pointer[func()]
		var hogging atomic.Int32
		var stop atomic.Bool
		var fired time.Time
		hog := func(work bool) {
			hogging.Add(1)
			for !stop.Load() {
				if f := trigger.Load(); f != nil && work {
					trigger.Store(nil)
					spin(2 * spinMillisecond) // the task blocks meanwhile
					fired = time.Now()
					(*f)()
				}
			}
		}
		var failure error
		task, err := Go(Attr{Priority: 20}, func() {
			defer stop.Store(true)
			for int(hogging.Load()) < procs {
				time.Sleep(time.Millisecond)
			}
			tid := unix.Gettid()
			for _, p := range paths {
				os.Stdout.WriteString(p.name)
				fired = time.Time{}
				before := Self().Stats().Dispatches
				failure = p.block(func(f func()) { trigger.Store(&f) })
				now := time.Now()
				n := Self().Stats().Dispatches - before
				switch {
				case failure != nil:
					failure = fmt.Errorf("%s: %w", p.name, failure)
				case unix.Gettid() != tid:
					failure = fmt.Errorf("%s: woke on another thread", p.name)
				case n == 0 && !p.uncounted && supported:
					failure = fmt.Errorf("%s: the runtime counted no wake-up", p.name)
				}
				if failure != nil {
					return
				}
				if !fired.IsZero() {
					os.Stdout.WriteString(" " + now.Sub(fired).String())
				}
				os.Stdout.WriteString("\n")
			}
		})
		must(err)
		for i := range procs {
			go hog(i == 0)
		}
		task.Wait()
		must(failure)
		fmt.Println("ok")
	}
}
