package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// askAs asks a resolver as a client with that address asks its server, and prints the
// outcome.
func askAs(r *resolver.Resolver, client, name string) {
	ctx := context.Background()
	if client != "" {
		ctx = resolver.WithClient(ctx, netip.MustParseAddrPort(client+":5353"))
	}
	reply, err := r.Exchange(ctx, new(dns.Msg).SetQuestion(name, dns.TypeA))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(dns.RcodeToString[reply.Rcode])
	for _, rr := range reply.Answer {
		if a, ok := rr.(*dns.A); ok {
			fmt.Print(" ", a.A)
		}
	}
	fmt.Println()
}

// A block list: the names on it, and all below them, do not exist.
func ExampleHooks_blockList() {
	blocked := map[string]bool{"ads.example.": true}
	refused := &resolver.Result{
		Rcode:    dns.RcodeNameError,
		Extended: []resolver.ExtendedError{{Code: dns.ExtendedErrorCodeBlocked}},
	}
	r, _ := newResolver(shop, func(o *resolver.Options) {
		o.Hooks.Before = func(_ context.Context, q dns.Question) (*resolver.Result, error) {
			for off, end := 0, false; !end; off, end = dns.NextLabel(q.Name, off) {
				if blocked[q.Name[off:]] {
					return refused, nil
				}
			}
			return nil, nil // let it pass
		}
	})
	defer r.Close()
	askAs(r, "", "track.ads.example.")
	askAs(r, "", "host.shop.example.")
	// Output:
	// NXDOMAIN
	// NOERROR 192.0.2.80
}

// Split horizon: clients of the office see the shop at its address there, all others see
// what the public DNS says. ServeDNS tells the hook who asks; a server that calls Exchange
// does so with WithClient.
func ExampleHooks_splitHorizon() {
	office := netip.MustParsePrefix("10.0.0.0/8")
	inside := &resolver.Result{Answer: []dns.RR{
		&dns.A{Hdr: dns.RR_Header{Name: "host.shop.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: []byte{10, 0, 0, 80}},
	}}
	r, _ := newResolver(shop, func(o *resolver.Options) {
		o.Hooks.Before = func(ctx context.Context, q dns.Question) (*resolver.Result, error) {
			if q.Name == "host.shop.example." && q.Qtype == dns.TypeA && office.Contains(resolver.ClientAddr(ctx).Addr()) {
				return inside, nil
			}
			return nil, nil
		}
	})
	defer r.Close()
	askAs(r, "10.1.2.3", "host.shop.example.")
	askAs(r, "192.0.2.1", "host.shop.example.")
	// Output:
	// NOERROR 10.0.0.80
	// NOERROR 192.0.2.80
}

// A log of who asked for what, and what came of it; clients from elsewhere are refused.
func ExampleHooks_log() {
	r, _ := newResolver(shop, func(o *resolver.Options) {
		o.Hooks = resolver.Hooks{
			Before: func(ctx context.Context, _ dns.Question) (*resolver.Result, error) {
				if !resolver.ClientAddr(ctx).Addr().IsPrivate() {
					return nil, &resolver.Refusal{Extended: resolver.ExtendedError{Code: dns.ExtendedErrorCodeProhibited}}
				}
				return nil, nil
			},
			After: func(ctx context.Context, q dns.Question, result *resolver.Result, err error) (*resolver.Result, error) {
				client, qtype := resolver.ClientAddr(ctx).Addr(), dns.TypeToString[q.Qtype]
				var refusal *resolver.Refusal
				switch {
				case errors.As(err, &refusal):
					fmt.Println("log:", client, q.Name, qtype, refusal.Extended)
				case err != nil:
					fmt.Println("log:", client, q.Name, qtype, "failed")
				default:
					fmt.Println("log:", client, q.Name, qtype, dns.RcodeToString[result.Rcode], len(result.Answer))
				}
				return result, err
			},
		}
	})
	defer r.Close()
	askAs(r, "10.1.2.3", "www.shop.example.")
	askAs(r, "192.0.2.1", "www.shop.example.")
	// Output:
	// log: 10.1.2.3 www.shop.example. A NOERROR 2
	// NOERROR 192.0.2.80
	// log: 192.0.2.1 www.shop.example. A Prohibited
	// REFUSED
}

// A zone of the network's own, and a hosts file: their names are answered locally, all
// others from the public DNS. An alias may lead from one into the other.
func ExampleParseLocalZone() {
	corp, err := resolver.ParseLocalZone("corp.example", strings.NewReader(`
nas      A      10.0.0.2
*.apps   A      10.0.0.3
store    CNAME  www.shop.example.
`))
	if err != nil {
		log.Fatal(err)
	}
	hosts, err := resolver.ParseHosts(strings.NewReader("10.0.0.4  printer"))
	if err != nil {
		log.Fatal(err)
	}
	r, _ := newResolver(shop, func(o *resolver.Options) { o.LocalZones = []resolver.LocalZone{corp, hosts} })
	defer r.Close()
	for _, name := range []string{"nas.corp.example.", "wiki.apps.corp.example.", "store.corp.example.", "other.corp.example.", "printer.", "mail.shop.example."} {
		fmt.Print(name, " ")
		askAs(r, "", name)
	}
	// Output:
	// nas.corp.example. NOERROR 10.0.0.2
	// wiki.apps.corp.example. NOERROR 10.0.0.3
	// store.corp.example. NOERROR 192.0.2.80
	// other.corp.example. NXDOMAIN
	// printer. NOERROR 10.0.0.4
	// mail.shop.example. NOERROR 192.0.2.25
}

// A proxy for browsers: no name of the public DNS may have an address of the network's
// hosts but those of the company, and records are returned in random order.
func ExampleOptions_rebindingProtection() {
	const world = `
-- zone evil.example. at 198.51.100.3 --
www  A  192.168.0.1
-- zone corp.example. at 198.51.100.4 --
vpn  A  10.0.0.1
`
	r, _ := newResolver(world, func(o *resolver.Options) {
		o.RebindingProtection = true
		o.PrivateDomains = []string{"corp.example"}
		o.Rotate = rand.IntN
	})
	defer r.Close()
	_, err := r.Resolve(context.Background(), "www.evil.example", dns.TypeA)
	fmt.Println(errors.Is(err, resolver.ErrFiltered))
	askAs(r, "", "vpn.corp.example.")
	// Output:
	// true
	// NOERROR 10.0.0.1
}
