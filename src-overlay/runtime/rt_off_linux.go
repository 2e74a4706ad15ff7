// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build !(goexperiment.rt && (amd64 || arm64))

package runtime

import "internal/runtime/syscall/linux"

func rtEpollWait(epfd int32, events []linux.EpollEvent, ms int32, delay int64) (int32, uintptr) {
	return linux.EpollWait(epfd, events, int32(len(events)), ms)
}
