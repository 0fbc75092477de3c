package resolver_test

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// bySpy picks the queries that a forger sends to learn what zones have signed: by the RD
// flag, which the resolver sets in none that it sends to servers of zones. Nothing happens
// to them on the way.
func bySpy(q resolvertest.Query) bool { return q.RD }

// asking makes a function that sends a query to a server and returns the reply, which is
// there at once: nil if there is none, or more than fits into a datagram.
func zoneQuery(in *resolvertest.Internet) func(string, *dns.Msg) *dns.Msg {
	return func(server string, query *dns.Msg) *dns.Msg {
		conn, err := in.Dial(context.Background(), "udp", net.JoinHostPort(server, "53"))
		if err != nil {
			return nil
		}
		defer conn.Close()
		wire, err := query.Pack()
		if err != nil {
			return nil
		}
		if _, err := conn.Write(wire); err != nil {
			return nil
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Nanosecond)); err != nil {
			return nil
		}
		buffer := make([]byte, dns.MaxMsgSize)
		n, err := conn.Read(buffer)
		reply := new(dns.Msg)
		if err != nil || reply.Unpack(buffer[:n]) != nil || reply.Truncated {
			return nil
		}
		return reply
	}
}

// spy asks a zone's server, as any client may.
func (n *simNet) spy(z *simZone, name string, qtype uint16) *dns.Msg {
	query := new(dns.Msg).SetQuestion(name, qtype) // with RD
	query.SetEdns0(1232, true)
	return n.ask(z.addrs[0], query)
}

// denier chooses the zone whose records a denial is made up of: the zone's own, one above
// it, or any other signed one.
func (n *simNet) denier(rng *rand.Rand, z *simZone) *simZone {
	v := n.world.now()
	switch rng.IntN(3) {
	case 0:
		return z
	case 1:
		for z.origin != "." {
			if z = v.zoneOf(above(z.origin)); rng.IntN(3) > 0 {
				break
			}
		}
		return z
	}
	var others []*simZone
	for _, origin := range n.world.origins[1:] {
		if other := v.zones[origin]; v.status(other) == dnssec.Secure && !other.revoked && !dns.IsSubDomain(origin, z.origin) {
			others = append(others, other)
		}
	}
	if len(others) == 0 {
		return z
	}
	return others[rng.IntN(len(others))]
}

// evidence gathers the signed records of a zone that come closest to a denial of the name:
// those of the name itself and of the names above it in the zone, of what stands beside
// each, and of the wildcards. For a name that is not in the zone it is those of the same
// labels there, and the last records of the zone.
func (n *simNet) evidence(z *simZone, name string) (soa []dns.RR, sets [][]dns.RR) {
	places := []string{}
	if !dns.IsSubDomain(z.origin, name) {
		label, _, _ := strings.Cut(name, ".")
		name = label + "." + strings.TrimPrefix(z.origin, ".")
		places = append(places, "zz."+strings.TrimPrefix(z.origin, "."))
	}
	for at := name; at != z.origin; at = above(at) {
		label, rest, _ := strings.Cut(at, ".")
		// Names below a name sort before that with the hyphen, and nothing else does.
		places = append(places, at, label+"-."+rest, "*."+rest)
	}
	for _, place := range places {
		reply := n.spy(z, place, dns.TypeHINFO)
		if reply == nil {
			continue
		}
		for _, rr := range reply.Ns {
			switch covered(rr) {
			case dns.TypeSOA:
				if len(soa) < 2 {
					soa = append(soa, rr)
				}
			case dns.TypeNSEC, dns.TypeNSEC3:
				sets = gathered(sets, rr)
			}
		}
	}
	return soa, sets
}

// gathered adds a record to the set that it belongs to, once.
func gathered(sets [][]dns.RR, rr dns.RR) [][]dns.RR {
	for i, set := range sets {
		if set[0].Header().Name != rr.Header().Name || covered(set[0]) != covered(rr) {
			continue
		}
		if !slices.ContainsFunc(set, func(known dns.RR) bool { return known.String() == rr.String() }) {
			sets[i] = append(set, rr)
		}
		return sets
	}
	return append(sets, []dns.RR{rr})
}

// covered is the type of a record, or of the records that it signs.
func covered(rr dns.RR) uint16 {
	if sig, ok := rr.(*dns.RRSIG); ok {
		return sig.TypeCovered
	}
	return rr.Header().Rrtype
}

// some chooses among sets: all of them, or by chance.
func some(rng *rand.Rand, sets [][]dns.RR) []dns.RR {
	all := rng.IntN(2) == 0
	var chosen []dns.RR
	for _, set := range sets {
		if all || rng.IntN(2) == 0 {
			chosen = append(chosen, set...)
		}
	}
	return chosen
}
