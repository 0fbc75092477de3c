package upstream

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
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

func (r response) pack(t testing.TB, q answer.Question) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(q.Name.String(), q.Type)
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
		want  answer.Kind
	}{
		{"answer", 0, response{aa: true, answer: "www.shop.example. A 192.0.2.1"}, answer.KindAnswer},
		{"answer without AA, as of old servers", 0, response{answer: "www.shop.example. A 192.0.2.1"}, answer.KindAnswer},
		{"answer of a resolver", 0, response{ra: true, answer: "www.shop.example. A 192.0.2.1"}, answer.KindRecursive},
		{"answer of a server that can recurse as well", 0, response{aa: true, ra: true, answer: "www.shop.example. A 192.0.2.1"}, answer.KindAnswer},
		{"alias", 0, response{aa: true, answer: "www.shop.example. CNAME www.example."}, answer.KindAlias},
		{"alias to a name that is not there", 0, response{aa: true, rcode: dns.RcodeNameError, answer: "www.shop.example. CNAME b.shop.example.", authority: soaOfShop}, answer.KindAlias},
		{"alias asked for", dns.TypeCNAME, response{aa: true, answer: "www.shop.example. CNAME www.example."}, answer.KindAnswer},
		{"alias of a resolver", 0, response{ra: true, answer: "www.shop.example. CNAME www.example."}, answer.KindRecursive},
		{"answer to something else", 0, response{aa: true, answer: "www.victim.example. A 192.0.2.1"}, answer.KindNoData},
		{"NODATA", 0, response{aa: true, authority: soaOfShop}, answer.KindNoData},
		{"NODATA without AA", 0, response{authority: soaOfShop}, answer.KindNoData},
		{"NODATA of a resolver", 0, response{ra: true, authority: soaOfShop}, answer.KindRecursive},
		{"NODATA without SOA", 0, response{aa: true}, answer.KindNoData},
		{"NODATA with NS beside the SOA", 0, response{aa: true, authority: soaOfShop + "\nwww.shop.example. NS ns.www.shop.example."}, answer.KindNoData},
		{"nothing at all", 0, response{}, answer.KindLame},
		{"nothing of a resolver", 0, response{ra: true}, answer.KindLame},
		{"nothing but a proof", 0, response{authority: "www.shop.example. NSEC zzz.shop.example. TXT RRSIG NSEC"}, answer.KindNoData},
		{"nothing but a proof, of a resolver", 0, response{ra: true, authority: "www.shop.example. NSEC zzz.shop.example. TXT RRSIG NSEC"}, answer.KindLame},
		{"name error", 0, response{aa: true, rcode: dns.RcodeNameError, authority: soaOfShop}, answer.KindNameError},
		{"name error without SOA", 0, response{aa: true, rcode: dns.RcodeNameError}, answer.KindNameError},
		{"name error of a resolver", 0, response{ra: true, rcode: dns.RcodeNameError, authority: soaOfShop}, answer.KindRecursive},
		{"referral", 0, response{authority: "www.shop.example. NS ns.www.shop.example."}, answer.KindReferral},
		{"referral with AA", 0, response{aa: true, authority: "www.shop.example. NS ns.www.shop.example."}, answer.KindReferral},
		{"referral upward", 0, response{authority: "example. NS ns.example."}, answer.KindLame},
		{"referral to the root", 0, response{authority: ". NS ns.example."}, answer.KindLame},
		{"referral to itself", 0, response{authority: "shop.example. NS ns.example."}, answer.KindLame},
		{"referral upward with AA", 0, response{aa: true, authority: "example. NS ns.example."}, answer.KindLame},
		{"referral sideways", 0, response{authority: "other.shop.example. NS ns.example."}, answer.KindLame},
		{"DS below a cut", dns.TypeDS, response{aa: true, answer: "www.shop.example. DS 1 13 2 00"}, answer.KindAnswer},
		{"no DS, by a server that refers", dns.TypeDS, response{authority: "www.shop.example. NS ns.www.shop.example."}, answer.KindNoData},
		{"refused", 0, response{rcode: dns.RcodeRefused}, answer.KindLame},
		{"not authoritative", 0, response{rcode: dns.RcodeNotAuth}, answer.KindLame},
		{"refused, with an answer", 0, response{aa: true, rcode: dns.RcodeRefused, answer: "www.shop.example. A 192.0.2.1"}, answer.KindLame},
		{"server failure", 0, response{rcode: dns.RcodeServerFailure}, answer.KindUnusable},
		{"server failure, with an answer", 0, response{aa: true, rcode: dns.RcodeServerFailure, answer: "www.shop.example. A 192.0.2.1"}, answer.KindUnusable},
		{"format error", 0, response{rcode: dns.RcodeFormatError}, answer.KindUnusable},
		{"not implemented", 0, response{rcode: dns.RcodeNotImplemented}, answer.KindUnusable},
		{"YXDOMAIN without a DNAME", 0, response{aa: true, rcode: dns.RcodeYXDomain}, answer.KindUnusable},
		{"YXDOMAIN with a DNAME", 0, response{aa: true, rcode: dns.RcodeYXDomain, answer: "shop.example. DNAME new.example."}, answer.KindAlias},
	}
	zone := dnsname.MustParse("shop.example.")
	for _, tt := range tests {
		q := answer.Question{Name: dnsname.MustParse("www.shop.example."), Type: tt.qtype}
		if q.Type == 0 {
			q.Type = dns.TypeA
		}
		r := scrubbed(t, tt.r.pack(t, q), zone, q)
		if got := classify(r, q, zone); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
}

func scrubbed(t testing.TB, message []byte, zone dnsname.Name, q answer.Question) *scrub.Reply {
	t.Helper()
	m, err := wire.Parse(message)
	if err != nil {
		t.Fatal(err)
	}
	r := new(scrub.Reply)
	err = scrub.Scrub(r, m, scrub.Asked{Zone: zone, Name: q.Name, Type: q.Type, MaxRecords: 256})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// FuzzClassify: for any bytes, a response passes through parser, allow list, classification
// and glue without a panic, and a referral leads below the zone and towards the name.
func FuzzClassify(f *testing.F) {
	q := answer.Question{Name: dnsname.MustParse("a.www.shop.example."), Type: dns.TypeA}
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
		q := answer.Question{Name: q.Name, Type: qtype}
		r := new(scrub.Reply)
		err = scrub.Scrub(r, m, scrub.Asked{Zone: zone, Name: q.Name, Type: qtype, MaxRecords: 256})
		if err != nil {
			return
		}
		switch kind := classify(r, q, zone); kind {
		case answer.KindReferral:
			d, err := glue.Referral{Zone: zone, Name: q.Name, NS: r.NS, Addresses: r.Addresses}.Delegation()
			if err != nil {
				t.Fatalf("a referral that is none: %v", err)
			}
			if !d.Zone.IsBelow(zone) || !q.Name.IsAtOrBelow(d.Zone) || len(d.Servers) > glue.MaxServers {
				t.Errorf("referral from %s for %s to %s with %d servers", zone, q.Name, d.Zone, len(d.Servers))
			}
			for _, s := range d.Servers {
				if len(s.Addrs) > 0 && !s.Name.IsAtOrBelow(zone) {
					t.Errorf("glue for %s from a server of %s", s.Name, zone)
				}
			}
		case answer.KindAnswer:
			if len(r.Answer) == 0 {
				t.Errorf("an answer without one")
			}
		case answer.KindAlias:
			if len(r.Aliases) == 0 {
				t.Errorf("an alias without one")
			}
		case answer.KindNoData, answer.KindNameError, answer.KindRecursive, answer.KindLame, answer.KindUnusable:
		}
	})
}
