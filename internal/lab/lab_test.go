// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSmoke boots real machines.
func TestSmoke(t *testing.T) {
	if os.Getenv("RTGO_LAB") == "" {
		t.Skip("boots virtual machines, takes minutes; set RTGO_LAB=1, or run 'rtgo lab smoke'")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{Dir: filepath.Join(root, "out/cache/lab")}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	for _, a := range Arches {
		t.Run(string(a), func(t *testing.T) {
			cache, err := os.UserCacheDir()
			if err != nil {
				t.Fatal(err)
			}
			checks, err := Smoke(ctx, s, a, filepath.Join(cache, "rtgo/lab.lock"), root, t.Output())
			if err != nil {
				t.Fatal(err)
			}
			if len(checks) < 8 {
				t.Errorf("%d checks only", len(checks))
			}
			for _, c := range checks {
				if !c.OK {
					t.Errorf("%s: %s", c.Name, c.Detail)
				}
			}
		})
	}
}
