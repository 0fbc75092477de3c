package resolver

import "github.com/miekg/dns"

// AcceptQuery judges a message by its header, before anything of it is unpacked: it is the
// MsgAcceptFunc of a dns.Server that a Resolver answers for. Sections that no query has
// use for could otherwise make megabytes of a message.
//
// What dns.DefaultMsgAcceptFunc accepts is accepted, so that an answer section may have one
// record, an authority section one and the additional section two; but no opcode other than
// QUERY, which a resolver has no use for, and a query without a question where an OPT record
// may have a cookie (RFC 7873 §5.4).
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
