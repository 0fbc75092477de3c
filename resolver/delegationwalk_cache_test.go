package resolver_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestTTL: a day at most, and no longer than the zone cut is leased for; 0, and values with
// the top bit set (RFC 8767 §4: also a day), are special.
func TestTTL(t *testing.T) {
	const text = `
-- zone shop.example. at 198.51.100.3 --
plain     60          A 192.0.2.1
zero      0           A 192.0.2.2
long      2147483647  A 192.0.2.3
day       86400       A 192.0.2.4
`
	for _, test := range []struct {
		name  string
		ttl   time.Duration
		again int           // sends when asked again at once
		left  time.Duration // of what is cached: as long as the zone cut is leased for
	}{
		{"plain.shop.example.", 60 * time.Second, 0, 60 * time.Second},
		{"zero.shop.example.", 0, 1, 0},
		{"long.shop.example.", time.Hour, 0, time.Hour},
		{"day.shop.example.", time.Hour, 0, time.Hour},
	} {
		inWorld(t, text, func(w *world) {
			o := w.ask(test.name, dns.TypeA)
			if o.err != nil || o.TTL != test.ttl {
				w.Fatalf("%s: got %v with TTL %v, want %v", test.name, o, o.TTL, test.ttl)
			}
			if got := time.Duration(o.Answer[0].Header().Ttl) * time.Second; got > 24*time.Hour {
				w.Errorf("%s: got a record with TTL %v, want a day at most", test.name, got)
			}
			if o = w.ask(test.name, dns.TypeA); o.sends != test.again || o.TTL > test.left {
				w.Errorf("%s: asked again: got %d sends and TTL %v, want %d and %v at most", test.name, o.sends, o.TTL, test.again, test.left)
			}
		})
	}
}

// longLeases is a zone whose delegations are leased for longer than anything is kept.
const longLeases = `
-- zone . --
example.       2147483647  NS  ns.example.
ns.example.    2147483647  A   198.51.100.2
-- zone example. at 198.51.100.2 --
@              2147483647  NS  ns
ns             2147483647  A   198.51.100.2
shop           2147483647  NS  ns.shop
ns.shop        2147483647  A   198.51.100.3
-- zone shop.example. at 198.51.100.3 --
@              2147483647  NS  ns
@              2147483647  SOA ns hostmaster 1 3600 600 604800 2147483647
ns             2147483647  A   198.51.100.3
long           2147483647  A   192.0.2.3
`

// topBit sets the top bit of the TTLs of a reply.
func topBit(_, reply *dns.Msg) {
	for _, section := range [][]dns.RR{reply.Answer, reply.Ns, reply.Extra} {
		for _, rr := range section {
			if rr.Header().Rrtype != dns.TypeOPT {
				rr.Header().Ttl |= 1 << 31
			}
		}
	}
}

// TestAttackTTL: a day for data, an hour for denials, also when the top bit is set.
func TestAttackTTL(t *testing.T) {
	t.Logf("%-40s %10s %10s  %s", "TTL seen", "answered", "kept", "goal")
	for _, server := range []struct {
		name   string
		faults []resolvertest.Fault
	}{{"2^31-1", nil}, {"top bit set", []resolvertest.Fault{resolvertest.Hook(topBit)}}} {
		inWorld(t, longLeases, func(w *world) {
			w.in.Fault("198.51.100.3", server.faults...)
			const day, hour = 24 * time.Hour, time.Hour
			for _, test := range []struct {
				what, name string
				ttl        time.Duration
			}{{"data", "long.shop.example.", day}, {"denial", "none.shop.example.", hour}} {
				start, told := time.Now(), w.ask(test.name, dns.TypeA)
				if told.err != nil || told.TTL != test.ttl {
					w.Errorf("%s: got %v with TTL %v, want %v", test.name, told, told.TTL, test.ttl)
				}
				time.Sleep(test.ttl - time.Second)
				w.ask(test.name, dns.TypeA).atMost(w, 0)
				time.Sleep(time.Second)
				kept := time.Since(start)
				if w.ask(test.name, dns.TypeA).sends == 0 {
					w.Errorf("%s: not asked for again after %v", test.name, kept)
				}
				w.Logf("%-40s %10v %10v  <= %v", server.name+", "+test.what, told.TTL, kept, test.ttl)
			}
		}, ipv4Only)
	}
}

// TestTTLCountsDown: TTLs count down to the second, and expired data is asked for again.
func TestTTLCountsDown(t *testing.T) {
	inWorld(t, plainWorld, func(w *world) {
		w.ask("www.shop.example.", dns.TypeA)
		time.Sleep(100 * time.Second)
		o := w.ask("www.shop.example.", dns.TypeA)
		if o.TTL > 200*time.Second || o.TTL < 199*time.Second || !o.FromCache {
			w.Errorf("after 100 s: got TTL %v, from the cache %t; want 200 s", o.TTL, o.FromCache)
		}
		time.Sleep(200 * time.Second)
		if o = w.ask("www.shop.example.", dns.TypeA); o.sends != 1 || o.FromCache {
			w.Errorf("after 300 s: got %d sends, from the cache %t; want 1", o.sends, o.FromCache)
		}
	})
}

// TestNegativeTTL is the lower of the SOA's own TTL and its MINIMUM (RFC 2308 §5),
// and without a SOA a denial of the name is not kept, one of the type for five seconds.
func TestNegativeTTL(t *testing.T) {
	const text = `
-- zone low.example. at 198.51.100.3 --
@         30   SOA ns1 hostmaster 1 3600 600 604800 900
-- zone minimum.example. at 198.51.100.4 --
@         900  SOA ns1 hostmaster 1 3600 600 604800 40
-- zone bare.example. at 198.51.100.5 --
here           A 192.0.2.1
-- fault 198.51.100.5 --
remove authority SOA
`
	inWorld(t, text, func(w *world) {
		for name, ttl := range map[string]time.Duration{"none.low.example.": 30 * time.Second, "none.minimum.example.": 40 * time.Second} {
			if o := w.want(name, dns.TypeA, dns.RcodeNameError); o.TTL != ttl {
				w.Errorf("%s: got TTL %v, want %v", name, o.TTL, ttl)
			}
			w.ask(name, dns.TypeA).atMost(w, 0)
			w.want(name, dns.TypeMX, dns.RcodeNameError).atMost(w, 0) // of the name, whatever the type
		}
		for _, name := range []string{"none.bare.example.", "here.bare.example."} {
			for range 2 {
				if o := w.ask(name, dns.TypeMX); o.err != nil || o.sends == 0 || len(o.Answer) > 0 {
					w.Errorf("%s without SOA: got %v after %d sends, want a denial each time anew", name, o, o.sends)
				}
				time.Sleep(cache.MaxBareTTL * time.Second)
			}
		}
		w.ask("here.bare.example.", dns.TypeTXT)
		if o := w.ask("here.bare.example.", dns.TypeTXT); o.err != nil || o.sends > 0 || len(o.Answer) > 0 {
			w.Errorf("the same at once: got %v after %d sends, want the denial kept", o, o.sends)
		}
	})
}

// TestFailuresAreRemembered: for 5 s, then twice as long each time, up to 300 s; a
// success ends it (RFC 9520 §3.2).
func TestFailuresAreRemembered(t *testing.T) {
	inWorld(t, plainWorld, func(w *world) {
		w.ask("mail.shop.example.", dns.TypeMX)
		w.in.Fault("shop.example.", resolvertest.Rcode(dns.RcodeServerFailure))
		w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
		for _, wait := range []time.Duration{5, 10, 20, 40, 80, 160, 300, 300} {
			wait *= time.Second
			o := w.wantError("www.shop.example.", dns.TypeA, resolver.ErrCached).atMost(w, 0)
			w.checkCode(o, dns.ExtendedErrorCodeNoReachableAuthority) // the reason stays
			time.Sleep(wait - time.Second)
			w.ask("www.shop.example.", dns.TypeA).atMost(w, 0)
			time.Sleep(2 * time.Second)
			if o := w.ask("www.shop.example.", dns.TypeA); o.sends == 0 || o.err == nil {
				w.Errorf("after %v: got %v and %d sends, want the servers to be asked again", wait, o, o.sends)
			}
		}
		w.ask("other.shop.example.", dns.TypeA)
		w.in.Fault("shop.example.", resolvertest.Mend())
		time.Sleep(5 * time.Minute)
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
		time.Sleep(6 * time.Minute) // the answer is old, and the failures are forgotten
		w.in.Fault("shop.example.", resolvertest.Rcode(dns.RcodeServerFailure))
		w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
		time.Sleep(6 * time.Second)
		if o := w.ask("www.shop.example.", dns.TypeA); o.sends == 0 {
			w.Errorf("6 s after the first failure: the servers are not asked again")
		}
	})
}

func (w *world) checkCode(o asked, code uint16) {
	w.Helper()
	if e, ok := o.err.(*resolver.Error); !ok || e.Extended.Code != code {
		w.Errorf("got error %v, want the extended code %d", o.err, code)
	}
}

// TestFailureIsOfOneQuestion: other names and types of the zone are asked for.
func TestFailureIsOfOneQuestion(t *testing.T) {
	inWorld(t, plainWorld+"-- fault shop.example. --\nwhen name www.shop.example. type A: rcode SERVFAIL\n", func(w *world) {
		w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
		w.want("www.shop.example.", dns.TypeAAAA, 0, "www.shop.example. AAAA 2001:db8::80")
		w.want("mail.shop.example.", dns.TypeMX, 0, "mail.shop.example. MX 10 www.shop.example.")
		w.wantError("www.shop.example.", dns.TypeA, resolver.ErrCached)
	})
}

// TestCallersTimeIsNoFailure: a question that ends because its caller gave up is not cached
// as a failure.
func TestCallersTimeIsNoFailure(t *testing.T) {
	inWorld(t, plainWorld, func(w *world) {
		ctx, cancel := contextWithin(w, 30*time.Millisecond)
		defer cancel()
		if o := w.askWith(ctx, "www.shop.example.", dns.TypeA); o.err == nil || o.took != 30*time.Millisecond {
			w.Errorf("got %v after %v, want an error after 30 ms", o, o.took)
		}
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
	})
}

// ghostWorld has a delegation of 100 s, to servers that claim a day for it.
const ghostWorld = `
-- zone example. at 198.51.100.2 --
ghost          100    NS  ns.ghost
ns.ghost       100    A   198.51.100.3
-- zone ghost.example. at 198.51.100.3 undelegated --
@              86400  NS  ns
ns             86400  A   198.51.100.3
www            10     A   192.0.2.80
long           86400  A   192.0.2.81
`

// TestGhostDomains: a delegation lives as long as its parent says, however often the child
// is asked for its NS and addresses meanwhile (attacks.md 11).
func TestGhostDomains(t *testing.T) {
	inWorld(t, ghostWorld, func(w *world) {
		start := time.Now()
		w.want("www.ghost.example.", dns.TypeA, 0, "www.ghost.example. A 192.0.2.80")
		w.want("long.ghost.example.", dns.TypeA, 0, "long.ghost.example. A 192.0.2.81")
		if err := w.in.Update("-- zone example. at 198.51.100.2 --\n"); err != nil {
			w.Fatal(err)
		}
		for time.Since(start) < 99*time.Second {
			time.Sleep(9 * time.Second)
			w.ask("www.ghost.example.", dns.TypeA)
			w.ask("ghost.example.", dns.TypeNS)
			w.ask("ns.ghost.example.", dns.TypeA)
			w.ask("new"+strings.ToLower(time.Now().Format("150405"))+".ghost.example.", dns.TypeA)
		}
		time.Sleep(time.Until(start.Add(101 * time.Second)))
		w.want("www.ghost.example.", dns.TypeA, dns.RcodeNameError)
		w.want("long.ghost.example.", dns.TypeA, dns.RcodeNameError)
		w.want("ghost.example.", dns.TypeNS, dns.RcodeNameError)
		w.want("ns.ghost.example.", dns.TypeA, dns.RcodeNameError)
		w.want("fresh.ghost.example.", dns.TypeA, dns.RcodeNameError)
		w.count(0, resolvertest.To("198.51.100.3"))
	}, ipv4Only)
}

// TestGhostGrandchild: a delegation below a zone cut lives no longer than that cut.
func TestGhostGrandchild(t *testing.T) {
	inWorld(t, `
-- zone example. at 198.51.100.2 --
ghost          100    NS  ns.ghost
ns.ghost       100    A   198.51.100.3
-- zone ghost.example. at 198.51.100.3 undelegated --
@              86400  NS  ns
ns             86400  A   198.51.100.3
sub            86400  NS  ns.sub
ns.sub         86400  A   198.51.100.4
-- zone sub.ghost.example. at 198.51.100.4 undelegated --
www            86400  A   192.0.2.80
`, func(w *world) {
		w.want("www.sub.ghost.example.", dns.TypeA, 0, "www.sub.ghost.example. A 192.0.2.80")
		if err := w.in.Update("-- zone example. at 198.51.100.2 --\n"); err != nil {
			w.Fatal(err)
		}
		time.Sleep(101 * time.Second)
		w.want("www.sub.ghost.example.", dns.TypeA, dns.RcodeNameError)
		w.want("new.sub.ghost.example.", dns.TypeA, dns.RcodeNameError)
	}, ipv4Only)
}

// TestLeaseIsRenewedByTheParent: after it has ended the parent is asked again, and may
// have changed its mind.
func TestLeaseIsRenewedByTheParent(t *testing.T) {
	inWorld(t, ghostWorld, func(w *world) {
		w.ask("www.ghost.example.", dns.TypeA)
		if err := w.in.Update(`
-- zone example. at 198.51.100.2 --
ghost          100    NS  ns.ghost
ns.ghost       100    A   198.51.100.9
-- zone ghost.example. at 198.51.100.9 undelegated --
@              86400  NS  ns
ns             86400  A   198.51.100.9
www            10     A   192.0.2.99
`); err != nil {
			w.Fatal(err)
		}
		time.Sleep(101 * time.Second)
		w.want("www.ghost.example.", dns.TypeA, 0, "www.ghost.example. A 192.0.2.99")
	}, ipv4Only)
}

// TestTypesLimit: a name may have as many types as it likes, and each is answered. Those that
// the cache does not keep say so, by which limit and in words that reach clients of messages
// too, and are counted; raising the limit has them kept.
func TestTypesLimit(t *testing.T) {
	const private, kept, types = 65280, 76, 80 // 24 of the default of 100 are for common types
	var zone strings.Builder
	zone.WriteString("-- zone shop.example. at 198.51.100.3 --\nwww A 192.0.2.80\n")
	for i := range types {
		fmt.Fprintf(&zone, "many TYPE%d \\# 1 %02x\n", private+i, i)
	}
	zone.WriteString("many A 192.0.2.81\n")
	inWorld(t, zone.String(), func(w *world) {
		for i := range types {
			var limit *cache.LimitError
			o := w.ask("many.shop.example.", uint16(private+i))
			if o.err != nil || len(o.Answer) != 1 {
				t.Fatalf("type %d: got %v, want an answer", i, o)
			}
			if i < kept {
				if o.NotKept != nil || len(o.Extended) > 0 {
					t.Errorf("type %d: got %v, %v; want it kept", i, o.NotKept, o.Extended)
				}
				continue
			}
			want := resolver.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: "cache: RRset not kept: over the limit MaxTypes = 100"}
			if !errors.As(o.NotKept, &limit) || *limit != (cache.LimitError{Option: "MaxTypes", Limit: 100}) || !slices.Equal(o.Extended, []resolver.ExtendedError{want}) {
				t.Errorf("type %d: got %v, %v; want the limit MaxTypes", i, o.NotKept, o.Extended)
			}
			query := new(dns.Msg).SetQuestion("many.shop.example.", uint16(private+i)).SetEdns0(1232, false)
			reply, err := w.r.Exchange(w.Context(), query)
			if err != nil || len(reply.Answer) != 1 || reply.IsEdns0() == nil || !slices.ContainsFunc(reply.IsEdns0().Option, func(o dns.EDNS0) bool {
				ede, ok := o.(*dns.EDNS0_EDE)
				return ok && ede.ExtraText == want.Text
			}) {
				t.Errorf("type %d as a message: got %v, %v; want the answer and the extended error", i, reply, err)
			}
		}
		if got := w.r.Stats().Cache.RefusedTypes; got != 2*(types-kept) {
			t.Errorf("Stats count %d types refused, want %d", got, 2*(types-kept))
		}
		w.want("many.shop.example.", dns.TypeA, 0, "many.shop.example. A 192.0.2.81")
		w.want("many.shop.example.", dns.TypeA, 0, "many.shop.example. A 192.0.2.81").atMost(w, 0)
	}, ipv4Only)
	inWorld(t, zone.String(), func(w *world) {
		for i := range types {
			w.ask("many.shop.example.", uint16(private+i))
			if o := w.ask("many.shop.example.", uint16(private+i)); o.err != nil || o.NotKept != nil || o.sends > 0 {
				t.Errorf("type %d with the limit raised: got %v after %d sends, want it kept", i, o, o.sends)
			}
		}
	}, ipv4Only, func(o *resolver.Options) { o.Cache = cache.New(cache.Options{MaxTypes: 200}) })
}
