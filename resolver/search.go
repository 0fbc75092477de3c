package resolver

import (
	"context"
	"errors"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// search is the first loop of RFC 1034 §5.3.3: the name searched changes, from alias
// to alias. Each name is searched from its own zone, whatever else came with the
// alias.
func (r *Resolver) search(ctx context.Context, st *step, q question) (*found, error) {
	a := newFound(q)
	st = st.on(q)
	st.proof = r.newProof(st, q)
	for at := q; ; {
		if st.proof != nil && st.proof.view.id != r.viewOf(r.config.Now(), at).id {
			st.proof = r.newProof(st, at) // other names, other trust
		}
		f, err := r.find(ctx, st.on(at), at)
		if err != nil {
			return nil, err
		}
		next, more, err := a.add(f, st.budget.alias)
		if err != nil {
			return nil, err
		}
		st.tellAliases(f)
		if !more {
			return a, nil
		}
		at.name = next
	}
}

// searchCache is search without asking anybody; false when the cache does not hold
// all of the answer. It makes nothing that an answer does not need: this is the path of
// most questions.
func (r *Resolver) searchCache(q question, trust cache.Trust) (*found, bool) {
	return r.searchCached(q, trust, lookAlive)
}

// cacheLook says what searchCached takes, and whether the cache is to count it.
type cacheLook uint8

const (
	lookAlive        cacheLook = iota
	lookStale                  // where nothing alive is known, also what has expired
	lookStaleQuietly           // likewise, but nothing is made of it: it is not counted
	lookQuietly                // what is alive, not counted
)

// searchCached is searchCache that may take what has expired.
func (r *Resolver) searchCached(q question, trust cache.Trust, l cacheLook) (*found, bool) {
	now := r.config.Now()
	a := newFound(q)
	short := func() error { // like budget.alias
		if len(a.aliases)+1 >= r.config.limits.Aliases {
			return limitAliases.reached(r.config.limits.Aliases)
		}
		return nil
	}
	for at := q; ; {
		f, ok := r.localData(trust, at)
		if !ok {
			v := r.viewOf(now, at)
			if l == lookStaleQuietly || l == lookQuietly {
				v = v.uncounted()
			}
			f, ok = r.cachedIn(v, now, trust, at, len(a.aliases) == 0)
			if !ok && (l == lookStale || l == lookStaleQuietly) {
				f, ok = r.expired(v.cache, now, trust, at)
			}
		}
		if !ok {
			return nil, false
		}
		if f.due {
			a.due = append(a.due, at)
		}
		next, more, err := a.add(f, short)
		if err != nil {
			return nil, false
		}
		if !more {
			return a, true
		}
		at.name = next
	}
}

func newFound(q question) *found {
	return &found{q: q, status: dnssec.Secure, ttl: maxTTL, fromCache: true, local: true}
}

// add takes one finding into the answer, and gives the name to search next. pay is called
// for each alias.
func (a *found) add(f *finding, pay func() error) (next dnsname.Name, more bool, err error) {
	a.ttl = min(a.ttl, f.ttl)
	if f.extended != (ExtendedError{}) {
		a.extended = append(a.extended, f.extended)
	}
	if f.notKept != nil {
		a.notKept = f.notKept
		a.extended = append(a.extended, ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: f.notKept.Error()})
	}
	a.status = a.status.Worst(f.status)
	a.fromCache, a.stale = a.fromCache && f.fromCache, a.stale || f.stale
	a.local = a.local && f.local
	a.rcode = f.rcode
	if f.kind != kindAlias {
		a.sets, a.soa = f.sets, f.soa
	}
	a.denial = append(a.denial, f.denial...) // of aliases: what proves a wildcard's
	if f.kind != kindAlias {
		return "", false, nil
	}
	for _, step := range f.aliases {
		if err := pay(); err != nil {
			return "", false, err
		}
		a.aliases = append(a.aliases, step)
		if step.TooLong {
			a.rcode = dns.RcodeYXDomain
			return "", false, nil
		}
		if a.visited(step.To) {
			return "", false, ErrAliasLoop
		}
		if step.IsDNAME() && isAliasType(a.q.rrtype) {
			return "", false, nil // the CNAME made of it is what was asked for
		}
	}
	a.rcode = dns.RcodeSuccess // that of the last name counts (RFC 6604 §3)
	return targetOf(f.aliases), true, nil
}

// visited reports whether the chain has been at name before.
func (a *found) visited(name dnsname.Name) bool {
	if name == a.q.name {
		return true
	}
	for _, step := range a.aliases[:len(a.aliases)-1] {
		if step.To == name {
			return true
		}
	}
	return false
}

// find gives what is known of one name, or walks to find out.
func (r *Resolver) find(ctx context.Context, st *step, q question) (*finding, error) {
	if st.depth == 0 { // clients have local data, name servers are where the network says
		if f, ok := r.localData(st.trust, q); ok {
			st.tellCache(f)
			return f, nil
		}
	}
	now := r.config.Now()
	first := st.depth == 0 && st.budget.aliases.Load() == 0
	if !st.renewing || !first {
		if f, ok := r.cached(now, st.trust, q, first); ok {
			st.tellCache(f)
			return f, nil
		}
	}
	if failure, ok := r.viewOf(now, q).cache.GetFailure(now, q.name, q.rrtype, st.trust); ok && !st.retryFailure {
		st.events.Cache(st.walkRef(), cacheEvent{Hit: true, Failure: true})
		return nil, &cachedError{failure}
	}
	st.tellCache(nil)
	f, err := r.walkRetryingBogus(ctx, st, q)
	if err != nil {
		r.keepFailure(r.viewOf(now, q), st, q, err)
		if !isOutage(err) && failureReason(err) == FailureBogus {
			r.viewOf(now, q).cache.EndStale(r.config.Now(), q.name, q.rrtype, st.trust)
		}
		return nil, err
	}
	r.viewOf(now, q).cache.ClearFailure(q.name, q.rrtype, st.trust)
	r.viewOf(now, q).cache.EndStale(r.config.Now(), q.name, q.rrtype, st.trust)
	return f, nil
}

// keepFailure remembers that q failed (RFC 9520), unless it failed for reasons that
// lie in how it came to be asked: the caller's time, or the path that led to it.
func (r *Resolver) keepFailure(v *view, st *step, q question, err error) {
	var limit *LimitError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrClosed), errors.Is(err, ErrAborted), r.base.Err() != nil:
		return
	case errors.Is(err, ErrNoDescriptors): // nobody was asked, and the next moment may be better
		return
	case st.depth > 0 && (errors.As(err, &limit) || errors.Is(err, ErrCircular)):
		return
	}
	e := extendedOf(err)
	v.cache.PutFailure(r.config.Now(), q.name, q.rrtype, st.trust, e.Code, e.Text)
}
