package resolver

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// step is one search for a name within the work on a client's question: the
// question's own, or one for the address of a name server.
type step struct {
	r      *Resolver
	budget *budget
	events events
	flight *flight // that this work is part of; nil: none yet
	trust  cache.Trust
	proof  *proof // nil: not validated
	// startAbove makes walks begin above that zone cut; "": at the deepest one known.
	startAbove  dnsname.Name
	avoid       map[netip.AddrPort]bool // servers whose data turned out bogus: last resort
	secondLevel secondLevelUse          // of what is learnt, through the second level
	secondReads *secondReads            // what the second level gave; nil: not kept

	q question
	// asked is what a client asked by Exchange or ServeDNS; zero if it was by another way.
	asked question
	// retryFailure is set when the question is known to have failed by another caller's
	// limits, which is no reason not to try.
	retryFailure bool
	renewing     bool // the cache has an answer to q, which is about to expire
	minimised    bool // what is asked at the moment is less than q
	aside        bool // it belongs to no question: the root's own servers are looked for
	// signatures is set when what is searched is of no use without signatures.
	signatures bool
	// resort is set when a zone's servers were silent to less than q: one is asked for it, once.
	onlyPlainRetry bool
	walk           int
	parent         int
	depth          int
	sent           *atomic.Bool  // something was sent on this task's behalf
	maxQueued      time.Duration // how long it may wait to begin; 0: as long as it may take
	// leaving is called before the flight is left that has not ended, with what gives back
	// the question's place, and reports whether it takes that over; may be nil.
	leaving func(fl *flight, place func()) bool

	// How the client's question was answered, for Stats.
	fromCache, stale bool
}

// newStep begins the work on a question that may take asking servers.
func (r *Resolver) newStep(q question, trust cache.Trust) *step {
	st := &step{r: r, trust: trust, q: q, events: r.unwatched}
	st.begin()
	return st
}

// begin gives the task its budget, if it has none yet: an answer out of the cache takes
// none.
func (st *step) begin() {
	if st.budget != nil {
		return
	}
	st.budget, st.sent = newBudget(&st.r.config.limits, &st.r.counts.refusals), new(atomic.Bool)
	st.walk = int(st.budget.walks.Add(1))
}

// in gives the same task as part of a flight.
func (st *step) in(fl *flight) *step {
	inside := *st
	inside.flight, inside.events = fl, fl.events
	return &inside
}

// isSide reports whether this is a look-up beside a question: of a name server's address, not
// of the keys that the answer is judged by.
func (st *step) isSide() bool { return (st.depth > 0 || st.aside) && !st.signatures }

// isShed reports whether this work has ended since others needed its place more.
func (st *step) isShed() bool { return st.flight != nil && st.flight.shed.Load() }

// below gives a task that searches what t needs to know first: the addresses of a
// name server. They are not validated.
func (st *step) below(q question) *step {
	return &step{
		r: st.r, budget: st.budget, events: st.events, flight: st.flight, trust: st.r.trustOfServers(), q: q,
		walk: int(st.budget.walks.Add(1)), parent: st.walk, depth: st.depth + 1, sent: new(atomic.Bool),
	}
}

// on gives the same task searching another name, after an alias.
func (st *step) on(q question) *step {
	next := *st
	next.q = q
	return &next
}

// asking gives the same task putting its question, or less of it, to a zone's servers.
func (st *step) asking(minimised bool) *step {
	now := *st
	now.minimised = minimised
	return &now
}
