package glue

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	// MaxServers is how many name servers of one delegation are kept. The root has
	// 13 and nobody needs more; BIND's max-delegation-servers and PowerDNS's
	// max_ns_per_resolve are 13 too. A longer list is the lever of NXNSAttack.
	MaxServers = 13
	// MaxAddrs is how many glue addresses one name server may bring (BIND, after
	// CVE-2026-3592: one name with many addresses multiplies the work). Of more, each
	// family keeps half, and what the other leaves over.
	MaxAddrs = 6
)

// Why a referral is refused.
var (
	// ErrNoServers: there is no NS record.
	ErrNoServers = errors.New("referral without name servers")
	// ErrNotBelow: the delegated zone is not strictly below the zone asked. An
	// upward or sideways referral comes from a lame server, and following one to
	// the same zone would never end.
	ErrNotBelow = errors.New("referral does not lead below the zone asked")
	// ErrNotTowards: the name searched is not in the delegated zone.
	ErrNotTowards = errors.New("referral does not lead towards the name")
	// ErrMixedOwners: NS records of several zones in one referral.
	ErrMixedOwners = errors.New("referral names more than one zone")
)

// NS is one NS record of a referral.
type NS struct {
	Owner  Name
	Target Name
	TTL    uint32 // seconds
}

// Address is one address record of a referral's additional section.
type Address struct {
	Owner Name
	Addr  netip.Addr
	TTL   uint32 // seconds
}

// Referral is what a server of Zone answered when asked for Name.
type Referral struct {
	Zone      Name // the zone asked
	Name      Name // the name searched
	NS        []NS
	Addresses []Address
	// Pick orders name servers when there are more than MaxServers of them: it
	// shuffles n elements, as rand.Shuffle does. Nil keeps the first ones.
	Pick func(n int, swap func(i, j int))
}

// Delegation checks the referral and makes a delegation of it. Addresses of names
// that are no name servers of this referral, or that are not below the zone asked,
// are left out: their owner's own zone has to be asked for them (RFC 2181 §5.4.1).
func (r Referral) Delegation() (*Delegation, error) {
	if len(r.NS) == 0 {
		return nil, ErrNoServers
	}
	zone := r.NS[0].Owner
	for _, ns := range r.NS {
		if ns.Owner != zone {
			return nil, fmt.Errorf("%w: %s and %s", ErrMixedOwners, zone, ns.Owner)
		}
	}
	if !zone.IsBelow(r.Zone) {
		return nil, fmt.Errorf("%w: %s asked, referred to %s", ErrNotBelow, r.Zone, zone)
	}
	if !r.Name.IsAtOrBelow(zone) {
		return nil, fmt.Errorf("%w: %s is not in %s", ErrNotTowards, r.Name, zone)
	}
	d := &Delegation{Zone: zone, Servers: r.servers(zone)}
	d.TTL = r.addGlue(d)
	return d, nil
}

// Apex makes a delegation of what a zone's own servers say about it: the zone is r.Zone,
// and nothing is checked. It is for priming (RFC 9609): the root has no parent.
func (r Referral) Apex() *Delegation {
	d := &Delegation{Zone: r.Zone, Servers: r.servers(r.Zone)}
	if len(r.NS) > 0 {
		d.TTL = r.addGlue(d)
	}
	return d
}

// servers lists the distinct name servers, at most MaxServers of them.
func (r Referral) servers(zone Name) []Server {
	servers := make([]Server, 0, len(r.NS))
	seen := make(map[Name]bool, len(r.NS))
	for _, ns := range r.NS {
		if !seen[ns.Target] {
			seen[ns.Target] = true
			servers = append(servers, Server{Name: ns.Target, Bailiwick: BailiwickOf(ns.Target, r.Zone, zone)})
		}
	}
	if len(servers) <= MaxServers {
		return servers
	}
	if r.Pick != nil {
		r.Pick(len(servers), func(i, j int) { servers[i], servers[j] = servers[j], servers[i] })
	}
	ranks := r.ranks(servers)
	slices.SortStableFunc(servers, func(a, b Server) int { return cmp.Compare(ranks[a.Name], ranks[b.Name]) })
	return slices.Clip(servers[:MaxServers])
}

// rank says how soon a name server can be of use. Cutting the list must not cut off
// the only ones that can be reached.
type rank uint8

const (
	glued       rank = iota // there is an address to send to at once
	lookedUp                // its address can be asked for elsewhere
	unreachable             // in-domain, and the glue it needs is not there
)

func (r Referral) ranks(servers []Server) map[Name]rank {
	ranks := make(map[Name]rank, len(servers))
	for _, s := range servers {
		ranks[s.Name] = lookedUp
		if s.Bailiwick == InDomain {
			ranks[s.Name] = unreachable
		}
	}
	for _, a := range r.Addresses {
		if _, listed := ranks[a.Owner]; listed && r.mayTeach(a) {
			ranks[a.Owner] = glued
		}
	}
	return ranks
}

// mayTeach reports whether the servers of r.Zone have a say over the address at all:
// that of an out-of-bailiwick name server has to be asked for elsewhere.
func (r Referral) mayTeach(a Address) bool { return a.Addr.IsValid() && a.Owner.IsAtOrBelow(r.Zone) }

// addGlue adds the addresses that this referral may teach to d's servers, and returns
// the delegation's TTL: the lowest of the NS records and of all glue.
func (r Referral) addGlue(d *Delegation) time.Duration {
	ttl := r.NS[0].TTL
	for _, ns := range r.NS {
		ttl = min(ttl, ns.TTL)
	}
	for _, a := range r.Addresses {
		i := slices.IndexFunc(d.Servers, func(s Server) bool { return s.Name == a.Owner })
		if i < 0 || !r.mayTeach(a) {
			continue
		}
		s := &d.Servers[i]
		// Enough of one family for limitAddrs to choose from; what more there is must
		// not be compared one by one.
		if countFamily(s.Addrs, a.Addr.Is4()) == MaxAddrs || slices.Contains(s.Addrs, a.Addr) {
			continue
		}
		s.Addrs = append(s.Addrs, a.Addr)
		ttl = min(ttl, a.TTL)
	}
	for i := range d.Servers {
		d.Servers[i].Addrs = limitAddrs(d.Servers[i].Addrs)
	}
	return time.Duration(ttl) * time.Second
}

func countFamily(addrs []netip.Addr, ipv4 bool) int {
	n := 0
	for _, a := range addrs {
		if a.Is4() == ipv4 {
			n++
		}
	}
	return n
}

// limitAddrs keeps MaxAddrs of the addresses in their order. Taking simply the first
// ones would leave a host with IPv6 only nothing when six A records come before.
func limitAddrs(addrs []netip.Addr) []netip.Addr {
	if len(addrs) <= MaxAddrs {
		return addrs
	}
	ipv4 := countFamily(addrs, true)
	ipv6 := len(addrs) - ipv4
	room := map[bool]int{true: min(ipv4, max(MaxAddrs/2, MaxAddrs-ipv6))}
	room[false] = MaxAddrs - room[true]
	kept := make([]netip.Addr, 0, MaxAddrs)
	for _, a := range addrs {
		if room[a.Is4()] > 0 {
			room[a.Is4()]--
			kept = append(kept, a)
		}
	}
	return kept
}
