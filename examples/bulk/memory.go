package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// questionMemory is what a question under way takes, and waitingMemory one that waits for another
	// attempt, in bytes.
	questionMemory, waitingMemory = 40 << 10, 1 << 10
	// usualPercent is Go's own GOGC, and mostPercent the largest that is set: between two looks at
	// it the heap may grow to that much more than what is alive.
	usualPercent, mostPercent = 100, 400
)

// collector has the garbage collector run no more often in a heap that is still small than in that of a
// long run, whose cache is full: a short run spends a tenth of its processor time on it otherwise. It
// takes no more memory than that long run. Nil leaves GOGC alone.
type collector struct {
	full    uint64 // bytes alive in a long run
	percent int
	before  int
}

// newCollector returns nil if the environment has GOGC. The memory limit GOMEMLIMIT holds in any case.
func newCollector(c *config) *collector {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	full := uint64(c.cacheMiB)<<20 + uint64(c.maxConcurrency)*questionMemory + uint64(c.waiting)*waitingMemory
	before := debug.SetGCPercent(usualPercent)
	return &collector{full: full, percent: usualPercent, before: before}
}

// adjust looks how much is alive, and sets how much the heap may grow.
func (c *collector) adjust() {
	if c == nil {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	if percent := gcPercent(live[0].Value.Uint64(), c.full); percent != c.percent {
		c.percent = percent
		debug.SetGCPercent(percent)
	}
}

// end undoes what adjust has done.
func (c *collector) end() {
	if c != nil {
		debug.SetGCPercent(c.before)
	}
}

// gcPercent returns by how many per cent of what is alive the heap may grow, so that it becomes as
// large as with GOGC=100 where full is alive.
func gcPercent(live, full uint64) int {
	if live == 0 || live >= full {
		return usualPercent
	}
	return int(min(mostPercent, (2*full-live)*100/live))
}
