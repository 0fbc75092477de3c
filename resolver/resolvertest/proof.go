package resolvertest

import (
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// The proofs of RFC 4035 §3.1.3 are made of what the zone holds: an unsigned
// zone has no NSEC records and proves nothing.

// denyType proves that a name that exists has no records of the type asked for.
func (a *answer) denyType(z *zone, at dnsname.Name) {
	if !a.dnssec || !z.denies {
		return
	}
	if len(z.set(at, dns.TypeNSEC)) > 0 {
		a.addProof(z, at)
		return
	}
	a.addCovering(z, at) // an empty non-terminal has no NSEC of its own
}

// denyName proves that neither the name nor a wildcard for it exists.
func (a *answer) denyName(z *zone, f finding, sname dnsname.Name) {
	if !a.dnssec || !z.denies {
		return
	}
	a.addCovering(z, sname)
	if source, err := f.encloser.Wildcard(); err == nil {
		a.addCovering(z, source)
	}
}

// denyNextCloser proves that a wildcard stands in because the name itself does
// not exist.
func (a *answer) denyNextCloser(z *zone, f finding, sname dnsname.Name) {
	if !a.dnssec || !z.denies {
		return
	}
	a.addCovering(z, sname)
}

// addCovering adds the NSEC whose owner is the last one before the name.
func (a *answer) addCovering(z *zone, name dnsname.Name) {
	i, found := slices.BinarySearchFunc(z.order, name, dnsname.Compare)
	if !found {
		i--
	}
	for ; i >= 0; i-- {
		if len(z.set(z.order[i], dns.TypeNSEC)) > 0 {
			a.addProof(z, z.order[i])
			return
		}
	}
}

// addProof adds the NSEC at a name with its signatures, once.
func (a *answer) addProof(z *zone, at dnsname.Name) {
	proof := a.signed(z, at, dns.TypeNSEC)
	if !slices.Contains(a.authority, proof[0]) {
		a.authority = append(a.authority, proof...)
	}
}
