package resolver

import (
	"net/netip"

	"github.com/iterdns/iterdns/internal/policy"
)

// PublicUnicast is the default of Options.AllowServer: it reports whether a public name
// server may have the address a. It is false for private, loopback, multicast and
// documentation addresses and their like, addresses with a zone, and the zero Addr.
// AllowServer functions that allow some more addresses can call it for the others.
func PublicUnicast(a netip.Addr) bool { return policy.PublicUnicast(a) }
