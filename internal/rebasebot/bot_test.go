// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rebasebot

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rtgo.dev/rtgo/internal/upstream"
)

// TestMain lets the test binary stand for "rtgo rebase" as far as its exit
// codes and reports are documented in package rebase: what it does to which
// release is in a file.
func TestMain(m *testing.M) {
	if file := os.Getenv("REBASE_SCRIPT"); file != "" && len(os.Args) > 1 {
		switch os.Args[1] {
		case "rebase":
			rebase(file)
		case "linkname":
			linkname(file)
		}
	}
	os.Exit(m.Run())
}

// rebase is the stand-in. The script maps releases to "done", "conflict",
// "check", "fail", "nothing", or "push DIR" for a commit that someone makes in
// the clone DIR meanwhile.
func rebase(scriptFile string) {
	die := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	var to, jsonFile, mdFile string
	for i := 2; i+1 < len(os.Args); i += 2 {
		switch os.Args[i] {
		case "--to":
			to = os.Args[i+1]
		case "--json":
			jsonFile = os.Args[i+1]
		case "--markdown":
			mdFile = os.Args[i+1]
		}
	}
	data, err := os.ReadFile(scriptFile)
	die(err)
	script := map[string]string{}
	die(json.Unmarshal(data, &script))
	log, err := os.OpenFile(scriptFile+".runs", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	die(err)
	fmt.Fprintln(log, to)
	die(log.Close())
	status, dir, _ := strings.Cut(script[to], " ")
	if status == "push" {
		cmd := exec.Command("sh", "-ec", "git fetch -q; git checkout -q -B race origin/main; git commit -q --allow-empty -m mine; git push -q -f origin HEAD:refs/heads/bot/rebase-go1.26")
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			die(fmt.Errorf("%v: %s", err, out))
		}
		status = "done"
	}
	if status == "fail" {
		die(fmt.Errorf("no such release"))
	}
	if status == "done" || status == "check" {
		pins, err := upstream.LoadPins(".")
		die(err)
		line := strings.Join(strings.Split(to, ".")[:2], ".")
		pins.Lines[line] = pin(to)
		die(pins.Save())
		die(os.MkdirAll("patches/"+line, 0o777))
		die(os.WriteFile("patches/"+line+"/0001-x.patch", []byte(to), 0o666))
	}
	if status == "nothing" {
		status = "done"
	}
	die(os.WriteFile(jsonFile, []byte(`{"status":"`+status+`"}`), 0o666))
	die(os.WriteFile(mdFile, []byte("# report on "+to+": "+status+"\n"), 0o666))
	if status != "done" {
		os.Exit(3)
	}
	os.Exit(0)
}

// linkname stands for "rtgo linkname -record": the script's entry "linkname"
// makes it refuse something.
func linkname(scriptFile string) {
	data, err := os.ReadFile(scriptFile)
	if err != nil || os.WriteFile("record.txt", []byte(strings.Join(os.Args[1:], " ")), 0o666) != nil {
		os.Exit(1)
	}
	if strings.Contains(string(data), `"linkname"`) {
		fmt.Fprintln(os.Stderr, "1 bindings refused")
		os.Exit(1)
	}
	os.Exit(0)
}

func pin(release string) *upstream.Pin {
	return &upstream.Pin{Version: release, Revision: 1, VersionFile: release + "\ntime 2026-01-01T00:00:00Z\n"}
}

// A world is a bare repository as the remote, the bot's clone and a person's.
type world struct {
	t                          *testing.T
	remote, clone, person, dir string
	script                     string
	forge                      *localForge
	logs                       []string
}

func newWorld(t *testing.T) *world {
	dir := t.TempDir()
	t.Setenv("GIT_CONFIG_GLOBAL", "/dev/null")
	t.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	for _, v := range []string{"AUTHOR", "COMMITTER"} {
		t.Setenv("GIT_"+v+"_NAME", "A Person")
		t.Setenv("GIT_"+v+"_EMAIL", "person@example.com")
	}
	w := &world{t: t, dir: dir, remote: filepath.Join(dir, "remote.git"), clone: filepath.Join(dir, "clone"), person: filepath.Join(dir, "person"),
		script: filepath.Join(dir, "script.json"), forge: &localForge{dir: filepath.Join(dir, "pulls")}}
	t.Setenv("REBASE_SCRIPT", w.script)
	if err := os.MkdirAll(w.forge.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	w.git(dir, "init", "-q", "--bare", "-b", "main", w.remote)
	w.git(dir, "clone", "-q", w.remote, w.person)
	w.git(w.person, "checkout", "-q", "-b", "main")
	w.pin("go1.26.8")
	w.git(w.person, "push", "-q", "origin", "main")
	w.git(dir, "clone", "-q", w.remote, w.clone)
	return w
}

func (w *world) git(dir string, args ...string) string {
	w.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// pin commits upstream.json with the given releases in the person's clone.
func (w *world) pin(releases ...string) {
	w.t.Helper()
	pins := upstream.NewPins(w.person)
	for _, r := range releases {
		pins.Default = strings.Join(strings.Split(r, ".")[:2], ".")
		pins.Lines[pins.Default] = pin(r)
	}
	if err := pins.Save(); err != nil {
		w.t.Fatal(err)
	}
	w.git(w.person, "add", "-A")
	w.git(w.person, "commit", "-q", "-m", "pin")
}

// run runs the bot and returns "LINE ACTION" with the status if there is one.
func (w *world) run(script map[string]string, releases ...string) []string {
	w.t.Helper()
	data, err := json.Marshal(script)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(w.script, data, 0o666); err != nil {
		w.t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	w.logs = nil
	outcomes, err := Run(w.t.Context(), Options{Repo: w.clone, Remote: "origin", Base: "main", Work: filepath.Join(w.dir, "work"),
		Releases: releases, Forge: w.forge, Rtgo: exe,
		Logf: func(f string, a ...any) { w.logs = append(w.logs, fmt.Sprintf(f, a...)) }})
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, o := range outcomes {
		s := o.Line + " " + o.Action
		if o.Status != "" {
			s += ": " + o.Status
		}
		got = append(got, s)
	}
	return got
}

func (w *world) want(got []string, want ...string) {
	w.t.Helper()
	if !slices.Equal(got, want) {
		w.t.Fatalf("got %q\nwant %q\nlog:\n%s", got, want, strings.Join(w.logs, "\n"))
	}
}

// runs returns the releases that were rebased to since the last call.
func (w *world) runs() []string {
	data, _ := os.ReadFile(w.script + ".runs")
	os.Remove(w.script + ".runs")
	return strings.Fields(string(data))
}

func (w *world) pulls() []*PullRequest {
	w.t.Helper()
	list, err := w.forge.all()
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *world) head(branch string) string {
	w.t.Helper()
	return w.git(w.remote, "rev-parse", "refs/heads/"+branch)
}

const branch26, branch27 = "bot/rebase-go1.26", "bot/rebase-go1.27"

func TestOpenAndUpdate(t *testing.T) {
	w := newWorld(t)
	all := map[string]string{"go1.26.9": "done", "go1.26.10": "done", "go1.27.3": "conflict"}
	w.want(w.run(all, "go1.27.3", "go1.26.9", "go1.25.12"), "go1.27 opened: conflict", "go1.26 opened: done")
	if got := w.runs(); !slices.Equal(got, []string{"go1.27.3", "go1.26.9"}) {
		t.Errorf("rebased to %q; go1.25 is not supported any more", got)
	}
	prs := w.pulls()
	if len(prs) != 2 || prs[0].Branch != branch27 || prs[1].Branch != branch26 || prs[0].Base != "main" {
		t.Fatalf("pull requests %+v", prs)
	}
	if !slices.Contains(prs[0].Labels, humanLabel) || !strings.Contains(prs[0].Title, "needs a human") ||
		!strings.Contains(prs[0].Body, "report on go1.27.3") || !strings.Contains(prs[0].Body, "git switch "+branch27) {
		t.Errorf("a conflict's pull request: %+v", prs[0])
	}
	if len(prs[1].Labels) != 0 || !strings.Contains(prs[1].Body, "report on go1.26.9") {
		t.Errorf("a clean one: %+v", prs[1])
	}
	// The conflict's branch differs from main by an empty commit, the other
	// by the rebase's files.
	if out := w.git(w.remote, "diff", "--name-only", "main", branch27); out != "" {
		t.Errorf("the conflict's branch has %s", out)
	}
	if out := w.git(w.remote, "show", branch26+":patches/go1.26/0001-x.patch"); out != "go1.26.9" {
		t.Errorf("patch of the clean branch: %q", out)
	}
	if out := w.git(w.remote, "show", branch26+":record.txt"); !strings.HasSuffix(out, "-upstream go1.26") {
		t.Errorf("record of linknames: %q", out)
	}
	if out := w.git(w.remote, "log", "-1", "--format=%an %cn", branch26); out != botName+" "+botName {
		t.Errorf("commit by %s", out)
	}

	// Nothing new: nothing is run again.
	head := w.head(branch26)
	w.want(w.run(all, "go1.27.3", "go1.26.9"), "go1.27 unchanged", "go1.26 unchanged")
	if got := w.runs(); len(got) != 0 || w.head(branch26) != head {
		t.Errorf("rebased to %q although nothing changed", got)
	}

	// The base branch moves on, and a newer release comes out: the same pull
	// requests, on top of the new base.
	w.git(w.person, "commit", "-q", "--allow-empty", "-m", "other work")
	w.git(w.person, "push", "-q", "origin", "main")
	all["go1.27.3"] = "done"
	w.want(w.run(all, "go1.27.3", "go1.26.10"), "go1.27 updated: done", "go1.26 updated: done")
	prs = w.pulls()
	if len(prs) != 2 || slices.Contains(prs[0].Labels, humanLabel) || !strings.Contains(prs[1].Title, "go1.26.10") {
		t.Errorf("pull requests %+v", prs)
	}
	if w.git(w.remote, "rev-parse", branch26+"^") != w.head("main") {
		t.Errorf("the branch is not on the base branch")
	}

	// Merged: nothing left to do. The other is superseded by hand.
	w.git(w.person, "fetch", "-q")
	w.git(w.person, "merge", "-q", "--ff-only", "origin/"+branch26)
	w.git(w.person, "push", "-q", "origin", "main", ":"+branch26)
	prs[1].State = "closed"
	if err := w.forge.Save(t.Context(), prs[1]); err != nil {
		t.Fatal(err)
	}
	w.pin("go1.26.10", "go1.27.3")
	w.git(w.person, "push", "-q", "origin", "main")
	w.want(w.run(all, "go1.27.3", "go1.26.10"), "go1.27 closed", "go1.26 up to date")
	if prs = w.pulls(); prs[0].State != "closed" || len(prs[0].Comments) != 1 {
		t.Errorf("superseded: %+v", prs[0])
	}
}

func TestHumanCommits(t *testing.T) {
	w := newWorld(t)
	w.want(w.run(map[string]string{"go1.26.9": "conflict"}, "go1.26.9"), "go1.26 opened: conflict")
	w.git(w.person, "fetch", "-q")
	w.git(w.person, "checkout", "-q", branch26)
	w.git(w.person, "commit", "-q", "--allow-empty", "-m", "resolved")
	w.git(w.person, "push", "-q", "origin", branch26)
	head := w.head(branch26)
	w.runs()

	w.want(w.run(nil, "go1.26.9"), "go1.26 left to human")
	if prs := w.pulls(); len(prs[0].Comments) != 0 {
		t.Errorf("comments without news: %q", prs[0].Comments)
	}
	for range 2 { // says it once
		w.want(w.run(map[string]string{"go1.26.10": "done"}, "go1.26.10"), "go1.26 left to human")
	}
	prs := w.pulls()
	if len(prs) != 1 || len(prs[0].Comments) != 1 || !strings.Contains(prs[0].Comments[0], "go1.26.10 is out") ||
		!strings.Contains(prs[0].Comments[0], "person@example.com") {
		t.Errorf("pull requests %+v", prs)
	}
	if w.head(branch26) != head || len(w.runs()) != 0 {
		t.Error("the branch of a human was touched")
	}
	// A commit that only was committed by someone else, as a rebase by hand
	// makes it, is a human's as well.
	w.git(w.person, "reset", "-q", "--hard", "origin/main")
	w.git(w.person, "commit", "-q", "--allow-empty", "-m", "x", "--author="+botName+" <"+botEmail+">")
	w.git(w.person, "push", "-q", "-f", "origin", branch26)
	w.want(w.run(nil, "go1.26.10"), "go1.26 left to human")
}

func TestRace(t *testing.T) {
	w := newWorld(t)
	w.want(w.run(map[string]string{"go1.26.9": "push " + w.person}, "go1.26.9"), "go1.26 failed")
	if got := w.git(w.remote, "log", "-1", "--format=%s", branch26); got != "mine" {
		t.Errorf("the commit pushed meanwhile is gone: %q", got)
	}
	if len(w.pulls()) != 0 {
		t.Errorf("a pull request for a push that failed")
	}
	// The same on a branch that the bot has made.
	w.git(w.remote, "update-ref", "-d", "refs/heads/"+branch26)
	w.want(w.run(map[string]string{"go1.26.9": "done"}, "go1.26.9"), "go1.26 opened: done")
	w.want(w.run(map[string]string{"go1.26.10": "push " + w.person}, "go1.26.10"), "go1.26 failed")
	if got := w.git(w.remote, "log", "-1", "--format=%s", branch26); got != "mine" {
		t.Errorf("the commit pushed meanwhile is gone: %q", got)
	}
}

func TestOneFails(t *testing.T) {
	w := newWorld(t)
	w.want(w.run(map[string]string{"go1.27.3": "fail", "go1.26.9": "check"}, "go1.27.3", "go1.26.9"),
		"go1.27 failed", "go1.26 opened: check")
	if !slices.ContainsFunc(w.logs, func(l string) bool { return strings.Contains(l, "no such release") }) {
		t.Errorf("the log does not say why:\n%s", strings.Join(w.logs, "\n"))
	}
	prs := w.pulls()
	if len(prs) != 1 || !slices.Contains(prs[0].Labels, humanLabel) {
		t.Errorf("pull requests %+v", prs)
	}
	w.want(w.run(map[string]string{"go1.27.3": "nothing"}, "go1.27.3", "go1.26.9"), "go1.27 failed", "go1.26 unchanged")
	// Once repaired, it goes on, whatever the failed run left in its worktree.
	w.want(w.run(map[string]string{"go1.27.3": "done"}, "go1.27.3", "go1.26.9"), "go1.27 opened: done", "go1.26 unchanged")
}

func TestLinknameRefused(t *testing.T) {
	w := newWorld(t)
	w.want(w.run(map[string]string{"go1.26.9": "done", "linkname": "1"}, "go1.26.9"), "go1.26 opened: check")
	prs := w.pulls()
	if len(prs) != 1 || !slices.Contains(prs[0].Labels, humanLabel) || !strings.Contains(prs[0].Body, "1 bindings refused") {
		t.Errorf("pull requests %+v", prs)
	}
}

func TestPullRequestsOfOthers(t *testing.T) {
	w := newWorld(t)
	script := map[string]string{"go1.26.9": "done", "go1.26.10": "done"}
	other := &PullRequest{Branch: branch26, Base: "main", Title: "trust me"}
	if err := w.forge.Save(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	other.Author = "someone"
	w.forge.Save(t.Context(), other)
	w.want(w.run(script, "go1.26.9"), "go1.26 failed")
	other.HeadRepo = "someone/fork"
	w.forge.Save(t.Context(), other)
	w.want(w.run(script, "go1.26.9"), "go1.26 opened: done")
	if prs := w.pulls(); len(prs) != 2 || prs[0].Title != "trust me" {
		t.Errorf("pull requests %+v", prs)
	}

	ours := w.pulls()[1]
	ours.Labels = []string{PauseLabel}
	w.forge.Save(t.Context(), ours)
	w.runs()
	w.want(w.run(script, "go1.26.10"), "go1.26 paused")
	ours.Labels, ours.State = nil, "closed"
	w.forge.Save(t.Context(), ours)
	w.want(w.run(script, "go1.26.9"), "go1.26 declined")
	if got := w.runs(); len(got) != 0 {
		t.Errorf("rebased to %q while paused or declined", got)
	}
	w.want(w.run(script, "go1.26.10"), "go1.26 opened: done") // another release, another question
}

func TestReleases(t *testing.T) {
	file := filepath.Join(t.TempDir(), "dl.json")
	if err := os.WriteFile(file, []byte(`[
		{"version": "go1.27.3", "stable": true, "files": [{"filename": "go1.27.3.src.tar.gz"}]},
		{"version": "go1.28rc1", "stable": false, "files": []},
		{"version": "go1.26.10", "stable": true},
		{"version": "go1.26.9", "stable": true}]`), 0o666); err != nil {
		t.Fatal(err)
	}
	got, err := Releases(t.Context(), file, "")
	if want := []string{"go1.27.3", "go1.26.10", "go1.26.9"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
	for _, bad := range []string{`{}`, `[]`, `[{"version": "go1.28rc1", "stable": false}]`} {
		if err := os.WriteFile(file, []byte(bad), 0o666); err != nil {
			t.Fatal(err)
		}
		if got, err := Releases(t.Context(), file, ""); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %q, %v", bad, got, err)
		}
	}
}

// TestModuleReleases asks the go command for real.
func TestModuleReleases(t *testing.T) {
	all, err := Releases(t.Context(), "go", "go")
	if err != nil {
		t.Fatal(err)
	}
	pins, err := upstream.LoadPins("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pins.Lines {
		if !slices.Contains(all, p.Version) {
			t.Errorf("%s, which is pinned, is not among %d releases", p.Version, len(all))
		}
	}
	for _, v := range all {
		if strings.ContainsAny(v, "rb-") {
			t.Errorf("%s is not stable", v)
		}
	}
}
