// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package linkcheck checks what Go packages bind with //go:linkname.
//
// The compiler and the linker compare no types across a linkname: a function
// whose parameters changed upstream still links, and corrupts memory. The
// package lists every such binding, finds the other side in the source of
// the packages and of the standard library, and says whether it exists, is
// declared alike, and whether this release's linker allows the reference.
//
// Bindings take one of these forms:
//
//   - pull: a function without a body, or a variable without a value, is
//     another package's symbol.
//   - push: a function with a body, or a variable with a value, is given
//     another package's name, for a declaration there that has no body. It
//     never replaces a definition.
//   - open: a definition under its own name, marked so that others may pull it.
//   - await: a declaration under its own name without a body, which some
//     other package is to push.
//   - asm: assembly refers to another package's symbol. No types are known.
//
// What is not seen: references that assembly macros make, _test.go files,
// files that build constraints exclude, and symbols that the linker itself
// makes up, such as runtime.etext. Function bodies are not type-checked and
// cgo does not run; a linkname in a file that imports "C" is checked unless
// types of C are part of the signature.
package linkcheck

import (
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/types"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Options say what to check.
type Options struct {
	Go       string   // go command that lists packages
	Dir      string   // where it runs
	Env      []string // K=V, added to the environment
	Tags     string   // build tags, comma-separated
	Patterns []string // packages to check
	Deps     bool     // check the packages they depend on as well, except the standard library

	// NoLinkerCheck is for programs linked with -ldflags=-checklinkname=0,
	// which switches the linker's rules off.
	NoLinkerCheck bool

	// keep, if not nil, chooses which directives, and which names in assembly,
	// are checked.
	keep func(file, text string) bool

	goarch string
}

// A Status says what became of a binding.
type Status string

const (
	OK         Status = "ok"
	Compatible Status = "compatible" // other types, the same machine representation
	Unchecked  Status = "unchecked"  // the other side is assembly or cgo: it exists, types are unknown
	Prefix     Status = "prefix"     // one side knows only the first fields behind a pointer, and must not allocate
	Unbound    Status = "unbound"    // a push that nothing declares, an await that nothing pushes
	Unopened   Status = "unopened"   // the linker would refuse, if the declaring package used what it declares

	Missing   Status = "missing"   // there is no such symbol
	Signature Status = "signature" // arguments or results are passed differently
	Layout    Status = "layout"    // memory behind a pointer is laid out differently
	Forbidden Status = "forbidden" // the linker refuses the reference
	Duplicate Status = "duplicate" // a body for what has a definition: nothing is replaced, the link fails
	Malformed Status = "malformed" // the compiler refuses the directive
)

// Bad reports whether a status means that the program does not link or must
// not run.
func (s Status) Bad() bool {
	switch s {
	case OK, Compatible, Unchecked, Prefix, Unbound, Unopened:
		return false
	}
	return true
}

// A Binding is one directive, or one reference of an assembly file.
type Binding struct {
	Pos     string `json:"pos"`     // file:line, the file below its package's directory
	Package string `json:"package"` // import path
	Form    string `json:"form"`    // pull, push, open, await or asm
	Local   string `json:"local,omitempty"`
	Symbol  string `json:"symbol"`
	Status  Status `json:"status"`
	Why     string `json:"why,omitempty"`

	// The declarations on this side and on the other, and where that is.
	LocalType  string `json:"localType,omitempty"`
	TargetType string `json:"targetType,omitempty"`
	Target     string `json:"target,omitempty"` // import path
}

// A Report is the result of a check.
type Report struct {
	Go       string     `json:"go"` // version of the go command
	GOROOT   string     `json:"goroot"`
	GOARCH   string     `json:"goarch"`
	Rules    *Rules     `json:"rules,omitempty"` // nil with NoLinkerCheck
	Bindings []*Binding `json:"bindings"`
	Notes    []string   `json:"notes,omitempty"`
}

// Bad returns the bindings that break a program.
func (r *Report) Bad() []*Binding {
	return slices.DeleteFunc(slices.Clone(r.Bindings), func(b *Binding) bool { return !b.Status.Bad() })
}

// checked reports whether a package's own directives are to be checked.
func (o *Options) checked(pkg *Package) bool {
	return pkg.wanted || o.Deps && !pkg.Standard
}

// Check lists and checks the bindings of the packages.
func Check(ctx context.Context, o Options) (*Report, error) {
	r := &Report{}
	out, err := o.runGo(ctx, "env", "GOVERSION", "GOROOT", "GOARCH")
	if err != nil {
		return nil, err
	}
	if f := strings.Split(strings.TrimSpace(string(out)), "\n"); len(f) == 3 {
		r.Go, r.GOROOT, r.GOARCH = f[0], f[1], f[2]
	} else {
		return nil, fmt.Errorf("%s env: unexpected output %q", o.Go, out)
	}
	o.goarch = r.GOARCH
	if !o.NoLinkerCheck {
		if r.Rules, err = ReadRules(r.GOROOT); err != nil {
			return nil, err
		}
	}
	p, err := o.load(ctx)
	if err != nil {
		return nil, err
	}
	for _, pkg := range p.pkgs {
		if !o.checked(pkg) {
			continue
		}
		found := p.bindings(&o, r, pkg)
		r.Bindings = append(r.Bindings, found...)
		if len(found) > 0 && len(pkg.errs) > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("%s: %d declarations could not be type-checked, the first: %v", pkg.ImportPath, len(pkg.errs), pkg.errs[0]))
		}
	}
	slices.SortStableFunc(r.Bindings, func(a, b *Binding) int {
		return cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.Form, b.Form), cmp.Compare(a.Symbol, b.Symbol))
	})
	return r, nil
}

// bindings checks one package.
func (p *program) bindings(o *Options, r *Report, pkg *Package) []*Binding {
	var list []*Binding
	for _, d := range directives(p.fset, pkg) {
		rel, err := filepath.Rel(pkg.Dir, d.Pos.Filename)
		if err != nil {
			rel = d.Pos.Filename
		}
		text := strings.TrimSpace("//go:linkname " + d.Local)
		if d.Std {
			text = "//go:linknamestd " + d.Local
		}
		if d.Explicit {
			text += " " + d.Symbol
		}
		if o.keep != nil && !o.keep(d.Pos.Filename, text) {
			continue
		}
		b := &Binding{Pos: fmt.Sprintf("%s:%d", rel, d.Pos.Line), Package: pkg.ImportPath, Local: d.Local, Symbol: d.Symbol}
		p.judge(r.Rules, pkg, d, b)
		list = append(list, b)
	}
	seen := map[string]bool{}
	for _, a := range pkg.asm {
		own := strings.HasPrefix(a.Name, pkg.prefix()+".")
		if own || seen[a.Name] || o.keep != nil && !o.keep(filepath.Join(pkg.Dir, a.File), a.Text) {
			continue
		}
		seen[a.Name] = true
		b := &Binding{Pos: fmt.Sprintf("%s:%d", a.File, a.Line), Package: pkg.ImportPath, Form: "asm", Symbol: a.Name}
		p.judgeAsm(r.Rules, pkg, a, b)
		list = append(list, b)
	}
	return list
}

// find returns the definition of a symbol, and else a declaration of it,
// outside of the given package if it is not nil.
func (p *program) find(name string, except *Package) (def, decl *symbol) {
	for _, s := range p.symbols[name] {
		switch {
		case s.Pkg == except:
		case s.defined() && (def == nil || def.Zero):
			def = s
		case !s.defined() && (decl == nil || strings.HasPrefix(name, s.Pkg.prefix()+".")):
			decl = s
		}
	}
	return def, decl
}

// here returns what a package itself has under a symbol's name.
func (p *program) here(name string, pkg *Package) *symbol {
	for _, s := range p.symbols[name] {
		if s.Pkg == pkg {
			return s
		}
	}
	return nil
}

func (b *Binding) set(s Status, format string, args ...any) {
	b.Status, b.Why = s, fmt.Sprintf(format, args...)
}

// judge fills in the form and the status of a directive.
func (p *program) judge(rules *Rules, pkg *Package, d directive, b *Binding) {
	if d.Usage != "" {
		b.set(Malformed, "%s", d.Usage)
		return
	}
	if !d.Unsafe {
		b.set(Malformed, `the file must import "unsafe"`)
		return
	}
	if strings.Contains(d.Symbol, "[") {
		b.set(Malformed, "an instance of a generic function cannot be bound")
		return
	}
	var obj types.Object
	if pkg.types != nil {
		obj = pkg.types.Scope().Lookup(d.Local)
	}
	switch obj.(type) {
	case *types.Func, *types.Var:
	default:
		b.set(Malformed, "%s is no function or variable of the package", d.Local)
		return
	}
	b.LocalType = typeString(declared(obj))
	body := p.hasBody(pkg, d.Local)
	own := strings.HasPrefix(d.Symbol, pkg.prefix()+".")
	def, decl := p.find(d.Symbol, pkg)
	if here := p.here(d.Symbol, pkg); here != nil && here.Asm && !body {
		// The package's own assembly defines it.
		b.Form, b.Status, b.Target = "push", OK, pkg.ImportPath
		if own {
			b.Form = "open"
		} else if decl != nil {
			p.against(b, obj, decl)
		}
		return
	}
	if own {
		b.Form = "await"
		if _, v := obj.(*types.Var); body || v && (def == nil || def.Zero) {
			b.Form = "open"
			b.Status = OK
			if def != nil {
				b.Target = def.Pkg.ImportPath
				b.set(Duplicate, "%s defines it too", def.Pkg.ImportPath)
			}
			return
		}
		if here := p.here(d.Symbol, pkg); here.defined() {
			b.Form, b.Status = "open", OK // a mark on a method
			return
		}
		if def == nil {
			b.set(Unbound, "no package of this program pushes it")
			return
		}
		p.against(b, obj, def)
		return
	}
	if body {
		b.Form = "push"
		switch {
		case def != nil && def.Zero:
			p.against(b, obj, def)
		case def != nil:
			b.Target = def.Pkg.ImportPath
			if def.Obj != nil {
				b.TargetType = typeString(declared(def.Obj))
			}
			b.set(Duplicate, "%s has a definition of its own; a linkname does not replace it, and the link fails", def.Pkg.ImportPath)
		case decl != nil:
			p.against(b, obj, decl)
		default:
			b.set(Unbound, "nothing declares it; it replaces nothing")
		}
		return
	}
	b.Form = "pull"
	p.reference(rules, pkg, b, obj, def, decl)
}

func (p *program) judgeAsm(rules *Rules, pkg *Package, a asmSymbol, b *Binding) {
	def, decl := p.find(a.Name, pkg)
	if a.Def {
		b.Form = "push"
		switch {
		case def != nil:
			b.set(Duplicate, "%s has a definition of its own", def.Pkg.ImportPath)
		case decl != nil:
			b.Target, b.TargetType = decl.Pkg.ImportPath, typeString(declared(decl.Obj))
			b.set(Unchecked, "assembly has no types")
		default:
			b.set(Unbound, "nothing declares it")
		}
		return
	}
	p.reference(rules, pkg, b, nil, def, decl)
}

// reference judges a pull.
func (p *program) reference(rules *Rules, pkg *Package, b *Binding, obj types.Object, def, decl *symbol) {
	if def == nil {
		path, _ := splitSymbol(b.Symbol)
		switch {
		case path == "", b.Symbol == "main.main":
			b.set(Unchecked, "expected from the program, from C or from the linker")
		case decl != nil:
			b.set(Missing, "%s declares it, and nothing in this program defines it", decl.Pkg.ImportPath)
		case p.byPath[unescapePath(path)] == nil:
			b.set(Missing, "there is no package %s", unescapePath(path))
		default:
			b.set(Missing, "%s has no such function or variable", unescapePath(path))
		}
		return
	}
	b.Target = def.Pkg.ImportPath
	if rules != nil {
		// Any of several places may open the symbol: methods and assembly
		// functions are opened by a declaration beside them.
		if why := rules.refusal(pkg, b.Symbol, def); why != "" {
			if def.Obj != nil {
				b.TargetType = typeString(declared(def.Obj))
			}
			if _, ok := obj.(*types.Func); ok && !uses(pkg, b.Local) {
				b.set(Unopened, "%s; it links as long as only other packages call %s", why, b.Local)
				return
			}
			b.set(Forbidden, "%s", why)
			return
		}
	}
	p.against(b, obj, def)
}

// against compares the two sides of a binding.
func (p *program) against(b *Binding, obj types.Object, s *symbol) {
	b.Target = s.Pkg.ImportPath
	if s.Obj == nil {
		b.set(Unchecked, "defined in assembly, without a Go declaration")
		return
	}
	b.TargetType = typeString(declared(s.Obj))
	if obj == nil {
		b.set(Unchecked, "assembly has no types")
		return
	}
	d, why := compare(obj, s.Obj)
	b.Why = why
	b.Status = [...]Status{same: OK, compatible: Compatible, prefix: Prefix, layout: Layout, signature: Signature}[d]
}

// uses reports whether a package's own code mentions a function that it
// declares. Only then does its object file refer to the symbol: references of
// other packages to the declaration are not marked as a linkname, and the
// linker lets them pass.
func uses(pkg *Package, name string) bool {
	found := false
	for _, f := range pkg.files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Body != nil {
					ast.Inspect(n.Body, func(n ast.Node) bool {
						id, ok := n.(*ast.Ident)
						found = found || ok && id.Name == name
						return true
					})
				}
				return false
			case *ast.ValueSpec:
				for _, v := range n.Values {
					ast.Inspect(v, func(n ast.Node) bool {
						id, ok := n.(*ast.Ident)
						found = found || ok && id.Name == name
						return true
					})
				}
				return false
			}
			return true
		})
	}
	return found
}

// hasBody reports whether a function of the package has a body, or a variable
// a value.
func (p *program) hasBody(pkg *Package, name string) bool {
	for _, f := range pkg.files {
		for _, decl := range f.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil && decl.Name.Name == name {
					return decl.Body != nil
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok && slices.ContainsFunc(v.Names, func(id *ast.Ident) bool { return id.Name == name }) {
						return len(v.Values) > 0
					}
				}
			}
		}
	}
	return false
}

// Print writes the report as text: one line for each binding, another for
// what is to be said of it. With problems, only what is refused.
func (r *Report) Print(w io.Writer, problems bool) {
	count := map[Status]int{}
	for _, b := range r.Bindings {
		count[b.Status]++
		if problems && !b.Status.Bad() {
			continue
		}
		fmt.Fprintf(w, "%-10s %-5s %s  (%s, %s)\n", b.Status, b.Form, b.Symbol, b.Package, b.Pos)
		if b.Status == OK {
			continue
		}
		if b.Why != "" {
			fmt.Fprintf(w, "           %s\n", b.Why)
		}
		if b.LocalType != "" && b.TargetType != "" && b.LocalType != b.TargetType {
			fmt.Fprintf(w, "           here:  %s\n           there: %s\n", b.LocalType, b.TargetType)
		}
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	fmt.Fprintf(w, "%s %s: %d bindings", r.Go, r.GOARCH, len(r.Bindings))
	sep := ": "
	for _, s := range []Status{OK, Compatible, Unchecked, Prefix, Unbound, Unopened, Missing, Signature, Layout, Forbidden, Duplicate, Malformed} {
		if count[s] > 0 {
			fmt.Fprintf(w, "%s%d %s", sep, count[s], s)
			sep = ", "
		}
	}
	fmt.Fprintln(w)
}
