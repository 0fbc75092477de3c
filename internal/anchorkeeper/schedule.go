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

// schedule says when a zone is asked, by a clock that nobody sets, beside the time in its state.
type schedule struct {
	earliest, latest time.Time
	lag              time.Duration // after the time in its state
}

// within returns the schedule of a zone that has just been asked: it is asked again after that time,
// though the clock may be set back, and sooner when the clock says so, as it does when the host has slept
// meanwhile, which stops timers.
func within(wait time.Duration) schedule {
	now := time.Now()
	return schedule{earliest: now.Add(min(wait, minInterval)), latest: now.Add(wait)}
}

// yielding returns the schedule of a zone that another process has asked. That one is let go first the next
// time too.
func yielding(wait time.Duration) schedule {
	s := within(wait)
	s.lag = rand.N(yield)
	s.latest = s.latest.Add(s.lag)
	return s
}

// untilDue returns how long it is until a zone is to be asked.
func (k *Keeper) untilDue(r dnssec.Rollover) time.Duration {
	wait := untilDue(r, k.o.Now())
	s, ok := k.schedules[r.Zone]
	if !ok {
		s = within(wait)
		s.earliest = time.Time{}
		k.schedules[r.Zone] = s
	}
	return max(min(wait+s.lag, time.Until(s.latest)), time.Until(s.earliest))
}

// holdDownKey names a new key that has come into its state at a time.
type holdDownKey struct {
	zone, record string
	since        int64
}

// holdDown is what is left of the hold-down time of a new key since the keeper knows it, by a clock that
// nobody sets.
type holdDown struct {
	from time.Time
	left time.Duration
}

// noteHoldDowns notes how long new keys have to be waited for, and forgets those that are not new any more.
func (k *Keeper) noteHoldDowns(states []dnssec.Rollover) {
	now := k.o.Now()
	known := k.holdDowns
	k.holdDowns = make(map[holdDownKey]holdDown)
	for _, r := range states {
		for _, key := range r.Keys {
			if key.State != dnssec.KeyAddPend {
				continue
			}
			name := holdDownKey{r.Zone, key.Record, key.Since.UnixNano()}
			h, ok := known[name]
			if !ok {
				whole := max(0, key.HoldDown.Sub(key.Since))
				h = holdDown{time.Now(), min(max(0, key.HoldDown.Sub(now)), whole)}
			}
			k.holdDowns[name] = h
		}
	}
}

// holdBack keeps keys new whose hold-down time is over by the clock only because that was set forward: it
// is there for the owner of a stolen key, to whom the clock of this host means nothing.
func (k *Keeper) holdBack(before, after dnssec.Rollover) dnssec.Rollover {
	for _, old := range before.Keys {
		h, ok := k.holdDowns[holdDownKey{before.Zone, old.Record, old.Since.UnixNano()}]
		if old.State != dnssec.KeyAddPend || !ok || time.Since(h.from) >= h.left {
			continue
		}
		for i, key := range after.Keys {
			if key.Record == old.Record && key.State == dnssec.KeyValid {
				after.Keys[i] = old
			}
		}
	}
	return after
}
