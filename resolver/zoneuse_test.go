package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/test/rootsigner"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

const shopZone = "\n-- zone example. at 198.51.100.1 --\n-- zone shop.example. at 198.51.100.3 --\ntxt TXT token\n"

// TestAskServersGivenUp: callers that give up before their turn take no turn from those behind them.
func TestAskServersGivenUp(t *testing.T) {
	inWorld(t, shopZone, func(w *world) {
		z := w.zoneOf("shop.example", resolver.FindZoneOptions{})
		w.askServers(z, "txt.shop.example", dns.TypeTXT)
		for range 60 {
			ctx, cancel := context.WithTimeout(w.Context(), 10*time.Millisecond)
			if _, err := w.r.AskServers(ctx, z, "txt.shop.example", dns.TypeTXT); !errors.Is(err, context.DeadlineExceeded) {
				w.Errorf("before its turn: %v", err)
			}
			cancel()
		}
		begun := time.Now()
		if w.askServers(z, "txt.shop.example", dns.TypeTXT); time.Since(begun) > time.Second {
			w.Errorf("the next caller waits for %v", time.Since(begun))
		}
		w.wantNobodyWorking()
	})
}

// TestWaitForClosed: Close ends a wait at once, also between two rounds.
func TestWaitForClosed(t *testing.T) {
	inWorld(t, shopZone, func(w *world) {
		z, begun := w.zoneOf("shop.example", resolver.FindZoneOptions{}), time.Now()
		time.AfterFunc(3*time.Second, func() { w.r.Close() })
		answers, err := w.r.WaitFor(w.Context(), z, "x.shop.example", dns.TypeTXT, func(*resolver.ServerAnswers) bool { return false })
		if !errors.Is(err, resolver.ErrClosed) || answers == nil || time.Since(begun) != 3*time.Second {
			w.Errorf("got %v, %v after %v", answers, err, time.Since(begun))
		}
	})
}

// TestWaitForEndsInRound: an end within a round says which zone it is about and who is silent, as that of
// any other question, also to callers that joined the round; after a first round it says too that the
// answers were not as wanted.
func TestWaitForEndsInRound(t *testing.T) {
	inWorld(t, shopZone, func(w *world) {
		z := w.zoneOf("shop.example", resolver.FindZoneOptions{})
		const pending = "no reply yet from 198.51.100.3:53 (1 of 1 server asked)"
		wait := func(patience time.Duration, text, explained string) {
			ctx, cancel := context.WithTimeout(w.Context(), patience)
			defer cancel()
			_, err := w.r.WaitFor(ctx, z, "x.shop.example", dns.TypeTXT, func(*resolver.ServerAnswers) bool {
				w.in.Fault("shop.example", resolvertest.Dead())
				return false
			})
			var told *resolver.Error
			if !errors.As(err, &told) || !errors.Is(err, context.DeadlineExceeded) || told.Zone != "shop.example." || len(told.Servers) != 1 ||
				err.Error() != "resolve x.shop.example. TXT: zone shop.example.: "+pending+": "+text {
				w.Errorf("got %v, want %s", err, text)
			}
			if got := resolver.Explain(err); !strings.Contains(got, explained) || !strings.Contains(got, "It ended in the zone shop.example.: "+pending+".") ||
				resolver.Reason(err) != resolver.FailureTimeout {
				w.Errorf("%s: %q", resolver.Reason(err), got)
			}
		}
		wait(2100*time.Millisecond, "the zone's servers did not all answer as wanted: context deadline exceeded", "the wait for a change ended")
		time.Sleep(time.Minute)
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				wait(300*time.Millisecond, "context deadline exceeded", "the time that the caller allowed ran out")
			})
		}
		both.Wait()
		w.wantNobodyWorking()
	}, ipv4Only)
}

// TestWaitForCallback: what the callback does to the context, or a panic of it, ends the wait and
// nothing else.
func TestWaitForCallback(t *testing.T) {
	inWorld(t, shopZone, func(w *world) {
		z := w.zoneOf("shop.example", resolver.FindZoneOptions{})
		ctx, cancel := context.WithCancel(w.Context())
		answers, err := w.r.WaitFor(ctx, z, "txt.shop.example", dns.TypeTXT, func(*resolver.ServerAnswers) bool { cancel(); return false })
		if answers == nil || !errors.Is(err, context.Canceled) {
			w.Errorf("cancelled: %v, %v", answers, err)
		}
		if answers, err = w.r.WaitFor(ctx, z, "txt.shop.example", dns.TypeTXT, nil); answers != nil || !errors.Is(err, context.Canceled) {
			w.Errorf("ended before: %v, %v", answers, err)
		}
		func() {
			defer func() {
				if recover() != "of the callback" {
					w.Error("the panic is lost")
				}
			}()
			w.r.WaitFor(w.Context(), z, "txt.shop.example", dns.TypeTXT, func(*resolver.ServerAnswers) bool { panic("of the callback") })
		}()
		w.wantNobodyWorking()
		w.in.ResetLog()
		if answers, err = w.r.WaitFor(w.Context(), z, "txt.shop.example", dns.TypeTXT, func(*resolver.ServerAnswers) bool { return true }); answers == nil || err != nil {
			w.Errorf("afterwards: %v, %v", answers, err)
		}
		w.count(1, resolvertest.Type(dns.TypeTXT))
	}, ipv4Only)
}

// TestFindZoneOddNames: escaped bytes, the longest names, names below localhost and reverse zones.
func TestFindZoneOddNames(t *testing.T) {
	longest := strings.Repeat(strings.Repeat("a", 63)+".", 3) + strings.Repeat("b", 48) + ".shop.example." // 255 bytes
	inWorld(t, shopZone+`
-- zone arpa. at 198.51.100.7 --
-- zone 51.198.in-addr.arpa. at 198.51.100.8 --
3.100 PTR ns1.shop.example.
-- zone a\.b\000.example. at 198.51.100.9 --
www TXT token
`, func(w *world) {
		for name, want := range map[string]string{
			longest:                       "shop.example. below example. missing NS 1 DS 0 DNSKEY 0 indeterminate",
			`a\.b.shop.example`:           "shop.example. below example. missing NS 1 DS 0 DNSKEY 0 indeterminate",
			`\000.shop.example`:           "shop.example. below example. missing NS 1 DS 0 DNSKEY 0 indeterminate",
			`WWW.A\.B\000.Example`:        `a\.b\000.example. below example. NS 1 DS 0 DNSKEY 0 indeterminate`,
			`www.a\046b\000.example`:      `a\.b\000.example. below example. NS 1 DS 0 DNSKEY 0 indeterminate`,
			"arpa":                        "arpa. below . NS 1 DS 0 DNSKEY 0 indeterminate",
			"3.100.51.198.in-addr.arpa.":  "51.198.in-addr.arpa. below arpa. NS 1 DS 0 DNSKEY 0 indeterminate",
			"9.9.100.51.198.in-addr.arpa": "51.198.in-addr.arpa. below arpa. missing NS 1 DS 0 DNSKEY 0 indeterminate",
			"51.198.in-addr.arpa":         "51.198.in-addr.arpa. below arpa. NS 1 DS 0 DNSKEY 0 indeterminate",
		} {
			z := w.zoneOf(name, resolver.FindZoneOptions{})
			if got := zoneText(z); got != want {
				w.Errorf("%s: got %s, want %s", name, got, want)
			}
			if !z.Missing {
				continue
			}
			if answers := w.askServers(z, name, dns.TypeTXT); len(answers.Servers) != 1 || answers.Servers[0].Rcode != dns.RcodeNameError {
				w.Errorf("%s: %q", name, serverTexts(answers))
			}
		}
		if _, err := w.r.FindZone(w.Context(), "a"+longest, resolver.FindZoneOptions{}); !errors.Is(err, resolver.ErrName) {
			w.Errorf("a name of 256 bytes: %v", err)
		}
	})
}

// TestFindZoneWithLocalRoot: the zones of a resolver with its own copy of the root zone are those of
// one without, and the root's servers are asked for what they say when that is asked.
func TestFindZoneWithLocalRoot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		root := &resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}}
		for _, of := range []*resolver.LocalRoot{nil, root} {
			r := newLocalRootResolver(t, w.options(of))
			for name, want := range map[string]string{
				"www.test": "test. below . NS 1 DS 0 DNSKEY 0 insecure", "example": "example. below . NS 1 DS 1 DNSKEY 2 secure",
				"x.nowhere": ". below nothing missing unseen NS 1 DS 0 DNSKEY 1 secure",
			} {
				for _, fresh := range []bool{false, true} {
					z, err := r.FindZone(t.Context(), name, resolver.FindZoneOptions{WithoutCache: fresh})
					if err != nil {
						t.Fatal(name, err)
					}
					if got := zoneText(z); got != want {
						t.Errorf("local root %t, %s: got %s, want %s", of != nil, name, got, want)
					}
					if name != "x.nowhere" {
						continue
					}
					answers, err := r.AskServers(t.Context(), z, name, dns.TypeTXT)
					if err != nil || len(answers.Servers) != 1 || answers.Servers[0].Addr.Addr().String() != localRootAddr || !answers.Servers[0].Answered() {
						t.Errorf("local root %t: %+v, %v", of != nil, answers, err)
					}
				}
			}
		}
	})
}

// TestFindZoneOfRoute: in a route's zone the zone is what the route's servers say, without cache too.
func TestFindZoneOfRoute(t *testing.T) {
	for _, route := range []string{"corp.example=198.51.100.9,stub", "corp.example=198.51.100.9"} {
		inWorld(t, shopZone+`
-- zone corp.example. at 198.51.100.9 undelegated --
alias CNAME txt.lab
lab NS ns1.lab
ns1.lab A 198.51.100.9
-- zone lab.corp.example. at 198.51.100.9 undelegated --
txt TXT inner
`, func(w *world) {
			rt, err := resolver.ParseRoute(route)
			if err != nil {
				w.Fatal(err)
			}
			if err := w.r.SetRoutes([]resolver.Route{rt}); err != nil {
				w.Fatal(err)
			}
			w.in.Fault("198.51.100.9", resolvertest.Flag("ra", true))
			for _, fresh := range []bool{false, true} {
				o := resolver.FindZoneOptions{FollowAliases: true, WithoutCache: fresh}
				for _, name := range []string{"alias.corp.example", "txt.lab.corp.example"} {
					z := w.zoneOf(name, o)
					if z.Apex != "lab.corp.example." || z.Parent != "corp.example." || z.Problem != nil || z.SOA == nil {
						w.Errorf("%s: %s: got %s", route, name, zoneText(z))
					}
				}
				if z := w.zoneOf("txt.shop.example", o); z.Apex != "shop.example." || z.Problem != nil {
					w.Errorf("%s: outside: got %s", route, zoneText(z))
				}
			}
		}, ipv4Only)
	}
}

// countedExchanger counts the queries that go through it.
type countedExchanger struct {
	resolver.Exchanger
	n atomic.Int64
}

func (e *countedExchanger) Exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error) {
	e.n.Add(1)
	return e.Exchanger.Exchange(ctx, network, server, query)
}

// TestFindZoneByExchanger: all queries go through the program's transport.
func TestFindZoneByExchanger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, shopZone)
		o := in.Options()
		e := &countedExchanger{Exchanger: dialling(o.Dial)}
		o.Dial, o.Exchanger, o.Family = nil, e, resolver.FamilyIPv4Only
		r, err := resolver.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		z, err := r.FindZone(t.Context(), "txt.shop.example", resolver.FindZoneOptions{})
		if err != nil || zoneText(z) != "shop.example. below example. NS 1 DS 0 DNSKEY 0 indeterminate" {
			t.Fatal(z, err)
		}
		answers, err := r.AskServers(t.Context(), z, "txt.shop.example", dns.TypeTXT)
		if err != nil || len(answers.Servers) != 1 || !answers.Servers[0].HasTXT("token") || !answers.Servers[0].HasSerial {
			t.Errorf("got %+v, %v", answers, err)
		}
		synctest.Wait() // a query of the priming may be on its way from the one count to the other
		if n := in.Count(); int(e.n.Load()) != n || n < 5 {
			t.Errorf("%d queries through the transport, of %d", e.n.Load(), n)
		}
	})
}

// TestFindZoneClosed: Close and the end of a context end both calls at once, wherever they are.
func TestFindZoneClosed(t *testing.T) {
	for _, closed := range []bool{false, true} {
		for at := 5 * time.Millisecond; at < 200*time.Millisecond; at += 10 * time.Millisecond {
			inWorld(t, shopZone+"-- fault * --\nlatency 20ms\n", func(w *world) {
				want := context.Canceled
				ctx, end := context.WithCancel(w.Context())
				stop := end
				if closed {
					want, stop = resolver.ErrClosed, func() { w.r.Close() }
				}
				begun := time.Now()
				time.AfterFunc(at, stop)
				z, err := w.r.FindZone(ctx, "txt.shop.example", resolver.FindZoneOptions{WithoutCache: true})
				if err == nil {
					_, err = w.r.AskServers(ctx, z, "txt.shop.example", dns.TypeTXT)
				}
				if err != nil && (!errors.Is(err, want) || time.Since(begun) != at) {
					w.Errorf("at %v: %v after %v", at, err, time.Since(begun))
				}
				if err == nil && time.Since(begun) > at {
					w.Errorf("at %v: no error after %v", at, time.Since(begun))
				}
				w.wantNobodyWorking()
				end()
			}, ipv4Only)
		}
	}
}

// TestFindZoneLimits: whatever the limit, the call ends in time with the error that names it, or with
// the zone, whose Problem may be that limit.
func TestFindZoneLimits(t *testing.T) {
	for sends := 1; sends < 24; sends++ {
		inWorld(t, zonesWorld, func(w *world) {
			z, err := w.r.FindZone(w.Context(), "_acme-challenge.shop.example", resolver.FindZoneOptions{FollowAliases: true})
			var limit *resolver.LimitError
			switch {
			case err != nil && (!errors.As(err, &limit) || z != nil):
				w.Errorf("%d queries: %v, %v", sends, z, err)
			case err == nil && z.Problem != nil && !errors.As(z.Problem, &limit):
				w.Errorf("%d queries: problem %v", sends, z.Problem)
			case err == nil && z.Problem == nil && (z.Apex != "acme.example." || zoneText(z) != "acme.example. below example. NS 1 DS 0 DNSKEY 0 insecure 1 alias"):
				w.Errorf("%d queries: %s", sends, zoneText(z))
			}
			if n := w.in.Count(notPriming); n > sends {
				w.Errorf("%d queries, of %d", n, sends)
			}
			w.wantNobodyWorking()
		}, ipv4Only, func(o *resolver.Options) { o.Limits.Sends = sends })
	}
	inWorld(t, zonesWorld, func(w *world) {
		w.in.Fault("*", resolvertest.Latency(20*time.Millisecond))
		done := make(chan error)
		for i := range 50 {
			go func() {
				_, err := w.r.FindZone(w.Context(), fmt.Sprintf("x%d.shop.example", i), resolver.FindZoneOptions{})
				done <- err
			}()
		}
		for range 50 { // they wait for a slot, and for their turn
			if err := <-done; err != nil {
				w.Error(err)
			}
		}
		z := w.zoneOf("www.shop.example", resolver.FindZoneOptions{})
		if got := zoneText(z); got != "shop.example. below example. NS 1 DS 1 DNSKEY 2 secure" {
			w.Errorf("afterwards %s", got)
		}
	}, func(o *resolver.Options) { o.Limits.Questions = 2 })
}

// TestFindZoneNegativeTrustAnchor: a zone whose validation is off by the program is Insecure, whatever
// is wrong with its signatures, and no Problem.
func TestFindZoneNegativeTrustAnchor(t *testing.T) {
	inWorld(t, "\n-- zone example. at 198.51.100.1 signed --\n-- zone broken.example. at 198.51.100.3 signed break=expired --\nwww A 192.0.2.80\n", func(w *world) {
		z := w.zoneOf("www.broken.example", resolver.FindZoneOptions{})
		if z.Status != dnssec.Insecure || z.Problem != nil || len(z.DS) != 1 || len(z.DNSKEY) != 2 {
			w.Errorf("got %s", zoneText(z))
		}
	}, func(o *resolver.Options) {
		o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "broken.example."}}
	})
}
