// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package typecheck type-checks packages of a GOROOT from their source alone,
// for any platform and set of experiments.
//
// It needs no go command of the tree's release, which there is none of before
// the tree is built; golang.org/x/tools/go/packages would. It knows no cgo:
// packages are checked as with CGO_ENABLED=0.
package typecheck

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"go/version"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Tree is a GOROOT seen from one platform. A tree keeps what it has checked:
// use a new one after its files changed.
type Tree struct {
	Dir  string // GOROOT
	Fset *token.FileSet

	ctxt build.Context
	pkgs map[string]*Package
}

// A Package is a checked package.
type Package struct {
	Types  *types.Package
	Info   *types.Info // nil if the package was but imported
	Files  []*ast.File
	Errors []error // the first few
}

// Open returns the tree in dir as release ("go1.27.3") on linux/arch sees it
// with its default experiments, and with those given: "nort" switches rt off.
func Open(dir, release, arch string, experiments ...string) (*Tree, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	tags, err := baseline(dir)
	if err != nil {
		return nil, err
	}
	for _, x := range experiments {
		name, off := strings.CutPrefix(x, "no")
		tags = slices.DeleteFunc(tags, func(t string) bool { return t == name })
		if !off {
			tags = append(tags, x)
		}
	}
	for i := range tags {
		tags[i] = "goexperiment." + tags[i]
	}
	ctxt := build.Context{
		GOARCH: arch, GOOS: "linux", GOROOT: dir, Compiler: "gc", ToolTags: tags,
	}
	_, minor, _ := strings.Cut(version.Lang(release), "go1.")
	n, err := strconv.Atoi(minor)
	if err != nil {
		return nil, fmt.Errorf("%q is not a Go release", release)
	}
	for i := 1; i <= n; i++ {
		ctxt.ReleaseTags = append(ctxt.ReleaseTags, fmt.Sprintf("go1.%d", i))
	}
	return &Tree{Dir: dir, Fset: token.NewFileSet(), ctxt: ctxt, pkgs: map[string]*Package{}}, nil
}

// baseline returns the experiments that the tree has on by default, in lower
// case: the fields that internal/buildcfg sets, but those set to false.
// Conditions are about platforms that Open does not know and count as true.
func baseline(dir string) ([]string, error) {
	file := filepath.Join(dir, "src", "internal", "buildcfg", "exp.go")
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // a tree without a go command
	}
	if err != nil {
		return nil, err
	}
	var tags []string
	ast.Inspect(f, func(n ast.Node) bool {
		as, ok := n.(*ast.AssignStmt)
		if !ok || len(as.Lhs) != 1 || len(as.Rhs) != 1 {
			return true
		}
		id, ok := as.Lhs[0].(*ast.Ident)
		if !ok || id.Name != "baseline" {
			return true
		}
		lit, ok := as.Rhs[0].(*ast.CompositeLit)
		if !ok {
			return true
		}
		for _, e := range lit.Elts {
			kv, ok := e.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			key, ok := kv.Key.(*ast.Ident)
			if v, isIdent := kv.Value.(*ast.Ident); ok && !(isIdent && v.Name == "false") {
				tags = append(tags, strings.ToLower(key.Name))
			}
		}
		return false
	})
	return tags, nil
}

// Has reports whether the tree has a package of this path with files for the
// platform.
func (t *Tree) Has(path string) bool {
	bp, err := t.ctxt.ImportDir(t.pkgDir(path), 0)
	return err == nil && len(bp.GoFiles) > 0
}

// pkgDir returns the directory of a package.
func (t *Tree) pkgDir(path string) string {
	for _, prefix := range []string{"", "vendor", "cmd/vendor"} {
		dir := filepath.Join(t.Dir, "src", filepath.FromSlash(prefix), filepath.FromSlash(path))
		if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
			return dir
		}
	}
	return filepath.Join(t.Dir, "src", filepath.FromSlash(path))
}

// Load checks the package of an import path in full. The error tells that there
// is no such package; errors in it are in its Errors.
func (t *Tree) Load(path string) (*Package, error) { return t.load(path, true) }

// maxErrors is how many errors of a package are kept.
const maxErrors = 50

func (t *Tree) load(path string, full bool) (*Package, error) {
	if path == "unsafe" {
		return &Package{Types: types.Unsafe}, nil
	}
	if p := t.pkgs[path]; p != nil && (p.Info != nil || !full) {
		if p.Types == nil {
			return nil, fmt.Errorf("import cycle through %s", path)
		}
		return p, nil
	}
	p := &Package{}
	if !full {
		t.pkgs[path] = p // until it is complete: an import cycle
	}
	dir := t.pkgDir(path)
	bp, err := t.ctxt.ImportDir(dir, 0)
	if err != nil {
		return nil, fmt.Errorf("package %s: %v", path, err)
	}
	fail := func(err error) {
		if len(p.Errors) < maxErrors {
			p.Errors = append(p.Errors, err)
		}
	}
	for _, name := range bp.GoFiles {
		f, err := parser.ParseFile(t.Fset, filepath.Join(dir, name), nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			fail(err)
		}
		if f != nil {
			f.GoVersion = "" // of its build tags: may be newer than this program's go/types
			p.Files = append(p.Files, f)
		}
	}
	if full {
		p.Info = &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	}
	conf := types.Config{
		Importer:         importer{t},
		Sizes:            types.SizesFor("gc", t.ctxt.GOARCH),
		IgnoreFuncBodies: !full,
		Error:            fail,
	}
	p.Types, _ = conf.Check(path, t.Fset, p.Files, p.Info)
	t.pkgs[path] = p
	return p, nil
}

type importer struct{ *Tree }

func (i importer) Import(path string) (*types.Package, error) {
	p, err := i.load(path, false)
	if err != nil {
		return nil, err
	}
	return p.Types, nil
}

// Problems returns the errors of the package as lines, with paths relative to
// the tree.
func (t *Tree) Problems(p *Package) []string {
	var out []string
	for _, err := range p.Errors {
		out = append(out, strings.TrimPrefix(err.Error(), t.Dir+string(filepath.Separator)))
	}
	return out
}
