// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64) && !debuglog

package runtime

// dlogPerM is embedded in m. Upstream's is empty; having our fields in it
// leaves m as it is without the experiment, down to its type descriptor.
// (With the build tag debuglog, debuglog_on.go has both.)
type dlogPerM struct {
	rt mRT
}
