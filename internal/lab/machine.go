// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A Clock says what a guest's time is.
type Clock string

const (
	// Icount counts instructions: deterministic, and the only clock whose
	// latencies are worth anything. One instruction takes 4 ns.
	Icount Clock = "icount"
	// Host is the host's time with one thread per CPU: for functional checks
	// on several CPUs.
	Host Clock = "host"
	// KVM is the host's time and processor.
	KVM Clock = "kvm"
	// Bochs counts instructions too, in another simulator: amd64, several
	// CPUs taking turns every few instructions. Deterministic, and its
	// latencies hold with two CPUs under load; ten times slower than Icount.
	Bochs Clock = "bochs"
)

// A Machine describes a virtual machine.
type Machine struct {
	Arch     Arch   `json:"arch"`
	Clock    Clock  `json:"clock"`
	CPUs     int    `json:"cpus"`
	MemoryMB int    `json:"memory_mb"`
	Kernel   string `json:"kernel"`           // file on the host
	Append   string `json:"append,omitempty"` // more words for the kernel's command line
	Seed     int    `json:"seed"`             // of all randomness in the guest

	initrd  string
	console *os.File // terminal for an interactive console, or nil
}

// Check refuses machines that are known not to work, and says what would.
func (m *Machine) Check() error {
	switch {
	case m.Clock != Icount && m.Clock != Host && m.Clock != KVM && m.Clock != Bochs:
		return fmt.Errorf("unknown clock %q; use icount, bochs, host or kvm", m.Clock)
	case m.CPUs < 1 || m.CPUs > 64:
		return fmt.Errorf("%d CPUs; use 1 to 64", m.CPUs)
	case m.MemoryMB < 256:
		return fmt.Errorf("%d MB of memory; the guest needs at least 256", m.MemoryMB)
	case m.Arch == AMD64 && m.Clock == Icount && m.CPUs > 1:
		return errors.New("amd64 with several CPUs hangs in boot under the icount clock; use -cpus 1, or -clock bochs, or -arch arm64")
	case m.Clock == Bochs && m.Arch != AMD64:
		return errors.New("the bochs clock has amd64 only; use -clock icount")
	case m.Clock == Bochs && (m.CPUs > 8 || m.MemoryMB > 2048):
		return errors.New("the bochs clock has up to 8 CPUs and 2048 MB of memory")
	case m.Clock == KVM && m.Arch != Native():
		return fmt.Errorf("KVM runs %s guests only on this host", Native())
	}
	return nil
}

// qemu returns the name of the emulator.
func (m *Machine) qemu() string {
	switch {
	case m.Clock == Bochs:
		return "bochs"
	case m.Arch == ARM64:
		return "qemu-system-aarch64"
	}
	return "qemu-system-x86_64"
}

// needs returns the commands that the machine is made with and the Debian
// packages that have them.
func (m *Machine) needs() (commands, packages []string) {
	switch {
	case m.Clock == Bochs:
		return []string{"bochs", "genisoimage"}, []string{"bochs", "bochs-sdl", "bochsbios", "vgabios", "isolinux", "syslinux-common", "genisoimage"}
	case m.Arch == ARM64:
		return []string{m.qemu()}, []string{"qemu-system-arm"}
	}
	return []string{m.qemu()}, []string{"qemu-system-x86"}
}

// Ensure finds the emulator and, if install is set and it is missing,
// installs Debian's packages, for which it needs to be root or have sudo
// without a password.
func (m *Machine) Ensure(ctx context.Context, install bool, w io.Writer) error {
	commands, packages := m.needs()
	missing := ""
	for _, c := range commands {
		if _, err := exec.LookPath(c); err != nil {
			missing = c
		}
	}
	if m.Clock == Bochs && missing == "" {
		for _, f := range bochsFiles {
			if _, err := os.Stat(f); err != nil {
				missing = f
			}
		}
	}
	if missing == "" {
		return nil
	}
	how := "install it with: apt-get install " + strings.Join(packages, " ")
	if !install {
		return fmt.Errorf("no %s here; %s", missing, how)
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("no %s here, and this is no Debian system; install it (QEMU 7 or newer)", missing)
	}
	argv := append([]string{"apt-get", "-q", "-y", "-oDPkg::Lock::Timeout=300", "install", "--no-install-recommends"}, packages...)
	if os.Geteuid() != 0 {
		argv = append([]string{"sudo", "-n"}, argv...)
	}
	fmt.Fprintf(w, "lab: installing %s\n", strings.Join(packages, " "))
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		last := out[bytes.LastIndexByte(bytes.TrimSpace(out), '\n')+1:]
		return fmt.Errorf("installing %s: %v: %s; as root, %s", packages[0], err, bytes.TrimSpace(last), how)
	}
	_, err = exec.LookPath(commands[0])
	return err
}

// args returns the emulator's arguments. Line is where records come out,
// monitor a socket for questions.
func (m *Machine) args(line, monitor string) []string {
	console, record := "ttyS0", "ttyS1"
	cpu := "max"
	a := []string{"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none"}
	if m.Arch == ARM64 {
		console, record = "ttyAMA0", "ttyS0"
		a = append(a, "-machine", "virt,gic-version=3")
		cpu = "cortex-a72"
	}
	switch m.Clock {
	case Icount:
		// sleep=off: idle time is skipped, not waited for. A fixed date and
		// seed make one boot like the next.
		a = append(a, "-accel", "tcg,thread=single", "-icount", "shift=2,sleep=off", "-rtc", "base=2026-06-01T00:00:00,clock=vm", "-seed", strconv.Itoa(m.Seed))
	case Host:
		a = append(a, "-accel", "tcg,thread=multi")
	case KVM:
		a = append(a, "-accel", "kvm")
		cpu = "host"
	}
	a = append(a, "-cpu", cpu, "-smp", strconv.Itoa(m.CPUs), "-m", strconv.Itoa(m.MemoryMB),
		"-chardev", "stdio,id=console,signal="+map[bool]string{true: "off", false: "on"}[m.console != nil],
		"-serial", "chardev:console",
		"-chardev", "file,id=line,path="+line,
		// Not a second ISA port: the kernel takes the edges of its interrupt
		// for spurious ones and disables it after 100,000, which is some
		// 400 KB ("nobody cared").
		"-device", "pci-serial,chardev=line")
	return append(a, "-monitor", "unix:"+monitor+",server=on,wait=off",
		"-kernel", m.Kernel, "-initrd", m.initrd, "-append", m.cmdline(console, record))
}

// cmdline returns the kernel's command line: its console, the line for
// records, and that warnings reach the console ("RT throttling activated" is
// one) and an oops is the end.
func (m *Machine) cmdline(console, record string) string {
	words := []string{"console=" + console, "lab.line=" + record, "loglevel=5", "printk.time=1", "panic=-1", "oops=panic"}
	if m.Clock == Icount || m.Clock == Bochs {
		words = append(words, "nokaslr", "norandmaps")
	}
	if m.Arch == ARM64 {
		// Debian's default makes each system call take a lock, see docs/lab.md.
		words = append(words, "randomize_kstack_offset=off")
	}
	if m.Append != "" {
		words = append(words, m.Append)
	}
	return strings.Join(words, " ")
}

// A running is a machine that has been switched on.
type running interface {
	console() io.Reader // what the kernel prints; ends with the machine
	line() io.Reader    // records; ends with the machine
	ask() string        // asks a machine that hangs where it is; the console may say more
	kill()              // switches it off, whatever it does
	wait() error        // waits for its end
}

// A booter switches machines on. QEMU is one; tests have another.
type booter interface {
	boot(m *Machine) (running, error)
}

type qemuBooter struct{ dir string } // dir for the monitor's socket

// An emulator is the process of one machine.
type emulator struct {
	cmd    *exec.Cmd
	out    *os.File
	rec    *os.File
	stderr bytes.Buffer
	ended  chan struct{}
	err    error
	once   sync.Once

	question func() string // what ask does; may be nil
}

// start runs an emulator. It finds the writing ends of the console and of the
// line as file descriptors 3 and 4, or its standard output for the console if
// onStdout is set.
func start(cmd *exec.Cmd, onStdout bool, terminal *os.File) (*emulator, error) {
	e := &emulator{cmd: cmd, ended: make(chan struct{})}
	var ends [2]*os.File
	for i, p := range []**os.File{&e.out, &e.rec} {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		defer w.Close()
		*p, ends[i] = r, w
	}
	cmd.ExtraFiles = ends[:]
	if onStdout {
		cmd.Stdout = ends[0]
	}
	cmd.Stderr = &e.stderr
	if terminal != nil {
		cmd.Stdin = terminal
	}
	// A group of its own can be killed as a whole; on a terminal it would be
	// stopped for reading. If this process dies, the machine goes with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: terminal == nil, Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 10 * time.Second
	started := make(chan error)
	go func() {
		// The death signal is tied to the thread that started the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			e.err = cmd.Wait()
			close(e.ended)
		}
	}()
	if err := <-started; err != nil {
		e.out.Close()
		e.rec.Close()
		return nil, fmt.Errorf("%s: %v", filepath.Base(cmd.Path), err)
	}
	return e, nil
}

func (b qemuBooter) boot(m *Machine) (running, error) {
	monitor := filepath.Join(b.dir, "monitor")
	e, err := start(exec.Command(m.qemu(), m.args("/dev/fd/4", monitor)...), true, m.console)
	if err != nil {
		return nil, err
	}
	e.question = func() string { return askQEMU(monitor, m.Arch) }
	return e, nil
}

func (e *emulator) ask() string {
	if e.question == nil {
		return ""
	}
	return e.question()
}

func (e *emulator) console() io.Reader { return e.out }
func (e *emulator) line() io.Reader    { return e.rec }

func (e *emulator) wait() error {
	<-e.ended
	if e.err == nil {
		return nil
	}
	msg := strings.TrimSpace(e.stderr.String())
	if msg == "" {
		return fmt.Errorf("%s: %v", filepath.Base(e.cmd.Path), e.err)
	}
	return fmt.Errorf("%s", strings.ReplaceAll(msg, "\n", "; "))
}

func (e *emulator) kill() {
	e.once.Do(func() {
		if e.cmd.SysProcAttr.Setpgid {
			syscall.Kill(-e.cmd.Process.Pid, syscall.SIGKILL)
		} else {
			e.cmd.Process.Kill()
		}
	})
}

// askQEMU stops at nothing: whatever fails, there is just less to tell.
func askQEMU(monitor string, a Arch) string {
	c, err := net.DialTimeout("unix", monitor, time.Second)
	if err != nil {
		return ""
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(5 * time.Second))
	io.WriteString(c, "info registers -a\n")
	var b bytes.Buffer
	buf := make([]byte, 4096)
	// The prompt comes once at connection and once after the answer.
	for bytes.Count(b.Bytes(), []byte("(qemu) ")) < 2 {
		n, err := c.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			break
		}
	}
	if a == AMD64 {
		// The kernel panics on an NMI of unknown source, naming the task.
		io.WriteString(c, "nmi\n")
		c.Read(buf)
	}
	var at []string
	for _, l := range strings.Split(b.String(), "\n") {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "CPU#") || strings.HasPrefix(l, "RIP=") || strings.HasPrefix(l, "PC=") || strings.HasPrefix(l, " PC=") || strings.HasPrefix(l, "PSTATE=") {
			at = append(at, l)
		}
	}
	return strings.Join(at, "; ")
}

// Version returns the emulator's first line about itself, "" if it has none.
func (m *Machine) Version(ctx context.Context) string {
	out, _ := exec.CommandContext(ctx, m.qemu(), "--version").Output()
	first, _, _ := strings.Cut(string(out), "\n")
	return first
}
