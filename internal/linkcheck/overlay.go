// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package linkcheck

import (
	"context"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/toolchain"
	"rtgo.dev/rtgo/internal/upstream"
)

// RecordFile returns the file, in the repository, that records the bindings
// of rtgo for a release line.
func RecordFile(line string) string { return filepath.Join("test", "linkname", line+".txt") }

// CheckOverlay checks what rtgo itself binds: the directives of the overlay,
// those that the patches add, and those of the repository's modules. The tree
// is verified upstream source, the set is applied to it in a temporary
// directory, and nothing is built. goCmd is a go command of the tree's
// release. There is a report for each platform of rtgo's runtime.
func CheckOverlay(ctx context.Context, root, goCmd string, tree *upstream.Tree, set *series.Set) ([]*Report, error) {
	tmp, err := os.MkdirTemp("", "rtgo-linkname-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	goroot := filepath.Join(tmp, "go")
	if _, err := toolchain.PatchedTree(ctx, tree, set, goroot, filepath.Join(tmp, "git")); err != nil {
		return nil, err
	}
	ours := map[string]bool{} // files, with what they were before us
	var patterns []string
	add := func(name string) {
		ours[name] = true
		dir := strings.TrimPrefix(path.Dir(name), "src/")
		if ext := path.Ext(name); (ext == ".go" || ext == ".s") && strings.HasPrefix(name, "src/") &&
			!strings.HasPrefix(dir, "cmd/") && !strings.Contains(dir, "testdata") && !slices.Contains(patterns, dir) {
			patterns = append(patterns, dir)
		}
	}
	for _, f := range set.Overlay {
		add(f.Path)
	}
	for _, p := range set.Patches {
		for _, f := range p.Files {
			add(f.Path)
		}
	}
	patterns = append(patterns, "./...", "rtgo.dev/rtgo/rt/...")
	keep := func(file, text string) bool {
		rel, err := filepath.Rel(goroot, file)
		if err != nil || strings.HasPrefix(rel, "..") {
			return true // of a module
		}
		if !ours[filepath.ToSlash(rel)] {
			return false
		}
		before, _ := os.ReadFile(filepath.Join(tree.Dir, rel))
		return !strings.Contains(string(before), text)
	}
	var reports []*Report
	for _, arch := range []string{"amd64", "arm64"} {
		r, err := Check(ctx, Options{
			Go:  goCmd,
			Dir: root,
			// The go command is upstream's and does not know the experiment.
			Env: []string{"GOROOT=" + goroot, "GOTOOLCHAIN=local", "GOOS=linux", "GOARCH=" + arch,
				"CGO_ENABLED=1", "GOEXPERIMENT=", "GOFLAGS=", "GOWORK=off"},
			Tags:     "goexperiment.rt",
			Patterns: patterns,
			keep:     keep,
		})
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	return reports, nil
}
