// Mocktest prints where mail for a domain goes. It is here for its test, which gives
// it an Internet of its own.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

func main() {
	log.SetFlags(0)
	log.SetOutput(resolver.PrintableWriter(os.Stderr))
	if len(os.Args) != 2 {
		log.Fatal("usage: mocktest DOMAIN")
	}
	r, err := resolver.New(resolver.Options{})
	if err != nil {
		log.Fatal(err)
	}
	hosts, err := mailHosts(context.Background(), r, os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	for _, host := range hosts {
		fmt.Println(resolver.Printable(host))
	}
}

var (
	errNoDomain = errors.New("there is no such domain")
	errNoMail   = errors.New("the domain takes no mail")
)

// mailHosts returns the hosts to try for mail to a domain, best first (RFC 5321 §5.1).
func mailHosts(ctx context.Context, r *resolver.Resolver, domain string) ([]string, error) {
	result, err := r.Resolve(ctx, domain, dns.TypeMX)
	switch {
	case err != nil:
		return nil, err // nobody knows: try again later, do not bounce
	case result.Rcode == dns.RcodeNameError:
		return nil, errNoDomain
	}
	var records []*dns.MX
	for _, rr := range result.Answer {
		if mx, ok := rr.(*dns.MX); ok {
			records = append(records, mx)
		}
	}
	slices.SortStableFunc(records, func(a, b *dns.MX) int { return cmp.Compare(a.Preference, b.Preference) })
	var hosts []string
	for _, mx := range records {
		hosts = append(hosts, mx.Mx)
	}
	switch {
	case len(hosts) == 0:
		return []string{dns.Fqdn(domain)}, nil // without MX the domain is its own host
	case hosts[0] == ".":
		return nil, errNoMail // null MX, RFC 7505
	}
	return hosts, nil
}
