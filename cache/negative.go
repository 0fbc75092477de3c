package cache

import (
	"encoding/binary"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// MaxBareTTL is how long, in seconds, NODATA is kept that came without an SOA to say so.
// RFC 2308 §5 advises against keeping it, lest two servers that ask each other
// keep it alive between them; authoritative servers ask nobody. A few seconds (Knot
// Resolver: 5) spare a broken server, and the clients that wait for it, the same query again.
const MaxBareTTL = 5

// maxProof is how many RRsets may prove a denial. NSEC3 needs three; the limits on
// what is validated are tighter than this one, which is what an entry can count.
const maxProof = 254

// Negative is an answer that there is no such name, or no such type at a name. RFC
// 2308.
type Negative struct {
	// Name and Type are denied. For a name error the type is the one of the question,
	// and no part of the denial.
	Name dnssec.Name
	Type uint16
	// NameError: the name does not exist (NXDOMAIN). Otherwise the type does not
	// (NODATA).
	NameError bool
	// SOA is the start of authority that came with the denial. Nil: none came, which
	// PutNegative takes for NODATA only.
	SOA *dnssec.RRset
	// Proof holds the NSEC or NSEC3 RRsets of a signed zone.
	Proof  []*dnssec.RRset
	Status dnssec.Status
	// TTL is what is left in seconds. It is ignored when storing: RFC 2308 §5 takes
	// the lower of the SOA's TTL and its last field, and MaxBareTTL stands in for both
	// where no SOA came.
	TTL uint32
	// Zone is the zone that denies; empty when storing means the SOA's owner.
	Zone dnssec.Name
	// Cut: the denial is of an ancestor and so denies Name too (RFC 8020).
	Cut bool
	// Synthesised: it was made from denials of other names (RFC 8198).
	Synthesised bool
	// Prefetch is as Item.Prefetch, for a denial of the name itself.
	Prefetch bool
	// Stale: it has expired, and came from GetStaleNegative.
	Stale bool
	// Extended is as Meta.Extended, which counts when storing.
	Extended uint16
}

// setTTL sets the TTL of the denial and all its parts.
func (n *Negative) setTTL(ttl uint32) {
	n.TTL = ttl
	if n.SOA != nil {
		n.SOA.TTL = ttl
	}
	for _, set := range n.Proof {
		set.TTL = ttl
	}
}

// GetNegative looks for a denial of name and type that is alive at now: that there
// is no such type, no such name, or no such ancestor of the name.
func (v *View) GetNegative(now time.Time, name dnssec.Name, rrtype uint16, trust Trust) (Negative, bool) {
	i, p := v.cache.at(now), path{view: v, name: name}
	if e, hot, ok := p.denied(i, rrtype, trust); ok {
		return e.denial(i, name, rrtype, hot), true
	}
	if e, ok := p.nameErrorAbove(i); ok {
		return e.denialAbove(i, name, rrtype), true
	}
	return Negative{}, false
}

// denied looks for a denial of the name itself.
func (p *path) denied(i instant, rrtype uint16, trust Trust) (e entry, hot, ok bool) {
	s := p.at(0, p.name)
	if !s.may(markNoData) && !s.may(markNameError) {
		return "", false, false
	}
	for t := Checked; t <= trust; t++ {
		for _, k := range denialKeys(p.name, rrtype, t) {
			if e, hot, ok := p.view.entryAt(s, k, true); ok && e.span().left(i) > 0 {
				p.view.count(k, hitNegative)
				return e, hot, true
			}
		}
	}
	return "", false, false
}

// denial reads a denial that was looked for.
func (e entry) denial(i instant, name dnsname.Name, rrtype uint16, hot bool) Negative {
	n := e.negative(i, name, rrtype)
	n.Prefetch = hot && dueForPrefetch(e.span(), i)
	return n
}

// denialAbove reads that a name above does not exist.
func (e entry) denialAbove(i instant, name dnsname.Name, rrtype uint16) Negative {
	n := e.negative(i, name, rrtype)
	n.Cut = true
	return n
}

// denialKeys returns where denials of name and type are.
func denialKeys(name dnsname.Name, rrtype uint16, trust Trust) [2]key {
	return [...]key{
		{name: name, rrtype: rrtype, kind: KindNoData, trust: trust},
		{name: name, kind: KindNameError, trust: trust},
	}
}

// nameErrorAbove looks for a name error of an ancestor. RFC 8020 §2: nothing exists
// below a name that does not exist.
//
// Only Checked denials count, and only Secure ones: many servers say of an empty
// non-terminal that it does not exist, which RFC 8020 §4 knows of, and somebody who can forge
// one reply could hide all names below. A delegation at or below the denied name is
// evidence that the name does exist. For a strict view unproven ones count
// too, but for their own zone only: the deepest delegation known towards the name must
// be no deeper than the zone that denied.
func (p *path) nameErrorAbove(i instant) (entry, bool) {
	v, apex := p.view, dnsname.Root
	if cut := p.deepest(i, 0, p.name); cut != nil {
		apex = cut.cut.Zone
	}
	steps := 0
	for above := p.name.Parent(); above.IsBelow(apex); above = above.Parent() {
		steps++
		k := key{name: above, kind: KindNameError, trust: Checked}
		e, _, ok := v.entryAt(p.at(steps, above), k, true)
		if !ok || e.span().left(i) <= 0 || !v.strict && !e.proven() {
			continue
		}
		if zone, _ := cutPrefixed(e.body()); e.proven() || dnsname.Name(zone).IsAtOrBelow(apex) {
			v.count(k, hitNegative)
			return e, true
		}
	}
	return "", false
}

// proven reports whether a chain of signatures proves the entry.
func (e entry) proven() bool { return e.standing().status == dnssec.Secure }

// PutNegative keeps a denial and reports whether it did. It refuses one without an
// SOA of a zone that the name is in, since only the SOA says how long a denial lives
// (RFC 2308 §5), except NODATA that claims no proof (see MaxBareTTL). It also refuses one
// whose TTL is 0, one that is too large, one that is both Bogus and Checked, and one that
// would replace live data of better standing. NXDOMAIN is kept
// for the name, NODATA for name and type. A zero m.Rank means RankAnswer: RFC 2181
// ranks no denials, and an authoritative one is the answer. n.Status counts, not
// m.Status.
func (v *View) PutNegative(now time.Time, n Negative, m Meta) bool {
	m.Status = n.Status
	if m.Rank == RankGlue {
		m.Rank = RankAnswer
	}
	n.zoned()
	k := key{name: n.Name, view: v.id, rrtype: n.Type, kind: KindNoData, trust: m.Trust}
	if n.NameError {
		k.kind = KindNameError
	}
	d := v.negativeLife(now, &n, m)
	if d <= 0 || n.size() > v.cache.options.MaxEntry || !m.plausible() || isMeta(n.Type) && !n.NameError {
		return v.refuse(k)
	}
	i, s := v.cache.at(now), v.spot(n.Name)
	if !v.displaceOthers(i, s, k, m.standing()) {
		return v.refuse(k)
	}
	v.forget(s, KindFailure, k)
	if n.NameError {
		k.rrtype = 0
	}
	b := appendHead(make([]byte, 0, entryHeader+n.size()+64), head{k, m.standing(), spanOf(i, d), m.note()})
	if !v.place(i, s, k, entry(n.appendBody(b))) {
		return v.refuse(k)
	}
	if n.Status == dnssec.Secure && m.Trust == Checked {
		v.learnDenial(i, &n, d)
	}
	return true
}

// zoned fills in whose denial it is.
func (n *Negative) zoned() {
	if n.Zone == "" && n.SOA != nil {
		n.Zone = n.SOA.Owner
	}
}

// NegativeTTL returns for how many seconds a denial is kept, if it is, as View.TTL does of an
// RRset; 0 for one without an SOA that PutNegative refuses.
func (v *View) NegativeTTL(now time.Time, n Negative, m Meta) uint32 {
	n.zoned()
	return ttlOf(v.negativeLife(now, &n, m))
}

func (v *View) negativeLife(now time.Time, n *Negative, m Meta) time.Duration {
	return lifetime(now, n.lives(), v.cache.options.MaxNegativeTTL, m.NotAfter)
}

// lives returns the TTL in seconds, the lowest of all that the denial consists of; 0
// when it is not one that may be kept.
func (n *Negative) lives() uint32 {
	if n.isBare() {
		return MaxBareTTL
	}
	if len(n.Proof) > maxProof || n.SOA == nil || n.SOA.Type != dns.TypeSOA || n.SOA.Class != dns.ClassINET {
		return 0
	}
	if !n.Name.IsAtOrBelow(n.SOA.Owner) || !n.SOA.Owner.IsAtOrBelow(n.Zone) {
		return 0
	}
	ttl := n.SOA.TTL
	for rdata := range n.SOA.Records.All() {
		soa, ok := wire.ParseSOA(rdata)
		if !ok {
			return 0
		}
		ttl = min(ttl, soa.Minimum)
	}
	for _, set := range n.Proof {
		ttl = min(ttl, set.TTL)
	}
	return ttl
}

// isBare reports whether this is NODATA with nothing beside it (RFC 2308 §2.2, type 3).
func (n *Negative) isBare() bool {
	return n.SOA == nil && n.Zone != "" && len(n.Proof) == 0 && !n.NameError && n.Status != dnssec.Secure &&
		n.Name.IsAtOrBelow(n.Zone)
}

func (n *Negative) size() int {
	size := len(n.Name) + len(n.Zone)
	if n.SOA != nil {
		size += n.SOA.Size()
	}
	for _, set := range n.Proof {
		size += set.Size()
	}
	return size
}

// appendBody appends the zone, how many sets there are, and the sets: the SOA first,
// each with its owner, type, and lengths. Without an SOA there is none.
func (n *Negative) appendBody(b []byte) []byte {
	b = append(b, byte(len(n.Zone)))
	b = append(b, n.Zone...)
	if n.SOA == nil {
		return append(b, 0)
	}
	b = append(b, byte(len(n.Proof)+1))
	b = appendWhole(b, n.SOA)
	for _, set := range n.Proof {
		b = appendWhole(b, set)
	}
	return b
}

func appendWhole(b []byte, set *dnssec.RRset) []byte {
	b = append(b, byte(len(set.Owner)))
	b = append(b, set.Owner...)
	b = binary.BigEndian.AppendUint16(b, set.Type)
	b = binary.BigEndian.AppendUint32(b, uint32(4+len(set.Records)+len(set.Signatures)))
	return appendSet(b, set)
}

// negative reads what PutNegative wrote.
func (e entry) negative(i instant, name dnsname.Name, rrtype uint16) Negative {
	body, ttl := e.body(), e.span().seconds(i)
	zone, body := cutPrefixed(body)
	count := int(body[0])
	body = body[1:]
	sets := make([]dnssec.RRset, count)
	n := Negative{
		Name: name, Type: rrtype, NameError: e.kind() == KindNameError,
		Status: e.standing().status, TTL: ttl, Zone: dnsname.Name(zone), Extended: e.note().code(),
	}
	if count > 1 {
		n.Proof = make([]*dnssec.RRset, 0, count-1)
	}
	for at := range sets {
		body = readWhole(&sets[at], body, ttl)
		if at > 0 {
			n.Proof = append(n.Proof, &sets[at])
		}
	}
	if count > 0 {
		n.SOA = &sets[0]
	}
	return n
}

func readWhole(set *dnssec.RRset, body string, ttl uint32) string {
	owner, body := cutPrefixed(body)
	end := 6 + int(be32(body[2:]))
	*set = dnssec.RRset{Owner: dnsname.Name(owner), Type: be16(body), Class: dns.ClassINET, TTL: ttl}
	set.Records, set.Signatures = setBody(body[6:end])
	return body[end:]
}

// cutPrefixed takes a string off the front that stands behind one byte of length.
func cutPrefixed(s string) (first, rest string) {
	n := 1 + int(s[0])
	return s[1:n], s[n:]
}
