package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
)

// place is where a TLS server is, and what DNS says of its certificates.
type place struct {
	port  uint16
	base  string      // the TLSA base domain (RFC 7671 §7), which the server is asked for
	names []string    // that its certificate may have, where names count
	tlsa  []*dns.TLSA // of use, Secure; none: there is no DANE
	why   string      // there is no DANE
}

// find looks for the TLSA records of a host: at the end of its alias chain, if all of
// that is Secure, else and if there are none at the host itself (RFC 7671 §7). It fails
// when they cannot be had or are bogus.
func find(ctx context.Context, r *resolver.Resolver, host, port string) (*place, error) {
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, err
	}
	host = dns.Fqdn(host)
	p := &place{port: uint16(number), base: host, names: []string{host}}
	address, err := resolver.Lookup[*dns.A](ctx, r, host)
	if err != nil {
		return nil, err
	}
	bases := []string{host}
	if end := address.Canonical; end != host && address.Status == dnssec.Secure {
		bases = []string{end, host}
	}
	for _, base := range bases {
		found, err := p.look(ctx, r, base)
		if err != nil {
			return nil, err
		}
		if found {
			break
		}
	}
	return p, nil
}

// look asks for the records at one base domain, and takes them if there are any of use.
func (p *place) look(ctx context.Context, r *resolver.Resolver, base string) (bool, error) {
	name := fmt.Sprintf("_%d._tcp.%s", p.port, base)
	records, err := resolver.Lookup[*dns.TLSA](ctx, r, name)
	if err != nil {
		return false, err // bogus too: nothing may be sent then (RFC 6698 §4.1)
	}
	usable := strongest(slices.DeleteFunc(records.Records, func(t *dns.TLSA) bool { return !isUsable(t) }))
	switch records.Status {
	case dnssec.Secure:
	case dnssec.Insecure:
		p.why = "the zone of " + name + " is not signed"
		return false, nil
	case dnssec.Indeterminate, dnssec.Bogus:
		return false, fmt.Errorf("%s is %v", name, records.Status)
	}
	if len(usable) == 0 {
		p.why = "there are no usable TLSA records at " + name
		return false, nil
	}
	p.base, p.tlsa, p.why = base, usable, ""
	if !slices.Contains(p.names, base) {
		p.names = append([]string{base}, p.names...)
	}
	return true, nil
}

// isUsable reports whether a record can match anything (RFC 6698 §4.1): others are as
// good as not there.
func isUsable(t *dns.TLSA) bool {
	if t.Usage > 3 || t.Selector > 1 {
		return false
	}
	switch t.MatchingType {
	case 0:
		return len(t.Certificate) > 0
	case 1:
		return len(t.Certificate) == 2*32
	case 2:
		return len(t.Certificate) == 2*64
	}
	return false
}

// strongest leaves out records with a weaker digest than others of their usage and
// selector have: the stronger one decides where both are published (RFC 7671 §9).
func strongest(all []*dns.TLSA) []*dns.TLSA {
	best := make(map[[2]uint8]uint8)
	for _, t := range all {
		of := [2]uint8{t.Usage, t.Selector}
		best[of] = max(best[of], t.MatchingType)
	}
	return slices.DeleteFunc(all, func(t *dns.TLSA) bool {
		return t.MatchingType != 0 && t.MatchingType < best[[2]uint8{t.Usage, t.Selector}]
	})
}

// describe returns a record with the words of RFC 7218.
func describe(t *dns.TLSA) string {
	return fmt.Sprintf("%s(%d) %s(%d) %s(%d)",
		[]string{"PKIX-TA", "PKIX-EE", "DANE-TA", "DANE-EE"}[t.Usage], t.Usage,
		[]string{"Cert", "SPKI"}[t.Selector], t.Selector,
		[]string{"Full", "SHA2-256", "SHA2-512"}[t.MatchingType], t.MatchingType)
}

// hostText returns a name as certificates have it.
func hostText(name string) string { return strings.TrimSuffix(name, ".") }
