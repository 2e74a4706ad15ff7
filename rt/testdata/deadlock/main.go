// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

//go:build linux

// Deadlock ends in a deadlock, or not, with real-time goroutines. The runtime
// looks for deadlocks in programs without cgo alone.
package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"rtgo.dev/rtgo/rt"
)

var ways = map[string]func(){
	"tasks": func() {
		for i := range 3 {
			start(10+i, func() { <-make(chan int) })
		}
		<-make(chan int)
	},
	"main": func() {
		rt.Do(rt.Attr{Priority: 10}, func() error { <-make(chan int); return nil })
	},
	"locks": func() {
		var wg sync.WaitGroup
		var mu sync.Mutex
		mu.Lock()
		wg.Add(1)
		start(10, func() { mu.Lock(); wg.Done() })
		wg.Wait()
	},
	"mixed": func() { // an ordinary goroutine and a task wait for each other
		a, b := make(chan int), make(chan int)
		start(10, func() { <-a; b <- 1 })
		<-b
		<-a
	},

	"none": func() {
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		for _, f := range []func(){
			func() { time.Sleep(300 * time.Millisecond) },
			func() { rt.SleepUntil(time.Now().Add(300 * time.Millisecond)) },
			func() { <-time.After(300 * time.Millisecond) },
			func() { unix.Nanosleep(&unix.Timespec{Nsec: 300e6}, nil) },
			func() {
				r.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
				r.Read(make([]byte, 1))
			},
		} {
			start(10, f).Wait()
		}
		w.Close()
		fmt.Println("ok")
	},
}

func start(priority int, f func()) *rt.Task {
	t, err := rt.Go(rt.Attr{Priority: priority}, f)
	if err != nil {
		panic(err)
	}
	return t
}

func main() { ways[os.Args[1]]() }
