// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package release

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// The types below are the parts of CycloneDX 1.6 that the bill of materials
// uses.
type (
	bom struct {
		Schema       string      `json:"$schema"`
		BOMFormat    string      `json:"bomFormat"`
		SpecVersion  string      `json:"specVersion"`
		SerialNumber string      `json:"serialNumber"`
		Version      int         `json:"version"`
		Metadata     bomMetadata `json:"metadata"`
		Components   []component `json:"components"`
		Dependencies []depends   `json:"dependencies"`
	}
	bomMetadata struct {
		Timestamp string    `json:"timestamp"`
		Component component `json:"component"`
	}
	component struct {
		Type        string      `json:"type"`
		BOMRef      string      `json:"bom-ref,omitempty"`
		Name        string      `json:"name"`
		Version     string      `json:"version"`
		Description string      `json:"description,omitempty"`
		Hashes      []bomHash   `json:"hashes,omitempty"`
		Licenses    []license   `json:"licenses,omitempty"`
		CPE         string      `json:"cpe,omitempty"`
		PURL        string      `json:"purl,omitempty"`
		Pedigree    *pedigree   `json:"pedigree,omitempty"`
		Properties  []property  `json:"properties,omitempty"`
		Components  []component `json:"components,omitempty"`
	}
	bomHash struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	license struct {
		License struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	pedigree struct {
		Ancestors []component `json:"ancestors"`
		Patches   []bomPatch  `json:"patches"`
		Notes     string      `json:"notes,omitempty"`
	}
	bomPatch struct {
		Type     string     `json:"type"`
		Diff     bomDiff    `json:"diff"`
		Resolves []bomIssue `json:"resolves,omitempty"`
	}
	bomDiff struct {
		Text bomText `json:"text"`
	}
	bomText struct {
		ContentType string `json:"contentType"`
		Encoding    string `json:"encoding"`
		Content     string `json:"content"`
	}
	bomIssue struct {
		Type        string `json:"type"`
		ID          string `json:"id"`
		Name        string `json:"name"`
		Description string `json:"description"`
	}
	property struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	depends struct {
		Ref       string   `json:"ref"`
		DependsOn []string `json:"dependsOn"`
	}
)

func sha256Hash(hexSum string) []bomHash { return []bomHash{{"SHA-256", hexSum}} }

// Names of the properties that the bill of materials uses.
const (
	propPatch    = "rtgo:patch:sha256"   // value: "<sha256>  <file name>"
	propOverlay  = "rtgo:overlay:sha256" // value: "<sha256>  <path in GOROOT>"
	propPatchSet = "rtgo:patchset"
	propManifest = "rtgo:upstream:manifest:sha256"
	propStamp    = "rtgo:stamp"
)

// bomOf returns the bill of materials. The toolchain and the standard
// library each are components with upstream as their ancestor, so that a
// scanner that matches packages by version finds the upstream one: the
// standard library is listed under the package URL that vulnerability
// databases use, with upstream's version and the patches as pedigree.
func bomOf(in *inputs, archives []Asset) *bom {
	up := strings.TrimPrefix(in.pin.Version, "go")
	bsd := license{}
	bsd.License.ID = "BSD-3-Clause"
	cpe := "cpe:2.3:a:golang:go:" + up + ":*:*:*:*:*:*:*"
	ancestor := component{
		Type: "application", BOMRef: "upstream", Name: "go", Version: up, Licenses: []license{bsd}, CPE: cpe,
		PURL:       "pkg:golang/stdlib@" + up,
		Properties: []property{{propManifest, in.pin.SHA256}},
	}
	ped := &pedigree{Ancestors: []component{ancestor}, Patches: []bomPatch{},
		Notes: "Upstream's files are changed by the patches only; the overlay adds files and replaces none."}
	for _, p := range in.set.Patches {
		ped.Patches = append(ped.Patches, bomPatch{
			Type: "unofficial",
			Diff: bomDiff{bomText{"text/x-patch", "base64", base64.StdEncoding.EncodeToString(p.Raw)}},
			Resolves: []bomIssue{{Type: "enhancement", ID: p.Name, Name: p.Subject,
				Description: fmt.Sprintf("sha256 %x", sha256.Sum256(p.Raw))}},
		})
	}
	b := &bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", BOMFormat: "CycloneDX", SpecVersion: "1.6", Version: 1,
	}
	main := component{
		Type: "application", BOMRef: "rtgo", Name: "rtgo", Version: in.version(), Licenses: []license{bsd}, CPE: cpe,
		Description: "Go toolchain with a runtime for real-time Linux, made from upstream Go " + up,
		Pedigree:    ped,
		Properties:  []property{{propPatchSet, in.patchSet}, {propStamp, in.stamp}},
	}
	for _, p := range in.set.Patches {
		main.Properties = append(main.Properties, property{propPatch, fmt.Sprintf("%x  %s", sha256.Sum256(p.Raw), p.Name)})
	}
	for _, f := range in.set.Overlay {
		main.Properties = append(main.Properties, property{propOverlay, fmt.Sprintf("%x  %s", sha256.Sum256(f.Data), f.Path)})
	}
	b.Metadata = bomMetadata{Timestamp: in.time, Component: main}
	stdPed := *ped
	stdPed.Patches = []bomPatch{}
	stdPed.Ancestors = []component{{Type: "library", Name: "stdlib", Version: up, PURL: "pkg:golang/stdlib@" + up}}
	stdPed.Notes = "Patches and overlay: see the pedigree of " + in.version() + "."
	b.Components = append(b.Components, component{
		Type: "library", BOMRef: "stdlib", Name: "stdlib", Version: up, Licenses: []license{bsd}, CPE: cpe,
		PURL: "pkg:golang/stdlib@" + up, Pedigree: &stdPed,
		Description: "Standard library as of upstream " + in.pin.Version + "; upstream's vulnerabilities apply to it",
	})
	dep := depends{"rtgo", []string{"stdlib"}}
	for _, a := range archives {
		b.Components = append(b.Components, component{
			Type: "file", BOMRef: a.Filename, Name: a.Filename, Version: a.Version, Hashes: sha256Hash(a.SHA256),
		})
		dep.DependsOn = append(dep.DependsOn, a.Filename)
	}
	for _, m := range in.vendored {
		b.Components = append(b.Components, component{
			Type: "library", BOMRef: m.path + "@" + m.version, Name: m.path, Version: m.version,
			PURL: "pkg:golang/" + m.path + "@" + m.version, Description: "vendored in " + m.where,
		})
		dep.DependsOn = append(dep.DependsOn, m.path+"@"+m.version)
	}
	b.Dependencies = []depends{dep}
	// The serial number identifies the content: the same release has the same.
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%s\n%s", in.version(), in.patchSet, in.pin.SHA256, sums(archives))
	u := h.Sum(nil)[:16]
	u[6], u[8] = u[6]&0x0f|0x80, u[8]&0x3f|0x80 // UUID version 8, of the application's own making
	x := hex.EncodeToString(u)
	b.SerialNumber = "urn:uuid:" + strings.Join([]string{x[:8], x[8:12], x[12:16], x[16:20], x[20:]}, "-")
	return b
}

// The types below are the parts of an in-toto statement with SLSA provenance
// 1.0 that the release uses. The statement is not signed: whoever publishes a
// release signs it, with the key that is his.
type (
	statement struct {
		Type          string     `json:"_type"`
		Subject       []resource `json:"subject"`
		PredicateType string     `json:"predicateType"`
		Predicate     provenance `json:"predicate"`
	}
	resource struct {
		Name   string            `json:"name,omitempty"`
		URI    string            `json:"uri,omitempty"`
		Digest map[string]string `json:"digest"`
	}
	provenance struct {
		BuildDefinition struct {
			BuildType            string            `json:"buildType"`
			ExternalParameters   map[string]any    `json:"externalParameters"`
			InternalParameters   map[string]string `json:"internalParameters"`
			ResolvedDependencies []resource        `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		RunDetails struct {
			Builder struct {
				ID string `json:"id"`
			} `json:"builder"`
		} `json:"runDetails"`
	}
)

const (
	statementType = "https://in-toto.io/Statement/v1"
	slsaType      = "https://slsa.dev/provenance/v1"
)

// provenanceOf returns the statement of how the files came about.
func provenanceOf(in *inputs, files []Asset, platforms []string) (*statement, error) {
	s := &statement{Type: statementType, PredicateType: slsaType}
	for _, f := range files {
		s.Subject = append(s.Subject, resource{Name: f.Filename, Digest: map[string]string{"sha256": f.SHA256}})
	}
	d := &s.Predicate.BuildDefinition
	d.BuildType = "https://rtgo.dev/build/release/v1"
	d.ExternalParameters = map[string]any{"upstream": in.pin.Version, "revision": in.pin.Revision, "platforms": platforms}
	d.InternalParameters = map[string]string{"bootstrap": in.bootstrap, "patchset": in.patchSet, "tree": in.tree}
	if in.commit != "" {
		d.ResolvedDependencies = append(d.ResolvedDependencies, resource{URI: "git+https://rtgo.dev/rtgo", Digest: map[string]string{"gitCommit": in.commit}})
	}
	if in.dirty {
		d.InternalParameters["uncommitted"] = "patches, src-overlay or pins had changes that are not in the commit"
	}
	d.ResolvedDependencies = append(d.ResolvedDependencies, resource{Name: in.pin.Manifest, Digest: map[string]string{"sha256": in.pin.SHA256}})
	for _, platform := range platforms {
		t := in.pin.Toolchains[platform]
		if t == nil {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(t.H1, "h1:"))
		if err != nil {
			return nil, fmt.Errorf("pinned hash %q: %v", t.H1, err)
		}
		d.ResolvedDependencies = append(d.ResolvedDependencies, resource{
			URI:    "pkg:golang/golang.org/toolchain@v0.0.1-" + in.pin.Version + "." + platform,
			Digest: map[string]string{"dirHash1": hex.EncodeToString(raw)},
		})
	}
	for _, p := range in.set.Patches {
		d.ResolvedDependencies = append(d.ResolvedDependencies, resource{Name: p.File,
			Digest: map[string]string{"sha256": fmt.Sprintf("%x", sha256.Sum256(p.Raw))}})
	}
	for _, f := range in.set.Overlay {
		d.ResolvedDependencies = append(d.ResolvedDependencies, resource{Name: "src-overlay/" + strings.TrimPrefix(f.Path, "src/"),
			Digest: map[string]string{"sha256": fmt.Sprintf("%x", sha256.Sum256(f.Data))}})
	}
	s.Predicate.RunDetails.Builder.ID = in.builder
	return s, nil
}
