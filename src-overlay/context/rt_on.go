// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

package context

import (
	"time"
	_ "unsafe" // for go:linkname
)

const rtOn = true

// rtDeadline lets t, the timer of c, cancel c in the thread of the real-time
// goroutine that calls, if one does. That must not run code of other packages:
// contexts with an ancestor of a type that is not ours are left alone.
func rtDeadline(t *time.Timer, c Context) {
	for {
		switch p := c.(type) {
		case *timerCtx:
			c = p.Context
		case *cancelCtx:
			c = p.Context
		case *valueCtx:
			c = p.Context
		case stopCtx:
			c = p.Context
		case withoutCancelCtx:
			c = p.c
		case backgroundCtx, todoCtx:
			runtime_rtTimer(t)
			return
		default:
			return
		}
	}
}

// runtime_rtTimer lets the function of t run in the thread of the real-time
// goroutine that calls. Implemented in runtime (rt_timer.go).
//
//go:linkname runtime_rtTimer
func runtime_rtTimer(t *time.Timer)
