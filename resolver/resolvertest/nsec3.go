package resolvertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// addNSEC3 makes the chain of NSEC3 records and NSEC3PARAM (RFC 5155 §7.1), unless
// one is written.
func (z *zone) addNSEC3() error {
	if z.hasType(dns.TypeNSEC3) {
		return nil
	}
	param := z.nsec3Param()
	z.nodes[z.origin].put(param)
	type entry struct {
		hash string
		name dnsname.Name
	}
	var entries []entry
	for _, name := range z.hashedNames() {
		entries = append(entries, entry{hashName(name, param), name})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.hash, b.hash) })
	for i, e := range entries {
		owner, err := z.origin.Child(e.hash)
		if err != nil {
			return fmt.Errorf("zone %s: no room for NSEC3 owners: %w", z.origin, err)
		}
		nsec3 := &dns.NSEC3{
			Hdr:        header(owner, dns.TypeNSEC3),
			Hash:       param.Hash,
			Iterations: param.Iterations,
			SaltLength: param.SaltLength,
			Salt:       param.Salt,
			HashLength: 20, // SHA-1
			NextDomain: strings.ToUpper(entries[(i+1)%len(entries)].hash),
			TypeBitMap: z.nsec3Types(e.name),
		}
		nsec3.Hdr.Ttl = z.denialTTL()
		if z.signing.OptOut {
			nsec3.Flags = nsec3OptOut
		}
		z.node(owner).put(nsec3)
	}
	return nil
}

// nsec3Param returns the parameters that the header says.
func (z *zone) nsec3Param() *dns.NSEC3PARAM {
	param := &dns.NSEC3PARAM{
		Hdr:        header(z.origin, dns.TypeNSEC3PARAM),
		Hash:       dns.SHA1,
		Iterations: z.signing.Iterations,
		SaltLength: uint8(len(z.signing.Salt) / 2),
		Salt:       strings.ToUpper(z.signing.Salt),
	}
	param.Hdr.Ttl = 0
	return param
}

// nsec3OptOut is the Opt-Out flag (RFC 5155 §3.1.2.1).
const nsec3OptOut = 1

// hashName returns the hash of a name in base32hex, in lower case as owner names
// here are.
func hashName(name dnsname.Name, p *dns.NSEC3PARAM) string {
	return strings.ToLower(dns.HashName(name.String(), p.Hash, p.Iterations, p.Salt))
}

// hashedNames lists the names that have an NSEC3 record: those with data and the
// empty non-terminals, and with opt-out neither unsigned delegations nor what is
// only there for their sake (RFC 5155 §7.1).
func (z *zone) hashedNames() []dnsname.Name {
	wanted := make(map[dnsname.Name]bool)
	for name, n := range z.nodes {
		at := z.standingOf(name)
		isOut := z.signing.OptOut && at == delegation && !n.has(dns.TypeDS)
		if len(n.types) == 0 || at == occluded || isOut {
			continue
		}
		for ; name != z.origin; name = name.Parent() {
			wanted[name] = true
		}
	}
	wanted[z.origin] = true
	return slices.Collect(maps.Keys(wanted))
}

// nsec3Types is the bit map of the NSEC3 record for a name. An empty non-terminal
// has nothing, an unsigned delegation no signature (RFC 5155 §7.1).
func (z *zone) nsec3Types(name dnsname.Name) []uint16 {
	n := z.nodes[name]
	switch {
	case len(n.types) == 0:
		return nil
	case z.standingOf(name) == delegation && !n.has(dns.TypeDS):
		return []uint16{dns.TypeNS}
	}
	return bitmap(z.typesAt(name), dns.TypeRRSIG)
}

// hashedOwner is an NSEC3 record with its signatures. Its owner is no name of the
// zone: a query for it is answered with NXDOMAIN (RFC 5155 §7.2.8).
type hashedOwner struct {
	owner dnsname.Name
	node  *node
}

// separateNSEC3 takes the NSEC3 records out of the names of the zone.
func (z *zone) separateNSEC3() {
	for owner, n := range z.nodes {
		if n.has(dns.TypeNSEC3) {
			z.nsec3 = append(z.nsec3, hashedOwner{owner, n})
			delete(z.nodes, owner)
		}
	}
	slices.SortFunc(z.nsec3, func(a, b hashedOwner) int { return dnsname.Compare(a.owner, b.owner) })
}

// searchNSEC3 finds the place of a name's hash among the NSEC3 records. The order
// of base32hex is that of the hashes (RFC 5155 §1.3).
func (z *zone) searchNSEC3(name dnsname.Name) (i int, found bool) {
	first, ok := z.nsec3[0].node.sets[dns.TypeNSEC3][0].(*dns.NSEC3)
	if !ok {
		return 0, false
	}
	owner, err := z.origin.Child(hashName(name, &dns.NSEC3PARAM{Hash: first.Hash, Iterations: first.Iterations, Salt: first.Salt}))
	if err != nil {
		return 0, false
	}
	return slices.BinarySearchFunc(z.nsec3, owner, func(h hashedOwner, want dnsname.Name) int { return dnsname.Compare(h.owner, want) })
}
