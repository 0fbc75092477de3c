package resolver

import (
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// zoneCut is where a walk stands: a delegation, and until when its parent vouches
// for it.
type zoneCut struct {
	*glue.Delegation
	source  *source   // whose delegation it is
	expires time.Time // zero: the hints and the routes, which do not age
	hints   bool
	signed  bool           // its referral had a DS
	apexNS  []dnsname.Name // servers that only the zone itself names; nil: nobody knows
}

// isRoute reports whether this is where a route begins.
func (c *zoneCut) isRoute() bool { return c.source.route != nil && c.Delegation == c.source.route.cut }

// isConfigured reports whether the caller of New has given the servers.
func (c *zoneCut) isConfigured() bool { return c.hints || c.isRoute() }

// guardOf gives the guard of a route's server whose address was looked up; nil for others.
func (c *zoneCut) guardOf(addr netip.AddrPort) *loopGuard {
	if !c.isRoute() {
		return nil
	}
	return c.source.route.guards.of(addr)
}

// closestCut gives the deepest zone cut known on the way to what q asks for (RFC 1034
// §5.3.3 step 2), or the root hints. In a route there is nothing above its servers, and
// where these are recursive, nothing below.
func (r *Resolver) closestCut(now time.Time, st *step, v *view, q question) *zoneCut {
	if v.forwards() {
		return &zoneCut{Delegation: v.route.cut, source: v.source}
	}
	from := searchedFrom(q)
	if st.startAbove != "" {
		from = st.startAbove.Parent()
	}
	cut, ok := v.cuts.GetCut(now, from)
	for ok && st.renewing && endsSoon(now, cut) && !cut.Zone.IsRoot() {
		cut, ok = v.cuts.GetCut(now, cut.Zone.Parent())
	}
	if ok && !(st.renewing && endsSoon(now, cut)) {
		return &zoneCut{Delegation: cut.Delegation, source: v.source, expires: cut.Expires, apexNS: cut.Own}
	}
	if v.route != nil {
		return &zoneCut{Delegation: v.route.cut, source: v.source}
	}
	r.prime()
	return &zoneCut{Delegation: r.config.RootHints, source: v.source, hints: true}
}

// searchedFrom is the name whose zone has the answer. DS records are on the parent's
// side of a zone cut (RFC 4035 §3.1.4.1).
func searchedFrom(q question) dnsname.Name {
	if q.rrtype == dns.TypeDS {
		return q.name.Parent()
	}
	return q.name
}
