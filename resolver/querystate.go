package resolver

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// step is the state of one search for a name: the client's own question, or one for the
// address of a name server (Unbound: module_qstate).
type step struct {
	r      *Resolver
	budget *budget
	events events
	flight *flight // that the search is part of; nil: none yet
	trust  cache.Trust
	proof  *proof // nil: not validated
	// startAbove makes walks begin above that zone cut; "": at the deepest one known.
	startAbove  dnsname.Name
	avoid       map[netip.AddrPort]bool // servers whose data turned out bogus, asked only if there are no others
	secondLevel secondLevelUse          // how the second level is used
	secondReads *secondReads            // the replies read from the second level; nil: not kept

	q question
	// asked is the client's question if it came by Exchange or ServeDNS; else zero.
	asked question
	// retryFailure is set when the question is known to have failed by another caller's
	// limits, so that a cached failure does not count.
	retryFailure bool
	renewing     bool // this is a prefetch: the cache has an answer to q that is about to expire
	minimised    bool // the query under way asks for less than q
	aside        bool // it belongs to no client question, but to priming
	// signatures is set when an answer without signatures is of no use.
	signatures bool
	// onlyPlainRetry is set when a zone's servers were silent to a minimised query: one of
	// them is asked the full question, once.
	onlyPlainRetry bool
	walk           int
	parent         int
	depth          int
	sent           *atomic.Bool  // a query was sent for this search
	maxQueued      time.Duration // how long it may wait for a slot; 0: as long as it may run
	// leaving is called before a flight is left that has not ended, with the function that
	// releases the question's slot, and reports whether it will call that; may be nil.
	leaving func(fl *flight, place func()) bool

	// How the client's question was answered, for Stats.
	fromCache, stale bool
}

// newStep makes the state of a question that may need servers to be asked.
func (r *Resolver) newStep(q question, trust cache.Trust) *step {
	st := &step{r: r, trust: trust, q: q, events: r.unwatched}
	st.begin()
	return st
}

// begin makes the budget, if there is none yet: an answer from the cache needs none.
func (st *step) begin() {
	if st.budget != nil {
		return
	}
	st.budget, st.sent = newBudget(&st.r.config.limits, &st.r.counts.refusals), new(atomic.Bool)
	st.walk = int(st.budget.walks.Add(1))
}

// in returns the same state as part of a flight.
func (st *step) in(fl *flight) *step {
	inside := *st
	inside.flight, inside.events = fl, fl.events
	return &inside
}

// isSide reports whether this is a look-up of a name server's address, or priming, rather
// than of a client's question or of the keys that validate its answer.
func (st *step) isSide() bool { return (st.depth > 0 || st.aside) && !st.signatures }

// isShed reports whether this work has ended because its slot went to another question.
func (st *step) isShed() bool { return st.flight != nil && st.flight.shed.Load() }

// below returns the state of a search for the addresses of a name server that this one
// needs. They are not validated.
func (st *step) below(q question) *step {
	return &step{
		r: st.r, budget: st.budget, events: st.events, flight: st.flight, trust: st.r.trustOfServers(), q: q,
		walk: int(st.budget.walks.Add(1)), parent: st.walk, depth: st.depth + 1, sent: new(atomic.Bool),
	}
}

// on returns the same state for another name, after an alias.
func (st *step) on(q question) *step {
	next := *st
	next.q = q
	return &next
}

// asking returns the same state for a query to a zone's servers, which may be minimised.
func (st *step) asking(minimised bool) *step {
	now := *st
	now.minimised = minimised
	return &now
}
