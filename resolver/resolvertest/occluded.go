package resolvertest

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

var errOccluded = errors.New("it is at or below a delegation, so that this zone never has it in an answer; " +
	"it belongs in the delegated zone, or, if it is an address, has to be one of a name server")

// checkOccluded finds records that no server will ever have a use for, since they stand at or
// below a delegation of their zone (RFC 1034 §4.2.1): what was meant for the delegated zone.
func checkOccluded(zones zoneSet) error {
	hosts := nameServers(zones)
	for _, z := range zones {
		for _, owner := range slices.SortedFunc(maps.Keys(z.nodes), dnsname.Compare) {
			rrtype, ok := z.occludedType(owner, hosts[owner])
			if ok {
				return z.errorAt(owner, rrtype, errOccluded)
			}
		}
	}
	return nil
}

// errorAt makes an error about the records of a type at a name, with the line of the first one if
// it is from a text.
func (z *zone) errorAt(owner dnsname.Name, rrtype uint16, err error) error {
	for _, rr := range z.nodes[owner].sets[rrtype] {
		if key, wrong := recordKey(owner, rr); wrong == nil && z.written[key] > 0 {
			return z.from.Errorf(z.written[key], "%s %s: %w", owner, dns.Type(rrtype), err)
		}
	}
	return fmt.Errorf("zone %s: %s %s: %w", z.origin, owner, dns.Type(rrtype), err)
}

// nameServers lists the hosts that some zone's NS records name.
func nameServers(zones zoneSet) map[dnsname.Name]bool {
	hosts := make(map[dnsname.Name]bool)
	for _, z := range zones {
		for _, n := range z.nodes {
			for _, rr := range n.sets[dns.TypeNS] {
				if host, err := dnsname.Parse(rr.(*dns.NS).Ns); err == nil {
					hosts[host] = true
				}
			}
		}
	}
	return hosts
}

// occludedType returns a type at a name that is hidden by a delegation.
func (z *zone) occludedType(owner dnsname.Name, isServer bool) (uint16, bool) {
	f := z.find(owner, dns.TypeNone)
	if f.kind != delegated {
		return 0, false
	}
	for _, rrtype := range z.nodes[owner].types {
		switch rrtype {
		case dns.TypeA, dns.TypeAAAA:
			if !isServer {
				return rrtype, true
			}
		case dns.TypeNS, dns.TypeDS, dns.TypeNSEC, dns.TypeRRSIG:
			if owner != f.encloser {
				return rrtype, true
			}
		default:
			return rrtype, true
		}
	}
	return 0, false
}
