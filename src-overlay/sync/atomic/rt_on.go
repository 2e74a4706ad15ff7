// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

package atomic

const rtOn = true

// runtime_rtYield lets a less urgent thread go on for which a real-time
// goroutine waits. Implemented in runtime (rt_pi.go).
func runtime_rtYield()
