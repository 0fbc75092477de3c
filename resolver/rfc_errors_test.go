package resolver_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// shopSigned is a signed zone to break in one way at a time.
const shopSigned = `
-- zone shop.example. at 198.51.100.3 signed --
alpha           A     192.0.2.1
www             A     192.0.2.80
`

// TestRFC8914Codes has one broken zone for each extended DNS error. A validating client
// gets the same with SERVFAIL, or with an answer that is only insecure.
func TestRFC8914Codes(t *testing.T) {
	const digest = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
	broken := func(fault string) string { return shopSigned + "-- fault 198.51.100.3 --\n" + fault + "\n" }
	delegated := func(ds string) string {
		return shopSigned + "-- zone example. at 198.51.100.2 signed --\nshop DS " + ds + " " + digest + "\n"
	}
	for _, test := range []struct {
		name   string
		world  string
		change func(*resolver.Options)
		before []string      // names asked first
		after  time.Duration // time that passes before the question
		ask    string
		rcode  int
		code   uint16
		cached bool // "Cached Error" is there too
	}{
		{name: "DNSKEY algorithm", world: delegated("1 200 2"), ask: "www.shop.example.", code: dns.ExtendedErrorCodeUnsupportedDNSKEYAlgorithm},
		{name: "DS digest", world: delegated("1 15 250"), ask: "www.shop.example.", code: dns.ExtendedErrorCodeUnsupportedDSDigestType},
		{name: "NSEC3 iterations", world: strings.ReplaceAll(shopSigned, "signed", "iterations=100"), ask: "nx.shop.example.", rcode: dns.RcodeNameError, code: 27},
		{name: "bogus", world: broken("when type A: add answer www.shop.example. A 203.0.113.66"), ask: "www.shop.example.", rcode: dns.RcodeServerFailure, code: dns.ExtendedErrorCodeDNSBogus},
		{name: "expired", world: shopSigned, after: 721 * time.Hour, ask: "www.shop.example.", rcode: dns.RcodeServerFailure, code: dns.ExtendedErrorCodeSignatureExpired},
		{
			name: "not yet valid", world: shopSigned, ask: "www.shop.example.",
			change: func(o *resolver.Options) {
				o.SignatureTime = func() time.Time { return time.Now().Add(-48 * time.Hour) }
			},
			rcode: dns.RcodeServerFailure, code: dns.ExtendedErrorCodeSignatureNotYetValid,
		},
		{name: "DNSKEY missing", world: broken("when type DNSKEY: replace NOERROR"), ask: "www.shop.example.", rcode: dns.RcodeServerFailure, code: dns.ExtendedErrorCodeDNSKEYMissing},
		{name: "RRSIGs missing", world: broken("when name www.shop.example.: remove answer RRSIG"), ask: "www.shop.example.", rcode: dns.RcodeServerFailure, code: dns.ExtendedErrorCodeRRSIGsMissing},
		{name: "NSEC missing", world: broken("remove authority NSEC"), ask: "nx.shop.example.", rcode: dns.RcodeServerFailure, code: dns.ExtendedErrorCodeNSECMissing},
		{name: "cached error", world: broken("rcode SERVFAIL"), before: []string{"www.shop.example."}, ask: "www.shop.example.", rcode: dns.RcodeServerFailure, code: dns.ExtendedErrorCodeNoReachableAuthority, cached: true},
		{name: "no reachable authority", world: broken("dead"), ask: "www.shop.example.", rcode: dns.RcodeServerFailure, code: dns.ExtendedErrorCodeNoReachableAuthority},
		{name: "network error", world: shopSigned + "-- fault * --\ndead\n", ask: "www.shop.example.", rcode: dns.RcodeServerFailure, code: dns.ExtendedErrorCodeNetworkError},
		{name: "synthesised", world: shopSigned, before: []string{"nx1.shop.example."}, ask: "nx2.shop.example.", rcode: dns.RcodeNameError, code: dns.ExtendedErrorCodeSynthesized},
		{name: "limit", world: "-- zone shop.example. at 198.51.100.3 --\na CNAME a\n", ask: "a.shop.example.", rcode: dns.RcodeServerFailure, code: dns.ExtendedErrorCodeOther},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var change []func(*resolver.Options)
				if test.change != nil {
					change = append(change, test.change)
				}
				r := resolvertest.New(t, test.world).Resolver(t, change...)
				for _, name := range test.before {
					exchanged(t, r, ask(name, dns.TypeA))
				}
				time.Sleep(test.after)
				reply := exchanged(t, r, ask(test.ask, dns.TypeA, withDO))
				want := []uint16{test.code}
				if test.cached {
					want = append(want, dns.ExtendedErrorCodeCachedError)
				}
				if reply.Rcode != test.rcode || !slices.Equal(codes(reply), want) {
					t.Errorf("got %s %v, want %s %d\n%v", dns.RcodeToString[reply.Rcode], codes(reply), dns.RcodeToString[test.rcode], want, reply)
				}
				if plain := exchanged(t, r, ask(test.ask, dns.TypeA)); plain.Rcode != test.rcode {
					t.Errorf("without EDNS: got %s, want %s", dns.RcodeToString[plain.Rcode], dns.RcodeToString[test.rcode])
				}
			})
		})
	}
}

// Extended errors that servers send are for us only: they are not passed on.
func TestRFC8914FromServersStaysThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, shopSigned)
		in.Fault("198.51.100.3", resolvertest.Hook(func(_, reply *dns.Msg) {
			if opt := reply.IsEdns0(); opt != nil {
				opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeCensored, ExtraText: "secret"})
			}
		}))
		reply := exchanged(t, in.Resolver(t), ask("www.shop.example.", dns.TypeA, withDO))
		if got := codes(reply); reply.Rcode != dns.RcodeSuccess || !reply.AuthenticatedData || len(got) != 0 {
			t.Errorf("got %s AD=%t %v, want NOERROR AD=true and no extended error", dns.RcodeToString[reply.Rcode], reply.AuthenticatedData, got)
		}
	})
}
