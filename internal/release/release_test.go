// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package release

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rtgo.dev/rtgo/internal/rebuild"
	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/toolchain"
	"rtgo.dev/rtgo/internal/upstream"
)

// A world is a repository with a tiny upstream and a release of it.
type world struct {
	t    *testing.T
	root string
	pins *upstream.Pins
	in   *inputs
	dir  string
	src  map[string]string // of the patched tree
}

const patch = `From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: rtgo <rtgo@rtgo.dev>
Date: Fri, 28 Aug 2026 16:20:06 +0000
Subject: [PATCH] runtime: hook

What: a hook

---
 src/runtime/proc.go | 1 +
 1 file changed, 1 insertion(+)

diff --git a/src/runtime/proc.go b/src/runtime/proc.go
--- a/src/runtime/proc.go
+++ b/src/runtime/proc.go
@@ -1 +1,2 @@
 package runtime
+// hook
`

func sum(data string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(data))) }

func newWorld(t *testing.T) *world {
	w := &world{t: t, root: t.TempDir()}
	up := map[string]string{
		"VERSION": "go1.26.8\ntime 2026-08-28T16:20:06Z\n", "go.env": "GOTOOLCHAIN=auto\n",
		"src/runtime/proc.go": "package runtime\n", "src/fmt/print.go": "package fmt\n", "src/fmt/go.mod": "module fmt\n",
		"test/a.go": "package a\n", toolchain.StampFile: "package load\n",
	}
	var manifest strings.Builder
	for _, name := range slices.Sorted(maps.Keys(up)) {
		fmt.Fprintf(&manifest, "%s  %s\n", sum(up[name]), name)
	}
	w.write(w.root, map[string]string{
		"pins/x.sum": manifest.String(),
		"upstream.json": fmt.Sprintf(`{"default":"go1.26","lines":{"go1.26":{"version":"go1.26.8","revision":1,`+
			`"VERSION":"go1.26.8\ntime 2026-08-28T16:20:06Z\n","manifest":"pins/x.sum","sha256":%q,`+
			`"toolchains":{"linux-amd64":{"h1":"h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=","binaries":{}}}}}}`, sum(manifest.String())),
		"patches/go1.26/0001-hook.patch":    patch,
		"src-overlay/runtime/rt_on.go":      "package runtime // on\n",
		"src-overlay/runtime/rt/rt_task.go": "package rt\n",
	})
	var err error
	if w.pins, err = upstream.LoadPins(w.root); err != nil {
		t.Fatal(err)
	}
	pin, err := w.pins.Select("")
	if err != nil {
		t.Fatal(err)
	}
	set, err := series.LoadSet(w.root, pin.Line)
	if err != nil {
		t.Fatal(err)
	}
	w.in = &inputs{
		pin: pin, set: set, patchSet: set.Hash(), stamp: toolchain.Stamp(pin, set.Hash()), tree: "t", bootstrap: "go1.26.8",
		builder: DefaultBuilder, time: pin.Time(), commit: strings.Repeat("1", 40),
		vendored: []vendored{{"golang.org/x/net", "v0.1.0", "src/vendor"}},
	}
	w.src = maps.Clone(up)
	w.src["VERSION"] = string(toolchain.VersionFile(pin))
	w.src[toolchain.StampFile] = string(toolchain.StampSource(w.in.stamp))
	w.src["src/runtime/proc.go"] += "// hook\n"
	for _, f := range set.Overlay {
		w.src[f.Path] = string(f.Data)
	}
	w.dir = filepath.Join(t.TempDir(), "release")
	w.make()
	return w
}

func (w *world) write(dir string, files map[string]string) {
	w.t.Helper()
	for name, data := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o666); err != nil {
			w.t.Fatal(err)
		}
	}
}

// make writes the release of w.src.
func (w *world) make() {
	w.t.Helper()
	if err := os.RemoveAll(w.dir); err != nil {
		w.t.Fatal(err)
	}
	const platform = "linux-amd64"
	bin := maps.Clone(w.src)
	bin["bin/go"], bin["pkg/tool/linux_amd64/compile"] = "go program", "compiler"
	bin["src/internal/buildcfg/zbootstrap.go"] = "generated"
	modVersion := upstream.ModuleVersion(w.in.version(), platform)
	w.write(w.dir, map[string]string{
		sourceFile(w.in.version()):               targz(w.src),
		archiveFile(w.in.version(), platform):    targz(bin),
		proxyDir + "/" + modVersion + ".info":    "{}",
		proxyDir + "/" + modVersion + ".mod":     "module golang.org/toolchain\n",
		moduleFiles(w.in.version(), platform)[2]: module(bin, modVersion),
	})
	if err := document(w.in, w.dir, Options{Platforms: []string{platform}, URL: "https://example.org/rtgo/"}); err != nil {
		w.t.Fatal(err)
	}
}

func targz(files map[string]string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	t := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		t.WriteHeader(&tar.Header{Name: "go/" + name, Mode: 0o644, Size: int64(len(files[name]))})
		t.Write([]byte(files[name]))
	}
	t.Close()
	z.Close()
	return b.String()
}

func module(files map[string]string, version string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if upstream.Optional(name) {
			continue
		}
		if dir, ok := strings.CutSuffix(name, "/go.mod"); ok {
			name = dir + "/_go.mod"
		}
		f, _ := z.Create(upstream.ModulePath + "@" + version + "/" + name)
		if dir, ok := strings.CutSuffix(name, "/_go.mod"); ok {
			name = dir + "/go.mod"
		}
		f.Write([]byte(files[name]))
	}
	z.Close()
	return b.String()
}

func (w *world) verify() (*rebuild.Report, string) {
	w.t.Helper()
	r, err := Verify(w.dir, w.pins, false)
	if err != nil {
		return nil, err.Error()
	}
	var b bytes.Buffer
	r.Text(&b)
	return r, b.String()
}

func (w *world) read(name string) string {
	w.t.Helper()
	data, err := os.ReadFile(filepath.Join(w.dir, name))
	if err != nil {
		w.t.Fatal(err)
	}
	return string(data)
}

// edit changes a file of the release and, as one would who does so on
// purpose, its line of SHA256SUMS.
func (w *world) edit(name, old, new string) {
	w.t.Helper()
	data := w.read(name)
	if !strings.Contains(data, old) {
		w.t.Fatalf("%s does not contain %q", name, old)
	}
	changed := strings.Replace(data, old, new, 1)
	sums := strings.ReplaceAll(w.read(SumsFile), sum(data), sum(changed))
	w.write(w.dir, map[string]string{name: changed, SumsFile: sums})
}

func TestVerify(t *testing.T) {
	const ver = "go1.26.8-rtgo1"
	for _, tt := range []struct {
		name   string
		change func(w *world)
		want   string // in the text of the report; "" if it passes
	}{
		{"untouched", func(*world) {}, ""},
		{"byte", func(w *world) { w.write(w.dir, map[string]string{ver + ".src.tar.gz": "x"}) }, "download it again"},
		{"missing", func(w *world) { os.Remove(filepath.Join(w.dir, ver+".src.tar.gz")) }, "cannot be read"},
		{"added", func(w *world) { w.write(w.dir, map[string]string{"install.sh": "x"}) }, "no part of the release"},
		{"other hash in the index", func(w *world) {
			s := sum(w.read(ver + ".linux-amd64.tar.gz"))
			w.edit(AssetsFile, s, strings.Repeat("0", 64))
		}, "sha256 is not that of SHA256SUMS"},
		{"other size", func(w *world) {
			w.edit(AssetsFile, fmt.Sprintf(`"size": %d`, len(w.read(ver+".src.tar.gz"))), `"size": 1`)
		}, "size is not 1"},
		{"other hash for Bazel", func(w *world) {
			w.edit(BazelFile, sum(w.read(ver+".linux-amd64.tar.gz")), strings.Repeat("0", 64))
		}, "does not name it with this hash"},
		{"other upstream", func(w *world) { w.edit(AssetsFile, `"upstream": "go1.26.8"`, `"upstream": "go1.26.9"`) }, "is not the ancestor"},
		{"other patch", func(w *world) {
			w.edit(sbomFile(ver), sum(patch)+"  0001-hook.patch", sum("x")+"  0001-hook.patch")
		}, "is not the patch with the stated hash"},
		{"other overlay", func(w *world) {
			w.edit(sbomFile(ver), sum("package rt\n"), sum("x"))
		}, "hash over patches and overlay"},
		{"other patch set", func(w *world) {
			w.edit(provenanceFile(ver), w.in.patchSet, strings.Repeat("0", 64))
		}, "patch set is not that of assets.json"},
		{"other subject", func(w *world) {
			w.edit(provenanceFile(ver), sum(w.read(ver+".linux-amd64.tar.gz")), strings.Repeat("0", 64))
		}, "FAIL: " + ver + ".intoto.json, provenance"},
		{"uncommitted", func(w *world) { w.in.dirty = true; w.make() }, "not in the commit"},
		{"changed beside the patches", func(w *world) { w.src["src/fmt/print.go"] = "package fmt // evil\n"; w.make() }, "no patch names it"},
		{"added beside the overlay", func(w *world) { w.src["src/fmt/evil.go"] = "package fmt\n"; w.make() }, "neither upstream's nor"},
		{"overlay changed", func(w *world) { w.src["src/runtime/rt_on.go"] = "package runtime // evil\n"; w.make() }, "src/runtime/rt_on.go"},
		{"upstream's missing", func(w *world) { delete(w.src, "src/fmt/print.go"); w.make() }, "of upstream is missing"},
		{"overlay missing", func(w *world) { delete(w.src, "src/runtime/rt_on.go"); w.make() }, "of the overlay is missing"},
		{"other stamp", func(w *world) { w.src[toolchain.StampFile] = "package load\n"; w.make() }, "does not have the stamp"},
		{"other VERSION", func(w *world) { w.src["VERSION"] = "go1.26.8\n"; w.make() }, "FAIL: source in the archives"},
		{"other pin", func(w *world) {
			pin, _ := w.pins.Select("")
			p := *pin
			p.SHA256 = strings.Repeat("0", 64)
			w.in.pin = &p
			w.make()
		}, "FAIL  pin"},
		{"no sums", func(w *world) { os.Remove(filepath.Join(w.dir, SumsFile)) }, "is not a release"},
		{"sums name a file elsewhere", func(w *world) {
			w.write(w.dir, map[string]string{SumsFile: sum("") + "  ../../etc/passwd\n"})
		}, "bad line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			tt.change(w)
			r, text := w.verify()
			if tt.want == "" {
				if r == nil || r.Status != rebuild.PASS {
					t.Errorf("want PASS, got\n%s", text)
				}
				return
			}
			if r != nil && r.Status != rebuild.FAIL || !strings.Contains(text, tt.want) {
				t.Errorf("want a failure with %q, got\n%s", tt.want, text)
			}
		})
	}
}

// TestVerifyBinary changes what only one of the archives holds.
func TestVerifyBinary(t *testing.T) {
	w := newWorld(t)
	bin := maps.Clone(w.src)
	bin["bin/go"], bin["src/fmt/print.go"] = "go program", "package fmt // evil\n"
	w.write(w.dir, map[string]string{archiveFile(w.in.version(), "linux-amd64"): targz(bin)})
	if err := document(w.in, w.dir, Options{Platforms: []string{"linux-amd64"}}); err != nil {
		t.Fatal(err)
	}
	r, text := w.verify()
	if r == nil || r.Status != rebuild.FAIL || !strings.Contains(text, "src/fmt/print.go is not that of the source archive") ||
		!strings.Contains(text, "does not hold the same files") {
		t.Errorf("got\n%s", text)
	}
}

// TestNoPins checks that a release whose source was not compared does not
// pass.
func TestNoPins(t *testing.T) {
	w := newWorld(t)
	w.pins = nil
	if r, text := w.verify(); r == nil || r.Status != rebuild.SKIP {
		t.Errorf("got\n%s", text)
	}
}

// TestDirty checks that uncommitted patches can be allowed.
func TestDirty(t *testing.T) {
	w := newWorld(t)
	w.in.dirty = true
	w.make()
	if r, err := Verify(w.dir, w.pins, true); err != nil || r.Status != rebuild.PASS {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestSame checks that a release has the same bytes each time.
func TestSame(t *testing.T) {
	w := newWorld(t)
	before := w.read(SumsFile)
	if w.make(); w.read(SumsFile) != before {
		t.Errorf("sums were\n%s\nand are\n%s", before, w.read(SumsFile))
	}
	other := newWorld(t)
	if got := other.read(SumsFile); got != before {
		t.Errorf("sums of another repository\n%s\nwant\n%s", got, before)
	}
	r, err := Compare(w.dir, other.dir)
	if err != nil || r.Status != rebuild.PASS {
		t.Errorf("Compare: %+v, %v", r, err)
	}
	other.src["src/fmt/print.go"] = "package fmt // other\n"
	other.make()
	if r, err = Compare(w.dir, other.dir); err != nil || r.Status != rebuild.FAIL {
		t.Errorf("Compare with another release: %+v, %v", r, err)
	}
}

func TestBuildTime(t *testing.T) {
	pin := &upstream.Pin{VersionFile: "go1.26.8\ntime 2026-08-28T16:20:06Z\n"}
	for _, tt := range []struct{ env, want string }{
		{"", "2026-08-28T16:20:06Z"}, {"0", "1970-01-01T00:00:00Z"}, {"1700000000", "2023-11-14T22:13:20Z"}, {"yesterday", ""}, {"-1", ""},
	} {
		t.Setenv("SOURCE_DATE_EPOCH", tt.env)
		got, err := buildTime(pin)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("SOURCE_DATE_EPOCH=%s: %q, %v", tt.env, got, err)
		}
	}
}

// TestScanners checks that the bill of materials lists the standard library
// as scanners look it up: by upstream's version.
func TestScanners(t *testing.T) {
	w := newWorld(t)
	var b bom
	if err := json.Unmarshal([]byte(w.read(sbomFile(w.in.version()))), &b); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, c := range b.Components {
		found = found || c.PURL == "pkg:golang/stdlib@1.26.8"
	}
	if !found || b.Metadata.Component.CPE != "cpe:2.3:a:golang:go:1.26.8:*:*:*:*:*:*:*" {
		t.Errorf("upstream's version is not in %+v", b)
	}
}

// TestRevision checks what counts as uncommitted.
func TestRevision(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	if commit, dirty, err := revision(ctx, w.root, w.in.pin); commit != "" || dirty || err != nil {
		t.Errorf("outside of git: %q, %t, %v", commit, dirty, err)
	}
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@example.org", "-C", w.root}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	git("init", "-q")
	git("add", ".")
	git("commit", "-q", "-m", "x")
	w.write(w.root, map[string]string{"README.md": "changed"})
	commit, dirty, err := revision(ctx, w.root, w.in.pin)
	if len(commit) != 40 || dirty || err != nil {
		t.Errorf("README.md changed: %q, %t, %v", commit, dirty, err)
	}
	w.write(w.root, map[string]string{"src-overlay/runtime/new.go": "package runtime\n"})
	if _, dirty, err := revision(ctx, w.root, w.in.pin); !dirty || err != nil {
		t.Errorf("overlay changed: %t, %v", dirty, err)
	}
}

// TestCrossPublished packs the unpatched toolchain in RTGO_UPSTREAM_GOROOT for
// another platform and compares with what upstream published.
func TestCrossPublished(t *testing.T) {
	goroot := os.Getenv("RTGO_UPSTREAM_GOROOT")
	if goroot == "" {
		t.Skip("set RTGO_UPSTREAM_GOROOT to the result of 'rtgo build --unpatched'; takes two minutes")
	}
	pins, err := upstream.LoadPins("../..")
	if err != nil {
		t.Fatal(err)
	}
	v, err := os.ReadFile(filepath.Join(goroot, "VERSION"))
	if err != nil {
		t.Fatal(err)
	}
	version, _, _ := strings.Cut(string(v), "\n")
	pin, err := pins.Select(version)
	if err != nil {
		t.Fatal(err)
	}
	tested := false
	for platform, pub := range pin.Toolchains {
		if platform == upstream.Platform() {
			continue
		}
		tested = true
		dir := t.TempDir()
		dist := filepath.Join(dir, "dist")
		if err := CrossPack(context.Background(), goroot, platform, filepath.Join(dir, "work"), dist, t.Logf); err != nil {
			t.Fatal(err)
		}
		h1, err := upstream.HashZip(filepath.Join(dist, upstream.ModuleVersion(version, platform)+".zip"))
		if err != nil {
			t.Fatal(err)
		}
		if h1 != pub.H1 {
			t.Errorf("%s: module is %s, published %s", platform, h1, pub.H1)
		} else {
			t.Logf("%s: %s, as published", platform, h1)
		}
	}
	if !tested {
		t.Errorf("no other platform of %s is pinned", version)
	}
}
