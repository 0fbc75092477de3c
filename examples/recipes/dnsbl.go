package recipes

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// A Listing is what a block list says about an address.
type Listing struct {
	// Codes are the addresses of 127.0.0.0/8 that the list answers with, which say why. None: the
	// address is not on the list.
	Codes []netip.Addr
	// Reasons are the TXT records, mostly the address of a page. They may be missing.
	Reasons []string
}

// Listed asks a block list (RFC 5782), such as "bl.example.net", about an address. An error means
// that the list has said nothing of use, and is not a reason to refuse mail: that it does not
// answer, refuses to (127.255.255.0/24, as many lists do to resolvers that ask for others), or has
// been given up and answers everybody with an address of another network.
//
// Lists look at the address that the question comes from. An own resolver, which asks the list's
// servers itself, is what they want; a public one that many share is refused. With
// Options.RebindingProtection the zone of the list has to be among Options.PrivateDomains, since
// its answers are loopback addresses.
func Listed(ctx context.Context, r *resolver.Resolver, list string, addr netip.Addr) (Listing, error) {
	name := reversed(addr.Unmap()) + dns.Fqdn(list)
	found, err := resolver.Lookup[*dns.A](ctx, r, name)
	if err != nil || len(found.Records) == 0 {
		return Listing{}, err
	}
	var l Listing
	for _, record := range found.Records {
		code, _ := netip.AddrFromSlice(record.A.To4())
		switch {
		case !netip.MustParsePrefix("127.0.0.0/8").Contains(code):
			return Listing{}, fmt.Errorf("%s answers with %v, as no block list does", list, code)
		case netip.MustParsePrefix("127.255.255.0/24").Contains(code):
			return Listing{}, fmt.Errorf("%s does not answer us: %v", list, code)
		}
		l.Codes = append(l.Codes, code)
	}
	texts, err := resolver.Lookup[*dns.TXT](ctx, r, name)
	if err != nil {
		return l, nil // that it is listed is known
	}
	for _, record := range texts.Records {
		l.Reasons = append(l.Reasons, strings.Join(record.Txt, ""))
	}
	return l, nil
}

// reversed returns the labels of an address, last first, each with its dot (RFC 5782 §2.1, §2.4).
func reversed(addr netip.Addr) string {
	var labels []string
	if addr.Is4() {
		labels = strings.Split(addr.String(), ".")
	} else {
		bytes := addr.As16()
		labels = strings.Split(hex.EncodeToString(bytes[:]), "")
	}
	slices.Reverse(labels)
	return strings.Join(labels, ".") + "."
}
