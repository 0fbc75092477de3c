package resolver

import (
	"context"
	"net/netip"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/serve"
)

// Exchange answers a query as a recursive server does (RFC 1034 §4.3, RFC 4035 §3.2, RFC
// 6840 §5.7-5.9, RFC 6891). Where Resolve returns an error the reply is SERVFAIL, with an
// extended DNS error (RFC 8914) if the query has EDNS.
//
// RD=0 is answered from the cache, or with REFUSED; CD=1 turns validation off for this
// question; AD is set when everything is Secure and the query has AD or DO set; DNSSEC
// records are left out unless DO is set or they were asked for. A name denied by a compact
// denial is NXDOMAIN, but NOERROR if DO is set and CO is not (RFC 9824 §5). Queries that
// are not a question for a resolver get the error that says so: FORMERR unless there is
// exactly one question (RFC 9619) and at most one OPT record, BADVERS for versions of EDNS
// other than 0, NOTIMP for other opcodes and for types that are no data (RFC 6895 §3.1),
// REFUSED for zone transfers and classes other than IN.
//
// The question is echoed as it came, and records at its name are spelled like it. EDNS
// options of the query have no effect, and are not forwarded. The reply is never truncated:
// that is for the caller, who knows the transport, as ServeDNS does, over streams too,
// where a message has at most 65,535 bytes. It is compressed when it is packed, and belongs
// to the caller.
//
// A question that has to be searched waits for its turn (Limits.Questions) for as long as
// ctx lasts, in the goroutine of the caller. A server that calls Exchange for untrusted
// clients should bound how many wait and, with ctx, how long, as ServeDNS does. A question
// that has had its turn for half a second may be shed for others; it is then answered with
// SERVFAIL and an extended error that says so.
//
// The error is not nil only when query is nil or a response, when ctx has ended, and after
// Close (ErrClosed).
func (r *Resolver) Exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	return r.messages.Respond(ctx, query, 0)
}

// ServeDNS makes a Resolver a dns.Handler: it answers query over w as Exchange does,
// truncated to what the client takes over UDP (RFC 6891 §6.2.5, RFC 9715), and with
// SERVFAIL where Exchange returns an error. Over TLS it pads the answers to queries that
// are padded (RFC 8467). A client that sends a cookie gets it back with a server cookie
// (RFC 7873, RFC 9018), which no client is obliged to have; one that asks for the identity
// of the server gets Options.NSID (RFC 5001). There is no access control: listening on an
// address that anybody can reach makes an open resolver (RFC 5358).
//
// Every query gets an answer within Limits.Time. Answers from the cache are sent at once;
// of all other questions Limits.Questions are worked on at a time. When all slots are
// taken, and none comes free within a second, or as many queries wait for a slot already,
// the answer is SERVFAIL with an extended DNS error that names the limit. The same answer
// goes to a question that is shed for others after half a second (Limits.Questions); it may be
// written by another goroutine while ServeDNS works on for others, but never later.
// Answers are sent as they come and never held back, so that they cannot be made to arrive
// together (DNSBomb).
//
// Close ends the questions under way, each of which is answered with SERVFAIL, as are
// queries that come later. There are two orders to stop a dns.Server. To stop at once, call
// Close first, then Shutdown, which waits until those answers are written. To let the questions
// under way finish, call Shutdown first, which waits for them, Limits.Time at most, and Close
// then; examples/server does that. The MsgAcceptFunc of a dns.Server should be AcceptQuery.
func (r *Resolver) ServeDNS(w dns.ResponseWriter, query *dns.Msg) { r.messages.ServeDNS(w, query) }

// AcceptQuery decides by its header whether a message is unpacked at all: it is the MsgAcceptFunc of a
// dns.Server that a Resolver answers for. Without it, sections that are of no use in a query could become
// megabytes of records.
//
// It accepts what dns.DefaultMsgAcceptFunc accepts, so that an answer section may have one record, an
// authority section one and the additional section two, with two differences: it accepts no opcode other
// than QUERY, since a resolver has no use for others; and it also accepts a query without a question if an
// OPT record may have a cookie (RFC 7873 §5.4).
func AcceptQuery(h dns.Header) dns.MsgAcceptAction { return serve.AcceptQuery(h) }

// AppendHit answers a query in wire format from the cache, without decoding either: it
// appends the reply to dst, and allocates nothing when dst has the capacity. It is for
// servers that write wire format, and is safe for concurrent use.
//
// The reply is what Exchange would say. When the answer takes more than a cache read,
// AppendHit returns false, and dst as it was (its spare capacity may have been written to):
// the query is then one for Exchange or ServeDNS. That is the case when the answer is not
// in the cache as the RRsets of a chain of CNAMEs, a denial of the name itself, or an
// answer expanded from a wildcard; when hooks, filters, routes, local zones or negative
// trust anchors affect it, or an extended DNS error goes with it; for queries with EDNS
// options, with another opcode, class or version of EDNS, and for types that are no data;
// for malformed queries; and after Close.
//
// maxSize is the largest datagram that may be sent, in bytes; the reply is no larger than
// that, nor than what the client takes, which is 512 bytes unless the query has EDNS (RFC
// 6891 §6.2.3). A reply that does not fit has TC set and the records that do, as from
// ServeDNS. A maxSize of 0, or of 65,535 and more, stands for a stream, where neither
// matters; no reply is longer than the 65,535 bytes that the length before it can express
// (RFC 1035 §4.2.2).
func (r *Resolver) AppendHit(dst, query []byte, maxSize int) ([]byte, bool) {
	return r.messages.AppendHit(dst, query, maxSize)
}

// WireClient is the sender of a query in wire format, and how the reply goes to it.
type WireClient struct {
	// Addr is the address that hooks get from ClientAddr, and for which the server cookie is made (RFC 9018
	// §4.4). The zero AddrPort: it is not known.
	Addr netip.AddrPort
	// MaxSize is the largest datagram that may be sent, in bytes: 1232 passes everywhere (RFC 9715). Less
	// than 512 counts as 512 (RFC 1035 §4.2.1). 0, or 65,535 and more: the reply goes over a stream.
	MaxSize int
	// Encrypted is set for TLS, HTTPS and QUIC, over which the replies to padded queries are
	// padded (RFC 8467).
	Encrypted bool
	// Missed is set when AppendHit has just been called for the query and returned false. It
	// is then not called again.
	Missed bool
}

// ServeWire answers a query in wire format with a reply in wire format, as ServeDNS does with messages of
// miekg/dns, with the same waits and replies. It is for servers that use another DNS package, or none, and
// decodes no record unless there are hooks, which get decoded records.
//
// send is called once with the reply, whose bytes are the caller's until send returns. It is never called
// when query is no query but a response, or shorter than a header. It may be called from another goroutine:
// a question that is shed for others (Limits.Questions) is answered at once, while the work on it may go on
// in the goroutine of the caller, because others wait for the same. ServeWire never returns before send
// has, so that whatever send uses can be reused afterwards. query must not change meanwhile.
//
// The reply has no more bytes than MaxSize, the client and its transport allow. One that would
// have more has TC set, and the records that fit; options that do not fit are left out. A
// malformed query gets FORMERR: one that miekg/dns does not unpack, or that AcceptQuery does
// not accept, and also one with fewer records than its header says, without type or class of
// the question, or with compression pointers in its name or that do not lead back to a name.
//
// An answer from the cache is sent as AppendHit has it, and allocates nothing. Like ServeDNS,
// ServeWire is safe for concurrent use and has no access control. After Close it answers
// SERVFAIL.
func (r *Resolver) ServeWire(query []byte, client WireClient, send func(reply []byte)) {
	r.messages.ServeWire(query, serve.Client(client), send)
}

// ExchangeWire appends the reply to a query in wire format to dst. It is to Exchange what
// ServeWire is to ServeDNS: it waits as long as ctx lasts, and EDNS options of the query have
// no effect. maxSize is what WireClient.MaxSize is; a reply that would be longer is truncated.
//
// The error is not nil only when query is a response or shorter than a header, when ctx has
// ended, and after Close (ErrClosed); dst is then returned as it was.
func (r *Resolver) ExchangeWire(ctx context.Context, dst, query []byte, maxSize int) ([]byte, error) {
	return r.messages.ExchangeWire(ctx, dst, query, maxSize)
}
