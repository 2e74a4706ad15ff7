// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fill adds the same content in the given order.
func fill(t *testing.T, dir string, reverse bool) *Image {
	m := NewImage()
	add := []func(){
		func() { m.AddData("/a/b/c", []byte("hello"), 0o600) },
		func() { m.AddLink("/a/link", "b/c") },
		func() {
			if err := m.AddFile("/tree", dir); err != nil {
				t.Fatal(err)
			}
		},
	}
	if reverse {
		for i := len(add) - 1; i >= 0; i-- {
			add[i]()
		}
	} else {
		for _, f := range add {
			f()
		}
	}
	return m
}

func testTree(t *testing.T) string {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "sub/empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, mode := range map[string]os.FileMode{"x": 0o755, "sub/y": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name+"-content"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("x", filepath.Join(dir, "l")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestImageReproducible(t *testing.T) {
	dir := testTree(t)
	var a, b bytes.Buffer
	sumA, err := fill(t, dir, false).Write(&a)
	if err != nil {
		t.Fatal(err)
	}
	// Times and the order of addition are not part of the input.
	if err := os.Chtimes(filepath.Join(dir, "x"), time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	sumB, err := fill(t, dir, true).Write(&b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) || sumA != sumB {
		t.Error("same input, different archive")
	}
	if err := os.WriteFile(filepath.Join(dir, "sub/y"), []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if sumC, _ := fill(t, dir, false).Write(&bytes.Buffer{}); sumC == sumA {
		t.Error("other input, same checksum")
	}
}

// TestImageCpio has the archive read by an independent implementation.
func TestImageCpio(t *testing.T) {
	unpack := []string{"cpio", "-idm", "--quiet", "--no-absolute-filenames"}
	if _, err := exec.LookPath("cpio"); err != nil {
		if _, err := exec.LookPath("busybox"); err != nil {
			t.Skip("neither cpio nor busybox here")
		}
		unpack = []string{"busybox", "cpio", "-idm"}
	}
	m := fill(t, testTree(t), false)
	delete(m.nodes, "dev/console") // needs root to unpack
	var a bytes.Buffer
	if _, err := m.Write(&a); err != nil {
		t.Fatal(err)
	}
	if a.Len()%4 != 0 {
		t.Errorf("archive of %d bytes", a.Len())
	}
	dir := t.TempDir()
	cmd := exec.Command(unpack[0], unpack[1:]...)
	cmd.Dir, cmd.Stdin = dir, &a
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, want := range map[string]string{"a/b/c": "hello", "a/link": "hello", "tree/x": "x-content", "tree/l": "x-content", "tree/sub/y": "sub/y-content"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(b) != want {
			t.Errorf("%s: %q, %v; want %q", name, b, err, want)
		}
	}
	for name, want := range map[string]string{"a/b/c": "-rw-------", "tree/x": "-rwxr-xr-x", "tree/sub/empty": "drwxr-xr-x", "tmp": "dtrwxrwxrwx", "a/link": "Lrwxrwxrwx"} {
		fi, err := os.Lstat(filepath.Join(dir, name))
		if err != nil || fi.Mode().String() != want {
			t.Errorf("%s: %v, %v; want %s", name, fi.Mode(), err, want)
		}
	}
}

func TestAddProgram(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc to make a dynamically linked program")
	}
	dir := t.TempDir()
	src := filepath.Join(dir, "p.c")
	if err := os.WriteFile(src, []byte("#include <math.h>\nint main(int c, char **v) { return (int)cos(c); }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	lib, prog := filepath.Join(dir, "lib/libmine.so"), filepath.Join(dir, "p")
	if err := os.MkdirAll(filepath.Dir(lib), 0o755); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "l.c"), []byte("int mine(void) { return 1; }\n"), 0o644)
	for _, args := range [][]string{
		{"-shared", "-fPIC", "-o", lib, filepath.Join(dir, "l.c")},
		{"-O0", "-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN/lib", "-o", prog, src, lib, "-lm"},
	} {
		if out, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	s := &Store{Dir: t.TempDir()}
	m := NewImage()
	if err := m.AddProgram("/root/p", prog, s, Native()); err != nil {
		t.Fatal(err)
	}
	var names []string
	for n := range m.nodes {
		names = append(names, n)
	}
	all := strings.Join(names, "\n")
	for _, want := range []string{"root/p", "libc.so.6", "libm.so.6", "libmine.so", "ld-linux"} {
		if !strings.Contains(all, want) {
			t.Errorf("the image lacks %s", want)
		}
	}
	other := ARM64
	if Native() == ARM64 {
		other = AMD64
	}
	err = NewImage().AddProgram("/root/p", prog, s, other)
	if err == nil || !strings.Contains(err.Error(), "use -arch "+string(Native())) {
		t.Errorf("program of another architecture: %v", err)
	}
	if err := os.Remove(lib); err != nil {
		t.Fatal(err)
	}
	err = NewImage().AddProgram("/root/p", prog, s, Native())
	if err == nil || !strings.Contains(err.Error(), "libmine.so") {
		t.Errorf("missing library: %v", err)
	}
}

// TestResolve has links inside a root stay inside it.
func TestResolve(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "lib/real"), 0o755); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(root, "lib/real/f"), nil, 0o644)
	for name, target := range map[string]string{"abs": "/lib/real/f", "rel": "lib/real/f", "dir": "/lib/real", "up": "../../../lib/real/f", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	want := filepath.Join(root, "lib/real/f")
	for _, name := range []string{"/abs", "/rel", "/dir/f", "/up", "/lib/../abs"} {
		if got, err := resolve(root, name); err != nil || got != want {
			t.Errorf("resolve %s: %s, %v", name, got, err)
		}
	}
	for _, name := range []string{"/loop", "/none"} {
		if got, err := resolve(root, name); err == nil {
			t.Errorf("resolve %s: %s, want an error", name, got)
		}
	}
}
