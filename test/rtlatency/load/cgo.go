// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux && cgo

package load

// #include <time.h>
// static int work(int n) { volatile int x = 0; for (int i = 0; i < n; i++) x += i; return x; }
// static void doze(long ns) { struct timespec t = {0, ns}; nanosleep(&t, 0); }
import "C"

import "fmt"

func init() {
	register(kind{"cgo", "goroutines", 4, "short and blocking calls into C", startCgo})
}

func startCgo(r *Running, n int) error {
	r.each(n, func(int) {
		for range 100 {
			C.work(100)
		}
		C.doze(50_000)
	})
	r.info = append(r.info, fmt.Sprintf("cgo: %d goroutines", n))
	return nil
}
