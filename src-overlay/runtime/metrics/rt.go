// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build goexperiment.rt && linux && (amd64 || arm64)

package metrics

func init() {
	late := func(cause, what string) Description {
		return Description{
			Name:        "/rt/dispatch/late/" + cause + ":dispatches",
			Description: "Count of wake-ups of real-time goroutines that were later than the threshold (see runtime/rt.SetThreshold), because of " + what + ".",
			Kind:        KindUint64,
			Cumulative:  true,
		}
	}
	rt := []Description{
		late("forEachP", "a safepoint function that every P had to run"),
		late("kernel", "the clock, an interrupt or the kernel's scheduler"),
		late("runtime", "the runtime, by none of the other causes"),
		late("stack-scan", "a scan of the goroutine's stack"),
		late("stop-the-world", "a stop-the-world"),
		{
			Name:        "/rt/dispatch/lateness:seconds",
			Description: "Distribution of the time from the release of a real-time goroutine (the time it slept until, or the moment it was made ready) until it ran. Bucket counts increase monotonically.",
			Kind:        KindFloat64Histogram,
			Cumulative:  true,
		},
		{
			Name:        "/rt/pauses/total:seconds",
			Description: "Time during which the runtime kept real-time goroutines from running: stops, safepoint functions and stack scans.",
			Kind:        KindFloat64,
			Cumulative:  true,
		},
		{
			Name:        "/rt/reserve/held:bytes",
			Description: "Memory in spans that wait in the reserves of real-time goroutines.",
			Kind:        KindUint64,
		},
		{
			Name:        "/rt/reserve/hits:spans",
			Description: "Count of spans that real-time goroutines took from their reserve.",
			Kind:        KindUint64,
			Cumulative:  true,
		},
		{
			Name:        "/rt/reserve/misses:spans",
			Description: "Count of times that real-time goroutines found no span in their reserve and took the ordinary way.",
			Kind:        KindUint64,
			Cumulative:  true,
		},
		{
			Name:        "/rt/stops/forced:stops",
			Description: "Count of stops and safepoint rounds that began without slack, after the longest wait for it.",
			Kind:        KindUint64,
			Cumulative:  true,
		},
		{
			Name:        "/rt/stops/total:stops",
			Description: "Count of stops and safepoint rounds that began while there were real-time goroutines.",
			Kind:        KindUint64,
			Cumulative:  true,
		},
		{
			Name:        "/rt/stops/wait/total:seconds",
			Description: "Time that stops and safepoint rounds waited for slack between the releases of real-time goroutines.",
			Kind:        KindFloat64,
			Cumulative:  true,
		},
		{
			Name:        "/rt/tasks:tasks",
			Description: "Count of real-time goroutines.",
			Kind:        KindUint64,
		},
		{
			Name:        "/rt/watchdog/boosts:boosts",
			Description: "Count of times that the watchdog found the runtime's monitor thread starved and raised its priority.",
			Kind:        KindUint64,
			Cumulative:  true,
		},
		{
			Name:        "/rt/watchdog/reports:reports",
			Description: "Count of real-time goroutines that the watchdog reported.",
			Kind:        KindUint64,
			Cumulative:  true,
		},
	}
	i := 0
	for i < len(allDesc) && allDesc[i].Name < rt[0].Name {
		i++
	}
	more := append(make([]Description, 0, len(allDesc)+len(rt)), allDesc[:i]...)
	allDesc = append(append(more, rt...), allDesc[i:]...)
}
