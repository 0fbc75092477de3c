package resolver

import (
	"context"

	"github.com/iterdns/iterdns/cache"
)

// search is the first loop of RFC 1034 §5.3.3: the name searched changes, from alias to
// alias. Each name is searched from its own zone, whatever else came with the alias.
func (r *iterator) search(ctx context.Context, st *queryState, q question) (*answer, error) {
	st = st.forName(q)
	st.validation = r.newValidation(st, q)
	var whole *answer
	for at := q; ; {
		if st.validation != nil && st.validation.view.id != r.routes.viewOf(r.settings.Now(), at).id {
			st.validation = r.newValidation(st, at) // another view has another validator
		}
		part, err := r.find(ctx, st.forName(at), at)
		if err != nil {
			return nil, err
		}
		steps := part.aliases
		whole = whole.join(part)
		more, err := whole.follow(len(steps), st.budget.alias)
		if err != nil {
			return nil, err
		}
		st.tellAliases(steps)
		if !more {
			return whole, nil
		}
		at.name = whole.target()
	}
}

// searchCache is search that asks no servers; false when the cache does not hold all of the
// answer. It allocates nothing that the answer does not need, since most questions end here.
func (r *iterator) searchCache(q question, trust cache.Trust) (*answer, bool) {
	return r.searchCached(q, trust, lookAlive)
}

// cacheLook is what searchCached reads, and whether the cache counts it.
type cacheLook uint8

const (
	lookAlive        cacheLook = iota
	lookStale                  // also what has expired, where the cache has nothing alive
	lookStaleQuietly           // as lookStale, but not counted, as no answer is made of it
	lookQuietly                // what is alive, not counted
)

// searchCached is searchCache that may also read what has expired.
func (r *iterator) searchCached(q question, trust cache.Trust, l cacheLook) (*answer, bool) {
	now := r.settings.Now()
	var whole *answer
	aliases := 0
	short := func() error { // like budget.alias
		if aliases++; aliases >= r.settings.Limits.Aliases {
			return limitAliases.reached(r.settings.Limits.Aliases)
		}
		return nil
	}
	for at := q; ; {
		part, ok := r.answerLocally(trust, at)
		if !ok {
			v := r.routes.viewOf(now, at)
			if l == lookStaleQuietly || l == lookQuietly {
				v = v.uncounted()
			}
			part, ok = r.cachedIn(v, now, trust, at, whole == nil)
			if !ok && (l == lookStale || l == lookStaleQuietly) {
				part, ok = r.expired(v, now, trust, at)
			}
		}
		if !ok {
			return nil, false
		}
		steps := len(part.aliases)
		whole = whole.join(part)
		more, err := whole.follow(steps, short)
		if err != nil {
			return nil, false
		}
		if !more {
			return whole, true
		}
		at.name = whole.target()
	}
}

// find returns the answer for one name from the cache, or walks to find it.
func (r *iterator) find(ctx context.Context, st *queryState, q question) (*answer, error) {
	if st.depth == 0 { // local data is for clients, not for the addresses of name servers
		if f, ok := r.answerLocally(st.trust, q); ok {
			st.tellCache(f)
			return f, nil
		}
	}
	now := r.settings.Now()
	first := st.depth == 0 && st.budget.aliases.Load() == 0
	if !st.prefetching || !first {
		if f, ok := r.cached(now, st.trust, q, first); ok {
			st.tellCache(f)
			return f, nil
		}
	}
	if failure, ok := r.routes.viewOf(now, q).cache.GetFailure(now, q.name, q.rrtype, st.trust); ok && !st.retryFailure {
		st.events.Cache(st.walkRef(), cacheEvent{Hit: true, Failure: true})
		return nil, &cachedError{failure}
	}
	st.tellCache(nil)
	f, err := r.walkRetryingBogus(ctx, st, q)
	if err != nil {
		failed := failureOf(err)
		r.keepFailure(r.routes.viewOf(now, q), st, q, failed)
		if failed.bogus != nil && !failed.isOutage() {
			r.routes.viewOf(now, q).cache.EndStale(r.settings.Now(), q.name, q.rrtype, st.trust)
		}
		return nil, err
	}
	r.routes.viewOf(now, q).cache.ClearFailure(q.name, q.rrtype, st.trust)
	r.routes.viewOf(now, q).cache.EndStale(r.settings.Now(), q.name, q.rrtype, st.trust)
	return f, nil
}

// keepFailure remembers that q failed (RFC 9520), unless that was due to how it came to be
// asked: the caller's time, or the path that led to it.
func (r *iterator) keepFailure(v *view, st *queryState, q question, f failure) {
	if r.base.Err() != nil || !f.isWorthRemembering(st.depth > 0) {
		return
	}
	e := f.extended()
	v.cache.PutFailure(r.settings.Now(), q.name, q.rrtype, st.trust, e.Code, e.Text)
}
