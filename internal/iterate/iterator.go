// Package iterate finds the answer to one question by the three loops of RFC 1034 §5.3.3:
// the name changes from alias to alias (Search), the zone cut from referral to referral (walk),
// the server from address to address (zoneQuery).
//
// In comes a question with its state, a [QueryState], which has the budget; out comes an
// answer with its DNSSEC status and TTL, or an error. The package decides where a walk begins,
// what a reply to a minimised query means (RFC 9156 §3), when a second server is asked beside the
// first, when name servers' addresses are looked up (RFC 9471), and what of an answer is kept
// in the cache and for how long (RFC 2181 §5.4.1, RFC 2308 §5, RFC 8767 §4). It fetches the
// keys and DS records that package dnssec needs, beside the walk, and asks again when an answer
// is bogus. It primes the root (RFC 9609), reads and writes the second level, remembers
// failures (RFC 9520), and finds out whether a forwarder leads back to us. It asks package
// localzone before the cache, and package localroot before the root servers.
//
// It never makes, sends or reads a message on the network: package upstream does. It does not
// decide which questions of clients are worked on: package mesh does.
//
// Unbound's words are iterator, validator and, for the second level, cachedb; Knot Resolver's
// are the layers iterate, validate and cache.
package iterate

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/clock"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/flight"
	"github.com/iterdns/iterdns/internal/keycache"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/localroot"
	"github.com/iterdns/iterdns/internal/localzone"
	"github.com/iterdns/iterdns/internal/reach"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/upstream"
)

// Iterator finds answers: it follows aliases, walks from zone cut to zone cut, and asks the
// servers of each zone (Unbound: iterator and validator).
type Iterator struct {
	*env.Env
	routes   *routes.Router
	servers  *slist.Lister
	upstream *upstream.Client
	clock    *clock.Clock // that signatures are checked by

	Network         reach.Network // what it lets through to the root servers
	checkMu         sync.Mutex
	checking        chan struct{} // closed when the check of the network ends; nil: none is under way. Guarded by checkMu
	plainRetries    *slist.PlainRetries
	probeWaitSlots  *budget.ConcurrencyLimits[netip.AddrPort] // questions that wait for the probe of one server
	secondLevel     *secondLevel                              // nil: no SecondLevel
	LocalRoot       *localroot.Root                           // nil: none
	LocalZones      *localzone.Table
	KeysReceived    func(*dnssec.RRset) // is told of DNSKEY RRsets before they are judged; nil: nobody is
	LoopProbes      routes.LoopProbes
	ClientQuestions routes.ClientQuestions
	priming         atomic.Bool
	detachedLookups atomic.Int64 // those that have outlived their question
}

func New(e *env.Env, routes *routes.Router, servers *slist.Lister, upstream *upstream.Client, local localzone.Zones) *Iterator {
	most := &e.Settings.Limits
	r := &Iterator{
		Env: e, routes: routes, servers: servers, upstream: upstream, clock: clock.New(e.Settings.SignatureTime),
		LocalZones:     localzone.NewTable(local),
		plainRetries:   slist.NewPlainRetries(),
		probeWaitSlots: budget.NewConcurrencyLimits[netip.AddrPort](limits.Quarter(most.Questions)),
	}
	if upstream.OwnSockets() {
		r.Network.Local = localAddr(servers.HintAddrs())
	}
	return r
}

// QueryState is the state of one search for a name: the client's own question, or one for
// the address of a name server (Unbound: module_qstate).
type QueryState struct {
	r          *Iterator
	Budget     *budget.Budget
	Events     events.Sink
	flight     *flight.Flight // that the search is part of; nil: none yet
	Trust      cache.Trust
	validation *validation // nil: not validated
	// startAbove makes walks begin above that zone cut; "": at the deepest one known.
	startAbove   dnsname.Name
	avoidServers map[netip.AddrPort]bool // servers whose data turned out bogus, asked only if there are no others
	SecondLevel  secondLevelUse          // how the second level is used
	secondReads  *secondReads            // the replies read from the second level; nil: not kept

	Q answer.Question
	// ClientQuestion is the client's question if it came as a message; else zero.
	ClientQuestion answer.Question
	// RetryFailure is set when the question is known to have failed by another caller's
	// limits, so that a cached failure does not count.
	RetryFailure bool
	Prefetching  bool // this is a prefetch: the cache has an answer to q that is about to expire
	fallback     bool // it is asked of the fallback
	priming      bool // it belongs to no client question, but to priming
	checking     bool // it finds out what the network lets through
	// needSignatures is set when an answer without signatures is of no use.
	needSignatures bool
	walkID         int
	parentWalk     int
	depth          int
	fresh          *Fresh          // nil: what is cached counts
	reached        *routes.ZoneCut // where the walk has come to; nil: of no interest
	querySent      *atomic.Bool    // a query was sent for this search; nil: of no interest
	MaxQueued      time.Duration   // how long it may wait for a slot; 0: as long as it may run
	// Leaving is called before a flight is left that has not ended, with the function that
	// releases the question's slot, and reports whether it will call that; may be nil.
	Leaving func(fl *flight.Flight, release func()) bool

	// AnswerEarly, if not nil, has the work done in the goroutine of the caller, whose context must
	// end only with the resolver. It is called at most once, in another goroutine, when the question
	// is shed while others wait for that work: the client then gets the error at once. The caller
	// waits for the call when its own work has ended, however that ends.
	AnswerEarly func(error)

	// How the client's question was answered, for Stats.
	FromCache, Stale bool
}

// NewQueryState makes the state of a question that may need servers to be asked.
func (r *Iterator) NewQueryState(q answer.Question, trust cache.Trust) *QueryState {
	st := &QueryState{r: r, Trust: trust, Q: q, Events: r.Unwatched}
	st.Begin()
	return st
}

// NewClientQuestion makes the state of a question of a client. It has no budget yet.
func (r *Iterator) NewClientQuestion(q answer.Question, trust cache.Trust) *QueryState {
	st := &QueryState{r: r, Q: q, Trust: trust, Events: r.Unwatched}
	if trust == cache.Checked && r.secondLevel != nil {
		st.SecondLevel, st.secondReads = secondLevelReadAndWritten, new(secondReads)
	}
	return st
}

// Begin makes the budget, if there is none yet: an answer from the cache needs none.
func (st *QueryState) Begin() {
	if st.Budget != nil {
		return
	}
	st.Budget = budget.New(&st.r.Settings.Limits, &st.r.Counts.LimitsReached)
	st.walkID = int(st.Budget.Walks.Add(1))
}

// InFlight returns the same state as part of a flight.
func (st *QueryState) InFlight(fl *flight.Flight) *QueryState {
	inside := *st
	inside.enter(fl)
	return &inside
}

// enter makes the search a part of a flight.
func (st *QueryState) enter(fl *flight.Flight) { st.flight, st.Events = fl, fl.Events }

// table returns the routes of now, as they are for this search.
func (st *QueryState) table() *routes.Table { return st.r.routes.CurrentRoutes().While(st.fallback) }

// keyCache returns the key cache as the views of the search divide it.
func (r *Iterator) keyCache(st *QueryState) keycache.View {
	return r.upstream.KeyCache.DividedBy(st.table())
}

// isSideLookup reports whether this is a look-up of a name server's address, or priming, rather
// than of a client's question or of the keys that validate its answer.
func (st *QueryState) isSideLookup() bool { return (st.depth > 0 || st.priming) && !st.needSignatures }

// Fresh makes a piece of work learn anew what it needs, but for top-level domains and their keys:
// what was in the cache before does not count, neither answers and failures nor zone cuts. What
// it learns is kept in the cache as usual. The zero value is ready for use.
type Fresh struct {
	mu    sync.Mutex
	cuts  map[dnsname.Name]bool  // that the work has been referred to; guarded by mu
	found map[freshQuestion]bool // that it has found the answer to; guarded by mu
}

type freshQuestion struct {
	q     answer.Question
	trust cache.Trust
}

// hasCut reports whether a zone cut of the cache counts. A nil Fresh has all.
func (f *Fresh) hasCut(zone dnsname.Name) bool {
	if f == nil || zone.Labels() <= 1 {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cuts[zone]
}

// hasFound reports whether an answer of the cache counts.
func (f *Fresh) hasFound(q answer.Question, trust cache.Trust) bool {
	if f == nil || q.Name.Labels() <= 1 {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.found[freshQuestion{q, trust}]
}

func (f *Fresh) noteCut(zone dnsname.Name) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cuts == nil {
		f.cuts = make(map[dnsname.Name]bool)
	}
	f.cuts[zone] = true
}

func (f *Fresh) noteFound(q answer.Question, trust cache.Trust) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.found == nil {
		f.found = make(map[freshQuestion]bool)
	}
	f.found[freshQuestion{q, trust}] = true
}

// Beside returns the state of another question of the same work, with a walk of its own.
func (st *QueryState) Beside(q answer.Question, trust cache.Trust, fresh *Fresh) *QueryState {
	return &QueryState{
		r: st.r, Budget: st.Budget, Events: st.Events, flight: st.flight, Trust: trust, Q: q, fresh: fresh,
		walkID: int(st.Budget.Walks.Add(1)), parentWalk: st.walkID,
	}
}

// request returns a question to the servers of a zone as part of this search.
func (st *QueryState) request(cut *routes.ZoneCut, q answer.Question) upstream.Request {
	return upstream.Request{
		Cut: cut, Q: q, SideLookup: st.isSideLookup(), NeedSignatures: st.needSignatures,
		Budget: st.Budget, Events: st.Events, Walk: st.WalkRef(), QuerySent: st.querySent, Flight: st.flight,
	}
}

// AskServer asks one server of a zone, whichever else there are, and for its identity too (RFC 5001).
func (r *Iterator) AskServer(ctx context.Context, st *QueryState, cut *routes.ZoneCut, q answer.Question, to *slist.Server) upstream.Result {
	rq := st.request(cut, q)
	rq.NSID = true
	return r.upstream.Exchange(ctx, rq, to, events.ReasonNext, make(chan struct{}, 1))
}

// ClosestCut returns the deepest zone cut known on the way to the zone that has the answer to q.
func (r *Iterator) ClosestCut(st *QueryState, q answer.Question) routes.ZoneCut {
	now := r.Settings.Now()
	return r.closestCut(now, st, r.routes.ViewOf(now, q), q)
}

// forServerAddress returns the state of a search for the addresses of a name server that this one
// needs. They are not validated.
func (st *QueryState) forServerAddress(q answer.Question) *QueryState {
	return &QueryState{
		r: st.r, Budget: st.Budget, Events: st.Events, flight: st.flight, Trust: st.r.trustOfServers(), Q: q,
		walkID: int(st.Budget.Walks.Add(1)), parentWalk: st.walkID, depth: st.depth + 1, querySent: new(atomic.Bool), fallback: st.fallback,
	}
}

// forName returns the state for another name, after an alias.
func (st *QueryState) forName(q answer.Question) *QueryState {
	next := *st
	next.Q = q
	return &next
}

// WalkRef returns which walk the events of this step belong to.
func (st *QueryState) WalkRef() events.Step {
	return events.Step{Walk: st.walkID, Parent: st.parentWalk, Depth: st.depth, Question: st.Q}
}

// tellCache tells what the cache knew of one name. Nil is a miss.
func (st *QueryState) tellCache(f *answer.Answer) {
	if f == nil {
		st.Events.Cache(st.WalkRef(), events.Cache{})
		return
	}
	st.Events.Cache(st.WalkRef(), events.Cache{
		Hit: true, Negative: f.Kind == answer.KindNoData || f.Kind == answer.KindNameError, Alias: f.Kind == answer.KindAlias,
		Status: f.Status, TTL: f.TimeToLive(),
	})
}

// TellFound tells that the cache had the whole answer.
func (st *QueryState) TellFound(f *answer.Answer) {
	st.Events.Cache(st.WalkRef(), events.Cache{
		Hit: true, Negative: len(f.Sets) == 0, Alias: len(f.Aliases) > 0, Stale: f.Stale,
		Status: f.Status, TTL: f.TimeToLive(),
	})
}

// tellAliases tells how the name being searched changes.
func (st *QueryState) tellAliases(aliases []scrub.Alias) {
	for _, a := range aliases {
		st.Events.Alias(st.WalkRef(), a.From, a.To, a.IsDNAME())
	}
}
