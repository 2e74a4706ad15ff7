// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package scenario

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/test/rtlatency/clock"
)

const message = 64 // bytes of a request; the first 8 are the time it was sent

func init() {
	register(&Scenario{Name: "network/udp", Twin: "udp",
		Summary: "UDP echo server on the loopback (--conns client sockets): from just before the client's send to the server running; the round trip of the ordinary client is the second thread",
		setup:   udpEcho})
	register(&Scenario{Name: "network/tcp", Twin: "tcp",
		Summary: "TCP echo server on the loopback, one connection served in real time, --conns less one by ordinary goroutines: as network/udp",
		setup:   tcpEcho})
	register(&Scenario{Name: "network/deadline", Twin: "poll",
		Summary: "a read that ends by its deadline, beside --conns idle UDP sockets (default 10000) and 5000 requests a second on them",
		setup:   deadline})
}

// rawClient is the client's side of one socket: blocking system calls, no
// netpoller, so that the only Go scheduling measured is the server's.
type rawClient struct {
	fd  int
	buf [message]byte
}

func newRawClient(typ int, addr netip.AddrPort) (*rawClient, error) {
	fd, err := unix.Socket(unix.AF_INET, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	sa := &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	// A client that waits for ever would outlive a server that failed.
	tv := unix.NsecToTimeval(int64(time.Second))
	err = errors.Join(
		unix.Connect(fd, sa),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv))
	if err == nil && typ == unix.SOCK_STREAM {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("connect", err)
	}
	return &rawClient{fd: fd}, nil
}

// call sends one request and waits for its echo. It returns the time just
// before the send.
func (c *rawClient) call() (begin int64, err error) {
	begin = clock.Now()
	binary.LittleEndian.PutUint64(c.buf[:], uint64(begin))
	if _, err := unix.Write(c.fd, c.buf[:]); err != nil {
		return begin, os.NewSyscallError("send", err)
	}
	for n := 0; n < message; {
		k, err := unix.Read(c.fd, c.buf[n:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return begin, os.NewSyscallError("receive", err)
		}
		if k == 0 {
			return begin, io.ErrUnexpectedEOF
		}
		n += k
	}
	if got := int64(binary.LittleEndian.Uint64(c.buf[:])); got != begin {
		return begin, fmt.Errorf("the echo of another request: %d, sent %d", got, begin)
	}
	return begin, nil
}

// clients runs the paced client over its sockets in turn until the run ends,
// and calls finish to end the server.
func (r *Run) clients(name string, cs []*rawClient, finish func()) {
	t := r.task(name, 0, r.Period, func(t *Task) {
		i := 0
		for next := r.begin + t.Period; !t.over(next); next += t.Period {
			next = skipMissed(next, t.Period)
			r.goSleep(next)
			begin, err := cs[i].call()
			if err != nil {
				r.fail(fmt.Errorf("client: %w", err))
				break
			}
			end := clock.Now()
			t.sample(end-begin, end)
			i = (i + 1) % len(cs)
		}
		r.Stop()
		finish()
	})
	t.unpaced = true
	r.cleanup = append(r.cleanup, func() {
		for _, c := range cs {
			unix.Close(c.fd)
		}
	})
}

func (r *Run) conns(def int) (int, error) {
	n := r.Conns
	if n == 0 {
		n = def
	}
	return n, wantFiles(n + 100)
}

// wantFiles raises the limit of open files to n where it is lower.
func wantFiles(n int) error {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return os.NewSyscallError("getrlimit", err)
	}
	if l.Cur >= uint64(n) {
		return nil
	}
	l.Cur = uint64(n)
	l.Max = max(l.Max, l.Cur)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return fmt.Errorf("needs %d open files: raise the limit (ulimit -n %d): %w", n, n, err)
	}
	return nil
}

// listenUDP opens the socket of a UDP server on the loopback.
func (r *Run) listenUDP() (*net.UDPConn, error) {
	srv, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err == nil {
		r.cleanup = append(r.cleanup, func() { srv.Close() })
	}
	return srv, err
}

// serveUDP answers requests until srv is closed, or until last is true at the time
// of one.
func (t *Task) serveUDP(srv *net.UDPConn, last func(now int64) bool) {
	buf := make([]byte, 2*message)
	for {
		n, from, err := srv.ReadFromUDPAddrPort(buf)
		now := clock.Now()
		if err == nil {
			t.sample(now-int64(binary.LittleEndian.Uint64(buf)), now)
			_, err = srv.WriteToUDPAddrPort(buf[:n], from)
		}
		if err != nil {
			t.run.fail(err)
			return
		}
		if last(now) {
			return
		}
	}
}

func udpEcho(r *Run) error {
	n, err := r.conns(1)
	if err != nil {
		return err
	}
	srv, err := r.listenUDP()
	if err != nil {
		return err
	}
	addr := srv.LocalAddr().(*net.UDPAddr).AddrPort()
	var cs []*rawClient
	for range n {
		c, err := newRawClient(unix.SOCK_DGRAM, addr)
		if err != nil {
			return err
		}
		cs = append(cs, c)
	}
	r.task("server", r.Priority, r.Period, func(t *Task) {
		t.serveUDP(srv, func(int64) bool { return false })
	}).unpaced = true
	r.clients("client", cs, func() { srv.Close() })
	return nil
}

func tcpEcho(r *Run) error {
	n, err := r.conns(1)
	if err != nil {
		return err
	}
	if err := wantFiles(2*n + 100); err != nil { // both ends are here
		return err
	}
	ln, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return err
	}
	r.cleanup = append(r.cleanup, func() { ln.Close() })
	dial := func() (*rawClient, net.Conn, error) {
		c, err := newRawClient(unix.SOCK_STREAM, ln.Addr().(*net.TCPAddr).AddrPort())
		if err != nil {
			return nil, nil, err
		}
		s, err := ln.Accept()
		return c, s, err
	}
	c, s, err := dial()
	if err != nil {
		return err
	}
	r.cleanup = append(r.cleanup, func() { s.Close() })
	r.task("server", r.Priority, r.Period, func(t *Task) {
		buf := make([]byte, message)
		for {
			if _, err := io.ReadFull(s, buf); err != nil {
				r.fail(err)
				return
			}
			now := clock.Now()
			t.sample(now-int64(binary.LittleEndian.Uint64(buf)), now)
			if _, err := s.Write(buf); err != nil {
				r.fail(err)
				return
			}
		}
	}).unpaced = true
	r.clients("client", []*rawClient{c}, func() { s.Close() })
	if n == 1 {
		return nil
	}
	// The other connections: an ordinary goroutine each serves them, and one
	// client uses them in turn.
	others := make([]*rawClient, n-1)
	for i := range others {
		c, s, err := dial()
		if err != nil {
			return err
		}
		others[i] = c
		r.cleanup = append(r.cleanup, func() { s.Close() })
		go io.Copy(struct{ io.Writer }{s}, struct{ io.Reader }{s})
	}
	r.other(func() {
		for i := 0; !r.stopped.Load(); i = (i + 1) % len(others) {
			if _, err := others[i].call(); err != nil {
				r.fail(fmt.Errorf("connection %d: %w", i+1, err))
			}
			time.Sleep(time.Duration(r.Period))
		}
		for _, c := range others {
			unix.Close(c.fd)
		}
	})
	return nil
}

const requestsPerSecond = 5000

// deadline: every connection is a UDP socket in the netpoller with
// a goroutine that answers requests; the task reads from a socket to which
// nobody writes.
func deadline(r *Run) error {
	n, err := r.conns(10_000)
	if err != nil {
		return err
	}
	addrs := make([]netip.AddrPort, n)
	for i := range addrs {
		c, err := r.listenUDP()
		if err != nil {
			return fmt.Errorf("connection %d of %d: %w", i+1, n, err)
		}
		addrs[i] = c.LocalAddr().(*net.UDPAddr).AddrPort()
		go func() {
			var b [message]byte
			for {
				n, from, err := c.ReadFromUDPAddrPort(b[:])
				if err != nil {
					return
				}
				c.WriteToUDPAddrPort(b[:n], from)
			}
		}()
	}
	quiet, err := r.listenUDP()
	if err != nil {
		return err
	}
	client, err := r.listenUDP()
	if err != nil {
		return err
	}
	r.task("deadline", r.Priority, r.Period, func(t *Task) {
		var b [1]byte
		t.periodic(func(next int64) {
			quiet.SetReadDeadline(r.base.Time(next))
			if _, err := quiet.Read(b[:]); !errors.Is(err, os.ErrDeadlineExceeded) {
				r.fail(fmt.Errorf("the read ended by %v, not by its deadline", err))
			}
		})
		r.Stop()
	})
	go func() { // takes the answers
		var b [message]byte
		for {
			if _, err := client.Read(b[:]); err != nil {
				return
			}
		}
	}()
	r.other(func() {
		// Each tick sends what the rate asks for since the last.
		var b [message]byte
		var sent int64
		for x := uint32(1); !r.stopped.Load(); {
			time.Sleep(200 * time.Microsecond)
			for due := int64(r.Elapsed()) * requestsPerSecond / 1e9; sent < due && !r.stopped.Load(); sent++ {
				x = x*1664525 + 1013904223
				if _, err := client.WriteToUDPAddrPort(b[:], addrs[x%uint32(n)]); err != nil {
					r.fail(fmt.Errorf("request: %w", err))
				}
			}
		}
	})
	return nil
}
