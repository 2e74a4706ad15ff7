// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package ci holds the scripts of continuous integration, the definitions
// that call them on a host, in workflows/, and the test that they do no more.
package ci

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
)

// required are the pipelines that must be there.
var required = []string{"gate", "build", "upstream-test", "lab", "image", "release", "nightly", "rebase-bot"}

// actions are what a host must do itself: bring the source in and take files
// out. They are pinned to a commit, since a tag can be moved.
var actions = regexp.MustCompile(`^actions/(checkout|upload-artifact)@[0-9a-f]{40}$`)

// command is one call of a script of this repository, with plain words and
// the variable that names the repository as arguments.
var command = regexp.MustCompile(`^\./(build\.sh|ci/[a-z-]+\.sh)((?: (?:[\w./:=-]+|"[\w:]*\$GITHUB_REPOSITORY"))*)$`)

// check returns what is wrong with a workflow, given the steps of ci/test.sh.
func check(src []byte, steps []string) []string {
	w, errs := actionlint.Parse(src)
	var bad []string
	for _, e := range errs {
		bad = append(bad, e.Error())
	}
	if w == nil {
		return bad
	}
	complain := func(pos *actionlint.Pos, format string, args ...any) {
		bad = append(bad, fmt.Sprintf("line %d: ", pos.Line)+fmt.Sprintf(format, args...))
	}
	if w.Permissions == nil {
		bad = append(bad, "no permissions: the host's default may be to write")
	}
	if len(w.Jobs) != 1 {
		bad = append(bad, fmt.Sprintf("%d jobs, want one: scripts know no order between machines", len(w.Jobs)))
	}
	for _, job := range w.Jobs {
		if job.TimeoutMinutes == nil {
			complain(job.Pos, "no timeout-minutes")
		}
		if job.Env != nil || w.Env != nil || job.Defaults != nil || w.Defaults != nil || job.Services != nil || job.Strategy != nil {
			complain(job.Pos, "env, defaults, services and strategy: do it in the script")
		}
		calls := 0
		for _, s := range job.Steps {
			switch e := s.Exec.(type) {
			case *actionlint.ExecAction:
				if !actions.MatchString(e.Uses.Value) {
					complain(s.Pos, "action %s is not allowed, or not pinned to a commit", e.Uses.Value)
				}
			case *actionlint.ExecRun:
				calls++
				m := command.FindStringSubmatch(e.Run.Value)
				if m == nil {
					complain(s.Pos, "%q is more than a call of one script", e.Run.Value)
					continue
				}
				file, err := os.Stat(filepath.Join("..", m[1]))
				if err != nil || file.Mode()&0o111 == 0 {
					complain(s.Pos, "%s is no script of the repository", m[1])
				}
				if m[1] == "ci/test.sh" {
					for _, word := range strings.Fields(m[2]) {
						if !slices.Contains(steps, word) {
							complain(s.Pos, "ci/test.sh has no step %q", word)
						}
					}
				}
				if s.Env != nil {
					for name, v := range s.Env.Vars {
						if v.Value.Value != "${{ github.token }}" {
							complain(s.Pos, "variable %s: only the host's token may be passed", name)
						}
					}
				}
			}
			if s.If != nil && s.If.Value != "always()" {
				complain(s.Pos, "condition %q: decide in the script", s.If.Value)
			}
		}
		if calls != 1 {
			complain(job.Pos, "%d commands, want one", calls)
		}
	}
	return bad
}

func steps(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("./test.sh", "-l").Output()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		names = append(names, strings.Fields(line)[0])
	}
	return names
}

func TestWorkflows(t *testing.T) {
	files, err := filepath.Glob("workflows/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yml")
		have[name] = true
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range check(src, steps(t)) {
			t.Errorf("%s: %s", file, bad)
		}
	}
	for _, name := range required {
		if !have[name] {
			t.Errorf("no workflows/%s.yml", name)
		}
	}
	lint, err := actionlint.NewLinter(io.Discard, &actionlint.LinterOptions{Shellcheck: "shellcheck"})
	if err != nil {
		t.Fatal(err)
	}
	errs, err := lint.LintFiles(files, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range errs {
		t.Error(e)
	}
	// It lints: a label that no machine has.
	src, err := os.ReadFile("workflows/gate.yml")
	if err != nil {
		t.Fatal(err)
	}
	errs, err = lint.Lint("broken.yml", []byte(strings.Replace(string(src), "ubuntu-24.04", "ubuntu-1.04", 1)), nil)
	if err != nil || len(errs) != 1 {
		t.Errorf("a broken file: %v, %v", errs, err)
	}
}

// TestCheckRefuses makes sure that the check sees what it is for.
func TestCheckRefuses(t *testing.T) {
	src, err := os.ReadFile("workflows/rebase-bot.yml")
	if err != nil {
		t.Fatal(err)
	}
	all := steps(t)
	if bad := check(src, all); len(bad) > 0 {
		t.Fatalf("%q", bad)
	}
	run := regexp.MustCompile(`run: .*`)
	for _, tt := range []struct{ old, new, want string }{
		{run.FindString(string(src)), "run: make all", "more than a call"},
		{run.FindString(string(src)), "run: ./ci/test.sh && rm -rf x", "more than a call"},
		{run.FindString(string(src)), "run: ./ci/test.sh $(id)", "more than a call"},
		{run.FindString(string(src)), "run: |\n          ./ci/test.sh unit\n          ./build.sh", "more than a call"},
		{run.FindString(string(src)), "run: ./ci/test.sh nosuchstep", "no step"},
		{run.FindString(string(src)), "run: ./ci/nosuch.sh", "no script"},
		{"github.token", "secrets.DEPLOY", "only the host's token"},
		{"actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683", "actions/checkout@v4", "not pinned"},
		{"actions/checkout@", "someone/else@", "not allowed"},
		{"if: always()", "if: github.ref == 'x'", "decide in the script"},
		{"timeout-minutes: 300", "env: {A: b}", "do it in the script"},
		{"timeout-minutes: 300", "", "no timeout"},
		{"permissions:", "x-permissions:", "no permissions"},
	} {
		changed := strings.Replace(string(src), tt.old, tt.new, 1)
		if changed == string(src) {
			t.Errorf("%q is not in the file", tt.old)
			continue
		}
		if bad := check([]byte(changed), all); !strings.Contains(strings.Join(bad, "\n"), tt.want) {
			t.Errorf("%s: complaints %q, want %q", tt.new, bad, tt.want)
		}
	}
}
