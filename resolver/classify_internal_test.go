package resolver

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/wire"
)

// response is a message as a server of shop.example. sends it.
type response struct {
	rcode                         int
	aa, ra                        bool
	answer, authority, additional string
}

func (r response) pack(t testing.TB, q question) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(q.name.String(), q.rrtype)
	m.Response, m.Rcode, m.Authoritative, m.RecursionAvailable = true, r.rcode, r.aa, r.ra
	for text, section := range map[string]*[]dns.RR{r.answer: &m.Answer, r.authority: &m.Ns, r.additional: &m.Extra} {
		for line := range strings.Lines(text) {
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			*section = append(*section, rr)
		}
	}
	message, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return message
}

const soaOfShop = "shop.example. 300 IN SOA ns.shop.example. h.shop.example. 1 2 3 4 5"

// TestClassify: what a response of a server of shop.example. to www.shop.example. is.
func TestClassify(t *testing.T) {
	tests := []struct {
		name  string
		qtype uint16 // 0: A
		r     response
		want  responseKind
	}{
		{"answer", 0, response{aa: true, answer: "www.shop.example. A 192.0.2.1"}, kindAnswer},
		{"answer without AA, as of old servers", 0, response{answer: "www.shop.example. A 192.0.2.1"}, kindAnswer},
		{"answer of a resolver", 0, response{ra: true, answer: "www.shop.example. A 192.0.2.1"}, kindRecursive},
		{"answer of a server that can recurse as well", 0, response{aa: true, ra: true, answer: "www.shop.example. A 192.0.2.1"}, kindAnswer},
		{"alias", 0, response{aa: true, answer: "www.shop.example. CNAME www.example."}, kindAlias},
		{"alias to a name that is not there", 0, response{aa: true, rcode: dns.RcodeNameError, answer: "www.shop.example. CNAME b.shop.example.", authority: soaOfShop}, kindAlias},
		{"alias asked for", dns.TypeCNAME, response{aa: true, answer: "www.shop.example. CNAME www.example."}, kindAnswer},
		{"alias of a resolver", 0, response{ra: true, answer: "www.shop.example. CNAME www.example."}, kindRecursive},
		{"answer to something else", 0, response{aa: true, answer: "www.victim.example. A 192.0.2.1"}, kindNoData},
		{"NODATA", 0, response{aa: true, authority: soaOfShop}, kindNoData},
		{"NODATA without AA", 0, response{authority: soaOfShop}, kindNoData},
		{"NODATA of a resolver", 0, response{ra: true, authority: soaOfShop}, kindRecursive},
		{"NODATA without SOA", 0, response{aa: true}, kindNoData},
		{"NODATA with NS beside the SOA", 0, response{aa: true, authority: soaOfShop + "\nwww.shop.example. NS ns.www.shop.example."}, kindNoData},
		{"nothing at all", 0, response{}, kindLame},
		{"nothing of a resolver", 0, response{ra: true}, kindLame},
		{"nothing but a proof", 0, response{authority: "www.shop.example. NSEC zzz.shop.example. TXT RRSIG NSEC"}, kindNoData},
		{"nothing but a proof, of a resolver", 0, response{ra: true, authority: "www.shop.example. NSEC zzz.shop.example. TXT RRSIG NSEC"}, kindLame},
		{"name error", 0, response{aa: true, rcode: dns.RcodeNameError, authority: soaOfShop}, kindNameError},
		{"name error without SOA", 0, response{aa: true, rcode: dns.RcodeNameError}, kindNameError},
		{"name error of a resolver", 0, response{ra: true, rcode: dns.RcodeNameError, authority: soaOfShop}, kindRecursive},
		{"referral", 0, response{authority: "www.shop.example. NS ns.www.shop.example."}, kindReferral},
		{"referral with AA", 0, response{aa: true, authority: "www.shop.example. NS ns.www.shop.example."}, kindReferral},
		{"referral upward", 0, response{authority: "example. NS ns.example."}, kindLame},
		{"referral to the root", 0, response{authority: ". NS ns.example."}, kindLame},
		{"referral to itself", 0, response{authority: "shop.example. NS ns.example."}, kindLame},
		{"referral upward with AA", 0, response{aa: true, authority: "example. NS ns.example."}, kindLame},
		{"referral sideways", 0, response{authority: "other.shop.example. NS ns.example."}, kindLame},
		{"DS below a cut", dns.TypeDS, response{aa: true, answer: "www.shop.example. DS 1 13 2 00"}, kindAnswer},
		{"no DS, by a server that refers", dns.TypeDS, response{authority: "www.shop.example. NS ns.www.shop.example."}, kindNoData},
		{"refused", 0, response{rcode: dns.RcodeRefused}, kindLame},
		{"not authoritative", 0, response{rcode: dns.RcodeNotAuth}, kindLame},
		{"refused, with an answer", 0, response{aa: true, rcode: dns.RcodeRefused, answer: "www.shop.example. A 192.0.2.1"}, kindLame},
		{"server failure", 0, response{rcode: dns.RcodeServerFailure}, kindUnusable},
		{"server failure, with an answer", 0, response{aa: true, rcode: dns.RcodeServerFailure, answer: "www.shop.example. A 192.0.2.1"}, kindUnusable},
		{"format error", 0, response{rcode: dns.RcodeFormatError}, kindUnusable},
		{"not implemented", 0, response{rcode: dns.RcodeNotImplemented}, kindUnusable},
		{"YXDOMAIN without a DNAME", 0, response{aa: true, rcode: dns.RcodeYXDomain}, kindUnusable},
		{"YXDOMAIN with a DNAME", 0, response{aa: true, rcode: dns.RcodeYXDomain, answer: "shop.example. DNAME new.example."}, kindAlias},
	}
	zone := dnsname.MustParse("shop.example.")
	for _, tt := range tests {
		q := question{dnsname.MustParse("www.shop.example."), tt.qtype}
		if q.rrtype == 0 {
			q.rrtype = dns.TypeA
		}
		r := scrubbed(t, tt.r.pack(t, q), zone, q)
		if got := classify(r, q, zone); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func scrubbed(t testing.TB, message []byte, zone dnsname.Name, q question) *scrub.Reply {
	t.Helper()
	m, err := wire.Parse(message)
	if err != nil {
		t.Fatal(err)
	}
	r, err := scrub.Scrub(m, scrub.Asked{Zone: zone, Name: q.name, Type: q.rrtype, MaxRecords: 256})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// FuzzClassify: for any bytes, a response passes through parser, allow list, classification
// and glue without a panic, and a referral leads below the zone and towards the name.
func FuzzClassify(f *testing.F) {
	q := question{dnsname.MustParse("a.www.shop.example."), dns.TypeA}
	for _, r := range []response{
		{aa: true, answer: "a.www.shop.example. A 192.0.2.1"},                                                            // an answer
		{aa: true, answer: "a.www.shop.example. CNAME b.example."},                                                       // an alias
		{aa: true, answer: "shop.example. DNAME b.example."},                                                             // a DNAME
		{aa: true, authority: soaOfShop},                                                                                 // NODATA
		{aa: true, rcode: dns.RcodeNameError, authority: soaOfShop},                                                      // a name error
		{authority: "www.shop.example. NS ns.www.shop.example.", additional: "ns.www.shop.example. A 192.0.2.53"},        // a referral
		{authority: "www.shop.example. NS a.\na.www.shop.example. NS b."},                                                // two of them
		{authority: "example. NS ns.example."},                                                                           // an upward one
		{authority: "www.shop.example. NS ns.www.shop.example.", additional: "ns.www.shop.example. AAAA ::ffff:1.2.3.4"}, // odd glue
		{rcode: dns.RcodeRefused},                                                                                        // lame
	} {
		f.Add(r.pack(f, q), dns.TypeA)
		f.Add(r.pack(f, q), dns.TypeDS)
	}
	zone := dnsname.MustParse("shop.example.")
	f.Fuzz(func(t *testing.T, message []byte, qtype uint16) {
		m, err := wire.Parse(message)
		if err != nil {
			return
		}
		q := question{q.name, qtype}
		r, err := scrub.Scrub(m, scrub.Asked{Zone: zone, Name: q.name, Type: qtype, MaxRecords: 256})
		if err != nil {
			return
		}
		switch kind := classify(r, q, zone); kind {
		case kindReferral:
			d, err := glue.Referral{Zone: zone, Name: q.name, NS: r.NS, Addresses: r.Addresses}.Delegation()
			if err != nil {
				t.Fatalf("a referral that is none: %v", err)
			}
			if !d.Zone.IsBelow(zone) || !q.name.IsAtOrBelow(d.Zone) || len(d.Servers) > glue.MaxServers {
				t.Errorf("referral from %s for %s to %s with %d servers", zone, q.name, d.Zone, len(d.Servers))
			}
			for _, s := range d.Servers {
				if len(s.Addrs) > 0 && !s.Name.IsAtOrBelow(zone) {
					t.Errorf("glue for %s from a server of %s", s.Name, zone)
				}
			}
		case kindAnswer:
			if len(r.Answer) == 0 {
				t.Errorf("an answer without one")
			}
		case kindAlias:
			if len(r.Aliases) == 0 {
				t.Errorf("an alias without one")
			}
		case kindNoData, kindNameError, kindRecursive, kindLame, kindUnusable:
		}
	})
}
