// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Warn warns when it was not built by rtgo.
package main

import _ "rtgo.dev/rtgo/rt/warn"

func main() {}
