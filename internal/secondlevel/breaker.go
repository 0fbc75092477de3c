package secondlevel

import (
	"sync"
	"time"
)

// breaker is a circuit breaker: it opens after some failures in a row, or when nothing has
// succeeded for some time, and then lets one attempt pass after each pause, until one
// succeeds.
//
// A failure does not count if its attempt began before the last success, which contradicts
// it, or before the last failure that counted, which has the same cause, as when a hundred
// attempts meet the same hiccup.
type breaker struct {
	after   int           // failures in a row
	silence time.Duration // opens after so long without any success during an attempt; 0: never
	pause   time.Duration // between attempts while open

	mu       sync.Mutex
	failures int       // guarded by mu
	next     time.Time // when open: the time of the next attempt; guarded by mu
	good     time.Time // the last success; guarded by mu
	bad      time.Time // the last failure that counted; guarded by mu
}

// passage says whether an attempt may be made.
type passage uint8

const (
	pass    passage = iota // all is well
	probe                  // to see whether it works again
	blocked                // no
)

// ask reports whether an attempt may be made. The caller reports its outcome; a probe
// without one is followed by another after the pause.
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

// open reports whether the breaker is open.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures >= b.after
}

// succeeded records a success, and reports whether that has closed the breaker.
func (b *breaker) succeeded(now time.Time) (closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	closed = b.failures >= b.after
	b.failures, b.good = 0, now
	return closed
}

// failed records an attempt that began at some time and has failed now, and reports whether
// that has opened the breaker.
func (b *breaker) failed(began, now time.Time) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	wasOpen := b.failures >= b.after
	switch {
	case began.Before(b.good):
		return false
	case b.silence > 0 && now.Sub(began) >= b.silence:
		b.failures = max(b.failures, b.after)
	case began.Before(b.bad):
		return false
	default:
		b.failures++
	}
	b.bad = now
	if b.failures < b.after {
		return false
	}
	b.next = now.Add(b.pause)
	return !wasOpen
}

// quiet returns for how long an attempt that began at some time has seen no success.
func (b *breaker) quiet(began, now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.good.After(began) {
		began = b.good
	}
	return now.Sub(began)
}
