package resolver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// conversation is the exchange with one server about one question: a query, and as
// many more as it takes to get a whole, genuine reply from this server or to see
// that there is none. How each is sent follows from what came of the one before.
type conversation struct {
	r    *Resolver
	t    *task
	cut  *zoneCut
	q    question
	to   *candidate
	why  QueryReason
	late chan<- struct{} // told when the host says that the port is unreachable

	manner
	features infra.Features
	signed   bool          // the zone is known to be signed
	times    [troubles]int // how often each of them came
	asked    bool          // a query has left this host
	heard    bool
	odd      bool // a datagram with our ID came to this send, and was no reply
	spoilt   bool // that and nothing else came, or a reply right but for the ID, so that TCP is used

	query     []byte
	sent      time.Time
	cutShort  bool          // the question's time ends before a reply is due: it got its turn late
	accepted  *wire.Message // what check took apart and accepted
	doubt     doubt         // why check abandoned the send
	dropped   int           // messages that this send has ignored
	overdrawn error         // what the question could not pay for what came; nil: nothing
	broken    error         // what was wrong with the last reply that could not be read, to whichever send; nil: none
}

// outcome is what came of a conversation.
type outcome struct {
	to    *candidate
	reply *reply // nil: none
	err   error
	// timedOut is set when the last query got no reply at all.
	timedOut bool
	// spoilt is set when what came over UDP was no reply, or right but for the ID, and nothing
	// came over TCP.
	spoilt bool
	// mendable is set when it may have failed for the way in which the server was asked.
	mendable bool
	// refused is set when the server refused the question in every way in which it was asked.
	refused bool
	// heard is set when the server replied, if only with something of no use.
	heard bool
	// unsent is set when the server was not asked at all: it died before its turn came, or this host
	// had no time for it.
	unsent bool
}

// converse asks one server until there is a reply that can be classified.
func (r *Resolver) converse(ctx context.Context, t *task, cut *zoneCut, q question, to *candidate, why QueryReason, late chan<- struct{}) outcome {
	c := &conversation{
		r: r, t: t, cut: cut, q: q, to: to, why: why, late: late,
		features: cut.from.infra.Features(r.config.Now(), to.addr),
	}
	c.begin()
	if to.endProbe != nil {
		defer to.endProbe()
	}
	leave, err := r.enter(ctx, t.budget, cut, to.addr)
	if err != nil {
		return c.fail(err)
	}
	defer leave()
	if c.diedMeanwhile() {
		return outcome{to: to, unsent: true}
	}
	for {
		again, out := c.send(ctx)
		if !again {
			out.heard, out.mendable, out.refused = c.heard, c.isMendable(out), c.refusedAll(out)
			return out
		}
	}
}

// begin chooses the way of asking to begin with.
func (c *conversation) begin() {
	c.signed = c.mustSign()
	c.manner = firstManner(c.to.network(), c.features, !c.r.config.DisableCaseRandomisation, c.signed)
	if c.to.plain {
		c.manner = c.manner.plain()
	}
}

// mustSign reports whether the answer is known to be of no use without signatures.
func (c *conversation) mustSign() bool {
	if c.r.config.Validation != Validate {
		return false
	}
	return c.t.signatures || c.cut.signed || !c.cut.from.forwards() && c.r.provenNow().isSigned(c.r.config.Now(), c.cut.Zone)
}

// diedMeanwhile reports whether others have found the server silent while this query
// waited for its turn. Dead servers are for single probes, not for all who stand in line.
func (c *conversation) diedMeanwhile() bool {
	return !c.to.estimate.Dead && !c.cut.from.forwards() &&
		c.cut.from.infra.Estimate(c.r.config.Now(), c.to.addr).Dead
}

// send sends once and decides what follows: another query to the same server, or the
// outcome.
func (c *conversation) send(ctx context.Context) (again bool, out outcome) {
	if n := c.to.sends.over(c.network); n > c.r.config.limits.SendsPerServer {
		limit := c.t.budget.refused.refuse("SendsPerServer", c.r.config.limits.SendsPerServer)
		return false, c.fail(fmt.Errorf("%w: %w", limit, errRefusesToSettle))
	}
	if err := c.t.budget.send(); err != nil {
		return false, c.fail(err)
	}
	leave, err := c.connect(ctx)
	if err != nil {
		return false, c.fail(err)
	}
	defer leave()
	c.write()
	id := c.traceQuery()
	timeout := c.timeout()
	end, ends := ctx.Deadline()
	c.cutShort = ends && time.Until(end) < timeout
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c.accepted, c.doubt, c.odd, c.dropped = nil, doubtless, false, 0
	c.sent = time.Now()
	replied := c.r.flights.stagger.pause() // a connection that ends fails several
	octets, err := c.sender().Send(ctx, c.network, c.to.addr, c.query, transport.Watch{
		Check: c.check, Sent: c.left, Refused: c.refused, Waits: c.waits,
	})
	rtt := time.Since(c.sent)
	replied()
	if err != nil {
		c.traceFailure(id, c.network, rtt, octets, err)
		if c.overdrawn != nil {
			return false, c.fail(c.overdrawn)
		}
		return c.failed(err)
	}
	c.heard = true
	c.learn(rtt)
	network := c.network // of this send; judging may choose another for the next
	again, out = c.judge(octets)
	c.traceResponse(id, network, rtt, octets, out)
	return again, out
}

// timeout is how long to wait for a reply to this send.
func (c *conversation) timeout() time.Duration { return c.wait() + c.to.patience }

func (c *conversation) wait() time.Duration {
	e := c.to.estimate
	switch {
	case c.network == "tcp":
		return tcpTimeout
	case c.cut.from.forwards():
		return max(e.Timeout, forwardTimeout<<min(max(c.to.tries-1, 0), 2))
	case c.to.resort:
		return max(e.Timeout, loneTimeout)
	case e.Dead:
		return e.Timeout
	case c.to.isSlow(c.t.isSide()):
		c.to.awaited = true
		return max(e.Timeout, slowTimeout)
	case c.to.alone && !e.Known, c.to.only && c.to.last:
		return max(e.Timeout, loneTimeout)
	}
	return e.Timeout
}

// isSlow reports whether the only server is given the time that slow ones need: in the last
// send to it, and in the one before if nothing is known of it. Once is enough, and none for a
// look-up beside the question: there are many of these.
func (c *candidate) isSlow(side bool) bool {
	switch {
	case !c.only || c.spoilt || c.awaited:
		return false
	case c.estimate.Known:
		return c.last && !side
	}
	return c.last && !side || c.tries == 2
}

// loneTimeout is how long the first reply of a server is waited for when nobody else
// could be asked: asking the same server again too early throws its reply away.
const loneTimeout = 800 * time.Millisecond

// slowTimeout is how long the only server's reply is waited for when the first one did not
// come: either that was lost, or the server is slower than most, as behind a satellite and a
// queue, or with this question: one that is quick for its keys may have to look elsewhere for
// the rest. Sockets of earlier sends are not kept open instead: each would be one more target
// for a forger. With three sends it is known after 3.6 s that the server is silent, before
// stub resolvers give up (resolv.conf(5): 5 s).
const slowTimeout = 2 * time.Second

// forwardTimeout is how long a forwarder is waited for at first, twice as long the next
// time, and so on: what it has in its cache it answers at once, for the rest it must wait
// for others.
const forwardTimeout = time.Second

// sender gives who carries the queries.
func (c *conversation) sender() sender {
	if c.to.hop != nil && c.to.hop.sender != nil {
		return c.to.hop.sender
	}
	return c.r.sender
}

// network gives what the first query goes over, as the transport knows it.
func (c *candidate) network() string {
	if c.hop != nil && c.hop.stream {
		return "tcp"
	}
	return "udp"
}

// isEncrypted reports whether nobody on the way can read the query.
func (c *candidate) isEncrypted() bool { return c.hop != nil && c.hop.stream && c.hop.network != "tcp" }

// left is called when a query has left this host.
func (c *conversation) left() {
	c.asked = true
	c.r.counts.sent(c.network)
}

func (c *conversation) refused() {
	select {
	case c.late <- struct{}{}:
	default: // somebody has been told already
	}
}

// failed decides what follows a send without an acceptable reply.
func (c *conversation) failed(err error) (again bool, out outcome) {
	addr := c.to.addr
	rescue.Again(err) // of a connection that several sends share
	if err = named(err); errors.Is(err, ErrNoDescriptors) || errors.Is(err, rescue.ErrAborted) {
		return false, c.fail(err)
	}
	if errors.Is(err, transport.ErrConns) && isTimeout(err) {
		return false, c.fail(c.t.budget.heldBy(limitConnections, c.r.config.limits.Connections, err))
	}
	var sending *transport.Error
	if c.network == "udp" && errors.As(err, &sending) && sending.Unsent() {
		switch {
		case !isTimeout(err) || c.cutShort:
			return false, c.fail(err)
		case c.asked: // and it wants to be asked in another way, which is for another try
			return false, outcome{to: c.to, err: err, timedOut: true}
		}
		return false, outcome{to: c.to, unsent: true}
	}
	if isTimeout(err) {
		c.r.counts.timedOut.Add(1)
	}
	if c.broken != nil {
		err = fmt.Errorf("%w: %w", c.broken, err)
	}
	switch {
	case errors.Is(err, transport.ErrAbandoned):
		return c.distrust(err)
	case errors.Is(err, transport.ErrStale):
		return c.another(troubleConnection, err)
	case errors.Is(err, context.Canceled):
		c.overtaken()
		return false, outcome{to: c.to, err: err}
	case isTimeout(err) && c.network == "tcp" && !c.streamOnly():
		// It may well be alive over UDP, from where we come; but it is of no use.
		return false, c.inVain(err)
	case isTimeout(err) && c.cutShort: // the question's time is over, and not the server's
		c.overtaken()
		return false, c.fail(err)
	case isTimeout(err):
		c.cut.from.infra.TimedOut(c.r.config.Now(), addr, c.to.estimate.Replies)
		if c.odd && c.network == "udp" && !c.to.spoilt && !c.to.plain {
			c.spoilt = true
			return c.another(troubleForged, err) // not silent: what came is spoilt, or forged
		}
		return false, outcome{to: c.to, err: err, timedOut: true}
	}
	return false, c.inVain(err)
}

// inVain ends the conversation after a send that failed. If TCP was only used since what came
// over UDP was spoilt or right but for the ID, UDP gets another try from another port: one
// packet of a stranger, or one that was spoilt on the way, would else cost the answer of a
// server that has no TCP. It is one more guess for who guesses (RFC 5452 §9.2), and no more.
func (c *conversation) inVain(err error) outcome {
	return outcome{to: c.to, err: err, spoilt: c.spoilt && c.network == "tcp"}
}

// overtaken records what it says about a server that another one answered first, or that
// nobody waits for it any more: that it is as good as lost, if it was late by then. When the
// question had to make room for others it says nothing: that happens to what is slow.
func (c *conversation) overtaken() {
	addr := c.to.addr
	if c.t.madeRoom() {
		return
	}
	if (c.network == "udp" || c.streamOnly()) && time.Since(c.sent) >= c.to.estimate.Late {
		c.cut.from.infra.TimedOut(c.r.config.Now(), addr, c.to.estimate.Replies)
	}
}

// distrust decides how to ask again after a reply that may be forged. Over TCP an
// attacker who sees nothing has no say.
func (c *conversation) distrust(err error) (again bool, out outcome) {
	switch c.doubt {
	case wrongCase:
		c.cut.from.infra.LostCase(c.r.config.Now(), c.to.addr)
		return c.another(troubleCase, err)
	case wrongCookie:
		return c.another(troubleCookie, err)
	case flooded:
		return c.leaveFlood()
	case wrongID, doubtless:
	}
	c.spoilt = true
	return c.another(troubleForged, err)
}

// leaveFlood goes on over TCP, and over UDP once more if there is none: a flood is to cost the
// question no more than silence does.
func (c *conversation) leaveFlood() (again bool, out outcome) {
	if c.network == "tcp" {
		return false, c.inVain(because(errFlooded, c.broken))
	}
	c.spoilt = true
	return c.another(troubleForged, because(errFlooded, c.broken))
}

// streamOnly reports whether the server is never asked over UDP.
func (c *conversation) streamOnly() bool { return c.to.hop != nil && c.to.hop.stream }

// another has the server asked in the way that follows from what went wrong. If there is
// none the conversation ends with err.
func (c *conversation) another(what trouble, err error) (again bool, out outcome) {
	if c.follow(what) {
		return true, outcome{}
	}
	return false, outcome{to: c.to, err: err}
}

// follow chooses the next way of asking, and reports whether there is one.
func (c *conversation) follow(what trouble) bool {
	c.times[what]++
	next, why, ok := c.manner.after(what, c.times[what], restraint{
		signed: c.signed, folds: c.features.Folds, settled: c.to.settled, last: c.to.plain, noTCP: c.to.spoilt,
	})
	if ok {
		c.manner, c.why = next, why
	}
	return ok
}

// fail ends the conversation with an error that says nothing about whether the server
// is alive.
func (c *conversation) fail(err error) outcome { return outcome{to: c.to, err: err} }

// learn remembers that the server is alive, how fast it is, and its cookie.
func (c *conversation) learn(rtt time.Duration) {
	now, addr := c.r.config.Now(), c.to.addr
	if c.network == "udp" || c.streamOnly() {
		c.cut.from.infra.Answered(now, addr, rtt)
	} else {
		c.cut.from.infra.Alive(addr)
	}
	if c.accepted != nil && c.edns == ednsCookie {
		c.learnCookie(now)
	}
}

// learnCookie renews what is known of the server's cookie. That it needs none any more is
// believed over TCP only, where nobody forges.
func (c *conversation) learnCookie(now time.Time) {
	cookie := c.cookieOfReply()
	switch {
	case len(cookie) > clientCookieLen && bytes.Equal(cookie[:clientCookieLen], c.features.Cookie[:clientCookieLen]):
		c.cut.from.infra.SetCookie(now, c.to.addr, cookie[clientCookieLen:])
	case len(cookie) == 0 && c.network == "tcp":
		c.cut.from.infra.SetCookie(now, c.to.addr, nil)
	}
}

// cookieOfReply returns the cookie option of the reply; nil if it has none.
func (c *conversation) cookieOfReply() []byte {
	if c.accepted.EDNS == nil {
		return nil
	}
	return c.accepted.EDNS.Cookie
}

// judge decides what a genuine reply means: that another way of asking is needed, or
// what kind of response it is.
func (c *conversation) judge(octets []byte) (again bool, out outcome) {
	m := c.accepted
	if m == nil {
		c.follow(troubleTruncated)
		return true, outcome{}
	}
	if c.network == "tcp" && m.Flags&wire.TC != 0 {
		return false, c.fail(errCutOff) // RFC 2181 §9: not to be used, and there is nothing larger to ask over
	}
	switch rcode := m.Rcode(); {
	case rcode == dns.RcodeBadCookie && c.edns == ednsCookie:
		c.features.Cookie = c.cut.from.infra.Features(c.r.config.Now(), c.to.addr).Cookie
		if c.follow(troubleBadCookie) {
			return true, outcome{}
		}
	case refusesEDNS(rcode):
		if c.follow(troubleRefused) {
			return true, outcome{}
		}
	}
	if m.NoQuestion {
		return false, c.fail(errNoQuestion)
	}
	out = c.r.understand(m, c.cut, c.q, octets, c.to)
	if out.reply != nil {
		out.reply.vouched, out.reply.blind = c.vouchedFor(m), c.edns == ednsNone
		if c.cutsAnew(out.reply) {
			return c.doubtCut(out.reply)
		}
	}
	if out.isGood() {
		c.learnManner()
	}
	return false, out
}

// cutsAnew reports whether a reply that may be forged refers to a zone at a name of which it is
// known that no zone is cut there. A forger has a try for each random name below a name that he
// would have delegated to himself, and this is how most of them show.
func (c *conversation) cutsAnew(m *reply) bool {
	if m.kind != referral || m.vouched || c.to.doubtedCut == m.delegation.Zone {
		return false
	}
	known := c.cut.from.cuts.NoCut(c.r.config.Now(), c.cut.Zone, c.q.name)
	return known != "" && known.IsAtOrBelow(m.delegation.Zone)
}

// doubtCut asks again over TCP, as after every reply that is nearly right. Where TCP fails, the
// same from another port over UDP will do: nobody guesses twice in a row.
func (c *conversation) doubtCut(m *reply) (again bool, out outcome) {
	c.r.counts.drop(DroppedReferral)
	c.to.doubtedCut, c.spoilt = m.delegation.Zone, true
	return c.another(troubleForged, errDoubtedCut)
}

// errDoubtedCut says that a referral may be forged, and that there was no way to confirm it.
var errDoubtedCut = errors.New("unconfirmed referral below a name without zone cut")

// vouchedFor reports whether a reply shows that its sender has seen the query: it came over a
// connection, or has the cookie that we sent and one of the server's (RFC 7873 §5.3), which is
// 64 bits more for a forger to guess.
func (c *conversation) vouchedFor(m *wire.Message) bool {
	return c.network == "tcp" || c.edns == ednsCookie && m.EDNS != nil && len(m.EDNS.Cookie) > clientCookieLen &&
		bytes.Equal(m.EDNS.Cookie[:clientCookieLen], c.features.Cookie[:clientCookieLen])
}

// isGood reports whether the server said something of the question.
func (o outcome) isGood() bool {
	return o.reply != nil && o.reply.kind != lame && o.reply.kind != unusable
}

// ofResort says what came of a last resort.
func (o outcome) ofResort() resortEnd {
	switch {
	case o.isGood():
		return resortHelped
	case o.reply != nil, o.timedOut, o.spoilt:
		return resortInVain
	}
	return resortUnknown
}

// learnManner remembers of the way in which a good reply was got what will spare queries:
// what the server takes, and, once that is confirmed, what it does not.
func (c *conversation) learnManner() {
	table, now, addr := c.cut.from.infra, c.r.config.Now(), c.to.addr
	hasEDNS, mixed := c.edns != ednsNone && c.accepted.EDNS != nil, c.case0x20 && c.network == "udp"
	full := c.edns == ednsCookie && (mixed || c.r.config.DisableCaseRandomisation)
	if hasEDNS && !c.features.EDNS || full && !c.features.Full || c.features.Doubted {
		table.Took(now, addr, hasEDNS, c.edns == ednsCookie, mixed, full)
	}
	refusals := c.times[troubleRefused]
	switch {
	case c.to.plain && c.to.refused: // by an error that does not say what it was for
		table.RefusedOption(now, addr)
		table.LostCase(now, addr)
	case refusals > 0 && c.edns == ednsNone && c.features.EDNS: // so that it was for the letters
		table.LostCase(now, addr)
	case refusals > 0 && c.edns == ednsNone:
		table.RefusedEDNS(now, addr, refusals > 1 || c.network == "tcp")
	case refusals > 0:
		table.RefusedOption(now, addr)
	}
}

// isMendable reports whether it may be for the way of asking that no good reply came. An error
// is not if the server has taken all of it a moment ago, unless it is one that EDNS is refused
// by: the letters have not been left out yet. What was right but for the ID is a guess: who
// guesses shall not have it made easier for him. An error of a forwarder is about the name more
// often than not, and where forwarders ask each other in a loop each further query would double.
func (c *conversation) isMendable(out outcome) bool {
	switch {
	case out.isGood() || c.spoilt || c.to.spoilt:
		return false
	case c.refusedAll(out):
		return !c.cut.from.forwards()
	case out.reply != nil:
		return !isSilentOn(out.reply.Rcode) && !c.features.Full && !c.cut.from.forwards()
	}
	return out.timedOut || c.times[troubleCase]+c.times[troubleCookie] > 0
}

// isSilentOn reports whether a response code says nothing against how the question was asked.
func isSilentOn(rcode int) bool {
	return rcode == dns.RcodeSuccess || rcode == dns.RcodeNameError || rcode == dns.RcodeYXDomain
}

// refusedAll reports whether the server refused EDNS, and said nothing of use without it.
func (c *conversation) refusedAll(out outcome) bool {
	return c.times[troubleRefused] > 0 && c.accepted != nil && !out.isGood()
}
