package resolver

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/wire"
)

// finding is what is known of one name and type: records, aliases that lead on, or a
// denial. It is not changed once made.
type finding struct {
	q         question
	kind      responseKind // answer, alias, noData or nameError
	rcode     int
	sets      []*dnssec.RRset
	aliases   []scrub.Alias
	soa       *dnssec.RRset
	denial    []*dnssec.RRset
	status    dnssec.Status
	ttl       uint32
	compact   bool // the denial is about this very name only (RFC 9824)
	fromCache bool
	local     bool          // ours to say: no server had a part in it
	due       bool          // in use and about to expire: worth being fetched again
	stale     bool          // it has expired (RFC 8767)
	extended  ExtendedError // why it is not secure, where there is more to say
	notKept   error         // a *cache.LimitError: why the cache did not take it
	unplaced  bool          // the cache has no room for it where it would be: it is kept briefly
	alone     bool          // it answers for this name only, whatever it says of others

	zone      dnsname.Name       // that was asked; "" out of the cache
	signer    dnsname.Name       // the zone that signed it; "" unless Secure
	referrals []*dnssec.Response // on the way there
	sources   []netip.AddrPort   // servers that had a say in it
	writes    []*secondWrite     // for the second level
}

// maxTTL is how long anything is kept or said to be good for (RFC 8767 §4; Unbound,
// Knot and PowerDNS: one day).
const maxTTL = 86400

// maxNegativeTTL is how long a denial is kept (RFC 2308 §5: one to three hours).
const maxNegativeTTL = 3600

// finish makes a finding of the response to the full question, validates it, and keeps
// what it teaches.
func (r *Resolver) finish(ctx context.Context, w *walk, asked question, m *reply) (*finding, error) {
	f, err := r.judge(ctx, w, asked, m)
	if err != nil {
		return nil, err
	}
	r.keep(w, f, m)
	if m.kind != kindRecursive {
		w.answered(f)
	}
	w.learnApexNS(m, f)
	return f, nil
}

// judge makes a finding of a response and validates it.
func (r *Resolver) judge(ctx context.Context, w *walk, asked question, m *reply) (*finding, error) {
	f := &finding{
		q: asked, kind: m.kind,
		sets: m.Answer, aliases: r.within(w.view, m.Aliases), soa: m.SOA, denial: m.Denial,
		zone: w.cut.Zone, referrals: w.referrals, sources: w.sources, writes: w.writes,
	}
	if w.view.forwards() {
		f.zone = "" // a forwarder answers for whatever zone it is
	}
	if f.kind == kindRecursive {
		f.kind = kindOfRecursive(m.Reply)
	}
	f.reconcile()
	f.ttl = maxTTL
	if w.st.proof == nil {
		return f, nil
	}
	verdict, response, err := w.st.proof.validate(ctx, f)
	if err != nil {
		return nil, err
	}
	w.st.proof.tell(verdict, f)
	if err := verdict.Err(); err != nil {
		return nil, &bogusError{
			zone: w.cut.Zone, server: m.server.addr, reason: verdict.Reason, err: err, verdict: verdict, response: response,
		}
	}
	f.accept(verdict)
	f.bound(verdict)
	if m.restsOnProof() && f.status != dnssec.Secure && verdict.Reason.Code != dnssec.ReasonOptOut {
		return nil, &zoneError{
			zone: w.cut.Zone, servers: []netip.AddrPort{m.server.addr}, responded: true,
			err: fmt.Errorf("%w: %w", ErrNoReachableServer, errLame),
		}
	}
	return f, nil
}

// reconcile gives the finding the response code that its records have, whatever the reply's
// was: of the two only records are signed and kept, so that whoever is answered out of the
// cache would be told something else than who asked first. An RRset at a name shows that the
// name is there, and what an alias leads to is asked for anyway (RFC 6604 §3). The SOA is the
// denial's, and belongs to no answer (RFC 2308 §2).
func (f *finding) reconcile() {
	switch f.kind {
	case kindAnswer, kindNoData:
	case kindAlias:
		if f.aliases[len(f.aliases)-1].TooLong {
			f.rcode = dns.RcodeYXDomain // RFC 6672 §2.2
		}
	case kindNameError:
		f.rcode = dns.RcodeNameError
	case kindReferral, kindLame, kindUnusable, kindRecursive: // no finding is one of these
	}
	if f.isPositive() {
		f.soa = nil
	}
}

// isPositive reports whether the finding has records of the name searched.
func (f *finding) isPositive() bool { return f.kind == kindAnswer || f.kind == kindAlias }

// isExpanded reports whether a part of the finding was made from a wildcard, so that a proof
// goes with it.
func (f *finding) isExpanded() bool {
	return slices.ContainsFunc(f.sets, fromWildcard) ||
		slices.ContainsFunc(f.aliases, func(a scrub.Alias) bool { return fromWildcard(a.Set) })
}

// restsOnProof reports whether only the proof beside it makes an empty reply a denial: who
// neither sets AA nor gives an SOA has not said that the zone is its own.
func (m *reply) restsOnProof() bool {
	return m.kind == kindNoData && !m.AA && !m.RA && m.SOA == nil && len(m.NS) == 0
}

// within leaves those steps of an alias chain, from its start, that the view has a say
// on: the server of a zone does not know where names below it are searched that have a
// route, and a forwarder not those that we answer here.
func (r *Resolver) within(v *view, steps []scrub.Alias) []scrub.Alias {
	now, rt := r.config.Now(), r.current()
	for i, step := range steps {
		if i == 0 {
			continue // it was asked for
		}
		q := question{step.From, dns.TypeCNAME}
		if rt.viewOf(now, q).id != v.id {
			return steps[:i]
		}
		if _, special := r.specialUse(cache.Checked, q, false); special {
			return steps[:i]
		}
	}
	return steps
}

// bound shortens the TTLs of the records to what their signatures allow (RFC 4035
// §5.3.3): those of a denial too, which is kept by the TTLs of its parts, and denies other
// names by them (RFC 8198 §5.4).
func (f *finding) bound(v *dnssec.Verdict) {
	f.sets, f.denial = boundSets(f.sets, v), boundSets(f.denial, v)
	f.aliases = slices.Clone(f.aliases)
	for i, a := range f.aliases {
		f.aliases[i].Set = boundSet(a.Set, v)
	}
	if f.soa != nil {
		f.soa = boundSet(f.soa, v)
	}
}

func boundSets(sets []*dnssec.RRset, v *dnssec.Verdict) []*dnssec.RRset {
	bounded := slices.Clone(sets)
	for i, s := range sets {
		bounded[i] = boundSet(s, v)
	}
	return bounded
}

// boundSet copies the set when its TTL changes: it is shared with whoever else waited for
// the response.
func boundSet(s *dnssec.RRset, v *dnssec.Verdict) *dnssec.RRset {
	i := slices.IndexFunc(v.Sets, func(sv dnssec.SetVerdict) bool { return sv.Set == s })
	if i < 0 || v.Sets[i].TTL >= s.TTL {
		return s
	}
	return withTTL(s, v.Sets[i].TTL)
}

// withTTL copies the set with another TTL.
func withTTL(s *dnssec.RRset, ttl uint32) *dnssec.RRset {
	other := *s
	other.TTL = ttl
	return &other
}

// accept takes over what validation found.
func (f *finding) accept(v *dnssec.Verdict) {
	f.status, f.ttl, f.extended = v.Status, min(f.ttl, v.TTL), extendedReason(v.Reason)
	if v.Denial != nil && v.Denial.NameError && f.kind == kindNoData {
		f.kind, f.rcode = kindNameError, dns.RcodeNameError // RFC 9824 §5
	}
	f.compact = v.Denial != nil && v.Denial.Compact
	if v.Status != dnssec.Secure {
		return
	}
	f.soa, f.denial, f.signer = nil, nil, v.Zone
	for i := range v.Sets {
		switch s := v.Sets[i].Set; s.Type {
		case dns.TypeSOA:
			if f.kind == kindNoData || f.kind == kindNameError {
				f.soa = s
			}
		case dns.TypeNSEC, dns.TypeNSEC3:
			if f.q.rrtype != s.Type || f.q.name != s.Owner {
				f.denial = append(f.denial, s)
			}
		}
	}
}

// nothingBelow makes of the denial of an ancestor one of the name searched (RFC 8020).
func (f *finding) nothingBelow(q question) *finding {
	below := *f
	below.q = q
	return &below
}

// kindOfRecursive tells what a response would be if it came from an authoritative
// server.
func kindOfRecursive(m *scrub.Reply) responseKind {
	switch {
	case len(m.Answer) > 0:
		return kindAnswer
	case len(m.Aliases) > 0:
		return kindAlias
	case m.Rcode == dns.RcodeNameError:
		return kindNameError
	}
	return kindNoData
}

// rankOf is what the data of a response is worth (RFC 2181 §5.4.1).
func rankOf(m *reply) cache.Rank {
	if m.AA {
		return cache.RankAnswer
	}
	return cache.RankNonAuthoritative
}

// lease bounds the TTLs to how long the cache keeps the finding, so that who asks first is
// told no more than who comes after: what the delegation's lease, or another bound, ends here
// must not live on in the caches of others (a ghost domain).
func (f *finding) lease(now time.Time, view *cache.View, m cache.Meta, n cache.Negative) {
	if !f.isPositive() {
		f.ttl = view.NegativeTTL(now, n, m)
		return
	}
	longest := uint32(maxTTL)
	if f.isExpanded() || f.alone { // its parts are kept together
		longest = view.ChainTTL(now, f.chain(), m)
	}
	f.shorten(func(s *dnssec.RRset) uint32 { return min(longest, view.TTL(now, s, m)) })
}

// shorten bounds the TTLs of the records to what longest says. Sets are copied where they
// change: they are shared with whoever else waited for the reply.
func (f *finding) shorten(longest func(*dnssec.RRset) uint32) {
	for i, s := range f.sets {
		if ttl := longest(s); ttl < s.TTL {
			f.sets = slices.Clone(f.sets)
			f.sets[i] = withTTL(s, ttl)
		}
		f.ttl = min(f.ttl, f.sets[i].TTL)
	}
	for i, a := range f.aliases {
		if ttl := longest(a.Set); ttl < a.Set.TTL {
			f.aliases = slices.Clone(f.aliases)
			f.aliases[i].Set = withTTL(a.Set, ttl)
		}
		f.ttl = min(f.ttl, f.aliases[i].Set.TTL)
	}
}

// chain is a finding as it is kept whole, what follows from an SOA apart.
func (f *finding) chain() cache.Chain {
	c := cache.Chain{Name: f.q.name, Type: f.q.rrtype, Answer: f.sets, Authority: f.denial, Status: f.status}
	if f.kind == kindAlias {
		c.Type, c.Answer = dns.TypeCNAME, make([]*dnssec.RRset, len(f.aliases))
		for i, a := range f.aliases {
			c.Answer[i] = a.Set
		}
	}
	return c
}

// negative is a denial as it is kept. A compact one says nothing of the names below: as
// NODATA it is kept for the name only.
func (f *finding) negative(w *walk) cache.Negative {
	return cache.Negative{
		Name: f.q.name, Type: f.q.rrtype, NameError: f.kind == kindNameError && !f.compact,
		SOA: f.soa, Proof: f.denial, Status: f.status, Zone: zoneOfDenial(w, f),
	}
}

// keep puts what was found into the cache, notes by which of its limits a part stays out, and
// bounds the TTLs to how long it is kept.
func (r *Resolver) keep(w *walk, f *finding, m *reply) {
	now, view := r.config.Now(), w.view.cache
	meta := cache.Meta{Rank: rankOf(m), Status: f.status, Trust: w.st.trust, NotAfter: w.cut.expires, Extended: f.extended.Code}
	denial := f.negative(w)
	f.alone = f.concernsOthers() && f.status != dnssec.Secure && !m.vouched
	f.lease(now, view, meta, denial)
	if len(f.denial) > 0 && f.isPositive() {
		view.PutDenial(now, f.signer, f.denial, meta)
	}
	switch {
	case !f.isPositive():
		f.unplaced = !view.PutNegative(now, denial, meta)
	case f.alone:
		f.unplaced = !view.PutChain(now, f.chain(), meta)
	default:
		f.keepSets(now, view, meta)
		f.keepExpanded(now, view, meta)
	}
	if f.isBrief() {
		f.keepBriefly(now, view, meta)
	}
	r.writeBack(w, f)
}

// concernsOthers reports whether the finding would answer for names that were not asked for:
// those below a DNAME, and those that a chain of aliases leads through.
//
// One reply over UDP that is not signed may be forged (RFC 5452), and a forger has a try for
// each name that he can think of. If a DNAME above the name, or the second alias of its chain,
// answered others out of the cache, each random name would be a try at all of the zone.
func (f *finding) concernsOthers() bool {
	if f.kind == kindAnswer {
		return f.q.rrtype == dns.TypeDNAME
	}
	return f.kind == kindAlias && (len(f.aliases) > 1 || f.aliases[0].IsDNAME())
}

// keepSets keeps each RRset for whoever it concerns.
func (f *finding) keepSets(now time.Time, view *cache.View, meta cache.Meta) {
	if f.q.rrtype != dns.TypeANY {
		for _, s := range f.sets {
			f.note(view.Put(now, s, meta))
		}
	}
	for _, a := range f.aliases {
		f.note(view.Put(now, a.Set, meta))
	}
}

// note takes what came of keeping a part. What there is no time to keep, or is there
// already in a better form, is not worth a word.
func (f *finding) note(err error) {
	var limit *cache.LimitError
	if errors.As(err, &limit) {
		f.notKept = limit
		f.unplaced = f.unplaced || limit.Option == "MaxEntry"
	}
}

// isBrief reports whether the finding is kept briefly, since the cache has no other place for
// it: what one server answers to ANY is no whole answer (RFC 8482 §4.1), but that the name is
// not there is one, and what is large would push out much else.
func (f *finding) isBrief() bool {
	return f.unplaced || f.q.rrtype == dns.TypeANY && (f.kind != kindNameError || f.compact)
}

// keepBriefly keeps the finding as it is, and bounds its TTLs to the time.
func (f *finding) keepBriefly(now time.Time, view *cache.View, meta cache.Meta) {
	f.ttl = min(f.ttl, cache.MaxBriefTTL)
	f.shorten(func(*dnssec.RRset) uint32 { return cache.MaxBriefTTL })
	meta.NotAfter = earliest(meta.NotAfter, now.Add(time.Duration(f.ttl)*time.Second))
	c := f.chain()
	c.Type, c.Rcode = f.q.rrtype, f.rcode
	if f.soa != nil {
		c.Authority = append([]*dnssec.RRset{f.soa}, c.Authority...)
	}
	view.PutBrief(now, c, meta)
}

// zoneOfDenial names the zone that denies where no SOA does: "" where one does.
func zoneOfDenial(w *walk, f *finding) dnsname.Name {
	if f.soa != nil {
		return ""
	}
	return w.cut.Zone
}

// keepExpanded keeps an answer made from a wildcard together with the proof that nothing
// is closer, without which it is of no use: with NSEC3 that proof alone does not make an
// answer for another name, nor for this one again (RFC 5155 §7.2.6).
func (f *finding) keepExpanded(now time.Time, view *cache.View, meta cache.Meta) {
	var set *dnssec.RRset
	switch {
	case len(f.denial) == 0:
	case f.kind == kindAnswer && len(f.sets) == 1:
		set = f.sets[0]
	case f.kind == kindAlias && len(f.aliases) == 1:
		set = f.aliases[0].Set
	}
	if set == nil || !fromWildcard(set) {
		return
	}
	kept := view.PutChain(now, cache.Chain{
		Name: set.Owner, Type: set.Type, Answer: []*dnssec.RRset{set}, Authority: f.denial, Status: f.status,
	}, meta)
	f.unplaced = f.unplaced || !kept
}

// negativeTTL is how long a denial may be kept: by the SOA that came with it (RFC
// 2308 §5), not at all without one.
func negativeTTL(soa *dnssec.RRset) uint32 {
	if soa == nil {
		return 0
	}
	for rdata := range soa.Records.All() {
		if s, ok := wire.ParseSOA(rdata); ok {
			return min(soa.TTL, s.Minimum, maxNegativeTTL)
		}
	}
	return 0
}

// targetOf is the name an alias chain has reached.
func targetOf(aliases []scrub.Alias) dnsname.Name { return aliases[len(aliases)-1].To }
