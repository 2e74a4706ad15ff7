// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rebase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/toolchain"
	"rtgo.dev/rtgo/internal/typecheck"
	"rtgo.dev/rtgo/test/rtlatency/result"
)

// A CheckKind is a check of what was carried over.
type CheckKind struct {
	Name string
	Doc  string
	run  func(r *Rebase, ctx context.Context, e *checkEnv) (detail string, err error)
}

// Kinds are the checks, in the order in which they are made. Those from build
// on need the toolchain that build makes.
var Kinds = []CheckKind{
	{"lint", "form of the series", (*Rebase).checkLint},
	{"types", "the overlay type-checks against the new runtime, on every platform, with and without the experiment", (*Rebase).checkTypes},
	{"each", "what a patch touches type-checks after each patch", (*Rebase).checkEach},
	{"build", "rtgo build of the new release", (*Rebase).checkBuild},
	{"rt", "tests of the rt module", (*Rebase).checkRT},
	{"stress", "random use of real-time goroutines", (*Rebase).checkStress},
	{"text", "GOEXPERIMENT=nort compiles upstream's machine code", (*Rebase).checkText},
	{"upstream-test", "Go's own tests, patched against unpatched", (*Rebase).checkUpstream},
	{"lab", "latency under a PREEMPT_RT kernel in simulated time, beside that of the old release", (*Rebase).checkLab},
}

// A checkEnv is what checks need to know.
type checkEnv struct {
	self      string // rtgo command
	out       string // output directory of builds
	goroot    string // toolchain of the new release
	oldGOROOT string // of the old release; may be missing
	log       string // file for output
}

// Select returns the checks of a comma-separated list of names; "all" and
// "none" are such names too.
func Select(list string) ([]string, error) {
	var names []string
	for _, k := range Kinds {
		names = append(names, k.Name)
	}
	switch list {
	case "all":
		return names, nil
	case "none", "":
		return nil, nil
	}
	want := strings.Split(list, ",")
	for _, w := range want {
		if !slices.Contains(names, w) {
			return nil, fmt.Errorf("unknown check %q; known are %s, all and none", w, strings.Join(names, ", "))
		}
	}
	return want, nil
}

// Check makes the named checks of a rebase that is done. Self is the rtgo
// command; builds and logs go below out. oldGOROOT is a toolchain of the old
// release to compare latencies with. A check after one that failed is still
// made, unless it needs a toolchain that was not built.
func (r *Rebase) Check(ctx context.Context, names []string, self, out, oldGOROOT string) error {
	rep := &r.state.Report
	rep.Checks, rep.Latency = nil, nil
	logs := filepath.Join(out, "rebase-"+r.to.Version+"-logs")
	if err := os.MkdirAll(logs, 0o777); err != nil {
		return err
	}
	e := &checkEnv{self: self, out: filepath.Join(out, r.to.Line), oldGOROOT: oldGOROOT}
	e.goroot = filepath.Join(e.out, "go")
	built := true
	for _, k := range Kinds {
		if !slices.Contains(names, k.Name) {
			continue
		}
		run := CheckRun{Name: k.Name, Result: "pass", Log: filepath.Join(logs, k.Name+".log")}
		e.log = run.Log
		os.Remove(e.log)
		r.o.Logf("checking: %s", k.Doc)
		start := time.Now()
		if needsBuild := k.Name != "build" && slices.IndexFunc(Kinds, func(o CheckKind) bool { return o.Name == k.Name }) > 3; needsBuild && !built {
			run.Result, run.Detail = "skip", "there is no toolchain"
		} else if detail, err := k.run(r, ctx, e); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			run.Result, run.Detail = "fail", strings.TrimSpace(err.Error()+"\n"+detail)
			built = built && k.Name != "build"
		} else {
			run.Detail = detail
		}
		run.Seconds = time.Since(start).Seconds()
		if _, err := os.Stat(run.Log); err != nil {
			run.Log = ""
		}
		line, _, _ := strings.Cut(run.Detail, "\n")
		r.o.Logf("%s %s: %s", run.Result, k.Name, line)
		rep.Checks = append(rep.Checks, run)
	}
	rep.Status = Done
	if slices.ContainsFunc(rep.Checks, func(c CheckRun) bool { return c.Result != "pass" }) {
		rep.Status = Check
	}
	return r.write()
}

// command runs a program with its output in the log and returns the output's
// last lines.
func (e *checkEnv) command(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	log, err := os.OpenFile(e.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return "", err
	}
	defer log.Close()
	fmt.Fprintf(log, "$ %s\n", strings.Join(args, " "))
	begin, err := log.Seek(0, 2)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, env, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	runErr := cmd.Run()
	data, err := os.ReadFile(e.log)
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimRight(string(data[begin:]), "\n"), "\n")
	if n := len(lines); n > 15 {
		lines = lines[n-15:]
	}
	tail := strings.Join(lines, "\n")
	if runErr != nil {
		return tail, fmt.Errorf("%s: %v", strings.Join(args[:min(2, len(args))], " "), runErr)
	}
	return tail, nil
}

// rtgo runs a subcommand of ours.
func (e *checkEnv) rtgo(ctx context.Context, root string, args ...string) (string, error) {
	return e.command(ctx, root, append(os.Environ(), "RTGO_ROOT="+root), append([]string{e.self}, args...)...)
}

// last returns the last line of a text.
func last(s string) string {
	return s[strings.LastIndexByte(s, '\n')+1:]
}

func (r *Rebase) checkLint(ctx context.Context, e *checkEnv) (string, error) {
	set, err := series.LoadSet(r.o.Root, r.to.Line)
	if err != nil {
		return "", err
	}
	problems := series.Lint(set)
	if r.from != nil && r.from.Line != r.to.Line {
		drift, err := series.Drift(r.o.Root, r.from.Line, r.to.Line)
		if err != nil {
			return "", err
		}
		problems = append(problems, drift...)
	}
	if len(problems) == 0 {
		return fmt.Sprintf("%d patches", len(set.Patches)), nil
	}
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n"), fmt.Errorf("%d problems", len(lines))
}

// overlayFiles links the overlay as it is now into the checkout and returns
// the paths.
func (r *Rebase) overlayFiles() ([]string, error) {
	overlay, err := series.LoadOverlay(filepath.Join(r.o.Root, "src-overlay"))
	if err != nil {
		return nil, err
	}
	r.set.Overlay = overlay
	var files []string
	for _, f := range overlay {
		files = append(files, f.Path)
	}
	_, err = r.checkout.Sync(overlay)
	return files, err
}

func (r *Rebase) checkTypes(ctx context.Context, e *checkEnv) (string, error) {
	files, err := r.overlayFiles()
	if err != nil {
		return "", err
	}
	errs, err := typecheck.Overlay(r.o.Dir, r.to.Version, files)
	if err != nil {
		return "", err
	}
	if len(errs) > 0 {
		return strings.Join(errs, "\n"), fmt.Errorf("%d errors", len(errs))
	}
	return fmt.Sprintf("%d overlay files in %s", len(files), strings.Join(typecheck.Packages(files), ", ")), nil
}

var positionRE = regexp.MustCompile(`^\S+?:\d+:\d+: `)

// checkEach type-checks, after each patch, the packages that it touches, with
// the real-time runtime compiled out: with it, the overlay needs all patches.
// What does not check in upstream's tree either, for want of files that a build
// generates, does not count.
func (r *Rebase) checkEach(ctx context.Context, e *checkEnv) (string, error) {
	if _, err := r.overlayFiles(); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp("", "rtgo-each-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	repo := &series.Repo{GitDir: filepath.Join(tmp, ".git"), WorkTree: tmp, Date: r.to.Time()}
	if err := os.Mkdir(repo.GitDir, 0o777); err != nil {
		return "", err
	}
	for _, args := range [][]string{{"init", "-q"},
		{"fetch", "-q", "--no-tags", r.checkout.GitDir, "HEAD:refs/rtgo/new", "refs/tags/upstream:refs/rtgo/upstream"},
		{"checkout", "-q", "refs/rtgo/upstream"}} {
		if _, err := repo.Git(ctx, args...); err != nil {
			return "", err
		}
	}
	errorsOf := func(pkg string) ([]string, error) {
		t, err := typecheck.Open(tmp, r.to.Version, "amd64", "nort")
		if err != nil || !t.Has(pkg) {
			return nil, err
		}
		p, err := t.Load(pkg)
		if err != nil {
			return nil, err
		}
		return t.Problems(p), nil
	}
	upstreams := map[string][]string{} // errors that upstream's tree has
	commits, err := repo.Git(ctx, "rev-list", "--reverse", "refs/rtgo/upstream..refs/rtgo/new")
	if err != nil {
		return "", err
	}
	touched := func(commit string) ([]string, error) {
		out, err := repo.Git(ctx, "show", "--format=", "--name-only", commit)
		return typecheck.Packages(strings.Fields(out)), err
	}
	list := strings.Fields(commits)
	for _, c := range list {
		pkgs, err := touched(c)
		if err != nil {
			return "", err
		}
		for _, pkg := range pkgs {
			if _, ok := upstreams[pkg]; ok {
				continue
			}
			errs, err := errorsOf(pkg)
			if err != nil {
				return "", err
			}
			for i := range errs {
				errs[i] = positionRE.ReplaceAllString(errs[i], "")
			}
			upstreams[pkg] = errs
		}
	}
	add := map[string][]byte{toolchain.StampFile: toolchain.StampSource(toolchain.DevStamp(r.to))}
	for _, f := range r.set.Overlay {
		add[f.Path] = f.Data
	}
	for name, data := range add {
		file := filepath.Join(tmp, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return "", err
		}
		if err := os.WriteFile(file, data, 0o666); err != nil {
			return "", err
		}
	}
	checked := 0
	for _, c := range list {
		if _, err := repo.Git(ctx, "checkout", "-q", c); err != nil {
			return "", err
		}
		pkgs, err := touched(c)
		if err != nil {
			return "", err
		}
		for _, pkg := range pkgs {
			errs, err := errorsOf(pkg)
			if err != nil {
				return "", err
			}
			checked++
			errs = slices.DeleteFunc(errs, func(s string) bool { return slices.Contains(upstreams[pkg], positionRE.ReplaceAllString(s, "")) })
			if len(errs) > 0 {
				subject, _ := repo.Git(ctx, "log", "-1", "--format=%s", c)
				return strings.Join(errs, "\n"), fmt.Errorf("after %q: %d errors in %s", strings.TrimSpace(subject), len(errs), pkg)
			}
		}
	}
	return fmt.Sprintf("%d packages after %d patches", checked, len(list)), nil
}

func (r *Rebase) checkBuild(ctx context.Context, e *checkEnv) (string, error) {
	args := []string{"build", "--upstream", r.to.Version, "--out", e.out, "--no-demo"}
	if r.o.ToGOROOT != "" {
		args = append(args, "--goroot", r.o.ToGOROOT)
	}
	if r.o.Bootstrap != "" {
		args = append(args, "--bootstrap", r.o.Bootstrap)
	}
	out, err := e.rtgo(ctx, r.o.Root, args...)
	if err != nil {
		return out, err
	}
	return last(out), nil
}

func (r *Rebase) checkRT(ctx context.Context, e *checkEnv) (string, error) {
	out, err := e.command(ctx, filepath.Join(r.o.Root, "rt"), toolchain.GoEnv(os.Environ(), e.goroot),
		filepath.Join(e.goroot, "bin", "go"), "test", "-count=1", "./...")
	if err != nil {
		return out, err
	}
	first, _, _ := strings.Cut(out, "\n")
	return first, nil
}

func (r *Rebase) checkStress(ctx context.Context, e *checkEnv) (string, error) {
	bin := filepath.Join(e.out, "cache", "rtstress")
	env := toolchain.GoEnv(os.Environ(), e.goroot)
	if out, err := e.command(ctx, r.o.Root, env, filepath.Join(e.goroot, "bin", "go"), "build", "-o", bin, "./test/rtstress"); err != nil {
		return out, err
	}
	for _, setting := range []string{"X=", "GODEBUG=gccheckmark=1", "GOGC=1"} {
		if out, err := e.command(ctx, r.o.Root, append(os.Environ(), setting), bin, "-ops", "20000", "-seed", "21", "-q"); err != nil {
			return out, fmt.Errorf("with %s: %v", setting, err)
		}
	}
	return "20,000 operations, also with gccheckmark=1 and with GOGC=1", nil
}

func (r *Rebase) checkText(ctx context.Context, e *checkEnv) (string, error) {
	out, err := e.rtgo(ctx, r.o.Root, "text-compare", "-q", "-goroot", e.goroot)
	if err != nil {
		return out, err
	}
	return last(out), nil
}

func (r *Rebase) checkUpstream(ctx context.Context, e *checkEnv) (string, error) {
	file := strings.TrimSuffix(e.log, ".log") + ".json"
	out, err := e.rtgo(ctx, r.o.Root, "upstream-test", "-q", "-goroot", e.goroot, "-json", file)
	data, rerr := os.ReadFile(file)
	if rerr != nil {
		return out, errors.Join(err, rerr)
	}
	var res struct {
		Compared, New, Better int
		Differences           []struct{ Pkg, Test, Verdict string }
	}
	if jerr := json.Unmarshal(data, &res); jerr != nil {
		return out, jerr
	}
	lines := []string{fmt.Sprintf("%d tests compared, %d only patched, %d pass only patched, %d differences", res.Compared, res.New, res.Better, len(res.Differences))}
	for _, d := range res.Differences {
		lines = append(lines, fmt.Sprintf("%s: %s.%s", d.Verdict, d.Pkg, d.Test))
	}
	return strings.Join(lines, "\n"), err
}

const (
	// labScenarios are measured without load and beside one that allocates
	// and computes.
	labScenarios = "periodic/abs,handover/chan,network/udp,memory/alloc-cycle"

	// labDuration spans some tens of the collector's cycles. In 2 s there are
	// one or two, and the median of a task that allocates says whether it met
	// marking (86 or 117 µs).
	labDuration = "20s"

	// labSecondSeed is for figures that are measured again.
	labSecondSeed = 2
)

// Tolerances of the lab's figures, which repeat within a few percent: the new
// release's may be this much greater than the old one's.
const (
	quantileFactor, quantileExtra = 1.10, 2.0 // µs
	maxFactor, maxExtra           = 1.50, 10.0
)

// checkLab measures both toolchains, each load of each in a boot of its own
// beside its control. A figure that is worse than tolerated is measured again
// with another seed, on both sides, and counts if it is worse there as well: a
// maximum is one event of some thousand.
func (r *Rebase) checkLab(ctx context.Context, e *checkEnv) (string, error) {
	old := ""
	if v, err := os.ReadFile(filepath.Join(e.oldGOROOT, "VERSION")); err == nil && strings.HasPrefix(string(v), r.state.Report.From+"-") {
		old = e.oldGOROOT
	}
	rep := &r.state.Report
	out, err := r.labFigures(ctx, e, old, labScenarios, nil, 0, &rep.Latency)
	if err != nil {
		return out, err
	}
	if old == "" {
		return fmt.Sprintf("%d figures measured; no toolchain of %s in %s to compare with", len(rep.Latency), rep.From, e.oldGOROOT), nil
	}
	compared, worse := worseFigures(rep.Latency)
	if len(worse) == 0 {
		return fmt.Sprintf("%d of %d figures compared, none worse than tolerated", compared, len(rep.Latency)), nil
	}
	var scenarios, loads []string
	for _, w := range worse {
		if !slices.Contains(scenarios, w.scenario) {
			scenarios = append(scenarios, w.scenario)
		}
		if !slices.Contains(loads, w.load) {
			loads = append(loads, w.load)
		}
	}
	var again []LatencyRow
	if out, err := r.labFigures(ctx, e, old, strings.Join(scenarios, ","), loads, labSecondSeed, &again); err != nil {
		return out, err
	}
	_, second := worseFigures(again)
	var both, once []string
	for _, w := range worse {
		if i := slices.IndexFunc(second, w.same); i >= 0 {
			both = append(both, fmt.Sprintf("%v; with another seed %.1f µs and %.1f µs", w, second[i].old, second[i].new))
		} else {
			once = append(once, fmt.Sprintf("%v; not with another seed", w))
		}
	}
	if len(both) > 0 {
		return strings.Join(append(both, once...), "\n"), fmt.Errorf("%d figures are worse than tolerated", len(both))
	}
	return fmt.Sprintf("%d of %d figures compared, none worse than tolerated twice: %s", compared, len(rep.Latency), strings.Join(once, "; ")), nil
}

// labFigures adds the figures of both toolchains, or of the new one alone if
// old is "", to rows. No loads are those of the quick list.
func (r *Rebase) labFigures(ctx context.Context, e *checkEnv, old, scenarios string, loads []string, seed int, rows *[]LatencyRow) (string, error) {
	args := []string{"campaign", "-on", "amd64", "-scenario", scenarios, "-D", labDuration, "-no-c", "-stock", "none", "-seed", strconv.Itoa(seed)}
	for _, l := range loads {
		args = append(args, "-load", l)
	}
	for _, goroot := range []string{old, e.goroot} {
		if goroot == "" {
			continue
		}
		file := strings.TrimSuffix(e.log, ".log") + ".json"
		if out, err := e.rtgo(ctx, r.o.Root, append(args, "-rtgo", goroot, "-o", file)...); err != nil {
			return out, err
		}
		run, err := result.ReadFile(file)
		if err != nil {
			return "", err
		}
		for i := range run.Measurements {
			m := &run.Measurements[i]
			s := m.All()
			if m.Toolchain != result.RTGo || s == nil {
				continue
			}
			f := &Figures{P50: us(s.P50NS), P99: us(s.P99NS), Max: us(s.MaxNS), Void: m.Validity == result.Void}
			if m.Control != nil {
				for _, t := range m.Control.Threads {
					f.Control = max(f.Control, us(t.MaxNS))
				}
			}
			load := strings.Join(m.Load, ",")
			if load == "" {
				load = "none"
			}
			i := slices.IndexFunc(*rows, func(l LatencyRow) bool { return l.Load == load && l.Scenario == m.Scenario })
			if i < 0 {
				i = len(*rows)
				*rows = append(*rows, LatencyRow{Where: "lab amd64, simulated time", Scenario: m.Scenario, Load: load})
			}
			if goroot == old {
				(*rows)[i].Old = f
			} else {
				(*rows)[i].New = f
			}
		}
	}
	return "", nil
}

// A worseFigure is one that is worse than tolerated, µs.
type worseFigure struct {
	scenario, load, name string
	old, new             float64
}

func (w worseFigure) same(x worseFigure) bool {
	return x.scenario == w.scenario && x.load == w.load && x.name == w.name
}

func (w worseFigure) String() string {
	return fmt.Sprintf("%s, load %s: %s was %.1f µs, is %.1f µs", w.scenario, w.load, w.name, w.old, w.new)
}

// worseFigures compares old and new, and returns how many rows could be.
func worseFigures(rows []LatencyRow) (compared int, worse []worseFigure) {
	for _, row := range rows {
		if row.Old == nil || row.New == nil || row.Old.Void || row.New.Void {
			continue
		}
		compared++
		for _, f := range []struct {
			name          string
			old, new      float64
			factor, extra float64
		}{{"p50", row.Old.P50, row.New.P50, quantileFactor, quantileExtra}, {"p99", row.Old.P99, row.New.P99, quantileFactor, quantileExtra},
			{"max", row.Old.Max, row.New.Max, maxFactor, maxExtra}} {
			if f.new > f.old*f.factor+f.extra {
				worse = append(worse, worseFigure{row.Scenario, row.Load, f.name, f.old, f.new})
			}
		}
	}
	return compared, worse
}

func us(ns int64) float64 { return float64(ns) / 1000 }
