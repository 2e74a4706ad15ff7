// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package upstream

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// release is a small tree in the form of a Go release.
var release = map[string]string{
	"VERSION":              "go1.26.99\ntime 2026-01-02T03:04:05Z\n",
	"go.env":               "GOPROXY=x\n\nGOTOOLCHAIN=auto\n",
	"lib/time/update.bash": "#!/bin/bash\n",
	"src/go.mod":           "module std\n",
	"src/make.bash":        "bootgo=1.24.6\n",
	"src/runtime/proc.go":  "package runtime\n",
	"src/cmd/go.mod":       "module cmd\n",
	"api/go1.txt":          "pkg a\n",
	"doc/a.html":           "a\n",
	"doc/b.html":           "b\n",
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".bash") {
			mode = 0o755
		}
		if err := os.WriteFile(file, []byte(data), mode); err != nil {
			t.Fatal(err)
		}
	}
}

// pinned returns a GOROOT of the release and a pin made from it.
func pinned(t *testing.T) (dir string, pin *Pin) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, release)
	m, err := makeManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	text := m.Text()
	write(t, root, map[string]string{"pins/x.sum": string(text)})
	return dir, &Pin{Version: "go1.26.99", Revision: 1, VersionFile: release["VERSION"], Manifest: "pins/x.sum", SHA256: hexSHA256(text), Line: "go1.26", root: root}
}

func TestVerify(t *testing.T) {
	generatedFile := generated[0]
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, dir string)
		bad    string // what the error names; "" accepts
		files  int
	}{
		{"untouched", func(t *testing.T, dir string) {}, "", len(release)},
		{"build products", func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"bin/go": "x", "pkg/tool/linux_amd64/asm": "x", generatedFile: "x"})
		}, "", len(release)},
		{"one byte changed", func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"src/runtime/proc.go": "package runtimf\n"})
		}, "src/runtime/proc.go: sha256 is", 0},
		{"file missing", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "src/make.bash")) }, "src/make.bash: missing", 0},
		{"file added", func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"src/runtime/evil.go": "package runtime\n"})
		}, "src/runtime/evil.go: not in the pinned tree", 0},
		{"no optional directories", func(t *testing.T, dir string) {
			os.RemoveAll(filepath.Join(dir, "api"))
			os.RemoveAll(filepath.Join(dir, "doc"))
		}, "", len(release) - 3},
		{"part of an optional directory", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "doc/b.html")) }, "doc/b.html: missing", 0},
		{"GOTOOLCHAIN=local", func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"go.env": "GOPROXY=x\n\nGOTOOLCHAIN=local\n"})
		}, "", len(release)},
		{"other change of go.env", func(t *testing.T, dir string) {
			write(t, dir, map[string]string{"go.env": "GOPROXY=y\n\nGOTOOLCHAIN=local\n"})
		}, "go.env: sha256 is", 0},
		{"file replaced by a link", func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, "src/make.bash"))
			os.Symlink("/nonexistent", filepath.Join(dir, "src/make.bash"))
		}, "src/make.bash: no such file", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir, pin := pinned(t)
			tt.change(t, dir)
			tree, err := Verify(pin, dir)
			if tt.bad == "" {
				if err != nil {
					t.Fatal(err)
				}
				if len(tree.Files) != tt.files {
					t.Errorf("%d files, want %d", len(tree.Files), tt.files)
				}
				return
			}
			var m *Mismatch
			if !errors.As(err, &m) || !strings.Contains(err.Error(), tt.bad) {
				t.Fatalf("error %v, want one that says %q", err, tt.bad)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has more than one line: %q", err)
			}
		})
	}
}

// TestModuleLayout checks that both sources of a release give the same tree.
func TestModuleLayout(t *testing.T) {
	dir, pin := pinned(t)
	mod := t.TempDir()
	for name, data := range release {
		if Optional(name) {
			continue
		}
		file := filepath.Join(mod, filepath.FromSlash(moduleName(name)))
		os.MkdirAll(filepath.Dir(file), 0o777)
		if err := os.WriteFile(file, []byte(data), 0o444); err != nil { // exec bits are lost
			t.Fatal(err)
		}
	}
	copyOf := func(dir string) string {
		tree, err := Verify(pin, dir)
		if err != nil {
			t.Fatal(err)
		}
		dst := t.TempDir()
		if err := tree.Copy(dst, func(name string) bool { return !Optional(name) }); err != nil {
			t.Fatal(err)
		}
		var out []string
		filepath.Walk(dst, func(file string, fi os.FileInfo, err error) error {
			if !fi.IsDir() {
				rel, _ := filepath.Rel(dst, file)
				data, _ := os.ReadFile(file)
				out = append(out, fmt.Sprintf("%s %v %q", rel, fi.Mode(), data))
			}
			return nil
		})
		return strings.Join(out, "\n")
	}
	a, b := copyOf(dir), copyOf(mod)
	if a != b {
		t.Errorf("the two sources differ:\n%s\n\n%s", a, b)
	}
	if !strings.Contains(a, "update.bash -rwxr-xr-x") {
		t.Errorf("executable bit lost:\n%s", a)
	}
}

// TestCopyVerifies changes a file between verification and copy.
func TestCopyVerifies(t *testing.T) {
	dir, pin := pinned(t)
	tree, err := Verify(pin, dir)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{"src/runtime/proc.go": "package evil\n"})
	err = tree.Copy(t.TempDir(), func(string) bool { return true })
	if err == nil || !strings.Contains(err.Error(), "src/runtime/proc.go") {
		t.Errorf("Copy of a changed file: %v", err)
	}
}

func TestManifestTampered(t *testing.T) {
	dir, pin := pinned(t)
	file := filepath.Join(pin.root, pin.Manifest)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[0] ^= 1
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(pin, dir); err == nil || !strings.Contains(err.Error(), "pins/x.sum: sha256 is") {
		t.Errorf("changed manifest: %v", err)
	}
	// No tree can match what is not there, so none is looked for.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	f := &Finder{Go: "/nonexistent/go", Roots: []string{dir}, Logf: t.Logf}
	if _, err := f.Find(t.Context(), pin); err == nil || !strings.Contains(err.Error(), "pins/x.sum: the manifest") || strings.Contains(err.Error(), "/nonexistent") {
		t.Errorf("missing manifest: %v", err)
	}
}

func TestMakeManifestDisagreement(t *testing.T) {
	dir, _ := pinned(t)
	other := t.TempDir()
	write(t, other, release)
	write(t, other, map[string]string{"src/runtime/proc.go": "package x\n"})
	if _, err := makeManifest(dir, other); err == nil || !strings.Contains(err.Error(), "src/runtime/proc.go differs") {
		t.Errorf("trees that differ: %v", err)
	}
	write(t, other, release)
	write(t, other, map[string]string{"src/x.go": "package x\n"})
	if _, err := makeManifest(dir, other); err == nil || !strings.Contains(err.Error(), "src/x.go is in") {
		t.Errorf("file in one tree only: %v", err)
	}
}

func TestManifestRoundTrip(t *testing.T) {
	dir, _ := pinned(t)
	m, err := makeManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseManifest(m.Text())
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(again.Files, m.Files) {
		t.Errorf("read back %v, want %v", again.Files, m.Files)
	}
	line := strings.Repeat("0", 64)
	for _, bad := range []string{
		"x\n",
		line + "  /etc/passwd\n",
		line + "  ../x\n",
		line + "  a/../b\n",
		line + "  b\n" + line + "  a\n",
		line + "  a\n" + line + "  a\n",
		strings.Repeat("g", 64) + "  a\n",
	} {
		if _, err := ParseManifest([]byte(bad)); err == nil {
			t.Errorf("ParseManifest(%q) succeeded", bad)
		}
	}
}

// TestRepository checks the repository's own pins.
func TestRepository(t *testing.T) {
	pins, err := LoadPins("../..")
	if err != nil {
		t.Fatal(err)
	}
	for line, pin := range pins.Lines {
		m, err := pin.LoadManifest()
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if f, ok := m.Lookup("VERSION"); !ok || f.SHA256 != hexSHA256([]byte(pin.VersionFile)) {
			t.Errorf("%s: the VERSION text in %s is not that of the manifest", line, PinsFile)
		}
		for platform, tc := range pin.Toolchains {
			if !strings.HasPrefix(tc.H1, "h1:") || tc.Binaries["bin/go"] == "" {
				t.Errorf("%s: %s is incomplete", line, platform)
			}
		}
	}
	if _, err := pins.Select("go1.2.3"); err == nil || !strings.Contains(err.Error(), "rtgo pin go1.2.3") {
		t.Errorf("unknown release: %v", err)
	}
	if pin, err := pins.Select(""); err != nil || pin != pins.Lines[pins.Default] {
		t.Errorf("default: %v, %v", pin, err)
	}
}

// TestInstalledGo verifies a real GOROOT, if it is of a pinned release.
func TestInstalledGo(t *testing.T) {
	pins, err := LoadPins("../..")
	if err != nil {
		t.Fatal(err)
	}
	pin, err := pins.Select(runtime.Version())
	if err != nil {
		t.Skip(err)
	}
	if _, err := Verify(pin, runtime.GOROOT()); err != nil {
		t.Error(err)
	}
}

func TestHashZip(t *testing.T) {
	file := filepath.Join(t.TempDir(), "m.zip")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for _, name := range []string{"b", "a"} { // the order in the zip must not matter
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(w, "content of %s\n", name)
	}
	z.Close()
	f.Close()
	// printf '%s  a\n%s  b\n' $(for f in a b; do echo content of $f | sha256sum | cut -d' ' -f1; done) |
	//	sha256sum, as base64
	const want = "h1:OxhujIJ3syOpl+fsletmVR5vtu0aT9LUb4wn2wnxvYc="
	if got, err := HashZip(file); err != nil || got != want {
		t.Errorf("HashZip = %q, %v; want %q", got, err, want)
	}
}
