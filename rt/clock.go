// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import "time"

// epoch ties the monotonic readings of time.Time to CLOCK_MONOTONIC: both run
// at the same rate and differ by a constant, as the runtime reads that clock.
var epoch = func() (e struct {
	t  time.Time
	ns int64
}) {
	best := int64(1) << 62
	for range 100 {
		before := rawNanotime()
		t := time.Now()
		after := rawNanotime()
		// Whatever interrupts the reading widens it.
		if after-before < best {
			best = after - before
			e.t, e.ns = t, before+best/2
		}
	}
	return e
}()

// monotonic returns the CLOCK_MONOTONIC time of t, in nanoseconds.
func monotonic(t time.Time) int64 {
	if t == t.Round(0) { // no monotonic reading
		return nanotime() + int64(time.Until(t))
	}
	return epoch.ns + int64(t.Sub(epoch.t))
}

// nanotime returns CLOCK_MONOTONIC in nanoseconds.
func nanotime() int64 { return epoch.ns + int64(time.Since(epoch.t)) }
