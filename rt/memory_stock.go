// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build !(goexperiment.rt && linux && (amd64 || arm64))

package rt

import (
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

var noGC struct {
	sync.Mutex
	open    int
	percent int
}

// startNoGC switches the collector off.
func startNoGC(bytes int) (end func() error, err error) {
	prefault(bytes)
	noGC.Lock()
	defer noGC.Unlock()
	if heap, _, _ := heapState(); int64(heap)+int64(bytes) > debug.SetMemoryLimit(-1) || bytes > math.MaxInt64/2 {
		return nil, errNoRoom(bytes)
	}
	if noGC.open++; noGC.open == 1 {
		noGC.percent = debug.SetGCPercent(-1)
	}
	_, allocated, cycles := heapState()
	return func() error {
		_, allocated2, cycles2 := heapState()
		noGC.Lock()
		defer noGC.Unlock()
		if noGC.open--; noGC.open == 0 {
			debug.SetGCPercent(noGC.percent)
		}
		if allocated2-allocated > uint64(bytes) || cycles2 != cycles {
			return errBroken(bytes)
		}
		return nil
	}, nil
}

// heapState returns the size of the live and dead objects in the heap, what
// has been allocated ever, and the cycles that the collector has begun by
// itself.
func heapState() (heap, allocated, cycles uint64) {
	s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/cycles/automatic:gc-cycles"}}
	metrics.Read(s)
	return s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64()
}
