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

	zone      dnsname.Name       // that was asked; "" out of the cache
	signer    dnsname.Name       // the zone that signed it; "" unless Secure
	referrals []*dnssec.Response // on the way there
	sources   []netip.AddrPort   // servers that had a say in it
	lessons   []*lesson          // for the second level
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
	r.keep(w, f, rankOf(m))
	if m.kind != recursive {
		w.answered(f)
	}
	return f, nil
}

// judge makes a finding of a response and validates it.
func (r *Resolver) judge(ctx context.Context, w *walk, asked question, m *reply) (*finding, error) {
	f := &finding{
		q: asked, kind: m.kind,
		sets: m.Answer, aliases: r.within(w.rl, m.Aliases), soa: m.SOA, denial: m.Denial,
		zone: w.cut.Zone, referrals: w.referrals, sources: w.sources, lessons: w.lessons,
	}
	if w.rl.forwards() {
		f.zone = "" // a forwarder answers for whatever zone it is
	}
	if f.kind == recursive {
		f.kind = kindOfRecursive(m.Reply)
	}
	f.reconcile()
	f.ttl = f.lowestTTL()
	if w.t.proof == nil {
		return f, nil
	}
	verdict, response, err := w.t.proof.validate(ctx, f)
	if err != nil {
		return nil, err
	}
	w.t.proof.tell(verdict, f)
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
	case answer, noData:
	case alias:
		if f.aliases[len(f.aliases)-1].TooLong {
			f.rcode = dns.RcodeYXDomain // RFC 6672 §2.2
		}
	case nameError:
		f.rcode = dns.RcodeNameError
	case referral, lame, unusable, recursive: // no finding is one of these
	}
	if f.isPositive() {
		f.soa = nil
	}
}

// isPositive reports whether the finding has records of the name searched.
func (f *finding) isPositive() bool { return f.kind == answer || f.kind == alias }

// isExpanded reports whether a part of the finding was made from a wildcard, so that a proof
// goes with it.
func (f *finding) isExpanded() bool {
	return slices.ContainsFunc(f.sets, fromWildcard) ||
		slices.ContainsFunc(f.aliases, func(a scrub.Alias) bool { return fromWildcard(a.Set) })
}

// restsOnProof reports whether only the proof beside it makes an empty reply a denial: who
// neither sets AA nor gives an SOA has not said that the zone is its own.
func (m *reply) restsOnProof() bool {
	return m.kind == noData && !m.AA && !m.RA && m.SOA == nil && len(m.NS) == 0
}

// within leaves those steps of an alias chain, from its start, that the realm has a say
// on: the server of a zone does not know where names below it are searched that have a
// route, and a forwarder not those that we answer here.
func (r *Resolver) within(rl *realm, steps []scrub.Alias) []scrub.Alias {
	now, g := r.config.Now(), r.current()
	for i, step := range steps {
		if i == 0 {
			continue // it was asked for
		}
		q := question{step.From, dns.TypeCNAME}
		if g.realmOf(now, q).id != rl.id {
			return steps[:i]
		}
		if _, special := r.local(cache.Checked, q, false); special {
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
	shorter := *s
	shorter.TTL = v.Sets[i].TTL
	return &shorter
}

// accept takes over what validation found.
func (f *finding) accept(v *dnssec.Verdict) {
	f.status, f.ttl, f.extended = v.Status, min(f.ttl, v.TTL), extendedReason(v.Reason)
	if v.Denial != nil && v.Denial.NameError && f.kind == noData {
		f.kind, f.rcode = nameError, dns.RcodeNameError // RFC 9824 §5
	}
	f.compact = v.Denial != nil && v.Denial.Compact
	if v.Status != dnssec.Secure {
		return
	}
	f.soa, f.denial, f.signer = nil, nil, v.Zone
	for i := range v.Sets {
		switch s := v.Sets[i].Set; s.Type {
		case dns.TypeSOA:
			if f.kind == noData || f.kind == nameError {
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
		return answer
	case len(m.Aliases) > 0:
		return alias
	case m.Rcode == dns.RcodeNameError:
		return nameError
	}
	return noData
}

// rankOf is what the data of a response is worth (RFC 2181 §5.4.1).
func rankOf(m *reply) cache.Rank {
	if m.AA {
		return cache.RankAnswer
	}
	return cache.RankNonAuthoritative
}

// lowestTTL is how long the parts of the finding may be kept together.
func (f *finding) lowestTTL() uint32 {
	lowest := uint32(maxTTL)
	for _, s := range f.sets {
		lowest = min(lowest, s.TTL)
	}
	for _, a := range f.aliases {
		lowest = min(lowest, a.Set.TTL)
	}
	if f.kind == noData || f.kind == nameError {
		lowest = min(lowest, negativeTTL(f.soa))
	}
	return lowest
}

// ttl is how long what a response says may be kept.
func (m *reply) ttl() uint32 {
	f := finding{kind: m.kind, sets: m.Answer, aliases: m.Aliases, soa: m.SOA}
	return f.lowestTTL()
}

// keep puts what was found into the cache, and notes by which of its limits a part stays out.
func (r *Resolver) keep(w *walk, f *finding, rank cache.Rank) {
	now := r.config.Now()
	meta := cache.Meta{Rank: rank, Status: f.status, Trust: w.t.trust, NotAfter: w.cut.expires, Extended: f.extended.Code}
	if len(f.denial) > 0 && f.isPositive() {
		w.rl.view.PutDenial(now, f.signer, f.denial, meta)
		if !f.isExpanded() {
			f.denial = nil // of other names, and no part of what is answered out of the cache
		}
	}
	if f.q.rrtype != dns.TypeANY {
		for _, s := range f.sets {
			f.note(w.rl.view.Store(now, s, meta))
		}
	}
	for _, a := range f.aliases {
		f.note(w.rl.view.Store(now, a.Set, meta))
	}
	if f.kind == noData || f.kind == nameError {
		w.rl.view.PutNegative(now, cache.Negative{
			// A compact denial says nothing of the names below: as NODATA it is kept
			// for the name only.
			Name: f.q.name, Type: f.q.rrtype, NameError: f.kind == nameError && !f.compact,
			SOA: f.soa, Proof: f.denial, Status: f.status, Zone: zoneOfDenial(w, f),
		}, meta)
	}
	w.rl.keepExpanded(now, f, meta)
	r.share(w, f)
}

// note takes what came of keeping a part. What there is no time to keep, or is there
// already in a better form, is not worth a word.
func (f *finding) note(err error) {
	var limit *cache.LimitError
	if errors.As(err, &limit) {
		f.notKept = limit
	}
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
func (rl *realm) keepExpanded(now time.Time, f *finding, meta cache.Meta) {
	var set *dnssec.RRset
	switch {
	case len(f.denial) == 0:
	case f.kind == answer && len(f.sets) == 1:
		set = f.sets[0]
	case f.kind == alias && len(f.aliases) == 1:
		set = f.aliases[0].Set
	}
	if set != nil && fromWildcard(set) {
		rl.view.PutChain(now, cache.Chain{
			Name: set.Owner, Type: set.Type, Answer: []*dnssec.RRset{set}, Authority: f.denial, Status: f.status,
		}, meta)
	}
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
