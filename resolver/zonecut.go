package resolver

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// zoneCut is where a walk has come to: a delegation, and until when its parent's lease
// lasts.
type zoneCut struct {
	*glue.Delegation
	source  *source   // where the delegation was found
	expires time.Time // zero: the hints and the routes, which do not age
	hints   bool
	signed  bool           // its referral had a DS
	apexNS  []dnsname.Name // servers that only the zone itself names; nil: not known yet
}

// isRoute reports whether this is where a route begins.
func (c *zoneCut) isRoute() bool { return c.source.route != nil && c.Delegation == c.source.route.cut }

// isConfigured reports whether the servers are those of the options: root hints or a route.
func (c *zoneCut) isConfigured() bool { return c.hints || c.isRoute() }

// guardOf returns the loop guard of a route's server whose address was looked up; nil for
// others.
func (c *zoneCut) guardOf(addr netip.AddrPort) *loopGuard {
	if !c.isRoute() {
		return nil
	}
	return c.source.route.guards.of(addr)
}

// searchedFrom returns the name whose zone has the answer. DS records are on the parent's
// side of a zone cut (RFC 4035 §3.1.4.1).
func searchedFrom(q question) dnsname.Name {
	if q.rrtype == dns.TypeDS {
		return q.name.Parent()
	}
	return q.name
}

// apexServer reports whether only the zone itself names a server.
func (c *zoneCut) apexServer(name dnsname.Name) bool { return slices.Contains(c.apexNS, name) }
