// SPDX-License-Identifier: Apache-2.0
// W7, W9, W10 for Go.   go_micro [spawn|files]
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sort"
	"sync"
	"syscall"
	"time"
)

func put(m string, v float64, unit string) {
	fmt.Printf("{\"metric\":%q,\"value\":%.3f,\"unit\":%q}\n", m, v, unit)
}
func cpu() float64 {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return float64(r.Utime.Sec+r.Stime.Sec) + float64(r.Utime.Usec+r.Stime.Usec)/1e6
}
func per(t time.Time, n int) float64 { return float64(time.Since(t).Nanoseconds()) / float64(n) }

func micro() {
	runtime.GOMAXPROCS(1)
	n := 1000000
	sum := 0
	t := time.Now()
	done := make(chan int, 1)
	for i := 0; i < n; i++ {
		i := i
		go func() { done <- i }()
		sum += <-done
	}
	put("spawn+await", per(t, n), "ns")
	t = time.Now()
	for i := 0; i < n; i++ {
		runtime.Gosched()
	}
	put("post+run", per(t, n), "ns")
	a, b := make(chan int), make(chan int)
	t = time.Now()
	go func() {
		for v := range a {
			b <- v + 1
		}
	}()
	for i := 0; i < n; i++ {
		a <- i
		sum += <-b
	}
	put("channel hop", per(t, 2*n), "ns")
	close(a)
	var over []float64
	for i := 0; i < 500; i++ {
		t = time.Now()
		time.Sleep(time.Millisecond)
		over = append(over, (float64(time.Since(t).Nanoseconds())-1e6)/1e3)
	}
	sort.Float64s(over)
	put("sleep 1 ms: overshoot p50", over[250], "us")
	put("sleep 1 ms: overshoot p99", over[495], "us")

	runtime.GOMAXPROCS(2)
	c, d := make(chan int), make(chan int)
	go func() {
		runtime.LockOSThread()
		for v := range c {
			d <- v
		}
	}()
	runtime.LockOSThread()
	rounds := 50000
	t = time.Now()
	for i := 0; i < rounds; i++ {
		c <- i
		<-d
	}
	put("cross-thread round trip", per(t, rounds)/1e3, "us")
	runtime.UnlockOSThread()
	close(c)

	runtime.GOMAXPROCS(1)
	r := uint32(1)
	delay := func() time.Duration {
		r = r*1664525 + 1013904223
		return time.Duration(60000+(r>>12)) * time.Millisecond
	}
	keep := make([]*time.Timer, 1000000)
	for i := range keep {
		keep[i] = time.AfterFunc(delay(), func() {})
	}
	t = time.Now()
	for i := 0; i < n; i++ {
		time.AfterFunc(delay(), func() {}).Stop()
	}
	put("timer arm+cancel, 1e6 outstanding", per(t, n), "ns")
	runtime.KeepAlive(keep)
	if sum == 42 {
		fmt.Println()
	}
}
func spawn() {
	n := 1000
	t, c := time.Now(), cpu()
	for i := 0; i < n; i++ {
		if exec.Command("/bin/true").Run() != nil {
			os.Exit(1)
		}
	}
	put("spawn+wait", float64(n)/time.Since(t).Seconds(), "per s")
	put("parent CPU per spawn", (cpu()-c)*1e6/float64(n), "us")
	put("wall per spawn", per(t, n)/1e3, "us")
	t, c = time.Now(), cpu()
	for i := 0; i < n; i++ {
		if b, err := exec.Command("/bin/echo", "hello").Output(); err != nil || len(b) != 6 {
			os.Exit(1)
		}
	}
	put("parent CPU per capture", (cpu()-c)*1e6/float64(n), "us")
	put("wall per capture", per(t, n)/1e3, "us")
}
func files() {
	d := os.Getenv("PEERS_BUILD")
	if d == "" {
		d = "."
	}
	for pass := 0; pass < 2; pass++ {
		var wg sync.WaitGroup
		names := make(chan int, 64)
		t, c := time.Now(), cpu()
		for i := 0; i < 64; i++ {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for i := range names {
					if b, err := os.ReadFile(fmt.Sprintf("%s/files/%d", d, i)); err != nil || len(b) != 4096 {
						os.Exit(1)
					}
				}
			}()
		}
		for i := 0; i < 10000; i++ {
			names <- i
		}
		close(names)
		wg.Wait()
		if pass == 1 {
			put("files", 10000/time.Since(t).Seconds(), "per s")
			put("CPU per file", (cpu()-c)*1e6/10000, "us")
		}
	}
	t, c := time.Now(), cpu()
	for i := 0; i < 10000; i++ {
		if b, err := os.ReadFile(fmt.Sprintf("%s/files/%d", d, i)); err != nil || len(b) != 4096 {
			os.Exit(1)
		}
	}
	put("files, one at a time", 10000/time.Since(t).Seconds(), "per s")
	put("CPU per file, one at a time", (cpu()-c)*1e6/10000, "us")
}
func main() {
	if len(os.Args) > 1 && os.Args[1] == "spawn" {
		spawn()
	} else if len(os.Args) > 1 && os.Args[1] == "files" {
		files()
	} else {
		micro()
	}
}
