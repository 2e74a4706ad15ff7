// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestContainerSpec: an ordinary user gets no capability in effect unless they
// are ambient, the lab's own limits are not passed on, and the control group
// has what was asked for.
func TestContainerSpec(t *testing.T) {
	type rlimit struct {
		Type       string
		Soft, Hard uint64
	}
	var got struct {
		Process struct {
			User            struct{ UID, GID int }
			NoNewPrivileges bool
			Capabilities    struct{ Bounding, Ambient []string }
			Rlimits         []rlimit
		}
		Linux struct {
			Resources struct {
				CPU struct {
					CPUs          string
					Quota, Period int64
				}
			}
			UIDMappings []any
		}
	}
	c := dockerRights()
	c.Args, c.CPUMax = []string{"prog"}, "50000 100000"
	m := NewImage()
	if err := m.AddContainer("c", c); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(m.nodes["container/c/config.json"].data, &got); err != nil {
		t.Fatal(err)
	}
	p := got.Process
	if p.User.UID != 65532 || p.User.GID != 65532 || !p.NoNewPrivileges || len(p.Capabilities.Ambient) > 0 ||
		strings.Join(p.Capabilities.Bounding, " ") != "CAP_SYS_NICE CAP_IPC_LOCK" {
		t.Errorf("process %+v", p)
	}
	want := map[string]uint64{"RLIMIT_RTPRIO": 99, "RLIMIT_MEMLOCK": 1<<64 - 1, "RLIMIT_RTTIME": 1<<64 - 1, "RLIMIT_NICE": 0, "RLIMIT_CORE": 0, "RLIMIT_NOFILE": 1 << 20}
	for _, l := range p.Rlimits {
		if w, ok := want[l.Type]; !ok || l.Soft != w || l.Hard != w {
			t.Errorf("limit %+v, want %d", l, w)
		}
		delete(want, l.Type)
	}
	if len(want) > 0 {
		t.Errorf("limits left to the lab's init: %v", want)
	}
	if cpu := got.Linux.Resources.CPU; cpu.CPUs != "0" || cpu.Quota != 50000 || cpu.Period != 100000 || len(got.Linux.UIDMappings) > 0 {
		t.Errorf("linux %+v", got.Linux)
	}
	for want, c := range map[string]*Container{
		"no command":      {},
		"user":            {Args: c.Args, User: "nobody"},
		"capability":      {Args: c.Args, Caps: []string{"SYS_FOO"}},
		"limit":           {Args: c.Args, Rlimits: map[string]int64{"stack": 1}},
		"cpu.max \"max\"": {Args: c.Args, CPUMax: "max"},
	} {
		if err := m.AddContainer("bad", c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one about %s", c, err, want)
		}
	}
}

func TestReadImageConfig(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "image")
	if _, err := ReadImageConfig(dir); err == nil || !strings.Contains(err.Error(), "ci/image.sh") {
		t.Errorf("no directory: %v", err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadImageConfig(dir); err == nil || !strings.Contains(err.Error(), "ci/image.sh") {
		t.Errorf("no configuration: %v", err)
	}
	text := `{"User":"1:2","Env":["A=B"],"Entrypoint":["/prog"],"WorkingDir":"/w","Labels":{"x":"y"}}`
	if err := os.WriteFile(dir+".json", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := ReadImageConfig(dir)
	if err != nil || c.User != "1:2" || c.WorkingDir != "/w" || len(c.Env) != 1 || len(c.Entrypoint) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}
