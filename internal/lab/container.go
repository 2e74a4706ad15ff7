// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A container image is the exported root file system in a directory, and its
// configuration in the file of that name with ".json" added, as ci/image.sh
// writes them.

// An ImageConfig is the part of an OCI image's configuration that says how a
// container of it runs.
type ImageConfig struct {
	User       string // "UID[:GID]", or ""
	Env        []string
	Entrypoint []string
	Cmd        []string
	WorkingDir string
}

// ReadImageConfig reads the configuration beside the root file system dir.
func ReadImageConfig(dir string) (*ImageConfig, error) {
	if fi, err := os.Stat(dir); err != nil || !fi.IsDir() {
		return nil, fmt.Errorf("no root file system in %s; make it with ci/image.sh", dir)
	}
	b, err := os.ReadFile(filepath.Clean(dir) + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%v; ci/image.sh writes it beside the root file system", err)
	}
	if err != nil {
		return nil, err
	}
	c := new(ImageConfig)
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("%s.json: %v", dir, err)
	}
	return c, nil
}

// A Container is a command in a root file system, with the rights and limits
// that a container engine would give it. It is run by crun, in namespaces and
// a control group of its own, without a network.
type Container struct {
	Args []string
	Env  []string
	Dir  string
	User string // "UID[:GID]", in numbers; "" is root

	// Caps are the capabilities that the container may have at most, without
	// "CAP_". Root has them; an ordinary user has none of them in effect, as
	// under docker, unless Ambient is set, as podman does.
	Caps    []string
	Ambient bool

	// Rlimits, such as "rtprio": 99; -1 is unlimited. What is not given is the
	// kernel's default and not what the lab's init has.
	Rlimits map[string]int64

	CPUs   string // of the control group's cpuset; "" is all
	CPUMax string // "QUOTA PERIOD" in µs, as in cpu.max; "" is no quota

	// UserNamespace gives it a user namespace of its own, as engines do that
	// run without root.
	UserNamespace bool
}

// Where containers are in the guest.
const (
	containerRoot    = "/container/rootfs"
	containerResults = "/container/results" // in the container it is /results
)

// AddRootfs adds the root file system in the host directory dir, and the
// program that runs containers.
func (m *Image) AddRootfs(s *Store, a Arch, dir string) error {
	if err := m.AddFile(containerRoot, dir); err != nil {
		return err
	}
	m.dir(containerResults, 0o777)
	root := s.Root(a)
	return m.addProgram("/usr/bin/crun", filepath.Join(root, "usr/bin/crun"), &linker{arch: a, roots: []string{root}})
}

// AddContainer adds the definition of a container, which ContainerCommand runs.
func (m *Image) AddContainer(name string, c *Container) error {
	spec, err := c.spec(name)
	if err != nil {
		return fmt.Errorf("container: %w", err)
	}
	b, err := json.MarshalIndent(spec, "", "\t")
	if err != nil {
		return err
	}
	m.AddData("/container/"+name+"/config.json", b, 0o644)
	return nil
}

// ContainerCommand returns the guest's command that runs a container.
func ContainerCommand(name string) []string {
	// The guest's root is an initramfs, from which pivot_root(2) cannot move.
	return []string{"crun", "--cgroup-manager=cgroupfs", "run", "--no-pivot", "--bundle", "/container/" + name, name}
}

// parseUser reads "UID[:GID]".
func parseUser(s string) (uid, gid int, err error) {
	if s == "" {
		return 0, 0, nil
	}
	u, g, hasGroup := strings.Cut(s, ":")
	uid, err = strconv.Atoi(u)
	if err == nil && hasGroup {
		gid, err = strconv.Atoi(g)
	}
	if err != nil || uid < 0 || gid < 0 {
		return 0, 0, fmt.Errorf("user %q is not UID or UID:GID in numbers", s)
	}
	return uid, gid, nil
}

// containerCaps are the capabilities that may be given.
var containerCaps = []string{"SYS_NICE", "IPC_LOCK", "SYS_RESOURCE", "SYS_PTRACE", "NET_ADMIN", "SYS_ADMIN"}

// defaultRlimits are those of a process that nobody has given any.
var defaultRlimits = map[string]int64{"rtprio": 0, "nice": 0, "memlock": 8 << 20, "nofile": 1 << 20, "rttime": -1, "core": 0}

// A spec is a configuration as the OCI runtime specification has it.
type spec = map[string]any

// spec returns the OCI configuration, in what docker makes of its flags.
func (c *Container) spec(name string) (spec, error) {
	if len(c.Args) == 0 {
		return nil, errors.New("no command")
	}
	uid, gid, err := parseUser(c.User)
	if err != nil {
		return nil, err
	}
	caps := []string{}
	for _, name := range c.Caps {
		name = strings.TrimPrefix(strings.ToUpper(name), "CAP_")
		if !slices.Contains(containerCaps, name) {
			return nil, fmt.Errorf("capability %s is not known here; use one of %s", name, strings.Join(containerCaps, ", "))
		}
		caps = append(caps, "CAP_"+name)
	}
	ambient := []string{}
	if c.Ambient {
		ambient = caps
	}
	limits := make(map[string]int64)
	for k, v := range defaultRlimits {
		limits[k] = v
	}
	for k, v := range c.Rlimits {
		if _, ok := defaultRlimits[k]; !ok {
			return nil, fmt.Errorf("limit %s is not known here; use rtprio, nice, memlock, nofile, rttime or core", k)
		}
		limits[k] = v
	}
	var rlimits []spec
	for k, v := range limits {
		n := uint64(v) // -1 is RLIM_INFINITY
		rlimits = append(rlimits, spec{"type": "RLIMIT_" + strings.ToUpper(k), "soft": n, "hard": n})
	}
	slices.SortFunc(rlimits, func(a, b spec) int { return strings.Compare(a["type"].(string), b["type"].(string)) })
	cpu := spec{}
	if c.CPUs != "" {
		cpu["cpus"] = c.CPUs
	}
	if c.CPUMax != "" {
		var quota, period int64
		if n, err := fmt.Sscanf(c.CPUMax, "%d %d", &quota, &period); n != 2 || err != nil || quota < 1000 || period < 1000 {
			return nil, fmt.Errorf("cpu.max %q is not QUOTA PERIOD in µs, each at least 1000", c.CPUMax)
		}
		cpu["quota"], cpu["period"] = quota, period
	}
	namespaces := []spec{{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"}}
	linux := spec{
		"cgroupsPath": "/rtgo/" + name,
		"resources":   spec{"cpu": cpu},
		"maskedPaths": []string{"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
			"/proc/sched_debug", "/proc/scsi", "/sys/firmware"},
		"readonlyPaths": []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
	}
	if c.UserNamespace {
		namespaces = append(namespaces, spec{"type": "user"})
		ids := []spec{{"containerID": 0, "hostID": 100000, "size": 65536}}
		linux["uidMappings"], linux["gidMappings"] = ids, ids
	}
	linux["namespaces"] = namespaces
	dir := c.Dir
	if dir == "" {
		dir = "/"
	}
	return spec{
		"ociVersion": "1.0.2",
		"hostname":   "container",
		"root":       spec{"path": containerRoot, "readonly": true},
		"process": spec{
			"terminal": false, "cwd": path.Clean(dir), "args": c.Args,
			"env":             append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/tmp", "RTGO_LAB=guest"}, c.Env...),
			"user":            spec{"uid": uid, "gid": gid},
			"capabilities":    spec{"bounding": caps, "effective": caps, "permitted": caps, "inheritable": ambient, "ambient": ambient},
			"rlimits":         rlimits,
			"noNewPrivileges": true,
		},
		"mounts": []spec{
			{"destination": "/proc", "type": "proc", "source": "proc", "options": []string{"nosuid", "noexec", "nodev"}},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
			{"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
			{"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": []string{"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
			{"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": []string{"nosuid", "noexec", "nodev"}},
			{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": []string{"nosuid", "noexec", "nodev", "ro"}},
			{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": []string{"nosuid", "noexec", "nodev", "ro"}},
			{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "nodev", "mode=1777"}},
			{"destination": "/results", "type": "bind", "source": containerResults, "options": []string{"rbind", "rw"}},
		},
		"linux": linux,
	}, nil
}
