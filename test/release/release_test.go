// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package release_test uses a release, in the directory RTGO_RELEASE, as
// those do who download it.
package release_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"rtgo.dev/rtgo/internal/toolchain/toolchaintest"
)

// govulncheck is the version of the scanner that the tests use.
const govulncheck = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"

type asset struct {
	Filename, OS, Arch, SHA256, Kind string
}

type release struct {
	dir, version, upstream string
	files                  []asset
}

func open(t *testing.T) *release {
	t.Helper()
	dir := os.Getenv("RTGO_RELEASE")
	if dir == "" {
		t.Skip("set RTGO_RELEASE to the directory that 'rtgo release' wrote")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "assets.json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		Version, Upstream string
		Files             []asset
	}
	if err := json.Unmarshal(data, &all); err != nil || len(all) != 1 {
		t.Fatalf("assets.json: %v", err)
	}
	return &release{dir, all[0].Version, all[0].Upstream, all[0].Files}
}

// run runs a command with only those Go variables that are given.
func run(t *testing.T, dir string, env []string, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	for _, kv := range os.Environ() {
		if key, _, _ := strings.Cut(kv, "="); !strings.HasPrefix(key, "GO") || key == "GOCACHE" || key == "GOPROXY" {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	cmd.Env = append(cmd.Env, append([]string{"GOENV=off", "GOFLAGS=-modcacherw", "GOWORK=off"}, env...)...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func must(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	out, err := run(t, dir, env, name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGOPROXY makes the go command on PATH, which is not rtgo, fetch the
// toolchain from the release's module proxy directory and run it.
func TestGOPROXY(t *testing.T) {
	r := open(t)
	dir := t.TempDir()
	env := []string{"GOPROXY=file://" + r.dir + "/proxy", "GOTOOLCHAIN=" + r.version,
		"GOPATH=" + filepath.Join(dir, "gopath"), "GOMODCACHE=" + filepath.Join(dir, "mod"), "GONOSUMDB=golang.org/toolchain"}
	write(t, dir, map[string]string{"m/go.mod": "module m\n\ngo 1.26\n", "m/main.go": "package main\n\nimport \"runtime\"\n\nfunc main() { println(runtime.Version()) }\n"})
	if out := must(t, filepath.Join(dir, "m"), env, "go", "version"); !strings.Contains(out, "go version "+r.version+" ") {
		t.Errorf("go version prints %q", out)
	}
	if out := must(t, filepath.Join(dir, "m"), env, "go", "run", "."); strings.TrimSpace(out) != r.version {
		t.Errorf("the program says %q, want %s", out, r.version)
	}
}

// TestDownload does what setup-go does with go-download-base-url: it reads
// the index at the base URL, or else takes the archive's name for granted,
// downloads, unpacks and runs.
func TestDownload(t *testing.T) {
	r := open(t)
	files := http.FileServer(http.Dir(r.dir))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/" && req.URL.Query().Get("mode") == "json" {
			http.ServeFile(w, req, filepath.Join(r.dir, "assets.json"))
			return
		}
		files.ServeHTTP(w, req)
	}))
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/?mode=json&include=all")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []struct {
		Version string
		Stable  bool
		Files   []asset
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		t.Fatal(err)
	}
	name := ""
	for _, v := range all {
		for _, f := range v.Files {
			if v.Stable && f.OS == runtime.GOOS && f.Arch == runtime.GOARCH && f.Kind == "archive" {
				name = f.Filename
			}
		}
	}
	if want := fmt.Sprintf("%s.%s-%s.tar.gz", r.version, runtime.GOOS, runtime.GOARCH); name != want {
		t.Fatalf("the index has %q, and without an index setup-go asks for %q", name, want)
	}
	dir := t.TempDir()
	archive, err := http.Get(srv.URL + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Body.Close()
	tar := exec.Command("tar", "-xz", "-C", dir)
	tar.Stdin = archive.Body
	if out, err := tar.CombinedOutput(); err != nil || archive.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v\n%s", name, archive.Status, err, out)
	}
	if out := must(t, dir, []string{"GOROOT=", "GOTOOLCHAIN="}, filepath.Join(dir, "go/bin/go"), "version"); !strings.Contains(out, r.version) {
		t.Errorf("go version prints %q", out)
	}
	write(t, dir, map[string]string{"m/go.mod": "module m\n", "m/main.go": "package main\n\nimport _ \"runtime/rt\"\n\nfunc main() {}\n"})
	must(t, filepath.Join(dir, "m"), nil, filepath.Join(dir, "go/bin/go"), "build", "-o", "prog", ".")
	if out := must(t, filepath.Join(dir, "m"), nil, filepath.Join(dir, "go/bin/go"), "version", "-m", "prog"); !strings.Contains(out, "\trtgo=") {
		t.Errorf("no rtgo= in\n%s", out)
	}
}

// TestArchitectures checks that each archive has programs of its platform.
func TestArchitectures(t *testing.T) {
	r := open(t)
	machine := map[string]string{"amd64": "\x3e\x00", "arm64": "\xb7\x00"} // e_machine
	n := 0
	for _, f := range r.files {
		if f.Kind != "archive" {
			continue
		}
		n++
		for _, name := range []string{"go/bin/go", "go/bin/gofmt", "go/pkg/tool/linux_" + f.Arch + "/compile", "go/pkg/tool/linux_" + f.Arch + "/link"} {
			out := must(t, r.dir, nil, "sh", "-c", "tar -xzOf "+f.Filename+" "+name+" | head -c 20")
			if !strings.HasPrefix(out, "\x7fELF") || out[18:] != machine[f.Arch] {
				t.Errorf("%s: %s is no program for %s: %q", f.Filename, name, f.Arch, out)
			}
		}
	}
	if n == 0 {
		t.Error("no archives")
	}
}

// vulndb is a vulnerability database with one entry, made for the test, for
// the standard library of this release and those before it.
func vulndb(t *testing.T, upstream string) string {
	t.Helper()
	dir := t.TempDir()
	version := strings.TrimPrefix(upstream, "go")
	major, patch := version[:strings.LastIndex(version, ".")+1], 0
	fmt.Sscanf(version[len(major):], "%d", &patch)
	fixed := fmt.Sprintf("%s%d", major, patch+1)
	write(t, dir, map[string]string{
		"index/db.json":      `{"modified":"2026-11-01T00:00:00Z"}`,
		"index/modules.json": `[{"path":"stdlib","vulns":[{"id":"GO-2099-0001","modified":"2026-11-01T00:00:00Z","fixed":"` + fixed + `"}]}]`,
		"index/vulns.json":   `[{"id":"GO-2099-0001","modified":"2026-11-01T00:00:00Z"}]`,
		"ID/GO-2099-0001.json": `{"schema_version":"1.3.1","id":"GO-2099-0001","modified":"2026-11-01T00:00:00Z",
"published":"2026-11-01T00:00:00Z","details":"made for a test","summary":"made for a test",
"affected":[{"package":{"name":"stdlib","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"` + fixed + `"}]}],
"ecosystem_specific":{"imports":[{"path":"net/url","symbols":["Parse"]}]}}]}`,
	})
	return "file://" + dir
}

// TestGovulncheck shows what a scanner that looks for the version of the
// standard library makes of rtgo: nothing by itself, and everything in the
// ways that docs/release.md gives.
func TestGovulncheck(t *testing.T) {
	r := open(t)
	goroot := toolchaintest.Goroot(t)
	bin := t.TempDir()
	if out, err := run(t, bin, []string{"GOBIN=" + bin, "GOTOOLCHAIN=local", "GOSUMDB=" + os.Getenv("GOSUMDB")}, "go", "install", govulncheck); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	db := vulndb(t, r.upstream)
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"go.mod":  "module m\n\ngo 1.26\n",
		"main.go": "package main\n\nimport \"net/url\"\n\nfunc main() {\n\tu, _ := url.Parse(\"http://example.org\")\n\tprintln(u.Host)\n}\n",
	})
	rtgo := []string{"PATH=" + filepath.Join(goroot, "bin") + ":" + bin + ":/usr/bin:/bin"}
	must(t, dir, rtgo, filepath.Join(goroot, "bin", "go"), "build", "-o", "prog", ".")
	version := "GOVERSION=" + r.upstream
	sed := "s/" + r.version + "/" + r.upstream + "/"
	for _, tt := range []struct {
		name    string
		env     []string
		command string
		found   bool
	}{
		{"source, by itself", nil, "govulncheck -db $DB .", false},
		{"source", []string{version}, "govulncheck -db $DB .", true},
		{"binary, by itself", nil, "govulncheck -db $DB -mode binary prog", false},
		{"binary", nil, "govulncheck -mode extract prog | sed '" + sed + "' >prog.vuln && govulncheck -db $DB -mode binary prog.vuln", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, err := run(t, dir, append(append(rtgo, "DB="+db), tt.env...), "sh", "-c", tt.command)
			found := strings.Contains(out, "GO-2099-0001")
			// Its exit status is 3 where it finds something.
			if found != tt.found || (err != nil) != tt.found {
				t.Errorf("found: %t, want %t (%v)\n%s", found, tt.found, err, out)
			}
		})
	}
}
