#!/usr/bin/env bash
# Copyright 2026 The rtgo Authors. All rights reserved.
# Use of this source code is governed by a BSD-style
# license that can be found in the LICENSE file.

# Runs the latency campaign on every labelled node of a cluster. See -h.
set -euo pipefail

usage() {
	cat <<'END'
usage: campaign.sh [-n NAMESPACE] [-i IMAGE] [-s SET] [-D DURATION] [-t TIMEOUT] -o DIR

Runs the campaign as a Job on every node labelled rtgo.dev/realtime=true, all
at once, and collects DIR/NODE.json and DIR/NODE.log of each. If the rtgo
command is on the PATH, DIR/report is a report of all nodes.

  -n NAMESPACE  (default: the context's)
  -i IMAGE      (default rtgo/rtlatency)
  -s SET        of scenarios: smoke, figures, full, … (default figures)
  -D DURATION   of each measurement (default 30s)
  -t TIMEOUT    for a node to finish, in seconds (default 14400)

Exit status: 0 every node gave a result, 1 one did not, 2 wrong usage.

Examples:
  kubectl label node rt1 rt2 rtgo.dev/realtime=true
  campaign.sh -o out
  campaign.sh -n lab -i registry.example/rtlatency@sha256:… -s smoke -D 5s -o out
END
}

namespace=() image=rtgo/rtlatency set=figures duration=30s timeout=14400 dir=''
while getopts 'n:i:s:D:t:o:h' opt; do
	case $opt in
	n) namespace=(--namespace "$OPTARG") ;;
	i) image=$OPTARG ;;
	s) set=$OPTARG ;;
	D) duration=$OPTARG ;;
	t) timeout=$OPTARG ;;
	o) dir=$OPTARG ;;
	h)
		usage
		exit 0
		;;
	*) exit 2 ;;
	esac
done
shift $((OPTIND - 1))
if [ -z "$dir" ] || [ $# != 0 ]; then
	echo "campaign.sh: needs -o DIR and no further arguments; -h shows the usage" >&2
	exit 2
fi
for x in "$image" "$set" "$duration"; do
	case $x in
	*[!A-Za-z0-9._:/@-]*)
		echo "campaign.sh: $x has characters that no image, set or duration has" >&2
		exit 2
		;;
	esac
done
template=$(dirname "$0")/campaign.yaml
k() { kubectl ${namespace[@]+"${namespace[@]}"} "$@"; }

mapfile -t nodes < <(k get nodes -l rtgo.dev/realtime=true -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}')
if [ ${#nodes[@]} = 0 ]; then
	echo "campaign.sh: no node has the label; kubectl label node NODE rtgo.dev/realtime=true" >&2
	exit 1
fi
mkdir -p "$dir"

# job names the Job of a node: dots are not allowed in all of its uses.
job() { printf 'rtlatency-%.50s' "${1//./-}"; }

for node in "${nodes[@]}"; do
	k delete job "$(job "$node")" --ignore-not-found >/dev/null
	sed -e "s|@NODE@|$node|; s|@JOB@|$(job "$node")|; s|@IMAGE@|$image|; s|@SET@|$set|; s|@DURATION@|$duration|" "$template" |
		k create -f - >/dev/null
	echo "$node: started"
done

failed=0
results=()
end=$(($(date +%s) + timeout))
for node in "${nodes[@]}"; do
	status=''
	while [ -z "$status" ] && [ "$(date +%s)" -lt "$end" ]; do
		status=$(k get job "$(job "$node")" -o 'jsonpath={.status.conditions[?(@.status=="True")].type}')
		case $status in
		*Complete*) status=Complete ;;
		*Failed*) status=Failed ;;
		*)
			status=''
			sleep "${POLL_SECONDS:-10}"
			;;
		esac
	done
	k logs "job/$(job "$node")" >"$dir/$node.log" || true
	sed -n '/^-----BEGIN RESULT-----$/,/^-----END RESULT-----$/{/^-----/d;p}' "$dir/$node.log" |
		base64 -d 2>/dev/null | gzip -dc >"$dir/$node.json" 2>/dev/null || true
	if [ -s "$dir/$node.json" ]; then
		results+=("$dir/$node.json")
		echo "$node: ${status:-not finished}, $dir/$node.json"
	else
		rm -f "$dir/$node.json"
	fi
	if [ "$status" != Complete ] || [ ! -e "$dir/$node.json" ]; then
		failed=1
		echo "campaign.sh: $node: ${status:-no end within $timeout s}; see $dir/$node.log and kubectl describe job $(job "$node")" >&2
	fi
done
if [ ${#results[@]} -gt 0 ] && command -v rtgo >/dev/null; then
	rtgo report -title "Latency of ${#results[@]} nodes" -o "$dir/report" "${results[@]}"
fi
exit $failed
