// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package series

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rtgo.dev/rtgo/internal/upstream"
)

const proc = `package runtime

func schedule() {
	one()
	two()
	three()
	four()
	five()
	six()
	seven()
	eight()
}
`

var release = map[string]string{
	"VERSION":             "go1.26.99\ntime 2026-01-02T03:04:05Z\n",
	"go.env":              "GOTOOLCHAIN=auto\n",
	"src/runtime/proc.go": proc,
	"src/runtime/sema.go": "package runtime\n\nfunc semacquire() {\n\tblock()\n}\n",
	"src/.gitignore":      "*.go\n",            // must not hide anything from us
	"src/.gitattributes":  "* text eol=crlf\n", // nor change it
	"test/a.go":           "package main\n",
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A world is a repository with a pin, and a source tree that matches it.
type world struct {
	t    *testing.T
	root string
	tree *upstream.Tree
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	src, root := t.TempDir(), t.TempDir()
	write(t, src, release)
	var sums []string
	for name, data := range release {
		sums = append(sums, fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(data)), name))
	}
	slices.SortFunc(sums, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
	sum := strings.Join(sums, "")
	write(t, root, map[string]string{
		"pins/x.sum": sum,
		"upstream.json": fmt.Sprintf(`{"default": "go1.26", "lines": {"go1.26": {"version": "go1.26.99", "revision": 1,
			"VERSION": %q, "manifest": "pins/x.sum", "sha256": "%x", "toolchains": {}}}}`, release["VERSION"], sha256.Sum256([]byte(sum))),
		"src-overlay/runtime/rt_on.go": "package runtime\n",
	})
	pins, err := upstream.LoadPins(root)
	if err != nil {
		t.Fatal(err)
	}
	pin, err := pins.Select("")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := upstream.Verify(pin, src)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t, root, tree}
}

func (w *world) set() *Set {
	w.t.Helper()
	s, err := LoadSet(w.root, "go1.26")
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// checkout makes a checkout of the series in a new directory.
func (w *world) checkout() *Checkout {
	w.t.Helper()
	c := NewCheckout(w.root, w.tree.Pin, filepath.Join(w.t.TempDir(), "edit"))
	if err := c.Create(context.Background(), w.tree, w.set(), map[string][]byte{"src/stamp.go": []byte("package x\n")}); err != nil {
		w.t.Fatal(err)
	}
	return c
}

// git runs git as a user does.
func (w *world) git(c *Checkout, args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=Some Body", "-c", "user.email=some@body.example", "-c", "rebase.autosquash=true"}, args...)...)
	cmd.Dir = c.WorkTree
	cmd.Env = append(os.Environ(), "GIT_SEQUENCE_EDITOR=true", "GIT_EDITOR=true")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return string(out)
}

const message = `: add a hook

What: a hook.
Why: to be
called.
Upstream-Status: Inappropriate [test]
Tested: here
`

// edit replaces text in a file of the checkout and commits it.
func (w *world) edit(c *Checkout, name, old, new, msg string) {
	w.t.Helper()
	file := filepath.Join(c.WorkTree, name)
	data, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		w.t.Fatalf("%s does not contain %q", name, old)
	}
	write(w.t, c.WorkTree, map[string]string{name: strings.Replace(string(data), old, new, 1)})
	w.git(c, "commit", "-q", "-a", "-m", msg)
}

func (w *world) export(c *Checkout) *Export {
	w.t.Helper()
	x, err := c.Export(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

// twoPatches makes a series of two patches.
func (w *world) twoPatches() *Checkout {
	c := w.checkout()
	w.edit(c, "src/runtime/proc.go", "\teight()\n", "\teight()\n\trtHook()\n", "runtime"+message)
	w.edit(c, "src/runtime/sema.go", "\tblock()\n", "\trtBlock()\n\tblock()\n", "runtime/sema"+message)
	w.export(c)
	return c
}

func TestEditExport(t *testing.T) {
	w := newWorld(t)
	c := w.twoPatches()
	s := w.set()
	if len(s.Patches) != 2 || s.Patches[0].Name != "0001-runtime-add-a-hook.patch" || s.Patches[1].Subject != "runtime/sema: add a hook" {
		t.Fatalf("exported %d patches: %+v", len(s.Patches), s.Patches)
	}
	if p := Lint(s); len(p) > 0 {
		t.Errorf("lint: %v", p)
	}
	if got := s.Patches[0].Field("Why"); got != "to be called." {
		t.Errorf("Why: %q", got)
	}
	hash := s.Hash()

	// Nothing changed: nothing written.
	x := w.export(c)
	if len(x.Kept) != 2 || len(x.Written)+len(x.Removed) > 0 {
		t.Errorf("second export: %+v", x)
	}
	// The same from a fresh checkout.
	x = w.export(w.checkout())
	if len(x.Kept) != 2 || len(x.Written)+len(x.Removed) > 0 || w.set().Hash() != hash {
		t.Errorf("export from a new checkout: %+v", x)
	}

	// Whoever made the commit, the patch has the one author.
	w.git(c, "commit", "-q", "--amend", "--no-edit", "--author", "Somebody with a name long enough for a header that is folded <somebody.else@example.org>")
	x = w.export(c)
	if len(x.Kept) != 2 || len(x.Written)+len(x.Removed) > 0 || w.set().Hash() != hash {
		t.Errorf("export of a commit by another author: %+v", x)
	}

	// A new first patch renumbers the others.
	commits := strings.Fields(w.git(c, "rev-list", "--reverse", UpstreamTag+"..HEAD"))
	comment := func(lines string) *Export {
		t.Helper()
		w.git(c, "reset", "-q", "--hard", UpstreamTag)
		w.edit(c, "src/runtime/proc.go", "package runtime\n", "package runtime\n\n"+lines, "runtime: comment"+strings.TrimPrefix(message, ": add a hook"))
		w.git(c, append([]string{"cherry-pick"}, commits...)...)
		return w.export(c)
	}
	x = comment("// More.\n")
	want := []string{"0001-runtime-comment.patch", "0002-runtime-add-a-hook.patch", "0003-runtime-sema-add-a-hook.patch"}
	if !slices.Equal(x.Written, want) || len(x.Removed) != 2 {
		t.Errorf("export after an insertion: %+v", x)
	}
	// Line numbers and blob names of the second change with the first, which
	// is no change of the second.
	x = comment("// More.\n// And more.\n")
	if !slices.Equal(x.Written, want[:1]) || !slices.Equal(x.Kept, want[1:]) || len(x.Removed) > 0 {
		t.Errorf("export after a change of the first patch: %+v", x)
	}
	if _, err := w.apply(w.set().Patches); err != nil {
		t.Errorf("kept patches do not apply: %v", err)
	}
}

func TestExportRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(w *world, c *Checkout)
		want   string
	}{
		{"modified file", func(w *world, c *Checkout) { write(w.t, c.WorkTree, map[string]string{"go.env": "x\n"}) }, "not committed: go.env; commit or discard"},
		{"new file", func(w *world, c *Checkout) {
			write(w.t, c.WorkTree, map[string]string{"src/runtime/rt_new.s": "// x\n"})
		}, "src/runtime/rt_new.s; new files belong in src-overlay"},
		{"empty series", func(w *world, c *Checkout) { w.git(c, "reset", "-q", "--hard", UpstreamTag) }, "refuse to export an empty series"},
		{"rebase under way", func(w *world, c *Checkout) {
			if err := os.Mkdir(filepath.Join(c.GitDir, "rebase-apply"), 0o777); err != nil {
				w.t.Fatal(err)
			}
		}, "finish or abort"},
		{"other line", func(w *world, c *Checkout) { c.Line = "go1.27" }, "is a checkout of go1.26"},
		{"no checkout", func(w *world, c *Checkout) { os.RemoveAll(c.WorkTree) }, "rtgo edit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			c := w.twoPatches()
			before := w.set().Hash()
			tt.change(w, c)
			_, err := c.Export(context.Background())
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
			if w.set().Hash() != before {
				t.Error("patches changed")
			}
		})
	}
}

// TestOverlayLinks checks that the overlay can be edited through a checkout
// and that git does not see it.
func TestOverlayLinks(t *testing.T) {
	w := newWorld(t)
	c := w.twoPatches()
	write(t, c.WorkTree, map[string]string{"src/runtime/rt_on.go": "package runtime // edited\n"})
	data, err := os.ReadFile(filepath.Join(w.root, "src-overlay/runtime/rt_on.go"))
	if err != nil || !strings.Contains(string(data), "edited") {
		t.Errorf("the overlay's file is %q, %v", data, err)
	}
	write(t, w.root, map[string]string{"src-overlay/runtime/rt/rt.go": "package rt\n"})
	os.Remove(filepath.Join(w.root, "src-overlay/runtime/rt_on.go"))
	n, err := c.Sync(w.set().Overlay)
	if err != nil || n != 2 {
		t.Fatalf("Sync = %d, %v; want 2 changes", n, err)
	}
	if _, err := os.Lstat(filepath.Join(c.WorkTree, "src/runtime/rt_on.go")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("link to a removed file remains: %v", err)
	}
	if _, err := os.Stat(filepath.Join(c.WorkTree, "src/runtime/rt/rt.go")); err != nil {
		t.Error(err)
	}
	if n, err := c.Sync(w.set().Overlay); err != nil || n != 0 {
		t.Errorf("second Sync = %d, %v", n, err)
	}
	if out := w.git(c, "status", "--porcelain"); out != "" {
		t.Errorf("git sees\n%s", out)
	}
}

// apply applies patches to upstream in a new repository.
func (w *world) apply(patches []*Patch) (*Repo, error) {
	w.t.Helper()
	dir := w.t.TempDir()
	r := &Repo{GitDir: filepath.Join(dir, "git"), WorkTree: filepath.Join(dir, "go"), Date: w.tree.Pin.Time()}
	if err := w.tree.Copy(r.WorkTree, func(name string) bool { return !upstream.Optional(name) }); err != nil {
		w.t.Fatal(err)
	}
	if err := r.Init(context.Background(), "upstream"); err != nil {
		w.t.Fatal(err)
	}
	return r, r.Apply(context.Background(), patches)
}

// TestReproducible checks that tree and commits are the same whatever the
// user's git configuration and environment.
func TestReproducible(t *testing.T) {
	w := newWorld(t)
	w.twoPatches()
	hashes := func() string {
		r, err := w.apply(w.set().Patches)
		if err != nil {
			t.Fatal(err)
		}
		head, err := r.Git(context.Background(), "rev-parse", "HEAD")
		if err != nil {
			t.Fatal(err)
		}
		tree, err := r.Tree(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		files, err := r.Git(context.Background(), "ls-files")
		if err != nil || !strings.Contains(files, "src/runtime/proc.go") {
			t.Errorf("files: %q, %v", files, err)
		}
		return head + tree
	}
	want := hashes()
	home := t.TempDir()
	write(t, home, map[string]string{".gitconfig": "[user]\n\tname = X\n\temail = x@x\n[core]\n\tautocrlf = true\n[apply]\n\tignoreWhitespace = change\n[commit]\n\tgpgSign = true\n[am]\n\tthreeWay = true\n"})
	for k, v := range map[string]string{
		"HOME": home, "GIT_DIR": "/nonexistent", "GIT_INDEX_FILE": "/nonexistent/index", "GIT_AUTHOR_NAME": "X", "GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z",
		"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.autocrlf", "GIT_CONFIG_VALUE_0": "true", "TZ": "Asia/Tokyo", "LC_ALL": "de_DE.UTF-8",
	} {
		t.Setenv(k, v)
	}
	if got := hashes(); got != want {
		t.Errorf("hashes depend on the environment:\n%s\n%s", want, got)
	}
}

func TestApplyIsStrict(t *testing.T) {
	w := newWorld(t)
	w.twoPatches()
	good := w.set().Patches[0]
	for _, tt := range []struct{ name, old, new string }{
		{"context differs", " \tseven()", " \tseventh()"},
		{"context differs in white space", " \tseven()", "   seven()"},
		{"white space at the end of a line", "+\trtHook()", "+\trtHook() "},
		{"fuzz", " \tsix()\n", " \tsixth()\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			raw := strings.Replace(string(good.Raw), tt.old, tt.new, 1)
			if raw == string(good.Raw) {
				t.Fatalf("patch has no %q:\n%s", tt.old, raw)
			}
			p, err := Parse(good.Name, []byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			r, err := w.apply([]*Patch{p})
			var ce *ConflictError
			if !errors.As(err, &ce) || ce.Patch != good.Name {
				t.Fatalf("error %v, want a conflict in %s", err, good.Name)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has more than one line: %q", err)
			}
			if tt.name == "fuzz" && ce.Where != "src/runtime/proc.go:9" {
				t.Errorf("conflict at %q", ce.Where)
			}
			if out, err := r.Git(context.Background(), "status", "--porcelain"); err != nil || out != "" {
				t.Errorf("tree left dirty: %q, %v", out, err)
			}
		})
	}
}

// TestConflictInEdit checks that a checkout stops before the patch that does
// not apply and remains usable.
func TestConflictInEdit(t *testing.T) {
	w := newWorld(t)
	w.twoPatches()
	p := w.set().Patches[1]
	file := filepath.Join(w.root, Dir("go1.26"), p.Name)
	if err := os.WriteFile(file, []byte(strings.Replace(string(p.Raw), " \tblock()", " \tblocked()", 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	c := NewCheckout(w.root, w.tree.Pin, filepath.Join(t.TempDir(), "edit"))
	err := c.Create(context.Background(), w.tree, w.set(), nil)
	var ce *ConflictError
	if !errors.As(err, &ce) || ce.Patch != p.Name {
		t.Fatalf("error %v, want a conflict in %s", err, p.Name)
	}
	if !c.Exists() {
		t.Error("no checkout to repair the series in")
	}
	if n := strings.TrimSpace(w.git(c, "rev-list", "--count", UpstreamTag+"..HEAD")); n != "1" {
		t.Errorf("%s commits, want 1", n)
	}
}

func TestOverlayOnlyAdds(t *testing.T) {
	w := newWorld(t)
	w.twoPatches()
	in := func(name string) bool { _, ok := w.tree.Manifest.Lookup(name); return ok }
	if err := w.set().CheckOverlay(in); err != nil {
		t.Fatal(err)
	}
	write(t, w.root, map[string]string{"src-overlay/runtime/sema.go": "package runtime\n"})
	if err := w.set().CheckOverlay(in); err == nil || !strings.Contains(err.Error(), "upstream has src/runtime/sema.go") {
		t.Errorf("overlay over upstream: %v", err)
	}
	os.Remove(filepath.Join(w.root, "src-overlay/runtime/sema.go"))
	if err := os.Symlink("/etc/passwd", filepath.Join(w.root, "src-overlay/link.go")); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSet(w.root, "go1.26"); err == nil || !strings.Contains(err.Error(), "regular files only") {
		t.Errorf("link in the overlay: %v", err)
	}
}
