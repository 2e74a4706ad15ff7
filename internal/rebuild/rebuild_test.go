// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rebuild

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecond(t *testing.T) {
	files := map[string]string{"go/bin/go": "program", "go/src/a.go": "package a\n", "dist/x.tar.gz": "archive"}
	for _, tt := range []struct {
		name   string
		change func(dir string)
		status Status
		detail string
	}{
		{"equal", func(string) {}, PASS, ""},
		{"byte", func(dir string) { write(t, dir, map[string]string{"go/bin/go": "progrAm"}) }, FAIL, "first difference at byte 5"},
		{"longer", func(dir string) { write(t, dir, map[string]string{"dist/x.tar.gz": "archive+"}) }, FAIL, "sizes are 7 and 8, otherwise equal"},
		{"missing", func(dir string) { os.Remove(filepath.Join(dir, "go/src/a.go")) }, FAIL, "in our build only"},
		{"added", func(dir string) { write(t, dir, map[string]string{"go/src/b.go": "x"}) }, FAIL, "missing from our build"},
		{"nothing", func(dir string) { os.Remove(filepath.Join(dir, "dist/x.tar.gz")) }, FAIL, "in our build only"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := t.TempDir(), t.TempDir()
			write(t, a, files)
			write(t, b, files)
			tt.change(b)
			r, err := Second(filepath.Join(a, "go"), filepath.Join(a, "dist"), filepath.Join(b, "go"), filepath.Join(b, "dist"))
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			r.Text(&text)
			if r.Status != tt.status || !strings.HasPrefix(text.String(), string(tt.status)+": ") || !strings.Contains(text.String(), tt.detail) {
				t.Errorf("want %s and %q, got\n%s", tt.status, tt.detail, &text)
			}
		})
	}
}

// TestFinish checks that nothing compared is not taken for success, and that
// a skip shows in the result.
func TestFinish(t *testing.T) {
	r := &Report{Title: "x"}
	if r.Finish(); r.Status != FAIL {
		t.Errorf("empty report: %s", r.Status)
	}
	r = &Report{}
	r.Group("g")
	if r.Finish(); r.Status != FAIL {
		t.Errorf("empty group: %s", r.Status)
	}
	r = &Report{}
	g := r.Group("g")
	g.Add(Item{Name: "a", Status: PASS})
	if r.Finish(); r.Status != PASS {
		t.Errorf("one pass: %s", r.Status)
	}
	g.Add(Item{Name: "b", Status: SKIP})
	if r.Finish(); r.Status != SKIP {
		t.Errorf("with a skip: %s", r.Status)
	}
	file := filepath.Join(t.TempDir(), "r.json")
	if err := r.WriteJSON(file); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var again Report
	if err := json.Unmarshal(data, &again); err != nil || again.Status != SKIP || len(again.Groups[0].Items) != 2 {
		t.Errorf("JSON reads back as %+v, %v", again, err)
	}
}
