package resolver

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/rescue"
)

// maxInFlight is how many servers are asked at the same time: one, and one more when it is
// late. Each further one would be another target for a forger.
const maxInFlight = 2

// ask puts one question to the servers of one zone, until one of them sends a response that
// settles it. Equal questions under way share one flight.
func (r *Resolver) ask(ctx context.Context, st *step, cut *zoneCut, q question) (*reply, error) {
	by := waiter{parent: st.flight, events: st.events, budget: st.budget, joined: func() {
		st.events.Joined(st.walkRef(), cut.Zone)
	}}
	key := askKey(cut.source.id, cut.Zone, q)
	if len(st.avoid) > 0 {
		key += fmt.Sprint(st.walk, len(st.avoid)) // not shared with other walks
	}
	v, err := r.flights.do(ctx, key, by, func(fl *flight) (any, error) {
		return r.newAsking(st.in(fl), cut, q).run(fl.ctx)
	})
	if err != nil {
		return nil, err
	}
	return v.(*reply), nil
}

// askKey is the key of what is asked of the servers that a source has for a zone. A name in
// wire format has its own end, so that no two questions have the same key.
func askKey(source uint32, zone dnsname.Name, q question) string {
	b := binary.BigEndian.AppendUint32([]byte("ask"), source)
	b = append(append(b, zone...), q.name...)
	return string(binary.BigEndian.AppendUint16(b, q.rrtype))
}

// quickTries is how many servers that nothing is known of are asked one after the other
// before the next ones get more time: where all are silent, all may be slow, as seen over a
// satellite, and would each be given up just before the reply.
const quickTries = 6

// maxRefusals is how many servers of a zone may refuse one question in every form before the
// others are asked in one form only: they refuse the question itself, and three queries to
// each of 13 servers would be 39.
const maxRefusals = 2

// asking is one question to the servers of a zone: the servers that are being asked, the
// look-ups of their addresses, and what has come of both.
type asking struct {
	r    *Resolver
	st   *step
	cut  *zoneCut
	q    question
	list *serverList

	outcomes      chan exchangeResult
	unreachable   chan struct{}     // a port was unreachable
	found         chan lookupResult // nil until a name server's address is looked for
	loops         chan *serverAddr  // servers of a route that lead back to us
	late          *time.Timer       // fires when the reply or look-up is later than expected
	deadProbe     deadProbe         // waited for when no server can be asked
	targetLookups []*targetLookup   // under way or ended

	inFlight  int
	lookups   int
	noAddress bool // a name server's name does not exist, or has no address
	outage    bool // a look-up failed because servers did not answer
	tried     []netip.AddrPort
	errs      []error
	fallback  *reply // a response to use if no better one comes

	responded     bool
	plainRetried  bool // the plain retry was made
	plainRetrying bool // r.plainRetries waits for the result
	refusals      int  // servers that refused the question in every form
	ownFailure    bool // a server was not asked or heard because of the question's own limits, this host, or a panic
	intercepted   int  // responses of a recursive resolver in a root server's place
}

func (r *Resolver) newAsking(st *step, cut *zoneCut, q question) *asking {
	return &asking{
		r: r, st: st, cut: cut, q: q,
		list:        r.serversOf(r.config.Now(), cut, q, r.triesFor(st), st.depth > 0, st.avoid),
		outcomes:    make(chan exchangeResult, maxInFlight),
		unreachable: make(chan struct{}, 1),
		loops:       make(chan *serverAddr),
	}
}

// run is the third loop of RFC 1034 §5.3.3: the server changes.
func (a *asking) run(ctx context.Context) (*reply, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer a.detach(ctx) // before stop, which would cancel the look-ups
	a.late = time.NewTimer(time.Hour)
	defer a.late.Stop()
	defer a.forgetDeadProbe()
	defer a.leavePlainRetry(plainRetryUnknown)
	a.advance(ctx)
	for a.inFlight+a.lookups > 0 || a.awaitProbe() || a.plainRetry(ctx) {
		select {
		case o := <-a.outcomes:
			if done := a.take(o); done != nil {
				return done, nil
			}
			a.advance(ctx)
		case l := <-a.found:
			a.addFound(l)
			a.advance(ctx)
		case <-a.deadProbe.ended:
			a.takeDeadProbe()
			a.advance(ctx)
		case <-a.late.C:
			a.suspect(ctx)
			a.hedge(ctx)
		case c := <-a.loops:
			if a.takeLoop(c) {
				return nil, a.failure(nil)
			}
			a.hedge(ctx)
		case <-a.unreachable:
			a.hedge(ctx)
		case <-ctx.Done():
			return nil, a.failure(context.Cause(ctx))
		}
	}
	if a.fallback != nil {
		return a.fallback, nil
	}
	return nil, a.failure(endOf(ctx))
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
func (a *asking) advance(ctx context.Context) {
	if a.inFlight > 0 || a.st.onlyPlainRetry {
		return
	}
	if a.lookups == 0 && a.list.lookFirst() {
		a.lookUp(ctx)
	}
	if a.lookups > 0 && a.list.onlyLowPriority() {
		return
	}
	if !a.send(ctx, reasonNone) && a.lookups == 0 {
		a.lookUp(ctx)
	}
}

// hedge asks a second server, or looks up another address, because the first is later than
// expected.
func (a *asking) hedge(ctx context.Context) {
	switch {
	case a.inFlight >= maxInFlight, a.st.onlyPlainRetry:
	case a.inFlight > 0 && a.send(ctx, reasonHedge):
	case a.lookups < maxLookups:
		a.lookUp(ctx)
	}
}

// send asks the next server, if there is one. The reason is the hedge's, or the one for
// which the list has chosen the server.
func (a *asking) send(ctx context.Context, hedge queryReason) bool {
	to, why := a.list.next(a.r.config.Now())
	if to == nil {
		return false
	}
	if hedge != reasonNone && why != reasonProbe {
		why = hedge
	}
	to.onlyChoice = a.inFlight == 0 && a.list.onlyLowPriority() && len(a.list.missing) == 0
	to.waitLonger = to.onlyChoice || a.list.tries > quickTries && !a.responded
	to.questionRefused = a.refusals >= maxRefusals
	if a.mayRetryPlain(ctx) && a.isLast(to) {
		a.makePlain(to)
	}
	a.exchange(ctx, to, why)
	return true
}

// exchange begins to ask a server.
func (a *asking) exchange(ctx context.Context, to *serverAddr, why queryReason) {
	if !slices.Contains(a.tried, to.addr) {
		a.tried = append(a.tried, to.addr)
	}
	a.inFlight++
	a.late.Reset(to.estimate.Late + to.jitter)
	a.r.spawn(func() {
		o := exchangeResult{to: to, err: rescue.ErrAborted}
		defer func() { a.outcomes <- o }()
		defer rescue.Into(&o.err)
		o = a.r.exchange(ctx, a.st, a.cut, a.q, to, why, a.unreachable)
	})
}

// take handles the result of asking one server, and returns the reply if it settles the
// question.
func (a *asking) take(o exchangeResult) *reply {
	rescue.Again(o.err)
	a.inFlight--
	now := a.r.config.Now()
	o.to.busy = false
	if o.unsent {
		a.list.putBack(now, o.to)
		a.putBackPlainRetry(o.to)
		return nil
	}
	o.to.estimate = a.cut.source.infra.Estimate(now, o.to.addr)
	// Silence may be a lost packet, and damaged packets may be forged; but these are
	// tolerated once only.
	o.to.excluded = o.to.udpSpoilt || o.to.extraSend || !o.timedOut && !o.udpSpoilt
	o.to.udpSpoilt = o.udpSpoilt
	if o.err != nil {
		a.ownFailure = a.ownFailure || failureOf(o.err).has(ownMeans)
		a.errs = append(a.errs, fmt.Errorf("%s: %w", o.to.addr.Addr(), o.err))
	}
	if o.to.extraSend {
		a.leavePlainRetry(o.plainRetryResult())
	}
	o.to.plainMayHelp, o.to.answeredError = o.plainMayHelp && !o.to.plain, o.reply != nil
	if o.refusedAllForms {
		a.refusals++
	}
	a.responded = a.responded || o.heard
	if o.reply == nil {
		return nil
	}
	switch o.reply.kind {
	case kindAnswer, kindAlias, kindReferral, kindNameError:
		return o.reply
	case kindNoData:
		if !a.doubtsNoData(o.reply) {
			return o.reply
		}
	case kindRecursive:
		a.cut.source.infra.SetLame(now, o.to.addr, a.cut.Zone)
		switch {
		case a.asksRoot() && !a.bringsKeys(o.reply):
			a.intercepted++ // a root server would refer, or answer with authority, even about the root
		case a.fallback == nil:
			a.fallback = o.reply
		}
	case kindLame:
		a.cut.source.infra.SetLame(now, o.to.addr, a.cut.Zone)
		a.errs = append(a.errs, fmt.Errorf("%s: %w (%s)", o.to.addr.Addr(), errLame, rcodeName(o.reply.Rcode)))
		a.noteRecursion(o.reply)
	case kindUnusable:
		a.noteRecursion(o.reply)
	}
	return nil
}

// asksRoot reports whether the root servers are asked, rather than those of a route for the
// root.
func (a *asking) asksRoot() bool { return a.cut.Zone.IsRoot() && a.cut.source.route == nil }

// noteRecursion counts a refusal by a server that offers recursion: no root server does.
func (a *asking) noteRecursion(m *reply) {
	if a.asksRoot() && m.RA && !m.AA {
		a.intercepted++
	}
}

// bringsKeys reports whether a response has the keys that the validator asked for. They are
// validated by the trust anchor or a DS, whatever server they come from.
func (a *asking) bringsKeys(m *reply) bool {
	return a.st.depth > 0 && a.q.rrtype == dns.TypeDNSKEY && len(m.Answer) > 0
}

// doubtsNoData reports whether another server is asked before NODATA is believed: without an
// SOA (RFC 2308 §2.2) it is also what broken servers answer to everything.
func (a *asking) doubtsNoData(m *reply) bool {
	if m.SOA != nil || len(m.NS) > 0 || m.Upward || a.st.minimised || a.fallback != nil {
		return false
	}
	a.fallback = m
	return true
}

// failure is why no server of the zone gave a response that says something.
func (a *asking) failure(cause error) error {
	err := join(a.errs)
	failed := failureOf(err)
	switch {
	case cause != nil:
		err = cause
	case failed.is(failRouteLoop) && len(a.tried) <= 1:
		// Nobody else was there to be asked.
	case len(a.tried) == 0 && a.list.loopExcluded:
		err = ErrRouteLoop
	case len(a.tried) > 0, a.list.silent() > 0: // those marked down are not tried for this question
		err = wrapCause(ErrNoReachableServer, err)
	default:
		err = wrapCause(ErrNoServerAddress, err)
	}
	if root := a.rootFailure(); cause == nil && root != nil && !failed.is(failNoDescriptors) {
		err = fmt.Errorf("%w: %w", root, err)
	}
	// A question that has spent all it may says nothing about servers: else who wastes a
	// hundred queries could have anybody's held dead by the next.
	if cause == nil && !a.responded && !a.ownFailure && !a.cut.source.forwards() {
		a.list.recordSilence(a.r.config.Now())
	}
	if rt := a.cut.source.route; rt != nil && cause == nil {
		err = &RouteError{Zone: rt.zone.String(), Err: err}
	}
	return &zoneError{zone: a.cut.Zone, servers: a.tried, responded: a.responded, err: err}
}

// wrapCause wraps the cause of an error; without a cause it returns the error.
func wrapCause(what, why error) error {
	if why == nil {
		return what
	}
	return fmt.Errorf("%w: %w", what, why)
}

// rootFailure says why the root servers cannot be asked from here, when none of them sent a
// usable response. It is nil for other zones, and when that may have other reasons.
func (a *asking) rootFailure() error {
	switch {
	case !a.asksRoot():
		return nil
	case a.intercepted > 0:
		return ErrIntercepted
	case len(a.tried) > 0 && !a.responded && !a.cut.source.infra.HeardLately(a.r.config.Now()) && a.list.silent() >= min(blockedAfter, len(a.list.candidates)):
		return ErrBlocked
	}
	return nil
}

// blockedAfter is how many root servers must be silent before port 53 is taken to be
// blocked: they are operated apart, and two of them are never down together.
const blockedAfter = 3
