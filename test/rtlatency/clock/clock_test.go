// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package clock

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNowIsMonotonicClock(t *testing.T) {
	var ts unix.Timespec
	a := Now()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	b := Now()
	if m := ts.Nano(); m < a || m > b {
		t.Errorf("CLOCK_MONOTONIC %d is not within [%d, %d]", m, a, b)
	}
}

func TestSleepUntil(t *testing.T) {
	for _, f := range []func(int64){SleepUntil, RawSleepUntil} {
		when := Now() + 2e6
		f(when)
		if now := Now(); now < when {
			t.Errorf("woke %d ns early", when-now)
		}
	}
	if n := testing.AllocsPerRun(100, func() { SleepUntil(1) }); n != 0 {
		t.Errorf("SleepUntil allocates %v times", n)
	}
}

func TestBase(t *testing.T) {
	b := NewBase()
	if d := time.Until(b.Time(Now() + 1e9)); d < 999*time.Millisecond || d > time.Second+time.Millisecond {
		t.Errorf("a second from now is %v away", d)
	}
}
