// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package rebasebot keeps one pull request for each supported release line
// that brings the series to upstream's newest release.
//
// For each of the two newest lines it takes the newest release. If the base
// branch pins an older one, or has no such line, it runs "rtgo rebase" on a
// fresh worktree of the base branch, commits the result on the line's branch,
// and opens a pull request with the report, or updates the one there is. A
// rebase that stops at a conflict gets its pull request too: it holds an empty
// commit and says what a human has to do.
//
// What the bot never does: touch a branch of another name; change a branch
// that has a commit of anyone else (it comments instead, once for each
// release); act on a pull request that someone else opened, that comes from
// another repository, or that has the label "bot: pause"; open another for a
// release whose pull request was closed unmerged, unless its branch is deleted;
// let the failure of one line keep it from the others.
package rebasebot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"rtgo.dev/rtgo/internal/upstream"
)

const (
	botName  = "rtgo rebase bot"
	botEmail = "rebase-bot@rtgo.dev"

	branchPrefix = "bot/rebase-" // and the line

	// PauseLabel on a pull request keeps the bot away from it.
	PauseLabel = "bot: pause"
	humanLabel = "needs human"
)

// Options say what the bot works on.
type Options struct {
	Repo     string   // a clone of the repository; the bot works in a worktree of it
	Remote   string   // such as "origin"
	Base     string   // branch that pull requests are for
	Work     string   // directory for worktrees and reports
	Releases []string // newest first, as [Releases] returns them
	Forge    Forge
	Rtgo     string // rtgo command, run in the worktree; if empty, built from that worktree
	Checks   string // for rtgo rebase --checks
	DryRun   bool   // say what would be done
	Force    bool   // rebase even if the branch has a result for this base and release

	Logf func(format string, args ...any)
}

// An Outcome is what became of one line.
type Outcome struct {
	Line   string `json:"line"`
	From   string `json:"from,omitempty"`
	To     string `json:"to"`
	Action string `json:"action"` // "up to date", "opened", "updated", "unchanged", "paused", "left to human", "declined", "closed", "would rebase", "failed"
	Status string `json:"status,omitempty"`
	PR     int    `json:"pull_request,omitempty"`
	Error  string `json:"error,omitempty"`
}

// Run processes all lines. It returns an outcome for each, and an error only
// if nothing could be done for any.
func Run(ctx context.Context, o Options) ([]Outcome, error) {
	b := &bot{Options: o}
	if err := os.MkdirAll(b.Work, 0o777); err != nil {
		return nil, err
	}
	var err error
	if b.author, b.repo, err = o.Forge.Self(ctx); err != nil {
		return nil, err
	}
	// Prune, so that a branch deleted after a merge is not taken for one.
	if _, err := b.git(ctx, b.Repo, "fetch", "-q", "--prune", b.Remote); err != nil {
		return nil, err
	}
	if b.base, err = b.commit(ctx, b.Remote+"/"+b.Base); err != nil {
		return nil, err
	}
	pins, err := b.pins(ctx)
	if err != nil {
		return nil, err
	}
	var outcomes []Outcome
	for _, m := range plan(pins, b.Releases) {
		out := Outcome{Line: m.line, From: m.from, To: m.to}
		if err := b.line(ctx, m, &out); err != nil {
			if ctx.Err() != nil {
				return outcomes, ctx.Err()
			}
			out.Action, out.Error = "failed", err.Error()
		}
		b.Logf("%s: %s", out.Line, out.text())
		outcomes = append(outcomes, out)
	}
	return outcomes, nil
}

func (o *Outcome) text() string {
	s := o.To + " " + o.Action
	if o.Status != "" {
		s += " (" + o.Status + ")"
	}
	if o.PR != 0 {
		s += fmt.Sprintf(", pull request %d", o.PR)
	}
	if o.Error != "" {
		s += ": " + o.Error
	}
	return s
}

type bot struct {
	Options
	author, repo string // as the forge names us
	base         string // commit of the base branch
	tool         string // rtgo command for the line at hand
}

// git runs git in a directory with the user's own configuration, which has
// the credentials for the remote, and the bot's name on commits.
func (b *bot) git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "LC_ALL=C",
		"GIT_AUTHOR_NAME="+botName, "GIT_AUTHOR_EMAIL="+botEmail,
		"GIT_COMMITTER_NAME="+botName, "GIT_COMMITTER_EMAIL="+botEmail)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %v: %s", args[0], err, strings.ReplaceAll(strings.TrimSpace(stderr.String()), "\n", "; "))
	}
	return strings.TrimSpace(string(out)), nil
}

func (b *bot) commit(ctx context.Context, ref string) (string, error) {
	return b.git(ctx, b.Repo, "rev-parse", "--verify", "-q", ref+"^{commit}")
}

// pins returns what the base branch pins.
func (b *bot) pins(ctx context.Context) (*upstream.Pins, error) {
	data, err := b.git(ctx, b.Repo, "show", b.base+":"+upstream.PinsFile)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "rtgo-pins-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := os.WriteFile(filepath.Join(tmp, upstream.PinsFile), []byte(data), 0o666); err != nil {
		return nil, err
	}
	return upstream.LoadPins(tmp)
}

// line does what is to be done for one line.
func (b *bot) line(ctx context.Context, m move, out *Outcome) error {
	branch := branchPrefix + m.line
	pr, err := b.find(ctx, branch)
	if err != nil {
		return err
	}
	declined := pr != nil && pr.State != "open"
	if declined {
		pr = nil
	}
	if pr != nil {
		out.PR = pr.Number
		if slices.Contains(pr.Labels, PauseLabel) {
			out.Action = "paused"
			return nil
		}
	}
	head := ""
	if _, err := b.git(ctx, b.Repo, "show-ref", "--verify", "-q", "refs/remotes/"+b.Remote+"/"+branch); err == nil {
		if head, err = b.commit(ctx, b.Remote+"/"+branch); err != nil {
			return err
		}
	}
	human := ""
	if head != "" {
		if human, err = b.human(ctx, head); err != nil {
			return err
		}
	}
	done := m.from == m.to
	switch {
	case human != "" && done:
		out.Action = "left to human"
		out.Status = "the base branch has " + m.to + " already"
		return nil
	case human != "":
		out.Action = "left to human"
		return b.leave(ctx, pr, m, head, human)
	case done && pr != nil:
		// A person brought the release in by another way.
		out.Action = "closed"
		if b.DryRun {
			return nil
		}
		if err := b.Forge.Comment(ctx, pr, fmt.Sprintf("`%s` has %s now.", b.Base, m.to)); err != nil {
			return err
		}
		return b.Forge.Close(ctx, pr)
	case done:
		out.Action = "up to date"
		return nil
	}
	trailer := fmt.Sprintf("Rebase-To: %s\nRebase-Base: %s", m.to, b.base)
	if head != "" && !b.Force {
		msg, err := b.git(ctx, b.Repo, "log", "-1", "--format=%B", head)
		if err != nil {
			return err
		}
		switch {
		case pr != nil && strings.Contains(msg, trailer):
			out.Action = "unchanged"
			return nil
		case declined && strings.Contains(msg, "Rebase-To: "+m.to+"\n"):
			out.Action = "declined"
			return nil
		}
	}
	if b.DryRun {
		out.Action = "would rebase"
		return nil
	}
	r, err := b.rebase(ctx, m, branch, head, trailer)
	if err != nil {
		return err
	}
	out.Status = r.status
	out.Action = "updated"
	if pr == nil {
		out.Action = "opened"
		pr = &PullRequest{Branch: branch, Base: b.Base}
	}
	pr.Title = fmt.Sprintf("patches/%s: rebase to %s", m.line, m.to)
	pr.Labels = slices.DeleteFunc(pr.Labels, func(l string) bool { return l == humanLabel })
	if r.status != "done" {
		pr.Title += " (needs a human: " + r.status + ")"
		pr.Labels = append(pr.Labels, humanLabel)
	}
	pr.Body = r.body
	if err := b.Forge.Save(ctx, pr); err != nil {
		return err
	}
	out.PR = pr.Number
	return nil
}

// find returns the bot's open pull request for a branch, or else its last
// closed one, or nil. An open one that is not the bot's own is an error: acting on it would be acting for
// whoever made it.
func (b *bot) find(ctx context.Context, branch string) (*PullRequest, error) {
	list, err := b.Forge.Find(ctx, branch)
	if err != nil {
		return nil, err
	}
	var ours *PullRequest
	for _, pr := range list {
		switch {
		case pr.State != "open":
			if ours == nil && pr.HeadRepo == b.repo && pr.Author == b.author {
				ours = pr
			}
		case pr.HeadRepo != b.repo:
			b.Logf("pull request %d for %s is from %q, not from %s: ignored", pr.Number, branch, pr.HeadRepo, b.repo)
		case pr.Base != b.Base:
			b.Logf("pull request %d for %s is for branch %s, not %s: ignored", pr.Number, branch, pr.Base, b.Base)
		case pr.Author != b.author:
			return nil, fmt.Errorf("pull request %d for %s was opened by %s, not by %s; close it, or merge it", pr.Number, branch, pr.Author, b.author)
		default:
			return pr, nil
		}
	}
	return ours, nil
}

// human returns who else than the bot has a commit between the base branch
// and head.
func (b *bot) human(ctx context.Context, head string) (string, error) {
	out, err := b.git(ctx, b.Repo, "log", "--format=%ae%n%ce", b.base+".."+head)
	if err != nil {
		return "", err
	}
	for who := range strings.FieldsSeq(out) {
		if who != botEmail {
			return who, nil
		}
	}
	return "", nil
}

// leave says, once for each release and state of the branch, that the bot
// keeps away from it.
func (b *bot) leave(ctx context.Context, pr *PullRequest, m move, head, human string) error {
	msg, err := b.git(ctx, b.Repo, "log", "--format=%B", b.base+".."+head)
	if err != nil || pr == nil || b.DryRun || strings.Contains(msg, "Rebase-To: "+m.to+"\n") {
		return err // the branch is about this release
	}
	text := fmt.Sprintf("%s is out. This branch has commits of %s, so it stays as it is: run `rtgo rebase --to %s` here, or delete the branch to have the bot start again.", m.to, human, m.to)
	if strings.Contains(pr.Body, text) {
		return nil
	}
	pr.Body += "\n\n" + text + "\n" // also how the bot knows that it was said
	if err := b.Forge.Save(ctx, pr); err != nil {
		return err
	}
	return b.Forge.Comment(ctx, pr, text)
}

type result struct {
	status string // of the rebase's report: "done", "conflict" or "check"
	body   string
}

// rebase runs the rebase in a fresh worktree and pushes its result.
func (b *bot) rebase(ctx context.Context, m move, branch, head, trailer string) (*result, error) {
	tree := filepath.Join(b.Work, m.line)
	b.git(ctx, b.Repo, "worktree", "remove", "--force", tree) // of a run that was cut short
	if err := os.RemoveAll(tree); err != nil {
		return nil, err
	}
	if _, err := b.git(ctx, b.Repo, "worktree", "prune"); err != nil {
		return nil, err
	}
	if _, err := b.git(ctx, b.Repo, "worktree", "add", "-q", "--detach", tree, b.base); err != nil {
		return nil, err
	}
	jsonFile, mdFile := filepath.Join(b.Work, m.line+".json"), filepath.Join(b.Work, m.line+".md")
	logFile := filepath.Join(b.Work, m.line+".log")
	for _, f := range []string{jsonFile, mdFile, logFile} {
		if err := os.RemoveAll(f); err != nil {
			return nil, err
		}
	}
	b.tool = b.Rtgo
	if b.tool == "" {
		// The rtgo of the base branch, not that of the bot.
		b.tool = filepath.Join(b.Work, "rtgo")
		build := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", b.tool, "./cmd/rtgo")
		build.Dir = tree
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building rtgo of %s: %v: %s", b.Base, err, bytes.TrimSpace(out))
		}
	}
	b.Logf("%s: rebasing to %s in %s", m.line, m.to, tree)
	code, err := b.runRebase(ctx, tree, m.to, jsonFile, mdFile, logFile)
	if err != nil {
		return nil, err
	}
	r := &result{}
	var report struct {
		Status  string `json:"status"`
		Command string `json:"continue"`
	}
	data, err := os.ReadFile(jsonFile)
	if err != nil {
		return nil, fmt.Errorf("rebase ended with %d and left no report: %v", code, err)
	}
	if err := json.Unmarshal(data, &report); err != nil {
		return nil, fmt.Errorf("%s: %v", jsonFile, err)
	}
	if r.status = report.Status; (code == 0) != (r.status == "done") {
		return nil, fmt.Errorf("rebase ended with %d, its report says %q", code, r.status)
	}
	md, err := os.ReadFile(mdFile)
	if err != nil {
		return nil, err
	}
	r.body = string(md)
	if code == humanNeeded {
		r.body = fmt.Sprintf("To go on: `git switch %s`, then `%s`; commit and push. "+
			"From then on the bot leaves this branch alone.\n\n%s", branch, "go run ./cmd/rtgo rebase --to "+m.to, md)
	}

	if r.status != "conflict" {
		// The record shows in the pull request what the release changes in the
		// functions that are bound. What must not be is refused.
		if _, err := b.runRtgo(ctx, tree, logFile, "linkname", "-overlay", "-q", "-record", "-upstream", m.line); err != nil {
			r.status = "check"
			r.body += fmt.Sprintf("\n## go:linkname\n\n%v. See `rtgo linkname -overlay -upstream %s`.\n", err, m.line)
		}
	}

	// The worktree had nothing that is not committed; all that differs now is
	// the rebase's work. What it keeps for itself is in out/, which is ignored.
	if _, err := b.git(ctx, tree, "add", "-A"); err != nil {
		return nil, err
	}
	if out, err := b.git(ctx, tree, "diff", "--cached", "--name-only", "--", upstream.PinsFile); err == nil && out == "" && r.status != "conflict" {
		return nil, fmt.Errorf("the rebase to %s has pinned nothing", m.to)
	}
	msg := fmt.Sprintf("patches/%s: rebase to %s\n\nMade by the rebase bot: %s.\n\n%s\n", m.line, m.to, r.status, trailer)
	if _, err := b.git(ctx, tree, "commit", "-q", "--allow-empty", "-m", msg); err != nil {
		return nil, err
	}
	// The lease fails if anyone pushed since the check for human commits. An
	// empty expectation means that the branch must not exist.
	lease := fmt.Sprintf("--force-with-lease=refs/heads/%s:%s", branch, head)
	if _, err := b.git(ctx, tree, "push", "-q", lease, b.Remote, "HEAD:refs/heads/"+branch); err != nil {
		return nil, err
	}
	if r.status == "done" {
		b.git(ctx, b.Repo, "worktree", "remove", "--force", tree) // a leftover is removed by the next run
	}
	return r, nil
}

// humanNeeded is rtgo rebase's exit code for a report that asks for a human.
const humanNeeded = 3

// runRebase runs the rebase and returns its exit code, 0 or humanNeeded.
func (b *bot) runRebase(ctx context.Context, tree, to, jsonFile, mdFile, logFile string) (int, error) {
	args := []string{"rebase", "--to", to, "--json", jsonFile, "--markdown", mdFile}
	if b.Checks != "" {
		args = append(args, "--checks", b.Checks)
	}
	return b.runRtgo(ctx, tree, logFile, args...)
}

// runRtgo runs a subcommand of rtgo on a worktree, with its output in a log
// file, and returns its exit code if that is 0 or humanNeeded.
func (b *bot) runRtgo(ctx context.Context, tree, log string, args ...string) (int, error) {
	logFile, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return 0, err
	}
	defer logFile.Close()
	cmd := exec.CommandContext(ctx, b.tool, args...)
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "RTGO_ROOT="+tree)
	cmd.Stdout, cmd.Stderr = logFile, logFile
	err = cmd.Run()
	exit := (*exec.ExitError)(nil)
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.ExitCode() == humanNeeded:
		return humanNeeded, nil
	}
	data, _ := os.ReadFile(log) // for its last line, if there is any
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return 0, fmt.Errorf("rtgo %s: %v: %s (log: %s)", args[0], err, lines[len(lines)-1], log)
}
