// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package campaign

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

// Whatever the pieces in which a stream arrives, and wherever it is cut off,
// what was sent whole is there, once and in order, and text stays text.
func TestStream(t *testing.T) {
	var sent bytes.Buffer
	s := &Streamer{W: &sent}
	run := &result.Run{Environments: []result.Environment{{ID: "lab"}}}
	var ends []int
	for _, id := range []string{"a", "b", "c"} {
		sent.WriteString("[1/3] " + id + " ... p50\n~ no result\n")
		run.Measurements = append(run.Measurements, result.Measurement{ID: id, Env: "lab"})
		if err := s.Save(run); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, sent.Len())
	}
	run.Aborts = []string{"end"}
	if err := s.Save(run); err != nil {
		t.Fatal(err)
	}
	all := sent.Bytes()
	for _, size := range []int{1, 7, len(all)} {
		for cut := range len(all) + 1 {
			var text strings.Builder
			r := &Stream{Text: &text}
			for b := range slices.Chunk(all[:cut], size) {
				r.Write(b)
			}
			n, _ := slices.BinarySearch(ends, cut+1)
			var ids []string
			if r.Run != nil {
				for _, m := range r.Run.Measurements {
					ids = append(ids, m.ID)
				}
			}
			if r.Err != nil || !slices.Equal(ids, []string{"a", "b", "c"}[:n]) {
				t.Fatalf("the first %d of %d bytes by %d: %q, %v; want %d measurements", cut, len(all), size, ids, r.Err, n)
			}
			if cut == len(all) && (len(r.Run.Aborts) != 1 || strings.Count(text.String(), " ... p50\n~ no result\n") != 3 || strings.Contains(text.String(), streamMark)) {
				t.Errorf("aborts %q, text %q", r.Run.Aborts, text.String())
			}
		}
	}
	r := new(Stream)
	r.Write([]byte(streamMark + "nonsense\n"))
	r.Write(all)
	if r.Err == nil || r.Run == nil || len(r.Run.Measurements) != 3 {
		t.Errorf("after a damaged line: %+v", r)
	}
}
