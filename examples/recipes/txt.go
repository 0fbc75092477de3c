package recipes

import (
	"context"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// Multiaddr is a resolver for go-multiaddr-dns of libp2p: its BasicResolver, and since its
// version 0.6 its TXTWithTTLResolver, by which a node knows when to look at a /dnsaddr again.
type Multiaddr struct{ *resolver.Resolver }

// LookupTXTWithTTL returns the TXT records of a name, the strings of each joined, and how long
// they may be kept.
func (m Multiaddr) LookupTXTWithTTL(ctx context.Context, name string) ([]string, time.Duration, error) {
	found, err := resolver.Lookup[*dns.TXT](ctx, m.Resolver, name)
	if err != nil || len(found.Records) == 0 {
		// The same question once more, out of the cache: the error is one of package net.
		texts, err := m.LookupTXT(ctx, name)
		return texts, 0, err
	}
	texts := make([]string, len(found.Records))
	for i, record := range found.Records {
		texts[i] = strings.Join(record.Txt, "")
	}
	return texts, found.TTL, nil
}
