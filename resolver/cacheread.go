package resolver

import (
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/miekg/dns"
)

// cached gives what the cache, or nobody but us, knows of q. direct says that a client
// asked for q itself.
func (r *Resolver) cached(now time.Time, trust cache.Trust, q question, direct bool) (*finding, bool) {
	return r.cachedIn(r.viewOf(now, q), now, trust, q, direct)
}

// cachedIn is known, with the view that the answer to q belongs to.
func (r *Resolver) cachedIn(v *view, now time.Time, trust cache.Trust, q question, direct bool) (*finding, bool) {
	if q.rrtype == dns.TypeANY {
		if f, ok := r.specialUse(trust, q, direct); ok {
			return f, true
		}
		return v.cachedANY(now, trust, q)
	}
	if item, ok := v.cache.Get(now, q.name, q.rrtype, trust, cache.RankNonAuthoritative); ok {
		if fromWildcard(&item.Set) {
			return v.cachedExpanded(now, trust, q)
		}
		return setFinding(q, item), true
	}
	// What the cache has an RRset for is no special-use name, and need not be looked up.
	if f, ok := r.specialUse(trust, q, direct); ok {
		return f, true
	}
	if !isAliasType(q.rrtype) {
		if item, ok := v.cache.Get(now, q.name, dns.TypeCNAME, trust, cache.RankNonAuthoritative); ok {
			if fromWildcard(&item.Set) {
				return v.cachedExpanded(now, trust, q)
			}
			return aliasFinding(q, item)
		}
	}
	if f, ok := v.cachedChain(now, trust, q); ok {
		f.aliases = r.within(v, f.aliases) // routes may have changed
		return f, true
	}
	if n, ok := v.cache.GetNegative(now, q.name, q.rrtype, trust); ok {
		return negativeFinding(q, n), true
	}
	if f, ok := v.cachedDNAME(now, trust, q); ok {
		return f, true
	}
	return v.cachedSynthesis(now, trust, q)
}

// cachedANY gives what is known of a name whatever the type: what a server answered a moment
// ago, that there is no such name, or a DNAME above it.
func (v *view) cachedANY(now time.Time, trust cache.Trust, q question) (*finding, bool) {
	if f, ok := v.cachedBriefly(now, trust, q); ok {
		return f, true
	}
	if n, ok := v.cache.GetNegative(now, q.name, q.rrtype, trust); ok {
		return negativeFinding(q, n), true
	}
	if f, ok := v.cachedDNAME(now, trust, q); ok {
		return f, true
	}
	// A name that is proven not to be there has no type: any will do to ask for the proof.
	f, ok := v.cachedProofs(now, trust, question{q.name, dns.TypeA})
	if !ok || f.kind != kindNameError {
		return nil, false
	}
	f.q = q
	return f, true
}

// cachedBriefly gives an answer that is kept for some seconds only.
func (v *view) cachedBriefly(now time.Time, trust cache.Trust, q question) (*finding, bool) {
	c, ok := v.cache.GetBrief(now, q.name, q.rrtype, trust)
	if !ok {
		return nil, false
	}
	if len(c.Answer) > 0 {
		return wholeFinding(q, c)
	}
	f := &finding{
		q: q, kind: kindNoData, rcode: c.Rcode, denial: c.Authority, status: c.Status, ttl: c.TTL, fromCache: true,
		extended: ExtendedError{Code: c.Extended},
	}
	if c.Rcode == dns.RcodeNameError {
		f.kind = kindNameError
	}
	if len(c.Authority) > 0 && c.Authority[0].Type == dns.TypeSOA {
		f.soa, f.denial = c.Authority[0], c.Authority[1:]
	}
	return f, true
}

// setFinding makes a finding of an RRset that was kept. It is one piece of memory: this is
// what most questions get.
func setFinding(q question, item cache.Item) *finding {
	whole := &struct {
		finding
		item cache.Item
		sets [1]*dnssec.RRset
	}{item: item}
	whole.sets[0] = &whole.item.Set
	whole.finding = finding{
		q: q, kind: kindAnswer, sets: whole.sets[:], status: item.Status, ttl: item.TTL, fromCache: true, due: item.Prefetch,
		extended: ExtendedError{Code: item.Extended},
	}
	return &whole.finding
}

// cachedProofs answers from what earlier denials and wildcard answers prove about the
// zone (RFC 8198).
func (v *view) cachedProofs(now time.Time, trust cache.Trust, q question) (*finding, bool) {
	if v.validator == nil || trust != cache.Checked {
		return nil, false
	}
	s, ok := v.cache.Synthesise(now, q.name, q.rrtype)
	if !ok && !isAliasType(q.rrtype) {
		s, ok = v.cache.Synthesise(now, q.name, dns.TypeCNAME)
		ok = ok && !s.Denied
	}
	if !ok {
		return nil, false
	}
	f := &finding{
		q: q, kind: kindNoData, status: dnssec.Secure, fromCache: true,
		extended: ExtendedError{Code: dns.ExtendedErrorCodeSynthesized},
	}
	switch {
	case s.Denied:
		f.soa, f.denial, f.ttl = s.Negative.SOA, s.Negative.Proof, s.Negative.TTL
		if s.Negative.NameError {
			f.kind, f.rcode = kindNameError, dns.RcodeNameError
		}
	case s.Answer.Set.Type == q.rrtype:
		f.kind, f.sets, f.denial, f.ttl = kindAnswer, []*dnssec.RRset{&s.Answer.Set}, s.Proof, s.Answer.TTL
	default:
		step, ok := scrub.Redirect(q.name, &s.Answer.Set)
		if !ok {
			return nil, false
		}
		f.kind, f.aliases, f.denial, f.ttl = kindAlias, []scrub.Alias{step}, s.Proof, s.Answer.TTL
	}
	return f, true
}

// cachedExpanded gives an answer that was made from a wildcard for this very name, with its
// proof, or makes it anew from what is proven; one that is large may be kept briefly.
func (v *view) cachedExpanded(now time.Time, trust cache.Trust, q question) (*finding, bool) {
	if f, ok := v.cachedChain(now, trust, q); ok {
		return f, true
	}
	return v.cachedSynthesis(now, trust, q)
}

// cachedSynthesis makes an answer of what is proven, or gives one that is kept for some seconds only.
func (v *view) cachedSynthesis(now time.Time, trust cache.Trust, q question) (*finding, bool) {
	if f, ok := v.cachedProofs(now, trust, q); ok {
		return f, true
	}
	return v.cachedBriefly(now, trust, q)
}

// cachedChain gives an answer, or the aliases, that were kept for this very name.
func (v *view) cachedChain(now time.Time, trust cache.Trust, q question) (*finding, bool) {
	c, ok := v.cache.GetChain(now, q.name, q.rrtype, trust)
	if !ok && !isAliasType(q.rrtype) {
		c, ok = v.cache.GetChain(now, q.name, dns.TypeCNAME, trust)
	}
	if !ok {
		return nil, false
	}
	return wholeFinding(q, c)
}

// negativeFinding makes a finding of a denial that was kept.
func negativeFinding(q question, n cache.Negative) *finding {
	f := &finding{
		q: q, kind: kindNoData, soa: n.SOA, denial: n.Proof, status: n.Status, ttl: n.TTL, fromCache: true, due: n.Prefetch,
		extended: ExtendedError{Code: n.Extended},
	}
	if n.NameError || n.DeniesName() {
		f.kind, f.rcode = kindNameError, dns.RcodeNameError
	}
	return f
}

// wholeFinding makes a finding of an answer, or of aliases, that were kept together. Who asks
// for the alias itself is given the first.
func wholeFinding(q question, c cache.Chain) (*finding, bool) {
	f := &finding{
		q: q, kind: kindAnswer, denial: c.Authority, status: c.Status, ttl: c.TTL, fromCache: true, due: c.Prefetch,
		extended: ExtendedError{Code: c.Extended},
	}
	first := c.Answer[0]
	switch {
	case first.Owner == q.name && q.rrtype == dns.TypeANY:
		f.sets = c.Answer
		return f, true
	case first.Owner == q.name && first.Type == q.rrtype:
		f.sets = c.Answer[:1]
		return f, true
	}
	f.kind = kindAlias
	for at := q.name; len(f.aliases) < len(c.Answer); {
		step, ok := scrub.Redirect(at, c.Answer[len(f.aliases)])
		if !ok {
			return nil, false
		}
		f.aliases = append(f.aliases, step)
		if at = step.To; step.TooLong {
			f.rcode = dns.RcodeYXDomain
			break
		}
	}
	return f, true
}

// fromWildcard reports whether a set was made from a wildcard, so that it takes a proof
// that nothing is closer: its signature counts fewer labels than its owner has (RFC 4034
// §3.1.3).
func fromWildcard(set *dnssec.RRset) bool {
	const labels = 3 // where the count stands in RRSIG RDATA
	for sig := range set.Signatures.All() {
		return len(sig) > labels && int(sig[labels]) < set.Owner.Labels() && !set.Owner.IsWildcard()
	}
	return false
}

// cachedDNAME looks for a DNAME above q's name.
func (v *view) cachedDNAME(now time.Time, trust cache.Trust, q question) (*finding, bool) {
	for above := q.name.Parent(); !above.IsRoot(); above = above.Parent() {
		if item, ok := v.cache.Get(now, above, dns.TypeDNAME, trust, cache.RankNonAuthoritative); ok {
			return aliasFinding(q, item)
		}
	}
	return nil, false
}

func aliasFinding(q question, item cache.Item) (*finding, bool) {
	step, ok := scrub.Redirect(q.name, &item.Set)
	if !ok {
		return nil, false
	}
	f := &finding{
		q: q, kind: kindAlias, aliases: []scrub.Alias{step}, status: item.Status, ttl: item.TTL, fromCache: true, due: item.Prefetch,
		extended: ExtendedError{Code: item.Extended},
	}
	if step.TooLong {
		f.rcode = dns.RcodeYXDomain
	}
	return f, true
}
