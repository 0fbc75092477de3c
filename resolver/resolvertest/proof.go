package resolvertest

import (
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// The proofs of RFC 4035 §3.1.3 and RFC 5155 §7.2 are made of what the zone holds:
// a zone without NSEC and NSEC3 records proves nothing.

// denyType proves that a name that exists has no records of the type asked for.
// With opt-out it may be an unsigned delegation that has no NSEC3 record (RFC 5155
// §7.2.4, §7.2.7).
func (a *answer) denyType(z *zone, at dnsname.Name) {
	switch {
	case !a.dnssec:
	case z.isCompact():
		a.denyCompactly(z, at, z.typesAt(at))
	case len(z.nsec3) > 0:
		if !a.addMatching(z, at) {
			a.denyCloser(z, a.addClosestEncloser(z, at.Parent()), at)
		}
	case len(z.set(at, dns.TypeNSEC)) > 0:
		a.addProof(z, z.nodes[at], at, dns.TypeNSEC)
	default:
		a.addCovering(z, at) // an empty non-terminal has no NSEC of its own
	}
}

// denyName proves that neither the name nor a wildcard for it exists.
func (a *answer) denyName(z *zone, f finding, sname dnsname.Name) {
	if !a.dnssec {
		return
	}
	if z.isCompact() {
		a.denyNameCompactly(z, sname)
		return
	}
	encloser := f.encloser
	if len(z.nsec3) > 0 {
		encloser = a.addClosestEncloser(z, f.encloser)
		a.denyCloser(z, encloser, sname)
	} else {
		a.addCovering(z, sname)
	}
	if source, err := encloser.Wildcard(); err == nil {
		a.addCovering(z, source)
	}
}

// denyNextCloser proves that a wildcard applies because the name itself does not
// exist. Where the wildcard lacks the type, the proof needs the closest encloser too
// (RFC 5155 §7.2.5, §7.2.6).
func (a *answer) denyNextCloser(z *zone, f finding, sname dnsname.Name) {
	switch {
	case !a.dnssec:
	case len(z.nsec3) == 0:
		a.addCovering(z, sname)
	default:
		if !f.node.has(a.question.Qtype) && !f.node.has(dns.TypeCNAME) && a.question.Qtype != dns.TypeANY {
			a.addClosestEncloser(z, f.encloser)
		}
		a.denyCloser(z, f.encloser, sname)
	}
}

// denyCloser covers the next closer name: the ancestor of the name, or it, that is
// one label longer than the closest encloser.
func (a *answer) denyCloser(z *zone, encloser, name dnsname.Name) {
	a.addCovering(z, name.Ancestor(encloser.Labels()+1))
}

// addClosestEncloser adds the NSEC3 record that matches the name, or else the
// nearest ancestor that has one, and returns that name (RFC 5155 §7.2.1).
func (a *answer) addClosestEncloser(z *zone, name dnsname.Name) dnsname.Name {
	for !a.addMatching(z, name) && name.IsBelow(z.origin) {
		name = name.Parent()
	}
	return name
}

// addMatching adds the NSEC3 record whose hash is that of the name.
func (a *answer) addMatching(z *zone, name dnsname.Name) bool {
	i, found := z.searchNSEC3(name)
	if found {
		a.addProof(z, z.nsec3[i].node, z.nsec3[i].owner, dns.TypeNSEC3)
	}
	return found
}

// addCovering adds the NSEC record whose owner is the last one before the name, or
// the NSEC3 record whose hash is the last one before the name's.
func (a *answer) addCovering(z *zone, name dnsname.Name) {
	if n := len(z.nsec3); n > 0 {
		i, found := z.searchNSEC3(name)
		if !found {
			i = (i + n - 1) % n
		}
		a.addProof(z, z.nsec3[i].node, z.nsec3[i].owner, dns.TypeNSEC3)
		return
	}
	if !z.denies {
		return
	}
	i, found := slices.BinarySearchFunc(z.order, name, dnsname.Compare)
	if !found {
		i--
	}
	for ; i >= 0; i-- {
		if n := z.nodes[z.order[i]]; n.has(dns.TypeNSEC) {
			a.addProof(z, n, z.order[i], dns.TypeNSEC)
			return
		}
	}
}

// addProof adds the NSEC or NSEC3 record at a node with its signatures, once.
func (a *answer) addProof(z *zone, n *node, owner dnsname.Name, rrtype uint16) {
	proof := n.sets[rrtype]
	if slices.Contains(a.authority, proof[0]) {
		return
	}
	a.authority = append(a.authority, proof...)
	a.authority = append(a.authority, n.signatures(rrtype)...)
}
