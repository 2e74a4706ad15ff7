// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package textcmp shows that two toolchains compile programs to the same
// machine code: the .text sections are equal byte for byte, or but for the
// addresses of sections that the linker placed elsewhere (see moved.go), and
// the report says which.
//
// Two things that are not code would shift the addresses inside .text and are
// taken out on both sides alike, with linker flags: the Go version and build
// settings that the linker embeds as strings (-X), and the position of the
// data segments, which otherwise depends on the size of the line tables (-R).
package textcmp

import (
	"bytes"
	"cmp"
	"debug/elf"
	"fmt"
	"slices"
)

// A Function is a range of .text.
type Function struct {
	Name string
	Addr uint64
	Code []byte
}

// A Text is the .text section of an ELF file.
type Text struct {
	GOARCH    string // amd64, arm64 or, for others, empty
	Addr      uint64
	Code      []byte
	Functions []Function // by address
	Sections  []Section  // all that are loaded, by address
}

// ReadText reads the .text section and the symbols in it.
func ReadText(file string) (*Text, error) {
	f, err := elf.Open(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %v", file, err)
	}
	defer f.Close()
	sec := f.Section(".text")
	if sec == nil {
		return nil, fmt.Errorf("%s has no .text section", file)
	}
	code, err := sec.Data()
	if err != nil {
		return nil, fmt.Errorf("%s: %v", file, err)
	}
	if len(code) == 0 {
		return nil, fmt.Errorf("%s has an empty .text section", file)
	}
	t := &Text{Addr: sec.Addr, Code: code}
	switch f.Machine {
	case elf.EM_X86_64:
		t.GOARCH = "amd64"
	case elf.EM_AARCH64:
		t.GOARCH = "arm64"
	}
	for _, s := range f.Sections {
		// .tbss has an address and takes no place at it.
		if s.Flags&elf.SHF_ALLOC != 0 && s.Flags&elf.SHF_TLS == 0 && s.Size > 0 {
			t.Sections = append(t.Sections, Section{s.Name, s.Addr, s.Size})
		}
	}
	slices.SortFunc(t.Sections, func(a, b Section) int { return cmp.Compare(a.Addr, b.Addr) })
	syms, err := f.Symbols()
	if err != nil {
		return nil, fmt.Errorf("%s: %v; link without -s", file, err)
	}
	for _, s := range syms {
		off := s.Value - sec.Addr
		if elf.ST_TYPE(s.Info) != elf.STT_FUNC || s.Value < sec.Addr || s.Size == 0 || off+s.Size > uint64(len(code)) {
			continue
		}
		t.Functions = append(t.Functions, Function{s.Name, s.Value, code[off : off+s.Size]})
	}
	if len(t.Functions) == 0 {
		return nil, fmt.Errorf("%s has no function symbols in .text", file)
	}
	slices.SortStableFunc(t.Functions, func(a, b Function) int { return cmp.Compare(a.Addr, b.Addr) })
	return t, nil
}

// at returns the function that holds the byte at offset off of .text.
func (t *Text) at(off int) string {
	addr := t.Addr + uint64(off)
	name := "(padding)"
	for _, f := range t.Functions {
		if f.Addr > addr {
			break
		}
		if addr < f.Addr+uint64(len(f.Code)) {
			name = f.Name
		}
	}
	return name
}

// A Diff says where two text sections first differ.
type Diff struct {
	Reason   string `json:"reason"`             // one line
	Function string `json:"function,omitempty"` // the first that differs
	Offset   int    `json:"offset"`             // of the first differing byte in .text
	BytesA   int    `json:"bytes_a"`            // size of .text
	BytesB   int    `json:"bytes_b"`
	OnlyA    int    `json:"functions_only_a"` // functions that the other side lacks
	OnlyB    int    `json:"functions_only_b"`
	Changed  int    `json:"functions_changed"` // of the same name with other code
	Resized  int    `json:"functions_resized"` // of these, of another size: not mere addresses

	// Causes lists the functions that are of another size or on one side
	// only, at most maxCauses; all other changes may be mere consequences.
	Causes []string `json:"causes,omitempty"`
}

const maxCauses = 50

// Compare returns nil if the sections are equal, or but for addresses in
// sections that the linker placed elsewhere; of these it returns the count by
// section. A is the reference.
func Compare(a, b *Text) (map[string]int, *Diff) {
	if a.Addr == b.Addr && bytes.Equal(a.Code, b.Code) {
		return nil, nil
	}
	if n, ok := moved(a, b); ok {
		return n, nil
	}
	d := &Diff{BytesA: len(a.Code), BytesB: len(b.Code)}
	for d.Offset < len(a.Code) && d.Offset < len(b.Code) && a.Code[d.Offset] == b.Code[d.Offset] {
		d.Offset++
	}
	byName := map[string][]Function{}
	for _, f := range b.Functions {
		byName[f.Name] = append(byName[f.Name], f)
	}
	first, firstResized := "", ""
	cause := func(format string, args ...any) {
		if len(d.Causes) < maxCauses {
			d.Causes = append(d.Causes, fmt.Sprintf(format, args...))
		}
	}
	for _, f := range a.Functions {
		same := byName[f.Name]
		if len(same) == 0 {
			d.OnlyA++
			cause("%s: only in the reference", f.Name)
			if firstResized == "" {
				firstResized = f.Name + ": only in the reference"
				d.Function = f.Name
			}
			continue
		}
		g := same[0] // linker order is deterministic, so duplicates pair up
		byName[f.Name] = same[1:]
		if bytes.Equal(f.Code, g.Code) {
			continue
		}
		d.Changed++
		if first == "" {
			first = f.Name
		}
		if len(f.Code) != len(g.Code) {
			d.Resized++
			cause("%s: %d bytes in the reference, %d here", f.Name, len(f.Code), len(g.Code))
			if firstResized == "" {
				firstResized = fmt.Sprintf("%s: %d bytes in the reference, %d here", f.Name, len(f.Code), len(g.Code))
				d.Function = f.Name
			}
		}
	}
	onlyB := ""
	for _, f := range b.Functions {
		if left := byName[f.Name]; len(left) > 0 && left[0].Addr == f.Addr {
			byName[f.Name] = left[1:]
			d.OnlyB++
			cause("%s: not in the reference", f.Name)
			if onlyB == "" {
				onlyB = f.Name
			}
		}
	}
	switch {
	case firstResized != "":
		// A function of another size moves all that follow, so it is the
		// cause where the first changed bytes may be a mere call address.
		d.Reason = firstResized
	case onlyB != "":
		d.Function, d.Reason = onlyB, onlyB+": not in the reference"
	case first != "":
		d.Function, d.Reason = first, fmt.Sprintf("%s: same size, other instructions or addresses, first at .text+%#x", first, d.Offset)
	case a.Addr != b.Addr:
		d.Reason = fmt.Sprintf(".text starts at %#x in the reference, at %#x here", a.Addr, b.Addr)
	default:
		d.Function = a.at(d.Offset)
		d.Reason = fmt.Sprintf("%s: first differing byte at .text+%#x", d.Function, d.Offset)
	}
	return nil, d
}
