// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"rtgo.dev/rtgo/internal/series"
	"rtgo.dev/rtgo/internal/toolchain"
)

func init() {
	register("edit", "make a git checkout with the series applied as commits", `
Usage: rtgo edit [flags] [DIR]

Edit makes DIR (default out/edit-LINE, such as out/edit-go1.26) a git checkout of upstream with
each patch as a commit after the tag "upstream", for you to change with your
own git: commit, commit --amend, rebase -i upstream. The files of src-overlay
appear in it as links that git ignores; editing one edits the overlay. When
the commits are as they should be, 'rtgo export' writes them to patches/.

If a patch does not apply, the checkout holds those before it. Apply it by
hand ('git am -3 FILE', resolve, 'git am --continue'), then the rest with
'git am', then export.

With a toolchain in out/go the checkout is also a GOROOT that compiles your
edits at once; see 'rtgo help dev'.

Examples:
	rtgo edit
	cd out/edit-go1.26 && vi src/runtime/proc.go && git commit -a --fixup HEAD
	git rebase -i --autosquash upstream && cd - && rtgo export
`, runEdit)
	register("export", "write the commits of a checkout to patches/", `
Usage: rtgo export [flags] [DIR]

Export writes each commit after the tag "upstream" in the checkout DIR
(default out/edit-LINE) to patches/, numbered from 0001, and removes patches
that are no more. A patch that differs from its file in line numbers and blob
names only keeps its file. One that other lines share (patches/common) changes
for them as well; 'rtgo rebase' carries new ones to them. A checkout with
uncommitted changes is refused.

Example:
	rtgo export && rtgo lint
`, runExport)
	register("dev", "run the go command of the checkout: edit to result in seconds", `
Usage: rtgo dev [flags] GO-COMMAND [arguments]

Dev is the inner loop. It takes the checkout of 'rtgo edit' (made if missing),
links new overlay files into it, gives it the compilers of the last build in
out/go, and runs its go command with the arguments. The go command compiles
the packages of the standard library whose content changed, so an edit in
src-overlay/ or in the checkout's src/ is in the next program that runs.
Binaries made so carry the build setting rtgo=N+dev.

Changes in the compiler, the linker or the go command themselves need a full
build. Nothing here changes out/go.

Examples:
	rtgo dev run ./test/demo
	rtgo dev test runtime -run TestChan
	rtgo dev build -o /tmp/prog ./prog
	GOEXPERIMENT=nort rtgo dev test runtime      as upstream compiles it
`, runDev)
}

func checkoutFlags(name string, args []string, maxArgs int) (u upstreamFlags, dir, out string, rest []string, code int, ok bool) {
	fs := newFlags(name)
	fs.StringVar(&u.upstream, "upstream", "", "release or line (default: the default line)")
	fs.StringVar(&out, "out", "", "output `dir` of builds (default: out in the repository)")
	if name != "export" {
		fs.StringVar(&u.goroot, "goroot", "", "upstream source tree `dir` (default: found)")
		fs.StringVar(&u.bootstrap, "bootstrap", "", "GOROOT `dir` of the Go that fetches")
	}
	if name == "dev" {
		fs.StringVar(&dir, "dir", "", "checkout `dir` (default: out/edit-LINE)")
	}
	rest, code, ok = parse(fs, args, maxArgs)
	if ok && name != "dev" && len(rest) == 1 {
		dir = rest[0]
	}
	return
}

func openCheckout(u *upstreamFlags, dir, out string) (*series.Checkout, string, error) {
	root, pin, err := u.load()
	if err != nil {
		return nil, "", err
	}
	if out == "" {
		out = filepath.Join(root, "out")
	}
	if out, err = filepath.Abs(out); err != nil {
		return nil, "", err
	}
	if dir == "" {
		dir = filepath.Join(out, "edit-"+pin.Line)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, "", err
	}
	return series.NewCheckout(root, pin, dir), out, nil
}

// createCheckout makes the checkout from verified upstream.
func createCheckout(name string, u *upstreamFlags, c *series.Checkout) error {
	_, pin, err := u.load()
	if err != nil {
		return err
	}
	set, err := series.LoadSet(c.Root, pin.Line)
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	tree, err := toolchain.FindSource(ctx, pin, u.goroot, u.bootstrap, logStderr(name))
	if err != nil {
		return err
	}
	err = c.Create(ctx, tree, set, map[string][]byte{toolchain.StampFile: toolchain.StampSource(toolchain.DevStamp(pin))})
	if ce := (*series.ConflictError)(nil); errors.As(err, &ce) {
		return fmt.Errorf("%s does not apply: %s; the patches before it are in %s, go on there with 'git am -3 %s'",
			ce.Patch, ce.Where, c.WorkTree, filepath.Join(c.Root, ce.File))
	}
	if err == nil {
		fmt.Fprintf(os.Stderr, "rtgo %s: %s: %s with %d patches as commits, %d overlay files linked\n", name, c.WorkTree, pin.Version, len(set.Patches), len(set.Overlay))
	}
	return err
}

func runEdit(args []string) int {
	u, dir, out, _, code, ok := checkoutFlags("edit", args, 1)
	if !ok {
		return code
	}
	c, _, err := openCheckout(&u, dir, out)
	if err != nil {
		return fail("edit", err)
	}
	if c.Exists() {
		return fail("edit", fmt.Errorf("%s is a checkout already; work in it, or remove it to start anew", c.WorkTree))
	}
	if err := createCheckout("edit", &u, c); err != nil {
		return fail("edit", err)
	}
	return 0
}

func runExport(args []string) int {
	u, dir, out, _, code, ok := checkoutFlags("export", args, 1)
	if !ok {
		return code
	}
	c, _, err := openCheckout(&u, dir, out)
	if err != nil {
		return fail("export", err)
	}
	ctx, stop := interruptible()
	defer stop()
	x, err := c.Export(ctx)
	if err != nil {
		return fail("export", err)
	}
	for _, name := range x.Removed {
		fmt.Println("removed", name)
	}
	for _, name := range x.Written {
		fmt.Println("wrote", name)
	}
	fmt.Printf("%d patches of %s unchanged, %d written, %d removed\n", len(x.Kept), c.Line, len(x.Written), len(x.Removed))
	return 0
}

func runDev(args []string) int {
	u, dir, out, rest, code, ok := checkoutFlags("dev", args, -1)
	if !ok {
		return code
	}
	if len(rest) == 0 {
		return usageError("dev", "want a go command, such as 'rtgo dev run ./prog'")
	}
	c, out, err := openCheckout(&u, dir, out)
	if err != nil {
		return fail("dev", err)
	}
	if !c.Exists() {
		if err := createCheckout("dev", &u, c); err != nil {
			return fail("dev", err)
		}
	}
	_, pin, err := u.load()
	if err != nil {
		return fail("dev", err)
	}
	overlay, err := series.LoadOverlay(filepath.Join(c.Root, "src-overlay"))
	if err != nil {
		return fail("dev", err)
	}
	n, err := c.Sync(overlay)
	if err != nil {
		return fail("dev", err)
	}
	if n > 0 {
		logStderr("dev")("%d overlay links changed", n)
	}
	ctx, stop := interruptible()
	defer stop()
	if err := toolchain.EquipCheckout(ctx, c.WorkTree, filepath.Join(out, "go"), pin, logStderr("dev")); err != nil {
		return fail("dev", err)
	}
	cmd := exec.Command(filepath.Join(c.WorkTree, "bin", "go"), rest...)
	cmd.Env = append(toolchain.GoEnv(os.Environ(), c.WorkTree), "GOEXPERIMENT="+os.Getenv("GOEXPERIMENT"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		if ee := (*exec.ExitError)(nil); errors.As(err, &ee) {
			return max(ee.ExitCode(), 1)
		}
		return fail("dev", err)
	}
	return 0
}
