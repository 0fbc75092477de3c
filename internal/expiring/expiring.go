package expiring

import "time"

// Value is a value and how long it is kept.
type Value[T any] struct {
	Value T
	Since time.Time
	TTL   time.Duration
}

// Holds reports whether the value is still good: not when either the wall or the monotonic
// clock says that its time is over, nor when the clock was set back to before its beginning.
func (v Value[T]) Holds(now time.Time) bool { return v.HoldsFor(now, 0) }

// HoldsFor is Holds for a value that is good for that much longer than its TTL.
func (v Value[T]) HoldsFor(now time.Time, longer time.Duration) bool {
	age, wall := now.Sub(v.Since), now.Round(0).Sub(v.Since.Round(0))
	return max(age, wall) < v.TTL+longer && min(age, wall) > -ClockSlack
}

// ClockSlack is by how much the time of one goroutine may be behind that of another: each
// reads the clock first, and they may come here in another order.
const ClockSlack = 10 * time.Second
