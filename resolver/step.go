package resolver

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/rescue"
)

// task is one search for a name within the work on a client's question: the
// question's own, or one for the address of a name server.
type task struct {
	r      *Resolver
	budget *budget
	heard  *audience // nil: nobody
	flight *flight   // that this work is part of; nil: none yet
	trust  cache.Trust
	proof  *proof // nil: not validated
	// startAbove makes walks begin above that zone cut; "": at the deepest one known.
	startAbove dnsname.Name
	avoid      map[netip.AddrPort]bool // servers whose data turned out bogus: last resort
	sharing    sharing                 // of what is learnt, through the second level
	recalls    *recalls                // what the second level gave; nil: not kept

	q question
	// asked is what a client asked by Exchange or ServeDNS; zero if it was by another way.
	asked question
	// undaunted is set when the question is known to have failed by another caller's
	// limits, which is no reason not to try.
	undaunted bool
	renewing  bool // the cache has an answer to q, which is about to expire
	minimised bool // what is asked at the moment is less than q
	aside     bool // it belongs to no question: the root's own servers are looked for
	// signatures is set when what is searched is of no use without signatures.
	signatures bool
	// resort is set when a zone's servers were silent to less than q: one is asked for it, once.
	resort   bool
	walk     int
	parent   int
	depth    int
	sent     *atomic.Bool  // something was sent on this task's behalf
	patience time.Duration // how long it may wait to begin; 0: as long as it may take
	// leaving is called before the flight is left that has not ended, with what gives back
	// the question's place, and reports whether it takes that over; may be nil.
	leaving func(fl *flight, place func()) bool

	// How the client's question was answered, for Stats.
	fromCache, stale bool
}

// newTask begins the work on a question that may take asking servers.
func (r *Resolver) newTask(q question, trust cache.Trust) *task {
	t := &task{r: r, trust: trust, q: q}
	t.begin()
	return t
}

// begin gives the task its budget, if it has none yet: an answer out of the cache takes
// none.
func (t *task) begin() {
	if t.budget != nil {
		return
	}
	t.budget, t.sent = newBudget(&t.r.config.limits, &t.r.counts.refusals), new(atomic.Bool)
	t.walk = int(t.budget.walks.Add(1))
}

// in gives the same task as part of a flight.
func (t *task) in(fl *flight) *task {
	inside := *t
	inside.flight, inside.heard = fl, fl.heard
	return &inside
}

// isSide reports whether this is a look-up beside a question: of a name server's address, not
// of the keys that the answer is judged by.
func (t *task) isSide() bool { return (t.depth > 0 || t.aside) && !t.signatures }

// madeRoom reports whether this work has ended since others needed its place more.
func (t *task) madeRoom() bool { return t.flight != nil && t.flight.madeRoom.Load() }

// below gives a task that searches what t needs to know first: the addresses of a
// name server. They are not validated.
func (t *task) below(q question) *task {
	return &task{
		r: t.r, budget: t.budget, heard: t.heard, flight: t.flight, trust: t.r.trustOfServers(), q: q,
		walk: int(t.budget.walks.Add(1)), parent: t.walk, depth: t.depth + 1, sent: new(atomic.Bool),
	}
}

// on gives the same task searching another name, after an alias.
func (t *task) on(q question) *task {
	next := *t
	next.q = q
	return &next
}

// asking gives the same task putting its question, or less of it, to a zone's servers.
func (t *task) asking(minimised bool) *task {
	now := *t
	now.minimised = minimised
	return &now
}

func (t *task) step() Step {
	return Step{Walk: t.walk, Parent: t.parent, Depth: t.depth, Question: t.q.public(), At: time.Now()}
}

// lasting is a context that ends with the resolver and has the values of a caller's.
type lasting struct {
	context.Context
	values context.Context
}

// Value gives the resolver's own values first: package context finds out through them
// which cancellation a context hangs on.
func (l lasting) Value(key any) any {
	if v := l.Context.Value(key); v != nil {
		return v
	}
	return l.values.Value(key)
}

// spawn runs work in a goroutine that Close waits for. A panic ends the work and nothing else:
// who waits for it is told by what the work has deferred.
func (r *Resolver) spawn(work func()) {
	r.running.Go(r.flights.stagger.delayed(func() {
		defer rescue.Quietly()
		widen(0)
		work()
	}))
}
