package recipes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// The bodies of these functions are the programs of MIGRATING.md; TestREADME compares them, and
// the tests below run them.

func fromNet(ctx context.Context, r *resolver.Resolver) error {
	addrs, err := r.LookupNetIP(ctx, "ip", "www.example.com")
	var notFound *resolver.NotFoundError
	switch {
	case errors.As(err, &notFound):
		fmt.Println("not there:", dns.RcodeToString[notFound.Rcode], notFound.Status)
	case err != nil:
		return err // nobody knows: try again later
	}
	fmt.Println(addrs)
	client := &http.Client{Transport: &http.Transport{DialContext: r.DialContext}}
	client.CloseIdleConnections()
	return nil
}

func fromMiekg(ctx context.Context, r *resolver.Resolver) error {
	query := new(dns.Msg).SetQuestion("www.example.com.", dns.TypeA)
	reply, err := r.Exchange(ctx, query) // was: client.ExchangeContext(ctx, query, "192.0.2.53:53")
	if err != nil {
		return err
	}
	fmt.Println(dns.RcodeToString[reply.Rcode], len(reply.Answer))

	records, err := resolver.Lookup[*dns.A](ctx, r, "www.example.com.")
	if err != nil {
		return err
	}
	for _, a := range records.Records {
		fmt.Println(a.A, records.TTL, records.Status)
	}
	return nil
}

func fromUnbound(ctx context.Context, r *resolver.Resolver) error {
	result, err := r.Resolve(ctx, "www.example.com", dns.TypeA)
	var failure *resolver.Error
	switch {
	case errors.As(err, &failure):
		fmt.Println("bogus or no answer:", failure.Extended) // WhyBogus
		return err
	case err != nil:
		return err
	}
	haveData := result.Rcode == dns.RcodeSuccess && len(result.Answer) > 0
	nxdomain := result.Rcode == dns.RcodeNameError
	secure := result.Status == dnssec.Secure
	fmt.Println(haveData, nxdomain, secure, result.Canonical())
	return nil
}

func fromMockDNS(t *testing.T) {
	r := resolvertest.New(t, `
-- zone example.com. --
@     MX  10 mail
mail  A   192.0.2.25
`).Resolver(t)
	hosts, err := r.LookupMX(t.Context(), "example.com")
	if err != nil || len(hosts) != 1 || hosts[0].Host != "mail.example.com." {
		t.Errorf("got %v, %v", hosts, err)
	}
	// A program that takes a *net.Resolver gets one that asks the zones above.
	addrs, err := r.NetResolver().LookupNetIP(t.Context(), "ip4", "mail.example.com")
	if err != nil || len(addrs) != 1 {
		t.Errorf("got %v, %v", addrs, err)
	}
}

func TestMigrating(t *testing.T) {
	r := resolvertest.New(t, "-- zone example.com. signed --\nwww  A  192.0.2.80\n").Resolver(t)
	for name, program := range map[string]func(context.Context, *resolver.Resolver) error{
		"net": fromNet, "miekg": fromMiekg, "unbound": fromUnbound,
	} {
		if err := program(t.Context(), r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	fromMockDNS(t)
}
