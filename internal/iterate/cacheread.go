package iterate

import (
	"context"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/scrub"
)

// Cached returns the answer to q from the cache or, for a special-use name, from this
// resolver. direct says that a client asked for q itself.
func (r *Iterator) Cached(now time.Time, trust cache.Trust, q answer.Question, direct bool) (*answer.Answer, bool) {
	return r.cachedIn(r.routes.ViewOf(now, q), now, trust, q, direct)
}

// cachedIn is Cached, with the view that the answer to q belongs to.
func (r *Iterator) cachedIn(v *routes.View, now time.Time, trust cache.Trust, q answer.Question, direct bool) (*answer.Answer, bool) {
	var f cache.Found
	return r.look(v, now, cache.Question{Name: q.Name, Type: q.Type, Trust: trust}, direct, &f)
}

// look is cachedIn that also leaves in f what the cache has found: without an answer, where to
// go from here.
//
// View.AppendReply of package cache and Mesh.HitAddrs of package mesh, which make no answer,
// read the cache too. They need not know special-use names, of which it has nothing.
func (r *Iterator) look(v *routes.View, now time.Time, asked cache.Question, direct bool, f *cache.Found) (*answer.Answer, bool) {
	q := answer.Question{Name: asked.Name, Type: asked.Type}
	if a, special := r.specialUse(asked.Trust, q, direct); special {
		return a, true
	}
	var ok bool
	if *f, ok = v.Cache.Find(now, asked); !ok {
		return nil, false
	}
	a, ok := r.foundAnswer(v, q, f)
	if ok {
		disclose(v, asked.Trust, a)
	}
	return a, ok
}

// disclose adds to an answer that a negative trust anchor was used. The cache does not keep
// that: the view has it. It was not used for a client that does not want its answer validated,
// though the answer may be one that another client has brought into the cache.
func disclose(v *routes.View, trust cache.Trust, a *answer.Answer) {
	if v.NegativeAnchor != "" && trust == cache.Checked && a.Status == dnssec.Insecure {
		a.Extended = append(a.Extended, failure.ExtendedNegativeAnchor(v.NegativeAnchor))
	}
}

// foundAnswer makes an answer of what the cache has found.
func (r *Iterator) foundAnswer(v *routes.View, q answer.Question, f *cache.Found) (*answer.Answer, bool) {
	switch {
	case f.Chain != nil && len(f.Chain.Answer) == 0:
		return wholeDenial(q, f.Chain), true
	case f.Chain != nil:
		a, ok := wholeAnswer(q, *f.Chain)
		if ok {
			a.Aliases = r.trimToView(v, nil, a.Aliases) // routes may have changed
		}
		return a, ok
	case f.Negative != nil:
		return negativeAnswer(q, *f.Negative), true
	case f.Synthesis != nil:
		return synthesisedAnswer(q, f.Synthesis)
	case f.Item.Set.Type == q.Type && f.Item.Set.Owner == q.Name:
		return setAnswer(q, &f.Item), true
	}
	return aliasAnswer(q, f.Item)
}

// expired returns the answer to q that the cache had before it expired. Answers are
// synthesised from the denials of other names only while these are alive.
func (r *Iterator) expired(v *routes.View, now time.Time, trust cache.Trust, q answer.Question) (*answer.Answer, bool) {
	a, ok := expiredAsKept(v, now, trust, q)
	if ok && a.Status == dnssec.Secure && !a.SignedAt(r.Settings.SignatureTime()) {
		a.Status = dnssec.Indeterminate
	}
	return a, ok
}

// expiredAsKept is expired with the status that the answer had.
func expiredAsKept(v *routes.View, now time.Time, trust cache.Trust, q answer.Question) (*answer.Answer, bool) {
	if q.Type == dns.TypeANY {
		return nil, false
	}
	c := staleReader{cache: v.Cache, quiet: v.Cache.Uncounted(), now: now, trust: trust}
	a, ok := c.read(q)
	if !ok {
		return nil, false
	}
	a.Stale, a.TTL = true, min(a.TTL, cache.StaleTTL)
	disclose(v, trust, a)
	return a, true
}

// staleOverBogus returns the expired answer to one name that may be given because the new one is
// bogus, now or when it was asked for a moment ago: one that was Secure, and is Secure once more
// by what was proven last of the zones above it (Settings.StaleOverBogus).
//
// An answer that does not pass is not Insecure or Indeterminate instead: it is not given at all.
func (r *Iterator) staleOverBogus(ctx context.Context, st *QueryState, q answer.Question, failed failure.Failure) (*answer.Answer, bool) {
	if !r.Settings.StaleOverBogus || st.validation == nil || !failed.IsBogus() || failed.IsOutage() {
		return nil, false
	}
	now := r.Settings.Now()
	v := r.routes.ViewOf(now, q)
	a, ok := expiredAsKept(v, now, st.Trust, q)
	if !ok || a.Status != dnssec.Secure || v.Validator == nil {
		return nil, false
	}
	verdict := r.judgeAgain(ctx, st, v, a)
	if verdict == nil || verdict.Status != dnssec.Secure {
		return nil, false
	}
	a.TTL = min(a.TTL, verdict.TTL)
	a.CapTTLs(verdict)
	a.OverBogus = true
	code := uint16(dns.ExtendedErrorCodeStaleAnswer)
	if a.Rcode == dns.RcodeNameError {
		code = dns.ExtendedErrorCodeStaleNXDOMAINAnswer
	}
	a.Extended = append(a.Extended, failure.ExtendedError{Code: code, Text: "the new data is bogus"}, failed.Extended())
	st.TellFound(a)
	return a, true
}

// judgeAgain judges an expired answer as if it came now, by the keys and delegations that were
// proven last, each of which is judged again from the trust anchor down, at the time of
// signatures. Nothing is asked for: where a link is not known any more the verdict is nil.
func (r *Iterator) judgeAgain(ctx context.Context, st *QueryState, v *routes.View, a *answer.Answer) *dnssec.Verdict {
	now := r.Settings.Now()
	evidence := v.Validator.Evidence(now, r.Settings.SignatureTime(), st.Budget.Work())
	evidence.Remember(r.upstream.KeyCache.Signatures())
	evidence.StopWhen(ctx.Err)
	keys := r.upstream.KeyCacheNow()
	longest := r.Settings.Cache.Options().KeepStale
	keys.LoadExpired(now, a.Q.Name, longest, evidence)
	for _, step := range a.Aliases {
		keys.LoadExpired(now, step.To, longest, evidence)
	}
	verdict, needs, err := evidence.Validate(a.Response(""))
	if err != nil || len(needs) > 0 {
		return nil
	}
	return verdict
}

// staleReader reads, at one moment, what has expired (RFC 8767).
type staleReader struct {
	cache *cache.View
	quiet *cache.View // the same, to look for what is not returned, and so must not be counted
	now   time.Time
	trust cache.Trust
}

// read is the order in which the cache answers with what has expired: as View.Find, but that
// a denial or DNAME may have taken the place of an RRset made from a wildcard.
func (c *staleReader) read(q answer.Question) (*answer.Answer, bool) {
	item, own := c.set(q, q.Type)
	if own && !answer.FromWildcard(&item.Set) {
		return setAnswer(q, &item), true
	}
	if !own && !answer.IsAliasType(q.Type) {
		if item, own = c.set(q, dns.TypeCNAME); own && !answer.FromWildcard(&item.Set) {
			return aliasAnswer(q, item)
		}
	}
	if a, ok := c.chain(q); ok {
		return a, true
	}
	if n, ok := c.cache.GetStaleNegative(c.now, q.Name, q.Type, c.trust); ok {
		return negativeAnswer(q, n), true
	}
	return c.dname(q)
}

// set looks for an RRset of the name, which counts as a hit only if it is an answer.
func (c *staleReader) set(q answer.Question, rrtype uint16) (cache.Item, bool) {
	item, ok := c.quiet.GetStale(c.now, q.Name, rrtype, c.trust, cache.RankNonAuthoritative)
	if !ok || answer.FromWildcard(&item.Set) {
		return item, ok
	}
	return c.cache.GetStale(c.now, q.Name, rrtype, c.trust, cache.RankNonAuthoritative)
}

// chain looks for an answer, or aliases, that were kept whole for this very name. An RRset
// made from a wildcard is returned from there only, with its proof: without, it could be the
// replay of another name's (CVE-2026-46582).
func (c *staleReader) chain(q answer.Question) (*answer.Answer, bool) {
	kept, ok := c.cache.GetStaleChain(c.now, q.Name, q.Type, c.trust)
	if !ok && !answer.IsAliasType(q.Type) {
		kept, ok = c.cache.GetStaleChain(c.now, q.Name, dns.TypeCNAME, c.trust)
	}
	if !ok {
		return nil, false
	}
	return wholeAnswer(q, kept)
}

// dname looks for a DNAME above the name.
func (c *staleReader) dname(q answer.Question) (*answer.Answer, bool) {
	for above := q.Name.Parent(); !above.IsRoot(); above = above.Parent() {
		if item, ok := c.cache.GetStale(c.now, above, dns.TypeDNAME, c.trust, cache.RankNonAuthoritative); ok {
			return aliasAnswer(q, item)
		}
	}
	return nil, false
}

// setAnswer makes an answer of an RRset that was kept. It is one piece of memory: this is
// what most questions get.
func setAnswer(q answer.Question, item *cache.Item) *answer.Answer {
	whole := &struct {
		answer.Answer
		item cache.Item
		sets [1]*dnssec.RRset
	}{item: *item}
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

// wholeDenial makes an answer of a denial that was kept as it came, for some seconds.
func wholeDenial(q answer.Question, kept *cache.Chain) *answer.Answer {
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
	return a
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

// synthesisedAnswer makes an answer of what earlier denials and wildcard answers prove about
// the zone (RFC 8198).
func synthesisedAnswer(q answer.Question, s *cache.Synthesis) (*answer.Answer, bool) {
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
