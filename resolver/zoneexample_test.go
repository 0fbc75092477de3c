package resolver_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// Before an ACME client tells the CA that a dns-01 challenge is ready, all servers of the zone have to
// have its TXT record: of the zone that the challenge's name leads to by aliases, found anew.
func ExampleResolver_WaitFor() {
	in, err := resolvertest.NewInternet(`
-- zone example. at 198.51.100.1 --
-- zone shop.example. at 198.51.100.3 --
_acme-challenge   CNAME   shop.acme.example.
-- zone acme.example. at 198.51.100.5 198.51.100.6 --
shop              TXT     "gfj9Xq...Rg85nM"
`)
	if err != nil {
		log.Fatal(err)
	}
	defer in.Close()
	r, err := resolver.New(in.Options()) // on the real Internet: resolver.Options{}
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()

	zone, err := r.FindZone(ctx, "_acme-challenge.shop.example", resolver.FindZoneOptions{FollowAliases: true, WithoutCache: true})
	if err != nil {
		log.Fatal(err)
	}
	if zone.Problem != nil {
		log.Fatal(resolver.Explain(zone.Problem)) // the CA would fail for the same reason
	}
	fmt.Println("the record belongs at", zone.Name, "in zone", zone.Apex)

	answers, err := r.WaitFor(ctx, zone, zone.Name, dns.TypeTXT, func(a *resolver.ServerAnswers) bool {
		return a.Every(func(s *resolver.ServerAnswer) bool { return s.HasTXT("gfj9Xq...Rg85nM") })
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(answers.Servers), "servers have it, they agree:", answers.Agree())
	// Output:
	// the record belongs at shop.acme.example. in zone acme.example.
	// 2 servers have it, they agree: true
}
