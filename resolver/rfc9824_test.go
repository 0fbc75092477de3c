package resolver_test

import (
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// RFC 9824 §5: a client that may validate the proof gets NOERROR, unless CO says that it
// knows NXNAME. It is the same from the cache, behind an alias, and never for a name that
// exists without records.
func TestRFC9824Section5(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, `
-- zone shop.example. at 198.51.100.3 compact --
www    A      192.0.2.80
alias  CNAME  missing
a.ent  A      192.0.2.81
-- zone plain.example. at 198.51.100.4 --
alias  CNAME  missing.shop.example.
`)
		r := in.Resolver(t)
		for _, test := range []struct {
			name   string
			do, co bool
			rcode  int
		}{
			{"missing.shop.example.", false, false, dns.RcodeNameError},
			{"missing.shop.example.", true, false, dns.RcodeSuccess},
			{"missing.shop.example.", true, true, dns.RcodeNameError},
			{"alias.shop.example.", false, false, dns.RcodeNameError},
			{"alias.shop.example.", true, false, dns.RcodeSuccess},
			{"alias.shop.example.", true, true, dns.RcodeNameError},
			{"alias.plain.example.", true, false, dns.RcodeSuccess},
			{"alias.plain.example.", true, true, dns.RcodeNameError},
			{"ent.shop.example.", false, false, dns.RcodeSuccess},
			{"ent.shop.example.", true, true, dns.RcodeSuccess},
		} {
			for _, turn := range []string{"cold", "again"} {
				query := new(dns.Msg).SetQuestion(test.name, dns.TypeA).SetEdns0(1232, test.do)
				query.IsEdns0().SetCo(test.co)
				query.AuthenticatedData = true
				reply := exchanged(t, r, query)
				if reply.Rcode != test.rcode || reply.AuthenticatedData == dns.IsSubDomain("plain.example.", test.name) {
					t.Errorf("%s, DO %t, CO %t, %s: got %s, AD %t, want %s, and AD unless plain.example. is in it", test.name, test.do, test.co, turn,
						dns.RcodeToString[reply.Rcode], reply.AuthenticatedData, dns.RcodeToString[test.rcode])
				}
			}
		}
	})
}
