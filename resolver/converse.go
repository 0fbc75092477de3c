package resolver

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	mathrand "math/rand/v2"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/scrub"
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

// reply is what a server said of a question, as far as it may be believed. It is
// shared between callers and not changed.
type reply struct {
	*scrub.Reply
	kind       responseKind
	delegation *glue.Delegation // of a referral
	server     *candidate
	wire       []byte // as received, for traces
}

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

	network   string
	edns      bool
	case0x20  bool
	features  infra.Features
	sends     map[string]int // by network
	caseTries int
	badCookie int
	heard     bool

	query    []byte
	sent     time.Time
	accepted *wire.Message // what check took apart and accepted
	doubt    doubt         // why check abandoned the send
}

// outcome is what came of a conversation.
type outcome struct {
	to    *candidate
	reply *reply // nil: none
	err   error
	// timedOut is set when the last query got no reply at all.
	timedOut bool
	// heard is set when the server replied, if only with something of no use.
	heard bool
}

// converse asks one server until there is a reply that can be classified.
func (r *Resolver) converse(ctx context.Context, t *task, cut *zoneCut, q question, to *candidate, why QueryReason, late chan<- struct{}) outcome {
	c := &conversation{
		r: r, t: t, cut: cut, q: q, to: to, why: why, late: late,
		network:  "udp",
		features: r.infra.Features(r.config.Now(), to.addr.Addr()),
		sends:    make(map[string]int, 2),
	}
	c.edns = !c.features.NoEDNS
	c.case0x20 = !r.config.DisableCaseRandomisation && !c.features.NoCase
	leave, err := r.enter(ctx, cut.Zone, to.addr)
	if err != nil {
		r.infra.Failed(to.addr.Addr())
		return outcome{to: to, err: err}
	}
	defer leave()
	for {
		again, out := c.send(ctx)
		if !again {
			out.heard = c.heard
			return out
		}
	}
}

// enter waits for a place among the queries under way to a zone and to a server.
func (r *Resolver) enter(ctx context.Context, zone dnsname.Name, server netip.AddrPort) (leave func(), err error) {
	leaveZone, err := r.zones.enter(ctx, zone)
	if err != nil {
		return nil, err
	}
	leaveServer, err := r.servers.enter(ctx, server)
	if err != nil {
		leaveZone()
		return nil, err
	}
	return func() {
		leaveServer()
		leaveZone()
	}, nil
}

// send sends once and decides what follows: another query to the same server, or the
// outcome.
func (c *conversation) send(ctx context.Context) (again bool, out outcome) {
	if c.sends[c.network]++; c.sends[c.network] > c.r.config.limits.SendsPerServer {
		return false, c.fail(errRefusesToSettle)
	}
	if err := c.t.budget.send(); err != nil {
		return false, c.fail(err)
	}
	c.write()
	id := c.traceQuery()
	ctx, cancel := context.WithTimeout(ctx, c.timeout())
	defer cancel()
	c.accepted, c.doubt = nil, doubtless
	c.sent = time.Now()
	octets, err := c.r.sender.Send(ctx, c.network, c.to.addr, c.query, transport.Watch{Check: c.check, Refused: c.refused})
	rtt := time.Since(c.sent)
	if err != nil {
		c.traceFailure(id, c.network, rtt, octets, err)
		return c.failed(err)
	}
	if err := c.t.budget.received(len(octets)); err != nil {
		return false, c.fail(err)
	}
	c.heard = true
	c.learn(rtt)
	network := c.network // of this send; judging may choose another for the next
	again, out = c.judge(octets)
	c.traceResponse(id, network, rtt, octets, out)
	return again, out
}

// timeout is how long to wait for a reply to this send.
func (c *conversation) timeout() time.Duration {
	if c.network == "tcp" {
		return tcpTimeout
	}
	if c.to.alone && !c.to.estimate.Known && !c.to.estimate.Dead {
		return loneTimeout
	}
	return c.to.estimate.Timeout
}

// loneTimeout is how long the first reply of a server is waited for when nobody else
// could be asked: asking the same server again too early throws its reply away.
const loneTimeout = 800 * time.Millisecond

// write makes the next query: a new ID, and new letter case (0x20) each time.
func (c *conversation) write() {
	q := wire.Query{
		ID: randomID(), Name: c.q.name, Type: c.q.rrtype, Class: dns.ClassINET,
		CD: c.edns, EDNS: c.edns, UDPSize: udpSize, DO: c.edns,
	}
	if c.edns && c.network == "udp" {
		q.Cookie = c.features.Cookie
	}
	c.query = q.AppendTo(c.query[:0:0]) // a new slice: the transport may still hold the old one
	if c.case0x20 {
		randomiseCase(wire.QuestionName(c.query))
	}
}

func randomID() uint16 {
	var b [2]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint16(b[:])
}

// randomiseCase flips the letters of a name at random. An attacker who cannot see
// the query has to guess them too (draft-vixie-dnsext-dns0x20).
func randomiseCase(name []byte) {
	var coins [32]byte
	rand.Read(coins[:])
	for i, b := range name {
		if 'a' <= b && b <= 'z' && coins[i/8]>>(i%8)&1 != 0 {
			name[i] = b - ('a' - 'A')
		}
	}
}

func (c *conversation) refused() {
	select {
	case c.late <- struct{}{}:
	default: // somebody has been told already
	}
}

// failed decides what follows a send without an acceptable reply.
func (c *conversation) failed(err error) (again bool, out outcome) {
	addr := c.to.addr.Addr()
	switch {
	case errors.Is(err, transport.ErrAbandoned):
		return c.distrust()
	case errors.Is(err, transport.ErrStale):
		return c.again(ReasonConnection)
	case errors.Is(err, context.Canceled):
		c.overtaken()
		return false, outcome{to: c.to, err: err}
	case isTimeout(err) && c.network == "tcp":
		// It may well be alive over UDP, from where we come; but it is of no use.
		return false, c.fail(err)
	case isTimeout(err):
		c.r.infra.TimedOut(c.r.config.Now(), addr)
		return false, outcome{to: c.to, err: err, timedOut: true}
	}
	return false, c.fail(err)
}

// overtaken records what it says about a server that another one answered first: that
// it is as good as lost, if it was late by then.
func (c *conversation) overtaken() {
	addr := c.to.addr.Addr()
	if c.network == "udp" && time.Since(c.sent) >= c.to.estimate.Late {
		c.r.infra.TimedOut(c.r.config.Now(), addr)
		return
	}
	c.r.infra.Failed(addr)
}

// distrust decides how to ask again after a reply that may be forged. Over TCP an
// attacker who sees nothing has no say.
func (c *conversation) distrust() (again bool, out outcome) {
	switch c.doubt {
	case wrongCase:
		if c.caseTries++; c.caseTries == 1 {
			return c.again(ReasonCase) // it may have been an attacker's
		}
		c.r.infra.SetNoCase(c.r.config.Now(), c.to.addr.Addr())
		return c.overTCP(ReasonCase)
	case wrongCookie:
		return c.overTCP(ReasonCookie)
	case wrongID, doubtless:
		return c.overTCP(ReasonSpoofed)
	}
	return c.overTCP(ReasonSpoofed)
}

func (c *conversation) again(why QueryReason) (bool, outcome) {
	c.why = why
	return true, outcome{}
}

func (c *conversation) overTCP(why QueryReason) (bool, outcome) {
	c.network = "tcp"
	return c.again(why)
}

// fail ends the conversation with an error that says nothing about whether the server
// is alive.
func (c *conversation) fail(err error) outcome {
	c.r.infra.Failed(c.to.addr.Addr())
	return outcome{to: c.to, err: err}
}

// learn remembers that the server is alive, how fast it is, and its cookie.
func (c *conversation) learn(rtt time.Duration) {
	now, addr := c.r.config.Now(), c.to.addr.Addr()
	if c.network == "udp" {
		c.r.infra.Answered(now, addr, rtt)
	} else {
		c.r.infra.Alive(addr)
	}
	if c.accepted == nil || !c.edns || c.network == "tcp" {
		if c.network == "tcp" && c.doubt == doubtless && c.why == ReasonCookie {
			c.r.infra.SetCookie(addr, nil) // it does not always send one
		}
		return
	}
	if e := c.accepted.EDNS; e != nil && len(e.Cookie) > clientCookieLen {
		server := e.Cookie[clientCookieLen:]
		if !bytes.Equal(server, c.features.Cookie[clientCookieLen:]) {
			c.r.infra.SetCookie(addr, bytes.Clone(server))
		}
	}
}

// judge decides what a genuine reply means: that another way of asking is needed, or
// what kind of response it is.
func (c *conversation) judge(octets []byte) (again bool, out outcome) {
	m := c.accepted
	if m == nil {
		return c.overTCP(ReasonTruncated)
	}
	switch rcode := m.Rcode(); {
	case rcode == dns.RcodeBadCookie && c.edns && c.network == "udp":
		c.features = c.r.infra.Features(c.r.config.Now(), c.to.addr.Addr())
		if c.badCookie++; c.badCookie == 1 {
			return c.again(ReasonCookie)
		}
		return c.overTCP(ReasonCookie)
	case (rcode == dns.RcodeFormatError || rcode == dns.RcodeNotImplemented) && c.edns && m.EDNS == nil:
		c.edns = false
		return c.again(ReasonNoEDNS)
	}
	if c.why == ReasonNoEDNS && m.Rcode() == dns.RcodeSuccess {
		c.r.infra.SetNoEDNS(c.r.config.Now(), c.to.addr.Addr())
	}
	if m.NoQuestion {
		return false, c.fail(errNoQuestion)
	}
	scrubbed, err := scrub.Scrub(m, scrub.Asked{
		Zone: c.cut.Zone, Name: c.q.name, Type: c.q.rrtype, MaxRecords: c.r.config.limits.Records,
	})
	if err != nil {
		return false, outcome{to: c.to, err: scrubError(err, c.r.config.limits.Records)}
	}
	out = outcome{to: c.to, reply: &reply{Reply: scrubbed, kind: classify(scrubbed, c.q, c.cut.Zone), server: c.to, wire: octets}}
	switch out.reply.kind {
	case referral:
		if out.reply.delegation, err = c.delegation(scrubbed); err != nil {
			out.reply.kind, out.err = lame, err
		}
	case unusable:
		out.err = &rcodeError{scrubbed.Rcode}
	case lame, answer, alias, noData, nameError, recursive:
	}
	return false, out
}

// delegation makes a zone cut of a referral. Of more name servers than are kept, a
// random choice is, so that none of them can count on being asked.
func (c *conversation) delegation(m *scrub.Reply) (*glue.Delegation, error) {
	return glue.Referral{
		Zone: c.cut.Zone, Name: c.q.name, NS: m.NS, Addresses: m.Addresses, Pick: mathrand.Shuffle,
	}.Delegation()
}

func scrubError(err error, records int) error {
	if errors.Is(err, scrub.ErrTooManyRecords) {
		return errors.Join(&LimitError{Limit: "Records", Value: records}, err)
	}
	return err
}
