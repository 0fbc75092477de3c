package resolver

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/policy"
)

// IsPrivate reports whether an address is one that no name of the public DNS should have,
// because it means something else in every network: unspecified, loopback, private, shared,
// link-local, unique local, the IPv6 addresses that embed such an IPv4 address (mapped,
// IPv4-compatible, NAT64 of the well-known prefix, 6to4, Teredo), and all addresses of a
// local NAT64.
//
// It is false for documentation and multicast addresses, and for those behind a NAT64
// prefix of the network's own, which cannot be told from others.
func IsPrivate(a netip.Addr) bool { return policy.IsPrivate(a) }

// addressFilter returns the filter of the options; nil when it would allow all addresses.
func (o *Options) addressFilter() (*policy.AddressFilter, error) {
	f := &policy.AddressFilter{PublicOnly: o.RebindingProtection, Allow: o.AllowAddress}
	for _, domain := range o.PrivateDomains {
		n, err := dnsname.Parse(domain)
		if err != nil {
			return nil, fmt.Errorf("resolver: options: private domain %q: %w", domain, err)
		}
		f.Exempt = append(f.Exempt, n)
	}
	if !f.PublicOnly && f.Allow == nil {
		return nil, nil
	}
	return f, nil
}

// filtered returns the answer without the records that have addresses which are not
// allowed; errFiltered when none is left. f itself, which the cache and others who wait for
// the answer keep, stays as it was. The name asked for decides, not the owner of the
// records: with DNS rebinding the attacker has a page under the name asked for, and an
// alias there that leads to records of somebody else is the attacker's too.
func (r *iterator) filtered(f *answer) (*answer, error) {
	allowed := r.settings.Filter.Judge(f.q.name)
	if allowed == nil || f.local {
		return f, nil
	}
	sets, removed := policy.Filter(f.sets, allowed)
	if removed == 0 {
		return f, nil
	}
	if len(sets) == 0 {
		return nil, errFiltered
	}
	less := *f
	less.sets, less.status = sets, f.status.Worst(dnssec.Insecure) // what is left is not what was signed
	less.extended = append(slices.Clip(f.extended), extendedError{
		dns.ExtendedErrorCodeBlocked, fmt.Sprintf("%d records left out: address not allowed", removed),
	})
	return &less, nil
}
