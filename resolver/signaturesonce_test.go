package resolver_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// No signature is computed twice: not on the way to one answer, through the walk, the keys
// fetched beside it and the validator, nor when the same RRset comes again with another answer
// or when its TTL is over.
func TestSignaturesCheckedOnce(t *testing.T) {
	const zones = `
-- zone shop.example. at 198.51.100.3 198.51.100.4 %[1]s --
www     A       192.0.2.80
www     AAAA    2001:db8::80
mail    A       192.0.2.81
alias   CNAME   www.host.test.
old     DNAME   new
a.new   A       192.0.2.82
b.new   A       192.0.2.83
*.wild  A       192.0.2.84
-- zone host.test. at 198.51.100.5 %[1]s --
www     A       192.0.2.85
-- zone plain.shop.example. at 198.51.100.6 --
www     A       192.0.2.86
`
	type visit struct {
		name       string
		qtype      uint16
		status     dnssec.Status
		nsec, hash int // signatures that are new, with NSEC and with NSEC3
	}
	visits := []visit{
		// Keys of the root, example. and shop.example., the DS of the last two, and the answer.
		{"www.shop.example.", dns.TypeA, dnssec.Secure, 6, 6},
		{"www.shop.example.", dns.TypeAAAA, dnssec.Secure, 1, 1},
		{"mail.shop.example.", dns.TypeA, dnssec.Secure, 1, 1},
		// The SOA, which each denial has, and the record of the name.
		{"www.shop.example.", dns.TypeMX, dnssec.Secure, 2, 2},
		{"mail.shop.example.", dns.TypeMX, dnssec.Secure, 1, 1},
		// The record that covers the name, and those of wildcard and closest encloser.
		{"a.wild.shop.example.", dns.TypeA, dnssec.Secure, 2, 2},
		{"b.wild.shop.example.", dns.TypeA, dnssec.Secure, 0, 0},
		{"missing.shop.example.", dns.TypeA, dnssec.Secure, 1, 3},
		// The DNAME once, and each target.
		{"a.old.shop.example.", dns.TypeA, dnssec.Secure, 2, 2},
		{"b.old.shop.example.", dns.TypeA, dnssec.Secure, 1, 1},
		// Keys and DS of test. and host.test., the CNAME and the answer.
		{"alias.shop.example.", dns.TypeA, dnssec.Secure, 6, 6},
		// The record without DS.
		{"www.plain.shop.example.", dns.TypeA, dnssec.Insecure, 1, 1},
		// What validation has fetched before.
		{"shop.example.", dns.TypeDNSKEY, dnssec.Secure, 0, 0},
		{"example.", dns.TypeDNSKEY, dnssec.Secure, 0, 0},
		{".", dns.TypeDNSKEY, dnssec.Secure, 0, 0},
		{"shop.example.", dns.TypeDS, dnssec.Secure, 0, 0},
		{"shop.example.", dns.TypeSOA, dnssec.Secure, 0, 0},
	}
	for _, words := range []string{"signed", "nsec3"} {
		t.Run(words, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, fmt.Sprintf(zones, words))
				r := in.Resolver(t)
				for round := range 2 {
					for _, v := range visits {
						want := v.nsec
						if words == "nsec3" {
							want = v.hash
						}
						if round > 0 {
							want = 0
						}
						done, err := spentBy(t.Context(), r, v.name, v.qtype)
						if err != nil || done.Result.Status != v.status || done.Validation.SignatureChecks != want {
							t.Errorf("round %d, %s %s: got %v, %v and %+v, want %v and %d checks",
								round, v.name, dns.TypeToString[v.qtype], done.Result, err, done.Validation, v.status, want)
						}
					}
					if sends := in.Count(); sends < len(visits) {
						t.Errorf("round %d: got %d queries, want one for most questions", round, sends)
					}
					in.ResetLog()
					time.Sleep(25 * time.Hour) // every TTL is over, no signature is
				}
			})
		})
	}
}
