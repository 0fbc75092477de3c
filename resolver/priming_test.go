package resolver_test

import (
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// rootWorld has a root with three servers, two of which are addressed in a zone of
// their own.
const rootWorld = `
-- zone . --
@                     3600  NS    a.root-servers.example.
@                     3600  NS    b.root-servers.example.
@                     3600  NS    c.root-servers.example.
a.root-servers.example.     A     198.51.100.1
b.root-servers.example.     A     198.51.100.2
c.root-servers.example.     A     198.51.100.3
-- zone example. at 198.51.100.4 --
www                   10    A     192.0.2.80
-- fault * --
latency 20ms
`

// priming picks the queries of RFC 9609 §3.
func priming(q resolvertest.Query) bool { return !notPriming(q) }

// TestPriming: the root is asked for the root once, beside the first question, and
// again when that has expired.
func TestPriming(t *testing.T) {
	inWorld(t, rootWorld, func(w *world) {
		w.want("www.example.", dns.TypeA, 0, "www.example. A 192.0.2.80").within(w, 40*time.Millisecond)
		w.count(1, priming)
		w.settle()
		w.ask("none.", dns.TypeA)
		w.count(0, priming)
		time.Sleep(3600 * time.Second)
		w.ask("none2.", dns.TypeA)
		w.settle()
		w.count(1, priming)
		if o := w.ask(".", dns.TypeNS); o.err != nil || len(o.Answer) != 3 {
			w.Errorf("NS of the root: got %v", o)
		}
	})
}

// TestPrimedServersAreAsked: the root's own NS records and addresses replace the hints,
// which are old.
func TestPrimedServersAreAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, rootWorld)
		hints := in.Hints()
		hints.Servers = hints.Servers[:1] // of which only the first is still a root server
		hints.Servers[0].Addrs = []netip.Addr{netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("198.51.100.99")}
		r := in.Resolver(t, func(o *resolver.Options) { o.RootHints = hints })
		w := &world{t, in, r}
		w.ask("none.", dns.TypeA)
		w.settle()
		used := make(map[netip.Addr]bool)
		for i := 0; i < 400 || i < 4000 && len(used) < 3; i++ { // another than the best is asked once in some 60 times
			w.ask(fmt.Sprintf("none%d.", i), dns.TypeA)
			for _, q := range in.Log() {
				used[q.Server] = true
			}
		}
		for _, addr := range []string{"198.51.100.1", "198.51.100.2", "198.51.100.3"} {
			if !used[netip.MustParseAddr(addr)] {
				t.Errorf("root server %s, known from priming, was never asked", addr)
			}
		}
		if used[netip.MustParseAddr("198.51.100.99")] {
			t.Errorf("the address that only the hints have is still asked after priming")
		}
	})
}

// TestPrimingWithFaults: a priming response that is cut off, holds no addresses or
// only some, or does not come at all leaves the hints in use (RFC 9609 §4).
func TestPrimingWithFaults(t *testing.T) {
	for _, faults := range []string{
		"when udp type NS: truncate",
		"when type NS: remove additional *",
		"when type NS: remove additional b.root-servers.example. A",
		"when type NS: rcode SERVFAIL",
		"when type NS: drop",
		"when type NS: replace NOERROR",
		"when type NS: garbage",
	} {
		t.Run(faults, func(t *testing.T) {
			target := "-- fault 198.51.100.1 --\n" + faults + "\n-- fault 198.51.100.2 --\n" + faults + "\n-- fault 198.51.100.3 --\n" + faults + "\n"
			inWorld(t, rootWorld+target, func(w *world) {
				w.want("www.example.", dns.TypeA, 0, "www.example. A 192.0.2.80").within(w, 40*time.Millisecond)
				w.settle()
				w.want("none.", dns.TypeA, dns.RcodeNameError).within(w, 40*time.Millisecond)
				w.settle()
				w.want("none2.", dns.TypeA, dns.RcodeNameError).within(w, 40*time.Millisecond)
			})
		})
	}
}

// TestPrimingFailsSeldom: failed priming is not repeated with each question (RFC
// 9520).
func TestPrimingFailsSeldom(t *testing.T) {
	inWorld(t, rootWorld+`
-- fault 198.51.100.1 --
when type NS: rcode SERVFAIL
-- fault 198.51.100.2 --
when type NS: rcode SERVFAIL
-- fault 198.51.100.3 --
when type NS: rcode SERVFAIL
`, func(w *world) {
		for i := range 20 {
			w.r.Resolve(w.Context(), "none"+string(rune('a'+i))+".", dns.TypeA)
			time.Sleep(200 * time.Millisecond)
		}
		if got := w.in.Count(priming); got > 3 {
			w.Errorf("got %d priming queries in 4 s, want one at each of the 3 servers at most", got)
		}
		w.settle()
		w.r.Resolve(w.Context(), "nonez.", dns.TypeA)
		w.settle()
		if got := w.in.Count(priming); got < 4 {
			w.Errorf("got %d priming queries, want new ones after 5 s", got)
		}
	})
}

// TestOneRootDead: one of three root servers does not answer.
func TestOneRootDead(t *testing.T) {
	for range 20 {
		inWorld(t, rootWorld+"-- fault 198.51.100.2 --\ndead\n", func(w *world) {
			w.want("www.example.", dns.TypeA, 0, "www.example. A 192.0.2.80").within(w, 250*time.Millisecond)
		})
	}
}

// TestBlocked: no server at all answers, which is reported as a blocked port, in the time
// that some root servers need.
func TestBlocked(t *testing.T) {
	inWorld(t, rootWorld+"-- fault * --\ndrop\n", func(w *world) {
		o := w.wantError("www.example.", dns.TypeA, resolver.ErrBlocked).within(w, 8*time.Second).atMost(w, 14)
		w.checkCode(o, dns.ExtendedErrorCodeNetworkError)
		w.wantError("www.example.", dns.TypeA, resolver.ErrCached).atMost(w, 0)
		w.settle()
		w.wantError("www.example.", dns.TypeA, resolver.ErrBlocked).within(w, 5*time.Second)
		w.in.Fault("*", resolvertest.Mend())
		w.settle()
		time.Sleep(time.Minute)
		w.want("www.example.", dns.TypeA, 0, "www.example. A 192.0.2.80").within(w, time.Second)
	})
	inWorld(t, rootWorld+"-- fault * --\nunreachable\n", func(w *world) {
		w.wantError("www.example.", dns.TypeA, resolver.ErrBlocked).within(w, 100*time.Millisecond)
	})
	inWorld(t, rootWorld+"-- fault * --\nrefuse\n", func(w *world) {
		w.wantError("www.example.", dns.TypeA, resolver.ErrBlocked).within(w, 8*time.Second)
	})
}

// TestNotBlocked: silence of the servers of one zone is theirs.
func TestNotBlocked(t *testing.T) {
	inWorld(t, rootWorld+"-- fault 198.51.100.4 --\ndrop\n", func(w *world) {
		o := w.wantError("www.example.", dns.TypeA, resolver.ErrNoReachableServer)
		if e, ok := o.err.(*resolver.Error); !ok || e.Zone != "example." || len(e.Servers) != 1 || e.Extended.Code != dns.ExtendedErrorCodeNoReachableAuthority {
			w.Errorf("got %#v, want the zone example., its one server, and code %d", o.err, dns.ExtendedErrorCodeNoReachableAuthority)
		}
	})
}

// TestIntercepted: a recursive resolver answers in place of the root servers.
func TestIntercepted(t *testing.T) {
	inWorld(t, rootWorld+"-- intercept --\n", func(w *world) {
		o := w.wantError("www.example.", dns.TypeA, resolver.ErrIntercepted).within(w, 5*time.Second)
		w.checkCode(o, dns.ExtendedErrorCodeNetworkError)
		w.wantError("none.", dns.TypeA, resolver.ErrIntercepted)
	})
}
