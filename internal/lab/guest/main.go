// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Guest is the init of the lab's virtual machines. It mounts what programs
// expect, checks the kernel, carries out the plan and reports over a serial
// line. It is compiled for the guest with CGO_ENABLED=0.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"rtgo.dev/rtgo/internal/lab/wire"
)

func main() {
	// This process shares the machine with what is measured: it collects no
	// garbage (its memory is bounded by what it sends) and uses one P.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(256 << 20)
	runtime.GOMAXPROCS(1)

	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest: this is the init of rtgo's lab machines; it runs as process 1 only")
		os.Exit(2)
	}
	os.Clearenv()
	for _, kv := range environ() {
		k, v, _ := strings.Cut(kv, "=")
		os.Setenv(k, v)
	}
	if err := mounts(); err != nil {
		fmt.Fprintf(os.Stderr, "guest: %v\n", err)
		powerOff()
	}
	line, err := openLine()
	if err != nil {
		fmt.Fprintf(os.Stderr, "guest: %v\n", err)
		powerOff()
	}
	g := &guest{w: wire.NewWriter(line), background: make(map[string]*process)}
	if err := g.run(); err != nil {
		g.send(&wire.Record{Kind: wire.Fault, Error: err.Error()})
	}
	drain(line)
	powerOff()
}

type guest struct {
	w          *wire.Writer
	background map[string]*process
}

func (g *guest) send(r *wire.Record) {
	r.UptimeNS = uptime()
	if err := g.w.Write(r); err != nil {
		fmt.Fprintf(os.Stderr, "guest: serial line: %v\n", err)
	}
}

func (g *guest) run() error {
	b, err := os.ReadFile(wire.PlanFile)
	if err != nil {
		return err
	}
	var plan wire.Plan
	if err := json.Unmarshal(b, &plan); err != nil {
		return fmt.Errorf("%s: %v", wire.PlanFile, err)
	}
	hello := &wire.Record{Kind: wire.Hello, CPUs: onlineCPUs(), MemoryKB: memoryKB()}
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	version, _ := os.ReadFile("/proc/sys/kernel/version")
	hello.Kernel = strings.TrimSpace(string(release)) + " " + strings.TrimSpace(string(version))
	rt, _ := os.ReadFile("/sys/kernel/realtime")
	hello.Realtime = strings.TrimSpace(string(rt)) == "1"
	g.send(hello)
	if plan.Realtime && !hello.Realtime {
		return fmt.Errorf("kernel %s is not PREEMPT_RT: /sys/kernel/realtime is not 1", strings.TrimSpace(string(release)))
	}
	if err := g.prepare(&plan); err != nil {
		return err
	}
	go g.kernelLog()
	if plan.HeartbeatSeconds > 0 {
		go func() {
			for {
				time.Sleep(time.Duration(plan.HeartbeatSeconds) * time.Second)
				g.send(&wire.Record{Kind: wire.Alive})
			}
		}()
	}
	for i := range plan.Steps {
		if err := g.step(&plan.Steps[i]); err != nil {
			return fmt.Errorf("step %s: %v", plan.Steps[i].Name, err)
		}
	}
	g.stop([]string{"*"})
	g.send(&wire.Record{Kind: wire.Done})
	return nil
}

// kernelLog forwards warnings from the kernel's log: the console prints some
// of them only when threads get to run that a real-time task may starve.
func (g *guest) kernelLog() {
	f, err := os.Open("/dev/kmsg")
	if err != nil {
		return
	}
	defer f.Close()
	f.Seek(0, io.SeekEnd)
	buf := make([]byte, 8192)
	for {
		n, err := f.Read(buf)
		if errors.Is(err, syscall.EPIPE) {
			continue // overwritten before it was read
		}
		if err != nil {
			return
		}
		head, text, _ := strings.Cut(string(buf[:n]), ";")
		prio, _, _ := strings.Cut(head, ",")
		p, err := strconv.Atoi(prio)
		if err != nil || p&7 > 4 {
			continue
		}
		text, _, _ = strings.Cut(text, "\n")
		g.send(&wire.Record{Kind: wire.Kernel, Error: text})
	}
}

// prepare sets up the kernel as the plan wants it.
func (g *guest) prepare(plan *wire.Plan) error {
	for _, f := range []struct{ name, value string }{
		{"/proc/sys/kernel/sched_rt_runtime_us", strconv.FormatInt(plan.RTRuntimeUS, 10)},
		{"/proc/sys/kernel/sysrq", "1"},
		// An injected NMI is how the host asks a hung guest where it hangs.
		{"/proc/sys/kernel/unknown_nmi_panic", "1"},
	} {
		err := os.WriteFile(f.name, []byte(f.value), 0)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	syscall.Sethostname([]byte("lab"))
	// A program under test locks its memory and keeps many descriptors.
	for _, l := range []struct{ res, n int }{{rlimitMemlock, -1}, {rlimitRTPrio, 99}, {rlimitNofile, 1 << 20}} {
		lim := syscall.Rlimit{Cur: uint64(l.n), Max: uint64(l.n)}
		if err := syscall.Setrlimit(l.res, &lim); err != nil {
			return fmt.Errorf("setrlimit %d: %v", l.res, err)
		}
	}
	if err := loopbackUp(); err != nil {
		return fmt.Errorf("lo: %v", err)
	}
	out, err := exec.Command("/bin/busybox", "--install", "-s", "/bin").CombinedOutput()
	if err != nil {
		return fmt.Errorf("busybox: %v: %s", err, out)
	}
	return nil
}

const (
	rlimitNofile  = 7
	rlimitMemlock = 8
	rlimitRTPrio  = 14
)

// A process is a command in a process group of its own.
type process struct {
	cmd  *exec.Cmd
	done chan error
}

func (g *guest) step(s *wire.Step) error {
	if len(s.Stop) > 0 {
		g.stop(s.Stop)
	}
	if len(s.Argv) == 0 {
		g.files(s)
		return nil
	}
	cmd := &exec.Cmd{Path: s.Argv[0], Args: s.Argv, Dir: s.Dir, Env: append(environ(), s.Env...)}
	if !strings.Contains(s.Argv[0], "/") {
		p, err := exec.LookPath(s.Argv[0])
		if err != nil {
			g.send(&wire.Record{Kind: wire.Begin, Step: s.Name})
			g.send(&wire.Record{Kind: wire.End, Step: s.Name, Exit: 127, Error: err.Error()})
			return nil
		}
		cmd.Path = p
	}
	if cmd.Dir == "" {
		cmd.Dir = "/root"
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p := &process{cmd: cmd, done: make(chan error, 1)}
	var readers sync.WaitGroup
	var pipes, ours []*os.File
	switch {
	case s.Background:
	case s.Console:
		tty, err := os.OpenFile("/dev/console", os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer tty.Close()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	default:
		for fd := 1; fd <= 2; fd++ {
			r, w, err := os.Pipe()
			if err != nil {
				return err
			}
			pipes, ours = append(pipes, r), append(ours, w)
		}
		cmd.Stdout, cmd.Stderr = ours[0], ours[1]
	}
	g.send(&wire.Record{Kind: wire.Begin, Step: s.Name})
	err := cmd.Start()
	for _, f := range ours {
		f.Close()
	}
	if err != nil {
		exit := 126
		if errors.Is(err, os.ErrNotExist) {
			exit = 127
		}
		g.send(&wire.Record{Kind: wire.End, Step: s.Name, Exit: exit, Error: err.Error()})
		return nil
	}
	for i, r := range pipes {
		readers.Go(func() { g.forward(s.Name, i+1, r) })
	}
	go func() { p.done <- cmd.Wait() }()
	if s.Background {
		g.background[s.Name] = p
		time.Sleep(time.Duration(s.SettleMS) * time.Millisecond)
		select {
		case err := <-p.done:
			p.done <- err
			// A load that is gone before the measurement begins is no load.
			g.send(g.end(s.Name, err, false))
		default:
		}
		return nil
	}
	var timeout <-chan time.Time
	if s.TimeoutSeconds > 0 {
		timeout = time.After(time.Duration(s.TimeoutSeconds) * time.Second)
	}
	timedOut := false
	select {
	case err = <-p.done:
	case <-timeout:
		timedOut = true
		p.kill()
		err = <-p.done
	}
	// Children that the command left behind keep its pipes open.
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	readers.Wait()
	g.send(g.end(s.Name, err, timedOut))
	g.files(s)
	return nil
}

func (g *guest) end(name string, err error, timedOut bool) *wire.Record {
	r := &wire.Record{Kind: wire.End, Step: name, TimedOut: timedOut}
	var exit *exec.ExitError
	switch {
	case err == nil:
	case errors.As(err, &exit):
		ws := exit.Sys().(syscall.WaitStatus)
		if ws.Signaled() {
			r.Signal = int(ws.Signal())
			r.Exit = 128 + r.Signal
		} else {
			r.Exit = ws.ExitStatus()
		}
	default:
		r.Exit, r.Error = 126, err.Error()
	}
	return r
}

func (p *process) kill() {
	syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
}

// stop ends background steps and reports those that had failed by themselves.
func (g *guest) stop(names []string) {
	for name, p := range g.background {
		wanted := false
		for _, n := range names {
			wanted = wanted || n == "*" || n == name
		}
		if !wanted {
			continue
		}
		early := false
		select {
		case err := <-p.done:
			early = true
			p.kill()
			g.send(g.end(name, err, false))
		default:
		}
		if !early {
			p.kill()
			<-p.done
		}
		delete(g.background, name)
	}
}

// forward sends what comes from r, gathering what comes close together.
func (g *guest) forward(step string, fd int, r io.ReadCloser) {
	defer r.Close()
	buf := make([]byte, 24<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			g.send(&wire.Record{Kind: wire.Output, Step: step, Stream: fd, Data: buf[:n]})
		}
		if err != nil {
			return
		}
	}
}

// files sends the files that s asks for.
func (g *guest) files(s *wire.Step) {
	for _, pattern := range s.Get {
		names, _ := filepath.Glob(pattern)
		if len(names) == 0 {
			g.send(&wire.Record{Kind: wire.File, Step: s.Name, Path: pattern, Last: true, Error: "no such file in the guest"})
		}
		for _, name := range names {
			if err := g.file(s.Name, name); err != nil {
				g.send(&wire.Record{Kind: wire.File, Step: s.Name, Path: name, Last: true, Error: err.Error()})
			}
		}
	}
}

func (g *guest) file(step, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, 24<<10)
	for {
		n, err := io.ReadFull(f, buf)
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return err
		}
		g.send(&wire.Record{Kind: wire.File, Step: step, Path: name, Data: buf[:n], Last: last})
		if last {
			return nil
		}
	}
}

func environ() []string {
	return []string{
		"PATH=/bin:/usr/bin:/sbin:/usr/sbin",
		"HOME=/root", "USER=root", "LOGNAME=root", "TMPDIR=/tmp", "LANG=C.UTF-8", "TERM=linux",
		"RTGO_LAB=guest", // lets a program tell that it runs in simulated time
	}
}

func mounts() error {
	for _, m := range []struct {
		source, target, fstype, data string
		optional                     bool
	}{
		{"proc", "/proc", "proc", "", false},
		{"sysfs", "/sys", "sysfs", "", false},
		{"devtmpfs", "/dev", "devtmpfs", "", false},
		{"devpts", "/dev/pts", "devpts", "", true},
		// cyclictest and POSIX semaphores need a tmpfs here.
		{"tmpfs", "/dev/shm", "tmpfs", "mode=1777", false},
		{"mqueue", "/dev/mqueue", "mqueue", "", true},
		{"tmpfs", "/run", "tmpfs", "mode=755", false},
		{"cgroup2", "/sys/fs/cgroup", "cgroup2", "", true},
		{"tracefs", "/sys/kernel/tracing", "tracefs", "", true},
		{"debugfs", "/sys/kernel/debug", "debugfs", "", true},
		{"bpf", "/sys/fs/bpf", "bpf", "", true},
	} {
		if err := os.MkdirAll(m.target, 0o755); err != nil && !m.optional {
			return err
		}
		err := syscall.Mount(m.source, m.target, m.fstype, 0, m.data)
		if err != nil && !errors.Is(err, syscall.EBUSY) && !m.optional {
			return fmt.Errorf("mount %s: %v", m.target, err)
		}
	}
	for _, l := range [][2]string{{"/proc/self/fd", "/dev/fd"}, {"fd/0", "/dev/stdin"}, {"fd/1", "/dev/stdout"}, {"fd/2", "/dev/stderr"}} {
		os.Symlink(l[0], l[1])
	}
	return nil
}

// openLine opens the terminal that lab.line= on the kernel's command line
// names and makes it transparent to bytes.
func openLine() (*os.File, error) {
	name := "console"
	cmdline, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return nil, err
	}
	for _, w := range strings.Fields(string(cmdline)) {
		if v, ok := strings.CutPrefix(w, "lab.line="); ok {
			name = v
		}
	}
	fd, err := syscall.Open("/dev/"+name, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/%s: %v", name, err)
	}
	var t syscall.Termios
	if err := ioctl(fd, syscall.TCGETS, unsafe.Pointer(&t)); err != nil {
		return nil, fmt.Errorf("/dev/%s: %v", name, err)
	}
	t.Iflag &^= syscall.IGNBRK | syscall.BRKINT | syscall.PARMRK | syscall.ISTRIP | syscall.INLCR | syscall.IGNCR | syscall.ICRNL | syscall.IXON
	t.Oflag &^= syscall.OPOST
	t.Lflag &^= syscall.ECHO | syscall.ECHONL | syscall.ICANON | syscall.ISIG | syscall.IEXTEN
	const cbaud = 0x100f
	// Bochs keeps to the speed; QEMU does not care.
	t.Cflag = t.Cflag&^(syscall.CSIZE|syscall.PARENB|cbaud) | syscall.CS8 | syscall.CLOCAL | syscall.B115200
	if err := ioctl(fd, syscall.TCSETS, unsafe.Pointer(&t)); err != nil {
		return nil, fmt.Errorf("/dev/%s: %v", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// drain waits until the line has taken everything.
func drain(f *os.File) {
	const tcsbrk = 0x5409 // with argument 1: tcdrain
	syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), tcsbrk, 1)
	// What is in the UART itself has yet to go out.
	time.Sleep(50 * time.Millisecond)
}

func ioctl(fd int, req uintptr, p unsafe.Pointer) error {
	if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), req, uintptr(p)); e != 0 {
		return e
	}
	return nil
}

func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer syscall.Close(fd)
	var ifr struct {
		name  [16]byte
		flags uint16
		_     [22]byte
	}
	copy(ifr.name[:], "lo")
	ifr.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	return ioctl(fd, syscall.SIOCSIFFLAGS, unsafe.Pointer(&ifr))
}

func uptime() int64 {
	const clockBoottime = 7
	var ts syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockBoottime, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

func onlineCPUs() int {
	b, _ := os.ReadFile("/proc/cpuinfo")
	return strings.Count(string(b), "processor\t:")
}

func memoryKB() int64 {
	var si syscall.Sysinfo_t
	if syscall.Sysinfo(&si) != nil {
		return 0
	}
	return int64(si.Totalram) * int64(si.Unit) / 1024
}

func powerOff() {
	syscall.Sync()
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}
