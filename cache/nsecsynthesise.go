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
	if isMeta(rrtype) || rrtype == dns.TypeRRSIG || name == "" {
		return Synthesis{}, false
	}
	i := v.cache.at(now)
	z, ok := v.zoneOf(i, name, rrtype)
	if !ok {
		return Synthesis{}, false
	}
	p, soa := z.prove(i, name, rrtype)
	var s Synthesis
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

// zoneOf finds the deepest zone at or above name that gaps are known of, but none
// above a delegation. DS belongs to the parent.
func (v *View) zoneOf(i instant, name dnsname.Name, rrtype uint16) (zoneView, bool) {
	if rrtype == dns.TypeDS {
		if name.IsRoot() {
			return zoneView{}, false
		}
		name = name.Parent()
	}
	apex := dnsname.Root
	if cut := v.deepest(i, name); cut != nil {
		apex = cut.cut.Zone
	}
	for {
		hash := v.zoneHash(name)
		z := zoneView{shard: v.cache.ranges.shard(hash), hash: hash, name: name, view: v.id}
		z.shard.mu.Lock()
		found := z.shard.zone(hash, name, v.id)
		if found != nil {
			z.params = found.params
		}
		z.shard.mu.Unlock()
		if found != nil {
			return z, true
		}
		if name == apex || name.IsRoot() {
			return zoneView{}, false
		}
		name = name.Parent()
	}
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
