#!/usr/bin/env bash
# Copyright 2026 The rtgo Authors. All rights reserved.
# Use of this source code is governed by a BSD-style
# license that can be found in the LICENSE file.

# Runs the latency suite in a container with what real time needs. See -h.
set -euo pipefail

usage() {
	cat <<'END'
usage: rtlatency.sh [-i IMAGE] [-c CPUS] [-o DIR] [-r] [--] [rtlatency argument ...]

Runs rtlatency in a container as an ordinary user who may use real-time
policies and lock memory. The host should have a PREEMPT_RT kernel.

  -i IMAGE  image (default rtgo/rtlatency, or $RTLATENCY_IMAGE)
  -c CPUS   CPUs, such as 2-3 (default: all)
  -o DIR    directory on the host that is /results in the container
  -r        be root in the container; the two capabilities apply then
  -n        print the command instead of running it

Exit status: that of rtlatency (0 pass, 1 error, 2 threshold exceeded); 64
wrong usage.

Examples:
  rtlatency.sh -- -m -p80 -D60 -h400 -q
  rtlatency.sh -c 2-3 -o out -- campaign -set figures -D 30s -o /results/result.json
END
}

image=${RTLATENCY_IMAGE:-rtgo/rtlatency}
cpus='' dir='' root='' dry=''
while getopts 'i:c:o:rnh' opt; do
	case $opt in
	i) image=$OPTARG ;;
	c) cpus=$OPTARG ;;
	o) dir=$OPTARG ;;
	r) root=1 ;;
	n) dry=1 ;;
	h)
		usage
		exit 0
		;;
	*)
		echo "rtlatency.sh -h shows the usage" >&2
		exit 64
		;;
	esac
done
shift $((OPTIND - 1))

cmd=(docker run --rm --network none
	--cap-drop ALL --cap-add SYS_NICE --cap-add IPC_LOCK
	--ulimit rtprio=99 --ulimit memlock=-1
	--security-opt no-new-privileges)
if [ -e /dev/cpu_dma_latency ]; then
	cmd+=(--device /dev/cpu_dma_latency)
fi
if [ -n "$cpus" ]; then
	cmd+=(--cpuset-cpus "$cpus")
fi
user=65532:65532
if [ -n "$dir" ]; then
	mkdir -p "$dir"
	user=$(id -u):$(id -g) # who may write there
	cmd+=(--volume "$(cd "$dir" && pwd):/results")
fi
if [ -n "$root" ]; then
	user=0:0
fi
cmd+=(--user "$user" "$image" "$@")
if [ -n "$dry" ]; then
	printf '%q ' "${cmd[@]}"
	echo
	exit 0
fi
if ! command -v docker >/dev/null; then
	echo "rtlatency.sh: no docker command; install docker or podman-docker, or see -n for the command" >&2
	exit 1
fi
exec "${cmd[@]}"
