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
	c.Load(now, zone, e, new(Known))
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
			cache.Save(now, zone(i), proof(t, zone(i), c.bytes), new(Known))
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
	if added := cache.Save(now, zone, first, new(Known)); len(added) != 1 {
		t.Errorf("got %d new delegations, want 1", len(added))
	}
	size := cache.keys.size
	if added := cache.Save(now, zone, first, new(Known)); len(added) != 0 || cache.keys.size != size {
		t.Errorf("the same again: got %d new ones of %d bytes, want none and the %d of before", len(added), cache.keys.size, size)
	}
	for range 1000 {
		cache.Save(now, zone, proof(t, zone, 1000), new(Known))
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
	cache.Save(now, zone, first, new(Known))
	for after, want := range map[time.Duration]bool{0: true, 59 * time.Second: true, 61 * time.Second: true, 119 * time.Second: true, 121 * time.Second: false, -time.Minute: false} {
		got, ok := cache.keys.last(k, now.Add(after), time.Minute)
		d, known := cache.delegations.last(ds, now.Add(after), time.Minute)
		if ok != want || known != want || want && (got != first.KeySet(zone) || d != first.Delegation(zone)) {
			t.Errorf("after %v: got %t, %t, want %t", after, ok, known, want)
		}
	}
	second := proof(t, zone, 20)
	cache.Save(now.Add(time.Hour), zone, second, new(Known))
	if got, ok := cache.keys.last(k, now.Add(time.Hour), time.Minute); !ok || got != second.KeySet(zone) {
		t.Errorf("got %v, %t, want what was proven last", got, ok)
	}
	brief := proof(t, zone, 30)
	brief.KeySet(zone).TTL, brief.Delegation(zone).TTL = 0, 0
	if added := cache.Save(now.Add(time.Hour), zone, brief, new(Known)); len(added) != 0 || cache.keys.size != 0 || cache.delegations.size != 0 {
		t.Errorf("got %v, %d and %d bytes, want nothing kept, neither what was before", added, cache.keys.size, cache.delegations.size)
	}
}

// TestRollback: what a slow question has loaded, or saved itself a while ago, neither takes the
// place of what was proven since nor begins its time again.
func TestRollback(t *testing.T) {
	now, zone := time.Unix(1e9, 0), dnsname.MustParse("example.")
	for _, c := range []struct {
		about string
		slow  func(cache View, old *dnssec.Evidence, known *Known) // how the slow question knows the old proof
	}{
		{"loaded", func(cache View, old *dnssec.Evidence, known *Known) {
			cache.Save(now, zone, old, new(Known))
			cache.Load(now, zone, proof(t, dnsname.Root, 1), known)
		}},
		{"saved", func(cache View, old *dnssec.Evidence, known *Known) { cache.Save(now, zone, old, known) }},
	} {
		for _, evicted := range []bool{false, true} {
			cache, old, known := New().DividedBy(oneView{}), proof(t, zone, 10), new(Known)
			c.slow(cache, old, known)
			later := now.Add(59 * time.Second)
			since := proof(t, zone, 20)
			if cache.Save(later, zone, since, new(Known)); evicted {
				cache.keys.entries.Purge()
				cache.delegations.entries.Purge()
			}
			if added := cache.Save(later, zone, old, known); len(added) != 0 {
				t.Errorf("%s, evicted %t: got %v new, want none", c.about, evicted, added)
			}
			got, ok := cache.keys.get(cache.keyOf(later, zone, dns.TypeDNSKEY), later)
			d, knows := cache.delegations.get(cache.keyOf(later, zone, dns.TypeDS), later)
			if ok == evicted || knows == evicted || !evicted && (got != since.KeySet(zone) || d != since.Delegation(zone)) {
				t.Errorf("%s, evicted %t: got %v and %v, want what was proven last", c.about, evicted, got, d)
			}
		}
	}
}

// TestEndContradicted: a Secure answer ends what is kept of zones that it says are gone, and of keys
// that are others, and nothing else.
func TestEndContradicted(t *testing.T) {
	now := time.Unix(1e9, 0)
	top, zone, below := dnsname.MustParse("test."), dnsname.MustParse("shop.test."), dnsname.MustParse("www.shop.test.")
	set := func(owner dnsname.Name, rrtype uint16, records ...string) *dnssec.RRset {
		return &dnssec.RRset{Owner: owner, Type: rrtype, Class: dns.ClassINET, Records: dnssec.Pack(records...)}
	}
	secure := func(signer dnsname.Name, s *dnssec.RRset) *dnssec.Verdict {
		return &dnssec.Verdict{Status: dnssec.Secure, Zone: signer, Sets: []dnssec.SetVerdict{{Set: s, Status: dnssec.Secure, Zone: signer}}}
	}
	denied := func(name bool) *dnssec.Verdict {
		return &dnssec.Verdict{Status: dnssec.Secure, Zone: top, Denial: &dnssec.Denial{NameError: name}}
	}
	insecure := denied(true)
	insecure.Status = dnssec.Insecure
	kept := strings.Repeat("k", 10)
	for _, c := range []struct {
		about    string
		qname    dnsname.Name
		qtype    uint16
		v        *dnssec.Verdict
		keys, ds bool // are kept
	}{
		{"data of the zone", below, dns.TypeA, secure(zone, set(below, dns.TypeA, "a")), true, true},
		{"data of the zone above, beside", top, dns.TypeA, secure(top, set(top, dns.TypeA, "a")), true, true},
		{"data of the zone above, at the name", zone, dns.TypeA, secure(top, set(zone, dns.TypeA, "a")), false, false},
		{"data of the zone above, below the name", below, dns.TypeA, secure(top, set(below, dns.TypeA, "a")), false, false},
		{"the same keys", zone, dns.TypeDNSKEY, secure(zone, set(zone, dns.TypeDNSKEY, kept)), true, true},
		{"other keys", zone, dns.TypeDNSKEY, secure(zone, set(zone, dns.TypeDNSKEY, kept, "new")), false, true},
		{"the same DS", zone, dns.TypeDS, secure(top, set(zone, dns.TypeDS, kept)), true, true},
		{"another DS", zone, dns.TypeDS, secure(top, set(zone, dns.TypeDS, "new")), true, false},
		{"a DS below, of the zone above", below, dns.TypeDS, secure(top, set(below, dns.TypeDS, "new")), false, false},
		{"NSEC of the cut", zone, dns.TypeNSEC, secure(top, set(zone, dns.TypeNSEC, "n")), true, true},
		{"no DS", zone, dns.TypeDS, denied(false), true, false},
		{"no DS, nor the name", zone, dns.TypeDS, denied(true), false, false},
		{"no such type", zone, dns.TypeA, denied(false), false, false},
		{"no such name", below, dns.TypeA, denied(true), false, false},
		{"no such name, with opt-out", below, dns.TypeA, insecure, true, true},
	} {
		for _, after := range []time.Duration{0, 2 * time.Hour} { // alive, and expired
			cache := New().DividedBy(oneView{})
			cache.Save(now, zone, proof(t, zone, 10), new(Known))
			r := &dnssec.Response{Name: c.qname, Type: c.qtype}
			if c.v.Denial == nil {
				r.Answer = []*dnssec.RRset{c.v.Sets[0].Set}
			}
			cache.EndContradicted(now.Add(after), r, c.v)
			_, keys := cache.keys.last(cache.keyOf(now, zone, dns.TypeDNSKEY), now, 24*time.Hour)
			_, ds := cache.delegations.last(cache.keyOf(now, zone, dns.TypeDS), now, 24*time.Hour)
			if keys != c.keys || ds != c.ds {
				t.Errorf("%s: got keys kept %t, delegation %t, want %t, %t", c.about, keys, ds, c.keys, c.ds)
			}
		}
	}
}
