package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// clockTick is the unit of processor time in /proc (USER_HZ), which Linux has fixed.
const clockTick = 10 * time.Millisecond

// statOf returns what /proc says of a process: its name, and the fields after it.
func statOf(pid int) (name string, fields []string) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if err != nil || open < 0 || end < open {
		return "", nil
	}
	return string(text[open+1 : end]), strings.Fields(string(text[end+1:]))
}

// childCalled returns the process of that name that this one has started; 0: none.
func childCalled(name string) int {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if called, fields := statOf(pid); called == name && len(fields) > 1 && fields[1] == strconv.Itoa(os.Getpid()) {
			return pid
		}
	}
	return 0
}

// cpuOf returns the processor time of a process.
func cpuOf(pid int) time.Duration {
	const user, system = 11, 12
	_, fields := statOf(pid)
	if len(fields) <= system {
		return 0
	}
	u, _ := strconv.Atoi(fields[user])
	s, _ := strconv.Atoi(fields[system])
	return time.Duration(u+s) * clockTick
}

var highWaterLine = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// highWater returns the largest memory that a process had, in bytes.
func highWater(pid int) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	m := highWaterLine.FindSubmatch(text)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n << 10
}

// sizes are those of an output as it grew.
type sizes []struct {
	at   time.Duration
	size int64
}

// until returns when the output had a part of its final size; 0: not known.
func (s sizes) until(part float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	for _, e := range s {
		if float64(e.size) >= part*float64(s[len(s)-1].size) {
			return e.at
		}
	}
	return 0
}

// watching looks at a process while it runs.
type watching struct {
	stop  chan struct{}
	over  sync.WaitGroup
	files int
	sizes sizes
}

func watch(pid int, out string) *watching {
	w := &watching{stop: make(chan struct{})}
	begun := time.Now()
	w.over.Go(func() {
		for {
			if entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid)); err == nil {
				w.files = max(w.files, len(entries))
			}
			if info, err := os.Stat(out); err == nil {
				w.sizes = append(w.sizes, struct {
					at   time.Duration
					size int64
				}{time.Since(begun), info.Size()})
			}
			select {
			case <-w.stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return w
}

// end ends the watch. files and the sizes are whole then.
func (w *watching) end() sizes {
	close(w.stop)
	w.over.Wait()
	return w.sizes
}
