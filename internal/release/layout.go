// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package release

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"rtgo.dev/rtgo/internal/upstream"
)

// Names of a release's files, relative to its directory.
const (
	SumsFile   = "SHA256SUMS"
	AssetsFile = "assets.json"
	BazelFile  = "rules_go.MODULE.bazel"
	proxyDir   = "proxy/" + upstream.ModulePath + "/@v"
)

func sbomFile(version string) string       { return version + ".cdx.json" }
func provenanceFile(version string) string { return version + ".intoto.json" }
func sourceFile(version string) string     { return version + ".src.tar.gz" }
func archiveFile(version, platform string) string {
	return version + "." + platform + ".tar.gz"
}

// A Version is an entry of assets.json, in the form of go.dev/dl?mode=json,
// which setup-go and others read.
type Version struct {
	Version  string  `json:"version"`
	Stable   bool    `json:"stable"`
	Upstream string  `json:"upstream"` // not in go.dev's form
	PatchSet string  `json:"patchset"` // not in go.dev's form
	Files    []Asset `json:"files"`
}

// An Asset is a file of a release.
type Asset struct {
	Filename string `json:"filename"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Version  string `json:"version"`
	SHA256   string `json:"sha256"`
	Size     int64  `json:"size"`
	Kind     string `json:"kind"` // "archive" or "source"
}

// marshal writes JSON as all files of a release have it.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// sums returns the text of SHA256SUMS for the files, which are sorted.
func sums(files []Asset) []byte {
	var b bytes.Buffer
	for _, f := range files {
		fmt.Fprintf(&b, "%s  %s\n", f.SHA256, f.Filename)
	}
	return b.Bytes()
}

// bazel returns a MODULE.bazel fragment for rules_go. In the URL, "{}" stands
// for the file name.
func bazel(v *Version, url string) []byte {
	if url == "" {
		url = "https://REPLACE.WITH.RELEASE.URL"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Fragment of MODULE.bazel: %s as the Go SDK of rules_go.\n", v.Version)
	fmt.Fprintf(&b, "go_sdk = use_extension(\"@rules_go//go:extensions.bzl\", \"go_sdk\")\n")
	fmt.Fprintf(&b, "go_sdk.download(\n    name = \"rtgo\",\n    version = %q,\n    sdks = {\n", strings.TrimPrefix(v.Version, "go"))
	for _, f := range v.Files {
		if f.Kind == "archive" {
			fmt.Fprintf(&b, "        %q: [%q, %q],\n", f.OS+"_"+f.Arch, f.Filename, f.SHA256)
		}
	}
	fmt.Fprintf(&b, "    },\n    urls = [%q],\n)\n", strings.TrimSuffix(url, "/")+"/{}")
	return b.Bytes()
}

// moduleFiles returns the names in the proxy directory for a platform.
func moduleFiles(version, platform string) []string {
	v := upstream.ModuleVersion(version, platform)
	return []string{path.Join(proxyDir, v+".info"), path.Join(proxyDir, v+".mod"), path.Join(proxyDir, v+".zip")}
}
