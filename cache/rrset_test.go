package cache

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

func TestRRsetComesBackAsItWas(t *testing.T) {
	v := newView(Options{})
	for _, records := range [][]string{
		{"www.example.com. 300 IN A 192.0.2.1", "www.example.com. 300 IN A 192.0.2.2"},
		{"example.com. 300 IN MX 10 Mail.Example.COM."},
		{". 300 IN NS a.root-servers.example."},
		{"s.example.com. 300 IN TXT \"x\"",
			"s.example.com. 300 IN RRSIG TXT 13 3 300 20300101000000 20200101000000 1 example.com. AAAA",
			"s.example.com. 300 IN RRSIG TXT 8 3 300 20300101000000 20200101000000 2 example.com. AAAAAAAA"},
		{"t.example.com. 300 IN TYPE65280 \\# 3 010203"},
		{"example.com. 300 IN DNSKEY 257 3 13 AAAA"},
	} {
		want := set(t, records...)
		if err := v.Put(start, want, Meta{Rank: RankAnswer, Status: dnssec.Secure}); err != nil {
			t.Errorf("Put(%v) refused", records)
		}
		got, ok := v.Get(start, want.Owner, want.Type, Checked, RankAnswer)
		if !ok || got.Set != *want || got.Rank != RankAnswer || got.Status != dnssec.Secure || got.Trust != Checked {
			t.Errorf("got %v %s\nwant %v", ok, text(t, got), records)
		}
	}
}

func TestTTL(t *testing.T) {
	n := name("www.example.com")
	for _, tt := range []struct {
		about    string
		options  Options
		ttl      uint32
		notAfter time.Duration // from start; 0: none
		after    time.Duration
		want     uint32 // 0: not found
	}{
		{"zero is used once and not kept", Options{}, 0, 0, 0, 0},
		{"one", Options{}, 1, 0, 0, 1},
		{"one, just before its end", Options{}, 1, 0, 999 * time.Millisecond, 1},
		{"one, at its end", Options{}, 1, 0, time.Second, 0},
		{"counted down", Options{}, 300, 0, 100 * time.Second, 200},
		{"capped", Options{}, 86401, 0, 0, 86400},
		{"capped: ends with the cap", Options{}, 604800, 0, 86400 * time.Second, 0},
		{"2^31-1", Options{}, math.MaxInt32, 0, 0, 86400},
		{"top bit set is large", Options{}, 1 << 31, 0, 0, 86400},
		{"2^32-1", Options{}, math.MaxUint32, 0, 0, 86400},
		{"cap of the caller", Options{MaxTTL: time.Minute}, 300, 0, 0, 60},
		{"no cap", Options{MaxTTL: -1}, math.MaxUint32, 0, 0, math.MaxUint32},
		{"no cap, counted down", Options{MaxTTL: -1}, math.MaxUint32, 0, 1 << 32 * time.Second, 0},
		{"the lease ends first", Options{}, 300, 100 * time.Second, 0, 100},
		{"the lease has ended", Options{}, 300, 100 * time.Second, 100 * time.Second, 0},
		{"the TTL ends first", Options{}, 300, 400 * time.Second, 0, 300},
		{"lease over before arrival", Options{}, 300, -time.Second, 0, 0},
	} {
		v, m := newView(tt.options), answer
		if tt.notAfter != 0 {
			m.NotAfter = start.Add(tt.notAfter)
		}
		v.Put(start, addressSet(n, tt.ttl, anyAddr), m)
		item, ok := v.Get(start.Add(tt.after), n, dns.TypeA, Checked, RankAnswer)
		if item.TTL != tt.want || item.Set.TTL != tt.want || ok != (tt.want > 0) {
			t.Errorf("%s: TTL %d, found %v; want %d", tt.about, item.TTL, ok, tt.want)
		}
	}
}

func TestRankDecides(t *testing.T) {
	v, n := newView(Options{}), name("ns.example.com")
	v.Put(start, addressSet(n, 300, anyAddr), Meta{Rank: RankAnswer})
	if v.Put(start, addressSet(n, 300, nextAddr), Meta{Rank: RankGlue}) == nil {
		t.Error("glue replaced an answer that is alive")
	}
	if item, _ := v.Get(start, n, dns.TypeA, Checked, RankAnswer); item.Set.Records != addressSet(n, 0, anyAddr).Records {
		t.Errorf("got %s\nwant the authoritative address", text(t, item))
	}
	later := start.Add(300 * time.Second)
	if err := v.Put(later, addressSet(n, 300, nextAddr), Meta{Rank: RankGlue}); err != nil {
		t.Error("glue did not replace an answer that has expired")
	}
	if item, ok := v.Get(later, n, dns.TypeA, Checked, RankAnswer); ok {
		t.Errorf("got %s\nwant nothing: glue is no answer", text(t, item))
	}
	if _, ok := v.Get(later, n, dns.TypeA, Checked, RankGlue); !ok {
		t.Error("glue not found by who asks for anything")
	}
}

func TestTrust(t *testing.T) {
	v, n := newView(Options{}), name("www.example.com")
	get := func(trust Trust) string {
		item, ok := v.Get(start, n, dns.TypeA, trust, RankAnswer)
		if !ok {
			return "none"
		}
		if item.Set.Records == addressSet(n, 0, anyAddr).Records {
			return "first"
		}
		return "second"
	}
	unchecked := Meta{Rank: RankAnswer, Trust: Unchecked, Status: dnssec.Bogus}
	v.Put(start, addressSet(n, 300, anyAddr), unchecked)
	if c, u := get(Checked), get(Unchecked); c != "none" || u != "first" {
		t.Errorf("unchecked data stored: Checked sees %s, Unchecked %s; want none, first", c, u)
	}
	v.Put(start, addressSet(n, 300, nextAddr), Meta{Rank: RankAnswer, Status: dnssec.Secure})
	v.Put(start, addressSet(n, 300, anyAddr), unchecked)
	if c, u := get(Checked), get(Unchecked); c != "second" || u != "second" {
		t.Errorf("both stored: Checked sees %s, Unchecked %s; want second, second", c, u)
	}
}

func TestPutRefuses(t *testing.T) {
	many := func(n int) *dnssec.RRset {
		var fields []string
		for i := range n {
			fields = append(fields, fmt.Sprintf("%04d", i))
		}
		return &dnssec.RRset{Owner: name("many.example.com"), Type: dns.TypeA, Class: dns.ClassINET, TTL: 60, Records: dnssec.Pack(fields...)}
	}
	with := func(change func(*dnssec.RRset)) *dnssec.RRset {
		s := many(1)
		change(s)
		return s
	}
	for _, tt := range []struct {
		about string
		set   *dnssec.RRset
		meta  Meta
		want  bool
	}{
		{"one record", many(1), answer, true},
		{"256 records", many(256), answer, true},
		{"257 records", many(257), answer, false},
		{"no set", nil, answer, false},
		{"no records", many(0), answer, false},
		{"class CH", with(func(s *dnssec.RRset) { s.Class = dns.ClassCHAOS }), answer, false},
		{"OPT", with(func(s *dnssec.RRset) { s.Type = dns.TypeOPT }), answer, false},
		{"NXNAME", with(func(s *dnssec.RRset) { s.Type = 128 }), answer, false},
		{"ANY", with(func(s *dnssec.RRset) { s.Type = dns.TypeANY }), answer, false},
		{"CAA, the first type above", with(func(s *dnssec.RRset) { s.Type = dns.TypeCAA }), answer, false == isMeta(dns.TypeCAA)},
		{"no owner", with(func(s *dnssec.RRset) { s.Owner = "" }), answer, false},
		{"too large", with(func(s *dnssec.RRset) { s.Records = dnssec.Pack(string(make([]byte, 9000))) }), answer, false},
		{"bogus yet checked", many(1), Meta{Rank: RankAnswer, Status: dnssec.Bogus}, false},
	} {
		if got := newView(Options{}).Put(start, tt.set, tt.meta) == nil; got != tt.want {
			t.Errorf("%s: Put = %v, want %v", tt.about, got, tt.want)
		}
	}
}

// A limit is named, and can be raised.
func TestLimitsAreNamed(t *testing.T) {
	big := &dnssec.RRset{Owner: name("big.example.com"), Type: dns.TypeTXT, Class: dns.ClassINET, TTL: 60, Records: dnssec.Pack(string(make([]byte, 9000)))}
	long := &dnssec.RRset{Owner: name("long.example.com"), Type: dns.TypeA, Class: dns.ClassINET, TTL: 60}
	for n := range 300 {
		long.Records += dnssec.Pack(fmt.Sprintf("%04d", n))
	}
	for _, tt := range []struct {
		about   string
		options Options
		set     *dnssec.RRset
		want    error
	}{
		{"large", Options{}, big, &LimitError{"MaxEntry", 8192}},
		{"large, limit raised", Options{MaxEntry: 10000}, big, nil},
		{"large, no limit", Options{MaxEntry: -1}, big, nil},
		{"long", Options{}, long, &LimitError{"MaxRecords", 256}},
		{"long, limit raised", Options{MaxRecords: 300}, long, nil},
		{"no time to live", Options{}, &dnssec.RRset{Owner: big.Owner, Type: dns.TypeTXT, Class: dns.ClassINET, Records: "\x00\x00"}, ErrNotKept},
	} {
		if got := newView(tt.options).Put(start, tt.set, answer); fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: Store = %v, want %v", tt.about, got, tt.want)
		}
	}
}

// What the caller does to its set afterwards, and what the reader does to its item,
// reaches nobody else.
func TestNothingIsShared(t *testing.T) {
	v, n := newView(Options{}), name("www.example.com")
	mine := addressSet(n, 300, anyAddr)
	v.Put(start, mine, answer)
	mine.Records, mine.TTL = "", 1
	first, _ := v.Get(start, n, dns.TypeA, Checked, RankAnswer)
	first.Set.Records, first.Set.Owner = "", ""
	if second, ok := v.Get(start, n, dns.TypeA, Checked, RankAnswer); !ok || second.Set != *addressSet(n, 300, anyAddr) {
		t.Errorf("got %+v, %v; want the set as it was stored", second, ok)
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	v, n := newView(Options{}), name("www.example.com")
	v.Put(start, addressSet(n, 300, anyAddr), answer)
	now := time.Now()
	v.Put(now, addressSet(n, 300, anyAddr), answer)
	if got := testing.AllocsPerRun(1000, func() {
		if _, ok := v.Get(now, n, dns.TypeA, Checked, RankAnswer); !ok {
			t.Error("lost")
		}
	}); got != 0 {
		t.Errorf("%v allocations a hit, want 0", got)
	}
}
