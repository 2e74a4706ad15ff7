// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package swap tests that a built rtgo can take the place of the installed Go
// in every way in which people select a toolchain.
//
// The tests use the GOROOT named by RTGO_GOROOT and the stock Go on PATH. They
// are skipped without that variable.
package swap

import (
	"debug/buildinfo"
	"debug/elf"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rtgo.dev/rtgo/internal/toolchain/toolchaintest"
)

// A sdk is a Go installation.
type sdk struct {
	root    string
	version string
}

func (s *sdk) bin(name string) string { return filepath.Join(s.root, "bin", name) }

// rtgo returns the toolchain under test.
func rtgo(t *testing.T) *sdk {
	t.Helper()
	s := &sdk{root: toolchaintest.Goroot(t)}
	s.version = firstLine(t, s.root, "VERSION")
	if !regexp.MustCompile(`^go1\.\d+\.\d+-rtgo\d+$`).MatchString(s.version) {
		t.Fatalf("%s/VERSION says %q, want go1.X.Y-rtgoN", s.root, s.version)
	}
	return s
}

// stock returns the unpatched Go on PATH, of the same upstream version.
func stock(t *testing.T, r *sdk) *sdk {
	t.Helper()
	cmd := exec.Command("go", "env", "GOROOT")
	cmd.Env = append(os.Environ(), "GOROOT=", "GOTOOLCHAIN=local")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go env GOROOT: %v", err)
	}
	s := &sdk{root: strings.TrimSpace(string(out))}
	s.version = firstLine(t, s.root, "VERSION")
	if upstream, _, _ := strings.Cut(r.version, "-"); s.version != upstream {
		t.Skipf("the Go on PATH is %s; this test needs unpatched %s", s.version, upstream)
	}
	return s
}

func firstLine(t *testing.T, elem ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return line
}

// env returns the caller's environment without anything that selects or
// configures a Go, then kv.
func env(kv ...string) []string {
	var e []string
	for _, s := range os.Environ() {
		k, _, _ := strings.Cut(s, "=")
		switch {
		case k == "GOCACHE", k == "GOMODCACHE", k == "GOPATH", k == "GOPROXY", k == "GOSUMDB":
		case strings.HasPrefix(k, "GO"), strings.HasPrefix(k, "CGO_"), k == "PWD":
			continue
		}
		e = append(e, s)
	}
	return append(append(e, "GOENV=off"), kv...)
}

// withPath returns PATH with dir first.
func withPath(dir string) string {
	return "PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH")
}

// module writes a module from name, content pairs and returns its directory.
func module(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		name := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(files[i+1]), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/m\n\ngo 1.26\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// try runs a command found on the PATH of its own environment.
func try(dir string, environ []string, name string, args ...string) (string, error) {
	if !strings.Contains(name, "/") {
		path := ""
		for _, kv := range environ {
			if v, ok := strings.CutPrefix(kv, "PATH="); ok {
				path = v // the last one wins, as in os/exec
			}
		}
		for _, d := range filepath.SplitList(path) {
			file := filepath.Join(d, name)
			if fi, err := os.Stat(file); err == nil && fi.Mode()&0o111 != 0 {
				name = file
				break
			}
		}
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = environ
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// run is try that must succeed.
func run(t *testing.T, dir string, environ []string, name string, args ...string) string {
	t.Helper()
	out, err := try(dir, environ, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// printVersion prints the runtime's version.
const printVersion = "package main\n\nimport \"runtime\"\n\nfunc main() { print(runtime.Version()) }\n"

// checkBuilds builds and runs a program with the go command in environ and
// requires that rtgo's runtime is in it.
func checkBuilds(t *testing.T, r *sdk, environ []string) {
	t.Helper()
	dir := module(t, "main.go", printVersion)
	if got, want := run(t, dir, environ, "go", "version"), "go version "+r.version+" "; !strings.HasPrefix(got, want) {
		t.Errorf("go version printed %q, want %q...", got, want)
	}
	run(t, dir, environ, "go", "build", "-o", "prog", ".")
	if got := run(t, dir, environ, filepath.Join(dir, "prog")); got != r.version {
		t.Errorf("the program runs on %q, want %q", got, r.version)
	}
}

func TestPathSwap(t *testing.T) {
	r := rtgo(t)
	e := env(withPath(r.bin("")))
	checkBuilds(t, r, e)
	if got := strings.TrimSpace(run(t, "", e, "go", "env", "GOROOT")); got != r.root {
		t.Errorf("go env GOROOT = %s, want %s", got, r.root)
	}
	dir := module(t, "main.go", "package main\nfunc main(){}\n")
	if got := run(t, dir, e, "gofmt", "-l", "main.go"); got != "main.go\n" {
		t.Errorf("gofmt -l printed %q, want main.go", got)
	}
}

func TestGOROOTExport(t *testing.T) {
	r := rtgo(t)
	t.Run("with PATH", func(t *testing.T) {
		checkBuilds(t, r, env("GOROOT="+r.root, withPath(r.bin(""))))
	})
	t.Run("through a link", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "go")
		if err := os.Symlink(r.root, link); err != nil {
			t.Fatal(err)
		}
		checkBuilds(t, r, env("GOROOT="+link, withPath(filepath.Join(link, "bin"))))
	})
	// GOROOT alone, with another go command first on PATH, is a user's mistake
	// that must not end in a program with the wrong runtime.
	t.Run("without PATH", func(t *testing.T) {
		s := stock(t, r)
		e := env("GOROOT="+r.root, withPath(s.bin("")))
		dir := module(t, "main.go", printVersion)
		out, err := try(dir, e, "go", "build", "-o", "prog", ".")
		if err == nil {
			if got := run(t, dir, e, filepath.Join(dir, "prog")); got != r.version {
				t.Errorf("the build succeeded and the program runs on %q, want %q", got, r.version)
			}
			return
		}
		if !strings.Contains(out, "does not match go tool version") {
			t.Errorf("the build failed without naming the version mismatch:\n%s", out)
		}
	})
}

// TestToolchainSelection selects rtgo by name from the stock go command.
func TestToolchainSelection(t *testing.T) {
	r := rtgo(t)
	s := stock(t, r)
	dir := t.TempDir()
	if err := os.Symlink(r.bin("go"), filepath.Join(dir, r.version)); err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + s.bin("") + string(os.PathListSeparator) + dir + string(os.PathListSeparator) + os.Getenv("PATH")
	checkBuilds(t, r, env(path, "GOTOOLCHAIN="+r.version))

	// A toolchain line of an equal version does not switch: the documentation
	// tells people to use the guard, which this shows to be needed.
	m := module(t, "main.go", printVersion, "go.mod", "module example.com/m\n\ngo 1.26\n\ntoolchain "+r.version+"\n")
	if got := run(t, m, env(path, "GOTOOLCHAIN=auto"), "go", "run", "."); got != s.version {
		t.Errorf("a go.mod toolchain line under stock Go ran %q; the documentation says %q", got, s.version)
	}
}

func TestCgo(t *testing.T) {
	r := rtgo(t)
	cgo := module(t, "main.go", `package main

// #include <stdint.h>
// static int64_t twice(int64_t x) { return 2*x; }
// extern int64_t goAdd(int64_t, int64_t);
// static int64_t callGo(int64_t x) { return goAdd(x, 1); }
import "C"

//export goAdd
func goAdd(a, b C.int64_t) C.int64_t { return a + b }

func main() { print(C.twice(20), C.callGo(1)) }
`)
	e := env(withPath(r.bin("")))
	run(t, cgo, append(e, "CGO_ENABLED=1"), "go", "build", "-o", "prog", ".")
	if got := run(t, cgo, e, filepath.Join(cgo, "prog")); got != "402" {
		t.Errorf("the cgo program printed %q, want 402", got)
	}

	pure := module(t, "main.go", `package main

import "net"

func main() {
	a, err := net.LookupHost("localhost")
	if err != nil || len(a) == 0 {
		panic(err)
	}
}
`)
	for _, on := range []string{"0", "1"} {
		e := append(e, "CGO_ENABLED="+on)
		run(t, pure, e, "go", "build", "-o", "prog"+on, ".")
		prog := filepath.Join(pure, "prog"+on)
		run(t, pure, e, prog)
		f, err := elf.Open(prog)
		if err != nil {
			t.Fatal(err)
		}
		libs, _ := f.ImportedLibraries()
		f.Close()
		if dynamic := len(libs) > 0; dynamic != (on == "1") {
			t.Errorf("CGO_ENABLED=%s: the program links %v", on, libs)
		}
	}
}

func TestBuildModes(t *testing.T) {
	r := rtgo(t)
	e := append(env(withPath(r.bin(""))), "CGO_ENABLED=1")
	dir := module(t,
		"pie/main.go", printVersion,
		"lib/lib.go", "package main\n\nimport \"C\"\n\nimport \"runtime\"\n\n//export Version\nfunc Version() *C.char { return C.CString(runtime.Version()) }\n\nfunc main() {}\n",
		"main.c", "#include <stdio.h>\n#include \"lib.h\"\nint main(void) { fputs(Version(), stdout); return 0; }\n",
		"plug/plug.go", "package main\n\nimport \"runtime\"\n\nfunc Version() string { return runtime.Version() }\n",
		"host/main.go", "package main\n\nimport (\"os\"; \"plugin\")\n\nfunc main() {\n\tp, err := plugin.Open(os.Args[1])\n\tif err != nil { panic(err) }\n\tf, err := p.Lookup(\"Version\")\n\tif err != nil { panic(err) }\n\tprint(f.(func() string)())\n}\n")
	check := func(mode, got string) {
		t.Helper()
		if got != r.version {
			t.Errorf("%s runs on %q, want %q", mode, got, r.version)
		}
	}
	run(t, dir, e, "go", "build", "-buildmode=pie", "-o", "prog", "./pie")
	check("pie", run(t, dir, e, filepath.Join(dir, "prog")))

	run(t, dir, e, "go", "build", "-buildmode=c-shared", "-o", "lib.so", "./lib")
	run(t, dir, e, "gcc", "-o", "cprog", "main.c", "./lib.so")
	check("c-shared", run(t, dir, e, filepath.Join(dir, "cprog")))

	run(t, dir, e, "go", "build", "-buildmode=plugin", "-o", "plug.so", "./plug")
	run(t, dir, e, "go", "build", "-o", "hostprog", "./host")
	check("plugin", run(t, dir, e, filepath.Join(dir, "hostprog"), filepath.Join(dir, "plug.so")))
}

func TestCrossCompile(t *testing.T) {
	r := rtgo(t)
	dir := module(t, "main.go", "package main\n\nimport \"net/http\"\n\nfunc main() { http.ListenAndServe(\"\", nil) }\n")
	for arch, machine := range map[string]elf.Machine{"arm64": elf.EM_AARCH64, "amd64": elf.EM_X86_64} {
		out := filepath.Join(dir, arch)
		run(t, dir, env(withPath(r.bin("")), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0"), "go", "build", "-o", out, ".")
		f, err := elf.Open(out)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if f.Machine != machine {
			t.Errorf("GOARCH=%s made a program for %v", arch, f.Machine)
		}
		bi, err := buildinfo.ReadFile(out)
		if err != nil || bi.GoVersion != r.version {
			t.Errorf("GOARCH=%s: build info says %v, %v; want %s", arch, bi, err, r.version)
		}
	}
	// Other systems have no real-time runtime, and must still build.
	small := module(t, "main.go", printVersion)
	for _, platform := range []string{"darwin/arm64", "windows/amd64", "linux/riscv64"} {
		goos, goarch, _ := strings.Cut(platform, "/")
		run(t, small, env(withPath(r.bin("")), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0"), "go", "build", "-o", goos, ".")
	}
}

func TestVetAndRace(t *testing.T) {
	r := rtgo(t)
	e := append(env(withPath(r.bin(""))), "CGO_ENABLED=1")
	const racy = `package m

import "testing"

func TestAdd(t *testing.T) {
	n := 0
	done := make(chan bool)
	go func() { n++; done <- true }()
	%s
	<-done
	if n < 1 {
		t.Fatal(n)
	}
}
`
	good := module(t, "m_test.go", strings.Replace(racy, "%s", "", 1))
	run(t, good, e, "go", "vet", "./...")
	run(t, good, e, "go", "test", "-race", "-cover", "./...")
	bad := module(t, "m_test.go", strings.Replace(racy, "%s", "n++", 1))
	if out, err := try(bad, e, "go", "test", "-race", "./..."); err == nil || !strings.Contains(out, "DATA RACE") {
		t.Errorf("the race detector did not see a race: %v\n%s", err, out)
	}
	wrong := module(t, "m.go", "package m\n\nimport \"fmt\"\n\nfunc F() { fmt.Printf(\"%d\\n\", \"x\") }\n")
	if out, err := try(wrong, e, "go", "vet", "./..."); err == nil || !strings.Contains(out, "Printf format %d") {
		t.Errorf("go vet did not see a wrong format: %v\n%s", err, out)
	}
}

// TestList asks the questions that gopls asks.
func TestList(t *testing.T) {
	r := rtgo(t)
	e := env(withPath(r.bin("")))
	dir := module(t, "m.go", "package m\n\nimport \"net/http\"\n\nvar C http.Client\n", "m_test.go", "package m\n\nimport \"testing\"\n\nfunc TestC(t *testing.T) {}\n")
	out := run(t, dir, e, "go", "list", "-e", "-json", "-deps", "-test", "-compiled", "./...")
	dec := json.NewDecoder(strings.NewReader(out))
	seen := map[string]bool{}
	rtFile := false
	for {
		var p struct {
			ImportPath, Dir string
			Standard        bool
			CompiledGoFiles []string
			GoFiles         []string
			Error           *struct{ Err string }
			DepsErrors      []struct{ Err string }
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		seen[p.ImportPath] = true
		if p.Error != nil || len(p.DepsErrors) > 0 {
			t.Errorf("%s: %v %v", p.ImportPath, p.Error, p.DepsErrors)
		}
		if p.Standard && !strings.HasPrefix(p.Dir, r.root+"/") {
			t.Errorf("%s is read from %s, not from %s", p.ImportPath, p.Dir, r.root)
		}
		if p.ImportPath == "runtime" {
			for _, f := range p.GoFiles {
				rtFile = rtFile || strings.HasPrefix(f, "rt_")
			}
		}
	}
	for _, p := range []string{"example.com/m", "example.com/m [example.com/m.test]", "example.com/m.test", "runtime", "net/http"} {
		if !seen[p] {
			t.Errorf("go list -deps -test lacks %s", p)
		}
	}
	if !rtFile {
		t.Error("package runtime lists no rt_*.go file: the overlay is not in the build")
	}
	if got := run(t, dir, e, "go", "list", "-f", "{{.Standard}}", "runtime/rt"); got != "true\n" {
		t.Errorf("go list runtime/rt: Standard is %q", got)
	}
}

// TestDependencies builds a module with dependencies from the module proxy.
func TestDependencies(t *testing.T) {
	r := rtgo(t)
	dir := module(t, "main.go", `package main

import (
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func main() {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		panic(err)
	}
	print(cmp.Equal(u, u))
}
`)
	e := env(withPath(r.bin("")))
	run(t, dir, e, "go", "get", "golang.org/x/sys@v0.49.0", "github.com/google/go-cmp@v0.7.0")
	run(t, dir, e, "go", "mod", "verify")
	run(t, dir, e, "go", "build", "-o", "prog", ".")
	if got := run(t, dir, e, filepath.Join(dir, "prog")); got != "true" {
		t.Errorf("the program printed %q, want true", got)
	}
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mod), "rtgo") {
		t.Errorf("go get wrote the toolchain's private version into go.mod:\n%s", mod)
	}
	// A module made by rtgo must be usable by everybody.
	fresh := t.TempDir()
	run(t, fresh, e, "go", "mod", "init", "example.com/fresh")
	if mod, err := os.ReadFile(filepath.Join(fresh, "go.mod")); err != nil || strings.Contains(string(mod), "rtgo") {
		t.Errorf("go mod init wrote %q, %v", mod, err)
	}
}

// TestAttribution: a binary tells which rtgo built it.
func TestAttribution(t *testing.T) {
	r := rtgo(t)
	e := env(withPath(r.bin("")))
	dir := module(t, "main.go", printVersion)
	run(t, dir, e, "go", "build", "-o", "prog", ".")
	out := run(t, dir, e, "go", "version", "-m", "prog")
	if !regexp.MustCompile(`(?m)^\tbuild\trtgo=\S+$`).MatchString(out) {
		t.Errorf("go version -m lacks the build setting rtgo=...:\n%s", out)
	}
	bi, err := buildinfo.ReadFile(filepath.Join(dir, "prog"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range bi.Settings {
		if s.Key == "rtgo" && !regexp.MustCompile(`[0-9a-f]{12,}`).MatchString(s.Value) {
			t.Errorf("rtgo=%s does not hold the hash of the patch set", s.Value)
		}
	}
	// Tools that know stock Go alone must be able to read it too.
	s := stock(t, r)
	if out := run(t, dir, env(withPath(s.bin(""))), "go", "version", "prog"); !strings.Contains(out, r.version) {
		t.Errorf("stock go version reads %q", out)
	}
}

func TestToolchainIsLocal(t *testing.T) {
	r := rtgo(t)
	e := env(withPath(r.bin("")))
	if got := run(t, "", e, "go", "env", "GOTOOLCHAIN"); got != "local\n" {
		t.Errorf("go env GOTOOLCHAIN = %q, want local", got)
	}
	// A module that asks for a newer Go is refused rather than built by a
	// downloaded stock toolchain.
	dir := module(t, "main.go", printVersion, "go.mod", "module example.com/m\n\ngo 1.999.0\n")
	if out, err := try(dir, e, "go", "build", "."); err == nil || !strings.Contains(out, "GOTOOLCHAIN=local") {
		t.Errorf("a module for go 1.999.0: %v\n%s", err, out)
	}
}

func TestBuildTag(t *testing.T) {
	r := rtgo(t)
	dir := module(t,
		"on.go", "//go:build goexperiment.rt\n\npackage main\n\nconst rt = \"on\"\n",
		"off.go", "//go:build !goexperiment.rt\n\npackage main\n\nconst rt = \"off\"\n",
		"main.go", "package main\n\nfunc main() { print(rt) }\n")
	e := env(withPath(r.bin("")))
	for _, tt := range []struct{ experiment, want string }{{"", "on"}, {"rt", "on"}, {"nort", "off"}} {
		if got := run(t, dir, append(e, "GOEXPERIMENT="+tt.experiment), "go", "run", "."); got != tt.want {
			t.Errorf("GOEXPERIMENT=%s: goexperiment.rt is %q, want %q", tt.experiment, got, tt.want)
		}
	}
}

// TestRelocate moves a copy of the GOROOT and requires the same bytes from it.
func TestRelocate(t *testing.T) {
	r := rtgo(t)
	base := t.TempDir()
	first, second := filepath.Join(base, "first"), filepath.Join(base, "a", "second place", "go")
	run(t, "", env(), "cp", "-a", r.root, first)
	if err := os.MkdirAll(filepath.Dir(second), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(first, second); err != nil {
		t.Fatal(err)
	}
	moved := &sdk{second, r.version}
	e := env(withPath(moved.bin("")))
	checkBuilds(t, moved, e)
	if got := strings.TrimSpace(run(t, "", e, "go", "env", "GOROOT")); got != second {
		t.Errorf("after the move, go env GOROOT = %s, want %s", got, second)
	}
	dir := module(t, "main.go", printVersion)
	var bins []string
	for i, s := range []*sdk{r, moved} {
		out := filepath.Join(dir, string(rune('a'+i)))
		run(t, dir, env(withPath(s.bin(""))), "go", "build", "-trimpath", "-o", out, ".")
		data, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		bins = append(bins, string(data))
	}
	if bins[0] != bins[1] {
		t.Error("go build -trimpath makes other bytes after the move")
	}
}

// TestSharedCache uses one build cache for both toolchains by turns.
func TestSharedCache(t *testing.T) {
	r := rtgo(t)
	s := stock(t, r)
	dir := module(t, "main.go", printVersion)
	for _, sdk := range []*sdk{s, r, s, r} {
		e := env(withPath(sdk.bin("")), "GOTOOLCHAIN=local")
		run(t, dir, e, "go", "build", "-o", "prog", ".")
		if got := run(t, dir, e, filepath.Join(dir, "prog")); got != sdk.version {
			t.Errorf("built by %s, the program runs on %s", sdk.version, got)
		}
	}
}

// TestGuard: one line keeps a program from being built by stock Go.
func TestGuard(t *testing.T) {
	r := rtgo(t)
	s := stock(t, r)
	dir := module(t, "main.go", printVersion, "guard.go", "package main\n\nimport _ \"runtime/rt\"\n")
	if got := run(t, dir, env(withPath(r.bin(""))), "go", "run", "."); got != r.version {
		t.Errorf("with the guard, the program runs on %q, want %q", got, r.version)
	}
	out, err := try(dir, env(withPath(s.bin("")), "GOTOOLCHAIN=local"), "go", "build", ".")
	if err == nil || !strings.Contains(out, "package runtime/rt is not in std") {
		t.Errorf("stock Go built a guarded program: %v\n%s", err, out)
	}
	if out, err := try(dir, env(withPath(r.bin("")), "GOEXPERIMENT=nort"), "go", "build", "."); err == nil {
		t.Errorf("GOEXPERIMENT=nort built a guarded program:\n%s", out)
	}
}

// TestModuleGuards tests the guards of the module rtgo.dev/rtgo/rt: require
// fails the build under stock Go, warn prints a line when the program starts.
func TestModuleGuards(t *testing.T) {
	r := rtgo(t)
	s := stock(t, r)
	rt, err := filepath.Abs(filepath.Join("..", "..", "rt"))
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(rt, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	mod := "module example.com/m\n\ngo 1.26.0\n\nrequire rtgo.dev/rtgo/rt v0.0.0\n\nrequire golang.org/x/sys v0.49.0 // indirect\n\nreplace rtgo.dev/rtgo/rt => " + rt + "\n"
	prog := func(guard string) string {
		return module(t, "go.mod", mod, "go.sum", string(sums), "main.go", printVersion, "guard.go", "package main\n\nimport _ \"rtgo.dev/rtgo/rt/"+guard+"\"\n")
	}
	rtgoEnv, stockEnv := env(withPath(r.bin(""))), env(withPath(s.bin("")), "GOTOOLCHAIN=local")

	dir := prog("require")
	if got := run(t, dir, rtgoEnv, "go", "run", "."); got != r.version {
		t.Errorf("under rtgo, a program with rt/require printed %q, want %q", got, r.version)
	}
	if out, err := try(dir, stockEnv, "go", "build", "."); err == nil || !strings.Contains(out, "rtgo") {
		t.Errorf("stock Go built a program with rt/require, or did not say why not: %v\n%s", err, out)
	}
	dir = prog("warn")
	if got := run(t, dir, rtgoEnv, "go", "run", "."); got != r.version {
		t.Errorf("under rtgo, a program with rt/warn printed %q, want %q", got, r.version)
	}
	if got := run(t, dir, stockEnv, "go", "run", "."); !strings.Contains(got, "not by rtgo") || !strings.HasSuffix(got, s.version) {
		t.Errorf("under stock Go, a program with rt/warn printed %q", got)
	}
}
