package resolver

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/policy"
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
