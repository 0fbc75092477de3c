package resolver

import (
	"context"
	"encoding/binary"

	"github.com/iterdns/iterdns/cache"
)

// answer answers from the cache, with an expired answer, or in a flight that equal questions
// share, and leaves out the addresses that are not allowed.
func (r *mesh) answer(ctx context.Context, st *queryState, q question) (*answer, error) {
	f, err := r.answerUnfiltered(ctx, st, q)
	if err != nil {
		return nil, err
	}
	st.fromCache, st.stale = f.fromCache, f.stale
	return r.iterate.filtered(f)
}

func (r *mesh) answerUnfiltered(ctx context.Context, st *queryState, q question) (*answer, error) {
	if f, ok := r.iterate.searchCache(q, st.trust); ok {
		r.prefetchAll(f.due)
		st.tellFound(f)
		return f, nil
	}
	if !r.settings.ServeStale {
		return r.fetchAnswer(ctx, st, q)
	}
	if !r.hasStale(q, st.trust) {
		return r.fetchAnswer(ctx, st, q)
	}
	f, err := r.answerOrStale(ctx, st, q)
	if err == nil && f.stale {
		st.tellFound(f)
	}
	return f, err
}

// answerOrKnown is answer, from the cache alone unless recurse is set.
func (r *mesh) answerOrKnown(ctx context.Context, st *queryState, q question, recurse bool) (*answer, error) {
	if recurse {
		return r.answer(ctx, st, q)
	}
	if f, ok := r.iterate.searchCache(q, st.trust); ok {
		st.fromCache = true
		st.tellFound(f)
		return r.iterate.filtered(f)
	}
	return nil, errNotCached
}

// fetchAnswer answers in a flight that equal questions share.
func (r *mesh) fetchAnswer(ctx context.Context, st *queryState, q question) (*answer, error) {
	st.begin()
	ctx, s, err := r.admit(ctx, st)
	if err != nil {
		return nil, err
	}
	leave := s.leave
	if st.clientQuestion == q {
		arrived := r.iterate.clientQuestions.enter(q)
		leave = func() { arrived(); s.leave() }
	}
	handedOver := false
	defer func() {
		if !handedOver {
			leave()
		}
	}()
	leaving := func(fl *flight) {
		if handedOver = st.leaving != nil && st.leaving(fl, leave); handedOver {
			s.keep() // from now on it cannot be shed
		}
	}
	by := waiter{
		events: st.events, budget: st.budget, leaving: leaving,
		joined: func() { st.events.Joined(st.walkRef(), "") },
		retry:  func() { st.retryFailure = true },
	}
	v, err := r.flights.do(ctx, r.questionKey(q, st.trust), by, func(fl *flight) (any, error) {
		f, err := r.iterate.search(fl.ctx, st.inFlight(fl), q)
		return f, st.budget.end(err)
	})
	if err != nil {
		if r.base.Err() != nil {
			err = errClosed // whichever part Close ended first
		}
		return nil, err
	}
	return v.(*answer), nil
}

// questionKey is the key of the flight for a client's question. It differs after a change of
// routes, of negative trust anchors or of local zones, so that answers found by the old ones
// are not shared.
func (r *mesh) questionKey(q question, trust cache.Trust) string {
	b := binary.BigEndian.AppendUint64([]byte("question"), r.routes.currentRoutes().generation)
	b = binary.BigEndian.AppendUint64(b, r.iterate.localGeneration())
	b = append(b, q.name...)
	b = binary.BigEndian.AppendUint16(b, q.rrtype)
	return string(append(b, byte(trust)))
}
