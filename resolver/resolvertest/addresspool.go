package resolvertest

import (
	"net/netip"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// addressPool hands out server addresses from the ranges set aside for tests
// of networks: 198.18.0.0/15 (RFC 2544) and 2001:2::/48 (RFC 5180). Those that
// are written somewhere are left out.
type addressPool struct {
	given  map[dnsname.Name][]netip.Addr // by zone, to return the same again
	taken  map[netip.Addr]bool
	v4, v6 netip.Addr // given out last
}

func newAddressPool(zones, previous zoneSet) *addressPool {
	p := &addressPool{
		given: make(map[dnsname.Name][]netip.Addr),
		taken: make(map[netip.Addr]bool),
		v4:    netip.AddrFrom4([4]byte{198, 18, 0, 0}),
		v6:    netip.AddrFrom16([16]byte{0x20, 0x01, 0x00, 0x02}),
	}
	for _, z := range zones {
		p.take(z.addrs)
	}
	for origin, z := range previous {
		if z.pooled {
			p.given[origin] = z.addrs
			p.take(z.addrs)
		}
	}
	return p
}

func (p *addressPool) take(addrs []netip.Addr) {
	for _, addr := range addrs {
		p.taken[addr] = true
	}
}

// addrs returns the addresses of the server of a zone, one of each family.
func (p *addressPool) addrs(zone dnsname.Name) []netip.Addr {
	if addrs, ok := p.given[zone]; ok {
		return addrs
	}
	p.v4, p.v6 = p.free(p.v4), p.free(p.v6)
	return []netip.Addr{p.v4, p.v6}
}

// free returns the next address that no server has.
func (p *addressPool) free(addr netip.Addr) netip.Addr {
	for addr = addr.Next(); p.taken[addr]; addr = addr.Next() {
	}
	return addr
}
