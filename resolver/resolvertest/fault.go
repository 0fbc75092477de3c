package resolvertest

import (
	"sync/atomic"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// Fault is a way in which a server differs from a plain, quick and
// correct one. Not every Fault is a defect: latency and cookies are Faults too.
//
// The faults of a server all apply to each query that they are for, in the order
// in which they were added. Edits of the reply therefore build on each other:
// Replace, then Add.
//
// Fault is a value; its methods return changed copies. The zero Fault does nothing.
type Fault struct {
	apply   func(*exchange)
	moments moment
	filters []Filter
	after   int
	first   int
	every   int
	mends   bool
	names   []dnsname.Name // of conditions in text
	err     error          // the arguments made no sense; told when the fault is added
}

// moment says when a fault can apply.
type moment int

const (
	atQuery      moment = 1 << iota // a query arrived
	atTCPConnect                    // somebody wants to open a TCP connection
	atDial                          // somebody wants a socket for the address, UDP or TCP
)

// When restricts the fault to queries that pass all filters. Of a TCP connection
// attempt only server and network are known, so that filters by name and type do
// not pass it.
func (f Fault) When(filters ...Filter) Fault {
	f.filters = append(f.filters[:len(f.filters):len(f.filters)], filters...)
	return f
}

// First restricts the fault to the first n queries that it is for. It counts for
// each server apart, TCP connection attempts included.
func (f Fault) First(n int) Fault {
	f.first = n
	return f
}

// After makes the fault begin after n queries that it would be for.
func (f Fault) After(n int) Fault {
	f.after = n
	return f
}

// Every restricts the fault to each nth query that it is for: with 3 the third,
// the sixth and so on.
func (f Fault) Every(n int) Fault {
	f.every = n
	return f
}

// installedFault is a fault of one server, with its count.
type installedFault struct {
	fault Fault
	seen  atomic.Int64 // queries that it was for
}

// applies decides and counts.
func (f *installedFault) applies(q Query) bool {
	if f.fault.apply == nil || !matchesAll(q, f.fault.filters) {
		return false
	}
	n := int(f.seen.Add(1)) - f.fault.after
	switch {
	case n <= 0,
		f.fault.first > 0 && n > f.fault.first,
		f.fault.every > 1 && n%f.fault.every != 0:
		return false
	}
	return true
}

// onQuery makes a fault that concerns queries only.
func onQuery(apply func(*exchange)) Fault { return Fault{apply: apply, moments: atQuery} }

// onReply makes a fault that edits the reply.
func onReply(edit func(query, reply *dns.Msg)) Fault {
	return onQuery(func(x *exchange) { x.edits.message = append(x.edits.message, edit) })
}

// onWire makes a fault that edits the bytes of the reply.
func onWire(edit func(x *exchange, reply []byte) []byte) Fault {
	return onQuery(func(x *exchange) {
		x.edits.wire = append(x.edits.wire, func(_, reply []byte) []byte { return edit(x, reply) })
	})
}

// Mend removes all faults that the servers had before. A resolver still remembers the failures
// that they caused, each for 5 s, and longer when it repeats (RFC 9520): let that pass with
// Internet.Advance, or with time.Sleep in a synctest bubble.
func Mend() Fault { return Fault{mends: true} }

// Latency makes the server's replies arrive d after the query was sent: d is the
// round-trip time. Opening a TCP connection takes another d.
func Latency(d time.Duration) Fault {
	return Fault{moments: atQuery | atTCPConnect, apply: func(x *exchange) { x.latency += d }}
}

// LatencyFunc is Latency with a round-trip time for each query, or attempt to connect,
// that f returns. f is called concurrently and must not block.
func LatencyFunc(f func(Query) time.Duration) Fault {
	return Fault{moments: atQuery | atTCPConnect, apply: func(x *exchange) { x.latency += f(x.query) }}
}

// tcpRetransmission is how long a TCP waits before it sends a lost segment again,
// doubling (RFC 6298 §2).
const tcpRetransmission = time.Second

// Loss loses an exchange with this probability, from 0 to 1. The chances come from
// the seed of the Internet. Over TCP nothing is lost for good: it takes longer.
func Loss(probability float64) Fault {
	return Fault{moments: atQuery | atTCPConnect, apply: func(x *exchange) {
		if x.query.Network == "udp" {
			x.silent = x.server.chance(probability) || x.silent
			return
		}
		const retransmissions = 5
		wait := tcpRetransmission
		for range retransmissions {
			if !x.server.chance(probability) {
				break
			}
			x.latency += wait
			wait *= 2
		}
	}}
}

// Drop lets queries go unanswered. TCP connections can be opened.
func Drop() Fault { return onQuery(func(x *exchange) { x.silent = true }) }

// Dead makes the host silent: no reply, and no TCP connection.
func Dead() Fault {
	return Fault{moments: atQuery | atTCPConnect, apply: func(x *exchange) { x.silent = true }}
}

// Refuse means that the host is up and no server runs on it: ECONNREFUSED, for
// UDP when the reply is read.
func Refuse() Fault {
	return Fault{moments: atQuery | atTCPConnect, apply: func(x *exchange) { x.refused = true }}
}

// Unreachable means that there is no route to the host: Dial fails at once with
// ENETUNREACH, for UDP and TCP.
func Unreachable() Fault {
	return Fault{moments: atQuery | atDial, apply: func(x *exchange) { x.unreachable = true }}
}

// CloseInstead makes the server close a TCP connection instead of answering.
func CloseInstead() Fault { return onQuery(func(x *exchange) { x.closes = true }) }

// ResetInstead makes the server abort a TCP connection instead of answering. Over
// UDP it does nothing.
func ResetInstead() Fault {
	return onQuery(func(x *exchange) { x.refused = x.query.Network == "tcp" })
}

// Partial makes the server send only the first n bytes of a TCP reply, of the length
// before it too, and then close the connection. Over UDP it does nothing; see Cut.
func Partial(n int) Fault {
	return onQuery(func(x *exchange) { x.partial = max(n, 1) })
}

// Drip makes the server send its TCP replies one byte at a time, pause apart.
func Drip(pause time.Duration) Fault {
	return onQuery(func(x *exchange) { x.dripping = pause })
}

// WrongAddress sends replies from an address that no query went to. On loopback
// sockets they arrive at unconnected sockets only, in memory never.
func WrongAddress() Fault { return onQuery(func(x *exchange) { x.wrongSource = true }) }

// Forged sends n packets before the reply, as somebody would who guesses. They
// are the reply as faults change it; faults of other kinds than those that edit
// a reply are of no use here.
func Forged(n int, faults ...Fault) Fault {
	f := onQuery(func(x *exchange) {
		scratch := &exchange{server: x.server, query: x.query, message: x.message}
		for _, fault := range faults {
			if fault.apply != nil && matchesAll(x.query, fault.filters) {
				fault.apply(scratch)
			}
		}
		for range n {
			x.forged = append(x.forged, scratch.edits)
		}
	})
	for _, fault := range faults {
		if fault.err != nil {
			f.err = fault.err
		}
	}
	return f
}

// The ways of old servers with EDNS queries.
type EDNSRefusal int

const (
	// EDNSFormErr: FORMERR without an OPT record (RFC 6891 §7).
	EDNSFormErr EDNSRefusal = iota
	// EDNSNotImp: NOTIMP without an OPT record.
	EDNSNotImp
	// EDNSIgnored: the answer comes as if there had been no OPT record.
	EDNSIgnored
	// EDNSDropped: no answer, as from behind some firewalls.
	EDNSDropped
)

// NoEDNS makes the server one that does not know EDNS.
func NoEDNS(refusal EDNSRefusal) Fault {
	return onQuery(func(x *exchange) {
		switch refusal {
		case EDNSFormErr:
			x.edns = ednsFormErr
		case EDNSNotImp:
			x.edns = ednsNotImp
		case EDNSIgnored:
			x.edns = ednsIgnored
		case EDNSDropped:
			x.edns = ednsDropped
		}
	})
}

// Cookies makes the server one that supports DNS cookies (RFC 7873).
func Cookies() Fault { return onQuery(func(x *exchange) { x.cookies = cookiesOn }) }

// RequireCookies makes the server answer BADCOOKIE over UDP to those who send a
// cookie without its own part. Queries without any cookie are answered.
func RequireCookies() Fault { return onQuery(func(x *exchange) { x.cookies = cookiesRequired }) }

// BadCookie makes the server answer BADCOOKIE to every query with a cookie, over
// TCP too.
func BadCookie() Fault { return onQuery(func(x *exchange) { x.cookies = cookiesNever }) }

// UDPSize sets the largest reply that the server sends over UDP, whatever the
// client takes. Without it 1232.
func UDPSize(n int) Fault { return onQuery(func(x *exchange) { x.udpSize = n }) }
