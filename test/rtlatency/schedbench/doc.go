// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package schedbench measures what the scheduler's own steps cost, as Go
// benchmarks whose output benchstat reads:
//
//	go test -run - -bench . -count 10 ./test/rtlatency/schedbench > stock.txt
//	out/go/bin/go test -run - -bench . -count 10 ./test/rtlatency/schedbench > rtgo.txt
//	benchstat stock.txt rtgo.txt
package schedbench
