package resolver

import (
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/infra"
)

// view is a part of the name space whose data is kept apart from all other. Data learnt
// through a route must never answer a question that is iterated, nor the other way round
// (MaginotDNS), and what a negative trust anchor let pass must not be found without it.
// Which view a name belongs to depends on the name and the time only, so that changing
// routes or anchors leaves the cached data of other names as it is.
type view struct {
	*source
	id        uint32 // numbers the views
	digest    [32]byte
	cache     *cache.View
	validator *dnssec.Validator // nil: nothing is validated
	// belowNegativeAnchor has the views of the names below negative trust anchors.
	belowNegativeAnchor map[dnsname.Name]*view
}

// uncounted returns the same view, with a cache that does not count what is read.
func (v *view) uncounted() *view {
	quiet := *v
	quiet.cache = v.cache.Uncounted()
	return &quiet
}

// source is a set of servers to ask: the name servers from the root down, or those of a
// route.
type source struct {
	id    uint32
	route *route       // nil: from the root down
	cuts  *cache.View  // where delegations and their glue are kept
	infra *infra.Table // what is remembered about the servers
}

// forwards reports whether recursive servers are asked.
func (s *source) forwards() bool { return s.route != nil && s.route.kind == routeForward }

// viewOf returns the view that the answer to q belongs to.
func (r *router) viewOf(now time.Time, q question) *view { return r.currentRoutes().viewOf(now, q) }

// viewOf returns the view of q: that of the longest route, and within it that of the longest
// negative trust anchor in force. DS records belong to the zone above.
func (rt *routeTable) viewOf(now time.Time, q question) *view {
	if len(rt.routes) == 0 && len(rt.negativeAnchors) == 0 {
		return rt.iteration
	}
	name := searchedFrom(q)
	v := rt.iteration
	if rt := rt.match(name); rt != nil && rt.kind != routeIterate {
		v = rt.view
	}
	if anchor := rt.negativeAnchorFor(now, name); anchor != "" {
		if below, ok := v.belowNegativeAnchor[anchor]; ok {
			return below
		}
	}
	return v
}

// ViewID returns the number of the view of q.
func (rt *routeTable) ViewID(now time.Time, q question) uint32 { return rt.viewOf(now, q).id }

// match returns the longest route for name; nil if there is none.
func (rt *routeTable) match(name dnsname.Name) *route {
	if len(rt.routes) == 0 {
		return nil
	}
	for {
		if rt, ok := rt.routes[name]; ok {
			return rt
		}
		if name.IsRoot() {
			return nil
		}
		name = name.Parent()
	}
}

// negativeAnchorFor returns the longest negative trust anchor in force at or above name, ""
// if there is none.
func (rt *routeTable) negativeAnchorFor(now time.Time, name dnsname.Name) dnsname.Name {
	var longest dnsname.Name
	for _, a := range rt.negativeAnchors {
		if name.IsAtOrBelow(a.Zone) && len(a.Zone) > len(longest) && (a.Until.IsZero() || now.Before(a.Until)) {
			longest = a.Zone
		}
	}
	return longest
}
