package resolver

import (
	"errors"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// maxNegativeTTL is how long a denial is kept (RFC 2308 §5: one to three hours).
const maxNegativeTTL = 3600

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

// keep puts what was found into the cache, notes by which of its limits a part stays out, and
// bounds the TTLs to how long it is kept.
func (r *iterator) keep(w *walk, f *fresh, m *reply) {
	now, view := r.settings.Now(), w.view.cache
	meta := cache.Meta{Rank: rankOf(m), Status: f.status, Trust: w.st.trust, NotAfter: w.cut.expires, Extended: codeToKeep(f.extended)}
	denial := f.negative(w)
	f.onlyForQuestion = f.concernsOthers() && f.status != dnssec.Secure && !m.vouched
	f.leaseTTLs(now, view, meta, denial)
	if len(f.denial) > 0 && f.isPositive() {
		view.PutDenial(now, f.signer, f.denial, meta)
	}
	switch {
	case !f.isPositive():
		f.notStored = !view.PutNegative(now, denial, meta)
	case f.onlyForQuestion:
		f.notStored = !view.PutChain(now, f.chain(), meta)
	default:
		f.keepSets(now, view, meta)
		f.keepExpanded(now, view, meta)
	}
	if f.isBrief() {
		f.keepBriefly(now, view, meta)
	}
	if f.notKept != nil {
		f.extended = append(f.extended, extendedError{Code: dns.ExtendedErrorCodeOther, Text: f.notKept.Error()})
	}
	r.writeBack(w, f)
}

// codeToKeep is the extended DNS error that is kept with an answer; 0 is none.
func codeToKeep(extended []extendedError) uint16 {
	if len(extended) == 0 {
		return 0
	}
	return extended[0].Code
}

// rankOf is the rank of the data of a response (RFC 2181 §5.4.1).
func rankOf(m *reply) cache.Rank {
	if m.AA {
		return cache.RankAnswer
	}
	return cache.RankNonAuthoritative
}

// concernsOthers reports whether the answer also holds for names that were not asked for:
// those below a DNAME, and those that a chain of aliases leads through.
//
// One reply over UDP that is not signed may be forged (RFC 5452), and a forger can try once
// for each name that exists or not. If a DNAME above the name, or the second alias of its
// chain, answered other names from the cache, each random name would be a try at all of the
// zone.
func (f *fresh) concernsOthers() bool {
	if f.kind == kindAnswer {
		return f.q.rrtype == dns.TypeDNAME
	}
	return f.kind == kindAlias && (len(f.aliases) > 1 || f.aliases[0].IsDNAME())
}

// leaseTTLs bounds the TTLs to how long the cache keeps the answer, so that the first
// client gets no longer ones than later clients: data whose delegation's lease, or another
// bound, ends here must not live on in the caches of others (a ghost domain).
func (f *fresh) leaseTTLs(now time.Time, view *cache.View, m cache.Meta, n cache.Negative) {
	if !f.isPositive() {
		f.ttl = view.NegativeTTL(now, n, m)
		return
	}
	longest := uint32(maxTTL)
	if f.isExpanded() || f.onlyForQuestion { // its parts are kept together
		longest = view.ChainTTL(now, f.chain(), m)
	}
	f.reduceTTLs(func(s *dnssec.RRset) uint32 { return min(longest, view.TTL(now, s, m)) })
}

// reduceTTLs bounds the TTLs of the records to what longest says. Sets are copied where
// they change: they are shared with all that wait for the reply.
func (f *fresh) reduceTTLs(longest func(*dnssec.RRset) uint32) {
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

// negative is a denial as it is kept. A compact one says nothing of the names below: as
// NODATA it is kept for the name only.
func (f *fresh) negative(w *walk) cache.Negative {
	return cache.Negative{
		Name: f.q.name, Type: f.q.rrtype, NameError: f.kind == kindNameError && !f.compact,
		SOA: f.soa, Proof: f.denial, Status: f.status, Zone: zoneOfDenial(w, f),
	}
}

// zoneOfDenial names the zone that denies where no SOA does: "" where one does.
func zoneOfDenial(w *walk, f *fresh) dnsname.Name {
	if f.soa != nil {
		return ""
	}
	return w.cut.Zone
}

// chain is an answer as it is cached whole; what follows from an SOA is kept apart.
func (f *fresh) chain() cache.Chain {
	c := cache.Chain{Name: f.q.name, Type: f.q.rrtype, Answer: f.sets, Authority: f.denial, Status: f.status}
	if f.kind == kindAlias {
		c.Type, c.Answer = dns.TypeCNAME, make([]*dnssec.RRset, len(f.aliases))
		for i, a := range f.aliases {
			c.Answer[i] = a.Set
		}
	}
	return c
}

// keepSets keeps each RRset by itself, for all questions that it answers.
func (f *fresh) keepSets(now time.Time, view *cache.View, meta cache.Meta) {
	if f.q.rrtype != dns.TypeANY {
		for _, s := range f.sets {
			f.note(view.Put(now, s, meta))
		}
	}
	for _, a := range f.aliases {
		f.note(view.Put(now, a.Set, meta))
	}
}

// keepExpanded keeps an answer made from a wildcard together with the proof that nothing
// is closer, without which it is of no use: with NSEC3 that proof alone does not make an
// answer for another name, nor for this one again (RFC 5155 §7.2.6).
func (f *fresh) keepExpanded(now time.Time, view *cache.View, meta cache.Meta) {
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
	f.notStored = f.notStored || !kept
}

// note records why a part was not cached. A part that has expired, or that the cache has in
// a better form, is not worth a word.
func (f *fresh) note(err error) {
	var limit *cache.LimitError
	if errors.As(err, &limit) {
		f.notKept = limit
		f.notStored = f.notStored || limit.Option == "MaxEntry"
	}
}

// isBrief reports whether the answer is kept briefly, since the cache does not keep it
// otherwise. What one server answers to ANY is not all there is (RFC 8482 §4.1), but that
// the name does not exist is a whole answer; and a large answer would push out much else.
func (f *fresh) isBrief() bool {
	return f.notStored || f.q.rrtype == dns.TypeANY && (f.kind != kindNameError || f.compact)
}

// keepBriefly keeps the answer as it is, and bounds its TTLs to the time.
func (f *fresh) keepBriefly(now time.Time, view *cache.View, meta cache.Meta) {
	f.ttl = min(f.ttl, cache.MaxBriefTTL)
	f.reduceTTLs(func(*dnssec.RRset) uint32 { return cache.MaxBriefTTL })
	meta.NotAfter = earliest(meta.NotAfter, now.Add(time.Duration(f.ttl)*time.Second))
	c := f.chain()
	c.Type, c.Rcode = f.q.rrtype, f.rcode
	if f.soa != nil {
		c.Authority = append([]*dnssec.RRset{f.soa}, c.Authority...)
	}
	view.PutBrief(now, c, meta)
}

// keepDS caches the validated DS RRset of a referral, which then answers questions for it: a
// referral's DS is the parent's data. It lives no longer than the lease of the parent's zone
// cut.
func (r *iterator) keepDS(now time.Time, d *dnssec.Delegation) {
	if d.Kind != dnssec.DelegationSigned || d.DS == nil {
		return
	}
	set := *d.DS
	set.TTL = min(set.TTL, d.TTL)
	v := r.routes.viewOf(now, question{d.Name, dns.TypeDS})
	meta := cache.Meta{Rank: cache.RankAuthority, Status: dnssec.Secure, Trust: cache.Checked}
	if cut, ok := v.cuts.GetCut(now, d.Name.Parent()); ok {
		meta.NotAfter = cut.Expires
	}
	v.cache.Put(now, &set, meta)
}
