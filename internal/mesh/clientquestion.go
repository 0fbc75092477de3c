package mesh

import (
	"context"
	"encoding/binary"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/flight"
	"github.com/iterdns/iterdns/internal/iterate"
)

// Answer answers from the cache, with an expired answer, or in a flight that equal questions
// share, and leaves out the addresses that are not allowed.
func (r *Mesh) Answer(ctx context.Context, st *iterate.QueryState, q answer.Question) (*answer.Answer, error) {
	f, err := r.answerUnfiltered(ctx, st, q)
	if err != nil {
		return nil, err
	}
	st.FromCache, st.Stale = f.FromCache, f.Stale
	return r.iterate.Filtered(f)
}

func (r *Mesh) answerUnfiltered(ctx context.Context, st *iterate.QueryState, q answer.Question) (*answer.Answer, error) {
	if f, ok := r.iterate.SearchCache(q, st.Trust); ok {
		r.prefetchAll(f.Due)
		st.TellFound(f)
		return f, nil
	}
	if !r.Settings.ServeStale {
		return r.fetchAnswer(ctx, st, q)
	}
	if !r.hasStale(q, st.Trust) {
		return r.fetchAnswer(ctx, st, q)
	}
	f, err := r.answerOrStale(ctx, st, q)
	if err == nil && f.Stale {
		st.TellFound(f)
	}
	return f, err
}

// AnswerOrKnown is Answer, from the cache alone unless recurse is set.
func (r *Mesh) AnswerOrKnown(ctx context.Context, st *iterate.QueryState, q answer.Question, recurse bool) (*answer.Answer, error) {
	if recurse {
		return r.Answer(ctx, st, q)
	}
	if f, ok := r.iterate.SearchCache(q, st.Trust); ok {
		st.FromCache = true
		st.TellFound(f)
		return r.iterate.Filtered(f)
	}
	return nil, failure.ErrNotCached
}

// fetchAnswer answers in a flight that equal questions share.
func (r *Mesh) fetchAnswer(ctx context.Context, st *iterate.QueryState, q answer.Question) (*answer.Answer, error) {
	st.Begin()
	ctx, s, err := r.admit(ctx, st)
	if err != nil {
		return nil, err
	}
	leave := s.leave
	if st.ClientQuestion == q {
		arrived := r.iterate.ClientQuestions.Enter(q)
		leave = func() { arrived(); s.leave() }
	}
	handedOver := false
	defer func() {
		if !handedOver {
			leave()
		}
	}()
	leaving := func(fl *flight.Flight) {
		if handedOver = st.Leaving != nil && st.Leaving(fl, leave); handedOver {
			s.keep() // from now on it cannot be shed
		}
	}
	by := flight.Waiter{
		Events: st.Events, Budget: st.Budget, Leaving: leaving,
		Joined: func() { st.Events.Joined(st.WalkRef(), "") },
		Retry:  func() { st.RetryFailure = true },
	}
	v, err := r.Flights.Do(ctx, r.questionKey(q, st.Trust), by, func(fl *flight.Flight) (any, error) {
		f, err := r.iterate.Search(fl.Ctx, st.InFlight(fl), q)
		return f, st.Budget.End(err)
	})
	if err != nil {
		if r.Base.Err() != nil {
			err = failure.ErrClosed // whichever part Close ended first
		}
		return nil, err
	}
	return v.(*answer.Answer), nil
}

// questionKey is the key of the flight for a client's question. It differs after a change of
// routes, of negative trust anchors or of local zones, so that answers found by the old ones
// are not shared.
func (r *Mesh) questionKey(q answer.Question, trust cache.Trust) string {
	var room [dnsname.MaxWire + 32]byte // so that the string is the only allocation
	b := binary.BigEndian.AppendUint64(append(room[:0], "question"...), r.routes.CurrentRoutes().Generation)
	b = binary.BigEndian.AppendUint64(b, r.iterate.LocalGeneration())
	b = append(b, q.Name...)
	b = binary.BigEndian.AppendUint16(b, q.Type)
	return string(append(b, byte(trust)))
}
