// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package wire

import (
	"bytes"
	"fmt"
	"testing"

	"reflect"
)

func TestRoundTrip(t *testing.T) {
	var b bytes.Buffer
	w := NewWriter(&b)
	want := []*Record{
		{Kind: Hello, Kernel: "6.1 #1", Realtime: true, CPUs: 2, UptimeNS: 1},
		{Kind: Output, Step: "s", Stream: 1, Data: []byte("a\nb\x00\xff~RT1 0")},
		{Kind: End, Step: "s", Exit: 137, Signal: 9},
	}
	for _, r := range want {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	var r Reader
	var got []*Record
	for _, l := range bytes.Split(b.Bytes(), []byte("\n")) {
		if rec := r.Line(l); rec != nil {
			got = append(got, rec)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if r.Faults() != 0 {
		t.Errorf("%d faults in an intact stream", r.Faults())
	}
}

// records returns n lines with one record each.
func records(t *testing.T, n int) []string {
	var b bytes.Buffer
	w := NewWriter(&b)
	for i := range n {
		if err := w.Write(&Record{Kind: Output, Data: fmt.Appendf(nil, "%d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	var out []string
	for _, l := range bytes.Split(b.Bytes(), []byte("\n")) {
		if len(l) > 0 {
			out = append(out, string(l))
		}
	}
	return out
}

func TestDamage(t *testing.T) {
	l := records(t, 4)
	flip := func(s string, i int) string {
		b := []byte(s)
		b[i] ^= 1
		return string(b)
	}
	for _, tt := range []struct {
		name   string
		lines  []string
		want   int // records read
		faults int
	}{
		{"intact", l, 4, 0},
		{"beside other text", []string{l[0], "[ 1.0] kernel text " + l[1], l[2] + "\r", l[3]}, 4, 0},
		{"bit flipped in the payload", []string{l[0], flip(l[1], len(l[1])-4), l[2], l[3]}, 3, 1},
		{"bit flipped in the sequence number", []string{l[0], flip(l[1], len(mark)), l[2], l[3]}, 4, 1},
		{"cut short", []string{l[0], l[1][:20], l[2], l[3]}, 3, 1},
		{"lost", []string{l[0], l[3]}, 2, 2},
		{"last one cut by a crash", []string{l[0], l[1], l[2], l[3][:30]}, 3, 1},
		{"kernel text in the middle", []string{l[0], l[1][:25] + "[ 2.0] oops" + l[1][25:], l[2], l[3]}, 3, 1},
		{"mark without record", []string{mark, l[0], l[1], l[2], l[3]}, 4, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Reader
			n := 0
			for _, s := range tt.lines {
				if r.Line([]byte(s)) != nil {
					n++
				}
			}
			if n != tt.want || r.Faults() != tt.faults {
				t.Errorf("%d records and %d faults, want %d and %d", n, r.Faults(), tt.want, tt.faults)
			}
		})
	}
}
