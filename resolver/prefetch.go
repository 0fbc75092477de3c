package resolver

import (
	"time"

	"github.com/iterdns/iterdns/cache"
)

// maxPrefetches is how many entries are fetched again at the same time. Each takes one
// query as a rule, some 30 ms, so that this many are some 3,000 a second: entries of 300
// s in use by the hundred thousand. What finds no room is tried again when it is asked
// for again, and costs somebody a wait only if it is not before it expires.
const maxPrefetches = 100

// prefetch fetches in the background what answers q from the cache and is about to
// expire, so that whoever asks for a name in use never waits for it. It is called when q
// has been asked for, more than once, and is in the last tenth of its life; so nothing is
// fetched that nobody asks for. Who asks servers for something goes first: a prefetch
// waits for no place among the questions, and does without one that is not free. Queries
// without RD never get here: whoever sends them wants nobody to be asked.
func (r *Resolver) prefetch(q question) {
	if r.config.DisablePrefetch {
		return
	}
	now := r.config.Now()
	view := r.cacheOf(q)
	if r.prefetching.Add(1) > maxPrefetches {
		r.prefetching.Add(-1)
		r.counts.prefetchDropped.Add(1)
		return
	}
	s, ok := r.questions.tryEnter()
	if !ok {
		r.prefetching.Add(-1)
		r.counts.prefetchDropped.Add(1)
		return
	}
	done := func() {
		s.leave()
		r.prefetching.Add(-1)
	}
	// The claim keeps it to one refresh a key, with all resolvers that share the cache.
	if !view.ClaimRefresh(now, q.name, q.rrtype, cache.Checked) || !r.flights.spawn(func() {
		defer done()
		r.refresh(q)
	}) {
		done()
	}
}

// refresh asks for what the cache still has an answer to. When it fails the claim stays,
// so that nobody tries again for a while. The servers are asked, and not the second level:
// what that has is as old as what is to be replaced, and the others of the fleet wait for
// something newer to be written there.
func (r *Resolver) refresh(q question) {
	// Another refresh may have ended between the look into the cache that said the entry is
	// due and our claim.
	if f, ok := r.cached(r.config.Now(), cache.Checked, q, true); ok && !f.due {
		r.cacheOf(q).EndRefresh(q.name, q.rrtype, cache.Checked)
		return
	}
	st := r.newStep(q, cache.Checked)
	st.renewing, st.sharing = true, sharesLessons
	_, err := r.flights.do(r.base, r.questionKey(q, st.trust), waiter{budget: st.budget}, func(fl *flight) (any, error) {
		return r.search(fl.ctx, st.in(fl), q)
	})
	if err != nil {
		r.counts.prefetchFailed.Add(1)
		return
	}
	r.counts.prefetched.Add(1)
	r.cacheOf(q).EndRefresh(q.name, q.rrtype, st.trust)
}

// prefetchAll fetches the parts of an answer that are about to expire.
func (r *Resolver) prefetchAll(due []question) {
	for _, q := range due {
		r.prefetch(q)
	}
}

// endsSoon reports whether a delegation is in the last tenth of its life too. What is
// fetched again then is fetched from further up: nothing lives longer than the
// delegation that it came through, and would otherwise have to be fetched more and more
// often until everything ends together.
func endsSoon(now time.Time, cut cache.Cut) bool {
	const share = 10
	return cut.Expires.Sub(now)*share <= min(cut.TTL, maxTTL*time.Second)
}
