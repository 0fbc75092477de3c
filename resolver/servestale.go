package resolver

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
)

// answerOrStale is fetchAnswer for a question that has an expired answer. That one is
// returned when the servers fail, or take longer than the client waits (RFC 8767 §5). The
// attempt then goes on in the background. After one that failed or takes long, the next
// attempt is half a minute away, and until then the expired answer is returned at once.
func (r *mesh) answerOrStale(ctx context.Context, st *queryState, q question) (*answer, error) {
	if r.cacheOf(q).RefreshPostponed(r.settings.Now(), q.name, q.rrtype, st.trust) {
		if f, ok := r.searchStale(q, st.trust, "not tried again yet"); ok {
			return f, nil
		}
	}
	st.begin()
	patient, cancel := context.WithTimeoutCause(ctx, r.clientTimer(ctx), errClientTimer)
	defer cancel()
	inside := *st // the flight keeps it for longer
	inside.leaving = func(fl *flight, release func()) bool {
		return context.Cause(patient) == errClientTimer && r.continueStale(fl, st.trust, q, release)
	}
	f, err := r.fetchAnswer(patient, &inside, q)
	switch {
	case err == errClientTimer:
		if f, ok := r.searchStale(q, st.trust, "no answer in time"); ok {
			r.cacheOf(q).PostponeRefresh(r.settings.Now(), q.name, q.rrtype, st.trust)
			return f, nil
		}
		// The expired answer turned out wrong meanwhile: the servers must answer.
		return r.fetchAnswer(ctx, st, q)
	case ctx.Err() != nil:
		return f, err
	}
	r.refreshed(st.trust, q, err)
	if failed := failureOf(err); failed.isOutage() {
		if f, ok := r.searchStale(q, st.trust, failed.summary()); ok {
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
func (r *mesh) continueStale(fl *flight, trust cache.Trust, q question, release func()) bool {
	// One at a time: of the clients that leave at one moment, those whose question goes on
	// already must not use up the limit for others.
	r.refreshMu.Lock()
	defer r.refreshMu.Unlock()
	if r.refreshing.Load() >= maxRefreshes {
		return false
	}
	r.refreshing.Add(1)
	held := r.flights.pin(fl, func(err error) {
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
func (r *mesh) cacheOf(q question) *cache.View { return r.routes.viewOf(r.settings.Now(), q).cache }

// clientTimer is how long a client waits before it gets an expired answer. One with less
// time than that still prefers such an answer to none.
func (r *mesh) clientTimer(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return r.settings.StaleAfter
	}
	const share = 10 // a tenth of its time is left for returning the answer
	left := time.Until(deadline)
	return max(0, min(r.settings.StaleAfter, left-left/share))
}

// refreshed remembers how an attempt to replace an expired answer ended. It is no new
// failure when servers are not asked because they failed a moment ago (RFC 9520).
func (r *mesh) refreshed(trust cache.Trust, q question, err error) {
	failed := failureOf(err)
	switch {
	case err == nil:
		r.cacheOf(q).EndRefresh(q.name, q.rrtype, trust)
	case failed.isOutage() && !failed.is(failCached):
		r.cacheOf(q).PostponeRefresh(r.settings.Now(), q.name, q.rrtype, trust)
	}
}

// hasStale reports whether searchStale would find an answer at this moment.
func (r *mesh) hasStale(q question, trust cache.Trust) bool {
	f, ok := r.iterate.searchCached(q, trust, lookStaleQuietly)
	return ok && f.stale
}

// searchStale is searchCache that also reads what has expired; false when nothing that it
// found has expired, or something is missing. The reason goes with the extended DNS error.
func (r *mesh) searchStale(q question, trust cache.Trust, reason string) (*answer, bool) {
	f, ok := r.iterate.searchCached(q, trust, lookStale)
	if !ok || !f.stale {
		return nil, false
	}
	e := extendedError{Code: dns.ExtendedErrorCodeStaleAnswer, Text: reason}
	if f.rcode == dns.RcodeNameError {
		e.Code = dns.ExtendedErrorCodeStaleNXDOMAINAnswer
	}
	f.extended = append(f.extended, e)
	return f, true
}
