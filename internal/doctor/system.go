// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package doctor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A System is a machine to examine: this one, or a recording.
type System struct {
	// Root is the directory that has proc and sys, "/" for this machine.
	Root string
	// Try sets SCHED_FIFO with a priority on a thread that then ends, and
	// returns what the kernel said: 0 or an error number. A nil Try means
	// that it cannot be tried.
	Try func(priority int) (syscall.Errno, error)

	record string          // directory to copy what is read to
	seen   map[string]bool // recorded
}

// Host is this machine.
func Host() *System { return &System{Root: "/", Try: tryFIFO} }

// triedFile has the outcome of Try in a recording.
const triedFile = "sched_setattr.json"

type tried struct {
	Priority int `json:"priority"`
	Errno    int `json:"errno"`
}

// Recorded is the machine recorded in dir.
func Recorded(dir string) *System {
	s := &System{Root: dir}
	b, err := os.ReadFile(filepath.Join(dir, triedFile))
	if err != nil {
		return s
	}
	s.Try = func(priority int) (syscall.Errno, error) {
		var t tried
		if err := json.Unmarshal(b, &t); err != nil {
			return 0, err
		}
		if t.Priority != priority {
			return 0, fmt.Errorf("recorded for priority %d", t.Priority)
		}
		return syscall.Errno(t.Errno), nil
	}
	return s
}

// Record makes s copy every file that a check reads into dir, so that
// Recorded can be examined elsewhere.
func (s *System) Record(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if old, err := os.ReadDir(dir); err != nil {
		return err
	} else if len(old) > 0 {
		return fmt.Errorf("%s is not empty; give a new directory for the recording", dir)
	}
	s.record, s.seen = dir, make(map[string]bool)
	try := s.Try
	s.Try = func(priority int) (syscall.Errno, error) {
		errno, err := try(priority)
		if err == nil {
			b, _ := json.Marshal(tried{priority, int(errno)})
			err = os.WriteFile(filepath.Join(dir, triedFile), append(b, '\n'), 0o644)
		}
		return errno, err
	}
	return nil
}

// read returns the content of a file by its name on the machine.
func (s *System) read(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(s.Root, name))
	if err != nil {
		return "", err
	}
	if s.record != "" && !s.seen[name] {
		s.seen[name] = true
		to := filepath.Join(s.record, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, b, 0o644)); err != nil {
			return "", err
		}
	}
	return string(b), nil
}

// text returns the content of a file without space around it, "" if it
// cannot be read.
func (s *System) text(name string) string {
	t, _ := s.read(name)
	return strings.TrimSpace(t)
}

// number returns the number in a file.
func (s *System) number(name string) (int64, error) {
	t, err := s.read(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(t), 10, 64)
}

// exists reports whether a file is there, without recording its content.
func (s *System) exists(name string) bool {
	_, err := os.Stat(filepath.Join(s.Root, name))
	if err == nil && s.record != "" && !s.seen[name] {
		s.read(name)
	}
	return err == nil
}

// glob returns the names that match, as the machine knows them, in numeric
// order.
func (s *System) glob(pattern string) []string {
	names, _ := filepath.Glob(filepath.Join(s.Root, pattern))
	for i, n := range names {
		rel, err := filepath.Rel(s.Root, n)
		if err == nil {
			names[i] = "/" + rel
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		if len(a) != len(b) {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return names
}

// cannotRead turns an error of read into a result: what is absent on this
// kernel and what may not be read are both unknown, but for other reasons.
func cannotRead(r Result, err error) Result {
	r.Level = Unknown
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.Found = "this kernel does not tell (" + pathOf(err) + " is absent)"
	case errors.Is(err, fs.ErrPermission):
		r.Found = "may not be read by this user (" + pathOf(err) + "); run as root to check"
	default:
		r.Found = err.Error()
	}
	r.Why, r.Fix = "", nil
	return r
}

func pathOf(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Path
	}
	return err.Error()
}

// field returns the value of the first "name: value" line.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		k, v, ok := strings.Cut(line, ":")
		if ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// parseCPUs parses a list such as "0-3,8". The empty list is nil.
func parseCPUs(list string) ([]int, error) {
	var cpus []int
	for _, s := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		lo, hi, ok := strings.Cut(s, "-")
		if !ok {
			hi = lo
		}
		a, err := strconv.Atoi(lo)
		b, err2 := strconv.Atoi(hi)
		if err != nil || err2 != nil || a < 0 || b < a || b > 1<<16 {
			return nil, fmt.Errorf("%q is not a list of CPUs such as 0-3,8", list)
		}
		for c := a; c <= b; c++ {
			cpus = append(cpus, c)
		}
	}
	slices.Sort(cpus)
	return slices.Compact(cpus), nil
}

// ParseCPUs parses a list of CPUs such as "2-3,6" of at least one.
func ParseCPUs(list string) ([]int, error) {
	cpus, err := parseCPUs(list)
	if err == nil && len(cpus) == 0 {
		err = errors.New("empty list of CPUs")
	}
	return cpus, err
}

func formatCPUs(cpus []int) string {
	var s []string
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		if j == i {
			s = append(s, strconv.Itoa(cpus[i]))
		} else {
			s = append(s, fmt.Sprintf("%d-%d", cpus[i], cpus[j]))
		}
		i = j + 1
	}
	return strings.Join(s, ",")
}

func intersect(a, b []int) []int {
	return slices.DeleteFunc(slices.Clone(a), func(c int) bool { return !slices.Contains(b, c) })
}

func without(a, b []int) []int {
	return slices.DeleteFunc(slices.Clone(a), func(c int) bool { return slices.Contains(b, c) })
}

func union(a, b []int) []int {
	u := slices.Concat(a, b)
	slices.Sort(u)
	return slices.Compact(u)
}

// cgroups are the control groups of the process.
type cgroups struct {
	text   string // /proc/self/cgroup
	v2root string // mount point of the unified hierarchy, "" if there is none
	v2     string // directory of the process in it
	cpu1   string // directory of the process in version 1's cpu hierarchy
}

func readCgroups(s *System) cgroups {
	c := cgroups{text: s.text("/proc/self/cgroup")}
	path := make(map[string]string) // controller to path; "" for version 2
	for line := range strings.Lines(c.text) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		for _, controller := range strings.Split(f[1], ",") {
			path[controller] = f[2]
		}
	}
	for line := range strings.Lines(s.text("/proc/self/mountinfo")) {
		before, after, ok := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if !ok || len(f) < 5 || len(g) < 3 {
			continue
		}
		// A container may see only its own part of the hierarchy mounted.
		dir := func(p string) string {
			rel, err := filepath.Rel(f[3], p)
			if err != nil || strings.HasPrefix(rel, "..") {
				rel = p
			}
			return filepath.Join(f[4], rel)
		}
		switch g[0] {
		case "cgroup2":
			if p, ok := path[""]; ok && c.v2root == "" {
				c.v2root, c.v2 = f[4], dir(p)
			}
		case "cgroup":
			if p, ok := path["cpu"]; ok && slices.Contains(strings.Split(g[2], ","), "cpu") {
				c.cpu1 = dir(p)
			}
		}
	}
	return c
}

// above returns dir and its parents up to and without root.
func above(dir, root string) []string {
	var dirs []string
	for dir != root && strings.HasPrefix(dir, root+"/") {
		dirs = append(dirs, dir)
		dir = filepath.Dir(dir)
	}
	return dirs
}
