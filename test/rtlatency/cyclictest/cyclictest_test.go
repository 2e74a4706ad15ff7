// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package cyclictest

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"rtgo.dev/rtgo/test/rtlatency/record"
	"rtgo.dev/rtgo/test/rtlatency/result"
)

// Lines printed by cyclictest 2.40.
func TestLine(t *testing.T) {
	for _, c := range []struct {
		l    Line
		nsec bool
		want string
	}{
		{Line{0, 6680, 80, 1000, 50, 14, 19, 31, 739}, false, "T: 0 ( 6680) P:80 I:1000 C:     50 Min:     14 Act:   19 Avg:   31 Max:     739"},
		{Line{1, 6681, 80, 1500, 40, 22, 1739, 89, 1739}, false, "T: 1 ( 6681) P:80 I:1500 C:     40 Min:     22 Act: 1739 Avg:   89 Max:    1739"},
		{Line{0, 26105, 0, 1000, 200, 64, 76, 91, 3976}, false, "T: 0 (26105) P: 0 I:1000 C:    200 Min:     64 Act:   76 Avg:   91 Max:    3976"},
		{Line{0, 25508, 0, 1000, 20, 75947, 85229, 85677, 96751}, true, "T: 0 (25508) P: 0 I:1000 C:     20 Min:  75947 Act:   85229 Avg:   85677 Max:   96751"},
	} {
		if got := c.l.Format(c.nsec); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

func recorder(limit int, us ...int64) *record.Recorder {
	r := record.New(limit, 0)
	for _, x := range us {
		r.Record(x*1000, 0)
	}
	return r
}

// What cyclictest 2.40 prints for these samples.
func TestHistogram(t *testing.T) {
	a, b := recorder(3, 1, 1, 5), recorder(3, 2, 0)
	var w bytes.Buffer
	if err := WriteHistogram(&w, []*record.Recorder{a, b}, true); err != nil {
		t.Fatal(err)
	}
	want := "# Histogram\n" +
		"000000 000000\t000001\t000001\n" +
		"000001 000002\t000000\t000002\n" +
		"000002 000000\t000001\t000001\n" +
		"# Total: 000000002 000000002 000000004\n" +
		"# Min Latencies: 00001 00000\n" +
		"# Avg Latencies: 00002 00001\n" +
		"# Max Latencies: 00005 00002 00005\n" +
		"# Histogram Overflows: 00001 00000 00001\n" +
		"# Histogram Overflow at cycle number:\n" +
		"# Thread 0: 00002\n" +
		"# Thread 1:\n" +
		"\n"
	if w.String() != want {
		t.Errorf("got\n%s\nwant\n%s", w.String(), want)
	}
	w.Reset()
	if err := WriteHistogram(&w, []*record.Recorder{recorder(1, 7, 8, 9)}, true); err != nil {
		t.Fatal(err)
	}
	want = "# Histogram\n000000 000000\n# Total: 000000000\n# Min Latencies: 00007\n# Avg Latencies: 00008\n" +
		"# Max Latencies: 00009\n# Histogram Overflows: 00003\n# Histogram Overflow at cycle number:\n# Thread 0: 00000 # 00002 others\n\n"
	if w.String() != want {
		t.Errorf("got\n%s\nwant\n%s", w.String(), want)
	}
}

// keys returns the paths of a JSON document, numbers in them replaced by N
// and the stray colons of cyclictest's keys removed, with the type of each
// value.
func keys(t *testing.T, b []byte) []string {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	set := make(map[string]bool)
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				k = strings.TrimSuffix(k, ":")
				if strings.Trim(k, "0123456789") == "" {
					k = "N"
				}
				walk(path+"/"+k, x)
			}
		case string:
			set[path+" string"] = true
		case float64:
			set[path+" number"] = true
		default:
			t.Errorf("%s: %T", path, v)
		}
	}
	walk("", v)
	out := make([]string, 0, len(set))
	for k := range set {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func ours(t *testing.T) []byte {
	th := result.Thread{Stats: recorder(20, 14, 14, 61).Stats()}
	f := File{FileVersion: 1, NumThreads: 1, Thread: map[string]Thread{"0": NewThread(&th, true, false)}}
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSchemaEqualsCyclictest(t *testing.T) {
	real, err := os.ReadFile("testdata/cyclictest-2.40.json")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := keys(t, ours(t)), keys(t, real); !slices.Equal(got, want) {
		t.Errorf("our keys\n%s\ncyclictest's\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSchemaEqualsInstalledCyclictest(t *testing.T) {
	exe, err := exec.LookPath("cyclictest")
	if err != nil {
		t.Skip("cyclictest is not installed (apt-get install rt-tests)")
	}
	name := filepath.Join(t.TempDir(), "c.json")
	if out, err := exec.Command(exe, "-q", "-l100", "-i1000", "-h400", "--json="+name).CombinedOutput(); err != nil {
		t.Skipf("cyclictest does not run here: %v: %s", err, out)
	}
	real, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := keys(t, ours(t)), keys(t, real); !slices.Equal(got, want) {
		t.Errorf("our keys\n%s\ncyclictest's\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestRead(t *testing.T) {
	f, err := os.Open("testdata/cyclictest-2.40.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c, err := Read(f)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(c.Cmdline, "cyclictest -m -p80") || c.TestVersion != "2.40" {
		t.Errorf("cmdline %q version %q", c.Cmdline, c.TestVersion)
	}
	th, err := c.Threads(80, 1000, 20)
	if err != nil {
		t.Fatal(err)
	}
	x := th[0]
	if x.Cycles != 50 || x.MaxNS != 61000 || x.MinNS != 14000 || x.AvgNS != 27900 || x.Linear.Overflow != 36 || x.Linear.Counts[16] != 4 {
		t.Errorf("%+v", x)
	}
	if _, err := Read(strings.NewReader(`{"file_version":1,"thread":{}}`)); err == nil {
		t.Error("a file without threads was read")
	}
	// Our own files are read alike.
	if _, err := Read(bytes.NewReader(ours(t))); err != nil {
		t.Error(err)
	}
}
