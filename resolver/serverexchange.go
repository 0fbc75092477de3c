package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/rescue"
	"github.com/iterdns/iterdns/internal/transport"
	"github.com/iterdns/iterdns/internal/wire"
)

const (
	// udpSize is the largest reply asked for over UDP: what fits into an unfragmented
	// packet nearly everywhere (RFC 9715 §3.1; the default of all peers).
	udpSize = 1232
	// tcpTimeout is how long a reply over TCP is waited for, connecting included.
	tcpTimeout = 3 * time.Second
	// clientCookieLen is the length of the client's part of a cookie. RFC 7873 §4.
	clientCookieLen = 8
)

// request is a question to the servers of a zone, and the search that it is part of.
type request struct {
	cut            *zoneCut
	q              question
	minimised      bool // the search asks for more
	sideLookup     bool // the search is for a name server's address, or priming, and not for a client
	needSignatures bool // an answer without signatures is of no use to the search

	budget    *budget      // that is charged
	events    events       // of those who listen to the search
	walk      walkRef      // of the search, in these events
	querySent *atomic.Bool // set once a query is sent
	flight    *flight      // that the search is part of; nil: none
}

// isShed reports whether the search has ended because its slot went to another question.
func (rq *request) isShed() bool { return rq.flight != nil && rq.flight.shed.Load() }

// exchange asks one server one question: it sends a query, and more of them in other forms
// where needed, until the server has sent a whole, genuine reply or has failed. The form of
// each query follows from what came of the one before.
type exchange struct {
	r *upstreamClient
	request
	to          *serverAddr
	why         queryReason
	unreachable chan<- struct{} // receives when the host reports the port as unreachable

	queryForm
	features  infra.Features
	signed    bool             // the zone is known to be signed
	faults    [queryFaults]int // how often each came
	hasLeft   bool             // a query has left this host
	heard     bool
	sawOurID  bool // this send got a datagram that has its ID and is not the reply
	udpSpoilt bool // UDP brought only such datagrams, or a reply right but for the ID: TCP is used

	query     []byte
	sent      time.Time
	cutShort  bool          // the question's time ends before the timeout: this send began late
	accepted  *wire.Message // what accept parsed and accepted
	abandoned abandonReason // why accept abandoned the send
	dropped   int           // messages that this send has ignored
	chargeErr error         // the limit that a message exceeded; nil: none
	malformed error         // why the last unreadable reply, to any of the sends, was dropped; nil: there was none
}

// exchangeResult is what came of an exchange.
type exchangeResult struct {
	server *serverAddr
	reply  *reply // nil: none
	err    error
	// timedOut is set when the last query got no reply at all.
	timedOut bool
	// udpSpoilt is set when what came over UDP was not a reply, or right but for the ID, and
	// nothing came over TCP.
	udpSpoilt bool
	// plainMayHelp is set when the server may have failed because of the form of the
	// queries.
	plainMayHelp bool
	// refusedAllForms is set when the server refused the question in every form.
	refusedAllForms bool
	// heard is set when the server replied, even if the reply was of no use.
	heard bool
	// unsent is set when nothing was sent: the server was marked down while the query waited
	// for a slot, or this host was too slow to send it.
	unsent bool
}

// exchange asks one server until there is a reply that can be classified, or it has failed.
func (r *upstreamClient) exchange(ctx context.Context, rq request, to *serverAddr, why queryReason, late chan<- struct{}) exchangeResult {
	x := &exchange{
		r: r, request: rq, to: to, why: why, unreachable: late,
		features: rq.cut.source.infra.Features(r.settings.Now(), to.addr),
	}
	x.chooseFirstForm()
	if to.endProbe != nil {
		defer to.endProbe()
	}
	leave, err := r.waitQuerySlots(ctx, rq.budget, rq.cut, to.addr)
	if err != nil {
		return x.fail(err)
	}
	defer leave()
	if x.markedDownMeanwhile() {
		return exchangeResult{server: to, unsent: true}
	}
	for {
		again, out := x.send(ctx)
		if !again {
			out.heard, out.plainMayHelp, out.refusedAllForms = x.heard, x.plainMayHelp(out), x.refusedAllForms(out)
			return out
		}
	}
}

// chooseFirstForm chooses the form of the first query.
func (x *exchange) chooseFirstForm() {
	x.signed = x.mustBeSigned()
	x.queryForm = firstForm(x.to.network(), x.features, !x.r.settings.DisableCaseRandomisation, x.signed)
	if x.to.plain {
		x.queryForm = x.queryForm.plain()
	}
}

// mustBeSigned reports whether an answer without signatures is known to be useless.
func (x *exchange) mustBeSigned() bool {
	if !x.r.settings.Validates {
		return false
	}
	return x.needSignatures || x.cut.signed || !x.cut.source.forwards() && x.r.keyCacheNow().isSigned(x.r.settings.Now(), x.cut.Zone)
}

// keyCacheNow returns the key cache as the views of now divide it.
func (r *upstreamClient) keyCacheNow() keyCacheView {
	return r.keyCache.dividedBy(r.routes.currentRoutes())
}

// markedDownMeanwhile reports whether other queries have found the server silent while this
// one waited for a slot. Servers that are marked down get single probes, not every query
// that waits.
func (x *exchange) markedDownMeanwhile() bool {
	return !x.to.estimate.Dead && !x.cut.source.forwards() &&
		x.cut.source.infra.Estimate(x.r.settings.Now(), x.to.addr).Dead
}

// send sends one query and decides what follows: another one to the same server, or the
// result.
func (x *exchange) send(ctx context.Context) (again bool, out exchangeResult) {
	if n := x.to.sends.over(x.network); n > x.r.settings.Limits.SendsPerServer {
		limit := x.budget.refuse(limitSendsPerServer)
		return false, x.fail(fmt.Errorf("%w: %w", limit, errRefusesToSettle))
	}
	if err := x.budget.send(); err != nil {
		return false, x.fail(err)
	}
	leave, err := x.waitSocketSlot(ctx)
	if err != nil {
		return false, x.fail(err)
	}
	defer leave()
	x.write()
	id := x.tellQuery()
	timeout := x.timeout()
	end, ends := ctx.Deadline()
	x.cutShort = ends && time.Until(end) < timeout
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	x.accepted, x.abandoned, x.sawOurID, x.dropped = nil, notAbandoned, false, 0
	x.sent = time.Now()
	resume := x.r.flights.stagger.pause() // in tests: a connection that ends fails several sends
	msg, err := x.sender().Send(ctx, x.network, x.to.addr, x.query, transport.Watch{
		Check: x.accept, Sent: x.onSent, Refused: x.onUnreachable, Waits: x.noteConnectionWait,
	})
	rtt := time.Since(x.sent)
	resume()
	if err != nil {
		x.tellFailure(id, x.network, rtt, msg, err)
		if x.chargeErr != nil {
			return false, x.fail(x.chargeErr)
		}
		return x.handleFailure(err)
	}
	x.heard = true
	x.recordReply(rtt)
	network := x.network // of this send; judging may choose another for the next
	again, out = x.handleReply(msg)
	x.tellResponse(id, network, rtt, msg, out)
	return again, out
}

// sender returns what carries the queries: the forwarder's own transport, or the resolver's.
func (x *exchange) sender() sender {
	if x.to.forwarder != nil && x.to.forwarder.sender != nil {
		return x.to.forwarder.sender
	}
	return x.r.sender
}

// onSent is called when a query has left this host.
func (x *exchange) onSent() {
	x.hasLeft = true
	x.r.counts.sent(x.network)
}

// onUnreachable is called when the host reports the server's port as unreachable.
func (x *exchange) onUnreachable() {
	select {
	case x.unreachable <- struct{}{}:
	default: // it is signalled already
	}
}

// handleFailure decides what follows a send without an acceptable reply.
func (x *exchange) handleFailure(err error) (again bool, out exchangeResult) {
	addr := x.to.addr
	rescue.Again(err) // of a connection that several sends share
	err = namedCause(err)
	f := failureOf(err)
	if f.is(failNoDescriptors) || f.is(failAborted) {
		return false, x.fail(err)
	}
	if errors.Is(err, transport.ErrConns) && f.isTimeout() {
		return false, x.fail(x.budget.waitedInVain(limitConnections, err))
	}
	var sending *transport.Error
	if x.network == "udp" && errors.As(err, &sending) && sending.Unsent() {
		switch {
		case !f.isTimeout() || x.cutShort:
			return false, x.fail(err)
		case x.hasLeft: // the server has replied to an earlier form: the next form is left to another try
			return false, exchangeResult{server: x.to, err: err, timedOut: true}
		}
		return false, exchangeResult{server: x.to, unsent: true}
	}
	if f.isTimeout() {
		x.r.counts.timedOut.Add(1)
	}
	if x.malformed != nil {
		err = fmt.Errorf("%w: %w", x.malformed, err)
	}
	switch {
	case errors.Is(err, transport.ErrAbandoned):
		return x.afterAbandon(err)
	case errors.Is(err, transport.ErrStale):
		return x.retry(faultConnection, err)
	case f.is(failCanceled):
		x.lateLoss()
		return false, exchangeResult{server: x.to, err: err}
	case f.isTimeout() && x.network == "tcp" && !x.streamOnly():
		// It may well be alive, as its reply over UDP led here, but it is of no use.
		return false, x.endInVain(err)
	case f.isTimeout() && x.cutShort: // the question's time is over, not the server's
		x.lateLoss()
		return false, x.fail(err)
	case f.isTimeout():
		x.cut.source.infra.TimedOut(x.r.settings.Now(), addr, x.to.estimate.Replies)
		if x.sawOurID && x.network == "udp" && !x.to.udpSpoilt && !x.to.plain {
			x.udpSpoilt = true
			return x.retry(faultForged, err) // not silent: what came is damaged or forged
		}
		return false, exchangeResult{server: x.to, err: err, timedOut: true}
	}
	return false, x.endInVain(err)
}

// endInVain ends the exchange after a send that failed. When TCP was used only because what
// came over UDP was damaged, or right but for the ID, the server may be tried over UDP
// again, from another port: otherwise one forged or damaged packet would cost the answer of
// a server without TCP. That allows a forger one more guess (RFC 5452 §9.2), and no more.
func (x *exchange) endInVain(err error) exchangeResult {
	return exchangeResult{server: x.to, err: err, udpSpoilt: x.udpSpoilt && x.network == "tcp"}
}

// afterAbandon decides how to ask again after a reply that may be forged. TCP is safe from
// an attacker who cannot see the traffic.
func (x *exchange) afterAbandon(err error) (again bool, out exchangeResult) {
	switch x.abandoned {
	case wrongCase:
		x.cut.source.infra.LostCase(x.r.settings.Now(), x.to.addr)
		return x.retry(faultCase, err)
	case wrongCookie:
		return x.retry(faultCookie, err)
	case flooded:
		return x.afterFlood()
	case wrongID, notAbandoned:
	}
	x.udpSpoilt = true
	return x.retry(faultForged, err)
}

// afterFlood goes on over TCP, and over UDP once more if there is no TCP: a flood must cost
// the question no more than silence does.
func (x *exchange) afterFlood() (again bool, out exchangeResult) {
	if x.network == "tcp" {
		return false, x.endInVain(wrapCause(errFlooded, x.malformed))
	}
	x.udpSpoilt = true
	return x.retry(faultForged, wrapCause(errFlooded, x.malformed))
}

// streamOnly reports whether the server is never asked over UDP.
func (x *exchange) streamOnly() bool { return x.to.forwarder != nil && x.to.forwarder.stream }

// retry asks the server again in the form that follows from what went wrong. If there is
// none, the exchange ends with err.
func (x *exchange) retry(what queryFault, err error) (again bool, out exchangeResult) {
	if x.nextForm(what) {
		return true, exchangeResult{}
	}
	return false, exchangeResult{server: x.to, err: err}
}

// nextForm chooses the form of the next query, and reports whether there is one.
func (x *exchange) nextForm(what queryFault) bool {
	x.faults[what]++
	next, why, ok := x.queryForm.after(what, x.faults[what], fallbackBounds{
		signed: x.signed, folds: x.features.Folds, questionRefused: x.to.questionRefused, plainRetry: x.to.plain, noTCP: x.to.udpSpoilt,
	})
	if ok {
		x.queryForm, x.why = next, why
	}
	return ok
}

// fail ends the exchange with an error that says nothing about whether the server is alive.
func (x *exchange) fail(err error) exchangeResult { return exchangeResult{server: x.to, err: err} }

// handleReply decides what a genuine reply means: the query has to be repeated in another
// form, or what kind of response it is.
func (x *exchange) handleReply(msg []byte) (again bool, out exchangeResult) {
	m := x.accepted
	if m == nil {
		x.nextForm(faultTruncated)
		return true, exchangeResult{}
	}
	if x.network == "tcp" && m.Flags&wire.TC != 0 {
		return false, x.fail(errCutOff) // RFC 2181 §9: not to be used, and no transport carries more
	}
	switch rcode := m.Rcode(); {
	case rcode == dns.RcodeBadCookie && x.edns == ednsCookie:
		x.features.Cookie = x.cut.source.infra.Features(x.r.settings.Now(), x.to.addr).Cookie
		if x.nextForm(faultBadCookie) {
			return true, exchangeResult{}
		}
	case refusesEDNS(rcode):
		if x.nextForm(faultRefused) {
			return true, exchangeResult{}
		}
	}
	if m.NoQuestion {
		return false, x.fail(errNoQuestion)
	}
	out = x.r.readResponse(m, x.cut, x.q, msg, x.to)
	if out.reply != nil {
		out.reply.vouched, out.reply.withoutEDNS = x.vouchedFor(m), x.edns == ednsNone
		if x.cutsBelowNoCut(out.reply) {
			return x.confirmCut(out.reply)
		}
	}
	if out.isGood() {
		x.learnForm()
	}
	return false, out
}

// cutsBelowNoCut reports whether a reply that may be forged refers to a zone at a name where
// no zone cut is known to be. A forger that wants a name delegated to itself can try once
// for each random name below it, and most of these forgeries show in this way.
func (x *exchange) cutsBelowNoCut(m *reply) bool {
	if m.kind != kindReferral || m.vouched || x.to.unconfirmedCut == m.delegation.Zone {
		return false
	}
	known := x.cut.source.cuts.NoCut(x.r.settings.Now(), x.cut.Zone, x.q.name)
	return known != "" && known.IsAtOrBelow(m.delegation.Zone)
}

// confirmCut asks again over TCP, as after every reply that is nearly right. Where TCP
// fails, the same reply over UDP from another port is enough: nobody guesses right twice in
// a row.
func (x *exchange) confirmCut(m *reply) (again bool, out exchangeResult) {
	x.r.counts.drop(droppedReferral)
	x.to.unconfirmedCut, x.udpSpoilt = m.delegation.Zone, true
	return x.retry(faultForged, errUnconfirmedCut)
}

// errUnconfirmedCut means that a referral may be forged, and could not be confirmed.
var errUnconfirmedCut = errors.New("unconfirmed referral below a name without zone cut")

// vouchedFor reports whether a reply proves that its sender has seen the query: it came over
// a connection, or has the client cookie that was sent and a server cookie (RFC 7873 §5.3),
// which are 64 bits more for a forger to guess.
func (x *exchange) vouchedFor(m *wire.Message) bool {
	return x.network == "tcp" || x.edns == ednsCookie && m.EDNS != nil && len(m.EDNS.Cookie) > clientCookieLen &&
		bytes.Equal(m.EDNS.Cookie[:clientCookieLen], x.features.Cookie[:clientCookieLen])
}

// isGood reports whether the server said something about the question.
func (o exchangeResult) isGood() bool {
	return o.reply != nil && o.reply.kind != kindLame && o.reply.kind != kindUnusable
}

// plainRetryResult returns what came of the exchange when it was a plain retry.
func (o exchangeResult) plainRetryResult() plainRetryResult {
	switch {
	case o.isGood():
		return plainRetryHelped
	case o.reply != nil, o.timedOut, o.udpSpoilt:
		return plainRetryInVain
	}
	return plainRetryUnknown
}

// plainMayHelp reports whether the form of the queries may be why no good reply came. An
// error is not due to it if the server has accepted the full form a moment ago, unless it is
// an error by which servers refuse EDNS: mixed letter case has not been left out yet then. A
// reply right but for the ID is a guess, and the next guess must not become easier. An error
// of a forwarder is mostly about the name, and where forwarders ask each other in a loop
// each further query would double.
func (x *exchange) plainMayHelp(out exchangeResult) bool {
	switch {
	case out.isGood() || x.udpSpoilt || x.to.udpSpoilt:
		return false
	case x.refusedAllForms(out):
		return !x.cut.source.forwards()
	case out.reply != nil:
		return !acceptsForm(out.reply.Rcode) && !x.features.Full && !x.cut.source.forwards()
	}
	return out.timedOut || x.faults[faultCase]+x.faults[faultCookie] > 0
}

// acceptsForm reports whether a response code shows that the form of the query was accepted.
func acceptsForm(rcode int) bool {
	return rcode == dns.RcodeSuccess || rcode == dns.RcodeNameError || rcode == dns.RcodeYXDomain
}

// refusedAllForms reports whether the server refused EDNS, and said nothing of use without
// it.
func (x *exchange) refusedAllForms(out exchangeResult) bool {
	return x.faults[faultRefused] > 0 && x.accepted != nil && !out.isGood()
}
