package resolver

import (
	"context"
	"sync/atomic"
)

// maxDetachedLookups is how many look-ups of name servers may go on after the question that
// they were for has been answered: as many as may wait for the sockets of the default. Each
// uses what a question uses, but no slot of Limits.Questions.
const maxDetachedLookups = 1_000

// detachedLookup is the look-up of a name server, which may outlive the question. Its context ends with the question's time,
// with the resolver, and, until the look-up is detached, with the flight that it is made
// for. The resolver holds the context until the look-up has ended.
type detachedLookup struct {
	r      *iterator
	ctx    context.Context
	cancel context.CancelFunc
	free   func() bool // stops ctx from ending with the flight
	// state decides whether end or detach came first, as they may be called at the same
	// time.
	state atomic.Int32
}

// The states of a detachedLookup.
const (
	lookupBegun int32 = iota
	lookupDetached
	lookupOver
)

func (r *iterator) newDetachedLookup(ctx context.Context, b *budget) *detachedLookup {
	own, cancel := context.WithDeadline(detachedContext{r.base, ctx}, b.deadline)
	return &detachedLookup{r: r, ctx: own, cancel: cancel, free: context.AfterFunc(ctx, cancel)}
}

// end is called by the look-up itself when it has ended.
func (s *detachedLookup) end() {
	s.cancel()
	if !s.state.CompareAndSwap(lookupBegun, lookupOver) {
		s.r.detachedLookups.Add(-1)
	}
}

// detach lets the look-up go on without its question. It is cancelled if too many do so
// already.
func (s *detachedLookup) detach() {
	if s.r.detachedLookups.Add(1) > maxDetachedLookups || !s.state.CompareAndSwap(lookupBegun, lookupDetached) {
		s.r.detachedLookups.Add(-1)
		s.cancel()
		return
	}
	s.free()
}

// detach lets the look-ups that are under way when the answer comes go on, since the next
// question will need what they find. When the flight is given up, so are they.
func (z *zoneQuery) detach(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	for _, s := range z.targetLookups {
		s.detach()
	}
}
