package cache

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/wire"
)

// deniesName reports whether a denial of a type is one of the name too (RFC 9824 §3.1): its
// NSEC record, of the name itself, has the type NXNAME.
func (e entry) deniesName() bool {
	if e.kind() != KindNoData || e.standing().status != dnssec.Secure {
		return false
	}
	_, body := cutPrefixed(e.body())
	count := int(body[0])
	for body = body[1:]; count > 0; count-- {
		var set dnssec.RRset
		body = readWhole(&set, body, 0)
		if set.Type == dns.TypeNSEC && set.Owner == e.name() {
			return hasNXNAME(&set)
		}
	}
	return false
}

// DeniesName reports whether a denial of a type is one of the name too, as compact denial
// has it (RFC 9824 §3.1).
func (n *Negative) DeniesName() bool {
	if n.Status != dnssec.Secure {
		return false
	}
	for _, set := range n.Proof {
		if set.Type == dns.TypeNSEC && set.Owner == n.Name {
			return hasNXNAME(set)
		}
	}
	return false
}

// hasNXNAME reports whether an NSEC RRset says that its name does not exist at all.
func hasNXNAME(set *dnssec.RRset) bool {
	for rdata := range set.Records.All() {
		return wire.NSECHasType(rdata, typeNXNAME)
	}
	return false
}
