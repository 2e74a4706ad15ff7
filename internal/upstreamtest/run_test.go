// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package upstreamtest

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// stockTree is the Go that runs this test.
func stockTree(t *testing.T) *Tree {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &Tree{GOROOT: strings.TrimSpace(string(out))}
}

// copyTree makes a GOROOT whose package pkg is a copy that may be edited; the
// rest are links to the tree's own directories.
func copyTree(t *testing.T, from *Tree, pkg string) *Tree {
	t.Helper()
	root := t.TempDir()
	if r, err := filepath.EvalSymlinks(root); err == nil {
		root = r
	}
	for _, d := range []string{"bin", "lib", "pkg", "test", "go.env", "VERSION"} {
		if err := os.Symlink(filepath.Join(from.GOROOT, d), filepath.Join(root, d)); err != nil {
			t.Fatal(err)
		}
	}
	// Link every directory beside the path to pkg.
	dir := "src"
	for _, elem := range append(strings.Split(pkg, "/"), "") {
		if err := os.Mkdir(filepath.Join(root, dir), 0o777); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(filepath.Join(from.GOROOT, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Name() == elem {
				continue
			}
			src, dst := filepath.Join(from.GOROOT, dir, e.Name()), filepath.Join(root, dir, e.Name())
			if elem == "" && !e.IsDir() {
				data, err := os.ReadFile(src)
				if err == nil {
					err = os.WriteFile(dst, data, 0o666)
				}
				if err != nil {
					t.Fatal(err)
				}
			} else if err := os.Symlink(src, dst); err != nil {
				t.Fatal(err)
			}
		}
		dir = filepath.Join(dir, elem)
	}
	return &Tree{GOROOT: root}
}

func edit(t *testing.T, tree *Tree, file, old, new string) {
	t.Helper()
	name := filepath.Join(tree.src(), file)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Count(data, []byte(old)) != 1 {
		t.Fatalf("%s holds %d times %q, want 1", file, bytes.Count(data, []byte(old)), old)
	}
	if err := os.WriteFile(name, bytes.Replace(data, []byte(old), []byte(new), 1), 0o666); err != nil {
		t.Fatal(err)
	}
}

// TestCatchesRegressions breaks a copy of a std package in the ways a patch
// could and requires each to be reported, against the tree it came from.
func TestCatchesRegressions(t *testing.T) {
	if testing.Short() {
		t.Skip("runs go test in two GOROOTs; left out by -short")
	}
	stock := stockTree(t)
	const pkg = "container/ring"
	set := Set{Name: "list", Packages: []string{pkg}}
	base, err := Record(context.Background(), stock, set, Options{Timeout: time.Minute}, 2, "test")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name           string
		file, old, new string
		result         string
		want           []string // in the text report
	}{
		{"unchanged", "", "", "", "PASS", []string{"PASS: 0 regressions"}},
		{"behaviour", "ring.go", "n++\n", "n += 2\n", "FAIL",
			[]string{"REGRESSION: container/ring.TestNew: unpatched pass, patched fail; retried (the test alone): patched 1 of 1, unpatched 0 of 1"}},
		{"hang", "ring.go", "n := 0", "n := 0; for r != nil {}", "FAIL",
			[]string{"panic: test timed out after 3s", "REGRESSION: container/ring"}},
		{"panic", "ring.go", "n := 0", "n := 0; if r == nil { panic(\"boom\") }", "FAIL",
			[]string{"(panic: boom", "more tests did not run"}},
		{"test deleted", "ring_test.go", "func TestMoveEmptyRing(", "func testMoveEmptyRing(", "FAIL",
			[]string{"container/ring.TestMoveEmptyRing: unpatched pass, patched absent"}},
		{"test skipped", "ring_test.go", "func TestMoveEmptyRing(t *testing.T) {", "func TestMoveEmptyRing(t *testing.T) {\nt.Skip()", "FAIL",
			[]string{"container/ring.TestMoveEmptyRing: unpatched pass, patched skip"}},
		{"does not build", "ring.go", "n := 0", "n := zero", "FAIL",
			[]string{"build failed: container/ring", "undefined: zero"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			patched := copyTree(t, stock, pkg)
			if tt.file != "" {
				edit(t, patched, filepath.Join(pkg, tt.file), tt.old, tt.new)
			}
			j := &Job{Patched: patched, Unpatched: stock, Baseline: base, Set: set,
				Options: Options{Timeout: 3 * time.Second}, Tries: 1, PackageTries: 1}
			r, err := j.Run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			r.WriteText(&text)
			if r.Result != tt.result {
				t.Errorf("result %s, want %s", r.Result, tt.result)
			}
			for _, w := range tt.want {
				if !strings.Contains(text.String(), w) {
					t.Errorf("report lacks %q", w)
				}
			}
			if t.Failed() {
				t.Log(text.String())
			}
		})
	}
}

// TestHungRunIsKilled shows that a test binary which ignores its own timeout,
// as one on a broken runtime may, is ended and reported.
func TestHungRunIsKilled(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("process groups as on Linux")
	}
	root := t.TempDir()
	// The go command of this GOROOT starts a package and then says nothing.
	script := "#!/bin/sh\ncase $1 in test) echo '{\"Action\":\"start\",\"Package\":\"p\"}'; echo '{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"TestA\"}'; sleep 1000 & wait;; esac\n"
	os.MkdirAll(filepath.Join(root, "bin"), 0o777)
	os.MkdirAll(filepath.Join(root, "src"), 0o777)
	if err := os.WriteFile(filepath.Join(root, "bin", "go"), []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}
	defer func(d time.Duration) { stallGrace = d }(stallGrace)
	stallGrace = time.Second
	res, err := RunTests(context.Background(), &Tree{GOROOT: root}, []string{"p"}, Options{Timeout: time.Second}, "test")
	if err != nil {
		t.Fatal(err)
	}
	if res.Outcomes[Test{"p", "TestA"}] != Fail || !strings.Contains(res.Crashed["p"], "hung") {
		t.Errorf("outcomes %v, crashed %v", res.Outcomes, res.Crashed)
	}
}

func TestOutsideModules(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	root := filepath.Join(dir, "out", "go")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := OutsideModules(root); got != root || err != nil {
		t.Errorf("without a module: %q, %v; want %q", got, err, root)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module m\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		// As cmd/dist and an editor do, a new file under the old name.
		os.Remove(name)
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	tree := func(dir string) map[string]string {
		t.Helper()
		files := map[string]string{}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			rel, _ := filepath.Rel(dir, path)
			files[rel] = string(data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return files
	}
	write("VERSION", "one")
	write("src/a/a.go", "package a")
	write("src/b", "a file")
	if err := os.Symlink("a.go", filepath.Join(root, "src/a/link.go")); err != nil {
		t.Fatal(err)
	}
	got, err := OutsideModules(root)
	if err != nil {
		t.Fatal(err)
	}
	if real, err := filepath.EvalSymlinks(got); real != got || err != nil {
		t.Errorf("%q is %q, %v", got, real, err)
	}
	if d := cmp.Diff(tree(root), tree(got)); d != "" {
		t.Errorf("mirror:\n%s", d)
	}
	write("VERSION", "two")
	if err := os.Remove(filepath.Join(root, "src/b")); err != nil {
		t.Fatal(err)
	}
	write("src/b/b.go", "package b")
	if err := os.RemoveAll(filepath.Join(root, "src/a")); err != nil {
		t.Fatal(err)
	}
	if again, err := OutsideModules(root); again != got || err != nil {
		t.Errorf("second call: %q, %v; want %q", again, err, got)
	}
	if d := cmp.Diff(tree(root), tree(got)); d != "" {
		t.Errorf("mirror after changes:\n%s", d)
	}
}

func TestPieces(t *testing.T) {
	pkgs := []string{"a", "b", "c", "d", "e"}
	var all []string
	for k := 1; k <= 2; k++ {
		s := Set{Piece: k, Pieces: 2}
		all = append(all, s.choose(pkgs)...)
	}
	if want := []string{"a", "c", "e", "b", "d"}; !slices.Equal(all, want) {
		t.Errorf("pieces %v, want %v", all, want)
	}
	if got := new(Set).choose(pkgs); len(got) != len(pkgs) {
		t.Errorf("the whole set is %v", got)
	}
	for _, s := range []string{"", "1", "0/2", "3/2", "1/x", "x/2", "1/2/3"} {
		if k, n, err := ParsePiece(s); err == nil {
			t.Errorf("ParsePiece(%q) = %d, %d", s, k, n)
		}
	}
	if k, n, err := ParsePiece("2/3"); k != 2 || n != 3 || err != nil {
		t.Errorf("ParsePiece(2/3) = %d, %d, %v", k, n, err)
	}
}
