package main

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets that are a sixteenth of their value wide.
type histogram [64 * subBuckets]atomic.Uint64

// subBuckets is how many there are between a power of two and the next.
const subBuckets = 16

func (h *histogram) add(d time.Duration) { h[bucket(uint64(max(d, 0)))].Add(1) }

// bucket numbers the buckets; those below subBuckets are exact.
func bucket(n uint64) int {
	if n < subBuckets {
		return int(n)
	}
	shift := bits.Len64(n) - bits.Len64(subBuckets)
	return shift*subBuckets + int(n>>shift)
}

// lowest is the least duration of a bucket.
func lowest(bucket int) time.Duration {
	if bucket < 2*subBuckets {
		return time.Duration(bucket)
	}
	shift := bucket/subBuckets - 1
	return time.Duration(uint64(bucket-shift*subBuckets) << shift)
}

// quantile returns the duration below which a part of all is, 0 if there are none.
func (h *histogram) quantile(part float64) time.Duration {
	var total, sum uint64
	for i := range h {
		total += h[i].Load()
	}
	for i := range h {
		if sum += h[i].Load(); sum > 0 && float64(sum) >= part*float64(total) {
			return lowest(i)
		}
	}
	return 0
}

// usage is what the process holds when no question is under way.
type usage struct {
	heap       uint64 // live bytes
	goroutines int
	files      int
}

func (u usage) String() string {
	return fmt.Sprintf("heap %.1f MiB, %d goroutines, %d descriptors", mebi(u.heap), u.goroutines, u.files)
}

func mebi(n uint64) float64 { return float64(n) / (1 << 20) }

// usageNow collects garbage first. What a sync.Pool holds goes with the second time.
func usageNow() usage {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u := usage{heap: m.HeapAlloc, goroutines: runtime.NumGoroutine()}
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		u.files = len(entries)
	}
	return u
}

// settled waits until the process holds no more than before, for as long as the servers
// may need to notice that a connection has ended.
func settled(before usage) usage {
	const attempts, pause = 300, 100 * time.Millisecond
	now := usageNow()
	for range attempts {
		if now.goroutines <= before.goroutines && now.files <= before.files {
			break
		}
		time.Sleep(pause)
		now = usageNow()
	}
	return now
}
