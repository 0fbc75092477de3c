package cache

import (
	"encoding/binary"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// minimal reports whether a record was made up for one question: its gap is no wider than
// it has to be, so that nobody can walk the zone (RFC 4470, RFC 7129 appendix B, RFC 9824).
// Its types are those that its maker knew of when it was asked for one of them. Some load
// balancers deny AAAA with a map that lacks A too, so that it proves nothing of other types.
func (r zoneRange) minimal() bool {
	if r.e.rrtype() == dns.TypeNSEC3 {
		return hashesTouch(r.lo, r.hi)
	}
	types, _ := r.types()
	return onlyDenial(types) || namesTouch(dnsname.Name(r.lo), dnsname.Name(r.hi))
}

// hashesTouch reports whether no real zone has neighbours so close to each other: of 160
// bits the upper 64 of their distance are 0, for which it would have to have some 2^64
// names.
func hashesTouch(lo, hi string) bool {
	const upper = 8
	if len(lo) != hashLength || len(hi) != hashLength || lo == hi { // one name alone is as far apart as can be
		return false
	}
	a, b := binary.BigEndian.Uint64([]byte(lo)), binary.BigEndian.Uint64([]byte(hi))
	if lo[upper:] > hi[upper:] {
		b-- // borrowed by what is below
	}
	return a == b
}

// namesTouch reports whether next is made of owner so that no name of a host, service or
// wildcard fits between: a label before, or at the end of the first one, of what sorts
// before all of those (RFC 4471 §3.1.2, §4.1).
func namesTouch(owner, next dnsname.Name) bool {
	if next.IsBelow(owner) {
		return sortsFirst(next.Ancestor(owner.Labels() + 1).Label())
	}
	if owner.IsRoot() || next.IsRoot() || owner.Parent() != next.Parent() {
		return false
	}
	added, ok := strings.CutPrefix(next.Label(), owner.Label())
	return ok && sortsFirst(added)
}

// sortsFirst reports whether s sorts before the asterisk, or is the hyphen with which
// no host name ends.
func sortsFirst(s string) bool {
	return s == "-" || s != "" && s[0] < '*'
}

// onlyDenial reports whether a name has no types but those that the denial itself needs: in
// NSEC it is then made up, or an empty non-terminal's of RFC 9824 §3.2.
func onlyDenial(types string) bool {
	const bits = 0x80>>(dns.TypeRRSIG%8) | 0x80>>(dns.TypeNSEC%8)
	for len(types) >= 2 {
		n := 2 + int(types[1])
		if n > len(types) {
			return false
		}
		for i := range n - 2 {
			set := types[2+i]
			if types[0] == 0 && i == int(dns.TypeNSEC/8) {
				set &^= bits
			}
			if set != 0 {
				return false
			}
		}
		types = types[n:]
	}
	return true
}
