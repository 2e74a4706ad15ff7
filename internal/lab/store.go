// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Store holds, per architecture, a PREEMPT_RT kernel and tools from
// Debian's packages, unpacked and never installed. It is a cache: Fetch makes
// it anew.
type Store struct {
	Dir string // such as out/cache/lab
}

// schema changes whenever a store of before lacks what is needed now.
const schema = 3

// A Manifest lists what a store holds for one architecture.
type Manifest struct {
	Schema   int       `json:"schema"`
	Arch     Arch      `json:"arch"`
	Kernel   string    `json:"kernel"` // path under root, such as boot/vmlinuz-6.1.0-56-rt-amd64
	Packages []Package `json:"packages"`
	Files    []Entry   `json:"files"`
}

// A Package is one Debian package that was unpacked.
type Package struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	SHA256  string `json:"sha256"` // of the .deb
}

// An Entry is one unpacked file or symbolic link.
type Entry struct {
	Path   string      `json:"path"` // under root, no leading slash
	Mode   fs.FileMode `json:"mode"`
	SHA256 string      `json:"sha256,omitempty"`
	Link   string      `json:"link,omitempty"`
}

// tools are the packages whose programs every guest has; crun only those that
// run containers.
var tools = []string{"busybox-static", "rt-tests", "stress-ng", "util-linux", "crun", "libc6"}

// utilLinux is what guests get of util-linux; busybox has the rest.
var utilLinux = []string{"chrt", "taskset", "prlimit", "unshare", "nsenter", "setpriv"}

func (s *Store) archDir(a Arch) string { return filepath.Join(s.Dir, string(a)) }

// Root returns the directory that holds the unpacked packages.
func (s *Store) Root(a Arch) string { return filepath.Join(s.archDir(a), "root") }

// ErrNotFetched says that a store has nothing for an architecture.
var ErrNotFetched = errors.New("not fetched")

// Manifest reads the manifest of an architecture. It returns an error that
// wraps ErrNotFetched if there is none.
func (s *Store) Manifest(a Arch) (*Manifest, error) {
	name := filepath.Join(s.archDir(a), "manifest.json")
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w; run 'rtgo lab fetch -arch %s'", name, ErrNotFetched, a)
	}
	if err != nil {
		return nil, err
	}
	m := new(Manifest)
	if err := json.Unmarshal(b, m); err != nil || m.Schema != schema || m.Arch != a || m.Kernel == "" {
		return nil, fmt.Errorf("%s is damaged or of another version of rtgo; run 'rtgo lab fetch -f -arch %s'", name, a)
	}
	return m, nil
}

// Verify compares every unpacked file with the manifest.
func (s *Store) Verify(a Arch) (*Manifest, error) {
	m, err := s.Manifest(a)
	if err != nil {
		return nil, err
	}
	for _, e := range m.Files {
		if e.SHA256 == "" {
			continue
		}
		got, err := hashFile(filepath.Join(s.Root(a), e.Path))
		if err == nil && got != e.SHA256 {
			err = errors.New("content differs from its checksum")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %v; run 'rtgo lab fetch -f -arch %s'", e.Path, err, a)
		}
	}
	return m, nil
}

// Fetch downloads and unpacks what an architecture needs, unless it is there
// and intact. With force it does so always, which also takes newer versions.
// It needs network access to the Debian archive of the host's apt sources and
// the commands apt-get and dpkg-deb, but no privileges: it keeps package lists
// of its own. Progress goes to w, one line at a time.
func (s *Store) Fetch(ctx context.Context, a Arch, force bool, w io.Writer) (*Manifest, error) {
	if err := os.MkdirAll(s.archDir(a), 0o755); err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, filepath.Join(s.archDir(a), "lock"), w)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if !force {
		m, err := s.Verify(a)
		if err == nil {
			return m, nil
		}
		if !errors.Is(err, ErrNotFetched) {
			fmt.Fprintf(w, "lab: %v; fetching again\n", err)
		}
	}
	for _, c := range []string{"apt-get", "apt-cache", "dpkg-deb"} {
		if _, err := exec.LookPath(c); err != nil {
			return nil, fmt.Errorf("no %s here: kernels and tools come from Debian packages; fetch on a Debian system and copy %s", c, s.Dir)
		}
	}
	tmp, err := os.MkdirTemp(s.archDir(a), "fetch-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	f := &fetch{arch: a, apt: filepath.Join(s.archDir(a), "apt"), debs: filepath.Join(tmp, "deb"), root: filepath.Join(tmp, "root"), w: w,
		seen: make(map[string]*deb), owner: make(map[string]*deb)}
	m, err := f.run(ctx)
	if err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(m, "", "\t")
	if err != nil {
		return nil, err
	}
	// The manifest goes first and comes last: without it nothing counts.
	manifest := filepath.Join(s.archDir(a), "manifest.json")
	if err := os.Remove(manifest); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, d := range []string{"root", "deb"} {
		if err := os.RemoveAll(filepath.Join(s.archDir(a), d)); err != nil {
			return nil, err
		}
		if err := os.Rename(filepath.Join(tmp, d), filepath.Join(s.archDir(a), d)); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(tmp, "m"), append(b, '\n'), 0o644); err != nil {
		return nil, err
	}
	if err := os.Rename(filepath.Join(tmp, "m"), manifest); err != nil {
		return nil, err
	}
	return m, nil
}

// A fetch is one download in progress.
type fetch struct {
	arch      Arch
	apt       string // apt's own state, kept between fetches
	debs      string
	root      string
	w         io.Writer
	seen      map[string]*deb // by package name
	owner     map[string]*deb // by path under root
	files     []Entry
	kernelDeb string
}

type deb struct {
	Package
	depends []string
	elf     []string // ELF files under root
}

func (f *fetch) run(ctx context.Context) (*Manifest, error) {
	for _, d := range []string{f.debs, f.root, filepath.Join(f.apt, "lists/partial"), filepath.Join(f.apt, "archives/partial")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(f.w, "lab: %s: reading Debian's package lists\n", f.arch)
	if _, err := f.command(ctx, "apt-get", "-q", "update"); err != nil {
		return nil, err
	}
	meta := "linux-image-rt-" + string(f.arch)
	out, err := f.command(ctx, "apt-cache", "depends", meta)
	if err != nil {
		return nil, fmt.Errorf("no package %s in the apt sources of this machine; they need Debian's main: %v", meta, err)
	}
	for _, l := range strings.Split(out, "\n") {
		if p, ok := strings.CutPrefix(strings.TrimSpace(l), "Depends: linux-image-"); ok {
			f.kernelDeb = "linux-image-" + p
		}
	}
	if f.kernelDeb == "" {
		return nil, fmt.Errorf("package %s depends on no kernel", meta)
	}
	if err := f.get(ctx, append([]string{f.kernelDeb}, tools...)); err != nil {
		return nil, err
	}
	if err := f.libraries(ctx); err != nil {
		return nil, err
	}
	m := &Manifest{Schema: schema, Arch: f.arch}
	for _, e := range f.files {
		if strings.HasPrefix(e.Path, "boot/vmlinuz-") {
			m.Kernel = e.Path
		}
	}
	if m.Kernel == "" {
		return nil, fmt.Errorf("package %s holds no boot/vmlinuz", f.kernelDeb)
	}
	m.Files = f.files
	slices.SortFunc(m.Files, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	for _, d := range f.seen {
		m.Packages = append(m.Packages, d.Package)
	}
	slices.SortFunc(m.Packages, func(a, b Package) int { return strings.Compare(a.Name, b.Name) })
	return m, nil
}

// command runs an apt or dpkg command on this fetch's own package state.
func (f *fetch) command(ctx context.Context, name string, args ...string) (string, error) {
	if strings.HasPrefix(name, "apt") {
		args = append([]string{
			"-oDir::State=" + f.apt, "-oDir::State::lists=" + filepath.Join(f.apt, "lists"),
			"-oDir::State::status=/dev/null", "-oDir::Cache=" + f.apt, "-oDir::Cache::archives=" + filepath.Join(f.apt, "archives"),
			"-oAPT::Architecture=" + string(f.arch), "-oAPT::Architectures=" + string(f.arch),
			"-oAPT::Sandbox::User=", "-oAcquire::Retries=3", "-oAcquire::http::Timeout=60",
		}, args...)
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = f.debs
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		msg := strings.TrimSpace(errs.String())
		if i := strings.LastIndexByte(msg, '\n'); i >= 0 {
			msg = msg[i+1:]
		}
		return "", fmt.Errorf("%s: %v: %s", name, err, msg)
	}
	return out.String(), nil
}

// get downloads and unpacks packages that are not there yet.
func (f *fetch) get(ctx context.Context, names []string) error {
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return f.seen[n] != nil })
	if len(names) == 0 {
		return nil
	}
	fmt.Fprintf(f.w, "lab: %s: downloading %s\n", f.arch, strings.Join(names, " "))
	if _, err := f.command(ctx, "apt-get", append([]string{"-q", "download"}, names...)...); err != nil {
		return err
	}
	debs, err := filepath.Glob(filepath.Join(f.debs, "*.deb"))
	if err != nil {
		return err
	}
	for _, file := range debs {
		out, err := f.command(ctx, "dpkg-deb", "-f", file, "Package", "Version", "Depends", "Pre-Depends")
		if err != nil {
			return err
		}
		d := new(deb)
		for _, l := range strings.Split(out, "\n") {
			k, v, _ := strings.Cut(l, ": ")
			switch k {
			case "Package":
				d.Name = v
			case "Version":
				d.Version = v
			case "Depends", "Pre-Depends":
				for _, alt := range strings.Split(v, ",") {
					name, _, _ := strings.Cut(strings.TrimSpace(alt), " ")
					name, _, _ = strings.Cut(name, ":")
					d.depends = append(d.depends, name)
				}
			}
		}
		if f.seen[d.Name] != nil {
			continue
		}
		if d.SHA256, err = hashFile(file); err != nil {
			return err
		}
		f.seen[d.Name] = d
		if err := f.unpack(ctx, file, d); err != nil {
			return fmt.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
	for _, n := range names {
		if f.seen[n] == nil {
			return fmt.Errorf("apt-get download %s left no such package", n)
		}
	}
	return nil
}

// unpack extracts what guests can use of a package: no documentation, and of
// the kernel no modules.
func (f *fetch) unpack(ctx context.Context, file string, d *deb) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", file)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	tr := tar.NewReader(out)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = f.extract(tr, h, d)
		}
		if err != nil {
			cmd.Process.Kill()
			cmd.Wait()
			return err
		}
	}
	io.Copy(io.Discard, out)
	return cmd.Wait()
}

func (f *fetch) extract(r io.Reader, h *tar.Header, d *deb) error {
	name := path.Clean(strings.TrimPrefix(h.Name, "./"))
	wanted := false
	dirs := []string{"bin/", "sbin/", "lib/", "lib64/", "usr/bin/", "usr/sbin/", "usr/lib/"}
	if d.Name == f.kernelDeb {
		dirs = []string{"boot/vmlinuz-", "boot/config-"}
	}
	for _, dir := range dirs {
		wanted = wanted || strings.HasPrefix(name, dir)
	}
	if !wanted || !filepath.IsLocal(name) || strings.Contains(name, "/gconv/") {
		return nil
	}
	if d.Name == "util-linux" && !slices.Contains(utilLinux, path.Base(name)) {
		return nil
	}
	dst := filepath.Join(f.root, name)
	e := Entry{Path: name, Mode: fs.FileMode(h.Mode) & 0o777}
	switch h.Typeflag {
	case tar.TypeReg:
		if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
			return err
		}
		out, err := os.OpenFile(dst, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, e.Mode|0o600)
		if err != nil {
			return err
		}
		sum := sha256.New()
		_, err = io.Copy(io.MultiWriter(out, sum), r)
		if err1 := out.Close(); err == nil {
			err = err1
		}
		if err != nil {
			return err
		}
		e.SHA256 = hex.EncodeToString(sum.Sum(nil))
		if isELF(dst) {
			d.elf = append(d.elf, name)
		}
	case tar.TypeSymlink:
		if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
			return err
		}
		e.Link = h.Linkname
		os.Remove(dst)
		if err := os.Symlink(h.Linkname, dst); err != nil {
			return err
		}
	default:
		return nil
	}
	f.owner[name] = d
	f.files = append(f.files, e)
	return nil
}

// libraries downloads the libraries of the unpacked programs: for a program or
// library that lacks one, those packages it depends on that are libraries.
func (f *fetch) libraries(ctx context.Context) error {
	for {
		lacking := make(map[*deb]string)
		l := &linker{roots: []string{f.root}, arch: f.arch}
		for _, t := range tools {
			for _, p := range f.seen[t].elf {
				if !strings.Contains(p, "bin/") {
					continue
				}
				libs, missing, err := l.closure(filepath.Join(f.root, p))
				if err != nil {
					return err
				}
				for _, m := range missing {
					// A library's package supplies what that library lacks.
					by := f.seen[t]
					for _, lib := range libs {
						if lib.Soname == m.neededBy {
							rel, _ := filepath.Rel(f.root, lib.Real)
							if o := f.owner[filepath.ToSlash(rel)]; o != nil {
								by = o
							}
						}
					}
					lacking[by] = m.soname
				}
			}
		}
		if len(lacking) == 0 {
			return nil
		}
		var names []string
		for d := range lacking {
			for _, p := range d.depends {
				if (strings.HasPrefix(p, "lib") || strings.HasPrefix(p, "zlib")) && f.seen[p] == nil {
					names = append(names, p)
				}
			}
		}
		if len(names) == 0 {
			for d, lib := range lacking {
				return fmt.Errorf("%s needs %s, which none of its dependencies holds", d.Name, lib)
			}
		}
		slices.Sort(names)
		if err := f.get(ctx, slices.Compact(names)); err != nil {
			return err
		}
	}
}

func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// waitNotice is how long a lock is waited for in silence.
const waitNotice = time.Second
