package debugpage

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/resolver"
)

// maxFigures is how many readings are kept.
const maxFigures = 180

// figure is a reading of what is plotted.
type figure struct {
	at                             time.Time
	questions, fromCache, failures uint64
	udp, tcp, timedOut             uint64
	inFlight                       int
	cacheBytes                     int64
	byReason                       []uint64 // failures, in the order of the reasons' names
}

// figures are the last readings. They take a fixed amount of memory, once there are as many as are
// kept.
type figures struct {
	mu   sync.Mutex
	ring [maxFigures]figure // guarded by mu
	n    int                // guarded by mu; readings there have been
}

func (f *figures) add(one figure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ring[f.n%maxFigures] = one
	f.n++
}

// all returns the readings from the oldest on.
func (f *figures) all() []figure {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n <= maxFigures {
		return slices.Clone(f.ring[:f.n])
	}
	at := f.n % maxFigures
	return slices.Concat(f.ring[at:], f.ring[:at])
}

// sample reads figures until the page is closed.
func (p *Page) sample() {
	ticker := time.NewTicker(p.options.Every)
	defer ticker.Stop()
	for {
		select {
		case <-p.life.Done():
			return
		case <-ticker.C:
			p.figures.add(figuresOf(p.resolver))
		}
	}
}

func figuresOf(r *resolver.Resolver) figure { return figureOf(r.Stats()) }

func figureOf(s resolver.Stats) figure {
	f := figure{
		at: time.Now(), questions: s.Questions, fromCache: s.FromCache,
		udp: s.SentUDP, tcp: s.SentTCP, timedOut: s.TimedOut, inFlight: s.InFlight, cacheBytes: s.Cache.Bytes,
	}
	for _, reason := range slices.Sorted(maps.Keys(s.Failures)) {
		f.byReason = append(f.byReason, s.Failures[reason])
		f.failures += s.Failures[reason]
	}
	return f
}

// bounds are the upper bounds of the buckets of histograms.
var bounds = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond,
	10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2 * time.Second, 5 * time.Second,
}

// histogram counts times. The last bucket has those above all bounds.
type histogram [len(bounds) + 1]atomic.Uint64

func (h *histogram) add(d time.Duration) { h[bucketOf(d)].Add(1) }

func (h *histogram) counts() []uint64 {
	counts := make([]uint64, len(h))
	for i := range h {
		counts[i] = h[i].Load()
	}
	return counts
}

func bucketOf(d time.Duration) int {
	i, _ := slices.BinarySearch(bounds[:], d)
	return i
}
