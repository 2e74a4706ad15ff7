// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package series

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"rtgo.dev/rtgo/internal/upstream"
)

// A Checkout is a work tree of upstream with the series applied as commits,
// for people to edit with their own git. The overlay's files are symbolic
// links into the repository, so that an edit of one is an edit of the other.
// Links and everything a build adds are ignored by git.
type Checkout struct {
	Repo
	Root string // of the rtgo repository
	Line string
}

// NewCheckout returns the checkout in dir, which need not exist yet.
func NewCheckout(root string, pin *upstream.Pin, dir string) *Checkout {
	return &Checkout{
		Repo: Repo{GitDir: filepath.Join(dir, ".git"), WorkTree: dir, Date: pin.Time()},
		Root: root,
		Line: pin.Line,
	}
}

// lineFile, in the git directory, names the release line and version of a
// checkout. It is written last.
func (c *Checkout) lineFile() string { return filepath.Join(c.GitDir, "rtgo-line") }

// Exists reports whether the directory holds a complete checkout.
func (c *Checkout) Exists() bool {
	_, err := os.Stat(c.lineFile())
	return err == nil
}

// Create makes the checkout from a verified tree. extra are further files to
// write that git is to ignore, by path. If a patch does not apply, the
// checkout is left as it is after the last good one, and the error is a
// *ConflictError: the person repairs the rest with git am.
func (c *Checkout) Create(ctx context.Context, tree *upstream.Tree, set *Set, extra map[string][]byte) error {
	if entries, err := os.ReadDir(c.WorkTree); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty; remove it or name another directory", c.WorkTree)
	}
	inUpstream := func(name string) bool { _, ok := tree.Manifest.Lookup(name); return ok }
	if err := set.CheckOverlay(inUpstream); err != nil {
		return err
	}
	if err := os.MkdirAll(c.WorkTree, 0o777); err != nil {
		return err
	}
	if err := tree.Copy(c.WorkTree, func(name string) bool { return !upstream.Optional(name) }); err != nil {
		return err
	}
	if err := c.Init(ctx, tree.Pin.Version); err != nil {
		return err
	}
	if err := tree.Copy(c.WorkTree, upstream.Optional); err != nil {
		return err
	}
	applyErr := c.Apply(ctx, set.Patches)
	if ce := (*ConflictError)(nil); applyErr != nil && !errors.As(applyErr, &ce) {
		return applyErr
	}
	for name, data := range extra {
		file := filepath.Join(c.WorkTree, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o666); err != nil {
			return err
		}
	}
	var names []string
	for name := range extra {
		names = append(names, name)
	}
	if err := c.writeExclude(names, set.Overlay); err != nil {
		return err
	}
	if _, err := c.linkOverlay(set.Overlay); err != nil {
		return err
	}
	if err := os.WriteFile(c.lineFile(), []byte(c.Line+" "+tree.Pin.Version+"\n"), 0o666); err != nil {
		return err
	}
	return applyErr
}

const excludeMark = "# The overlay; rewritten by rtgo.\n"

// writeExclude writes .git/info/exclude. extra is kept from the existing file
// if nil.
func (c *Checkout) writeExclude(extra []string, overlay []OverlayFile) error {
	file := filepath.Join(c.GitDir, "info", "exclude")
	var head string
	if extra == nil {
		old, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		head, _, _ = strings.Cut(string(old), excludeMark)
	} else {
		head = "/bin/\n/pkg/\n/api/\n/doc/\n/misc/\n/test/\n"
		for _, name := range append(upstream.Generated(), extra...) {
			head += "/" + name + "\n"
		}
	}
	var b strings.Builder
	b.WriteString(head + excludeMark)
	for _, f := range overlay {
		b.WriteString("/" + f.Path + "\n")
	}
	return os.WriteFile(file, []byte(b.String()), 0o666)
}

// linkOverlay makes the links and returns how many it made or removed.
func (c *Checkout) linkOverlay(overlay []OverlayFile) (changed int, err error) {
	want := map[string]string{} // link's path -> target
	for _, f := range overlay {
		target, err := filepath.Abs(f.File)
		if err != nil {
			return 0, err
		}
		want[filepath.Join(c.WorkTree, filepath.FromSlash(f.Path))] = target
	}
	// Links to files that the overlay has no more.
	prefix, err := filepath.Abs(filepath.Join(c.Root, "src-overlay"))
	if err != nil {
		return 0, err
	}
	err = filepath.WalkDir(filepath.Join(c.WorkTree, "src"), func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink == 0 {
			return err
		}
		target, err := os.Readlink(file)
		if err == nil && strings.HasPrefix(target, prefix+string(filepath.Separator)) && want[file] != target {
			changed++
			return os.Remove(file)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	for link, target := range want {
		if old, err := os.Readlink(link); err == nil && old == target {
			continue
		}
		if _, err := os.Lstat(link); err == nil {
			return 0, fmt.Errorf("%s: the overlay has this file; remove or rename one of them", link)
		}
		if err := os.MkdirAll(filepath.Dir(link), 0o777); err != nil {
			return 0, err
		}
		if err := os.Symlink(target, link); err != nil {
			return 0, err
		}
		changed++
	}
	return changed, nil
}

// Sync brings the overlay's links up to date and returns how many changed.
func (c *Checkout) Sync(overlay []OverlayFile) (int, error) {
	if err := c.open(); err != nil {
		return 0, err
	}
	if err := c.writeExclude(nil, overlay); err != nil {
		return 0, err
	}
	return c.linkOverlay(overlay)
}

// open checks that the directory is a checkout of the right line.
func (c *Checkout) open() error {
	data, err := os.ReadFile(c.lineFile())
	if err != nil {
		return fmt.Errorf("%s is not a checkout of the series; make one with 'rtgo edit %s'", c.WorkTree, c.WorkTree)
	}
	if line, _, _ := strings.Cut(string(data), " "); line != c.Line {
		return fmt.Errorf("%s is a checkout of %s, not of %s; name the other with --upstream", c.WorkTree, line, c.Line)
	}
	return nil
}

// Version returns the upstream version that the checkout was made from.
func (c *Checkout) Version() string {
	data, _ := os.ReadFile(c.lineFile())
	_, v, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	return v
}

// An Export is what Export did to the patches directory.
type Export struct {
	Written, Removed, Kept []string
}

// Export writes the commits after upstream to the patches directory. A patch
// whose new mail differs from the old in nothing but blob names and line
// numbers keeps its old file. Where a patch is shared, the other lines follow
// (see [Store]). A work tree with changes that are not committed is refused.
func (c *Checkout) Export(ctx context.Context) (*Export, error) {
	if err := c.open(); err != nil {
		return nil, err
	}
	if err := c.Clean(ctx); err != nil {
		return nil, err
	}
	ps, err := c.Patches(ctx)
	if err != nil {
		return nil, err
	}
	if len(ps) == 0 {
		return nil, fmt.Errorf("%s has no commits after the tag %s; refuse to export an empty series", c.WorkTree, UpstreamTag)
	}
	gs, err := gaps(c.Root, c.Line)
	if err != nil {
		return nil, err
	}
	renumber(ps, gs)
	return Store(c.Root, c.Line, ps, true)
}

// Clean reports as an error what keeps the commits of the checkout from being
// exported: a git operation that is under way, changes that are not committed,
// merges.
func (c *Checkout) Clean(ctx context.Context) error {
	for _, busy := range []string{"rebase-apply", "rebase-merge", "MERGE_HEAD", "CHERRY_PICK_HEAD"} {
		if _, err := os.Stat(filepath.Join(c.GitDir, busy)); err == nil {
			return fmt.Errorf("%s: a rebase, am or merge is under way; finish or abort it first", c.WorkTree)
		}
	}
	out, err := c.Git(ctx, "status", "--porcelain", "--untracked-files=all")
	if err != nil {
		return err
	}
	if out != "" {
		lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
		what := fmt.Sprintf("%s has changes that are not committed: %s", c.WorkTree, lines[0][3:])
		if len(lines) > 1 {
			what += fmt.Sprintf(" (and %d more)", len(lines)-1)
		}
		fix := "commit or discard them"
		if strings.HasPrefix(lines[0], "??") {
			fix = "new files belong in src-overlay; move, commit or remove them"
		}
		return fmt.Errorf("%s; %s", what, fix)
	}
	if merges, err := c.Git(ctx, "rev-list", "--merges", UpstreamTag+"..HEAD"); err != nil {
		return err
	} else if merges != "" {
		return fmt.Errorf("%s: the series has merge commits; make it linear with 'git rebase %s'", c.WorkTree, UpstreamTag)
	}
	return nil
}
