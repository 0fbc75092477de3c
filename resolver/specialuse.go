package resolver

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// specialZone is a special-use name that is answered locally, with everything below it: no
// server on the Internet knows such names, and questions for them are often private.
type specialZone struct {
	name dnsname.Name
	kind specialKind
	rfc  string // that reserves the name
}

// specialKind says how the names of a specialZone are answered.
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

// specialUse answers a question about a special-use name; false when it is none. No server
// is asked, whether the question comes from a client, an alias, or a delegation to a name
// server with such a name; except those of a route whose zone is as long as the special-use
// name or longer.
//
// The addresses of localhost are returned only for questions for localhost itself (direct).
// Behind an alias localhost has none: clients that filter private addresses against DNS
// rebinding see those that come from the network, and a CNAME must not get round that by
// having us add the address. The public DNS has no address there either. A name server that
// is called localhost has no address either: asking it would be asking ourselves.
func (r *Resolver) specialUse(trust cache.Trust, q question, direct bool) (*finding, bool) {
	if r.config.DisableLocalZones {
		return nil, false
	}
	zone, ok := specialZoneOf(q.name)
	if !ok || zone.isParents(q) {
		return nil, false
	}
	if rt := r.current().match(searchedFrom(q)); rt != nil && rt.zone.IsAtOrBelow(zone.name) {
		return nil, false // the route's servers know the name
	}
	f := zone.answer(q, direct)
	if r.config.Validation == Validate && trust == cache.Checked {
		f.status = dnssec.Insecure
	}
	return f, true
}

// IsSpecialUse reports whether a resolver answers a name itself and never asks for it,
// unless Options.DisableLocalZones is set or a route is as long: localhost, invalid, local,
// onion, alt, home.arpa and resolver.arpa, the reverse zones of addresses that are not
// public, and all names below them (RFC 6303, RFC 6761). It returns false for a text that
// is not a name.
func IsSpecialUse(name string) bool {
	n, err := dnsname.Parse(name)
	if err != nil {
		return false
	}
	_, special := specialZoneOf(n)
	return special
}

// specialZoneOf returns the zone that name is at or below. Outside arpa. only the last
// label counts.
func specialZoneOf(name dnsname.Name) (specialZone, bool) {
	last := 0
	for i := 0; i < len(name) && name[i] != 0; i += int(name[i]) + 1 {
		last = i
	}
	if top := name[last:]; top != arpa {
		zone, ok := specialZones[top]
		return zone, ok
	}
	for ; !name.IsRoot(); name = name.Parent() {
		if zone, ok := specialZones[name]; ok {
			return zone, true
		}
	}
	return specialZone{}, false
}

// isParents reports whether the zone above has the answer: the proof that the delegation is
// unsigned has to come from there, or validators that ask us take the empty zone for forged
// (RFC 8375 §4).
func (z specialZone) isParents(q question) bool {
	return q.rrtype == dns.TypeDS && q.name == z.name && (z.kind == emptyZone || z.kind == silentZone)
}

// answer returns what the zone says. direct is false when the question comes from an alias
// or a delegation.
func (z specialZone) answer(q question, direct bool) *finding {
	f := &finding{q: q, kind: kindNoData, ttl: localTTL, fromCache: true, local: true}
	var exists bool
	switch z.kind {
	case loopbackZone:
		exists = true
		if direct {
			f.sets = loopbackSets(q)
		}
	case absentZone:
	case emptyZone:
		exists = q.name == z.name
		f.sets = z.apex(q)
	case silentZone:
		exists = true
		f.sets = z.apex(q)
	}
	switch {
	case len(f.sets) > 0:
		f.kind = kindAnswer
		return f
	case !exists:
		f.kind, f.rcode = kindNameError, dns.RcodeNameError
	}
	f.soa = z.soa()
	f.extended = ExtendedError{dns.ExtendedErrorCodeOther, "answered locally: special-use name, " + z.rfc}
	return f
}

// localTTL is how long local answers and denials may be kept, in seconds (RFC 6303 §3).
const localTTL = 10800

// loopbackSets returns the addresses of localhost that q asks for.
func loopbackSets(q question) []*dnssec.RRset {
	var sets []*dnssec.RRset
	if q.rrtype == dns.TypeA || q.rrtype == dns.TypeANY {
		sets = append(sets, localSet(q.name, dns.TypeA, "\x7f\x00\x00\x01"))
	}
	if q.rrtype == dns.TypeAAAA || q.rrtype == dns.TypeANY {
		sets = append(sets, localSet(q.name, dns.TypeAAAA, strings.Repeat("\x00", 15)+"\x01"))
	}
	return sets
}

// apex returns the RRsets at the name of the zone itself that q asks for.
func (z specialZone) apex(q question) []*dnssec.RRset {
	if q.name != z.name {
		return nil
	}
	var sets []*dnssec.RRset
	if q.rrtype == dns.TypeSOA || q.rrtype == dns.TypeANY {
		sets = append(sets, z.soa())
	}
	if q.rrtype == dns.TypeNS || q.rrtype == dns.TypeANY {
		sets = append(sets, localSet(z.name, dns.TypeNS, string(z.name)))
	}
	return sets
}

// soa returns the zone's SOA, with the values of RFC 6303 §3.
func (z specialZone) soa() *dnssec.RRset { return madeUpSOA(z.name, localTTL) }

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
	return &dnssec.RRset{Owner: owner, Type: rrtype, Class: dns.ClassINET, TTL: localTTL, Records: dnssec.Pack(rdata)}
}

// arpa is the zone of reverse names and other infrastructure. RFC 3172.
var arpa = dnsname.MustParse("arpa.")

// specialZones are the special-use names answered locally (the IANA registries Special-Use
// Domain Names and Locally-Served DNS Zones, as of 2026-11). Names that a resolver treats
// like all others are not among them: test., example. and its like (RFC 6761 §6.2, §6.5),
// ipv4only.arpa. (RFC 8880 §7.1), and internal., which ICANN has reserved without a rule
// for resolvers. It never changes.
var specialZones = makeSpecialZones()

func makeSpecialZones() map[dnsname.Name]specialZone {
	zones := make(map[dnsname.Name]specialZone)
	add := func(kind specialKind, rfc string, names ...string) {
		for _, text := range names {
			name := dnsname.MustParse(text)
			zones[name] = specialZone{name, kind, rfc}
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
