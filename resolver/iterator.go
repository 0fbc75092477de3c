package resolver

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/policy"
	"github.com/iterdns/iterdns/internal/scrub"
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

func newIterator(e *env, routes *router, servers *lister, upstream *upstreamClient, local policy.LocalZones) *iterator {
	limits := &e.settings.Limits
	r := &iterator{
		env: e, routes: routes, servers: servers, upstream: upstream,
		plainRetries:   newPlainRetries(),
		probeWaitSlots: newConcurrencyLimits[netip.AddrPort](quarter(limits.Questions)),
	}
	r.localData.Store(&localData{zones: local})
	return r
}

// queryState is the state of one search for a name: the client's own question, or one for
// the address of a name server (Unbound: module_qstate).
type queryState struct {
	r          *iterator
	budget     *budget
	events     events
	flight     *flight // that the search is part of; nil: none yet
	trust      cache.Trust
	validation *validation // nil: not validated
	// startAbove makes walks begin above that zone cut; "": at the deepest one known.
	startAbove   dnsname.Name
	avoidServers map[netip.AddrPort]bool // servers whose data turned out bogus, asked only if there are no others
	secondLevel  secondLevelUse          // how the second level is used
	secondReads  *secondReads            // the replies read from the second level; nil: not kept

	q question
	// clientQuestion is the client's question if it came by Exchange or ServeDNS; else zero.
	clientQuestion question
	// retryFailure is set when the question is known to have failed by another caller's
	// limits, so that a cached failure does not count.
	retryFailure bool
	prefetching  bool // this is a prefetch: the cache has an answer to q that is about to expire
	minimised    bool // the query under way asks for less than q
	priming      bool // it belongs to no client question, but to priming
	// needSignatures is set when an answer without signatures is of no use.
	needSignatures bool
	// onlyPlainRetry is set when a zone's servers were silent to a minimised query: one of
	// them is asked the full question, once.
	onlyPlainRetry bool
	walkID         int
	parentWalk     int
	depth          int
	querySent      *atomic.Bool  // a query was sent for this search
	maxQueued      time.Duration // how long it may wait for a slot; 0: as long as it may run
	// leaving is called before a flight is left that has not ended, with the function that
	// releases the question's slot, and reports whether it will call that; may be nil.
	leaving func(fl *flight, release func()) bool

	// How the client's question was answered, for Stats.
	fromCache, stale bool
}

// newQueryState makes the state of a question that may need servers to be asked.
func (r *iterator) newQueryState(q question, trust cache.Trust) *queryState {
	st := &queryState{r: r, trust: trust, q: q, events: r.unwatched}
	st.begin()
	return st
}

// newClientQuestion makes the state of a question of a client. It has no budget yet.
func (r *iterator) newClientQuestion(q question, trust cache.Trust) *queryState {
	st := &queryState{r: r, q: q, trust: trust, events: r.unwatched}
	if trust == cache.Checked && r.secondLevel != nil {
		st.secondLevel, st.secondReads = secondLevelReadAndWritten, new(secondReads)
	}
	return st
}

// begin makes the budget, if there is none yet: an answer from the cache needs none.
func (st *queryState) begin() {
	if st.budget != nil {
		return
	}
	st.budget, st.querySent = newBudget(&st.r.settings.Limits, &st.r.counts.refusals), new(atomic.Bool)
	st.walkID = int(st.budget.walks.Add(1))
}

// inFlight returns the same state as part of a flight.
func (st *queryState) inFlight(fl *flight) *queryState {
	inside := *st
	inside.flight, inside.events = fl, fl.events
	return &inside
}

// isSideLookup reports whether this is a look-up of a name server's address, or priming, rather
// than of a client's question or of the keys that validate its answer.
func (st *queryState) isSideLookup() bool { return (st.depth > 0 || st.priming) && !st.needSignatures }

// request returns a question to the servers of a zone as part of this search.
func (st *queryState) request(cut *zoneCut, q question) request {
	return request{
		cut: cut, q: q, minimised: st.minimised, sideLookup: st.isSideLookup(), needSignatures: st.needSignatures,
		budget: st.budget, events: st.events, walk: st.walkRef(), querySent: st.querySent, flight: st.flight,
	}
}

// forServerAddress returns the state of a search for the addresses of a name server that this one
// needs. They are not validated.
func (st *queryState) forServerAddress(q question) *queryState {
	return &queryState{
		r: st.r, budget: st.budget, events: st.events, flight: st.flight, trust: st.r.trustOfServers(), q: q,
		walkID: int(st.budget.walks.Add(1)), parentWalk: st.walkID, depth: st.depth + 1, querySent: new(atomic.Bool),
	}
}

// forName returns the same state for another name, after an alias.
func (st *queryState) forName(q question) *queryState {
	next := *st
	next.q = q
	return &next
}

// withMinimised returns the same state for a query to a zone's servers, which may be minimised.
func (st *queryState) withMinimised(minimised bool) *queryState {
	now := *st
	now.minimised = minimised
	return &now
}

// walkRef returns which walk the events of this step belong to.
func (st *queryState) walkRef() walkRef {
	return walkRef{Walk: st.walkID, Parent: st.parentWalk, Depth: st.depth, Question: st.q}
}

// tellCache tells what the cache knew of one name. Nil is a miss.
func (st *queryState) tellCache(f *answer) {
	if f == nil {
		st.events.Cache(st.walkRef(), cacheEvent{})
		return
	}
	st.events.Cache(st.walkRef(), cacheEvent{
		Hit: true, Negative: f.kind == kindNoData || f.kind == kindNameError, Alias: f.kind == kindAlias,
		Status: f.status, TTL: f.timeToLive(),
	})
}

// tellFound tells that the cache had the whole answer.
func (st *queryState) tellFound(f *answer) {
	st.events.Cache(st.walkRef(), cacheEvent{
		Hit: true, Negative: len(f.sets) == 0, Alias: len(f.aliases) > 0, Stale: f.stale,
		Status: f.status, TTL: f.timeToLive(),
	})
}

// tellAliases tells how the name being searched changes.
func (st *queryState) tellAliases(aliases []scrub.Alias) {
	for _, a := range aliases {
		st.events.Alias(st.walkRef(), a.From, a.To, a.IsDNAME())
	}
}
