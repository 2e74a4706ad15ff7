// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rebasebot

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// TestGitHub checks requests and answers by GitHub's published description of
// its interface. It says nothing about the real service.
func TestGitHub(t *testing.T) {
	var got []string
	answers := map[string]string{
		"GET /repos/o/r/pulls?state=all&per_page=100&head=o%3Abot%2Frebase-go1.26": `[
			{"number": 7, "state": "open", "title": "t", "body": "b", "user": {"login": "github-actions[bot]"}, "base": {"ref": "main"},
			 "head": {"ref": "bot/rebase-go1.26", "repo": {"full_name": "o/r"}}, "labels": [{"name": "bot: pause"}]},
			{"number": 6, "state": "closed", "user": {"login": "x"}, "base": {"ref": "main"}, "head": {"ref": "bot/rebase-go1.26", "repo": null}, "labels": []}]`,
		"POST /repos/o/r/pulls":             `{"number": 8, "state": "open"}`,
		"PUT /repos/o/r/issues/8/labels":    `[]`,
		"PATCH /repos/o/r/pulls/7":          `{}`,
		"PUT /repos/o/r/issues/7/labels":    `[]`,
		"POST /repos/o/r/issues/7/comments": `{}`,
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what := r.Method + " " + r.URL.RequestURI()
		body, _ := io.ReadAll(r.Body)
		got = append(got, what+" "+string(body))
		if r.Header.Get("Authorization") != "Bearer secret" {
			t.Errorf("%s: Authorization %q", what, r.Header.Get("Authorization"))
		}
		answer, ok := answers[what]
		if !ok {
			http.Error(w, `{"message": "Validation Failed"}`, http.StatusUnprocessableEntity)
			return
		}
		fmt.Fprint(w, answer)
	}))
	defer srv.Close()
	t.Setenv("GITHUB_API_URL", srv.URL)
	t.Setenv("GITHUB_TOKEN", "secret")
	t.Setenv("RTGO_BOT_ACCOUNT", "")
	f, err := OpenForge("github:o/r")
	if err != nil {
		t.Fatal(err)
	}
	author, repo, err := f.Self(t.Context())
	if err != nil || repo != "o/r" {
		t.Fatal(author, repo, err)
	}
	prs, err := f.Find(t.Context(), branch26)
	if err != nil {
		t.Fatal(err)
	}
	if len(prs) != 2 || prs[0].Author != author || prs[0].HeadRepo != repo || !slices.Contains(prs[0].Labels, PauseLabel) || prs[1].HeadRepo != "" {
		t.Errorf("found %+v", prs)
	}
	made := &PullRequest{Branch: branch26, Base: "main", Title: "t", Body: strings.Repeat("x", maxBody+10), Labels: []string{humanLabel}}
	if err := f.Save(t.Context(), made); err != nil || made.Number != 8 {
		t.Errorf("Save: %v, %+v", err, made)
	}
	if err := f.Save(t.Context(), prs[0]); err != nil {
		t.Error(err)
	}
	if err := f.Comment(t.Context(), prs[0], "hello"); err != nil {
		t.Error(err)
	}
	if err := f.Close(t.Context(), prs[0]); err != nil {
		t.Error(err)
	}
	last := got[len(got)-1]
	if last != `PATCH /repos/o/r/pulls/7 {"state":"closed"}` {
		t.Errorf("Close: %s", last)
	}
	for _, g := range got {
		if len(g) > 66000 {
			t.Errorf("a body of %d bytes", len(g))
		}
	}
	if err := f.Close(t.Context(), &PullRequest{Number: 9}); err == nil || !strings.Contains(err.Error(), "Validation Failed") {
		t.Errorf("error %v does not say what GitHub said", err)
	}
	for _, bad := range []string{"", "local:", "github:o", "gitlab:o/r"} {
		if _, err := OpenForge(bad); err == nil {
			t.Errorf("OpenForge(%q) succeeded", bad)
		}
	}
	t.Setenv("GITHUB_TOKEN", "")
	if _, err := OpenForge("github:o/r"); err == nil || !strings.Contains(err.Error(), "GITHUB_TOKEN") {
		t.Errorf("without a token: %v", err)
	}
}
