package localzone

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
)

// A denial has an SOA and says by an extended error where it comes from.
func TestSpecialUseAnswer(t *testing.T) {
	for _, test := range []struct {
		name   string
		rrtype uint16
		kind   answer.Kind
		rcode  int
	}{
		{"localhost.", dns.TypeA, answer.KindAnswer, dns.RcodeSuccess},
		{"localhost.", dns.TypeMX, answer.KindNoData, dns.RcodeSuccess},
		{"x.invalid.", dns.TypeTXT, answer.KindNameError, dns.RcodeNameError},
		{"home.arpa.", dns.TypeSOA, answer.KindAnswer, dns.RcodeSuccess},
		{"resolver.arpa.", dns.TypeA, answer.KindNoData, dns.RcodeSuccess},
	} {
		q := answer.Question{Name: dnsname.MustParse(test.name), Type: test.rrtype}
		zone, ok := SpecialUseOf(q.Name)
		if !ok {
			t.Fatalf("%s is not special", test.name)
		}
		f := zone.Answer(q, true)
		if f.Kind != test.kind || f.Rcode != test.rcode {
			t.Errorf("%s %s: got kind %v and RCODE %d, want %v and %d", test.name, dns.Type(test.rrtype), f.Kind, f.Rcode, test.kind, test.rcode)
		}
		if negative := len(f.Sets) == 0; negative != (f.SOA != nil) || negative != (len(f.Extended) > 0) {
			t.Errorf("%s %s: got SOA %v and extended error %+v", test.name, dns.Type(test.rrtype), f.SOA, f.Extended)
		}
		if by, denied := DeniedBy(f); denied != (len(f.Sets) == 0) || denied && by != zone {
			t.Errorf("%s %s: got a denial by %v (%t), want %v", test.name, dns.Type(test.rrtype), by.Name, denied, zone.Name)
		}
		f.Extended = nil // as in the answer of a server that has the zone
		if by, denied := DeniedBy(f); denied {
			t.Errorf("%s %s: a server's denial is one by %v", test.name, dns.Type(test.rrtype), by.Name)
		}
	}
}

// What a local zone says becomes an answer that lives as long as its records, or as its SOA
// lets a denial live.
func TestAnswerOf(t *testing.T) {
	name := dnsname.MustParse("www.corp.example.")
	set := func(rrtype uint16, ttl uint32) *dnssec.RRset {
		return &dnssec.RRset{Owner: name, Type: rrtype, TTL: ttl}
	}
	soa := set(dns.TypeSOA, 7000)
	soa.Records = dnssec.Pack("\x00\x00" + strings.Repeat("\x00", 16) + "\x00\x00\x00\x78") // minimum 120
	for about, test := range map[string]struct {
		said  Data
		kind  answer.Kind
		rcode int
		ttl   uint32
	}{
		"records":   {Data{Sets: []*dnssec.RRset{set(dns.TypeA, 600), set(dns.TypeMX, 60)}, Exists: true}, answer.KindAnswer, dns.RcodeSuccess, 60},
		"an alias":  {Data{Aliases: []scrub.Alias{{From: name, Set: set(dns.TypeCNAME, 300)}}, Exists: true}, answer.KindAlias, dns.RcodeSuccess, 300},
		"too long":  {Data{Aliases: []scrub.Alias{{From: name, Set: set(dns.TypeDNAME, 300), TooLong: true}}}, answer.KindAlias, dns.RcodeYXDomain, 300},
		"for years": {Data{Aliases: []scrub.Alias{{From: name, Set: set(dns.TypeCNAME, 1<<31-1)}}}, answer.KindAlias, dns.RcodeSuccess, answer.MaxTTL},
		"no data":   {Data{SOA: soa, Exists: true}, answer.KindNoData, dns.RcodeSuccess, 120},
		"no name":   {Data{SOA: soa}, answer.KindNameError, dns.RcodeNameError, 120},
	} {
		f := answerOf(answer.Question{Name: name, Type: dns.TypeA}, test.said)
		if f.Kind != test.kind || f.Rcode != test.rcode || f.TTL != test.ttl || f.SOA != test.said.SOA || !f.Local || !f.FromCache {
			t.Errorf("%s: got %+v, want kind %v, RCODE %d, TTL %d", about, f, test.kind, test.rcode, test.ttl)
		}
	}
}
