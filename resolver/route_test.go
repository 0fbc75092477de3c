package resolver_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

func server(addr string) []resolver.RouteServer {
	return []resolver.RouteServer{{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 0)}}
}

const splitWorld = `
-- zone . at 198.18.0.1 signed --
-- zone example. at 198.18.0.2 signed --
www             A       192.0.2.1
corp            NS      ns.corp
ns.corp         A       198.51.100.9
-- zone corp.example. at 198.51.100.9 --
www             A       192.0.2.66
out             CNAME   www.example.
-- zone cluster.local. at 10.96.0.10 undelegated --
api             A       10.0.0.1
out             CNAME   www.example.
-- fault 10.96.0.10 --
set ra
`

// The documented case: cluster.local. to the cluster's DNS, everything else from the root.
func TestRouteForward(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, splitWorld)
		r := in.Resolver(t, func(o *resolver.Options) {
			o.AllowServer = func(a netip.Addr) bool { return !a.IsPrivate() }
			o.Routes = []resolver.Route{{Zone: "cluster.local", Servers: server("10.96.0.10"), Unsigned: true}}
		})
		for _, tt := range []struct {
			name   string
			rcode  int
			status dnssec.Status
			answer string
		}{
			{"api.cluster.local.", dns.RcodeSuccess, dnssec.Insecure, "10.0.0.1"},
			{"missing.cluster.local.", dns.RcodeNameError, dnssec.Insecure, ""},
			{"out.cluster.local.", dns.RcodeSuccess, dnssec.Insecure, "192.0.2.1"},
			{"www.example.", dns.RcodeSuccess, dnssec.Secure, "192.0.2.1"},
			{"cluster.", dns.RcodeNameError, dnssec.Secure, ""},
			{"other.local.", dns.RcodeNameError, dnssec.Insecure, ""},
		} {
			result, err := r.Resolve(t.Context(), tt.name, dns.TypeA)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
				continue
			}
			if result.Rcode != tt.rcode || result.Status != tt.status {
				t.Errorf("%s: got %s %v, want %s %v", tt.name, dns.RcodeToString[result.Rcode], result.Status, dns.RcodeToString[tt.rcode], tt.status)
			}
			if got := strings.Join(texts(result.Answer), "\n"); !strings.HasSuffix(got, tt.answer) || (got == "") != (tt.answer == "") {
				t.Errorf("%s: got %q, want %q", tt.name, got, tt.answer)
			}
		}
		for _, q := range in.Log(resolvertest.To("10.96.0.10")) {
			if !strings.HasSuffix(strings.ToLower(q.Name), ".cluster.local.") {
				t.Errorf("the route's server was asked for %s", q.Name)
			}
		}
		if n := in.Count(resolvertest.Not(resolvertest.To("10.96.0.10")), resolvertest.Below("local.")); n != 0 {
			t.Errorf("others were asked for names of the route %d times", n)
		}
	})
}

func TestRouteDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, splitWorld+"-- fault 10.96.0.10 --\ndrop\n")
		r := in.Resolver(t, func(o *resolver.Options) {
			o.Routes = []resolver.Route{{Zone: "cluster.local", Servers: server("10.96.0.10"), Unsigned: true}}
		})
		_, err := r.Resolve(t.Context(), "api.cluster.local.", dns.TypeA)
		var route *resolver.RouteError
		if !errors.As(err, &route) || route.Zone != "cluster.local." || !errors.Is(err, resolver.ErrNoReachableServer) {
			t.Errorf("got %v, want a *RouteError for cluster.local.", err)
		}
		if n := in.Count(); n != 3 {
			t.Errorf("got %d queries, want 3", n)
		}
	})
}
