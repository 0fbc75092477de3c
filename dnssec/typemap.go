package dnssec

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// typeMap is the type bit map of an NSEC or NSEC3 record, well formed.
// RFC 4034 §4.1.2.
type typeMap string

// parseTypeMap checks the window blocks: numbers ascending, each of 1 to 32 bytes.
func parseTypeMap(s string) (typeMap, bool) {
	last := -1
	for rest := s; rest != ""; {
		if len(rest) < 3 || int(rest[0]) <= last {
			return "", false
		}
		n := int(rest[1])
		if n < 1 || n > 32 || len(rest) < 2+n {
			return "", false
		}
		last, rest = int(rest[0]), rest[2+n:]
	}
	return typeMap(s), true
}

// has reports whether the bit of rrtype is set.
func (m typeMap) has(rrtype uint16) bool {
	window, i, bit := byte(rrtype>>8), int(rrtype&0xFF)/8, byte(0x80)>>(rrtype&7)
	for rest := m; len(rest) > 2; {
		n := int(rest[1])
		if rest[0] == window {
			return i < n && rest[2+i]&bit != 0
		}
		rest = rest[2+n:]
	}
	return false
}

// isDelegation reports whether the record stands in the parent at a zone cut: NS
// without SOA. It proves nothing about names below nor about types other than DS
// (RFC 6840 §4.1).
func (m typeMap) isDelegation() bool { return m.has(dns.TypeNS) && !m.has(dns.TypeSOA) }

// hidesBelow reports whether names below the owner are not this record's to deny:
// they belong to another zone or are redirected (RFC 6840 §4.1).
func (m typeMap) hidesBelow() bool { return m.isDelegation() || m.has(dns.TypeDNAME) }

// denies reports whether a record that matches name proves that the name has no
// RRset of the type: bits of the type and of CNAME clear (RFC 6840 §4.3), and the
// side of the zone cut right: DS lives in the parent, everything else in the child
// (RFC 4035 §5.4, RFC 6840 §4.4). The root has no parent, and speaks for itself.
func (m typeMap) denies(name dnsname.Name, rrtype uint16) bool {
	switch rrtype {
	case dns.TypeDS:
		if m.has(dns.TypeSOA) && !name.IsRoot() {
			return false
		}
	case dns.TypeANY:
		return m.onlyDenial()
	default:
		if m.isDelegation() {
			return false
		}
	}
	return !m.has(rrtype) && !m.has(dns.TypeCNAME)
}

// onlyDenial reports whether the name owns nothing but its denial records.
func (m typeMap) onlyDenial() bool {
	for rest := m; len(rest) > 2; {
		n := int(rest[1])
		for i := range n {
			for bit := range 8 {
				if rest[2+i]&(0x80>>bit) == 0 {
					continue
				}
				switch uint16(rest[0])<<8 | uint16(i*8+bit) {
				case dns.TypeNSEC, dns.TypeRRSIG, dns.TypeNSEC3:
				default:
					return false
				}
			}
		}
		rest = rest[2+n:]
	}
	return true
}
