// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The guest's init travels as source, so that any rtgo command can make it
// for any guest with the go command at hand.
//
//go:embed guest/main.go wire/wire.go
var guestSource embed.FS

// Guest returns the guest's init for an architecture, compiled if need be. It
// needs a go command on PATH.
func (s *Store) Guest(ctx context.Context, a Arch, w io.Writer) (file string, err error) {
	gocmd, err := exec.LookPath("go")
	if err != nil {
		gocmd = "/usr/local/go/bin/go"
		if _, err := os.Stat(gocmd); err != nil {
			return "", fmt.Errorf("no go command on PATH; it compiles the guest's init")
		}
	}
	// No setting of the caller's may change the bytes.
	env := append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+string(a), "GOFLAGS=", "GOWORK=off",
		"GOTOOLCHAIN=local", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GODEBUG=", "GOROOT=")
	version := exec.CommandContext(ctx, gocmd, "version")
	version.Env = env
	v, err := version.Output()
	if err != nil {
		return "", fmt.Errorf("%s version: %v", gocmd, err)
	}
	names := []string{"guest/main.go", "wire/wire.go"}
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n", a, v)
	src := make(map[string][]byte)
	for _, n := range names {
		b, err := guestSource.ReadFile(n)
		if err != nil {
			return "", err
		}
		src[n] = b
		fmt.Fprintf(h, "%s %d\n%s", n, len(b), b)
	}
	dir := filepath.Join(s.Dir, "guest")
	file = filepath.Join(dir, string(a)+"-"+hex.EncodeToString(h.Sum(nil))[:16])
	if _, err := os.Stat(file); err == nil {
		return file, nil
	}
	fmt.Fprintf(w, "lab: compiling the guest's init for %s\n", a)
	tmp, err := os.MkdirTemp("", "rtgo-guest-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	src["go.mod"] = []byte("module rtgo.dev/rtgo\n\ngo 1.25\n")
	for n, b := range src {
		dst := filepath.Join(tmp, n)
		if n != "go.mod" {
			dst = filepath.Join(tmp, "internal/lab", n)
		}
		if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(dst, b, 0o644); err != nil {
			return "", err
		}
	}
	cmd := exec.CommandContext(ctx, gocmd, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -buildid=", "-o", filepath.Join(tmp, "init"), "./internal/lab/guest")
	cmd.Dir, cmd.Env = tmp, env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("compiling the guest's init: %v: %s", err, strings.TrimSpace(out.String()))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	b, err := os.ReadFile(filepath.Join(tmp, "init"))
	if err != nil {
		return "", err
	}
	part, err := os.CreateTemp(dir, "part-")
	if err != nil {
		return "", err
	}
	_, err = part.Write(b)
	if err1 := part.Close(); err == nil {
		err = err1
	}
	if err == nil {
		err = os.Chmod(part.Name(), 0o755)
	}
	if err == nil {
		err = os.Rename(part.Name(), file)
	}
	if err != nil {
		os.Remove(part.Name())
		return "", err
	}
	return file, nil
}

// BaseImage returns an image with the guest's init and the tools.
func (s *Store) BaseImage(ctx context.Context, a Arch, mf *Manifest, w io.Writer) (*Image, error) {
	guest, err := s.Guest(ctx, a, w)
	if err != nil {
		return nil, err
	}
	m := NewImage()
	if err := m.AddTools(s, a, mf); err != nil {
		return nil, err
	}
	if err := m.AddFile("/init", guest); err != nil {
		return nil, err
	}
	return m, nil
}
