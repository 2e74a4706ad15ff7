// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt_test

import (
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"rtgo.dev/rtgo/rt"
)

func step() {}

// A control loop of 1 kHz in a goroutine of its own, which goes on without
// real time where that is not permitted.
func Example() {
	if err := rt.Prepare(rt.Options{}); err != nil {
		log.Print(err) // page faults may delay it
	}
	loop := func() {
		for c := range rt.Every(time.Millisecond) {
			if c.Missed > 0 {
				log.Printf("cycle %d: the one before ran %v over, %d missed", c.N, c.Overrun, c.Missed)
			}
			step()
			if c.N >= 10_000 {
				return
			}
		}
	}
	task, err := rt.Go(rt.Attr{Name: "control", Priority: 80}, loop)
	if err != nil {
		log.Print(err) // says what is missing and how to get it
		loop()
		return
	}
	task.Wait()
	s := task.Stats()
	fmt.Printf("lateness p99 %v, max %v\n", s.Quantile(0.99), s.MaxLateness)
}

func ExampleDo() {
	err := rt.Do(rt.Attr{Policy: rt.RR, Priority: 40, CPUs: []int{1}}, func() error {
		step()
		return nil
	})
	switch {
	case errors.Is(err, rt.ErrPermission):
		log.Fatal(err) // rt: no CAP_SYS_NICE, and RLIMIT_RTPRIO 0 is below priority 40 ...
	case errors.Is(err, rt.ErrCPU):
		log.Fatal(err) // rt: CPU 1 not in the allowed set 0 ...
	case err != nil:
		log.Fatal(err)
	}
}

// A task with a budget of 2 ms in each 10 ms, which the kernel guarantees.
func ExampleDo_deadline() {
	a := rt.Attr{Policy: rt.Deadline, Runtime: 2 * time.Millisecond, Period: 10 * time.Millisecond}
	err := rt.Do(a, func() error {
		for range rt.Every(10 * time.Millisecond) {
			step()
		}
		return nil
	})
	if errors.Is(err, rt.ErrAdmission) {
		log.Print("too much has been promised to others: ", err)
	}
}

func ExampleGo() {
	samples := make(chan int, 16)
	reader, err := rt.Go(rt.Attr{Name: "reader", Priority: 70}, func() {
		defer close(samples)
		for c := range rt.Every(500 * time.Microsecond) {
			select {
			case samples <- int(c.N):
			default: // never wait for an ordinary goroutine
			}
			if c.N > 1000 {
				return
			}
		}
	})
	if err != nil {
		log.Fatal(err)
	}
	for range samples {
		step()
	}
	reader.Wait()
}

func ExampleEvery() {
	for c := range rt.Every(5 * time.Millisecond) {
		fmt.Println("cycle", c.N >= 1)
		if c.N >= 1 {
			break
		}
	}
	// Output: cycle true
}

func ExampleSleepUntil() {
	next := time.Now()
	for range 3 {
		next = next.Add(time.Millisecond) // not time.Now().Add, which drifts
		rt.SleepUntil(next)
		step()
	}
	// Output:
}

// State that tasks and ordinary goroutines share.
func ExampleMutex() {
	var state struct {
		rt.Mutex
		setpoint float64
	}
	state.Lock()
	state.setpoint = 20.5
	state.Unlock()

	cond := sync.NewCond(&state) // it is a sync.Locker
	cond.Signal()
	// Output:
}

func ExampleTask_SetPriority() {
	task, err := rt.Go(rt.Attr{Priority: 20}, step)
	if err != nil {
		log.Fatal(err)
	}
	if err := task.SetPriority(60); err != nil && !errors.Is(err, rt.ErrEnded) {
		log.Print(err)
	}
}
