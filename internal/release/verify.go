// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package release

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rtgo.dev/rtgo/internal/rebuild"
	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/toolchain"
	"rtgo.dev/rtgo/internal/upstream"
)

// Verify checks a release: that the directory holds the files of SHA256SUMS
// and no others, that the index, the bill of materials and the provenance
// statement agree with them and with each other, that the archives of all
// platforms and forms hold the same source, and that this source is upstream's
// but for the patches and the overlay. It needs no network and compiles
// nothing.
//
// The pins tell which upstream release the toolchain may come from. Without
// them (nil), the source is not compared and the report says SKIP. A release
// of patches that were not committed fails unless dirty allows it.
func Verify(dir string, pins *upstream.Pins, dirty bool) (*rebuild.Report, error) {
	v := &verifier{dir: dir, dirty: dirty, sums: map[string]string{}, r: &rebuild.Report{Title: "release in " + dir}}
	if err := v.files(); err != nil {
		return nil, err
	}
	if err := v.index(); err != nil {
		return nil, err
	}
	v.documents()
	v.contents(pins)
	v.r.Finish()
	return v.r, nil
}

type verifier struct {
	dir     string
	dirty   bool              // uncommitted patches are allowed
	sums    map[string]string // of SHA256SUMS
	version Version
	bom     bom
	r       *rebuild.Report
}

// check adds an item that passes if problem is empty.
func check(g *rebuild.Group, name, problem string) {
	it := rebuild.Item{Name: name, Status: rebuild.PASS}
	if problem != "" {
		it.Status, it.Detail = rebuild.FAIL, problem
	}
	g.Add(it)
}

func (v *verifier) file(name string) string { return filepath.Join(v.dir, filepath.FromSlash(name)) }

// files compares the directory with SHA256SUMS.
func (v *verifier) files() error {
	data, err := os.ReadFile(v.file(SumsFile))
	if err != nil {
		return fmt.Errorf("%s is not a release: %v", v.dir, err)
	}
	for line := range strings.Lines(string(data)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok || len(sum) != 2*sha256.Size || !filepath.IsLocal(name) {
			return fmt.Errorf("%s: bad line %q", v.file(SumsFile), line)
		}
		v.sums[name] = sum
	}
	g := v.r.Group("files, as in %s", SumsFile)
	for _, name := range slices.Sorted(maps.Keys(v.sums)) {
		a, err := hashFile(v.file(name))
		it := rebuild.Item{Name: name, SHA256: a.SHA256, Status: rebuild.PASS}
		switch {
		case err != nil:
			it.Status, it.Detail = rebuild.FAIL, "cannot be read; download it again"
		case a.SHA256 != v.sums[name]:
			it.Status, it.Detail = rebuild.FAIL, fmt.Sprintf("the list says sha256 %.16s; download it again", v.sums[name])
		}
		g.Add(it)
	}
	return filepath.WalkDir(v.dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(v.dir, file)
		if err != nil {
			return err
		}
		if name := filepath.ToSlash(rel); name != SumsFile && v.sums[name] == "" {
			check(g, name, "not in the list; it is no part of the release")
		}
		return nil
	})
}

// read decodes a JSON file of the release.
func (v *verifier) read(name string, to any) error {
	data, err := os.ReadFile(v.file(name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, to); err != nil {
		return fmt.Errorf("%s: %v", name, err)
	}
	return nil
}

func (v *verifier) index() error {
	var all []Version
	if err := v.read(AssetsFile, &all); err != nil {
		return err
	}
	if len(all) != 1 {
		return fmt.Errorf("%s has %d versions, want 1", AssetsFile, len(all))
	}
	v.version = all[0]
	g := v.r.Group("%s, index of %s", AssetsFile, v.version.Version)
	bazelText, err := os.ReadFile(v.file(BazelFile))
	check(g, BazelFile, errText(err))
	source := 0
	for _, f := range v.version.Files {
		problem := ""
		fi, err := os.Stat(v.file(f.Filename))
		want := archiveFile(v.version.Version, f.OS+"-"+f.Arch)
		if f.Kind == "source" {
			want = sourceFile(v.version.Version)
			source++
		}
		switch {
		case f.Filename != want:
			problem = "should be called " + want
		case f.SHA256 != v.sums[f.Filename]:
			problem = "sha256 is not that of " + SumsFile
		case err != nil || fi.Size() != f.Size:
			problem = fmt.Sprintf("size is not %d", f.Size)
		case f.Kind == "archive" && !strings.Contains(string(bazelText), fmt.Sprintf("%q: [%q, %q]", f.OS+"_"+f.Arch, f.Filename, f.SHA256)):
			problem = BazelFile + " does not name it with this hash"
		}
		check(g, f.Filename, problem)
	}
	if source != 1 || len(v.version.Files) < 2 {
		check(g, "archives", "a release has one source archive and one archive for each platform")
	}
	return nil
}

func errText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// documents compares the bill of materials and the provenance statement with
// the files.
func (v *verifier) documents() {
	g := v.r.Group("%s, bill of materials", sbomFile(v.version.Version))
	if err := v.read(sbomFile(v.version.Version), &v.bom); err != nil {
		check(g, sbomFile(v.version.Version), err.Error())
		return
	}
	main := v.bom.Metadata.Component
	problem := ""
	switch {
	case v.bom.BOMFormat != "CycloneDX" || main.Version != v.version.Version:
		problem = "not of " + v.version.Version
	case main.Pedigree == nil || len(main.Pedigree.Ancestors) != 1 || "go"+main.Pedigree.Ancestors[0].Version != v.version.Upstream:
		problem = "upstream " + v.version.Upstream + " is not the ancestor"
	case v.property(propPatchSet) != v.version.PatchSet:
		problem = "patch set is not that of " + AssetsFile
	}
	check(g, "component "+main.Name, problem)
	components := map[string]string{}
	for _, c := range v.bom.Components {
		for _, h := range c.Hashes {
			components[c.Name] = h.Content
		}
	}
	for _, f := range v.version.Files {
		check(g, f.Filename, differ(components[f.Filename], f.SHA256))
	}
	check(g, "hash over patches and overlay", v.patchSetProblem())

	g = v.r.Group("%s, provenance", provenanceFile(v.version.Version))
	var s statement
	if err := v.read(provenanceFile(v.version.Version), &s); err != nil {
		check(g, provenanceFile(v.version.Version), err.Error())
		return
	}
	problem = ""
	def := s.Predicate.BuildDefinition
	switch {
	case s.Type != statementType || s.PredicateType != slsaType:
		problem = "not a SLSA provenance statement"
	case def.ExternalParameters["upstream"] != v.version.Upstream:
		problem = "upstream is not " + v.version.Upstream
	case def.InternalParameters["patchset"] != v.version.PatchSet:
		problem = "patch set is not that of " + AssetsFile
	case def.InternalParameters["uncommitted"] != "" && !v.dirty:
		problem = def.InternalParameters["uncommitted"]
	}
	check(g, "statement", problem)
	subjects := map[string]string{}
	for _, r := range s.Subject {
		subjects[r.Name] = r.Digest["sha256"]
	}
	for _, name := range slices.Sorted(maps.Keys(v.sums)) {
		switch name {
		case AssetsFile, BazelFile, sbomFile(v.version.Version), provenanceFile(v.version.Version):
		default:
			check(g, name, differ(subjects[name], v.sums[name]))
		}
	}
	deps := map[string]string{}
	for _, r := range def.ResolvedDependencies {
		deps[r.Name] = r.Digest["sha256"]
	}
	problem = ""
	for _, key := range []string{propPatch, propOverlay} {
		for _, p := range v.properties(key) {
			sum, name, _ := strings.Cut(p, "  ")
			name = strings.TrimPrefix(name, "src/")
			found := false
			for dep, depSum := range deps {
				if (dep == name || strings.HasSuffix(dep, "/"+name)) && depSum == sum {
					found = true
				}
			}
			if !found {
				problem = name + " of the bill of materials is no dependency"
			}
		}
	}
	check(g, "patches and overlay", problem)
}

func differ(have, want string) string {
	switch {
	case have == "":
		return "not mentioned"
	case have != want:
		return fmt.Sprintf("sha256 %.16s, want %.16s", have, want)
	}
	return ""
}

func (v *verifier) properties(name string) []string {
	var vals []string
	for _, p := range v.bom.Metadata.Component.Properties {
		if p.Name == name {
			vals = append(vals, p.Value)
		}
	}
	return vals
}

func (v *verifier) property(name string) string {
	return strings.Join(v.properties(name), ",")
}

// patches returns the patches that the bill of materials carries.
func (v *verifier) patches() (map[string][]byte, error) {
	patches := map[string][]byte{}
	if v.bom.Metadata.Component.Pedigree == nil {
		return nil, fmt.Errorf("no pedigree")
	}
	for _, p := range v.bom.Metadata.Component.Pedigree.Patches {
		raw, err := base64.StdEncoding.DecodeString(p.Diff.Text.Content)
		if err != nil || len(p.Resolves) != 1 {
			return nil, fmt.Errorf("a patch is not in the form of a release: %v", err)
		}
		patches[p.Resolves[0].ID] = raw
	}
	return patches, nil
}

// patchSetProblem computes the hash of the patch set, as series.Set.Hash
// does, from the bill of materials alone.
func (v *verifier) patchSetProblem() string {
	patches, err := v.patches()
	if err != nil {
		return err.Error()
	}
	h := sha256.New()
	for _, p := range v.properties(propPatch) {
		sum, name, _ := strings.Cut(p, "  ")
		if fmt.Sprintf("%x", sha256.Sum256(patches[name])) != sum {
			return name + " is not the patch with the stated hash"
		}
		delete(patches, name)
		fmt.Fprintf(h, "%s  patches/%s\n", sum, name)
	}
	if len(patches) > 0 {
		return fmt.Sprintf("%d patches have no stated hash", len(patches))
	}
	for _, p := range v.properties(propOverlay) {
		fmt.Fprintf(h, "%s\n", p)
	}
	return differ(fmt.Sprintf("%x", h.Sum(nil)), v.version.PatchSet)
}

// contents compares what is in the archives.
func (v *verifier) contents(pins *upstream.Pins) {
	g := v.r.Group("source in the archives, the same in all")
	src, err := tarSums(v.file(sourceFile(v.version.Version)))
	if err != nil {
		check(g, sourceFile(v.version.Version), err.Error())
		return
	}
	version, _, _ := strings.Cut(string(src.version), "\n")
	problem := differ(version, v.version.Version)
	if stamp := v.property(propStamp); problem == "" && stamp != "" && !strings.Contains(string(src.stamp), fmt.Sprintf("%q", stamp)) {
		problem = toolchain.StampFile + " does not have the stamp " + stamp
	}
	check(g, sourceFile(v.version.Version), problem)
	generated := map[string]bool{}
	for _, name := range upstream.Generated() {
		generated[name] = true
	}
	for _, f := range v.version.Files {
		if f.Kind != "archive" {
			continue
		}
		bin, err := tarSums(v.file(f.Filename))
		if err != nil {
			check(g, f.Filename, err.Error())
			continue
		}
		check(g, f.Filename, sameSource(src.sums, bin.sums, generated))
		zipName := moduleFiles(v.version.Version, f.OS+"-"+f.Arch)[2]
		mod, err := zipSums(v.file(zipName))
		if err != nil {
			check(g, zipName, err.Error())
			continue
		}
		want := maps.Clone(bin.sums)
		maps.DeleteFunc(want, func(name, _ string) bool { return upstream.Optional(name) })
		problem := ""
		if !maps.Equal(want, mod) {
			problem = "does not hold the same files as " + f.Filename
		}
		check(g, zipName, problem)
	}

	g = v.r.Group("source is that of upstream %s but for patches and overlay", v.version.Upstream)
	if pins == nil {
		g.Add(rebuild.Item{Name: "source", Status: rebuild.SKIP, Detail: "no pins to compare with; run inside the rtgo repository"})
		return
	}
	pin, err := pins.Select(v.version.Upstream)
	if err != nil {
		g.Add(rebuild.Item{Name: "source", Status: rebuild.SKIP, Detail: err.Error()})
		return
	}
	m, err := pin.LoadManifest()
	if err != nil {
		check(g, "source", err.Error())
		return
	}
	check(g, "pin", differ(v.pinned(), pin.SHA256))
	patched := map[string]bool{"VERSION": true, toolchain.StampFile: true}
	patches, err := v.patches()
	if err != nil {
		check(g, "patches", err.Error())
		return
	}
	for name, raw := range patches {
		p, err := series.Parse(name, raw)
		if err != nil {
			check(g, name, err.Error())
			return
		}
		for _, f := range p.Files {
			patched[f.Path] = true
		}
	}
	overlay := map[string]string{}
	for _, p := range v.properties(propOverlay) {
		sum, name, _ := strings.Cut(p, "  ")
		overlay[name] = sum
	}
	unchanged, bad := 0, 0
	complain := func(name, problem string) {
		bad++
		check(g, name, problem)
	}
	for _, name := range slices.Sorted(maps.Keys(src.sums)) {
		f, inUpstream := m.Lookup(name)
		switch {
		case patched[name]:
		case overlay[name] != "":
			if problem := differ(src.sums[name], overlay[name]); problem != "" {
				complain(name, problem)
			}
			delete(overlay, name)
		case !inUpstream:
			complain(name, "neither upstream's nor in patches or overlay")
		case f.SHA256 != src.sums[name]:
			complain(name, "differs from upstream, but no patch names it")
		default:
			unchanged++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(overlay)) {
		complain(name, "of the overlay is missing")
	}
	dirs := map[string]bool{} // optional directories that the release has
	for name := range src.sums {
		d, _, _ := strings.Cut(name, "/")
		dirs[d] = true
	}
	for _, f := range m.Files {
		d, _, _ := strings.Cut(f.Path, "/")
		if src.sums[f.Path] == "" && !patched[f.Path] && (!upstream.Optional(f.Path) || dirs[d]) && !strings.HasPrefix(f.Path, ".git") {
			complain(f.Path, "of upstream is missing")
		}
	}
	if bad == 0 {
		g.Add(rebuild.Item{Name: fmt.Sprintf("%d files unchanged, %d named by patches, %d of the overlay",
			unchanged, len(patched), len(v.properties(propOverlay))), Status: rebuild.PASS})
	}
}

// pinned returns the hash of upstream's manifest in the bill of materials.
func (v *verifier) pinned() string {
	if p := v.bom.Metadata.Component.Pedigree; p != nil {
		for _, a := range p.Ancestors {
			for _, prop := range a.Properties {
				if prop.Name == propManifest {
					return prop.Value
				}
			}
		}
	}
	return ""
}

// sameSource says how the source in a binary distribution differs from that
// of the source distribution.
func sameSource(src, bin map[string]string, generated map[string]bool) string {
	for _, name := range slices.Sorted(maps.Keys(src)) {
		if bin[name] != src[name] {
			return name + " is not that of the source archive"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(bin)) {
		if src[name] == "" && !generated[name] && !strings.HasPrefix(name, "bin/") && !strings.HasPrefix(name, "pkg/") {
			return name + " is not in the source archive"
		}
	}
	return ""
}

// A tarball is what of an archive is looked at.
type tarball struct {
	sums           map[string]string // by path in GOROOT
	version, stamp []byte
}

func tarSums(file string) (*tarball, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReaderSize(f, 1<<20))
	if err != nil {
		return nil, err
	}
	t := &tarball{sums: map[string]string{}}
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		name, ok := strings.CutPrefix(h.Name, "go/")
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if !ok || h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) {
			return nil, fmt.Errorf("unexpected entry %q", h.Name)
		}
		sum := sha256.New()
		var keep strings.Builder
		var w io.Writer = sum
		if name == "VERSION" || name == toolchain.StampFile {
			w = io.MultiWriter(sum, &keep)
		}
		if _, err := io.Copy(w, r); err != nil {
			return nil, err
		}
		switch name {
		case "VERSION":
			t.version = []byte(keep.String())
		case toolchain.StampFile:
			t.stamp = []byte(keep.String())
		}
		t.sums[name] = fmt.Sprintf("%x", sum.Sum(nil))
	}
}

// zipSums reads a toolchain module; names are those in a GOROOT.
func zipSums(file string) (map[string]string, error) {
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	sums := map[string]string{}
	prefix := upstream.ModulePath + "@" + strings.TrimSuffix(filepath.Base(file), ".zip") + "/"
	for _, f := range z.File {
		name, ok := strings.CutPrefix(f.Name, prefix)
		if !ok {
			return nil, fmt.Errorf("unexpected entry %q", f.Name)
		}
		if dir, ok := strings.CutSuffix(name, "/_go.mod"); ok {
			name = dir + "/go.mod"
		}
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		h := sha256.New()
		_, err = io.Copy(h, r)
		r.Close()
		if err != nil {
			return nil, err
		}
		sums[name] = fmt.Sprintf("%x", h.Sum(nil))
	}
	return sums, nil
}

// Compare compares two releases, file by file: of a downloaded one, and of
// one built again from its source. Provenance may tell of another bootstrap
// Go and builder, and is not compared, nor is what contains its hash.
func Compare(downloaded, rebuilt string) (*rebuild.Report, error) {
	a := &verifier{dir: downloaded, sums: map[string]string{}, r: &rebuild.Report{Title: fmt.Sprintf("%s against a build from source", downloaded)}}
	b := &verifier{dir: rebuilt, sums: map[string]string{}, r: &rebuild.Report{}}
	for _, v := range []*verifier{a, b} {
		if err := v.files(); err != nil {
			return nil, err
		}
	}
	r := &rebuild.Report{Title: a.r.Title}
	g := r.Group("archives and modules")
	names := maps.Clone(a.sums)
	maps.Copy(names, b.sums)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if strings.HasSuffix(name, ".intoto.json") || name == BazelFile || strings.HasSuffix(name, ".cdx.json") {
			continue
		}
		it := rebuild.Item{Name: name, SHA256: a.sums[name], Status: rebuild.PASS}
		if problem := differ(b.sums[name], a.sums[name]); problem != "" {
			it.Status, it.Detail = rebuild.FAIL, "rebuilt: "+problem
		}
		g.Add(it)
	}
	r.Finish()
	return r, nil
}

// Describe reads the index of a release.
func Describe(dir string) (v *Version, platforms []string, err error) {
	x := &verifier{dir: dir}
	var all []Version
	if err := x.read(AssetsFile, &all); err != nil {
		return nil, nil, err
	}
	if len(all) != 1 {
		return nil, nil, fmt.Errorf("%s has %d versions, want 1", AssetsFile, len(all))
	}
	for _, f := range all[0].Files {
		if f.Kind == "archive" {
			platforms = append(platforms, f.OS+"-"+f.Arch)
		}
	}
	return &all[0], platforms, nil
}
