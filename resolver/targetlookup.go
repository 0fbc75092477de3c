package resolver

import (
	"context"
	"sync/atomic"
)

// maxTargetLookups is how many look-ups of name servers may go on when what they were for has
// been answered: as many as may be waiting for the default's sockets. Each takes what a
// question takes, and no place of Limits.Questions.
const maxTargetLookups = 1_000

// targetLookup is the look-up of a name server, under a context that ends with the question's
// time, with the resolver, and, until it is detached, with the flight it is made for. Until
// it has ended the resolver holds the context.
type targetLookup struct {
	r      *Resolver
	ctx    context.Context
	cancel context.CancelFunc
	free   func() bool // takes back that ctx ends with the flight
	// state decides between the trip's end and its leave to go on, which may come together.
	state atomic.Int32
}

// What has become of a target look-up.
const (
	targetLookupBegun int32 = iota
	targetLookupDetached
	targetLookupOver
)

func (r *Resolver) newTargetLookup(ctx context.Context, b *budget) *targetLookup {
	own, cancel := context.WithDeadline(detachedContext{r.base, ctx}, b.deadline)
	return &targetLookup{r: r, ctx: own, cancel: cancel, free: context.AfterFunc(ctx, cancel)}
}

// end is called by the trip itself, when it is over.
func (s *targetLookup) end() {
	s.cancel()
	if !s.state.CompareAndSwap(targetLookupBegun, targetLookupOver) {
		s.r.targetLookups.Add(-1)
	}
}

// detach lets the trip go on by itself, unless it is over or there are too many of the kind,
// when it ends.
func (s *targetLookup) detach() {
	if s.r.targetLookups.Add(1) > maxTargetLookups || !s.state.CompareAndSwap(targetLookupBegun, targetLookupDetached) {
		s.r.targetLookups.Add(-1)
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
	for _, s := range a.targetLookups {
		s.detach()
	}
}
