package iterate

import (
	"errors"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/upstream"
)

// keep puts what was found into the cache, notes by which of its limits a part stays out, and
// bounds the TTLs to how long it is kept.
func (r *Iterator) keep(w *walk, f *fresh, m *upstream.Reply) {
	now, view := r.Settings.Now(), w.view.Cache
	meta := cache.Meta{Rank: rankOf(m), Status: f.Status, Trust: w.st.Trust, NotAfter: w.cut.Expires, Extended: codeToKeep(f.Extended)}
	denial := f.negative(w)
	f.onlyForQuestion = f.concernsOthers() && f.Status != dnssec.Secure && !m.Vouched
	f.leaseTTLs(now, view, meta, denial)
	if len(f.Denial) > 0 && f.IsPositive() {
		view.PutDenial(now, f.signer, f.Denial, meta)
	}
	switch {
	case !f.IsPositive():
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
	if f.NotKept != nil {
		f.Extended = append(f.Extended, failure.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: f.NotKept.Error()})
	}
	r.writeBack(w, f)
}

// codeToKeep is the extended DNS error that is kept with an answer; 0 is none.
func codeToKeep(extended []failure.ExtendedError) uint16 {
	if len(extended) == 0 {
		return 0
	}
	return extended[0].Code
}

// rankOf is the rank of the data of a response (RFC 2181 §5.4.1).
func rankOf(m *upstream.Reply) cache.Rank {
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
	if f.Kind == answer.KindAnswer {
		return f.Q.Type == dns.TypeDNAME
	}
	return f.Kind == answer.KindAlias && (len(f.Aliases) > 1 || f.Aliases[0].IsDNAME())
}

// leaseTTLs bounds the TTLs to how long the cache keeps the answer, so that the first
// client gets no longer ones than later clients: data whose delegation's lease, or another
// bound, ends here must not live on in the caches of others (a ghost domain).
func (f *fresh) leaseTTLs(now time.Time, view *cache.View, m cache.Meta, n cache.Negative) {
	if !f.IsPositive() {
		f.TTL = view.NegativeTTL(now, n, m)
		return
	}
	longest := uint32(answer.MaxTTL)
	if f.IsExpanded() || f.onlyForQuestion { // its parts are kept together
		longest = view.ChainTTL(now, f.chain(), m)
	}
	f.reduceTTLs(func(s *dnssec.RRset) uint32 { return min(longest, view.TTL(now, s, m)) })
}

// reduceTTLs bounds the TTLs of the records to what longest says. Sets are copied where
// they change: they are shared with all that wait for the reply.
func (f *fresh) reduceTTLs(longest func(*dnssec.RRset) uint32) {
	for i, s := range f.Sets {
		if ttl := longest(s); ttl < s.TTL {
			f.Sets = slices.Clone(f.Sets)
			f.Sets[i] = answer.WithTTL(s, ttl)
		}
		f.TTL = min(f.TTL, f.Sets[i].TTL)
	}
	for i, a := range f.Aliases {
		if ttl := longest(a.Set); ttl < a.Set.TTL {
			f.Aliases = slices.Clone(f.Aliases)
			f.Aliases[i].Set = answer.WithTTL(a.Set, ttl)
		}
		f.TTL = min(f.TTL, f.Aliases[i].Set.TTL)
	}
}

// negative is a denial as it is kept. A compact one says nothing of the names below: as
// NODATA it is kept for the name only.
func (f *fresh) negative(w *walk) cache.Negative {
	return cache.Negative{
		Name: f.Q.Name, Type: f.Q.Type, NameError: f.Kind == answer.KindNameError && !f.compact,
		SOA: f.SOA, Proof: f.Denial, Status: f.Status, Zone: zoneOfDenial(w, f),
	}
}

// zoneOfDenial names the zone that denies where no SOA does: "" where one does.
func zoneOfDenial(w *walk, f *fresh) dnsname.Name {
	if f.SOA != nil {
		return ""
	}
	return w.cut.Zone
}

// chain is an answer as it is cached whole; what follows from an SOA is kept apart.
func (f *fresh) chain() cache.Chain {
	c := cache.Chain{Name: f.Q.Name, Type: f.Q.Type, Answer: f.Sets, Authority: f.Denial, Status: f.Status}
	if f.Kind == answer.KindAlias {
		c.Type, c.Answer = dns.TypeCNAME, make([]*dnssec.RRset, len(f.Aliases))
		for i, a := range f.Aliases {
			c.Answer[i] = a.Set
		}
	}
	return c
}

// keepSets keeps each RRset by itself, for all questions that it answers.
func (f *fresh) keepSets(now time.Time, view *cache.View, meta cache.Meta) {
	if f.Q.Type != dns.TypeANY {
		for _, s := range f.Sets {
			f.note(view.Put(now, s, meta))
		}
	}
	for _, a := range f.Aliases {
		f.note(view.Put(now, a.Set, meta))
	}
}

// keepExpanded keeps an answer made from a wildcard together with the proof that nothing
// is closer, without which it is of no use: with NSEC3 that proof alone does not make an
// answer for another name, nor for this one again (RFC 5155 §7.2.6).
func (f *fresh) keepExpanded(now time.Time, view *cache.View, meta cache.Meta) {
	var set *dnssec.RRset
	switch {
	case len(f.Denial) == 0:
	case f.Kind == answer.KindAnswer && len(f.Sets) == 1:
		set = f.Sets[0]
	case f.Kind == answer.KindAlias && len(f.Aliases) == 1:
		set = f.Aliases[0].Set
	}
	if set == nil || !answer.FromWildcard(set) {
		return
	}
	kept := view.PutChain(now, cache.Chain{
		Name: set.Owner, Type: set.Type, Answer: []*dnssec.RRset{set}, Authority: f.Denial, Status: f.Status,
	}, meta)
	f.notStored = f.notStored || !kept
}

// note records why a part was not cached. A part that has expired, or that the cache has in
// a better form, is not worth a word.
func (f *fresh) note(err error) {
	if err == nil {
		return
	}
	var limit *cache.LimitError
	if errors.As(err, &limit) {
		f.NotKept = limit
		f.notStored = f.notStored || limit.Option == "MaxEntry"
	}
}

// isBrief reports whether the answer is kept briefly, since the cache does not keep it
// otherwise. What one server answers to ANY is not all there is (RFC 8482 §4.1), but that
// the name does not exist is a whole answer; and a large answer would push out much else.
func (f *fresh) isBrief() bool {
	return f.notStored || f.Q.Type == dns.TypeANY && (f.Kind != answer.KindNameError || f.compact)
}

// keepBriefly keeps the answer as it is, and bounds its TTLs to the time.
func (f *fresh) keepBriefly(now time.Time, view *cache.View, meta cache.Meta) {
	f.TTL = min(f.TTL, cache.MaxBriefTTL)
	f.reduceTTLs(func(*dnssec.RRset) uint32 { return cache.MaxBriefTTL })
	meta.NotAfter = earliest(meta.NotAfter, now.Add(time.Duration(f.TTL)*time.Second))
	c := f.chain()
	c.Type, c.Rcode = f.Q.Type, f.Rcode
	if f.SOA != nil {
		c.Authority = append([]*dnssec.RRset{f.SOA}, c.Authority...)
	}
	view.PutBrief(now, c, meta)
}

// keepDS caches the validated DS RRset of a referral, which then answers questions for it: a
// referral's DS is the parent's data. It lives no longer than the lease of the parent's zone
// cut.
func (r *Iterator) keepDS(now time.Time, rt *routes.Table, d *dnssec.Delegation) {
	if d.Kind != dnssec.DelegationSigned || d.DS == nil {
		return
	}
	set := *d.DS
	set.TTL = min(set.TTL, d.TTL)
	v := rt.ViewOf(now, answer.Question{Name: d.Name, Type: dns.TypeDS})
	meta := cache.Meta{Rank: cache.RankAuthority, Status: dnssec.Secure, Trust: cache.Checked}
	if cut, ok := v.Cuts.GetCut(now, d.Name.Parent()); ok {
		meta.NotAfter = cut.Expires
	}
	v.Cache.Put(now, &set, meta)
}
