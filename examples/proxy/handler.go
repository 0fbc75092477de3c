package main

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// handler answers queries, whatever they came by.
type handler struct {
	resolver   *resolver.Resolver
	clients    *clients
	metrics    *metrics
	log        *slog.Logger
	logQueries bool

	// Queries that wait for an answer: resolver.Limits bounds those that are worked
	// on, and as many again may wait.
	pending    atomic.Int64
	maxPending int64
	longBytes  atomic.Int64 // of all long queries
}

func newHandler(c *config, r *resolver.Resolver, m *metrics, log *slog.Logger) *handler {
	return &handler{
		resolver:   r,
		clients:    newClients(c),
		metrics:    m,
		log:        log,
		logQueries: c.logQueries,
		maxPending: 2 * int64(c.questions),
	}
}

// hit answers a query from the cache at once, if that can be.
func (h *handler) hit(buffer, wire []byte, maxSize int) ([]byte, bool) {
	if !h.mayHit(wire) {
		return nil, false
	}
	return h.resolver.AppendHit(buffer, wire, maxSize)
}

// mayHit reports whether a query may be answered from the cache before it has a worker.
func (h *handler) mayHit(wire []byte) bool { return !h.logQueries && !mayAskANY(wire) }

// query is one query and the way back to its client.
type query struct {
	transport transport
	tally     *tally
	client    netip.AddrPort
	remote    netip.AddrPort // over UDP: client as the socket has it
	source    []byte         // control message of the answer over UDP; nil: it needs none
	wire      []byte
	way       way

	handler *handler
	begun   time.Time
}

// way is the way back to the client of a query.
type way interface {
	// send sends the answer. It is called once at most.
	send(q *query, answer []byte) error
}

// verdict says what is done with a query before anybody looks at what it asks.
type verdict uint8

const (
	answered verdict = iota // it is to be answered
	ignored                 // no query, or none that has an ID
	refused                 // its sender is no client
	overRate                // its sender has sent too many
)

// judge decides about a message that came from addr, of which the header is enough.
func (h *handler) judge(now time.Time, addr netip.Addr, wire []byte) verdict {
	switch {
	case len(wire) < headerSize || resolver.AcceptQuery(header(wire)) == dns.MsgIgnore:
		return ignored
	case !h.clients.mayAsk(addr):
		return refused
	case !h.clients.spend(now, addr):
		return overRate
	}
	return answered
}

// refusal is why a query gets an answer without records.
type refusal struct {
	rcode int // dns.RcodeSuccess: with TC
	why   resolver.ExtendedError
}

var (
	refuseStranger = refusal{dns.RcodeRefused, resolver.ExtendedError{Code: dns.ExtendedErrorCodeProhibited}}
	refuseRate     = refusal{dns.RcodeRefused, resolver.ExtendedError{Code: dns.ExtendedErrorCodeProhibited, Text: "too many queries"}}
	refuseToTCP    = refusal{rcode: dns.RcodeSuccess}
	refuseOpcode   = refusal{dns.RcodeNotImplemented, resolver.ExtendedError{Code: dns.ExtendedErrorCodeNotSupported, Text: "opcode"}}
	refuseForm     = refusal{rcode: dns.RcodeFormatError}
	refuseClient   = refusal{dns.RcodeServerFailure, resolver.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: "too many questions of this client"}}
	refuseAll      = refusal{dns.RcodeServerFailure, resolver.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: "too many questions"}}
	refuseBytes    = refusal{dns.RcodeServerFailure, resolver.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: "too many bytes of queries"}}
)

// turnAway says what becomes of a query that need not be read for that: nil, if it must be.
// Over UDP, where senders can be forged, a client that asks too much is sent to TCP (TC).
// A refusal has no more bytes than the query but for the reason (RFC 8914), so that a forged
// sender gains nothing.
func turnAway(v verdict, t transport, wire []byte) *refusal {
	switch v {
	case ignored:
		return nil // not even an answer
	case refused:
		return &refuseStranger
	case overRate:
		if t == overUDP {
			return &refuseToTCP
		}
		return &refuseRate
	case answered:
	}
	switch resolver.AcceptQuery(header(wire)) {
	case dns.MsgReject:
		return &refuseForm
	case dns.MsgRejectNotImplemented:
		return &refuseOpcode
	case dns.MsgAccept, dns.MsgIgnore:
	}
	if _, ok := questionEnd(wire); !ok {
		return &refuseForm
	}
	return nil
}

const (
	// smallQuery is how long queries are that are bounded by their number alone: what DNS
	// knows as a small message (RFC 1035 §2.3.4), and all that clients send.
	smallQuery = 512
	// maxLongBytes is how many bytes longer queries may have together that are worked on, or
	// wait: some hundred of the longest.
	maxLongBytes = 16 << 20
)

// hold takes room for the bytes of a query. leave releases it; it is nil if there is none.
func (h *handler) hold(client netip.Addr, bytes int) (leave func()) {
	if bytes <= smallQuery {
		return func() {}
	}
	own, ok := h.clients.hold(client, bytes)
	if !ok {
		return nil
	}
	if h.longBytes.Add(int64(bytes)) > maxLongBytes {
		h.longBytes.Add(-int64(bytes))
		own.leave()
		return nil
	}
	return func() {
		h.longBytes.Add(-int64(bytes))
		own.leave()
	}
}

// handle answers a whole query whose sender may ask. It takes as long as that takes.
func (h *handler) handle(q *query) {
	if reply, ok := h.hit(nil, q.wire, dns.MaxMsgSize); ok {
		q.tally.hit(reply)
		_ = q.deliver(reply) // the client may be gone
		return
	}
	h.answer(q)
}

// answer has the resolver answer a query of a client.
func (h *handler) answer(q *query) {
	own, ok := h.clients.ask(q.client.Addr())
	if !ok {
		h.metrics.overQuestions.Add(1)
		q.refuse(&refuseClient)
		return
	}
	defer own.leave()
	client := resolver.WireClient{Addr: q.client, Encrypted: q.transport.isEncrypted(), Missed: h.mayHit(q.wire)}
	if q.transport == overUDP {
		client.MaxSize = udpSize
		if asksANY(q.wire) {
			q.refuse(&refuseToTCP) // RFC 8482 §4.4
			return
		}
	}
	h.resolver.ServeWire(q.wire, client, q.answer)
}

// asksANY reports whether all records of a name are asked for: the question with which
// small queries get the largest answers.
func asksANY(wire []byte) bool { return header(wire).Qdcount == 1 && mayAskANY(wire) }

// mayAskANY is asksANY for a query whose header nobody has read. It reports true for what it
// cannot read.
func mayAskANY(wire []byte) bool {
	at := 12 // the question is behind the header
	for at < len(wire) && wire[at] != 0 {
		at += 1 + int(wire[at])
	}
	const rootSize, typeSize = 1, 2
	if at += rootSize; at+typeSize > len(wire) {
		return true
	}
	return binary.BigEndian.Uint16(wire[at:]) == dns.TypeANY
}

// refuse answers without records.
func (q *query) refuse(r *refusal) {
	wire := appendRefusal(nil, q.wire, r.rcode, r.why)
	q.handler.logRefusal(q, wire, r)
	q.finish(wire)
}

// logRefusal is logAnswer for an answer without records.
func (h *handler) logRefusal(q *query, wire []byte, r *refusal) {
	if h.logQueries {
		q.logAnswer(wire, "why", r.text())
	}
}

// text says why, for the log.
func (r *refusal) text() string {
	switch {
	case r == &refuseStranger:
		return "its address is not in -allow-client"
	case r == &refuseToTCP:
		return "to be asked over TCP: too many queries over UDP, or one for ANY"
	case r.why.Text == "":
		return "malformed query"
	}
	return r.why.Text
}

// udpSize is the largest answer over UDP: what passes everywhere unfragmented (RFC 9715).
const udpSize = 1232

// answer sends an answer of the resolver's.
func (q *query) answer(wire []byte) {
	if q.handler.logQueries {
		q.logAnswer(wire)
	}
	q.finish(wire)
}

// finish sends an answer, and counts it.
func (q *query) finish(wire []byte) {
	q.tally.answered(wire, time.Since(q.begun))
	_ = q.deliver(wire) // the client may be gone
}

// deliver sends an answer, whatever the transport: none is longer than a message may be.
func (q *query) deliver(wire []byte) error {
	if len(wire) > dns.MaxMsgSize {
		return errTooLong
	}
	return q.way.send(q, wire)
}

// errTooLong is the error for an answer whose length does not fit before it (RFC 1035
// §4.2.2): the length would be that of its beginning, and the rest be read as answers of
// their own.
var errTooLong = errors.New("an answer is longer than a message may be")

// logAnswer logs an answer, with more attributes.
func (q *query) logAnswer(wire []byte, more ...any) {
	m := new(dns.Msg)
	if m.Unpack(wire) != nil {
		return
	}
	name, rrtype := "", ""
	if len(m.Question) == 1 {
		name, rrtype = m.Question[0].Name, dns.Type(m.Question[0].Qtype).String()
	}
	q.handler.log.Info("query", append([]any{
		"client", q.client.String(), "transport", q.transport.String(),
		"name", name, "type", rrtype, "rcode", rcodeText(m.Rcode),
		"answers", len(m.Answer), "took", time.Since(q.begun).Round(time.Microsecond).String(), // JSON would have no unit
	}, more...)...)
}

// rcodeText returns a response code's mnemonic.
func rcodeText(rcode int) string {
	if rcode == dns.RcodeBadVers {
		return "BADVERS" // miekg/dns has the name that the number has in TSIG records
	}
	return dns.RcodeToString[rcode]
}
