// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package deploy checks the deployment definitions beside it. It has no code
// of its own, and is a module of its own because the API types that it checks
// against are of no use to the rest of the repository.
package deploy

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// podOf returns the pod that a definition makes; unknown or misspelt fields
// are errors.
func podOf(t *testing.T, file string) corev1.PodSpec {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kind struct{ Kind string }
	if err := yaml.Unmarshal(b, &kind); err != nil {
		t.Fatal(err)
	}
	switch kind.Kind {
	case "Pod":
		var p corev1.Pod
		if err := yaml.UnmarshalStrict(b, &p); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		return p.Spec
	case "Job":
		var j batchv1.Job
		if err := yaml.UnmarshalStrict(b, &j); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if j.Spec.BackoffLimit == nil || *j.Spec.BackoffLimit != 0 {
			t.Errorf("%s: a failed campaign would be measured again", file)
		}
		return j.Spec.Template.Spec
	}
	t.Fatalf("%s: kind %q", file, kind.Kind)
	panic("unreachable")
}

// TestKubernetes: the pods get CPUs of their own (class Guaranteed, whole
// CPUs) and no privilege but the two.
func TestKubernetes(t *testing.T) {
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		spec := podOf(t, file)
		if spec.RestartPolicy != corev1.RestartPolicyNever {
			t.Errorf("%s: restart policy %s", file, spec.RestartPolicy)
		}
		volumes := make(map[string]bool)
		for _, v := range spec.Volumes {
			volumes[v.Name] = true
		}
		for _, c := range spec.Containers {
			req, lim := c.Resources.Requests, c.Resources.Limits
			for _, res := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				r, l := req[res], lim[res]
				if r.IsZero() || r.Cmp(l) != 0 {
					t.Errorf("%s: %s requests %s, limit %s: not of class Guaranteed", file, res, &r, &l)
				}
			}
			if cpu := req[corev1.ResourceCPU]; cpu.MilliValue()%1000 != 0 {
				t.Errorf("%s: %s CPUs are not whole, so none is its own", file, &cpu)
			}
			sc := c.SecurityContext
			if sc == nil || sc.Capabilities == nil || !slices.Equal(sc.Capabilities.Drop, []corev1.Capability{"ALL"}) ||
				!slices.Equal(sc.Capabilities.Add, []corev1.Capability{"SYS_NICE", "IPC_LOCK"}) {
				t.Fatalf("%s: capabilities are not just SYS_NICE and IPC_LOCK", file)
			}
			if sc.Privileged != nil || sc.AllowPrivilegeEscalation == nil || *sc.AllowPrivilegeEscalation {
				t.Errorf("%s: more privilege than it needs", file)
			}
			if sc.RunAsUser == nil || *sc.RunAsUser != 0 {
				t.Errorf("%s: an ordinary user has no use of added capabilities", file)
			}
			for _, m := range c.VolumeMounts {
				if !volumes[m.Name] {
					t.Errorf("%s: no volume %s", file, m.Name)
				}
			}
		}
	}
}

func TestCompose(t *testing.T) {
	load := func(env types.Mapping) *types.Project {
		p, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
			ConfigFiles: []types.ConfigFile{{Filename: "docker/compose.yaml"}}, WorkingDir: "docker", Environment: env,
		})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	s := load(types.Mapping{"RTLATENCY_CPUS": "2-3"}).Services["rtlatency"]
	if !slices.Equal(s.CapAdd, []string{"SYS_NICE", "IPC_LOCK"}) || !slices.Equal(s.CapDrop, []string{"ALL"}) || s.Privileged {
		t.Errorf("capabilities +%v -%v", s.CapAdd, s.CapDrop)
	}
	if s.Ulimits["rtprio"].Single != 99 || s.Ulimits["memlock"].Single != -1 {
		t.Errorf("ulimits %v", s.Ulimits)
	}
	if s.CPUSet != "2-3" || s.CPUS != 0 || s.CPUQuota != 0 {
		t.Errorf("cpuset %q, cpus %v, quota %v", s.CPUSet, s.CPUS, s.CPUQuota)
	}
	if s.Image != "rtgo/rtlatency" || s.Command[0] != "campaign" {
		t.Errorf("image %s, command %v", s.Image, s.Command)
	}
}

// stub puts a program on a PATH of its own and returns that PATH.
func stub(t *testing.T, programs map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, script := range programs {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/bash\n"+script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir + ":" + os.Getenv("PATH")
}

func run(t *testing.T, path string, args ...string) (out, errOut string, code int) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "PATH="+path, "POLL_SECONDS=0.1")
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

func TestDockerScript(t *testing.T) {
	path := stub(t, map[string]string{"docker": `printf '%s\n' "$@"; exit 2`})
	dir := filepath.Join(t.TempDir(), "results")
	out, _, code := run(t, path, "docker/rtlatency.sh", "-c", "2-3", "-o", dir, "-i", "img", "--", "-p80", "-D", "1")
	if code != 2 {
		t.Errorf("exit %d, want that of the container, 2", code)
	}
	got := strings.Split(strings.TrimSpace(out), "\n")
	if !slices.Equal(got[len(got)-4:], []string{"img", "-p80", "-D", "1"}) {
		t.Errorf("ends with %q", got[len(got)-4:])
	}
	for _, want := range []string{"--ulimit\nrtprio=99\n", "--ulimit\nmemlock=-1\n", "--cap-add\nSYS_NICE\n", "--cap-add\nIPC_LOCK\n", "--cap-drop\nALL\n", "--cpuset-cpus\n2-3\n", "--volume\n" + dir + ":/results\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if _, _, code := run(t, path, "docker/rtlatency.sh", "-x"); code != 64 {
		t.Errorf("wrong usage: exit %d", code)
	}
}

// cluster is a kubectl with two labelled nodes. The second one's pod says
// nothing; the Jobs that are created are kept.
const cluster = `
while [ "$1" = --namespace ]; do echo "$2" >>"$STATE/namespaces"; shift 2; done
case "$1 $2" in
"get nodes") [ -e "$STATE/none" ] || printf 'rt1.example\nrt2\n' ;;
"create -f") cat >"$STATE/job.$RANDOM$RANDOM" ;;
"get job") case $3 in rtlatency-rt1-example) echo "SuccessCriteriaMet Complete" ;; *) echo "FailureTarget Failed" ;; esac ;;
"logs job/rtlatency-rt1-example") cat "$STATE/log" ;;
"logs job/rtlatency-rt2") echo "no leave to use SCHED_FIFO" ;;
"delete job") ;;
*) echo "kubectl $*: unexpected" >&2; exit 1 ;;
esac
`

func TestCampaignScript(t *testing.T) {
	state, dir := t.TempDir(), filepath.Join(t.TempDir(), "out")
	t.Setenv("STATE", state)
	result := []byte(`{"version":1}`)
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(result)
	w.Close()
	log := fmt.Sprintf("[1/1] progress\n-----BEGIN RESULT-----\n%s\n-----END RESULT-----\n", base64.StdEncoding.EncodeToString(z.Bytes()))
	if err := os.WriteFile(filepath.Join(state, "log"), []byte(log), 0o644); err != nil {
		t.Fatal(err)
	}
	path := stub(t, map[string]string{"kubectl": cluster, "rtgo": `echo "rtgo $*"`})
	out, errOut, code := run(t, path, "kubernetes/campaign.sh", "-n", "lab", "-i", "r.example/x@sha256:ab", "-D", "5s", "-o", dir)
	if code != 1 || !strings.Contains(errOut, "rt2: Failed") {
		t.Errorf("one of two nodes failed: exit %d, %s", code, errOut)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "rt1.example.json")); err != nil || !bytes.Equal(b, result) {
		t.Errorf("collected %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "rt2.json")); err == nil {
		t.Error("a result of the node that gave none")
	}
	if !strings.Contains(out, "rtgo report -title Latency of 1 nodes -o "+dir+"/report "+dir+"/rt1.example.json") {
		t.Errorf("no report of the one result: %s", out)
	}
	jobs, _ := filepath.Glob(filepath.Join(state, "job.*"))
	names := make(map[string]string)
	for _, j := range jobs {
		spec := podOf(t, j)
		terms := spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms
		names[terms[0].MatchFields[0].Values[0]] = spec.Containers[0].Image
	}
	if len(names) != 2 || names["rt1.example"] != "r.example/x@sha256:ab" || names["rt2"] == "" {
		t.Errorf("jobs for %v", names)
	}
	if err := os.WriteFile(filepath.Join(state, "none"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, errOut, code := run(t, path, "kubernetes/campaign.sh", "-o", dir); code != 1 || !strings.Contains(errOut, "kubectl label node") {
		t.Errorf("no labelled node: exit %d, %s", code, errOut)
	}
	if _, _, code := run(t, path, "kubernetes/campaign.sh", "-i", "a|b", "-o", dir); code != 2 {
		t.Errorf("bad image: exit %d", code)
	}
}

// TestDockerfile: the definitions agree with the Dockerfile of the image that
// they run: its user, entry point and programs. test/image looks into the
// image itself.
func TestDockerfile(t *testing.T) {
	b, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	_, stage, ok := strings.Cut(string(b), " AS rtlatency\n")
	if !ok {
		t.Fatal("no stage rtlatency")
	}
	for _, want := range []string{"\nUSER 65532:65532\n", "\nENTRYPOINT [\"/usr/local/bin/rtlatency\"]\n"} {
		if !strings.Contains(stage, want) {
			t.Errorf("stage rtlatency has no %q", want)
		}
	}
	p, err := loader.LoadWithContext(context.Background(), types.ConfigDetails{
		ConfigFiles: []types.ConfigFile{{Filename: "docker/compose.yaml"}}, WorkingDir: "docker",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := p.Services["rtlatency"]
	if s.User != "65532:65532" || len(s.Entrypoint) > 0 {
		t.Errorf("compose: user %s, entry point %q", s.User, s.Entrypoint)
	}
	for _, arg := range s.Command {
		if _, file, ok := strings.Cut(arg, "=/usr/local/bin/"); ok && !strings.Contains(string(b), "$bin/"+file+" ") {
			t.Errorf("compose names /usr/local/bin/%s, which the Dockerfile does not make", file)
		}
	}
	out, _, code := run(t, os.Getenv("PATH"), "docker/rtlatency.sh", "-n", "--", "-p80")
	if want := "--user 65532:65532 rtgo/rtlatency -p80"; code != 0 || !strings.HasSuffix(strings.TrimSpace(out), want) {
		t.Errorf("rtlatency.sh -n: exit %d, %s does not end in %s", code, out, want)
	}
	pod := podOf(t, "kubernetes/pod.yaml").Containers[0]
	if pod.Image != s.Image || len(pod.Command) > 0 {
		t.Errorf("pod: image %s, command %q; compose has image %s", pod.Image, pod.Command, s.Image)
	}
}
