// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package linkcheck

import (
	"bytes"
	"context"
	"fmt"
	"go/version"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/toolchain"
	"rtgo.dev/rtgo/internal/upstream"
	"rtgo.dev/rtgo/internal/upstreamtest"
)

// releases returns an unpatched go command of every pinned release, fetched
// by the go command if need be.
func releases(t *testing.T) map[string]string {
	t.Helper()
	pins, err := upstream.LoadPins("../..")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, pin := range pins.Lines {
		tree, err := upstreamtest.PathTree(t.Context(), pin.Version)
		if err != nil {
			t.Fatal(err)
		}
		all[pin.Version] = filepath.Join(tree.GOROOT, "bin", "go")
	}
	return all
}

var env = []string{"GOTOOLCHAIN=local", "GOROOT=", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "CGO_ENABLED=0"}

// want has, for each program in testdata/mod, what becomes of its bindings:
// "form symbol status". A status may depend on the release line.
var want = map[string][]string{
	"pullopen":      {"pull runtime.nanotime ok"},
	"pullclosed":    {"pull runtime.sysmon forbidden"},
	"blocked":       {"pull runtime.coroswitch forbidden"},
	"replaceopen":   {"push runtime.entersyscall duplicate"},
	"replaceclosed": {"push runtime.retake duplicate"},
	"missing":       {"pull runtime.rtgoNoSuchFunction missing"},
	"signature":     {"pull runtime.nanotime signature"},
	"layout":        {"pull sync.runtime_Semacquire layout"},
	"compatible":    {"pull runtime.memequal compatible", "pull sync.runtime_Semacquire compatible"},
	"asmtarget":     {"pull runtime.publicationBarrier ok, forbidden from go1.27"},
	"asmref":        {"asm runtime.nanotime unchecked"},
	"asmclosed":     {"asm runtime.forcegcperiod forbidden"},
	"push":          nil, // the directive is in lib
	"lib":           {"open example.com/m/lib.Answer ok", "push main.hello ok"},
	"pushother":     {"await main.hello signature"},
	"unbound":       {"push runtime.rtgoNoSuchFunction unbound"},
	"variable":      {"pull runtime.zeroVal ok"},
	"closedvar":     {"pull runtime.forcegcperiod forbidden"},
	"loophole":      nil, // the directive is in loopholelib
	"loopholelib":   {"pull runtime.retake unopened"},
	"method":        {"pull reflect.(*rtype).Align compatible"},
	"nounsafe":      {" runtime.nanotime malformed"},
}

// expect resolves what depends on the release.
func expect(lines []string, release string) []string {
	var out []string
	for _, line := range lines {
		line, from, ok := strings.Cut(line, ", ")
		if ok {
			f := strings.Fields(from) // STATUS from LINE
			if version.Compare(release, f[2]) >= 0 {
				w := strings.Fields(line)
				line = strings.Join(append(w[:len(w)-1], f[0]), " ")
			}
		}
		out = append(out, line)
	}
	return out
}

func brief(r *Report) []string {
	var out []string
	for _, b := range r.Bindings {
		out = append(out, fmt.Sprintf("%s %s %s", b.Form, b.Symbol, b.Status))
	}
	return out
}

// TestAgainstLinker checks the verdicts, and that the toolchain's own agrees:
// a program links unless one of its bindings is refused for another reason
// than types, which the toolchain does not compare.
func TestAgainstLinker(t *testing.T) {
	dirs, err := os.ReadDir("testdata/mod")
	if err != nil {
		t.Fatal(err)
	}
	for release, goCmd := range releases(t) {
		for _, d := range dirs {
			if !d.IsDir() {
				continue
			}
			t.Run(release+"/"+d.Name(), func(t *testing.T) {
				lines, ok := want[d.Name()]
				if !ok {
					t.Fatal("not in the table")
				}
				r, err := Check(t.Context(), Options{Go: goCmd, Dir: "testdata/mod", Env: env, Patterns: []string{"./" + d.Name()}})
				if d.Name() == "lib" { // its other side is in push
					r, err = Check(t.Context(), Options{Go: goCmd, Dir: "testdata/mod", Env: env, Patterns: []string{"./lib", "./push"}})
				}
				if err != nil {
					t.Fatal(err)
				}
				if got, want := brief(r), expect(lines, release); !slices.Equal(got, want) {
					t.Errorf("got %q\nwant %q", got, want)
				}
				links := true
				for _, b := range r.Bindings {
					switch b.Status {
					case Missing, Forbidden, Duplicate, Malformed:
						links = false
					}
				}
				out, err := build(t.Context(), goCmd, d.Name(), t.TempDir())
				if links != (err == nil) {
					t.Errorf("%s build: %v, want success %v\n%s", release, err, links, out)
				}
				if !links {
					t.Logf("the toolchain says: %s", out)
				}
			})
		}
	}
}

func build(ctx context.Context, goCmd, dir, tmp string, flags ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, goCmd, append(append([]string{"build", "-o", filepath.Join(tmp, "x")}, flags...), "./"+dir)...)
	cmd.Dir, cmd.Env = "testdata/mod", append(os.Environ(), env...)
	return cmd.CombinedOutput()
}

// TestNoLinkerCheck checks what -checklinkname=0 changes: references that
// are not open link, and a body still replaces nothing.
func TestNoLinkerCheck(t *testing.T) {
	goCmd := slices.Sorted(maps.Values(releases(t)))[0]
	for dir, want := range map[string]Status{"closedvar": OK, "replaceclosed": Duplicate} {
		r, err := Check(t.Context(), Options{Go: goCmd, Dir: "testdata/mod", Env: env, Patterns: []string{"./" + dir}, NoLinkerCheck: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Bindings) != 1 || r.Bindings[0].Status != want {
			t.Errorf("%s: %q, want %s", dir, brief(r), want)
		}
		out, err := build(t.Context(), goCmd, dir, t.TempDir(), "-ldflags=-checklinkname=0")
		if (err == nil) != !want.Bad() {
			t.Errorf("%s: build: %v\n%s", dir, err, out)
		}
	}
}

// TestStandardLibrary checks every binding of the standard library itself:
// since it links and works, nothing in it may be refused.
func TestStandardLibrary(t *testing.T) {
	for release, goCmd := range releases(t) {
		t.Run(release, func(t *testing.T) {
			r, err := Check(t.Context(), Options{Go: goCmd, Dir: t.TempDir(), Env: env, Patterns: []string{"std"}})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Bindings) < 500 {
				t.Errorf("%d bindings; there were more than that in every release", len(r.Bindings))
			}
			for _, b := range r.Bad() {
				if strings.HasPrefix(b.Symbol, "internal/runtime/atomic.") && b.Package == "sync" {
					continue // an intrinsic of the compiler under sync's own name
				}
				t.Errorf("%s %s %s (%s/%s): %s\n\t%s\n\t%s", b.Status, b.Form, b.Symbol, b.Package, b.Pos, b.Why, b.LocalType, b.TargetType)
			}
		})
	}
}

func TestRecord(t *testing.T) {
	a := &Report{GOARCH: "amd64", Bindings: []*Binding{
		{Package: "p", Form: "pull", Symbol: "runtime.a", LocalType: "func()", Target: "runtime", TargetType: "func()", Status: OK},
		{Package: "p", Form: "pull", Symbol: "runtime.b", LocalType: "func()", Target: "runtime", TargetType: "func()", Status: OK},
	}}
	b := &Report{GOARCH: "arm64", Bindings: a.Bindings[:1]}
	lines := Record(a, b)
	if want := []string{"p pull runtime.a: func() => runtime func(), ok", "p pull runtime.b: func() => runtime func(), ok [amd64]"}; !slices.Equal(lines, want) {
		t.Fatalf("Record:\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	file := filepath.Join(t.TempDir(), "new", "record.txt")
	if _, err := CompareRecord(file, lines); err == nil || !strings.Contains(err.Error(), "-record") {
		t.Errorf("without a record: %v", err)
	}
	if err := WriteRecord(file, lines); err != nil {
		t.Fatal(err)
	}
	if diff, err := CompareRecord(file, lines); err != nil || len(diff) > 0 {
		t.Errorf("unchanged: %q, %v", diff, err)
	}
	// The next release has another parameter, and one function less.
	next := *a.Bindings[0]
	next.TargetType, next.Status = "func(int)", Signature
	diff, err := CompareRecord(file, Record(&Report{GOARCH: "amd64", Bindings: []*Binding{&next}}))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{
		"-p pull runtime.a: func() => runtime func(), ok",
		"+p pull runtime.a: func() => runtime func(int), signature",
		"-p pull runtime.b: func() => runtime func(), ok [amd64]",
	}; !slices.Equal(diff, want) {
		t.Errorf("diff:\n%s\nwant\n%s", strings.Join(diff, "\n"), strings.Join(want, "\n"))
	}
}

func TestSymbolNames(t *testing.T) {
	for _, tt := range []struct{ path, escaped string }{
		{"runtime", "runtime"},
		{"gopkg.in/yaml.v3", "gopkg.in/yaml%2ev3"},
		{"example.com/a.b/c", "example.com/a.b/c"},
	} {
		if got := escapePath(tt.path); got != tt.escaped {
			t.Errorf("escapePath(%q) = %q, want %q", tt.path, got, tt.escaped)
		}
		if got := unescapePath(tt.escaped); got != tt.path {
			t.Errorf("unescapePath(%q) = %q, want %q", tt.escaped, got, tt.path)
		}
		for _, name := range []string{"F", "(*T).M"} {
			if pkg, rest := splitSymbol(tt.escaped + "." + name); pkg != tt.escaped || rest != name {
				t.Errorf("splitSymbol(%q) = %q, %q", tt.escaped+"."+name, pkg, rest)
			}
		}
	}
	if pkg, rest := splitSymbol(path.Base("crosscall2")); pkg != "" || rest != "crosscall2" {
		t.Errorf("splitSymbol of a C symbol: %q, %q", pkg, rest)
	}
}

func TestBadInput(t *testing.T) {
	goCmd := slices.Sorted(maps.Values(releases(t)))[0]
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{Go: "/nonexistent/go", Patterns: []string{"."}}, "/nonexistent/go"},
		{Options{Go: goCmd, Dir: "testdata/mod", Env: env, Patterns: []string{"./nosuch"}}, "nosuch"},
		{Options{Go: goCmd, Dir: "testdata/mod", Env: append(slices.Clone(env), "GOROOT="+t.TempDir()), Patterns: []string{"./lib"}}, "complete GOROOT"},
	} {
		if _, err := Check(t.Context(), tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v, want one with %q", tt.o.Patterns, err, tt.want)
		}
	}
}

// TestOverlay checks that a change on one side only of what the overlay
// binds is refused: in a signature, and in a struct behind a pointer.
func TestOverlay(t *testing.T) {
	pins, err := upstream.LoadPins("../..")
	if err != nil {
		t.Fatal(err)
	}
	pin, err := pins.Select("")
	if err != nil {
		t.Fatal(err)
	}
	set, err := series.LoadSet("../..", pin.Line)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := toolchain.FindSource(t.Context(), pin, "", "", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	edited := 0
	for i, f := range set.Overlay {
		for _, edit := range []struct{ old, new string }{
			{"func rt_leave() {", "func rt_leave(reason int) {"},
			{"type rtRunStats struct {\n", "type rtRunStats struct {\n\tversion uint64\n"},
		} {
			if bytes.Contains(f.Data, []byte(edit.old)) {
				set.Overlay[i].Data = bytes.Replace(set.Overlay[i].Data, []byte(edit.old), []byte(edit.new), 1)
				edited++
			}
		}
	}
	if edited != 2 {
		t.Fatalf("%d of 2 edits apply; adjust them to the overlay", edited)
	}
	reports, err := CheckOverlay(t.Context(), "../..", releases(t)[pin.Version], tree, set)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		var got []string
		for _, b := range r.Bad() {
			got = append(got, fmt.Sprintf("%s %s %s", b.Form, b.Symbol, b.Status))
		}
		want := []string{
			"push runtime/rt.leave signature", "await runtime/rt.leave signature",
		}
		for _, line := range got {
			if !slices.Contains(want, line) {
				t.Errorf("%s: unexpected %s", r.GOARCH, line)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %q, want %q", r.GOARCH, got, want)
		}
		if !slices.ContainsFunc(r.Bindings, func(b *Binding) bool {
			return b.Symbol == "runtime/rt.readRuntime" && b.Status == Prefix
		}) {
			t.Errorf("%s: the added field is not seen", r.GOARCH)
		}
	}
}
