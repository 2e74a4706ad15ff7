// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Bochs has no -kernel option: the kernel boots from a CD image.
const (
	isolinuxBin = "/usr/lib/ISOLINUX/isolinux.bin"
	ldlinux     = "/usr/lib/syslinux/modules/bios/ldlinux.c32"
)

// bochsFiles are what Debian's packages have beside the commands.
var bochsFiles = []string{isolinuxBin, ldlinux, "/usr/share/bochs/BIOS-bochs-latest", "/usr/share/vgabios/vgabios.bin"}

type bochsBooter struct{ dir string }

// bochsrc configures the machine. An instruction takes 4 ns, as under icount.
// Each CPU executes 5 instructions in turn, so that neither waits for the
// other for longer than that. Nothing depends on the host's time.
const bochsrc = `display_library: sdl2
megs: %d
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
cpu: model=corei7_sandy_bridge_2600k, count=%d, ips=250000000, quantum=5, reset_on_triple_fault=0
clock: sync=none, time0=1780272000
ata0-master: type=cdrom, path=%s, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=/dev/fd/3
com2: enabled=1, mode=file, dev=/dev/fd/4
log: %s
panic: action=fatal
sound: driver=dummy, waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
speaker: enabled=0
`

func (b bochsBooter) boot(m *Machine) (running, error) {
	tree := filepath.Join(b.dir, "iso")
	if err := os.MkdirAll(filepath.Join(tree, "isolinux"), 0o755); err != nil {
		return nil, err
	}
	for dst, src := range map[string]string{"vmlinuz": m.Kernel, "initrd": m.initrd, "isolinux/isolinux.bin": isolinuxBin, "isolinux/ldlinux.c32": ldlinux} {
		data, err := os.ReadFile(src)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(tree, dst), data, 0o644); err != nil {
			return nil, err
		}
	}
	iso := filepath.Join(b.dir, "boot.iso")
	rc, log, debug := filepath.Join(b.dir, "bochsrc"), filepath.Join(b.dir, "bochs.log"), filepath.Join(b.dir, "debugger")
	for name, text := range map[string]string{
		filepath.Join(tree, "isolinux/isolinux.cfg"): "DEFAULT lab\nPROMPT 0\nLABEL lab\n KERNEL /vmlinuz\n INITRD /initrd\n APPEND " + m.cmdline("ttyS0,115200", "ttyS1") + "\n",
		rc:    fmt.Sprintf(bochsrc, m.MemoryMB, m.CPUs, iso, log),
		debug: "c\n", // Debian's Bochs starts in its debugger
	} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	mk := exec.Command("genisoimage", "-quiet", "-o", iso, "-b", "isolinux/isolinux.bin", "-c", "isolinux/boot.cat",
		"-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", tree)
	if out, err := mk.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("genisoimage: %v: %s", err, strings.TrimSpace(string(out)))
	}
	cmd := exec.Command("bochs", "-q", "-rc", debug, "-f", rc)
	// Its window goes nowhere.
	cmd.Env = append(os.Environ(), "SDL_VIDEODRIVER=dummy", "SDL_AUDIODRIVER=dummy", "LC_ALL=C")
	e, err := start(cmd, false, nil)
	if err != nil {
		return nil, err
	}
	return &bochsMachine{e, log}, nil
}

type bochsMachine struct {
	*emulator
	log string
}

// wait tells what Bochs said when it gave up. Its exit status is 1 even when
// the guest switched the machine off, so a signal is all that status tells.
func (b *bochsMachine) wait() error {
	<-b.ended
	var exit *exec.ExitError
	if errors.As(b.err, &exit) && !exit.Exited() {
		return fmt.Errorf("bochs: %v: %s", b.err, lastLine(b.stderr.String()))
	}
	out, _ := os.ReadFile(b.log)
	for _, l := range strings.Split(string(out), "\n") {
		if _, msg, ok := strings.Cut(l, ">>PANIC<<"); ok && !strings.Contains(msg, "ACPI") {
			return fmt.Errorf("bochs:%s", msg)
		}
	}
	return nil
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
