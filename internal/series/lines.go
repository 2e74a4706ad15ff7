// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package series

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Common is the directory, beside those of the release lines, that holds the
// patches which are the same in all lines.
const Common = "common"

// Load reads the series of a release line from the repository at root: the
// patches of all lines and the line's own, sorted by name.
func Load(root, line string) ([]*Patch, error) {
	var ps []*Patch
	for _, dir := range []string{Common, line} {
		entries, err := os.ReadDir(filepath.Join(root, Dir(dir)))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".patch") {
				continue
			}
			file := filepath.Join(Dir(dir), e.Name())
			raw, err := os.ReadFile(filepath.Join(root, file))
			if err != nil {
				return nil, err
			}
			p, err := Parse(e.Name(), raw)
			if err != nil {
				return nil, err
			}
			p.File = file
			ps = append(ps, p)
		}
	}
	slices.SortFunc(ps, func(a, b *Patch) int { return strings.Compare(a.Name, b.Name) })
	return ps, nil
}

// Lines returns the release lines that have a directory of patches, sorted.
func Lines(root string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(root, Dir("")))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var lines []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), "go") {
			lines = append(lines, e.Name())
		}
	}
	return lines, nil
}

// slug returns the name of a patch without its number.
func slug(name string) string {
	if numberRE.MatchString(name) {
		return name[5:]
	}
	return name
}

// Store makes ps, of which only Name and Raw are used, the series of a line.
// A patch that is the same in all lines is kept once, in the directory
// [Common]; the others are in those of their lines.
//
// With follow, the other lines follow: of a patch that they shared with this
// line they get the new version, or none if it is gone, and one of their own
// that goes by the same name gets the same number. Otherwise they stay as they
// are.
func Store(root, line string, ps []*Patch, follow bool) (*Export, error) {
	lines, err := Lines(root)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(lines, line) {
		lines = append(lines, line)
	}
	old := map[string][]*Patch{}
	for _, l := range lines {
		if old[l], err = Load(root, l); err != nil {
			return nil, err
		}
	}
	x := &Export{}
	series := map[string][]*Patch{line: ps}
	oldByName := byKey(old[line], func(p *Patch) string { return p.Name })
	for i, p := range ps {
		o := oldByName[p.Name]
		switch {
		case o == nil || !bytes.Equal(o.Raw, p.Raw) && !equalButPlace(o.Raw, p.Raw):
			x.Written = append(x.Written, p.Name)
		default:
			ps[i] = &Patch{Name: o.Name, Raw: o.Raw}
			x.Kept = append(x.Kept, p.Name)
		}
	}
	newByName := byKey(ps, func(p *Patch) string { return p.Name })
	for _, o := range old[line] {
		if newByName[o.Name] == nil {
			x.Removed = append(x.Removed, o.Name)
		}
	}
	newBySlug := byKey(ps, func(p *Patch) string { return slug(p.Name) })
	for _, l := range lines {
		if l == line {
			continue
		}
		for _, o := range old[l] {
			n := newBySlug[slug(o.Name)]
			switch shared := o.File == filepath.Join(Dir(Common), o.Name) && oldByName[o.Name] != nil; {
			case !follow:
				n = o
			case shared && n == nil:
				continue
			case shared:
			case n != nil:
				n = &Patch{Name: n.Name, Raw: o.Raw}
			default:
				n = o
			}
			series[l] = append(series[l], n)
		}
	}

	// A patch whose mails differ in line numbers and blob names alone is the
	// same patch, in the form of the first line that has it.
	files := map[string][]byte{} // by path relative to root
	for _, l := range lines {
		for _, p := range series[l] {
			same := 0
			first := p
			for _, m := range lines {
				i := slices.IndexFunc(series[m], func(q *Patch) bool { return q.Name == p.Name })
				if i < 0 || !equalButPlace(series[m][i].Raw, p.Raw) {
					continue
				}
				if same++; same == 1 {
					first = series[m][i]
				}
			}
			if len(lines) > 1 && same == len(lines) {
				files[filepath.Join(Dir(Common), p.Name)] = first.Raw
			} else {
				files[filepath.Join(Dir(l), p.Name)] = p.Raw
			}
		}
	}
	for _, l := range lines {
		for _, o := range old[l] {
			if _, ok := files[o.File]; ok {
				continue
			}
			if err := os.Remove(filepath.Join(root, o.File)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
		}
	}
	for name, raw := range files {
		file := filepath.Join(root, name)
		if have, err := os.ReadFile(file); err == nil && bytes.Equal(have, raw) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return nil, err
		}
		if err := os.WriteFile(file, raw, 0o666); err != nil {
			return nil, err
		}
	}
	return x, nil
}

func byKey(ps []*Patch, key func(*Patch) string) map[string]*Patch {
	m := map[string]*Patch{}
	for _, p := range ps {
		if k := key(p); m[k] == nil {
			m[k] = p
		}
	}
	return m
}

// renumber numbers the patches of a line from 1, without the numbers that
// other lines alone have: a patch that one line does not need leaves a gap
// there, so that equal patches keep equal numbers.
func renumber(ps []*Patch, gaps []int) {
	n := 0
	for _, p := range ps {
		for n++; slices.Contains(gaps, n); n++ {
		}
		p.Name, p.Number = fmt.Sprintf("%04d-%s", n, slug(p.Name)), n
	}
}

// gaps returns the numbers below its last one that a line lacks and another
// line has.
func gaps(root, line string) ([]int, error) {
	lines, err := Lines(root)
	if err != nil {
		return nil, err
	}
	numbers := map[int]bool{}
	last := 0
	own := map[int]bool{}
	for _, l := range lines {
		ps, err := Load(root, l)
		if err != nil {
			return nil, err
		}
		for _, p := range ps {
			if l == line {
				own[p.Number] = true
				last = max(last, p.Number)
			} else {
				numbers[p.Number] = true
			}
		}
	}
	var out []int
	for n := range numbers {
		if n < last && !own[n] {
			out = append(out, n)
		}
	}
	slices.SortFunc(out, cmp.Compare)
	return out, nil
}

// PortField is the field of a patch's message that says from which state of
// another line's patch it was made: the line and a hash. It is written where
// the two are not the same mail, and tells when the port is out of date.
const PortField = "Port-Of"

// Fingerprint returns a hash of what a patch does and says: not of line
// numbers and blob names, nor of the patch that it was itself ported from.
func (p *Patch) Fingerprint() string {
	sum := sha256.Sum256(portRE.ReplaceAll(placeless(p.Raw), nil))
	return hex.EncodeToString(sum[:6])
}

var portRE = regexp.MustCompile(`(?m)^` + PortField + `: .*\n`)

// SetPort notes in the patch that it was made from a patch of another line.
func (p *Patch) SetPort(line string, from *Patch) {
	field := fmt.Sprintf("%s: %s %s\n", PortField, line, from.Fingerprint())
	raw := portRE.ReplaceAll(p.Raw, nil)
	head, diff, _ := bytes.Cut(raw, []byte("\n---\n"))
	p.Raw = slices.Concat(head, []byte("\n"), []byte(field), []byte("---\n"), diff)
}

// PortOf reports whether p was made from the patch of another line in the
// state that it has now.
func (p *Patch) PortOf(line string, from *Patch) bool {
	return p.Field(PortField) == line+" "+from.Fingerprint()
}

// SameSubject returns the patch of the series that goes by the name of p,
// whatever its number, or nil.
func SameSubject(series []*Patch, p *Patch) *Patch {
	i := slices.IndexFunc(series, func(q *Patch) bool { return slug(q.Name) == slug(p.Name) })
	if i < 0 {
		return nil
	}
	return series[i]
}

// withoutFile, in the directory of a line, names the patches of other lines
// that it does not need, one a line, without their numbers.
const withoutFile = "without.txt"

// Without returns the names, without numbers, of the patches that a line does
// not need.
func Without(root, line string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(root, Dir(line), withoutFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return strings.Fields(string(data)), nil
}

// SetWithout notes which patches a line does not need.
func SetWithout(root, line string, ps []*Patch) error {
	file := filepath.Join(root, Dir(line), withoutFile)
	if len(ps) == 0 {
		if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(slug(p.Name) + "\n")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(b.String()), 0o666)
}

// Drift reports where the series of a line no longer is a port of that of
// another line, from: patches that it lacks, or has from another state.
func Drift(root, from, line string) ([]Problem, error) {
	src, err := Load(root, from)
	if err != nil {
		return nil, err
	}
	dst, err := Load(root, line)
	if err != nil {
		return nil, err
	}
	without, err := Without(root, line)
	if err != nil {
		return nil, err
	}
	var out []Problem
	for _, p := range src {
		switch q := SameSubject(dst, p); {
		case q == nil && !slices.Contains(without, slug(p.Name)):
			out = append(out, Problem{p.Name, fmt.Sprintf("%s has no such patch", line)})
		case q != nil && p.File != q.File && !equalButPlace(p.Raw, q.Raw) && !q.PortOf(from, p):
			out = append(out, Problem{q.File, fmt.Sprintf("was not made from the present %s", p.File)})
		}
	}
	return out, nil
}

// Carry makes ps the series of the line to, carried over from that of the line
// from, whose patches are source: patches keep the numbers that they have
// there, and those that are not needed are noted. What differs is marked as a
// port of the patch of from, or, within one line, of the default line's patch
// that it was a port of, or the same as, before. The series of other lines stay
// as they are.
func Carry(root, def, from, to string, source, ps []*Patch) error {
	number := map[*Patch]int{}
	last := 0
	ordered := true
	for _, p := range source {
		last = max(last, p.Number)
	}
	prev := 0
	for _, p := range ps {
		number[p] = 0
		if s := SameSubject(source, p); s != nil {
			number[p] = s.Number
		} else {
			last++
			number[p] = last
		}
		ordered = ordered && number[p] > prev
		prev = number[p]
	}
	lines, err := Lines(root)
	if err != nil {
		return err
	}
	alone := from == to && len(lines) < 2
	if !ordered || alone {
		renumber(ps, nil)
	} else {
		for _, p := range ps {
			p.Name, p.Number = fmt.Sprintf("%04d-%s", number[p], slug(p.Name)), number[p]
		}
	}
	origin := source
	if from == to && def != to {
		if origin, err = Load(root, def); err != nil {
			return err
		}
	}
	for _, p := range ps {
		s, o := SameSubject(source, p), SameSubject(origin, p)
		switch {
		case s == nil || o == nil || p.Fingerprint() == o.Fingerprint():
		case from != to:
			p.SetPort(from, o)
		case def != to && (s.Fingerprint() == o.Fingerprint() || s.PortOf(def, o)):
			p.SetPort(def, o)
		}
	}
	if _, err := Store(root, to, ps, false); err != nil {
		return err
	}
	if alone {
		return nil
	}
	var without []*Patch
	for _, s := range source {
		if SameSubject(ps, s) == nil {
			without = append(without, s)
		}
	}
	return SetWithout(root, to, without)
}
