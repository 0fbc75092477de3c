package resolver

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/policy"
	"github.com/iterdns/iterdns/internal/scrub"
)

// A denial has an SOA and says by an extended error where it comes from.
func TestAnswerSpecialUse(t *testing.T) {
	for _, test := range []struct {
		name   string
		rrtype uint16
		kind   responseKind
		rcode  int
	}{
		{"localhost.", dns.TypeA, kindAnswer, dns.RcodeSuccess},
		{"localhost.", dns.TypeMX, kindNoData, dns.RcodeSuccess},
		{"x.invalid.", dns.TypeTXT, kindNameError, dns.RcodeNameError},
		{"home.arpa.", dns.TypeSOA, kindAnswer, dns.RcodeSuccess},
		{"resolver.arpa.", dns.TypeA, kindNoData, dns.RcodeSuccess},
	} {
		q := question{dnsname.MustParse(test.name), test.rrtype}
		zone, ok := policy.SpecialUseOf(q.name)
		if !ok {
			t.Fatalf("%s is not special", test.name)
		}
		f := answerSpecialUse(zone, q, true)
		if f.kind != test.kind || f.rcode != test.rcode {
			t.Errorf("%s %s: got kind %v and RCODE %d, want %v and %d", test.name, dns.Type(test.rrtype), f.kind, f.rcode, test.kind, test.rcode)
		}
		if negative := len(f.sets) == 0; negative != (f.soa != nil) || negative != (len(f.extended) > 0) {
			t.Errorf("%s %s: got SOA %v and extended error %+v", test.name, dns.Type(test.rrtype), f.soa, f.extended)
		}
	}
}

// What a local zone says becomes an answer that lives as long as its records, or as its SOA
// lets a denial live.
func TestLocalAnswer(t *testing.T) {
	name := dnsname.MustParse("www.corp.example.")
	set := func(rrtype uint16, ttl uint32) *dnssec.RRset {
		return &dnssec.RRset{Owner: name, Type: rrtype, TTL: ttl}
	}
	soa := set(dns.TypeSOA, 7000)
	soa.Records = dnssec.Pack("\x00\x00" + strings.Repeat("\x00", 16) + "\x00\x00\x00\x78") // minimum 120
	for about, test := range map[string]struct {
		said  policy.LocalAnswer
		kind  responseKind
		rcode int
		ttl   uint32
	}{
		"records":   {policy.LocalAnswer{Sets: []*dnssec.RRset{set(dns.TypeA, 600), set(dns.TypeMX, 60)}, Exists: true}, kindAnswer, dns.RcodeSuccess, 60},
		"an alias":  {policy.LocalAnswer{Aliases: []scrub.Alias{{From: name, Set: set(dns.TypeCNAME, 300)}}, Exists: true}, kindAlias, dns.RcodeSuccess, 300},
		"too long":  {policy.LocalAnswer{Aliases: []scrub.Alias{{From: name, Set: set(dns.TypeDNAME, 300), TooLong: true}}}, kindAlias, dns.RcodeYXDomain, 300},
		"for years": {policy.LocalAnswer{Aliases: []scrub.Alias{{From: name, Set: set(dns.TypeCNAME, 1<<31-1)}}}, kindAlias, dns.RcodeSuccess, maxTTL},
		"no data":   {policy.LocalAnswer{SOA: soa, Exists: true}, kindNoData, dns.RcodeSuccess, 120},
		"no name":   {policy.LocalAnswer{SOA: soa}, kindNameError, dns.RcodeNameError, 120},
	} {
		f := localAnswer(question{name, dns.TypeA}, test.said)
		if f.kind != test.kind || f.rcode != test.rcode || f.ttl != test.ttl || f.soa != test.said.SOA || !f.local || !f.fromCache {
			t.Errorf("%s: got %+v, want kind %v, RCODE %d, TTL %d", about, f, test.kind, test.rcode, test.ttl)
		}
	}
}
