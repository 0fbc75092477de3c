package iterate

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/flight"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/upstream"
)

// ask puts one question to the servers of one zone, until one of them sends a response that
// settles it. Equal questions under way share one flight.
func (r *Iterator) ask(ctx context.Context, st *QueryState, cut *routes.ZoneCut, q answer.Question, how askMode) (*upstream.Reply, error) {
	z := &zoneQuery{r: r, st: *st, cut: cut, q: q, askMode: how}
	by := flight.Waiter{Parent: st.flight, Events: st.Events, Budget: st.Budget}
	v, err := r.Flights.Do(ctx, z.key(), by, z)
	if err != nil {
		return nil, err
	}
	return v.(*upstream.Reply), nil
}

// askMode is how a question to a zone's servers differs from that of the search.
type askMode struct {
	minimised bool // it asks for less
	// onlyPlainRetry is set when the servers were silent to a minimised query: one of them is
	// asked the full question, once.
	onlyPlainRetry bool
}

// key is the key of what is asked of the servers that a source has for a zone. A name in wire
// format has its own end, so that no two questions have the same key.
//
// It is a function so that its room is not a part of the stack while the servers are asked.
//
//go:noinline
func (z *zoneQuery) key() string {
	var room [2*dnsname.MaxWire + 32]byte // so that the string is the only allocation
	b := binary.BigEndian.AppendUint32(append(room[:0], "ask"...), z.cut.Source.ID)
	b = append(append(b, z.cut.Zone...), z.q.Name...)
	b = binary.BigEndian.AppendUint16(b, z.q.Type)
	if z.st.Budget.OverTCP.Load() {
		b = append(b, "tcp"...)
	}
	if n := len(z.st.avoidServers); n > 0 { // not shared with other walks
		b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, uint32(z.st.walkID)), uint32(n))
	}
	return string(b)
}

// quickTries is how many tries without any reply there are before the next servers get more
// time: where all are silent, all may be slow, as seen over a satellite, and would each be given
// up just before the reply.
const quickTries = 6

// maxRefusals is how many servers of a zone may refuse one question in every form before the
// others are asked in one form only: they refuse the question itself, and three queries to
// each of 13 servers would be 39.
const maxRefusals = 2

// zoneQuery is one question to the servers of a zone: the servers that are being asked, the
// look-ups of their addresses, and what has come of both. It is one piece of memory, with channels
// only where something is waited for in another goroutine.
type zoneQuery struct {
	r   *Iterator
	st  QueryState // of the search when it asked
	cut *routes.ZoneCut
	q   answer.Question
	askMode
	servers slist.List

	resultHere    upstream.Result      // of the exchange that has ended in this goroutine; without a Server: none
	results       chan upstream.Result // of the others
	unreachable   chan struct{}        // a port was unreachable
	lookupResults chan lookupResult    // nil until a name server's address is looked for
	loops         chan *slist.Server   // servers of a route that lead back to us; nil: none is suspected to
	hedgeTimer    hedgeTimer
	deadProbe     deadProbe         // waited for when no server can be asked
	targetLookups []*detachedLookup // under way or ended

	aside     context.Context // see asideOf; nil: no other goroutine works yet
	stopAside context.CancelFunc

	// mu is held to change what unanswered reads in other goroutines: servers.Addrs, tried, silent,
	// lookups and errs.
	mu sync.Mutex

	inFlight   int
	lookups    int
	noAddress  bool // a name server's name does not exist, or has no address
	outage     bool // a look-up failed because servers did not answer
	tried      []netip.AddrPort
	firstTried [maxInFlight]netip.AddrPort // where tried begins
	silent     uint32                      // a bit for each of tried that has not replied yet
	errs       []error
	fallback   *upstream.Reply // a response to use if no better one comes

	responded     bool
	plainRetried  bool // the plain retry was made
	plainRetrying bool // r.plainRetries waits for the result
	lost          int  // queries over UDP that nothing came back to
	forbidden     bool // this host has refused to send over UDP
	spoilt        bool // a server was asked over TCP, since what came over UDP was not a reply
	cutOff        bool // all root servers were silent over UDP
	alien         int  // replies over UDP that are no root server's
	foreign       int  // the same of others: servers that do not serve the zone, or recurse
	byTCP         int  // queries to root servers over TCP, to see whether it leads there
	refusals      int  // servers that refused the question in every form
	ownFailure    bool // a server was not asked or heard because of the question's own limits, this host, or a panic
	intercepted   int  // responses of a recursive resolver in a root server's place
}

// Joined tells that another caller asks the same already.
func (z *zoneQuery) Joined() { z.st.Events.Joined(z.st.WalkRef(), z.cut.Zone) }

// Retry has nothing to change.
func (z *zoneQuery) Retry() {}

// Leaving notes what the question waited for when its time ended.
func (z *zoneQuery) Leaving(fl *flight.Flight) {
	if u := z.r.unanswered(fl, make(map[*flight.Flight]bool)); u.err != nil && z.st.Budget.IsOver() {
		z.st.Budget.NoteUnanswered(u.rank(), u.err)
	}
}

// Lead asks, as the work of a flight.
func (z *zoneQuery) Lead(fl *flight.Flight) (any, error) {
	z.st.enter(fl)
	z.fill()
	return z.run(fl.Ctx)
}

// fill makes the list of servers. It calls a function of the program's, AllowServer, which may panic.
func (z *zoneQuery) fill() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.tried = z.firstTried[:0]
	z.r.servers.Fill(&z.servers, z.r.Settings.Now(), z.cut, z.q, z.r.triesFor(&z.st), z.st.depth > 0, z.st.avoidServers)
}

// run is the third loop of RFC 1034 §5.3.3: the server changes.
func (z *zoneQuery) run(ctx context.Context) (*upstream.Reply, error) {
	defer z.endAside(ctx)
	defer z.hedgeTimer.stop()
	defer z.forgetDeadProbe()
	defer z.leavePlainRetry(slist.PlainRetryUnknown)
	z.advance(ctx)
	for z.inFlight+z.lookups > 0 || z.awaitProbe() || z.rootOnceMore(ctx) || z.plainRetry(ctx) || z.onceMoreOverTCP(ctx) {
		done, late, err := z.await(ctx)
		switch {
		case done != nil || err != nil:
			return done, err
		case z.isClosed():
			return nil, z.failure(nil)
		case late:
			z.hedge(ctx)
		default:
			z.advance(ctx)
		}
	}
	if z.fallback != nil {
		return z.fallback, nil
	}
	return nil, z.failure(endOf(ctx))
}

// await waits for what happens next and takes it in. It returns the reply that settles the
// question, if that has come, and late when the server asked is late. What it needs of the stack is
// free again when the next server is asked.
func (z *zoneQuery) await(ctx context.Context) (done *upstream.Reply, late bool, err error) {
	if o := z.resultHere; o.Server != nil {
		z.resultHere = upstream.Result{}
		return z.takeResult(o), false, nil
	}
	select {
	case o := <-z.results:
		return z.takeResult(o), false, nil
	case l := <-z.lookupResults:
		z.addAddresses(l)
		return nil, false, nil
	case <-z.deadProbe.ended:
		z.takeDeadProbe()
		return nil, false, nil
	case <-z.hedgeTimer.late():
		z.suspectLoop(z.asideOf(ctx))
		return nil, true, nil
	case c := <-z.loops:
		if z.takeLoop(c) {
			return nil, false, z.failure(nil)
		}
		return nil, true, nil
	case <-z.unreachable:
		return nil, true, nil
	case <-ctx.Done():
		return nil, false, z.failure(context.Cause(ctx))
	}
}

// asideOf returns the context of what other goroutines do for this question. It ends with the
// question, and is made for the first of them.
func (z *zoneQuery) asideOf(ctx context.Context) context.Context {
	if z.aside == nil {
		z.aside, z.stopAside = context.WithCancel(ctx)
	}
	return z.aside
}

// endAside ends what other goroutines still do for the question, except look-ups.
func (z *zoneQuery) endAside(ctx context.Context) {
	if z.aside != nil {
		z.detach(ctx) // before the end, which would cancel the look-ups
		z.stopAside()
	}
}

// endOf returns the cause of ctx's end; nil when it has not ended. A deadline strikes in
// several places at once, and connections may notice it before the context does: their
// errors then say nothing about the servers.
func endOf(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		<-ctx.Done()
	}
	return context.Cause(ctx)
}

// advance makes sure that a server is being asked, or that an address is being looked up
// when there is no server to ask.
func (z *zoneQuery) advance(ctx context.Context) {
	if z.inFlight > 0 || z.onlyPlainRetry {
		return
	}
	if z.lookups == 0 && z.servers.LookFirst() {
		z.lookUp(ctx)
	}
	if z.lookups > 0 && z.servers.OnlyLowPriority() {
		return
	}
	if !z.send(ctx, events.ReasonNone) && z.lookups == 0 {
		z.lookUp(ctx)
	}
}

// send asks the next server, if there is one. The reason is the hedge's, or the one for
// which the list has chosen the server.
func (z *zoneQuery) send(ctx context.Context, hedge events.Reason) bool {
	to, why := z.servers.Next(z.r.Settings.Now())
	if to == nil {
		return false
	}
	if hedge != events.ReasonNone && why != events.ReasonProbe {
		why = hedge
	}
	to.OnlyChoice = z.inFlight == 0 && z.servers.OnlyLowPriority() && len(z.servers.Missing) == 0
	to.WaitLonger = to.OnlyChoice || z.servers.Tries > quickTries && !z.responded
	to.QuestionRefused = z.refusals >= maxRefusals
	if to.OverTCP = z.goesOverTCP(to); to.OverTCP {
		why = events.ReasonNetwork
	}
	if z.mayRetryPlain(ctx) && z.isLast(to) {
		z.makePlain(to)
	}
	z.exchange(ctx, to, why)
	return true
}

// exchange asks a server. It returns when the exchange has ended here, or goes on in another
// goroutine because it is late or does not only wait for a reply.
func (z *zoneQuery) exchange(ctx context.Context, to *slist.Server, why events.Reason) {
	z.noteAsked(to.Addr)
	z.inFlight++
	late := to.Estimate.Late + to.Jitter
	if z.inFlight == 1 && z.lookups == 0 && z.deadProbe.ended == nil {
		// Nothing else is waited for: that can go on here.
		z.hedgeTimer.stop()
		begun := time.Now()
		o, rest := z.r.upstream.ExchangeUntilLate(ctx, z.request(), to, why)
		if rest == nil {
			z.resultHere = o
			return
		}
		z.hedgeTimer.start(max(0, late-time.Since(begun)))
		z.awaitExchange(ctx, to, rest)
		return
	}
	z.hedgeTimer.start(late)
	z.awaitExchange(ctx, to, func(ctx context.Context, unreachable chan<- struct{}) upstream.Result {
		return z.r.upstream.Exchange(ctx, z.request(), to, why, unreachable)
	})
}

// request returns the question as part of the search.
func (z *zoneQuery) request() upstream.Request {
	rq := z.st.request(z.cut, z.q)
	rq.Minimised = z.minimised
	return rq
}

// awaitExchange runs an exchange in a goroutine.
func (z *zoneQuery) awaitExchange(ctx context.Context, to *slist.Server, exchange func(context.Context, chan<- struct{}) upstream.Result) {
	aside := z.asideOf(ctx)
	if z.results == nil {
		z.results, z.unreachable = make(chan upstream.Result, maxInFlight), make(chan struct{}, 1)
	}
	z.r.Spawn(func() {
		o := upstream.Result{Server: to, Err: rescue.ErrAborted}
		defer func() { z.results <- o }()
		defer rescue.Into(&o.Err)
		o = exchange(aside, z.unreachable)
	})
}

// takeResult handles the result of asking one server, and returns the reply if it settles
// the question.
func (z *zoneQuery) takeResult(o upstream.Result) *upstream.Reply {
	rescue.Again(o.Err)
	z.inFlight--
	now := z.r.Settings.Now()
	z.noteReach(now, &o)
	o.Server.Busy = false
	if o.Unsent {
		if o.Server.OverTCP {
			z.byTCP--
		}
		z.noteResult(o.Server.Addr)
		z.servers.PutBack(now, o.Server)
		z.putBackPlainRetry(o.Server)
		return nil
	}
	o.Server.Expect(now, z.cut.Source.Infra)
	// Silence may be a lost packet, and damaged packets may be forged; but these are
	// tolerated once only.
	o.Server.Excluded = o.Server.UDPSpoilt || o.Server.ExtraSend || !o.TimedOut && !o.UDPSpoilt
	o.Server.UDPSpoilt = o.UDPSpoilt
	if z.st.Budget.IsOver() && failure.Of(o.Err).IsTimeout() {
		return nil // the question has ended, and perhaps the server would have replied
	}
	z.noteResult(o.Server.Addr)
	if o.Err != nil {
		z.ownFailure = z.ownFailure || failure.Of(o.Err).Has(failure.OwnMeans)
		z.noteError(&failure.ServerError{Server: o.Server.Addr, Err: o.Err})
	}
	if o.Server.ExtraSend {
		z.leavePlainRetry(o.PlainRetryResult())
	}
	o.Server.PlainMayHelp, o.Server.AnsweredError = o.PlainMayHelp && !o.Server.Plain, o.Reply != nil
	if o.RefusedAllForms {
		z.refusals++
	}
	z.responded = z.responded || o.Heard
	if o.Reply == nil {
		return nil
	}
	switch o.Reply.Kind {
	case answer.KindAnswer, answer.KindAlias, answer.KindReferral, answer.KindNameError:
		return o.Reply
	case answer.KindNoData:
		if !z.doubtsNoData(o.Reply) {
			return o.Reply
		}
	case answer.KindRecursive:
		z.cut.Source.Infra.SetLame(now, o.Server.Addr, z.cut.Zone)
		switch {
		case z.asksRoot() && !z.bringsKeys(o.Reply):
			z.intercepted++ // a root server would refer, or answer with authority, even about the root
		case z.fallback == nil:
			z.fallback = o.Reply
		}
	case answer.KindLame:
		z.cut.Source.Infra.SetLame(now, o.Server.Addr, z.cut.Zone)
		z.noteError(fmt.Errorf("%s: %w (%s)", o.Server.Addr.Addr(), failure.ErrLame, failure.RcodeName(o.Reply.Rcode)))
		z.noteRecursion(o.Reply)
	case answer.KindUnusable:
		z.noteRecursion(o.Reply)
	}
	return nil
}

// doubtsNoData reports whether another server is asked before NODATA is believed: without an
// SOA (RFC 2308 §2.2) it is also what broken servers answer to everything.
func (z *zoneQuery) doubtsNoData(m *upstream.Reply) bool {
	if m.SOA != nil || len(m.NS) > 0 || m.Upward || z.minimised || z.fallback != nil {
		return false
	}
	z.fallback = m
	return true
}
