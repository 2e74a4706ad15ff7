// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rebasebot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A PullRequest is one of the bot's. A forge may cut a body that is too long
// for it.
type PullRequest struct {
	Number   int      `json:"number"`
	State    string   `json:"state"` // "open" or "closed"
	Branch   string   `json:"branch"`
	Base     string   `json:"base"`
	Title    string   `json:"title"`
	Body     string   `json:"body"`
	Author   string   `json:"author"`
	HeadRepo string   `json:"head_repo"` // where the branch is
	Labels   []string `json:"labels"`
	Comments []string `json:"comments"`
}

// A Forge hosts pull requests.
type Forge interface {
	// Self returns the account that acts and the repository that it acts on,
	// as they stand in Author and HeadRepo.
	Self(ctx context.Context) (author, repo string, err error)
	// Find returns the pull requests, open and closed, newest first, whose
	// branch has the given name.
	Find(ctx context.Context, branch string) ([]*PullRequest, error)
	// Save creates the pull request if its number is 0, and else changes
	// title, body and labels.
	Save(ctx context.Context, pr *PullRequest) error
	Comment(ctx context.Context, pr *PullRequest, text string) error
	Close(ctx context.Context, pr *PullRequest) error
}

// OpenForge returns the forge of a description: "local:DIR" or
// "github:OWNER/REPO".
func OpenForge(desc string) (Forge, error) {
	kind, where, _ := strings.Cut(desc, ":")
	switch {
	case kind == "local" && where != "":
		return &localForge{dir: where}, os.MkdirAll(where, 0o777)
	case kind == "github" && strings.Count(where, "/") == 1:
		api := os.Getenv("GITHUB_API_URL")
		if api == "" {
			api = "https://api.github.com"
		}
		token := os.Getenv("GITHUB_TOKEN")
		if token == "" {
			return nil, fmt.Errorf("GITHUB_TOKEN is not set; the bot needs a token that may write contents and pull requests")
		}
		return &github{api: api, repo: where, token: token, author: os.Getenv("RTGO_BOT_ACCOUNT")}, nil
	}
	return nil, fmt.Errorf("forge %q: want local:DIR or github:OWNER/REPO", desc)
}

// A localForge keeps each pull request in a file NUMBER.json, for a remote
// that is a bare repository and for people who go without a host.
type localForge struct{ dir string }

func (l *localForge) Self(context.Context) (author, repo string, err error) {
	return botName, "local", nil
}

func (l *localForge) file(n int) string { return filepath.Join(l.dir, strconv.Itoa(n)+".json") }

func (l *localForge) all() ([]*PullRequest, error) {
	var list []*PullRequest
	for n := 1; ; n++ {
		data, err := os.ReadFile(l.file(n))
		if os.IsNotExist(err) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		pr := new(PullRequest)
		if err := json.Unmarshal(data, pr); err != nil {
			return nil, fmt.Errorf("%s: %v", l.file(n), err)
		}
		list = append(list, pr)
	}
}

func (l *localForge) Find(_ context.Context, branch string) ([]*PullRequest, error) {
	list, err := l.all()
	slices.Reverse(list)
	return slices.DeleteFunc(list, func(pr *PullRequest) bool { return pr.Branch != branch }), err
}

func (l *localForge) Save(ctx context.Context, pr *PullRequest) error {
	if pr.Number == 0 {
		list, err := l.all()
		if err != nil {
			return err
		}
		pr.Number, pr.State = len(list)+1, "open"
		pr.Author, pr.HeadRepo, _ = l.Self(ctx)
	}
	data, err := json.MarshalIndent(pr, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(l.file(pr.Number), append(data, '\n'), 0o666)
}

func (l *localForge) Comment(ctx context.Context, pr *PullRequest, text string) error {
	pr.Comments = append(pr.Comments, text)
	return l.Save(ctx, pr)
}

func (l *localForge) Close(ctx context.Context, pr *PullRequest) error {
	pr.State = "closed"
	return l.Save(ctx, pr)
}

// github speaks GitHub's REST API, version 2022-11-28.
type github struct {
	api, repo, token, author string
}

// maxBody is GitHub's limit for the text of a pull request, in characters,
// less what the cut says.
const maxBody = 65536 - 200

func (g *github) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, g.api+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	req.Header.Set("Authorization", "Bearer "+g.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		var e struct{ Message string }
		json.Unmarshal(data, &e) // the status says enough if it is no JSON
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, e.Message)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

func (g *github) Self(ctx context.Context) (author, repo string, err error) {
	if g.author == "" {
		// The token of a workflow cannot ask who it is.
		g.author = "github-actions[bot]"
	}
	return g.author, g.repo, nil
}

type githubPull struct {
	Number int    `json:"number"`
	State  string `json:"state"`
	Title  string `json:"title"`
	Body   string `json:"body"`
	User   struct {
		Login string `json:"login"`
	} `json:"user"`
	Base struct {
		Ref string `json:"ref"`
	} `json:"base"`
	Head struct {
		Ref  string `json:"ref"`
		Repo *struct {
			FullName string `json:"full_name"`
		} `json:"repo"` // null if it was deleted
	} `json:"head"`
	Labels []struct {
		Name string `json:"name"`
	} `json:"labels"`
}

func (g *github) Find(ctx context.Context, branch string) ([]*PullRequest, error) {
	owner, _, _ := strings.Cut(g.repo, "/")
	var found []githubPull
	path := "/repos/" + g.repo + "/pulls?state=all&per_page=100&head=" + url.QueryEscape(owner+":"+branch)
	if err := g.do(ctx, "GET", path, nil, &found); err != nil {
		return nil, err
	}
	var list []*PullRequest
	for _, p := range found {
		pr := &PullRequest{Number: p.Number, State: p.State, Branch: p.Head.Ref, Base: p.Base.Ref,
			Title: p.Title, Body: p.Body, Author: p.User.Login}
		if p.Head.Repo != nil {
			pr.HeadRepo = p.Head.Repo.FullName
		}
		for _, l := range p.Labels {
			pr.Labels = append(pr.Labels, l.Name)
		}
		if pr.Branch == branch {
			list = append(list, pr)
		}
	}
	return list, nil
}

func (g *github) Save(ctx context.Context, pr *PullRequest) error {
	body := pr.Body
	if len(body) > maxBody {
		body = strings.ToValidUTF8(body[:maxBody], "") + "\n\n(cut; the rest is in the bot's log)"
	}
	if pr.Number == 0 {
		var made githubPull
		err := g.do(ctx, "POST", "/repos/"+g.repo+"/pulls", map[string]any{
			"title": pr.Title, "body": body, "head": pr.Branch, "base": pr.Base, "maintainer_can_modify": true}, &made)
		if err != nil {
			return err
		}
		pr.Number, pr.State = made.Number, made.State
	} else if err := g.do(ctx, "PATCH", fmt.Sprintf("/repos/%s/pulls/%d", g.repo, pr.Number),
		map[string]any{"title": pr.Title, "body": body}, nil); err != nil {
		return err
	}
	return g.do(ctx, "PUT", fmt.Sprintf("/repos/%s/issues/%d/labels", g.repo, pr.Number), map[string]any{"labels": pr.Labels}, nil)
}

func (g *github) Comment(ctx context.Context, pr *PullRequest, text string) error {
	return g.do(ctx, "POST", fmt.Sprintf("/repos/%s/issues/%d/comments", g.repo, pr.Number), map[string]any{"body": text}, nil)
}

func (g *github) Close(ctx context.Context, pr *PullRequest) error {
	return g.do(ctx, "PATCH", fmt.Sprintf("/repos/%s/pulls/%d", g.repo, pr.Number), map[string]any{"state": "closed"}, nil)
}
