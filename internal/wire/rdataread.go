package wire

import (
	"encoding/binary"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// TargetName returns the name that the uncompressed RDATA of an NS, CNAME, DNAME or
// PTR record consists of, or the one after the preference of an MX.
func TargetName(rrtype uint16, rdata string) (dnsname.Name, bool) {
	switch rrtype {
	case dns.TypeMX:
		if len(rdata) < 2 {
			return "", false
		}
		rdata = rdata[2:]
	case dns.TypeNS, dns.TypeCNAME, dns.TypeDNAME, dns.TypePTR:
	default:
		return "", false
	}
	name, err := dnsname.FromWire([]byte(rdata))
	return name, err == nil
}

// Addr returns the address of the RDATA of an A or AAAA record.
func Addr(rdata string) (netip.Addr, bool) {
	if len(rdata) != 4 && len(rdata) != 16 {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice([]byte(rdata))
}

// SOA is what a resolver needs of a start of authority: its last field, the TTL of
// negative answers (RFC 2308 §4), and the serial.
type SOA struct {
	Serial  uint32
	Minimum uint32
}

// ParseSOA reads the numbers at the end of uncompressed SOA RDATA.
func ParseSOA(rdata string) (SOA, bool) {
	if len(rdata) < 22 { // two root names and five numbers
		return SOA{}, false
	}
	numbers := []byte(rdata[len(rdata)-20:])
	return SOA{
		Serial:  binary.BigEndian.Uint32(numbers),
		Minimum: binary.BigEndian.Uint32(numbers[16:]),
	}, true
}

// Signer returns the zone that made a signature, from the RDATA of an RRSIG record (RFC 4034 §3.1).
func Signer(rdata string) (dnsname.Name, bool) {
	const fixed = 18
	if len(rdata) < fixed {
		return "", false
	}
	end := nameLength(rdata[fixed:])
	name, err := dnsname.FromWire([]byte(rdata[fixed : fixed+end]))
	return name, err == nil
}

// NSECHasType reports whether the types of an NSEC record include rrtype (RFC 4034 §4.1).
func NSECHasType(rdata string, rrtype uint16) bool {
	end := nameLength(rdata)
	return end > 0 && HasType(rdata[end:], rrtype)
}

// HasType reports whether the type bit maps of RFC 4034 §4.1.2 hold rrtype. Malformed
// maps hold nothing from the fault on, so callers must not take absence as proof
// unless the record was validated.
func HasType(maps string, rrtype uint16) bool {
	window, at := byte(rrtype>>8), int(rrtype&0xFF)
	for len(maps) >= 2 {
		n := 2 + int(maps[1])
		if n > len(maps) {
			return false
		}
		if maps[0] == window {
			return at/8 < n-2 && maps[2+at/8]&(0x80>>(at%8)) != 0
		}
		maps = maps[n:]
	}
	return false
}
