// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package typecheck

import (
	"fmt"
	"go/ast"
	"go/printer"
	"go/token"
	"go/types"
	"path/filepath"
	"slices"
	"strings"
)

// A Name is an identifier at package level, or a field or method: "lock2",
// "m.locks", "gQueue.push", "sched.gFree.lock".
type Name struct {
	Pkg  string // import path
	Name string
}

func (n Name) String() string { return n.Pkg + "." + n.Name }

// Uses returns the identifiers that the files, given by their path in the
// tree, use of other files of GOROOT, with the places in the form
// "src/runtime/rt_on.go:12", sorted.
func (t *Tree) Uses(files []string) (map[Name][]string, error) {
	uses := map[Name][]string{}
	for _, pkg := range Packages(files) {
		if !t.Has(pkg) {
			continue
		}
		p, err := t.Load(pkg)
		if err != nil {
			return nil, err
		}
		names := map[*types.Package]map[types.Object]string{}
		for id, obj := range p.Info.Uses {
			if obj.Pkg() == nil {
				continue // of the language
			}
			at := t.place(id.Pos())
			file, _, _ := strings.Cut(at, ":")
			def, _, _ := strings.Cut(t.place(obj.Pos()), ":")
			if !slices.Contains(files, file) || slices.Contains(files, def) {
				continue
			}
			if names[obj.Pkg()] == nil {
				names[obj.Pkg()] = nameObjects(obj.Pkg())
			}
			if name := names[obj.Pkg()][origin(obj)]; name != "" {
				n := Name{obj.Pkg().Path(), name}
				uses[n] = append(uses[n], at)
			}
		}
	}
	for _, places := range uses {
		slices.Sort(places)
	}
	return uses, nil
}

// place returns the position in the form "src/runtime/proc.go:12".
func (t *Tree) place(pos token.Pos) string {
	at := t.Fset.Position(pos)
	rel, err := filepath.Rel(t.Dir, at.Filename)
	if err != nil {
		rel = at.Filename
	}
	return fmt.Sprintf("%s:%d", filepath.ToSlash(rel), at.Line)
}

// origin returns the generic object that obj is an instance of, or obj.
func origin(obj types.Object) types.Object {
	switch o := obj.(type) {
	case *types.Func:
		return o.Origin()
	case *types.Var:
		return o.Origin()
	}
	return obj
}

// nameObjects returns the names of all identifiers of a package that other
// files can use.
func nameObjects(pkg *types.Package) map[types.Object]string {
	names := map[types.Object]string{}
	for _, name := range pkg.Scope().Names() {
		obj := pkg.Scope().Lookup(name)
		names[obj] = name
		switch o := obj.(type) {
		case *types.TypeName:
			nameFields(names, name, o.Type())
			if n, ok := o.Type().(*types.Named); ok {
				for m := range n.Methods() {
					names[m] = name + "." + m.Name()
				}
				if i, ok := n.Underlying().(*types.Interface); ok {
					for m := range i.ExplicitMethods() {
						names[m] = name + "." + m.Name()
					}
				}
			}
		case *types.Var:
			if _, ok := o.Type().(*types.Named); !ok {
				nameFields(names, name, o.Type())
			}
		}
	}
	return names
}

// nameFields names the fields of a struct type, and of those that have no
// name within it.
func nameFields(names map[types.Object]string, prefix string, typ types.Type) {
	if n, ok := typ.(*types.Named); ok {
		typ = n.Underlying()
	}
	for {
		switch t := typ.(type) {
		case *types.Array:
			typ = t.Elem()
			continue
		case *types.Slice:
			typ = t.Elem()
			continue
		case *types.Pointer:
			typ = t.Elem()
			continue
		}
		break
	}
	s, ok := typ.(*types.Struct)
	if !ok {
		return
	}
	for f := range s.Fields() {
		if names[f] != "" {
			continue
		}
		names[f] = prefix + "." + f.Name()
		if _, named := f.Type().(*types.Named); !named {
			nameFields(names, names[f], f.Type())
		}
	}
}

// A Decl is how an identifier is declared.
type Decl struct {
	Text string // without the body of a function or a struct
	Code string // of a function, formatted, without comments; "" for others
	File string // path in the tree
}

// Decls returns the declarations of all identifiers of a package.
func (t *Tree) Decls(pkg string) (map[Name]Decl, error) {
	p, err := t.Load(pkg)
	if err != nil {
		return nil, err
	}
	code := map[types.Object]string{}
	for _, f := range p.Files {
		for _, d := range f.Decls {
			fd, ok := d.(*ast.FuncDecl)
			if !ok || fd.Body == nil {
				continue
			}
			var b strings.Builder
			c := *fd
			c.Doc = nil
			if err := printer.Fprint(&b, t.Fset, &c); err != nil {
				return nil, err
			}
			code[p.Info.Defs[fd.Name]] = b.String()
		}
	}
	qual := func(other *types.Package) string {
		if other == p.Types {
			return ""
		}
		return other.Name()
	}
	decls := map[Name]Decl{}
	for obj, name := range nameObjects(p.Types) {
		file, _, _ := strings.Cut(t.place(obj.Pos()), ":")
		text := types.ObjectString(obj, qual)
		if tn, ok := obj.(*types.TypeName); ok && !tn.IsAlias() {
			// The fields and methods that are used are compared themselves.
			switch tn.Type().Underlying().(type) {
			case *types.Struct:
				text = "type " + tn.Name() + " struct"
			case *types.Interface:
				text = "type " + tn.Name() + " interface"
			}
		}
		decls[Name{pkg, name}] = Decl{Text: text, Code: code[obj], File: file}
	}
	return decls, nil
}
