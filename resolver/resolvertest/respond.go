package resolvertest

import (
	"github.com/miekg/dns"
)

// respond makes the reply to a readable query: the checks that come before the
// zones are looked at, then the answer. reply is nil when the server stays silent.
func (x *exchange) respond() (reply *dns.Msg, a *answer) {
	a = &answer{}
	reply = newReply(x.message)
	opt := x.message.IsEdns0()
	if opt != nil {
		switch x.edns {
		case ednsFormErr:
			reply.Rcode = dns.RcodeFormatError
			return reply, a
		case ednsNotImp:
			reply.Rcode = dns.RcodeNotImplemented
			return reply, a
		case ednsDropped:
			return nil, a
		case ednsIgnored:
			opt = nil
		case ednsFull:
			reply.SetEdns0(uint16(x.udpSize), opt.Do())
		}
	}
	if rcode := x.refusal(opt); rcode != dns.RcodeSuccess {
		setRcode(reply, rcode)
		return reply, a
	}
	if opt != nil {
		if rcode := x.bake(opt, reply.IsEdns0()); rcode != dns.RcodeSuccess {
			setRcode(reply, rcode)
			return reply, a
		}
	}
	a = answerFrom(x.zones, x.message.Question[0], opt != nil && opt.Do())
	if x.server.recursive {
		a.aa, reply.RecursionAvailable = false, true
	}
	setRcode(reply, a.rcode)
	reply.Authoritative = a.aa
	reply.Answer, reply.Ns = a.answer, a.authority
	a.optional = without(a.optional, a.additional)
	reply.Extra = join(a.additional, a.optional, reply.Extra)
	return reply, a
}

// newReply is the start of every reply: header and question of the query.
func newReply(query *dns.Msg) *dns.Msg {
	reply := &dns.Msg{}
	reply.Id, reply.Response, reply.Opcode = query.Id, true, query.Opcode
	reply.RecursionDesired = query.RecursionDesired
	if len(query.Question) == 1 {
		reply.Question = query.Question
	}
	return reply
}

// setRcode sets an RCODE. One above 15 needs the OPT record for its upper bits
// (RFC 6891 §6.1.3); without one it becomes SERVFAIL.
func setRcode(m *dns.Msg, rcode int) {
	const maxHeaderRcode = 15
	if rcode > maxHeaderRcode && m.IsEdns0() == nil {
		rcode = dns.RcodeServerFailure
	}
	m.Rcode = rcode
}

// refusal returns the RCODE of a query that gets no answer from the zones, or
// success if it gets one.
func (x *exchange) refusal(opt *dns.OPT) int {
	m := x.message
	switch {
	case m.Opcode != dns.OpcodeQuery:
		return dns.RcodeNotImplemented
	case len(m.Question) != 1, countOPT(m) > 1: // RFC 9619, RFC 6891 §6.1.1
		return dns.RcodeFormatError
	case opt != nil && opt.Version() != 0:
		return dns.RcodeBadVers
	}
	q := m.Question[0]
	switch {
	case q.Qtype == dns.TypeNXNAME, q.Qtype == dns.TypeOPT, q.Qtype == dns.TypeNone: // RFC 9824 §3.5
		return dns.RcodeFormatError
	case q.Qtype == dns.TypeAXFR, q.Qtype == dns.TypeIXFR, q.Qclass != dns.ClassINET:
		return dns.RcodeRefused
	}
	return dns.RcodeSuccess
}

func countOPT(m *dns.Msg) int {
	n := 0
	for _, rr := range m.Extra {
		if rr.Header().Rrtype == dns.TypeOPT {
			n++
		}
	}
	return n
}

// bake handles cookies (RFC 7873 §5.2): it puts the server's into the reply and
// returns an RCODE other than success if the query is not answered.
func (x *exchange) bake(asked, given *dns.OPT) int {
	if x.cookies == cookiesOff {
		return dns.RcodeSuccess
	}
	cookie := cookieOf(asked)
	status := judgeCookie(x.server.addr, cookie)
	if status == cookieMalformed {
		return dns.RcodeFormatError
	}
	if status != cookieAbsent {
		given.Option = append(given.Option, cookieOption(x.server.addr, cookie))
	}
	switch x.cookies {
	case cookiesNever:
		if status != cookieAbsent {
			return dns.RcodeBadCookie
		}
	case cookiesRequired:
		if (status == cookieClient || status == cookieWrong) && x.query.Network == "udp" {
			return dns.RcodeBadCookie
		}
	case cookiesOn, cookiesOff:
	}
	return dns.RcodeSuccess
}

// without returns the records of rrs that are not in others.
func without(rrs, others []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range rrs {
		if !contains(others, rr) && !contains(out, rr) {
			out = append(out, rr)
		}
	}
	return out
}
