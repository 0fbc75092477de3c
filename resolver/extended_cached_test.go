package resolver_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// Data that is Insecure because it is signed with something unsupported says so each time
// that it is returned, from the cache too, be it an answer, a denial, or made from a
// wildcard (RFC 8914 §4.2, §4.3, RFC 9276 §3.2). AppendHit, which writes no options, leaves
// such answers to Exchange where the client has EDNS.
func TestExtendedErrorsOfCachedAnswers(t *testing.T) {
	for _, c := range brokenCases() {
		if c.status != dnssec.Insecure {
			continue
		}
		t.Run(fmt.Sprint(c.words, " ", c.name, " ", dns.Type(c.qtype)), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := resolvertest.New(t, fmt.Sprintf(brokenZone, c.words)).Resolver(t)
				for _, cached := range []bool{false, true, true} {
					result, err := r.Resolve(t.Context(), c.name, c.qtype)
					if err != nil {
						t.Fatal(err)
					}
					var got []uint16
					for _, e := range result.Extended {
						got = append(got, e.Code)
					}
					if result.FromCache != cached || result.Status != c.status || !slices.Equal(got, c.codes) {
						t.Errorf("cached %t: got FromCache %t, %v %v, want %v %d", cached, result.FromCache, result.Status, got, c.status, c.codes)
					}
				}
				if got := codes(exchanged(t, r, ask(c.name, c.qtype, withEDNS))); !slices.Equal(got, c.codes) {
					t.Errorf("Exchange: got %d, want %d", got, c.codes)
				}
				query, err := ask(c.name, c.qtype, withEDNS).Pack()
				if err != nil {
					t.Fatal(err)
				}
				if hit, ok := r.AppendHit(nil, query, 0); ok {
					t.Errorf("AppendHit: got %x, which lacks the reason", hit)
				}
			})
		})
	}
}
