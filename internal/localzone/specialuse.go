package localzone

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// SpecialUse is a special-use name that is answered locally, with everything below it: no
// server on the Internet knows such names, and questions for them are often private.
type SpecialUse struct {
	Name dnsname.Name
	RFC  string // that reserves the name
	kind specialKind
}

// specialKind says how the names of a SpecialUse are answered.
type specialKind uint8

const (
	// loopbackZone: the loopback addresses for A and AAAA, nothing else (RFC 6761
	// §6.3).
	loopbackZone specialKind = iota
	// absentZone: neither the name nor anything below it exists.
	absentZone
	// emptyZone: SOA and NS at the name itself, nothing below it (RFC 6303 §3). The parent
	// delegates it unsigned, so that a question for the DS is the parent's to answer.
	emptyZone
	// silentZone: as emptyZone, but every name below it exists and has no records, so that
	// clients can tell "not offered" from a broken resolver (RFC 9462 §4).
	silentZone
)

// SpecialUseOf returns the zone that name is at or below. Outside arpa. only the last
// label counts.
func SpecialUseOf(name dnsname.Name) (SpecialUse, bool) {
	last := 0
	for i := 0; i < len(name) && name[i] != 0; i += int(name[i]) + 1 {
		last = i
	}
	if top := name[last:]; top != arpa {
		zone, ok := specialUses[top]
		return zone, ok
	}
	for ; !name.IsRoot(); name = name.Parent() {
		if zone, ok := specialUses[name]; ok {
			return zone, true
		}
	}
	return SpecialUse{}, false
}

// IsParents reports whether the zone above has the answer: the proof that the delegation is
// unsigned has to come from there, or validators that ask us take the empty zone for forged
// (RFC 8375 §4).
func (z SpecialUse) IsParents(name dnsname.Name, rrtype uint16) bool {
	return rrtype == dns.TypeDS && name == z.Name && (z.kind == emptyZone || z.kind == silentZone)
}

// find returns what a question for a name at or below z gets. direct is false when the
// question comes from an alias or a delegation.
func (z SpecialUse) find(name dnsname.Name, rrtype uint16, direct bool) Data {
	var a Data
	switch z.kind {
	case loopbackZone:
		a.Exists = true
		if direct {
			a.Sets = loopbackSets(name, rrtype)
		}
	case absentZone:
	case emptyZone:
		a.Exists = name == z.Name
		a.Sets = z.apex(name, rrtype)
	case silentZone:
		a.Exists = true
		a.Sets = z.apex(name, rrtype)
	}
	if len(a.Sets) == 0 {
		a.SOA = z.soa()
	}
	return a
}

// TTL is how long local answers and denials may be kept, in seconds (RFC 6303 §3).
const TTL = 10800

// loopbackSets returns the addresses of localhost that are of the type.
func loopbackSets(name dnsname.Name, rrtype uint16) []*dnssec.RRset {
	var sets []*dnssec.RRset
	if rrtype == dns.TypeA || rrtype == dns.TypeANY {
		sets = append(sets, localSet(name, dns.TypeA, "\x7f\x00\x00\x01"))
	}
	if rrtype == dns.TypeAAAA || rrtype == dns.TypeANY {
		sets = append(sets, localSet(name, dns.TypeAAAA, strings.Repeat("\x00", 15)+"\x01"))
	}
	return sets
}

// apex returns the RRsets of the type at the name of the zone itself.
func (z SpecialUse) apex(name dnsname.Name, rrtype uint16) []*dnssec.RRset {
	if name != z.Name {
		return nil
	}
	var sets []*dnssec.RRset
	if rrtype == dns.TypeSOA || rrtype == dns.TypeANY {
		sets = append(sets, z.soa())
	}
	if rrtype == dns.TypeNS || rrtype == dns.TypeANY {
		sets = append(sets, localSet(z.Name, dns.TypeNS, string(z.Name)))
	}
	return sets
}

// soa returns the zone's SOA, with the values of RFC 6303 §3.
func (z SpecialUse) soa() *dnssec.RRset { return madeUpSOA(z.Name, TTL) }

// madeUpSOA returns an SOA for a zone that has none, with the TTL of its denials.
func madeUpSOA(zone dnsname.Name, ttl uint32) *dnssec.RRset {
	const serial, refresh, retry, expire = 1, 3600, 1200, 604800
	rdata := append([]byte(zone), dnsname.MustParse("nobody.invalid.")...)
	for _, n := range []uint32{serial, refresh, retry, expire, ttl} {
		rdata = binary.BigEndian.AppendUint32(rdata, n)
	}
	soa := localSet(zone, dns.TypeSOA, string(rdata))
	soa.TTL = ttl
	return soa
}

func localSet(owner dnsname.Name, rrtype uint16, rdata string) *dnssec.RRset {
	return &dnssec.RRset{Owner: owner, Type: rrtype, Class: dns.ClassINET, TTL: TTL, Records: dnssec.Pack(rdata)}
}

// arpa is the zone of reverse names and other infrastructure. RFC 3172.
var arpa = dnsname.MustParse("arpa.")

// specialUses are the special-use names answered locally (the IANA registries Special-Use
// Domain Names and Locally-Served DNS Zones, as of 2026-11). Names that a resolver treats
// like all others are not among them: test., example. and its like (RFC 6761 §6.2, §6.5),
// ipv4only.arpa. (RFC 8880 §7.1), and internal., which ICANN has reserved without a rule
// for resolvers. It never changes.
var specialUses = makeSpecialZones()

func makeSpecialZones() map[dnsname.Name]SpecialUse {
	zones := make(map[dnsname.Name]SpecialUse)
	add := func(kind specialKind, rfc string, names ...string) {
		for _, text := range names {
			name := dnsname.MustParse(text)
			zones[name] = SpecialUse{name, rfc, kind}
		}
	}
	add(loopbackZone, "RFC 6761", "localhost.")
	add(absentZone, "RFC 6761", "invalid.")
	add(absentZone, "RFC 6762", "local.") // belongs to multicast DNS
	add(absentZone, "RFC 7686", "onion.") // belongs to Tor
	add(absentZone, "RFC 9476", "alt.")   // belongs to other name systems
	add(emptyZone, "RFC 8375", "home.arpa.")
	add(silentZone, "RFC 9462", "resolver.arpa.")
	add(emptyZone, "RFC 6303", reverseZones()...)
	add(emptyZone, "RFC 7793", numbered(64, 127, ".100.in-addr.arpa.")...) // 100.64.0.0/10
	// The half of the unique local addresses that RFC 4193 §3.2 leaves undefined is as
	// private as the other.
	add(emptyZone, "RFC 4193", "c.f.ip6.arpa.")
	return zones
}

// reverseZones returns the zones of RFC 6303 §4.
func reverseZones() []string {
	zones := []string{
		"10.in-addr.arpa.",              // private, RFC 1918
		"168.192.in-addr.arpa.",         // private, RFC 1918
		"0.in-addr.arpa.",               // this network, RFC 1122
		"127.in-addr.arpa.",             // loopback, RFC 1122
		"254.169.in-addr.arpa.",         // link-local, RFC 3927
		"2.0.192.in-addr.arpa.",         // documentation, RFC 5737
		"100.51.198.in-addr.arpa.",      // documentation, RFC 5737
		"113.0.203.in-addr.arpa.",       // documentation, RFC 5737
		"255.255.255.255.in-addr.arpa.", // broadcast, RFC 919
		strings.Repeat("0.", 32) + "ip6.arpa.",
		"1." + strings.Repeat("0.", 31) + "ip6.arpa.",
		"d.f.ip6.arpa.",   // unique local, RFC 4193
		"8.e.f.ip6.arpa.", // link-local, RFC 4291, as the next three
		"9.e.f.ip6.arpa.",
		"a.e.f.ip6.arpa.",
		"b.e.f.ip6.arpa.",
		"8.b.d.0.1.0.0.2.ip6.arpa.", // documentation, RFC 3849
	}
	return append(zones, numbered(16, 31, ".172.in-addr.arpa.")...) // private, RFC 1918
}

// numbered returns the names with the numbers from first to last before suffix.
func numbered(first, last int, suffix string) []string {
	var names []string
	for n := first; n <= last; n++ {
		names = append(names, strconv.Itoa(n)+suffix)
	}
	return names
}
