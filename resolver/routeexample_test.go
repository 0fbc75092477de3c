package resolver_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// In a Kubernetes cluster: names of services come from the cluster's DNS, all others from
// the root down, validated. The public DNS proves that local. does not exist, hence
// Unsigned.
func ExampleRoute() {
	in, err := resolvertest.NewInternet(`
-- zone cluster.local. at 10.96.0.10 undelegated --
api.shop.svc    A   10.96.7.1
-- zone shop.example. at 198.51.100.3 signed --
www             A   192.0.2.80
`)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Close()

	r, err := resolver.New(resolver.Options{
		Routes: []resolver.Route{{
			Zone:     "cluster.local",
			Servers:  []resolver.RouteServer{{Addr: netip.MustParseAddrPort("10.96.0.10:53")}},
			Unsigned: true,
		}},
		SearchList: []string{"shop.svc.cluster.local", "svc.cluster.local", "cluster.local"},
		Ndots:      5,

		// So that the example needs no network.
		RootHints: in.Hints(), TrustAnchors: in.Anchors(), Dial: in.Dial,
		AllowServer:      func(netip.Addr) bool { return true },
		DisableHostsFile: true, AddressOrder: resolver.OrderAsAnswered,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()

	for _, host := range []string{"api", "api.shop", "www.shop.example"} {
		addrs, err := r.LookupNetIP(context.Background(), "ip4", host)
		fmt.Println(host, addrs, err)
	}
	// Output:
	// api [10.96.7.1] <nil>
	// api.shop [10.96.7.1] <nil>
	// www.shop.example [192.0.2.80] <nil>
}

// Where port 53 is blocked, or queries are intercepted, everything can be forwarded: here
// over TLS, to a server with a certificate for the name. Answers are validated all the
// same.
func ExampleParseRoute() {
	for _, flag := range []string{
		".=tls://192.0.2.53#dns.example",
		"corp.example=/etc/resolv.conf",
		"cluster.local=10.96.0.10,unsigned",
		"pub.corp.example=iterate",
	} {
		route, err := resolver.ParseRoute(flag)
		fmt.Println(route.Zone, route.Kind, route.Servers, route.ResolvConf, err)
	}
	// Output:
	// . forward [192.0.2.53:0 dns.example over tls]  <nil>
	// corp.example forward [] /etc/resolv.conf <nil>
	// cluster.local forward [10.96.0.10:0]  <nil>
	// pub.corp.example iterate []  <nil>
}
