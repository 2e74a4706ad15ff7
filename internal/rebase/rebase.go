// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rebase

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/toolchain"
	"rtgo.dev/rtgo/internal/upstream"
)

// Options say what to carry where.
type Options struct {
	Root       string // of the rtgo repository
	From       string // release or line; "" is the line of To, or the default line if To is the first of its line
	To         string // release, such as "go1.27.3"
	Dir        string // checkout to work in
	FromGOROOT string // source of the old release; "" finds it
	ToGOROOT   string // source of the new release; "" finds it
	Bootstrap  string // GOROOT of the Go that downloads; "" finds one
	Platforms  []string
	Command    string // that the report names for going on

	Logf func(format string, args ...any)
}

// A Rebase is one that is under way, or ended. Its state is in the git
// directory of its checkout.
type Rebase struct {
	o        *Options
	checkout *series.Checkout
	pins     *upstream.Pins // of the repository
	from, to *upstream.Pin
	fromTree *upstream.Tree
	toTree   *upstream.Tree
	source   []*series.Patch // series to carry over
	target   []*series.Patch // that the line of the new release has already
	set      *series.Set     // overlay
	state    state

	parsed map[string][]decl // of upstream's files, by path on disk
}

// state is what is kept between the calls.
type state struct {
	Report   Report
	Commits  []string // of the old series, in order
	Next     int      // index of the patch to do next
	Extras   bool     // patches that only the new line has are applied
	Head     string   // after the last commit of ours
	Work     string   // hash of what is not committed, after our last change
	Patches  string   // hash of patches/ at the beginning
	Exported bool     // patches/ and the pin are written
}

// Names of references in the checkout.
const (
	oldUpstream = "refs/rtgo/upstream" // the old release
	oldSeries   = "refs/rtgo/series"   // with its series
)

func (r *Rebase) stateFile() string { return filepath.Join(r.checkout.GitDir, "rtgo-rebase.json") }

// pinDir holds the pin of the new release until it is exported.
func pinDir(checkout string) string { return filepath.Join(checkout, ".git", "rtgo-pin") }

// Report returns the report as it stands.
func (r *Rebase) Report() *Report { return &r.state.Report }

// Start begins a rebase: it obtains and verifies both releases, pins the new
// one, and makes the checkout. [Rebase.Run] does the rest. A rebase in that
// directory that is not ended is an error.
func Start(ctx context.Context, o *Options) (*Rebase, error) {
	if version.Lang(o.To) == o.To || !version.IsValid(o.To) {
		return nil, fmt.Errorf("%q is not a Go release such as go1.27.3", o.To)
	}
	if err := clear(ctx, o); err != nil {
		return nil, err
	}
	pins, err := upstream.LoadPins(o.Root)
	if err != nil {
		return nil, err
	}
	r := &Rebase{o: o, pins: pins, parsed: map[string][]decl{}}
	from := o.From
	if have := pins.Lines[version.Lang(o.To)]; from == "" && have != nil && have.Version != o.To {
		from = have.Line
	}
	if r.from, err = pins.Select(from); err != nil {
		return nil, err
	}
	if r.to, err = pins.Select(o.To); err != nil {
		dir := o.Dir + ".pin" // there is no checkout yet
		if r.to, err = addPin(ctx, o, dir); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
	}
	if r.from.Version == r.to.Version {
		return nil, fmt.Errorf("the series is that of %s already; name another release with --to, or another line with --from", r.to.Version)
	}
	if err := r.load(ctx); err != nil {
		return nil, err
	}
	if len(r.source) == 0 {
		return nil, fmt.Errorf("no patches of %s in %s", r.from.Line, filepath.Join(o.Root, series.Dir("")))
	}
	o.Logf("carrying %d patches from %s to %s, in %s", len(r.source), r.from.Version, r.to.Version, o.Dir)
	if err := r.prepare(ctx); err != nil {
		os.RemoveAll(o.Dir) // no commit of anyone is in it
		return nil, err
	}
	return r, nil
}

// addPin pins the new release below dir.
func addPin(ctx context.Context, o *Options, dir string) (*upstream.Pin, error) {
	boot, err := toolchain.FindBootstrap(o.Bootstrap, "go1.21")
	if err != nil {
		return nil, err
	}
	return upstream.NewPins(dir).AddPin(ctx, boot.Go(), o.To, o.ToGOROOT, o.Platforms, o.Logf)
}

// clear removes what an ended rebase left in the directory.
func clear(ctx context.Context, o *Options) error {
	if _, err := os.Stat(o.Dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	r, err := open(o)
	if err != nil {
		return err
	}
	if !r.state.Exported {
		return fmt.Errorf("a rebase to %s is under way in %s; go on with --continue, or give it up with --abort", o.To, o.Dir)
	}
	if mine, err := r.untouched(ctx); err != nil || !mine {
		return fmt.Errorf("%s has changes that are not in patches/; export them with 'rtgo export --upstream %s %s', or remove the directory", o.Dir, r.state.Report.To, o.Dir)
	}
	return os.RemoveAll(o.Dir)
}

// open returns the rebase in the directory, with its state alone.
func open(o *Options) (*Rebase, error) {
	r := &Rebase{o: o, parsed: map[string][]decl{},
		checkout: &series.Checkout{Repo: series.Repo{GitDir: filepath.Join(o.Dir, ".git"), WorkTree: o.Dir}}}
	data, err := os.ReadFile(r.stateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no rebase in %s; begin one with 'rtgo rebase --to %s'", o.Dir, o.To)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &r.state); err != nil {
		return nil, fmt.Errorf("%s: %v", r.stateFile(), err)
	}
	return r, nil
}

// Open returns the rebase that is under way or ended in the directory.
func Open(ctx context.Context, o *Options) (*Rebase, error) {
	r, err := open(o)
	if err != nil {
		return nil, err
	}
	if r.pins, err = upstream.LoadPins(o.Root); err != nil {
		return nil, err
	}
	if r.from, err = r.pins.Select(r.state.Report.From); err != nil {
		if !r.state.Exported {
			return nil, err
		}
		// Replaced by the new release of the same line.
		r.from = nil
	}
	if r.to, err = r.pins.Select(r.state.Report.To); err != nil {
		kept, kerr := upstream.LoadPins(pinDir(o.Dir))
		if kerr != nil {
			return nil, err
		}
		if r.to, err = kept.Select(r.state.Report.To); err != nil {
			return nil, err
		}
	}
	return r, r.load(ctx)
}

// load reads the series, finds the sources and names the checkout.
func (r *Rebase) load(ctx context.Context) (err error) {
	r.checkout = series.NewCheckout(r.o.Root, r.to, r.o.Dir)
	if r.target, err = series.Load(r.o.Root, r.to.Line); err != nil {
		return err
	}
	overlay, err := series.LoadOverlay(filepath.Join(r.o.Root, "src-overlay"))
	if err != nil {
		return err
	}
	r.set = &series.Set{Overlay: overlay}
	if r.toTree, err = toolchain.FindSource(ctx, r.to, r.o.ToGOROOT, r.o.Bootstrap, r.o.Logf); err != nil {
		return err
	}
	if r.from == nil {
		return nil
	}
	if r.source, err = series.Load(r.o.Root, r.from.Line); err != nil {
		return err
	}
	r.fromTree, err = toolchain.FindSource(ctx, r.from, r.o.FromGOROOT, r.o.Bootstrap, r.o.Logf)
	return err
}

// prepare makes the checkout of the new release, with the old one and its
// series in references, so that git can merge.
func (r *Rebase) prepare(ctx context.Context) error {
	tmp, err := os.MkdirTemp("", "rtgo-rebase-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	oldDir := filepath.Join(tmp, "go")
	old := &series.Repo{GitDir: filepath.Join(tmp, "git"), WorkTree: oldDir, Date: r.from.Time()}
	if err := os.Mkdir(oldDir, 0o777); err != nil {
		return err
	}
	if err := r.fromTree.Copy(oldDir, func(name string) bool { return !upstream.Optional(name) }); err != nil {
		return err
	}
	if err := old.Init(ctx, r.from.Version); err != nil {
		return err
	}
	if err := old.Apply(ctx, r.source); err != nil {
		return fmt.Errorf("the series of %s does not apply to %s itself: %v", r.from.Line, r.from.Version, err)
	}
	stamp := map[string][]byte{toolchain.StampFile: toolchain.StampSource(toolchain.DevStamp(r.to))}
	if err := r.checkout.Create(ctx, r.toTree, r.set, stamp); err != nil {
		return err
	}
	if _, err := r.checkout.Git(ctx, "fetch", "-q", "--no-tags", filepath.Join(tmp, "git"),
		"HEAD:"+oldSeries, "refs/tags/"+series.UpstreamTag+":"+oldUpstream); err != nil {
		return err
	}
	commits, err := r.checkout.Git(ctx, "rev-list", "--reverse", oldUpstream+".."+oldSeries)
	if err != nil {
		return err
	}
	r.state = state{
		Commits: strings.Fields(commits),
		Report: Report{Schema: 1, From: r.from.Version, To: r.to.Version, FromLine: r.from.Line, ToLine: r.to.Line,
			Checkout: r.o.Dir, Command: r.o.Command},
	}
	if len(r.state.Commits) != len(r.source) {
		return fmt.Errorf("%d commits of %d patches", len(r.state.Commits), len(r.source))
	}
	if r.state.Patches, err = r.hashPatches(); err != nil {
		return err
	}
	if r.pins.Lines[r.to.Line] != r.to {
		// The pin waits in the checkout until it is exported.
		own := upstream.NewPins(pinDir(r.o.Dir))
		if err := own.Adopt(r.to); err != nil {
			return err
		}
		if err := own.Save(); err != nil {
			return err
		}
		r.to = own.Lines[r.to.Line]
	}
	// The overlay against the upstream that it was written for.
	for _, f := range r.set.Overlay {
		file := filepath.Join(oldDir, filepath.FromSlash(f.Path))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(file, f.Data, 0o666); err != nil {
			return err
		}
	}
	r.o.Logf("comparing what the overlay uses of %s with %s", r.from.Version, r.to.Version)
	if err := r.compareIdentifiers(ctx, oldDir); err != nil {
		return err
	}
	return r.save(ctx)
}

// save notes the checkout as we left it and writes the state.
func (r *Rebase) save(ctx context.Context) (err error) {
	if r.state.Head, r.state.Work, err = r.look(ctx); err != nil {
		return err
	}
	return r.write()
}

// write writes the state.
func (r *Rebase) write() error {
	data, err := json.MarshalIndent(&r.state, "", "\t")
	if err != nil {
		return err
	}
	tmp := r.stateFile() + ".new"
	if err := os.WriteFile(tmp, data, 0o666); err != nil {
		return err
	}
	return os.Rename(tmp, r.stateFile())
}

// hashPatches returns a hash of both series in the repository.
func (r *Rebase) hashPatches() (string, error) {
	h := sha256.New()
	for _, line := range []string{r.from.Line, r.to.Line} {
		ps, err := series.Load(r.o.Root, line)
		if err != nil {
			return "", err
		}
		for _, p := range ps {
			fmt.Fprintf(h, "%s %x\n", p.File, sha256.Sum256(p.Raw))
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// pending reports whether a cherry-pick stands in the checkout.
func (r *Rebase) pending() bool {
	_, err := os.Stat(filepath.Join(r.checkout.GitDir, "CHERRY_PICK_HEAD"))
	return err == nil
}

// look returns the commit that the checkout is at, and a hash of what is not
// committed in it.
func (r *Rebase) look(ctx context.Context) (head, work string, err error) {
	if head, err = r.checkout.Git(ctx, "rev-parse", "HEAD"); err != nil {
		return "", "", err
	}
	status, err := r.checkout.Git(ctx, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all")
	if err != nil {
		return "", "", err
	}
	h := sha256.New()
	for _, f := range strings.Split(strings.TrimSuffix(status, "\x00"), "\x00") {
		if f == "" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(r.o.Dir, f[3:]))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", "", err
		}
		fmt.Fprintf(h, "%s %x\n", f, sha256.Sum256(data))
	}
	return strings.TrimSpace(head), hex.EncodeToString(h.Sum(nil)), nil
}

// untouched reports whether nobody but us changed the checkout.
func (r *Rebase) untouched(ctx context.Context) (bool, error) {
	head, work, err := r.look(ctx)
	return err == nil && head == r.state.Head && work == r.state.Work, err
}

// Abort gives a rebase up. The repository stays as it is. A checkout in which
// somebody has worked is not removed but renamed; its new name is returned.
func Abort(ctx context.Context, o *Options) (kept string, err error) {
	r, err := open(o)
	if err != nil {
		return "", err
	}
	byHand := slices.ContainsFunc(r.state.Report.Patches, func(p Patch) bool { return p.Class == ByHand })
	if mine, err := r.untouched(ctx); err == nil && mine && (!byHand || r.state.Exported) {
		return "", os.RemoveAll(o.Dir)
	}
	for i := 1; ; i++ {
		kept = fmt.Sprintf("%s.aborted-%d", o.Dir, i)
		if _, err := os.Lstat(kept); errors.Is(err, fs.ErrNotExist) {
			return kept, os.Rename(o.Dir, kept)
		}
	}
}

// Run carries over the patches that are left, from where a human left off if
// one was needed, and exports them when there is none left. It returns with
// the report's status at Done or Conflict.
func (r *Rebase) Run(ctx context.Context) error {
	rep := &r.state.Report
	if r.state.Exported {
		// Done before; only checks are left.
		rep.Status = Done
		return nil
	}
	if r.state.Next < len(r.source) && rep.Status == Conflict {
		if resolved, err := r.resume(ctx); err != nil || !resolved {
			return err
		}
	}
	for ; r.state.Next < len(r.source); r.state.Next++ {
		p := r.source[r.state.Next]
		res, err := r.replay(ctx, p, r.state.Commits[r.state.Next])
		if err != nil {
			return err
		}
		r.o.Logf("%-16s %s", res.Class, p.Name)
		rep.Patches = append(rep.Patches, *res)
		if res.Class == Conflicting || res.Class == TargetGone {
			rep.Status = Conflict
			rep.Waiting = len(r.source) - r.state.Next - 1
			rep.Lines.Old = countLines(r.source)
			return r.save(ctx)
		}
		if err := r.save(ctx); err != nil {
			return err
		}
	}
	rep.Waiting = 0
	if !r.state.Extras {
		if err := r.extras(ctx); err != nil {
			return err
		}
		r.state.Extras = true
	}
	if err := r.reviews(ctx); err != nil {
		return err
	}
	if err := r.export(ctx); err != nil {
		return err
	}
	rep.Status = Done
	return r.save(ctx)
}

// resume takes over what a human did about the patch that stopped the replay.
// It reports false, and says why in the log, if there still is something to do.
func (r *Rebase) resume(ctx context.Context) (bool, error) {
	c := r.checkout
	res := &r.state.Report.Patches[r.state.Next]
	if r.pending() {
		status, err := c.Git(ctx, "status", "--porcelain", "--untracked-files=all")
		if err != nil {
			return false, err
		}
		for line := range strings.Lines(status) {
			if line[1] != ' ' {
				r.o.Logf("%s: %s: resolve it, then 'git add' or 'git rm' it", c.WorkTree, strings.TrimSpace(line[3:]))
				return false, nil
			}
		}
		// Leftover marks, which git reports by line.
		if out, _ := c.Git(ctx, "diff", "--cached", "--check"); strings.Contains(out, "leftover conflict marker") {
			line, _, _ := strings.Cut(out, "\n")
			r.o.Logf("%s: %s", c.WorkTree, line)
			return false, nil
		}
		if _, err := c.Git(ctx, "diff", "--cached", "--quiet"); err == nil {
			if _, err := c.Git(ctx, "cherry-pick", "--skip"); err != nil {
				return false, err
			}
		} else if _, err := c.Git(ctx, "commit", "-q", "--no-verify", "-C", "CHERRY_PICK_HEAD"); err != nil {
			return false, err
		}
	}
	if err := c.Clean(ctx); err != nil {
		return false, err
	}
	head, err := c.Git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return false, err
	}
	res.Class, res.Conflicts = ByHand, nil
	if strings.TrimSpace(head) == r.state.Head {
		res.Class = Dropped
	}
	r.o.Logf("%-16s %s", res.Class, res.Name)
	r.state.Next++
	return true, r.save(ctx)
}

// replay carries one patch over, or leaves git's conflict in the checkout.
func (r *Rebase) replay(ctx context.Context, p *series.Patch, commit string) (*Patch, error) {
	c := r.checkout
	res := &Patch{Name: p.Name, Subject: p.Subject, What: p.Field("What"), Why: p.Field("Why")}
	strictly := func(q *series.Patch) (bool, error) {
		err := c.Apply(ctx, []*series.Patch{q})
		if ce := (*series.ConflictError)(nil); errors.As(err, &ce) {
			return false, nil
		}
		return err == nil, err
	}
	if port := series.SameSubject(r.target, p); port != nil && r.from.Line != r.to.Line && port.PortOf(r.from.Line, p) {
		if ok, err := strictly(port); ok || err != nil {
			res.Class = Kept
			return res, err
		}
	}
	if ok, err := strictly(p); ok || err != nil {
		res.Class = Clean
		if err == nil {
			moved, err := r.movedLines(ctx, commit)
			if err != nil {
				return nil, err
			}
			if moved {
				res.Class = LineNumbers
			}
		}
		return res, err
	}
	if c.Contains(ctx, p) {
		res.Class = Upstreamed
		return res, nil
	}
	_, err := c.Git(ctx, "-c", "merge.conflictStyle=diff3", "cherry-pick", commit)
	switch {
	case err == nil:
		res.Class = ThreeWay
		res.Moved, err = r.movedFiles(ctx, p)
		return res, err
	case ctx.Err() != nil || !r.pending():
		return nil, err
	}
	status, serr := c.Git(ctx, "status", "--porcelain", "--untracked-files=no")
	if serr != nil {
		return nil, serr
	}
	if status == "" { // the merge changes nothing
		res.Class = Upstreamed
		_, err := c.Git(ctx, "cherry-pick", "--skip")
		return res, err
	}
	return res, r.explain(ctx, p, commit, status, res)
}

// extras applies the patches that only the new line has.
func (r *Rebase) extras(ctx context.Context) error {
	if r.from.Line == r.to.Line {
		return nil
	}
	for _, p := range r.target {
		if series.SameSubject(r.source, p) != nil || p.Field(series.PortField) != "" || strings.HasPrefix(p.File, series.Dir(series.Common)) {
			continue
		}
		if err := r.checkout.Apply(ctx, []*series.Patch{p}); err != nil {
			return fmt.Errorf("%s, which only %s has: %v", p.File, r.to.Line, err)
		}
		r.state.Report.Patches = append(r.state.Report.Patches, Patch{Name: p.Name, Subject: p.Subject, Class: Kept, What: p.Field("What"), Why: p.Field("Why")})
		r.o.Logf("%-16s %s", Kept, p.Name)
	}
	return nil
}

// export writes the series and the pin to the repository.
func (r *Rebase) export(ctx context.Context) error {
	if hash, err := r.hashPatches(); err != nil {
		return err
	} else if hash != r.state.Patches {
		return fmt.Errorf("patches/ changed since the rebase began; what was resolved is in %s: give it up with --abort, which keeps it if it has work of yours, and begin anew", r.o.Dir)
	}
	if err := r.checkout.Clean(ctx); err != nil {
		return err
	}
	ps, err := r.checkout.Patches(ctx)
	if err != nil {
		return err
	}
	if len(ps) == 0 {
		return errors.New("no patch is left; remove the series by hand if that is right")
	}
	if err := series.Carry(r.o.Root, r.pins.Default, r.from.Line, r.to.Line, r.source, ps); err != nil {
		return err
	}
	if err := r.pins.Adopt(r.to); err != nil {
		return err
	}
	if err := r.pins.Save(); err != nil {
		return err
	}
	r.state.Exported = true
	rep := &r.state.Report
	all, err := series.Load(r.o.Root, r.to.Line)
	if err != nil {
		return err
	}
	var own []*series.Patch
	for _, p := range all {
		if !strings.HasPrefix(p.File, series.Dir(series.Common)) {
			own = append(own, p)
		}
	}
	rep.Lines = Lines{Old: countLines(r.source), New: countLines(all), Own: countLines(own)}
	return nil
}

func countLines(ps []*series.Patch) LineCount {
	n := LineCount{Patches: len(ps)}
	files := map[string]bool{}
	for _, s := range series.Stats(ps) {
		files[s.File] = true
		n.Hunks += s.Hunks
		n.Added += s.Added
		n.Removed += s.Removed
	}
	n.Files = len(files)
	return n
}
