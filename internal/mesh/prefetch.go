package mesh

import (
	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/flight"
	"github.com/iterdns/iterdns/internal/iterate"
)

// maxPrefetches is how many entries are prefetched at the same time. Each takes one query
// as a rule, some 30 ms, so that this many are some 3,000 a second: entries of 300 s in use
// by the hundred thousand. An entry that is dropped at the limit is tried again when it is
// asked for again, and makes a client wait only if that is after it has expired.
const maxPrefetches = 100

// Prefetch fetches in the background the entry that answers q from the cache and is about
// to expire, so that clients never wait for a name in use. It is called when q has been
// asked for more than once and is in the last tenth of its life, so that unused entries are
// not fetched. Clients' questions go first: a prefetch does not wait for a slot, and is
// dropped when none is free. Queries without RD never get here: their clients want no
// server to be asked.
func (r *Mesh) Prefetch(q answer.Question) {
	if r.Settings.DisablePrefetch {
		return
	}
	now := r.Settings.Now()
	view := r.cacheOf(q)
	if r.prefetching.Add(1) > maxPrefetches {
		r.prefetching.Add(-1)
		r.Counts.PrefetchDropped.Add(1)
		return
	}
	s := new(jostleSlot)
	if !r.questionSlots.tryEnter(s, nil) {
		r.prefetching.Add(-1)
		r.Counts.PrefetchDropped.Add(1)
		return
	}
	done := func() {
		s.leave()
		r.prefetching.Add(-1)
	}
	// The claim limits it to one refresh a key, among all resolvers that share the cache.
	if !view.ClaimRefresh(now, q.Name, q.Type, cache.Checked) || !r.Flights.Spawn(func() {
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
func (r *Mesh) refresh(q answer.Question) {
	// Another refresh may have ended between the cache read that found the entry due and
	// our claim.
	if f, ok := r.iterate.Cached(r.Settings.Now(), cache.Checked, q, true); ok && len(f.Due) == 0 {
		r.cacheOf(q).EndRefresh(q.Name, q.Type, cache.Checked)
		return
	}
	st := r.iterate.NewQueryState(q, cache.Checked)
	st.Prefetching, st.SecondLevel = true, iterate.SecondLevelWritten
	f, err := r.Flights.Do(r.Base, r.questionKey(q, st.Trust), flight.Waiter{Events: st.Events, Budget: st.Budget}, flight.Func(func(fl *flight.Flight) (any, error) {
		f, err := r.iterate.Search(fl.Ctx, st.InFlight(fl), q)
		return f, st.Budget.End(err)
	}))
	if err != nil || f.(*answer.Answer).Stale {
		r.Counts.PrefetchFailed.Add(1)
		return
	}
	r.Counts.Prefetched.Add(1)
	r.cacheOf(q).EndRefresh(q.Name, q.Type, st.Trust)
}

// prefetchAll fetches the parts of an answer that are about to expire.
func (r *Mesh) prefetchAll(due []answer.Question) {
	for _, q := range due {
		r.Prefetch(q)
	}
}
