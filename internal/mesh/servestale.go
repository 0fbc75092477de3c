package mesh

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/flight"
	"github.com/iterdns/iterdns/internal/iterate"
)

// answerOrStale is fetchAnswer for a question that has an expired answer. That one is
// returned when the servers fail, or take longer than the client waits (RFC 8767 §5). The
// attempt then goes on in the background. After one that failed or takes long, the next
// attempt is half a minute away, and until then the expired answer is returned at once.
func (r *Mesh) answerOrStale(ctx context.Context, st *iterate.QueryState, q answer.Question) (*answer.Answer, error) {
	if r.cacheOf(q).RefreshPostponed(r.Settings.Now(), q.Name, q.Type, st.Trust) {
		if f, ok := r.searchStale(q, st.Trust, "not tried again yet"); ok {
			return f, nil
		}
	}
	st.Begin()
	patient, cancel := context.WithTimeoutCause(ctx, r.clientTimer(ctx), errClientTimer)
	defer cancel()
	inside := *st            // the flight keeps it for longer
	inside.AnswerEarly = nil // its wait ends before the work: that cannot be done in its goroutine
	inside.Leaving = func(fl *flight.Flight, release func()) bool {
		return context.Cause(patient) == errClientTimer && r.continueStale(fl, st.Trust, q, release)
	}
	f, err := r.fetchAnswer(patient, &inside, q)
	switch {
	case errors.Is(err, errClientTimer):
		if f, ok := r.searchStale(q, st.Trust, "no answer in time"); ok {
			r.cacheOf(q).PostponeRefresh(r.Settings.Now(), q.Name, q.Type, st.Trust)
			return f, nil
		}
		// The expired answer turned out wrong meanwhile: the servers must answer.
		return r.fetchAnswer(ctx, st, q)
	case ctx.Err() != nil:
		return f, err
	}
	r.refreshed(st.Trust, q, err)
	if failed := failure.Of(err); failed.IsOutage() {
		if f, ok := r.searchStale(q, st.Trust, failed.Summary()); ok {
			return f, nil
		}
	}
	return f, err
}

// errClientTimer is why a client that can have an expired answer stops waiting for a new
// one.
var errClientTimer = errors.New("there is an expired answer to be given")

// maxRefreshes is how many questions are worked on in the background at the same time after
// their clients got expired answers. When the servers of many names are gone, each of these
// lasts for Limits.Time. A question beyond the limit is worked on for as long as a client
// waits for it, and again half a minute later.
const maxRefreshes = 100

// continueStale lets the work on q go on that a client is about to leave, in the client's
// slot of Limits.Questions and once for all clients that ask it; false when it does not.
func (r *Mesh) continueStale(fl *flight.Flight, trust cache.Trust, q answer.Question, release func()) bool {
	// One at a time: of the clients that leave at one moment, those whose question goes on
	// already must not use up the limit for others.
	r.refreshMu.Lock()
	defer r.refreshMu.Unlock()
	if r.refreshing.Load() >= maxRefreshes {
		return false
	}
	r.refreshing.Add(1)
	held := r.Flights.Pin(fl, func(err error) {
		defer r.refreshing.Add(-1)
		defer release()
		r.refreshed(trust, q, err)
	})
	if !held {
		r.refreshing.Add(-1)
	}
	return held
}

// cacheOf returns the part of the cache that the answer to q belongs to.
func (r *Mesh) cacheOf(q answer.Question) *cache.View {
	return r.routes.ViewOf(r.Settings.Now(), q).Cache
}

// clientTimer is how long a client waits before it gets an expired answer. One with less
// time than that still prefers such an answer to none.
func (r *Mesh) clientTimer(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return r.Settings.StaleAfter
	}
	const share = 10 // a tenth of its time is left for returning the answer
	left := time.Until(deadline)
	return max(0, min(r.Settings.StaleAfter, left-left/share))
}

// refreshed remembers how an attempt to replace an expired answer ended. It is no new
// failure when servers are not asked because they failed a moment ago (RFC 9520).
func (r *Mesh) refreshed(trust cache.Trust, q answer.Question, err error) {
	failed := failure.Of(err)
	switch {
	case err == nil:
		r.cacheOf(q).EndRefresh(q.Name, q.Type, trust)
	case failed.IsOutage() && !failed.Is(failure.Cached):
		r.cacheOf(q).PostponeRefresh(r.Settings.Now(), q.Name, q.Type, trust)
	}
}

// hasStale reports whether searchStale would find an answer at this moment.
func (r *Mesh) hasStale(q answer.Question, trust cache.Trust) bool {
	f, ok := r.iterate.SearchCached(q, trust, iterate.LookStaleQuietly)
	return ok && f.Stale
}

// searchStale is SearchCache that also reads what has expired; false when nothing that it
// found has expired, or something is missing. The reason goes with the extended DNS error.
func (r *Mesh) searchStale(q answer.Question, trust cache.Trust, reason string) (*answer.Answer, bool) {
	f, ok := r.iterate.SearchCached(q, trust, iterate.LookStale)
	if !ok || !f.Stale {
		return nil, false
	}
	e := failure.ExtendedError{Code: dns.ExtendedErrorCodeStaleAnswer, Text: reason}
	if f.Rcode == dns.RcodeNameError {
		e.Code = dns.ExtendedErrorCodeStaleNXDOMAINAnswer
	}
	f.Extended = append(f.Extended, e)
	return f, true
}
