package resolver

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/transport"
	"github.com/iterdns/iterdns/internal/wire"
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

// streamOnly reports whether the server is never asked over UDP.
func (x *exchange) streamOnly() bool { return x.to.forwarder != nil && x.to.forwarder.stream }

// fail ends the exchange with an error that says nothing about whether the server is alive.
func (x *exchange) fail(err error) exchangeResult { return exchangeResult{server: x.to, err: err} }

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
