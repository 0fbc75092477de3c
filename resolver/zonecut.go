package resolver

import (
	"net/netip"
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

// closestCut returns the deepest zone cut known on the way to the zone that has the answer
// to q (RFC 1034 §5.3.3 step 2), or the root hints. In a route there are no zone cuts above
// its servers, and none below when these are recursive.
func (r *Resolver) closestCut(now time.Time, st *queryState, v *view, q question) *zoneCut {
	if v.forwards() {
		return &zoneCut{Delegation: v.route.cut, source: v.source}
	}
	from := searchedFrom(q)
	if st.startAbove != "" {
		from = st.startAbove.Parent()
	}
	cut, ok := v.cuts.GetCut(now, from)
	for ok && st.prefetching && endsSoon(now, cut) && !cut.Zone.IsRoot() {
		cut, ok = v.cuts.GetCut(now, cut.Zone.Parent())
	}
	if ok && !(st.prefetching && endsSoon(now, cut)) {
		return &zoneCut{Delegation: cut.Delegation, source: v.source, expires: cut.Expires, apexNS: cut.Own}
	}
	if v.route != nil {
		return &zoneCut{Delegation: v.route.cut, source: v.source}
	}
	r.prime()
	return &zoneCut{Delegation: r.config.RootHints, source: v.source, hints: true}
}

// searchedFrom returns the name whose zone has the answer. DS records are on the parent's
// side of a zone cut (RFC 4035 §3.1.4.1).
func searchedFrom(q question) dnsname.Name {
	if q.rrtype == dns.TypeDS {
		return q.name.Parent()
	}
	return q.name
}
