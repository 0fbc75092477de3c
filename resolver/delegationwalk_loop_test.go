package resolver_test

import (
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// loops has delegations that lead nowhere: each zone's only name servers are in another
// zone of the loop. One of them also has a server elsewhere.
const loops = `
-- zone test. at 198.51.100.2 --
a               NS  ns.b.test.
b               NS  ns.a.test.
x               NS  ns.y.test.
y               NS  ns.z.test.
z               NS  ns.x.test.
p               NS  ns1.q.test.
p               NS  ns2.q.test.
q               NS  ns1.p.test.
q               NS  ns2.p.test.
self            NS  ns.self.test.
open            NS  ns.shut.test.
shut            NS  ns.open.test.
shut            NS  ns.fine.test.
-- zone fine.test. at 198.51.100.5 --
ns              A   198.51.100.6
-- zone shut.test. at 198.51.100.6 undelegated --
ns              A   198.51.100.7
-- zone open.test. at 198.51.100.7 undelegated --
www             A   192.0.2.80
ns              A   198.51.100.6
-- fault * --
latency 20ms
`

// TestDelegationLoops: delegations in a loop fail in the time it takes to notice the loop, with an
// error that says so, and do not fail where one way leads out.
func TestDelegationLoops(t *testing.T) {
	for _, name := range []string{"www.a.test.", "www.b.test.", "www.x.test.", "www.p.test."} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, loops, func(w *world) {
				w.wantError(name, dns.TypeA, resolver.ErrCircular).within(w, 150*time.Millisecond).atMost(w, 6)
				w.ask(name, dns.TypeA).atMost(w, 0).within(w, 0)
				w.settle()
				w.wantError(name, dns.TypeA, resolver.ErrCircular).within(w, 0).atMost(w, 0)
			})
		})
	}
	t.Run("self", func(t *testing.T) {
		inWorld(t, loops, func(w *world) {
			w.wantError("www.self.test.", dns.TypeA, resolver.ErrNoServerAddress).within(w, 100*time.Millisecond).atMost(w, 3)
		})
	})
	t.Run("a way out", func(t *testing.T) {
		inWorld(t, loops, func(w *world) {
			w.want("www.open.test.", dns.TypeA, 0, "www.open.test. A 192.0.2.80").within(w, 300*time.Millisecond)
		})
	})
}

// TestTwoQuestionsThatWaitForEachOther: each holds what the other one needs. Neither
// waits for ever.
func TestTwoQuestionsThatWaitForEachOther(t *testing.T) {
	for _, pair := range [][2]string{
		{"www.a.test.", "www.b.test."}, {"ns.a.test.", "ns.b.test."}, {"www.x.test.", "www.z.test."}, {"www.p.test.", "ns1.p.test."},
	} {
		inWorld(t, loops, func(w *world) {
			var both sync.WaitGroup
			for i, name := range pair {
				both.Go(func() {
					// Apart by less than a round trip, so that both are under way.
					time.Sleep(time.Duration(i) * 15 * time.Millisecond)
					start := time.Now()
					_, err := w.r.Resolve(w.Context(), name, dns.TypeA)
					took := time.Since(start)
					if err == nil || took > 300*time.Millisecond {
						w.Errorf("%v: %s: got error %v after %v, want one within 300 ms", pair, name, err, took)
					}
				})
			}
			both.Wait()
		})
	}
}

// TestLoopIsOfThePath: a zone that cannot be reached on one path may be on another; the
// failure on the first is not cached for the second.
func TestLoopIsOfThePath(t *testing.T) {
	inWorld(t, loops, func(w *world) {
		w.ask("www.shut.test.", dns.TypeA)
		w.want("www.open.test.", dns.TypeA, 0, "www.open.test. A 192.0.2.80")
		w.want("ns.shut.test.", dns.TypeA, 0, "ns.shut.test. A 198.51.100.7")
	})
}

// TestGlueBreaksLoop: glue at one place breaks the loop.
func TestGlueBreaksLoop(t *testing.T) {
	inWorld(t, `
-- zone test. at 198.51.100.2 --
a               NS  ns.b.test.
b               NS  ns.a.test.
ns.a            A   198.51.100.4
-- zone a.test. at 198.51.100.3 undelegated --
www             A   192.0.2.80
ns              A   198.51.100.4
-- zone b.test. at 198.51.100.4 undelegated --
ns              A   198.51.100.3
`, func(w *world) {
		w.want("www.a.test.", dns.TypeA, 0, "www.a.test. A 192.0.2.80")
		w.count(1, resolvertest.To("198.51.100.3"))
	}, ipv4Only)
}

// TestDepthLimit: name servers of name servers of name servers, each in another zone; too
// many reach a limit that is named, a few resolve.
func TestDepthLimit(t *testing.T) {
	const text = `
-- zone test. at 198.51.100.2 --
z1              NS  ns.z2.test.
z2              NS  ns.z3.test.
z3              NS  ns.z4.test.
z4              NS  ns.z5.test.
z5              NS  ns.z6.test.
-- zone z1.test. at 198.51.100.11 undelegated --
www             A   192.0.2.80
-- zone z2.test. at 198.51.100.12 undelegated --
ns              A   198.51.100.11
-- zone z3.test. at 198.51.100.13 undelegated --
ns              A   198.51.100.12
-- zone z4.test. at 198.51.100.14 undelegated --
ns              A   198.51.100.13
-- zone z5.test. at 198.51.100.15 undelegated --
ns              A   198.51.100.14
-- zone z6.test. at 198.51.100.16 --
ns              A   198.51.100.15
`
	inWorld(t, text, func(w *world) {
		w.want("www.z1.test.", dns.TypeA, 0, "www.z1.test. A 192.0.2.80")
	})
	inWorld(t, text, func(w *world) {
		w.wantLimit("www.z1.test.", dns.TypeA, "Depth")
		w.want("ns.z4.test.", dns.TypeA, 0, "ns.z4.test. A 198.51.100.13")
		// The limit was reached on the way from z1; on its own each is near enough.
		w.want("ns.z3.test.", dns.TypeA, 0, "ns.z3.test. A 198.51.100.12")
	}, func(o *resolver.Options) { o.Limits.Depth = 3 })
}
