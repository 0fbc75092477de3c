package resolver

import (
	"context"
	"encoding/binary"

	"github.com/iterdns/iterdns/cache"
)

// answer answers out of the cache, or in a flight with everybody who asks the same.
func (r *Resolver) answer(ctx context.Context, t *task, q question) (*found, error) {
	f, err := r.answerUnfiltered(ctx, t, q)
	if err != nil {
		return nil, err
	}
	t.fromCache, t.stale = f.fromCache, f.stale
	return r.filtered(f)
}

func (r *Resolver) answerUnfiltered(ctx context.Context, t *task, q question) (*found, error) {
	if f, ok := r.searchCache(q, t.trust); ok {
		r.prefetchAll(f.due)
		t.tellFound(f)
		return f, nil
	}
	if !r.config.ServeStale {
		return r.fetchAnswer(ctx, t, q)
	}
	if !r.hasStale(q, t.trust) {
		return r.fetchAnswer(ctx, t, q)
	}
	f, err := r.answerOrStale(ctx, t, q)
	if err == nil && f.stale {
		t.tellFound(f)
	}
	return f, err
}

// fetchAnswer answers in a flight with everybody who asks the same.
func (r *Resolver) fetchAnswer(ctx context.Context, t *task, q question) (*found, error) {
	t.begin()
	ctx, own, err := r.admit(ctx, t)
	if err != nil {
		return nil, err
	}
	leave := own.leave
	if t.asked == q {
		arrived := r.arrivals.enter(q)
		leave = func() { arrived(); own.leave() }
	}
	handedOver := false
	defer func() {
		if !handedOver {
			leave()
		}
	}()
	leaving := func(fl *flight) {
		if handedOver = t.leaving != nil && t.leaving(fl, leave); handedOver {
			own.keep() // nobody is told any more that it has to go
		}
	}
	by := traveller{heard: t.heard, budget: t.budget, leaving: leaving, retry: func() { t.undaunted = true }, joined: func() {
		t.tell(func(tr *Trace) {
			if tr.Joined != nil {
				tr.Joined(JoinedInfo{Step: t.step()})
			}
		})
	}}
	v, err := r.flights.do(ctx, r.questionKey(q, t.trust), by, func(fl *flight) (any, error) {
		f, err := r.search(fl.ctx, t.in(fl), q)
		return f, t.budget.end(err)
	})
	if err != nil {
		if r.base.Err() != nil {
			err = ErrClosed // whatever failed first of all that Close ends
		}
		return nil, err
	}
	return v.(*found), nil
}

// questionKey names what a client asks. Who asks after a change of routes, of negative trust
// anchors or of local zones must not be given what is being found by the old ones.
func (r *Resolver) questionKey(q question, trust cache.Trust) string {
	b := binary.BigEndian.AppendUint64([]byte("question"), r.current().generation)
	b = binary.BigEndian.AppendUint64(b, r.ours.Load().generation)
	b = append(b, q.name...)
	b = binary.BigEndian.AppendUint16(b, q.rrtype)
	return string(append(b, byte(trust)))
}
