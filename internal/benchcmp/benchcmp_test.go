// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package benchcmp

import (
	"context"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// synthetic returns rounds of two benchmarks with noise common to both sides
// and 1 % of their own, side b being slower by the given factors.
func synthetic(rounds int, factors ...float64) []*Measurement {
	rnd := rand.New(rand.NewPCG(1, 2))
	var ms []*Measurement
	for i, f := range factors {
		m := &Measurement{Group: "g", Name: string(rune('A' + i)), Unit: timeUnit, Values: make([][]float64, 3)}
		for range rounds {
			drift := 1 + 0.2*rnd.Float64()
			for side, by := range []float64{1, f, 1} {
				m.Values[side] = append(m.Values[side], 1e-6*by*drift*(1+0.01*rnd.Float64()))
			}
		}
		ms = append(ms, m)
	}
	return ms
}

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		name    string
		rounds  int
		factors []float64
		want    Verdict
		delta   float64
	}{
		{"equal", 20, []float64{1, 1, 1}, Within, 0},
		{"one slower, one faster", 20, []float64{1.1, 1 / 1.1}, Within, 0},
		{"slower", 20, []float64{1.05, 1.05}, Beyond, 0.05},
		{"too few rounds", 3, []float64{1.05, 1.05}, Inconclusive, 0.05},
		{"at the limit", 20, []float64{1.01, 1.01}, Inconclusive, 0.01},
	} {
		r := &Report{Limit: 0.01}
		r.Fill(synthetic(tt.rounds, tt.factors...))
		if r.Result != tt.want || math.Abs(r.Geomean.Delta-tt.delta) > 0.004 {
			t.Errorf("%s: %s, %s; want %s, %+.2f%%", tt.name, r.Result, r.Geomean, tt.want, 100*tt.delta)
		}
		if r.Control == nil || r.Control.Lo > 0 || r.Control.Hi < 0 {
			t.Errorf("%s: control %v does not contain 0", tt.name, r.Control)
		}
		var text strings.Builder
		r.WriteText(&text)
		if !strings.Contains(text.String(), string(tt.want)) {
			t.Errorf("%s: text lacks the verdict:\n%s", tt.name, text.String())
		}
		if err := r.WriteJSON(&strings.Builder{}); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestMeasure compares the Go that runs this test with itself and with a copy
// whose benchmark does the work three times, in time and in instructions.
func TestMeasure(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles and runs benchmarks; left out by -short")
	}
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	goroot := strings.TrimSpace(string(out))
	dir := t.TempDir()
	overlay := filepath.Join(dir, "overlay.json")
	slow := filepath.Join(dir, "slow_test.go")
	orig := filepath.Join(goroot, "src/container/heap/heap_test.go")
	data, err := os.ReadFile(orig)
	if err != nil {
		t.Fatal(err)
	}
	const body = "for j := 0; j < n; j++ {\n\t\t\tPush(&h, 0)"
	if strings.Count(string(data), body) != 1 {
		t.Fatalf("%s no longer holds %q", orig, body)
	}
	os.WriteFile(slow, []byte(strings.Replace(string(data), body, "for j := 0; j < 3*n; j++ {\n\t\t\tPush(&h, 0)", 1)), 0o666)
	os.WriteFile(overlay, []byte(`{"Replace":{"`+orig+`":"`+slow+`"}}`), 0o666)
	sides := []*Side{
		{Label: "a", GOROOT: goroot},
		{Label: "b", GOROOT: goroot, Env: []string{"GOFLAGS=-overlay=" + overlay}},
	}
	for _, o := range []Options{
		{Rounds: 10, Benchtime: "10ms"},
		{Rounds: 2, Count: true},
	} {
		o.Groups, o.Keep = []Group{{"heap", "container/heap", "Dup"}}, t.TempDir()
		unit := "ns/op"
		if o.Count {
			unit = countUnit
			if _, err := exec.LookPath("valgrind"); err != nil {
				t.Errorf("%v: apt-get install valgrind", err)
				continue
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		ms, err := Measure(ctx, sides, o)
		if err != nil {
			t.Fatal(err)
		}
		r := &Report{Limit: 0.01, Rounds: o.Rounds}
		r.Fill(ms)
		if len(r.Rows) == 0 || r.Rows[0].N != o.Rounds {
			t.Errorf("%s: %+v", unit, r.Rows)
		}
		switch g := r.Geomean; {
		case o.Count && (g.Delta < 1 || g.Hi-g.Lo > 0.05):
			t.Errorf("%s, want about three times as many, in both rounds", g)
		case !o.Count && (r.Result != Beyond || r.Rows[0].P >= Alpha):
			t.Errorf("%s %s %+v, want a significant slow-down", r.Result, g, r.Rows)
		}
		for _, f := range []string{"a.txt", "b.txt"} {
			if raw, err := os.ReadFile(filepath.Join(o.Keep, f)); err != nil || strings.Count(string(raw), unit) != o.Rounds {
				t.Errorf("%s: %v, want %d result lines with %s", f, err, o.Rounds, unit)
			}
		}
	}
}
