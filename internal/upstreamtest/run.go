// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package upstreamtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// A Tree is one side of the comparison: a built GOROOT and what is set in
// the environment of its go command.
type Tree struct {
	GOROOT  string
	Env     []string // K=V, on top of the scrubbed environment
	TestEnv []string // K=V, for the test binaries and their children alone

	flags []string // of go test
}

// go command variables that would make a run say something else than the
// GOROOT's own defaults; all of GO* is removed but these.
var keepEnv = map[string]bool{
	"GOCACHE": true, "GOMODCACHE": true, "GOPATH": true, "GOPROXY": true,
	"GONOSUMDB": true, "GOSUMDB": true, "GOTMPDIR": true, "GOCOVERDIR": false,
}

// environ returns the scrubbed environment of the tree's go command.
func (t *Tree) environ() []string {
	var env []string
	for _, kv := range os.Environ() {
		k, _, _ := strings.Cut(kv, "=")
		if (strings.HasPrefix(k, "GO") && !keepEnv[k]) || strings.HasPrefix(k, "CGO_") || k == "PWD" {
			continue
		}
		env = append(env, kv)
	}
	env = append(env,
		"GOROOT="+t.GOROOT,
		"GOENV=off",
		"GOFLAGS=",
		"GOTOOLCHAIN=local",
		"GOWORK=off",
		"PATH="+filepath.Join(t.GOROOT, "bin")+string(os.PathListSeparator)+os.Getenv("PATH"),
		"PWD="+t.src(),
	)
	return append(env, t.Env...)
}

func (t *Tree) src() string { return filepath.Join(t.GOROOT, "src") }

func (t *Tree) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(t.GOROOT, "bin", "go"), args...)
	cmd.Dir = t.src()
	cmd.Env = t.environ()
	return cmd
}

// Version returns what the tree's go env GOVERSION says, "go1.26.8-rtgo1".
// It fails if t.GOROOT is not a built GOROOT.
func (t *Tree) Version(ctx context.Context) (string, error) {
	out, err := t.command(ctx, "env", "GOVERSION").Output()
	if err != nil {
		return "", fmt.Errorf("%s is not a usable GOROOT (%v); build it, or name another", t.GOROOT, exitText(err))
	}
	return strings.TrimSpace(string(out)), nil
}

// List expands package patterns.
func (t *Tree) List(ctx context.Context, patterns []string) ([]string, error) {
	out, err := t.command(ctx, append([]string{"list", "--"}, patterns...)...).Output()
	if err != nil {
		return nil, fmt.Errorf("go list %s in %s: %v", strings.Join(patterns, " "), t.src(), exitText(err))
	}
	pkgs := strings.Fields(string(out))
	if len(pkgs) == 0 {
		return nil, fmt.Errorf("no packages match %s in %s", strings.Join(patterns, " "), t.src())
	}
	return pkgs, nil
}

func exitText(err error) string {
	var ee *exec.ExitError
	if errors.As(err, &ee) && len(ee.Stderr) > 0 {
		return err.Error() + ": " + string(bytes.TrimSpace(ee.Stderr))
	}
	return err.Error()
}

// Options say how tests are run, the same on both sides.
type Options struct {
	Timeout  time.Duration // of one package's test binary, as go test -timeout
	Parallel int           // packages tested at once, go test -p; 0 leaves the default
	Long     bool          // without -short
	Run      string        // go test -run; "" runs all
	Progress io.Writer     // a line per package; may be nil
	LogDir   string        // raw go test -json streams are kept here; "" keeps none
}

// Args returns the go test arguments that o stands for, for reports.
func (o *Options) Args() []string {
	args := []string{"test", "-json", "-count=1", "-timeout=" + o.Timeout.String()}
	if !o.Long {
		args = append(args, "-short")
	}
	if o.Parallel > 0 {
		args = append(args, "-p="+strconv.Itoa(o.Parallel))
	}
	if o.Run != "" {
		args = append(args, "-run="+o.Run)
	}
	return args
}

// stallGrace is how long after the test binary's own timeout a run without
// any output is killed. The go command itself runs on the runtime under test,
// so neither its timers nor the test's can be relied on.
var stallGrace = 3 * time.Minute

// RunTests tests pkgs in t and returns every outcome. A package that hangs is
// killed and reported as failed, and the others still run. The error is
// non-nil only if no statement about the tests can be made.
func RunTests(ctx context.Context, t *Tree, pkgs []string, o Options, label string) (*Results, error) {
	total := newResults()
	left := pkgs
	done := 0
	onPkg := func(pkg string, out Outcome, d time.Duration) {
		done++
		if o.Progress != nil {
			fmt.Fprintf(o.Progress, "%s: [%d/%d] %-4s %s %.1fs\n", label, done, len(pkgs), out, pkg, d.Seconds())
		}
	}
	for try := 0; len(left) > 0; try++ {
		c, stderr, err := runOnce(ctx, t, left, o, fmt.Sprintf("%s.%d", label, try), onPkg)
		if c != nil {
			total.merge(c.res)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		var rest []string
		for _, p := range left {
			if !c.finished[p] {
				rest = append(rest, p)
			}
		}
		if len(rest) == len(left) {
			return nil, fmt.Errorf("go test in %s tested nothing: %s", t.src(), strings.TrimSpace(stderr))
		}
		left = rest
	}
	return total, nil
}

func runOnce(ctx context.Context, t *Tree, pkgs []string, o Options, label string, onPkg func(string, Outcome, time.Duration)) (*collector, string, error) {
	tmp, err := os.MkdirTemp("", "rtgo-ut-") // short: tests put Unix sockets below it
	if err != nil {
		return nil, "", err
	}
	defer removeAll(tmp)

	args := append(o.Args(), t.flags...)
	if len(t.TestEnv) > 0 {
		args = append(args, "-exec=env "+strings.Join(t.TestEnv, " "))
	}
	cmd := t.command(context.Background(), append(args, pkgs...)...)
	cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what tests leave behind can be killed
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	// The pipe is made by hand: with StdoutPipe, Wait would not return while a
	// leaked grandchild holds the write end.
	r, w, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		w.Close()
		return nil, "", err
	}
	w.Close()
	pgid := cmd.Process.Pid

	var in io.Reader = r
	if o.LogDir != "" {
		if err := os.MkdirAll(o.LogDir, 0o777); err != nil {
			return nil, "", err
		}
		f, err := os.Create(filepath.Join(o.LogDir, strings.ReplaceAll(label, " ", "-")+".json"))
		if err != nil {
			return nil, "", err
		}
		defer f.Close()
		in = io.TeeReader(r, f)
	}

	c := newCollector(onPkg)
	var last atomic.Int64
	beat := func() { last.Store(time.Now().UnixNano()) }
	beat()
	readDone := make(chan error, 1)
	go func() { readDone <- c.read(in, beat) }()
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()

	stall := o.Timeout + stallGrace
	killed := ""
	var readErr error
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	exitedC := exited
loop:
	for {
		select {
		case readErr = <-readDone:
			break loop
		case <-exitedC:
			// go test is gone; whatever still holds the pipe is a leftover.
			exitedC = nil
			syscall.Kill(-pgid, syscall.SIGKILL)
			time.AfterFunc(2*time.Second, func() { r.Close() })
		case <-ctx.Done():
			syscall.Kill(-pgid, syscall.SIGKILL)
			<-exited
			return nil, "", ctx.Err()
		case <-tick.C:
			if quiet := time.Since(time.Unix(0, last.Load())); killed == "" && quiet > stall {
				killed = fmt.Sprintf("hung: no output for %s, longer than -timeout allows; killed", quiet.Round(time.Second))
				syscall.Kill(-pgid, syscall.SIGKILL)
			}
		}
	}
	syscall.Kill(-pgid, syscall.SIGKILL)
	<-exited
	if readErr != nil && !errors.Is(readErr, os.ErrClosed) {
		return nil, "", readErr
	}
	for _, p := range c.unfinished() {
		why := killed
		if why == "" {
			why = "go test ended while the package was being tested: " + cmd.ProcessState.String()
		}
		c.kill(p, why)
	}
	return c, stderr.String(), nil
}

// removeAll removes a test's temporary directory, in which tests may have
// left directories without write permission.
func removeAll(dir string) {
	if os.RemoveAll(dir) == nil {
		return
	}
	filepath.Walk(dir, func(p string, fi os.FileInfo, err error) error {
		if err == nil && fi.IsDir() {
			os.Chmod(p, 0o700)
		}
		return nil
	})
	os.RemoveAll(dir)
}

// PathTree returns the tree of the go command on PATH. If that is not of the
// release upstream, which may be "" for any, the go command is asked for that
// toolchain, which it downloads and verifies if need be.
func PathTree(ctx context.Context, upstream string) (*Tree, error) {
	ask := func(toolchain string) (*Tree, error) {
		cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
		cmd.Env = append(os.Environ(), "GOROOT=", "GOTOOLCHAIN="+toolchain)
		out, err := cmd.Output()
		if err != nil {
			return nil, errors.New(exitText(err))
		}
		return &Tree{GOROOT: strings.TrimSpace(string(out))}, nil
	}
	t, err := ask("local")
	if err != nil {
		return nil, fmt.Errorf("no unpatched go command on PATH (%v); install Go, or name an unpatched GOROOT", err)
	}
	v, err := t.Version(ctx)
	if err != nil || upstream == "" || v == upstream {
		return t, err
	}
	t, err = ask(upstream)
	if err != nil {
		return nil, fmt.Errorf("the Go on PATH is %s, and %s cannot be had through it (%v); name an unpatched GOROOT of %s", v, upstream, err, upstream)
	}
	return t, nil
}

// UpstreamVersion returns the upstream release that version was made from:
// "go1.26.8" for "go1.26.8-rtgo1" and for "go1.26.8-rtgo1 X:nort".
func UpstreamVersion(version string) string {
	version, _, _ = strings.Cut(version, " ")
	version, _, _ = strings.Cut(version, "-")
	return version
}

// OutsideModules returns a GOROOT with no go.mod above it: goroot itself, or a
// tree of hard links to its files in the directory for temporary files, always
// the same for the same goroot. Some upstream tests (runtime's
// TestAtomicAlignment) take the std packages of a GOROOT inside a module for
// packages of that module, and fail, patched or not; others (testing's
// TestChdir) fail in a directory that is reached through a symbolic link.
func OutsideModules(goroot string) (string, error) {
	for dir := filepath.Dir(goroot); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			return goroot, nil
		}
	}
	sum := sha256.Sum256([]byte(goroot))
	mirror := filepath.Join(os.TempDir(), fmt.Sprintf("rtgo-upstream-test-%x", sum[:6]), "go")
	if fi, err := os.Lstat(mirror); err == nil && !fi.IsDir() {
		os.Remove(mirror)
	}
	// What has left goroot leaves the mirror.
	err := filepath.WalkDir(mirror, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if path == mirror && errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		rel, err := filepath.Rel(mirror, path)
		if err != nil {
			return err
		}
		was, err := os.Lstat(filepath.Join(goroot, rel))
		if err == nil && was.IsDir() == d.IsDir() {
			return nil
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		if d.IsDir() {
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	err = filepath.WalkDir(goroot, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(goroot, path)
		if err != nil {
			return err
		}
		to := filepath.Join(mirror, rel)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		return mirrorFile(path, to)
	})
	if err != nil {
		return "", err
	}
	return mirror, nil
}

// mirrorFile makes to the same file as from or, on another file system, a copy
// of the same size and time.
func mirrorFile(from, to string) error {
	a, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if b, err := os.Lstat(to); err == nil {
		if os.SameFile(a, b) || a.Mode() == b.Mode() && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime()) {
			return nil
		}
		if err := os.Remove(to); err != nil {
			return err
		}
	}
	if os.Link(from, to) == nil {
		return nil
	}
	if a.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, data, a.Mode().Perm()); err != nil {
		return err
	}
	return os.Chtimes(to, a.ModTime(), a.ModTime())
}
