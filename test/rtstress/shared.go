// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package main

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"

	"rtgo.dev/rtgo/rt"
)

// shared is what the workers fight over.
type shared struct {
	bus      chan int // unbuffered
	queue    chan int // buffered
	mu       [4]sync.Mutex
	rw       [2]sync.RWMutex
	pi       [4]rt.Mutex
	guarded  [4]int // by pi
	condMu   rt.Mutex
	cond     *sync.Cond
	tokens   int // by condMu
	m        sync.Map
	pool     sync.Pool
	counter  atomic.Int64
	listener net.Listener
	dir      string
}

func newShared(t *tester) (*shared, error) {
	s := &shared{bus: make(chan int), queue: make(chan int, 3)}
	s.cond = sync.NewCond(&s.condMu)
	s.pool.New = func() any { return new([256]byte) }
	dir, err := os.MkdirTemp("", "rtstress")
	if err != nil {
		return nil, err
	}
	// The files in it have no names any more while they are in use.
	s.dir = dir
	s.listener, err = net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Remove(dir)
		return nil, err
	}
	go func() {
		for {
			c, err := s.listener.Accept()
			if err != nil {
				return
			}
			go echo(c)
		}
	}()
	return s, nil
}

// echo is an ordinary goroutine for each connection.
func echo(c net.Conn) {
	defer c.Close()
	b := make([]byte, 512)
	for {
		n, err := c.Read(b)
		if err != nil {
			return
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}

// resources are a worker's own, made before the run.
type resources struct {
	tcp      net.Conn
	udp, udq net.Conn // connected to each other
	buf      []byte
}

func (w *worker) prepare() {
	r := &resources{buf: make([]byte, 512)}
	var err error
	if r.tcp, err = net.Dial("tcp", w.shared.listener.Addr().String()); err != nil {
		w.fail("%v", err)
		return
	}
	a, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		w.fail("%v", err)
		return
	}
	b, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}, a.LocalAddr().(*net.UDPAddr))
	if err != nil {
		w.fail("%v", err)
		return
	}
	r.udp, r.udq = b, &udpServer{UDPConn: a, peer: b.LocalAddr().(*net.UDPAddr)}
	w.res = r
}

// udpServer is the unconnected end of a pair.
type udpServer struct {
	*net.UDPConn
	peer *net.UDPAddr
}

func (s *udpServer) Write(b []byte) (int, error) { return s.WriteToUDP(b, s.peer) }

// roundTrip writes n bytes to the echo server and reads them back.
func (w *worker) roundTrip(n int) {
	b := w.res.buf[:n]
	for i := range b {
		b[i] = byte(w.rng.Uint32())
	}
	want := string(b)
	if _, err := w.res.tcp.Write(b); err != nil {
		w.fail("write to the echo server: %v", err)
		return
	}
	clear(b)
	if _, err := io.ReadFull(w.res.tcp, b); err != nil || string(b) != want {
		w.fail("read from the echo server: %v, or other data", err)
	}
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }
