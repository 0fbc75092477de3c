package main

import (
	"testing"

	"github.com/miekg/dns"
)

// internet is the world that most tests ask in.
const internet = `
-- zone . at 127.77.0.1 signed --
-- zone example. at 127.77.0.2 signed --
-- zone shop.example. at 127.77.0.3 127.77.0.4 signed --
www     A     192.0.2.80
www     TXT   "hello"
mail    A     192.0.2.25
alias   CNAME www
inside  A     10.0.0.1
many    A     192.0.2.1
many    A     192.0.2.2
many    A     192.0.2.3
large   TXT   "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
-- zone bogus.example. at 127.77.0.5 signed break=corrupt --
www     A     192.0.2.66
-- zone broken.example. at 127.77.0.6 --
www     A     192.0.2.81
-- zone other.test. at 127.77.0.9 undelegated --
www     A     192.0.2.99
-- fault broken.example. --
rcode SERVFAIL
`

func newInternet(t *testing.T) *world {
	return newWorld(t, internet, "example.", "shop.example.", "bogus.example.", "broken.example.", "other.test.")
}

func TestQuestions(t *testing.T) {
	p := startProxy(t, newInternet(t).flags()...)
	tests := []struct {
		name    string
		qtype   uint16
		rcode   int
		records int
		secure  bool
	}{
		{"www.shop.example.", dns.TypeA, dns.RcodeSuccess, 2, true},
		{"alias.shop.example.", dns.TypeA, dns.RcodeSuccess, 4, true},
		{"nosuch.shop.example.", dns.TypeA, dns.RcodeNameError, 0, true},
		{"www.shop.example.", dns.TypeMX, dns.RcodeSuccess, 0, true},
		{"www.bogus.example.", dns.TypeA, dns.RcodeServerFailure, 0, false},
		{"www.broken.example.", dns.TypeA, dns.RcodeServerFailure, 0, false},
		{"localhost.", dns.TypeA, dns.RcodeSuccess, 1, false},
	}
	for _, network := range []string{"udp", "tcp"} {
		for _, test := range tests {
			for range 2 { // the second time out of the cache
				got := ask(t, network, p.at[network], test.name, test.qtype, withDO)
				if got.Rcode != test.rcode || len(got.Answer) != test.records || got.AuthenticatedData != test.secure {
					t.Errorf("%s %s over %s: got\n%v\nwant %s, %d records, AD %t", test.name, dns.Type(test.qtype),
						network, got, dns.RcodeToString[test.rcode], test.records, test.secure)
				}
			}
		}
	}
}
