package scrub

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// FuzzScrub: whatever the bytes, nothing panics, and nothing outside the allow list is
// kept.
func FuzzScrub(f *testing.F) {
	for _, seed := range []struct {
		answer, authority, additional string
	}{
		{"www.shop.example. A 192.0.2.1", "", ""},                                                   // an answer
		{"www.shop.example. CNAME www.victim.example.\nwww.victim.example. A 203.0.113.66", "", ""}, // the target of an alias
		{"www.victim.example. A 203.0.113.66", "", ""},                                              // an answer nobody asked for
		{"shop.example. DNAME new.example.", "", ""},                                                // the DNAME of the apex
		{"example. DNAME new.example.", "", ""},                                                     // one from above
		{"", soaText, ""},                                                                           // NODATA
		{"", "example. SOA a. b. 1 2 3 4 5", ""},                                                    // somebody else's SOA
		{"", "www.shop.example. NS ns.www.shop.example.\nwww.shop.example. DS 1 13 2 00", "ns.www.shop.example. A 192.0.2.1"}, // a referral
		{"", "example. NS ns.evil.example.", "ns.evil.example. A 203.0.113.66"},                                               // an upward one
		{"", "www.shop.example. NS a.\nvictim.example. NS b.", "a. A 192.0.2.1\nb. A 192.0.2.2\nc. A 192.0.2.3"},              // mixed ones
		{"", "a.shop.example. NSEC b.shop.example. A\nvictim.example. NSEC a.example. A", ""},                                 // denials
	} {
		f.Add(packed(f, seed.answer, seed.authority, seed.additional), dns.TypeA)
	}
	f.Fuzz(func(t *testing.T, b []byte, qtype uint16) {
		m, err := wire.Parse(b)
		if err != nil {
			return
		}
		a := asked()
		a.Type = qtype
		r, err := scrubbed(m, a)
		if err != nil {
			return
		}
		checkAllowed(t, a, r)
	})
}

func packed(t testing.TB, answer, authority, additional string) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("www.shop.example.", dns.TypeA)
	m.Response = true
	m.Answer, m.Ns, m.Extra = records(t, answer), records(t, authority), records(t, additional)
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkAllowed is the allow list said a second time, as a property of the result.
func checkAllowed(t *testing.T, a Asked, r *Reply) {
	t.Helper()
	for _, s := range r.Answer {
		if s.Owner != a.Name || s.Type != a.Type && a.Type != dns.TypeANY || s.Class != dns.ClassINET {
			t.Errorf("answer %s %s to a question for %s %s", s.Owner, dns.Type(s.Type), a.Name, dns.Type(a.Type))
		}
	}
	at := a.Name
	for _, step := range r.Aliases {
		if step.From != at || !step.From.IsAtOrBelow(a.Zone) || !step.Set.Owner.IsAtOrBelow(a.Zone) {
			t.Errorf("alias at %s by %s %s, where the chain is at %s in %s", step.From, step.Set.Owner, dns.Type(step.Set.Type), at, a.Zone)
		}
		if step.IsDNAME() != (step.Set.Owner != step.From) || !step.From.IsAtOrBelow(step.Set.Owner) {
			t.Errorf("alias at %s by %s %s", step.From, step.Set.Owner, dns.Type(step.Set.Type))
		}
		at = step.To
	}
	if len(r.Answer) > 0 && len(r.Aliases) > 0 {
		t.Errorf("an answer and aliases")
	}
	if r.SOA != nil && !r.SOA.Owner.IsAtOrBelow(a.Zone) {
		t.Errorf("SOA of %s from a server of %s", r.SOA.Owner, a.Zone)
	}
	for _, s := range r.Denial {
		if !s.Owner.IsAtOrBelow(a.Zone) || s.Type != dns.TypeNSEC && s.Type != dns.TypeNSEC3 {
			t.Errorf("denial %s %s from a server of %s", s.Owner, dns.Type(s.Type), a.Zone)
		}
	}
	servers := make(map[dnsname.Name]bool)
	for _, ns := range r.NS {
		if !ns.Owner.IsBelow(a.Zone) || !a.Name.IsAtOrBelow(ns.Owner) || ns.Owner != r.NS[0].Owner {
			t.Errorf("delegation of %s by %s on the way to %s", ns.Owner, a.Zone, a.Name)
		}
		servers[ns.Target] = true
	}
	if r.DS != nil && (len(r.NS) == 0 || r.DS.Owner != r.NS[0].Owner) {
		t.Errorf("DS of %s beside another delegation", r.DS.Owner)
	}
	for _, address := range r.Addresses {
		if !servers[address.Owner] {
			t.Errorf("address of %s, which is no name server of the delegation", address.Owner)
		}
	}
	for _, s := range append([]*dnssec.RRset{r.SOA, r.DS}, append(r.Answer, r.Denial...)...) {
		if s != nil && s.Records.Len() == 0 {
			t.Errorf("an RRset %s %s without a record", s.Owner, dns.Type(s.Type))
		}
	}
}

// TestAnyRecordInAnySection generates replies that hold any record in any section, and
// checks the allow list on each. A seed repeats its replies.
func TestAnyRecordInAnySection(t *testing.T) {
	names := []string{
		".", "example.", "shop.example.", "www.shop.example.", "a.www.shop.example.", "other.shop.example.", "ns.shop.example.",
		"victim.example.", "www.victim.example.", "test.", "ns.test.",
	}
	types := []string{
		"A 192.0.2.1", "AAAA 2001:db8::1", "NS %s", "CNAME %s", "DNAME %s", "SOA %s h. 1 2 3 4 5", "MX 10 %s", "TXT x",
		"DS 1 13 2 00", "NSEC %s A", "RRSIG A 13 2 300 20300101000000 20200101000000 1 %s AAAA", "TYPE65280 \\# 1 00",
	}
	replies := 200_000
	if testing.Short() {
		replies = 5_000
	}
	pool := recordPool(t, names, types)
	random := rand.New(rand.NewPCG(1, 2))
	pick := func() []dns.RR {
		rrs := make([]dns.RR, random.IntN(4))
		for i := range rrs {
			rrs[i] = pool[random.IntN(len(pool))]
		}
		return rrs
	}
	qtypes := []uint16{dns.TypeA, dns.TypeNS, dns.TypeCNAME, dns.TypeDS, dns.TypeANY, dns.TypeSOA}
	for range replies {
		a := Asked{
			Zone: dnsname.MustParse(names[random.IntN(4)]), Name: dnsname.MustParse(names[random.IntN(len(names))]),
			Type: qtypes[random.IntN(len(qtypes))], MaxRecords: 256,
		}
		m := &dns.Msg{Answer: pick(), Ns: pick(), Extra: pick()}
		m.SetQuestion(a.Name.String(), a.Type)
		m.Response = true
		r, err := scrubbed(parsed(t, m), a)
		if err != nil {
			t.Fatalf("%v: %v", m, err)
		}
		checkAllowed(t, a, r)
		if t.Failed() {
			t.Fatalf("asked %+v:\n%v", a, m)
		}
	}
}

// recordPool makes each of the types at each of the names, with each of the names in
// its data.
func recordPool(t *testing.T, names, types []string) []dns.RR {
	t.Helper()
	var text []byte
	for _, owner := range names {
		for _, data := range types {
			for _, target := range names {
				text = append(text, owner+" "+strings.Replace(data, "%s", target, 1)+"\n"...)
			}
		}
	}
	return records(t, string(text))
}
