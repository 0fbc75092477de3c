package cache

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/iterdns/iterdns/glue"
)

// delegation makes a delegation of zone to one server below it, label.zone.
func delegation(zone string, seconds int, label string, addrs ...string) *glue.Delegation {
	s := glue.Server{Name: name(label + "." + zone), Bailiwick: glue.InDomain}
	for _, a := range addrs {
		s.Addrs = append(s.Addrs, netip.MustParseAddr(a))
	}
	return &glue.Delegation{Zone: name(zone), Servers: []glue.Server{s}, TTL: time.Duration(seconds) * time.Second}
}

var referral = Meta{Rank: RankReferral}

func TestDeepestCut(t *testing.T) {
	v := newView(Options{})
	v.PutCut(start, delegation("com", 3600, "a", "192.0.2.1"), referral)
	v.PutCut(start, delegation("example.com", 60, "ns", "192.0.2.2"), referral)
	v.PutCut(start, delegation("b.a.example.com", 600, "ns", "192.0.2.3"), referral)
	for _, tt := range []struct {
		name  string
		after time.Duration
		zone  string // "": none
	}{
		{"www.example.com", 0, "example.com"},
		{"example.com", 0, "example.com"},
		{"a.example.com", 0, "example.com"},
		{"x.b.a.example.com", 0, "b.a.example.com"},
		{"com", 0, "com"},
		{"example.net", 0, ""},
		{".", 0, ""},
		{"www.example.com", 60 * time.Second, "com"},
		{"x.b.a.example.com", 60 * time.Second, "b.a.example.com"},
		{"x.b.a.example.com", 600 * time.Second, "com"},
		{"www.example.com", 3600 * time.Second, ""},
	} {
		cut, ok := v.GetCut(start.Add(tt.after), name(tt.name))
		if ok != (tt.zone != "") || ok && cut.Zone != name(tt.zone) {
			t.Errorf("GetCut(%s) after %s = %+v, %v; want %q", tt.name, tt.after, cut.Delegation, ok, tt.zone)
		}
	}
}

func TestCutIsLeasedFromTheParent(t *testing.T) {
	for _, tt := range []struct {
		about  string
		second func(v *View, now time.Time)
		alive  time.Duration // from start
		server string
	}{
		{"left alone", func(*View, time.Time) {}, 100 * time.Second, "ns.example.com"},
		{"the child's NS", func(v *View, now time.Time) {
			v.PutCut(now, delegation("example.com", 86400, "child", "192.0.2.9"), Meta{Rank: RankAuthority})
		}, 100 * time.Second, "ns.example.com"},
		{"the child's answer", func(v *View, now time.Time) {
			v.PutCut(now, delegation("example.com", 86400, "child", "192.0.2.9"), Meta{Rank: RankAnswer})
		}, 100 * time.Second, "ns.example.com"},
		{"the parent again, longer", func(v *View, now time.Time) {
			v.PutCut(now, delegation("example.com", 200, "new", "192.0.2.9"), referral)
		}, 250 * time.Second, "new.example.com"},
		{"the parent again, shorter", func(v *View, now time.Time) {
			v.PutCut(now, delegation("example.com", 10, "new", "192.0.2.9"), referral)
		}, 60 * time.Second, "new.example.com"},
		{"capped", func(v *View, now time.Time) {
			v.PutCut(now, delegation("example.com", 1e6, "new", "192.0.2.9"), referral)
		}, 86450 * time.Second, "new.example.com"},
		{"no longer than the cut it came through", func(v *View, now time.Time) {
			v.PutCut(now, delegation("example.com", 3600, "new", "192.0.2.9"), Meta{NotAfter: now.Add(20 * time.Second)})
		}, 70 * time.Second, "new.example.com"},
		{"without a TTL", func(v *View, now time.Time) {
			v.PutCut(now, delegation("example.com", 0, "new", "192.0.2.9"), referral)
		}, 100 * time.Second, "ns.example.com"},
	} {
		v := newView(Options{})
		v.PutCut(start, delegation("example.com", 100, "ns", "192.0.2.1"), referral)
		tt.second(v, start.Add(50*time.Second))
		now := start.Add(tt.alive - time.Millisecond)
		cut, ok := v.GetCut(now, name("www.example.com"))
		if !ok || cut.Servers[0].Name != name(tt.server) || !cut.Expires.Equal(start.Add(tt.alive)) {
			t.Errorf("%s: just before %s GetCut = %+v until %s, %v; want %s", tt.about, tt.alive, cut.Delegation, cut.Expires, ok, tt.server)
		}
		if got := v.Glue(now, name(tt.server)); len(got) != 1 {
			t.Errorf("%s: just before %s Glue(%s) = %v, want one address", tt.about, tt.alive, tt.server, got)
		}
		now = start.Add(tt.alive)
		if cut, ok := v.GetCut(now, name("www.example.com")); ok {
			t.Errorf("%s: at %s GetCut = %+v, want nothing", tt.about, tt.alive, cut.Delegation)
		}
		for _, host := range []string{"ns.example.com", "new.example.com", "child.example.com"} {
			if got := v.Glue(now, name(host)); len(got) != 0 {
				t.Errorf("%s: at %s Glue(%s) = %v, want nothing", tt.about, tt.alive, host, got)
			}
		}
	}
}

// The root has no parent: priming is its own word.
func TestPrimedRoot(t *testing.T) {
	v := newView(Options{})
	d := &glue.Delegation{Zone: name("."), TTL: 518400 * time.Second, Servers: []glue.Server{{Name: name("a.root.example")}}}
	v.PutCut(start, d, Meta{Rank: RankAnswer})
	if cut, ok := v.GetCut(start, name("www.example.com")); !ok || !cut.Zone.IsRoot() || !cut.Expires.Equal(start.Add(24*time.Hour)) {
		t.Errorf("GetCut = %+v, %v; want the root for a day", cut, ok)
	}
}

func TestGlueOfSeveralDelegations(t *testing.T) {
	shared := func(zone string, seconds int, addr string) *glue.Delegation {
		d := delegation(zone, seconds, "own")
		d.Servers = append(d.Servers, glue.Server{Name: name("ns.host.com"), Addrs: []netip.Addr{netip.MustParseAddr(addr)}})
		return d
	}
	v := newView(Options{})
	vouched := Meta{Rank: RankReferral, Vouched: true}
	v.PutCut(start, shared("a.com", 100, "192.0.2.1"), vouched)
	v.PutCut(start, shared("b.com", 200, "192.0.2.2"), vouched)
	v.PutCut(start, shared("c.com", 300, "192.0.2.1"), vouched)
	glueAt := func(after int) []string {
		var got []string
		for _, a := range v.Glue(start.Add(time.Duration(after)*time.Second), name("ns.host.com")) {
			got = append(got, a.String())
		}
		slices.Sort(got)
		return got
	}
	for _, tt := range []struct {
		after int
		want  []string
	}{
		{0, []string{"192.0.2.1", "192.0.2.2"}},
		{100, []string{"192.0.2.1", "192.0.2.2"}},
		{200, []string{"192.0.2.1"}},
		{300, nil},
	} {
		if got := glueAt(tt.after); !slices.Equal(got, tt.want) {
			t.Errorf("glue after %d s = %v, want %v", tt.after, got, tt.want)
		}
	}
	v.DropCut(name("b.com"))
	if got := glueAt(0); !slices.Equal(got, []string{"192.0.2.1"}) {
		t.Errorf("glue after DropCut = %v, want what the others brought", got)
	}
	if cut, ok := v.GetCut(start, name("b.com")); ok {
		t.Errorf("GetCut after DropCut = %+v, want nothing", cut.Delegation)
	}
	// The parent's newer word without the address takes the address back.
	v.PutCut(start, delegation("a.com", 100, "own"), referral)
	v.PutCut(start, delegation("c.com", 100, "own"), referral)
	if got := glueAt(0); len(got) != 0 {
		t.Errorf("glue after referrals without it = %v, want none", got)
	}
}

// TestGlueThatMayBeForged: a referral that may be forged, of a name that anybody can make up,
// teaches nothing of hosts outside its zone to other delegations, and takes back what it taught
// when it could not be.
func TestGlueThatMayBeForged(t *testing.T) {
	v := newView(Options{})
	d := delegation("rnd.host.com", 300, "ns", "203.0.113.66")
	d.Servers = append(d.Servers, glue.Server{Name: name("ns.host.com"), Addrs: []netip.Addr{netip.MustParseAddr("203.0.113.66")}})
	glued := func(when, host string, want ...string) {
		t.Helper()
		var got []string
		for _, a := range v.Glue(start, name(host)) {
			got = append(got, a.String())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %s has glue %v, want %v", when, host, got, want)
		}
	}
	v.PutCut(start, delegation("host.com", 300, "ns", "192.0.2.1"), referral)
	v.PutCut(start, d, referral)
	glued("forged", "ns.host.com", "192.0.2.1")
	glued("forged", "ns.rnd.host.com", "203.0.113.66")
	if cut, ok := v.GetCut(start, name("rnd.host.com")); !ok || len(cut.Servers[1].Addrs) != 1 {
		t.Errorf("GetCut = %+v, %v, want the delegation with its own glue", cut.Delegation, ok)
	}
	v.PutCut(start, d, Meta{Rank: RankReferral, Vouched: true})
	glued("vouched", "ns.host.com", "203.0.113.66", "192.0.2.1")
	v.PutCut(start, d, referral)
	glued("forged again", "ns.host.com", "192.0.2.1")
}

func TestCutIsCopied(t *testing.T) {
	v := newView(Options{})
	d := delegation("example.com", 100, "ns", "192.0.2.1")
	v.PutCut(start, d, referral)
	d.Servers[0].Addrs[0] = netip.MustParseAddr("203.0.113.66")
	d.Servers[0].Name = name("evil.example.net")
	cut, _ := v.GetCut(start, name("example.com"))
	if s := cut.Servers[0]; s.Name != name("ns.example.com") || s.Addrs[0] != netip.MustParseAddr("192.0.2.1") || s.Bailiwick != glue.InDomain {
		t.Errorf("server %+v, want what was stored", s)
	}
	got := v.Glue(start, name("ns.example.com"))
	got[0] = netip.MustParseAddr("203.0.113.66")
	if again := v.Glue(start, name("ns.example.com")); again[0] != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("Glue = %v after its caller changed an earlier result", again)
	}
}

// A delegation that is too large to be kept still ends the one before it, which is no longer
// what the parent says.
func TestTooLargeDelegationEndsTheOld(t *testing.T) {
	v := newView(Options{MaxBytes: 1 << 16})
	v.PutCut(start, delegation("shop.example.com", 300, "ns", "192.0.2.1"), referral)
	if _, ok := v.GetCut(start, name("shop.example.com")); !ok {
		t.Fatal("a small delegation was not kept")
	}
	addrs := make([]string, 200)
	for n := range addrs {
		addrs[n] = fmt.Sprintf("192.0.2.%d", n)
	}
	v.PutCut(start, delegation("shop.example.com", 300, "ns", addrs...), referral)
	if cut, ok := v.GetCut(start, name("shop.example.com")); ok {
		t.Errorf("GetCut = %v, want nothing", cut.Delegation)
	}
}
