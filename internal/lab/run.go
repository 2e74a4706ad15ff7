// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"rtgo.dev/rtgo/internal/lab/wire"
)

// Limits bound a boot, in the host's time.
type Limits struct {
	Boot  time.Duration // until the guest's init reports
	Hang  time.Duration // without a sign of life; not used with an interactive console
	Total time.Duration
}

// DefaultLimits suit a busy two-core host.
var DefaultLimits = Limits{Boot: 5 * time.Minute, Hang: 90 * time.Second, Total: 10 * time.Minute}

// A Job is one boot: a machine, what its initramfs holds, and the plan.
type Job struct {
	Machine Machine
	Image   *Image
	Plan    wire.Plan
	Limits  Limits

	// Tolerate lists outcomes that kernel messages would make of the run and
	// that here are only reported among the events.
	Tolerate []Outcome

	Console  io.Writer // the kernel's console goes here as it comes; may be nil
	Terminal *os.File  // the console's input, for interactive use; may be nil

	// OnOutput is called for what steps write; may be nil.
	OnOutput func(step string, fd int, data []byte)
	// OnStep is called when a step begins and ends; may be nil.
	OnStep func(step string, begins bool)
}

// A StepResult is what became of one step.
type StepResult struct {
	Name       string  `json:"name"`
	Exit       int     `json:"exit"`
	Signal     int     `json:"signal,omitempty"`
	TimedOut   bool    `json:"timed_out,omitempty"`
	Unfinished bool    `json:"unfinished,omitempty"` // the machine ended first
	Background bool    `json:"background,omitempty"`
	Seconds    float64 `json:"guest_seconds"`
	Stdout     []byte  `json:"-"`
	Stderr     []byte  `json:"-"`
	Error      string  `json:"error,omitempty"`

	begin int64
}

// A Result is what became of a boot.
type Result struct {
	Outcome   Outcome           `json:"outcome"`
	Reason    string            `json:"reason,omitempty"`    // one line
	Diagnosis string            `json:"diagnosis,omitempty"` // of a hang: where the CPUs were
	Kernel    string            `json:"kernel,omitempty"`
	Realtime  bool              `json:"realtime"`
	Machine   Machine           `json:"machine"`
	ImageSum  string            `json:"initramfs_sha256"`
	Steps     []*StepResult     `json:"steps"`
	Events    []Event           `json:"events,omitempty"`
	Files     map[string][]byte `json:"-"` // by path in the guest
	Missing   []string          `json:"missing_files,omitempty"`
	Damaged   int               `json:"damaged_records,omitempty"`
	Seconds   float64           `json:"host_seconds"`
	GuestTime float64           `json:"guest_seconds"` // of the last record
}

// Step returns the result of the named step, or nil if it never began.
func (r *Result) Step(name string) *StepResult {
	for _, s := range r.Steps {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// bochsSlower is how much longer machines of Bochs may take to boot, and to
// give a sign of life, than those of QEMU.
const bochsSlower = 5

// Run boots QEMU for the job and returns when the machine is off, which is
// soon after ctx ends and no later than the limits say. Only one machine runs
// at a time on a host, for each user; others wait for lock. Its result always
// has an outcome; failures of the host's are outcomes too.
func Run(ctx context.Context, job *Job, lock string, w io.Writer) *Result {
	infra := func(err error) *Result {
		return &Result{Outcome: InfraError, Reason: err.Error(), Machine: job.Machine}
	}
	if err := job.Machine.Check(); err != nil {
		return infra(err)
	}
	// One at a time: two machines on two cores starve each other's timer
	// calibration in boot.
	unlock, err := lockFile(ctx, lock, w)
	if err != nil {
		return infra(err)
	}
	defer unlock()
	dir, err := os.MkdirTemp("", "rtgo-lab-")
	if err != nil {
		return infra(err)
	}
	defer os.RemoveAll(dir)
	plan, err := json.Marshal(&job.Plan)
	if err != nil {
		return infra(err)
	}
	job.Image.AddData(wire.PlanFile, plan, 0o644)
	job.Machine.initrd = filepath.Join(dir, "initramfs")
	f, err := os.Create(job.Machine.initrd)
	if err != nil {
		return infra(err)
	}
	sum, err := job.Image.Write(f)
	if err1 := f.Close(); err == nil {
		err = err1
	}
	if err != nil {
		return infra(fmt.Errorf("initramfs: %w", err))
	}
	job.Machine.console = job.Terminal
	var b booter = qemuBooter{dir}
	if job.Machine.Clock == Bochs {
		b = bochsBooter{dir}
		slow := *job
		slow.Limits.Boot, slow.Limits.Hang = bochsSlower*job.Limits.Boot, bochsSlower*job.Limits.Hang
		job = &slow
	}
	r := run(ctx, job, b)
	r.ImageSum = sum
	return r
}

// run boots with b and judges.
func run(ctx context.Context, job *Job, b booter) *Result {
	res := &Result{Machine: job.Machine, Files: make(map[string][]byte)}
	start := time.Now()
	m, err := b.boot(&job.Machine)
	if err != nil {
		res.Outcome, res.Reason = InfraError, err.Error()
		return res
	}
	v := &vigil{job: job, res: res, sign: make(chan struct{}, 1), dead: make(chan struct{}), files: make(map[string]*bytes.Buffer)}
	ended := make(chan error, 1)
	var readers sync.WaitGroup
	readers.Go(func() { v.watchConsole(m.console()) })
	readers.Go(func() { v.watchLine(m.line()) })
	go func() { ended <- m.wait() }()

	over := v.wait(ctx, ended, start)
	var diagnosis string
	var exit error
	if over != "" {
		if over == Hang || over == BootFailure {
			v.mu.Lock()
			v.asked = true // what comes now is the answer, not an event
			v.mu.Unlock()
			diagnosis = m.ask()
			select { // let the console say it
			case exit = <-ended:
				ended <- exit
			case <-time.After(min(5*time.Second, job.Limits.Hang)):
			}
		}
		m.kill()
	}
	if over == panicked {
		over = ""
	}
	exit = <-ended
	readers.Wait()

	res.Seconds = time.Since(start).Seconds()
	res.Diagnosis = strings.Join(nonEmpty(v.answer(), diagnosis), "; ")
	v.judge(over, exit, ctx.Err())
	return res
}

func nonEmpty(s ...string) []string {
	var out []string
	for _, x := range s {
		if x != "" {
			out = append(out, x)
		}
	}
	return out
}

// A vigil watches one boot. Only records are signs of life: a kernel that
// prints stall after stall is not alive.
type vigil struct {
	job  *Job
	res  *Result
	sign chan struct{} // something came from the guest
	dead chan struct{} // closed when the kernel panicked

	mu      sync.Mutex
	scan    Scanner
	reader  wire.Reader
	hello   bool
	done    bool
	fault   string
	asked   bool
	replies []string // console lines after asking
	files   map[string]*bytes.Buffer
	last    string // last non-empty console line
}

func (v *vigil) signOfLife() {
	select {
	case v.sign <- struct{}{}:
	default:
	}
}

// wait returns when the machine has ended by itself, with "", or has to be
// ended, with the outcome that this is.
func (v *vigil) wait(ctx context.Context, ended chan error, start time.Time) Outcome {
	l := v.job.Limits
	total := time.NewTimer(l.Total)
	defer total.Stop()
	boot := time.NewTimer(l.Boot)
	defer boot.Stop()
	quiet := time.NewTimer(l.Hang)
	defer quiet.Stop()
	for {
		select {
		case err := <-ended:
			ended <- err
			return ""
		case <-v.dead:
			// QEMU ends by itself then; Bochs would boot again.
			select {
			case err := <-ended:
				ended <- err
				return ""
			case <-time.After(min(5*time.Second, l.Hang)):
				return panicked
			}
		case <-ctx.Done():
			return Timeout
		case <-total.C:
			return Timeout
		case <-v.sign:
			quiet.Reset(l.Hang)
		case <-boot.C:
			v.mu.Lock()
			hello := v.hello
			v.mu.Unlock()
			if !hello {
				return BootFailure
			}
		case <-quiet.C:
			v.mu.Lock()
			hello := v.hello
			v.mu.Unlock()
			if hello && v.job.Terminal == nil {
				return Hang
			}
			quiet.Reset(l.Hang)
		}
	}
}

// panicked is no outcome: it tells run to end a machine that has ended, in
// effect.
const panicked Outcome = "panicked"

// lines calls f for each line of r, however long or unfinished.
func lines(r io.Reader, f func([]byte)) {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := br.ReadBytes('\n')
		if len(line) > 0 {
			f(line)
		}
		if err != nil {
			return
		}
	}
}

func (v *vigil) watchConsole(r io.Reader) {
	if v.job.Console != nil {
		r = io.TeeReader(r, v.job.Console)
	}
	lines(r, func(line []byte) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if v.asked {
			if t := strings.TrimSpace(stamp.ReplaceAllString(string(line), "")); t != "" {
				v.replies = append(v.replies, t)
			}
			return
		}
		if t := bytes.TrimSpace(line); len(t) > 0 {
			v.last = string(t)
		}
		before := v.scan.Panicked()
		v.scan.Line(string(line))
		if before == nil && v.scan.Panicked() != nil {
			close(v.dead)
		}
		// Records may share the console.
		if rec := v.reader.Line(line); rec != nil {
			v.signOfLife()
			v.record(rec)
		}
	})
}

func (v *vigil) watchLine(r io.Reader) {
	lines(r, func(line []byte) {
		v.mu.Lock()
		defer v.mu.Unlock()
		if rec := v.reader.Line(line); rec != nil {
			v.signOfLife()
			v.record(rec)
		}
	})
}

// record takes in one record; v.mu is held.
func (v *vigil) record(rec *wire.Record) {
	res := v.res
	res.GuestTime = float64(rec.UptimeNS) / 1e9
	switch rec.Kind {
	case wire.Hello:
		v.hello = true
		res.Kernel, res.Realtime = rec.Kernel, rec.Realtime
	case wire.Begin:
		s := &StepResult{Name: rec.Step, Unfinished: true, begin: rec.UptimeNS}
		for _, p := range v.job.Plan.Steps {
			if p.Name == rec.Step {
				s.Background = p.Background
			}
		}
		res.Steps = append(res.Steps, s)
		if v.job.OnStep != nil {
			v.job.OnStep(rec.Step, true)
		}
	case wire.Output:
		if s := res.Step(rec.Step); s != nil {
			if rec.Stream == 2 {
				s.Stderr = append(s.Stderr, rec.Data...)
			} else {
				s.Stdout = append(s.Stdout, rec.Data...)
			}
		}
		if v.job.OnOutput != nil {
			v.job.OnOutput(rec.Step, rec.Stream, rec.Data)
		}
	case wire.End:
		if s := res.Step(rec.Step); s != nil {
			s.Unfinished = false
			s.Exit, s.Signal, s.TimedOut, s.Error = rec.Exit, rec.Signal, rec.TimedOut, rec.Error
			s.Seconds = float64(rec.UptimeNS-s.begin) / 1e9
		}
		if v.job.OnStep != nil {
			v.job.OnStep(rec.Step, false)
		}
	case wire.File:
		if rec.Error != "" {
			res.Missing = append(res.Missing, rec.Path+": "+rec.Error)
			return
		}
		b := v.files[rec.Path]
		if b == nil {
			b = new(bytes.Buffer)
			v.files[rec.Path] = b
		}
		b.Write(rec.Data)
		if rec.Last {
			res.Files[rec.Path] = b.Bytes()
			delete(v.files, rec.Path)
		}
	case wire.Kernel:
		v.scan.Message(rec.Error)
	case wire.Fault:
		v.fault = rec.Error
	case wire.Done:
		v.done = true
	}
}

// answer condenses what the kernel printed when it was asked: the task that
// ran and where it was.
func (v *vigil) answer() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var out []string
	for _, l := range v.replies {
		if strings.HasPrefix(l, "CPU: ") || strings.HasPrefix(l, "RIP: ") || strings.HasPrefix(l, "pc : ") {
			out = append(out, l)
		}
		if len(out) == 3 {
			break
		}
	}
	return strings.Join(out, "; ")
}

// judge sets the outcome.
func (v *vigil) judge(over Outcome, exit, ctxErr error) {
	res := v.res
	res.Events = v.scan.Events
	res.Damaged = v.reader.Faults()
	tolerated := func(o Outcome) bool {
		for _, t := range v.job.Tolerate {
			if t == o {
				return true
			}
		}
		return false
	}
	set := func(o Outcome, format string, args ...any) {
		res.Outcome, res.Reason = o, fmt.Sprintf(format, args...)
	}
	running := ""
	for _, s := range res.Steps {
		if s.Unfinished && !s.Background {
			running = fmt.Sprintf(" in step %s", s.Name)
		}
	}
	worst := v.scan.Worst()
	if worst != nil && tolerated(worst.Kind) && v.scan.Panicked() == nil {
		worst = nil
	}
	switch {
	case !v.hello || over == BootFailure:
		switch {
		case v.scan.Panicked() != nil:
			set(BootFailure, "the kernel panicked in boot: %s", v.scan.Panicked().Text)
		case over == Timeout && ctxErr != nil:
			set(Timeout, "stopped in boot: %v", ctxErr)
		case over == "" && exit != nil:
			set(InfraError, "QEMU: %v", exit)
		case over == "":
			set(BootFailure, "the machine switched itself off before init reported; last on the console: %s", orNothing(v.last))
		default:
			set(BootFailure, "init did not report within %v; last on the console: %s", v.job.Limits.Boot, orNothing(v.last))
		}
	case over == Hang && (worst == nil || worst.Kind == RCUStall || worst.Kind == RTThrottling):
		// What starves everything starves RCU first: the stall is a symptom.
		set(Hang, "no sign of life for %v%s", v.job.Limits.Hang, running)
	case worst != nil && worst.Kind != RTThrottling:
		set(worst.Kind, "%s%s", worst.Text, running)
	case over == Hang:
		set(Hang, "no sign of life for %v%s", v.job.Limits.Hang, running)
	case over == Timeout && errors.Is(ctxErr, context.Canceled):
		set(Timeout, "interrupted%s", running)
	case over == Timeout:
		set(Timeout, "time limit of %v reached%s", v.job.Limits.Total, running)
	case v.fault != "":
		set(InfraError, "guest: %s", v.fault)
	case res.Damaged > 0:
		set(InfraError, "%d records of the guest were damaged or lost", res.Damaged)
	case !v.done && exit != nil:
		set(InfraError, "QEMU: %v", exit)
	case !v.done:
		set(GuestPanic, "the machine was switched off%s", running)
	case worst != nil:
		set(worst.Kind, "%s", worst.Text)
	default:
		set(OK, "")
		for _, s := range res.Steps {
			if s.Background && s.Unfinished {
				continue // ran until it was stopped, as it should
			}
			switch {
			case s.Background:
				set(ProgramFailed, "background step %s ended early: %s", s.Name, s.how())
			case s.TimedOut:
				set(Timeout, "step %s was killed at its time limit", s.Name)
			case s.Exit != 0:
				set(ProgramFailed, "step %s: %s", s.Name, s.how())
			default:
				continue
			}
			return
		}
		if len(res.Missing) > 0 {
			set(ProgramFailed, "%s", res.Missing[0])
		}
	}
}

func (s *StepResult) how() string {
	switch {
	case s.Error != "":
		return s.Error
	case s.Signal != 0:
		return fmt.Sprintf("killed by signal %d", s.Signal)
	}
	return fmt.Sprintf("exit status %d", s.Exit)
}

func orNothing(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
