// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rtgo.dev/rtgo/test/rtlatency/cyclictest"
	"rtgo.dev/rtgo/test/rtlatency/result"
)

// Load reads measurement files and merges them into one run. A file is the
// suite's own (package result), a report.json, or what cyclictest --json
// wrote. Environments of equal name that are different machines or different
// boots are kept apart.
func Load(names []string) (*result.Run, error) {
	all := &result.Run{Version: result.Version}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		r, err := decode(b, name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if len(names) == 1 {
			return r, nil
		}
		merge(all, r)
	}
	if err := all.Check(); err != nil {
		return nil, err
	}
	return all, nil
}

func decode(b []byte, name string) (*result.Run, error) {
	var kind struct {
		Version     *int            `json:"version"`
		FileVersion *int            `json:"file_version"`
		Run         json.RawMessage `json:"run"`
	}
	if err := json.Unmarshal(b, &kind); err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	switch {
	case kind.FileVersion != nil:
		return fromCyclictest(b, name)
	case kind.Run != nil:
		return result.Read(bytes.NewReader(kind.Run))
	case kind.Version != nil:
		return result.Read(bytes.NewReader(b))
	}
	return nil, fmt.Errorf("neither a result of rtlatency nor of cyclictest --json: no \"version\" and no \"file_version\"")
}

// merge adds o to r.
func merge(r, o *result.Run) {
	if r.Title == "" {
		r.Title = o.Title
	}
	rename := make(map[string]string)
	for _, e := range o.Environments {
		rename[e.ID] = addEnv(r, e)
	}
	have := make(map[string]bool)
	for _, m := range r.Measurements {
		have[m.ID] = true
	}
	moved := *o
	moved.Environments = nil
	moved.Measurements = nil
	for _, m := range o.Measurements {
		m.Env = rename[m.Env]
		id := m.ID
		for n := 2; have[m.ID]; n++ {
			m.ID = fmt.Sprintf("%s#%d", id, n)
		}
		have[m.ID] = true
		moved.Measurements = append(moved.Measurements, m)
	}
	r.Add(&moved)
}

// addEnv adds e to r and returns the name it has there.
func addEnv(r *result.Run, e result.Environment) string {
	used := make(map[string]bool)
	for i := range r.Environments {
		x := &r.Environments[i]
		used[x.ID] = true
		if sameBoot(x, &e) {
			complete(x, &e)
			return x.ID
		}
	}
	id := e.ID
	for n := 2; used[e.ID]; n++ {
		e.ID = fmt.Sprintf("%s-%d", id, n)
	}
	r.Environments = append(r.Environments, e)
	return e.ID
}

// sameBoot reports whether nothing that both tell about themselves differs.
func sameBoot(a, b *result.Environment) bool {
	if a.Simulated != b.Simulated || a.Realtime != b.Realtime {
		return false
	}
	for _, p := range [][2]string{
		{a.ID, b.ID}, {a.Arch, b.Arch}, {a.Kernel, b.Kernel}, {a.KernelVersion, b.KernelVersion},
		{a.Node, b.Node}, {a.Boot, b.Boot},
	} {
		if p[0] != "" && p[1] != "" && p[0] != p[1] {
			return false
		}
	}
	return true
}

// complete fills in what only the other file about this boot tells.
func complete(e, o *result.Environment) {
	for _, p := range [][2]*string{
		{&e.Machine, &o.Machine}, {&e.Emulator, &o.Emulator}, {&e.EmuArgs, &o.EmuArgs}, {&e.Node, &o.Node},
		{&e.BIOS, &o.BIOS}, {&e.CPUModel, &o.CPUModel}, {&e.KernelVersion, &o.KernelVersion},
		{&e.Clocksource, &o.Clocksource}, {&e.Cmdline, &o.Cmdline}, {&e.Governor, &o.Governor},
		{&e.Isolated, &o.Isolated}, {&e.Virtualization, &o.Virtualization}, {&e.Boot, &o.Boot},
	} {
		if *p[0] == "" {
			*p[0] = *p[1]
		}
	}
	e.CPUsOnline = max(e.CPUsOnline, o.CPUsOnline)
	e.NUMANodes = max(e.NUMANodes, o.NUMANodes)
	e.MemoryBytes = max(e.MemoryBytes, o.MemoryBytes)
	if e.RTRuntimeUS == 0 {
		e.RTRuntimeUS = o.RTRuntimeUS
	}
	e.Repeatability = append(e.Repeatability, o.Repeatability...)
	for _, t := range o.Toolchains {
		if !slices.Contains(e.Toolchains, t) {
			e.Toolchains = append(e.Toolchains, t)
		}
	}
}

// goarch translates uname -m.
var goarch = map[string]string{"x86_64": "amd64", "aarch64": "arm64"}

// fromCyclictest turns a file of cyclictest into a run of one measurement.
// Priority, interval and histogram limit come from the command line it
// holds; what is not there is left out.
func fromCyclictest(b []byte, name string) (*result.Run, error) {
	f, err := cyclictest.Read(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	args := strings.Fields(f.Cmdline)
	prio := int(number(args, 'p', "prio", "priority"))
	interval := cmp.Or(number(args, 'i', "interval"), 1000) // its default
	limit := int(cmp.Or(number(args, 'h', "histogram"), number(args, 'H', "histofall")))
	threads, err := f.Threads(prio, interval, limit)
	if err != nil {
		return nil, err
	}
	for i := range threads {
		if f.Resolution == 1 {
			inNanoseconds(&threads[i].Stats)
		}
	}
	env := result.Environment{
		ID: "host", Node: f.Sysinfo.Nodename, Kernel: f.Sysinfo.Release, KernelVersion: f.Sysinfo.Version,
		Arch: f.Sysinfo.Machine, Realtime: f.Sysinfo.Realtime == 1,
		Toolchains: []result.Toolchain{{Name: result.C, Version: "cyclictest " + f.TestVersion}},
	}
	if a := goarch[env.Arch]; a != "" {
		env.Arch = a
	}
	m := result.Measurement{
		ID:  "cyclictest/" + strings.TrimSuffix(filepath.Base(name), ".json"),
		Env: env.ID, Scenario: "cyclictest", Group: "cyclictest", Toolchain: result.C, Program: "cyclictest",
		Version: f.TestVersion, Command: args, Policy: "other", Priority: prio, PeriodNS: interval * 1000,
		Outcome: result.OK, Validity: result.Uncontrolled, Threads: threads,
	}
	if prio > 0 {
		m.Policy = "fifo"
	}
	if p, ok := option(args, 0, "policy"); ok {
		m.Policy = p
	}
	_, m.Mlock = option(args, 'm', "mlockall")
	if f.ReturnCode != 0 {
		m.Outcome, m.Error = result.Failed, fmt.Sprintf("cyclictest ended with code %d", f.ReturnCode)
	}
	m.Start = stamp(f.StartTime)
	end := stamp(f.EndTime)
	if !m.Start.IsZero() && !end.IsZero() {
		m.Duration = int64(end.Sub(m.Start))
	}
	if len(threads) > 1 {
		t := result.Merge(threads)
		m.Total = &t
	}
	r := &result.Run{
		Version: result.Version, Start: m.Start, End: end, Command: args,
		Environments: []result.Environment{env}, Measurements: []result.Measurement{m},
	}
	return r, r.Check()
}

// inNanoseconds corrects statistics of cyclictest -N, whose histogram has
// one bucket for each nanosecond.
func inNanoseconds(s *result.Stats) {
	us := make(map[int]uint64)
	for ns, n := range s.Linear.Counts {
		us[ns/1000] += n
	}
	s.Linear.Counts = us
	s.Linear.Limit /= 1000
	s.SetQuantiles()
}

// option returns the value of an option of cyclictest's command line, and
// whether it is there. Short options may be joined, as in -mqp80.
func option(args []string, short byte, long ...string) (string, bool) {
	const alone = "mqkFMNrsSuvx" // short options without a value
	for i, a := range args {
		next := ""
		if i+1 < len(args) {
			next = args[i+1]
		}
		if name, ok := strings.CutPrefix(a, "--"); ok {
			name, v, has := strings.Cut(name, "=")
			if slices.Contains(long, name) {
				if !has {
					v = next
				}
				return v, true
			}
			continue
		}
		if len(a) < 2 || a[0] != '-' || short == 0 {
			continue
		}
		for j := 1; j < len(a); j++ {
			if a[j] == short {
				if v := strings.TrimPrefix(a[j+1:], "="); v != "" {
					return v, true
				}
				return next, true
			}
			if !strings.Contains(alone, a[j:j+1]) {
				break
			}
		}
	}
	return "", false
}

// number returns the value of a numeric option, 0 if it is absent.
func number(args []string, short byte, long ...string) int64 {
	v, _ := option(args, short, long...)
	n, _ := strconv.ParseInt(v, 10, 64)
	return n
}

func stamp(s string) time.Time {
	for _, layout := range []string{time.RFC1123Z, "Mon, _2 Jan 2006 15:04:05 -0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC()
		}
	}
	return time.Time{}
}
