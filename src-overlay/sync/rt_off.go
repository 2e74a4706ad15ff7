// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build !(goexperiment.rt && linux && (amd64 || arm64))

package sync

const rtOn = false

func rtProcs() int { return 0 }
