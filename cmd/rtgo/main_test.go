// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestBootstrapIsOffline checks that the files which build.sh compiles need no
// module but our own.
func TestBootstrapIsOffline(t *testing.T) {
	script, err := os.ReadFile("../../build.sh")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`cmd/rtgo/\{([a-z,_]+)\}\.go`).FindSubmatch(script)
	if m == nil {
		t.Fatal("build.sh does not list the files it compiles")
	}
	args := []string{"list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}"}
	for name := range strings.SplitSeq(string(m[1]), ",") {
		args = append(args, name+".go")
	}
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	seen := false
	for mod := range strings.Lines(string(out)) {
		switch mod = strings.TrimSpace(mod); mod {
		case "":
		case "rtgo.dev/rtgo":
			seen = true
		default:
			t.Errorf("build.sh would have to download %s; move what needs it out of these files", mod)
		}
	}
	if !seen {
		t.Fatalf("go list printed no module:\n%s", out)
	}
}

func TestUsage(t *testing.T) {
	devnull, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = devnull, devnull
	defer func() { os.Stdout, os.Stderr = stdout, stderr }()
	for _, tt := range []struct {
		args []string
		want int
	}{
		{nil, 2},
		{[]string{"help"}, 0},
		{[]string{"help", "build"}, 0},
		{[]string{"build", "-h"}, 0},
		{[]string{"nosuch"}, 2},
		{[]string{"help", "nosuch"}, 2},
		{[]string{"build", "--nosuch"}, 2},
		{[]string{"build", "argument"}, 2},
		{[]string{"build", "--compare-upstream"}, 2},
		{[]string{"dev"}, 2},
		{[]string{"pin"}, 2},
		{[]string{"linkname", "-record"}, 2},
		{[]string{"linkname", "-upstream", "go1.26"}, 2},
		{[]string{"linkname", "-overlay", "./..."}, 2},
	} {
		if got := dispatch(tt.args); got != tt.want {
			t.Errorf("rtgo %s: exit code %d, want %d", strings.Join(tt.args, " "), got, tt.want)
		}
	}
}
