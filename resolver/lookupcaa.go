package resolver

import (
	"context"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// LookupCAA returns the certification authorities that may issue certificates for a name:
// the CAA records at it or, when it has none, at the nearest name above it that has some
// (RFC 8659 §3). domain is absolute; the asterisk label of a wildcard is removed. When no
// name has any, the result is that of the topmost, without records: any authority may
// issue. An error at any name fails the whole, since the records might be there.
//
// Canonical says where the records are. Status is the worst of the names tried.
func (r *Resolver) LookupCAA(ctx context.Context, domain string) (Records[*dns.CAA], error) {
	name, err := dnsname.Parse(domain)
	if err != nil {
		return Lookup[*dns.CAA](ctx, r, domain)
	}
	if name.IsWildcard() {
		name = name.Parent()
	}
	status, ttl := dnssec.Secure, time.Duration(maxTTL)*time.Second
	for {
		records, err := Lookup[*dns.CAA](ctx, r, name.String())
		if err != nil {
			return Records[*dns.CAA]{}, err
		}
		status, ttl = status.Worst(records.Status), min(ttl, records.TTL)
		if name = name.Parent(); len(records.Records) > 0 || name.IsRoot() {
			records.Status, records.TTL = status, ttl
			return records, nil
		}
	}
}
