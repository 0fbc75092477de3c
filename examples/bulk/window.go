package main

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// sampleLatencies is how many round-trip times of a window are looked at.
	sampleLatencies = 512
	// timerTest is the timer whose lateness says how busy the processor is.
	timerTest = 20 * time.Millisecond
)

// windowCounts is what the controller sees of a window.
type windowCounts struct {
	mu        sync.Mutex
	seen      observation     // guarded by mu
	latencies []time.Duration // guarded by mu: the first ones
}

func (w *windowCounts) reply(rtt time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.sent++
	if len(w.latencies) < sampleLatencies {
		w.latencies = append(w.latencies, rtt)
	}
}

func (w *windowCounts) change(by func(*observation)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	by(&w.seen)
}

func (w *windowCounts) silence() {
	w.change(func(o *observation) { o.sent, o.lost = o.sent+1, o.lost+1 })
}
func (w *windowCounts) done()   { w.change(func(o *observation) { o.done++ }) }
func (w *windowCounts) starve() { w.change(func(o *observation) { o.starved = true }) }
func (w *windowCounts) woken(late time.Duration) {
	w.change(func(o *observation) { o.late = max(o.late, late) })
}

// end returns the window, and begins the next.
func (w *windowCounts) end(inFlight, paced int) observation {
	w.mu.Lock()
	defer w.mu.Unlock()
	o := w.seen
	o.inFlight, o.paced = inFlight, paced
	if len(w.latencies) > 0 {
		slices.Sort(w.latencies)
		o.latency = w.latencies[len(w.latencies)/2]
	}
	w.seen, w.latencies = observation{}, w.latencies[:0]
	return o
}

// watchTimer measures how late a timer is.
func (b *batch) watchTimer(ctx context.Context) {
	timer := time.NewTimer(timerTest)
	defer timer.Stop()
	for {
		due := time.Now().Add(timerTest)
		timer.Reset(timerTest)
		select {
		case <-timer.C:
			b.seen.woken(time.Since(due))
		case <-ctx.Done():
			return
		}
	}
}
