package resolver_test

import (
	"errors"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// Servers that cannot answer for type DS have the records in their referrals all the same
// (RFC 4035 §3.1.4). A question without validation caches none of them for others; the next
// client gets a validated answer nevertheless, of zones with a DS and without.
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

// A referral that settles nothing, having lost the DS, is not asked for over and over:
// the answer is bogus, not one question too many.
func TestDSOutOfAReferralThatSaysNothing(t *testing.T) {
	inWorld(t, `
-- zone example. at 198.51.100.2 signed --
-- zone shop.example. at 198.51.100.3 signed --
www             A   192.0.2.80
`, func(w *world) {
		w.update(`
-- fault 198.51.100.2 --
remove authority DS
add authority zzz.example. NSEC zzzz.example. A
when type DS: rcode SERVFAIL
`)
		_, err := w.r.Resolve(w.Context(), "www.shop.example.", dns.TypeA)
		var failure *resolver.Error
		if !errors.As(err, &failure) || failure.Status != dnssec.Bogus {
			w.Errorf("got %v, want bogus", err)
		}
		if n := len(w.in.Log()); n > 40 {
			w.Errorf("%d queries, want 40 at most", n)
		}
	}, ipv4Only)
}
