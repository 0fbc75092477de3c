package resolver

import (
	"context"

	"github.com/iterdns/iterdns/internal/rescue"
)

// detachedContext is a context that ends with the resolver and has the values of a caller's.
type detachedContext struct {
	context.Context
	values context.Context
}

// Value returns the resolver's own values first: package context uses them to find out which
// cancellation a context depends on.
func (l detachedContext) Value(key any) any {
	if v := l.Context.Value(key); v != nil {
		return v
	}
	return l.values.Value(key)
}

// spawn runs work in a goroutine that Close waits for. A panic ends the work and nothing
// else: work must defer what wakes those that wait for it.
func (r *Resolver) spawn(work func()) {
	r.running.Go(r.flights.stagger.delayed(func() {
		defer rescue.Quietly()
		growStack(0)
		work()
	}))
}
