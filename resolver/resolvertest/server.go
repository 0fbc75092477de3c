package resolvertest

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// server is the authoritative name server at one address, with its zones and its
// faults.
type server struct {
	addr   netip.Addr
	zones  zoneSet
	faults []*installedFault
	// recursive: it is the box of Intercept, which answers for every zone as a
	// recursive resolver would.
	recursive bool
	// counted holds what install has made, by the place of the fault among all.
	counted map[int]*installedFault

	mu  sync.Mutex
	rng *rand.Rand // guarded by mu
}

// newServer makes a server whose random decisions depend on the seed and its address
// only, so that other servers and goroutines do not change them.
func newServer(addr netip.Addr, seed uint64) *server {
	b := addr.As16()
	key := [32]byte{}
	copy(key[:16], b[:])
	for i := range 8 {
		key[16+i] = byte(seed >> (8 * i))
	}
	return &server{addr: addr, counted: make(map[int]*installedFault), rng: rand.New(rand.NewChaCha8(key))}
}

// chance draws one random decision.
func (s *server) chance(probability float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Float64() < probability
}

// random fills b with reproducible bytes.
func (s *server) random(b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range b {
		b[i] = byte(s.rng.Uint32())
	}
}

// exchange is one query on its way through a server. Faults set what is to
// happen to it before it is answered.
type exchange struct {
	server  *server
	zones   zoneSet
	query   Query
	message *dns.Msg // nil when the query cannot be read as a message

	edns     ednsSupport
	cookies  cookieSupport
	udpSize  int // largest reply that the server sends
	oversize bool

	latency     time.Duration
	silent      bool // nothing comes back
	refused     bool // an ICMP port unreachable, or a reset, comes back
	unreachable bool // the local host has no route
	closes      bool // the TCP connection ends instead of an answer
	dripping    time.Duration
	partial     int // so many bytes of a TCP reply are sent, then the end; 0: all
	wrongSource bool

	edits  edits
	forged []edits // of the packets that arrive before the reply
}

// edits are what is done to a reply before it is sent: to the message, then to
// its bytes.
type edits struct {
	message []func(query, reply *dns.Msg)
	wire    []func(query, reply []byte) []byte
}

// ednsSupport says what a server does with an OPT record.
type ednsSupport int

const (
	ednsFull    ednsSupport = iota
	ednsFormErr             // answers FORMERR without OPT, as servers older than EDNS do
	ednsNotImp              // answers NOTIMP without OPT
	ednsIgnored             // answers as if it were not there
	ednsDropped             // does not answer
)

// cookieSupport says what a server does with DNS cookies.
type cookieSupport int

const (
	cookiesOff      cookieSupport = iota
	cookiesOn                     // echoes the client's part and adds its own
	cookiesRequired               // BADCOOKIE over UDP to a cookie without its own part, or with a wrong one
	cookiesNever                  // BADCOOKIE to every query with a cookie
)

// packet is something that a server sends back.
type packet struct {
	after time.Duration // since the query was sent
	wire  []byte
	event event
	// pace is the time between two bytes on a TCP connection; 0: all at once.
	pace time.Duration
	// partial is how many bytes are sent before a TCP connection ends; 0: all.
	partial int
	// wrongSource: it leaves from another address than the query went to.
	wrongSource bool
}

// event says what arrives at the client.
type event int

const (
	message     event = iota
	portRefused       // nothing listens there: ECONNREFUSED
	streamEnd         // the server closes the connection in an orderly way
	streamReset       // the server aborts the connection
)

// installed returns the server's own form of the nth fault.
func (s *server) installed(n int, f Fault) *installedFault {
	if s.counted[n] == nil {
		s.counted[n] = &installedFault{fault: f}
	}
	return s.counted[n]
}

// begin applies the faults that are for a query, or for a connection attempt.
func (v view) begin(q Query, m *dns.Msg, moment moment) *exchange {
	x := &exchange{server: v.server, zones: v.zones, query: q, message: m, udpSize: serverUDPSize}
	for _, f := range v.faults {
		if f.fault.moments&moment != 0 && f.applies(q) {
			f.fault.apply(x)
		}
	}
	return x
}

// handle answers one query: the packets to send, in this order, and the query as
// it is to be logged.
func (v view) handle(q Query, query []byte) ([]packet, Query) {
	m := new(dns.Msg)
	if m.Unpack(query) != nil {
		m = nil
	}
	seen := newQuery(m)
	seen.Time, seen.Server, seen.Network, seen.Client = q.Time, q.Server, q.Network, q.Client
	seen.Size = len(query)
	x := v.begin(seen, m, atQuery)
	return x.packets(query), x.query
}

func (x *exchange) packets(query []byte) []packet {
	switch {
	case x.silent || x.unreachable:
		return nil
	case x.refused && x.query.Network == "udp":
		return []packet{{after: x.latency, event: portRefused}}
	case x.refused:
		return []packet{{after: x.latency, event: streamReset}}
	case x.closes && x.query.Network == "tcp":
		return []packet{{after: x.latency, event: streamEnd}}
	}
	var out []packet
	for _, f := range x.forged {
		if wire := x.reply(query, f); wire != nil {
			out = append(out, packet{after: x.latency, wire: wire})
		}
	}
	wire := x.reply(query, x.edits)
	if wire == nil {
		return out
	}
	x.query.Answered, x.query.ReplySize = true, len(wire)
	if len(wire) >= headerSize {
		x.query.Rcode = x.query.Rcode&^0xf | int(wire[3]&0xf)
		x.query.Truncated = wire[2]&0x02 != 0
	}
	return append(out, packet{after: x.latency, wire: wire, pace: x.dripping, partial: x.partial, wrongSource: x.wrongSource})
}

// headerSize is the length of a message's header in bytes (RFC 1035 §4.1.1).
const headerSize = 12

// reply makes the bytes of one reply; nil when there is none.
func (x *exchange) reply(query []byte, e edits) []byte {
	wire := x.packed(query, e.message)
	for _, edit := range e.wire {
		if wire == nil {
			return nil
		}
		wire = edit(query, wire)
	}
	return wire
}

func (x *exchange) packed(query []byte, edits []func(query, reply *dns.Msg)) []byte {
	if x.message == nil {
		return unreadable(query)
	}
	if x.message.Response {
		return nil // two servers must not start answering each other
	}
	reply, a := x.respond()
	if reply == nil {
		return nil
	}
	optional := a.optional
	if len(edits) > 0 {
		reply, optional = ownRecords(reply, optional)
		for _, edit := range edits {
			edit(x.message, reply)
		}
	}
	isOptional := func(rr dns.RR) bool { return contains(optional, rr) }
	x.query.Rcode = reply.Rcode
	wire, err := fit(reply, isOptional, x.sizeLimit())
	if err != nil {
		return failed(x.message)
	}
	return wire
}

// sizeLimit is how large the reply may be.
func (x *exchange) sizeLimit() int {
	switch {
	case x.query.Network != "udp", x.oversize:
		return maxMessage
	case !x.query.EDNS, x.edns == ednsIgnored:
		return minUDPSize
	}
	return max(minUDPSize, min(int(x.query.UDPSize), x.udpSize))
}

// ownRecords returns a reply with records that may be changed: the others belong to the
// zones.
func ownRecords(reply *dns.Msg, optional []dns.RR) (*dns.Msg, []dns.RR) {
	copied := reply.Copy()
	var ownOptional []dns.RR
	for i, rr := range reply.Extra {
		if contains(optional, rr) {
			ownOptional = append(ownOptional, copied.Extra[i])
		}
	}
	return copied, ownOptional
}

func contains(rrs []dns.RR, rr dns.RR) bool {
	return slices.Contains(rrs, rr)
}

// unreadable answers a query that cannot be parsed, if its header asks for an
// answer at all.
func unreadable(query []byte) []byte {
	if len(query) < headerSize || query[2]&0x80 != 0 {
		return nil
	}
	reply := make([]byte, headerSize)
	copy(reply, query[:2])
	reply[2] = 0x80 | query[2]&0x79 // QR; opcode and RD as asked
	reply[3] = dns.RcodeFormatError
	return reply
}

// failed is the answer of a server that cannot make one.
func failed(query *dns.Msg) []byte {
	reply := new(dns.Msg).SetRcode(query, dns.RcodeServerFailure)
	wire, err := reply.Pack()
	if err != nil {
		return nil
	}
	return wire
}
