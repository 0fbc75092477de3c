package cache

import (
	"fmt"
	"testing"
	"time"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
)

func TestNoCut(t *testing.T) {
	zone := name("example.com")
	for _, tt := range []struct {
		about string
		zone  string
		name  string
		ttl   uint32
		lease time.Duration // 0: none
		asked string
		below string // the zone asked of
		want  string // "": nothing known
		alive time.Duration
		later func(v *View)
	}{
		{about: "the name", zone: "example.com", name: "a.example.com", ttl: 60, asked: "a.example.com", below: "example.com", want: "a.example.com", alive: 60 * time.Second},
		{about: "a name below", zone: "example.com", name: "a.example.com", ttl: 60, asked: "x.y.a.example.com", below: "example.com", want: "a.example.com", alive: 60 * time.Second},
		{about: "a name beside", zone: "example.com", name: "a.example.com", ttl: 60, asked: "b.example.com", below: "example.com"},
		{about: "a name above", zone: "example.com", name: "b.a.example.com", ttl: 60, asked: "a.example.com", below: "example.com"},
		{about: "another zone above", zone: "example.com", name: "b.a.example.com", ttl: 60, asked: "b.a.example.com", below: "com"},
		{about: "another zone below", zone: "example.com", name: "b.a.example.com", ttl: 60, asked: "b.a.example.com", below: "a.example.com"},
		{about: "the zone itself", zone: "example.com", name: "example.com", ttl: 60, asked: "a.example.com", below: "example.com"},
		{about: "a name elsewhere", zone: "example.com", name: "a.example.net", ttl: 60, asked: "a.example.net", below: "example.com"},
		{about: "no TTL", zone: "example.com", name: "a.example.com", asked: "a.example.com", below: "example.com", want: "a.example.com", alive: MaxBareTTL * time.Second},
		{about: "a long TTL", zone: "example.com", name: "a.example.com", ttl: 86400, asked: "a.example.com", below: "example.com", want: "a.example.com", alive: DefaultMaxNegativeTTL},
		{about: "the lease", zone: "example.com", name: "a.example.com", ttl: 60, lease: 20 * time.Second, asked: "a.example.com", below: "example.com", want: "a.example.com", alive: 20 * time.Second},
		{about: "a lease that has ended", zone: "example.com", name: "a.example.com", ttl: 60, lease: -time.Second, asked: "a.example.com", below: "example.com"},
		{about: "below the root", zone: ".", name: "com", ttl: 60, asked: "example.com", below: ".", want: "com", alive: 60 * time.Second},
		{
			about: "a zone there", zone: "example.com", name: "a.example.com", ttl: 60, asked: "a.example.com", below: "example.com",
			later: func(v *View) { v.PutCut(start, delegation("a.example.com", 60, "ns", "192.0.2.1"), referral) },
		},
		{
			about: "a zone elsewhere", zone: "example.com", name: "a.example.com", ttl: 60, asked: "a.example.com", below: "example.com", want: "a.example.com", alive: 60 * time.Second,
			later: func(v *View) { v.PutCut(start, delegation("b.example.com", 60, "ns", "192.0.2.1"), referral) },
		},
		{
			about: "a shorter word afterwards", zone: "example.com", name: "a.example.com", ttl: 60, asked: "a.example.com", below: "example.com", want: "a.example.com", alive: 60 * time.Second,
			later: func(v *View) { v.PutNoCut(start, zone, name("a.example.com"), 20, time.Time{}) },
		},
		{
			about: "a longer word afterwards", zone: "example.com", name: "a.example.com", ttl: 60, asked: "a.example.com", below: "example.com", want: "a.example.com", alive: 90 * time.Second,
			later: func(v *View) { v.PutNoCut(start, zone, name("a.example.com"), 90, time.Time{}) },
		},
		{
			about: "purged", zone: "example.com", name: "a.example.com", ttl: 60, asked: "a.example.com", below: "example.com",
			later: func(v *View) { v.cache.PurgeBelow("com") },
		},
		{
			about: "cleared", zone: "example.com", name: "a.example.com", ttl: 60, asked: "a.example.com", below: "example.com",
			later: func(v *View) { v.cache.Clear() },
		},
	} {
		t.Run(tt.about, func(t *testing.T) {
			v := newView(Options{})
			var until time.Time
			if tt.lease != 0 {
				until = start.Add(tt.lease)
			}
			v.PutNoCut(start, name(tt.zone), name(tt.name), tt.ttl, until)
			if tt.later != nil {
				tt.later(v)
			}
			var want dnsname.Name
			if tt.want != "" {
				want = name(tt.want)
			}
			if got := v.NoCut(start.Add(max(tt.alive-time.Millisecond, 0)), name(tt.below), name(tt.asked)); got != want {
				t.Errorf("NoCut = %q, want %q", got, want)
			}
			if got := v.NoCut(start.Add(tt.alive), name(tt.below), name(tt.asked)); got != "" {
				t.Errorf("after %s NoCut = %q, want nothing", tt.alive, got)
			}
			if got := v.cache.View([32]byte{9}).NoCut(start, name(tt.below), name(tt.asked)); got != "" {
				t.Errorf("another view has %q", got)
			}
		})
	}
}

// A flood of names takes no more memory than there is for them, and leaves those in use.
func TestNoCutFlood(t *testing.T) {
	c := New(Options{MaxBytes: 4 << 20})
	v := c.View([32]byte{1})
	zone := name("example.com")
	inUse := func() (n int) {
		for at := range 100 {
			if v.NoCut(start, zone, numbered(at)) != "" {
				n++
			}
		}
		return n
	}
	for at := range 100 {
		v.PutNoCut(start, zone, numbered(at), 300, time.Time{})
	}
	if n := inUse(); n < 99 {
		t.Fatalf("%d of 100 are kept", n)
	}
	for at := range 100_000 {
		v.PutNoCut(start, zone, name(fmt.Sprintf("x%d.example.com", at)), 3600, time.Time{})
		if at%500 == 0 {
			inUse()
		}
	}
	sh := c.Stats().Shards
	last := sh[len(sh)-1]
	if last.Puts != 100_100 || last.Evictions == 0 || last.Bytes == 0 || last.Bytes > last.MaxBytes || c.Bytes() > 4<<20 {
		t.Errorf("got %+v", last)
	}
	if n := inUse(); n < 90 {
		t.Errorf("after the flood %d of 100 names in use are kept", n)
	}
}

// A cache with no room for them keeps none, and works.
func TestNoCutWithoutRoom(t *testing.T) {
	v := newView(Options{MaxBytes: 1 << 16})
	v.PutNoCut(start, name("example.com"), name("a.example.com"), 60, time.Time{})
	v.PutCut(start, &glue.Delegation{Zone: name("a.example.com"), TTL: time.Minute}, referral)
	if got := v.NoCut(start, name("example.com"), name("a.example.com")); got != "" {
		t.Errorf("NoCut = %q, want nothing", got)
	}
}
