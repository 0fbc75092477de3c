package resolver_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// flushWorld has a signed zone that is in use, and the attacker's, where every second name
// is there and no two are the same.
const flushWorld = `
-- zone shop.example. at 198.51.100.3 signed --
once            A       192.0.2.79
www             A       192.0.2.80
fresh           A       192.0.2.81
-- zone attacker.example. at 198.51.100.66 --
*.there         A       192.0.2.66
-- fault * --
latency 20ms
`

// TestAttackFlush: what validation needs of a zone outlives a flood of answers and denials
// that is several times the size of the cache: a new name of the zone costs one query
// afterwards, and none for keys, and questions for the keys and the DS themselves are
// answered from the cache (attacks.md 34).
func TestAttackFlush(t *testing.T) {
	const questions = 3000
	c := cache.New(cache.Options{MaxBytes: 256 << 10})
	trust := resolvertest.Type(dns.TypeDNSKEY, dns.TypeDS)
	inWorld(t, flushWorld, func(w *world) {
		w.wantStatus("once.shop.example.", dnssec.Secure)
		w.wantStatus("www.shop.example.", dnssec.Secure)
		w.ask("shop.example.", dns.TypeDNSKEY) // by a client
		var all sync.WaitGroup
		for i := range questions {
			all.Go(func() {
				zone := "attacker.example."
				if i%2 == 0 {
					zone = "there." + zone
				}
				if _, err := w.r.Resolve(w.Context(), fmt.Sprintf("x%d.%s", i, zone), dns.TypeA); err != nil {
					t.Errorf("question %d: %v", i, err)
				}
			})
		}
		all.Wait()
		if s := c.Stats(); s.Evictions < questions/4 {
			t.Fatalf("%d entries had to leave: that was no flood", s.Evictions)
		}
		if o := w.ask("once.shop.example.", dns.TypeA); o.sends == 0 {
			t.Error("an answer that was asked for once is still there: the flood has not gone through")
		}
		if o := w.ask("fresh.shop.example.", dns.TypeA); o.err != nil || o.Status != dnssec.Secure || o.sends != 1 || w.in.Count(trust) != 0 {
			t.Errorf("a new name of the zone: got %v after %d queries, want it Secure after 1, not for keys:\n%s", o, o.sends, resolvertest.Table(w.in.Log()))
		}
		for _, rrtype := range []uint16{dns.TypeDNSKEY, dns.TypeDS} {
			if o := w.ask("shop.example.", rrtype); o.err != nil || !o.FromCache || o.Status != dnssec.Secure {
				t.Errorf("%s of the zone: got %v, want it Secure and out of the cache", dns.Type(rrtype), o)
			}
		}
	}, ipv4Only, func(o *resolver.Options) { o.Cache, o.DisablePrefetch = c, true })
}

// wantStatus asks for addresses and wants an answer of that status.
func (w *world) wantStatus(name string, want dnssec.Status) {
	w.Helper()
	if o := w.ask(name, dns.TypeA); o.err != nil || o.Status != want || len(o.Answer) == 0 {
		w.Errorf("%s: got %v, want it to be %v", name, o, want)
	}
}
