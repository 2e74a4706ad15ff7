// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package scenario

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/test/rtlatency/clock"
)

// PeerCommand is the word by which network/udp-peer starts the program once more,
// to run Peer.
const PeerCommand = "udp-peer"

func init() {
	register(&Scenario{Name: "network/udp-peer", Twin: "udp",
		Summary: "network/udp with the client in a process of its own, as on another machine: its goroutine shares no P with the load, and sends in each period",
		setup:   udpPeer})
}

// udpPeer starts the peer with the CPUs that ordinary threads have, before there is
// a load: it waits for a byte from us, and ends when we are gone.
func udpPeer(r *Run) error {
	srv, err := r.listenUDP()
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, PeerCommand, srv.LocalAddr().String(), strconv.FormatInt(int64(r.Period), 10))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	begin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	died := make(chan error, 1)
	go func() { died <- cmd.Wait() }()
	served := make(chan struct{})
	r.cleanup = append(r.cleanup, func() {
		begin.Close()
		<-died
	})
	t := r.task("server", r.Priority, r.Period, func(t *Task) {
		defer close(served)
		t.serveUDP(srv, t.over)
		r.Stop()
	})
	t.unpaced = true
	r.other(func() {
		begin.Write([]byte{'\n'}) // if nobody reads it, it has died
		select {
		case <-served:
		case err := <-died:
			died <- err
			r.fail(fmt.Errorf("peer: %v: %s", err, bytes.TrimSpace(stderr.Bytes())))
			srv.Close()
		}
	})
	return nil
}

// Peer is the client of network/udp-peer: args are the address to send to and the
// period in ns. It begins when it reads something from standard input, and ends the
// process when that is closed, which it is when the process at the other end has
// ended. Unlike that of network/udp it sleeps in the kernel, as a thread in C would.
func Peer(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: rtlatency " + PeerCommand + " ADDR:PORT PERIOD")
	}
	addr, err := netip.ParseAddrPort(args[0])
	if err != nil {
		return err
	}
	period, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil || period <= 0 {
		return fmt.Errorf("%s: period of %q ns", PeerCommand, args[1])
	}
	c, err := newRawClient(unix.SOCK_DGRAM, addr)
	if err != nil {
		return err
	}
	if _, err := os.Stdin.Read(make([]byte, 1)); err != nil {
		return nil
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for next := clock.Now() + period; ; next += period {
		next = skipMissed(next, period)
		clock.SleepUntil(next)
		if _, err := c.call(); errors.Is(err, syscall.ECONNREFUSED) {
			select {} // the server has closed its socket: we end with it
		} else if err != nil {
			return err
		}
	}
}
