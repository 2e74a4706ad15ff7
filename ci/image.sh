#!/usr/bin/env bash
# Copyright 2026 The rtgo Authors. All rights reserved.
# Use of this source code is governed by a BSD-style
# license that can be found in the LICENSE file.

# Builds the images of the Dockerfile, and runs commands in them. See -h.
set -euo pipefail

usage() {
	cat <<'END'
usage: ci/image.sh [-e ENGINE] [-o DIR] [-f] [-a]
       ci/image.sh run [-e ENGINE] [-o DIR] [-u USER] [-v HOST:DIR] IMAGE COMMAND [ARG ...]

Builds the images rtgo/rtgo (Go, in the place of the golang image) and
rtgo/rtlatency (the latency suite) of the Dockerfile, with all labels, and
exports their root file systems to DIR/rtgo and DIR/rtlatency.

With an engine that can pull, the bases are those that the Dockerfile pins. With
buildah, which needs no daemon and no registry, the base is a Debian that
mmdebstrap makes and the bootstrap Go is this machine's. That needs root or
sudo, and installs buildah and mmdebstrap with apt-get if they are missing.

The second form runs a command in an image (rtgo or rtlatency) that was built.

  -e ENGINE    docker, podman or buildah (default: docker if a daemon answers,
               else buildah)
  -o DIR       (default out/image)
  -f           build everything again, base and cached layers too
  -a           also write DIR/rtgo.tar and DIR/rtlatency.tar for 'docker load'
  -u USER      user in the container, such as 1000:1000 (default: the image's)
  -v HOST:DIR  show a directory of this machine in the container; may be repeated

The time of images and files is SOURCE_DATE_EPOCH, by default that of the
upstream release. GOPROXY and GOSUMDB are passed on to the build.

Exit status: 0 done, 1 an error, 2 wrong usage; of run: that of the command.

Examples:
  ci/image.sh
  ci/image.sh -e docker && docker run --rm rtgo/rtgo go version
  ci/image.sh run -u 1000:1000 -v "$PWD:/src" rtgo sh -c 'cd /src && HOME=/tmp go build ./...'
END
}

die() {
	echo "ci/image.sh: $*" >&2
	exit 1
}

wrong() {
	echo "ci/image.sh: $*; -h shows the usage" >&2
	exit 2
}

root=$(cd "$(dirname "$0")/.." && pwd)
given=("$@")
run=false engine='' dir='' force=false archive=false user='' volumes=()
if [ "${1:-}" = run ]; then
	run=true
	shift
fi
while getopts 'e:o:fau:v:h' opt; do
	case $opt in
	e) engine=$OPTARG ;;
	o) dir=$OPTARG ;;
	f) force=true ;;
	a) archive=true ;;
	u) user=$OPTARG ;;
	v) volumes+=(--volume "$OPTARG") ;;
	h)
		usage
		exit 0
		;;
	*) wrong "cannot go on" ;;
	esac
done
shift $((OPTIND - 1))
if $run; then
	[ $# -ge 2 ] || wrong "run needs an image and a command"
	case $1 in rtgo | rtlatency) ;; *) wrong "no image $1; use rtgo or rtlatency" ;; esac
else
	[ $# = 0 ] || wrong "unexpected argument $1"
fi
if [ -z "$engine" ]; then
	engine=buildah
	if command -v docker >/dev/null && docker info >/dev/null 2>&1; then
		engine=docker
	fi
fi
case $engine in docker | podman | buildah) ;; *) wrong "unknown engine $engine" ;; esac
mkdir -p "${dir:=$root/out/image}"
dir=$(cd "$dir" && pwd)

begin=$SECONDS
say() { echo "[$(printf %4d $((SECONDS - begin)))s] $*" >&2; }

# b is buildah with a store of its own, and with the isolation that works inside
# of containers, too. On a busy machine it may fail to seal its copy of itself
# before it does anything (EBUSY): then it is tried again.
b() {
	local command=$1 said code try
	shift
	case $command in build | run) set -- --isolation chroot --network host "$@" ;; esac
	said=$(mktemp)
	for try in 1 2 3 4 5; do
		code=0
		{ buildah --root "$dir/store" --runroot "$dir/store.run" --storage-driver "$driver" "$command" "$@" 2>&1 >&3 |
			tee "$said" >&2; } 3>&1 || code=${PIPESTATUS[0]}
		if [ "$code" = 0 ] || ! grep -q 'sealing memfd copy' "$said"; then break; fi
		echo "ci/image.sh: buildah, attempt $try" >&2
		sleep "$try"
	done
	rm -f "$said"
	return "$code"
}

# overlay_works tells whether layers can be mounted over each other in DIR. In
# most containers they cannot; vfs then copies each layer.
overlay_works() {
	local t
	t=$(mktemp -d "$dir/probe.XXXXXX")
	mkdir "$t/lower" "$t/upper" "$t/work" "$t/merged"
	local ok=false
	if mount -t overlay overlay -o "lowerdir=$t/lower,upperdir=$t/upper,workdir=$t/work" "$t/merged" 2>/dev/null; then
		ok=true
		umount "$t/merged"
	fi
	rm -rf "$t"
	$ok
}

# need installs Debian packages whose commands are not there.
need() {
	local missing=() p
	for p in "$@"; do
		command -v "$p" >/dev/null || missing+=("$p")
	done
	[ ${#missing[@]} = 0 ] && return
	command -v apt-get >/dev/null || die "no ${missing[*]} here; install them, or use docker"
	say "installing ${missing[*]}"
	if ! apt-get -o DPkg::Lock::Timeout=300 update -q >/dev/null ||
		! DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends "${missing[@]}" >/dev/null; then
		die "apt-get could not install ${missing[*]}"
	fi
}

if [ "$engine" = buildah ]; then
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || die "buildah needs root here and there is no sudo; use docker or podman"
		exec sudo -n --preserve-env=PATH,GOPROXY,GOSUMDB,SOURCE_DATE_EPOCH,SSL_CERT_FILE "$0" "${given[@]}"
	fi
	driver=vfs
	if overlay_works; then driver=overlay; fi
fi

if $run; then
	image=$1
	shift
	if [ "$engine" != buildah ]; then
		exec "$engine" run --rm --entrypoint '' ${user:+--user "$user"} ${volumes[@]+"${volumes[@]}"} "rtgo/$image" "$@"
	fi
	c=$(b from --pull-never "localhost/rtgo/$image") || die "no image $image in $dir; run ci/image.sh first"
	trap 'b rm "$c" >/dev/null' EXIT
	b run ${user:+--user "$user"} ${volumes[@]+"${volumes[@]}"} "$c" -- "$@"
	exit
fi

# What the labels say.
cd "$root"
export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0=$root # may be another user's
command -v go >/dev/null || PATH=$PATH:/usr/local/go/bin
command -v go >/dev/null || die "no go command on PATH and none in /usr/local/go; it reads the patch series"
series=$(GOTOOLCHAIN=local GOFLAGS='' GOWORK=off go run ./cmd/rtgo series) || die "the patch series does not apply"
patchset=$(sed -n 's/^patch set //p' <<<"$series")
upstream=$(sed -n 's/^go\([0-9.]*\):.*/\1/p' <<<"$series")
version=$(sed -n 's/^ARG VERSION=//p' Dockerfile | head -n1)
case $version in "$upstream-rtgo"*) ;; *) die "VERSION in the Dockerfile is $version, the series is for $upstream" ;; esac
revision=$(git rev-parse HEAD 2>/dev/null || true)
if [ -n "$revision" ] && [ -n "$(git status --porcelain)" ]; then
	revision+=-dirty
fi
epoch=${SOURCE_DATE_EPOCH:-$(date -d "$(sed -n "s/.*\"go$upstream\\\\ntime \\([^\\\\]*\\).*/\\1/p" upstream.json | head -n1)" +%s)}

args=(--build-arg "PATCHSET=$patchset" --build-arg "REVISION=$revision" --build-arg "SOURCE_DATE_EPOCH=$epoch")
for v in GOPROXY GOSUMDB; do
	[ -z "${!v:-}" ] || args+=(--build-arg "$v=${!v}")
done

# as_json prints what others have a template function for.
# shellcheck disable=SC2016 # the dollars are the template's
list='[{{range $i, $x := %s}}{{if $i}},{{end}}{{printf "%%q" $x}}{{end}}]'
as_json='{{with .OCIv1.Config}}{"User":{{printf "%q" .User}},"WorkingDir":{{printf "%q" .WorkingDir}},"Env":'
# shellcheck disable=SC2059 # list is a format
as_json+=$(printf "$list,\"Entrypoint\":$list,\"Cmd\":$list" .Env .Entrypoint .Cmd)
# shellcheck disable=SC2016
as_json+=',"Labels":{{"{"}}{{$n := 0}}{{range $k, $v := .Labels}}{{if $n}},{{end}}{{$n = 1}}{{printf "%q:%q" $k $v}}{{end}}}}{{end}}'

# export_fs writes the root file system of an image, and its configuration.
export_fs() {
	local image=$1 c from
	say "exporting $dir/$image"
	rm -rf "${dir:?}/$image"
	mkdir "$dir/$image"
	if [ "$engine" = buildah ]; then
		c=$(b from --pull-never "localhost/rtgo/$image")
		from=$(b mount "$c")
		cp -a "$from/." "$dir/$image"
		[ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID" "$dir/$image"
		b rm "$c" >/dev/null
		b inspect --type image --format "$as_json" "localhost/rtgo/$image" >"$dir/$image.json"
	else
		c=$("$engine" create "rtgo/$image" true)
		"$engine" export "$c" | tar -x -C "$dir/$image"
		"$engine" rm "$c" >/dev/null
		"$engine" inspect --format '{{json .Config}}' "rtgo/$image" >"$dir/$image.json"
	fi
}

if [ "$engine" != buildah ]; then
	if $force; then args+=(--no-cache --pull); fi
	for image in rtgo rtlatency; do
		say "$engine build --target $image"
		DOCKER_BUILDKIT=1 "$engine" build "${args[@]}" --target $image -t "rtgo/$image" -t "rtgo/$image:$version" .
		if $archive; then "$engine" save -o "$dir/$image.tar" "rtgo/$image:$version"; fi
		export_fs $image
	done
	say "done: rtgo/rtgo, rtgo/rtlatency ($version)"
	exit
fi

need buildah mmdebstrap
goroot=$(GOTOOLCHAIN=local go env GOROOT)
suite=$(sed -n 's/^ARG BASE=debian:\([a-z]*\).*/\1/p' Dockerfile)
base=localhost/rtgo-base:$suite
bootstrap=localhost/rtgo-bootstrap:$(GOTOOLCHAIN=local go env GOVERSION)

# from_scratch makes an image of what a command puts into a directory.
from_scratch() {
	local name=$1 c
	shift
	c=$(b from scratch)
	"$@" "$(b mount "$c")"
	b commit -q --timestamp "$epoch" --rm "$c" "$name" >/dev/null
}

debootstrap() {
	say "making a base of Debian $suite"
	SOURCE_DATE_EPOCH=$epoch mmdebstrap -q --variant=minbase --format=tar --dpkgopt=force-unsafe-io \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		"$suite" - | tar -x --numeric-owner -C "$1" --exclude='./dev/*'
}

copy_go() {
	say "taking $goroot as the bootstrap Go"
	mkdir -p "$1/usr/local"
	cp -a "$goroot" "$1/usr/local/go"
}

if $force; then b rmi -a -f >/dev/null 2>&1 || true; fi
say "buildah in $dir/store, storage driver $driver"
b inspect --type image "$base" >/dev/null 2>&1 || from_scratch "$base" debootstrap
b inspect --type image "$bootstrap" >/dev/null 2>&1 || from_scratch "$bootstrap" copy_go

args+=(--build-arg "BASE=$base" --build-arg "BOOTSTRAP=$bootstrap")
# Modules are fetched while the suite is built: with this machine's certificates.
certificates=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
if [ -r "$certificates" ]; then
	args+=(--build-arg SSL_CERT_FILE=/run/certificates.crt --volume "$certificates:/run/certificates.crt:ro")
fi
for image in rtgo rtlatency; do
	say "buildah build --target $image"
	b build --layers --pull-never --timestamp "$epoch" --identity-label=false "${args[@]}" \
		--target $image -t "localhost/rtgo/$image" -t "localhost/rtgo/$image:$version" .
	if $archive; then
		rm -f "$dir/$image.tar"
		b push -q "localhost/rtgo/$image:$version" "docker-archive:$dir/$image.tar:rtgo/$image:$version"
	fi
	export_fs $image
done
say "done: $dir/rtgo, $dir/rtlatency ($version)"
