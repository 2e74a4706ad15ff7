// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Signals do with real-time goroutines what they do without: each one that
// somebody wants arrives, also if it is sent to one thread or was wanted before the
// first task, and one that nobody wants any more ends the process.
func TestSignals(t *testing.T) {
	needRT(t)
	mustChild(t, "signals", nil)
	for _, how := range []string{"reset", "stop"} {
		out, err := runChild(t, "signalend", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "RT_TEST_HOW="+how) })
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGTERM || out != "" {
			t.Errorf("after %s: %v, not ended by SIGTERM\n%s", how, err, out)
		}
	}
}

func init() {
	children["signals"] = func() {
		before := make(chan os.Signal, 1)
		signal.Notify(before, unix.SIGUSR1)
		receive := func(c chan os.Signal, want os.Signal) {
			select {
			case s := <-c:
				check(s == want, "got %v, not %v", s, want)
			case <-time.After(time.Minute):
				check(false, "%v did not come", want)
			}
		}
		send := func(s unix.Signal) { must(unix.Kill(unix.Getpid(), s)) }
		sendThread := func(s unix.Signal) { must(unix.Tgkill(unix.Getpid(), unix.Gettid(), s)) }
		send(unix.SIGUSR1)
		receive(before, unix.SIGUSR1)

		must(Do(Attr{Priority: 30}, func() error {
			after := make(chan os.Signal, 1)
			signal.Notify(after, unix.SIGUSR2)
			for range 200 {
				send(unix.SIGUSR1)
				send(unix.SIGUSR2)
				receive(after, unix.SIGUSR2)
				receive(before, unix.SIGUSR1)
				sendThread(unix.SIGUSR2)
				receive(after, unix.SIGUSR2)
			}
			signal.Ignore(unix.SIGUSR2)
			send(unix.SIGUSR2)
			signal.Notify(after, unix.SIGUSR2)
			check(len(after) == 0, "an ignored signal came")
			send(unix.SIGUSR2)
			receive(after, unix.SIGUSR2)
			return nil
		}))
		// Without a task again, and if the program closes what it does not know.
		for fd := range 100 {
			if file, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd)); file == "anon_inode:[signalfd]" {
				must(unix.Close(fd))
			}
		}
		for range 10 {
			send(unix.SIGUSR1)
			receive(before, unix.SIGUSR1)
		}
		fmt.Println("ok")
	}
	children["signalend"] = func() {
		c := make(chan os.Signal, 1)
		signal.Notify(c, unix.SIGTERM)
		must(Do(Attr{Priority: 30}, func() error {
			must(unix.Kill(unix.Getpid(), unix.SIGTERM))
			<-c
			if os.Getenv("RT_TEST_HOW") == "stop" {
				signal.Stop(c)
			} else {
				signal.Reset(unix.SIGTERM)
			}
			must(unix.Kill(unix.Getpid(), unix.SIGTERM))
			for {
				runtime.Gosched()
			}
		}))
	}
}
