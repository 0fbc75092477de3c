package cache

import (
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// maxHashedLabels is how many labels below its zone a name may have for hashing each
// of its ancestors to pay. Names made up to exhaust us are longer.
const maxHashedLabels = 8

// Synthesis is what could be concluded from denials of other names. RFC 8198.
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

// verdict is what ranges say of a name and type.
type verdict uint8

const (
	unproven verdict = iota
	noSuchName
	noSuchType
	fromWildcard // the name does not exist, a wildcard does that has the type
)

// proof is a verdict with the ranges it rests on.
type proof struct {
	verdict  verdict
	wildcard dnsname.Name // with fromWildcard
	parts    []entry
}

func (p *proof) add(r zoneRange) {
	for _, e := range p.parts {
		if e.name() == r.e.name() {
			return
		}
	}
	p.parts = append(p.parts, r.e)
}

// PutDenial lets the NSEC or NSEC3 RRsets that came with a wildcard answer of zone
// deny other names too. It takes only what is Secure and Checked. PutNegative does so
// by itself for the denials it keeps.
func (v *View) PutDenial(now time.Time, zone dnsname.Name, sets []*dnssec.RRset, m Meta) {
	if m.Status != dnssec.Secure || m.Trust != Checked {
		return
	}
	for _, set := range sets {
		d := lifetime(now, set.TTL, v.cache.options.MaxNegativeTTL, m.NotAfter)
		v.learn(v.cache.at(now), zone, set, d)
	}
}

// learnDenial remembers the parts of a Secure denial: its SOA, which goes with every
// denial that is made of them, and its gaps.
func (v *View) learnDenial(i instant, n *Negative, d time.Duration) {
	if n.SOA.Owner != n.Zone {
		return
	}
	for _, set := range n.Proof {
		v.learn(i, n.Zone, set, d)
	}
	v.learnSOA(i, n.SOA, d)
}

// learnSOA remembers the SOA of a zone of which there are gaps to use it with.
func (v *View) learnSOA(i instant, soa *dnssec.RRset, d time.Duration) {
	if d <= 0 {
		return
	}
	e, hash := v.rangeEntry(i, soa, d), v.zoneHash(soa.Owner)
	s := v.cache.ranges.shard(hash)
	s.mu.Lock()
	known := s.zone(hash, soa.Owner, v.id) != nil
	s.mu.Unlock()
	if known {
		s.change(hash, soa.Owner, v.id, func(z *rangeZone) { z.setSOA(e) })
	}
}

func (v *View) learn(i instant, zone dnsname.Name, set *dnssec.RRset, d time.Duration) {
	if set.Type != dns.TypeNSEC && set.Type != dns.TypeNSEC3 || d <= 0 || set.Size() > v.cache.options.MaxEntry {
		return
	}
	r, params, ok := newRange(zone, v.rangeEntry(i, set, d))
	if !ok {
		return
	}
	hash := v.zoneHash(zone)
	v.cache.ranges.shard(hash).change(hash, zone, v.id, func(z *rangeZone) {
		z.use(params)
		z.insert(r)
	})
}

func (v *View) rangeEntry(i instant, set *dnssec.RRset, d time.Duration) entry {
	k := key{name: set.Owner, view: v.id, rrtype: set.Type, kind: KindRange}
	b := make([]byte, 0, entryHeader+4+set.Size())
	return entry(appendSet(appendHead(b, head{k, standing{RankAuthority, dnssec.Secure}, spanOf(i, d)}), set))
}

func (v *View) zoneHash(zone dnsname.Name) uint64 {
	return v.cache.hasher.hash(key{name: zone, view: v.id, kind: KindRange})
}

// Synthesise answers or denies name and type from what Secure denials and wildcard
// answers proved about the zone: RFC 8198 for NSEC and NSEC3, without the use of
// opt-out gaps. It gives nothing for names at or below a delegation that is known, or
// that the records show.
func (v *View) Synthesise(now time.Time, name dnsname.Name, rrtype uint16) (Synthesis, bool) {
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
		v.cache.count(key{name: name}, hitSynthesised)
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

// proveNSEC finds what the NSEC records say. RFC 4035 §5.4, RFC 8198 §5.1, §5.3.
func (z *rangeZone) proveNSEC(i instant, name dnsname.Name, rrtype uint16) proof {
	var p proof
	if r, ok := z.matching(i, string(name)); ok {
		if r.denies(rrtype) {
			p.verdict = noSuchType
			p.add(r)
		}
		return p
	}
	r, ok := z.covering(i, string(name))
	lo, hi := dnsname.Name(r.lo), dnsname.Name(r.hi)
	if !ok || name.IsBelow(lo) && r.delegates() {
		return p
	}
	p.add(r)
	if hi.IsBelow(name) {
		p.verdict = noSuchType // an empty non-terminal: only names below it exist
		return p
	}
	closestEncloser := dnsname.CommonAncestor(name, lo)
	if other := dnsname.CommonAncestor(name, hi); other.IsBelow(closestEncloser) {
		closestEncloser = other
	}
	source, err := closestEncloser.Wildcard()
	if err != nil {
		return p
	}
	if w, ok := z.matching(i, string(source)); ok {
		p.fromSource(w, source, rrtype)
		return p
	}
	if w, ok := z.covering(i, string(source)); ok && !(source.IsBelow(dnsname.Name(w.lo)) && w.delegates()) && !dnsname.Name(w.hi).IsBelow(source) {
		p.verdict = noSuchName
		p.add(w)
	}
	return p
}

// fromSource concludes from a wildcard that exists.
func (p *proof) fromSource(w zoneRange, source dnsname.Name, rrtype uint16) {
	types, _ := w.types()
	switch {
	case hasType(types, dns.TypeNS) || hasType(types, dns.TypeDNAME):
		// RFC 4592 §4 leaves these undefined.
	case hasType(types, rrtype):
		p.verdict, p.wildcard = fromWildcard, source
	case w.denies(rrtype):
		p.verdict = noSuchType
		p.add(w)
	}
}

// hashed is a name with its hash and that of the wildcard directly below it.
type hashed struct {
	name           dnsname.Name
	hash, wildcard string
}

// hashes gives the name and its ancestors down to the zone with their hashes, or nil
// when there are too many.
func (p nsec3Params) hashes(name, zone dnsname.Name) []hashed {
	if name.Labels()-zone.Labels() > maxHashedLabels {
		return nil
	}
	var all []hashed
	for ; name.IsAtOrBelow(zone); name = name.Parent() {
		h := hashed{name: name, hash: p.hash(name)}
		if source, err := name.Wildcard(); err == nil && len(all) > 0 {
			h.wildcard = p.hash(source)
		}
		all = append(all, h)
		if name.IsRoot() {
			break
		}
	}
	return all
}

// proveNSEC3 finds what the NSEC3 records say: the closest encloser that matches, the
// next closer name that is covered, and the wildcard. RFC 5155 §8.4 to §8.8, RFC 8198
// §5.2, §5.3.
func (z *rangeZone) proveNSEC3(i instant, names []hashed, rrtype uint16) proof {
	var p proof
	if r, ok := z.matching(i, names[0].hash); ok {
		if r.denies(rrtype) {
			p.verdict = noSuchType
			p.add(r)
		}
		return p
	}
	for at := 1; at < len(names); at++ {
		closestEncloser, ok := z.matching(i, names[at].hash)
		if !ok {
			continue
		}
		nextCloser, ok := z.covering(i, names[at-1].hash)
		if !ok || closestEncloser.delegates() || nextCloser.optsOut() {
			return p
		}
		p.add(closestEncloser)
		p.add(nextCloser)
		if w, ok := z.matching(i, names[at].wildcard); ok {
			source, err := names[at].name.Wildcard()
			if err == nil {
				p.fromSource(w, source, rrtype)
			}
		} else if w, ok := z.covering(i, names[at].wildcard); ok && !w.optsOut() {
			p.verdict = noSuchName
			p.add(w)
		}
		return p
	}
	return p
}

func (r zoneRange) optsOut() bool {
	_, optOut := r.types()
	return optOut
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

// learnWildcard remembers the source of a Secure answer that was expanded from a
// wildcard: its signatures are over fewer labels than its owner has (RFC 4035 §5.3.4).
func (v *View) learnWildcard(i instant, set *dnssec.RRset, m Meta, d time.Duration) {
	if m.Status != dnssec.Secure || m.Trust != Checked || set.Signatures == "" {
		return
	}
	signed := signedLabels(set.Owner)
	if set.Owner.IsWildcard() {
		signed++ // asked for by its own name: not expanded, but the source itself
	}
	labels := -1
	for sig := range set.Signatures.All() {
		_, n, ok := signedBy(sig)
		if !ok || labels >= 0 && n != labels || n >= signed {
			return
		}
		labels = n
	}
	source, err := set.Owner.Ancestor(labels).Wildcard()
	if err != nil {
		return
	}
	k := key{name: source, view: v.id, rrtype: set.Type, kind: KindWildcard}
	b := make([]byte, 0, entryHeader+4+len(source)+set.Size())
	v.place(i, k, entry(appendSet(appendHead(b, head{k, m.standing(), spanOf(i, d)}), set)))
}
