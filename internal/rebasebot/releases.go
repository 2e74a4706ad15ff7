// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rebasebot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"

	"rtgo.dev/rtgo/internal/upstream"
)

// stableRE matches releases that are no beta and no release candidate.
var stableRE = regexp.MustCompile(`^go1\.\d+(\.\d+)?$`)

// Releases returns the stable releases of upstream, newest first. The source
// is the name of a JSON file in the form of https://go.dev/dl/?mode=json, or
// "go" for the toolchains that the go command itself knows: the versions of
// module golang.org/toolchain.
func Releases(ctx context.Context, source, goCmd string) ([]string, error) {
	var all []string
	var err error
	if source == "go" {
		all, err = moduleReleases(ctx, goCmd)
	} else {
		all, err = fileReleases(source)
	}
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(v string) bool { return !stableRE.MatchString(v) || !version.IsValid(v) })
	slices.SortFunc(all, func(a, b string) int { return version.Compare(b, a) })
	if all = slices.Compact(all); len(all) == 0 {
		return nil, fmt.Errorf("release list %s has no stable release", source)
	}
	return all, nil
}

func fileReleases(file string) ([]string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var list []struct {
		Version string
		Stable  bool
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("%s is not a release list as go.dev/dl/?mode=json gives it: %v", file, err)
	}
	var all []string
	for _, r := range list {
		if r.Stable {
			all = append(all, r.Version)
		}
	}
	return all, nil
}

func moduleReleases(ctx context.Context, goCmd string) ([]string, error) {
	dir, err := os.MkdirTemp("", "rtgo-releases-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.CommandContext(ctx, goCmd, "list", "-m", "-versions", "-json", upstream.ModulePath)
	cmd.Dir = dir // outside of any module
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GO111MODULE=on", "GOTOOLCHAIN=local")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return nil, fmt.Errorf("%s list -m -versions %s: %v: %s", goCmd, upstream.ModulePath, err, line)
	}
	var m struct{ Versions []string }
	if err := json.Unmarshal(out, &m); err != nil {
		return nil, fmt.Errorf("%s list: %v", goCmd, err)
	}
	var all []string
	for _, v := range m.Versions {
		release, ok := strings.CutSuffix(strings.TrimPrefix(v, "v0.0.1-"), "."+upstream.Platform())
		if ok {
			all = append(all, release)
		}
	}
	return all, nil
}

// A move is what the bot wants of one release line.
type move struct {
	line string
	from string // pinned now; "" for a new line
	to   string // newest release
}

// plan returns, for each supported line, what to do: the two newest lines that
// have releases, as upstream supports them. Lines below are left alone.
func plan(pins *upstream.Pins, releases []string) []move {
	var moves []move
	for _, v := range releases {
		line := version.Lang(v)
		if slices.ContainsFunc(moves, func(m move) bool { return m.line == line }) {
			continue
		}
		if len(moves) == 2 {
			break
		}
		m := move{line: line, to: v}
		if pin := pins.Lines[line]; pin != nil {
			m.from = pin.Version
			if version.Compare(m.from, v) >= 0 {
				m.to = m.from // the list is behind the pin
			}
		}
		moves = append(moves, m)
	}
	return moves
}
