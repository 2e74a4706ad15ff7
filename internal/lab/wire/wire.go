// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package wire is what the guest of the lab and its host say to each other:
// the plan, which goes into the guest with the initramfs, and the records,
// which come back over a serial line.
//
// A record is one line: a mark, a sequence number, a CRC-32 of the payload and
// the payload, which is JSON. A reader finds records among other text, so
// that they survive on a line shared with the kernel's console, and knows of
// each one that was damaged or lost. What was sent before a crash stays valid.
package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"sync"
)

// PlanFile is the path of the plan in the guest.
const PlanFile = "/lab/plan.json"

// A Plan is what the guest does after its boot.
type Plan struct {
	// RTRuntimeUS goes to /proc/sys/kernel/sched_rt_runtime_us: -1 turns RT
	// throttling off, the kernel's default is 950000.
	RTRuntimeUS int64 `json:"rt_runtime_us"`

	// HeartbeatSeconds is the period of the guest's signs of life, in the
	// guest's time; 0 sends none.
	HeartbeatSeconds int `json:"heartbeat_seconds,omitempty"`

	// Realtime refuses to go on under a kernel that is not PREEMPT_RT.
	Realtime bool `json:"realtime"`

	Steps []Step `json:"steps"`
}

// A Step is one command, or the end of commands started before.
type Step struct {
	Name string   `json:"name"`
	Argv []string `json:"argv,omitempty"`
	Env  []string `json:"env,omitempty"` // added to the guest's
	Dir  string   `json:"dir,omitempty"` // default /root

	// Background leaves the command running, with its output dropped, until a
	// step stops it or the plan ends.
	Background bool `json:"background,omitempty"`

	// SettleMS is the guest time to wait after a background start, so that
	// the load is there before the next step.
	SettleMS int `json:"settle_ms,omitempty"`

	// Stop kills the background steps of these names, with their process
	// groups, and waits for them. "*" stops all.
	Stop []string `json:"stop,omitempty"`

	// TimeoutSeconds of guest time after which the command is killed.
	TimeoutSeconds int `json:"timeout_seconds,omitempty"`

	// Console gives the command the kernel console as its terminal, for
	// interactive use.
	Console bool `json:"console,omitempty"`

	// Get names files that are sent to the host after the step.
	Get []string `json:"get,omitempty"`
}

// Kinds of records.
const (
	Hello  = "hello"  // the guest's init runs
	Begin  = "begin"  // a step begins
	Output = "output" // Data was written by the step to Stream
	End    = "end"    // a step ended, with Exit or Signal
	File   = "file"   // Data is the next part of the file Path; Last marks its end
	Alive  = "alive"  // a sign of life
	Kernel = "kernel" // Error is a warning or worse in the kernel's log
	Fault  = "fault"  // the guest cannot do what the plan says; Error says why
	Done   = "done"   // the plan is complete
)

// A Record is one message of the guest.
type Record struct {
	Kind string `json:"k"`
	Step string `json:"step,omitempty"`

	UptimeNS int64 `json:"t,omitempty"` // guest time since boot

	Stream int    `json:"fd,omitempty"` // Output: 1 or 2
	Data   []byte `json:"data,omitempty"`

	Exit     int    `json:"exit,omitempty"`   // End: exit status
	Signal   int    `json:"signal,omitempty"` // End: the signal that killed the command
	TimedOut bool   `json:"timed_out,omitempty"`
	Error    string `json:"error,omitempty"`

	Path string `json:"path,omitempty"`
	Last bool   `json:"last,omitempty"`

	Kernel   string `json:"kernel,omitempty"` // Hello: uname -r and -v
	Realtime bool   `json:"realtime,omitempty"`
	CPUs     int    `json:"cpus,omitempty"`
	MemoryKB int64  `json:"memory_kb,omitempty"`
}

const mark = "~RT1 "

// A Writer sends records. It may be used by several goroutines.
type Writer struct {
	mu  sync.Mutex
	w   io.Writer
	seq uint64
	buf bytes.Buffer
}

// NewWriter returns a writer of records to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Write sends one record with a single write to the underlying writer.
func (w *Writer) Write(r *Record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Reset()
	// The line feed in front ends whatever text stands on the line.
	fmt.Fprintf(&w.buf, "\n%s%d %08x %s\n", mark, w.seq, crc32.ChecksumIEEE(b), b)
	w.seq++
	_, err = w.w.Write(w.buf.Bytes())
	return err
}

// A Reader finds records in lines of text.
type Reader struct {
	Damaged int // records whose checksum or syntax was wrong
	Lost    int // gaps in the sequence
	next    uint64
}

// Line returns the record in line, or nil if there is none or it is damaged.
func (r *Reader) Line(line []byte) *Record {
	i := bytes.Index(line, []byte(mark))
	if i < 0 {
		return nil
	}
	seq, rec := decode(line[i+len(mark):])
	if rec == nil {
		r.Damaged++
		return nil
	}
	if seq > r.next {
		// A damaged record was counted when it was seen; its gap is not a
		// second loss, but a gap can also be whole lines.
		r.Lost += int(seq - r.next)
	}
	r.next = seq + 1
	return rec
}

// Faults returns how many records are missing.
func (r *Reader) Faults() int { return max(r.Damaged, r.Lost) }

func decode(b []byte) (uint64, *Record) {
	b = bytes.TrimRight(b, "\r\n")
	num, b, ok1 := bytes.Cut(b, []byte(" "))
	sum, b, ok2 := bytes.Cut(b, []byte(" "))
	seq, err1 := strconv.ParseUint(string(num), 10, 64)
	crc, err2 := strconv.ParseUint(string(sum), 16, 32)
	if !ok1 || !ok2 || err1 != nil || err2 != nil || crc32.ChecksumIEEE(b) != uint32(crc) {
		return 0, nil
	}
	rec := new(Record)
	if json.Unmarshal(b, rec) != nil {
		return 0, nil
	}
	return seq, rec
}
