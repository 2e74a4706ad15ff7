// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package toolchain

import (
	"bytes"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Bootstrap is an installed Go that can build upstream's source.
type Bootstrap struct {
	Root    string // GOROOT
	Version string // such as "go1.24.6"
}

// Go returns the path of its go command.
func (b *Bootstrap) Go() string { return filepath.Join(b.Root, "bin", "go") }

var bootgoRE = regexp.MustCompile(`(?m)^bootgo=(\d+(?:\.\d+)*)$`)

// RequiredBootstrap returns the oldest release that can build the source
// whose make.bash is given.
func RequiredBootstrap(makeBash []byte) (string, error) {
	m := bootgoRE.FindSubmatch(makeBash)
	if m == nil {
		return "", fmt.Errorf("make.bash does not say which Go it needs (no bootgo= line)")
	}
	return "go" + string(m[1]), nil
}

// FindBootstrap returns a Go of at least the release need. An explicit
// GOROOT must serve; otherwise $GOROOT_BOOTSTRAP must, if it is set;
// otherwise the go command on PATH and the usual places are tried. An rtgo
// toolchain is taken only where it is named.
func FindBootstrap(explicit, need string) (*Bootstrap, error) {
	name, from := explicit, "--bootstrap"
	if name == "" {
		name, from = os.Getenv("GOROOT_BOOTSTRAP"), "GOROOT_BOOTSTRAP"
	}
	if name != "" {
		b, err := probe(name)
		if err != nil {
			return nil, fmt.Errorf("%s=%s is no usable Go: %v", from, name, err)
		}
		if version.Compare(b.Version, need) < 0 {
			return nil, fmt.Errorf("%s=%s is %s, too old: %s or later is needed; name a newer one", from, name, b.Version, need)
		}
		return b, nil
	}
	var old []string
	for _, root := range bootstrapRoots() {
		b, err := probe(root)
		switch {
		case err != nil, strings.Contains(b.Version, "-rtgo"):
		case version.Compare(b.Version, need) < 0:
			old = append(old, b.Version+" in "+root)
		default:
			return b, nil
		}
	}
	if len(old) > 0 {
		return nil, fmt.Errorf("no bootstrap Go of %s or later: found only %s; install a newer one or name its GOROOT with --bootstrap", need, strings.Join(old, ", "))
	}
	return nil, fmt.Errorf("no bootstrap Go found; install %s or later or name its GOROOT with --bootstrap", need)
}

// bootstrapRoots returns the GOROOTs to try.
func bootstrapRoots() []string {
	var roots []string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		cmd := exec.Command(filepath.Join(dir, "go"), "env", "GOROOT")
		cmd.Env = withoutGoEnv(os.Environ(), "GOTOOLCHAIN=local", "GOENV=off")
		if out, err := cmd.Output(); err == nil {
			roots = append(roots, strings.TrimSpace(string(out)))
		}
	}
	roots = append(roots, "/usr/local/go", "/usr/lib/go")
	if home, err := os.UserHomeDir(); err == nil {
		sdks, _ := filepath.Glob(filepath.Join(home, "sdk", "go*"))
		slices.SortFunc(sdks, func(a, b string) int { return version.Compare(filepath.Base(b), filepath.Base(a)) })
		roots = append(roots, sdks...)
	}
	return roots
}

// probe asks the go command of a GOROOT for its version.
func probe(root string) (*Bootstrap, error) {
	b := &Bootstrap{Root: root}
	cmd := exec.Command(b.Go(), "env", "GOVERSION")
	cmd.Env = withoutGoEnv(os.Environ(), "GOROOT="+root, "GOTOOLCHAIN=local", "GOENV=off")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		if line, _, _ := strings.Cut(stderr.String(), "\n"); line != "" {
			return nil, fmt.Errorf("%s", line)
		}
		return nil, err
	}
	// A development version is "devel go1.27-0123abc ...".
	for _, f := range strings.Fields(string(out)) {
		if v, _, _ := strings.Cut(f, "-"); version.IsValid(v) {
			b.Version = f
			return b, nil
		}
	}
	return nil, fmt.Errorf("cannot read its version %q", strings.TrimSpace(string(out)))
}

// withoutGoEnv returns env without the variables that steer Go builds, and
// with the given ones added.
func withoutGoEnv(env []string, add ...string) []string {
	var out []string
	for _, kv := range env {
		key, _, _ := strings.Cut(kv, "=")
		switch {
		case strings.HasPrefix(key, "GO"), strings.HasPrefix(key, "CGO_"), key == "CC", key == "CXX", key == "FC",
			key == "AR", key == "PKG_CONFIG":
		default:
			out = append(out, kv)
		}
	}
	return append(out, add...)
}
