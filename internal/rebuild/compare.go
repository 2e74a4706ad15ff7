// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rebuild

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rtgo.dev/rtgo/internal/upstream"
)

// hashFiles returns the SHA-256 of every file below dir for whose
// slash-separated relative name keep reports true.
func hashFiles(dir string, keep func(name string) bool) (map[string]string, error) {
	sums := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if !keep(name) {
			return nil
		}
		f, err := os.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		sums[name] = hex.EncodeToString(h.Sum(nil))
		return nil
	})
	return sums, err
}

func isBinary(name string) bool {
	return strings.HasPrefix(name, "bin/") || strings.HasPrefix(name, "pkg/tool/")
}

// sums compares two sets of hashes.
func (g *Group) sums(ours, theirs map[string]string, explain func(name string) string) {
	names := maps.Clone(theirs)
	maps.Copy(names, ours)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		a, b := ours[name], theirs[name]
		it := Item{Name: name, SHA256: a, Status: PASS}
		switch {
		case a == "":
			it.Status, it.Detail = FAIL, "missing from our build"
		case b == "":
			it.Status, it.Detail = FAIL, "in our build only"
		case a != b:
			it.Status, it.Detail = FAIL, fmt.Sprintf("differs from sha256 %.16s", b)
			if explain != nil {
				it.Detail += explain(name)
			}
		}
		g.Add(it)
	}
}

// Upstream compares an unpatched build with what upstream published: the
// binaries with the hashes in the pin, which were taken from the module zip
// that the checksum database vouches for; the whole module zip of our build
// with the checksum database's hash; the source files with the pin; and the
// binaries with those of a local GOROOT, if one is given.
func Upstream(pin *upstream.Pin, goroot, dist, local string) (*Report, error) {
	r := &Report{Title: fmt.Sprintf("unpatched build of %s against the published release", pin.Version)}
	platform := upstream.Platform()
	pub := pin.Toolchains[platform]
	ours, err := hashFiles(goroot, isBinary)
	if err != nil {
		return nil, err
	}
	g := r.Group("binaries of %s for %s, as published (hashes in %s)", pin.Version, platform, upstream.PinsFile)
	if pub == nil {
		g.Add(Item{Name: platform, Status: SKIP, Detail: "no toolchain of this platform is pinned; add it with rtgo pin --platforms"})
	} else {
		g.sums(ours, pub.Binaries, nil)
	}

	g = r.Group("module zip of the whole toolchain, as in the public checksum database")
	zip := upstream.ModuleVersion(pin.Version, platform) + ".zip"
	if pub == nil {
		g.Add(Item{Name: zip, Status: SKIP, Detail: "not pinned"})
	} else {
		h1, err := upstream.HashZip(filepath.Join(dist, zip))
		if err != nil {
			return nil, err
		}
		it := Item{Name: zip, Status: PASS, Detail: h1}
		if h1 != pub.H1 {
			it.Status, it.Detail = FAIL, fmt.Sprintf("%s, published %s", h1, pub.H1)
		}
		g.Add(it)
	}

	m, err := pin.LoadManifest()
	if err != nil {
		return nil, err
	}
	g = r.Group("source tree, as pinned")
	want := map[string]string{}
	dirs := map[string]bool{}
	src, err := hashFiles(goroot, func(name string) bool {
		d, _, _ := strings.Cut(name, "/")
		dirs[d] = true
		return d != "bin" && d != "pkg" && !slices.Contains(upstream.Generated(), name)
	})
	if err != nil {
		return nil, err
	}
	for _, f := range m.Files {
		if d, _, _ := strings.Cut(f.Path, "/"); !upstream.Optional(f.Path) || dirs[d] {
			want[f.Path] = f.SHA256
		}
	}
	g.sums(src, want, nil)

	if local != "" {
		theirs, err := hashFiles(local, isBinary)
		if err != nil {
			return nil, err
		}
		// Tools that the go command builds on demand are not part of a
		// distribution, but some installations come with them.
		maps.DeleteFunc(theirs, func(name, _ string) bool { return ours[name] == "" && strings.HasPrefix(name, "pkg/tool/") })
		r.Group("binaries installed in %s", local).sums(ours, theirs, func(name string) string {
			return firstDifference(filepath.Join(goroot, name), filepath.Join(local, name))
		})
	}
	r.Finish()
	return r, nil
}

// Second compares two builds of the same input: distpack's archives and
// every file of the GOROOTs.
func Second(a, aDist, b, bDist string) (*Report, error) {
	r := &Report{Title: fmt.Sprintf("%s against a second build, %s", a, b)}
	for _, c := range []struct{ name, a, b string }{
		{"distribution archives", aDist, bDist},
		{"all files of the GOROOT", a, b},
	} {
		all := func(string) bool { return true }
		ours, err := hashFiles(c.a, all)
		if err != nil {
			return nil, err
		}
		theirs, err := hashFiles(c.b, all)
		if err != nil {
			return nil, err
		}
		r.Group("%s", c.name).sums(ours, theirs, func(name string) string {
			return firstDifference(filepath.Join(c.a, name), filepath.Join(c.b, name))
		})
	}
	r.Finish()
	return r, nil
}

// firstDifference says where two files begin to differ.
func firstDifference(a, b string) string {
	x, err := os.ReadFile(a)
	if err != nil {
		return ""
	}
	y, err := os.ReadFile(b)
	if err != nil {
		return ""
	}
	if bytes.HasPrefix(x, y) || bytes.HasPrefix(y, x) {
		return fmt.Sprintf(": sizes are %d and %d, otherwise equal", len(x), len(y))
	}
	for i := range x {
		if x[i] != y[i] {
			return fmt.Sprintf(": sizes are %d and %d, first difference at byte %d", len(x), len(y), i)
		}
	}
	return ""
}
