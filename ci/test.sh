#!/usr/bin/env bash
# Copyright 2026 The rtgo Authors. All rights reserved.
# Use of this source code is governed by a BSD-style
# license that can be found in the LICENSE file.

# All tests of this repository, cheap gates first. See -h.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

usage() {
	cat <<'END'
usage: ci/test.sh [-l] [-f] [step ...]

Runs the tests of the repository, or only the named steps, and prints a
summary that ends with "N passed, N failed". The log of each step is kept in
out/ci. Missing Debian packages are installed with apt-get. A step marked
"named" is long and only done when it is named; one marked "beside" runs at
the same time as the steps after it.

  -l  list the steps
  -f  stop at the first failed step

Exit status: 0 all passed, 1 a step failed, 2 wrong usage.

Examples:
  ci/test.sh                    everything, as in continuous integration
  ci/test.sh gofmt vet unit     the quick part
  ci/test.sh swap               one step; uses the toolchain built last (out/go)
  ci/test.sh image              the images, which build the toolchain once more
END
}

# The steps, in order: name, time limit in minutes, what it shows, and "named"
# if it is left out unless it is named, or "beside" if it runs at the same time as
# those after it. The lab may: it has one thread and a clock of its own, and Go's
# tests, which wait more than they compute, are tried again before they count.
steps=(
	"packages|10|Debian packages that the other steps need"
	"gofmt|1|Go files are formatted"
	"vet|5|go vet of every module"
	"shellcheck|1|shell scripts"
	"series|8|patch series of every release line: lint, strict apply; the overlay type-checks"
	"linkname|15|what we bind with go:linkname: same types, allowed, as recorded"
	"unit|10|go test of every module under the bootstrap Go"
	"published|20|an unpatched build is what upstream published, bit for bit"
	"build|20|./build.sh: verified upstream to out/go"
	"swap|15|out/go in the place of the installed Go"
	"rt|10|the rt module and the latency suite under out/go"
	"stress|5|random use of real-time goroutines, also with the collector's checks"
	"text|10|GOEXPERIMENT=nort compiles upstream's machine code"
	"lab|25|smoke test under PREEMPT_RT kernels, and what happens in a stop there|beside"
	"release|15|release archives of both platforms, verified and used"
	"upstream|30|Go's own tests, patched against unpatched"
	"realtime|10|Go's own tests, each in a real-time goroutine"
	"cross|20|an unpatched toolchain cross-compiled here is what upstream published|named"
	"image|25|images, equal to the build outside of them; the suite as a PREEMPT_RT container|named"
)

packages=(git gcc libc6-dev ca-certificates shellcheck
	qemu-system-x86 qemu-system-arm ipxe-qemu busybox-static rt-tests
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross valgrind)

# as_root runs a command as root, through sudo if need be.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo -n "$@"
	else
		echo "not root and no sudo; as root run: $*" >&2
		return 1
	fi
}

step_packages() {
	local missing=() p
	for p in "${packages[@]}"; do
		dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q '^install ok installed' || missing+=("$p")
	done
	if [ ${#missing[@]} = 0 ]; then
		echo "all present"
		return 0
	fi
	echo "installing ${missing[*]}"
	as_root apt-get -o DPkg::Lock::Timeout=300 update -q &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 \
			install -q -y --no-install-recommends "${missing[@]}"
}

# modules lists the directories of the Go modules; it fails if there are none.
modules() {
	git ls-files -- go.mod '*/go.mod' | grep -v /testdata/ | xargs -n1 dirname | grep .
}

step_gofmt() {
	local bad
	bad=$(git ls-files -- '*.go' | grep -v /testdata/ | xargs gofmt -l) || return 1
	if [ -n "$bad" ]; then
		echo "not formatted; run gofmt -w on:"
		echo "$bad"
		return 1
	fi
}

# each_module runs a command in the directory of every module.
each_module() {
	local dirs m status=0
	dirs=$(modules) || return 1
	for m in $dirs; do
		echo "# $m"
		(cd "$m" && "$@") || status=1
	done
	return $status
}

step_vet() {
	each_module go vet ./...
}

step_shellcheck() {
	local files
	mapfile -t files < <(git ls-files | while read -r f; do
		case $f in
		*.sh) echo "$f" ;;
		*.*) ;;
		*) if [ -f "$f" ] && head -c 64 "$f" | grep -qaE '^#!.*\b(ba)?sh\b'; then echo "$f"; fi ;;
		esac
	done; git ls-files .ci/run)
	printf '%s\n' "${files[@]}"
	shellcheck "${files[@]}"
}

step_series() {
	local line status=0
	for line in patches/go1.*; do
		line=${line#patches/}
		"$rtgo" lint --upstream "$line" && "$rtgo" series --upstream "$line" --types || status=1
	done
	return $status
}

step_linkname() {
	"$rtgo" linkname -overlay -q
}

step_unit() {
	each_module go test ./...
}

step_published() {
	./build.sh --unpatched --compare-upstream --report out/ci/published.json
}

step_build() {
	./build.sh
}

step_swap() {
	RTGO_GOROOT="$PWD/out/go" go test -count=1 -v -timeout 15m ./test/swap ./internal/toolchain
}

step_rt() {
	(cd rt && PATH="$PWD/../out/go/bin:$PATH" go test -count=1 ./...) &&
		out/go/bin/go test -count=1 ./test/rtlatency ./test/rtlatency/scenario
}

step_stress() {
	local go=$PWD/out/go/bin/go bin=$PWD/out/ci/rtstress setting status=0
	"$go" build -o "$bin" ./test/rtstress && GOEXPERIMENT=staticlockranking "$go" build -o "$bin-rank" ./test/rtstress || return 1
	for setting in X= GODEBUG=gccheckmark=1 GODEBUG=clobberfree=1 GODEBUG=gcstoptheworld=1 GOGC=1; do
		echo "# $setting"
		env "$setting" "$bin" -ops 20000 -seed 21 -q || status=1
	done
	"$bin-rank" -ops 20000 -seed 21 -q && return $status
}

step_text() {
	"$rtgo" text-compare -strict -json out/ci/text-compare.json
}

step_release() {
	local dir=$PWD/out/ci/release
	rm -rf "$dir"
	"$rtgo" release -allow-dirty -dir "$dir" && "$rtgo" release verify -allow-dirty "$dir" || return 1
	RTGO_RELEASE=$dir RTGO_GOROOT=$PWD/out/go go test -count=1 -v ./test/release
}

step_cross() {
	local unpatched
	unpatched=$("$rtgo" build --unpatched) || return 1 # done by the step published
	RTGO_UPSTREAM_GOROOT=${unpatched#*: } go test -count=1 -v -timeout 10m -run CrossPublished ./internal/release
}

step_upstream() {
	"$rtgo" upstream-test -json out/ci/upstream-test.json -logs out/ci/upstream-test
}

step_realtime() {
	"$rtgo" upstream-test -realtime 10 -json out/ci/realtime.json sync time context testing/synctest \
		internal/poll os os/signal os/exec net runtime/trace runtime/debug runtime/metrics sync/atomic
}

step_lab() {
	"$rtgo" lab smoke && RTGO_GOROOT="$PWD/out/go" go test -count=1 -v -timeout 15m ./test/lab
}

step_image() {
	local dir=$PWD/out/image
	ci/image.sh -o "$dir" || return 1
	RTGO_IMAGE=$dir RTGO_GOROOT=$PWD/out/go go test -count=1 -v -timeout 15m ./test/image || return 1
	"$rtgo" lab container -check -image "$dir/rtlatency" -json out/ci/container.json
}

list=false stop=false
while getopts lfh opt; do
	case $opt in
	l) list=true ;;
	f) stop=true ;;
	h) usage && exit 0 ;;
	*) usage >&2 && exit 2 ;;
	esac
done
shift $((OPTIND - 1))

if $list; then
	for s in "${steps[@]}"; do
		IFS='|' read -r name _ doc mark <<<"$s"
		printf '%-11s %s%s\n' "$name" "$doc" "${mark:+ ($mark)}"
	done
	exit 0
fi
for want in "$@"; do
	known=false
	for s in "${steps[@]}"; do
		[ "${s%%|*}" = "$want" ] && known=true
	done
	$known || { echo "ci/test.sh: unknown step $want; ci/test.sh -l lists them" >&2; exit 2; }
done

# The bootstrap Go: on PATH, or where Go's own instructions put it.
command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
if ! command -v go >/dev/null; then
	echo "ci/test.sh: no go command on PATH and none in /usr/local/go; install Go from https://go.dev/dl" >&2
	exit 1
fi
unset GOROOT GOEXPERIMENT GODEBUG
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false GOWORK=off
# The clone may belong to another user than the one who tests.
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=$PWD

mkdir -p out/ci
rtgo=$PWD/out/ci/rtgo built=false

passed=0 failed=0 summary=() begin=$SECONDS
declare -A pid # of the steps that run

# start_step starts a step, which is a function of this script, in a process
# group of its own, so that the time limit ends all of it.
start_step() {
	export -f "step_$name" as_root modules each_module
	(
		t0=$SECONDS
		rtgo=$rtgo packages_list="${packages[*]}" timeout -k 30 "$((limit * 60))" \
			bash -uo pipefail -c "read -ra packages <<<\"\$packages_list\"; step_$name" >"$log" 2>&1 </dev/null &
		trap 'kill $!' TERM
		wait $!
		status=$?
		echo $((SECONDS - t0)) >"out/ci/$name.seconds"
		exit $status
	) &
	pid[$name]=$!
	export -fn "step_$name" # or upstream's tests find GOEXPERIMENT in the environment
}

# finish_step waits for a step, counts its result and prints it, with the end of
# its log if it failed.
finish_step() {
	local status took result=PASS
	wait "${pid[$name]}"
	status=$?
	unset "pid[$name]"
	took=$(<"out/ci/$name.seconds")
	if [ $status = 0 ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1)) result=FAIL
	fi
	echo "$result (${took}s)"
	summary+=("$(printf '%s  %-11s %5ds  %s' "$result" "$name" "$took" "$doc")")
	if [ $status != 0 ]; then
		[ $status = 124 ] && echo "  time limit of $limit minutes exceeded"
		echo "  exit status $status; what failed, and the end of $log:"
		head -n -40 "$log" | grep -aE '^[[:space:]]*--- FAIL|^FAIL|^panic:|^fatal error:' | tail -n 40 | sed 's/^/  | /'
		tail -n 40 "$log" | sed 's/^/  | /'
		return 1
	fi
}

trap 'for p in "${pid[@]}"; do kill "$p"; done; wait
	echo; echo "interrupted in step ${name:-?}; its log is ${log:-?}"; exit 1' INT TERM
besides=()
for s in "${steps[@]}"; do
	IFS='|' read -r name limit doc mark <<<"$s"
	if [ $# = 0 ] && [ "$mark" = named ]; then
		continue
	elif [ $# -gt 0 ]; then
		chosen=false
		for want in "$@"; do
			[ "$want" = "$name" ] && chosen=true
		done
		$chosen || continue
	fi
	# After the packages: on a bare system downloads need ca-certificates.
	if [ "$name" != packages ] && ! $built; then
		if ! go build -o "$rtgo" ./cmd/rtgo; then
			echo "ci/test.sh: the rtgo command does not build" >&2
			echo "$passed passed, $((failed + 1)) failed"
			exit 1
		fi
		built=true
	fi
	log=out/ci/$name.log
	printf '%-11s %s ... ' "$name" "$doc"
	start_step
	if [ "$mark" = beside ]; then
		echo "beside what follows"
		besides+=("$s")
	elif ! finish_step && $stop; then
		break
	fi
done
for s in "${besides[@]}"; do
	IFS='|' read -r name limit doc mark <<<"$s"
	log=out/ci/$name.log
	printf '%-11s %s ... ' "$name" "$doc"
	finish_step
done

echo
printf '%s\n' "${summary[@]}"
echo "total $((SECONDS - begin))s; logs in out/ci"
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
