// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package series

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Repo is a git repository that holds an upstream tree as one commit,
// tagged "upstream", and the series as further commits.
type Repo struct {
	GitDir   string
	WorkTree string
	Date     string // committer's date of all commits made here, RFC 3339
}

// UpstreamTag names the commit that holds the upstream tree.
const UpstreamTag = "upstream"

// committer is recorded in commits made by a Repo, so that equal input gives
// equal commits on every machine, and is the author of every patch.
const committerName, committerEmail = "The rtgo Authors", "authors@rtgo.dev"

const author = committerName + " <" + committerEmail + ">"

// fromRE matches the author in the header of a mail, which may be folded.
var fromRE = regexp.MustCompile(`(?m)^From: .*\n(?:[ \t].*\n)*`)

// env returns the environment for git: nothing of the user's configuration
// or of a git command that we may run under reaches it.
func (r *Repo) env() []string {
	var env []string
	for _, kv := range os.Environ() {
		switch key, _, _ := strings.Cut(kv, "="); {
		case strings.HasPrefix(key, "GIT_"), key == "HOME", key == "XDG_CONFIG_HOME",
			strings.HasPrefix(key, "LC_"), key == "LANG", key == "LANGUAGE", key == "TZ", key == "EMAIL":
		default:
			env = append(env, kv)
		}
	}
	return append(env,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_EDITOR=false", "HOME=/nonexistent", "LC_ALL=C", "TZ=UTC",
		"GIT_AUTHOR_NAME="+committerName, "GIT_AUTHOR_EMAIL="+committerEmail, "GIT_AUTHOR_DATE="+r.Date,
		"GIT_COMMITTER_NAME="+committerName, "GIT_COMMITTER_EMAIL="+committerEmail, "GIT_COMMITTER_DATE="+r.Date,
	)
}

// Git runs a git command in the repository and returns its output. The error
// has git's first words of complaint.
func (r *Repo) Git(ctx context.Context, args ...string) (string, error) {
	return r.gitInput(ctx, nil, args...)
}

func (r *Repo) gitInput(ctx context.Context, stdin []byte, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{
		"--git-dir=" + r.GitDir, "--work-tree=" + r.WorkTree,
		"-c", "core.autocrlf=false", "-c", "core.fileMode=true", "-c", "core.hooksPath=/dev/null",
		"-c", "core.whitespace=blank-at-eol", "-c", "core.looseCompression=0", "-c", "gc.auto=0", "-c", "init.defaultBranch=rtgo",
		"-c", "commit.gpgSign=false", "-c", "diff.algorithm=myers", "-c", "advice.detachedHead=false",
	}, args...)...)
	cmd.Dir = r.WorkTree
	cmd.Env = r.env()
	cmd.Stdin = bytes.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("git is not installed; run 'apt-get install git'")
	}
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return stdout.String(), &gitError{args[0], err, stderr.String()}
	}
	return stdout.String(), nil
}

type gitError struct {
	command string
	err     error
	stderr  string
}

func (e *gitError) Error() string {
	line, _, _ := strings.Cut(strings.TrimSpace(e.stderr), "\n")
	if line == "" {
		line = e.err.Error()
	}
	return fmt.Sprintf("git %s: %s", e.command, line)
}

func (e *gitError) Unwrap() error { return e.err }

// Init makes a repository of the files in the work tree, all of them, byte by
// byte whatever .gitignore and .gitattributes say, as its upstream commit.
func (r *Repo) Init(ctx context.Context, message string) error {
	if err := os.MkdirAll(r.GitDir, 0o777); err != nil {
		return err
	}
	if _, err := r.Git(ctx, "init", "-q"); err != nil {
		return err
	}
	attrs := filepath.Join(r.GitDir, "info", "attributes")
	if err := os.MkdirAll(filepath.Dir(attrs), 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(attrs, []byte("* -text -ident -filter -working-tree-encoding\n"), 0o666); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"add", "-A", "-f", "."},
		{"commit", "-q", "--no-verify", "-m", message},
		{"tag", UpstreamTag},
	} {
		if _, err := r.Git(ctx, args...); err != nil {
			return err
		}
	}
	return nil
}

// A ConflictError tells which patch does not apply, and where.
type ConflictError struct {
	Patch string
	File  string // path of the patch relative to the root of the repository
	Where string // "src/runtime/proc.go:123" or git's message
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%s does not apply: %s; see 'rtgo help edit' for how to repair the series", e.Patch, e.Where)
}

var patchFailedRE = regexp.MustCompile(`(?m)^error: (?:patch failed: (\S+)|(.*))$`)

// Apply applies the patches in order, each as a commit. All context must
// match exactly, white space included; nothing is merged. The first patch
// that does not apply ends it with a *ConflictError.
func (r *Repo) Apply(ctx context.Context, patches []*Patch) error {
	for _, p := range patches {
		_, err := r.gitInput(ctx, p.Raw, "am", "-q", "--no-3way", "--keep-cr", "--no-scissors", "--whitespace=error-all", "-")
		if err == nil {
			continue
		}
		if ge := (*gitError)(nil); errors.As(err, &ge) {
			e := &ConflictError{Patch: p.Name, File: p.File, Where: ge.Error()}
			if m := patchFailedRE.FindStringSubmatch(ge.stderr); m != nil {
				e.Where = m[1] + m[2]
			}
			err = e
		}
		if _, aerr := r.Git(ctx, "am", "--abort"); aerr != nil && ctx.Err() == nil {
			return fmt.Errorf("%w (and %v)", err, aerr)
		}
		return err
	}
	return nil
}

// Tree returns git's hash of the whole work tree as it is.
func (r *Repo) Tree(ctx context.Context) (string, error) {
	if _, err := r.Git(ctx, "add", "-A", "-f", "."); err != nil {
		return "", err
	}
	out, err := r.Git(ctx, "write-tree")
	return strings.TrimSpace(out), err
}

// Patches returns the commits after upstream as mails, all of the same author
// whoever made the commit.
func (r *Repo) Patches(ctx context.Context) ([]*Patch, error) {
	dir, err := os.MkdirTemp("", "rtgo-export-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	// Nothing in a mail depends on the commit's name, git's version or the
	// number of patches; blob names are long enough to stay unique.
	out, err := r.Git(ctx, "format-patch", "--abbrev=14", "--signature=", "--zero-commit", "--no-numbered",
		"--no-renames", "--unified=3", "-o", dir, UpstreamTag+"..HEAD")
	if err != nil {
		return nil, err
	}
	var ps []*Patch
	for file := range strings.Lines(out) {
		file = strings.TrimSuffix(file, "\n")
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if loc := fromRE.FindIndex(data); loc != nil {
			data = slices.Replace(data, loc[0], loc[1], []byte("From: "+author+"\n")...)
		}
		p, err := Parse(filepath.Base(file), data)
		if err != nil {
			return nil, err
		}
		ps = append(ps, p)
	}
	return ps, nil
}

// Contains reports whether the tree has what a patch does already: the patch
// would come out again, strictly.
func (r *Repo) Contains(ctx context.Context, p *Patch) bool {
	_, err := r.gitInput(ctx, p.Raw, "apply", "--check", "--reverse", "--index", "-")
	return err == nil
}

// Blob stores data in the repository and returns git's name of it.
func (r *Repo) Blob(ctx context.Context, data []byte) (string, error) {
	out, err := r.gitInput(ctx, data, "hash-object", "-w", "--stdin")
	return strings.TrimSpace(out), err
}
