// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rebase

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/typecheck"
)

var hunkRE = regexp.MustCompile(`(?m)^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,\d+)? @@`)

// movedLines reports whether the commit just made changes other lines than the
// given one of the old series does.
func (r *Rebase) movedLines(ctx context.Context, commit string) (bool, error) {
	var places [2][][]string
	for i, c := range []string{commit, "HEAD"} {
		diff, err := r.checkout.Git(ctx, "show", "--format=", "-U0", c)
		if err != nil {
			return false, err
		}
		for _, m := range hunkRE.FindAllStringSubmatch(diff, -1) {
			places[i] = append(places[i], m[1:])
		}
	}
	return !slices.EqualFunc(places[0], places[1], slices.Equal), nil
}

// movedFiles returns which files of a merged patch are somewhere else now.
func (r *Rebase) movedFiles(ctx context.Context, p *series.Patch) (map[string]string, error) {
	var gone []string
	for _, f := range p.Files {
		if _, ok := r.toTree.Manifest.Lookup(f.Path); !ok && f.Change == "" {
			gone = append(gone, f.Path)
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	renames, err := r.renames(ctx)
	if err != nil {
		return nil, err
	}
	moved := map[string]string{}
	for _, f := range gone {
		moved[f] = renames[f]
	}
	return moved, nil
}

// renames returns the files that upstream moved, as git sees it.
func (r *Rebase) renames(ctx context.Context) (map[string]string, error) {
	out, err := r.checkout.Git(ctx, "diff", "-M", "--diff-filter=R", "--name-status", "-z", oldUpstream, series.UpstreamTag)
	if err != nil {
		return nil, err
	}
	fields := strings.Split(out, "\x00")
	m := map[string]string{}
	for i := 0; i+2 < len(fields); i += 3 {
		m[fields[i+1]] = fields[i+2]
	}
	return m, nil
}

// explain fills in what a human needs to resolve the conflict in the checkout.
func (r *Rebase) explain(ctx context.Context, p *series.Patch, commit, status string, res *Patch) error {
	renames, err := r.renames(ctx)
	if err != nil {
		return err
	}
	res.Class = Conflicting
	for line := range strings.Lines(status) {
		xy, file := line[:2], strings.TrimSpace(line[3:])
		if !strings.Contains(xy, "U") && xy != "AA" && xy != "DD" {
			continue
		}
		fc := FileConflict{File: file, Reason: "both changed"}
		old := file // in the old release
		for from, to := range renames {
			if to == file {
				old = from
			}
		}
		if fc.Patch, err = r.checkout.Git(ctx, "show", "--format=", commit, "--", old); err != nil {
			return err
		}
		if fc.Functions, err = r.functions(ctx, commit, old); err != nil {
			return err
		}
		if xy == "DU" || xy == "DD" {
			fc.Reason = "file gone"
			res.Class = TargetGone
		} else {
			if fc.Merge, err = r.checkout.Git(ctx, "diff", "--", file); err != nil {
				return err
			}
			// What is unmerged is in functions that are no more.
			gone := len(fc.Functions) > 0
			for _, f := range fc.Functions {
				gone = gone && (f.Change == "gone" || f.Change == "renamed")
			}
			if gone {
				fc.Reason = "function gone"
				res.Class = TargetGone
			}
		}
		res.Conflicts = append(res.Conflicts, fc)
	}
	if port := series.SameSubject(r.target, p); port != nil && r.from.Line != r.to.Line {
		r.o.Logf("an earlier port of this patch, from another state of it, is in %s", port.File)
	}
	return nil
}

// functions returns the declarations that the commit changes in a file of the
// old release, with what upstream made of them.
func (r *Rebase) functions(ctx context.Context, commit, file string) ([]FunctionChange, error) {
	diff, err := r.checkout.Git(ctx, "show", "--format=", "-U0", commit, "--", file)
	if err != nil {
		return nil, err
	}
	before, err := r.checkout.Git(ctx, "show", commit+"^:"+file)
	if err != nil {
		return nil, nil // a new file
	}
	if path.Ext(file) != ".go" {
		fc, err := r.wholeFile(ctx, file)
		return []FunctionChange{fc}, err
	}
	decls := parseDecls([]byte(before))
	var out []FunctionChange
	for _, m := range hunkRE.FindAllStringSubmatch(diff, -1) {
		first, _ := strconv.Atoi(m[1])
		last := first
		if n, err := strconv.Atoi(m[2]); err == nil && n > 1 {
			last = first + n - 1
		}
		for _, d := range decls {
			if d.last < first || d.first > last || slices.ContainsFunc(out, func(f FunctionChange) bool { return f.Name == d.name }) {
				continue
			}
			fc, err := r.upstreamChange(ctx, file, d.name)
			if err != nil {
				return nil, err
			}
			if fc != nil {
				out = append(out, *fc)
			}
		}
	}
	return out, nil
}

// wholeFile is for files without declarations.
func (r *Rebase) wholeFile(ctx context.Context, file string) (FunctionChange, error) {
	fc := FunctionChange{Name: path.Base(file), File: file, Change: "same"}
	if _, ok := r.toTree.Manifest.Lookup(file); !ok {
		fc.Change = "gone"
		return fc, nil
	}
	diff, err := r.checkout.Git(ctx, "diff", oldUpstream+":"+file, series.UpstreamTag+":"+file)
	if diff != "" {
		fc.Change, fc.Diff = "changed", hunks(diff)
	}
	return fc, err
}

// upstreamChange says what upstream made of a declaration of the old release;
// nil if the old release has no such declaration.
func (r *Rebase) upstreamChange(ctx context.Context, file, name string) (*FunctionChange, error) {
	find := func(decls []decl) *decl {
		if i := slices.IndexFunc(decls, func(d decl) bool { return d.name == name }); i >= 0 {
			return &decls[i]
		}
		return nil
	}
	old := find(r.declsOf(r.fromTree.Path(file)))
	if old == nil {
		return nil, nil
	}
	fc := &FunctionChange{Name: name, File: file, Change: "gone"}
	now := find(r.declsOf(r.toTree.Path(file)))
	where := file
	if now == nil { // in another file of the package?
		dir := path.Dir(file)
		names, _ := filepath.Glob(filepath.Join(r.toTree.Path(dir), "*.go"))
		for _, n := range names {
			if d := find(r.declsOf(n)); d != nil && !strings.HasSuffix(n, "_test.go") {
				now, where = d, path.Join(dir, filepath.Base(n))
				fc.Change, fc.New = "moved", where+": "+name
				break
			}
		}
		if now == nil {
			now, where = r.renamed(names, *old, dir)
			if now == nil {
				return fc, nil
			}
			fc.Change, fc.New = "renamed", where+": "+now.name
		}
	} else {
		fc.Change = "same"
	}
	if old.text != now.text {
		if fc.Change == "same" {
			fc.Change = "changed"
		}
		var err error
		fc.Diff, err = r.diff(ctx, old.text, now.text)
		return fc, err
	}
	return fc, nil
}

// renamed looks for the declaration, new in the package, that is most like the
// old one; at least two thirds of the lines must be the same.
func (r *Rebase) renamed(files []string, old decl, dir string) (best *decl, where string) {
	had := map[string]bool{}
	oldFiles, _ := filepath.Glob(filepath.Join(r.fromTree.Path(dir), "*.go"))
	for _, f := range oldFiles {
		for _, d := range r.declsOf(f) {
			had[d.name] = true
		}
	}
	bestLike := 2.0 / 3
	for _, f := range files {
		for _, d := range r.declsOf(f) {
			if like := similarity(old.text, d.text); !had[d.name] && like >= bestLike {
				best, bestLike, where = &d, like, path.Join(dir, filepath.Base(f))
			}
		}
	}
	return best, where
}

// similarity returns which part of the lines of two texts, but for the first
// ones, is the same.
func similarity(a, b string) float64 {
	lines := func(s string) map[string]int {
		m := map[string]int{}
		_, s, _ = strings.Cut(s, "\n")
		for line := range strings.Lines(s) {
			m[strings.TrimSpace(line)]++
		}
		return m
	}
	la, lb := lines(a), lines(b)
	same, total := 0, 0
	for l, n := range la {
		same += min(n, lb[l])
		total += max(n, lb[l])
	}
	for l, n := range lb {
		if la[l] == 0 {
			total += n
		}
	}
	if total == 0 {
		return 0
	}
	return float64(same) / float64(total)
}

// diff returns the unified diff of two texts, without a header.
func (r *Rebase) diff(ctx context.Context, a, b string) (string, error) {
	var blobs [2]string
	for i, s := range []string{a, b} {
		id, err := r.checkout.Blob(ctx, []byte(s))
		if err != nil {
			return "", err
		}
		blobs[i] = id
	}
	out, err := r.checkout.Git(ctx, "diff", blobs[0], blobs[1])
	return hunks(out), err
}

// hunks returns the diff of one file without its header.
func hunks(diff string) string {
	if i := strings.Index(diff, "\n@@"); i >= 0 {
		return diff[i+1:]
	}
	return diff
}

// A decl is a declaration of a Go file.
type decl struct {
	name        string // "lock2", "(*mspan).sweep", "type m"
	first, last int    // lines, with the comment
	text        string
}

// declsOf returns the declarations of a file on disk; none if there is no such
// file.
func (r *Rebase) declsOf(file string) []decl {
	ds, ok := r.parsed[file]
	if !ok {
		data, _ := os.ReadFile(file)
		ds = parseDecls(data)
		r.parsed[file] = ds
	}
	return ds
}

func parseDecls(src []byte) []decl {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "", src, parser.SkipObjectResolution|parser.ParseComments)
	if err != nil {
		return nil
	}
	var out []decl
	add := func(name string, from, to token.Pos) {
		a, b := fset.Position(from), fset.Position(to)
		out = append(out, decl{name, a.Line, b.Line, string(src[a.Offset:b.Offset]) + "\n"})
	}
	start := func(doc *ast.CommentGroup, pos token.Pos) token.Pos {
		if doc != nil {
			return doc.Pos()
		}
		return pos
	}
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			add(funcName(d), start(d.Doc, d.Pos()), d.End())
		case *ast.GenDecl:
			if d.Tok == token.IMPORT {
				add("import", d.Pos(), d.End())
				continue
			}
			for _, s := range d.Specs {
				name := d.Tok.String() + " "
				doc := (*ast.CommentGroup)(nil)
				switch s := s.(type) {
				case *ast.TypeSpec:
					name, doc = name+s.Name.Name, s.Doc
				case *ast.ValueSpec:
					name, doc = name+s.Names[0].Name, s.Doc
				}
				pos := start(doc, s.Pos())
				if len(d.Specs) == 1 {
					pos = start(d.Doc, d.Pos())
				}
				add(name, pos, s.End())
			}
		}
	}
	return out
}

func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return d.Name.Name
	}
	ptr := ""
	t := d.Recv.List[0].Type
	if s, ok := t.(*ast.StarExpr); ok {
		ptr, t = "*", s.X
	}
	switch g := t.(type) {
	case *ast.IndexExpr:
		t = g.X
	case *ast.IndexListExpr:
		t = g.X
	}
	id, ok := t.(*ast.Ident)
	if !ok {
		return d.Name.Name
	}
	if ptr == "" {
		return id.Name + "." + d.Name.Name
	}
	return "(*" + id.Name + ")." + d.Name.Name
}

// reviews lists upstream's functions that changed although the patches to them
// came over. Those that the overlay calls are in the report already.
func (r *Rebase) reviews(ctx context.Context) error {
	byFunc := map[string]*Review{}
	for i, p := range r.source {
		if i >= len(r.state.Report.Patches) {
			break
		}
		for _, f := range p.Files {
			fcs, err := r.functions(ctx, r.state.Commits[i], f.Path)
			if err != nil {
				return err
			}
			for _, fc := range fcs {
				if fc.Diff == "" || fc.Name == "import" {
					continue
				}
				key := fc.File + ":" + fc.Name
				if byFunc[key] == nil {
					where := fc.File
					if fc.New != "" {
						where = fc.New
					}
					byFunc[key] = &Review{Name: fc.Name, File: where, Diff: fc.Diff}
				}
				byFunc[key].By = append(byFunc[key].By, p.Name[:min(4, len(p.Name))])
			}
		}
	}
	rep := &r.state.Report
	for _, key := range slices.Sorted(maps.Keys(byFunc)) {
		v := byFunc[key]
		if i := slices.IndexFunc(rep.Reviews, func(o Review) bool { return o.Name == v.Name && o.File == v.File }); i >= 0 {
			rep.Reviews[i].By = append(v.By, rep.Reviews[i].By...)
			continue
		}
		rep.Reviews = append(rep.Reviews, *v)
	}
	return nil
}

// compareIdentifiers finds the identifiers of upstream that the overlay uses,
// in the patched tree of the old release, and compares their declarations in
// both releases.
func (r *Rebase) compareIdentifiers(ctx context.Context, patched string) error {
	var files []string
	for _, f := range r.set.Overlay {
		files = append(files, f.Path)
	}
	rep := &r.state.Report
	at := map[string]int{} // index in rep.Identifiers
	for _, arch := range typecheck.Archs {
		tree, err := typecheck.Open(patched, r.from.Version, arch, "rt")
		if err != nil {
			return err
		}
		uses, err := tree.Uses(files)
		if err != nil {
			return err
		}
		oldTree, err := typecheck.Open(r.fromTree.Dir, r.from.Version, arch)
		if err != nil {
			return err
		}
		newTree, err := typecheck.Open(r.toTree.Dir, r.to.Version, arch)
		if err != nil {
			return err
		}
		decls := map[string][2]map[typecheck.Name]typecheck.Decl{}
		names := slices.SortedFunc(maps.Keys(uses), func(a, b typecheck.Name) int { return strings.Compare(a.String(), b.String()) })
		for _, n := range names {
			d, ok := decls[n.Pkg]
			if !ok {
				if d[0], err = oldTree.Decls(n.Pkg); err != nil {
					return err
				}
				if newTree.Has(n.Pkg) {
					if d[1], err = newTree.Decls(n.Pkg); err != nil {
						return err
					}
				}
				decls[n.Pkg] = d
			}
			before, ok := d[0][n]
			if !ok {
				continue // of a patch
			}
			now, ok := d[1][n]
			if ok && now.Text == before.Text && now.Code == before.Code {
				continue
			}
			places := uses[n]
			for i, p := range places {
				places[i] = "src-overlay" + strings.TrimPrefix(p, "src")
			}
			places = slices.Compact(places)
			if ok && now.Text == before.Text {
				var by []string
				for _, p := range places {
					file, _, _ := strings.Cut(p, ":")
					by = append(by, file)
				}
				v := Review{Name: n.Name, File: now.File, By: slices.Compact(by)}
				if slices.ContainsFunc(rep.Reviews, func(o Review) bool { return o.Name == v.Name && o.File == v.File }) {
					continue
				}
				if v.Diff, err = r.diff(ctx, before.Code+"\n", now.Code+"\n"); err != nil {
					return err
				}
				rep.Reviews = append(rep.Reviews, v)
				continue
			}
			id := Identifier{Package: n.Pkg, Name: n.Name, Change: "changed", Old: before.Text, New: now.Text, Uses: places, Arch: []string{arch}}
			if !ok {
				id.Change = "vanished"
			}
			key := fmt.Sprint(id.Package, id.Name, id.Change, id.Old, id.New)
			if i, ok := at[key]; ok {
				rep.Identifiers[i].Arch = append(rep.Identifiers[i].Arch, arch)
				continue
			}
			at[key] = len(rep.Identifiers)
			rep.Identifiers = append(rep.Identifiers, id)
		}
	}
	return nil
}
