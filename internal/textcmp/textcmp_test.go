// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package textcmp

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func stock(t *testing.T) *Toolchain {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &Toolchain{GOROOT: strings.TrimSpace(string(out))}
}

// edited returns the toolchain with one file of its library replaced at build
// time, as a patch would change it.
func edited(t *testing.T, tc *Toolchain, file, old, new string) *Toolchain {
	t.Helper()
	orig := filepath.Join(tc.GOROOT, "src", file)
	data, err := os.ReadFile(orig)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(data), old) != 1 {
		t.Fatalf("%s holds %q %d times, want 1", file, old, strings.Count(string(data), old))
	}
	dir := t.TempDir()
	repl := filepath.Join(dir, filepath.Base(file))
	if err := os.WriteFile(repl, []byte(strings.Replace(string(data), old, new, 1)), 0o666); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {orig: repl}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o666); err != nil {
		t.Fatal(err)
	}
	c := *tc
	c.Args = append(c.Args, "-overlay="+list)
	return &c
}

// text compiles the first of Programs.
func text(t *testing.T, tc *Toolchain, target Target) *Text {
	t.Helper()
	out := filepath.Join(t.TempDir(), "prog")
	if err := tc.Build(context.Background(), Programs[0], target, out); err != nil {
		t.Fatal(err)
	}
	x, err := ReadText(out)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestCompare shows that the comparison holds where it should, whatever lines
// and version strings a patch changes, and fails where code changes.
func TestCompare(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the library several times; left out by -short")
	}
	ref := stock(t)
	comment := edited(t, ref, "fmt/print.go", "package fmt\n", "package fmt\n"+strings.Repeat("// padding\n", 500))
	body := edited(t, ref, "fmt/print.go", "\tp := newPrinter()\n\tp.doPrintln(a)\n\tn, err = w.Write(p.buf)",
		"\tp := newPrinter()\n\tp.doPrintln(a)\n\tprintln(len(p.buf))\n\tn, err = w.Write(p.buf)")
	constant := edited(t, ref, "fmt/print.go", "if cap(p.buf) > 64*1024 {", "if cap(p.buf) > 32*1024 {")
	version := *ref
	version.Env = []string{"GOEXPERIMENT=fieldtrack"} // shows in the version and the build settings
	target := Target{GOARCH: "amd64"}
	want := text(t, ref, target)
	for _, tt := range []struct {
		name   string
		tc     *Toolchain
		reason string // prefix; "" is equal
	}{
		{"comments", comment, ""},
		{"version", &version, ""},
		{"statement added", body, "fmt.Fprintln: "},
		{"constant changed", constant, "fmt.(*pp).free: same size"},
	} {
		n, d := Compare(want, text(t, tt.tc, target))
		if len(n) > 0 {
			t.Errorf("%s: moved %v", tt.name, n)
		}
		if d == nil && tt.reason != "" || d != nil && (tt.reason == "" || !strings.HasPrefix(d.Reason, tt.reason)) {
			t.Errorf("%s: %+v; want reason %q", tt.name, d, tt.reason)
		}
	}
	for _, tt := range []struct {
		tc     *Toolchain
		result string
	}{{ref, "PASS"}, {constant, "FAIL"}} {
		r, err := Run(context.Background(), ref, tt.tc, Programs[:1], []Target{target}, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		r.WriteText(&out)
		if r.Result != tt.result || !strings.HasSuffix(out.String(), tt.result+"\n") || r.Results[0].Equal != (tt.result == "PASS") {
			t.Errorf("result %s, want %s:\n%s", r.Result, tt.result, out.String())
		}
	}
}

// TestMoved links the same program with its data at other addresses: each
// address in the code differs, and nothing else. Whatever bit is changed then,
// of an address or of an instruction, makes the sections differ.
func TestMoved(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles the library several times; left out by -short")
	}
	ref := stock(t)
	elsewhere := *ref
	elsewhere.Args = []string{strings.Replace(normalize, "-R=0x1000000", "-R=0x800000 -T=0x1001000", 1)}
	constant := edited(t, &elsewhere, "fmt/print.go", "if cap(p.buf) > 64*1024 {", "if cap(p.buf) > 32*1024 {")
	for _, arch := range []string{"amd64", "arm64"} {
		target := Target{GOARCH: arch}
		a, b := text(t, ref, target), text(t, &elsewhere, target)
		n, d := Compare(a, b)
		if d != nil || n[".rodata"] < 1000 || n[".data"] == 0 || n[".noptrbss"] == 0 {
			t.Fatalf("%s: %v, %+v", arch, n, d)
		}
		t.Logf("%s: %v", arch, n)
		rng := rand.New(rand.NewPCG(1, 2))
		for range 500 {
			i, bit := rng.IntN(len(b.Code)), byte(1)<<rng.IntN(8)
			if b.Code[i]^bit == a.Code[i] {
				continue // see moved.go: this one would not be seen
			}
			b.Code[i] ^= bit
			if n, d := Compare(a, b); d == nil {
				t.Errorf("%s: .text+%#x changed by %#x in %s: equal but for %v", arch, i, bit, b.at(i), n)
			}
			b.Code[i] ^= bit
		}
		if _, d := Compare(a, text(t, constant, target)); d == nil || !strings.HasPrefix(d.Reason, "fmt.(*pp).free: same size") && d.Changed == 0 {
			t.Errorf("%s: a changed constant: %+v", arch, d)
		}
	}
}
