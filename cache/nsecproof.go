package cache

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// maxHashedLabels is how many labels below its zone a name may have for hashing each
// of its ancestors to pay. Names made up to exhaust us are longer.
const maxHashedLabels = 8

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
		if !namesTouch(name, hi) {
			p.verdict = noSuchType // an empty non-terminal: only names below it exist
		}
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
	case wire.HasType(types, dns.TypeNS) || wire.HasType(types, dns.TypeDNAME):
		// RFC 4592 §4 leaves these undefined.
	case wire.HasType(types, rrtype):
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

// hashes returns the name and its ancestors down to the zone with their hashes, or nil
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
