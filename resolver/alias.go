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
func (r *Resolver) search(ctx context.Context, t *task, q question) (*found, error) {
	a := newFound(q)
	t = t.on(q)
	t.proof = r.newProof(t, q)
	for at := q; ; {
		if t.proof != nil && t.proof.rl.id != r.realmOf(r.config.Now(), at).id {
			t.proof = r.newProof(t, at) // other names, other trust
		}
		f, err := r.find(ctx, t.on(at), at)
		if err != nil {
			return nil, err
		}
		next, more, err := a.add(f, t.budget.alias)
		if err != nil {
			return nil, err
		}
		t.tellAliases(f)
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
	return r.searchKnown(q, trust, lookAlive)
}

// look says what searchKnown takes, and whether the cache is to count it.
type look uint8

const (
	lookAlive        look = iota
	lookStale             // where nothing alive is known, also what has expired
	lookStaleQuietly      // likewise, but nothing is made of it: it is not counted
	lookQuietly           // what is alive, not counted
)

// searchKnown is searchCache that may take what has expired.
func (r *Resolver) searchKnown(q question, trust cache.Trust, l look) (*found, bool) {
	now := r.config.Now()
	a := newFound(q)
	short := func() error { // like budget.alias
		if len(a.aliases)+1 >= r.config.limits.Aliases {
			return &LimitError{Limit: "Aliases", Value: r.config.limits.Aliases}
		}
		return nil
	}
	for at := q; ; {
		f, ok := r.localData(trust, at)
		if !ok {
			rl := r.realmOf(now, at)
			if l == lookStaleQuietly || l == lookQuietly {
				rl = rl.uncounted()
			}
			f, ok = r.knownIn(rl, now, trust, at, len(a.aliases) == 0)
			if !ok && (l == lookStale || l == lookStaleQuietly) {
				f, ok = r.expired(rl.view, now, trust, at)
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
	if f.kind != alias {
		a.sets, a.soa = f.sets, f.soa
	}
	a.denial = append(a.denial, f.denial...) // of aliases: what proves a wildcard's
	if f.kind != alias {
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
func (r *Resolver) find(ctx context.Context, t *task, q question) (*finding, error) {
	if t.depth == 0 { // clients have local data, name servers are where the network says
		if f, ok := r.localData(t.trust, q); ok {
			t.tellCache(f)
			return f, nil
		}
	}
	now := r.config.Now()
	first := t.depth == 0 && t.budget.aliases.Load() == 0
	if !t.renewing || !first {
		if f, ok := r.known(now, t.trust, q, first); ok {
			t.tellCache(f)
			return f, nil
		}
	}
	if failure, ok := r.realmOf(now, q).view.GetFailure(now, q.name, q.rrtype, t.trust); ok && !t.undaunted {
		t.tell(func(tr *Trace) {
			if tr.Cache != nil {
				tr.Cache(CacheInfo{Step: t.step(), Hit: true, Failure: true})
			}
		})
		return nil, &cachedError{failure}
	}
	t.tellCache(nil)
	f, err := r.walkTrusting(ctx, t, q)
	if err != nil {
		r.keepFailure(r.realmOf(now, q), t, q, err)
		if !isOutage(err) && failureReason(err) == FailureBogus {
			r.realmOf(now, q).view.EndStale(r.config.Now(), q.name, q.rrtype, t.trust)
		}
		return nil, err
	}
	r.realmOf(now, q).view.ClearFailure(q.name, q.rrtype, t.trust)
	r.realmOf(now, q).view.EndStale(r.config.Now(), q.name, q.rrtype, t.trust)
	return f, nil
}

// keepFailure remembers that q failed (RFC 9520), unless it failed for reasons that
// lie in how it came to be asked: the caller's time, or the path that led to it.
func (r *Resolver) keepFailure(rl *realm, t *task, q question, err error) {
	var limit *LimitError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, ErrClosed), errors.Is(err, ErrAborted), r.base.Err() != nil:
		return
	case errors.Is(err, ErrNoDescriptors): // nobody was asked, and the next moment may be better
		return
	case t.depth > 0 && (errors.As(err, &limit) || errors.Is(err, ErrCircular)):
		return
	}
	e := extendedOf(err)
	rl.view.PutFailure(r.config.Now(), q.name, q.rrtype, t.trust, e.Code, e.Text)
}
