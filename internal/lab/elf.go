// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A linker finds shared libraries as the guest's loader will.
type linker struct {
	arch  Arch
	roots []string // searched in order; "" or "/" is the host's own
}

// A library is a shared object that a program needs, or its interpreter.
type library struct {
	Soname string
	Guest  string // where the guest's loader finds it
	Real   string // the file on the host, links resolved
}

type missing struct{ soname, neededBy string }

var elfMagic = []byte("\x7fELF")

func isELF(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	var b [4]byte
	_, err = io.ReadFull(f, b[:])
	return err == nil && bytes.Equal(b[:], elfMagic)
}

// elfArch returns the architecture of an ELF file.
func elfArch(f *elf.File) (Arch, error) {
	switch f.Machine {
	case elf.EM_X86_64:
		return AMD64, nil
	case elf.EM_AARCH64:
		return ARM64, nil
	}
	return "", fmt.Errorf("program for %v; the lab has amd64 and arm64", f.Machine)
}

// ProgramArch returns the architecture that the named program is for, or ""
// if it is not an ELF file (a script, say).
func ProgramArch(name string) (Arch, error) {
	if !isELF(name) {
		return "", nil
	}
	f, err := elf.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return elfArch(f)
}

func (l *linker) searchDirs() []string {
	t := l.arch.triplet()
	return []string{"/lib/" + t, "/usr/lib/" + t, "/lib64", "/usr/lib64", "/lib", "/usr/lib"}
}

// closure returns the libraries, and the interpreter, that the ELF file name
// needs, directly or not, and those that were not found.
func (l *linker) closure(name string) (libs []library, gone []missing, err error) {
	type job struct{ file, soname, origin string }
	queue := []job{{name, "", filepath.Dir(name)}}
	seen := make(map[string]bool)
	for len(queue) > 0 {
		j := queue[0]
		queue = queue[1:]
		f, err := elf.Open(j.file)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %v", j.file, err)
		}
		needed, run, err := dynamic(f)
		machine := f.Machine
		f.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %v", j.file, err)
		}
		for _, so := range needed {
			if seen[so] {
				continue
			}
			seen[so] = true
			lib, ok := l.find(so, run, j.origin, machine)
			if !ok {
				gone = append(gone, missing{so, j.soname})
				continue
			}
			libs = append(libs, lib)
			queue = append(queue, job{lib.Real, so, filepath.Dir(lib.Guest)})
		}
	}
	return libs, gone, nil
}

// dynamic returns the interpreter and sonames that a file needs and its run
// path.
func dynamic(f *elf.File) (needed, run []string, err error) {
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			b, err := io.ReadAll(p.Open())
			if err != nil {
				return nil, nil, err
			}
			needed = append(needed, string(bytes.TrimRight(b, "\x00")))
		}
	}
	libs, err := f.ImportedLibraries()
	if err != nil {
		return nil, nil, err
	}
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		paths, _ := f.DynString(tag)
		for _, p := range paths {
			run = append(run, strings.Split(p, ":")...)
		}
	}
	return append(needed, libs...), run, nil
}

func (l *linker) find(so string, run []string, origin string, machine elf.Machine) (library, bool) {
	try := func(root, guest string) (library, bool) {
		real, err := resolve(root, guest)
		if err != nil || !isELF(real) {
			return library{}, false
		}
		f, err := elf.Open(real)
		if err != nil {
			return library{}, false
		}
		defer f.Close()
		return library{Soname: so, Guest: guest, Real: real}, f.Machine == machine
	}
	if strings.HasPrefix(so, "/") {
		for _, root := range l.roots {
			if lib, ok := try(root, so); ok {
				return lib, true
			}
		}
		return library{}, false
	}
	var dirs []string
	for _, d := range run {
		d = strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin).Replace(d)
		if filepath.IsAbs(d) {
			dirs = append(dirs, filepath.Clean(d))
		}
	}
	dirs = append(dirs, l.searchDirs()...)
	for _, root := range l.roots {
		for _, d := range dirs {
			if lib, ok := try(root, filepath.Join(d, so)); ok {
				return lib, true
			}
		}
	}
	// What the host's loader knows by its cache, the guest's finds in /lib.
	if slices.Contains(l.roots, "/") {
		for _, d := range append(filepath.SplitList(os.Getenv("LD_LIBRARY_PATH")), "/usr/local/lib") {
			if lib, ok := try("/", filepath.Join(d, so)); ok {
				lib.Guest = "/lib/" + so
				return lib, true
			}
		}
	}
	return library{}, false
}

// resolve follows symbolic links of the absolute path name inside root, where
// links that are absolute stay inside too.
func resolve(root, name string) (string, error) {
	rest := strings.Split(strings.Trim(filepath.Clean(name), "/"), "/")
	cur := "/"
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			cur = filepath.Dir(cur)
			continue
		}
		next := filepath.Join(cur, part)
		fi, err := os.Lstat(filepath.Join(root, next))
		if err != nil {
			return "", err
		}
		if fi.Mode()&fs.ModeSymlink == 0 {
			cur = next
			continue
		}
		if links++; links > 40 {
			return "", fmt.Errorf("%s: too many links", name)
		}
		target, err := os.Readlink(filepath.Join(root, next))
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			cur = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return filepath.Join(root, cur), nil
}
