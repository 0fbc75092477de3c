package resolver_test

import (
	"context"
	"crypto/tls"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// saying is an Exchanger that answers every name with one address.
type saying struct {
	addr  string
	calls atomic.Int64
}

func (s *saying) Exchange(_ context.Context, _ string, _ netip.AddrPort, query []byte) ([]byte, error) {
	s.calls.Add(1)
	m := new(dns.Msg)
	if err := m.Unpack(query); err != nil {
		return nil, err
	}
	reply := new(dns.Msg).SetReply(m)
	reply.RecursionAvailable = true
	reply.Answer = []dns.RR{record(m.Question[0].Name + " 300 A " + s.addr)}
	return reply.Pack()
}

// pair is one that == cannot compare.
type pair []*saying

func (p pair) Exchange(ctx context.Context, network string, server netip.AddrPort, query []byte) ([]byte, error) {
	return p[0].Exchange(ctx, network, server, query)
}

func over(e resolver.Exchanger) []resolver.Route {
	return []resolver.Route{{Zone: "corp.example", Unsigned: true, Servers: []resolver.RouteServer{{Name: "dns.example", Exchanger: e}}}}
}

// Data learnt by one Exchanger is not used with another: not after SetRoutes, and not by
// another resolver that shares the cache. It is found again as long as the very same
// Exchanger is used.
func TestRoutesOfDifferentExchangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := &saying{addr: "10.0.0.1"}, &saying{addr: "10.0.0.2"}
		shared := cache.New(cache.Options{})
		in := resolvertest.New(t, "-- zone example. at 198.51.100.1 --\n")
		with := func(routes []resolver.Route, name string) *resolver.Resolver {
			return in.Resolver(t, func(o *resolver.Options) { o.Cache, o.Routes, o.ViewName = shared, routes, name })
		}
		first := with(over(a), "")
		for _, step := range []struct {
			what   string
			routes []resolver.Route
			want   string
			asked  int64 // in all, of both
		}{
			{"the first", over(a), "NOERROR 10.0.0.1", 1},
			{"the same", over(a), "NOERROR 10.0.0.1", 1},
			{"another", over(b), "NOERROR 10.0.0.2", 2},
			{"one of a type without ==", over(pair{a}), "NOERROR 10.0.0.1", 3},
			{"another such", over(pair{b}), "NOERROR 10.0.0.2", 4},
		} {
			if err := first.SetRoutes(step.routes); err != nil {
				t.Fatalf("%s: %v", step.what, err)
			}
			wantAddresses(t, first, "www.corp.example.", step.want)
			// Changing trust anchors drops nothing.
			if err := first.SetNegativeTrustAnchors([]resolver.NegativeTrustAnchor{{Zone: "other.example"}}); err != nil {
				t.Fatal(err)
			}
			wantAddresses(t, first, "www.corp.example.", step.want)
			if got := a.calls.Load() + b.calls.Load(); got != step.asked {
				t.Errorf("%s: asked %d times, want %d", step.what, got, step.asked)
			}
		}
		wantAddresses(t, with(over(b), ""), "www.corp.example.", "NOERROR 10.0.0.2")
		wantAddresses(t, with(over(a), ""), "www.corp.example.", "NOERROR 10.0.0.1")
		if got := a.calls.Load() + b.calls.Load(); got != 6 {
			t.Errorf("resolvers without a name: asked %d times, want 6", got)
		}
		wantAddresses(t, with(over(a), "name"), "www.corp.example.", "NOERROR 10.0.0.1")
		wantAddresses(t, with(over(b), "name"), "www.corp.example.", "NOERROR 10.0.0.1")
		if got := a.calls.Load() + b.calls.Load(); got != 7 {
			t.Errorf("resolvers with one name: asked %d times, want 7", got)
		}
	})
}

// A SecondLevel is shared between processes, where only a ViewName can vouch for functions.
func TestSecondLevelNeedsANameForRoutes(t *testing.T) {
	for about, server := range map[string]resolver.RouteServer{
		"Exchanger": {Exchanger: new(saying)},
		"TLSConfig": {Addr: netip.MustParseAddrPort("192.0.2.53:853"), Transport: resolver.TransportTLS, TLSConfig: new(tls.Config)},
	} {
		routes := []resolver.Route{{Zone: "corp.example", Servers: []resolver.RouteServer{server}}}
		if r, err := resolver.New(resolver.Options{SecondLevel: newStore(), Routes: routes}); err == nil {
			r.Close()
			t.Errorf("%s without ViewName: no error", about)
		}
		for name, want := range map[string]bool{"": false, "test": true} {
			r, err := resolver.New(resolver.Options{SecondLevel: newStore(), ViewName: name})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.SetRoutes(routes); (err == nil) != want {
				t.Errorf("SetRoutes with %s, ViewName %q: got error %v, want one: %t", about, name, err, !want)
			}
			r.Close()
		}
	}
}
