package routes

import (
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/infra"
)

// View is a part of the name space whose data is kept apart from all other. Data learnt
// through a route must never answer a question that is iterated, nor the other way round
// (MaginotDNS), and what a negative trust anchor let pass must not be found without it.
// Which view a name belongs to depends on the name and the time only, so that changing
// routes or anchors leaves the cached data of other names as it is.
type View struct {
	*Source
	ID        uint32 // numbers the views
	Digest    [32]byte
	Cache     *cache.View
	Validator *dnssec.Validator // nil: nothing is validated
	// NegativeAnchor is the negative trust anchor that the names of the view are below; "": none.
	NegativeAnchor dnsname.Name
	// belowNegativeAnchor has the views of the names below negative trust anchors.
	belowNegativeAnchor map[dnsname.Name]*View
}

// Uncounted returns the same view, with a cache that does not count what is read.
func (v *View) Uncounted() *View {
	quiet := *v
	quiet.Cache = v.Cache.Uncounted()
	return &quiet
}

// Source is a set of servers to ask: the name servers from the root down, or those of a
// route.
type Source struct {
	ID    uint32
	Route *Route       // nil: from the root down
	Cuts  *cache.View  // where delegations and their glue are kept
	Infra *infra.Table // what is remembered about the servers
}

// IsFallback reports whether it is the fallback that is asked.
func (v *View) IsFallback(rt *Table) bool { return rt.Fallback != nil && v.Source.Route == rt.Fallback }

// Forwards reports whether recursive servers are asked.
func (s *Source) Forwards() bool { return s.Route != nil && s.Route.Kind == Forward }

// ViewOf returns the view that the answer to q belongs to.
func (r *Router) ViewOf(now time.Time, q answer.Question) *View {
	return r.CurrentRoutes().ViewOf(now, q)
}

// ViewOf returns the view of q: that of the longest route, and within it that of the longest
// negative trust anchor in force. DS records belong to the zone above.
func (rt *Table) ViewOf(now time.Time, q answer.Question) *View {
	if len(rt.Routes) == 0 && len(rt.NegativeAnchors) == 0 {
		return rt.Iteration
	}
	name := SearchedFrom(q)
	v := rt.Iteration
	if rt := rt.Match(name); rt != nil && rt.Kind != Iterate {
		v = rt.View
	}
	if anchor := rt.negativeAnchorFor(now, name); anchor != "" {
		if below, ok := v.belowNegativeAnchor[anchor]; ok {
			return below
		}
	}
	return v
}

// ViewID returns the number of the view of q.
func (rt *Table) ViewID(now time.Time, q answer.Question) uint32 { return rt.ViewOf(now, q).ID }

// Match returns the longest route for name; nil if there is none.
func (rt *Table) Match(name dnsname.Name) *Route {
	if len(rt.Routes) == 0 {
		return nil
	}
	for {
		if rt, ok := rt.Routes[name]; ok {
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
func (rt *Table) negativeAnchorFor(now time.Time, name dnsname.Name) dnsname.Name {
	var longest dnsname.Name
	for _, a := range rt.NegativeAnchors {
		if name.IsAtOrBelow(a.Zone) && len(a.Zone) > len(longest) && (a.Until.IsZero() || now.Before(a.Until)) {
			longest = a.Zone
		}
	}
	return longest
}

// ValidatesRoot reports whether the root zone has a trust anchor, and no negative one makes it
// unsigned.
func (rt *Table) ValidatesRoot(now time.Time) bool {
	return rt.rootAnchored && rt.negativeAnchorFor(now, dnsname.Root) == ""
}
