package resolver_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/rootsigner"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestLocalRootOverTCP: with a local root no root server is asked for names, and that a network drops
// UDP shows at the servers of top-level domains. The root servers tell then whether it is the network.
func TestLocalRootOverTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newLocalRootWorld(t, rootsigner.Options{})
		r := newLocalRootResolver(t, w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}}))
		w.Update("-- fault * --\nwhen udp: drop")
		for _, zone := range []string{"example.", "test."} {
			result, err := r.Resolve(t.Context(), "www."+zone, dns.TypeA)
			if err != nil || len(result.Answer) == 0 || !strings.Contains(result.Answer[0].String(), "192.0.2.") {
				t.Errorf("%s: got %+v, %v", zone, result, err)
			}
		}
		if s := r.Stats(); s.Network != resolver.NetworkOnlyTCP {
			t.Errorf("got network %s", s.Network)
		}
	})
}

// TestMovesBehindInterceptor: a host that has delegations cached, or a local root, moves behind something
// that answers over UDP in place of all servers. No root server is asked for the names looked up then,
// and TCP is used all the same.
func TestMovesBehindInterceptor(t *testing.T) {
	for _, fault := range []string{"recursion", "refused"} {
		interceptor := "-- fault * --\nwhen udp: " + noUDP[fault]
		t.Run(fault+", delegations cached", func(t *testing.T) {
			for range 20 { // which root servers are drawn must not matter
				inNetwork(t, nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
					wantSecure(t, r, "www.shop.example.")
					askPlain(t, r, "before", 1, time.Minute)
					in.Update(interceptor)
					result, err := r.Resolve(t.Context(), "www.plain.example.", dns.TypeA)
					if err != nil || !strings.Contains(fmt.Sprint(result.Answer), "192.0.2.90") {
						t.Errorf("got %+v, %v", result, err)
					}
					wantSecure(t, r, "mail.shop.example.")
					askPlain(t, r, "after", 3, time.Second)
					if s := r.Stats(); s.Network != resolver.NetworkOnlyTCP {
						t.Errorf("got network %s", s.Network)
					}
				})
			}
		})
		t.Run(fault+", local root", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newLocalRootWorld(t, rootsigner.Options{})
				r := newLocalRootResolver(t, w.options(&resolver.LocalRoot{Sources: []resolver.LocalRootSource{w.reader()}}))
				w.Update(interceptor)
				for _, zone := range []string{"example.", "test."} {
					result, err := r.Resolve(t.Context(), "www."+zone, dns.TypeA)
					if err != nil || len(result.Answer) == 0 || strings.Contains(result.Answer[0].String(), "192.0.2.66") {
						t.Errorf("%s: got %+v, %v", zone, result, err)
					}
				}
			})
		})
	}
}

// TestInterceptorIsNotBelieved where the zone's own servers do not answer over TCP.
func TestInterceptorIsNotBelieved(t *testing.T) {
	inNetwork(t, nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		wantSecure(t, r, "www.shop.example.")
		askPlain(t, r, "before", 1, time.Minute)
		lie := "when udp: replace NOERROR www.plain.example. 60 A 192.0.2.66\nwhen udp: set ra\nwhen udp: clear aa"
		in.Update("-- fault * --\n" + lie + "\n-- fault plain.example. --\n" + lie + "\nwhen tcp: refuse")
		if result, err := r.Resolve(t.Context(), "www.plain.example.", dns.TypeA); !errors.Is(err, resolver.ErrOnlyTCP) {
			t.Errorf("got %+v, %v, want %v", result, err, resolver.ErrOnlyTCP)
		}
	})
}

// TestLameZonesAreNoNetwork: zones whose servers do not serve them cost the root servers two questions
// in ten seconds at most, and none while one has answered lately.
func TestLameZonesAreNoNetwork(t *testing.T) {
	inNetwork(t, nil, func(t *testing.T, in *resolvertest.Internet, r *resolver.Resolver) {
		wantSecure(t, r, "www.shop.example.")
		in.Update("-- fault 198.51.100.5 198.51.100.6 --\nreplace REFUSED")
		r.Resolve(t.Context(), "a.plain.example.", dns.TypeA)
		time.Sleep(time.Minute)
		before := len(in.Log())
		for i := range 20 {
			r.Resolve(t.Context(), fmt.Sprintf("b%d.plain.example.", i), dns.TypeA)
		}
		roots := 0
		for _, q := range in.Log()[before:] {
			if q.Name == "." {
				roots++
			}
		}
		if s := r.Stats(); roots > 2 || s.Network != resolver.NetworkOpen {
			t.Errorf("got %d questions to the root, network %s", roots, s.Network)
		}
	})
}
