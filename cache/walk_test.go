package cache

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// fill puts one thing of each kind into the view, all below example.com.
func fill(t testing.TB, v *View, now time.Time) {
	t.Helper()
	zone := name("example.com")
	v.Put(now, addressSet(name("www.example.com"), 300, anyAddr), answer)
	v.Put(now, set(t, "example.com. 300 IN DNSKEY 257 3 13 AAAA"), Meta{Rank: RankAnswer, Status: dnssec.Secure})
	v.Put(now, packSet(t, mustRR(t, "any.w.example.com. 300 IN TXT x"), signatureOver(t, dns.TypeTXT, name("any.w.example.com"), 3, zone)),
		Meta{Rank: RankAnswer, Status: dnssec.Secure})
	v.PutNegative(now, Negative{Name: name("www.example.com"), Type: dns.TypeMX, SOA: soa(t, "example.com", 300, 300)}, Meta{})
	v.PutNegative(now, Negative{Name: name("no.example.com"), Type: dns.TypeA, NameError: true, Status: dnssec.Secure,
		SOA: soa(t, "example.com", 300, 300), Proof: []*dnssec.RRset{nsecSet(t, zone, zone, name("www.example.com"), dns.TypeSOA)}}, Meta{})
	v.PutFailure(now, name("dead.example.com"), dns.TypeA, Checked, 22, "")
	v.PutChain(now, Chain{Name: name("alias.example.com"), Type: dns.TypeA, Answer: []*dnssec.RRset{
		set(t, "alias.example.com. 300 IN CNAME www.example.com."), addressSet(name("www.example.com"), 300, anyAddr)}}, answer)
	v.ClaimRefresh(now, name("www.example.com"), dns.TypeA, Checked)
	v.PutCut(now, delegation("example.com", 300, "ns", "192.0.2.1"), referral)
	v.PutCut(now, delegation("com", 300, "a", "192.0.2.1"), referral)
}

// shown lists what Walk shows as lines.
func shown(c *Cache, now time.Time) []string {
	var lines []string
	c.Walk(now, func(e Entry) bool {
		lines = append(lines, fmt.Sprintf("%s %s %s %d %s", e.Kind, e.Name, dns.TypeToString[e.Type], e.TTL, e.Status))
		return true
	})
	slices.Sort(lines)
	return lines
}

func TestWalk(t *testing.T) {
	c := New(Options{})
	fill(t, c.View([32]byte{9}), start)
	want := []string{
		"chain alias.example.com. A 290 indeterminate",
		"claim www.example.com. A 20 indeterminate",
		"cut com. None 290 indeterminate",
		"cut example.com. None 290 indeterminate",
		"failure dead.example.com. A 295 indeterminate",
		"glue a.com. None 290 indeterminate",
		"glue ns.example.com. None 290 indeterminate",
		"name error no.example.com. None 290 secure",
		"nodata www.example.com. MX 290 indeterminate",
		"range example.com. NSEC 290 secure",
		"range example.com. SOA 290 secure",
		"rrset any.w.example.com. TXT 290 secure",
		"rrset example.com. DNSKEY 290 secure",
		"rrset www.example.com. A 290 indeterminate",
		"wildcard *.w.example.com. TXT 290 secure",
	}
	if got := shown(c, start.Add(10*time.Second)); !slices.Equal(got, want) {
		t.Errorf("Walk shows\n%q\nwant\n%q", got, want)
	}
	visits := 0
	c.Walk(start, func(e Entry) bool {
		visits++
		if e.View != [32]byte{9} {
			t.Errorf("%s %s is said to be of view %x", e.Kind, e.Name, e.View)
		}
		return visits < 3
	})
	c.Walk(start.Add(time.Second), func(e Entry) bool {
		if f := e.Failure; (f != nil) != (e.Kind == KindFailure) || f != nil && (f.Cause != 22 || f.Count != 1 || !f.Until.Equal(start.Add(firstFailure))) {
			t.Errorf("%s %s: got failure %+v", e.Kind, e.Name, f)
		}
		return true
	})
	if visits != 3 {
		t.Errorf("%d visits, want to stop after 3", visits)
	}
	if got := c.Len(); got != len(want)-1 { // a zone's SOA goes with its ranges
		t.Errorf("Len() = %d, want %d", got, len(want)-1)
	}
}

func TestPurge(t *testing.T) {
	below := func(n string) func(*Cache) (int, error) {
		return func(c *Cache) (int, error) { return c.PurgeBelow(n) }
	}
	exactly := func(n string) func(*Cache) (int, error) { return func(c *Cache) (int, error) { return c.Purge(n) } }
	for _, tt := range []struct {
		about string
		purge func(*Cache) (int, error)
		count int
		gone  map[string]bool
	}{
		{"a name", exactly("www.example.com"), 4, map[string]bool{
			"www.example.com.": true, "example.com.": false, "alias.example.com.": false}},
		{"a zone's name, not what is below", exactly("Example.COM."), 3, map[string]bool{
			"example.com.": true, "www.example.com.": false}},
		{"a host", exactly("ns.example.com"), 2, map[string]bool{"ns.example.com.": true, "www.example.com.": false}},
		{"below a zone", below("example.com"), 12, map[string]bool{"example.com.": true, "www.example.com.": true, "com.": false}},
		{"all", below("."), 14, map[string]bool{"com.": true, "a.com.": true, "www.example.com.": true}},
		{"nothing of that name", exactly("example.net"), 0, map[string]bool{"www.example.com.": false}},
	} {
		c := New(Options{})
		fill(t, c.View([32]byte{}), start)
		n, err := tt.purge(c)
		if n != tt.count || err != nil {
			t.Errorf("%s: %d entries gone, error %v; want %d", tt.about, n, err, tt.count)
		}
		there := map[string]bool{}
		c.Walk(start, func(e Entry) bool { there[e.Name.String()] = true; return true })
		for n, gone := range tt.gone {
			if there[n] == gone {
				t.Errorf("%s: %s is there: %v, want %v; cache has %v", tt.about, n, there[n], !gone, slices.Sorted(maps.Keys(there)))
			}
		}
	}
	if _, err := New(Options{}).Purge("a..b"); err == nil {
		t.Error("Purge of what is no name: no error")
	}
	if _, err := New(Options{}).PurgeBelow(""); err == nil {
		t.Error("PurgeBelow of what is no name: no error")
	}
}

func TestClear(t *testing.T) {
	c := New(Options{})
	v := c.View([32]byte{})
	empty := c.Bytes()
	fill(t, v, start)
	c.Clear()
	if c.Len() != 0 || c.Bytes() != empty {
		t.Errorf("after Clear: %d entries, %d bytes; want 0, %d", c.Len(), c.Bytes(), empty)
	}
	fill(t, v, start)
	if got := shown(c, start); len(got) != 15 {
		t.Errorf("filled again after Clear, it shows %q; want 15 lines", got)
	}
}

func TestStats(t *testing.T) {
	c := New(Options{KeepStale: time.Hour})
	v := c.View([32]byte{})
	fill(t, v, start)
	www := name("www.example.com")
	v.Get(start, www, dns.TypeA, Checked, RankAnswer)
	v.Get(start, www, dns.TypeA, Checked, RankAnswer)
	v.Get(start, www, dns.TypeAAAA, Checked, RankAnswer)
	v.Get(start, www, dns.TypeA, Checked, RankLocal)
	v.Get(start.Add(time.Hour), www, dns.TypeA, Checked, RankAnswer)
	v.GetNegative(start, www, dns.TypeMX, Checked)
	v.GetFailure(start, name("dead.example.com"), dns.TypeA, Checked)
	v.GetCut(start, www)
	v.GetChain(start, name("alias.example.com"), dns.TypeA, Checked)
	v.GetStale(start.Add(400*time.Second), www, dns.TypeA, Checked, RankAnswer)
	v.Synthesise(start, name("aaa.example.com"), dns.TypeA)
	v.Put(start, addressSet(www, 0, anyAddr), answer)
	got := c.Stats()
	got.Shards, got.Bytes = nil, 0
	want := Stats{Entries: 14, MaxBytes: DefaultMaxBytes, Hits: 2, NegativeHits: 1, FailureHits: 1, CutHits: 1, ChainHits: 1,
		StaleHits: 1, Synthesised: 1, MissAbsent: 1, MissExpired: 1, MissRank: 1, Refused: 1}
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		t.Errorf("Stats() = %+v\nwant %+v", got, want)
	}
	var sum ShardStats
	for _, sh := range c.Stats().Shards {
		sum.Entries += sh.Entries
		sum.Hot += sh.Hot
		sum.Bytes += sh.Bytes
		sum.MaxBytes += sh.MaxBytes
	}
	if sum.Entries != 14 || sum.Hot == 0 || sum.Bytes != c.Bytes() || sum.MaxBytes > DefaultMaxBytes || sum.MaxBytes < DefaultMaxBytes*99/100 {
		t.Errorf("shards together: %+v, cache has %d bytes", sum, c.Bytes())
	}
}

// No more digests are remembered than there is room for; views in use stay what they are,
// a forgotten one comes back empty, and no view gets the data of another.
func TestViewsAreForgotten(t *testing.T) {
	c := New(Options{})
	digest := func(i int) [32]byte { return [32]byte{byte(i), byte(i >> 8), 1} }
	first := c.View(digest(0))
	first.Put(start, addressSet(name("www.example.com"), 300, anyAddr), answer)
	for i := range maxViews + 10 {
		v := c.View(digest(i + 1))
		if _, ok := v.Get(start, name("www.example.com"), dns.TypeA, Checked, RankAnswer); ok {
			t.Fatalf("view %d has what was put into another", i)
		}
	}
	if n := c.views.Len(); n != maxViews {
		t.Errorf("got %d digests, want %d", n, maxViews)
	}
	get := func(v *View) bool {
		_, ok := v.Get(start, name("www.example.com"), dns.TypeA, Checked, RankAnswer)
		return ok
	}
	if !get(first) {
		t.Errorf("a view in use has lost what was put into it")
	}
	if got := shown(c, start); len(got) != 0 {
		t.Errorf("Walk shows %q of a view that has no digest any more", got)
	}
	if get(c.View(digest(0))) {
		t.Errorf("a digest that was forgotten has found its old view")
	}
	var snapshot bytes.Buffer
	if _, err := c.WriteTo(&snapshot); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{}).ReadFrom(&snapshot); err != nil {
		t.Errorf("a snapshot of it: %v", err)
	}
}
