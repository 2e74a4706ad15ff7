// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package upstream

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"go/version"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Platform returns the name of this machine's platform as in toolchain
// module versions, such as "linux-amd64".
func Platform() string { return runtime.GOOS + "-" + runtime.GOARCH }

// A Finder finds a source tree for a pin.
type Finder struct {
	// Go is the go command that downloads a toolchain module.
	Go string

	// Roots are local GOROOTs to try first. One of another version, or that
	// does not match the pin, is passed over.
	Roots []string

	// Only, if not empty, is the one tree to use; it is an error if it does
	// not match the pin.
	Only string

	Logf func(format string, args ...any)
}

// Find returns a verified source tree: a local GOROOT where one matches, or
// else the downloaded toolchain module.
func (f *Finder) Find(ctx context.Context, pin *Pin) (*Tree, error) {
	if f.Only != "" {
		return Verify(pin, f.Only)
	}
	if _, err := pin.LoadManifest(); err != nil {
		return nil, err // no tree can match; do not download one to find out
	}
	var why []string
	for i, root := range f.Roots {
		if slices.Contains(f.Roots[:i], root) {
			continue
		}
		if v, err := readVersion(root); err != nil || v != pin.Version {
			continue
		}
		t, err := Verify(pin, root)
		if err == nil {
			return t, nil
		}
		f.Logf("%v", err)
		why = append(why, err.Error())
	}
	platform := Platform()
	if pin.Toolchains[platform] == nil {
		platform = "linux-amd64" // the source is the same in all of them
	}
	f.Logf("fetching %s@%s", ModulePath, ModuleVersion(pin.Version, platform))
	mod, err := Download(ctx, f.Go, pin.Version, platform)
	if err != nil {
		why = append(why, err.Error())
		return nil, fmt.Errorf("no source of %s: %s; install that release or give its GOROOT with --goroot", pin.Version, strings.Join(why, "; "))
	}
	if want := pin.Toolchains[platform]; want == nil || mod.Sum != want.H1 {
		return nil, fmt.Errorf("%s@%s: hash %s is not the pinned one; refuse it", ModulePath, mod.Version, mod.Sum)
	}
	return Verify(pin, mod.Dir)
}

// readVersion returns the version in a GOROOT's VERSION file.
func readVersion(root string) (string, error) {
	data, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		return "", err
	}
	v, _, _ := strings.Cut(string(data), "\n")
	return v, nil
}

// A Module is a downloaded toolchain module.
type Module struct {
	Version string
	Dir     string // extracted
	Zip     string
	Sum     string // h1: hash
}

// Download makes the go command fetch a release's toolchain for a platform.
// It checks the module against the public checksum database unless it has
// it in its cache.
func Download(ctx context.Context, goCmd, release, platform string) (*Module, error) {
	dir, err := os.MkdirTemp("", "rtgo-fetch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, goCmd, "mod", "download", "-json", ModulePath+"@"+ModuleVersion(release, platform))
	cmd.Dir = dir // outside of any module
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GO111MODULE=on", "GOTOOLCHAIN=local",
		"GONOSUMDB=", "GONOSUMCHECK=", "GOPRIVATE=", "GOINSECURE=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var m struct {
		Module
		Error string
	}
	if jerr := json.Unmarshal(out, &m); jerr != nil {
		msg, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return nil, fmt.Errorf("%s mod download: %v: %s", goCmd, err, msg)
	}
	if m.Error != "" {
		return nil, fmt.Errorf("downloading the toolchain: %s", strings.ReplaceAll(m.Error, "\n", " "))
	}
	if err != nil {
		return nil, fmt.Errorf("%s mod download: %v", goCmd, err)
	}
	return &m.Module, nil
}

// HashZip returns the h1: hash of a module zip, computed from its content.
func HashZip(file string) (string, error) {
	z, err := zip.OpenReader(file)
	if err != nil {
		return "", err
	}
	defer z.Close()
	slices.SortFunc(z.File, func(a, b *zip.File) int { return strings.Compare(a.Name, b.Name) })
	sum := sha256.New()
	for _, f := range z.File {
		h, err := hashZipFile(f)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%s  %s\n", h, f.Name)
	}
	return "h1:" + base64.StdEncoding.EncodeToString(sum.Sum(nil)), nil
}

func hashZipFile(f *zip.File) (string, error) {
	r, err := f.Open()
	if err != nil {
		return "", err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// binariesOf returns the hashes of the files in bin and pkg/tool of a
// toolchain module zip, having checked the zip's hash.
func binariesOf(m *Module) (map[string]string, error) {
	h1, err := HashZip(m.Zip)
	if err != nil {
		return nil, err
	}
	if h1 != m.Sum {
		return nil, fmt.Errorf("%s: hash %s, the go command says %s; empty the module cache with 'go clean -modcache'", m.Zip, h1, m.Sum)
	}
	z, err := zip.OpenReader(m.Zip)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	prefix := ModulePath + "@" + m.Version + "/"
	bins := map[string]string{}
	for _, f := range z.File {
		name := strings.TrimPrefix(f.Name, prefix)
		if !strings.HasPrefix(name, "bin/") && !strings.HasPrefix(name, "pkg/tool/") {
			continue
		}
		h, err := hashZipFile(f)
		if err != nil {
			return nil, err
		}
		bins[name] = h
	}
	return bins, nil
}

// AddPin makes a pin for a release and adds it to p, writing the manifest
// but not upstream.json. The release's toolchain is downloaded for each
// platform; the source in all of them and in the local GOROOT, if root is
// not empty, must agree. Without a GOROOT the pin lacks the directories that
// the toolchain module lacks (api, doc, misc, test).
func (p *Pins) AddPin(ctx context.Context, goCmd, release, root string, platforms []string, logf func(string, ...any)) (*Pin, error) {
	line := version.Lang(release)
	if line == "" || line == release || !version.IsValid(release) {
		return nil, fmt.Errorf("%q is not a Go release such as go1.26.8", release)
	}
	pin := &Pin{Version: release, Revision: 1, Line: line, root: p.root, Toolchains: map[string]*Toolchain{}}
	var dirs []string
	for _, platform := range platforms {
		logf("fetching %s@%s", ModulePath, ModuleVersion(release, platform))
		m, err := Download(ctx, goCmd, release, platform)
		if err != nil {
			return nil, err
		}
		bins, err := binariesOf(m)
		if err != nil {
			return nil, err
		}
		pin.Toolchains[platform] = &Toolchain{H1: m.Sum, Binaries: bins}
		dirs = append(dirs, m.Dir)
	}
	if root != "" {
		if v, err := readVersion(root); err != nil || v != release {
			return nil, fmt.Errorf("%s is not a GOROOT of %s", root, release)
		}
		dirs = append(dirs, root)
	}
	logf("comparing %d trees", len(dirs))
	m, err := makeManifest(dirs...)
	if err != nil {
		return nil, err
	}
	if root == "" {
		for i, f := range m.Files { // the module has lost the bits
			m.Files[i].Exec = strings.HasSuffix(f.Path, ".bash")
		}
	}
	v, err := os.ReadFile(filepath.Join(dirs[0], "VERSION"))
	if err != nil {
		return nil, err
	}
	pin.VersionFile = string(v)
	if old := p.Lines[line]; old != nil && old.Version == release {
		pin.Revision = old.Revision
	}
	text := m.Text()
	pin.Manifest = "pins/" + release + ".sum"
	pin.SHA256 = hexSHA256(text)
	if err := os.MkdirAll(filepath.Join(p.root, "pins"), 0o777); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(p.root, filepath.FromSlash(pin.Manifest)), text, 0o666); err != nil {
		return nil, err
	}
	p.Lines[line] = pin
	if p.Default == "" {
		p.Default = line
	}
	return pin, nil
}
