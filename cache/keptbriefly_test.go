package cache

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// bigChain is an answer to ANY of some bytes.
func bigChain(t *testing.T, owner string, n int) Chain {
	t.Helper()
	set := &dnssec.RRset{Owner: name(owner), Type: dns.TypeTXT, Class: dns.ClassINET, TTL: 3600, Records: dnssec.Pack(strings.Repeat("x", n))}
	return Chain{Name: name(owner), Type: dns.TypeANY, Answer: []*dnssec.RRset{set, addressSet(name(owner), 7200, anyAddr)}}
}

func TestBrief(t *testing.T) {
	v, c := newView(Options{}), bigChain(t, "www.example.com", 60000)
	get := func(after time.Duration, trust Trust) (Chain, bool) {
		return v.GetBrief(start.Add(after), c.Name, c.Type, trust)
	}
	if got, ok := get(0, Unchecked); ok {
		t.Errorf("before anything is kept: got %+v", got)
	}
	if !v.PutBrief(start, c, answer) {
		t.Fatal("not kept")
	}
	got, ok := get(10*time.Second, Checked)
	if !ok || got.TTL != MaxBriefTTL-10 || len(got.Answer) != 2 || got.Answer[0].TTL != got.TTL || got.Answer[0].Records != c.Answer[0].Records {
		t.Errorf("got TTL %d, %d sets, %v, want what was kept for %d s", got.TTL, len(got.Answer), ok, MaxBriefTTL-10)
	}
	if _, ok := get(MaxBriefTTL*time.Second, Checked); ok {
		t.Error("it is there at its end")
	}
	if _, ok := v.Get(start, c.Name, dns.TypeA, Checked, RankGlue); ok {
		t.Error("an answer to ANY answers for one type")
	}
	if _, ok := v.cache.View([32]byte{9}).GetBrief(start, c.Name, c.Type, Checked); ok {
		t.Error("another view has it")
	}
	shown := 0
	v.cache.Walk(start, func(e Entry) bool { shown++; return e.Kind == KindChain && e.Name == c.Name && e.Type == dns.TypeANY })
	var snapshot bytes.Buffer
	if _, err := v.cache.WriteTo(&snapshot); err != nil || shown != 1 || bytes.Contains(snapshot.Bytes(), []byte("xxxx")) {
		t.Errorf("shown %d times, in the snapshot of %d bytes, %v", shown, snapshot.Len(), err)
	}
	if n, err := v.cache.Purge("www.example.com"); n != 1 || err != nil {
		t.Errorf("purged %d entries, %v, want 1", n, err)
	}
	if _, ok := get(0, Checked); ok {
		t.Error("it outlives Purge")
	}
	v.PutBrief(start, c, Meta{Rank: RankAnswer, Trust: Unchecked, NotAfter: start.Add(5 * time.Second)})
	if _, ok := get(0, Checked); ok {
		t.Error("what is not checked is given to who asks for checked data")
	}
	if got, ok := get(0, Unchecked); !ok || got.TTL != 5 {
		t.Errorf("got TTL %d, %v, want 5, the end of the lease", got.TTL, ok)
	}
	v.cache.Clear()
	if _, ok := get(0, Unchecked); ok {
		t.Error("it outlives Clear")
	}
}

// A denial has an Authority only; what could not be an answer is refused.
func TestBriefRefuses(t *testing.T) {
	soa := set(t, "example.com. 20 IN SOA ns.example.com. h.example.com. 1 2 3 4 5")
	denial := Chain{Name: name("no.example.com"), Type: dns.TypeANY, Rcode: dns.RcodeNameError, Authority: []*dnssec.RRset{soa}}
	v := newView(Options{})
	if got, ok := v.GetBrief(start, denial.Name, denial.Type, Checked); ok || !v.PutBrief(start, denial, answer) {
		t.Errorf("got %+v, %v, or it was refused", got, ok)
	}
	if got, ok := v.GetBrief(start, denial.Name, denial.Type, Checked); !ok || got.Rcode != dns.RcodeNameError || got.TTL != 20 || len(got.Authority) != 1 {
		t.Errorf("a denial: got %+v, %v", got, ok)
	}
	bare := Chain{Name: name("bare.example.com"), Type: dns.TypeANY}
	if kept := v.PutBrief(start, bare, answer); !kept {
		t.Error("NODATA with nothing beside it was refused")
	}
	if got, ok := v.GetBrief(start, bare.Name, bare.Type, Checked); !ok || got.TTL != MaxBareTTL {
		t.Errorf("NODATA with nothing beside it: got %+v, %v", got, ok)
	}
	for about, c := range map[string]Chain{
		"no SOA":              {Name: denial.Name, Type: dns.TypeANY, Rcode: dns.RcodeNameError},
		"nothing, yet Secure": {Name: denial.Name, Type: dns.TypeANY, Status: dnssec.Secure},
		"bogus":               {Name: denial.Name, Type: dns.TypeANY, Authority: denial.Authority, Status: dnssec.Bogus},
		"no time to live":     {Name: denial.Name, Type: dns.TypeANY, Answer: []*dnssec.RRset{addressSet(denial.Name, 0, anyAddr)}},
		"an RCODE of 13 bits": {Name: denial.Name, Type: dns.TypeANY, Authority: denial.Authority, Rcode: 1 << 12},
		"more than its share": bigChain(t, "no.example.com", 65000),
	} {
		small := newView(Options{MaxBytes: 1 << 20})
		if small.PutBrief(start, c, answer) {
			t.Errorf("%s: kept", about)
		}
	}
}

// Nothing that is kept briefly pushes out another sort of entry, and it stays within its share.
func TestBriefStaysApart(t *testing.T) {
	v := newView(Options{MaxBytes: 8 << 20})
	for i := range 1000 {
		v.Put(start, addressSet(name(fmt.Sprintf("n%d.example.com", i)), 300, anyAddr), answer)
	}
	before := v.cache.Stats()
	for i := range 1000 {
		v.PutBrief(start, bigChain(t, fmt.Sprintf("big%d.example.com", i), 16000), answer)
	}
	after := v.cache.Stats()
	if got, most := after.Bytes-before.Bytes, int64(8<<20/100*briefShare); got <= 0 || got > most {
		t.Errorf("a flood takes %d bytes, want at most %d", got, most)
	}
	for i := range 1000 {
		if _, ok := v.Get(start, name(fmt.Sprintf("n%d.example.com", i)), dns.TypeA, Checked, RankAnswer); !ok {
			t.Fatalf("n%d was pushed out", i)
		}
	}
}

// What TTL, NegativeTTL and ChainTTL say is what who asks in the same moment is told.
func TestTTLIsWhatIsKept(t *testing.T) {
	soa := set(t, "example.com. 7200 IN SOA ns.example.com. h.example.com. 1 2 3 4 7000")
	for _, m := range []Meta{answer, {Rank: RankAnswer, NotAfter: start.Add(29500 * time.Millisecond)}, {Rank: RankAnswer, NotAfter: start}} {
		for _, o := range []Options{{}, {MaxTTL: 50 * time.Second, MaxNegativeTTL: 20 * time.Second}} {
			v, n := newView(o), name("www.example.com")
			positive := addressSet(n, 3000, anyAddr)
			v.Put(start, positive, m)
			item, _ := v.Get(start, n, dns.TypeA, Checked, RankAnswer)
			if got := v.TTL(start, positive, m); got != item.TTL {
				t.Errorf("%+v, %+v: TTL = %d, and Get says %d", o, m, got, item.TTL)
			}
			for about, denial := range map[string]Negative{
				"NODATA": {Name: n, Type: dns.TypeMX, SOA: soa}, "bare": {Name: n, Type: dns.TypeTXT, Zone: name("example.com")},
				"NXDOMAIN": {Name: name("no.example.com"), Type: dns.TypeA, NameError: true, SOA: soa},
			} {
				v.PutNegative(start, denial, m)
				kept, _ := v.GetNegative(start, denial.Name, denial.Type, Checked)
				if got := v.NegativeTTL(start, denial, m); got != kept.TTL {
					t.Errorf("%+v, %+v, %s: NegativeTTL = %d, and GetNegative says %d", o, m, about, got, kept.TTL)
				}
			}
			for _, authority := range [][]*dnssec.RRset{nil, {set(t, "a.example.com. 3000 IN NSEC b.example.com. A")}} {
				c := Chain{Name: name("c.example.com"), Type: dns.TypeCNAME, Answer: []*dnssec.RRset{set(t, "c.example.com. 4000 IN CNAME d.example.com.")}, Authority: authority}
				v.PutChain(start, c, m)
				kept, _ := v.GetChain(start, c.Name, c.Type, Checked)
				if got := v.ChainTTL(start, c, m); got != kept.TTL {
					t.Errorf("%+v, %+v: ChainTTL = %d, and GetChain says %d", o, m, got, kept.TTL)
				}
			}
		}
	}
}

// Aliases that were kept together lead on whatever is asked for, are one answer for who asks
// for a single alias, and count each.
func TestAppendReplyFollowsChain(t *testing.T) {
	v := newView(Options{})
	v.PutChain(start, Chain{Name: name("a.example.com"), Type: dns.TypeCNAME, Answer: []*dnssec.RRset{
		set(t, "a.example.com. 300 IN CNAME b.example.com."), set(t, "b.example.com. 200 IN CNAME c.example.net.")}}, answer)
	v.PutChain(start, Chain{Name: name("d.example.com"), Type: dns.TypeCNAME, Answer: []*dnssec.RRset{set(t, "example.com. 300 IN DNAME example.net.")}}, answer)
	v.Put(start, set(t, "c.example.net. 100 IN A 192.0.2.1"), answer)
	v.Put(start, set(t, "d.example.net. 100 IN A 192.0.2.2"), answer)
	want := "NOERROR qr ra\n? a.example.com. IN  A\n= a.example.com. 200 IN CNAME b.example.com.\n" +
		"= b.example.com. 200 IN CNAME c.example.net.\n= c.example.net. 100 IN A 192.0.2.1"
	for _, tt := range []struct {
		name   string
		rrtype uint16
		most   int
		ok     bool
	}{
		{"a.example.com", dns.TypeA, 2, true},
		{"a.example.com", dns.TypeA, 1, false},
		{"a.example.com", dns.TypeA, 0, false},
		{"a.example.com", dns.TypeCNAME, 9, false},
		{"d.example.com", dns.TypeA, 9, false}, // who writes bytes makes no CNAME of a DNAME
		{"b.example.com", dns.TypeA, 9, false}, // kept for the first name only
	} {
		got, hit, ok := v.AppendReply(nil, start, ReplyTo{QNAME: []byte(name(tt.name)), Type: tt.rrtype, MaxAliases: tt.most})
		if ok != tt.ok || ok && (replyText(t, got) != want || hit.TTL != 100) {
			t.Errorf("%s %s, %d aliases: got %v %+v\n%x", tt.name, dns.Type(tt.rrtype), tt.most, ok, hit, got)
		}
	}
	for _, refused := range []string{"a.example.com", "b.example.com", "c.example.net"} {
		q := ReplyTo{Name: name("a.example.com"), Type: dns.TypeA, MaxAliases: 9, Admit: func(n dnsname.Name, _ uint16) bool { return n != name(refused) }}
		if _, _, ok := v.AppendReply(nil, start, q); ok {
			t.Errorf("a hit though %s was not admitted", refused)
		}
	}
}
