package keycache

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// oneView is a route table without routes.
type oneView struct{}

func (oneView) ViewID(time.Time, answer.Question) uint32 { return 0 }

// proof makes evidence of a zone whose keys and delegation have records of so many bytes.
func proof(t *testing.T, zone dnsname.Name, bytes int) *dnssec.Evidence {
	v, err := dnssec.New(dnssec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	e := v.Evidence(time.Time{}, time.Time{}, dnssec.NewWork(dnssec.Limits{}))
	set := &dnssec.RRset{Owner: zone, Type: dns.TypeDNSKEY, Class: dns.ClassINET, Records: dnssec.Pack(strings.Repeat("k", bytes))}
	e.AddKeySet(&dnssec.KeySet{Zone: zone, RRset: set, TTL: 60})
	ds := *set
	ds.Type = dns.TypeDS
	e.AddDelegation(&dnssec.Delegation{Name: zone, Kind: dnssec.DelegationSigned, DS: &ds, TTL: 60})
	return e
}

// knows reports whether both keys and delegation of a zone are there.
func (c View) knows(t *testing.T, now time.Time, zone dnsname.Name) bool {
	e := proof(t, dnsname.Root, 1)
	c.Load(now, zone, e)
	keys, ds := e.KeySet(zone) != nil, e.Delegation(zone) != nil
	if keys != ds || ds != c.IsSigned(now, zone) {
		t.Errorf("%s: got keys %t, delegation %t, signed %t, want them all or none", zone, keys, ds, c.IsSigned(now, zone))
	}
	return keys
}

// Keys and delegations are bounded in number and in bytes, and what is in use is kept.
func TestBounded(t *testing.T) {
	now := time.Unix(1e9, 0)
	for _, c := range []struct{ zones, bytes, kept int }{
		{maxZones + 100, 10, maxZones},
		{2000, 60_000, maxBytes / 60_000},
	} {
		cache := New().DividedBy(oneView{})
		zone := func(i int) dnsname.Name { return dnsname.MustParse(fmt.Sprintf("z%d.", i)) }
		for i := range c.zones {
			cache.Save(now, zone(i), proof(t, zone(i), c.bytes))
			if i%50 == 0 && !cache.knows(t, now, zone(0)) {
				t.Fatalf("%d bytes: the zone used all the time is forgotten with the zone %d", c.bytes, i)
			}
		}
		if !cache.knows(t, now, zone(c.zones-1)) || cache.knows(t, now, zone(1)) {
			t.Errorf("%d bytes: got the last zone %t, the first %t, want the last alone",
				c.bytes, cache.knows(t, now, zone(c.zones-1)), cache.knows(t, now, zone(1)))
		}
		for what, got := range map[string][2]int{
			"keys":        {cache.keys.entries.Len(), cache.keys.size},
			"delegations": {cache.delegations.entries.Len(), cache.delegations.size},
		} {
			if got[0] > c.kept+1 || got[0] < c.kept*9/10 || got[1] > maxBytes {
				t.Errorf("%d bytes, %s: got %d of %d bytes, want about %d of at most %d", c.bytes, what, got[0], got[1], c.kept, maxBytes)
			}
		}
	}
}

// What takes another's place takes its bytes too, and what has expired is not returned.
func TestReplaced(t *testing.T) {
	now, zone := time.Unix(1e9, 0), dnsname.MustParse("example.")
	cache := New().DividedBy(oneView{})
	first := proof(t, zone, 1000)
	if added := cache.Save(now, zone, first); len(added) != 1 {
		t.Errorf("got %d new delegations, want 1", len(added))
	}
	size := cache.keys.size
	if added := cache.Save(now, zone, first); len(added) != 0 || cache.keys.size != size {
		t.Errorf("the same again: got %d new ones of %d bytes, want none and the %d of before", len(added), cache.keys.size, size)
	}
	for range 1000 {
		cache.Save(now, zone, proof(t, zone, 1000))
	}
	if cache.keys.size != size || cache.delegations.entries.Len() != 1 {
		t.Errorf("replaced 1,000 times: got %d bytes, want %d", cache.keys.size, size)
	}
	if now = now.Add(61 * time.Second); cache.knows(t, now, zone) {
		t.Error("what has expired is returned")
	}
}

// What has expired is still there to be judged again, as long ago as its reader wants and not
// before the clock was set back; what was proven later takes its place, even if that may not be
// kept.
func TestLast(t *testing.T) {
	now, zone := time.Unix(1e9, 0), dnsname.MustParse("example.")
	cache := New().DividedBy(oneView{})
	k := cache.keyOf(now, zone, dns.TypeDNSKEY)
	ds := cache.keyOf(now, zone, dns.TypeDS)
	first := proof(t, zone, 10)
	cache.Save(now, zone, first)
	for after, want := range map[time.Duration]bool{0: true, 59 * time.Second: true, 61 * time.Second: true, 119 * time.Second: true, 121 * time.Second: false, -time.Minute: false} {
		got, ok := cache.keys.last(k, now.Add(after), time.Minute)
		d, known := cache.delegations.last(ds, now.Add(after), time.Minute)
		if ok != want || known != want || want && (got != first.KeySet(zone) || d != first.Delegation(zone)) {
			t.Errorf("after %v: got %t, %t, want %t", after, ok, known, want)
		}
	}
	second := proof(t, zone, 20)
	cache.Save(now.Add(time.Hour), zone, second)
	if got, ok := cache.keys.last(k, now.Add(time.Hour), time.Minute); !ok || got != second.KeySet(zone) {
		t.Errorf("got %v, %t, want what was proven last", got, ok)
	}
	brief := proof(t, zone, 30)
	brief.KeySet(zone).TTL, brief.Delegation(zone).TTL = 0, 0
	if added := cache.Save(now.Add(time.Hour), zone, brief); len(added) != 0 || cache.keys.size != 0 || cache.delegations.size != 0 {
		t.Errorf("got %v, %d and %d bytes, want nothing kept, neither what was before", added, cache.keys.size, cache.delegations.size)
	}
}
