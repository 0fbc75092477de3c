package secondlevel

import (
	"sync"
	"time"
)

// breaker keeps away from something that does not work: it opens after some failures in
// a row, and then lets one attempt pass after each pause, until one succeeds.
type breaker struct {
	after int           // failures in a row
	pause time.Duration // between attempts while open

	mu       sync.Mutex
	failures int       // guarded by mu
	next     time.Time // when open: the time of the next attempt; guarded by mu
}

// passage says whether an attempt may be made.
type passage uint8

const (
	pass    passage = iota // all is well
	probe                  // to see whether it works again
	blocked                // no
)

// ask reports whether an attempt may be made. Whoever makes one reports what came of it;
// a probe that never does is followed by another after the pause.
func (b *breaker) ask(now time.Time) passage {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.failures < b.after:
		return pass
	case now.Before(b.next):
		return blocked
	}
	b.next = now.Add(b.pause)
	return probe
}

func (b *breaker) succeeded() {
	b.mu.Lock()
	b.failures = 0
	b.mu.Unlock()
}

func (b *breaker) failed(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures++; b.failures >= b.after {
		b.next = now.Add(b.pause)
	}
}
