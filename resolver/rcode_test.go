package resolver_test

import (
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestRcodeAgainstRecords: where the response code of a reply denies and its records
// answer, the records count, for the first caller as for one that is answered from the
// cache; so do signed ones. The SOA beside the code does not count.
func TestRcodeAgainstRecords(t *testing.T) {
	soa, err := dns.NewRR("shop.example. 300 IN SOA ns.shop.example. h.shop.example. 1 2 3 4 300")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{dns.RcodeNameError, dns.RcodeYXDomain} {
		for _, words := range []string{"", "signed"} {
			for _, q := range []struct {
				name    string
				rrtype  uint16
				records []string
			}{
				{"www.shop.example.", dns.TypeA, []string{"www.shop.example. A 192.0.2.80"}},
				{"alias.shop.example.", dns.TypeCNAME, []string{"alias.shop.example. CNAME www.shop.example."}},
				{"alias.shop.example.", dns.TypeA, []string{"alias.shop.example. CNAME www.shop.example.", "www.shop.example. A 192.0.2.80"}},
				{"www.old.shop.example.", dns.TypeCNAME, []string{"old.shop.example. DNAME shop.example.", "www.old.shop.example. CNAME www.shop.example."}},
			} {
				t.Run(dns.RcodeToString[code]+" "+words+" "+q.name+" "+dns.Type(q.rrtype).String(), func(t *testing.T) {
					inWorld(t, "-- zone shop.example. at 198.51.100.3 "+words+" --\nwww A 192.0.2.80\nalias CNAME www\nold DNAME shop.example.\n", func(w *world) {
						w.in.Fault("198.51.100.3", resolvertest.Hook(func(_, m *dns.Msg) {
							if len(m.Answer) > 0 && m.Question[0].Qtype == q.rrtype {
								m.Rcode, m.Ns = code, append(m.Ns, dns.Copy(soa))
							}
						}))
						status := dnssec.Indeterminate
						if words == "signed" {
							status = dnssec.Secure
						}
						for _, when := range []string{"asked first", "out of the cache"} {
							o := w.ask(q.name, q.rrtype)
							if o.err != nil {
								t.Fatalf("%s: %v", when, o.err)
							}
							o.Answer = answerRecords(o.Answer)
							o.check(w, when, dns.RcodeSuccess, q.records...)
							if o.Status != status || slices.ContainsFunc(o.Authority, isSOA) {
								t.Errorf("%s: got %v with authority %v, want %v and no SOA", when, o.Status, o.Authority, status)
							}
							reply := exchanged(t, w.r, ask(q.name, q.rrtype, withDO))
							if reply.Rcode != dns.RcodeSuccess || slices.ContainsFunc(reply.Ns, isSOA) {
								t.Errorf("%s, as a message: got\n%v", when, reply)
							}
						}
					}, ipv4Only, minimiseOff)
				})
			}
		}
	}
	// Without the records the code is all there is.
	inWorld(t, forgeWorld, func(w *world) {
		for range 2 {
			w.want("none.shop.example.", dns.TypeA, dns.RcodeNameError)
		}
	}, ipv4Only)
}

func isSOA(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA }

// TestProofBesideAnAlias: a proof beside an alias that was not asked for, such as that the
// zone it leads to is not signed, is passed on. It contradicts nothing.
func TestProofBesideAnAlias(t *testing.T) {
	inWorld(t, "-- zone shop.example. at 198.51.100.3 signed --\nwww A 192.0.2.80\nalias CNAME www\n", func(w *world) {
		var proof []dns.RR
		w.in.Fault("198.51.100.3", resolvertest.Hook(func(_, m *dns.Msg) {
			switch q := m.Question[0]; {
			case q.Qtype == dns.TypeMX:
				proof = denialRecords(m.Ns)
			case dns.CanonicalName(q.Name) == "alias.shop.example.":
				m.Ns = append(m.Ns, proof...)
			}
		}))
		w.want("www.shop.example.", dns.TypeMX, dns.RcodeSuccess)
		reply := exchanged(w.T, w.r, ask("alias.shop.example.", dns.TypeA, withDO))
		if len(proof) == 0 || len(denialRecords(reply.Ns)) != len(proof) {
			t.Errorf("got authority %v, want %v in it", reply.Ns, proof)
		}
	}, ipv4Only, minimiseOff)
}

// denialRecords returns the NSEC records with their signatures.
func denialRecords(records []dns.RR) []dns.RR {
	var denial []dns.RR
	for _, rr := range records {
		sig, signed := rr.(*dns.RRSIG)
		if rr.Header().Rrtype == dns.TypeNSEC || signed && sig.TypeCovered == dns.TypeNSEC {
			denial = append(denial, dns.Copy(rr))
		}
	}
	return denial
}
