package main

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
)

// start is when everything is kept.
var start = time.Now()

func mustName(t *testing.T, s string) dnssec.Name {
	t.Helper()
	n, err := dnssec.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func mustSet(t *testing.T, records ...string) *dnssec.RRset {
	t.Helper()
	var rrs []dns.RR
	for _, s := range records {
		rr, err := dns.NewRR(s)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, rr)
	}
	set, err := dnssec.NewRRset(rrs...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

var answered = cache.Meta{Rank: cache.RankAnswer, Status: dnssec.Insecure}

func TestCache(t *testing.T) {
	c := cache.New(cache.Options{MaxBytes: 8 << 20})
	if o := c.Options(); o.MaxBytes != 8<<20 || o.MaxEntry != cache.DefaultMaxEntry {
		t.Errorf("%+v", o)
	}
	v := c.View([32]byte{1})
	if err := v.Put(start, mustSet(t, "www.example.com. 300 IN A 192.0.2.1"), answered); err != nil {
		t.Fatal(err)
	}
	if s := c.Stats(); c.Len() != 1 || s.Entries != 1 || c.Bytes() != s.Bytes || s.Bytes == 0 {
		t.Error(c.Len(), c.Bytes(), s.Entries)
	}
	c.Walk(start, func(e cache.Entry) bool {
		if e.Kind.String() != "rrset" || e.Name.String() != "www.example.com." || e.Rank.String() != "answer" || e.Trust.String() != "checked" {
			t.Errorf("%+v", e)
		}
		return true
	})
	var file bytes.Buffer
	if n, err := c.WriteTo(&file); err != nil || n != int64(file.Len()) {
		t.Error(n, err)
	}
	other := cache.New(cache.Options{})
	if _, err := other.ReadFrom(&file); err != nil || other.Len() != 1 {
		t.Error(other.Len(), err)
	}
	if n, err := c.Purge("www.example.com"); err != nil || n != 1 {
		t.Error(n, err)
	}
	if n, err := other.PurgeBelow("com"); err != nil || n != 1 {
		t.Error(n, err)
	}
	if _, err := other.ReadFrom(bytes.NewReader([]byte("none"))); !errors.Is(err, cache.ErrSnapshot) {
		t.Error(err)
	}
	v.PutFailure(start, mustName(t, "dead.example.com"), dns.TypeA, cache.Checked, dns.ExtendedErrorCodeNoReachableAuthority, "")
	if c.Clear(); c.Len() != 0 {
		t.Error(c.Len())
	}
}

func TestRRsetsOfACache(t *testing.T) {
	v := cache.New(cache.Options{MaxRecords: 1, KeepStale: time.Hour}).View([32]byte{})
	set := mustSet(t, "www.example.com. 300 IN A 192.0.2.1")
	www := set.Owner
	if ttl := v.TTL(start, set, answered); ttl != 300 {
		t.Error(ttl)
	}
	if err := v.Put(start, set, answered); err != nil {
		t.Fatal(err)
	}
	item, ok := v.Get(start.Add(100*time.Second), www, dns.TypeA, cache.Checked, cache.RankAnswer)
	if !ok || item.TTL != 200 {
		t.Error(item, ok)
	}
	if _, ok := v.Uncounted().Get(start, www, dns.TypeAAAA, cache.Checked, cache.RankAnswer); ok {
		t.Error("a type that nobody put there")
	}
	err := v.Put(start, mustSet(t, "two.example.com. 300 IN A 192.0.2.1", "two.example.com. 300 IN A 192.0.2.2"), answered)
	var limit *cache.LimitError
	if !errors.As(err, &limit) || limit.Option != "MaxRecords" || limit.Error() == "" {
		t.Error(err)
	}

	late := start.Add(400 * time.Second)
	if item, ok := v.GetStale(late, www, dns.TypeA, cache.Checked, cache.RankAnswer); !ok || !item.Stale {
		t.Error(item, ok)
	}
	if !v.ClaimRefresh(late, www, dns.TypeA, cache.Checked) || v.ClaimRefresh(late, www, dns.TypeA, cache.Checked) {
		t.Error("a refresh is for one")
	}
	v.PostponeRefresh(late, www, dns.TypeA, cache.Checked)
	if !v.RefreshPostponed(late, www, dns.TypeA, cache.Checked) {
		t.Error("not postponed")
	}
	if v.EndRefresh(www, dns.TypeA, cache.Checked); v.RefreshPostponed(late, www, dns.TypeA, cache.Checked) {
		t.Error("still postponed")
	}
	v.EndStale(late, www, dns.TypeA, cache.Checked)
	if _, ok := v.GetStale(late, www, dns.TypeA, cache.Checked, cache.RankAnswer); ok {
		t.Error("still there")
	}
}

func TestDenialsOfACache(t *testing.T) {
	v := cache.New(cache.Options{KeepStale: time.Hour}).View([32]byte{})
	net := newSignedNet(t)
	response := net.ask("shop.example.", "nobody.shop.example.", dns.TypeA)
	e, _ := net.evidence(dnssec.Limits{})
	verdict, err := net.judge(e, response)
	if err != nil {
		t.Fatal(err)
	}
	no := response.Name
	denial := cache.Negative{Name: no, Type: dns.TypeA, NameError: true, Status: verdict.Status, Proof: verdict.Denial.Records}
	for _, set := range response.Authority {
		if set.Type == dns.TypeSOA {
			denial.SOA = set
		}
	}
	proven := cache.Meta{Rank: cache.RankAnswer, Status: dnssec.Secure}
	if ttl := v.NegativeTTL(start, denial, proven); ttl != 300 {
		t.Error(ttl)
	}
	if !v.PutNegative(start, denial, proven) {
		t.Fatal("not kept")
	}
	if n, ok := v.GetNegative(start, no, dns.TypeA, cache.Checked); !ok || !n.NameError {
		t.Error(n, ok)
	}
	if n, ok := v.Strict().GetNegative(start, mustName(t, "below."+no.String()), dns.TypeA, cache.Checked); !ok || !n.Cut {
		t.Error(n, ok)
	}
	if s, ok := v.Synthesise(start, mustName(t, "another.shop.example"), dns.TypeA); !ok || !s.Denied {
		t.Error(s, ok)
	}
	v.PutDenial(start, response.Zone, denial.Proof, proven)
	if n, ok := v.GetStaleNegative(start.Add(400*time.Second), no, dns.TypeA, cache.Checked); !ok || !n.Stale {
		t.Error(n, ok)
	}
	if denial.DeniesName() {
		t.Error("a compact denial of a zone that has none")
	}

	f := v.PutFailure(start, no, dns.TypeMX, cache.Checked, dns.ExtendedErrorCodeNetworkError, "down")
	if o := f.Origin(); o.Reason != "" || !f.At().Equal(start) {
		t.Errorf("a failure of %v with the origin %v", f.At(), o)
	}
	from := cache.FailureOrigin{Zone: no, Reason: "down", Clock: &dnssec.ClockError{KeyTag: 20326}}
	if again := v.KeepFailure(start, no, dns.TypeTXT, cache.Checked, dns.ExtendedErrorCodeNetworkError, "down", from); again.Origin().Zone != no || again.Clock().KeyTag != 20326 {
		t.Errorf("got the origin %v", again.Origin())
	}
	if kept, ok := v.GetFailure(start, no, dns.TypeMX, cache.Checked); !ok || kept.Cause != f.Cause || kept.Text != "down" {
		t.Error(kept, ok)
	}
	v.ClearFailure(no, dns.TypeMX, cache.Checked)
	if f, ok := v.Find(start, cache.Question{Name: no, Type: dns.TypeMX, Onward: true}); !ok || f.Negative == nil {
		t.Errorf("%+v", f)
	}
	if _, ok := v.GetFailure(start, no, dns.TypeMX, cache.Checked); ok {
		t.Error("still a failure")
	}
}

func TestChainsOfACache(t *testing.T) {
	v := cache.New(cache.Options{KeepStale: time.Hour}).View([32]byte{})
	chain := cache.Chain{
		Name: mustName(t, "alias.example.com"), Type: dns.TypeA, Status: dnssec.Insecure,
		Answer: []*dnssec.RRset{mustSet(t, "alias.example.com. 300 IN CNAME www.example.com."), mustSet(t, "www.example.com. 60 IN A 192.0.2.1")},
	}
	if ttl := v.ChainTTL(start, chain, answered); ttl != 60 {
		t.Error(ttl)
	}
	if !v.PutChain(start, chain, answered) {
		t.Fatal("not kept")
	}
	if c, ok := v.GetChain(start, chain.Name, chain.Type, cache.Checked); !ok || len(c.Answer) != 2 {
		t.Error(c, ok)
	}
	if c, ok := v.GetStaleChain(start.Add(100*time.Second), chain.Name, chain.Type, cache.Checked); !ok || !c.Stale {
		t.Error(c, ok)
	}
	packed, hit, ok := v.AppendReply(nil, start, cache.ReplyTo{ID: 7, Name: chain.Name, Type: dns.TypeA})
	reply := new(dns.Msg)
	if err := reply.Unpack(packed); err != nil || !ok || hit.TTL != 60 || reply.Id != 7 || len(reply.Answer) != 2 {
		t.Error(reply, err, hit, ok)
	}
	all := cache.Chain{Name: mustName(t, "www.example.com"), Type: dns.TypeANY, Status: dnssec.Insecure, Answer: chain.Answer[1:]}
	if !v.PutBrief(start, all, answered) {
		t.Fatal("not kept")
	}
	if c, ok := v.GetBrief(start, all.Name, dns.TypeANY, cache.Checked); !ok || c.TTL > cache.MaxBriefTTL {
		t.Error(c, ok)
	}
}

func TestCutsOfACache(t *testing.T) {
	v := cache.New(cache.Options{}).View([32]byte{})
	zone, inside, outside := mustName(t, "example.com"), mustName(t, "ns.example.com"), mustName(t, "ns.example.net")
	d := v.PutCut(start, &glue.Delegation{Zone: zone, TTL: time.Hour, Servers: []glue.Server{
		{Name: inside, Bailiwick: glue.InDomain, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, {Name: outside},
	}}, cache.Meta{Rank: cache.RankReferral, Vouched: true})
	v.AddGlue(start, d, outside, []netip.Addr{netip.MustParseAddr("192.0.2.2")}, time.Minute)
	cut, ok := v.GetCut(start, mustName(t, "www.example.com"))
	if !ok || cut.Zone != zone {
		t.Fatal(cut, ok)
	}
	v.PutOwnServers(cut.Delegation, []dnssec.Name{mustName(t, "own.example.com")})
	if cut, ok = v.GetCut(start, zone); !ok || len(cut.Own) != 1 {
		t.Error(cut, ok)
	}
	if addrs := v.Glue(start, inside); len(addrs) != 1 {
		t.Error(addrs)
	}
	v.PutNoCut(start, zone, mustName(t, "a.example.com"), 60, time.Time{})
	if at := v.NoCut(start, zone, mustName(t, "b.a.example.com")); at.String() != "a.example.com." {
		t.Error(at)
	}
	v.DropCut(zone)
	if cut, ok := v.GetCut(start, zone); ok {
		t.Error(cut)
	}
}

// noStore is a store that forgets everything.
type noStore struct{}

func (noStore) Get(context.Context, []byte) ([]byte, error) { return nil, nil }

func (noStore) Set(context.Context, []byte, []byte, time.Duration) error { return nil }
