// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package toolchaintest finds the built toolchain for tests of it.
package toolchaintest

import (
	"os"
	"path/filepath"
	"testing"
)

// Goroot returns the GOROOT named by RTGO_GOROOT, absolute and without
// symbolic links, as the go command reports it. Without the variable it skips
// the test, and if there is no go command in that directory the test fails.
func Goroot(t testing.TB) string {
	t.Helper()
	named := os.Getenv("RTGO_GOROOT")
	if named == "" {
		t.Skip("set RTGO_GOROOT to a built toolchain, such as out/go (./build.sh)")
	}
	dir, err := filepath.EvalSymlinks(named)
	if err == nil {
		dir, err = filepath.Abs(dir)
	}
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "bin", "go"))
	}
	if err != nil {
		t.Fatalf("RTGO_GOROOT=%s is not a built GOROOT: %v", named, err)
	}
	return dir
}
