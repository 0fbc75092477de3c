package resolver_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// A question asked after local zones have been set, or negative trust anchors, does not get
// the answer that an earlier question is still waiting for.
func TestNobodyJoinsFromBeforeAChange(t *testing.T) {
	const slow = clientWorld + `
-- fault 198.51.100.3 --
latency 500ms
-- fault 198.51.100.4 --
latency 500ms
-- fault 198.51.100.5 --
latency 500ms
`
	local := []resolver.LocalZone{{
		Zone: "plain.example", Records: []dns.RR{record("www.plain.example. 60 CNAME www.shop.example.")},
	}}
	for _, test := range []struct {
		name, ask    string
		local        []resolver.LocalZone
		change       func(*resolver.Resolver) error
		first, after string
	}{
		{"local zones", "www.plain.example.", local,
			func(r *resolver.Resolver) error { return r.SetLocalZones(nil) },
			"NOERROR 192.0.2.80 192.0.2.81", "NOERROR 192.0.2.83"},
		{"anchors", "www.broken.example.", nil,
			func(r *resolver.Resolver) error { return r.SetNegativeTrustAnchors(nil) },
			"NOERROR 192.0.2.84", "error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := resolvertest.New(t, slow).Resolver(t, plain, func(o *resolver.Options) {
					o.LocalZones = test.local
					o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "broken.example"}}
				})
				first := make(chan string)
				go func() { first <- addressesOf(t, r, test.ask) }()
				time.Sleep(300 * time.Millisecond)
				if err := test.change(r); err != nil {
					t.Fatal(err)
				}
				if got := addressesOf(t, r, test.ask); !strings.HasPrefix(got, test.after) {
					t.Errorf("asked after: got %s, want %s", got, test.after)
				}
				if got := <-first; got != test.first {
					t.Errorf("asked before: got %s, want %s", got, test.first)
				}
			})
		})
	}
}
