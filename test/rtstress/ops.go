// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/rt"
)

// An op is one operation. It must end, whatever the other workers do.
type op struct {
	name   string
	weight int
	doc    string
	f      func(w *worker)
	number int // in allOps
}

var allOps []*op

func register(name string, weight int, doc string, f func(w *worker)) {
	allOps = append(allOps, &op{name: name, weight: weight, doc: doc, f: f, number: len(allOps)})
}

// choose returns the operations that match one of the patterns in only, all
// if that is empty, and none of those in skip.
func choose(only, skip string) (ops []*op, err error) {
	match := func(list, name string) bool {
		for p := range strings.SplitSeq(list, ",") {
			ok, e := path.Match(p, name)
			if e != nil {
				err = fmt.Errorf("pattern %q: %v", p, e)
			}
			if ok {
				return true
			}
		}
		return false
	}
	for _, o := range allOps {
		if (only == "" || match(only, o.name)) && !(skip != "" && match(skip, o.name)) {
			ops = append(ops, o)
		}
	}
	if err == nil && len(ops) == 0 {
		err = errors.New("no operation is left by -only and -skip (-list shows them)")
	}
	return ops, err
}

// us returns a random time below n µs.
func (w *worker) us(n int) time.Duration {
	return time.Duration(w.rng.IntN(n*1000)) * time.Nanosecond
}

// after checks that the time until has come.
func (w *worker) after(what string, until time.Time) {
	if now := time.Now(); now.Before(until) {
		w.fail("%s ended %v early", what, until.Sub(now))
	}
}

func init() {
	registerChannels()
	registerSync()
	registerTime()
	registerIO()
	registerRuntime()
}

func registerChannels() {
	register("chan", 30, "receive from a new goroutine", func(w *worker) {
		c := make(chan int, w.rng.IntN(2))
		v := w.rng.Int()
		go func() { c <- v }()
		if got := <-c; got != v {
			w.fail("channel: received %d, sent %d", got, v)
		}
	})
	register("chan-send", 30, "send to a new goroutine that receives a little later", func(w *worker) {
		c := make(chan int)
		got := make(chan int, 1)
		d := w.us(100)
		go func() { time.Sleep(d); got <- <-c }()
		v := w.rng.Int()
		c <- v
		if r := <-got; r != v {
			w.fail("channel: received %d, sent %d", r, v)
		}
	})
	register("chan-pingpong", 20, "ten round trips with another goroutine", func(w *worker) {
		a, b := make(chan int), make(chan int)
		go func() {
			for v := range a {
				b <- v + 1
			}
			close(b)
		}()
		for i := range 10 {
			a <- i
			if v := <-b; v != i+1 {
				w.fail("ping-pong: %d, want %d", v, i+1)
			}
		}
		close(a)
		if _, ok := <-b; ok {
			w.fail("ping-pong: value from a closed channel")
		}
	})
	register("chan-close", 10, "woken by close", func(w *worker) {
		c := make(chan int)
		d := w.us(200)
		go func() { time.Sleep(d); close(c) }()
		if _, ok := <-c; ok {
			w.fail("value from a closed channel")
		}
	})
	register("chan-range", 10, "many values through a buffer", func(w *worker) {
		c := make(chan int, w.rng.IntN(8))
		n := w.rng.IntN(50)
		go func() {
			for i := range n {
				c <- i
			}
			close(c)
		}()
		i := 0
		for v := range c {
			if v != i {
				w.fail("range over a channel: %d, want %d", v, i)
			}
			i++
		}
		if i != n {
			w.fail("range over a channel: %d values, want %d", i, n)
		}
	})
	register("select", 30, "select on channels shared with all workers", func(w *worker) {
		timeout := time.NewTimer(w.us(300))
		defer timeout.Stop()
		select {
		case w.shared.bus <- w.id:
		case <-w.shared.bus:
		case w.shared.queue <- w.id:
		case <-w.shared.queue:
		case <-timeout.C:
		}
	})
	register("select-shared", 20, "send or receive where all workers do", func(w *worker) {
		timeout := time.After(w.us(500))
		select {
		case w.shared.bus <- w.id:
		case <-w.shared.bus:
		case <-timeout:
		}
	})
	register("select-default", 10, "select that does not block", func(w *worker) {
		for range 20 {
			select {
			case <-w.shared.queue:
			case w.shared.queue <- 1:
			default:
			}
		}
	})
	register("select-nil", 5, "select on nil channels and a timer", func(w *worker) {
		var never chan int
		until := time.Now().Add(w.us(300))
		select {
		case <-never:
			w.fail("received from a nil channel")
		case never <- 1:
			w.fail("sent to a nil channel")
		case <-time.After(time.Until(until)):
			w.after("time.After", until)
		}
	})
}

func registerSync() {
	register("mutex", 30, "a sync.Mutex shared with all workers", func(w *worker) {
		mu := &w.shared.mu[w.rng.IntN(len(w.shared.mu))]
		mu.Lock()
		if w.rng.IntN(4) == 0 {
			runtime.Gosched()
		}
		if w.rng.IntN(50) == 0 {
			time.Sleep(w.us(200))
		}
		mu.Unlock()
	})
	register("mutex-handed", 10, "a sync.Mutex unlocked by another goroutine", func(w *worker) {
		var mu sync.Mutex
		mu.Lock()
		d := w.us(200)
		go func() { time.Sleep(d); mu.Unlock() }()
		mu.Lock()
		mu.Unlock()
	})
	register("rwmutex", 20, "a sync.RWMutex shared with all workers", func(w *worker) {
		rw := &w.shared.rw[w.rng.IntN(len(w.shared.rw))]
		if w.rng.IntN(4) > 0 {
			rw.RLock()
			runtime.Gosched()
			rw.RUnlock()
			return
		}
		rw.Lock()
		rw.Unlock()
	})
	register("rtmutex", 40, "an rt.Mutex shared with all workers", func(w *worker) {
		i := w.rng.IntN(len(w.shared.pi))
		mu := &w.shared.pi[i]
		mu.Lock()
		w.shared.guarded[i]++
		n := w.shared.guarded[i]
		for range w.rng.IntN(2000) {
			w.shared.counter.Load()
		}
		if w.shared.guarded[i] != n {
			w.fail("rt.Mutex: two holders")
		}
		mu.Unlock()
	})
	register("rtmutex-nested", 15, "several rt.Mutexes, in order", func(w *worker) {
		first := w.rng.IntN(len(w.shared.pi))
		for i := first; i < len(w.shared.pi); i++ {
			w.shared.pi[i].Lock()
			w.shared.guarded[i]++
		}
		for i := first; i < len(w.shared.pi); i++ {
			w.shared.pi[i].Unlock()
		}
	})
	register("rtmutex-try", 10, "rt.Mutex.TryLock", func(w *worker) {
		i := w.rng.IntN(len(w.shared.pi))
		if w.shared.pi[i].TryLock() {
			w.shared.guarded[i]++
			w.shared.pi[i].Unlock()
		}
	})
	register("rtmutex-block", 3, "block while holding an rt.Mutex, which one should not", func(w *worker) {
		mu := &w.shared.pi[0]
		mu.Lock()
		defer mu.Unlock()
		switch w.rng.IntN(4) {
		case 0:
			time.Sleep(w.us(200))
		case 1:
			c := make(chan int)
			go func() { c <- 1 }()
			<-c
		case 2:
			runtime.Gosched()
		case 3:
			grow(100)
		}
	})
	register("rtmutex-panic", 3, "unlock an rt.Mutex while panicking, misuse one", func(w *worker) {
		mu := &w.shared.pi[w.rng.IntN(len(w.shared.pi))]
		func() {
			defer func() {
				if recover() == nil {
					w.fail("no panic")
				}
			}()
			mu.Lock()
			defer mu.Unlock()
			if w.rng.IntN(2) == 0 {
				mu.Lock()
			} else {
				panic(1)
			}
		}()
		var own rt.Mutex
		func() {
			defer func() {
				if recover() == nil {
					w.fail("no panic by Unlock of a free rt.Mutex")
				}
			}()
			own.Unlock()
		}()
	})
	register("cond", 15, "sync.Cond with an rt.Mutex", func(w *worker) {
		s := w.shared
		go func() {
			s.condMu.Lock()
			s.tokens++
			s.condMu.Unlock()
			s.cond.Broadcast()
		}()
		s.condMu.Lock()
		for s.tokens == 0 {
			s.cond.Wait()
		}
		s.tokens--
		s.condMu.Unlock()
	})
	register("waitgroup", 15, "start goroutines and wait for them", func(w *worker) {
		var wg sync.WaitGroup
		var n atomic.Int32
		count := w.rng.IntN(20)
		for range count {
			wg.Go(func() { n.Add(1) })
		}
		wg.Wait()
		if n.Load() != int32(count) {
			w.fail("WaitGroup: %d of %d ended", n.Load(), count)
		}
	})
	register("once", 5, "sync.Once that two goroutines want", func(w *worker) {
		var once sync.Once
		n := 0
		f := func() { runtime.Gosched(); n++ }
		done := make(chan bool)
		go func() { once.Do(f); close(done) }()
		once.Do(f)
		if n != 1 {
			w.fail("Once ran %d times", n)
		}
		<-done
	})
	register("pool", 10, "sync.Pool and sync.Map", func(w *worker) {
		p := w.shared.pool.Get().(*[256]byte)
		w.shared.m.Store(w.rng.IntN(50), p)
		w.shared.m.Load(w.rng.IntN(50))
		w.shared.m.Delete(w.rng.IntN(50))
		w.shared.pool.Put(new([256]byte))
	})
}

func registerTime() {
	register("sleep", 30, "time.Sleep", func(w *worker) {
		d := w.us(500)
		until := time.Now().Add(d)
		time.Sleep(d)
		w.after("time.Sleep", until)
	})
	register("until", 20, "rt.SleepUntil", func(w *worker) {
		until := time.Now().Add(w.us(500))
		rt.SleepUntil(until)
		w.after("rt.SleepUntil", until)
	})
	register("every", 5, "some cycles of rt.Every", func(w *worker) {
		n := uint64(0)
		for c := range rt.Every(50*time.Microsecond + w.us(100)) {
			w.after("rt.Every", c.Release)
			if n += 1 + c.Missed; n != c.N {
				w.fail("rt.Every: cycle %d is number %d", n, c.N)
			}
			if n >= 8 {
				break
			}
		}
	})
	register("timer", 20, "time.Timer, reset and stopped", func(w *worker) {
		t := time.NewTimer(time.Hour)
		until := time.Now().Add(w.us(300))
		t.Reset(time.Until(until))
		<-t.C
		w.after("time.Timer", until)
		t.Reset(w.us(50))
		runtime.Gosched()
		t.Stop()
		select {
		case <-t.C:
			w.fail("a stopped timer fired")
		default:
		}
	})
	register("ticker", 10, "time.Ticker", func(w *worker) {
		t := time.NewTicker(20*time.Microsecond + w.us(100))
		for range 4 {
			<-t.C
		}
		t.Stop()
	})
	register("afterfunc", 10, "time.AfterFunc", func(w *worker) {
		done := make(chan bool)
		time.AfterFunc(w.us(300), func() { close(done) })
		<-done
	})
	register("context", 15, "context with a deadline, or cancelled", func(w *worker) {
		ctx, cancel := context.WithTimeout(context.Background(), w.us(400))
		defer cancel()
		if w.rng.IntN(2) == 0 {
			d := w.us(300)
			go func() { time.Sleep(d); cancel() }()
		}
		<-ctx.Done()
		if ctx.Err() == nil {
			w.fail("context is done without error")
		}
	})
}

func registerIO() {
	register("pipe", 15, "read from a pipe that another goroutine writes to", func(w *worker) {
		r, p, err := os.Pipe()
		if err != nil {
			w.fail("%v", err)
			return
		}
		d := w.us(200)
		go func() {
			time.Sleep(d)
			p.Write([]byte("hello"))
			p.Close()
		}()
		if b, err := io.ReadAll(r); err != nil || string(b) != "hello" {
			w.fail("pipe: read %q, %v", b, err)
		}
		r.Close()
	})
	register("pipe-full", 5, "write more to a pipe than it holds", func(w *worker) {
		r, p, err := os.Pipe()
		if err != nil {
			w.fail("%v", err)
			return
		}
		n := make(chan int64, 1)
		go func() { c, _ := io.Copy(io.Discard, r); r.Close(); n <- c }()
		const size = 200 << 10
		p.Write(make([]byte, size))
		p.Close()
		if c := <-n; c != size {
			w.fail("pipe: %d of %d bytes came", c, size)
		}
	})
	register("pipe-deadline", 10, "read from a pipe until a deadline", func(w *worker) {
		r, p, err := os.Pipe()
		if err != nil {
			w.fail("%v", err)
			return
		}
		until := time.Now().Add(w.us(300))
		r.SetReadDeadline(until)
		if _, err := r.Read(make([]byte, 1)); !isTimeout(err) {
			w.fail("pipe: %v, want a deadline", err)
		}
		w.after("read deadline", until)
		r.Close()
		p.Close()
	})
	register("pipe-close", 10, "read from a pipe that another goroutine closes", func(w *worker) {
		r, p, err := os.Pipe()
		if err != nil {
			w.fail("%v", err)
			return
		}
		d := w.us(300)
		go func() { time.Sleep(d); r.Close() }()
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
			w.fail("pipe: %v, want closed", err)
		}
		p.Close()
	})
	register("tcp", 25, "round trip with an ordinary echo server", func(w *worker) {
		if w.res != nil {
			w.roundTrip(1 + w.rng.IntN(len(w.res.buf)))
		}
	})
	register("tcp-deadline", 10, "read from a connection until a deadline, also one that is moved", func(w *worker) {
		if w.res == nil {
			return
		}
		until := time.Now().Add(w.us(300))
		if w.rng.IntN(2) == 0 {
			w.res.tcp.SetReadDeadline(time.Now().Add(time.Hour))
			go w.res.tcp.SetReadDeadline(until)
		} else {
			w.res.tcp.SetReadDeadline(until)
		}
		if _, err := w.res.tcp.Read(w.res.buf); !isTimeout(err) {
			w.fail("tcp: %v, want a deadline", err)
		}
		w.after("read deadline", until)
		w.res.tcp.SetReadDeadline(time.Time{})
		w.roundTrip(10)
	})
	register("udp", 15, "a datagram to another goroutine and back", func(w *worker) {
		if w.res == nil {
			return
		}
		done := make(chan bool)
		go func() {
			defer close(done)
			b := make([]byte, 100)
			w.res.udq.SetReadDeadline(time.Now().Add(10 * time.Second))
			if n, err := w.res.udq.Read(b); err == nil {
				w.res.udq.Write(b[:n])
			}
		}()
		w.res.udp.Write([]byte("ping"))
		w.res.udp.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := w.res.udp.Read(w.res.buf); err != nil || string(w.res.buf[:n]) != "ping" {
			w.fail("udp: %q, %v", w.res.buf[:n], err)
		}
		<-done
	})
	register("unix-close", 8, "read from a connection that another goroutine closes", func(w *worker) {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			w.fail("%v", err)
			return
		}
		conn := func(fd int) net.Conn {
			f := os.NewFile(uintptr(fd), "socket")
			defer f.Close()
			c, err := net.FileConn(f)
			if err != nil {
				w.fail("%v", err)
			}
			return c
		}
		a, b := conn(fds[0]), conn(fds[1])
		d := w.us(300)
		want := error(io.EOF)
		if w.rng.IntN(2) == 0 {
			want = net.ErrClosed
			go func() { time.Sleep(d); a.Close() }()
		} else {
			go func() { time.Sleep(d); b.Close() }()
		}
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, want) {
			w.fail("socket: %v, want %v", err, want)
		}
		a.Close()
		b.Close()
	})
	register("dial", 2, "a new connection, accepted by an ordinary goroutine", func(w *worker) {
		c, err := net.Dial("tcp", w.shared.listener.Addr().String())
		if err != nil {
			if !errors.Is(err, unix.EADDRNOTAVAIL) { // too many in TIME_WAIT
				w.fail("%v", err)
			}
			return
		}
		c.(*net.TCPConn).SetLinger(0)
		c.Write([]byte("x"))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			w.fail("dial: %v", err)
		}
		c.Close()
	})
	register("syscall", 20, "short system calls", func(w *worker) {
		for range 20 {
			unix.Getppid()
		}
		unix.Stat("/", new(unix.Stat_t))
	})
	register("syscall-block", 15, "system calls that block the thread", func(w *worker) {
		if w.rng.IntN(2) == 0 {
			d := w.us(300)
			until := time.Now().Add(d)
			ts := unix.NsecToTimespec(int64(d))
			for unix.Nanosleep(&ts, &ts) == unix.EINTR {
			}
			w.after("nanosleep", until)
			return
		}
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
			w.fail("%v", err)
			return
		}
		d := w.us(200)
		go func() { time.Sleep(d); unix.Write(fds[1], []byte{1}) }()
		b := make([]byte, 1)
		for {
			n, err := unix.Read(fds[0], b)
			if err == unix.EINTR {
				continue
			}
			if n != 1 || err != nil {
				w.fail("read: %d, %v", n, err)
			}
			break
		}
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	register("file", 8, "write a file and read it back", func(w *worker) {
		f, err := os.CreateTemp(w.shared.dir, "f")
		if err != nil {
			w.fail("%v", err)
			return
		}
		os.Remove(f.Name())
		defer f.Close()
		b := make([]byte, 1+w.rng.IntN(20000))
		f.Write(b)
		f.Seek(0, io.SeekStart)
		if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, b) {
			w.fail("file: %d of %d bytes, %v", len(got), len(b), err)
		}
	})
	register("exec", 1, "a process, which must be an ordinary one", func(w *worker) {
		out, err := exec.Command("cat", "/proc/self/stat").Output()
		_, rest, _ := strings.Cut(string(out), ") ")
		if f := strings.Fields(rest); err != nil || len(f) < 40 || f[38] != "0" || f[37] != "0" {
			w.fail("process started in real time: %v, %s", err, out)
		}
	})
	register("signal", 3, "a signal to the process, received by os/signal", func(w *worker) {
		c := make(chan os.Signal, 1)
		signal.Notify(c, unix.SIGUSR1)
		unix.Kill(unix.Getpid(), unix.SIGUSR1)
		select {
		case <-c:
		case <-time.After(30 * time.Second):
			w.fail("signal did not come for 30 s")
		}
		signal.Stop(c)
	})
	register("signal-thread", 3, "a signal to the own thread", func(w *worker) {
		unix.Tgkill(unix.Getpid(), unix.Gettid(), unix.SIGURG)
		runtime.Gosched()
	})
}

func registerRuntime() {
	register("gosched", 15, "runtime.Gosched", func(w *worker) {
		for range 5 {
			runtime.Gosched()
		}
	})
	register("compute", 15, "a little work", func(w *worker) {
		for range w.rng.IntN(50_000) {
			w.shared.counter.Add(1)
		}
	})
	register("alloc", 15, "small and large objects, maps", func(w *worker) {
		m := make(map[int]*node)
		for i := range w.rng.IntN(300) {
			m[i] = tree(w.rng.IntN(4))
		}
		if w.rng.IntN(10) == 0 {
			b := make([]byte, 1<<20)
			b[len(b)-1] = 1
		}
	})
	register("cleanup", 5, "finalizers and cleanups", func(w *worker) {
		for range 10 {
			p := new([64]byte)
			runtime.AddCleanup(p, func(int) { w.shared.counter.Add(1) }, 1)
			runtime.SetFinalizer(new(node), func(*node) { w.shared.counter.Add(1) })
		}
	})
	register("stack", 15, "grow the stack", func(w *worker) { grow(w.rng.IntN(2000)) })
	register("panic", 10, "panic and recover, at some depth", func(w *worker) {
		var fall func(n int)
		fall = func(n int) {
			defer func() { w.shared.counter.Add(1) }()
			if n == 0 {
				panic(errEpisode)
			}
			fall(n - 1)
		}
		func() {
			defer func() {
				if r := recover(); r != errEpisode {
					w.fail("recovered %v", r)
				}
			}()
			fall(w.rng.IntN(50))
		}()
	})
	register("fault", 3, "nil dereference and recover", func(w *worker) {
		defer func() {
			if _, ok := recover().(runtime.Error); !ok {
				w.fail("no panic by a nil dereference")
			}
		}()
		var p *node
		p.data[1] = 1
	})
	register("goexit", 5, "a goroutine that ends by Goexit", func(w *worker) {
		done := make(chan bool)
		go func() {
			defer close(done)
			runtime.Goexit()
		}()
		<-done
	})
	register("spawn", 10, "goroutines that start goroutines", func(w *worker) {
		var wg sync.WaitGroup
		var start func(depth int)
		start = func(depth int) {
			defer wg.Done()
			if depth > 0 {
				for range 2 {
					wg.Add(1)
					go start(depth - 1)
				}
			}
		}
		wg.Add(1)
		go start(w.rng.IntN(4))
		wg.Wait()
	})
	register("coroutine", 8, "iter.Pull", func(w *worker) {
		next, stop := iter.Pull(func(yield func(int) bool) {
			for i := 0; yield(i); i++ {
				if i%3 == 0 {
					runtime.Gosched()
				}
			}
		})
		for i := range w.rng.IntN(10) {
			if v, ok := next(); v != i || !ok {
				w.fail("iter.Pull: %d, %t, want %d", v, ok, i)
			}
		}
		stop()
	})
	register("lockthread", 8, "LockOSThread once more", func(w *worker) {
		runtime.LockOSThread()
		tid := unix.Gettid()
		time.Sleep(w.us(50))
		if unix.Gettid() != tid {
			w.fail("locked goroutine changed its thread")
		}
		runtime.UnlockOSThread()
	})
	register("lockexit", 3, "a goroutine that ends locked to its thread", func(w *worker) {
		done := make(chan bool)
		go func() {
			runtime.LockOSThread()
			close(done)
		}()
		<-done
	})
	register("gc", 1, "runtime.GC", func(w *worker) { runtime.GC() })
	register("memstats", 2, "ReadMemStats", func(w *worker) {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
	})
	register("profile", 2, "goroutine profile, stacks", func(w *worker) {
		switch w.rng.IntN(4) {
		case 0:
			pprof.Lookup("goroutine").WriteTo(io.Discard, w.rng.IntN(3))
		case 1:
			runtime.Stack(make([]byte, 16<<10), true)
		case 2:
			debug.Stack()
		case 3:
			runtime.NumGoroutine()
		}
	})
	register("gomaxprocs", 1, "runtime.GOMAXPROCS", func(w *worker) {
		if w.Disturb {
			w.setProcs(1 + w.rng.IntN(4))
		}
	})
	register("priority", 20, "change the priority of any task", func(w *worker) {
		t := w.task
		if t == nil || w.rng.IntN(4) > 0 {
			t = w.tester.tasks.pick(w.rng.IntN(100))
		}
		if t == nil {
			return
		}
		err := t.SetPriority(1 + w.rng.IntN(w.MaxPrio))
		if err != nil && !errors.Is(err, rt.ErrEnded) && !(t.Attr().Policy == rt.Deadline && errors.Is(err, rt.ErrPriority)) {
			w.fail("SetPriority: %v", err)
		}
	})
	register("stats", 5, "statistics of any task", func(w *worker) {
		if t := w.tester.tasks.pick(w.rng.IntN(100)); t != nil {
			s := t.Stats()
			var n uint64
			for _, c := range s.Hist {
				n += c
			}
			if n > 1<<40 {
				w.fail("statistics: %d wake-ups", n)
			}
			t.TID()
			t.Attr()
		}
	})
	register("nested", 3, "Do within a task, which must fail", func(w *worker) {
		if w.task == nil {
			return
		}
		err := rt.Do(rt.Attr{Priority: 1}, func() error { return nil })
		if !errors.Is(err, rt.ErrNested) {
			w.fail("nested Do: %v", err)
		}
	})
	register("refused", 3, "attributes that the kernel refuses", func(w *worker) {
		if w.Ordinary {
			return
		}
		done := make(chan bool)
		go func() {
			defer close(done)
			err := rt.Do(rt.Attr{Priority: 1, CPUs: []int{5000}}, func() error { return nil })
			if !errors.Is(err, rt.ErrCPU) {
				w.fail("CPU 5000: %v", err)
			}
		}()
		<-done
	})
	register("task", 5, "a task starts another and waits for it", func(w *worker) {
		if w.deep || w.Ordinary {
			return
		}
		w2 := w.tester.worker(w.id+maxWorkers, w.rng.Uint64())
		w2.deep = true
		n := 1 + w.rng.IntN(5)
		a := w2.attr()
		t, err := rt.Go(a, func() {
			w2.enter()
			for range n {
				w2.step()
			}
			w2.slot.tid.Store(0)
			w2.slot.op.Store(0)
		})
		switch {
		case err == nil:
			t.Wait()
			w.tester.tasks.remove(w2.id)
			w.board.tasks.Add(1)
		case errors.Is(err, rt.ErrAdmission) && a.Policy == rt.Deadline:
			w.refused.Add(1)
		default:
			w.fail("Go: %v", err)
		}
	})
	register("all-threads", 1, "a system call by every thread of the process", func(w *worker) {
		_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_GET_KEEPCAPS, 0, 0)
		if errno != 0 && errno != unix.ENOTSUP { // with cgo it is C's affair
			w.fail("AllThreadsSyscall: %v", errno)
		}
	})
}

//go:noinline
func grow(n int) int {
	var b [64]int
	if n == 0 {
		return 0
	}
	b[n%64] = n
	return grow(n-1) + b[n%64]
}
