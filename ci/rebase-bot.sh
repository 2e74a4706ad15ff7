#!/usr/bin/env bash
# Copyright 2026 The rtgo Authors. All rights reserved.
# Use of this source code is governed by a BSD-style
# license that can be found in the LICENSE file.

# Looks for new upstream releases, rebases the series to them, and opens or
# updates one pull request per release line. All arguments are those of
# 'rtgo rebase-bot'; ci/rebase-bot.sh -h prints them.
set -euo pipefail
cd "$(dirname "$0")/.."

export GOTOOLCHAIN=local GOWORK=off
command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || {
	echo "ci/rebase-bot.sh: no go command on PATH and none in /usr/local/go; install Go from https://go.dev/dl" >&2
	exit 1
}
mkdir -p out/bot
go build -buildvcs=false -o out/bot/rtgo-bot ./cmd/rtgo
exec out/bot/rtgo-bot rebase-bot "$@"
