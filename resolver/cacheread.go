package resolver

import (
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/scrub"
)

// cacheReader reads the part of the cache that the answer to a question belongs to, at one
// moment: what is alive, or what has expired.
type cacheReader struct {
	r     *iterator
	view  *view
	now   time.Time
	trust cache.Trust
	// quiet is set to read what has expired (RFC 8767): the same part of the cache, to look
	// for what is not returned, and so must not be counted.
	quiet *cache.View
}

// cached returns the answer to q from the cache or, for a special-use name, from this
// resolver. direct says that a client asked for q itself.
func (r *iterator) cached(now time.Time, trust cache.Trust, q question, direct bool) (*answer, bool) {
	return r.cachedIn(r.routes.viewOf(now, q), now, trust, q, direct)
}

// cachedIn is cached, with the view that the answer to q belongs to.
func (r *iterator) cachedIn(v *view, now time.Time, trust cache.Trust, q question, direct bool) (*answer, bool) {
	c := cacheReader{r: r, view: v, now: now, trust: trust}
	if q.rrtype == dns.TypeANY {
		return c.readANY(q, direct)
	}
	return c.read(q, direct)
}

// expired returns the answer to q that the cache had before it expired. Answers are
// synthesised from the denials of other names only while these are alive.
func (r *iterator) expired(v *view, now time.Time, trust cache.Trust, q question) (*answer, bool) {
	if q.rrtype == dns.TypeANY {
		return nil, false
	}
	c := cacheReader{r: r, view: v, now: now, trust: trust, quiet: v.cache.Uncounted()}
	a, ok := c.read(q, false)
	if !ok {
		return nil, false
	}
	a.stale, a.ttl = true, min(a.ttl, cache.StaleTTL)
	if a.status == dnssec.Secure && !a.signedAt(r.settings.SignatureTime()) {
		a.status = dnssec.Indeterminate
	}
	return a, true
}

// read is the order in which the cache answers: the RRset itself; a special-use name; a
// CNAME; an answer kept whole, as one made from a wildcard is, with its proof; a denial; a
// DNAME above the name; what is proven of the zone, or kept for some seconds.
//
// View.AppendReply of package cache, and hitAddrs, which make no answer, have the first
// steps too.
func (c *cacheReader) read(q question, direct bool) (*answer, bool) {
	item, own := c.set(q, q.rrtype)
	if own && !fromWildcard(&item.Set) {
		return setAnswer(q, item), true
	}
	// A name with an RRset in the cache is not a special-use name.
	if !own && c.alive() {
		if a, special := c.r.specialUse(c.trust, q, direct); special {
			return a, true
		}
	}
	if !own && !isAliasType(q.rrtype) {
		if item, own = c.set(q, dns.TypeCNAME); own && !fromWildcard(&item.Set) {
			return aliasAnswer(q, item)
		}
	}
	if a, ok := c.chain(q); ok {
		if c.alive() { // what has expired is returned as it was
			a.aliases = c.r.trimToView(c.view, a.aliases) // routes may have changed
		}
		return a, true
	}
	// A live RRset made from a wildcard is no answer without its proof, but there is no denial
	// beside it: of what has expired one may have taken the place of the other.
	if !own || !c.alive() {
		if a, ok := c.denial(q); ok {
			return a, true
		}
		if a, ok := c.dname(q); ok {
			return a, true
		}
	}
	if !c.alive() {
		return nil, false
	}
	if a, ok := c.synthesis(q); ok {
		return a, true
	}
	return c.brief(q)
}

// readANY is read for whatever type: what a server answered a moment ago, that there is no
// such name, or a DNAME above it.
func (c *cacheReader) readANY(q question, direct bool) (*answer, bool) {
	if a, special := c.r.specialUse(c.trust, q, direct); special {
		return a, true
	}
	if a, ok := c.brief(q); ok {
		return a, true
	}
	if a, ok := c.denial(q); ok {
		return a, true
	}
	if a, ok := c.dname(q); ok {
		return a, true
	}
	// A name that is proven not to exist has no type: the proof is the same for any.
	a, ok := c.synthesis(question{q.name, dns.TypeA})
	if !ok || a.kind != kindNameError {
		return nil, false
	}
	a.q = q
	return a, true
}

func (c *cacheReader) alive() bool { return c.quiet == nil }

// set looks for an RRset of the name, which counts as a hit only if it is an answer.
func (c *cacheReader) set(q question, rrtype uint16) (cache.Item, bool) {
	if c.alive() {
		return c.view.cache.Get(c.now, q.name, rrtype, c.trust, cache.RankNonAuthoritative)
	}
	item, ok := c.quiet.GetStale(c.now, q.name, rrtype, c.trust, cache.RankNonAuthoritative)
	if !ok || fromWildcard(&item.Set) {
		return item, ok
	}
	return c.view.cache.GetStale(c.now, q.name, rrtype, c.trust, cache.RankNonAuthoritative)
}

// chain looks for an answer, or aliases, that were kept whole for this very name. An RRset
// made from a wildcard is returned from there only, with its proof: without, it could be the
// replay of another name's (CVE-2026-46582).
func (c *cacheReader) chain(q question) (*answer, bool) {
	get := (*cache.View).GetChain
	if !c.alive() {
		get = (*cache.View).GetStaleChain
	}
	kept, ok := get(c.view.cache, c.now, q.name, q.rrtype, c.trust)
	if !ok && !isAliasType(q.rrtype) {
		kept, ok = get(c.view.cache, c.now, q.name, dns.TypeCNAME, c.trust)
	}
	if !ok {
		return nil, false
	}
	return wholeAnswer(q, kept)
}

// denial looks for a denial of the name, or of the type.
func (c *cacheReader) denial(q question) (*answer, bool) {
	get := (*cache.View).GetNegative
	if !c.alive() {
		get = (*cache.View).GetStaleNegative
	}
	n, ok := get(c.view.cache, c.now, q.name, q.rrtype, c.trust)
	if !ok {
		return nil, false
	}
	return negativeAnswer(q, n), true
}

// dname looks for a DNAME above the name.
func (c *cacheReader) dname(q question) (*answer, bool) {
	get := (*cache.View).Get
	if !c.alive() {
		get = (*cache.View).GetStale
	}
	for above := q.name.Parent(); !above.IsRoot(); above = above.Parent() {
		if item, ok := get(c.view.cache, c.now, above, dns.TypeDNAME, c.trust, cache.RankNonAuthoritative); ok {
			return aliasAnswer(q, item)
		}
	}
	return nil, false
}

// synthesis answers from what earlier denials and wildcard answers prove about the zone
// (RFC 8198).
func (c *cacheReader) synthesis(q question) (*answer, bool) {
	if c.view.validator == nil || c.trust != cache.Checked {
		return nil, false
	}
	s, ok := c.view.cache.Synthesise(c.now, q.name, q.rrtype)
	if !ok && !isAliasType(q.rrtype) {
		s, ok = c.view.cache.Synthesise(c.now, q.name, dns.TypeCNAME)
		ok = ok && !s.Denied
	}
	if !ok {
		return nil, false
	}
	a := &answer{
		q: q, kind: kindNoData, status: dnssec.Secure, fromCache: true, extended: extendedKept(dns.ExtendedErrorCodeSynthesized),
	}
	switch {
	case s.Denied:
		a.soa, a.denial, a.ttl = s.Negative.SOA, s.Negative.Proof, s.Negative.TTL
		if s.Negative.NameError {
			a.kind, a.rcode = kindNameError, dns.RcodeNameError
		}
	case s.Answer.Set.Type == q.rrtype:
		a.kind, a.sets, a.denial, a.ttl = kindAnswer, []*dnssec.RRset{&s.Answer.Set}, s.Proof, s.Answer.TTL
	default:
		step, ok := scrub.Redirect(q.name, &s.Answer.Set)
		if !ok {
			return nil, false
		}
		a.kind, a.aliases, a.denial, a.ttl = kindAlias, []scrub.Alias{step}, s.Proof, s.Answer.TTL
	}
	return a, true
}

// brief looks for an answer that is kept for some seconds only.
func (c *cacheReader) brief(q question) (*answer, bool) {
	kept, ok := c.view.cache.GetBrief(c.now, q.name, q.rrtype, c.trust)
	if !ok {
		return nil, false
	}
	if len(kept.Answer) > 0 {
		return wholeAnswer(q, kept)
	}
	a := &answer{
		q: q, kind: kindNoData, rcode: kept.Rcode, denial: kept.Authority, status: kept.Status, ttl: kept.TTL, fromCache: true,
		extended: extendedKept(kept.Extended),
	}
	if kept.Rcode == dns.RcodeNameError {
		a.kind = kindNameError
	}
	if len(kept.Authority) > 0 && kept.Authority[0].Type == dns.TypeSOA {
		a.soa, a.denial = kept.Authority[0], kept.Authority[1:]
	}
	return a, true
}

// setAnswer makes an answer of an RRset that was kept. It is one piece of memory: this is
// what most questions get.
func setAnswer(q question, item cache.Item) *answer {
	whole := &struct {
		answer
		item cache.Item
		sets [1]*dnssec.RRset
	}{item: item}
	whole.sets[0] = &whole.item.Set
	whole.answer = answer{
		q: q, kind: kindAnswer, sets: whole.sets[:], status: item.Status, ttl: item.TTL, fromCache: true,
		due: dueIf(item.Prefetch, q), extended: extendedKept(item.Extended),
	}
	return &whole.answer
}

// aliasAnswer makes an answer of a CNAME or DNAME that was kept.
func aliasAnswer(q question, item cache.Item) (*answer, bool) {
	step, ok := scrub.Redirect(q.name, &item.Set)
	if !ok {
		return nil, false
	}
	a := &answer{
		q: q, kind: kindAlias, aliases: []scrub.Alias{step}, status: item.Status, ttl: item.TTL, fromCache: true,
		due: dueIf(item.Prefetch, q), extended: extendedKept(item.Extended),
	}
	if step.TooLong {
		a.rcode = dns.RcodeYXDomain
	}
	return a, true
}

// wholeAnswer makes an answer of records, or of aliases, that were kept together. A
// question for the alias itself gets the first.
func wholeAnswer(q question, kept cache.Chain) (*answer, bool) {
	a := &answer{
		q: q, kind: kindAnswer, denial: kept.Authority, status: kept.Status, ttl: kept.TTL, fromCache: true,
		due: dueIf(kept.Prefetch, q), extended: extendedKept(kept.Extended),
	}
	first := kept.Answer[0]
	switch {
	case first.Owner == q.name && q.rrtype == dns.TypeANY:
		a.sets = kept.Answer
		return a, true
	case first.Owner == q.name && first.Type == q.rrtype:
		a.sets = kept.Answer[:1]
		return a, true
	}
	a.kind = kindAlias
	for at := q.name; len(a.aliases) < len(kept.Answer); {
		step, ok := scrub.Redirect(at, kept.Answer[len(a.aliases)])
		if !ok {
			return nil, false
		}
		a.aliases = append(a.aliases, step)
		if at = step.To; step.TooLong {
			a.rcode = dns.RcodeYXDomain
			break
		}
	}
	return a, true
}

// negativeAnswer makes an answer of a denial that was kept.
func negativeAnswer(q question, n cache.Negative) *answer {
	a := &answer{
		q: q, kind: kindNoData, soa: n.SOA, denial: n.Proof, status: n.Status, ttl: n.TTL, fromCache: true,
		due: dueIf(n.Prefetch, q), extended: extendedKept(n.Extended),
	}
	if n.NameError || n.DeniesName() {
		a.kind, a.rcode = kindNameError, dns.RcodeNameError
	}
	return a
}

// dueIf returns q if its answer in the cache is to be prefetched.
func dueIf(prefetch bool, q question) []question {
	if !prefetch {
		return nil
	}
	return []question{q}
}

// extendedKept returns the extended DNS error that was kept with an answer by its code; none
// for 0.
func extendedKept(code uint16) []extendedError {
	if code == 0 {
		return nil
	}
	return []extendedError{{Code: code}}
}
