// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package textcmp

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// Since go1.27 the linker places the line tables (.gopclntab) before the type
// descriptors (.go.type). A patch that adds a line makes these tables grow by
// some bytes, and every instruction that forms the address of a type is
// another one: the code is the same, the sections are not. This file tells
// such addresses from code.
//
// An address counts as the same only if it is found at the same place of
// .text on both sides and leads to the same offset of the same section. What
// is not an address does not pass: its value would have to differ by exactly
// the distance that the section it seems to lead to was moved by. Equal bytes
// are taken as equal code: an address that leads to two different things by
// the same number, in a section that moved, would not be seen.
//
// Rejected: comparing before linking, which needs the linker's relocations
// and so external linking and a C toolchain for each architecture; decoding
// every instruction with golang.org/x/arch, which does not know the AVX
// instructions of the library.

// A Section is a part of the memory that a program loads.
type Section struct {
	Name string
	Addr uint64
	Size uint64
}

// moved reports whether the code of b is that of a but for addresses in
// sections that were placed elsewhere, and counts these by section. b has
// the address, the length and the functions of a.
func moved(a, b *Text) (map[string]int, bool) {
	if a.Addr != b.Addr || len(a.Code) != len(b.Code) || a.GOARCH != b.GOARCH {
		return nil, false
	}
	if !slices.EqualFunc(a.Functions, b.Functions, func(f, g Function) bool {
		return f.Name == g.Name && f.Addr == g.Addr && len(f.Code) == len(g.Code)
	}) {
		return nil, false
	}
	var at func(a, b *Text, off int) (section string, next int)
	switch a.GOARCH {
	case "amd64":
		at = movedAMD64
	case "arm64":
		at = movedARM64
	default:
		return nil, false
	}
	n := map[string]int{}
	for off := 0; ; {
		for off < len(a.Code) && a.Code[off] == b.Code[off] {
			off++
		}
		if off == len(a.Code) {
			return n, len(n) > 0
		}
		section, next := at(a, b, off)
		if section == "" {
			return nil, false
		}
		n[section]++
		off = next
	}
}

// movedAMD64 looks for a displacement of 32 bits that holds the byte at off.
// It follows a ModR/M byte that says so (Intel's manual, volume 2, 2.2.1.6,
// RIP-relative addressing), and is relative to the end of the instruction,
// which comes after an immediate operand, if there is one.
func movedAMD64(a, b *Text, off int) (string, int) {
	for s := max(off-3, 1); s <= off && s+4 <= len(a.Code); s++ {
		if a.Code[s-1]&0xc7 != 0x05 {
			continue
		}
		da := int64(int32(binary.LittleEndian.Uint32(a.Code[s:])))
		db := int64(int32(binary.LittleEndian.Uint32(b.Code[s:])))
		for _, immediate := range []uint64{0, 1, 2, 4} {
			end := a.Addr + uint64(s) + 4 + immediate
			if name := sameTarget(a, b, end+uint64(da), end+uint64(db)); name != "" {
				return name, s + 4
			}
		}
	}
	return "", 0
}

// movedARM64 looks for a pair of ADRP and an instruction that adds an offset
// within the page, next to each other as the linker's relocations require.
func movedARM64(a, b *Text, off int) (string, int) {
	for _, s := range []int{off &^ 3, off&^3 - 4} {
		if s < 0 || s+8 > len(a.Code) {
			continue
		}
		var pairs [2]uint64
		var targets [2]uint64
		ok := true
		for i, t := range []*Text{a, b} {
			pairs[i] = binary.LittleEndian.Uint64(t.Code[s:])
			var is bool
			targets[i], is = pairTarget(pairs[i], t.Addr+uint64(s))
			ok = ok && is
		}
		if !ok || (pairs[0]^pairs[1])&^pairOperands != 0 {
			continue // a register or the operation differs
		}
		if name := sameTarget(a, b, targets[0], targets[1]); name != "" {
			return name, s + 8
		}
	}
	return "", 0
}

// pairOperands are the bits of such a pair that hold the address: immlo and
// immhi of ADRP, imm12 of the other.
const pairOperands = 0x60ffffe0 | 0x003ffc00<<32

// pairTarget decodes the pair of instructions at address pc. See the Arm
// Architecture Reference Manual for A-profile, C6.2: ADRP, ADD (immediate),
// LDR and STR (immediate, unsigned offset).
func pairTarget(pair, pc uint64) (uint64, bool) {
	page, use := uint32(pair), uint32(pair>>32)
	if page&0x9f000000 != 0x90000000 || use>>5&31 != page&31 {
		return 0, false
	}
	imm := int64(int32(page<<8)>>13)<<2 | int64(page>>29&3) // immhi with its sign, immlo
	addr := pc&^0xfff + uint64(imm<<12)
	offset := uint64(use >> 10 & 0xfff)
	switch {
	case use&0xffc00000 == 0x91000000: // ADD, 64 bits, not shifted
	case use&0x3b000000 == 0x39000000: // LDR and STR, integer and floating point
		scale := use >> 30
		if use&0x04800000 == 0x04800000 && scale == 0 { // of 128 bits
			scale = 4
		}
		offset <<= scale
	default:
		return 0, false
	}
	return addr + offset, true
}

// sameTarget returns the name of the section that x leads to in a, if y leads
// to the same offset of the section of that name in b.
func sameTarget(a, b *Text, x, y uint64) string {
	s := sectionOf(a, x)
	if s == nil {
		return ""
	}
	r := sectionOf(b, y)
	if r == nil || r.Name != s.Name || y-r.Addr != x-s.Addr {
		return ""
	}
	return s.Name
}

// sectionOf returns the section that holds addr, or nil.
func sectionOf(t *Text, addr uint64) *Section {
	i, ok := slices.BinarySearchFunc(t.Sections, addr, func(s Section, addr uint64) int { return cmp.Compare(s.Addr, addr) })
	if !ok {
		i--
	}
	if i < 0 || addr-t.Sections[i].Addr >= t.Sections[i].Size {
		return nil
	}
	return &t.Sections[i]
}
