// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

// Package rebase carries the series of a release line to another upstream
// release: to the next one of the same line, or to another line.
//
// # What a program that runs it can rely on
//
// "rtgo rebase --to go1.X.Y" ends with one of these exit codes, which
// [Report.ExitCode] gives:
//
//	0  done: every patch is carried over and written to patches/, the pin is in
//	   upstream.json and pins/, and every check that was selected passed
//	1  it could not be done (no network, wrong hash, git failed); nothing was
//	   written to patches/, upstream.json and pins/
//	2  wrong usage
//	3  a human is needed; [Report.Status] says for what:
//	   "conflict"  a patch stopped the replay. Nothing was written to
//	               patches/, upstream.json and pins/. Resolve it in the
//	               checkout [Report.Checkout] with git, then run
//	               "rtgo rebase --to go1.X.Y --continue".
//	   "check"     all is written as for 0, but a check failed: the overlay
//	               does not compile with the new runtime, a test fails.
//	               Repair it, then "--continue" runs the checks again.
//
// With exit codes 0 and 3 the report is written, as JSON (--json FILE, the type
// [Report]) and as Markdown for a pull request (--markdown FILE). What is
// written to the repository is changes of files only: no commit is made, no
// branch touched. "git add patches upstream.json pins" is all that a commit
// needs. A rebase to what the repository has already, with nothing new to carry
// over, is exit code 0 and changes no file.
package rebase

// Status is how a rebase stands.
type Status string

const (
	Done     Status = "done"
	Conflict Status = "conflict"
	Check    Status = "check" // carried over, but a check failed
)

// A Report says what was done and what is left to do.
type Report struct {
	Schema   int     `json:"schema"` // 1; raised when a field changes its meaning
	Status   Status  `json:"status"`
	From     string  `json:"from"` // release whose series is carried over, such as "go1.26.8"
	To       string  `json:"to"`   // release it is carried to
	FromLine string  `json:"from_line"`
	ToLine   string  `json:"to_line"`
	Checkout string  `json:"checkout"` // directory in which conflicts are resolved
	Command  string  `json:"continue"` // what to run after that
	Patches  []Patch `json:"patches"`  // in order, up to the one that stopped the replay
	Waiting  int     `json:"waiting"`  // patches after that one

	// Identifiers of upstream that the overlay uses and that are not as they
	// were.
	Identifiers []Identifier `json:"identifiers"`

	// Reviews are the upstream functions that patches change or the overlay
	// calls and whose code is not as it was, although nothing conflicts.
	Reviews []Review `json:"reviews"`

	Lines   Lines        `json:"lines"`
	Checks  []CheckRun   `json:"checks"`
	Latency []LatencyRow `json:"latency"`
}

// ExitCode returns the exit code of rtgo rebase.
func (r *Report) ExitCode() int {
	if r.Status == Done {
		return 0
	}
	return 3
}

// Class says how a patch came over.
type Class string

const (
	Clean       Class = "clean"            // at the same lines
	LineNumbers Class = "line numbers"     // all context matches, elsewhere
	Kept        Class = "kept"             // strictly no, but the line has a port of this very patch
	ThreeWay    Class = "three-way"        // merged with what upstream changed around it
	ByHand      Class = "by hand"          // a human resolved it
	Dropped     Class = "dropped"          // a human left it out
	Upstreamed  Class = "already upstream" // the new release has it
	Conflicting Class = "conflict"         // upstream changed the same lines
	TargetGone  Class = "target gone"      // the file or function it changes is no more
)

// A Patch is what became of one patch.
type Patch struct {
	Name    string `json:"name"` // file name in the old line
	Subject string `json:"subject"`
	Class   Class  `json:"class"`
	What    string `json:"what"` // from the patch's message
	Why     string `json:"why"`

	// Moved has the new path of each file that upstream moved.
	Moved map[string]string `json:"moved,omitempty"`

	// Files that a human has to look at; empty but for Conflicting and
	// TargetGone.
	Conflicts []FileConflict `json:"conflicts,omitempty"`
}

// A FileConflict is a file of a patch that could not be merged.
type FileConflict struct {
	File   string `json:"file"`
	Reason string `json:"reason"` // "both changed", "file gone", "function gone"
	Patch  string `json:"patch"`  // our hunks for this file, as in the patch
	Merge  string `json:"merge"`  // git's combined diff with conflict marks; "" if the file is gone

	// Functions are the declarations that our hunks are in, and what upstream
	// made of them between the two releases.
	Functions []FunctionChange `json:"functions"`
}

// A FunctionChange is what upstream did to a declaration.
type FunctionChange struct {
	Name   string `json:"name"`           // "lock2", "(*mspan).sweep", "type m"
	File   string `json:"file"`           // in the old release
	New    string `json:"new,omitempty"`  // where it is now, as "file: name", if elsewhere
	Change string `json:"change"`         // "same", "changed", "moved", "renamed", "gone"
	Diff   string `json:"diff,omitempty"` // old release against new
}

// An Identifier is one of upstream's that the overlay uses and that vanished
// or is declared otherwise.
type Identifier struct {
	Package string   `json:"package"`
	Name    string   `json:"name"`   // "lock2", "m.locks"
	Change  string   `json:"change"` // "vanished" or "changed"
	Old     string   `json:"old"`    // declaration
	New     string   `json:"new,omitempty"`
	Uses    []string `json:"uses"` // "src-overlay/runtime/rt_on.go:12"
	Arch    []string `json:"arch"` // platforms on which it is so
}

// A Review is an upstream function whose new code someone should read.
type Review struct {
	Name string   `json:"name"`
	File string   `json:"file"` // in the new release
	By   []string `json:"by"`   // patches and overlay files that depend on it
	Diff string   `json:"diff"`
}

// Lines counts the upstream lines that the series touches.
type Lines struct {
	Old LineCount `json:"old"`
	New LineCount `json:"new"`
	Own LineCount `json:"own"` // part of New that the new line does not share
}

// A LineCount sums up a series.
type LineCount struct {
	Patches int `json:"patches"`
	Files   int `json:"files"`
	Hunks   int `json:"hunks"`
	Added   int `json:"added"`
	Removed int `json:"removed"`
}

// A CheckRun is one check of the result.
type CheckRun struct {
	Name    string  `json:"name"`
	Result  string  `json:"result"` // "pass", "fail" or "skip"
	Detail  string  `json:"detail"` // what failed, or figures
	Seconds float64 `json:"seconds"`
	Log     string  `json:"log,omitempty"` // file with all its output
}

// A LatencyRow is one figure of both toolchains, in microseconds.
type LatencyRow struct {
	Where    string   `json:"where"` // "native" or "lab amd64, simulated time"
	Scenario string   `json:"scenario"`
	Load     string   `json:"load"`
	Old      *Figures `json:"old"` // nil: not measured
	New      *Figures `json:"new"`
}

// Figures are of one measurement, in microseconds.
type Figures struct {
	P50     float64 `json:"p50"`
	P99     float64 `json:"p99"`
	Max     float64 `json:"max"`
	Control float64 `json:"control"` // maximum of the C control beside it; 0 if there was none
	Void    bool    `json:"void"`    // the control was over its bound: no figure
}
