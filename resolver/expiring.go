package resolver

import "time"

// expiring is a value and how long it is kept.
type expiring[T any] struct {
	value T
	since time.Time
	ttl   time.Duration
}

// holds reports whether the value is still good: not when either the wall or the monotonic
// clock says that its time is over, nor when the clock was set back to before its beginning.
func (v expiring[T]) holds(now time.Time) bool {
	age, wall := now.Sub(v.since), now.Round(0).Sub(v.since.Round(0))
	return max(age, wall) < v.ttl && min(age, wall) > -clockSlack
}

// clockSlack is by how much the time of one goroutine may be behind that of another: each
// reads the clock first, and they may come here in another order.
const clockSlack = 10 * time.Second
