package resolver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
)

// DefaultMaxStale is Options.MaxStale where that is zero. RFC 8767 §5 asks for one to
// three days.
const DefaultMaxStale = 24 * time.Hour

// fillStale fills the options of RFC 8767, and makes the cache if there is none.
func (c *config) fillStale() error {
	if c.MaxStale < 0 || c.StaleAfter < 0 {
		return fmt.Errorf("resolver: options: MaxStale and StaleAfter must not be negative")
	}
	if c.MaxStale == 0 {
		c.MaxStale = DefaultMaxStale
	}
	if c.StaleAfter == 0 {
		c.StaleAfter = cache.StaleAnswerTimer
	}
	var keep time.Duration
	if c.ServeStale {
		keep = c.MaxStale
	}
	if c.Cache == nil {
		c.Cache = cache.New(cache.Options{KeepStale: keep})
	}
	if c.ServeStale && c.Cache.Options().KeepStale == 0 {
		return fmt.Errorf("resolver: options: ServeStale takes a Cache whose KeepStale is not zero")
	}
	return nil
}

// answerOrStale is fetchAnswer for a question that there is an expired answer to, which is
// given when the servers fail, or let the client wait for longer than it will (RFC 8767
// §5). The attempt then goes on in the background. When it failed, or is known to take
// long, the next one is half a minute away, and until then the expired answer is given at
// once.
func (r *Resolver) answerOrStale(ctx context.Context, st *step, q question) (*answer, error) {
	if r.cacheOf(q).RefreshPostponed(r.config.Now(), q.name, q.rrtype, st.trust) {
		if f, ok := r.searchStale(q, st.trust, "not tried again yet"); ok {
			return f, nil
		}
	}
	st.begin()
	patient, cancel := context.WithTimeoutCause(ctx, r.clientTimer(ctx), errClientTimer)
	defer cancel()
	inside := *st // the flight has it for longer
	inside.leaving = func(fl *flight, place func()) bool {
		return context.Cause(patient) == errClientTimer && r.continueStale(fl, st.trust, q, place)
	}
	f, err := r.fetchAnswer(patient, &inside, q)
	switch {
	case err == errClientTimer:
		if f, ok := r.searchStale(q, st.trust, "no answer in time"); ok {
			r.cacheOf(q).PostponeRefresh(r.config.Now(), q.name, q.rrtype, st.trust)
			return f, nil
		}
		// What there was turned out wrong meanwhile: only the servers can tell.
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

// errClientTimer is why a client that can be given an expired answer stops waiting for another.
var errClientTimer = errors.New("there is an expired answer to be given")

// maxRefreshes is how many questions are worked on in the background at the same time after
// the clients were given expired answers. When the servers of many names are gone, each of
// these lasts for Limits.Time; a question that finds no room is worked on for as long as
// somebody waits for it, and again half a minute later.
const maxRefreshes = 100

// continueStale lets the work on q go on that a client is about to leave, in the client's place among
// the questions and once for all clients who ask it; false when it does not.
func (r *Resolver) continueStale(fl *flight, trust cache.Trust, q question, place func()) bool {
	// One at a time: of the clients who leave at one moment, those whose question goes on
	// already must not take the place of others.
	r.goingOn.Lock()
	defer r.goingOn.Unlock()
	if r.refreshing.Load() >= maxRefreshes {
		return false
	}
	r.refreshing.Add(1)
	held := r.flights.hold(fl, func(err error) {
		defer r.refreshing.Add(-1)
		defer place()
		r.refreshed(trust, q, err)
	})
	if !held {
		r.refreshing.Add(-1)
	}
	return held
}

// cacheOf gives the part of the cache that the answer to q belongs to.
func (r *Resolver) cacheOf(q question) *cache.View { return r.viewOf(r.config.Now(), q).cache }

// clientTimer is how long a client waits before it is given an expired answer. One that
// waits for less than the timer still prefers such an answer to none.
func (r *Resolver) clientTimer(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return r.config.StaleAfter
	}
	const share = 10 // of its time, one part is left for giving the answer
	left := time.Until(deadline)
	return max(0, min(r.config.StaleAfter, left-left/share))
}

// refreshed remembers how an attempt to replace an expired answer ended. That servers are
// not tried because they failed a moment ago (RFC 9520) is no new failure.
func (r *Resolver) refreshed(trust cache.Trust, q question, err error) {
	failed := failureOf(err)
	switch {
	case err == nil:
		r.cacheOf(q).EndRefresh(q.name, q.rrtype, trust)
	case failed.isOutage() && !failed.is(failCached):
		r.cacheOf(q).PostponeRefresh(r.config.Now(), q.name, q.rrtype, trust)
	}
}

// hasStale reports whether searchStale would find something at this moment.
func (r *Resolver) hasStale(q question, trust cache.Trust) bool {
	f, ok := r.searchCached(q, trust, lookStaleQuietly)
	return ok && f.stale
}

// searchStale is searchCache that also takes what has expired; false when nothing of what
// it found has, or something is missing. The reason goes with the extended DNS error.
func (r *Resolver) searchStale(q question, trust cache.Trust, reason string) (*answer, bool) {
	f, ok := r.searchCached(q, trust, lookStale)
	if !ok || !f.stale {
		return nil, false
	}
	e := ExtendedError{Code: dns.ExtendedErrorCodeStaleAnswer, Text: reason}
	if f.rcode == dns.RcodeNameError {
		e.Code = dns.ExtendedErrorCodeStaleNXDOMAINAnswer
	}
	f.extended = append(f.extended, e)
	return f, true
}

// signedAt reports whether all signatures of an answer are within their time. The one
// that was verified when the answer was made is not known any more, so that all count.
func (a *answer) signedAt(now time.Time) bool {
	valid := func(set *dnssec.RRset) bool { return setSignedAt(set, now) }
	for _, set := range a.sets {
		if !valid(set) {
			return false
		}
	}
	for _, set := range a.denial {
		if !valid(set) {
			return false
		}
	}
	for _, step := range a.aliases {
		if !valid(step.Set) {
			return false
		}
	}
	return a.soa == nil || valid(a.soa)
}

// setSignedAt reports whether a set has signatures, all of which are within their time
// (RFC 4034 §3.1.5).
func setSignedAt(set *dnssec.RRset, now time.Time) bool {
	const expiration, inception, end = 8, 12, 16 // places in RRSIG RDATA
	at := uint32(now.Unix())
	signed := false
	for sig := range set.Signatures.All() {
		if len(sig) < end {
			return false
		}
		expires := binary.BigEndian.Uint32([]byte(sig[expiration:inception]))
		begins := binary.BigEndian.Uint32([]byte(sig[inception:end]))
		if int32(expires-at) < 0 || int32(at-begins) < 0 { // serial arithmetic, RFC 1982
			return false
		}
		signed = true
	}
	return signed
}
