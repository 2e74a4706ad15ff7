// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package upstream

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// A Tree is a source tree that matches its pin.
type Tree struct {
	Pin      *Pin
	Dir      string // where it was found
	Module   bool   // in the layout of the toolchain module
	Manifest *Manifest
	Files    []File // what the tree has of the manifest
	Notes    []string
}

// A Mismatch says how a tree differs from its pin.
type Mismatch struct {
	Dir     string
	Version string
	Files   []string // "path: what is wrong", sorted
}

func (e *Mismatch) Error() string {
	more := ""
	if n := len(e.Files) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more)", n)
	}
	return fmt.Sprintf("%s is not the pinned %s: %s%s; use an untouched copy", e.Dir, e.Version, e.Files[0], more)
}

// Verify checks the source tree in dir, a GOROOT or an extracted toolchain
// module, against the pin. Every file of the manifest must be there with the
// pinned content, and no other file may be in the tree outside of bin and
// pkg. If they are not, the error is a *Mismatch.
//
// One difference is accepted, noted and undone: a go.env whose GOTOOLCHAIN
// says local, which container images and Linux distributions commonly set.
func Verify(pin *Pin, dir string) (*Tree, error) {
	m, err := pin.LoadManifest()
	if err != nil {
		return nil, err
	}
	t := &Tree{Pin: pin, Dir: dir, Manifest: m}
	if _, err := os.Stat(filepath.Join(dir, "src", "_go.mod")); err == nil {
		t.Module = true
	}
	have, err := listTree(dir, t.Module)
	if err != nil {
		return nil, err
	}
	bad := &Mismatch{Dir: dir, Version: pin.Version}
	complain := func(name, what string) { bad.Files = append(bad.Files, name+": "+what) }

	hasDir := map[string]bool{}
	for name := range have {
		if _, ok := m.Lookup(name); !ok {
			complain(name, "not in the pinned tree")
		}
		if Optional(name) {
			d, _, _ := strings.Cut(name, "/")
			hasDir[d] = true
		}
	}
	for _, f := range m.Files {
		switch d, _, _ := strings.Cut(f.Path, "/"); {
		case have[f.Path]:
			t.Files = append(t.Files, f)
		case Optional(f.Path) && !hasDir[d]:
		default:
			complain(f.Path, "missing")
		}
	}

	// Hash on all CPUs; the order of the complaints is restored below.
	var mu sync.Mutex
	var wg sync.WaitGroup
	work := make(chan File)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for f := range work {
				_, note, err := t.read(f)
				mu.Lock()
				if err != nil {
					complain(f.Path, err.Error())
				} else if note != "" {
					t.Notes = append(t.Notes, note)
				}
				mu.Unlock()
			}
		})
	}
	for _, f := range t.Files {
		work <- f
	}
	close(work)
	wg.Wait()
	if len(bad.Files) > 0 {
		slices.Sort(bad.Files)
		return nil, bad
	}
	return t, nil
}

// read returns the content of a file of the tree if it is the pinned one. A
// note tells of an accepted difference.
func (t *Tree) read(f File) (data []byte, note string, err error) {
	data, err = os.ReadFile(t.Path(f.Path))
	if err != nil {
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, "", err
	}
	got := hexSHA256(data)
	if got == f.SHA256 {
		return data, "", nil
	}
	if f.Path == "go.env" {
		auto := bytes.Replace(data, []byte("\nGOTOOLCHAIN=local\n"), []byte("\nGOTOOLCHAIN=auto\n"), 1)
		if hexSHA256(auto) == f.SHA256 {
			return auto, "go.env: GOTOOLCHAIN=local accepted for auto", nil
		}
	}
	return nil, "", fmt.Errorf("sha256 is %s, pinned %s", got[:16], f.SHA256[:16])
}

// Copy writes the files of the tree for which keep reports true to dst, in
// the layout of a GOROOT, with normal modes. Each file is verified again as
// it is read.
func (t *Tree) Copy(dst string, keep func(name string) bool) error {
	var dir string
	for _, f := range t.Files {
		if !keep(f.Path) {
			continue
		}
		data, _, err := t.read(f)
		if err != nil {
			return &Mismatch{Dir: t.Dir, Version: t.Pin.Version, Files: []string{f.Path + ": " + err.Error()}}
		}
		file := filepath.Join(dst, filepath.FromSlash(f.Path))
		if d := filepath.Dir(file); d != dir {
			if err := os.MkdirAll(d, 0o777); err != nil {
				return err
			}
			dir = d
		}
		mode := fs.FileMode(0o644)
		if f.Exec {
			mode = 0o755
		}
		if err := os.WriteFile(file, data, mode); err != nil {
			return err
		}
		if err := os.Chmod(file, mode); err != nil { // whatever the umask
			return err
		}
	}
	return nil
}

// moduleName returns the name of a GOROOT file in the toolchain module, which
// cannot hold files called go.mod.
func moduleName(name string) string {
	if dir, ok := strings.CutSuffix(name, "/go.mod"); ok {
		return dir + "/_go.mod"
	}
	return name
}

// listTree returns the source files in dir by their names in a GOROOT: all
// but bin, pkg and what a build generates.
func listTree(dir string, module bool) (map[string]bool, error) {
	files := map[string]bool{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir():
			if rel == "bin" || rel == "pkg" || rel == ".git" {
				return fs.SkipDir
			}
		case slices.Contains(generated, rel):
		default:
			if module && strings.HasSuffix(rel, "/_go.mod") {
				rel = strings.TrimSuffix(rel, "_go.mod") + "go.mod"
			}
			files[rel] = true
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: no Go source tree there", dir)
	}
	return files, err
}

// makeManifest describes the trees in dirs, of which the later ones may only
// repeat files of the earlier ones or add files in optional directories.
// Executable bits are those of any of the trees, as the module has none.
func makeManifest(dirs ...string) (*Manifest, error) {
	all := map[string]File{}
	for i, dir := range dirs {
		_, err := os.Stat(filepath.Join(dir, "src", "_go.mod"))
		module := err == nil
		have, err := listTree(dir, module)
		if err != nil {
			return nil, err
		}
		for name := range have {
			disk := name
			if module {
				disk = moduleName(name)
			}
			file := filepath.Join(dir, filepath.FromSlash(disk))
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			info, err := os.Stat(file)
			if err != nil {
				return nil, err
			}
			f := File{Path: name, SHA256: hexSHA256(data), Exec: !module && info.Mode()&0o111 != 0}
			old, dup := all[name]
			if dup && old.SHA256 != f.SHA256 && name == "go.env" {
				auto := bytes.Replace(data, []byte("\nGOTOOLCHAIN=local\n"), []byte("\nGOTOOLCHAIN=auto\n"), 1)
				f.SHA256 = hexSHA256(auto)
			}
			switch {
			case dup && old.SHA256 != f.SHA256:
				return nil, fmt.Errorf("%s differs between %s and %s", name, dirs[0], dir)
			case !dup && i > 0 && !Optional(name):
				return nil, fmt.Errorf("%s is in %s but not in %s", name, dir, dirs[0])
			}
			f.Exec = f.Exec || old.Exec
			all[name] = f
		}
	}
	m := &Manifest{}
	for _, f := range all {
		m.Files = append(m.Files, f)
	}
	slices.SortFunc(m.Files, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	m.makeIndex()
	return m, nil
}

// Path returns where a file of the tree, or a directory, is on disk.
func (t *Tree) Path(name string) string {
	if t.Module {
		name = moduleName(name)
	}
	return filepath.Join(t.Dir, filepath.FromSlash(name))
}
