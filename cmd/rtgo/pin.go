// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"rtgo.dev/rtgo/internal/upstream"
)

func init() {
	register("pin", "pin an upstream release by its content", `
Usage: rtgo pin [flags] VERSION

Pin fetches the toolchain of an upstream release through the go command, which
checks it against the public checksum database, and records in upstream.json
what a source tree of that release must contain (pins/VERSION.sum, one line
for each file) and what was published for each platform. A local GOROOT of the
release, given with --goroot, adds the directories that the download lacks
(api, doc, misc, test) and must agree in everything else. A pin of the same
release line is replaced.

Examples:
	rtgo pin --goroot /usr/local/go go1.26.8
	rtgo pin go1.27.3
`, runPin)
}

func runPin(args []string) int {
	fs := newFlags("pin")
	goroot := fs.String("goroot", "", "local GOROOT `dir` of the release")
	platforms := fs.String("platforms", "linux-amd64,linux-arm64", "comma-separated `list` of platforms whose toolchains to pin")
	goCmd := fs.String("go", "go", "go `command` that downloads")
	args, code, ok := parse(fs, args, 1)
	if !ok {
		return code
	}
	if len(args) != 1 {
		return usageError("pin", "want one VERSION")
	}
	root := os.Getenv("RTGO_ROOT")
	if r, err := repoRoot(); err == nil {
		root = r
	} else if root == "" {
		root = "." // the first pin of all
	}
	pins, err := upstream.LoadPins(root)
	if os.IsNotExist(err) {
		pins, err = upstream.NewPins(root), nil
	}
	if err != nil {
		return fail("pin", err)
	}
	ctx, stop := interruptible()
	defer stop()
	logf := func(format string, args ...any) { fmt.Fprintf(os.Stderr, "rtgo pin: "+format+"\n", args...) }
	pin, err := pins.AddPin(ctx, *goCmd, args[0], *goroot, strings.Split(*platforms, ","), logf)
	if err != nil {
		return fail("pin", err)
	}
	if err := pins.Save(); err != nil {
		return fail("pin", err)
	}
	fmt.Printf("pinned %s: %s %s\n", pin.Version, pin.Manifest, pin.SHA256)
	return 0
}

// interruptible returns a context that ends when the user asks for it, so
// that temporary files are removed and child processes stopped.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}
