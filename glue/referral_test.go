package glue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// ns makes NS records of "owner target target …" with the TTL 3600.
func ns(owner string, targets ...string) []NS {
	var records []NS
	for _, target := range targets {
		records = append(records, NS{dnsname.MustParse(owner), dnsname.MustParse(target), 3600})
	}
	return records
}

// addr makes an address record with the TTL 3600.
func addr(owner, address string) Address {
	return Address{dnsname.MustParse(owner), netip.MustParseAddr(address), 3600}
}

// text writes a delegation as "zone TTL: name bailiwick addr addr; name bailiwick".
func text(d *Delegation) string {
	var servers []string
	for _, s := range d.Servers {
		parts := []string{s.Name.String(), s.Bailiwick.String()}
		for _, a := range s.Addrs {
			parts = append(parts, a.String())
		}
		servers = append(servers, strings.Join(parts, " "))
	}
	return fmt.Sprintf("%s %s: %s", d.Zone, d.TTL, strings.Join(servers, "; "))
}

func TestReferralDelegation(t *testing.T) {
	tests := []struct {
		name      string
		zone      string // asked
		ns        []NS
		addresses []Address
		want      string
	}{
		{"in-domain glue", "example.", ns("sub.example.", "ns.sub.example.", "sub.example."),
			[]Address{addr("ns.sub.example.", "192.0.2.1"), addr("ns.sub.example.", "2001:db8::1"), addr("sub.example.", "192.0.2.2")},
			"sub.example. 1h0m0s: ns.sub.example. in-domain 192.0.2.1 2001:db8::1; sub.example. in-domain 192.0.2.2"},
		{"sibling glue", "example.", ns("sub.example.", "ns.other.example."), []Address{addr("ns.other.example.", "192.0.2.1")},
			"sub.example. 1h0m0s: ns.other.example. sibling 192.0.2.1"},
		{"glue of the zone asked itself", "example.", ns("sub.example.", "example."), []Address{addr("example.", "192.0.2.1")},
			"sub.example. 1h0m0s: example. sibling 192.0.2.1"},
		{"out-of-bailiwick address", "example.", ns("sub.example.", "ns.victim.test."), []Address{addr("ns.victim.test.", "203.0.113.66")},
			"sub.example. 1h0m0s: ns.victim.test. out-of-bailiwick"},
		{"from the root all names are siblings", ".", ns("example.", "ns.victim.test."), []Address{addr("ns.victim.test.", "192.0.2.1")},
			"example. 1h0m0s: ns.victim.test. sibling 192.0.2.1"},
		{"address of no name server", "example.", ns("sub.example.", "ns.sub.example."),
			[]Address{addr("www.sub.example.", "203.0.113.66"), addr("example.", "203.0.113.66"), addr("ns.sub.example.", "192.0.2.1")},
			"sub.example. 1h0m0s: ns.sub.example. in-domain 192.0.2.1"},
		{"label boundary", "example.", ns("sub.example.", `ns\007example.`), []Address{addr(`ns\007example.`, "203.0.113.66")},
			`sub.example. 1h0m0s: ns\007example. out-of-bailiwick`},
		{"no glue", "example.", ns("sub.example.", "ns.sub.example.", "ns.test."), nil,
			"sub.example. 1h0m0s: ns.sub.example. in-domain; ns.test. out-of-bailiwick"},
		{"repeated records", "example.", ns("sub.example.", "ns.sub.example.", "ns.sub.example."),
			[]Address{addr("ns.sub.example.", "192.0.2.1"), addr("ns.sub.example.", "192.0.2.1")},
			"sub.example. 1h0m0s: ns.sub.example. in-domain 192.0.2.1"},
		{"one address of two servers", "example.", ns("sub.example.", "a.sub.example.", "b.sub.example."),
			[]Address{addr("a.sub.example.", "192.0.2.1"), addr("b.sub.example.", "192.0.2.1")},
			"sub.example. 1h0m0s: a.sub.example. in-domain 192.0.2.1; b.sub.example. in-domain 192.0.2.1"},
		{"several labels at a step", ".", ns("sub.example.", "ns.sub.example."), []Address{addr("ns.sub.example.", "192.0.2.1")},
			"sub.example. 1h0m0s: ns.sub.example. in-domain 192.0.2.1"},
		{"no address at all in an address", "example.", ns("sub.example.", "ns.sub.example."),
			[]Address{{Owner: dnsname.MustParse("ns.sub.example.")}},
			"sub.example. 1h0m0s: ns.sub.example. in-domain"},
		{"the name itself is delegated", "example.", ns("www.sub.example.", "ns.test."), nil,
			"www.sub.example. 1h0m0s: ns.test. out-of-bailiwick"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Referral{
				Zone: dnsname.MustParse(tt.zone), Name: dnsname.MustParse("www.sub.example."), NS: tt.ns, Addresses: tt.addresses,
			}
			d, err := r.Delegation()
			if err != nil {
				t.Fatal(err)
			}
			if got := text(d); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestReferralRefused(t *testing.T) {
	tests := []struct {
		name, zone, sname string
		ns                []NS
		want              error
	}{
		{"no NS record", "example.", "www.sub.example.", nil, ErrNoServers},
		{"to the zone asked", "example.", "www.sub.example.", ns("example.", "ns.example."), ErrNotBelow},
		{"upward", "sub.example.", "www.sub.example.", ns("example.", "ns.example."), ErrNotBelow},
		{"to the root", "example.", "www.sub.example.", ns(".", "ns.example."), ErrNotBelow},
		{"root to root", ".", "www.sub.example.", ns(".", "ns.example."), ErrNotBelow},
		{"sideways", "sub.example.", "www.sub.example.", ns("other.example.", "ns.example."), ErrNotBelow},
		{"label boundary above", "example.", `www.sub\007example.`, ns(`sub\007example.`, "ns.example."), ErrNotBelow},
		{"below, to another branch", "example.", "www.sub.example.", ns("other.example.", "ns.example."), ErrNotTowards},
		{"below the name", "example.", "sub.example.", ns("www.sub.example.", "ns.example."), ErrNotTowards},
		{"label boundary below", "example.", `www\003sub.example.`, ns("sub.example.", "ns.example."), ErrNotTowards},
		{"two zones", "example.", "www.sub.example.",
			append(ns("sub.example.", "ns.example."), ns("other.example.", "ns.example.")...), ErrMixedOwners},
		{"zone and the zone asked", "example.", "www.sub.example.",
			append(ns("sub.example.", "ns.example."), ns("example.", "ns.example.")...), ErrMixedOwners},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, err := Referral{Zone: dnsname.MustParse(tt.zone), Name: dnsname.MustParse(tt.sname), NS: tt.ns}.Delegation()
			if d != nil || !errors.Is(err, tt.want) {
				t.Errorf("got %v, %v; want %v", d, err, tt.want)
			}
		})
	}
}

// The zero Referral comes from no zone at all.
func TestReferralWithoutZone(t *testing.T) {
	r := Referral{Name: dnsname.MustParse("www.example."), NS: ns("example.", "ns.example.")}
	if d, err := r.Delegation(); d != nil || !errors.Is(err, ErrNotBelow) {
		t.Errorf("got %v, %v; want %v", d, err, ErrNotBelow)
	}
}

func TestReferralTTL(t *testing.T) {
	const most = 1<<32 - 1
	tests := []struct {
		name          string
		first, second uint32 // of the NS records
		glue, foreign uint32 // of an address used and of one not used
		want          time.Duration
	}{
		{"NS", 100, 200, 300, 300, 100 * time.Second},
		{"second NS", 200, 100, 300, 300, 100 * time.Second},
		{"glue", 200, 200, 100, 300, 100 * time.Second},
		{"not used", 200, 200, 300, 100, 200 * time.Second},
		{"zero", 200, 200, 0, 300, 0},
		{"top bit", most, most, most, 1, most * time.Second},
	}
	for _, tt := range tests {
		r := Referral{Zone: dnsname.Root, Name: dnsname.MustParse("www.example."), NS: ns("example.", "a.example.", "b.example.")}
		r.NS[0].TTL, r.NS[1].TTL = tt.first, tt.second
		r.Addresses = []Address{addr("b.example.", "192.0.2.1"), addr("c.example.", "192.0.2.2")}
		r.Addresses[0].TTL, r.Addresses[1].TTL = tt.glue, tt.foreign
		d, err := r.Delegation()
		if err != nil || d.TTL != tt.want {
			t.Errorf("%s: got %v, %v; want %s", tt.name, d, err, tt.want)
		}
	}
}

// names returns n names ns0.zone ns1.zone …
func names(n int, zone string) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprintf("ns%d.%s", i, zone))
	}
	return out
}

func serverNames(d *Delegation) []string {
	var out []string
	for _, s := range d.Servers {
		out = append(out, s.Name.String())
	}
	return out
}

func TestReferralMaxServers(t *testing.T) {
	refer := func(targets []string, addresses ...Address) []string {
		t.Helper()
		r := Referral{
			Zone: dnsname.MustParse("example."), Name: dnsname.MustParse("sub.example."),
			NS: ns("sub.example.", targets...), Addresses: addresses,
		}
		d, err := r.Delegation()
		if err != nil {
			t.Fatal(err)
		}
		return serverNames(d)
	}
	outside := names(20, "test.")
	inside := names(20, "sub.example.")
	var foreign []Address // addresses that a referral may not teach
	for _, name := range outside {
		foreign = append(foreign, addr(name, "203.0.113.66"))
	}
	tests := []struct {
		name      string
		got, want []string
	}{
		{"13 stay", refer(outside[:13]), outside[:13]},
		{"of 14 the first 13", refer(outside[:14]), outside[:13]},
		{"the one with glue comes first",
			refer(append(slices.Clone(outside), "ns.sub.example."), addr("ns.sub.example.", "192.0.2.1")),
			append([]string{"ns.sub.example."}, outside[:12]...)},
		{"useless addresses do not push it out",
			refer(append(slices.Clone(outside), "ns.sub.example."), append(foreign, addr("ns.sub.example.", "192.0.2.1"))...),
			append([]string{"ns.sub.example."}, outside[:12]...)},
		{"nor do names that cannot be reached",
			refer(append(slices.Clone(inside), outside[:2]...), addr(inside[19], "192.0.2.1")),
			append([]string{inside[19], outside[0], outside[1]}, inside[:10]...)},
	}
	for _, tt := range tests {
		if !slices.Equal(tt.got, tt.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", tt.name, tt.got, tt.want)
		}
	}
}

func TestReferralPick(t *testing.T) {
	refer := func(n int, pick func(int, func(i, j int))) *Delegation {
		r := Referral{
			Zone: dnsname.MustParse("example."), Name: dnsname.MustParse("sub.example."),
			NS: ns("sub.example.", names(n, "test.")...), Pick: pick,
		}
		r.NS = append(r.NS, ns("sub.example.", "ns.sub.example.")...)
		r.Addresses = []Address{addr("ns.sub.example.", "192.0.2.1")}
		d, err := r.Delegation()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	never := func(n int, _ func(i, j int)) { t.Errorf("asked to pick of %d", n) }
	if got := len(refer(MaxServers-1, never).Servers); got != MaxServers {
		t.Errorf("got %d servers, want %d", got, MaxServers)
	}
	backwards := func(n int, swap func(i, j int)) {
		for i := range n / 2 {
			swap(i, n-1-i)
		}
	}
	got := serverNames(refer(40, backwards))
	want := []string{"ns.sub.example."}
	for i := 39; len(want) < MaxServers; i-- {
		want = append(want, fmt.Sprintf("ns%d.test.", i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	// Over many picks everybody has a turn.
	r := rand.New(rand.NewPCG(5, 6))
	seen := make(map[string]bool)
	for range 200 {
		for _, name := range serverNames(refer(40, r.Shuffle)) {
			seen[name] = true
		}
	}
	if len(seen) != 41 {
		t.Errorf("%d of 41 name servers were ever picked", len(seen))
	}
}

func TestReferralMaxAddrs(t *testing.T) {
	tests := []struct {
		name       string
		ipv4, ipv6 int // addresses, IPv4 first
		want4      int
		want6      int
	}{
		{"six and none", 6, 0, 6, 0},
		{"seven and none", 7, 0, 6, 0},
		{"none and seven", 0, 7, 0, 6},
		{"three each", 3, 3, 3, 3},
		{"six each", 6, 6, 3, 3},
		{"many each", 200, 200, 3, 3},
		{"many and one", 200, 1, 5, 1},
		{"two and many", 2, 200, 2, 4},
	}
	for _, tt := range tests {
		r := Referral{Zone: dnsname.Root, Name: dnsname.MustParse("example."), NS: ns("example.", "ns.example.")}
		for i := range tt.ipv4 {
			r.Addresses = append(r.Addresses, addr("ns.example.", fmt.Sprintf("192.0.2.%d", i)))
		}
		for i := range tt.ipv6 {
			r.Addresses = append(r.Addresses, addr("ns.example.", fmt.Sprintf("2001:db8::%d", i)))
		}
		d, err := r.Delegation()
		if err != nil {
			t.Fatal(err)
		}
		got := d.Servers[0].Addrs
		if v4 := countFamily(got, true); v4 != tt.want4 || len(got)-v4 != tt.want6 {
			t.Errorf("%s: got %s; want %d of IPv4, %d of IPv6", tt.name, got, tt.want4, tt.want6)
		}
		if len(got) > 1 && !slices.IsSortedFunc(got, netip.Addr.Compare) {
			t.Errorf("%s: got %s; want the order of the referral", tt.name, got)
		}
	}
}

func TestReferralApex(t *testing.T) {
	r := Referral{
		Zone: dnsname.Root, Name: dnsname.Root, NS: ns(".", "a.root.example.", "b.root.example."),
		Addresses: []Address{addr("a.root.example.", "192.0.2.1"), addr("www.example.", "203.0.113.66")},
	}
	r.Addresses[0].TTL = 60
	if got, want := text(r.Apex()), ". 1m0s: a.root.example. in-domain 192.0.2.1; b.root.example. in-domain"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	r.NS = nil
	if got := r.Apex(); got.Zone != dnsname.Root || len(got.Servers) != 0 || got.TTL != 0 {
		t.Errorf("without NS records: got %s; want no servers", text(got))
	}
}

// The referral's own slices stay as they are; callers keep them.
func TestReferralKeepsItsInput(t *testing.T) {
	r := Referral{
		Zone: dnsname.MustParse("example."), Name: dnsname.MustParse("sub.example."),
		NS: ns("sub.example.", names(30, "test.")...), Addresses: []Address{addr("ns29.test.", "192.0.2.1")}, Pick: rand.Shuffle,
	}
	before := Referral{NS: slices.Clone(r.NS), Addresses: slices.Clone(r.Addresses)}
	if _, err := r.Delegation(); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r.NS, before.NS) || !reflect.DeepEqual(r.Addresses, before.Addresses) {
		t.Errorf("got %v, want %v", r, before)
	}
}

// referralOf reads a referral from foreign bytes: names out of a small pool, so
// that they meet, in any role.
func referralOf(b []byte) Referral {
	pool := []dnsname.Name{
		dnsname.Root, dnsname.MustParse("example."), dnsname.MustParse("sub.example."), dnsname.MustParse("www.sub.example."),
		dnsname.MustParse("ns.sub.example."), dnsname.MustParse("ns.other.example."), dnsname.MustParse("other.example."),
		dnsname.MustParse("test."), dnsname.MustParse("ns.test."), dnsname.MustParse(`ns\007example.`), dnsname.MustParse(`x\003sub.example.`), "",
	}
	next := func() uint8 {
		if len(b) == 0 {
			return 0
		}
		c := b[0]
		b = b[1:]
		return c
	}
	name := func() dnsname.Name {
		c := next()
		if c < 128 {
			return pool[int(c)%len(pool)]
		}
		n, _ := pool[int(c)%(len(pool)-1)].Child(fmt.Sprintf("n%d", c)) // more than 13 different ones
		return n
	}
	r := Referral{Zone: name(), Name: name()}
	for range next() % 64 {
		r.NS = append(r.NS, NS{name(), name(), uint32(next())})
	}
	for len(b) > 0 {
		address := netip.AddrFrom4([4]byte{192, 0, 2, next()})
		if next()%2 == 0 {
			address = netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: address.As4()[3]})
		}
		r.Addresses = append(r.Addresses, Address{name(), address, binary.BigEndian.Uint32([]byte{next(), 0, 0, next()})})
	}
	return r
}

// FuzzReferral: whatever a server sends, a delegation leads down and towards the
// name, stays in its limits, and holds no address of a name outside the NS set or
// outside the zone asked.
func FuzzReferral(f *testing.F) {
	f.Add([]byte{1, 3, 2, 2, 4, 60, 2, 8, 60, 1, 1, 4, 0, 60, 2, 0, 8, 0, 60}) // in-domain glue and a foreign address
	f.Add([]byte{1, 3, 1, 2, 3, 60, 1, 1, 5, 0, 9, 2, 1, 10, 0, 9})            // addresses of no name server
	f.Add([]byte{0, 3, 1, 1, 8, 60, 1, 1, 8, 0, 9})                            // from the root
	f.Add([]byte{2, 3, 1, 1, 4, 60})                                           // upward
	f.Add([]byte{1, 3, 2, 2, 4, 60, 6, 4, 60})                                 // two zones
	f.Add([]byte{11, 3, 1, 2, 4, 60})                                          // no zone
	many := []byte{1, 3, 40}
	for i := range 40 {
		many = append(many, 2, byte(128+i), 60)
	}
	for i := range 40 {
		many = append(many, byte(i), byte(i), byte(128+i%2), 0, 60)
	}
	f.Add(many) // over both limits
	f.Fuzz(func(t *testing.T, b []byte) {
		r := referralOf(b)
		d, err := r.Delegation()
		if err != nil {
			if d != nil {
				t.Fatalf("%s beside error %v", text(d), err)
			}
			return
		}
		if !d.Zone.IsBelow(r.Zone) || !r.Name.IsAtOrBelow(d.Zone) {
			t.Fatalf("%s asked for %s leads to %s", r.Zone, r.Name, d.Zone)
		}
		if len(d.Servers) == 0 || len(d.Servers) > MaxServers {
			t.Fatalf("%d servers", len(d.Servers))
		}
		for i, s := range d.Servers {
			if slices.ContainsFunc(d.Servers[:i], func(o Server) bool { return o.Name == s.Name }) {
				t.Fatalf("%s twice", s.Name)
			}
			checkServer(t, r, d, s)
		}
	})
}

func checkServer(t *testing.T, r Referral, d *Delegation, s Server) {
	t.Helper()
	listed := func(n NS) bool {
		return n.Owner == d.Zone && n.Target == s.Name && d.TTL <= time.Duration(n.TTL)*time.Second
	}
	if !slices.ContainsFunc(r.NS, listed) {
		t.Fatalf("%s is no name server of %s, or the TTL %s too long", s.Name, d.Zone, d.TTL)
	}
	if len(s.Addrs) > MaxAddrs {
		t.Fatalf("%d addresses", len(s.Addrs))
	}
	if len(s.Addrs) > 0 && !s.Name.IsAtOrBelow(r.Zone) {
		t.Fatalf("%s believes %s about %s", text(d), r.Zone, s.Name)
	}
	for i, a := range s.Addrs {
		given := func(g Address) bool {
			return g.Owner == s.Name && g.Addr == a && d.TTL <= time.Duration(g.TTL)*time.Second
		}
		if !slices.ContainsFunc(r.Addresses, given) || slices.Contains(s.Addrs[:i], a) {
			t.Fatalf("%s has %s, from nowhere, twice or too long", s.Name, a)
		}
	}
}

func BenchmarkReferralDelegation(b *testing.B) {
	referral := Referral{Zone: dnsname.Root, Name: dnsname.MustParse("www.example.")}
	for _, name := range names(13, "example.") {
		referral.NS = append(referral.NS, ns("example.", name)...)
		referral.Addresses = append(referral.Addresses, addr(name, "192.0.2.1"), addr(name, "2001:db8::1"))
	}
	hostile := Referral{Zone: dnsname.Root, Name: dnsname.MustParse("www.example.")}
	for _, name := range names(2500, "example.") {
		hostile.NS = append(hostile.NS, ns("example.", name)...)
		hostile.Addresses = append(hostile.Addresses, addr(name, "192.0.2.1"))
	}
	for name, r := range map[string]Referral{"13 servers": referral, "2500 servers": hostile} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.Delegation(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
