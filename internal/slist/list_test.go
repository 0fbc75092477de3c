package slist

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
)

var listStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func addr(i int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}) }

// unseeded chooses among servers as outside of tests.
var unseeded = env.SystemRandom()("", answer.Question{})

// listOf makes a list of n servers that nothing is known about.
func listOf(n, perServer int) *List {
	l := &List{Infra: infra.NewTable(), triesPerServer: perServer, Random: unseeded}
	for i := range n {
		l.add(listStart, "", Server{Addr: netip.AddrPortFrom(addr(i), 53)})
	}
	return l
}

// exhaust takes servers as long as there are any, each without a usable answer as done
// says, and counts how often each was taken.
func exhaust(l *List, done func(*Server)) map[netip.Addr]int {
	taken := make(map[netip.Addr]int)
	for {
		c, _ := l.Next(listStart)
		if c == nil {
			return taken
		}
		taken[c.Addr.Addr()]++
		c.Busy = false
		done(c)
	}
}

// TestTriesAreSpread: each of many once, each of few several times, and never more
// than the limits.
func TestTriesAreSpread(t *testing.T) {
	for _, tt := range []struct{ servers, perServer, want, total int }{
		{1, 3, 3, 3}, {2, 3, 3, 6}, {4, 3, 3, 12}, {13, 3, 1, 13}, {20, 3, 1, 13}, {3, 1, 1, 3},
	} {
		total := 0
		taken := exhaust(listOf(tt.servers, tt.perServer), func(*Server) {})
		for a, n := range taken {
			total += n
			if n > tt.want+1 || n > tt.perServer {
				t.Errorf("%d servers: %s was taken %d times, want %d", tt.servers, a, n, tt.want)
			}
		}
		if total != tt.total {
			t.Errorf("%d servers: taken %d times in all, want %d", tt.servers, total, tt.total)
		}
	}
}

// TestOutIsOut: a server that sent something unusable is not asked again.
func TestOutIsOut(t *testing.T) {
	taken := exhaust(listOf(4, 3), func(c *Server) { c.Excluded = true })
	for a, n := range taken {
		if n != 1 {
			t.Errorf("%s was taken %d times, want once", a, n)
		}
	}
}

// TestFastestFirst, but not always, so that the others stay measured.
func TestFastestFirst(t *testing.T) {
	table := infra.NewTable()
	for i, rtt := range []time.Duration{80, 10, 40} {
		for range 10 {
			table.Answered(listStart, netip.AddrPortFrom(addr(i), 53), rtt*time.Millisecond)
		}
	}
	first := make(map[netip.Addr]int)
	const n = 4000
	for range n {
		l := &List{Infra: table, triesPerServer: 3, Random: unseeded}
		for i := range 3 {
			l.add(listStart, "", Server{Addr: netip.AddrPortFrom(addr(i), 53)})
		}
		c, reason := l.Next(listStart)
		if reason != events.ReasonBest {
			t.Fatalf("got reason %d, want %d", reason, events.ReasonBest)
		}
		first[c.Addr.Addr()]++
	}
	// One in 16 is chosen at random among the three: 83 for each, with a deviation of 9.
	if first[addr(1)] < n*9/10 || first[addr(0)] < 30 || first[addr(2)] < 30 {
		t.Errorf("got %v first, want mostly %s and the others now and then", first, addr(1))
	}
}

// TestEqualOnesShare: servers of about the same speed are all asked, so that an attacker
// cannot tell which one will be (RFC 5452 §4.4).
func TestEqualOnesShare(t *testing.T) {
	table := infra.NewTable()
	for i := range 4 {
		for range 10 {
			table.Answered(listStart, netip.AddrPortFrom(addr(i), 53), 20*time.Millisecond+time.Duration(i)*100*time.Microsecond)
		}
	}
	first := make(map[netip.Addr]int)
	for range 2000 {
		l := &List{Infra: table, triesPerServer: 3, Random: unseeded}
		for i := range 4 {
			l.add(listStart, "", Server{Addr: netip.AddrPortFrom(addr(i), 53)})
		}
		c, _ := l.Next(listStart)
		first[c.Addr.Addr()]++
	}
	for i := range 4 {
		if first[addr(i)] < 150 {
			t.Errorf("%s was asked first %d times of 2000: %v", addr(i), first[addr(i)], first)
		}
	}
}

// TestLastResorts come after all others, and come.
func TestLastResorts(t *testing.T) {
	for range 200 {
		l := listOf(3, 1)
		l.Addrs[0].lowPriority = true
		for i := range 3 {
			c, _ := l.Next(listStart)
			if c == nil || c.lowPriority != (i == 2) {
				t.Fatalf("server %d: got %v", i, c)
			}
			c.Busy = false
		}
	}
}

// TestDeadServersAreProbed: three of them at most for one question, and none twice at a
// time.
func TestDeadServersAreProbed(t *testing.T) {
	table := infra.NewTable()
	for i := range 13 {
		for range 5 {
			table.TimedOut(listStart, netip.AddrPortFrom(addr(i), 53), 0)
		}
	}
	l := &List{Infra: table, triesPerServer: 3, Random: unseeded}
	for i := range 13 {
		l.add(listStart, "", Server{Addr: netip.AddrPortFrom(addr(i), 53)})
	}
	for i := range MaxProbes + 1 {
		c, reason := l.Next(listStart)
		if i == MaxProbes {
			if c != nil {
				t.Errorf("probe %d of servers marked down: got %v, want none", i, c)
			}
			break
		}
		if c == nil || reason != events.ReasonProbe {
			t.Fatalf("probe %d: got %v, %d", i, c, reason)
		}
	}
}

// TestUsableFamilies: what Options.Family and the host allow.
func TestUsableFamilies(t *testing.T) {
	v4, v6, mapped := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:192.0.2.1")
	for _, tt := range []struct {
		family         env.Family
		ipv6           bool
		wantV4, wantV6 bool
		wantTypes      int
	}{
		{env.FamilyAuto, true, true, true, 2},
		{env.FamilyAuto, false, true, false, 1},
		{env.FamilyIPv4Only, true, true, false, 1},
		{env.FamilyIPv6Only, true, false, true, 1},
		{env.FamilyIPv6Only, false, false, true, 1},
		{env.Family(9), true, false, false, 2},
	} {
		servers := &Lister{Env: &env.Env{IPv6: tt.ipv6, Settings: env.Settings{Family: tt.family}}}
		if got4, got6 := servers.Usable(v4), servers.Usable(v6); got4 != tt.wantV4 || got6 != tt.wantV6 {
			t.Errorf("%+v: got IPv4 %t and IPv6 %t", tt, got4, got6)
		}
		if tt.family != env.FamilyAuto && servers.Usable(mapped) {
			t.Errorf("%+v: an IPv4-mapped address is usable", tt)
		}
		if got := len(servers.AddressTypes()); got != tt.wantTypes {
			t.Errorf("%+v: got %d types of addresses", tt, got)
		}
	}
}

// TestAddressesAreAddedOnce, whatever names bring them, and no more than the limit for
// each name.
func TestAddressesAreAddedOnce(t *testing.T) {
	from := &routes.Source{Infra: infra.NewTable()}
	servers := &Lister{Env: &env.Env{Settings: env.Settings{
		Port: 53, AllowServer: func(a netip.Addr) bool { return a != addr(9) }, Limits: limits.Limits{AddressesPerServer: 3},
	}}, routes: new(routes.Router)}
	l := &List{Infra: from.Infra, triesPerServer: 3, Random: unseeded}
	cut := &routes.ZoneCut{Delegation: &glue.Delegation{Zone: dnsname.MustParse("shop.example.")}, Source: from}
	for i := range 3 {
		name := dnsname.MustParse(fmt.Sprintf("ns%d.example.", i))
		servers.AddTo(l, listStart, cut, name, []netip.Addr{addr(1), addr(9), addr(1), addr(2), addr(3), addr(4), addr(5)}, false)
	}
	// The first name brings three, the second two more that are new.
	if len(l.Addrs) != 5 {
		t.Errorf("got %d candidates, want each of the five addresses that may be asked", len(l.Addrs))
	}
}
