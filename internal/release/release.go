// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package release makes the files of an rtgo release from a finished build,
// and verifies a release that somebody has downloaded.
//
// The same commit gives the same bytes, whenever and wherever the release is
// made: all times are that of the upstream release, or SOURCE_DATE_EPOCH, and
// no path or host name is recorded.
package release

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/toolchain"
	"rtgo.dev/rtgo/internal/upstream"
)

// DefaultBuilder identifies the builder in the provenance statement where
// nobody says otherwise.
const DefaultBuilder = "https://rtgo.dev/builder/local"

// Options say what to release.
type Options struct {
	Build     toolchain.Options // of the host's toolchain
	Dir       string            // of the release; it must not exist
	Platforms []string          // such as "linux-amd64"; the host's must be among them
	URL       string            // where the release will be found; may be empty
	Builder   string            // URI of the builder, for the provenance statement
	Dirty     bool              // allow build inputs that are not committed
	Logf      func(format string, args ...any)
}

// inputs are what the documents of a release tell about its making.
type inputs struct {
	pin                   *upstream.Pin
	set                   *series.Set
	patchSet, stamp, tree string
	bootstrap, builder    string
	time                  string // RFC 3339
	commit                string
	dirty                 bool
	vendored              []vendored
}

func (in *inputs) version() string { return in.pin.Name() }

// A vendored is a module that upstream carries in its tree.
type vendored struct{ path, version, where string }

// Make builds the toolchain unless that is done already, and writes the
// release:
//
//	VERSION.PLATFORM.tar.gz       as upstream's distributions
//	VERSION.src.tar.gz
//	proxy/golang.org/toolchain/@v the same as modules, for GOPROXY=file://
//	assets.json                   in the form of go.dev/dl?mode=json
//	rules_go.MODULE.bazel         for Bazel
//	VERSION.cdx.json              CycloneDX bill of materials
//	VERSION.intoto.json           SLSA provenance statement
//	SHA256SUMS                    of all others
func Make(ctx context.Context, o Options) error {
	host := upstream.Platform()
	if !slices.Contains(o.Platforms, host) {
		return fmt.Errorf("the platforms %s lack %s, which this machine builds; add it", strings.Join(o.Platforms, ","), host)
	}
	if _, err := os.Stat(o.Dir); err == nil {
		return fmt.Errorf("%s exists; remove it or name another directory", o.Dir)
	}
	in := &inputs{pin: o.Build.Pin, builder: o.Builder}
	var err error
	if in.time, err = buildTime(o.Build.Pin); err != nil {
		return err
	}
	if in.commit, in.dirty, err = revision(ctx, o.Build.Root, o.Build.Pin); err != nil {
		return err
	}
	if in.dirty && !o.Dirty {
		return fmt.Errorf("patches, src-overlay or pins have changes that are not committed; commit them, or use -allow-dirty for a release that says so")
	}
	r, err := toolchain.Build(ctx, o.Build)
	if err != nil {
		return err
	}
	if in.set, err = series.LoadSet(o.Build.Root, o.Build.Pin.Line); err != nil {
		return err
	}
	in.patchSet, in.stamp, in.tree, in.bootstrap = r.PatchSet, r.Stamp, r.Tree, r.Bootstrap
	if in.set.Hash() != r.PatchSet {
		return errors.New("patches or overlay changed during the build; run the same command again")
	}
	if in.vendored, err = vendoredModules(r.Root); err != nil {
		return err
	}

	// Everything is made beside its final place and moved there at the end.
	if err := os.MkdirAll(filepath.Dir(o.Dir), 0o777); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(o.Dir), ".release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	stage := filepath.Join(tmp, "release")
	if err := os.MkdirAll(filepath.Join(stage, filepath.FromSlash(proxyDir)), 0o777); err != nil {
		return err
	}
	for _, platform := range o.Platforms {
		dist := r.Dist
		if platform != host {
			work := filepath.Join(tmp, platform)
			dist = filepath.Join(tmp, "dist-"+platform)
			if err := CrossPack(ctx, r.Root, platform, work, dist, o.Logf); err != nil {
				return err
			}
			if err := os.RemoveAll(work); err != nil {
				return err
			}
		}
		if err := collect(stage, dist, r.Version, platform); err != nil {
			return err
		}
	}
	if err := document(in, stage, o); err != nil {
		return err
	}
	if err := os.Chmod(stage, 0o755); err != nil {
		return err
	}
	return os.Rename(stage, o.Dir)
}

// collect copies distpack's archives of a platform to their places. The
// source archive must be the same for all platforms.
func collect(stage, dist, version, platform string) error {
	names := map[string]string{
		archiveFile(version, platform): archiveFile(version, platform),
		sourceFile(version):            sourceFile(version),
	}
	for _, name := range moduleFiles(version, platform) {
		names[filepath.Base(name)] = name
	}
	for from, to := range names {
		src, dst := filepath.Join(dist, from), filepath.Join(stage, filepath.FromSlash(to))
		if old, err := hashFile(dst); err == nil {
			if again, err := hashFile(src); err != nil || again.SHA256 != old.SHA256 {
				return fmt.Errorf("%s of %s is not that of the other platforms (%v); rebuild with 'rtgo build -force'", from, platform, err)
			}
			continue
		}
		if err := copyFile(dst, src); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(dst, src string) error {
	r, err := os.Open(src)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(dst, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	return err
}

// document writes all files that describe the archives in stage.
func document(in *inputs, stage string, o Options) error {
	var files, archives []Asset
	add := func(name, platform, kind string) error {
		a, err := hashFile(filepath.Join(stage, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		a.Filename, a.Version, a.Kind = name, in.version(), kind
		a.OS, a.Arch, _ = strings.Cut(platform, "-")
		files = append(files, a)
		if kind != "" {
			archives = append(archives, a)
		}
		return nil
	}
	if err := add(sourceFile(in.version()), "", "source"); err != nil {
		return err
	}
	for _, platform := range o.Platforms {
		if err := add(archiveFile(in.version(), platform), platform, "archive"); err != nil {
			return err
		}
		for _, name := range moduleFiles(in.version(), platform) {
			if err := add(name, "", ""); err != nil {
				return err
			}
		}
	}
	v := &Version{Version: in.version(), Stable: true, Upstream: in.pin.Version, PatchSet: in.patchSet, Files: archives}
	statement, err := provenanceOf(in, files, o.Platforms)
	if err != nil {
		return err
	}
	for _, doc := range []struct {
		name string
		data func() ([]byte, error)
	}{
		{AssetsFile, func() ([]byte, error) { return marshal([]*Version{v}) }},
		{BazelFile, func() ([]byte, error) { return bazel(v, o.URL), nil }},
		{sbomFile(in.version()), func() ([]byte, error) { return marshal(bomOf(in, archives)) }},
		{provenanceFile(in.version()), func() ([]byte, error) { return marshal(statement) }},
	} {
		data, err := doc.data()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(stage, doc.name), data, 0o644); err != nil {
			return err
		}
		if err := add(doc.name, "", ""); err != nil {
			return err
		}
	}
	slices.SortFunc(files, func(a, b Asset) int { return strings.Compare(a.Filename, b.Filename) })
	return os.WriteFile(filepath.Join(stage, SumsFile), sums(files), 0o644)
}

func hashFile(file string) (Asset, error) {
	f, err := os.Open(file)
	if err != nil {
		return Asset{}, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	return Asset{SHA256: fmt.Sprintf("%x", h.Sum(nil)), Size: n}, err
}

// buildTime returns the time that the documents carry: SOURCE_DATE_EPOCH if
// it is set, otherwise the time of the upstream release, which is that of the
// files in the archives.
func buildTime(pin *upstream.Pin) (string, error) {
	e := os.Getenv("SOURCE_DATE_EPOCH")
	if e == "" {
		return pin.Time(), nil
	}
	sec, err := strconv.ParseInt(e, 10, 64)
	if err != nil || sec < 0 {
		return "", fmt.Errorf("SOURCE_DATE_EPOCH=%s is not a number of seconds since 1970", e)
	}
	return time.Unix(sec, 0).UTC().Format(time.RFC3339), nil
}

// revision returns the commit of the repository, "" outside of git, and
// whether what goes into the build differs from it.
func revision(ctx context.Context, root string, pin *upstream.Pin) (commit string, dirty bool, err error) {
	if _, err := os.Stat(filepath.Join(root, ".git")); errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	git := func(args ...string) (string, error) {
		// The clone may belong to another user than the one who releases.
		cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "safe.directory=" + root, "-C", root}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0="+root)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %v: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
		}
		return strings.TrimSpace(string(out)), nil
	}
	if commit, err = git("rev-parse", "HEAD"); err != nil {
		return "", false, err
	}
	status, err := git("status", "--porcelain", "--", series.Dir(series.Common), series.Dir(pin.Line), "src-overlay", upstream.PinsFile, pin.Manifest)
	return commit, status != "", err
}

// vendoredModules reads the modules that a GOROOT carries.
func vendoredModules(goroot string) ([]vendored, error) {
	var mods []vendored
	for _, dir := range []string{"src/vendor", "src/cmd/vendor"} {
		f, err := os.Open(filepath.Join(goroot, filepath.FromSlash(dir), "modules.txt"))
		if err != nil {
			return nil, err
		}
		sc := bufio.NewScanner(f)
		for sc.Scan() {
			if m, ok := strings.CutPrefix(sc.Text(), "# "); ok {
				path, version, ok := strings.Cut(m, " ")
				if !ok {
					continue
				}
				if i := slices.IndexFunc(mods, func(v vendored) bool { return v.path == path && v.version == version }); i >= 0 {
					mods[i].where += " and " + dir
					continue
				}
				mods = append(mods, vendored{path, version, dir})
			}
		}
		err = sc.Err()
		f.Close()
		if err != nil {
			return nil, err
		}
	}
	return mods, nil
}
