package stub

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func addrList(text string) []netip.Addr {
	var addrs []netip.Addr
	for s := range strings.FieldsSeq(text) {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs
}

// routes makes a source function of "destination=source" pairs; what is not among them
// has no route.
func routes(text string) func(netip.Addr) netip.Addr {
	sources := make(map[netip.Addr]netip.Addr)
	for pair := range strings.FieldsSeq(text) {
		to, from, _ := strings.Cut(pair, "=")
		sources[netip.MustParseAddr(to)] = netip.MustParseAddr(from)
	}
	return func(a netip.Addr) netip.Addr { return sources[a] }
}

func TestSortByPolicy(t *testing.T) {
	for _, c := range []struct{ name, addrs, routes, want string }{
		{"RFC 6724 §10.2, prefer matching scope",
			"2001:db8:1::1 198.51.100.121", "2001:db8:1::1=2001:db8:1::2 198.51.100.121=169.254.13.78",
			"2001:db8:1::1 198.51.100.121"},
		{"RFC 6724 §10.2, prefer matching scope, the other way round",
			"2001:db8:1::1 198.51.100.121", "2001:db8:1::1=fe80::1 198.51.100.121=198.51.100.117",
			"198.51.100.121 2001:db8:1::1"},
		{"RFC 6724 §10.2, prefer higher precedence",
			"10.1.2.3 2001:db8:1::1", "2001:db8:1::1=2001:db8:1::2 10.1.2.3=10.1.2.4",
			"2001:db8:1::1 10.1.2.3"},
		{"RFC 6724 §10.2, prefer smaller scope",
			"2001:db8:1::1 fe80::1", "2001:db8:1::1=2001:db8:1::2 fe80::1=fe80::2",
			"fe80::1 2001:db8:1::1"},
		{"RFC 6724 §10.2, prefer matching label",
			"2001:db8:1::1 2002:c633:6401::1", "2002:c633:6401::1=2002:c633:6401::2 2001:db8:1::1=2002:c633:6401::2",
			"2002:c633:6401::1 2001:db8:1::1"},
		{"RFC 6724 §10.2, prefer higher precedence over 6to4",
			"2002:c633:6401::1 2001:db8:1::1", "2002:c633:6401::1=2002:c633:6401::2 2001:db8:1::1=2001:db8:1::2",
			"2001:db8:1::1 2002:c633:6401::1"},
		{"avoid unusable destinations",
			"2001:db8::1 192.0.2.1", "192.0.2.1=192.0.2.9",
			"192.0.2.1 2001:db8::1"},
		{"no route to any: order kept",
			"192.0.2.2 2001:db8::1 192.0.2.1", "",
			"192.0.2.2 2001:db8::1 192.0.2.1"},
		{"longest matching prefix",
			"2001:db8:ffff::1 2001:db8:1::1", "2001:db8:ffff::1=2001:db8:1::9 2001:db8:1::1=2001:db8:1::9",
			"2001:db8:1::1 2001:db8:ffff::1"},
		{"prefixes count to 64 bits only",
			"2001:db8::ff 2001:db8::8", "2001:db8::ff=2001:db8::9 2001:db8::8=2001:db8::9",
			"2001:db8::ff 2001:db8::8"},
		{"IPv4 keeps the order of the answer",
			"203.0.113.1 192.0.2.1", "203.0.113.1=192.0.2.9 192.0.2.1=192.0.2.9",
			"203.0.113.1 192.0.2.1"},
		{"mapped addresses are IPv4",
			"::ffff:192.0.2.1 2001:db8::1", "::ffff:192.0.2.1=192.0.2.9 2001:db8::1=2001:db8::9",
			"2001:db8::1 ::ffff:192.0.2.1"},
		{"unique local addresses come late",
			"fd00::1 192.0.2.1", "fd00::1=fd00::9 192.0.2.1=192.0.2.9",
			"192.0.2.1 fd00::1"},
		{"site-local addresses",
			"fec0::1 2001:db8::1", "fec0::1=fec0::9 2001:db8::1=2001:db8::9",
			"2001:db8::1 fec0::1"},
		{"multicast by its scope",
			"ff0e::1 ff02::1", "ff0e::1=2001:db8::9 ff02::1=fe80::9",
			"ff02::1 ff0e::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := addrList(c.addrs)
			NewDestinations(routes(c.routes)).Sort(ByPolicy, got)
			if want := addrList(c.want); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestPolicyTable(t *testing.T) {
	for addr, want := range map[string][2]int{
		"::1": {50, 0}, "2001:db8::1": {40, 1}, "192.0.2.1": {35, 4}, "2002::1": {30, 2}, "2001:0:1::": {5, 5},
		"fd00::1": {3, 13}, "::192.0.2.1": {1, 3}, "fec0::1": {1, 11}, "3ffe::1": {1, 12}, "fe80::1%eth0": {40, 1},
	} {
		p := policyOf(netip.MustParseAddr(addr))
		if got := [2]int{p.precedence, p.label}; got != want {
			t.Errorf("%s: got precedence and label %v, want %v", addr, got, want)
		}
	}
}

func TestOrder(t *testing.T) {
	table := NewDestinations(routes("192.0.2.1=192.0.2.9 192.0.2.2=192.0.2.9 2001:db8::1=2001:db8::9"))
	for order, want := range map[Order]string{
		ByPolicy:   "[2001:db8::1 192.0.2.2 192.0.2.1 2001:db8::2]",
		AsAnswered: "[192.0.2.2 192.0.2.1 2001:db8::2 2001:db8::1]",
		IPv4First:  "[192.0.2.2 192.0.2.1 2001:db8::1 2001:db8::2]",
		IPv6First:  "[2001:db8::1 2001:db8::2 192.0.2.2 192.0.2.1]",
	} {
		addrs := addrList("192.0.2.2 192.0.2.1 2001:db8::2 2001:db8::1")
		if table.Sort(order, addrs); fmt.Sprint(addrs) != want {
			t.Errorf("order %d: got %v, want %s", order, addrs, want)
		}
	}
}

func TestDestinationsForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looked := 0
		table := NewDestinations(func(netip.Addr) netip.Addr { looked++; return netip.Addr{} })
		pair := addrList("192.0.2.1 2001:db8::1")
		table.sort(pair)
		time.Sleep(routeAge - 1)
		table.sort(pair)
		if looked != 2 {
			t.Errorf("got %d look-ups of a route, want one for each address", looked)
		}
		time.Sleep(time.Nanosecond)
		table.sort(pair)
		if looked != 4 {
			t.Errorf("got %d look-ups of a route after %v, want 4", looked, routeAge)
		}
		for i := range 3 * maxRoutes {
			table.sort([]netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})})
		}
		if n := len(table.known); n > maxRoutes {
			t.Errorf("got %d entries, want at most %d", n, maxRoutes)
		}
	})
}

// RouteSource asks this machine, so that only loopback is certain.
func TestRouteSource(t *testing.T) {
	if got, want := RouteSource(netip.MustParseAddr("127.0.0.2")), "127.0.0."; !strings.HasPrefix(got.String(), want) {
		t.Errorf("to 127.0.0.2: got %v, want an address that begins with %s", got, want)
	}
}
