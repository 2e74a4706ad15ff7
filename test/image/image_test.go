// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package image_test uses the images that ci/image.sh built, in the directory
// RTGO_IMAGE, as those do who build programs in them. RTGO_GOROOT is the same
// toolchain, built outside of any image. RTGO_IMAGE_SECOND may name the
// directory of a second build of the images.
package image_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rtgo.dev/rtgo/internal/toolchain/toolchaintest"
)

const repo = "../.."

// imageDir returns what RTGO_IMAGE or another variable names.
func imageDir(t *testing.T, variable string) string {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		t.Skipf("set %s to the directory that ci/image.sh wrote", variable)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// config is the configuration of an image.
type config struct {
	User, WorkingDir string
	Env, Entrypoint  []string
	Labels           map[string]string
}

func readConfig(t *testing.T, image string) *config {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(imageDir(t, "RTGO_IMAGE"), image+".json"))
	if err != nil {
		t.Fatal(err)
	}
	c := new(config)
	if err := json.Unmarshal(b, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// inside runs a command in an image: ci/image.sh run with flags.
func inside(t *testing.T, flags []string, image string, argv ...string) string {
	t.Helper()
	args := slices.Concat([]string{"run", "-o", imageDir(t, "RTGO_IMAGE")}, flags, []string{image}, argv)
	cmd := exec.Command(filepath.Join(repo, "ci/image.sh"), args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("ci/image.sh %s: %v\n%s%s", strings.Join(args, " "), err, out, &stderr)
	}
	return string(out)
}

// tree returns the type, permissions and content of everything below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := make(map[string]string)
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, file)
		content := ""
		switch {
		case fi.Mode().IsRegular():
			b, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			content = fmt.Sprintf("%x", sha256.Sum256(b))
		case fi.Mode()&fs.ModeSymlink != 0:
			if content, err = os.Readlink(file); err != nil {
				return err
			}
		}
		m[rel] = fi.Mode().String() + " " + content
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// same compares two trees and returns how many files they have.
func same(t *testing.T, a, b string) int {
	t.Helper()
	x, y := tree(t, a), tree(t, b)
	names := maps.Clone(x)
	maps.Copy(names, y)
	bad := 0
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if x[name] != y[name] {
			if bad++; bad <= 10 {
				t.Errorf("%s: %q in %s, %q in %s", name, x[name], a, y[name], b)
			}
		}
	}
	if bad > 10 {
		t.Errorf("%d files differ", bad)
	}
	return len(names)
}

// TestToolchainBytes: the toolchain in the image is, in every file, the one
// built outside of it.
func TestToolchainBytes(t *testing.T) {
	n := same(t, filepath.Join(imageDir(t, "RTGO_IMAGE"), "rtgo/usr/local/go"), toolchaintest.Goroot(t))
	if n < 10000 {
		t.Fatalf("only %d files", n)
	}
	t.Logf("%d files and directories are equal", n)
}

// TestSecondBuild: a second build of the images gives the same toolchain and
// the same programs of the suite.
func TestSecondBuild(t *testing.T) {
	first, second := imageDir(t, "RTGO_IMAGE"), imageDir(t, "RTGO_IMAGE_SECOND")
	for _, dir := range []string{"rtgo/usr/local/go", "rtlatency/usr/local/bin"} {
		t.Logf("%s: %d files and directories are equal", dir, same(t, filepath.Join(first, dir), filepath.Join(second, dir)))
	}
}

func versionFile(t *testing.T, goroot string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(goroot, "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	v, _, _ := strings.Cut(string(b), "\n")
	return v
}

// TestLabels: what the labels say is so.
func TestLabels(t *testing.T) {
	root := toolchaintest.Goroot(t)
	b, err := os.ReadFile(root + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var build struct{ Version, PatchSet string }
	if err := json.Unmarshal(b, &build); err != nil {
		t.Fatal(err)
	}
	for _, image := range []string{"rtgo", "rtlatency"} {
		c := readConfig(t, image)
		if got := c.Labels["dev.rtgo.patchset"]; got != build.PatchSet || len(got) != 64 {
			t.Errorf("%s: patch set %q, built was %q", image, got, build.PatchSet)
		}
		if got := "go" + c.Labels["org.opencontainers.image.version"]; got != build.Version {
			t.Errorf("%s: version %q, built was %q", image, got, build.Version)
		}
		if got := c.Labels["org.opencontainers.image.revision"]; !regexp.MustCompile(`^[0-9a-f]{40}(-dirty)?$`).MatchString(got) {
			t.Errorf("%s: revision %q", image, got)
		}
	}
}

// TestDropIn: the image has what Dockerfiles written for the golang image
// expect.
func TestDropIn(t *testing.T) {
	c := readConfig(t, "rtgo")
	version := versionFile(t, filepath.Join(imageDir(t, "RTGO_IMAGE"), "rtgo/usr/local/go"))
	for _, want := range []string{"GOPATH=/go", "GOTOOLCHAIN=local", "GOLANG_VERSION=" + strings.TrimPrefix(version, "go"),
		"PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"} {
		if !slices.Contains(c.Env, want) {
			t.Errorf("no %s in the environment %q", want, c.Env)
		}
	}
	if c.WorkingDir != "/go" || len(c.Entrypoint) > 0 || c.User != "" && c.User != "root" && c.User != "0" {
		t.Errorf("working directory %s, entry point %q, user %q", c.WorkingDir, c.Entrypoint, c.User)
	}
	out := inside(t, nil, "rtgo", "sh", "-ec", `pwd; for p in go gofmt gcc g++ make git pkg-config; do command -v $p; done; stat -c '%a %n' /go /go/bin /go/src; go version; go env GOROOT GOPATH GOTOOLCHAIN CGO_ENABLED`)
	want := "/go\n/usr/local/go/bin/go\n/usr/local/go/bin/gofmt\n/usr/bin/gcc\n/usr/bin/g++\n/usr/bin/make\n/usr/bin/git\n/usr/bin/pkg-config\n" +
		"1777 /go\n1777 /go/bin\n1777 /go/src\ngo version " + version + " linux/"
	if !strings.HasPrefix(out, want) || !strings.HasSuffix(out, "\n/usr/local/go\n/go\nlocal\n1\n") {
		t.Errorf("in the image:\n%s\nwant to begin with\n%s", out, want)
	}
}

// program writes a module with a program that uses a fair part of the standard
// library, and returns its directory.
func program(t *testing.T, cgo bool) string {
	t.Helper()
	dir := t.TempDir()
	hello := "func hello() string { return \"hello\" }\n"
	if cgo {
		hello = "/*\nstatic const char *hello(void) { return \"hello\"; }\n*/\nimport \"C\"\n\nfunc hello() string { return C.GoString(C.hello()) }\n"
	}
	for name, text := range map[string]string{
		"go.mod":   "module example.org/prog\n\ngo 1.26\n",
		"hello.go": "package main\n\n" + hello,
		"main.go": `package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime"
	_ "runtime/rt"
)

func main() {
	http.NewRequest("GET", "http://example.org", nil)
	json.NewEncoder(os.Stderr).Encode(runtime.Version())
	fmt.Println(hello())
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// A user of the image's must be able to write here.
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestSameProgram: a program compiled in the image and outside of it, in other
// directories, is the same file: with -trimpath, and without it not.
func TestSameProgram(t *testing.T) {
	root := toolchaintest.Goroot(t)
	for _, tt := range []struct {
		name  string
		flags []string
		same  bool
	}{
		{"trimpath", []string{"-trimpath"}, true},
		{"no flags", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, in := program(t, false), program(t, false)
			cmd := exec.Command(filepath.Join(root, "bin/go"), slices.Concat([]string{"build", "-o", "prog"}, tt.flags)...)
			cmd.Dir = out
			for _, kv := range os.Environ() {
				if !strings.HasPrefix(kv, "GO") || strings.HasPrefix(kv, "GOCACHE=") {
					cmd.Env = append(cmd.Env, kv)
				}
			}
			cmd.Env = append(cmd.Env, "GOENV=off", "GOTOOLCHAIN=local", "CGO_ENABLED=0")
			if msg, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, msg)
			}
			inside(t, []string{"-v", in + ":/some/where/else"}, "rtgo", "sh", "-ec",
				"cd /some/where/else && CGO_ENABLED=0 go build -o prog "+strings.Join(tt.flags, " "))
			a, err := os.ReadFile(filepath.Join(out, "prog"))
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(in, "prog"))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(a, b) != tt.same {
				t.Errorf("equal: %t, want %t (%d and %d bytes)", !tt.same, tt.same, len(a), len(b))
			}
			t.Logf("outside sha256 %x, inside %x", sha256.Sum256(a), sha256.Sum256(b))
		})
	}
}

// TestOrdinaryUser: nothing in the image needs root: a user that it does not
// know compiles, with cgo and the race detector, runs, and installs.
func TestOrdinaryUser(t *testing.T) {
	dir := program(t, true)
	out := inside(t, []string{"-u", "12345:12345", "-v", dir + ":/src"}, "rtgo", "sh", "-ec",
		"export HOME=/tmp; cd /src; id -u; go run . 2>/dev/null; go build -race -o /tmp/race . && /tmp/race 2>/dev/null; go install . && /go/bin/prog 2>/dev/null")
	if out != "12345\nhello\nhello\nhello\n" {
		t.Errorf("printed %q", out)
	}
}

// TestLatencyImage: the image of the suite has what deploy/ says it has, for
// the user that it says.
func TestLatencyImage(t *testing.T) {
	c := readConfig(t, "rtlatency")
	if c.User != "65532:65532" || !slices.Equal(c.Entrypoint, []string{"/usr/local/bin/rtlatency"}) {
		t.Errorf("user %s, entry point %q", c.User, c.Entrypoint)
	}
	out := inside(t, nil, "rtlatency", "sh", "-ec",
		`id -u; for p in rtlatency rtlatency-stock ctwin cyclictest rtgo sh gzip base64; do command -v $p; done; rtlatency --version; rtlatency-stock --version; cyclictest --help | head -n1; ctwin --help | head -n1`)
	version := versionFile(t, filepath.Join(imageDir(t, "RTGO_IMAGE"), "rtgo/usr/local/go"))
	upstream, _, _ := strings.Cut(version, "-")
	for _, want := range []string{"65532\n/usr/local/bin/rtlatency\n/usr/local/bin/rtlatency-stock\n/usr/local/bin/ctwin\n/usr/local/bin/cyclictest\n/usr/local/bin/rtgo\n",
		"rtlatency " + version + " (rtgo, real-time runtime: true)\n", "rtlatency " + upstream + " (stock, real-time runtime: false)\n", "cyclictest V "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}
