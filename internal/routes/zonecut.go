package routes

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// ZoneCut is where a walk has come to: a delegation, and until when its parent's lease
// lasts.
type ZoneCut struct {
	*glue.Delegation
	Source  *Source   // where the delegation was found
	Expires time.Time // zero: the hints and the routes, which do not age
	Hints   bool
	Signed  bool           // its referral had a DS
	ApexNS  []dnsname.Name // servers that only the zone itself names; nil: not known yet
}

// IsRoute reports whether this is where a route begins.
func (c *ZoneCut) IsRoute() bool { return c.Source.Route != nil && c.Delegation == c.Source.Route.Cut }

// IsConfigured reports whether the servers are those of the options: root hints or a route.
func (c *ZoneCut) IsConfigured() bool { return c.Hints || c.IsRoute() }

// GuardOf returns the loop guard of a route's server whose address was looked up; nil for
// others.
func (c *ZoneCut) GuardOf(addr netip.AddrPort) *LoopGuard {
	if !c.IsRoute() {
		return nil
	}
	return c.Source.Route.guards.of(addr)
}

// SearchedFrom returns the name whose zone has the answer. DS records are on the parent's
// side of a zone cut (RFC 4035 §3.1.4.1).
func SearchedFrom(q answer.Question) dnsname.Name {
	if q.Type == dns.TypeDS {
		return q.Name.Parent()
	}
	return q.Name
}

// ApexServer reports whether only the zone itself names a server.
func (c *ZoneCut) ApexServer(name dnsname.Name) bool { return slices.Contains(c.ApexNS, name) }
