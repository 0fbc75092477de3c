package cache

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// replyText unpacks a reply and returns its flags and its records, a line for each.
func replyText(t *testing.T, b []byte) string {
	t.Helper()
	if _, err := wire.Parse(b); err != nil {
		t.Fatalf("the walker refuses %x: %v", b, err)
	}
	var m dns.Msg
	if err := m.Unpack(b); err != nil {
		t.Fatalf("cannot unpack %x: %v", b, err)
	}
	var flags strings.Builder
	flags.WriteString(dns.RcodeToString[m.Rcode])
	for _, f := range []struct {
		set  bool
		name string
	}{{m.Response, "qr"}, {m.Authoritative, "aa"}, {m.Truncated, "tc"}, {m.RecursionDesired, "rd"}, {m.RecursionAvailable, "ra"}, {m.AuthenticatedData, "ad"}, {m.CheckingDisabled, "cd"}} {
		if f.set {
			flags.WriteString(" " + f.name)
		}
	}
	lines := []string{flags.String(), "? " + strings.TrimPrefix(m.Question[0].String(), ";")}
	for _, section := range []struct {
		sign string
		rrs  []dns.RR
	}{{"=", m.Answer}, {"~", m.Ns}, {"+", m.Extra}} {
		for _, rr := range section.rrs {
			if opt, ok := rr.(*dns.OPT); ok {
				lines = append(lines, strings.TrimSpace("+ OPT "+map[bool]string{true: "do"}[opt.Do()]))
				continue
			}
			lines = append(lines, section.sign+" "+rr.String())
		}
	}
	return strings.ReplaceAll(strings.Join(lines, "\n"), "\t", " ")
}

func TestAppendReply(t *testing.T) {
	v, zone := newView(Options{}), name("example.com")
	www := name("www.example.com")
	sig := func(owner string, rrtype uint16) dns.RR {
		return signatureOver(t, rrtype, name(owner), name(owner).Labels(), zone)
	}
	v.Put(start, packSet(t, mustRR(t, "www.example.com. 300 IN A 192.0.2.1"), mustRR(t, "www.example.com. 300 IN A 192.0.2.2"),
		mustRR(t, "www.example.com. 300 IN A 192.0.2.3"), sig("www.example.com", dns.TypeA)), Meta{Rank: RankAnswer, Status: dnssec.Secure})
	v.Put(start, set(t, "glue.example.com. 300 IN A 192.0.2.1"), Meta{Rank: RankGlue})
	v.Put(start, set(t, "cd.example.com. 300 IN A 192.0.2.66"), Meta{Rank: RankAnswer, Trust: Unchecked, Status: dnssec.Bogus})
	denial := Negative{Name: www, Type: dns.TypeMX, Status: dnssec.Secure,
		SOA:   packSet(t, mustRR(t, "example.com. 300 IN SOA ns.example.com. root.example.com. 1 2 3 4 300"), sig("example.com", dns.TypeSOA)),
		Proof: []*dnssec.RRset{nsecSet(t, zone, www, zone, dns.TypeA)}}
	v.PutNegative(start, denial, Meta{})
	denial.Name, denial.NameError = name("no.example.com"), true
	v.PutNegative(start, denial, Meta{})
	v.PutChain(start, Chain{Name: name("alias.example.com"), Type: dns.TypeA, Status: dnssec.Insecure, Answer: []*dnssec.RRset{
		set(t, "alias.example.com. 300 IN CNAME target.example.net."), set(t, "target.example.net. 100 IN A 192.0.2.4", "target.example.net. 100 IN A 192.0.2.5")}}, answer)
	v.PutChain(start, Chain{Name: name("gone.example.com"), Type: dns.TypeA, Rcode: dns.RcodeNameError, Status: dnssec.Insecure,
		Answer:    []*dnssec.RRset{set(t, "gone.example.com. 300 IN CNAME no.example.net.")},
		Authority: []*dnssec.RRset{soa(t, "example.net", 300, 300)}}, answer)
	const rrsig = " RRSIG %s 13 3 3600 20300101000000 20200101000000 1 example.com. AAAA"
	for _, tt := range []struct {
		about string
		q     ReplyTo
		want  string // "": no hit
	}{
		{"plain", ReplyTo{Name: www, Type: dns.TypeA, RD: true},
			`NOERROR qr rd ra
? www.example.com. IN  A
= www.example.com. 290 IN A 192.0.2.1
= www.example.com. 290 IN A 192.0.2.2
= www.example.com. 290 IN A 192.0.2.3`},
		{"rotated, with AD, case of the client", ReplyTo{Name: www, Type: dns.TypeA, RD: true, AD: true, Turn: turned(4), QNAME: []byte("\x03wWw\x07eXample\x03cOm\x00")},
			`NOERROR qr rd ra ad
? wWw.eXample.cOm. IN  A
= wWw.eXample.cOm. 290 IN A 192.0.2.2
= wWw.eXample.cOm. 290 IN A 192.0.2.3
= wWw.eXample.cOm. 290 IN A 192.0.2.1`},
		{"DO", ReplyTo{Name: www, Type: dns.TypeA, CD: true, EDNS: true, DO: true, UDPSize: 1232},
			`NOERROR qr ra ad cd
? www.example.com. IN  A
= www.example.com. 290 IN A 192.0.2.1
= www.example.com. 290 IN A 192.0.2.2
= www.example.com. 290 IN A 192.0.2.3
= www.example.com. 290 IN` + strings.Replace(rrsig, "%s", "A", 1) + `
+ OPT do`},
		{"does not fit", ReplyTo{Name: www, Type: dns.TypeA, EDNS: true, MaxSize: 59},
			`NOERROR qr tc ra
? www.example.com. IN  A
+ OPT`},
		{"fits in part", ReplyTo{Name: www, Type: dns.TypeA, EDNS: true, MaxSize: 91},
			`NOERROR qr tc ra
? www.example.com. IN  A
= www.example.com. 290 IN A 192.0.2.1
= www.example.com. 290 IN A 192.0.2.2
+ OPT`},
		{"fits just so", ReplyTo{Name: www, Type: dns.TypeA, EDNS: true, MaxSize: 92},
			`NOERROR qr ra
? www.example.com. IN  A
= www.example.com. 290 IN A 192.0.2.1
= www.example.com. 290 IN A 192.0.2.2
= www.example.com. 290 IN A 192.0.2.3
+ OPT`},
		{"NODATA", ReplyTo{Name: www, Type: dns.TypeMX, EDNS: true},
			`NOERROR qr ra
? www.example.com. IN  MX
~ example.com. 290 IN SOA ns.example.com. root.example.com. 1 2 3 4 300
+ OPT`},
		{"NXDOMAIN with proof", ReplyTo{Name: name("no.example.com"), Type: dns.TypeTXT, EDNS: true, DO: true},
			`NXDOMAIN qr ra ad
? no.example.com. IN  TXT
~ example.com. 290 IN SOA ns.example.com. root.example.com. 1 2 3 4 300
~ example.com. 290 IN` + strings.Replace(strings.Replace(rrsig, "%s", "SOA", 1), " 3 3600", " 2 3600", 1) + `
~ www.example.com. 290 IN NSEC example.com. A
~ www.example.com. 290 IN` + strings.Replace(rrsig, "%s", "NSEC", 1) + `
+ OPT do`},
		{"chain, last set rotated", ReplyTo{Name: name("alias.example.com"), Type: dns.TypeA, AD: true, Turn: turned(1)},
			`NOERROR qr ra
? alias.example.com. IN  A
= alias.example.com. 90 IN CNAME target.example.net.
= target.example.net. 90 IN A 192.0.2.5
= target.example.net. 90 IN A 192.0.2.4`},
		{"chain to nowhere", ReplyTo{Name: name("gone.example.com"), Type: dns.TypeA},
			`NXDOMAIN qr ra
? gone.example.com. IN  A
= gone.example.com. 290 IN CNAME no.example.net.
~ example.net. 290 IN SOA ns.example. root.example. 1 2 3 4 300`},
		{"glue is no answer", ReplyTo{Name: name("glue.example.com"), Type: dns.TypeA}, ""},
		{"unchecked, asked for checked", ReplyTo{Name: name("cd.example.com"), Type: dns.TypeA}, ""},
		{"unchecked, CD", ReplyTo{Name: name("cd.example.com"), Type: dns.TypeA, CD: true, DO: true},
			`NOERROR qr ra cd
? cd.example.com. IN  A
= cd.example.com. 290 IN A 192.0.2.66`},
		{"not there", ReplyTo{Name: www, Type: dns.TypeTXT}, ""},
	} {
		tt.q.ID = 0x1234
		prefix := []byte("prefix")
		got, hit, ok := v.AppendReply(prefix, start.Add(10*time.Second), tt.q)
		if !ok {
			if tt.want != "" || !slices.Equal(got, prefix) {
				t.Errorf("%s: no hit and %q, want\n%s", tt.about, got, tt.want)
			}
			continue
		}
		if !slices.Equal(got[:len(prefix)], prefix) || got[6] != 0x12 || got[7] != 0x34 {
			t.Errorf("%s: begins with %x", tt.about, got[:12])
		}
		text := replyText(t, got[len(prefix):])
		if text != tt.want {
			t.Errorf("%s:\n%s\nwant\n%s", tt.about, text, tt.want)
		}
		if tt.q.MaxSize > 0 && len(got)-len(prefix) > tt.q.MaxSize {
			t.Errorf("%s: %d bytes, want at most %d", tt.about, len(got)-len(prefix), tt.q.MaxSize)
		}
		if hit.Truncated != strings.Contains(tt.want, " tc") || (hit.Rcode == dns.RcodeNameError) != strings.HasPrefix(tt.want, "NXDOMAIN") {
			t.Errorf("%s: hit %+v", tt.about, hit)
		}
	}
}

func TestReplyAllocatesNothing(t *testing.T) {
	v, now := newView(Options{}), time.Now()
	n, no := name("www.example.com"), name("no.example.com")
	v.Put(now, addressSet(n, 300, anyAddr), answer)
	v.PutNegative(now, Negative{Name: no, Type: dns.TypeA, NameError: true, SOA: soa(t, "example.com", 300, 300)}, Meta{})
	buf := make([]byte, 0, 512)
	for _, q := range []ReplyTo{{Name: n, Type: dns.TypeA, EDNS: true}, {Name: no, Type: dns.TypeA, EDNS: true, DO: true}} {
		if got := testing.AllocsPerRun(1000, func() {
			if _, _, ok := v.AppendReply(buf, now, q); !ok {
				t.Error("lost")
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations a reply, want 0", q.Name, got)
		}
	}
}

func TestChain(t *testing.T) {
	n := name("alias.example.com")
	good := func() Chain {
		return Chain{Name: n, Type: dns.TypeA, Status: dnssec.Secure, Rcode: dns.RcodeSuccess,
			Answer:    []*dnssec.RRset{set(t, "alias.example.com. 300 IN CNAME www.example.com."), addressSet(name("www.example.com"), 100, anyAddr)},
			Authority: []*dnssec.RRset{set(t, "a.example.com. 200 IN NSEC b.example.com. A")}}
	}
	v := newView(Options{})
	if !v.PutChain(start, good(), answer) {
		t.Fatal("PutChain refused")
	}
	got, ok := v.GetChain(start.Add(10*time.Second), n, dns.TypeA, Checked)
	if !ok || got.TTL != 90 || got.Status != dnssec.Secure || len(got.Answer) != 2 || len(got.Authority) != 1 ||
		got.Answer[1].Records != addressSet(n, 0, anyAddr).Records || got.Answer[0].TTL != 90 || got.Authority[0].Owner != name("a.example.com") {
		t.Errorf("GetChain = %+v, %v", got, ok)
	}
	if got, ok := v.GetChain(start.Add(100*time.Second), n, dns.TypeA, Checked); ok {
		t.Errorf("GetChain at its end = %+v, want nothing", got)
	}
	if v.Put(start, addressSet(n, 300, anyAddr), Meta{Rank: RankAnswer}) == nil {
		t.Error("an address that nothing proves took the place of a Secure chain")
	}
	if err := v.Put(start, addressSet(n, 300, anyAddr), Meta{Rank: RankAnswer, Status: dnssec.Secure}); err != nil {
		t.Error("a Secure address was refused")
	}
	if got, ok := v.GetChain(start, n, dns.TypeA, Checked); ok {
		t.Errorf("GetChain after an address came = %+v, want nothing", got)
	}
	for about, change := range map[string]func(*Chain, *Meta){
		"no answer":    func(c *Chain, _ *Meta) { c.Answer = nil },
		"TTL 0":        func(c *Chain, _ *Meta) { c.Answer[1].TTL = 0 },
		"class CH":     func(c *Chain, _ *Meta) { c.Answer[1].Class = dns.ClassCHAOS },
		"meta type":    func(c *Chain, _ *Meta) { c.Type = dns.TypeANY },
		"bogus":        func(c *Chain, _ *Meta) { c.Status = dnssec.Bogus },
		"lease over":   func(_ *Chain, m *Meta) { m.NotAfter = start },
		"too large":    func(c *Chain, _ *Meta) { c.Answer[1].Records = dnssec.Pack(string(make([]byte, 9000))) },
		"worse status": func(c *Chain, _ *Meta) { c.Status = dnssec.Indeterminate },
	} {
		c, m := good(), answer
		change(&c, &m)
		if v.PutChain(start, c, m) {
			t.Errorf("%s: PutChain kept %+v", about, c)
		}
	}
}

// An RRset made from a wildcard is no answer without the proof that nothing is closer; the
// chain that has both is.
func TestAppendReplyOfWildcard(t *testing.T) {
	v, zone, n := newView(Options{}), name("example.com"), name("a.w.example.com")
	answer := packSet(t, mustRR(t, "a.w.example.com. 300 IN A 192.0.2.1"), signatureOver(t, dns.TypeA, n, 3, zone))
	m := Meta{Rank: RankAnswer, Status: dnssec.Secure}
	if err := v.Put(start, answer, m); err != nil {
		t.Fatal("not kept")
	}
	q := ReplyTo{Name: n, Type: dns.TypeA, EDNS: true, DO: true}
	if got, _, ok := v.AppendReply(nil, start, q); ok {
		t.Errorf("without proof: got %s, want no hit", replyText(t, got))
	}
	v.PutChain(start, Chain{Name: n, Type: dns.TypeA, Status: dnssec.Secure, Answer: []*dnssec.RRset{answer},
		Authority: []*dnssec.RRset{nsecSet(t, zone, name("w.example.com"), zone, dns.TypeA)}}, m)
	got, _, ok := v.AppendReply(nil, start, q)
	if !ok || !strings.Contains(replyText(t, got), "~ w.example.com. 300 IN NSEC") {
		t.Errorf("with proof: got %v %x, want an answer with the proof", ok, got)
	}
}

// CNAMEs of the cache lead to an answer, as many as are allowed.
func TestAppendReplyFollowsAliases(t *testing.T) {
	v := newView(Options{})
	v.Put(start, set(t, "a.example.com. 300 IN CNAME B.example.com."), Meta{Rank: RankAnswer, Status: dnssec.Secure})
	v.Put(start, set(t, "b.example.com. 200 IN CNAME c.example.net."), Meta{Rank: RankAnswer, Status: dnssec.Insecure})
	v.Put(start, set(t, "c.example.net. 100 IN A 192.0.2.1"), Meta{Rank: RankAnswer, Status: dnssec.Secure})
	v.Put(start, set(t, "loop.example.com. 300 IN CNAME loop.example.com."), answer)
	for _, tt := range []struct {
		name string
		most int
		want string // "": no hit
	}{
		{"a.example.com", 2, "NOERROR qr ra\n? a.example.com. IN  A\n= a.example.com. 300 IN CNAME B.example.com.\n" +
			"= b.example.com. 200 IN CNAME c.example.net.\n= c.example.net. 100 IN A 192.0.2.1"},
		{"a.example.com", 100, "NOERROR qr ra\n? a.example.com. IN  A\n= a.example.com. 300 IN CNAME B.example.com.\n" +
			"= b.example.com. 200 IN CNAME c.example.net.\n= c.example.net. 100 IN A 192.0.2.1"},
		{"a.example.com", 1, ""},
		{"a.example.com", 0, ""},
		{"loop.example.com", 100, ""},
	} {
		var asked []string
		q := ReplyTo{QNAME: []byte(name(tt.name)), Type: dns.TypeA, AD: true, MaxAliases: tt.most,
			Admit: func(n dnsname.Name, _ uint16) bool { asked = append(asked, n.String()); return true }}
		got, hit, ok := v.AppendReply(nil, start, q)
		if ok != (tt.want != "") || ok && (replyText(t, got) != tt.want || hit.TTL != 100 || hit.Status != dnssec.Insecure || len(asked) != 3) {
			t.Errorf("%s, %d aliases: got %v %+v, asked for %v\n%s\nwant\n%s", tt.name, tt.most, ok, hit, asked, got, tt.want)
		}
	}
	if _, _, ok := v.AppendReply(nil, start, ReplyTo{Name: name("a.example.com"), Type: dns.TypeA, MaxAliases: 9,
		Admit: func(n dnsname.Name, _ uint16) bool { return n != name("c.example.net") }}); ok {
		t.Error("a hit though a name on the way was not admitted")
	}
}

// turned always turns by n places.
func turned(n int) func(int) int { return func(int) int { return n } }
