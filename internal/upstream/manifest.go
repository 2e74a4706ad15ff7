// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package upstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Manifest lists the files of a source tree with their hashes. Its text
// form has one line for each file, sorted by path, as sha256sum writes and
// "sha256sum -c" checks it:
//
//	<sha256 in hex>  <path>
//	<sha256 in hex> *<path>
//
// The asterisk (binary mode for sha256sum) marks an executable file. The
// hash of a tree is the SHA-256 of this text.
//
// The directories of [optionalDirs] are not part of the downloaded
// toolchain: a tree has such a directory complete or not at all. Everything
// else is required.
type Manifest struct {
	Files []File // sorted by path
	index map[string]int
}

// A File is a file of a source tree.
type File struct {
	Path   string // slash-separated, relative to the root of the tree
	SHA256 string // in hex
	Exec   bool
}

// optionalDirs are the directories that distpack leaves out of the
// toolchain module. Nothing in them is needed to build.
var optionalDirs = []string{"api", "doc", "misc", "test"}

// generated are the files that cmd/dist writes into the source tree and that
// distpack leaves out of the source distribution. They depend on the machine
// that built the tree.
var generated = []string{
	"src/cmd/cgo/zdefaultcc.go",
	"src/cmd/go/internal/cfg/zdefaultcc.go",
	"src/cmd/internal/objabi/zbootstrap.go",
	"src/go/build/zcgo.go",
	"src/internal/buildcfg/zbootstrap.go",
	"src/internal/runtime/sys/zversion.go",
	"src/time/tzdata/zzipdata.go",
}

// Generated returns the paths of files that a build adds to the source tree.
func Generated() []string { return slices.Clone(generated) }

// Optional reports whether the path is in a directory that a source tree may
// lack.
func Optional(name string) bool {
	dir, _, ok := strings.Cut(name, "/")
	return ok && slices.Contains(optionalDirs, dir)
}

// ParseManifest parses the text form of a manifest.
func ParseManifest(data []byte) (*Manifest, error) {
	m := &Manifest{}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		s := strings.TrimSuffix(string(line), "\n")
		if len(s) < sha256.Size*2+3 || s[sha256.Size*2] != ' ' || !strings.ContainsRune(" *", rune(s[sha256.Size*2+1])) {
			return nil, fmt.Errorf("manifest line %d is not of the form '<sha256>  <path>'", n)
		}
		f := File{SHA256: s[:sha256.Size*2], Exec: s[sha256.Size*2+1] == '*', Path: s[sha256.Size*2+2:]}
		if _, err := hex.DecodeString(f.SHA256); err != nil {
			return nil, fmt.Errorf("manifest line %d: %v", n, err)
		}
		if f.Path != path.Clean(f.Path) || path.IsAbs(f.Path) || strings.HasPrefix(f.Path, "../") {
			return nil, fmt.Errorf("manifest line %d: bad path %q", n, f.Path)
		}
		if k := len(m.Files); k > 0 && m.Files[k-1].Path >= f.Path {
			return nil, fmt.Errorf("manifest line %d: %s is out of order", n, f.Path)
		}
		m.Files = append(m.Files, f)
	}
	m.makeIndex()
	return m, nil
}

func (m *Manifest) makeIndex() {
	m.index = make(map[string]int, len(m.Files))
	for i, f := range m.Files {
		m.index[f.Path] = i
	}
}

// Lookup returns the entry for a path.
func (m *Manifest) Lookup(name string) (File, bool) {
	i, ok := m.index[name]
	if !ok {
		return File{}, false
	}
	return m.Files[i], true
}

// Text returns the text form of m.
func (m *Manifest) Text() []byte {
	var b bytes.Buffer
	for _, f := range m.Files {
		mark := ' '
		if f.Exec {
			mark = '*'
		}
		fmt.Fprintf(&b, "%s %c%s\n", f.SHA256, mark, f.Path)
	}
	return b.Bytes()
}

func hexSHA256(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
