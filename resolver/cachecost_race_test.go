//go:build race

package resolver_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/probes"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestCacheCostOfMiss: a served miss of one query looks into the cache a dozen times at most, all
// its parts together. It hashes the four names above its own, and the root, for AppendHit, before
// and in its flight, and to keep the answer.
func TestCacheCostOfMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, `
-- zone shop.example. at 198.51.100.3 198.51.100.4 --
*.w   A 192.0.2.82
`)
		r := in.Resolver(t)
		query := func(i int) []byte {
			b, err := new(dns.Msg).SetQuestion(fmt.Sprintf("n%d.w.shop.example.", i), dns.TypeA).Pack()
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		ask := func(i int) {
			wire, m := query(i), new(dns.Msg)
			if _, ok := r.AppendHit(nil, wire, 1232); ok {
				t.Fatal("the cache has the answer")
			}
			if err := m.Unpack(wire); err != nil {
				t.Fatal(err)
			}
			if reply, err := r.Exchange(context.Background(), m); err != nil || len(reply.Answer) != 1 {
				t.Fatal(reply, err)
			}
			synctest.Wait()
		}
		ask(0)
		ask(1)
		before := probes.Counted()
		ask(2)
		got := before.Since()
		t.Logf("%+v", got)
		if got.Looks > 12 || got.Hashes > 21 {
			t.Errorf("%d looks into the cache and %d hashes, want 12 and 21 at most", got.Looks, got.Hashes)
		}
	})
}
