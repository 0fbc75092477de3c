package anchorkeeper

import (
	"math/rand/v2"
	"time"

	"github.com/iterdns/iterdns/dnssec"
)

const (
	// tick is how often the clock is looked at: timers do not run while a host sleeps, and the
	// clock may be set. It is also when saving is tried again.
	tick = time.Hour
	// minInterval and maxInterval bound the time between two queries for the keys of a zone (RFC
	// 5011 §2.3).
	minInterval = time.Hour
	maxInterval = 15 * 24 * time.Hour
	// yield is how much later at most a process asks than another one that shares the store, so
	// that one query does for both.
	yield = 10 * time.Minute
)

// untilDue returns how long it is until a zone is to be asked. A time further away than any that is
// noted means that the clock was wrong then or is now.
func untilDue(r dnssec.Rollover, now time.Time) time.Duration {
	wait := r.Next.Sub(now)
	if wait > maxInterval {
		return 0
	}
	return max(wait, 0)
}

// jittered returns a time somewhat before next, so that programs that were started together do
// not all ask together; never so soon that RFC 5011 §2.3 forbids it.
func jittered(now, next time.Time) time.Time {
	wait := min(next.Sub(now), maxInterval) - yield
	if spread := wait / 10; spread > 0 {
		wait -= rand.N(spread)
	}
	return now.Add(max(wait, minInterval))
}
