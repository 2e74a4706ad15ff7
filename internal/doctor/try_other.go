// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build !linux

package doctor

import (
	"errors"
	"syscall"
)

func tryFIFO(int) (syscall.Errno, error) {
	return 0, errors.New("only Linux has real-time goroutines")
}
