package upstream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/events"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/flight"
	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/routes"
	"github.com/iterdns/iterdns/internal/slist"
	"github.com/iterdns/iterdns/internal/transport"
	"github.com/iterdns/iterdns/internal/wire"
)

// Request is a question to the servers of a zone, and the search that it is part of.
type Request struct {
	Cut            *routes.ZoneCut
	Q              answer.Question
	Minimised      bool // the search asks for more
	SideLookup     bool // the search is for a name server's address, or priming, and not for a client
	NeedSignatures bool // an answer without signatures is of no use to the search
	NSID           bool // the server is asked for its identity too (RFC 5001)

	Budget    *budget.Budget // that is charged
	Events    events.Sink    // of those who listen to the search
	Walk      events.Step    // of the search, in these events
	QuerySent *atomic.Bool   // set once a query is sent; may be nil
	Flight    *flight.Flight // that the search is part of; nil: none
}

// isShed reports whether the search has ended because its slot went to another question.
func (rq *Request) isShed() bool { return rq.Flight != nil && rq.Flight.Shed.Load() }

// exchange asks one server one question: it sends a query, and more of them in other forms
// where needed, until the server has sent a whole, genuine reply or has failed. The form of
// each query follows from what came of the one before.
type exchange struct {
	r *Client
	Request
	to          *slist.Server
	why         events.Reason
	unreachable chan<- struct{} // receives when the host reports the port as unreachable

	slots querySlots
	queryForm
	features  infra.Features
	isDown    bool             // the server is marked down now
	signed    bool             // the zone is known to be signed
	faults    [queryFaults]int // how often each came
	hasLeft   bool             // a query has left this host
	heard     bool
	sawOurID  bool // this send got a datagram that has its ID and is not the reply
	udpSpoilt bool // UDP brought only such datagrams, or a reply right but for the ID: TCP is used

	unsigned *Reply // what a root server is said to have sent over UDP, without signatures

	query      []byte
	room       [128]byte // of the first query; a longer one does not fit
	sent       time.Time
	cutShort   bool          // the question's time ends before the timeout: this send began late
	accepted   *wire.Message // what accept parsed and accepted
	abandoned  abandonReason // why accept abandoned the send
	dropped    int           // messages that this send has ignored
	chargeErr  error         // the limit that a message exceeded; nil: none
	rtt        time.Duration // of the last query that was answered
	answeredBy string        // its network
	malformed  error         // why the last unreadable reply, to any of the sends, was dropped; nil: there was none
}

// Result is what came of an exchange.
type Result struct {
	Server *slist.Server
	Reply  *Reply // nil: none
	Err    error
	// RTT and Network are those of the last query that was answered; Network is "" if none was.
	RTT     time.Duration
	Network string
	// TimedOut is set when the last query got no reply at all.
	TimedOut bool
	// UDPSpoilt is set when what came over UDP was not a reply, or right but for the ID, and
	// nothing came over TCP.
	UDPSpoilt bool
	// PlainMayHelp is set when the server may have failed because of the form of the
	// queries.
	PlainMayHelp bool
	// RefusedAllForms is set when the server refused the question in every form.
	RefusedAllForms bool
	// Heard is set when the server replied, even if the reply was of no use.
	Heard bool
	// Stripped is set when a root server's reply over UDP had no signatures, and over TCP it has.
	Stripped bool
	// Unsent is set when nothing was sent: the server was marked down while the query waited
	// for a slot, or this host was too slow to send it.
	Unsent bool
}

// Exchange asks one server until there is a reply that can be classified, or it has failed.
func (r *Client) Exchange(ctx context.Context, rq Request, to *slist.Server, why events.Reason, unreachable chan<- struct{}) Result {
	var x exchange
	x.begin(r, rq, to, why)
	return x.run(ctx, unreachable)
}

// begin makes the exchange, whose first query is not made yet.
func (x *exchange) begin(r *Client, rq Request, to *slist.Server, why events.Reason) {
	x.r, x.Request, x.to, x.why = r, rq, to, why
	var estimate infra.Estimate
	estimate, x.features = rq.Cut.Source.Infra.Contact(r.Settings.Now(), to.Addr)
	x.isDown = estimate.Dead
	x.chooseFirstForm()
}

// run waits for the slots of the exchange, and sends.
func (x *exchange) run(ctx context.Context, unreachable chan<- struct{}) Result {
	x.unreachable = unreachable
	if x.to.EndProbe != nil {
		defer x.to.EndProbe()
	}
	if err := x.waitQuerySlots(ctx); err != nil {
		return x.fail(err)
	}
	defer x.slots.leave()
	x.isDown = x.to.IsDown(x.r.Settings.Now(), x.Cut.Source.Infra)
	if x.markedDownMeanwhile() {
		return Result{Server: x.to, Unsent: true}
	}
	return x.repeat(ctx)
}

// repeat sends one query after the other until the exchange ends.
func (x *exchange) repeat(ctx context.Context) Result {
	for {
		if again, out := x.send(ctx); !again {
			return x.concluded(out)
		}
	}
}

// concluded adds to a result what is known from the whole exchange.
func (x *exchange) concluded(out Result) Result {
	out.RTT, out.Network = x.rtt, x.answeredBy
	switch {
	case x.unsigned == nil:
	case out.Reply != nil:
		out.Stripped = hasSignatures(&out.Reply.Reply)
	case !failure.Of(out.Err).IsOfLeader(): // TCP was of no use
		out = Result{Server: x.to, Reply: x.unsigned, RTT: x.rtt, Network: "udp"}
	}
	if out.Reply != nil {
		out.Reply.RoundUDP = x.to.OverTCP || out.Stripped
	}
	out.Heard, out.PlainMayHelp, out.RefusedAllForms = x.heard, x.plainMayHelp(out), x.refusedAllForms(out)
	return out
}

// chooseFirstForm chooses the form of the first query.
func (x *exchange) chooseFirstForm() {
	x.signed = x.mustBeSigned()
	x.queryForm = firstForm(x.to.Network(), x.features, !x.r.Settings.DisableCaseRandomisation, x.signed)
	if x.to.Plain {
		x.queryForm = x.queryForm.plain()
	}
}

// mustBeSigned reports whether an answer without signatures is known to be useless.
func (x *exchange) mustBeSigned() bool {
	if !x.r.Settings.Validates {
		return false
	}
	return x.NeedSignatures || x.Cut.Signed || !x.Cut.Source.Forwards() && x.r.KeyCacheNow().IsSigned(x.r.Settings.Now(), x.Cut.Zone)
}

// markedDownMeanwhile reports whether other queries have found the server silent since it was
// chosen. Servers that are marked down get single probes, not every query that waits.
func (x *exchange) markedDownMeanwhile() bool {
	return x.isDown && !x.to.Estimate.Dead && !x.Cut.Source.Forwards()
}

// send sends one query and decides what follows: another one to the same server, or the
// result.
func (x *exchange) send(ctx context.Context) (again bool, out Result) {
	if err := x.chargeSend(); err != nil {
		return false, x.fail(err)
	}
	slots, err := x.waitSocketSlot(ctx)
	if err != nil {
		return false, x.fail(err)
	}
	defer slots.leave()
	id, timeout := x.prepare(ctx)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resume := x.r.Flights.Stagger.Pause() // in tests: a connection that ends fails several sends
	msg, err := x.sender().Send(ctx, x.network, x.to.Addr, x.query, transport.Watch{
		Check: x.accept, Sent: x.onSent, Unreachable: x.onUnreachable, Waits: x.noteConnectionWait,
	})
	rtt := time.Since(x.sent)
	resume()
	return x.handleSend(id, rtt, msg, err)
}

// chargeSend counts a query to the server, unless it is one too many.
func (x *exchange) chargeSend() error {
	if n := x.to.Sends.Over(x.network); n > x.r.Settings.Limits.SendsPerServer {
		return fmt.Errorf("%w: %w", x.Budget.Exceeded(limits.SendsPerServer), failure.ErrRefusesToSettle)
	}
	return x.Budget.ChargeQuery()
}

// prepare makes the next query ready to be sent now, and returns its number in the events of the
// search, and for how long its reply is waited for.
func (x *exchange) prepare(ctx context.Context) (id int, timeout time.Duration) {
	x.write()
	id, timeout = x.tellQuery(), x.timeout()
	end, ends := ctx.Deadline()
	x.cutShort = ends && time.Until(end) < timeout
	x.accepted, x.abandoned, x.sawOurID, x.dropped = nil, notAbandoned, false, 0
	x.sent = time.Now()
	return id, timeout
}

// handleSend decides what follows a send: another query to the same server, or the result.
func (x *exchange) handleSend(id int, rtt time.Duration, msg []byte, err error) (again bool, out Result) {
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = &failure.TimeoutError{Err: err}
		}
		x.tellFailure(id, x.network, rtt, msg, err)
		if x.chargeErr != nil {
			return false, x.fail(x.chargeErr)
		}
		return x.handleFailure(err)
	}
	x.heard = true
	x.recordReply(rtt)
	x.rtt, x.answeredBy = rtt, x.label(x.network)
	network := x.network // of this send; judging may choose another for the next
	again, out = x.handleReply(msg)
	x.tellResponse(id, network, rtt, msg, out)
	return again, out
}

// sender returns what carries the queries: the forwarder's own transport, or the resolver's.
func (x *exchange) sender() routes.Sender {
	if x.to.Forwarder != nil && x.to.Forwarder.Sender != nil {
		return x.to.Forwarder.Sender
	}
	return x.r.sender
}

// onSent is called when a query has left this host.
func (x *exchange) onSent() {
	x.hasLeft = true
	x.r.Counts.Sent(x.network, x.to.IsOverTLS())
	x.Budget.NoteSent(x.to.IsOverTLS())
}

// onUnreachable is called when the host reports the server's port as unreachable.
func (x *exchange) onUnreachable() {
	select {
	case x.unreachable <- struct{}{}:
	default: // it is signalled already
	}
}

// streamOnly reports whether the server is never asked over UDP.
func (x *exchange) streamOnly() bool {
	return x.to.OverTCP || x.to.Forwarder != nil && x.to.Forwarder.Stream
}

// fail ends the exchange with an error that says nothing about whether the server is alive.
func (x *exchange) fail(err error) Result { return Result{Server: x.to, Err: err} }

// isGood reports whether the server said something about the question.
func (o Result) isGood() bool {
	return o.Reply != nil && o.Reply.Kind != answer.KindLame && o.Reply.Kind != answer.KindUnusable
}

// PlainRetryResult returns what came of the exchange when it was a plain retry.
func (o Result) PlainRetryResult() slist.PlainRetryResult {
	switch {
	case o.isGood():
		return slist.PlainRetryHelped
	case o.Reply != nil, o.TimedOut, o.UDPSpoilt:
		return slist.PlainRetryInVain
	}
	return slist.PlainRetryUnknown
}
