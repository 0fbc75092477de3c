package resolver_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// A zone whose only server is slow, as behind a satellite, is resolved at the first
// question, by asking twice; when it is known to be slow, by asking once. A silent one is
// known to be silent before stub resolvers give up.
func TestOnlyServerIsSlow(t *testing.T) {
	const slowWorld = `
-- zone shop.example. at 198.51.100.3 --
www             A     192.0.2.80
mail            A     192.0.2.81
-- zone signed.example. at 198.51.100.4 signed --
www             A     192.0.2.82
`
	for _, latency := range []time.Duration{900 * time.Millisecond, 1200 * time.Millisecond, 1900 * time.Millisecond} {
		inWorld(t, slowWorld, func(w *world) {
			w.in.Fault("198.51.100.3", resolvertest.Latency(latency))
			w.in.Fault("198.51.100.4", resolvertest.Latency(latency))
			w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80").within(w, 900*time.Millisecond+latency)
			w.count(2, resolvertest.To("198.51.100.3"))
			w.want("mail.shop.example.", dns.TypeA, 0, "mail.shop.example. A 192.0.2.81").within(w, latency)
			w.count(1, resolvertest.To("198.51.100.3"))
			if o := w.ask("www.signed.example.", dns.TypeA); o.err != nil || len(o.Answer) == 0 {
				t.Errorf("%v, signed: got %v", latency, o)
			}
		}, ipv4Only, minimiseOff)
	}
	inWorld(t, slowWorld, func(w *world) {
		w.in.Fault("198.51.100.3", resolvertest.Dead())
		o := w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer).within(w, 4*time.Second)
		w.count(3, resolvertest.To("198.51.100.3"))
		if o.took < 3*time.Second {
			t.Errorf("given up after %v, want three seconds at least", o.took)
		}
	}, ipv4Only, minimiseOff)
}

// The only server of a zone, known to be quick, stalls for a moment, as machines do under
// load: it is not given up for that.
func TestOnlyServerStalls(t *testing.T) {
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 --
www             A     192.0.2.80
mail            A     192.0.2.81
`, func(w *world) {
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80").within(w, 0)
		w.in.Fault("198.51.100.3", resolvertest.Latency(700*time.Millisecond))
		w.want("mail.shop.example.", dns.TypeA, 0, "mail.shop.example. A 192.0.2.81").within(w, 1100*time.Millisecond)
		w.count(3, resolvertest.To("198.51.100.3"))
	}, ipv4Only, minimiseOff)
}
