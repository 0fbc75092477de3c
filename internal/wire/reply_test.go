package wire

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

func TestOwnersAreCompressedAgainstTheQuestion(t *testing.T) {
	for owner, want := range map[string]string{
		"www.example.com":   "\xc0\x0c",
		"example.com":       "\xc0\x10",
		"ns.example.com":    "\x02ns\xc0\x10",
		"a.www.example.com": "\x01a\xc0\x0c",
		"com":               "\xc0\x18",
		"xample.com":        "\x06xample\xc0\x18",
		"example.net":       "\x07example\x03net\x00",
		".":                 "\x00",
	} {
		r := Reply{name: dnsname.MustParse("www.example.com.")}
		if got := string(r.appendName(nil, dnsname.MustParse(owner), false)); got != want {
			t.Errorf("owner(%s) = %q, want %q", owner, got, want)
		}
	}
}

// fields packs RDATA as Reply.Set takes it.
func fields(rdata ...string) string {
	var b strings.Builder
	for _, r := range rdata {
		b.WriteByte(byte(len(r) >> 8))
		b.WriteByte(byte(len(r)))
		b.WriteString(r)
	}
	return b.String()
}

// wireOf is the wire form of a name in the letter case it is written in.
func wireOf(t *testing.T, name string) string {
	t.Helper()
	buf := make([]byte, dnsname.MaxWire)
	n, err := dns.PackDomainName(name, buf, 0, nil, false)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// A reply is as long as the one that miekg/dns packs of the same records, or shorter, and says
// the same; only owners may have the letter case of the question.
func TestReplyIsCompressedAsWellAsOthers(t *testing.T) {
	type set struct {
		section Section
		owner   string
		rrtype  uint16
		rdata   []string
	}
	num := func(n int) string { return strings.Repeat("\x00", n) }
	name := func(n string) string { return wireOf(t, n) }
	for about, sets := range map[string][]set{
		"addresses":         {{SectionAnswer, "www.shop.example.", dns.TypeA, []string{"\xc0\x00\x02\x01", "\xc0\x00\x02\x02"}}},
		"name servers":      {{SectionAnswer, "shop.example.", dns.TypeNS, []string{name("ns1.shop.example."), name("ns2.shop.example."), name("ns.other.test.")}}},
		"in another case":   {{SectionAnswer, "www.shop.example.", dns.TypeNS, []string{name("NS1.Shop.example."), name("ns2.Shop.example.")}}},
		"an alias":          {{SectionAnswer, "www.shop.example.", dns.TypeCNAME, []string{name("edge.cdn.test.")}}, {SectionAnswer, "edge.cdn.test.", dns.TypeA, []string{num(4)}}},
		"mail":              {{SectionAnswer, "shop.example.", dns.TypeMX, []string{num(2) + name("a.mx.shop.example."), num(2) + name("b.mx.shop.example.")}}},
		"mailbox":           {{SectionAnswer, "shop.example.", dns.TypeMB, []string{name("mb.shop.example.")}}},
		"mailing list":      {{SectionAnswer, "shop.example.", dns.TypeMINFO, []string{name("a.shop.example.") + name("b.shop.example.")}}},
		"denial":            {{SectionAuthority, "example.", dns.TypeSOA, []string{name("ns.example.") + name("hostmaster.ns.example.") + num(20)}}},
		"never compressed":  {{SectionAnswer, "www.shop.example.", dns.TypeSRV, []string{num(6) + name("www.shop.example.")}}, {SectionAnswer, "www.shop.example.", dns.TypeDNAME, []string{name("shop.example.")}}},
		"the root's":        {{SectionAnswer, ".", dns.TypeNS, []string{name("a.root-servers.net."), name("b.root-servers.net.")}}},
		"of no RDATA":       {{SectionAnswer, "www.shop.example.", dns.TypeNULL, []string{""}}},
		"in three sections": {{SectionAnswer, "www.shop.example.", dns.TypeA, []string{num(4)}}, {SectionAuthority, "shop.example.", dns.TypeNS, []string{name("www.shop.example.")}}, {SectionAdditional, "www.shop.example.", dns.TypeAAAA, []string{num(16)}}},
	} {
		for _, asked := range []string{"www.shop.example.", "wWw.sHop.example.", "www.shop.EXAMPLE.", "."} {
			var r Reply
			r.Begin([]byte("before"), MaxLen)
			question := dnsname.MustParse(asked)
			r.Question(question, []byte(wireOf(t, asked)), dns.TypeA, dns.ClassINET)
			m := &dns.Msg{Compress: true}
			m.Id, m.Response = 4711, true
			m.Question = []dns.Question{{Name: asked, Qtype: dns.TypeA, Qclass: dns.ClassINET}}
			for _, s := range sets {
				owner := dnsname.MustParse(s.owner)
				r.Set(s.section, RRset{owner, s.rrtype, dns.ClassINET, 300}, fields(s.rdata...), 0)
				for _, rdata := range s.rdata {
					rr, err := Decode(dns.RR_Header{Name: s.owner, Rrtype: s.rrtype, Class: dns.ClassINET, Ttl: 300}, []byte(rdata))
					if err != nil {
						t.Fatal(err)
					}
					if owner == question { // as serve has it
						rr.Header().Name = asked
					}
					in := [...]*[]dns.RR{&m.Answer, &m.Ns, &m.Extra}[s.section]
					*in = append(*in, rr)
				}
			}
			got, found := bytes.CutPrefix(r.End(4711, QR), []byte("before"))
			packed, err := m.Pack()
			if err != nil || !found || len(got) > len(packed) {
				t.Errorf("%s: %d bytes, want at most %d (%v)", about, len(got), len(packed), err)
			}
			var read dns.Msg
			if err := read.Unpack(got); err != nil {
				t.Fatalf("%s: %v\n%x", about, err, got)
			}
			if got, want := recordsOf(&read), recordsOf(m); got != want {
				t.Errorf("%s, asked as %s: got\n%s\nwant\n%s", about, asked, got, want)
			}
			if _, err := Parse(got); err != nil {
				t.Errorf("%s: the walker refuses %x: %v", about, got, err)
			}
		}
	}
}

// recordsOf writes the records of a message, owners in lower case.
func recordsOf(m *dns.Msg) string {
	var b strings.Builder
	for _, rr := range slices.Concat(m.Answer, m.Ns, m.Extra) {
		rr = dns.Copy(rr)
		rr.Header().Name = strings.ToLower(rr.Header().Name)
		fmt.Fprintln(&b, rr)
	}
	return b.String()
}

// A reply has no more bytes than it may, whatever is written, and is filled as far as records
// fit.
func TestReplyHasRoom(t *testing.T) {
	for room := 50; room < 200; room++ {
		var r Reply
		r.Begin(nil, room)
		r.Question(dnsname.MustParse("www.example."), []byte(dnsname.MustParse("www.example.")), dns.TypeTXT, dns.ClassINET)
		for range 10 {
			r.Set(SectionAnswer, RRset{dnsname.MustParse("www.example."), dns.TypeTXT, dns.ClassINET, 1}, fields("\x03abc"), 0)
		}
		const question, record, all = HeaderLen + 13 + 4, 12 + 4, 10
		want := min((room-question)/record, all)
		if got := r.Len(); got != question+want*record || r.Full() != (want < all) {
			t.Errorf("with room for %d bytes there are %d, full %t; want %d records", room, got, r.Full(), want)
		}
		if got := r.End(1, QR); len(got) != r.Len() || got[7] != byte(want) {
			t.Errorf("with room for %d bytes: %x, want %d records", room, got, want)
		}
	}
}

// The records that go to the end stay in order, and a field that is cut off ends a set.
func TestReplyTurns(t *testing.T) {
	for _, test := range []struct {
		fields string
		last   int
		want   string
	}{
		{fields("a", "b", "c"), 0, "abc"},
		{fields("a", "b", "c"), 1, "bca"},
		{fields("a", "b", "c"), 2, "cab"},
		{fields("a", "b", "c"), 3, "abc"},
		{fields("a", "b", "c"), 4, "abc"},
		{fields("a", "b") + "\x00\x02c", 1, "ba"},
		{"\x00", 0, ""},
		{"", 1, ""},
	} {
		var r Reply
		r.Begin(nil, MaxLen)
		r.Set(SectionAnswer, RRset{dnsname.Root, 65280, dns.ClassINET, 1}, test.fields, test.last)
		m, err := Parse(append([]byte(nil), r.End(0, QR)...))
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		for _, rec := range m.Answer {
			if got, err = m.AppendRData(got, rec); err != nil {
				t.Fatal(err)
			}
		}
		if string(got) != test.want {
			t.Errorf("%q with %d last: got %q, want %q", test.fields, test.last, got, test.want)
		}
	}
}
