// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"bufio"
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// An Image is the content of an initramfs. The archive depends on the names,
// modes and contents of what was added and on nothing else: no times, no
// owners, no order of addition.
type Image struct {
	nodes map[string]*node
}

type node struct {
	mode         fs.FileMode // permission bits and type
	data         []byte
	file         string // host file, if not data
	link         string
	major, minor int
}

// NewImage returns an image with what every guest needs and no program.
func NewImage() *Image {
	m := &Image{nodes: make(map[string]*node)}
	for _, d := range []string{"proc", "sys", "dev", "run", "etc", "root", "bin", "sbin", "usr/bin", "usr/sbin", "var", "lab"} {
		m.dir(d, 0o755)
	}
	m.dir("tmp", fs.ModeSticky|0o777)
	m.nodes["dev/console"] = &node{mode: fs.ModeDevice | fs.ModeCharDevice | 0o600, major: 5, minor: 1}
	m.AddData("/etc/passwd", []byte("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"), 0o644)
	m.AddData("/etc/group", []byte("root:x:0:\nnogroup:x:65534:\n"), 0o644)
	m.AddData("/etc/hosts", []byte("127.0.0.1 localhost lab\n::1 localhost\n"), 0o644)
	m.AddData("/etc/nsswitch.conf", []byte("passwd: files\ngroup: files\nhosts: files\n"), 0o644)
	m.AddLink("/var/tmp", "/tmp")
	return m
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// dir adds a directory and its parents.
func (m *Image) dir(name string, mode fs.FileMode) {
	name = clean(name)
	for d := path.Dir(name); d != "."; d = path.Dir(d) {
		if m.nodes[d] == nil {
			m.nodes[d] = &node{mode: fs.ModeDir | 0o755}
		}
	}
	if name != "" {
		m.nodes[name] = &node{mode: fs.ModeDir | mode}
	}
}

// AddDir adds an empty directory and its parents.
func (m *Image) AddDir(name string) {
	if !m.Has(name) {
		m.dir(name, 0o755)
	}
}

func (m *Image) put(name string, n *node) {
	name = clean(name)
	if d := path.Dir(name); m.nodes[d] == nil {
		m.dir(d, 0o755)
	}
	m.nodes[name] = n
}

// AddData adds a regular file.
func (m *Image) AddData(name string, data []byte, perm fs.FileMode) {
	m.put(name, &node{mode: perm & fs.ModePerm, data: data})
}

// AddLink adds a symbolic link.
func (m *Image) AddLink(name, target string) {
	m.put(name, &node{mode: fs.ModeSymlink | 0o777, link: target})
}

// AddFile adds a host file under the guest name, or a directory with all that
// is below it. Links inside a directory stay links.
func (m *Image) AddFile(name, host string) error {
	fi, err := os.Stat(host)
	if err != nil {
		return err
	}
	if fi.Mode().IsRegular() {
		m.put(name, &node{mode: fi.Mode().Perm(), file: host})
		return nil
	}
	if !fi.IsDir() {
		return fmt.Errorf("%s is neither a file nor a directory", host)
	}
	return filepath.WalkDir(host, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(host, p)
		if err != nil {
			return err
		}
		guest := path.Join(name, filepath.ToSlash(rel))
		fi, err := d.Info()
		if err != nil {
			return err
		}
		switch fi.Mode().Type() {
		case 0:
			m.put(guest, &node{mode: fi.Mode().Perm(), file: p})
		case fs.ModeDir:
			m.dir(guest, fi.Mode().Perm())
		case fs.ModeSymlink:
			target, err := os.Readlink(p)
			if err != nil {
				return err
			}
			m.AddLink(guest, target)
		}
		return nil
	})
}

// Has reports whether the image holds name.
func (m *Image) Has(name string) bool { return m.nodes[clean(name)] != nil }

// AddTools adds busybox, rt-tests and stress-ng of the store, with their
// libraries.
func (m *Image) AddTools(s *Store, a Arch, mf *Manifest) error {
	root := s.Root(a)
	var programs []string
	for _, e := range mf.Files {
		dir, base := path.Split(e.Path)
		switch {
		case strings.HasPrefix(base, "determine_maximum_mpps"), base == "crun": // see AddRootfs
		case e.SHA256 == "", dir != "bin/" && dir != "usr/bin/", !isELF(filepath.Join(root, e.Path)):
		case belongsToLibc(base):
		default:
			programs = append(programs, e.Path)
		}
	}
	if !slices.Contains(programs, "bin/busybox") && !slices.Contains(programs, "usr/bin/busybox") {
		return errors.New("the store has no busybox; run 'rtgo lab fetch -f'")
	}
	for _, p := range programs {
		dst := "/usr/bin/" + path.Base(p)
		if path.Base(p) == "busybox" {
			dst = "/bin/busybox"
			m.AddLink("/bin/sh", "busybox")
		}
		if err := m.addProgram(dst, filepath.Join(root, p), &linker{arch: a, roots: []string{root}}); err != nil {
			return err
		}
	}
	return nil
}

// belongsToLibc tells the programs of the package libc6, which no guest needs.
func belongsToLibc(base string) bool {
	return slices.Contains([]string{"getconf", "getent", "iconv", "locale", "localedef", "pldd", "zdump", "ld.so", "gencat"}, base)
}

// AddProgram adds a program for a from the host under the guest name, with the
// shared libraries that it needs: those of the host, and of the store where
// the host has none for that architecture.
func (m *Image) AddProgram(name, host string, s *Store, a Arch) error {
	roots := []string{"/", s.Root(a)}
	if cross := "/usr/" + a.triplet(); a != Native() {
		// Debian's cross libraries are of the cross compiler that the program
		// was made with.
		if _, err := os.Stat(cross + "/lib"); err == nil {
			roots = []string{cross, s.Root(a)}
		} else {
			roots = []string{s.Root(a)}
		}
	}
	return m.addProgram(name, host, &linker{arch: a, roots: roots})
}

func (m *Image) addProgram(name, host string, l *linker) error {
	fi, err := os.Stat(host)
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s is not a program", host)
	}
	m.put(name, &node{mode: fi.Mode().Perm() | 0o111, file: host})
	return m.addLibraries(host, l)
}

func (m *Image) addLibraries(host string, l *linker) error {
	if !isELF(host) {
		return nil
	}
	f, err := elf.Open(host)
	if err != nil {
		return fmt.Errorf("%s: %v", host, err)
	}
	got, err := elfArch(f)
	f.Close()
	if err == nil && got != l.arch {
		err = fmt.Errorf("program for %s, the guest is %s; use -arch %s", got, l.arch, got)
	}
	if err != nil {
		return fmt.Errorf("%s: %v", host, err)
	}
	libs, gone, err := l.closure(host)
	if err != nil {
		return err
	}
	if len(gone) > 0 {
		return fmt.Errorf("%s needs %s, which is not found; link statically (CGO_ENABLED=0), or give the library's directory in LD_LIBRARY_PATH", host, gone[0].soname)
	}
	for _, lib := range libs {
		fi, err := os.Stat(lib.Real)
		if err != nil {
			return err
		}
		m.put(lib.Guest, &node{mode: fi.Mode().Perm() | 0o555, file: lib.Real})
	}
	return nil
}

// AddTree adds a host file or directory, as AddFile does, and the libraries
// of the programs in it.
func (m *Image) AddTree(name, host string, s *Store, a Arch) error {
	if err := m.AddFile(name, host); err != nil {
		return err
	}
	return filepath.WalkDir(host, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		fi, err := d.Info()
		if err != nil || fi.Mode()&0o111 == 0 || !isELF(p) {
			return err
		}
		if got, err := ProgramArch(p); err != nil || got != a {
			return nil // data, to this guest
		}
		return m.AddProgram(path.Join(name, filepath.ToSlash(strings.TrimPrefix(p, host))), p, s, a)
	})
}

// Write writes the image as an uncompressed newc archive, which kernels unpack
// fastest, and returns its SHA-256.
func (m *Image) Write(w io.Writer) (sum string, err error) {
	h := sha256.New()
	c := &cpioWriter{w: bufio.NewWriterSize(io.MultiWriter(w, h), 1<<20)}
	names := make([]string, 0, len(m.nodes))
	for n := range m.nodes {
		names = append(names, n)
	}
	slices.Sort(names) // a directory sorts before what is in it
	for _, n := range names {
		if err := c.node(n, m.nodes[n]); err != nil {
			return "", fmt.Errorf("%s: %w", n, err)
		}
	}
	if err := c.close(); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// A cpioWriter writes the "new ASCII" format of cpio, which is the kernel's
// for initramfs (Documentation/driver-api/early-userspace/buffer-format.rst).
type cpioWriter struct {
	w   *bufio.Writer
	ino uint32
	off int64
}

func (c *cpioWriter) header(name string, mode uint32, nlink int, size int64, major, minor int) error {
	c.ino++
	if size >= 1<<32 {
		return errors.New("larger than 4 GiB")
	}
	n, err := fmt.Fprintf(c.w, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		c.ino, mode, 0, 0, nlink, 0, size, 0, 0, major, minor, len(name)+1, 0, name)
	c.off += int64(n)
	if err != nil {
		return err
	}
	return c.pad()
}

func (c *cpioWriter) pad() error {
	for ; c.off%4 != 0; c.off++ {
		if err := c.w.WriteByte(0); err != nil {
			return err
		}
	}
	return nil
}

func (c *cpioWriter) node(name string, n *node) error {
	perm := uint32(n.mode.Perm())
	if n.mode&fs.ModeSticky != 0 {
		perm |= 0o1000
	}
	switch n.mode.Type() {
	case fs.ModeDir:
		return c.header(name, 0o040000|perm, 2, 0, 0, 0)
	case fs.ModeDevice | fs.ModeCharDevice:
		return c.header(name, 0o020000|perm, 1, 0, n.major, n.minor)
	case fs.ModeSymlink:
		return c.data(name, 0o120000|perm, int64(len(n.link)), strings.NewReader(n.link))
	}
	if n.file == "" {
		return c.data(name, 0o100000|perm, int64(len(n.data)), strings.NewReader(string(n.data)))
	}
	f, err := os.Open(n.file)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	return c.data(name, 0o100000|perm, fi.Size(), f)
}

func (c *cpioWriter) data(name string, mode uint32, size int64, r io.Reader) error {
	if err := c.header(name, mode, 1, size, 0, 0); err != nil {
		return err
	}
	n, err := io.CopyN(c.w, r, size)
	c.off += n
	if err != nil {
		return err
	}
	return c.pad()
}

func (c *cpioWriter) close() error {
	c.ino = ^uint32(0) // the trailer's inode is 0
	if err := c.header("TRAILER!!!", 0, 1, 0, 0, 0); err != nil {
		return err
	}
	return c.w.Flush()
}
