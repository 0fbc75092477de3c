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
func (r *iterator) ask(ctx context.Context, st *queryState, cut *zoneCut, q question) (*reply, error) {
	by := waiter{parent: st.flight, events: st.events, budget: st.budget, joined: func() {
		st.events.Joined(st.walkRef(), cut.Zone)
	}}
	key := askKey(cut.source.id, cut.Zone, q)
	if len(st.avoidServers) > 0 {
		key += fmt.Sprint(st.walkID, len(st.avoidServers)) // not shared with other walks
	}
	v, err := r.flights.do(ctx, key, by, func(fl *flight) (any, error) {
		return r.newZoneQuery(st.inFlight(fl), cut, q).run(fl.ctx)
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

// zoneQuery is one question to the servers of a zone: the servers that are being asked, the
// look-ups of their addresses, and what has come of both.
type zoneQuery struct {
	r       *iterator
	st      *queryState
	cut     *zoneCut
	q       question
	servers *serverList

	results       chan exchangeResult
	unreachable   chan struct{}     // a port was unreachable
	lookupResults chan lookupResult // nil until a name server's address is looked for
	loops         chan *serverAddr  // servers of a route that lead back to us
	hedgeTimer    *time.Timer       // fires when the reply or look-up is later than expected
	deadProbe     deadProbe         // waited for when no server can be asked
	targetLookups []*detachedLookup // under way or ended

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

func (r *iterator) newZoneQuery(st *queryState, cut *zoneCut, q question) *zoneQuery {
	return &zoneQuery{
		r: r, st: st, cut: cut, q: q,
		servers:     r.servers.serversOf(r.settings.Now(), cut, q, r.triesFor(st), st.depth > 0, st.avoidServers),
		results:     make(chan exchangeResult, maxInFlight),
		unreachable: make(chan struct{}, 1),
		loops:       make(chan *serverAddr),
	}
}

// run is the third loop of RFC 1034 §5.3.3: the server changes.
func (z *zoneQuery) run(ctx context.Context) (*reply, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer z.detach(ctx) // before stop, which would cancel the look-ups
	z.hedgeTimer = time.NewTimer(time.Hour)
	defer z.hedgeTimer.Stop()
	defer z.forgetDeadProbe()
	defer z.leavePlainRetry(plainRetryUnknown)
	z.advance(ctx)
	for z.inFlight+z.lookups > 0 || z.awaitProbe() || z.plainRetry(ctx) {
		select {
		case o := <-z.results:
			if done := z.takeResult(o); done != nil {
				return done, nil
			}
			z.advance(ctx)
		case l := <-z.lookupResults:
			z.addAddresses(l)
			z.advance(ctx)
		case <-z.deadProbe.ended:
			z.takeDeadProbe()
			z.advance(ctx)
		case <-z.hedgeTimer.C:
			z.suspectLoop(ctx)
			z.hedge(ctx)
		case c := <-z.loops:
			if z.takeLoop(c) {
				return nil, z.failure(nil)
			}
			z.hedge(ctx)
		case <-z.unreachable:
			z.hedge(ctx)
		case <-ctx.Done():
			return nil, z.failure(context.Cause(ctx))
		}
	}
	if z.fallback != nil {
		return z.fallback, nil
	}
	return nil, z.failure(endOf(ctx))
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
	if z.inFlight > 0 || z.st.onlyPlainRetry {
		return
	}
	if z.lookups == 0 && z.servers.lookFirst() {
		z.lookUp(ctx)
	}
	if z.lookups > 0 && z.servers.onlyLowPriority() {
		return
	}
	if !z.send(ctx, reasonNone) && z.lookups == 0 {
		z.lookUp(ctx)
	}
}

// hedge asks a second server, or looks up another address, because the first is later than
// expected.
func (z *zoneQuery) hedge(ctx context.Context) {
	switch {
	case z.inFlight >= maxInFlight, z.st.onlyPlainRetry:
	case z.inFlight > 0 && z.send(ctx, reasonHedge):
	case z.lookups < maxLookups:
		z.lookUp(ctx)
	}
}

// send asks the next server, if there is one. The reason is the hedge's, or the one for
// which the list has chosen the server.
func (z *zoneQuery) send(ctx context.Context, hedge queryReason) bool {
	to, why := z.servers.next(z.r.settings.Now())
	if to == nil {
		return false
	}
	if hedge != reasonNone && why != reasonProbe {
		why = hedge
	}
	to.onlyChoice = z.inFlight == 0 && z.servers.onlyLowPriority() && len(z.servers.missing) == 0
	to.waitLonger = to.onlyChoice || z.servers.tries > quickTries && !z.responded
	to.questionRefused = z.refusals >= maxRefusals
	if z.mayRetryPlain(ctx) && z.isLast(to) {
		z.makePlain(to)
	}
	z.exchange(ctx, to, why)
	return true
}

// exchange begins to ask a server.
func (z *zoneQuery) exchange(ctx context.Context, to *serverAddr, why queryReason) {
	if !slices.Contains(z.tried, to.addr) {
		z.tried = append(z.tried, to.addr)
	}
	z.inFlight++
	z.hedgeTimer.Reset(to.estimate.Late + to.jitter)
	z.r.spawn(func() {
		o := exchangeResult{server: to, err: rescue.ErrAborted}
		defer func() { z.results <- o }()
		defer rescue.Into(&o.err)
		o = z.r.upstream.exchange(ctx, z.st.request(z.cut, z.q), to, why, z.unreachable)
	})
}

// takeResult handles the result of asking one server, and returns the reply if it settles
// the question.
func (z *zoneQuery) takeResult(o exchangeResult) *reply {
	rescue.Again(o.err)
	z.inFlight--
	now := z.r.settings.Now()
	o.server.busy = false
	if o.unsent {
		z.servers.putBack(now, o.server)
		z.putBackPlainRetry(o.server)
		return nil
	}
	o.server.estimate = z.cut.source.infra.Estimate(now, o.server.addr)
	// Silence may be a lost packet, and damaged packets may be forged; but these are
	// tolerated once only.
	o.server.excluded = o.server.udpSpoilt || o.server.extraSend || !o.timedOut && !o.udpSpoilt
	o.server.udpSpoilt = o.udpSpoilt
	if o.err != nil {
		z.ownFailure = z.ownFailure || failureOf(o.err).has(ownMeans)
		z.errs = append(z.errs, fmt.Errorf("%s: %w", o.server.addr.Addr(), o.err))
	}
	if o.server.extraSend {
		z.leavePlainRetry(o.plainRetryResult())
	}
	o.server.plainMayHelp, o.server.answeredError = o.plainMayHelp && !o.server.plain, o.reply != nil
	if o.refusedAllForms {
		z.refusals++
	}
	z.responded = z.responded || o.heard
	if o.reply == nil {
		return nil
	}
	switch o.reply.kind {
	case kindAnswer, kindAlias, kindReferral, kindNameError:
		return o.reply
	case kindNoData:
		if !z.doubtsNoData(o.reply) {
			return o.reply
		}
	case kindRecursive:
		z.cut.source.infra.SetLame(now, o.server.addr, z.cut.Zone)
		switch {
		case z.asksRoot() && !z.bringsKeys(o.reply):
			z.intercepted++ // a root server would refer, or answer with authority, even about the root
		case z.fallback == nil:
			z.fallback = o.reply
		}
	case kindLame:
		z.cut.source.infra.SetLame(now, o.server.addr, z.cut.Zone)
		z.errs = append(z.errs, fmt.Errorf("%s: %w (%s)", o.server.addr.Addr(), errLame, rcodeName(o.reply.Rcode)))
		z.noteRecursion(o.reply)
	case kindUnusable:
		z.noteRecursion(o.reply)
	}
	return nil
}

// asksRoot reports whether the root servers are asked, rather than those of a route for the
// root.
func (z *zoneQuery) asksRoot() bool { return z.cut.Zone.IsRoot() && z.cut.source.route == nil }

// noteRecursion counts a refusal by a server that offers recursion: no root server does.
func (z *zoneQuery) noteRecursion(m *reply) {
	if z.asksRoot() && m.RA && !m.AA {
		z.intercepted++
	}
}

// bringsKeys reports whether a response has the keys that the validator asked for. They are
// validated by the trust anchor or a DS, whatever server they come from.
func (z *zoneQuery) bringsKeys(m *reply) bool {
	return z.st.depth > 0 && z.q.rrtype == dns.TypeDNSKEY && len(m.Answer) > 0
}

// doubtsNoData reports whether another server is asked before NODATA is believed: without an
// SOA (RFC 2308 §2.2) it is also what broken servers answer to everything.
func (z *zoneQuery) doubtsNoData(m *reply) bool {
	if m.SOA != nil || len(m.NS) > 0 || m.Upward || z.st.minimised || z.fallback != nil {
		return false
	}
	z.fallback = m
	return true
}

// failure is why no server of the zone sent a response that settles the question.
func (z *zoneQuery) failure(cause error) error {
	err := join(z.errs)
	failed := failureOf(err)
	switch {
	case cause != nil:
		err = cause
	case failed.is(failRouteLoop) && len(z.tried) <= 1:
		// There was no other server to ask.
	case len(z.tried) == 0 && z.servers.loopExcluded:
		err = errRouteLoop
	case len(z.tried) > 0, z.servers.silent() > 0: // those marked down are not tried for this question
		err = wrapCause(errNoReachableServer, err)
	default:
		err = wrapCause(errNoServerAddress, err)
	}
	if root := z.rootFailure(); cause == nil && root != nil && !failed.is(failNoDescriptors) {
		err = fmt.Errorf("%w: %w", root, err)
	}
	// A question that has reached its limits says nothing about servers. Otherwise one that
	// wastes a hundred queries could have any server marked down by the next.
	if cause == nil && !z.responded && !z.ownFailure && !z.cut.source.forwards() {
		z.servers.recordSilence(z.r.settings.Now())
	}
	if rt := z.cut.source.route; rt != nil && cause == nil {
		err = rt.failed(err)
	}
	return &zoneError{zone: z.cut.Zone, servers: z.tried, responded: z.responded, err: err}
}

// rootFailure says why the root servers cannot be asked from here, when none of them sent a
// usable response. It is nil for other zones, and when that may have other reasons.
func (z *zoneQuery) rootFailure() error {
	switch {
	case !z.asksRoot():
		return nil
	case z.intercepted > 0:
		return errIntercepted
	case len(z.tried) > 0 && !z.responded && !z.cut.source.infra.HeardLately(z.r.settings.Now()) && z.servers.silent() >= min(blockedAfter, len(z.servers.addrs)):
		return errBlocked
	}
	return nil
}

// blockedAfter is how many root servers must be silent before port 53 is taken to be
// blocked: they are operated apart, and two of them are never down together.
const blockedAfter = 3
