// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package linkcheck

import (
	"fmt"
	"go/token"
	"go/types"
)

// A difference between two declarations of the same symbol.
type difference int

const (
	same       difference = iota
	compatible            // written differently, passed and laid out alike
	prefix                // a pointer's two structs agree as far as one of them goes
	layout                // what a pointer points to is laid out differently
	signature             // arguments or results are passed differently
)

// typeString writes a type or signature with full package paths, a function
// without the word func's receiver.
func typeString(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string { return p.Path() })
}

// declared returns the type under which others bind an object. The receiver
// of a method is its first parameter.
func declared(obj types.Object) types.Type {
	sig, ok := obj.Type().(*types.Signature)
	if !ok || sig.Recv() == nil {
		return obj.Type()
	}
	params := []*types.Var{types.NewParam(0, nil, "", sig.Recv().Type())}
	for v := range sig.Params().Variables() {
		params = append(params, v)
	}
	return types.NewSignatureType(nil, nil, nil, types.NewTuple(params...), sig.Results(), sig.Variadic())
}

// compare compares two declarations of one symbol and says where they
// differ. Parameter names do not count.
func compare(a, b types.Object) (difference, string) {
	_, af := a.(*types.Func)
	_, bf := b.(*types.Func)
	if af != bf {
		return signature, "one is a function, the other a variable"
	}
	ta, tb := declared(a), declared(b)
	if invalid(ta) || invalid(tb) {
		return signature, "a type in it could not be resolved"
	}
	if types.Identical(ta, tb) {
		return same, ""
	}
	c := comparer{seen: map[[2]types.Type]bool{}}
	if !af {
		d, why := c.compare(ta, tb, false)
		return max(d, compatible), why
	}
	sa, sb := ta.(*types.Signature), tb.(*types.Signature)
	if sa.TypeParams().Len()+sb.TypeParams().Len() > 0 {
		return signature, "generic functions cannot be bound"
	}
	worst, why := compatible, ""
	tuple := func(what string, x, y *types.Tuple) {
		if x.Len() != y.Len() {
			worst, why = signature, fmt.Sprintf("%d %ss, not %d", x.Len(), what, y.Len())
			return
		}
		for i := range x.Len() {
			d, w := c.compare(x.At(i).Type(), y.At(i).Type(), false)
			if d > worst {
				worst, why = d, fmt.Sprintf("%s %d: %s", what, i+1, w)
			}
		}
	}
	tuple("result", sa.Results(), sb.Results())
	tuple("parameter", sa.Params(), sb.Params())
	return worst, why
}

func invalid(t types.Type) bool {
	switch t := t.(type) {
	case *types.Basic:
		return t.Kind() == types.Invalid
	case *types.Signature:
		for _, tuple := range []*types.Tuple{t.Params(), t.Results()} {
			for v := range tuple.Variables() {
				if invalid(v.Type()) {
					return true
				}
			}
		}
	case *types.Pointer:
		return invalid(t.Elem())
	case *types.Slice:
		return invalid(t.Elem())
	}
	return false
}

// A comparer compares the machine representation of types. Names of types
// and fields do not count: both sides of a linkname commonly have types of
// their own.
type comparer struct {
	seen map[[2]types.Type]bool // pairs of pointees under comparison
}

func (c *comparer) compare(a, b types.Type, pointee bool) (difference, string) {
	if types.Identical(a, b) {
		return same, ""
	}
	bad := signature
	if pointee {
		bad = layout
	}
	differ := func() (difference, string) {
		return bad, fmt.Sprintf("%s, not %s", typeString(a), typeString(b))
	}
	a0, b0 := a, b
	a, b = peel(a.Underlying()), peel(b.Underlying())

	// Pointers of any sort are one word. Both sides may name what they point
	// to; unsafe.Pointer, and a struct without fields, promise nothing.
	pa, okA := elem(a)
	pb, okB := elem(b)
	if okA != okB {
		// Runtime code keeps pointers in a uintptr, with care.
		if word(a) && word(b) {
			return compatible, ""
		}
		return differ()
	}
	if okA {
		if pa == nil || pb == nil || opaque(pa) || opaque(pb) || c.seen[[2]types.Type{pa, pb}] {
			return compatible, ""
		}
		c.seen[[2]types.Type{pa, pb}] = true
		d, why := c.compare(pa, pb, true)
		if d == prefix {
			return prefix, fmt.Sprintf("%s and %s agree only as far as one of them goes: %s", typeString(pa), typeString(pb), why)
		}
		if d > compatible {
			return layout, fmt.Sprintf("%s and %s are laid out differently: %s", typeString(pa), typeString(pb), why)
		}
		return compatible, ""
	}

	switch a := a.(type) {
	case *types.Basic:
		b, ok := b.(*types.Basic)
		if !ok || class(a) != class(b) {
			return differ()
		}
		return compatible, ""
	case *types.Slice:
		b, ok := b.(*types.Slice)
		if !ok {
			return differ()
		}
		if d, why := c.compare(a.Elem(), b.Elem(), true); d > compatible {
			return layout, why // a prefix will not do: elements have a size
		}
		return compatible, ""
	case *types.Array:
		b, ok := b.(*types.Array)
		if !ok || a.Len() != b.Len() {
			return differ()
		}
		return c.compare(a.Elem(), b.Elem(), pointee)
	case *types.Struct:
		fb := words(b)
		fa := flatten(nil, a)
		if len(fb) != len(fa) && !pointee || fb == nil {
			return bad, fmt.Sprintf("%s has %d fields, %s has %d", typeString(a0), len(fa), typeString(b0), len(fb))
		}
		worst, why := compatible, ""
		for i := range min(len(fa), len(fb)) {
			d, w := c.compare(fa[i].Type(), fb[i].Type(), pointee)
			if d > worst {
				worst, why = d, fmt.Sprintf("field %s: %s", fa[i].Name(), w)
			}
		}
		if worst < prefix && len(fa) != len(fb) {
			return prefix, fmt.Sprintf("%s has %d fields, %s has %d", typeString(a0), len(fa), typeString(b0), len(fb))
		}
		return worst, why
	case *types.Interface:
		switch b := b.(type) {
		case *types.Interface:
			if a.Empty() == b.Empty() {
				return compatible, ""
			}
		case *types.Struct:
			return c.compare(b, a, pointee)
		}
		return differ()
	}
	return differ()
}

// flatten returns the fields of a struct with those of the structs in it.
func flatten(list []*types.Var, s *types.Struct) []*types.Var {
	for _, f := range fields(s) {
		if in, ok := f.Type().Underlying().(*types.Struct); ok {
			list = flatten(list, in)
		} else {
			list = append(list, f)
		}
	}
	return list
}

// words returns the fields of a struct, or the two pointers of an interface,
// which package runtime writes as a struct; nil for other types.
func words(t types.Type) []*types.Var {
	switch t := t.(type) {
	case *types.Struct:
		return flatten(nil, t)
	case *types.Interface:
		word := types.NewField(token.NoPos, nil, "", types.Typ[types.UnsafePointer], false)
		return []*types.Var{word, word}
	}
	return nil
}

// fields returns the fields of a struct without those that have no size, such
// as the markers in the types of package atomic.
func fields(s *types.Struct) []*types.Var {
	var list []*types.Var
	for f := range s.Fields() {
		if !opaque(f.Type()) {
			list = append(list, f)
		}
	}
	return list
}

// peel takes off structs of one field, which are passed and laid out as the
// field is.
func peel(t types.Type) types.Type {
	for {
		s, ok := t.(*types.Struct)
		if !ok {
			return t
		}
		f := fields(s)
		if len(f) != 1 {
			return t
		}
		t = f[0].Type().Underlying()
	}
}

// elem returns what a pointer-shaped type points to, nil if that is not
// known, and whether the type is pointer-shaped.
func elem(t types.Type) (types.Type, bool) {
	switch t := t.(type) {
	case *types.Pointer:
		return t.Elem(), true
	case *types.Map, *types.Chan, *types.Signature:
		return nil, true
	case *types.Basic:
		return nil, t.Kind() == types.UnsafePointer
	}
	return nil, false
}

func word(t types.Type) bool {
	if _, ok := elem(t); ok {
		return true
	}
	b, ok := t.(*types.Basic)
	return ok && b.Kind() == types.Uintptr
}

func opaque(t types.Type) bool {
	s, ok := t.Underlying().(*types.Struct)
	return ok && len(fields(s)) == 0
}

// class groups basic types that are passed and stored alike.
func class(b *types.Basic) string {
	switch b.Kind() {
	case types.Bool, types.Int8, types.Uint8:
		return "8 bits"
	case types.Int16, types.Uint16:
		return "16 bits"
	case types.Int32, types.Uint32:
		return "32 bits"
	case types.Int64, types.Uint64:
		return "64 bits"
	case types.Int, types.Uint, types.Uintptr:
		return "word"
	}
	return b.Name()
}
