package main

import (
	"bytes"
	"errors"
	"io"
	"runtime/debug"
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

// TestGCPercent: a small heap may grow by more, a large one as with GOGC=100, and none beyond what a full one
// may, or five times what is alive.
func TestGCPercent(t *testing.T) {
	const full = 200 << 20
	for _, test := range []struct {
		live uint64
		want int
	}{
		{0, usualPercent},       // before the first collection
		{10 << 20, mostPercent}, // to 50 of 400 MiB
		{80 << 20, 400},         // to 400 MiB
		{100 << 20, 300},
		{160 << 20, 150},
		{full, usualPercent},
		{3 * full, usualPercent},
	} {
		if got := gcPercent(test.live, full); got != test.want {
			t.Errorf("%d MiB alive: got %d, want %d", test.live>>20, got, test.want)
		}
	}
}

// TestCollector: it sets what gcPercent says, undoes it, and leaves a GOGC of the environment alone.
func TestCollector(t *testing.T) {
	percent := func() int {
		now := debug.SetGCPercent(usualPercent)
		debug.SetGCPercent(now)
		return now
	}
	defer debug.SetGCPercent(debug.SetGCPercent(77))
	c, err := parseArgs([]string{"-cache", "1000000"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOGC", "77")
	alone := newCollector(c)
	alone.adjust()
	if got := percent(); got != 77 {
		t.Errorf("with GOGC in the environment: got %d, want 77", got)
	}
	alone.end()
	t.Setenv("GOGC", "")
	of := newCollector(c)
	debug.FreeOSMemory() // a collection, so that it is known what is alive
	of.adjust()
	if got := percent(); got != mostPercent {
		t.Errorf("got %d, want %d", got, mostPercent)
	}
	of.end()
	if got := percent(); got != 77 {
		t.Errorf("at the end: got %d, want 77", got)
	}
}

// TestWorkersAreReused: there are as many goroutines as questions were under way at most, and none when the
// run has ended: synctest waits for them.
func TestWorkersAreReused(t *testing.T) {
	const most, names = 20, 300
	synctest.Test(t, func(t *testing.T) {
		c, err := parseArgs([]string{"-mock", "mock.txt", "-progress", "none", "-concurrency", strconv.Itoa(most)}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		p, err := newPlace(c)
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		var list, lines bytes.Buffer
		if err := writeMockList(&list, names); err != nil {
			t.Fatal(err)
		}
		out := &output{to: sink{Writer: &lines}, synced: time.Now()}
		b, err := newBatch(c, p, out, &written{})
		if err != nil {
			t.Fatal(err)
		}
		b.progress = newProgress(c, io.Discard, 0, b.tally)
		if err := errors.Join(b.run(t.Context(), &lists{stdin: &list, config: c}, survey{}), b.close(), out.close()); err != nil {
			t.Error(err)
		}
		if n := bytes.Count(lines.Bytes(), []byte("\n")); b.workers != most || n != names {
			t.Errorf("got %d goroutines and %d lines, want %d and %d", b.workers, n, most, names)
		}
	})
}

// TestSockets: there are more of them than questions, as far as the process may have descriptors.
func TestSockets(t *testing.T) {
	for concurrency, want := range map[int]int{100: 1000, 1000: 1125, 4000: 4500} {
		p, err := newPlace(&config{mock: "mock.txt", maxConcurrency: concurrency, cacheMiB: 1})
		if err != nil {
			t.Fatal(err)
		}
		p.close()
		want = min(want, max(64, descriptors()-spareDescriptors))
		if got := p.options.Limits.Sockets; got != want {
			t.Errorf("-concurrency %d: got %d sockets, want %d", concurrency, got, want)
		}
	}
}
