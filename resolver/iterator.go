package resolver

import (
	"net/netip"
	"sync/atomic"
)

// iterator finds answers: it follows aliases, walks from zone cut to zone cut, and asks the
// servers of each zone (Unbound: iterator and validator).
type iterator struct {
	*env
	routes   *router
	servers  *lister
	upstream *upstreamClient

	plainRetries    *plainRetries
	probeWaitSlots  *concurrencyLimits[netip.AddrPort] // questions that wait for the probe of one server
	secondLevel     *secondLevel                       // nil: no SecondLevel
	localData       atomic.Pointer[localData]          // never nil
	loopProbes      loopProbes
	clientQuestions clientQuestions
	priming         atomic.Bool
	detachedLookups atomic.Int64 // those that have outlived their question
}

func newIterator(e *env, routes *router, servers *lister, upstream *upstreamClient, local *localData) *iterator {
	limits := &e.settings.Limits
	r := &iterator{
		env: e, routes: routes, servers: servers, upstream: upstream,
		plainRetries:   newPlainRetries(),
		probeWaitSlots: newConcurrencyLimits[netip.AddrPort](quarter(limits.Questions)),
	}
	r.localData.Store(local)
	return r
}
