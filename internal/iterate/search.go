package iterate

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/localzone"
	"github.com/iterdns/iterdns/internal/reach"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/slist"
)

// Search is the first loop of RFC 1034 §5.3.3: the name searched changes, from alias to
// alias. Each name is searched from its own zone, whatever else came with the alias. st is that of
// q, and belongs to the search.
func (r *Iterator) Search(ctx context.Context, st *QueryState, q answer.Question) (*answer.Answer, error) {
	st.validation = r.newValidation(st, q)
	var whole *answer.Answer
	for at := q; ; {
		if st.validation != nil && st.validation.view.ID != r.routes.ViewOf(r.Settings.Now(), at).ID {
			st.validation = r.newValidation(st, at) // another view has another validator
		}
		step := st
		if at != q {
			step = st.forName(at)
		}
		part, err := r.find(ctx, step, at)
		if err != nil {
			return nil, err
		}
		steps := part.Aliases
		whole = whole.Join(part)
		more, err := whole.Follow(len(steps), st.Budget.ChargeAlias)
		if err != nil {
			return nil, err
		}
		st.tellAliases(steps)
		if !more {
			return whole, nil
		}
		at.Name = whole.Target()
	}
}

// FindOne is Search that follows no alias. It returns the zone cut that the walk came to as well,
// also when it failed; its Delegation is nil if there was no walk, since the answer is local or
// cached.
func (r *Iterator) FindOne(ctx context.Context, st *QueryState, q answer.Question) (*answer.Answer, routes.ZoneCut, error) {
	st.validation = r.newValidation(st, q)
	var reached routes.ZoneCut
	st.reached = &reached
	part, err := r.find(ctx, st, q)
	if err != nil {
		return nil, reached, err
	}
	st.tellAliases(part.Aliases)
	return part, reached, nil
}

// SearchCache is Search that asks no servers; false when the cache does not hold all of the
// answer. It allocates nothing that the answer does not need, since most questions end here.
func (r *Iterator) SearchCache(q answer.Question, trust cache.Trust) (*answer.Answer, bool) {
	return r.SearchCached(q, trust, lookAlive)
}

// cacheLook is what SearchCached reads, and whether the cache counts it.
type cacheLook uint8

const (
	lookAlive        cacheLook = iota
	LookStale                  // also what has expired, where the cache has nothing alive
	LookStaleQuietly           // as LookStale, but not counted, as no answer is made of it
	LookQuietly                // what is alive, not counted
)

// SearchCached is SearchCache that may also read what has expired.
func (r *Iterator) SearchCached(q answer.Question, trust cache.Trust, l cacheLook) (*answer.Answer, bool) {
	now := r.Settings.Now()
	var whole *answer.Answer
	aliases := 0
	short := func() error { // like Budget.ChargeAlias
		if aliases++; aliases >= r.Settings.Limits.Aliases {
			return limits.Aliases.Reached(r.Settings.Limits.Aliases)
		}
		return nil
	}
	for at := q; ; {
		part, ok := r.answerLocally(trust, at)
		if !ok {
			v := r.routes.ViewOf(now, at)
			if l == LookStaleQuietly || l == LookQuietly {
				v = v.Uncounted()
			}
			part, ok = r.cachedIn(v, now, trust, at, whole == nil)
			if !ok && (l == LookStale || l == LookStaleQuietly) {
				part, ok = r.expired(v, now, trust, at)
			}
		}
		if !ok {
			return nil, false
		}
		steps := len(part.Aliases)
		whole = whole.Join(part)
		more, err := whole.Follow(steps, short)
		if err != nil {
			return nil, false
		}
		if !more {
			return whole, true
		}
		at.Name = whole.Target()
	}
}

// answerLocally answers a client's question from the local zones; false when none of them
// answers it.
func (r *Iterator) answerLocally(trust cache.Trust, q answer.Question) (*answer.Answer, bool) {
	f, ok := r.LocalZones.Answer(q)
	if !ok {
		return nil, false
	}
	if r.Settings.Validates && trust == cache.Checked {
		f.Status = dnssec.Insecure
	}
	return f, true
}

// specialUse answers a question about a special-use name; false when it is none. No server
// is asked, whether the question comes from a client, an alias, or a delegation to a name
// server with such a name; except those of a route whose zone is as long as the special-use
// name or longer.
//
// The addresses of localhost are returned only for questions for localhost itself (direct).
// Behind an alias localhost has none: clients that filter private addresses against DNS
// rebinding see those that come from the network, and a CNAME must not get round that by
// having us add the address. The public DNS has no address there either. A name server that
// is called localhost has no address either: asking it would be asking ourselves.
func (r *Iterator) specialUse(trust cache.Trust, q answer.Question, direct bool) (*answer.Answer, bool) {
	if r.Settings.DisableLocalZones {
		return nil, false
	}
	zone, ok := localzone.SpecialUseOf(q.Name)
	if !ok || zone.IsParents(q.Name, q.Type) {
		return nil, false
	}
	if rt := r.routes.CurrentRoutes().Match(routes.SearchedFrom(q)); rt != nil && rt.Zone.IsAtOrBelow(zone.Name) {
		return nil, false // the route's servers know the name
	}
	f := zone.Answer(q, direct)
	if r.Settings.Validates && trust == cache.Checked {
		f.Status = dnssec.Insecure
	}
	return f, true
}

// find returns the answer for one name from the cache, or walks to find it.
func (r *Iterator) find(ctx context.Context, st *QueryState, q answer.Question) (*answer.Answer, error) {
	if st.depth == 0 { // local data is for clients, not for the addresses of name servers
		if f, ok := r.answerLocally(st.Trust, q); ok {
			st.tellCache(f)
			return f, nil
		}
	}
	now := r.Settings.Now()
	a, start, err := r.lookOnward(now, st, q)
	if a == nil && r.prefersFallback(now, st, q, err) {
		return r.askFallback(ctx, st, q, errRootsClosed)
	}
	if err != nil {
		if a, ok := r.staleOverBogus(ctx, st, q, failure.Of(err)); ok {
			return a, nil
		}
		return nil, err
	}
	if a != nil {
		return a, nil
	}
	st.tellCache(nil)
	f, err := r.walkRetryingBogus(ctx, st, q, &start)
	if err != nil && r.needsFallback(ctx, now, st, q, err) {
		if !failure.Of(err).IsBogus() { // else the fallback would not be preferred next time
			r.keepFailure(r.routes.ViewOf(now, q), st, q, err) // what the fallback says is kept apart
		}
		f, err = r.askFallback(ctx, st, q, err)
		return f, r.blameClock(ctx, st, err)
	}
	if err != nil {
		err = r.blameClock(ctx, st, err)
		failed := failure.Of(err)
		r.keepFailure(r.routes.ViewOf(now, q), st, q, err)
		if a, ok := r.staleOverBogus(ctx, st, q, failed); ok {
			return a, nil
		}
		if failed.Bogus != nil && !failed.IsOutage() {
			r.routes.ViewOf(now, q).Cache.EndStale(r.Settings.Now(), q.Name, q.Type, st.Trust)
		}
		return nil, err
	}
	st.fresh.noteFound(q, st.Trust)
	r.routes.ViewOf(now, q).Cache.ClearFailure(q.Name, q.Type, st.Trust)
	r.routes.ViewOf(now, q).Cache.EndStale(r.Settings.Now(), q.Name, q.Type, st.Trust)
	return f, nil
}

// lookOnward returns the answer for one name from the cache, or that it failed a moment ago, or
// where to begin to walk. It is a function so that what it needs of the stack, which would have
// to grow, is free during the walk.
func (r *Iterator) lookOnward(now time.Time, st *QueryState, q answer.Question) (a *answer.Answer, start walkStart, err error) {
	v := r.routes.ViewOf(now, q)
	first := st.depth == 0 && st.Budget.Aliases.Load() == 0
	if !st.fresh.hasFound(q, st.Trust) {
		a, special := r.specialUse(st.Trust, q, first)
		if special {
			st.tellCache(a)
		}
		return a, start, nil
	}
	var known cache.Found
	if !st.Prefetching || !first {
		asked := cache.Question{Name: q.Name, Type: q.Type, Trust: st.Trust, Onward: !st.Prefetching}
		if f, ok := r.look(v, now, asked, first, &known); ok {
			st.tellCache(f)
			return f, start, nil
		}
	}
	if st.Prefetching { // which looks for a zone cut in its own way
		if f, ok := v.Cache.GetFailure(now, q.Name, q.Type, st.Trust); ok {
			known.Failure = &f
		}
	}
	if known.Failure != nil && !st.RetryFailure && !r.isOutdated(known.Failure, now) {
		st.Events.Cache(st.WalkRef(), events.Cache{Hit: true, Failure: true})
		return nil, start, &failure.CachedError{Failure: *known.Failure, Now: now}
	}
	return nil, walkStart{cuts: v.Cache, cut: known.Cut, noCut: known.NoCut}, nil
}

// isOutdated reports whether a failure was due to the time at which signatures were checked, and the
// clock has been set since.
func (r *Iterator) isOutdated(f *cache.Failure, now time.Time) bool {
	return failure.IsOfTime(f.Cause) && r.clock.SetSince(f.At(), now)
}

// keepFailure remembers that q failed (RFC 9520), unless that was due to how it came to be
// asked: the caller's time, or the path that led to it.
func (r *Iterator) keepFailure(v *routes.View, st *QueryState, q answer.Question, err error) {
	f := failure.Of(err)
	if r.Base.Err() != nil || !f.IsWorthRemembering(st.depth > 0) {
		return
	}
	e := f.Extended()
	if failure.IsOfTime(e.Code) {
		r.clock.Look(r.Settings.Now()) // so that it is seen when the clock is set from now on
	}
	v.Cache.KeepFailure(r.Settings.Now(), q.Name, q.Type, st.Trust, e.Code, e.Text, originOf(st, f, err))
}

// originOf returns where a question has failed, for those who ask it again.
func originOf(st *QueryState, f failure.Failure, err error) cache.FailureOrigin {
	zone := f.Zone
	if zone == nil && f.Reaches(limits.Time) {
		if zone = st.Budget.Unanswered(); zone != nil {
			zone = zone.EndedBy(f.Limit)
		}
	}
	switch {
	case f.Bogus != nil:
		wrong, _ := f.Bogus.Reason.Cause.(*dnssec.ClockError)
		return cache.FailureOrigin{Zone: f.Bogus.Zone, Servers: []netip.AddrPort{f.Bogus.Server}, Reason: f.Bogus.Err.Error(), Clock: wrong}
	case zone != nil:
		return cache.FailureOrigin{Zone: zone.Zone, Servers: zone.Servers, Reason: zone.Err.Error()}
	}
	return cache.FailureOrigin{Reason: err.Error()}
}

// errRootsClosed is why the fallback is asked at once.
var errRootsClosed = fmt.Errorf("%w: found out a moment ago", failure.ErrBlocked)

// hasFallback reports whether q may be asked of the fallback: as a question of a client, about a name
// that no route has a say about.
func (r *Iterator) hasFallback(st *QueryState, q answer.Question) bool {
	rt := r.routes.CurrentRoutes()
	return rt.Fallback != nil && st.depth == 0 && !st.priming && !st.Prefetching && rt.Match(routes.SearchedFrom(q)) == nil &&
		!r.routes.InTLSZone(routes.SearchedFrom(q))
}

// prefersFallback reports whether q is asked of the fallback at once: the root servers cannot be asked,
// and no zone is known on the way to q whose servers answer. err is that of the cache: that q failed a
// moment ago does not matter then, unless it was bogus.
func (r *Iterator) prefersFallback(now time.Time, st *QueryState, q answer.Question, err error) bool {
	return r.hasFallback(st, q) && r.way() == reach.Closed && !failure.Of(err).IsBogus() && !r.isAlive(now, q)
}

// isAlive reports whether servers of the closest zone cut known for q answer, or were not tried yet.
func (r *Iterator) isAlive(now time.Time, q answer.Question) bool {
	v := r.routes.ViewOf(now, q)
	known, ok := v.Cuts.GetCut(now, routes.SearchedFrom(q))
	if !ok || known.Zone.IsRoot() {
		return false
	}
	cut := knownCut(v, known)
	var servers slist.List
	r.servers.Fill(&servers, now, &cut, q, 1, true, nil)
	down := 0
	for _, s := range servers.Addrs {
		switch {
		case s.Estimate.Known && s.Estimate.Timeouts == 0:
			return true
		case s.Estimate.Dead:
			down++
		}
	}
	return down == 0 && len(servers.Addrs) > 0
}

// needsFallback reports whether q is asked of the fallback after it has failed with err, because the
// root servers cannot be asked. Where that is not known yet, it is found out.
func (r *Iterator) needsFallback(ctx context.Context, now time.Time, st *QueryState, q answer.Question, err error) bool {
	if !r.hasFallback(st, q) || ctx.Err() != nil {
		return false
	}
	f := failure.Of(err)
	if f.IsBogus() { // of what something said in the place of the root servers, the fallback's data is not less validated
		return f.Bogus != nil && f.Bogus.Zone.IsRoot() && r.way() == reach.Closed
	}
	return f.IsOutage() && (r.way() == reach.Closed || r.awaitCheck(ctx) == reach.Closed)
}

// askFallback asks the fallback, or returns what is cached of it. cause is why the root servers are not
// asked. What comes is validated as everything is, and kept apart, as of any forwarder.
func (r *Iterator) askFallback(ctx context.Context, st *QueryState, q answer.Question, cause error) (*answer.Answer, error) {
	now, under := r.Settings.Now(), *st
	under.fallback = true
	under.validation = r.newValidation(&under, q)
	v := under.table().ViewOf(now, q)
	a, ok := r.cachedIn(v, now, st.Trust, q, st.Budget.Aliases.Load() == 0)
	if ok {
		st.tellCache(a)
	} else {
		var err error
		if a, err = r.walkFallback(ctx, v, &under, q); err != nil {
			return nil, &failure.FallbackError{Cause: cause, Err: err}
		}
	}
	a.Fallback, a.Due = true, nil
	if a.Status != dnssec.Secure {
		a.Extended = append(slices.Clip(a.Extended), failure.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: "not signed, and from the fallback resolver: no root server can be asked"})
	}
	return a, nil
}

func (r *Iterator) walkFallback(ctx context.Context, v *routes.View, under *QueryState, q answer.Question) (*answer.Answer, error) {
	now := r.Settings.Now()
	if f, ok := v.Cache.GetFailure(now, q.Name, q.Type, under.Trust); ok && !under.RetryFailure {
		return nil, &failure.CachedError{Failure: f}
	}
	a, err := r.walkRetryingBogus(ctx, under, q, nil)
	if err != nil {
		r.keepFailure(v, under, q, err)
		return nil, err
	}
	v.Cache.ClearFailure(q.Name, q.Type, under.Trust)
	return a, nil
}
