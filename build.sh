#!/usr/bin/env bash
# Copyright 2026 The rtgo Authors. All rights reserved.
# Use of this source code is governed by a BSD-style
# license that can be found in the LICENSE file.

# Builds the toolchain: verified upstream source, patches/ and src-overlay/,
# out/go. This script only finds a Go to start from; the work is done by
# cmd/rtgo, which takes all arguments:
#
#   ./build.sh                  build, then show both toolchains at work
#   ./build.sh -h               flags and examples
set -euo pipefail
cd "$(dirname "$0")"

die() {
	echo "build.sh: $*" >&2
	exit 1
}

# The bootstrap Go: GOROOT_BOOTSTRAP if set, or go on PATH, or Go's usual place.
if [ -n "${GOROOT_BOOTSTRAP:-}" ]; then
	go=$GOROOT_BOOTSTRAP/bin/go
	[ -x "$go" ] || die "GOROOT_BOOTSTRAP=$GOROOT_BOOTSTRAP has no bin/go; set it to the GOROOT of Go 1.24.6 or later"
else
	go=$(command -v go || true)
	[ -n "$go" ] || go=/usr/local/go/bin/go
	[ -x "$go" ] || die "no Go found; install Go 1.24.6 or later from https://go.dev/dl, or set GOROOT_BOOTSTRAP to its GOROOT"
fi
unset GOROOT GOEXPERIMENT GODEBUG GOFLAGS
have=$(GOTOOLCHAIN=local GOENV=off "$go" env GOVERSION 2>/dev/null) || die "$go does not run; name another Go with GOROOT_BOOTSTRAP"
oldest=$(printf '%s\n' go1.24.6 "${have%%[- ]*}" | sort -V | head -n1)
[ "$oldest" = go1.24.6 ] || die "$go is $have, too old; install Go 1.24.6 or later, or name one with GOROOT_BOOTSTRAP"

command -v git >/dev/null || {
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		die "git is not installed; run 'apt-get install git'"
	fi
	echo "build.sh: installing git" >&2
	apt-get -q update >/dev/null && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends git >/dev/null
}

tool=out/cache/rtgo
mkdir -p out/cache
# Only the subcommands that need no module but our own, so that no network is
# needed. The others come with 'go run ./cmd/rtgo'.
GOWORK=off "$go" build -buildvcs=false -o "$tool" cmd/rtgo/{main,build,edit,pin,seriescmd}.go
RTGO_ROOT=$PWD exec "$tool" build "$@"
