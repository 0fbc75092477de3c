package resolver

import (
	"encoding/hex"
	"net"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/serve"
)

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
// goes to a question that is shed for others after half a second (Limits.Questions).
// Answers are sent as they come and never held back, so that they cannot be made to arrive
// together (DNSBomb).
//
// Close ends the questions under way, each of which is answered with SERVFAIL, as are
// queries that come later. Shut a dns.Server down after that: its Shutdown waits until the
// answers are written. Its MsgAcceptFunc should be AcceptQuery.
func (r *Resolver) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	var reply *dns.Msg
	var err error
	if query != nil && serve.AsksForCookie(query) {
		reply = newResponder(query).reply
	} else {
		reply, err = r.respondWithin(r.clientContext(w.RemoteAddr()), query, maxServeWait)
	}
	if err == errNoQuery {
		return // answering an answer would make a loop
	}
	if err != nil {
		reply = newResponder(query).failed(dns.RcodeServerFailure, extendedError{dns.ExtendedErrorCodeNotReady, "closed"})
	}
	r.cookies.Set(reply, query, addrPortOf(w.RemoteAddr()).Addr())
	r.setNSID(reply, query)
	size := dns.MaxMsgSize
	if _, datagram := w.RemoteAddr().(*net.UDPAddr); datagram {
		size = datagramSize(query)
	}
	reply.Truncate(size)
	reply.Compress = true // Truncate sets it only where it must
	if isEncrypted(w) && hasOption(query, dns.EDNS0PADDING) {
		pad(reply)
	}
	// An error means that the client is gone, and there is nobody else to tell.
	_ = w.WriteMsg(reply)
}

// datagramSize returns the size of the largest reply over UDP: what the client takes, but
// no more than passes everywhere unfragmented.
func datagramSize(query *dns.Msg) int {
	opt := query.IsEdns0()
	if opt == nil {
		return dns.MinMsgSize
	}
	return min(max(int(opt.UDPSize()), dns.MinMsgSize), udpSize)
}

// setNSID adds the server's identity to the reply if the client asks for it. RFC 5001 §2.
func (r *Resolver) setNSID(reply, query *dns.Msg) {
	opt := reply.IsEdns0()
	if opt == nil || r.config.NSID == "" || !hasOption(query, dns.EDNS0NSID) {
		return
	}
	opt.Option = append(opt.Option, &dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: hex.EncodeToString([]byte(r.config.NSID))})
}

// isEncrypted reports whether w writes to a TLS connection.
func isEncrypted(w dns.ResponseWriter) bool {
	c, ok := w.(dns.ConnectionStater)
	return ok && c.ConnectionState() != nil
}

// hasOption reports whether the query has an EDNS option of that code.
func hasOption(query *dns.Msg, code uint16) bool {
	opt := query.IsEdns0()
	if opt == nil {
		return false
	}
	return slices.ContainsFunc(opt.Option, func(o dns.EDNS0) bool { return o.Option() == code })
}

// paddedBlock is the number of bytes that the length of padded answers is a multiple of.
// RFC 8467 §4.1.
const paddedBlock = 468

// pad fills the reply, which has an OPT record, up to a multiple of paddedBlock.
func pad(reply *dns.Msg) {
	const optionHeader = 4
	wire, err := reply.Pack() // Len overestimates some names, such as those of signers
	if err != nil {
		return // WriteMsg has the same error
	}
	opt, length := reply.IsEdns0(), len(wire)+optionHeader
	padded := min((length+paddedBlock-1)/paddedBlock*paddedBlock, dns.MaxMsgSize)
	if padded < length {
		return
	}
	opt.Option = append(opt.Option, &dns.EDNS0_PADDING{Padding: make([]byte, padded-length)})
}

// AcceptQuery decides by its header whether a message is unpacked at all: it is the
// MsgAcceptFunc of a dns.Server that a Resolver answers for. Otherwise sections that are of
// no use in a query could become megabytes of records.
//
// It accepts what dns.DefaultMsgAcceptFunc accepts, so that an answer section may have one
// record, an authority section one and the additional section two, with two differences: no
// opcode other than QUERY, which a resolver has no use for; and also a query without a
// question where an OPT record may have a cookie (RFC 7873 §5.4).
func AcceptQuery(h dns.Header) dns.MsgAcceptAction {
	const response, opcode = 1 << 15, 0xF << 11
	switch {
	case h.Bits&response != 0:
		return dns.MsgIgnore // answering an answer would make a loop
	case h.Bits&opcode != 0:
		return dns.MsgRejectNotImplemented
	case h.Qdcount == 0 && h.Ancount == 0 && h.Nscount == 0 && h.Arcount == 1:
		return dns.MsgAccept
	case h.Qdcount != 1, h.Ancount > 1, h.Nscount > 1, h.Arcount > 2:
		return dns.MsgReject
	}
	return dns.MsgAccept
}
