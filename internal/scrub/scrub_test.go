package scrub

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// reply is a response in zone-file text, section by section.
type reply struct{ answer, authority, additional string }

// message packs it, as a reply to the question.
func (r reply) message(t testing.TB, name string, qtype uint16) *wire.Message {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.Response, m.Authoritative, m.Compress = true, true, true
	m.Answer, m.Ns, m.Extra = records(t, r.answer), records(t, r.authority), records(t, r.additional)
	return parsed(t, m)
}

func parsed(t testing.TB, m *dns.Msg) *wire.Message {
	t.Helper()
	b, err := m.Pack()
	if err != nil {
		t.Fatalf("pack: %v", err)
	}
	w, err := wire.Parse(b)
	if err != nil {
		t.Fatalf("parse: %v", err)
	}
	return w
}

func records(t testing.TB, text string) []dns.RR {
	t.Helper()
	var rrs []dns.RR
	p := dns.NewZoneParser(strings.NewReader(text), ".", "")
	p.SetDefaultTTL(300)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		rrs = append(rrs, rr)
	}
	if err := p.Err(); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return rrs
}

// describe lists all that a Reply holds.
func describe(r *Reply) []string {
	var lines []string
	set := func(place string, s *dnssec.RRset) {
		if s == nil {
			return
		}
		rrs, err := s.AppendRRs(nil, s.TTL, true)
		if err != nil {
			lines = append(lines, place+" error "+err.Error())
		}
		for _, rr := range rrs {
			data := strings.TrimPrefix(rr.String(), rr.Header().String())
			lines = append(lines, fmt.Sprintf("%s %s %d %s %s", place, rr.Header().Name, rr.Header().Ttl, dns.Type(rr.Header().Rrtype), data))
		}
	}
	for _, s := range r.Answer {
		set("answer", s)
	}
	for _, a := range r.Aliases {
		to := a.To.String()
		if a.TooLong {
			to = "too long"
		}
		lines = append(lines, fmt.Sprintf("alias %s to %s by %s", a.From, to, dns.Type(a.Set.Type)))
	}
	set("soa", r.SOA)
	for _, s := range r.Denial {
		set("denial", s)
	}
	for _, ns := range r.NS {
		lines = append(lines, fmt.Sprintf("ns %s %s", ns.Owner, ns.Target))
	}
	set("ds", r.DS)
	for _, a := range r.Addresses {
		lines = append(lines, fmt.Sprintf("address %s %s", a.Owner, a.Addr))
	}
	if r.Upward {
		lines = append(lines, "upward")
	}
	if r.ManyOwners {
		lines = append(lines, "many owners")
	}
	return lines
}

const (
	soaText = "shop.example. SOA ns.shop.example. host.shop.example. 1 2 3 4 5"
	soaLine = "soa shop.example. 300 SOA ns.shop.example. host.shop.example. 1 2 3 4 5"
	sigOfA  = "www.shop.example. RRSIG A 13 3 300 20300101000000 20200101000000 1 shop.example. AAAA"
)

// scrubbed is what Scrub keeps of a response.
func scrubbed(m *wire.Message, asked Asked) (*Reply, error) {
	r := new(Reply)
	if err := Scrub(r, m, asked); err != nil {
		return nil, err
	}
	return r, nil
}

// TestScrub is the allow list, case by case: what a server of shop.example. may say
// when asked for www.shop.example. A, unless the case says otherwise.
func TestScrub(t *testing.T) {
	tests := []struct {
		name  string
		asked string // "" is www.shop.example.
		qtype uint16 // 0 is A
		zone  string // "" is shop.example.
		reply reply
		want  []string
	}{
		{name: "answer", reply: reply{answer: "www.shop.example. A 192.0.2.1"}, want: []string{"answer www.shop.example. 300 A 192.0.2.1"}},
		{
			name:  "duplicates are one, the lowest TTL counts",
			reply: reply{answer: "www.shop.example. 90 A 192.0.2.1\nwww.shop.example. 60 A 192.0.2.1\nwww.shop.example. 80 A 192.0.2.2"},
			want:  []string{"answer www.shop.example. 60 A 192.0.2.1", "answer www.shop.example. 60 A 192.0.2.2"},
		},
		{
			name:  "signatures of the set only",
			reply: reply{answer: "www.shop.example. A 192.0.2.1\n" + sigOfA + "\n" + strings.Replace(sigOfA, "RRSIG A ", "RRSIG MX ", 1)},
			want: []string{
				"answer www.shop.example. 300 A 192.0.2.1",
				"answer www.shop.example. 300 RRSIG A 13 3 300 20300101000000 20200101000000 1 shop.example. AAAA",
			},
		},
		{
			name:  "records of other names and types",
			reply: reply{answer: "www.shop.example. A 192.0.2.1\nwww.shop.example. AAAA 2001:db8::1\nother.shop.example. A 192.0.2.2\nwww.victim.example. A 192.0.2.3"},
			want:  []string{"answer www.shop.example. 300 A 192.0.2.1"},
		},
		{name: "answer outside the zone asked", zone: "other.example.", reply: reply{answer: "www.shop.example. A 192.0.2.1"}},
		{name: "CNAME outside the zone asked", zone: "other.example.", reply: reply{answer: "www.shop.example. CNAME www.other.example."}},
		{
			name:  "CNAME and its target",
			reply: reply{answer: "www.shop.example. CNAME www.victim.example.\nwww.victim.example. A 192.0.2.3"},
			want:  []string{"alias www.shop.example. to www.victim.example. by CNAME"},
		},
		{
			name:  "chain in order, whatever the order in the message",
			reply: reply{answer: "b.shop.example. CNAME c.shop.example.\nwww.shop.example. CNAME b.shop.example.\nc.shop.example. A 192.0.2.3"},
			want:  []string{"alias www.shop.example. to b.shop.example. by CNAME", "alias b.shop.example. to c.shop.example. by CNAME"},
		},
		{
			name:  "chain out of the zone and back",
			reply: reply{answer: "www.shop.example. CNAME a.victim.example.\na.victim.example. CNAME b.shop.example.\nb.shop.example. CNAME c.shop.example."},
			want:  []string{"alias www.shop.example. to a.victim.example. by CNAME"},
		},
		{
			name:  "chain that does not begin at the name",
			reply: reply{answer: "other.shop.example. CNAME b.shop.example.\nb.shop.example. A 192.0.2.3"},
		},
		{
			name:  "endless chain",
			reply: reply{answer: "www.shop.example. CNAME www.shop.example."},
			want:  slices.Repeat([]string{"alias www.shop.example. to www.shop.example. by CNAME"}, maxLinks),
		},
		{
			name:  "CNAME asked for",
			qtype: dns.TypeCNAME,
			reply: reply{answer: "www.shop.example. CNAME b.shop.example.\nb.shop.example. CNAME c.shop.example."},
			want:  []string{"answer www.shop.example. 300 CNAME b.shop.example."},
		},
		{
			name:  "answer before CNAME",
			reply: reply{answer: "www.shop.example. CNAME b.shop.example.\nwww.shop.example. A 192.0.2.1"},
			want:  []string{"answer www.shop.example. 300 A 192.0.2.1"},
		},
		{
			name:  "DNAME, without what was made of it",
			asked: "a.old.shop.example.",
			reply: reply{answer: "old.shop.example. DNAME new.example.\na.old.shop.example. CNAME evil.example."},
			want:  []string{"alias a.old.shop.example. to a.new.example. by DNAME"},
		},
		{
			name:  "CNAME below a DNAME asked for",
			asked: "a.old.shop.example.", qtype: dns.TypeCNAME,
			reply: reply{answer: "old.shop.example. DNAME new.example.\na.old.shop.example. CNAME a.new.example."},
			want:  []string{"alias a.old.shop.example. to a.new.example. by DNAME"},
		},
		{
			name:  "DNAME that makes the name too long",
			asked: strings.Repeat("a", 60) + ".old.shop.example.",
			reply: reply{answer: "old.shop.example. DNAME " + strings.Repeat(strings.Repeat("b", 60)+".", 4)},
			want:  []string{"alias " + strings.Repeat("a", 60) + ".old.shop.example. to too long by DNAME"},
		},
		{name: "DNAME at the zone above", reply: reply{answer: "example. DNAME new.example."}},
		{name: "DNAME at the root", reply: reply{answer: ". DNAME new.example."}},
		{name: "DNAME at the name itself", reply: reply{answer: "www.shop.example. DNAME new.example."}},
		{
			name:  "DNAME at the apex",
			reply: reply{answer: "shop.example. DNAME new.example."},
			want:  []string{"alias www.shop.example. to www.new.example. by DNAME"},
		},
		{
			name:  "ANY",
			qtype: dns.TypeANY,
			reply: reply{answer: "www.shop.example. A 192.0.2.1\nwww.shop.example. MX 10 a.example.\n" + sigOfA + "\nother.shop.example. A 192.0.2.2"},
			want: []string{
				"answer www.shop.example. 300 A 192.0.2.1",
				"answer www.shop.example. 300 RRSIG A 13 3 300 20300101000000 20200101000000 1 shop.example. AAAA",
				"answer www.shop.example. 300 MX 10 a.example.",
			},
		},
		{name: "SOA", reply: reply{authority: soaText}, want: []string{soaLine}},
		{name: "SOA of the parent", reply: reply{authority: strings.Replace(soaText, "shop.example. SOA", "example. SOA", 1)}},
		{name: "SOA of another zone below", reply: reply{authority: strings.Replace(soaText, "shop.example. SOA", "x.shop.example. SOA", 1)}},
		{name: "SOA in another section", reply: reply{answer: soaText, additional: soaText}},
		{
			name:  "the first SOA",
			reply: reply{authority: soaText + "\nwww.shop.example. SOA ns.example. evil.example. 1 2 3 4 99"},
			want:  []string{soaLine},
		},
		{
			name:  "SOA of the end of the chain",
			reply: reply{answer: "www.shop.example. CNAME b.shop.example.", authority: soaText},
			want:  []string{"alias www.shop.example. to b.shop.example. by CNAME", soaLine},
		},
		{
			name:  "SOA for a target elsewhere",
			reply: reply{answer: "www.shop.example. CNAME www.victim.example.", authority: soaText + "\nvictim.example. SOA ns.example. evil.example. 1 2 3 4 99"},
			want:  []string{"alias www.shop.example. to www.victim.example. by CNAME"},
		},
		{
			name:  "NSEC of the zone and of others",
			reply: reply{authority: "a.shop.example. NSEC b.shop.example. A\nvictim.example. NSEC a.shop.example. A\nexample. NSEC a.shop.example. NS"},
			want:  []string{"denial a.shop.example. 300 NSEC b.shop.example. A"},
		},
		{
			name:  "NSEC that leads out of the zone",
			reply: reply{authority: "a.shop.example. NSEC victim.example. A\nb.shop.example. NSEC shop.example. A"},
			want:  []string{"denial b.shop.example. 300 NSEC shop.example. A"},
		},
		{
			name:  "NSEC in the answer section",
			reply: reply{answer: "a.shop.example. NSEC b.shop.example. A"},
		},
		{
			name:  "referral with DS and glue",
			asked: "a.www.shop.example.",
			reply: reply{
				authority:  "www.shop.example. NS ns.www.shop.example.\nwww.shop.example. NS ns.host.test.\nwww.shop.example. DS 1 13 2 00AA",
				additional: "ns.www.shop.example. A 192.0.2.53\nns.www.shop.example. AAAA 2001:db8::53\nns.host.test. A 192.0.2.54\nother.host.test. A 192.0.2.55",
			},
			want: []string{
				"ns www.shop.example. ns.www.shop.example.", "ns www.shop.example. ns.host.test.",
				"ds www.shop.example. 300 DS 1 13 2 00AA",
				"address ns.www.shop.example. 192.0.2.53", "address ns.www.shop.example. 2001:db8::53", "address ns.host.test. 192.0.2.54",
			},
		},
		{
			name:  "DS of another cut",
			reply: reply{authority: "www.shop.example. NS ns.example.\nvictim.example. DS 1 13 2 00AA\nshop.example. DS 1 13 2 00AA"},
			want:  []string{"ns www.shop.example. ns.example."},
		},
		{name: "DS without NS", reply: reply{authority: "www.shop.example. DS 1 13 2 00AA"}},
		{name: "NS of the zone itself", reply: reply{authority: "shop.example. NS ns.evil.example.", additional: "ns.evil.example. A 203.0.113.66"}, want: []string{"upward"}},
		{name: "NS of the parent", reply: reply{authority: "example. NS ns.evil.example."}, want: []string{"upward"}},
		{name: "NS of the root", reply: reply{authority: ". NS ns.evil.example."}, want: []string{"upward"}},
		{name: "NS beside the name", reply: reply{authority: "other.shop.example. NS ns.evil.example."}, want: []string{"upward"}},
		{name: "NS of the victim", reply: reply{authority: "victim.example. NS ns.evil.example."}, want: []string{"upward"}},
		{
			name:  "NS of two zones on the way",
			asked: "a.www.shop.example.",
			reply: reply{authority: "www.shop.example. NS ns.example.\na.www.shop.example. NS ns.example."},
			want:  []string{"ns www.shop.example. ns.example.", "many owners"},
		},
		{name: "addresses without a referral", reply: reply{additional: "ns.shop.example. A 192.0.2.53"}},
		{name: "NS in the answer or additional section", reply: reply{answer: "www.shop.example. NS ns.example.", additional: "www.shop.example. NS ns.example."}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			name, zone, qtype := tt.asked, tt.zone, tt.qtype
			if name == "" {
				name = "www.shop.example."
			}
			if zone == "" {
				zone = "shop.example."
			}
			if qtype == 0 {
				qtype = dns.TypeA
			}
			r, err := scrubbed(tt.reply.message(t, name, qtype), Asked{Zone: dnsname.MustParse(zone), Name: dnsname.MustParse(name), Type: qtype, MaxRecords: 256})
			if err != nil {
				t.Fatalf("got error %v", err)
			}
			if got := describe(r); !slices.Equal(got, tt.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(tt.want, "\n\t"))
			}
		})
	}
}

// TestScrubHeader: what of the header later decisions need.
func TestScrubHeader(t *testing.T) {
	for _, rcode := range []int{dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeRefused} {
		for _, flags := range []struct{ aa, ra bool }{{}, {aa: true}, {ra: true}, {true, true}} {
			m := new(dns.Msg)
			m.SetQuestion("www.shop.example.", dns.TypeA)
			m.Response, m.Rcode, m.Authoritative, m.RecursionAvailable = true, rcode, flags.aa, flags.ra
			r, err := scrubbed(parsed(t, m), asked())
			if err != nil || r.Rcode != rcode || r.AA != flags.aa || r.RA != flags.ra {
				t.Errorf("%v: got %+v, %v; want RCODE %d and the flags", flags, r, err, rcode)
			}
		}
	}
}

func asked() Asked {
	return Asked{Zone: dnsname.MustParse("shop.example."), Name: dnsname.MustParse("www.shop.example."), Type: dns.TypeA, MaxRecords: 256}
}

// TestClass: records of a class other than IN are none.
func TestClass(t *testing.T) {
	m := new(dns.Msg)
	m.SetQuestion("www.shop.example.", dns.TypeA)
	m.Response = true
	m.Answer = records(t, "www.shop.example. CH A 192.0.2.1")
	m.Ns = records(t, "shop.example. CH SOA a. b. 1 2 3 4 5\nwww.shop.example. CH NS ns.www.shop.example.")
	m.Extra = records(t, "ns.www.shop.example. CH A 192.0.2.1")
	r, err := scrubbed(parsed(t, m), asked())
	if got := describe(r); err != nil || len(got) > 0 {
		t.Errorf("got %q, %v; want nothing", got, err)
	}
}

// TestLimits: RRsets, signatures and denials are bounded.
func TestLimits(t *testing.T) {
	var big strings.Builder
	for i := range 257 {
		fmt.Fprintf(&big, "www.shop.example. A 192.0.%d.%d\n", i/256, i%256)
	}
	if _, err := scrubbed(reply{answer: big.String()}.message(t, "www.shop.example.", dns.TypeA), asked()); !errors.Is(err, ErrTooManyRecords) {
		t.Errorf("257 records: got error %v, want %v", err, ErrTooManyRecords)
	}
	var signed strings.Builder
	signed.WriteString("www.shop.example. A 192.0.2.1\n")
	for i := range 40 {
		fmt.Fprintf(&signed, "www.shop.example. RRSIG A 13 3 300 20300101000000 20200101000000 %d shop.example. %s\n", i, base64.StdEncoding.EncodeToString([]byte{byte(i)}))
	}
	r, err := scrubbed(reply{answer: signed.String()}.message(t, "www.shop.example.", dns.TypeA), asked())
	if err != nil || len(describe(r)) != 1+maxSignatures || r.LeftOut != ExcessSignatures {
		t.Errorf("40 signatures: got %d records, %v and %v left out, want %d, signatures left out", len(describe(r)), err, r.LeftOut, 1+maxSignatures)
	}
	var denials strings.Builder
	for i := range 40 {
		fmt.Fprintf(&denials, "n%d.shop.example. NSEC n%d.shop.example. A\n", i, i+1)
	}
	r, err = scrubbed(reply{authority: denials.String()}.message(t, "www.shop.example.", dns.TypeA), asked())
	if err != nil || len(r.Denial) != maxDenials || r.LeftOut != ExcessDenials {
		t.Errorf("40 denials: got %d, %v and %v left out, want %d, denials left out", len(r.Denial), err, r.LeftOut, maxDenials)
	}
	var types strings.Builder
	for i := range 60 {
		fmt.Fprintf(&types, "www.shop.example. TYPE%d \\# 1 00\n", 65000+i)
	}
	any := asked()
	any.Type = dns.TypeANY
	r, err = scrubbed(reply{answer: types.String()}.message(t, "www.shop.example.", dns.TypeANY), any)
	if err != nil || len(r.Answer) != maxANY || r.LeftOut != ExcessTypes {
		t.Errorf("60 types: got %d, %v and %v left out, want %d, types left out", len(r.Answer), err, r.LeftOut, maxANY)
	}
}

// TestNothingLeftOut: as much as is kept of each is not too much, and repeating it is not.
func TestNothingLeftOut(t *testing.T) {
	var whole strings.Builder
	whole.WriteString("www.shop.example. A 192.0.2.1\n")
	for range 2 {
		for i := range maxSignatures / 2 {
			fmt.Fprintf(&whole, "www.shop.example. RRSIG A 13 3 300 20300101000000 20200101000000 %d shop.example. AAAA\n", i)
		}
	}
	var links strings.Builder
	links.WriteString("www.shop.example. CNAME n1.shop.example.\n")
	for i := 1; i < maxLinks; i++ {
		fmt.Fprintf(&links, "n%d.shop.example. CNAME n%d.shop.example.\n", i, i+1)
	}
	more := links.String() + fmt.Sprintf("n%d.shop.example. CNAME n%d.shop.example.\n", maxLinks, maxLinks+1)
	var denials strings.Builder
	for i := range maxDenials {
		fmt.Fprintf(&denials, "n%d.shop.example. NSEC n%d.shop.example. A\n", i, i+1)
	}
	var tooLarge strings.Builder
	for i := range 257 {
		fmt.Fprintf(&tooLarge, "n.shop.example. NSEC a%d.shop.example. A\n", i)
	}
	for _, tt := range []struct {
		what string
		reply
		want Excess
	}{
		{"signatures", reply{answer: whole.String()}, 0},
		{"links", reply{answer: links.String()}, 0},
		{"one link more", reply{answer: more}, ExcessAliases},
		{"denials", reply{authority: denials.String()}, 0},
		{"257 NSEC records at one name", reply{authority: tooLarge.String()}, ExcessRecords},
	} {
		r, err := scrubbed(tt.message(t, "www.shop.example.", dns.TypeA), asked())
		if err != nil || r.LeftOut != tt.want {
			t.Errorf("%s: got %+v, %v; want %v left out", tt.what, r, err, tt.want)
		}
	}
}

// TestMalformedAnswer: RDATA that cannot be read makes the response useless, where it
// is of the RRset asked for, and is left out elsewhere.
func TestMalformedAnswer(t *testing.T) {
	m := new(dns.Msg)
	m.SetQuestion("www.shop.example.", dns.TypeA)
	m.Response = true
	m.Answer = []dns.RR{short("www.shop.example.")}
	if _, err := scrubbed(parsed(t, m), asked()); !errors.Is(err, ErrMalformed) {
		t.Errorf("an address of three bytes: got error %v, want %v", err, ErrMalformed)
	}
	m.Answer = nil
	m.Ns = records(t, "www.shop.example. NS ns.www.shop.example.")
	m.Extra = append(records(t, "ns.www.shop.example. A 192.0.2.53"), short("ns.www.shop.example."))
	r, err := scrubbed(parsed(t, m), asked())
	if err != nil || len(r.Addresses) != 1 || r.Addresses[0].Addr != netip.MustParseAddr("192.0.2.53") {
		t.Errorf("one glue record of two malformed: got %v, %v; want the other one", r, err)
	}
}

// short is an address of three bytes.
func short(owner string) dns.RR {
	return &dns.RFC3597{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 300}, Rdata: "010203"}
}
