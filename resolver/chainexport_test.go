package resolver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// chainSteps names the links of a chain, one a line.
func chainSteps(chain []dnssec.Link) string {
	var b strings.Builder
	for i := range chain {
		fmt.Fprintln(&b, &chain[i])
	}
	return b.String()
}

// The evidence begins with the keys of the anchor and ends with the whole answer; each
// link stands behind those that it rests on.
func TestChainInOrder(t *testing.T) {
	for _, test := range []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"www.child.shop.example.", dns.TypeA, `. DNSKEY answer
example. DS answer
example. DNSKEY answer
shop.example. DS answer
shop.example. DNSKEY answer
child.shop.example. DS answer
child.shop.example. DNSKEY answer
www.child.shop.example. A answer
`},
		{"missing.shop.example.", dns.TypeA, `. DNSKEY answer
example. DS answer
example. DNSKEY answer
shop.example. DS answer
shop.example. DNSKEY answer
missing.shop.example. A name error
`},
		{"www.insecure.shop.example.", dns.TypeA, `. DNSKEY answer
example. DS answer
example. DNSKEY answer
shop.example. DS answer
shop.example. DNSKEY answer
insecure.shop.example. DS nodata
www.insecure.shop.example. A answer
`},
		{"over.shop.example.", dns.TypeA, `. DNSKEY answer
example. DS answer
example. DNSKEY answer
shop.example. DS answer
shop.example. DNSKEY answer
other.example. DS answer
other.example. DNSKEY answer
over.shop.example. A answer
`},
		{"missing.", dns.TypeA, ". DNSKEY answer\nmissing. A name error\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, fmt.Sprintf(signedWorld, "", wildcards))
				r := in.Resolver(t)
				for _, turn := range []string{"cold", "again"} {
					result, err := r.Resolve(resolver.WithChain(t.Context()), test.name, test.qtype)
					if err != nil {
						t.Fatal(err)
					}
					if got := chainSteps(result.Chain); got != test.want {
						t.Errorf("%s: got\n%swant\n%s", turn, got, test.want)
					}
				}
			})
		})
	}
}

// Without any one of its links, or with one of them altered, a chain does not hold.
func TestChainNeedsEachLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, fmt.Sprintf(signedWorld, "", wildcards))
		r := in.Resolver(t)
		for _, q := range signedQuestions(false, false) {
			result, err := resolveWithChain(t.Context(), r, q)
			if err != nil {
				t.Fatal(err)
			}
			for i := range len(result.Chain) - 1 {
				less := slices.Delete(slices.Clone(result.Chain), i, i+1)
				if verdict, err := dnssec.VerifyChain(less, in.Anchors(), in.Now()); err == nil {
					t.Errorf("%s, without %v: got %v, want an error", q.kind, &result.Chain[i], verdict.Status)
				}
			}
			if verdict, err := dnssec.VerifyChain(result.Chain, wrongAnchors(t, "."), in.Now()); err == nil {
				t.Errorf("%s, with another anchor: got %v, want an error", q.kind, verdict.Status)
			}
			if q.status == dnssec.Secure {
				verdict, err := dnssec.VerifyChain(result.Chain, in.Anchors(), in.Now().Add(365*24*time.Hour))
				var bogus *dnssec.BogusError
				if !errors.As(err, &bogus) {
					t.Errorf("%s, in a year: got %v, %v, want bogus", q.kind, verdict, err)
				}
			}
		}
	})
}

// Questions without WithChain pay nothing for chains, and those with it for no signature that
// was checked before.
func TestChainCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, fmt.Sprintf(signedWorld, "", wildcards))
		r := in.Resolver(t)
		const name = "www.child.shop.example."
		cold, err := spentBy(t.Context(), r, name, dns.TypeA)
		if err != nil || cold.Result.Chain != nil {
			t.Errorf("not asked for: got %v, %v, want no evidence", cold.Result, err)
		}
		in.ResetLog()
		warm, err := spentBy(resolver.WithChain(t.Context()), r, name, dns.TypeA)
		if err != nil || len(warm.Result.Chain) != 8 || !warm.Result.FromCache {
			t.Errorf("out of the cache: got %v, %v, want eight links", warm.Result, err)
		}
		if warm.Validation != (dnssec.Spent{}) || in.Count() != 0 {
			t.Errorf("out of the cache: got %+v and %d queries, want no check and none", warm.Validation, in.Count())
		}
		if none, err := spentBy(t.Context(), r, name, dns.TypeA); err != nil || none.Validation != (dnssec.Spent{}) {
			t.Errorf("out of the cache, not asked for: got %+v, %v", none.Validation, err)
		}
	})
}

// When the keys have expired before the answer, they are fetched again for the evidence.
func TestChainOfExpiredKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 signed --\nwww 86400 A 192.0.2.80\n@ 60 NS ns1\nns1 A 198.51.100.3")
		r := in.Resolver(t)
		for _, wait := range []time.Duration{0, time.Minute, 2 * time.Hour, 12 * time.Hour} {
			time.Sleep(wait)
			result, err := r.Resolve(resolver.WithChain(t.Context()), "www.shop.example.", dns.TypeA)
			if err != nil {
				t.Fatal(err)
			}
			if err := checkChain(in, result); err != nil {
				t.Errorf("after %v more: %v", wait, err)
			}
		}
		off := in.Resolver(t, func(o *resolver.Options) { o.Validation = resolver.ValidateOff })
		if result, err := off.Resolve(resolver.WithChain(t.Context()), "www.shop.example.", dns.TypeA); err != nil || result.Chain != nil {
			t.Errorf("without validation: got %v, %v, want no evidence", result, err)
		}
	})
}
