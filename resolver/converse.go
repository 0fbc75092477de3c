package resolver

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	mathrand "math/rand/v2"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
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

// doubt is why a reply that came over UDP may be forged.
type doubt uint8

const (
	doubtless   doubt = iota
	wrongID           // all else right: somebody is guessing IDs (RFC 5452 §9.2)
	wrongCase         // all but the letter case
	wrongCookie       // no good cookie from a server that has sent one before
)

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
	release, err := r.gates.enter(ctx, to.addr)
	if err != nil {
		r.infra.Failed(to.addr.Addr())
		return outcome{to: to, err: err}
	}
	defer release()
	for {
		again, out := c.send(ctx)
		if !again {
			out.heard = c.heard
			return out
		}
	}
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
		c.traceFailure(id, rtt, octets, err)
		return c.failed(err)
	}
	if err := c.t.budget.received(len(octets)); err != nil {
		return false, c.fail(err)
	}
	c.heard = true
	c.learn(rtt)
	again, out = c.judge(octets)
	c.traceResponse(id, rtt, octets, out)
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

// check judges a message that arrived: is it the reply to the query? Whatever is not
// changes nothing and the wait goes on (TuDoor), except for what is so nearly right
// that somebody must be guessing.
func (c *conversation) check(m []byte) transport.Verdict {
	if len(m) < wire.HeaderLen {
		return transport.Ignore
	}
	flags := binary.BigEndian.Uint16(m[2:])
	if flags&wire.QR == 0 || flags>>11&0xF != 0 {
		return transport.Ignore
	}
	sameID := bytes.Equal(m[:2], c.query[:2])
	if binary.BigEndian.Uint16(m[4:]) == 0 {
		return c.checkNoQuestion(m, flags, sameID)
	}
	echo, exact := c.sameQuestion(m)
	switch {
	case !echo:
		return transport.Ignore
	case !sameID:
		return c.abandon(wrongID)
	case !exact && c.case0x20 && c.network == "udp":
		return c.abandon(wrongCase)
	}
	// Names that the reply compresses against the question shall not carry its random
	// letter case into the cache.
	copy(m[wire.HeaderLen:], c.q.name)
	if c.network == "udp" && (flags&wire.TC != 0 || len(m) > c.offered()) {
		return transport.Accept // as a reason to use TCP, whatever it holds
	}
	parsed, err := wire.Parse(m)
	if err != nil {
		return transport.Ignore
	}
	return c.checkCookie(parsed)
}

// offered is the length of the largest reply that the query allows over UDP: without
// EDNS that of RFC 1035 §2.3.4.
func (c *conversation) offered() int {
	if c.edns {
		return udpSize
	}
	return dns.MinMsgSize
}

// checkNoQuestion: only a server that could not read the query may leave the question
// out (RFC 9619 §4).
func (c *conversation) checkNoQuestion(m []byte, flags uint16, sameID bool) transport.Verdict {
	rcode := int(flags & 0xF)
	if !sameID || rcode != dns.RcodeFormatError && rcode != dns.RcodeNotImplemented {
		return transport.Ignore
	}
	parsed, err := wire.Parse(m)
	if err != nil {
		return transport.Ignore
	}
	c.accepted = parsed
	return transport.Accept
}

// sameQuestion reports whether m has our one question, and whether letter for letter.
func (c *conversation) sameQuestion(m []byte) (same, exact bool) {
	ours := c.query[wire.HeaderLen : wire.HeaderLen+len(c.q.name)+4]
	if len(m) < wire.HeaderLen+len(ours) || binary.BigEndian.Uint16(m[4:]) != 1 {
		return false, false
	}
	theirs := m[wire.HeaderLen : wire.HeaderLen+len(ours)]
	n := len(c.q.name)
	if !bytes.Equal(theirs[n:], ours[n:]) || !equalFold(theirs[:n], ours[:n]) {
		return false, false
	}
	return true, bytes.Equal(theirs, ours)
}

// equalFold compares names without regard to ASCII case (RFC 4343). Length octets are
// no letters.
func equalFold(a, b []byte) bool {
	for i := range a {
		x, y := a[i], b[i]
		if x|0x20 != y|0x20 || x != y && (x|0x20 < 'a' || x|0x20 > 'z') {
			return false
		}
	}
	return true
}

// checkCookie: a server that has shown to know our cookie will show it again. A reply
// with somebody else's is not for us (RFC 7873 §5.3).
func (c *conversation) checkCookie(m *wire.Message) transport.Verdict {
	c.accepted = m
	if c.network == "tcp" || !c.edns {
		return transport.Accept
	}
	var cookie []byte
	if m.EDNS != nil {
		cookie = m.EDNS.Cookie
	}
	switch {
	case cookie == nil && !c.features.Cookies:
		return transport.Accept
	case cookie == nil:
		return c.abandon(wrongCookie)
	case len(cookie) < clientCookieLen || !bytes.Equal(cookie[:clientCookieLen], c.features.Cookie[:clientCookieLen]):
		return c.abandon(wrongCookie)
	}
	return transport.Accept
}

func (c *conversation) abandon(why doubt) transport.Verdict {
	c.accepted, c.doubt = nil, why
	if c.network == "tcp" {
		return transport.Ignore
	}
	return transport.Abandon
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

func (c *conversation) traceQuery() int {
	c.t.sent.Store(true)
	id := int(c.t.budget.queries.Add(1))
	c.t.tell(func(tr *Trace) {
		if tr.Query != nil {
			tr.Query(QueryInfo{
				Step: c.t.step(), ID: id, Zone: c.cut.Zone.String(), Server: c.to.addr, ServerName: c.to.name.String(),
				Network: c.network, Asked: c.q.public(), Minimised: c.t.minimised, Reason: c.why,
			})
		}
	})
	return id
}

func (c *conversation) response(id int, rtt time.Duration, octets []byte) ResponseInfo {
	return ResponseInfo{
		Step: c.t.step(), ID: id, Zone: c.cut.Zone.String(), Server: c.to.addr, ServerName: c.to.name.String(),
		Network: c.network, RTT: rtt, Message: octets,
	}
}

func (c *conversation) traceFailure(id int, rtt time.Duration, octets []byte, err error) {
	c.t.tell(func(tr *Trace) {
		if tr.Response != nil {
			info := c.response(id, rtt, octets)
			info.Err = err
			tr.Response(info)
		}
	})
}

func (c *conversation) traceResponse(id int, rtt time.Duration, octets []byte, out outcome) {
	c.t.tell(func(tr *Trace) {
		if tr.Response == nil {
			return
		}
		info := c.response(id, rtt, octets)
		info.Err = out.err
		switch {
		case out.reply != nil:
			info.Kind, info.Rcode = out.reply.kind.String(), out.reply.Rcode
		case c.accepted != nil:
			info.Kind, info.Rcode = "asked again", c.accepted.Rcode()
		default:
			info.Kind = "truncated"
		}
		tr.Response(info)
	})
}
