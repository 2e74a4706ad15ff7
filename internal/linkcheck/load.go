// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package linkcheck

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// A Package is what "go list" says of a package, and what was read from its
// source.
type Package struct {
	ImportPath string
	Name       string
	Dir        string
	Standard   bool
	GoFiles    []string
	CgoFiles   []string
	SFiles     []string
	ImportMap  map[string]string
	Error      *struct{ Err string }

	wanted bool // named by the patterns, not only a dependency

	files []*ast.File
	types *types.Package
	asm   []asmSymbol
	// errs are what the type checker complains of. Declarations that have
	// nothing to do with them can still be compared.
	errs []error
}

// prefix returns what the names of the package's symbols begin with.
func (p *Package) prefix() string {
	if p.Name == "main" {
		return "main"
	}
	return escapePath(p.ImportPath)
}

// escapePath returns the form of an import path in symbol names: dots behind
// the last slash, and a few other characters, are written as %xx.
func escapePath(path string) string {
	var b strings.Builder
	slash := strings.LastIndexByte(path, '/')
	for i := range len(path) {
		switch c := path[i]; {
		case c <= ' ', c == '.' && i > slash, c == '%', c == '"', c >= 0x7f:
			fmt.Fprintf(&b, "%%%02x", c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// splitSymbol splits the name of a symbol into the escaped import path of its
// package and the rest. A name without a dot belongs to no Go package.
func splitSymbol(sym string) (pkg, name string) {
	slash := strings.LastIndexByte(sym, '/') + 1
	dot := strings.IndexByte(sym[slash:], '.')
	if dot < 0 {
		return "", sym
	}
	return sym[:slash+dot], sym[slash+dot+1:]
}

// runGo runs the go command and returns what it prints.
func (o *Options) runGo(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, o.Go, args...)
	cmd.Dir, cmd.Env = o.Dir, append(os.Environ(), o.Env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %v: %s", o.Go, args[0], err, strings.ReplaceAll(strings.TrimSpace(stderr.String()), "\n", "; "))
	}
	return out, nil
}

// goList runs "go list" on the patterns and returns the packages with all
// that they depend on, dependencies first.
func (o *Options) goList(ctx context.Context, patterns ...string) ([]*Package, error) {
	out, err := o.runGo(ctx, append([]string{"list", "-e", "-tags=" + o.Tags, "-deps",
		"-json=ImportPath,Name,Dir,Standard,GoFiles,CgoFiles,SFiles,ImportMap,Error", "--"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	var pkgs []*Package
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(Package)
		if err := d.Decode(p); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s list: %v", o.Go, err)
		}
		pkgs = append(pkgs, p)
	}
}

// A program is the packages checked and all that they depend on.
type program struct {
	fset    *token.FileSet
	pkgs    []*Package          // dependencies first
	byPath  map[string]*Package // by import path
	symbols map[string][]*symbol
}

// load lists, parses and type-checks.
func (o *Options) load(ctx context.Context) (*program, error) {
	// The runtime is part of every program, imported or not.
	pkgs, err := o.goList(ctx, append(slices.Clone(o.Patterns), "runtime")...)
	if err != nil {
		return nil, err
	}
	wanted, err := o.goListRoots(ctx)
	if err != nil {
		return nil, err
	}
	p := &program{fset: token.NewFileSet(), byPath: map[string]*Package{}}
	add := func(pkgs []*Package) {
		for _, pkg := range pkgs {
			if p.byPath[pkg.ImportPath] == nil {
				p.byPath[pkg.ImportPath] = pkg
				p.pkgs = append(p.pkgs, pkg)
			}
		}
	}
	for _, pkg := range pkgs {
		pkg.wanted = wanted[pkg.ImportPath]
		if pkg.Error != nil && pkg.wanted {
			return nil, fmt.Errorf("%s: %s", pkg.ImportPath, strings.ReplaceAll(pkg.Error.Err, "\n", " "))
		}
	}
	add(pkgs)
	if err := p.parse(pkgs); err != nil {
		return nil, err
	}
	// A directive may name a package that nothing here imports.
	var more []string
	for _, pkg := range pkgs {
		if !o.checked(pkg) {
			continue
		}
		for _, d := range directives(p.fset, pkg) {
			path, _ := splitSymbol(d.Symbol)
			if path = unescapePath(path); path != "" && p.byPath[path] == nil && !slices.Contains(more, path) {
				more = append(more, path)
			}
		}
	}
	if len(more) > 0 {
		extra, err := o.goList(ctx, more...)
		if err != nil {
			return nil, err
		}
		extra = slices.DeleteFunc(extra, func(pkg *Package) bool {
			return pkg.Error != nil || p.byPath[pkg.ImportPath] != nil
		})
		add(extra)
		if err := p.parse(extra); err != nil {
			return nil, err
		}
	}
	p.check(o)
	p.index()
	return p, nil
}

// goListRoots returns the packages that the patterns name themselves.
func (o *Options) goListRoots(ctx context.Context) (map[string]bool, error) {
	out, err := o.runGo(ctx, append([]string{"list", "-e", "-tags=" + o.Tags, "--"}, o.Patterns...)...)
	if err != nil {
		return nil, err
	}
	roots := map[string]bool{}
	for _, path := range strings.Fields(string(out)) {
		roots[path] = true
	}
	if len(roots) == 0 {
		return nil, fmt.Errorf("no packages match %s", strings.Join(o.Patterns, " "))
	}
	return roots, nil
}

func unescapePath(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		var c byte
		if path[i] == '%' && i+2 < len(path) {
			if _, err := fmt.Sscanf(path[i+1:i+3], "%02x", &c); err == nil {
				b.WriteByte(c)
				i += 2
				continue
			}
		}
		b.WriteByte(path[i])
	}
	return b.String()
}

// parse reads the packages' files, on all CPUs.
func (p *program) parse(pkgs []*Package) error {
	var wg sync.WaitGroup
	limit := make(chan struct{}, runtime.GOMAXPROCS(0))
	errs := make([]error, len(pkgs))
	for i, pkg := range pkgs {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			for _, name := range slices.Concat(pkg.GoFiles, pkg.CgoFiles) {
				f, err := parser.ParseFile(p.fset, filepath.Join(pkg.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
				if f == nil || err != nil && !pkg.Standard {
					errs[i] = err
					return
				}
				// A newer release's standard library asks for that release;
				// its declarations are readable all the same.
				f.GoVersion = ""
				pkg.files = append(pkg.files, f)
			}
			for _, name := range pkg.SFiles {
				data, err := os.ReadFile(filepath.Join(pkg.Dir, name))
				if err != nil {
					errs[i] = err
					return
				}
				pkg.asm = append(pkg.asm, parseAsm(pkg, name, data)...)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

type importer struct {
	p   *program
	pkg *Package
}

func (im importer) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	if to := im.pkg.ImportMap[path]; to != "" {
		path = to
	}
	if pkg := im.p.byPath[path]; pkg != nil && pkg.types != nil {
		return pkg.types, nil
	}
	return nil, fmt.Errorf("package %s is not among the dependencies", path)
}

// check type-checks declarations, not bodies.
func (p *program) check(o *Options) {
	for _, pkg := range p.pkgs {
		if pkg.ImportPath == "unsafe" {
			pkg.types = types.Unsafe
			continue
		}
		conf := types.Config{
			IgnoreFuncBodies: true,
			FakeImportC:      true,
			Importer:         importer{p, pkg},
			Sizes:            types.SizesFor("gc", o.goarch),
			Error:            func(err error) { pkg.errs = append(pkg.errs, err) },
		}
		pkg.types, _ = conf.Check(pkg.ImportPath, p.fset, pkg.files, nil)
	}
}

// A directive is a //go:linkname or //go:linknamestd comment, with the
// declaration it is for.
type directive struct {
	Pos      token.Position
	Local    string
	Symbol   string // the object's name for the linker
	Std      bool   // linknamestd: for the standard library alone
	Explicit bool   // names the symbol itself
	Unsafe   bool   // the file imports unsafe
	Usage    string // what is wrong with its form
}

// directives returns the directives of a package in source order.
func directives(fset *token.FileSet, pkg *Package) []directive {
	var list []directive
	for _, f := range pkg.files {
		imports := slices.ContainsFunc(f.Imports, func(s *ast.ImportSpec) bool { return s.Path.Value == `"unsafe"` })
		for _, g := range f.Comments {
			for _, c := range g.List {
				d := directive{Pos: fset.PositionFor(c.Pos(), false), Unsafe: imports}
				rest, ok := strings.CutPrefix(c.Text, "//go:linkname ")
				if !ok {
					if rest, d.Std = strings.CutPrefix(c.Text, "//go:linknamestd "); !d.Std {
						continue
					}
				}
				switch w := strings.Fields(rest); len(w) {
				case 1:
					d.Local, d.Symbol = w[0], pkg.prefix()+"."+w[0]
				case 2:
					d.Local, d.Symbol, d.Explicit = w[0], w[1], true
				default:
					d.Usage = "usage: //go:linkname localname [linkname]"
				}
				list = append(list, d)
			}
		}
	}
	return list
}

// An asmSymbol is a symbol that an assembly file defines or refers to.
type asmSymbol struct {
	File string
	Line int
	Text string // as it is written
	Name string // as the linker knows it
	Def  bool
}

var (
	asmName = regexp.MustCompile(`([\pL\pN_./%∕·]*·[\pL\pN_·]+)(?:<(ABI\w+|)>)?(?:[+-]\d+)?\(SB\)`)
	asmDef  = regexp.MustCompile(`^\s*(?:TEXT|GLOBL)\s+([\pL\pN_./%∕·]*·[\pL\pN_·]+)(<>)?`)
)

// parseAsm finds the symbols of an assembly file by its text, as the go
// command's own preprocessing does. Names that macros make are not found.
func parseAsm(pkg *Package, name string, data []byte) []asmSymbol {
	var list []asmSymbol
	full := func(s string) string {
		s = strings.ReplaceAll(s, "∕", "/")
		s = strings.ReplaceAll(s, "·", ".")
		if strings.HasPrefix(s, ".") {
			s = pkg.prefix() + s
		}
		return s
	}
	line := 0
	for text := range bytes.Lines(data) {
		line++
		code, _, _ := strings.Cut(string(text), "//")
		def := asmDef.FindStringSubmatch(code)
		if def != nil && def[2] == "" {
			list = append(list, asmSymbol{name, line, def[1], full(def[1]), true})
		}
		for _, m := range asmName.FindAllStringSubmatch(code, -1) {
			if strings.HasSuffix(strings.SplitN(m[0], "(", 2)[0], "<>") || def != nil && m[1] == def[1] {
				continue // static, or the definition itself
			}
			list = append(list, asmSymbol{name, line, m[1], full(m[1]), false})
		}
	}
	return list
}

// A symbol is one place where something with a name for the linker is
// declared or defined.
type symbol struct {
	Pkg   *Package
	Obj   types.Object // nil if assembly alone knows it
	Body  bool         // a Go function with a body, or a variable with a value
	Zero  bool         // a variable under its own name, without a value
	Asm   bool         // defined in assembly
	Named bool         // has a //go:linkname
	Std   bool         // has a //go:linknamestd
}

// defined reports whether this place defines the symbol. A variable without
// a value is a definition only under its own name, and only if no other place
// gives it a value: under another's name it refers to that.
func (s *symbol) defined() bool { return s.Body || s.Asm || s.Zero }

// index records every declaration under its name for the linker.
func (p *program) index() {
	p.symbols = map[string][]*symbol{}
	for _, pkg := range p.pkgs {
		if pkg.types == nil || pkg.ImportPath == "unsafe" {
			continue
		}
		here := map[string]*symbol{}
		get := func(name string) *symbol {
			s := here[name]
			if s == nil {
				s = &symbol{Pkg: pkg}
				here[name] = s
				p.symbols[name] = append(p.symbols[name], s)
			}
			return s
		}
		linknamed := map[string]directive{}
		for _, d := range directives(p.fset, pkg) {
			if d.Usage == "" {
				linknamed[d.Local] = d
			}
		}
		declare := func(local string, obj types.Object, body bool) *symbol {
			name := pkg.prefix() + "." + local
			d, ok := linknamed[local]
			if ok {
				name = d.Symbol
			}
			s := get(name)
			if s.Obj == nil || body {
				s.Obj = obj
			}
			s.Body = s.Body || body
			s.Named = s.Named || ok && !d.Std
			s.Std = s.Std || ok && d.Std
			return s
		}
		for _, f := range pkg.files {
			for _, decl := range f.Decls {
				switch decl := decl.(type) {
				case *ast.FuncDecl:
					name, obj := funcObject(pkg, decl)
					if obj != nil {
						declare(name, obj, decl.Body != nil)
					}
				case *ast.GenDecl:
					if decl.Tok != token.VAR {
						continue
					}
					for _, spec := range decl.Specs {
						spec := spec.(*ast.ValueSpec)
						for _, id := range spec.Names {
							if obj := pkg.types.Scope().Lookup(id.Name); obj != nil {
								d, ok := linknamed[id.Name]
								s := declare(id.Name, obj, len(spec.Values) > 0)
								s.Zero = len(spec.Values) == 0 && (!ok || d.Symbol == pkg.prefix()+"."+id.Name)
							}
						}
					}
				}
			}
		}
		for _, a := range pkg.asm {
			if a.Def {
				get(a.Name).Asm = true
			}
		}
	}
}

// funcObject returns the name within its package of a declared function or
// method, and its object.
func funcObject(pkg *Package, decl *ast.FuncDecl) (string, types.Object) {
	name := decl.Name.Name
	if decl.Recv == nil {
		obj := pkg.types.Scope().Lookup(name)
		if obj == nil { // init, _
			return name, nil
		}
		return name, obj
	}
	if len(decl.Recv.List) != 1 {
		return name, nil
	}
	t := ast.Unparen(decl.Recv.List[0].Type)
	format := "%s.%s"
	if star, ok := t.(*ast.StarExpr); ok {
		t, format = ast.Unparen(star.X), "(*%s).%s"
	}
	id, ok := t.(*ast.Ident)
	if !ok { // of a generic type: linkname cannot name it
		return name, nil
	}
	tn, ok := pkg.types.Scope().Lookup(id.Name).(*types.TypeName)
	if !ok {
		return name, nil
	}
	obj, _, _ := types.LookupFieldOrMethod(tn.Type(), true, pkg.types, name)
	if _, ok := obj.(*types.Func); !ok {
		return name, nil
	}
	return fmt.Sprintf(format, id.Name, name), obj
}
