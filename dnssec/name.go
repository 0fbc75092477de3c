package dnssec

import (
	"fmt"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Name is a domain name in the one form that names are compared in: absolute, in lower
// case, in uncompressed wire format. Two names are the same if they are equal, so a Name
// can be the key of a map. The zero value is no name.
//
// It has the methods String, which returns the name as zone files have it, with the
// trailing dot; IsRoot, IsWildcard, IsBelow and IsAtOrBelow; Label, Labels, Parent and
// Ancestor; Child, Wildcard and Replace. The types of that name in package glue and here
// are one.
type Name = dnsname.Name

// ParseName reads a name as zone files have it, absolute with or without the trailing dot.
func ParseName(s string) (Name, error) {
	n, err := dnsname.Parse(s)
	if err != nil {
		return "", fmt.Errorf("dnssec: name %q: %w", s, err)
	}
	return n, nil
}
