package resolver

import (
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/miekg/dns"
)

// known gives what the cache, or nobody but us, knows of q. direct says that a client
// asked for q itself.
func (r *Resolver) known(now time.Time, trust cache.Trust, q question, direct bool) (*finding, bool) {
	return r.knownIn(r.realmOf(now, q), now, trust, q, direct)
}

// knownIn is known, with the realm that the answer to q belongs to.
func (r *Resolver) knownIn(rl *realm, now time.Time, trust cache.Trust, q question, direct bool) (*finding, bool) {
	if q.rrtype == dns.TypeANY {
		return r.local(trust, q, direct) // what one server returned is no whole answer (RFC 8482 §4.1)
	}
	if item, ok := rl.view.Get(now, q.name, q.rrtype, trust, cache.RankNonAuthoritative); ok {
		if fromWildcard(&item.Set) {
			return rl.knownExpanded(now, trust, q)
		}
		return setFinding(q, item), true
	}
	// What the cache has an RRset for is no special-use name, and need not be looked up.
	if f, ok := r.local(trust, q, direct); ok {
		return f, true
	}
	if !isAliasType(q.rrtype) {
		if item, ok := rl.view.Get(now, q.name, dns.TypeCNAME, trust, cache.RankNonAuthoritative); ok {
			if fromWildcard(&item.Set) {
				return rl.knownExpanded(now, trust, q)
			}
			return aliasFinding(q, item)
		}
	}
	if n, ok := rl.view.GetNegative(now, q.name, q.rrtype, trust); ok {
		return negativeFinding(q, n), true
	}
	if f, ok := rl.knownDNAME(now, trust, q); ok {
		return f, true
	}
	return rl.knownExpanded(now, trust, q)
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
		q: q, kind: answer, sets: whole.sets[:], status: item.Status, ttl: item.TTL, fromCache: true, due: item.Prefetch,
		extended: ExtendedError{Code: item.Extended},
	}
	return &whole.finding
}

// deniedCompactly reports whether a denial kept as NODATA is one of the name (RFC 9824
// §3.1): its NSEC record, of the name itself, has the type NXNAME.
func deniedCompactly(n *cache.Negative) bool {
	if n.Status != dnssec.Secure {
		return false
	}
	for _, set := range n.Proof {
		if set.Type != dns.TypeNSEC || set.Owner != n.Name {
			continue
		}
		return cache.DeniesName(set)
	}
	return false
}

// knownProofs answers from what earlier denials and wildcard answers prove about the
// zone (RFC 8198).
func (rl *realm) knownProofs(now time.Time, trust cache.Trust, q question) (*finding, bool) {
	if rl.validator == nil || trust != cache.Checked {
		return nil, false
	}
	s, ok := rl.view.Synthesise(now, q.name, q.rrtype)
	if !ok && !isAliasType(q.rrtype) {
		s, ok = rl.view.Synthesise(now, q.name, dns.TypeCNAME)
		ok = ok && !s.Denied
	}
	if !ok {
		return nil, false
	}
	f := &finding{
		q: q, kind: noData, status: dnssec.Secure, fromCache: true,
		extended: ExtendedError{Code: dns.ExtendedErrorCodeSynthesized},
	}
	switch {
	case s.Denied:
		f.soa, f.denial, f.ttl = s.Negative.SOA, s.Negative.Proof, s.Negative.TTL
		if s.Negative.NameError {
			f.kind, f.rcode = nameError, dns.RcodeNameError
		}
	case s.Answer.Set.Type == q.rrtype:
		f.kind, f.sets, f.denial, f.ttl = answer, []*dnssec.RRset{&s.Answer.Set}, s.Proof, s.Answer.TTL
	default:
		step, ok := scrub.Redirect(q.name, &s.Answer.Set)
		if !ok {
			return nil, false
		}
		f.kind, f.aliases, f.denial, f.ttl = alias, []scrub.Alias{step}, s.Proof, s.Answer.TTL
	}
	return f, true
}

// knownExpanded gives an answer that was made from a wildcard for this very name, with its
// proof, or makes it anew from what is proven.
func (rl *realm) knownExpanded(now time.Time, trust cache.Trust, q question) (*finding, bool) {
	c, ok := rl.view.GetChain(now, q.name, q.rrtype, trust)
	if !ok && !isAliasType(q.rrtype) {
		c, ok = rl.view.GetChain(now, q.name, dns.TypeCNAME, trust)
	}
	if !ok || len(c.Answer) != 1 || c.Answer[0].Type != c.Type {
		return rl.knownProofs(now, trust, q)
	}
	return expandedFinding(q, c)
}

// negativeFinding makes a finding of a denial that was kept.
func negativeFinding(q question, n cache.Negative) *finding {
	f := &finding{
		q: q, kind: noData, soa: n.SOA, denial: n.Proof, status: n.Status, ttl: n.TTL, fromCache: true, due: n.Prefetch,
		extended: ExtendedError{Code: n.Extended},
	}
	if n.NameError || deniedCompactly(&n) {
		f.kind, f.rcode = nameError, dns.RcodeNameError
	}
	return f
}

// expandedFinding makes a finding of an answer that was made from a wildcard.
func expandedFinding(q question, c cache.Chain) (*finding, bool) {
	if len(c.Answer) != 1 || c.Answer[0].Type != c.Type {
		return nil, false
	}
	f := &finding{
		q: q, kind: answer, sets: c.Answer, denial: c.Authority, status: c.Status, ttl: c.TTL, fromCache: true, due: c.Prefetch,
		extended: ExtendedError{Code: c.Extended},
	}
	if c.Type != q.rrtype {
		step, ok := scrub.Redirect(q.name, c.Answer[0])
		if !ok {
			return nil, false
		}
		f.kind, f.sets, f.aliases = alias, nil, []scrub.Alias{step}
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

// knownDNAME looks for a DNAME above q's name.
func (rl *realm) knownDNAME(now time.Time, trust cache.Trust, q question) (*finding, bool) {
	for above := q.name.Parent(); !above.IsRoot(); above = above.Parent() {
		if item, ok := rl.view.Get(now, above, dns.TypeDNAME, trust, cache.RankNonAuthoritative); ok {
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
		q: q, kind: alias, aliases: []scrub.Alias{step}, status: item.Status, ttl: item.TTL, fromCache: true, due: item.Prefetch,
		extended: ExtendedError{Code: item.Extended},
	}
	if step.TooLong {
		f.rcode = dns.RcodeYXDomain
	}
	return f, true
}
