package resolvertest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/miekg/dns"
)

// operate makes a copy of the zone for each further operator, with keys of its own,
// before it is signed. All publish the zone signing keys of all, as the answers of
// one have to go with the keys of another, and each its own key signing key only
// (RFC 8901 §2.1.2). The DS records stand for all.
func (z *zone) operate() error {
	plan := z.signing.Keys
	if plan.Operators < 2 {
		return nil
	}
	z.operators = make(map[netip.Addr]*zone)
	for n := 2; n <= plan.Operators; n++ {
		own := z.clone()
		ring, err := own.newKeyRing(plan.Operator(n))
		if err != nil {
			return fmt.Errorf("zone %s: %w", z.origin, err)
		}
		own.replaceKeys(ring)
		v4, v6 := families(z.addrs)
		for _, family := range [][]netip.Addr{v4, v6} {
			for i, addr := range family {
				if i%plan.Operators == n-1 {
					z.operators[addr] = own
				}
			}
		}
	}
	return nil
}

// replaceKeys makes the DNSKEY RRset that of a key ring.
func (z *zone) replaceKeys(ring *keyRing) {
	z.keys = ring
	apex := z.nodes[z.origin]
	apex.remove(dns.TypeDNSKEY)
	for _, key := range ring.published {
		apex.put(key.record)
	}
}

// at returns the zone as the server at an address has it.
func (z *zone) at(addr netip.Addr) *zone {
	if other, ok := z.operators[addr]; ok {
		return other
	}
	return z
}

// versions lists the zone as its operators have it, each once.
func (z *zone) versions() []*zone {
	all := []*zone{z}
	for _, other := range z.operators {
		if !slices.Contains(all, other) {
			all = append(all, other)
		}
	}
	return all
}

// clone returns a copy of a zone that is not sealed. The records are shared: nobody
// changes them any more.
func (z *zone) clone() *zone {
	copied := *z
	copied.operators, copied.nodes = nil, maps.Clone(z.nodes)
	for name, n := range copied.nodes {
		own := &node{sets: maps.Clone(n.sets), types: slices.Clone(n.types)}
		for rrtype, set := range own.sets {
			own.sets[rrtype] = slices.Clip(set)
		}
		copied.nodes[name] = own
	}
	return &copied
}

// remove takes an RRset away.
func (n *node) remove(rrtype uint16) {
	delete(n.sets, rrtype)
	n.types = slices.DeleteFunc(n.types, func(t uint16) bool { return t == rrtype })
}
