package iterate

import (
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/scrub"
)

// cacheReader reads the part of the cache that the answer to a question belongs to, at one
// moment: what is alive, or what has expired.
type cacheReader struct {
	r     *Iterator
	view  *routes.View
	now   time.Time
	trust cache.Trust
	// quiet is set to read what has expired (RFC 8767): the same part of the cache, to look
	// for what is not returned, and so must not be counted.
	quiet *cache.View
}

// Cached returns the answer to q from the cache or, for a special-use name, from this
// resolver. direct says that a client asked for q itself.
func (r *Iterator) Cached(now time.Time, trust cache.Trust, q answer.Question, direct bool) (*answer.Answer, bool) {
	return r.cachedIn(r.routes.ViewOf(now, q), now, trust, q, direct)
}

// cachedIn is Cached, with the view that the answer to q belongs to.
func (r *Iterator) cachedIn(v *routes.View, now time.Time, trust cache.Trust, q answer.Question, direct bool) (*answer.Answer, bool) {
	c := cacheReader{r: r, view: v, now: now, trust: trust}
	if q.Type == dns.TypeANY {
		return c.readANY(q, direct)
	}
	return c.read(q, direct)
}

// expired returns the answer to q that the cache had before it expired. Answers are
// synthesised from the denials of other names only while these are alive.
func (r *Iterator) expired(v *routes.View, now time.Time, trust cache.Trust, q answer.Question) (*answer.Answer, bool) {
	if q.Type == dns.TypeANY {
		return nil, false
	}
	c := cacheReader{r: r, view: v, now: now, trust: trust, quiet: v.Cache.Uncounted()}
	a, ok := c.read(q, false)
	if !ok {
		return nil, false
	}
	a.Stale, a.TTL = true, min(a.TTL, cache.StaleTTL)
	if a.Status == dnssec.Secure && !a.SignedAt(r.Settings.SignatureTime()) {
		a.Status = dnssec.Indeterminate
	}
	return a, true
}

// read is the order in which the cache answers: the RRset itself; a special-use name; a
// CNAME; an answer kept whole, as one made from a wildcard is, with its proof; a denial; a
// DNAME above the name; what is proven of the zone, or kept for some seconds.
//
// View.AppendReply of package cache and Mesh.HitAddrs of package mesh, which make no answer,
// have the first steps too.
func (c *cacheReader) read(q answer.Question, direct bool) (*answer.Answer, bool) {
	item, own := c.set(q, q.Type)
	if own && !answer.FromWildcard(&item.Set) {
		return setAnswer(q, item), true
	}
	// A name with an RRset in the cache is not a special-use name.
	if !own && c.alive() {
		if a, special := c.r.specialUse(c.trust, q, direct); special {
			return a, true
		}
	}
	if !own && !answer.IsAliasType(q.Type) {
		if item, own = c.set(q, dns.TypeCNAME); own && !answer.FromWildcard(&item.Set) {
			return aliasAnswer(q, item)
		}
	}
	if a, ok := c.chain(q); ok {
		if c.alive() { // what has expired is returned as it was
			a.Aliases = c.r.trimToView(c.view, a.Aliases) // routes may have changed
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
func (c *cacheReader) readANY(q answer.Question, direct bool) (*answer.Answer, bool) {
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
	a, ok := c.synthesis(answer.Question{Name: q.Name, Type: dns.TypeA})
	if !ok || a.Kind != answer.KindNameError {
		return nil, false
	}
	a.Q = q
	return a, true
}

func (c *cacheReader) alive() bool { return c.quiet == nil }

// set looks for an RRset of the name, which counts as a hit only if it is an answer.
func (c *cacheReader) set(q answer.Question, rrtype uint16) (cache.Item, bool) {
	if c.alive() {
		return c.view.Cache.Get(c.now, q.Name, rrtype, c.trust, cache.RankNonAuthoritative)
	}
	item, ok := c.quiet.GetStale(c.now, q.Name, rrtype, c.trust, cache.RankNonAuthoritative)
	if !ok || answer.FromWildcard(&item.Set) {
		return item, ok
	}
	return c.view.Cache.GetStale(c.now, q.Name, rrtype, c.trust, cache.RankNonAuthoritative)
}

// chain looks for an answer, or aliases, that were kept whole for this very name. An RRset
// made from a wildcard is returned from there only, with its proof: without, it could be the
// replay of another name's (CVE-2026-46582).
func (c *cacheReader) chain(q answer.Question) (*answer.Answer, bool) {
	get := (*cache.View).GetChain
	if !c.alive() {
		get = (*cache.View).GetStaleChain
	}
	kept, ok := get(c.view.Cache, c.now, q.Name, q.Type, c.trust)
	if !ok && !answer.IsAliasType(q.Type) {
		kept, ok = get(c.view.Cache, c.now, q.Name, dns.TypeCNAME, c.trust)
	}
	if !ok {
		return nil, false
	}
	return wholeAnswer(q, kept)
}

// denial looks for a denial of the name, or of the type.
func (c *cacheReader) denial(q answer.Question) (*answer.Answer, bool) {
	get := (*cache.View).GetNegative
	if !c.alive() {
		get = (*cache.View).GetStaleNegative
	}
	n, ok := get(c.view.Cache, c.now, q.Name, q.Type, c.trust)
	if !ok {
		return nil, false
	}
	return negativeAnswer(q, n), true
}

// dname looks for a DNAME above the name.
func (c *cacheReader) dname(q answer.Question) (*answer.Answer, bool) {
	get := (*cache.View).Get
	if !c.alive() {
		get = (*cache.View).GetStale
	}
	for above := q.Name.Parent(); !above.IsRoot(); above = above.Parent() {
		if item, ok := get(c.view.Cache, c.now, above, dns.TypeDNAME, c.trust, cache.RankNonAuthoritative); ok {
			return aliasAnswer(q, item)
		}
	}
	return nil, false
}

// synthesis answers from what earlier denials and wildcard answers prove about the zone
// (RFC 8198).
func (c *cacheReader) synthesis(q answer.Question) (*answer.Answer, bool) {
	if c.view.Validator == nil || c.trust != cache.Checked {
		return nil, false
	}
	s, ok := c.view.Cache.Synthesise(c.now, q.Name, q.Type)
	if !ok && !answer.IsAliasType(q.Type) {
		s, ok = c.view.Cache.Synthesise(c.now, q.Name, dns.TypeCNAME)
		ok = ok && !s.Denied
	}
	if !ok {
		return nil, false
	}
	a := &answer.Answer{
		Q: q, Kind: answer.KindNoData, Status: dnssec.Secure, FromCache: true, Extended: extendedKept(dns.ExtendedErrorCodeSynthesized),
	}
	switch {
	case s.Denied:
		a.SOA, a.Denial, a.TTL = s.Negative.SOA, s.Negative.Proof, s.Negative.TTL
		if s.Negative.NameError {
			a.Kind, a.Rcode = answer.KindNameError, dns.RcodeNameError
		}
	case s.Answer.Set.Type == q.Type:
		a.Kind, a.Sets, a.Denial, a.TTL = answer.KindAnswer, []*dnssec.RRset{&s.Answer.Set}, s.Proof, s.Answer.TTL
	default:
		step, ok := scrub.Redirect(q.Name, &s.Answer.Set)
		if !ok {
			return nil, false
		}
		a.Kind, a.Aliases, a.Denial, a.TTL = answer.KindAlias, []scrub.Alias{step}, s.Proof, s.Answer.TTL
	}
	return a, true
}

// brief looks for an answer that is kept for some seconds only.
func (c *cacheReader) brief(q answer.Question) (*answer.Answer, bool) {
	kept, ok := c.view.Cache.GetBrief(c.now, q.Name, q.Type, c.trust)
	if !ok {
		return nil, false
	}
	if len(kept.Answer) > 0 {
		return wholeAnswer(q, kept)
	}
	a := &answer.Answer{
		Q: q, Kind: answer.KindNoData, Rcode: kept.Rcode, Denial: kept.Authority, Status: kept.Status, TTL: kept.TTL, FromCache: true,
		Extended: extendedKept(kept.Extended),
	}
	if kept.Rcode == dns.RcodeNameError {
		a.Kind = answer.KindNameError
	}
	if len(kept.Authority) > 0 && kept.Authority[0].Type == dns.TypeSOA {
		a.SOA, a.Denial = kept.Authority[0], kept.Authority[1:]
	}
	return a, true
}

// setAnswer makes an answer of an RRset that was kept. It is one piece of memory: this is
// what most questions get.
func setAnswer(q answer.Question, item cache.Item) *answer.Answer {
	whole := &struct {
		answer.Answer
		item cache.Item
		sets [1]*dnssec.RRset
	}{item: item}
	whole.sets[0] = &whole.item.Set
	whole.Answer = answer.Answer{
		Q: q, Kind: answer.KindAnswer, Sets: whole.sets[:], Status: item.Status, TTL: item.TTL, FromCache: true,
		Due: dueIf(item.Prefetch, q), Extended: extendedKept(item.Extended),
	}
	return &whole.Answer
}

// aliasAnswer makes an answer of a CNAME or DNAME that was kept.
func aliasAnswer(q answer.Question, item cache.Item) (*answer.Answer, bool) {
	step, ok := scrub.Redirect(q.Name, &item.Set)
	if !ok {
		return nil, false
	}
	a := &answer.Answer{
		Q: q, Kind: answer.KindAlias, Aliases: []scrub.Alias{step}, Status: item.Status, TTL: item.TTL, FromCache: true,
		Due: dueIf(item.Prefetch, q), Extended: extendedKept(item.Extended),
	}
	if step.TooLong {
		a.Rcode = dns.RcodeYXDomain
	}
	return a, true
}

// wholeAnswer makes an answer of records, or of aliases, that were kept together. A
// question for the alias itself gets the first.
func wholeAnswer(q answer.Question, kept cache.Chain) (*answer.Answer, bool) {
	a := &answer.Answer{
		Q: q, Kind: answer.KindAnswer, Denial: kept.Authority, Status: kept.Status, TTL: kept.TTL, FromCache: true,
		Due: dueIf(kept.Prefetch, q), Extended: extendedKept(kept.Extended),
	}
	first := kept.Answer[0]
	switch {
	case first.Owner == q.Name && q.Type == dns.TypeANY:
		a.Sets = kept.Answer
		return a, true
	case first.Owner == q.Name && first.Type == q.Type:
		a.Sets = kept.Answer[:1]
		return a, true
	}
	a.Kind = answer.KindAlias
	for at := q.Name; len(a.Aliases) < len(kept.Answer); {
		step, ok := scrub.Redirect(at, kept.Answer[len(a.Aliases)])
		if !ok {
			return nil, false
		}
		a.Aliases = append(a.Aliases, step)
		if at = step.To; step.TooLong {
			a.Rcode = dns.RcodeYXDomain
			break
		}
	}
	return a, true
}

// negativeAnswer makes an answer of a denial that was kept.
func negativeAnswer(q answer.Question, n cache.Negative) *answer.Answer {
	a := &answer.Answer{
		Q: q, Kind: answer.KindNoData, SOA: n.SOA, Denial: n.Proof, Status: n.Status, TTL: n.TTL, FromCache: true,
		Due: dueIf(n.Prefetch, q), Extended: extendedKept(n.Extended),
	}
	if n.NameError || n.DeniesName() {
		a.Kind, a.Rcode = answer.KindNameError, dns.RcodeNameError
	}
	return a
}

// dueIf returns q if its answer in the cache is to be prefetched.
func dueIf(prefetch bool, q answer.Question) []answer.Question {
	if !prefetch {
		return nil
	}
	return []answer.Question{q}
}

// extendedKept returns the extended DNS error that was kept with an answer by its code; none
// for 0.
func extendedKept(code uint16) []failure.ExtendedError {
	if code == 0 {
		return nil
	}
	return []failure.ExtendedError{{Code: code}}
}
