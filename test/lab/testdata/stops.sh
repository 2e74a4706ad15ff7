#!/bin/sh
# Copyright 2026 The rtgo Authors. All rights reserved.
# Use of this source code is governed by a BSD-style
# license that can be found in the LICENSE file.

# usage: stops.sh STOPPED STARTS ROUND PROGRAM [ARG...]
#
# Runs PROGRAM, a static Go program, in a guest of the lab and traces what the
# thread that stops the world does while real-time goroutines are stopped:
# page faults, and system calls that map, unmap or advise memory or start a
# thread. Both may wait for locks that the kernel's memory management shares
# with every process. STOPPED, STARTS and ROUND are the file offsets of
# runtime.rtSlackTasks, rtStartPs and rtForEachP.
#
# Prints what it found and how many stops and safepoint rounds it has seen.
# Exit status: that of PROGRAM, or 1 if there was anything or events were lost.
set -e
stopped=$1 starts=$2 round=$3
shift 3
program=$(realpath "$1")
cd /sys/kernel/tracing
echo 65536 >buffer_size_kb
echo 'p:fault handle_mm_fault' >kprobe_events
{
	echo "r:stopped $program:$stopped"
	echo "p:starts $program:$starts"
	echo "p:round $program:$round"
	echo "r:rounded $program:$round"
} >uprobe_events
for e in kprobes/fault uprobes/stopped uprobes/starts uprobes/round uprobes/rounded \
	syscalls/sys_enter_mmap syscalls/sys_enter_munmap syscalls/sys_enter_madvise syscalls/sys_enter_clone; do
	echo 1 >events/$e/enable
done
echo 1 >tracing_on
cd - >/dev/null
"$@"
echo 0 >/sys/kernel/tracing/tracing_on
awk '
/^# entries-in-buffer/ { split($3, n, "/"); lost = n[2] - n[1] }
/^#/ { next }
{ match($0, /-[0-9]+ +\[/); tid = substr($0, RSTART + 1, RLENGTH - 2) + 0 }
/ stopped: / { in_stop[tid] = "stop"; stops++; next }
/ round: / { in_stop[tid] = "safepoint round"; rounds++; next }
/ starts: / || / rounded: / { delete in_stop[tid]; next }
tid in in_stop { print "in a " in_stop[tid] ": " $0; found++ }
END {
	printf "%d stops, %d safepoint rounds, %d found, %d events lost\n", stops, rounds, found, lost
	exit found > 0 || lost > 0
}' /sys/kernel/tracing/trace
