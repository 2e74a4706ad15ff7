// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"rtgo.dev/rtgo/internal/lab/wire"
)

// A fakeMachine plays a script on its console and its line.
type fakeMachine struct {
	script  func(f *fakeMachine)
	reply   string // printed on the console when asked
	exit    error
	bootErr error

	rec            *wire.Writer
	con, lin       io.Reader
	conW, linW     *io.PipeWriter
	off            chan struct{}
	once           sync.Once
	killed, wasAsk bool
}

func (f *fakeMachine) boot(*Machine) (running, error) {
	if f.bootErr != nil {
		return nil, f.bootErr
	}
	f.con, f.conW = io.Pipe()
	f.lin, f.linW = io.Pipe()
	f.rec = wire.NewWriter(f.linW)
	f.off = make(chan struct{})
	go func() {
		f.script(f)
		f.powerOff()
	}()
	return f, nil
}

func (f *fakeMachine) powerOff() {
	f.once.Do(func() {
		f.conW.Close()
		f.linW.Close()
		close(f.off)
	})
}

func (f *fakeMachine) console() io.Reader { return f.con }
func (f *fakeMachine) line() io.Reader    { return f.lin }
func (f *fakeMachine) ask() string {
	f.wasAsk = true
	fmt.Fprint(f.conW, f.reply)
	return "RIP=ffffffff81000000"
}
func (f *fakeMachine) kill()       { f.killed = true; f.powerOff() }
func (f *fakeMachine) wait() error { <-f.off; return f.exit }

func (f *fakeMachine) print(s string) { fmt.Fprintf(f.conW, "[    1.000000] %s\n", s) }
func (f *fakeMachine) send(r wire.Record) {
	r.UptimeNS = 1e9
	f.rec.Write(&r)
}
func (f *fakeMachine) hello()               { f.send(wire.Record{Kind: wire.Hello, Realtime: true, Kernel: "6.1"}) }
func (f *fakeMachine) begin(s string)       { f.send(wire.Record{Kind: wire.Begin, Step: s}) }
func (f *fakeMachine) end(s string, rc int) { f.send(wire.Record{Kind: wire.End, Step: s, Exit: rc}) }
func (f *fakeMachine) done()                { f.send(wire.Record{Kind: wire.Done}) }

func TestOutcomes(t *testing.T) {
	forever := func(f *fakeMachine) { <-f.off }
	full := func(rc int) func(f *fakeMachine) {
		return func(f *fakeMachine) { f.hello(); f.begin("prog"); f.end("prog", rc); f.done() }
	}
	for _, tt := range []struct {
		name     string
		m        *fakeMachine
		tolerate []Outcome
		cancel   bool
		want     Outcome
		reason   string // part of it
		killed   bool
		asked    bool
	}{
		{name: "ok", m: &fakeMachine{script: full(0)}, want: OK},
		{name: "exit status", m: &fakeMachine{script: full(3)}, want: ProgramFailed, reason: "exit status 3"},
		{name: "signal", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("prog")
			f.send(wire.Record{Kind: wire.End, Step: "prog", Exit: 139, Signal: 11})
			f.done()
		}}, want: ProgramFailed, reason: "killed by signal 11"},
		{name: "no emulator", m: &fakeMachine{bootErr: errors.New("qemu-system-x86_64: not found")}, want: InfraError, reason: "not found"},
		{name: "emulator refuses", m: &fakeMachine{script: func(f *fakeMachine) {}, exit: errors.New("could not load kernel")}, want: InfraError, reason: "could not load kernel"},
		{name: "emulator dies", m: &fakeMachine{script: func(f *fakeMachine) { f.hello(); f.begin("prog") }, exit: errors.New("signal: aborted")}, want: InfraError, reason: "aborted"},
		{name: "boot: silence", m: &fakeMachine{script: forever}, want: BootFailure, reason: "last on the console: nothing", killed: true, asked: true},
		{name: "boot: no init", m: &fakeMachine{script: func(f *fakeMachine) {
			f.print("Kernel panic - not syncing: VFS: Unable to mount root fs")
		}}, want: BootFailure, reason: "Unable to mount root fs"},
		{name: "boot: reboots", m: &fakeMachine{script: func(f *fakeMachine) { f.print("booting") }}, want: BootFailure, reason: "booting"},
		{name: "panic", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("prog")
			f.print("Kernel panic - not syncing: sysrq triggered crash")
		}}, want: GuestPanic, reason: "sysrq triggered crash in step prog"},
		{name: "panic without power-off", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("prog")
			f.print("Kernel panic - not syncing: Fatal exception")
			forever(f)
		}}, want: GuestPanic, reason: "Fatal exception in step prog", killed: true},
		{name: "panic from memory", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("prog")
			f.print("prog invoked oom-killer: gfp_mask=0x1")
			f.print("Kernel panic - not syncing: System is deadlocked on memory")
		}}, want: OutOfMemory},
		{name: "oom killer", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("prog")
			f.print("Out of memory: Killed process 98 (prog)")
			f.end("prog", 137)
			f.done()
		}}, want: OutOfMemory, reason: "Killed process 98"},
		{name: "oom killer tolerated", tolerate: []Outcome{OutOfMemory}, m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("prog")
			f.print("Out of memory: Killed process 98 (load)")
			f.end("prog", 0)
			f.done()
		}}, want: OK},
		{name: "hang", m: &fakeMachine{script: func(f *fakeMachine) { f.hello(); f.begin("prog"); forever(f) },
			reply: "[    9.0] Kernel panic - not syncing: NMI: Not continuing\n[    9.0] CPU: 0 PID: 97 Comm: hog Not tainted\n"},
			want: Hang, reason: "in step prog", killed: true, asked: true},
		{name: "hang with stalls on the console", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("prog")
			for {
				select {
				case <-f.off:
					return
				case <-time.After(20 * time.Millisecond):
					f.print("rcu: INFO: rcu_preempt self-detected stall on CPU")
				}
			}
		}}, want: Hang, killed: true, asked: true},
		{name: "stall overcome", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("prog")
			f.print("rcu: INFO: rcu_preempt self-detected stall on CPU")
			f.end("prog", 0)
			f.done()
		}}, want: RCUStall},
		{name: "alive at the time limit", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("prog")
			for {
				select {
				case <-f.off:
					return
				case <-time.After(20 * time.Millisecond):
					f.send(wire.Record{Kind: wire.Alive})
				}
			}
		}}, want: Timeout, reason: "in step prog", killed: true},
		{name: "interrupted", cancel: true, m: &fakeMachine{script: func(f *fakeMachine) { f.hello(); forever(f) }}, want: Timeout, reason: "interrupted", killed: true},
		{name: "step time limit", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("prog")
			f.send(wire.Record{Kind: wire.End, Step: "prog", Exit: 137, Signal: 9, TimedOut: true})
			f.done()
		}}, want: Timeout, reason: "step prog"},
		{name: "throttling", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("prog")
			f.print("sched: RT throttling activated")
			f.end("prog", 0)
			f.done()
		}}, want: RTThrottling},
		{name: "throttling tolerated", tolerate: []Outcome{RTThrottling}, m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.print("sched: RT throttling activated")
			f.begin("prog")
			f.end("prog", 4)
			f.done()
		}}, want: ProgramFailed},
		{name: "not a real-time kernel", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.send(wire.Record{Kind: wire.Fault, Error: "kernel 6.1 is not PREEMPT_RT"})
		}}, want: InfraError, reason: "not PREEMPT_RT"},
		{name: "switched off by the program", m: &fakeMachine{script: func(f *fakeMachine) { f.hello(); f.begin("prog") }}, want: GuestPanic, reason: "switched off in step prog"},
		{name: "record damaged", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("prog")
			fmt.Fprintf(f.linW, "~RT1 2 00000000 {}\n")
			f.send(wire.Record{Kind: wire.Alive}) // has the damaged one's number
			f.end("prog", 0)
			f.done()
		}}, want: InfraError, reason: "damaged"},
		{name: "load ends early", m: &fakeMachine{script: func(f *fakeMachine) {
			f.hello()
			f.begin("load")
			f.end("load", 1)
			f.begin("prog")
			f.end("prog", 0)
			f.done()
		}}, want: ProgramFailed, reason: "load ended early"},
		{name: "records on the console", m: &fakeMachine{script: func(f *fakeMachine) {
			f.rec = wire.NewWriter(f.conW)
			f.hello()
			f.print("kernel text between")
			f.begin("prog")
			f.end("prog", 0)
			f.done()
		}}, want: OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := tt.m
			job := &Job{
				Machine: Machine{Arch: AMD64, Clock: Icount, CPUs: 1, MemoryMB: 256},
				Plan:    wire.Plan{Steps: []wire.Step{{Name: "load", Background: true}, {Name: "prog"}}},
				Limits:  Limits{Boot: 300 * time.Millisecond, Hang: 400 * time.Millisecond, Total: time.Second}, Tolerate: tt.tolerate,
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if tt.cancel {
				time.AfterFunc(50*time.Millisecond, cancel)
			}
			start := time.Now()
			r := run(ctx, job, m)
			if d := time.Since(start); d > 8*time.Second {
				t.Errorf("took %v", d)
			}
			if r.Outcome != tt.want || !strings.Contains(r.Reason, tt.reason) {
				t.Errorf("outcome %s (%s), want %s (%s)", r.Outcome, r.Reason, tt.want, tt.reason)
			}
			if m.killed != tt.killed || m.wasAsk != tt.asked {
				t.Errorf("killed %v, asked %v; want %v, %v", m.killed, m.wasAsk, tt.killed, tt.asked)
			}
			if m.reply != "" && !strings.Contains(r.Diagnosis, "Comm: hog") {
				t.Errorf("diagnosis %q does not name the task", r.Diagnosis)
			}
			if strings.Contains(r.Reason, "NMI") {
				t.Errorf("the answer to the question became the outcome: %s", r.Reason)
			}
		})
	}
}

// TestCrashKeepsOutput has what came before a panic kept, files too.
func TestCrashKeepsOutput(t *testing.T) {
	m := &fakeMachine{script: func(f *fakeMachine) {
		f.hello()
		f.begin("prog")
		f.send(wire.Record{Kind: wire.Output, Step: "prog", Stream: 1, Data: []byte("one\n")})
		f.send(wire.Record{Kind: wire.File, Step: "prog", Path: "/r", Data: []byte("fi")})
		f.send(wire.Record{Kind: wire.File, Step: "prog", Path: "/r", Data: []byte("le"), Last: true})
		f.send(wire.Record{Kind: wire.File, Step: "prog", Path: "/cut", Data: []byte("half")})
		f.send(wire.Record{Kind: wire.Output, Step: "prog", Stream: 1, Data: []byte("two\n")})
		fmt.Fprint(f.linW, "\n~RT1 7 1234") // the crash cuts this one
		f.print("Kernel panic - not syncing: Fatal exception")
	}}
	job := &Job{Limits: Limits{Boot: time.Second, Hang: time.Second, Total: 2 * time.Second}}
	r := run(context.Background(), job, m)
	if r.Outcome != GuestPanic {
		t.Errorf("outcome %s: %s", r.Outcome, r.Reason)
	}
	if s := r.Step("prog"); s == nil || string(s.Stdout) != "one\ntwo\n" || !s.Unfinished {
		t.Errorf("step %+v", s)
	}
	if string(r.Files["/r"]) != "file" {
		t.Errorf("file %q", r.Files["/r"])
	}
	if _, ok := r.Files["/cut"]; ok {
		t.Error("half a file was taken for a whole one")
	}
}

func TestMachineCheck(t *testing.T) {
	good := Machine{Arch: AMD64, Clock: Icount, CPUs: 1, MemoryMB: 512}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct {
		name string
		edit func(*Machine)
		want string
	}{
		{"two CPUs on amd64", func(m *Machine) { m.CPUs = 2 }, "use -cpus 1"},
		{"no CPU", func(m *Machine) { m.CPUs = 0 }, "1 to 64"},
		{"memory", func(m *Machine) { m.MemoryMB = 64 }, "at least 256"},
		{"clock", func(m *Machine) { m.Clock = "wall" }, "icount, bochs, host or kvm"},
	} {
		m := good
		tt.edit(&m)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestLock(t *testing.T) {
	name := t.TempDir() + "/dir/lock"
	unlock, err := lockFile(context.Background(), name, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
	defer cancel()
	if _, err := lockFile(ctx, name, io.Discard); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("second holder: %v", err)
	}
	unlock()
	unlock, err = lockFile(context.Background(), name, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

func TestVerify(t *testing.T) {
	s := &Store{Dir: t.TempDir()}
	if _, err := s.Verify(AMD64); !errors.Is(err, ErrNotFetched) {
		t.Errorf("empty store: %v", err)
	}
	if err := os.MkdirAll(s.Root(AMD64)+"/boot", 0o755); err != nil {
		t.Fatal(err)
	}
	kernel := s.Root(AMD64) + "/boot/vmlinuz-x"
	os.WriteFile(kernel, []byte("kernel"), 0o644)
	sum, err := hashFile(kernel)
	if err != nil {
		t.Fatal(err)
	}
	manifest := s.archDir(AMD64) + "/manifest.json"
	os.WriteFile(manifest, fmt.Appendf(nil, `{"schema":%d,"arch":"amd64","kernel":"boot/vmlinuz-x","files":[{"path":"boot/vmlinuz-x","mode":420,"sha256":%q}]}`, schema, sum), 0o644)
	if _, err := s.Verify(AMD64); err != nil {
		t.Errorf("intact store: %v", err)
	}
	os.WriteFile(kernel, []byte("kernel."), 0o644)
	if _, err := s.Verify(AMD64); err == nil || !strings.Contains(err.Error(), "rtgo lab fetch -f") || !strings.Contains(err.Error(), "boot/vmlinuz-x") {
		t.Errorf("changed file: %v", err)
	}
	os.WriteFile(manifest, []byte("{"), 0o644)
	if _, err := s.Verify(AMD64); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("damaged manifest: %v", err)
	}
}

// TestArgs has what a trustworthy figure depends on in every command line.
func TestArgs(t *testing.T) {
	for _, a := range Arches {
		m := Machine{Arch: a, Clock: Icount, CPUs: 1, MemoryMB: 512, Kernel: "/k", Seed: 3, Append: "x=y", initrd: "/i"}
		args := " " + strings.Join(m.args("/dev/fd/4", "/m"), " ") + " "
		for _, want := range []string{" -icount shift=2,sleep=off ", "thread=single", "clock=vm ", " -no-reboot ", " -seed 3 ", " -smp 1 ", "panic=-1", "nokaslr", " x=y ", " -nic none "} {
			if !strings.Contains(args, want) {
				t.Errorf("%s: no %q in%s", a, want, args)
			}
		}
		m.Clock = Host
		if args := strings.Join(m.args("/dev/fd/4", "/m"), " "); strings.Contains(args, "icount") {
			t.Errorf("%s, host clock: %s", a, args)
		}
	}
}
