// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

package runtime

// mutex is upstream's and a word. That comes last: an atomic operation on a key
// at an offset takes two instructions more.
type mutex struct {
	lockRankStruct
	key uintptr
	rt  rtMutexPI
}
