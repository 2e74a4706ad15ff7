// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package series handles the changes that rtgo makes to upstream Go: a
// numbered series of patches for each release line, and an overlay of new
// files that all lines share. Patches that are the same in all lines are kept
// once, in patches/common; what a line has of its own is in patches/LINE.
//
// Patches are mails as "git format-patch" writes them, applied strictly by
// "git am". The commit message of each carries the header fields of
// [Fields]. The overlay mirrors the src directory of a GOROOT; it may only
// add files.
package series

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Patch is one patch of a series, parsed.
type Patch struct {
	Name    string // file name, such as "0001-go.env-keep-GOTOOLCHAIN-local.patch"
	File    string // path relative to the root of the repository, if loaded from there
	Number  int    // leading number of the name, 0 if there is none
	Author  string
	Date    string
	Subject string // without "[PATCH]", unfolded
	Body    string // rest of the message
	Files   []FileDiff
	Raw     []byte
}

// A FileDiff is what a patch does to one file.
type FileDiff struct {
	Path    string // in the new tree, or in the old one if deleted
	Change  string // "" for an ordinary edit, "new", "deleted", "renamed", "mode" or "binary"
	Hunks   []Hunk
	Added   int
	Removed int
}

// A Hunk is one hunk of a diff.
type Hunk struct {
	Header  string // the @@ line
	Added   []string
	Removed []string
}

// Dir returns the directory, relative to the root of the repository, that
// holds the patches of a release line such as "go1.26", but for those in
// [Common].
func Dir(line string) string { return filepath.Join("patches", line) }

var numberRE = regexp.MustCompile(`^(\d{4})-[^/]+\.patch$`)

// Parse parses a patch mail.
func Parse(name string, raw []byte) (*Patch, error) {
	p := &Patch{Name: name, Raw: raw}
	if m := numberRE.FindStringSubmatch(name); m != nil {
		p.Number, _ = strconv.Atoi(m[1])
	}
	head, rest, ok := strings.Cut(string(raw), "\n\n")
	if !ok || !strings.HasPrefix(head, "From ") {
		return nil, fmt.Errorf("%s: not a mail as git format-patch writes it; export it with 'rtgo export'", name)
	}
	var last *string
	for line := range strings.Lines(head) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, " ") && last != nil {
			*last += line // folded
			continue
		}
		key, val, _ := strings.Cut(line, ": ")
		last = nil
		switch key {
		case "From":
			p.Author, last = val, &p.Author
		case "Date":
			p.Date, last = val, &p.Date
		case "Subject":
			p.Subject, last = val, &p.Subject
		}
	}
	p.Subject = strings.TrimPrefix(p.Subject, "[PATCH] ")
	body, diff, ok := strings.Cut("\n"+rest, "\n---\n")
	if !ok {
		return nil, fmt.Errorf("%s: no '---' line after the message", name)
	}
	p.Body = strings.TrimSpace(body)
	var err error
	if p.Files, err = parseDiff(diff); err != nil {
		return nil, fmt.Errorf("%s: %v", name, err)
	}
	if len(p.Files) == 0 {
		return nil, fmt.Errorf("%s: changes nothing", name)
	}
	return p, nil
}

var hunkRE = regexp.MustCompile(`^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@`)

func parseDiff(diff string) ([]FileDiff, error) {
	var files []FileDiff
	var f *FileDiff
	var h *Hunk
	old, new := 0, 0 // lines that the hunk still has
	for line := range strings.Lines(diff) {
		line = strings.TrimSuffix(line, "\n")
		if old > 0 || new > 0 {
			switch {
			case strings.HasPrefix(line, "+"):
				h.Added = append(h.Added, line[1:])
				f.Added++
				new--
			case strings.HasPrefix(line, "-"):
				h.Removed = append(h.Removed, line[1:])
				f.Removed++
				old--
			case strings.HasPrefix(line, " "), line == "":
				old--
				new--
			case strings.HasPrefix(line, `\`):
			default:
				return nil, fmt.Errorf("hunk %q of %s is cut short", h.Header, f.Path)
			}
			if old < 0 || new < 0 {
				return nil, fmt.Errorf("hunk %q of %s has more lines than it says", h.Header, f.Path)
			}
			continue
		}
		switch {
		case strings.HasPrefix(line, "diff --git "):
			_, b, ok := strings.Cut(line, " b/")
			if !ok {
				return nil, fmt.Errorf("cannot read %q", line)
			}
			files = append(files, FileDiff{Path: b})
			f, h = &files[len(files)-1], nil
		case f == nil:
			// The diffstat.
		case strings.HasPrefix(line, "new file mode"):
			f.Change = "new"
		case strings.HasPrefix(line, "deleted file mode"):
			f.Change = "deleted"
		case strings.HasPrefix(line, "rename from"), strings.HasPrefix(line, "copy from"):
			f.Change = "renamed"
		case strings.HasPrefix(line, "old mode"):
			f.Change = "mode"
		case strings.HasPrefix(line, "GIT binary patch"), strings.HasPrefix(line, "Binary files"):
			f.Change = "binary"
		case strings.HasPrefix(line, "@@"):
			m := hunkRE.FindStringSubmatch(line)
			if m == nil {
				return nil, fmt.Errorf("cannot read %q", line)
			}
			old, new = 1, 1
			if m[1] != "" {
				old, _ = strconv.Atoi(m[1])
			}
			if m[2] != "" {
				new, _ = strconv.Atoi(m[2])
			}
			f.Hunks = append(f.Hunks, Hunk{Header: line})
			h = &f.Hunks[len(f.Hunks)-1]
		}
	}
	if old > 0 || new > 0 {
		return nil, fmt.Errorf("hunk %q of %s is cut short", h.Header, f.Path)
	}
	return files, nil
}

// Field returns the value of a header field of the message, such as "Why",
// unfolded, or "" if there is none. A field starts at the beginning of a line
// and ends at the next field or empty line.
func (p *Patch) Field(name string) string {
	if vs := p.fields(name); len(vs) > 0 {
		return vs[0]
	}
	return ""
}

var fieldRE = regexp.MustCompile(`^([A-Z][A-Za-z]*(?:-[A-Z][A-Za-z]*)*):(?: (.*))?$`)

func (p *Patch) fields(name string) []string {
	var vals []string
	in := false
	for line := range strings.Lines(p.Body) {
		line = strings.TrimSuffix(line, "\n")
		m := fieldRE.FindStringSubmatch(line)
		switch {
		case m != nil:
			in = m[1] == name
			if in {
				vals = append(vals, m[2])
			}
		case line == "":
			in = false
		case in:
			vals[len(vals)-1] = strings.TrimSpace(vals[len(vals)-1] + " " + strings.TrimSpace(line))
		}
	}
	return vals
}

// An OverlayFile is a file that the overlay adds.
type OverlayFile struct {
	Path string // slash-separated, relative to the root of a GOROOT: "src/runtime/rt_on.go"
	File string // on disk
	Data []byte
}

// LoadOverlay reads all files below dir, the repository's src-overlay,
// sorted by path. Names that start with a dot and editors' backups, which
// end in a tilde, are left out.
func LoadOverlay(dir string) ([]OverlayFile, error) {
	var files []OverlayFile
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case file == dir:
			return nil
		case strings.HasPrefix(name, "."), strings.HasSuffix(name, "~"):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s: the overlay may hold regular files only", file)
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		files = append(files, OverlayFile{Path: path.Join("src", filepath.ToSlash(rel)), File: file, Data: data})
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	slices.SortFunc(files, func(a, b OverlayFile) int { return strings.Compare(a.Path, b.Path) })
	return files, err
}

// A Set is everything that makes upstream Go rtgo.
type Set struct {
	Patches []*Patch
	Overlay []OverlayFile

	gaps []int // numbers that this line leaves to others
}

// LoadSet reads the patches of a release line and the overlay from the
// repository at root.
func LoadSet(root, line string) (*Set, error) {
	ps, err := Load(root, line)
	if err != nil {
		return nil, err
	}
	ov, err := LoadOverlay(filepath.Join(root, "src-overlay"))
	if err != nil {
		return nil, err
	}
	gs, err := gaps(root, line)
	if err != nil {
		return nil, err
	}
	return &Set{Patches: ps, Overlay: ov, gaps: gs}, nil
}

// Hash returns the SHA-256, in hex, over the names and contents of the
// patches and the overlay.
func (s *Set) Hash() string {
	h := sha256.New()
	for _, p := range s.Patches {
		fmt.Fprintf(h, "%x  patches/%s\n", sha256.Sum256(p.Raw), p.Name)
	}
	for _, f := range s.Overlay {
		fmt.Fprintf(h, "%x  %s\n", sha256.Sum256(f.Data), f.Path)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// CheckOverlay reports an overlay file that would replace another file.
func (s *Set) CheckOverlay(inUpstream func(name string) bool) error {
	added := map[string]string{}
	for _, p := range s.Patches {
		for _, f := range p.Files {
			added[f.Path] = p.Name
		}
	}
	for _, f := range s.Overlay {
		if inUpstream(f.Path) {
			return fmt.Errorf("%s: upstream has %s, and the overlay may only add files; change it by a patch", f.File, f.Path)
		}
		if name := added[f.Path]; name != "" {
			return fmt.Errorf("%s: %s touches %s too; keep the file in one place", f.File, name, f.Path)
		}
	}
	return nil
}

// equalButPlace reports whether two patch mails differ in nothing but blob
// names and line numbers.
func equalButPlace(a, b []byte) bool {
	return bytes.Equal(placeless(a), placeless(b))
}

var (
	indexRE = regexp.MustCompile(`(?m)^index [0-9a-f]+\.\.[0-9a-f]+`)
	placeRE = regexp.MustCompile(`(?m)^@@ -\d+((?:,\d+)?) \+\d+((?:,\d+)?) @@.*`)
)

func placeless(raw []byte) []byte {
	raw = indexRE.ReplaceAll(raw, []byte("index"))
	return placeRE.ReplaceAll(raw, []byte("@@ $1 $2 @@"))
}
