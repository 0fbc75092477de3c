package resolver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// severalRoots has root servers at eight addresses, as networks are judged by several.
var severalRoots = `
-- zone . at 198.41.0.1 198.41.0.2 198.41.0.3 198.41.0.4 2001:db8:41::1 2001:db8:41::2 2001:db8:41::3 2001:db8:41::4 signed --
-- zone example. at 198.51.100.1 198.51.100.2 signed --
-- zone shop.example. at 198.51.100.3 198.51.100.4 signed --
www   A 192.0.2.80
mail  A 192.0.2.81
-- zone plain.example. at 198.51.100.5 198.51.100.6 --
www   A 192.0.2.90
-- zone test. at 198.51.100.9 198.51.100.10 signed --
www   A 192.0.2.99
` + topLevels + `
-- fault * --
latency 20ms
`

// topLevels are zones, for each of which the root servers have to be asked.
var topLevels = func() string {
	var b strings.Builder
	for i := range 30 {
		fmt.Fprintf(&b, "-- zone t%d. at 198.51.100.1 198.51.100.2 signed --\n@ A 192.0.2.1\n", i)
	}
	return b.String()
}()

// noUDP is what networks do to DNS over UDP while they leave TCP alone.
var noUDP = map[string]string{
	"dropped":     "drop",
	"recursion":   "replace NOERROR @ 60 A 192.0.2.66\nwhen udp: set ra\nwhen udp: clear aa",
	"one address": "replace NOERROR @ 60 A 192.0.2.66\nwhen udp: set aa",
	"refused":     "replace REFUSED",
	"NXDOMAIN":    "replace NXDOMAIN",
	"stripped":    "remove answer RRSIG\nwhen udp: remove authority RRSIG\nwhen udp: remove authority NSEC\nwhen udp: remove authority DS",
}

// inNetwork runs a test in virtual time, with a resolver in an Internet with severalRoots.
func inNetwork(t *testing.T, change func(*resolver.Options), f func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver)) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, severalRoots)
		o := in.Options()
		if change != nil {
			change(&o)
		}
		r, err := resolver.New(o)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		f(t, in, r)
	})
}

// wantSecure asks a question whose answer has to be Secure, and returns how long that took.
func wantSecure(t *testing.T, r *resolver.Resolver, name string) time.Duration {
	t.Helper()
	began := time.Now()
	result, err := r.Resolve(t.Context(), name, dns.TypeA)
	if err != nil {
		t.Fatal(err)
	}
	if result.Status != dnssec.Secure {
		t.Errorf("%s: got %s, want it secure", name, result.Status)
	}
	return time.Since(began)
}

// askPlain asks for names that a zone without signatures does not have, so that its servers are asked
// each time.
func askPlain(t *testing.T, r *resolver.Resolver, label string, n int, pause time.Duration) {
	t.Helper()
	for i := range n {
		if _, err := r.Resolve(t.Context(), fmt.Sprintf("%s%d.plain.example.", label, i), dns.TypeA); err != nil {
			t.Fatalf("%s%d: %v", label, i, err)
		}
		time.Sleep(pause)
	}
}

// askRoot asks for n top-level names that do not exist, so that root servers are asked; some of them
// are denied by the proofs of those before.
func askRoot(t *testing.T, r *resolver.Resolver, n int, pause time.Duration) {
	t.Helper()
	for i := range n {
		if _, err := r.Resolve(t.Context(), topLevel(i), dns.TypeA); err != nil {
			t.Fatalf("%s: %v", topLevel(i), err)
		}
		time.Sleep(pause)
	}
}

// topLevel returns a top-level name: each has a zone of its own, which is delegated.
func topLevel(i int) string { return fmt.Sprintf("t%d.", i) }

// TestOnlyTCP: where UDP is dropped, or answered by something else, and TCP is not, the first answer
// comes over TCP within seconds; what follows goes over TCP at once, and over UDP when that is back.
func TestOnlyTCP(t *testing.T) {
	for name, fault := range noUDP {
		t.Run(name, func(t *testing.T) {
			inNetwork(t, nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
				in.Update("-- fault * --\nwhen udp: " + fault)
				if took := wantSecure(t, r, "www.shop.example."); took > 2*time.Second {
					t.Errorf("the first answer took %v", took)
				}
				if n := in.Count(); n > 25 {
					t.Errorf("the first answer cost %d queries", n)
				}
				askRoot(t, r, 12, 100*time.Millisecond)
				s := r.Stats()
				if s.Network != resolver.NetworkOnlyTCP || s.TurnsToTCP != 1 {
					t.Fatalf("got network %s after %d turns", s.Network, s.TurnsToTCP)
				}
				in.ResetLog()
				if took := wantSecure(t, r, "www.test."); took > 200*time.Millisecond {
					t.Errorf("a later answer took %v", took)
				}
				for _, q := range in.Log() {
					if q.Network != "tcp" {
						t.Errorf("%s was asked over %s", q.Server, q.Network)
					}
				}
				in.Update("-- fault * --\nmend")
				askPlain(t, r, "back", 10, 10*time.Second)
				if s := r.Stats(); s.Network != resolver.NetworkOpen {
					t.Errorf("UDP is back, and the network still %s", s.Network)
				}
			})
		})
	}
}

// TestOnlyTCPIsTested: while it lasts, UDP is tested with one query at a time, more and more seldom.
func TestOnlyTCPIsTested(t *testing.T) {
	inNetwork(t, nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		in.Update("-- fault * --\nwhen udp: drop")
		wantSecure(t, r, "www.shop.example.")
		time.Sleep(time.Second)
		in.ResetLog()
		askPlain(t, r, "n", 60, 10*time.Second)
		tests := 0
		for _, q := range in.Log() {
			if q.Network == "udp" {
				tests++
			}
		}
		// After 30 s, 1, 2 and 4 minutes.
		if tests < 3 || tests > 5 {
			t.Errorf("UDP was tested %d times in ten minutes", tests)
		}
		if s := r.Stats(); s.Network != resolver.NetworkOnlyTCP {
			t.Errorf("got network %s", s.Network)
		}
		in.Update("-- fault * --\nmend")
		time.Sleep(16 * time.Minute)
		if s := r.Stats(); s.Network != resolver.NetworkOpen {
			t.Errorf("after a quarter of an hour without questions: got network %s", s.Network)
		}
	})
}

// TestOtherNetwork: a host that moves into such a network has cached delegations, so that root servers
// need not be asked. That their silence is the network's is found out all the same.
func TestOtherNetwork(t *testing.T) {
	inNetwork(t, nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		wantSecure(t, r, "www.shop.example.")
		time.Sleep(time.Minute)
		in.Update("-- fault * --\nwhen udp: drop")
		if took := wantSecure(t, r, "mail.shop.example."); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		if s := r.Stats(); s.Network != resolver.NetworkOnlyTCP {
			t.Errorf("got network %s", s.Network)
		}
	})
}

// TestNotTheNetwork: what single servers, and forgers, do is not blamed on the network.
func TestNotTheNetwork(t *testing.T) {
	for name, fault := range map[string]string{
		"one root server dead":        "-- fault 198.41.0.1 --\ndead",
		"one without UDP":             "-- fault 198.41.0.1 --\nwhen udp: drop",
		"two that recurse":            "-- fault 198.41.0.1 198.41.0.2 --\nwhen udp: set ra\nwhen udp: clear aa",
		"forged IDs":                  "-- fault . --\nwhen udp: forge 2 wrong-id",
		"damaged packets":             "-- fault . --\nwhen udp: garbage",
		"every third packet lost":     "-- fault * --\nwhen udp every 3: drop",
		"a zone without UDP":          "-- fault test. --\nwhen udp: drop",
		"one question silent":         "-- fault . --\nwhen udp name t2. type A: drop",
		"one family without a route":  "-- fault ::/0 --\nunreachable",
		"one family silent":           "-- fault ::/0 --\ndead",
		"zones whose servers recurse": "-- fault example. test. --\nset ra\nclear aa",
	} {
		t.Run(name, func(t *testing.T) {
			inNetwork(t, nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
				in.Update(fault)
				for i := range 12 {
					r.Resolve(t.Context(), topLevel(i), dns.TypeA)
					r.Resolve(t.Context(), fmt.Sprintf("n%d.test.", i), dns.TypeTXT)
					time.Sleep(time.Second)
				}
				if s := r.Stats(); s.Network != resolver.NetworkOpen || s.TurnsToTCP != 0 || s.TurnsToClosed != 0 {
					t.Errorf("got network %s", s.Network)
				}
			})
		})
	}
}

// TestNetworkFlaps: an interceptor that comes and goes every three seconds costs no answer.
func TestNetworkFlaps(t *testing.T) {
	for name, fault := range map[string]resolvertest.Fault{
		"drops":    resolvertest.Drop(),
		"recurses": resolvertest.Replace(dns.RcodeSuccess, "@ 60 A 192.0.2.66"),
	} {
		t.Run(name, func(t *testing.T) {
			inNetwork(t, nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
				in.Fault("*", fault.When(resolvertest.Over("udp"), func(resolvertest.Query) bool { return time.Now().Unix()/3%2 == 0 }))
				wantSecure(t, r, "www.shop.example.")
				askRoot(t, r, 30, 1700*time.Millisecond)
				if s := r.Stats(); s.TurnsToTCP > 3 {
					t.Errorf("the network changed %d times in a minute", s.TurnsToTCP)
				}
			})
		})
	}
}

// TestClosedNetwork: where TCP does not reach the root servers either, that is told as ever, within
// the limits of a question, and the network opens again after a test or three.
func TestClosedNetwork(t *testing.T) {
	for name, tt := range map[string]struct {
		fault string
		want  error
	}{
		"silent":           {"-- fault * --\ndead", resolver.ErrBlocked},
		"no TCP":           {"-- fault * --\nwhen udp: drop\nwhen tcp: reset", resolver.ErrBlocked},
		"intercepted":      {"-- fault * --\nset ra\nclear aa\nreplace NOERROR @ 60 A 192.0.2.66\nset ra\nclear aa", resolver.ErrIntercepted},
		"reset":            {"-- fault * --\nwhen udp: replace NOERROR @ 60 A 192.0.2.66\nwhen udp: set ra\nwhen udp: clear aa\nwhen tcp: reset", resolver.ErrIntercepted},
		"no TCP connects":  {"-- fault * --\nwhen udp: drop\nwhen tcp: refuse", resolver.ErrBlocked},
		"hangs over TCP":   {"-- fault * --\nwhen udp: drop\nwhen tcp: drop", resolver.ErrBlocked},
		"no route to them": {"-- fault * --\nunreachable", resolver.ErrNoNetwork},
	} {
		t.Run(name, func(t *testing.T) {
			inNetwork(t, nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
				in.Update(tt.fault)
				for i := range 3 {
					began := time.Now()
					_, err := r.Resolve(t.Context(), topLevel(29-i), dns.TypeA)
					if !errors.Is(err, tt.want) {
						t.Errorf("got %v, want %v", err, tt.want)
					}
					if took := time.Since(began); took > 9*time.Second {
						t.Errorf("took %v", took)
					}
				}
				if s := r.Stats(); s.Network != resolver.NetworkClosed || s.TurnsToClosed != 1 {
					t.Errorf("got network %s", s.Network)
				}
				in.ResetLog()
				in.Update("-- fault * --\nmend")
				time.Sleep(20 * time.Second)
				askRoot(t, r, 8, 5*time.Second)
				if s := r.Stats(); s.Network != resolver.NetworkOpen {
					t.Errorf("the network is open again, and told as %s", s.Network)
				}
			})
		})
	}
}

// TestOnlyTCPIsTold: an error of such a network says so.
func TestOnlyTCPIsTold(t *testing.T) {
	inNetwork(t, nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		in.Update("-- fault * --\nwhen udp: drop\n-- fault plain.example. --\nwhen tcp: refuse")
		_, err := r.Resolve(t.Context(), "www.plain.example.", dns.TypeA)
		if !errors.Is(err, resolver.ErrOnlyTCP) || !errors.Is(err, resolver.ErrNoReachableServer) {
			t.Errorf("got %v", err)
		}
		if text := resolver.Explain(err); !strings.Contains(text, "lets no DNS over UDP through") {
			t.Errorf("got %q", text)
		}
		reasons := make(map[resolver.QueryReason]int)
		ctx := resolver.WithTrace(t.Context(), &resolver.Trace{Query: func(q resolver.QueryInfo) { reasons[q.Reason]++ }})
		if _, err := r.Resolve(ctx, "www.test.", dns.TypeA); err != nil {
			t.Fatal(err)
		}
		if len(reasons) != 1 || reasons[resolver.ReasonNetwork] == 0 {
			t.Errorf("got reasons %v", reasons)
		}
	})
}

// TestRootTCPIsBounded: a question that no root server answers tries three of them over TCP.
func TestRootTCPIsBounded(t *testing.T) {
	inNetwork(t, nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		in.Update("-- fault * --\nwhen udp: drop\nwhen tcp: reset")
		byName := make(map[string]int)
		if _, err := r.Resolve(t.Context(), "www.test.", dns.TypeA); !errors.Is(err, resolver.ErrBlocked) {
			t.Errorf("got %v", err)
		}
		for _, q := range in.Log() {
			if q.Network == "tcp" && !q.Unconnected {
				byName[strings.ToLower(q.Name)+dns.TypeToString[q.Type]]++
			}
		}
		for name, n := range byName {
			if n > 3 {
				t.Errorf("%s was asked %d times over TCP", name, n)
			}
		}
		if len(byName) == 0 {
			t.Error("nothing was asked over TCP")
		}
	})
}
