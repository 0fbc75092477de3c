package resolvertest

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// What is derived has these times, in seconds.
const (
	// derivedTTL is the TTL of derived NS, SOA and address records: longer than
	// that of plain data, as it is in real zones, so that a test can let an
	// answer expire and keep the delegations.
	derivedTTL = 3600
	// derivedNegativeTTL is MINIMUM of a derived SOA (RFC 2308 §4).
	derivedNegativeTTL = 300
)

// derive completes a set of zones: a root and top-level zones where there is no
// root, addresses, SOA and NS records, and the delegation of each zone in the
// nearest zone above it. What is written is never changed; the zones given are
// completed, and the derived ones added, in place. Zones that are to be signed are,
// as at now. Addresses that were given out to the previous zones stay theirs.
func derive(zones, previous zoneSet, now time.Time) error {
	if _, ok := zones[dnsname.Root]; !ok {
		deriveAbove(zones)
	}
	origins := make([]dnsname.Name, 0, len(zones))
	for origin := range zones {
		origins = append(origins, origin)
	}
	slices.SortFunc(origins, dnsname.Compare)
	pool := newAddressPool(zones, previous)
	for _, origin := range origins {
		z := zones[origin]
		if err := deriveServers(zones, z, pool); err != nil {
			return err
		}
		if z.signing.Signed {
			if err := z.makeKeys(); err != nil {
				return err
			}
		}
	}
	for _, origin := range origins {
		delegate(zones, zones[origin])
	}
	if err := checkOccluded(zones); err != nil {
		return err
	}
	for _, z := range zones {
		z.level()
		if err := z.finish(now, parentOf(zones, z.origin)); err != nil {
			return err
		}
	}
	return nil
}

// finish signs a zone, if it is to be, and seals it: each operator's version of it.
func (z *zone) finish(now time.Time, above *zone) error {
	if err := z.operate(); err != nil {
		return err
	}
	for _, version := range z.versions() {
		if version.isSigned() {
			if err := version.sign(now, above); err != nil {
				return err
			}
		}
		version.seal()
	}
	return nil
}

// deriveAbove adds the root and the top-level zones that the others need. They are
// signed if any zone below them is.
func deriveAbove(zones zoneSet) {
	signed := map[dnsname.Name]bool{dnsname.Root: false}
	for origin, z := range zones {
		signed[origin.Ancestor(1)] = signed[origin.Ancestor(1)] || z.signing.Signed
		signed[dnsname.Root] = signed[dnsname.Root] || z.signing.Signed
	}
	for origin := range signed {
		if _, ok := zones[origin]; !ok {
			z := newZone(origin)
			z.derived = true
			z.signing.Signed = signed[origin]
			zones[origin] = z
		}
	}
}

// deriveServers sees to it that a zone has addresses, NS records, an SOA, and an
// address record for each name server inside it.
func deriveServers(zones zoneSet, z *zone, pool *addressPool) error {
	if len(z.addrs) == 0 {
		z.addrs = writtenAddrs(zones, z)
	}
	if len(z.addrs) == 0 {
		z.addrs, z.pooled = pool.addrs(z.origin), true
	}
	if !z.nodes[z.origin].has(dns.TypeNS) {
		if err := deriveNS(z); err != nil {
			return err
		}
	}
	if err := deriveAddresses(zones, z); err != nil {
		return err
	}
	if z.soa() != nil {
		return nil
	}
	return z.add(&dns.SOA{
		Hdr:     header(z.origin, dns.TypeSOA),
		Ns:      z.set(z.origin, dns.TypeNS)[0].(*dns.NS).Ns,
		Mbox:    below("hostmaster", z.origin),
		Serial:  1,
		Refresh: 3600, Retry: 600, Expire: 604800,
		Minttl: derivedNegativeTTL,
	})
}

// writtenAddrs finds the addresses that the zones give for the zone's own NS
// records, which is how real zone files say who serves a zone.
func writtenAddrs(zones zoneSet, z *zone) []netip.Addr {
	var addrs []netip.Addr
	for _, rr := range z.set(z.origin, dns.TypeNS) {
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		host, err := dnsname.Parse(ns.Ns)
		if err != nil {
			continue
		}
		for _, addr := range addressesOf(zones, host) {
			if !slices.Contains(addrs, addr) {
				addrs = append(addrs, addr)
			}
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return addrs
}

// addresses returns the addresses a zone has for a host, as glue or as its own.
func (z *zone) addresses(host dnsname.Name) []netip.Addr {
	var addrs []netip.Addr
	for _, rr := range z.set(host, dns.TypeA) {
		if a, ok := rr.(*dns.A); ok {
			addr, _ := netip.AddrFromSlice(a.A)
			addrs = append(addrs, addr.Unmap())
		}
	}
	for _, rr := range z.set(host, dns.TypeAAAA) {
		if aaaa, ok := rr.(*dns.AAAA); ok {
			addr, _ := netip.AddrFromSlice(aaaa.AAAA)
			addrs = append(addrs, addr)
		}
	}
	return addrs
}

// deriveNS names the servers ns1, ns2, … in the zone: as many as it has
// addresses of the family that it has more of. Names that stand for something
// else are passed over.
func deriveNS(z *zone) error {
	v4, v6 := families(z.addrs)
	names := 0
	for i := 1; names < max(len(v4), len(v6)); i++ {
		host, err := z.origin.Child(fmt.Sprintf("ns%d", i))
		if err != nil {
			return fmt.Errorf("zone %s: no room for the names of its servers: %w", z.origin, err)
		}
		if !z.canName(host) {
			continue
		}
		names++
		if err := z.add(&dns.NS{Hdr: header(z.origin, dns.TypeNS), Ns: host.String()}); err != nil {
			return err
		}
	}
	return nil
}

// canName reports whether a host can be one of the zone's servers: nothing is
// written about it but addresses that the servers have.
func (z *zone) canName(host dnsname.Name) bool {
	n, ok := z.nodes[host]
	if !ok {
		return true
	}
	isOther := func(addr netip.Addr) bool { return !slices.Contains(z.addrs, addr) }
	return !n.has(dns.TypeCNAME) && !n.has(dns.TypeNS) && !slices.ContainsFunc(z.addresses(host), isOther)
}

// deriveAddresses deals the zone's addresses out to those of its name servers
// that are in the zone and have no address written: the i-th of each family to
// the i-th name, and what is left over to the last one.
func deriveAddresses(zones zoneSet, z *zone) error {
	var hosts []dnsname.Name
	free := slices.Clone(z.addrs)
	for _, rr := range z.set(z.origin, dns.TypeNS) {
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		host, err := dnsname.Parse(ns.Ns)
		if err != nil || zones.nearest(host) != z {
			continue
		}
		if written := z.addresses(host); len(written) > 0 {
			free = slices.DeleteFunc(free, func(a netip.Addr) bool { return slices.Contains(written, a) })
		} else if !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	if len(hosts) == 0 {
		return nil
	}
	v4, v6 := families(free)
	for _, family := range [][]netip.Addr{v4, v6} {
		for i, addr := range family {
			if err := z.add(addressRecord(hosts[min(i, len(hosts)-1)], addr)); err != nil {
				return err
			}
		}
	}
	return nil
}

// delegate writes the delegation of a zone, with glue, into the nearest zone
// above it, unless the delegation is written there. Its NS records and the
// addresses of hosts in the zone are the zone's own. Between signed zones the DS
// is written too, also into a delegation that is there.
func delegate(zones zoneSet, z *zone) {
	parent := parentOf(zones, z.origin)
	if parent == nil || z.undelegated {
		return
	}
	cut := parent.node(z.origin)
	if parent.isSigned() && z.isSigned() && !z.signing.NoDS && !cut.has(dns.TypeDS) {
		for _, ds := range z.ds() {
			cut.put(ds)
		}
	}
	if cut.has(dns.TypeNS) {
		return
	}
	for _, rr := range z.set(z.origin, dns.TypeNS) {
		cut.put(dns.Copy(rr))
		ns, ok := rr.(*dns.NS)
		if !ok {
			continue
		}
		host, err := dnsname.Parse(ns.Ns)
		if err != nil || !host.IsAtOrBelow(z.origin) {
			continue
		}
		for _, rrtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			if parent.nodeHas(host, rrtype) {
				continue
			}
			for _, glue := range z.set(host, rrtype) {
				parent.node(host).put(dns.Copy(glue))
			}
		}
	}
}

// nodeHas reports whether the zone has records of a type at a name.
func (z *zone) nodeHas(name dnsname.Name, rrtype uint16) bool { return len(z.set(name, rrtype)) > 0 }

// parentOf returns the nearest zone above a name; nil for the root.
func parentOf(zones zoneSet, origin dnsname.Name) *zone {
	if origin.IsRoot() {
		return nil
	}
	return zones.nearest(origin.Parent())
}

func families(addrs []netip.Addr) (v4, v6 []netip.Addr) {
	for _, addr := range addrs {
		if addr.Is4() {
			v4 = append(v4, addr)
		} else {
			v6 = append(v6, addr)
		}
	}
	return v4, v6
}

func header(owner dnsname.Name, rrtype uint16) dns.RR_Header {
	return dns.RR_Header{Name: owner.String(), Rrtype: rrtype, Class: dns.ClassINET, Ttl: derivedTTL}
}

func addressRecord(owner dnsname.Name, addr netip.Addr) dns.RR {
	if addr.Is4() {
		return &dns.A{Hdr: header(owner, dns.TypeA), A: addr.AsSlice()}
	}
	return &dns.AAAA{Hdr: header(owner, dns.TypeAAAA), AAAA: addr.AsSlice()}
}

// below puts a label in front of a name. Where there is no room for it, it gives
// the name itself.
func below(label string, origin dnsname.Name) string {
	child, err := origin.Child(label)
	if err != nil {
		return origin.String()
	}
	return child.String()
}
