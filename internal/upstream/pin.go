// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package upstream pins, finds and verifies the source of upstream Go.
//
// A pin names a release and the content of its source tree. The tree comes
// either from a local GOROOT of that release or from the toolchain module
// that the go command downloads; both are checked, file by file, against the
// same manifest, so that where a tree came from makes no difference to what
// is built from it.
package upstream

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// PinsFile is the name of the data file, in the root of the repository, that
// holds all pins.
const PinsFile = "upstream.json"

// Pins is the content of upstream.json.
type Pins struct {
	// Default is the release line built when none is asked for.
	Default string `json:"default"`

	// Lines has a pin for each release line, such as "go1.26".
	Lines map[string]*Pin `json:"lines"`

	root string // directory that holds upstream.json
}

// A Pin is one upstream release whose content is known.
type Pin struct {
	// Version is the release, such as "go1.26.8".
	Version string `json:"version"`

	// Revision is the number of the rtgo release made from this version; the
	// toolchain is named Version-rtgoRevision.
	Revision int `json:"revision"`

	// VersionFile is the content of the release's VERSION file, whose second
	// line is the time of the release.
	VersionFile string `json:"VERSION"`

	// Manifest is the file, relative to upstream.json, that lists the source
	// tree (see [Manifest]); SHA256 is the hash of that file.
	Manifest string `json:"manifest"`
	SHA256   string `json:"sha256"`

	// Toolchains has what was published for each GOOS-GOARCH.
	Toolchains map[string]*Toolchain `json:"toolchains"`

	Line string `json:"-"` // such as "go1.26"
	root string
}

// A Toolchain is the binary distribution of a release that the go command
// downloads as a module.
type Toolchain struct {
	// H1 is the hash of the module zip, as in the public checksum database.
	H1 string `json:"h1"`

	// Binaries has the SHA-256 of each published file in bin and pkg/tool,
	// taken from that zip.
	Binaries map[string]string `json:"binaries"`
}

// ModulePath is the module as which toolchains are published.
const ModulePath = "golang.org/toolchain"

// ModuleVersion returns the version under which the release's toolchain for
// a platform, such as "linux-amd64", is published.
func ModuleVersion(release, platform string) string {
	return "v0.0.1-" + release + "." + platform
}

// LoadPins reads upstream.json in the directory root.
func LoadPins(root string) (*Pins, error) {
	file := filepath.Join(root, PinsFile)
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	p := &Pins{root: root}
	if err := d.Decode(p); err != nil {
		return nil, fmt.Errorf("%s: %v", file, err)
	}
	for line, pin := range p.Lines {
		if pin == nil || !version.IsValid(pin.Version) || version.Lang(pin.Version) != line {
			return nil, fmt.Errorf("%s: line %q does not hold a release of that line", file, line)
		}
		if pin.Revision < 1 {
			return nil, fmt.Errorf("%s: line %q: revision must be at least 1", file, line)
		}
		if !strings.HasPrefix(pin.VersionFile, pin.Version+"\ntime ") {
			return nil, fmt.Errorf("%s: line %q: VERSION is not that of %s", file, line, pin.Version)
		}
		pin.Line, pin.root = line, root
	}
	if p.Lines[p.Default] == nil {
		return nil, fmt.Errorf("%s: default %q is not among the lines", file, p.Default)
	}
	return p, nil
}

// Save writes upstream.json.
func (p *Pins) Save() error {
	data, err := json.MarshalIndent(p, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(p.root, PinsFile), append(data, '\n'), 0o666)
}

// NewPins returns an empty set of pins that Save writes to the directory
// root.
func NewPins(root string) *Pins { return &Pins{Lines: map[string]*Pin{}, root: root} }

// Select returns the pin for a release such as "go1.26.8", for a line such
// as "go1.26", or, if name is empty, of the default line.
func (p *Pins) Select(name string) (*Pin, error) {
	if name == "" {
		name = p.Default
	}
	if pin := p.Lines[name]; pin != nil {
		return pin, nil
	}
	for _, pin := range p.Lines {
		if pin.Version == name {
			return pin, nil
		}
	}
	var have []string
	for _, line := range slices.Sorted(maps.Keys(p.Lines)) {
		have = append(have, p.Lines[line].Version)
	}
	return nil, fmt.Errorf("upstream %q is not pinned (have %s); add it with 'rtgo pin %s'", name, strings.Join(have, ", "), name)
}

// Name returns the version name of the toolchain built from this pin, such as
// "go1.26.8-rtgo1".
func (p *Pin) Name() string { return fmt.Sprintf("%s-rtgo%d", p.Version, p.Revision) }

// Time returns the time of the release in RFC 3339 format.
func (p *Pin) Time() string {
	_, rest, _ := strings.Cut(p.VersionFile, "\ntime ")
	t, _, _ := strings.Cut(rest, "\n")
	return t
}

// LoadManifest reads the pin's manifest and checks it against the pin.
func (p *Pin) LoadManifest() (*Manifest, error) {
	file := filepath.Join(p.root, filepath.FromSlash(p.Manifest))
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: the manifest that %s names is missing; restore it from git", file, PinsFile)
	}
	if err != nil {
		return nil, err
	}
	if got := hexSHA256(data); got != p.SHA256 {
		return nil, fmt.Errorf("%s: sha256 is %s, %s pins %s; restore both from git", file, got, PinsFile, p.SHA256)
	}
	return ParseManifest(data)
}

// Adopt takes over a pin, with its manifest, from another directory. It
// replaces the pin of the same line. Save writes upstream.json.
func (p *Pins) Adopt(pin *Pin) error {
	if pin.root == p.root && p.Lines[pin.Line] == pin {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(pin.root, filepath.FromSlash(pin.Manifest)))
	if err != nil {
		return err
	}
	file := filepath.Join(p.root, filepath.FromSlash(pin.Manifest))
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(file, data, 0o666); err != nil {
		return err
	}
	own := *pin
	own.root = p.root
	p.Lines[pin.Line] = &own
	if p.Default == "" {
		p.Default = pin.Line
	}
	return nil
}
