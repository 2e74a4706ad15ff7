// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package textcmp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed programs
var programs embed.FS

// A Program is something to be compiled by both toolchains.
type Program struct {
	Name    string
	Package string // of the GOROOT itself, "cmd/gofmt"; or
	File    string // a Go file
	builtin bool   // File is in programs
}

// Programs are those compared by default.
var Programs = []Program{
	{Name: "hello", File: "hello.go", builtin: true},
	{Name: "httpserver", File: "httpserver.go", builtin: true},
	{Name: "gofmt", Package: "cmd/gofmt"},
}

// A Toolchain is one side.
type Toolchain struct {
	GOROOT string
	Env    []string // K=V, such as GOEXPERIMENT=nort
	Args   []string // further arguments of go build
}

// A Target is what programs are compiled for.
type Target struct {
	GOARCH string
	Cgo    bool // needs a C compiler for GOARCH
}

func (t Target) String() string {
	if t.Cgo {
		return "linux/" + t.GOARCH + " cgo"
	}
	return "linux/" + t.GOARCH
}

// normalize are the linker flags described in the package comment.
const normalize = "-ldflags=-R=0x1000000 -X=runtime.buildVersion=go -X=runtime.modinfo="

// Build compiles p into the file out.
func (tc *Toolchain) Build(ctx context.Context, p Program, target Target, out string) error {
	args := append([]string{"build", "-trimpath", "-buildvcs=false", normalize, "-o", out}, tc.Args...)
	dir := filepath.Join(tc.GOROOT, "src")
	switch {
	case p.Package != "":
		args = append(args, p.Package)
	case p.builtin:
		src, err := programs.ReadFile("programs/" + p.File)
		if err != nil {
			return err
		}
		dir = filepath.Dir(out)
		file := filepath.Join(dir, p.File)
		if err := os.WriteFile(file, src, 0o666); err != nil {
			return err
		}
		args = append(args, p.File)
	default:
		dir = filepath.Dir(p.File)
		args = append(args, filepath.Base(p.File))
	}
	cgo := "0"
	if target.Cgo {
		cgo = "1"
	}
	cmd := exec.CommandContext(ctx, filepath.Join(tc.GOROOT, "bin", "go"), args...)
	cmd.Dir = dir
	for _, kv := range os.Environ() {
		k, _, _ := strings.Cut(kv, "=")
		switch {
		case k == "GOCACHE", k == "GOMODCACHE", k == "GOPATH", k == "GOPROXY":
		case strings.HasPrefix(k, "GO"), strings.HasPrefix(k, "CGO_"), k == "PWD":
			continue
		}
		cmd.Env = append(cmd.Env, kv)
	}
	cmd.Env = append(cmd.Env, "GOROOT="+tc.GOROOT, "GOENV=off", "GOFLAGS=", "GOTOOLCHAIN=local", "GOWORK=off",
		"GOOS=linux", "GOARCH="+target.GOARCH, "CGO_ENABLED="+cgo, "PWD="+dir)
	cmd.Env = append(cmd.Env, tc.Env...)
	if msg, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s build of %s for %s: %v\n%s", tc.GOROOT, p.Name, target, err, bytes.TrimSpace(msg))
	}
	return nil
}

// A Result is the comparison of one program for one target.
type Result struct {
	Program   string `json:"program"`
	Target    string `json:"target"`
	Equal     bool   `json:"equal"` // byte for byte, or but for Moved
	Bytes     int    `json:"bytes"` // of .text, in the reference
	Functions int    `json:"functions"`
	SHA256    string `json:"sha256"` // of .text, in the reference

	// Moved counts, by section, the addresses that differ only because the
	// linker placed that section elsewhere; empty if .text is equal byte for
	// byte.
	Moved map[string]int `json:"moved,omitempty"`
	Diff  *Diff          `json:"diff,omitempty"`
}

// A Report is the comparison of all programs.
type Report struct {
	Schema       int      `json:"schema"`
	Result       string   `json:"result"` // PASS or FAIL
	Reference    string   `json:"reference"`
	ReferenceEnv []string `json:"reference_env,omitempty"`
	GOROOT       string   `json:"goroot"`
	Env          []string `json:"env,omitempty"`
	Results      []Result `json:"results"`
}

// Run compiles every program for every target with both toolchains, in
// temporary directories, and compares. With strict, moved addresses are a
// difference. progress may be nil.
func Run(ctx context.Context, ref, tc *Toolchain, progs []Program, targets []Target, strict bool, progress io.Writer) (*Report, error) {
	r := &Report{Schema: 1, Result: "PASS", Reference: ref.GOROOT, ReferenceEnv: ref.Env, GOROOT: tc.GOROOT, Env: tc.Env}
	tmp, err := os.MkdirTemp("", "rtgo-text-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	for _, target := range targets {
		for _, p := range progs {
			if progress != nil {
				fmt.Fprintf(progress, "text-compare: %s for %s\n", p.Name, target)
			}
			var texts [2]*Text
			for i, side := range []*Toolchain{ref, tc} {
				dir := filepath.Join(tmp, string(rune('a'+i)))
				if err := os.MkdirAll(dir, 0o777); err != nil {
					return nil, err
				}
				out := filepath.Join(dir, p.Name)
				if err := side.Build(ctx, p, target, out); err != nil {
					return nil, err
				}
				if texts[i], err = ReadText(out); err != nil {
					return nil, err
				}
			}
			n, d := Compare(texts[0], texts[1])
			if d != nil || strict && len(n) > 0 {
				r.Result = "FAIL"
			}
			r.Results = append(r.Results, Result{
				Program: p.Name, Target: target.String(), Equal: d == nil, Bytes: len(texts[0].Code), Functions: len(texts[0].Functions),
				SHA256: fmt.Sprintf("%x", sha256.Sum256(texts[0].Code)), Moved: n, Diff: d,
			})
		}
	}
	if len(r.Results) == 0 {
		r.Result = "FAIL"
	}
	return r, nil
}

// WriteText writes r for people.
func (r *Report) WriteText(w io.Writer) {
	fmt.Fprintf(w, "Text sections: %s %s\n  against      %s %s\n", r.GOROOT, strings.Join(r.Env, " "), r.Reference, strings.Join(r.ReferenceEnv, " "))
	for _, x := range r.Results {
		if x.Equal {
			verdict := "EQUAL"
			if len(x.Moved) > 0 {
				verdict = "MOVED"
			}
			fmt.Fprintf(w, "%s   %-11s %-16s %8d bytes, %5d functions, sha256 %.16s\n", verdict, x.Program, x.Target, x.Bytes, x.Functions, x.SHA256)
			for _, name := range slices.Sorted(maps.Keys(x.Moved)) {
				fmt.Fprintf(w, "        equal but for %d addresses in %s, which the linker placed elsewhere\n", x.Moved[name], name)
			}
			continue
		}
		d := x.Diff
		fmt.Fprintf(w, "DIFFER  %-11s %-16s %s\n", x.Program, x.Target, d.Reason)
		fmt.Fprintf(w, "        %d bytes in the reference, %d here; functions: %d changed (%d in size), %d only in the reference, %d only here\n",
			d.BytesA, d.BytesB, d.Changed, d.Resized, d.OnlyA, d.OnlyB)
		for _, c := range d.Causes {
			fmt.Fprintf(w, "          %s\n", c)
		}
	}
	fmt.Fprintln(w, r.Result)
}

// WriteJSON writes r as indented JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	_, err = w.Write(append(data, '\n'))
	return err
}
