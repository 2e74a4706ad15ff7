// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"errors"
	"os"
	"testing"
	"time"
)

// A task that waits for a timer or a deadline is woken at the new time if
// another goroutine makes it an earlier one meanwhile.
func TestTimerMoved(t *testing.T) {
	needRT(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	c1, c2 := tcpPair()
	defer c1.Close()
	defer c2.Close()
	timer := time.NewTimer(time.Hour)
	ticker := time.NewTicker(time.Hour)
	soon := func() time.Time { return time.Now().Add(5 * time.Millisecond) }
	for _, test := range []struct {
		name  string
		set   func()
		block func() error
		move  func()
	}{
		{"pipe", func() { r.SetReadDeadline(time.Now().Add(time.Hour)) },
			func() error { _, err := r.Read(make([]byte, 1)); return wantIs(err, os.ErrDeadlineExceeded) },
			func() { r.SetReadDeadline(soon()) }},
		{"tcp", func() { c1.SetReadDeadline(time.Now().Add(time.Hour)) },
			func() error { _, err := c1.Read(make([]byte, 1)); return wantIs(err, os.ErrDeadlineExceeded) },
			func() { c1.SetReadDeadline(soon()) }},
		{"tcp, first deadline", func() { c1.SetReadDeadline(time.Time{}) },
			func() error { _, err := c1.Read(make([]byte, 1)); return wantIs(err, os.ErrDeadlineExceeded) },
			func() { c1.SetReadDeadline(soon()) }},
		{"timer", func() { timer.Reset(time.Hour) },
			func() error {
				if d := time.Since(<-timer.C); d > time.Second {
					return errors.New("the timer is late by " + d.String())
				}
				return nil
			},
			func() { timer.Reset(5 * time.Millisecond) }},
		{"ticker", func() { ticker.Reset(time.Hour) },
			func() error { <-ticker.C; return nil },
			func() { ticker.Reset(5 * time.Millisecond) }},
	} {
		for range 3 {
			ended := make(chan error, 1)
			task, err := Go(Attr{Priority: 10}, func() {
				test.set()
				ended <- test.block()
			})
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
			test.move()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("%s: %v", test.name, err)
				}
			case <-time.After(2 * time.Second):
				t.Fatalf("%s: not woken at the earlier time", test.name)
			}
			task.Wait()
		}
	}
}
