package resolver

import (
	"github.com/iterdns/iterdns/cache"
)

// maxPrefetches is how many entries are prefetched at the same time. Each takes one query
// as a rule, some 30 ms, so that this many are some 3,000 a second: entries of 300 s in use
// by the hundred thousand. An entry that is dropped at the limit is tried again when it is
// asked for again, and makes a client wait only if that is after it has expired.
const maxPrefetches = 100

// prefetch fetches in the background the entry that answers q from the cache and is about
// to expire, so that clients never wait for a name in use. It is called when q has been
// asked for more than once and is in the last tenth of its life, so that unused entries are
// not fetched. Clients' questions go first: a prefetch does not wait for a slot, and is
// dropped when none is free. Queries without RD never get here: their clients want no
// server to be asked.
func (r *mesh) prefetch(q question) {
	if r.settings.DisablePrefetch {
		return
	}
	now := r.settings.Now()
	view := r.cacheOf(q)
	if r.prefetching.Add(1) > maxPrefetches {
		r.prefetching.Add(-1)
		r.counts.prefetchDropped.Add(1)
		return
	}
	s, ok := r.questionSlots.tryEnter()
	if !ok {
		r.prefetching.Add(-1)
		r.counts.prefetchDropped.Add(1)
		return
	}
	done := func() {
		s.leave()
		r.prefetching.Add(-1)
	}
	// The claim limits it to one refresh a key, among all resolvers that share the cache.
	if !view.ClaimRefresh(now, q.name, q.rrtype, cache.Checked) || !r.flights.spawn(func() {
		defer done()
		r.refresh(q)
	}) {
		done()
	}
}

// refresh asks a question that the cache still has an answer to. When it fails the claim
// stays, so that it is not tried again for a while. It asks the servers and not the second
// level: the entry there is as old as the one to be replaced, and the other resolvers wait
// for a newer one to be written there.
func (r *mesh) refresh(q question) {
	// Another refresh may have ended between the cache read that found the entry due and
	// our claim.
	if f, ok := r.iterate.cached(r.settings.Now(), cache.Checked, q, true); ok && len(f.due) == 0 {
		r.cacheOf(q).EndRefresh(q.name, q.rrtype, cache.Checked)
		return
	}
	st := r.iterate.newQueryState(q, cache.Checked)
	st.prefetching, st.secondLevel = true, secondLevelWritten
	_, err := r.flights.do(r.base, r.questionKey(q, st.trust), waiter{events: st.events, budget: st.budget}, func(fl *flight) (any, error) {
		return r.iterate.search(fl.ctx, st.inFlight(fl), q)
	})
	if err != nil {
		r.counts.prefetchFailed.Add(1)
		return
	}
	r.counts.prefetched.Add(1)
	r.cacheOf(q).EndRefresh(q.name, q.rrtype, st.trust)
}

// prefetchAll fetches the parts of an answer that are about to expire.
func (r *mesh) prefetchAll(due []question) {
	for _, q := range due {
		r.prefetch(q)
	}
}
