package stub

import (
	"cmp"
	"math/bits"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Order is how the addresses of a host are put in order. It has the numbers of
// resolver.AddressOrder.
type Order uint8

const (
	ByPolicy   Order = iota // RFC 6724
	AsAnswered              // not sorted
	IPv4First               // as ByPolicy, then all IPv4 addresses before all others
	IPv6First               // as ByPolicy, then all IPv6 addresses before all others
)

// Sort puts destination addresses in order, the best first.
func (d *Destinations) Sort(order Order, addrs []netip.Addr) {
	if len(addrs) < 2 {
		return
	}
	switch order {
	case AsAnswered:
	case ByPolicy:
		d.sort(addrs)
	case IPv4First:
		d.sort(addrs)
		slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return firstIf(IsIPv4(a), IsIPv4(b)) })
	case IPv6First:
		d.sort(addrs)
		slices.SortStableFunc(addrs, func(a, b netip.Addr) int { return firstIf(!IsIPv4(a), !IsIPv4(b)) })
	}
}

// destination is an address with what the rules compare.
type destination struct {
	addr         netip.Addr
	reachable    bool
	matchesScope bool // of the source
	matchesLabel bool // of the source
	precedence   int
	scope        scope
	common       int // leading bits that IPv6 source and destination share
}

func newDestination(addr, source netip.Addr) destination {
	policy := policyOf(addr)
	d := destination{addr: addr, precedence: policy.precedence, scope: scopeOf(addr)}
	if !source.IsValid() {
		return d
	}
	d.reachable = true
	d.matchesScope = scopeOf(source) == d.scope
	d.matchesLabel = policyOf(source).label == policy.label
	if !IsIPv4(addr) && !IsIPv4(source) {
		d.common = commonPrefix(addr, source)
	}
	return d
}

// compareDestinations applies the rules of RFC 6724 §6. Left out are those for which the
// host would have to be asked more than which source address it uses: 3 (deprecated
// source addresses), 4 (home addresses) and 7 (encapsulation). Rule 9 is applied to
// IPv6 only: it would undo the round robin among IPv4 addresses, whose prefixes say
// little about distance (golang/go#13283).
func compareDestinations(a, b destination) int {
	if !a.reachable && !b.reachable {
		return 0 // nothing is known that would put one before the other
	}
	order := cmp.Or(
		firstIf(a.reachable, b.reachable),       // rule 1
		firstIf(a.matchesScope, b.matchesScope), // rule 2
		firstIf(a.matchesLabel, b.matchesLabel), // rule 5
		cmp.Compare(b.precedence, a.precedence), // rule 6
		cmp.Compare(a.scope, b.scope),           // rule 8
	)
	if order == 0 && !IsIPv4(a.addr) && !IsIPv4(b.addr) {
		order = cmp.Compare(b.common, a.common) // rule 9
	}
	return order
}

// firstIf puts what has a property before what has not.
func firstIf(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// policy is a row of the policy table of RFC 6724 §2.1.
type policy struct {
	prefix     netip.Prefix
	precedence int
	label      int
}

// defaultPolicy is the default policy table, longest prefixes first.
var defaultPolicy = [...]policy{
	{netip.MustParsePrefix("::1/128"), 50, 0},
	{netip.PrefixFrom(netip.AddrFrom16([16]byte{10: 0xff, 11: 0xff}), 96), 35, 4}, // ::ffff:0:0/96, which ParsePrefix refuses
	{netip.MustParsePrefix("::/96"), 1, 3},
	{netip.MustParsePrefix("2001::/32"), 5, 5},
	{netip.MustParsePrefix("2002::/16"), 30, 2},
	{netip.MustParsePrefix("3ffe::/16"), 1, 12},
	{netip.MustParsePrefix("fec0::/10"), 1, 11},
	{netip.MustParsePrefix("fc00::/7"), 3, 13},
	{netip.MustParsePrefix("::/0"), 40, 1},
}

func policyOf(a netip.Addr) policy {
	a = netip.AddrFrom16(a.As16()) // IPv4 addresses are looked up mapped
	for _, p := range defaultPolicy {
		if p.prefix.Contains(a) {
			return p
		}
	}
	return policy{}
}

// scope is how far an address reaches. RFC 6724 §3.1; the numbers are those of
// multicast scopes, RFC 4291 §2.7.
type scope uint8

const (
	scopeLinkLocal scope = 0x2
	scopeSiteLocal scope = 0x5
	scopeGlobal    scope = 0xe
)

// siteLocal is the prefix of site-local addresses, deprecated by RFC 3879.
var siteLocal = netip.MustParsePrefix("fec0::/10")

func scopeOf(a netip.Addr) scope {
	a = a.Unmap().WithZone("")
	switch {
	case a.IsLoopback(), a.IsLinkLocalUnicast():
		return scopeLinkLocal
	case a.Is6() && a.IsMulticast():
		return scope(a.As16()[1] & 0xf)
	case siteLocal.Contains(a):
		return scopeSiteLocal
	}
	return scopeGlobal
}

// commonPrefix counts the leading bits that two IPv6 addresses share, of the 64 that
// are not the interface's. RFC 6724 §2.2.
func commonPrefix(a, b netip.Addr) int {
	const networkBytes = 8
	x, y := a.As16(), b.As16()
	for i := range networkBytes {
		if diff := x[i] ^ y[i]; diff != 0 {
			return 8*i + bits.LeadingZeros8(diff)
		}
	}
	return 8 * networkBytes
}

// Destinations sorts destination addresses, and remembers for a while by which source
// address each is reached. Without that every look-up would open a socket for each address,
// which costs many times more than finding the addresses in the cache.
type Destinations struct {
	// source returns the address that this host sends from to another, or the zero Addr
	// when it cannot send there.
	source func(netip.Addr) netip.Addr

	mu    sync.Mutex
	known map[netip.Addr]destination // guarded by mu
	since time.Time                  // guarded by mu: when known was empty
}

const (
	// routeAge is how long a route is remembered: a change shows after that, and until
	// then the worst is a less good order.
	routeAge = 5 * time.Second
	// maxRoutes is how many destinations are remembered, in some 200 KiB.
	maxRoutes = 1024
)

// NewDestinations returns a Destinations with the source function that is told, which is
// RouteSource but in tests.
func NewDestinations(source func(netip.Addr) netip.Addr) *Destinations {
	return &Destinations{source: source, known: make(map[netip.Addr]destination)}
}

// sort orders destination addresses as RFC 6724 §6 says, best first.
func (d *Destinations) sort(addrs []netip.Addr) {
	var few [8]destination // as many as most hosts have, and no allocation
	list := d.lookup(few[:0], addrs)
	slices.SortStableFunc(list, compareDestinations)
	for i, to := range list {
		addrs[i] = to.addr
	}
}

// lookup appends what is known about each address.
func (d *Destinations) lookup(list []destination, addrs []netip.Addr) []destination {
	now := time.Now()
	d.mu.Lock()
	if len(d.known)+len(addrs) > maxRoutes || now.Sub(d.since) >= routeAge {
		clear(d.known)
		d.since = now
	}
	for _, a := range addrs {
		list = append(list, d.known[a])
	}
	d.mu.Unlock()
	for i, a := range addrs {
		if list[i].addr != a {
			list[i] = newDestination(a, d.source(a))
			d.mu.Lock()
			d.known[a] = list[i]
			d.mu.Unlock()
		}
	}
	return list
}

// RouteSource returns the source address that the system's routes select for a destination,
// or the zero Addr when there is no route. Connecting a datagram socket looks the route up
// and sends nothing; any port does.
func RouteSource(a netip.Addr) netip.Addr {
	const port = 53
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, port)))
	if err != nil {
		return netip.Addr{}
	}
	defer c.Close()
	if local, ok := c.LocalAddr().(*net.UDPAddr); ok {
		return local.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}
