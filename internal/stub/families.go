package stub

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Families is a set of address families.
type Families uint8

const (
	OnlyIPv4 Families = 1 << iota
	OnlyIPv6
	BothFamilies = OnlyIPv4 | OnlyIPv6
)

// ParseIPNetwork reads the network of LookupIP and LookupNetIP.
func ParseIPNetwork(network string) (Families, error) {
	switch network {
	case "ip":
		return BothFamilies, nil
	case "ip4":
		return OnlyIPv4, nil
	case "ip6":
		return OnlyIPv6, nil
	}
	return 0, net.UnknownNetworkError(network)
}

// ParseDialNetwork returns the address families of a network that has ports; false when it
// is another.
func ParseDialNetwork(network string) (Families, bool) {
	switch network {
	case "tcp", "udp":
		return BothFamilies, true
	case "tcp4", "udp4":
		return OnlyIPv4, true
	case "tcp6", "udp6":
		return OnlyIPv6, true
	}
	return 0, false
}

// Of returns the addresses that are of these families, in the slice given.
func (want Families) Of(addrs []netip.Addr) []netip.Addr {
	if want == BothFamilies {
		return addrs
	}
	return slices.DeleteFunc(addrs, func(a netip.Addr) bool { return IsIPv4(a) != (want == OnlyIPv4) })
}

// IsIPv4 takes an IPv4-mapped address for the IPv4 address that it stands for.
func IsIPv4(a netip.Addr) bool { return a.Is4() || a.Is4In6() }

// ParseLiteral is netip.ParseAddr without the making of an error for host names: an
// address has a colon or ends with a digit.
func ParseLiteral(host string) (netip.Addr, bool) {
	last := len(host) - 1
	if last < 0 || (host[last] < '0' || host[last] > '9') && !strings.Contains(host, ":") {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(host)
	return a, err == nil
}

// IPAddrs returns addresses in the older form of package net.
func IPAddrs(addrs []netip.Addr) []net.IPAddr {
	ips := make([]net.IPAddr, len(addrs))
	for i, a := range addrs {
		ips[i] = net.IPAddr{IP: a.AsSlice(), Zone: a.Zone()}
	}
	return ips
}
