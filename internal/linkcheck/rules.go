// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package linkcheck

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Rules are what a release's linker allows a linkname to refer to, read from
// the source of that linker: they change with every release.
type Rules struct {
	// Blocked maps symbols to the only packages that may refer to them.
	Blocked map[string][]string `json:"-"`

	// AsmNeedsPush is set from Go 1.27 on: an assembly function of the
	// standard library needs a //go:linkname like any other. Before, all of
	// them could be referred to.
	AsmNeedsPush bool `json:"asmNeedsPush"`
}

// linkerFile is where the rules are, below GOROOT.
const linkerFile = "src/cmd/link/internal/loader/loader.go"

// ReadRules reads the rules of the linker in a GOROOT.
func ReadRules(goroot string) (*Rules, error) {
	file := filepath.Join(goroot, filepath.FromSlash(linkerFile))
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("the linker's rules are read from its source: %v; name a complete GOROOT with -goroot", err)
	}
	r := &Rules{Blocked: map[string][]string{}}
	found := false
	for _, decl := range f.Decls {
		switch decl := decl.(type) {
		case *ast.GenDecl:
			for _, spec := range decl.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if !ok || len(v.Names) != 1 || v.Names[0].Name != "blockedLinknames" || len(v.Values) != 1 {
					continue
				}
				if err := r.readBlocked(v.Values[0]); err != nil {
					return nil, fmt.Errorf("%s: blockedLinknames: %v", file, err)
				}
			}
		case *ast.FuncDecl:
			if decl.Name.Name != "checkLinkname" {
				continue
			}
			found = true
			ast.Inspect(decl, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == "FromAssembly" {
					r.AsmNeedsPush = true
				}
				return true
			})
		}
	}
	if !found || len(r.Blocked) == 0 {
		return nil, fmt.Errorf("%s: no checkLinkname or blockedLinknames: this release's linker has other rules than rtgo knows", file)
	}
	return r, nil
}

func (r *Rules) readBlocked(e ast.Expr) error {
	m, ok := e.(*ast.CompositeLit)
	if !ok {
		return fmt.Errorf("not a composite literal")
	}
	for _, elt := range m.Elts {
		kv, ok := elt.(*ast.KeyValueExpr)
		if !ok {
			return fmt.Errorf("not a map")
		}
		key, err := stringLit(kv.Key)
		if err != nil {
			return err
		}
		list, ok := kv.Value.(*ast.CompositeLit)
		if !ok {
			return fmt.Errorf("%s: not a list", key)
		}
		pkgs := []string{}
		for _, e := range list.Elts {
			s, err := stringLit(e)
			if err != nil {
				return err
			}
			pkgs = append(pkgs, s)
		}
		r.Blocked[key] = pkgs
	}
	return nil
}

func stringLit(e ast.Expr) (string, error) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", fmt.Errorf("not a string")
	}
	return strconv.Unquote(lit.Value)
}

// refusal returns why the linker refuses a reference from a package to a
// symbol with the given definition, or "".
func (r *Rules) refusal(from *Package, name string, def *symbol) string {
	if pkgs, ok := r.Blocked[name]; ok {
		if slices.Contains(pkgs, from.prefix()) || slices.Contains(pkgs, unfrozen(from.ImportPath)) {
			return ""
		}
		if len(pkgs) == 0 {
			return "on the linker's block list: nothing may refer to it"
		}
		return "on the linker's block list: only " + strings.Join(pkgs, ", ") + " may refer to it"
	}
	if def == nil || !def.Pkg.Standard || def.Pkg == from {
		return ""
	}
	switch {
	case def.Named:
		return ""
	case def.Std && from.Standard:
		return ""
	case def.Std:
		return fmt.Sprintf("%s opens it to the standard library alone (go:linknamestd)", def.Pkg.ImportPath)
	case def.Asm && !r.AsmNeedsPush:
		return ""
	case def.Asm && strings.HasPrefix(name, from.prefix()):
		return ""
	}
	return fmt.Sprintf("%s does not open it: its definition has no go:linkname", def.Pkg.ImportPath)
}

// unfrozen returns the path of a package of the FIPS module without the
// version of its frozen copies.
func unfrozen(path string) string {
	if rest, ok := strings.CutPrefix(path, "crypto/internal/fips140/v"); ok {
		if _, tail, ok := strings.Cut(rest, "/"); ok {
			return "crypto/internal/fips140/" + tail
		}
	}
	return path
}
