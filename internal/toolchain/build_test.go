// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package toolchain

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"rtgo.dev/rtgo/internal/toolchain/toolchaintest"
	"rtgo.dev/rtgo/internal/upstream"
)

// makeBash packs what a real one would, in a moment. It hangs or fails if it
// is told to.
const makeBash = `#!/bin/bash
bootgo=1.24.6
set -e
[ "$1" = -distpack ]
[ -x "$GOROOT_BOOTSTRAP/bin/go" ]
echo "Building Go toolchain1"
if [ -n "$RTGO_TEST_FAIL" ]; then echo "proc.go:1: syntax error" >&2; exit 1; fi
if [ -n "$RTGO_TEST_HANG" ]; then touch "$RTGO_TEST_HANG"; sleep 60; fi
cd ..
version=$(head -n1 VERSION)
mkdir -p bin pkg/distpack
env | sort | grep -E '^(GO|CC=|CGO_)' | grep -v GOROOT_BOOTSTRAP >bin/go
cat src/cmd/go/internal/load/rtgo_stamp.go >>bin/go 2>/dev/null || true
chmod +x bin/go
tar czf "pkg/distpack/$version.PLATFORM.tar.gz" --transform 's,^\.,go,' --exclude ./pkg .
`

const patch = `From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: The rtgo Authors <authors@rtgo.dev>
Date: Tue, 1 Sep 2026 12:00:00 +0000
Subject: [PATCH] runtime: hook

---
 src/runtime/proc.go | 1 +
 1 file changed, 1 insertion(+)

diff --git a/src/runtime/proc.go b/src/runtime/proc.go
--- a/src/runtime/proc.go
+++ b/src/runtime/proc.go
@@ -1,3 +1,4 @@
 package runtime
 
 func schedule() {}
+// hook
`

// A world is a repository and a release that takes no time to build.
type world struct {
	t    *testing.T
	dir  string // holds src (upstream), root (repository), boot and out
	log  []string
	opts Options
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("builds on Linux only")
	}
	for _, prog := range []string{"git", "bash", "tar"} {
		if _, err := exec.LookPath(prog); err != nil {
			t.Skip(err)
		}
	}
	w := &world{t: t, dir: t.TempDir()}
	const v = "go1.26.99\ntime 2026-01-02T03:04:05Z\n"
	release := map[string]string{
		"VERSION":                         v,
		"src/make.bash":                   strings.ReplaceAll(makeBash, "PLATFORM", upstream.Platform()),
		"src/runtime/proc.go":             "package runtime\n\nfunc schedule() {}\n",
		"src/cmd/go/internal/load/pkg.go": "package load\n",
		"test/a.go":                       "package main\n",
	}
	var sums []string
	for name, data := range release {
		mark := " "
		if strings.HasSuffix(name, ".bash") {
			mark = "*"
		}
		sums = append(sums, fmt.Sprintf("%x %s%s\n", sha256.Sum256([]byte(data)), mark, name))
	}
	slices.SortFunc(sums, func(a, b string) int { return strings.Compare(a[66:], b[66:]) })
	sum := strings.Join(sums, "")
	write(t, w.dir, map[string]string{
		"root/pins/x.sum":                     sum,
		"root/patches/go1.26/0001-hook.patch": patch,
		"root/src-overlay/runtime/rt_on.go":   "package runtime\n",
		"root/upstream.json": fmt.Sprintf(`{"default": "go1.26", "lines": {"go1.26": {"version": "go1.26.99", "revision": 1,
			"VERSION": %q, "manifest": "pins/x.sum", "sha256": "%x", "toolchains": {}}}}`, v, sha256.Sum256([]byte(sum))),
		"boot/bin/go": "#!/bin/sh\necho go1.26.8\n",
		"old/bin/go":  "#!/bin/sh\necho go1.22.12\n",
	})
	write(t, filepath.Join(w.dir, "src"), release)
	pins, err := upstream.LoadPins(filepath.Join(w.dir, "root"))
	if err != nil {
		t.Fatal(err)
	}
	pin, err := pins.Select("")
	if err != nil {
		t.Fatal(err)
	}
	w.opts = Options{
		Root: filepath.Join(w.dir, "root"), Out: filepath.Join(w.dir, "out"), Pin: pin,
		GOROOT: filepath.Join(w.dir, "src"), Bootstrap: filepath.Join(w.dir, "boot"),
		Logf: func(format string, args ...any) { w.log = append(w.log, fmt.Sprintf(format, args...)) },
	}
	return w
}

func (w *world) build() *Result {
	w.t.Helper()
	r, err := Build(context.Background(), w.opts)
	if err != nil {
		w.t.Fatalf("%v\n%s", err, strings.Join(w.log, "\n"))
	}
	return r
}

// goroots returns the names under which a GOROOT stands in the output
// directory.
func (w *world) goroots() []string {
	w.t.Helper()
	names, err := filepath.Glob(filepath.Join(w.opts.Out, "go*"))
	if err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(s string) bool { return strings.HasSuffix(s, ".json") })
}

func TestBuild(t *testing.T) {
	for k, v := range map[string]string{"GOFLAGS": "-x", "GOEXPERIMENT": "fieldtrack", "CC": "evil", "CGO_CFLAGS": "-O0", "GO_GCFLAGS": "-N", "GOROOT": "/nonexistent"} {
		t.Setenv(k, v)
	}
	w := newWorld(t)
	r := w.build()
	if !r.Fresh || !strings.HasPrefix(r.Name, "go1.26.99-rtgo1-") || r.Version != "go1.26.99-rtgo1" {
		t.Errorf("result %+v", r)
	}
	link := filepath.Join(w.opts.Out, "go")
	if to, err := os.Readlink(link); err != nil || to != r.Name {
		t.Errorf("out/go is %q, %v; want a relative link to %q", to, err, r.Name)
	}
	for name, want := range map[string]string{
		"VERSION":              "go1.26.99-rtgo1\ntime 2026-01-02T03:04:05Z\n",
		"src/runtime/rt_on.go": "package runtime\n",
		"src/runtime/proc.go":  "package runtime\n\nfunc schedule() {}\n// hook\n",
		"test/a.go":            "package main\n",
	} {
		if data, err := os.ReadFile(filepath.Join(link, name)); err != nil || string(data) != want {
			t.Errorf("%s is %q, %v; want %q", name, data, err, want)
		}
	}
	env, err := os.ReadFile(filepath.Join(link, "bin/go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"-x", "fieldtrack", "evil", "-O0", "-N", "/nonexistent"} {
		if strings.Contains(string(env), bad) {
			t.Errorf("%q of the environment reached the build:\n%s", bad, env)
		}
	}
	if !strings.Contains(string(env), fmt.Sprintf("rtgoStamp = %q", r.Stamp)) {
		t.Errorf("the tree is not stamped %s:\n%s", r.Stamp, env)
	}

	again := w.build()
	if again.Fresh || again.Name != r.Name || again.Tree != r.Tree || again.Tree == "" {
		t.Errorf("second build: %+v", again)
	}

	// Another directory, the same tree.
	w.opts.Out = filepath.Join(w.dir, "elsewhere")
	if other := w.build(); !other.Fresh || other.Tree != r.Tree || other.Name != r.Name {
		t.Errorf("build elsewhere: %+v, want the tree of %+v", other, r)
	}

	// Another overlay, another name; the link moves.
	write(t, w.opts.Root, map[string]string{"src-overlay/runtime/rt_on.go": "package runtime // 2\n"})
	changed := w.build()
	if changed.Name == r.Name || changed.Stamp == r.Stamp || changed.Tree == r.Tree {
		t.Errorf("changed overlay gives the same build: %+v", changed)
	}

	// Unpatched: upstream's own version, no stamp, no link.
	w.opts.Unpatched = true
	u := w.build()
	if u.Version != "go1.26.99" || u.Stamp != "" {
		t.Errorf("unpatched: %+v", u)
	}
	if to, _ := os.Readlink(filepath.Join(w.opts.Out, "go")); to != changed.Name {
		t.Errorf("an unpatched build moved out/go to %s", to)
	}
}

func TestPrune(t *testing.T) {
	w := newWorld(t)
	var last *Result
	for i := range keep + 2 {
		write(t, w.opts.Root, map[string]string{"src-overlay/runtime/rt_on.go": fmt.Sprintf("package runtime // %d\n", i)})
		last = w.build()
	}
	if got := w.goroots(); len(got) != keep+1 { // and the link
		t.Errorf("%d GOROOTs remain: %v", len(got), got)
	}
	if _, err := os.Stat(last.Root); err != nil {
		t.Error(err)
	}
}

// TestBadInput checks that each kind of bad input gives one clear line and
// nothing under a final name.
func TestBadInput(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(w *world)
		want   string
	}{
		{"missing bootstrap", func(w *world) { w.opts.Bootstrap = filepath.Join(w.dir, "nothing") }, "is no usable Go"},
		{"missing GOROOT_BOOTSTRAP", func(w *world) {
			w.opts.Bootstrap = ""
			w.t.Setenv("GOROOT_BOOTSTRAP", "/nonexistent")
		}, "GOROOT_BOOTSTRAP=/nonexistent is no usable Go"},
		{"old bootstrap", func(w *world) { w.opts.Bootstrap = filepath.Join(w.dir, "old") }, "go1.22.12, too old: go1.24.6 or later is needed"},
		{"changed byte", func(w *world) {
			write(w.t, w.dir, map[string]string{"src/src/runtime/proc.go": "package runtime\n\nfunc schedule() {;}\n"})
		}, "src/runtime/proc.go: sha256 is"},
		{"changed manifest", func(w *world) { write(w.t, w.dir, map[string]string{"root/pins/x.sum": "x\n"}) }, "pins/x.sum: sha256 is"},
		{"conflicting patch", func(w *world) {
			write(w.t, w.dir, map[string]string{"root/patches/go1.26/0001-hook.patch": strings.Replace(patch, "func schedule", "func reschedule", 1)})
		}, "0001-hook.patch does not apply: src/runtime/proc.go:1; see 'rtgo help edit'"},
		{"patch cut short", func(w *world) {
			write(w.t, w.dir, map[string]string{"root/patches/go1.26/0001-hook.patch": strings.TrimSuffix(patch, "+// hook\n")})
		}, "0001-hook.patch: hunk"},
		{"no patches", func(w *world) { os.RemoveAll(filepath.Join(w.opts.Root, "patches")) }, "no patches in"},
		{"overlay replaces", func(w *world) {
			write(w.t, w.opts.Root, map[string]string{"src-overlay/runtime/proc.go": "package runtime\n"})
		}, "upstream has src/runtime/proc.go"},
		{"no space", func(w *world) {
			w.opts.freeSpace = func(string) (uint64, error) { return 5 << 20, nil }
		}, "has 5 MB free, a build needs 2048 MB"},
		{"make.bash fails", func(w *world) { w.t.Setenv("RTGO_TEST_FAIL", "1") }, "make.bash failed"},
		{"out/go is a directory", func(w *world) {
			if err := os.MkdirAll(filepath.Join(w.opts.Out, "go"), 0o777); err != nil {
				w.t.Fatal(err)
			}
		}, "is not a link; move it away"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.change(w)
			_, err := Build(context.Background(), w.opts)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("error %v, want one with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error has more than one line: %q", err)
			}
			if tt.name == "out/go is a directory" {
				return
			}
			if got := w.goroots(); len(got) > 0 {
				t.Errorf("left %v", got)
			}
			if left, _ := os.ReadDir(filepath.Join(w.opts.Out, "cache", "work")); len(left) > 0 {
				t.Errorf("left its work directory: %v", left)
			}
		})
	}
}

// TestInterrupted interrupts a build, by a signal to it and by killing
// without a chance to clean up, and builds again.
func TestInterrupted(t *testing.T) {
	w := newWorld(t)
	hang := filepath.Join(w.dir, "hanging")
	t.Setenv("RTGO_TEST_HANG", hang)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		for range 200 {
			if _, err := os.Stat(hang); err == nil {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		cancel()
	}()
	start := time.Now()
	_, err := Build(ctx, w.opts)
	if err == nil || !strings.Contains(err.Error(), "run the same command again") {
		t.Fatalf("interrupted build: %v", err)
	}
	if d := time.Since(start); d > 30*time.Second {
		t.Errorf("make.bash was not stopped: %v", d)
	}
	if got := w.goroots(); len(got) > 0 {
		t.Fatalf("interrupted build left %v", got)
	}
	// What kill -9 leaves: a work directory, even a half-unpacked GOROOT in it.
	write(t, w.opts.Out, map[string]string{"cache/work/1/go/VERSION": "x", "cache/work/1/git/HEAD": "x", "cache/work/1/stage/go/bin/go": "x"})
	os.Unsetenv("RTGO_TEST_HANG")
	r := w.build()
	if !r.Fresh {
		t.Error("not built")
	}
	if !slices.ContainsFunc(w.log, func(s string) bool { return strings.Contains(s, "interrupted build left") }) {
		t.Errorf("log does not tell of the leftover:\n%s", strings.Join(w.log, "\n"))
	}
}

// TestLock checks that a second build in the same directory waits.
func TestLock(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(w.dir, "lock")
	unlock, err := lock(context.Background(), file, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, file, t.Logf); err != context.DeadlineExceeded {
		t.Errorf("lock taken twice: %v", err)
	}
	unlock()
	if unlock, err = lock(context.Background(), file, t.Logf); err != nil {
		t.Errorf("lock not released: %v", err)
	} else {
		unlock()
	}
}

func TestRequiredBootstrap(t *testing.T) {
	if v, err := RequiredBootstrap([]byte("x\nbootgo=1.24.6\n")); err != nil || v != "go1.24.6" {
		t.Errorf("got %q, %v", v, err)
	}
	if _, err := RequiredBootstrap([]byte("x\n")); err == nil {
		t.Error("no error without bootgo")
	}
}

// TestFindBootstrap checks that an rtgo toolchain on PATH is passed over.
func TestFindBootstrap(t *testing.T) {
	dir := t.TempDir()
	script := func(version string) string {
		return "#!/bin/sh\ncase $2 in GOVERSION) echo " + version + ";; GOROOT) cd \"$(dirname \"$0\")/..\" && pwd;; esac\n"
	}
	write(t, dir, map[string]string{
		"rtgo/bin/go":  script("go1.26.8-rtgo1"),
		"old/bin/go":   script("go1.20"),
		"stock/bin/go": script("go1.25.1"),
	})
	t.Setenv("GOROOT_BOOTSTRAP", "")
	t.Setenv("HOME", dir)
	var path []string
	for _, d := range []string{"rtgo", "old", "stock"} {
		path = append(path, filepath.Join(dir, d, "bin"))
	}
	t.Setenv("PATH", strings.Join(path, ":")+":/usr/bin:/bin")
	b, err := FindBootstrap("", "go1.24.6")
	if err != nil || b.Version != "go1.25.1" {
		t.Errorf("found %+v, %v", b, err)
	}
	if b, err := FindBootstrap(filepath.Join(dir, "rtgo"), "go1.24.6"); err != nil || b.Version != "go1.26.8-rtgo1" {
		t.Errorf("explicit rtgo: %+v, %v", b, err)
	}
}

// TestStamp checks a built toolchain, in RTGO_GOROOT: its version, and what
// the programs that it compiles say about it.
func TestStamp(t *testing.T) {
	goroot := toolchaintest.Goroot(t)
	stampFile, err := os.ReadFile(filepath.Join(goroot, StampFile))
	if err != nil {
		t.Fatal(err)
	}
	_, stamp, _ := strings.Cut(string(stampFile), "rtgoStamp = \"")
	stamp, _, _ = strings.Cut(stamp, "\"")
	v, err := os.ReadFile(filepath.Join(goroot, "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	version, _, _ := strings.Cut(string(v), "\n")
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"go.mod":  "module x\n",
		"main.go": "package main\n\nfunc main() {}\n",
		"on.go":   "//go:build goexperiment.rt\n\npackage main\n\nimport _ \"runtime/rt\"\n",
	})
	run := func(exp string, args ...string) string {
		t.Helper()
		cmd := exec.Command(filepath.Join(goroot, "bin", "go"), args...)
		cmd.Dir = dir
		cmd.Env = append(GoEnv(os.Environ(), goroot), "GOFLAGS=", "GOENV=off")
		if exp != "" {
			cmd.Env = append(cmd.Env, "GOEXPERIMENT="+exp)
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	want := fmt.Sprintf("go version %s %s/%s\n", version, runtime.GOOS, runtime.GOARCH)
	if got := run("", "version"); got != want {
		t.Errorf("go version prints %q, want %q", got, want)
	}
	if got := strings.TrimSpace(run("", "env", "GOTOOLCHAIN")); got != "local" {
		t.Errorf("GOTOOLCHAIN is %q", got)
	}
	for _, tt := range []struct{ exp, files, info string }{
		{"", "[main.go on.go]", version + "\n"},
		{"nort", "[main.go]", version + " X:nort\n"},
	} {
		if got := strings.TrimSpace(run(tt.exp, "list", "-f", "{{.GoFiles}}")); got != tt.files {
			t.Errorf("GOEXPERIMENT=%s: files %s, want %s", tt.exp, got, tt.files)
		}
		run(tt.exp, "build", "-o", "prog", "main.go")
		info := run("", "version", "-m", "prog")
		if !strings.HasPrefix(info, "prog: "+tt.info) || !strings.Contains(info, "\tbuild\trtgo="+stamp+"\n") {
			t.Errorf("GOEXPERIMENT=%s: go version -m prints\n%s\nwant %sand rtgo=%s", tt.exp, info, tt.info, stamp)
		}
	}
}
