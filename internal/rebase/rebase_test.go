// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rebase

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/toolchain"
	"rtgo.dev/rtgo/internal/upstream"
)

// These tests run the command from end to end, on small upstream releases that
// the go command downloads from a directory.

const (
	oldRelease = "go1.26.98"
	newRelease = "go1.27.1"
)

// upstreamOld is the old release. Each of its files is changed by one patch.
var upstreamOld = map[string]string{
	"go.env":                        "GOTOOLCHAIN=auto\n",
	"src/_go.mod":                   "module std\n",
	"src/make.bash":                 "bootgo=1.24.6\n",
	"src/runtime/runtime.go":        "package runtime\n\ntype mutex struct {\n\tkey uintptr\n}\n\nfunc nanotime() int64 { return 0 }\n\nfunc one()   {}\nfunc two()   {}\nfunc three() {}\nfunc four()  {}\n",
	"src/runtime/proc.go":           "package runtime\n\n// schedule runs one goroutine.\nfunc schedule() {\n\tone()\n\ttwo()\n\tthree()\n\tfour()\n}\n",
	"src/runtime/lock.go":           "package runtime\n\nfunc lock2(l *mutex) {\n\tl.key++\n\tone()\n\ttwo()\n\tthree()\n\tfour()\n}\n",
	"src/runtime/netpoll.go":        "package runtime\n\nfunc netpoll() {\n\tfour()\n\tthree()\n\ttwo()\n\tone()\n}\n",
	"src/runtime/sema.go":           "package runtime\n\nfunc semacquire() {\n\tone()\n\tthree()\n}\n",
	"src/runtime/exit.go":           "package runtime\n\nfunc goexit1() {\n\ttwo()\n\tfour()\n}\n",
	"src/runtime/internal/x/doc.go": "package x\n",
}

var overlay = map[string]string{
	"src-overlay/runtime/rt_on.go":  "//go:build goexperiment.rt\n\npackage runtime\n\nconst rtOn = true\n\nfunc rtHook() int64 { return nanotime() }\n\nfunc rtLock(l *mutex) { l.key = 0 }\n",
	"src-overlay/runtime/rt_off.go": "//go:build !goexperiment.rt\n\npackage runtime\n\nconst rtOn = false\n\nfunc rtHook() int64 { return 0 }\n\nfunc rtLock(l *mutex) {}\n",
}

// edits are the patches, in order: file, old text, new text, subject.
var edits = [][4]string{
	{"src/runtime/proc.go", "\tthree()\n", "\tif rtOn {\n\t\trtHook()\n\t}\n\tthree()\n", "runtime: call the hook in schedule"},
	{"src/runtime/lock.go", "\tone()\n", "\tif rtOn {\n\t\trtLock(l)\n\t}\n\tone()\n", "runtime: call the hook in lock2"},
	{"src/runtime/netpoll.go", "\ttwo()\n", "\tif rtOn {\n\t\trtHook()\n\t}\n\ttwo()\n", "runtime: call the hook in netpoll"},
	{"src/runtime/sema.go", "\tone()\n", "\tone()\n\ttwo()\n", "runtime: call two in semacquire"},
	{"src/runtime/exit.go", "\ttwo()\n", "\tif rtOn {\n\t\trtHook()\n\t}\n\ttwo()\n", "runtime: call the hook in goexit1"},
}

// rtgo is the command under test.
var rtgo string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "rtgo-rebase-test-")
	if err != nil {
		panic(err)
	}
	rtgo = filepath.Join(dir, "rtgo")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", rtgo, "rtgo.dev/rtgo/cmd/rtgo").CombinedOutput()
	code := 1
	if err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// A world is a repository with a series for the old release, and a place from
// where the go command downloads releases.
type world struct {
	*testing.T
	root, proxy, cache string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	t.Parallel()
	dir := t.TempDir()
	w := &world{t, filepath.Join(dir, "repo"), filepath.Join(dir, "proxy"), filepath.Join(dir, "mod")}
	t.Cleanup(func() { // the module cache is read-only
		filepath.WalkDir(w.cache, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				os.Chmod(name, 0o777)
			}
			return nil
		})
	})
	w.publish(oldRelease, upstreamOld)
	w.write(w.root, overlay)
	w.rtgo(0, "pin", "--goroot", "", oldRelease)

	pins, err := upstream.LoadPins(w.root)
	if err != nil {
		t.Fatal(err)
	}
	pin, err := pins.Select("")
	if err != nil {
		t.Fatal(err)
	}
	src := t.TempDir()
	w.write(src, map[string]string{"VERSION": pin.VersionFile})
	for name, data := range upstreamOld {
		w.write(src, map[string]string{strings.Replace(name, "_go.mod", "go.mod", 1): data})
	}
	tree, err := upstream.Verify(pin, src)
	if err != nil {
		t.Fatal(err)
	}
	c := series.NewCheckout(w.root, pin, filepath.Join(dir, "edit"))
	overlayFiles, err := series.LoadOverlay(filepath.Join(w.root, "src-overlay"))
	if err != nil {
		t.Fatal(err)
	}
	stamp := map[string][]byte{toolchain.StampFile: []byte("package load\n")}
	if err := c.Create(context.Background(), tree, &series.Set{Overlay: overlayFiles}, stamp); err != nil {
		t.Fatal(err)
	}
	for _, e := range edits {
		w.replace(filepath.Join(c.WorkTree, e[0]), e[1], e[2])
		msg := e[3] + "\n\nWhat: calls " + e[0] + "\nWhy: to be called\nUpstream-Status: Inappropriate [test]\nTested: TestRebase\n"
		w.git(c.WorkTree, "commit", "-q", "-a", "-m", msg)
	}
	if _, err := c.Export(context.Background()); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) write(dir string, files map[string]string) {
	w.Helper()
	for name, data := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			w.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o666); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) read(file string) string {
	w.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		w.Fatal(err)
	}
	return string(data)
}

func (w *world) replace(file, old, new string) {
	w.Helper()
	s := w.read(file)
	if strings.Count(s, old) != 1 {
		w.Fatalf("%s: %q is not there once:\n%s", file, old, s)
	}
	w.write("/", map[string]string{file: strings.Replace(s, old, new, 1)})
}

// publish makes a release that the go command can download.
func (w *world) publish(release string, files map[string]string) {
	w.Helper()
	for _, platform := range []string{"linux-amd64", "linux-arm64"} {
		version := upstream.ModuleVersion(release, platform)
		base := filepath.Join("golang.org", "toolchain", "@v", version)
		w.write(w.proxy, map[string]string{
			base + ".info": fmt.Sprintf(`{"Version":%q,"Time":"2026-01-02T03:04:05Z"}`, version),
			base + ".mod":  "module golang.org/toolchain\n",
		})
		f, err := os.Create(filepath.Join(w.proxy, base+".zip"))
		if err != nil {
			w.Fatal(err)
		}
		z := zip.NewWriter(f)
		all := maps.Clone(files)
		all["VERSION"] = release + "\ntime 2026-01-02T03:04:05Z\n"
		all["bin/go"] = platform
		for _, name := range slices.Sorted(maps.Keys(all)) {
			e, err := z.Create(upstream.ModulePath + "@" + version + "/" + name)
			if err == nil {
				_, err = e.Write([]byte(all[name]))
			}
			if err != nil {
				w.Fatal(err)
			}
		}
		if err := errors.Join(z.Close(), f.Close()); err != nil {
			w.Fatal(err)
		}
	}
}

// next publishes the new release: the old one, changed. An empty file is
// deleted.
func (w *world) next(change map[string]string) {
	w.Helper()
	files := maps.Clone(upstreamOld)
	maps.Copy(files, change)
	maps.DeleteFunc(files, func(_, data string) bool { return data == "" })
	w.publish(newRelease, files)
}

// run runs the command and requires an exit code.
func (w *world) rtgo(code int, args ...string) (output string) {
	w.Helper()
	cmd := exec.Command(rtgo, args...)
	cmd.Dir = w.root
	cmd.Env = append(os.Environ(), "GOPROXY=file://"+w.proxy, "GOSUMDB=off", "GOMODCACHE="+w.cache)
	if len(args) > 0 && args[0] == "pin" {
		if err := os.MkdirAll(w.root, 0o777); err != nil {
			w.Fatal(err)
		}
		cmd.Env = append(cmd.Env, "RTGO_ROOT=")
	} else {
		cmd.Env = append(cmd.Env, "RTGO_ROOT="+w.root)
	}
	out, err := cmd.CombinedOutput()
	ee := (*exec.ExitError)(nil)
	if err != nil && !errors.As(err, &ee) {
		w.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		w.Fatalf("rtgo %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	return string(out)
}

// rebase runs rtgo rebase and returns its report.
func (w *world) rebase(code int, args ...string) *Report {
	w.Helper()
	file := filepath.Join(w.TempDir(), "report.json")
	out := w.rtgo(code, append([]string{"rebase", "--to", newRelease, "--json", file, "--markdown", file + ".md"}, args...)...)
	var r Report
	if err := json.Unmarshal([]byte(w.read(file)), &r); err != nil {
		w.Fatal(err)
	}
	if md := w.read(file + ".md"); !strings.Contains(md, r.headline()) {
		w.Errorf("Markdown lacks %q:\n%s", r.headline(), md)
	}
	w.Logf("%s\n%s", strings.Join(args, " "), out)
	return &r
}

// git runs git as a person does, in the checkout of the rebase or another.
func (w *world) git(dir string, args ...string) string {
	w.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=A Person", "-c", "user.email=person@example.org", "-c", "commit.gpgSign=false"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_EDITOR=true")
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (w *world) checkout() string { return filepath.Join(w.root, "out", "rebase-"+newRelease) }

// patches returns the names of the files in patches/, sorted.
func (w *world) patches() []string {
	w.Helper()
	names, err := filepath.Glob(filepath.Join(w.root, "patches", "*", "*"))
	if err != nil {
		w.Fatal(err)
	}
	for i, n := range names {
		names[i], _ = filepath.Rel(filepath.Join(w.root, "patches"), n)
	}
	return names
}

// state returns all that a rebase may write in the repository.
func (w *world) state() string {
	w.Helper()
	var b strings.Builder
	b.WriteString(w.read(filepath.Join(w.root, "upstream.json")))
	pins, _ := filepath.Glob(filepath.Join(w.root, "pins", "*"))
	fmt.Fprintln(&b, pins)
	for _, p := range w.patches() {
		b.WriteString(p + "\n" + w.read(filepath.Join(w.root, "patches", p)))
	}
	return b.String()
}

func (w *world) classes(r *Report, want ...Class) {
	w.Helper()
	var got []Class
	for _, p := range r.Patches {
		got = append(got, p.Class)
	}
	if !slices.Equal(got, want) {
		w.Errorf("classes %q, want %q", got, want)
	}
}

func (w *world) status(r *Report, want Status) {
	w.Helper()
	if r.Status != want {
		w.Errorf("status %q, want %q", r.Status, want)
	}
}

// TestCleanAndMerged: lines above a hook, a line beside one, and a file that
// moved.
func TestCleanAndMerged(t *testing.T) {
	w := newWorld(t)
	w.next(map[string]string{
		"src/runtime/lock.go":      strings.Replace(upstreamOld["src/runtime/lock.go"], "package runtime\n", "package runtime\n\n// More.\n// And more.\n", 1),
		"src/runtime/exit.go":      strings.Replace(upstreamOld["src/runtime/exit.go"], "\tfour()\n", "\tthree()\n\tfour()\n", 1),
		"src/runtime/netpoll.go":   "",
		"src/runtime/netpoll_e.go": upstreamOld["src/runtime/netpoll.go"],
	})
	r := w.rebase(0, "--checks", "lint,types,each")
	w.status(r, Done)
	w.classes(r, Clean, LineNumbers, ThreeWay, Clean, ThreeWay)
	if got := r.Patches[2].Moved["src/runtime/netpoll.go"]; got != "src/runtime/netpoll_e.go" {
		t.Errorf("moved file: %q", got)
	}
	if len(r.Checks) != 3 {
		t.Errorf("checks: %+v", r.Checks)
	}
	if len(r.Reviews) != 1 || r.Reviews[0].Name != "goexit1" || !strings.Contains(r.Reviews[0].Diff, "+\tthree()") {
		t.Errorf("reviews: %+v", r.Reviews)
	}
	// What differs is in the directories of the lines, and says of what it is
	// a port.
	want := []string{"common/0001-runtime-call-the-hook-in-schedule.patch", "common/0002-runtime-call-the-hook-in-lock2.patch", "common/0004-runtime-call-two-in-semacquire.patch",
		"go1.26/0003-runtime-call-the-hook-in-netpoll.patch", "go1.26/0005-runtime-call-the-hook-in-goexit1.patch",
		"go1.27/0003-runtime-call-the-hook-in-netpoll.patch", "go1.27/0005-runtime-call-the-hook-in-goexit1.patch"}
	if got := w.patches(); !slices.Equal(got, want) {
		t.Errorf("patches: %q", got)
	}
	if got := w.read(filepath.Join(w.root, "patches", want[5])); !strings.Contains(got, "\nPort-Of: go1.26 ") || !strings.Contains(got, "+++ b/src/runtime/netpoll_e.go") {
		t.Errorf("port:\n%s", got)
	}
	w.rtgo(0, "lint", "--upstream", "go1.26")
	w.rtgo(0, "lint", "--upstream", "go1.27")
	w.rtgo(0, "series", "--upstream", "go1.26", "--types")
	w.rtgo(0, "series", "--upstream", "go1.27", "--types")

	// Again: nothing is asked, nothing written.
	before := w.state()
	r = w.rebase(0)
	w.classes(r, Clean, LineNumbers, Kept, Clean, Kept)
	if w.state() != before {
		t.Error("the second rebase changed the repository")
	}

	// A change of the default line's own patch makes the port out of date
	// until the next rebase.
	file := filepath.Join(w.root, "patches", want[4])
	w.replace(file, "Why: to be called\n", "Why: to be called, always\n")
	if out := w.rtgo(1, "lint", "--upstream", "go1.27"); !strings.Contains(out, "rtgo rebase --to "+newRelease) {
		t.Errorf("lint: %s", out)
	}
	r = w.rebase(0)
	w.classes(r, Clean, LineNumbers, Kept, Clean, ThreeWay)
	w.rtgo(0, "lint", "--upstream", "go1.27")
}

// renamed is a release in which lock2 has another name and, beside the hook,
// another line.
var renamed = map[string]string{
	"src/runtime/lock.go": strings.NewReplacer("lock2", "lockSlow", "\tl.key++\n", "\tl.key += 16\n").Replace(upstreamOld["src/runtime/lock.go"]),
}

// TestRenamedFunction: a conflict that a human resolves.
func TestRenamedFunction(t *testing.T) {
	w := newWorld(t)
	w.next(renamed)
	before := w.state()
	r := w.rebase(3)
	w.status(r, Conflict)
	w.classes(r, Clean, TargetGone)
	if w.state() != before {
		t.Error("a conflict changed the repository")
	}
	if r.Waiting != 3 || r.Checkout != w.checkout() {
		t.Errorf("waiting %d, checkout %s", r.Waiting, r.Checkout)
	}
	p := r.Patches[1]
	if p.What != "calls src/runtime/lock.go" || p.Why != "to be called" || len(p.Conflicts) != 1 {
		t.Fatalf("conflict: %+v", p)
	}
	c := p.Conflicts[0]
	if c.File != "src/runtime/lock.go" || c.Reason != "function gone" || !strings.Contains(c.Patch, "+\t\trtLock(l)") || !strings.Contains(c.Merge, "<<<<<<<") {
		t.Errorf("conflict: %+v", c)
	}
	if len(c.Functions) != 1 || c.Functions[0].Name != "lock2" || c.Functions[0].Change != "renamed" || c.Functions[0].New != "src/runtime/lock.go: lockSlow" ||
		!strings.Contains(c.Functions[0].Diff, "+\tl.key += 16") {
		t.Errorf("what upstream did: %+v", c.Functions)
	}

	// A second start and a premature --continue change nothing.
	file := filepath.Join(w.checkout(), "src/runtime/lock.go")
	left := w.read(file)
	if out := w.rtgo(1, "rebase", "--to", newRelease); !strings.Contains(out, "--continue") {
		t.Errorf("second start: %s", out)
	}
	r = w.rebase(3, "--continue")
	w.classes(r, Clean, TargetGone)
	w.git(w.checkout(), "add", "-A") // but the marks are in it
	w.rebase(3, "--continue")
	if w.read(file) != left {
		t.Error("the file in conflict changed")
	}

	// Resolved, left for --continue to commit.
	w.write(w.checkout(), map[string]string{"src/runtime/lock.go": strings.Replace(renamed["src/runtime/lock.go"], "\tone()\n", "\tif rtOn {\n\t\trtLock(l)\n\t}\n\tone()\n", 1)})
	w.rebase(3, "--continue") // not added yet
	w.git(w.checkout(), "add", "-A")
	r = w.rebase(0, "--continue")
	w.status(r, Done)
	w.classes(r, Clean, ByHand, Clean, Clean, Clean)
	port := w.read(filepath.Join(w.root, "patches/go1.27/0002-runtime-call-the-hook-in-lock2.patch"))
	for _, want := range []string{"From: The rtgo Authors", "\nWhy: to be called\n", "\nPort-Of: go1.26 ", "func lockSlow(l *mutex) {", "+\t\trtLock(l)"} {
		if !strings.Contains(port, want) {
			t.Errorf("port lacks %q:\n%s", want, port)
		}
	}
	pins, err := upstream.LoadPins(w.root)
	if err != nil || pins.Lines["go1.27"] == nil || pins.Default != "go1.26" {
		t.Errorf("pins: %+v, %v", pins, err)
	}
	// It is not asked about again.
	r = w.rebase(0)
	w.classes(r, Clean, Kept, Clean, Clean, Clean)
}

// TestHumanCommits: the human commits, with their own git, and more than was
// asked for.
func TestHumanCommits(t *testing.T) {
	w := newWorld(t)
	w.next(renamed)
	w.rebase(3)
	file := filepath.Join(w.checkout(), "src/runtime/lock.go")
	w.write("/", map[string]string{file: strings.Replace(renamed["src/runtime/lock.go"], "\tone()\n", "\tif rtOn {\n\t\trtLock(l)\n\t}\n\tone()\n", 1)})
	w.git(w.checkout(), "commit", "-q", "-a", "--no-edit")
	w.replace(filepath.Join(w.checkout(), "src/runtime/runtime.go"), "func four()  {}\n", "func four()  {}\n\n// mine\n")
	if out := w.rtgo(1, "rebase", "--to", newRelease, "--continue"); !strings.Contains(out, "not committed") {
		t.Errorf("with an edit that is not committed: %s", out)
	}
	w.git(w.checkout(), "commit", "-q", "-a", "-m", "runtime: comment\n\nWhat: x\nWhy: y\nUpstream-Status: Pending\nTested: z")
	r := w.rebase(0, "--continue")
	w.classes(r, Clean, ByHand, Clean, Clean, Clean)
	if got := w.read(filepath.Join(w.root, "patches/go1.27/0003-runtime-comment.patch")); !strings.Contains(got, "// mine") {
		t.Errorf("the human's own commit:\n%s", got)
	}
	// The patch that only the new line has stays there, behind those that
	// both have.
	r = w.rebase(0)
	w.classes(r, Clean, Kept, Clean, Clean, Clean, Kept)
	if got := w.read(filepath.Join(w.root, "patches/go1.27/0006-runtime-comment.patch")); !strings.Contains(got, "// mine") {
		t.Errorf("after another rebase:\n%s", got)
	}
}

// TestAlreadyUpstream: the new release has a patch.
func TestAlreadyUpstream(t *testing.T) {
	w := newWorld(t)
	w.next(map[string]string{"src/runtime/sema.go": strings.Replace(upstreamOld["src/runtime/sema.go"], "\tone()\n", "\tone()\n\ttwo()\n", 1)})
	r := w.rebase(0)
	w.classes(r, Clean, Clean, Clean, Upstreamed, Clean)
	want := []string{"common/0001-runtime-call-the-hook-in-schedule.patch", "common/0002-runtime-call-the-hook-in-lock2.patch", "common/0003-runtime-call-the-hook-in-netpoll.patch",
		"common/0005-runtime-call-the-hook-in-goexit1.patch", "go1.26/0004-runtime-call-two-in-semacquire.patch", "go1.27/without.txt"}
	if got := w.patches(); !slices.Equal(got, want) {
		t.Errorf("patches: %q", got)
	}
	w.rtgo(0, "lint", "--upstream", "go1.27")
	w.rtgo(0, "series", "--upstream", "go1.27")
}

// TestDeletedFile: the file of a patch is no more; the human leaves it out.
func TestDeletedFile(t *testing.T) {
	w := newWorld(t)
	w.next(map[string]string{"src/runtime/exit.go": ""})
	r := w.rebase(3)
	w.classes(r, Clean, Clean, Clean, Clean, TargetGone)
	c := r.Patches[4].Conflicts
	if len(c) != 1 || c[0].Reason != "file gone" || len(c[0].Functions) != 1 || c[0].Functions[0].Change != "gone" {
		t.Errorf("conflict: %+v", c)
	}
	w.git(w.checkout(), "rm", "-q", "src/runtime/exit.go")
	r = w.rebase(0, "--continue")
	w.classes(r, Clean, Clean, Clean, Clean, Dropped)
	if got := strings.TrimSpace(w.read(filepath.Join(w.root, "patches/go1.27/without.txt"))); got != "runtime-call-the-hook-in-goexit1.patch" {
		t.Errorf("without.txt: %q", got)
	}
	w.rtgo(0, "lint", "--upstream", "go1.27")
}

// TestChangedSignature: the overlay calls a function that is declared
// otherwise, and uses a field that is no more.
func TestChangedSignature(t *testing.T) {
	w := newWorld(t)
	w.next(map[string]string{"src/runtime/runtime.go": strings.NewReplacer("func nanotime() int64 {", "func nanotime(clock int32) int64 {", "\tkey uintptr", "\tword uintptr").Replace(upstreamOld["src/runtime/runtime.go"]),
		"src/runtime/lock.go": strings.Replace(upstreamOld["src/runtime/lock.go"], "l.key", "l.word", 1)})
	r := w.rebase(3)
	w.status(r, Conflict) // lock2, beside the hook
	w.write(w.checkout(), map[string]string{"src/runtime/lock.go": strings.NewReplacer("l.key", "l.word", "\tone()\n", "\tif rtOn {\n\t\trtLock(l)\n\t}\n\tone()\n").Replace(upstreamOld["src/runtime/lock.go"])})
	w.git(w.checkout(), "add", "-A")
	r = w.rebase(3, "--continue")
	w.status(r, Check)
	byName := map[string]Identifier{}
	for _, id := range r.Identifiers {
		byName[id.Name] = id
	}
	if id := byName["nanotime"]; id.Change != "changed" || id.Old != "func nanotime() int64" || id.New != "func nanotime(clock int32) int64" ||
		!slices.Equal(id.Uses, []string{"src-overlay/runtime/rt_on.go:7"}) || len(id.Arch) != 2 {
		t.Errorf("nanotime: %+v", id)
	}
	if id := byName["mutex.key"]; id.Change != "vanished" || id.Old != "field key uintptr" || id.Package != "runtime" {
		t.Errorf("mutex.key: %+v", id)
	}
	if len(r.Identifiers) != 2 {
		t.Errorf("identifiers: %+v", r.Identifiers)
	}
	i := slices.IndexFunc(r.Checks, func(c CheckRun) bool { return c.Name == "types" })
	if i < 0 || r.Checks[i].Result != "fail" || !strings.Contains(r.Checks[i].Detail, "src/runtime/rt_on.go:7") {
		t.Fatalf("checks: %+v", r.Checks)
	}
	if out := w.rtgo(1, "series", "--upstream", "go1.27", "--types"); !strings.Contains(out, "rt_on.go:7") {
		t.Errorf("series --types: %s", out)
	}

	// The lines differ in one small file each.
	w.write(w.root, map[string]string{
		"src-overlay/runtime/rt_on.go":     "//go:build goexperiment.rt\n\npackage runtime\n\nconst rtOn = true\n\nfunc rtHook() int64 { return rtNow() }\n\nfunc rtLock(l *mutex) { *l.rtKey() = 0 }\n",
		"src-overlay/runtime/rt_go1.26.go": "//go:build goexperiment.rt && !go1.27\n\npackage runtime\n\nfunc rtNow() int64 { return nanotime() }\n\nfunc (l *mutex) rtKey() *uintptr { return &l.key }\n",
		"src-overlay/runtime/rt_go1.27.go": "//go:build goexperiment.rt && go1.27\n\npackage runtime\n\nfunc rtNow() int64 { return nanotime(1) }\n\nfunc (l *mutex) rtKey() *uintptr { return &l.word }\n",
	})
	r = w.rebase(0, "--continue")
	w.status(r, Done)
	w.rtgo(0, "series", "--upstream", "go1.26", "--types")
	w.rtgo(0, "series", "--upstream", "go1.27", "--types")
}

// TestSameLine: the next release of the line that the series is of.
func TestSameLine(t *testing.T) {
	w := newWorld(t)
	files := maps.Clone(upstreamOld)
	files["src/runtime/exit.go"] = strings.Replace(files["src/runtime/exit.go"], "\tfour()\n", "\tthree()\n\tfour()\n", 1)
	files["src/runtime/sema.go"] = strings.Replace(files["src/runtime/sema.go"], "\tone()\n", "\tone()\n\ttwo()\n", 1)
	w.publish("go1.26.99", files)
	file := filepath.Join(t.TempDir(), "r.json")
	w.rtgo(0, "rebase", "--to", "go1.26.99", "--json", file)
	var r Report
	if err := json.Unmarshal([]byte(w.read(file)), &r); err != nil {
		t.Fatal(err)
	}
	w.classes(&r, Clean, Clean, Clean, Upstreamed, ThreeWay)
	want := []string{"go1.26/0001-runtime-call-the-hook-in-schedule.patch", "go1.26/0002-runtime-call-the-hook-in-lock2.patch",
		"go1.26/0003-runtime-call-the-hook-in-netpoll.patch", "go1.26/0004-runtime-call-the-hook-in-goexit1.patch"}
	if got := w.patches(); !slices.Equal(got, want) {
		t.Errorf("patches: %q", got)
	}
	pins, err := upstream.LoadPins(w.root)
	if err != nil || pins.Lines["go1.26"].Version != "go1.26.99" {
		t.Errorf("pins: %+v, %v", pins, err)
	}
	w.rtgo(0, "series", "--types")
	w.rtgo(0, "lint")
	w.rtgo(0, "rebase", "--to", "go1.26.99", "--continue") // checks again
}

// TestAbort: nothing is left, but what a human did.
func TestAbort(t *testing.T) {
	w := newWorld(t)
	w.next(renamed)
	before := w.state()
	w.rebase(3)
	w.rtgo(0, "rebase", "--to", newRelease, "--abort")
	if _, err := os.Stat(w.checkout()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the checkout is left: %v", err)
	}
	w.rebase(3)
	file := filepath.Join(w.checkout(), "src/runtime/lock.go")
	w.write("/", map[string]string{file: "package runtime // half of it\n"})
	w.git(w.checkout(), "add", "-A")
	out := w.rtgo(0, "rebase", "--to", newRelease, "--abort")
	kept := w.checkout() + ".aborted-1"
	if !strings.Contains(out, kept) || w.read(filepath.Join(kept, "src/runtime/lock.go")) != "package runtime // half of it\n" {
		t.Errorf("the work of a human: %s", out)
	}
	w.rtgo(1, "rebase", "--to", newRelease, "--continue")
	if w.state() != before {
		t.Error("the repository changed")
	}
	// Patches that change meanwhile are not overwritten.
	w.rebase(3)
	w.write("/", map[string]string{file: strings.Replace(renamed["src/runtime/lock.go"], "\tone()\n", "\tif rtOn {\n\t\trtLock(l)\n\t}\n\tone()\n", 1)})
	w.git(w.checkout(), "commit", "-q", "-a", "--no-edit")
	w.replace(filepath.Join(w.root, "patches/go1.26/0001-runtime-call-the-hook-in-schedule.patch"), "Why: to be called\n", "Why: to be called, too\n")
	before = w.state()
	if out := w.rtgo(1, "rebase", "--to", newRelease, "--continue"); !strings.Contains(out, "changed since") || w.state() != before {
		t.Errorf("after an edit of patches/: %s", out)
	}
	if out := w.rtgo(0, "rebase", "--to", newRelease, "--abort"); !strings.Contains(out, "aborted-2") {
		t.Errorf("abort of a resolved rebase: %s", out)
	}
}

func TestUsage(t *testing.T) {
	w := newWorld(t)
	for _, args := range [][]string{{"rebase"}, {"rebase", "--to", newRelease, "--checks", "x"}, {"rebase", "--to", newRelease, "--continue", "--abort"}} {
		w.rtgo(2, args...)
	}
	before := w.state()
	for _, args := range [][]string{{"rebase", "--to", "go1.99.1"}, {"rebase", "--to", "1.27"}, {"rebase", "--to", newRelease, "--continue"}, {"rebase", "--to", newRelease, "--abort"}} {
		if out := w.rtgo(1, args...); strings.Count(out, "rtgo rebase: ") > 2 {
			t.Errorf("%v: %s", args, out)
		}
	}
	if w.state() != before {
		t.Error("the repository changed")
	}
}

func TestWorseFigures(t *testing.T) {
	row := func(old, new Figures) LatencyRow {
		return LatencyRow{Scenario: "s", Load: "l", Old: &old, New: &new}
	}
	for _, tt := range []struct {
		name     string
		row      LatencyRow
		compared int
		worse    string
	}{
		{"equal", row(Figures{P50: 14, P99: 18, Max: 24}, Figures{P50: 14, P99: 18, Max: 24}), 1, ""},
		{"within", row(Figures{P50: 14, P99: 18, Max: 24}, Figures{P50: 17.4, P99: 21.8, Max: 46}), 1, ""},
		{"quantiles", row(Figures{P50: 14, P99: 18, Max: 24}, Figures{P50: 17.5, P99: 21.9, Max: 24}), 1, "p50 p99"},
		{"maximum", row(Figures{P50: 14, P99: 18, Max: 24}, Figures{P50: 14, P99: 18, Max: 46.1}), 1, "max"},
		{"void", row(Figures{P50: 14, Void: true}, Figures{P50: 99}), 0, ""},
		{"one side", LatencyRow{New: &Figures{P50: 99}}, 0, ""},
	} {
		compared, worse := worseFigures([]LatencyRow{tt.row})
		var names []string
		for _, w := range worse {
			names = append(names, w.name)
			if !w.same(worseFigure{scenario: "s", load: "l", name: w.name}) || w.same(worseFigure{scenario: "s", load: "x", name: w.name}) {
				t.Errorf("%s: %v is not itself, or another", tt.name, w)
			}
		}
		if got := strings.Join(names, " "); compared != tt.compared || got != tt.worse {
			t.Errorf("%s: %d compared, worse %q; want %d, %q", tt.name, compared, got, tt.compared, tt.worse)
		}
	}
}
