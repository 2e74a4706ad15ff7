// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux

#include "textflag.h"

// func rtTicks() int64
TEXT runtime·rtTicks<ABIInternal>(SB),NOSPLIT|NOFRAME,$0-8
	MRS	CNTVCT_EL0, R0
	RET
