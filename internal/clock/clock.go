// Package clock keeps what a resolver knows of the time that signatures are checked at, beside what
// the clock says: a moment that is known to have passed, and when the clock was last set.
//
// In come the times that signatures were made at, and readings of the clock; out comes the earliest
// time that it can be now, and whether what was concluded from the time at some moment still counts.
// The package never corrects the clock. It measures with the monotonic clock of the process, so that
// it sees steps of the other.
//
// Neither Unbound nor Knot Resolver has a word for it.
package clock

import (
	"sync"
	"time"
)

// minStep is by how much the clock has to differ from what it would say if nobody had set it. That
// is how far the clocks of signers may differ from ours (dnssec.DefaultInceptionSkew), and more than
// programs that keep clocks right, or leap seconds, change them by at once.
const minStep = time.Minute

// Clock is what is known of a clock. It may be used from several goroutines.
type Clock struct {
	read  func() time.Time
	begin time.Time // with a monotonic reading, which all else is measured by

	mu sync.Mutex
	// The earliest that the time can have been at begin. Zero: not known. Guarded by mu.
	earliest time.Time
	// By how much the clock was ahead of the time since begin when it was read last. Guarded by mu.
	ahead   time.Duration
	stepped time.Time // when it was seen last that the clock had been set; zero: never. Guarded by mu.
}

// New returns what is known of a clock that nothing is known of yet.
func New(read func() time.Time) *Clock {
	return &Clock{read: read, begin: time.Now()}
}

// Passed takes in a moment that has passed; the zero time is none.
func (c *Clock) Passed(moment time.Time) {
	if moment.IsZero() {
		return
	}
	atBegin := moment.Add(-time.Since(c.begin))
	c.mu.Lock()
	defer c.mu.Unlock()
	if atBegin.After(c.earliest) {
		c.earliest = atBegin
	}
}

// Earliest returns the earliest time that it can be now; zero: nothing is known.
func (c *Clock) Earliest() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.earliest.IsZero() {
		return c.earliest
	}
	return c.earliest.Add(time.Since(c.begin))
}

// Look reads the clock, to see whether it has been set since the last time. now is the time that
// SetSince is asked by.
func (c *Clock) Look(now time.Time) {
	ahead := c.read().Sub(c.begin.Add(time.Since(c.begin)).Round(0))
	c.mu.Lock()
	defer c.mu.Unlock()
	if (ahead - c.ahead).Abs() > minStep {
		c.stepped = now
	}
	c.ahead = ahead
}

// SetSince reads the clock, and reports whether it has been set since that moment. What was
// concluded then from the time counts no longer. Both times are the caller's.
func (c *Clock) SetSince(moment, now time.Time) bool {
	c.Look(now)
	c.mu.Lock()
	defer c.mu.Unlock()
	return moment.Add(time.Millisecond).Before(c.stepped) // the cache's unit
}
