package resolver_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

func serveStale(o *resolver.Options) { o.ServeStale = true }

const staleWorld = `
-- zone example. at 198.51.100.2 --
$TTL 86400
@       SOA     ns hostmaster 1 3600 600 86400 60
-- zone shop.example. at 198.51.100.3 --
$TTL 60
@       SOA     ns hostmaster 1 3600 600 86400 60
www     A       192.0.2.80
away    CNAME   www.host.example.
-- zone host.example. at 198.51.100.4 --
$TTL 60
www     A       192.0.2.81
-- zone many.example. at 198.51.100.11 198.51.100.12 198.51.100.13 198.51.100.14 198.51.100.15 198.51.100.16 198.51.100.17 198.51.100.18 --
$TTL 60
@       SOA     ns hostmaster 1 3600 600 86400 60
www     A       192.0.2.80
`

// update changes the network.
func (w *world) update(text string) {
	w.Helper()
	if err := w.in.Update(text); err != nil {
		w.Fatal(err)
	}
}

// The names of EDE that serve-stale uses.
const (
	staleAnswer   = dns.ExtendedErrorCodeStaleAnswer
	staleNXDOMAIN = dns.ExtendedErrorCodeStaleNXDOMAINAnswer
)

// wantStale asks and wants an expired answer after exactly this time.
func (w *world) wantStale(name string, qtype uint16, code uint16, took time.Duration) asked {
	w.Helper()
	o := w.ask(name, qtype)
	switch {
	case o.err != nil:
		w.Errorf("%s: got error %v, want a stale answer", name, o.err)
	case !o.Stale || o.took.Round(time.Millisecond) != took || o.TTL != 30*time.Second || !slices.ContainsFunc(o.Extended, func(e resolver.ExtendedError) bool { return e.Code == code }):
		w.Errorf("%s: got stale %v after %v with TTL %v and %v, want true after %v with 30s and code %d",
			name, o.Stale, o.took, o.TTL, o.Extended, took, code)
	}
	return o
}

// wantFresh asks and wants an answer that has not expired.
func (w *world) wantFresh(name string, qtype uint16) asked {
	w.Helper()
	o := w.ask(name, qtype)
	if o.err != nil || o.Stale {
		w.Errorf("%s: got %v, stale %v; want a fresh answer", name, o, o.err == nil && o.Stale)
	}
	return o
}

// With each way of servers not to answer the expired answer is returned: at once when the
// failure is plain.
func TestStaleWhenServersFail(t *testing.T) {
	for _, tt := range []struct {
		fault string
		took  time.Duration
	}{
		{"dead", 1800 * time.Millisecond}, // one server: the third try is waited for longer than a client waits
		{"rcode SERVFAIL", 0},
		{"rcode REFUSED", 0},
		{"lame upward", 0},
		{"garbage", 1800 * time.Millisecond}, // over TCP as well: waited for longer than a client waits
		{"unreachable", 0},
	} {
		inWorld(t, staleWorld, func(w *world) {
			w.ask("www.shop.example.", dns.TypeA)
			w.ask("none.shop.example.", dns.TypeA)
			w.ask("www.shop.example.", dns.TypeAAAA)
			time.Sleep(2 * time.Minute)
			w.update("-- fault 198.51.100.3 --\n" + tt.fault + "\n")
			w.wantStale("www.shop.example.", dns.TypeA, staleAnswer, tt.took).check(w, "www.shop.example.", dns.RcodeSuccess, "www.shop.example. A 192.0.2.80")
			w.settle()
			// The name is known not to be reachable: no server is asked, no client waits.
			w.wantStale("www.shop.example.", dns.TypeA, staleAnswer, 0).atMost(w, 0)
			o := w.ask("none.shop.example.", dns.TypeA)
			if o.err != nil || !o.Stale || o.Rcode != dns.RcodeNameError || o.Extended[len(o.Extended)-1].Code != staleNXDOMAIN {
				t.Errorf("%s: got %v, want a stale name error", tt.fault, o)
			}
			if o := w.ask("www.shop.example.", dns.TypeAAAA); o.err != nil || !o.Stale || o.Rcode != dns.RcodeSuccess || len(o.Answer) > 0 {
				t.Errorf("%s: got %v, want stale NODATA", tt.fault, o)
			}
			// A name that was never known has no expired answer.
			w.wantError("new.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
			if s := w.r.Stats(); s.Stale != 4 || s.Cache.StaleHits == 0 {
				t.Errorf("%s: Stats count %d stale answers, want 4", tt.fault, s.Stale)
			}
		}, serveStale, minimiseOff, ipv4Only)
	}
}

func TestStaleIsOffByDefault(t *testing.T) {
	inWorld(t, staleWorld, func(w *world) {
		w.ask("www.shop.example.", dns.TypeA)
		time.Sleep(2 * time.Minute)
		w.update("-- fault 198.51.100.3 --\ndead\n")
		w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
	})
}

// The zone is down for ten minutes, and the name is asked for every second. Every client is
// answered; the servers are asked no more often than every 30 s; and when they are back so
// is the answer.
func TestStaleUntilServersAreBack(t *testing.T) {
	inWorld(t, staleWorld, func(w *world) {
		w.ask("www.shop.example.", dns.TypeA)
		time.Sleep(2 * time.Minute)
		w.update("-- fault 198.51.100.3 --\nrcode SERVFAIL\n")
		w.in.ResetLog()
		const outage = 600
		for i := range outage {
			result, err := w.r.Resolve(w.Context(), "www.shop.example.", dns.TypeA)
			if err != nil || !result.Stale {
				t.Fatalf("second %d: got %v, %v; want a stale answer", i, result, err)
			}
			time.Sleep(time.Second)
		}
		log := w.in.Log(resolvertest.To("198.51.100.3"))
		if len(log) < 3 || len(log) > outage/30 {
			t.Errorf("%d queries in %d s, want 3 to %d", len(log), outage, outage/30)
		}
		for i := 1; i < len(log); i++ {
			if pause := log[i].Time.Sub(log[i-1].Time); pause < 30*time.Second {
				t.Errorf("queries %v apart, want 30 s at least", pause)
			}
		}
		w.update("-- fault 198.51.100.3 --\nmend\n")
		start := time.Now()
		for w.ask("www.shop.example.", dns.TypeA).Stale {
			if time.Sleep(time.Second); time.Since(start) > 5*time.Minute {
				t.Fatal("still stale five minutes after the servers are back")
			}
		}
		w.wantFresh("www.shop.example.", dns.TypeA)
	}, serveStale, minimiseOff, ipv4Only)
}

// A server that takes longer than clients wait: the first client gets the expired answer
// after 1.8 s, others at once, and the fresh one is there as soon as the server has sent
// it, without having been asked twice.
func TestStaleRefreshGoesOn(t *testing.T) {
	inWorld(t, staleWorld, func(w *world) {
		w.ask("www.many.example.", dns.TypeA)
		time.Sleep(2 * time.Minute)
		w.update("-- fault many.example. --\ndrop\n-- zone many.example. at 198.51.100.11 198.51.100.12 198.51.100.13 198.51.100.14 198.51.100.15 198.51.100.16 198.51.100.17 198.51.100.18 --\n$TTL 60\nwww A 192.0.2.99\n")
		w.wantStale("www.many.example.", dns.TypeA, staleAnswer, 1800*time.Millisecond)
		w.update("-- fault many.example. --\nmend\n") // the next retry gets through
		w.wantStale("www.many.example.", dns.TypeA, staleAnswer, 0)
		w.settle()
		o := w.want("www.many.example.", dns.TypeA, dns.RcodeSuccess, "www.many.example. A 192.0.2.99")
		if o.atMost(w, 0); o.err == nil && o.Stale {
			t.Error("still stale")
		}
	}, serveStale, minimiseOff, ipv4Only)
}

// Servers that are alive are waited for: an expired answer is not returned because many ask
// at once, or because there is a faster way.
func TestFreshRatherThanStale(t *testing.T) {
	inWorld(t, staleWorld+"-- fault 198.51.100.3 --\nlatency 200ms\n", func(w *world) {
		w.ask("www.shop.example.", dns.TypeA)
		time.Sleep(2 * time.Minute)
		w.in.ResetLog()
		results := make(chan *resolver.Result, 50)
		for range cap(results) {
			go func() {
				result, err := w.r.Resolve(w.Context(), "www.shop.example.", dns.TypeA)
				if err != nil {
					t.Error(err)
				}
				results <- result
			}()
		}
		for range cap(results) {
			if result := <-results; result != nil && result.Stale {
				t.Error("got a stale answer")
			}
		}
		w.count(1, resolvertest.To("198.51.100.3"))
	}, serveStale, minimiseOff, ipv4Only)
}

// The last reply counts. Once a server has sent another answer, or a denial, the old answer
// is never returned again, though the new one was not kept.
func TestStaleEndsWithNews(t *testing.T) {
	for _, news := range []string{
		"-- fault 198.51.100.3 --\nreplace NXDOMAIN\n", // without SOA: not kept
		"-- fault 198.51.100.3 --\nreplace NOERROR\n",
		"-- zone shop.example. at 198.51.100.3 --\n$TTL 0\nwww A 192.0.2.99\n",
		"-- zone shop.example. at 198.51.100.3 --\n$TTL 1\nwww CNAME gone.host.example.\n",
		"-- zone shop.example. at 198.51.100.3 --\n$TTL 1\n@ SOA ns hostmaster 1 1 1 1 1\n",
	} {
		inWorld(t, staleWorld, func(w *world) {
			w.ask("www.shop.example.", dns.TypeA)
			time.Sleep(2 * time.Minute)
			w.update(news)
			if o := w.ask("www.shop.example.", dns.TypeA); o.err == nil && o.Stale {
				t.Errorf("%q: got a stale answer from a server that answers", news)
			}
			time.Sleep(2 * time.Minute)
			w.update("-- fault 198.51.100.3 --\ndead\n")
			if o := w.ask("www.shop.example.", dns.TypeA); o.err == nil && slices.Contains(brief(o.Answer), "www.shop.example. A 192.0.2.80") {
				t.Errorf("%q: got %v, which it had replaced", news, o)
			}
		}, serveStale, minimiseOff, ipv4Only)
	}
}

// A chain of aliases is returned as far as each part can be: parts that are alive as they
// are, expired ones as they were.
func TestStaleAliases(t *testing.T) {
	for _, dead := range []string{"198.51.100.3", "198.51.100.4", "198.51.100.3 198.51.100.4"} {
		inWorld(t, staleWorld, func(w *world) {
			w.ask("away.shop.example.", dns.TypeA)
			time.Sleep(2 * time.Minute)
			w.update("-- fault " + dead + " --\nrcode SERVFAIL\n")
			w.wantStale("away.shop.example.", dns.TypeA, staleAnswer, 0).check(w, "away.shop.example.", dns.RcodeSuccess,
				"away.shop.example. CNAME www.host.example.", "www.host.example. A 192.0.2.81")
		}, serveStale, minimiseOff, ipv4Only)
	}
	// When the alias leads elsewhere now, the old end of it is no answer.
	inWorld(t, staleWorld, func(w *world) {
		w.ask("away.shop.example.", dns.TypeA)
		time.Sleep(2 * time.Minute)
		w.update("-- zone shop.example. at 198.51.100.3 --\n$TTL 60\naway CNAME new.host.example.\n-- fault 198.51.100.4 --\nrcode SERVFAIL\n")
		w.wantError("away.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
	}, serveStale, minimiseOff, ipv4Only)
}

const signedStaleWorld = `
-- zone shop.example. at 198.51.100.3 signed --
$TTL 30
@       SOA     ns hostmaster 1 3600 600 86400 30
www     A       192.0.2.80
`

// Bogus data is an error though there is an expired answer, and an answer that turned out
// bogus when it was fetched again is not returned any more, whichever servers are silent
// then.
func TestStaleNeverHidesBogus(t *testing.T) {
	inWorld(t, signedStaleWorld, func(w *world) {
		if o := w.ask("www.shop.example.", dns.TypeA); o.err != nil || o.Status != dnssec.Secure {
			t.Fatalf("got %v, want a Secure answer", o)
		}
		time.Sleep(time.Minute)
		w.update("-- zone shop.example. at 198.51.100.3 signed break=corrupt:www/A --\n$TTL 30\nwww A 192.0.2.66\n")
		isBogus := func(about string) {
			t.Helper()
			o := w.ask("www.shop.example.", dns.TypeA)
			var failure *resolver.Error
			if !errors.As(o.err, &failure) || failure.Status != dnssec.Bogus && !errors.Is(o.err, resolver.ErrCached) {
				t.Errorf("%s: got %v, want bogus", about, o)
			}
		}
		isBogus("fetched")
		isBogus("remembered")
		time.Sleep(time.Hour)
		w.update("-- fault 198.51.100.3 --\ndead\n")
		w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
	}, serveStale)
}

// An expired answer is Secure as long as its signatures are valid. Afterwards it is
// Indeterminate, without AD.
func TestStaleSignaturesExpire(t *testing.T) {
	for _, tt := range []struct {
		about, breaks string
		status        dnssec.Status
	}{
		{"still valid", "", dnssec.Secure},
		{"expired since", "break=ending:www/A", dnssec.Indeterminate},
	} {
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 signed "+tt.breaks+" --\n$TTL 30\nwww A 192.0.2.80\n")
			w := &world{t, in, in.Resolver(t, serveStale, ipv4Only)}
			if o := w.ask("www.shop.example.", dns.TypeA); o.err != nil || o.Status != dnssec.Secure {
				t.Fatalf("%s: got %v, want a Secure answer", tt.about, o)
			}
			time.Sleep(90 * time.Second)
			w.update("-- fault 198.51.100.3 --\nrcode SERVFAIL\n")
			if o := w.ask("www.shop.example.", dns.TypeA); o.err != nil || !o.Stale || o.Status != tt.status {
				t.Errorf("%s: got %v, want stale and %v", tt.about, o, tt.status)
			}
			query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
			query.SetEdns0(4096, true)
			reply, err := w.r.Exchange(w.Context(), query)
			if err != nil || reply.AuthenticatedData != (tt.status == dnssec.Secure) {
				t.Errorf("%s: got %v, %v; want AD %v", tt.about, reply, err, tt.status == dnssec.Secure)
			}
		})
	}
}

// A wildcard's answer is only returned for the name it was made for, with its proof.
func TestStaleWildcard(t *testing.T) {
	inWorld(t, "-- zone shop.example. at 198.51.100.3 signed --\n$TTL 30\n@ SOA ns hostmaster 1 3600 600 86400 30\n*.w A 192.0.2.80\n", func(w *world) {
		w.ask("one.w.shop.example.", dns.TypeA)
		time.Sleep(time.Minute)
		w.update("-- fault 198.51.100.3 --\nrcode SERVFAIL\n")
		o := w.wantStale("one.w.shop.example.", dns.TypeA, staleAnswer, 0)
		if o.err == nil && (o.Status != dnssec.Secure || len(o.Authority) == 0) {
			t.Errorf("got %v, authority %v; want Secure with the proof", o, o.Authority)
		}
		w.wantError("two.w.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
	}, serveStale, ipv4Only)
}

// An answer that was Insecure because of a negative trust anchor is not returned after its
// end.
func TestStaleNegativeTrustAnchorEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone shop.example. at 198.51.100.3 signed break=expired:A --\n$TTL 30\nwww A 192.0.2.80\n")
		until := time.Now().Add(5 * time.Minute)
		w := &world{t, in, in.Resolver(t, serveStale, ipv4Only, func(o *resolver.Options) {
			o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "shop.example.", Until: until}}
		})}
		w.ask("www.shop.example.", dns.TypeA)
		time.Sleep(2 * time.Minute)
		w.update("-- fault 198.51.100.3 --\nrcode SERVFAIL\n")
		w.wantStale("www.shop.example.", dns.TypeA, staleAnswer, 0)
		time.Sleep(4 * time.Minute)
		w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
	})
}

// MaxStale bounds how old an answer may be.
func TestMaxStale(t *testing.T) {
	inWorld(t, staleWorld, func(w *world) {
		w.ask("www.shop.example.", dns.TypeA)
		w.update("-- fault 198.51.100.3 --\nrcode SERVFAIL\n")
		time.Sleep(time.Minute + time.Hour - time.Second)
		w.wantStale("www.shop.example.", dns.TypeA, staleAnswer, 0)
		time.Sleep(time.Second)
		w.wantError("www.shop.example.", dns.TypeA, resolver.ErrCached)
	}, serveStale, minimiseOff, ipv4Only, func(o *resolver.Options) { o.MaxStale = time.Hour })
}

func TestStaleOptions(t *testing.T) {
	for _, tt := range []struct {
		about string
		o     resolver.Options
		ok    bool
	}{
		{"own cache", resolver.Options{ServeStale: true}, true},
		{"cache that keeps", resolver.Options{ServeStale: true, Cache: cache.New(cache.Options{KeepStale: time.Hour})}, true},
		{"cache that does not", resolver.Options{ServeStale: true, Cache: cache.New(cache.Options{})}, false},
		{"negative age", resolver.Options{ServeStale: true, MaxStale: -1}, false},
		{"negative wait", resolver.Options{ServeStale: true, StaleAfter: -1}, false},
	} {
		r, err := resolver.New(tt.o)
		if (err == nil) != tt.ok {
			t.Errorf("%s: New returns %v, want an error: %v", tt.about, err, !tt.ok)
		}
		if r != nil {
			r.Close()
		}
	}
}

// Stale answers come by every method: messages say so with an extended DNS error, and
// addresses come, for a caller whose time ends before the timer, within that time.
func TestStaleEverywhere(t *testing.T) {
	inWorld(t, staleWorld, func(w *world) {
		w.ask("www.many.example.", dns.TypeA)
		w.ask("www.many.example.", dns.TypeAAAA)
		time.Sleep(2 * time.Minute)
		w.update("-- fault many.example. --\ndead\n")
		ctx, cancel := context.WithTimeout(w.Context(), time.Second)
		defer cancel()
		start := time.Now()
		addrs, err := w.r.LookupNetIP(ctx, "ip", "www.many.example.")
		if err != nil || len(addrs) != 1 || time.Since(start) != 900*time.Millisecond {
			t.Errorf("LookupNetIP: got %v, %v after %v, want an address after 900ms", addrs, err, time.Since(start))
		}
		query := new(dns.Msg).SetQuestion("www.many.example.", dns.TypeA)
		query.SetEdns0(1232, false)
		reply := served(w.r, overUDP, query)
		if reply == nil || reply.Rcode != dns.RcodeSuccess || len(reply.Answer) != 1 || reply.Answer[0].Header().Ttl != 30 {
			t.Errorf("ServeDNS: got %v, want the address with TTL 30", reply)
		} else if got := codes(reply); !slices.Equal(got, []uint16{staleAnswer}) {
			t.Errorf("ServeDNS: got extended errors %v, want %d", got, staleAnswer)
		}
		// RD=0 asks for cached data, which expired data is not.
		query.RecursionDesired = false
		if reply, err := w.r.Exchange(w.Context(), query); err != nil || reply.Rcode != dns.RcodeRefused {
			t.Errorf("RD=0: got %v, %v; want REFUSED", reply, err)
		}
		var seen []resolver.CacheInfo
		ctx = resolver.WithTrace(w.Context(), &resolver.Trace{Cache: func(i resolver.CacheInfo) { seen = append(seen, i) }})
		w.askWith(ctx, "www.many.example.", dns.TypeA)
		if len(seen) != 1 || !seen[0].Stale {
			t.Errorf("Trace: got %+v, want one stale hit", seen)
		}
	}, serveStale, minimiseOff, ipv4Only)
}

// A client that sent a message does not wait longer than a caller for servers that are silent, and
// the search goes on behind the expired answer.
func TestStaleInTimeByMessage(t *testing.T) {
	for door, serve := range map[string]func(*world, *guest, string){"ServeDNS": serveDNS, "ServeWire": serveWire} {
		inWorld(t, staleWorld, func(w *world) {
			w.ask("www.many.example.", dns.TypeA)
			time.Sleep(2 * time.Minute)
			w.update("-- fault many.example. --\ndead\n")
			g, start := &guest{client: client{remote: overUDP}}, time.Now()
			serve(w, g, "www.many.example.")
			if took := time.Since(start); took != 1800*time.Millisecond || len(g.reply.Answer) != 1 || !slices.Equal(codes(g.reply), []uint16{staleAnswer}) {
				t.Errorf("%s: after %v, want the expired answer after 1.8s:\n%v", door, took, g.reply)
			}
			if n := w.r.Stats().InFlight; n != 1 {
				t.Errorf("%s: %d questions in flight behind the answer, want 1", door, n)
			}
		}, serveStale, minimiseOff, ipv4Only)
	}
}

// Close ends the search that goes on behind a stale answer, and a caller that leaves ends
// its own.
func TestStaleCloseAndCancel(t *testing.T) {
	inWorld(t, staleWorld, func(w *world) {
		w.ask("www.many.example.", dns.TypeA)
		time.Sleep(2 * time.Minute)
		w.update("-- fault many.example. --\ndead\n")
		ctx, cancel := context.WithCancelCause(w.Context())
		reason := errors.New("gone")
		time.AfterFunc(100*time.Millisecond, func() { cancel(reason) })
		start := time.Now()
		if o := w.askWith(ctx, "www.many.example.", dns.TypeA); !errors.Is(o.err, reason) || time.Since(start) != 100*time.Millisecond {
			t.Errorf("got %v after %v, want the caller's reason after 100ms", o, time.Since(start))
		}
		synctest.Wait()
		if n := w.r.Stats().InFlight; n != 0 {
			t.Errorf("%d questions in flight after the caller left", n)
		}
		w.wantStale("www.many.example.", dns.TypeA, staleAnswer, 1800*time.Millisecond)
		if n := w.r.Stats().InFlight; n != 1 {
			t.Errorf("%d questions in flight behind a stale answer, want 1", n)
		}
		if err := w.r.Close(); err != nil {
			t.Error(err)
		}
		if o := w.ask("www.many.example.", dns.TypeA); !errors.Is(o.err, resolver.ErrClosed) {
			t.Errorf("got %v after Close", o)
		}
	}, serveStale, minimiseOff, ipv4Only)
}
