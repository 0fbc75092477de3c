package resolver

import (
	"context"
	"sync/atomic"
)

// maxSideTrips is how many look-ups of name servers may go on when what they were for has
// been answered: as many as may be waiting for the default's sockets. Each takes what a
// question takes, and no place of Limits.Questions.
const maxSideTrips = 1_000

// sideTrip is the look-up of a name server, under a context that ends with the question's
// time, with the resolver, and, until it is detached, with the flight it is made for. Until
// it has ended the resolver holds the context.
type sideTrip struct {
	r      *Resolver
	ctx    context.Context
	cancel context.CancelFunc
	free   func() bool // takes back that ctx ends with the flight
	// state decides between the trip's end and its leave to go on, which may come together.
	state atomic.Int32
}

// What has become of a sideTrip.
const (
	tripBegun int32 = iota
	tripDetached
	tripOver
)

func (r *Resolver) newSideTrip(ctx context.Context, b *budget) *sideTrip {
	own, cancel := context.WithDeadline(lasting{r.base, ctx}, b.deadline)
	return &sideTrip{r: r, ctx: own, cancel: cancel, free: context.AfterFunc(ctx, cancel)}
}

// end is called by the trip itself, when it is over.
func (s *sideTrip) end() {
	s.cancel()
	if !s.state.CompareAndSwap(tripBegun, tripOver) {
		s.r.sideTrips.Add(-1)
	}
}

// detach lets the trip go on by itself, unless it is over or there are too many of the kind,
// when it ends.
func (s *sideTrip) detach() {
	if s.r.sideTrips.Add(1) > maxSideTrips || !s.state.CompareAndSwap(tripBegun, tripDetached) {
		s.r.sideTrips.Add(-1)
		s.cancel()
		return
	}
	s.free()
}

// detach lets the look-ups that are under way when the answer comes go on: the next question
// will need what they find. When the flight is given up, so are they.
func (a *asking) detach(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	for _, s := range a.trips {
		s.detach()
	}
}
