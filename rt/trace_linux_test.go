// Copyright 2026 The rtgo Authors. All rights reserved.
// Use of this source code is governed by a BSD-style
// license that can be found in the LICENSE file.

package rt

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/trace"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Execution traces that begin and end while tasks enter, leave, block in every
// way, and the world stops, can be parsed.
func TestTrace(t *testing.T) {
	needRT(t)
	t.Parallel()
	dir := t.TempDir()
	mustChild(t, "trace", func(cmd *exec.Cmd) { cmd.Env = append(cmd.Env, "RT_TEST_DIR="+dir) })
	files, err := filepath.Glob(dir + "/*.trace")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d traces, %v", len(files), err)
	}
	for _, f := range files {
		// Its exit status tells; the events may name functions of package errors.
		out, err := goCommand(t, nil, "tool", "trace", "-d=parsed", f)
		if err != nil {
			i := max(0, len(out)-1500)
			t.Errorf("%s: %v\n%s", filepath.Base(f), err, out[i:])
			if keep := os.Getenv("RT_TEST_KEEP"); keep != "" {
				b, _ := os.ReadFile(f)
				os.WriteFile(filepath.Join(keep, filepath.Base(f)), b, 0o666)
			}
			continue
		}
		if n := strings.Count(out, "\n"); n < 200 {
			t.Errorf("%s has %d events only", filepath.Base(f), n)
		}
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := len(b) / 2; i < len(b); i++ {
		b[i] = 0xff
	}
	bad := filepath.Join(dir, "bad")
	if err := os.WriteFile(bad, b, 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := goCommand(t, nil, "tool", "trace", "-d=parsed", bad); err == nil {
		t.Errorf("a broken trace was parsed: %d lines", strings.Count(out, "\n"))
	}
}

func init() {
	children["trace"] = func() {
		dir := os.Getenv("RT_TEST_DIR")
		var wg sync.WaitGroup
		stop := make(chan bool)
		over := func() bool {
			select {
			case <-stop:
				return true
			default:
				return false
			}
		}
		// Some tasks that stay.
		r, w, err := os.Pipe()
		must(err)
		r2, w2, err := os.Pipe()
		must(err)
		defer w2.Close()
		ping, pong := make(chan int), make(chan int)
		var mu Mutex
		for i, f := range []func(){
			func() { time.Sleep(200 * time.Microsecond) },
			func() { <-time.After(300 * time.Microsecond) },
			func() {
				select {
				case v := <-ping:
					pong <- v
				case <-time.After(time.Millisecond):
				}
			},
			func() {
				r.SetReadDeadline(time.Now().Add(time.Millisecond))
				r.Read(make([]byte, 1))
			},
			func() { mu.Lock(); burn(20 * time.Microsecond); mu.Unlock(); runtime.Gosched() },
			func() { sink = make([]byte, 20<<10); time.Sleep(time.Millisecond) },
			func() { os.ReadFile("/proc/self/stat"); time.Sleep(time.Millisecond) },
			// Beyond the end of a generation, in each way.
			func() { time.Sleep(900 * time.Millisecond) },
			func() { <-time.After(950 * time.Millisecond) },
			func() { unix.Nanosleep(&unix.Timespec{Nsec: 970e6}, nil) },
			func() {
				r.SetReadDeadline(time.Now().Add(930 * time.Millisecond))
				r.Read(make([]byte, 1))
			},
			func() {
				r2.SetReadDeadline(time.Now().Add(930 * time.Millisecond))
				r2.Read(make([]byte, 1))
			},
		} {
			wg.Add(1)
			_, err := Go(Attr{Priority: 10 + i, Name: fmt.Sprint("trace", i)}, func() {
				defer wg.Done()
				for !over() {
					f()
				}
			})
			must(err)
		}
		// Some that come and go.
		for i := range 3 {
			wg.Go(func() {
				for !over() {
					must(Do(Attr{Priority: 5 + i}, func() error {
						w.Write([]byte{1})
						c := make(chan int)
						go func() { c <- 1 }()
						<-c
						return nil
					}))
					time.Sleep(100 * time.Microsecond)
				}
			})
		}
		// And what disturbs them.
		wg.Go(func() {
			for !over() {
				select {
				case ping <- 1:
					<-pong
				case <-time.After(time.Millisecond):
				}
				mu.Lock()
				mu.Unlock()
			}
		})
		wg.Go(func() {
			for n := 0; !over(); n++ {
				runtime.GC()
				runtime.GOMAXPROCS(1 + n%4)
				time.Sleep(3 * time.Millisecond)
			}
		})
		for i, d := range []time.Duration{1, 5, 20, 50, 100, 2500} {
			f, err := os.Create(fmt.Sprintf("%s/%d.trace", dir, i))
			must(err)
			must(trace.Start(f))
			time.Sleep(d * time.Millisecond) // the last one has several generations
			trace.Stop()
			f.Close()
		}
		close(stop)
		wg.Wait()
		fmt.Println("ok")
	}
}
