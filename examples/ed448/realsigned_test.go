package ed448

import (
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/realsigned"
)

// Zones that BIND, Knot DNS and ldns have signed with Ed448: we say of them what we say of
// those with other algorithms, and what Unbound and Knot Resolver say.
func TestRealSigned(t *testing.T) {
	realsigned.Test(t, realsigned.Options{Algorithms: []uint8{dns.ED448}, Added: Algorithms()})
}
