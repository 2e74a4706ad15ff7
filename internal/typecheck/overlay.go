// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package typecheck

import (
	"path"
	"slices"
	"strings"
)

// Archs are the architectures on which the overlay does something.
var Archs = []string{"amd64", "arm64"}

// Packages returns the import paths of the packages that have one of the
// files, given by their path in a GOROOT, sorted.
func Packages(files []string) []string {
	var pkgs []string
	for _, f := range files {
		dir, ok := strings.CutPrefix(path.Dir(f), "src/")
		if ok && strings.HasSuffix(f, ".go") && !strings.HasSuffix(f, "_test.go") {
			pkgs = append(pkgs, dir)
		}
	}
	slices.Sort(pkgs)
	return slices.Compact(pkgs)
}

// Overlay checks the packages that the overlay's files, given by their path in
// the patched tree dir, belong to: on each of [Archs], with the experiment rt
// and without. It returns the errors, each with where it occurs.
func Overlay(dir, release string, files []string) ([]string, error) {
	where := map[string][]string{}
	var errs []string
	for _, arch := range Archs {
		for _, exp := range []string{"rt", "nort"} {
			t, err := Open(dir, release, arch, exp)
			if err != nil {
				return nil, err
			}
			for _, pkg := range Packages(files) {
				if !t.Has(pkg) {
					continue // all its files are for the other case
				}
				p, err := t.Load(pkg)
				if err != nil {
					return nil, err
				}
				for _, e := range t.Problems(p) {
					if where[e] == nil {
						errs = append(errs, e)
					}
					where[e] = append(where[e], arch+" "+exp)
				}
			}
		}
	}
	for i, e := range errs {
		errs[i] = e + " [" + strings.Join(where[e], ", ") + "]"
	}
	return errs, nil
}
