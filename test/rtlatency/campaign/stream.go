// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

package campaign

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"

	"rtgo.dev/rtgo/test/rtlatency/result"
)

// A campaign in a machine that may die at any moment streams its results: each
// is a line of standard output by itself, compressed because it goes over a
// serial line.

const streamMark = "~campaign "

// A Streamer writes what is new in a growing run.
type Streamer struct {
	W    io.Writer
	sent int
}

// Save writes what has been added to r since the last call.
func (s *Streamer) Save(r *result.Run) error {
	part := *r
	part.Measurements = r.Measurements[s.sent:]
	s.sent = len(r.Measurements)
	var b bytes.Buffer
	b.WriteString(streamMark)
	enc := base64.NewEncoder(base64.StdEncoding, &b)
	z := gzip.NewWriter(enc)
	if err := json.NewEncoder(z).Encode(&part); err != nil {
		return err
	}
	z.Close()
	enc.Close()
	b.WriteByte('\n')
	_, err := s.W.Write(b.Bytes())
	return err
}

// A Stream puts together again what a Streamer wrote. Other output goes to
// Text. A last line that was cut off is ignored.
type Stream struct {
	Text io.Writer   // may be nil
	Run  *result.Run // so far; nil before the first result
	Err  error       // the first line that could not be read
	line []byte
}

func (s *Stream) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		line, more, whole := bytes.Cut(rest, []byte("\n"))
		rest = more
		// Text is passed on as it comes, what looks like a mark as a line.
		if len(s.line) == 0 && !bytes.HasPrefix(line, []byte("~")) {
			if whole {
				line = append(bytes.Clone(line), '\n')
			}
			if s.Text != nil {
				s.Text.Write(line)
			}
			continue
		}
		s.line = append(s.line, line...)
		if !whole {
			continue
		}
		if enc, ok := bytes.CutPrefix(s.line, []byte(streamMark)); !ok {
			if s.Text != nil {
				s.Text.Write(append(s.line, '\n'))
			}
		} else if err := s.add(enc); err != nil && s.Err == nil {
			s.Err = fmt.Errorf("streamed result: %w", err)
		}
		s.line = s.line[:0]
	}
	return len(b), nil
}

func (s *Stream) add(enc []byte) error {
	z, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader(enc)))
	if err != nil {
		return err
	}
	var part result.Run
	if err := json.NewDecoder(z).Decode(&part); err != nil {
		return err
	}
	if s.Run != nil {
		part.Measurements = append(s.Run.Measurements, part.Measurements...)
	}
	s.Run = &part
	return nil
}
