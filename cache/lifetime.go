package cache

import "time"

// noMonotonic stands for a monotonic reading that is not there.
const noMonotonic = int64(1)<<40 - 1 // all ones in the five bytes an entry has for it

// backwardsSlack is how far the wall clock may stand before an entry's arrival
// without the entry counting as one from the future. A question reads the clock once
// a step and may work with that for its whole deadline of 10 s, so readers can be
// older than what they find; three times that is no longer a matter of overlap.
const backwardsSlack = 30 * 1000 // milliseconds

// longAgo stands for the remaining life of an entry whose age is unknown: it expired so long
// ago that it is not even stale.
const longAgo = int64(-1) << 50

// instant is a moment on both clocks, in milliseconds.
type instant struct {
	wall int64 // since 1970
	mono int64 // since the cache was made, or noMonotonic
}

// at reads both clocks of now, which may lack the monotonic one.
func (c *Cache) at(now time.Time) instant {
	i := instant{wall: now.UnixMilli(), mono: noMonotonic}
	if now != now.Round(0) { // Round strips the monotonic reading
		i.mono = min(max(now.Sub(c.base).Milliseconds(), 0), noMonotonic-1)
	}
	return i
}

// span is the life of an entry: when it ends on each clock, and how long it was.
type span struct {
	wall int64  // milliseconds since 1970
	mono int64  // milliseconds since the cache was made, or noMonotonic
	ttl  uint32 // seconds, rounded up
}

// spanOf returns the life that begins at i and lasts d, which is positive and at most
// 2^32-1 seconds.
func spanOf(i instant, d time.Duration) span {
	ms := max(d.Milliseconds(), 1)
	s := span{wall: i.wall + ms, mono: noMonotonic, ttl: ttlOf(d)}
	if i.mono != noMonotonic {
		s.mono = min(i.mono+ms, noMonotonic-1)
	}
	return s
}

// left returns how many milliseconds remain at i, by whichever clock has less; what is
// not positive has expired that long ago.
//
// Where the wall clock stepped back and there is no monotonic one to correct it, the
// entry would seem to have more than its whole life left. It is then expired: its
// true age cannot be known.
func (s span) left(i instant) int64 {
	left := s.wall - i.wall
	if s.mono != noMonotonic && i.mono != noMonotonic {
		return min(left, s.mono-i.mono)
	}
	if left > int64(s.ttl)*1000+backwardsSlack {
		return longAgo
	}
	return left
}

// arrived returns when the life began, by the wall clock in milliseconds since 1970. It is
// for comparing two lives; the wall clock may have been set between them.
func (s span) arrived() int64 { return s.wall - int64(s.ttl)*1000 }

// seconds returns what remains at i as a TTL, rounded up so that what is alive never
// shows 0, which would say that it must not be kept; never more than it began with.
func (s span) seconds(i instant) uint32 {
	left := s.left(i)
	if left <= 0 {
		return 0
	}
	return uint32(min(secondsUp(left), int64(s.ttl)))
}

func secondsUp(ms int64) int64 { return (ms + 999) / 1000 }

// ttlOf returns the TTL at the beginning of a life, as span.seconds would.
func ttlOf(life time.Duration) uint32 {
	if life <= 0 {
		return 0
	}
	return uint32(secondsUp(max(life.Milliseconds(), 1)))
}

// lifetime returns how long data with the given TTL may live: capped, and not beyond
// notAfter unless that is zero. Not positive: not at all. A TTL with the top bit set
// is a large number here, as RFC 8767 §4 has it.
func lifetime(now time.Time, ttl uint32, longest time.Duration, notAfter time.Time) time.Duration {
	d := min(time.Duration(ttl)*time.Second, longest)
	if !notAfter.IsZero() {
		d = min(d, notAfter.Sub(now))
	}
	return d
}
