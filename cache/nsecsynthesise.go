package cache

import (
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// Synthesis is an answer or denial made from denials of other names. RFC 8198.
type Synthesis struct {
	// Denied: there is no such name or type; Negative says so. Otherwise Answer is the
	// expansion of a wildcard.
	Denied   bool
	Negative Negative
	// Answer is a Secure RRset with the owner that was asked for.
	Answer Item
	// Proof, with an answer, shows that no closer name exists than the wildcard. The
	// TTL of its sets is that of the answer.
	Proof []*dnssec.RRset
}

// Synthesise answers or denies name and type from what Secure denials and wildcard
// answers proved about the zone: RFC 8198 for NSEC and NSEC3, without the use of
// opt-out gaps. It returns nothing for names at or below a delegation that is known, or
// that the records show.
func (v *View) Synthesise(now time.Time, name dnssec.Name, rrtype uint16) (Synthesis, bool) {
	i, p := v.cache.at(now), path{view: v, name: name}
	z, ok := p.zone(i, rrtype)
	if !ok {
		return Synthesis{}, false
	}
	return v.synthesiseFrom(i, z, name, rrtype)
}

func (v *View) synthesiseFrom(i instant, z zoneView, name dnsname.Name, rrtype uint16) (s Synthesis, ok bool) {
	p, soa := z.prove(i, name, rrtype)
	switch p.verdict {
	case unproven:
		return Synthesis{}, false
	case noSuchName, noSuchType:
		s, ok = denial(i, name, rrtype, p, soa, z.name)
	case fromWildcard:
		s, ok = v.expand(i, name, rrtype, p, z.name)
	}
	if ok {
		v.count(key{name: name}, hitSynthesised)
	}
	return s, ok
}

// zoneView is a zone to be searched: where it is, and what of it does not change
// while its parameters stay the same.
type zoneView struct {
	shard  *rangeShard
	hash   uint64
	name   dnsname.Name
	view   uint32
	params nsec3Params
}

// zone finds the deepest zone at or above the name that gaps are known of, but none
// above a delegation, for types that are data. DS belongs to the parent.
func (p *path) zone(i instant, rrtype uint16) (zoneView, bool) {
	if isMeta(rrtype) || rrtype == dns.TypeRRSIG || p.name == "" {
		return zoneView{}, false
	}
	name, steps := p.name, 0
	if rrtype == dns.TypeDS {
		if name.IsRoot() {
			return zoneView{}, false
		}
		name, steps = name.Parent(), 1
	}
	apex := dnsname.Root
	if cut := p.deepest(i, steps, name); cut != nil {
		apex = cut.cut.Zone
	}
	for {
		if s := p.at(steps, name); s.may(markRange) {
			if z, ok := p.view.zoneAt(s, name); ok {
				return z, true
			}
		}
		if name == apex || name.IsRoot() {
			return zoneView{}, false
		}
		name = name.Parent()
		steps++
	}
}

// zoneAt returns the zone of this name if gaps of it are known.
func (v *View) zoneAt(s spot, name dnsname.Name) (z zoneView, ok bool) {
	k := v.zoneKey(name)
	hash := v.cache.hasher.at(s, &k)
	z = zoneView{shard: v.cache.ranges.shard(hash), hash: hash, name: name, view: v.id}
	z.shard.mu.Lock()
	defer z.shard.mu.Unlock()
	found := z.shard.zone(hash, name, v.id)
	if found == nil {
		return zoneView{}, false
	}
	z.params = found.params
	return z, true
}

// prove searches the zone, hashing before it takes the lock.
func (z zoneView) prove(i instant, name dnsname.Name, rrtype uint16) (proof, entry) {
	var hashes []hashed
	if z.params.used {
		if hashes = z.params.hashes(name, z.name); hashes == nil {
			return proof{}, ""
		}
	}
	z.shard.mu.Lock()
	defer z.shard.mu.Unlock()
	zone := z.shard.zone(z.hash, z.name, z.view)
	if zone == nil || zone.params != z.params {
		return proof{}, ""
	}
	if z.params.used {
		return zone.proveNSEC3(i, hashes, rrtype), zone.soa
	}
	return zone.proveNSEC(i, name, rrtype), zone.soa
}

// denial makes a Negative of a proof. Without the zone's SOA there is no negative
// answer to give.
func denial(i instant, name dnsname.Name, rrtype uint16, p proof, soa entry, zone dnsname.Name) (Synthesis, bool) {
	if soa == "" {
		return Synthesis{}, false
	}
	ttl := soa.span().seconds(i)
	for _, e := range p.parts {
		ttl = min(ttl, e.span().seconds(i))
	}
	if ttl == 0 {
		return Synthesis{}, false
	}
	first := soa.item(i)
	n := Negative{
		Name: name, Type: rrtype, NameError: p.verdict == noSuchName, SOA: &first.Set,
		Proof: p.sets(i), Status: dnssec.Secure, Zone: zone, Synthesised: true,
	}
	n.setTTL(ttl)
	return Synthesis{Denied: true, Negative: n}, true
}

func (p *proof) sets(i instant) []*dnssec.RRset {
	sets := make([]*dnssec.RRset, 0, len(p.parts))
	for _, e := range p.parts {
		item := e.item(i)
		sets = append(sets, &item.Set)
	}
	return sets
}

// expand makes an answer of the wildcard's RRset, if that is known and signed by the
// zone that the proof is of.
func (v *View) expand(i instant, name dnsname.Name, rrtype uint16, p proof, zone dnsname.Name) (Synthesis, bool) {
	e, _, ok := v.entry(key{name: p.wildcard, rrtype: rrtype, kind: KindWildcard}, true)
	if !ok {
		return Synthesis{}, false
	}
	item := e.item(i)
	for sig := range item.Set.Signatures.All() {
		if signer, _, ok := signedBy(sig); !ok || signer != zone {
			return Synthesis{}, false
		}
	}
	s := Synthesis{Answer: item, Proof: p.sets(i)}
	ttl := item.TTL
	for _, set := range s.Proof {
		ttl = min(ttl, set.TTL)
	}
	for _, set := range s.Proof {
		set.TTL = ttl
	}
	s.Answer.TTL, s.Answer.Set.TTL, s.Answer.Set.Owner = ttl, ttl, name
	return s, ttl > 0
}
