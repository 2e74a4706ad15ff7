// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"rtgo.dev/rtgo/internal/rebasebot"
)

func init() {
	register("rebase-bot", "keep a pull request per release line that rebases to upstream's newest", rebaseBotHelp, runRebaseBot)
}

const rebaseBotHelp = `
Usage: rtgo rebase-bot [flags]

Rebase-bot looks for upstream's newest release of each of the two newest lines.
Where the base branch has an older one, or lacks the line, it runs 'rtgo rebase'
in a worktree of the base branch, pushes the result as branch
bot/rebase-LINE, and opens a pull request with the report, or updates the one
there is; after a conflict too, with an empty commit and what a human has to do.

It leaves alone: a branch with a commit of anyone else (it comments once for
each new release), a pull request with the label "bot: pause", one that someone
else opened or that comes from another repository, and a release whose pull
request was closed unmerged, until its branch is deleted. It pushes with a
lease, so that a commit pushed meanwhile is never lost. A line that fails does
not keep it from the others.

Forges:
	local:DIR           one file per pull request in DIR, for any git remote
	github:OWNER/REPO   GITHUB_TOKEN with the rights to write contents and pull
	                    requests; RTGO_BOT_ACCOUNT is the token's account
	                    (default github-actions[bot]), GITHUB_API_URL the server

Exit status: 0 every line is up to date, waits for a human or has its pull
request, 1 a line failed or nothing could be done, 2 wrong usage.

Examples:
	rtgo rebase-bot -forge local:/var/tmp/pulls -dry-run
	rtgo rebase-bot -forge local:/var/tmp/pulls -releases dl.json
	rtgo rebase-bot -forge github:OWNER/REPO -json out/bot.json
`

func runRebaseBot(args []string) int {
	const name = "rebase-bot"
	fs := newFlags(name)
	var (
		forge    = fs.String("forge", "", "where pull requests are (required)")
		releases = fs.String("releases", "go", "upstream's releases: a `file` as go.dev/dl/?mode=json gives it, or 'go' to ask the go command")
		remote   = fs.String("remote", "origin", "git `remote` to fetch from and push to")
		base     = fs.String("base", "main", "`branch` that pull requests are for")
		work     = fs.String("work", "", "`dir` for worktrees, logs and reports (default: out/bot)")
		dryRun   = fs.Bool("dry-run", false, "say what would be done, and do nothing")
		checks   = fs.String("checks", "lint,types", "comma-separated `list` of checks that 'rtgo rebase' makes, or all")
		force    = fs.Bool("force", false, "rebase again even where release and base branch are as at the last time")
		jsonFile = fs.String("json", "", "write what was done as JSON to `file`")
	)
	if _, code, ok := parse(fs, args, 0); !ok {
		return code
	}
	if *forge == "" {
		return usageError(name, "-forge is required")
	}
	root, err := repoRoot()
	if err != nil {
		return fail(name, err)
	}
	if *work == "" {
		*work = filepath.Join(root, "out", "bot")
	}
	if *work, err = filepath.Abs(*work); err != nil {
		return fail(name, err)
	}
	f, err := rebasebot.OpenForge(*forge)
	if err != nil {
		return fail(name, err)
	}
	ctx, stop := interruptible()
	defer stop()
	list, err := rebasebot.Releases(ctx, *releases, "go")
	if err != nil {
		return fail(name, err)
	}
	outcomes, err := rebasebot.Run(ctx, rebasebot.Options{Repo: root, Remote: *remote, Base: *base, Work: *work, Releases: list,
		Forge: f, Checks: *checks, DryRun: *dryRun, Force: *force, Logf: logStderr(name)})
	if err != nil {
		return fail(name, err)
	}
	if *jsonFile != "" {
		data, err := json.MarshalIndent(outcomes, "", "\t")
		if err != nil {
			return fail(name, err)
		}
		if err := os.WriteFile(*jsonFile, append(data, '\n'), 0o666); err != nil {
			return fail(name, err)
		}
	}
	code := 0
	for _, o := range outcomes {
		if o.Error != "" {
			code = 1
		}
	}
	if code != 0 {
		fmt.Fprintln(os.Stderr, "rtgo rebase-bot: a line failed; its log is in", *work)
	}
	return code
}
