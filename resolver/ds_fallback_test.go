package resolver_test

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// Servers that cannot answer for type DS have the records in their referrals all the same
// (RFC 4035 §3.1.4). A client that wants no validation leaves nothing of them behind; the
// next one gets a validated answer nevertheless, of zones with a DS and without.
func TestDSOutOfTheReferral(t *testing.T) {
	for _, rcode := range []int{dns.RcodeServerFailure, dns.RcodeRefused, dns.RcodeNotImplemented} {
		inWorld(t, `
-- zone example. at 198.51.100.2 signed --
-- zone shop.example. at 198.51.100.3 signed --
www             A   192.0.2.80
-- zone deep.shop.example. at 198.51.100.5 signed --
www             A   192.0.2.82
-- zone deeper.deep.shop.example. at 198.51.100.6 signed --
www             A   192.0.2.83
-- zone plain.example. at 198.51.100.4 --
www             A   192.0.2.81
`, func(w *world) {
			for _, server := range []string{"198.18.0.1", "198.51.100.2", "198.51.100.3", "198.51.100.5"} {
				w.in.Fault(server, resolvertest.Rcode(rcode).When(resolvertest.Type(dns.TypeDS)))
			}
			for _, c := range []struct {
				name   string
				status dnssec.Status
			}{
				{"www.deeper.deep.shop.example.", dnssec.Secure},
				{"www.shop.example.", dnssec.Secure},
				{"www.plain.example.", dnssec.Insecure},
			} {
				if m := exchanged(w.T, w.r, ask(c.name, dns.TypeA, withCD)); len(m.Answer) == 0 {
					w.Errorf("%s with CD: got %v, want an answer", c.name, m)
				}
				got := w.ask(c.name, dns.TypeA)
				if got.err != nil || len(got.Answer) == 0 || got.Status != c.status {
					w.Errorf("%s after %s: got %v, want an answer, %v", c.name, dns.RcodeToString[rcode], got, c.status)
				}
			}
		}, ipv4Only)
	}
}
