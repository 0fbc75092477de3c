package resolver

import (
	"context"
	"errors"
	"net"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// errNoQuery says that what Exchange was given is no query.
var errNoQuery = errors.New("resolver: not a query")

// Exchange answers a query as a recursive server does (RFC 1034 §4.3, RFC 4035 §3.2,
// RFC 6840 §5.7-5.9, RFC 6891). Where Resolve has an error the answer is SERVFAIL with
// an extended DNS error (RFC 8914), provided that the query has EDNS.
//
// RD=0 is answered from the cache, or with REFUSED; CD=1 turns validation off for this
// question; AD is set when everything is Secure and the query has AD or DO set; records
// of DNSSEC are left out unless DO is set or they were asked for. What is no question
// for a resolver gets the error that says so. The answer is never truncated: whoever
// knows the transport does that, as ServeDNS.
//
// The error is not nil only when query is nil or no query, when ctx has ended, and after
// Close.
func (r *Resolver) Exchange(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	if query == nil || query.Response {
		return nil, errNoQuery
	}
	if r.base.Err() != nil {
		return nil, ErrClosed
	}
	x := newExchange(query)
	if rcode, extended := x.refuse(); rcode != dns.RcodeSuccess {
		return x.failed(rcode, extended), nil
	}
	name, err := dnsname.Parse(query.Question[0].Name)
	if err != nil {
		return x.failed(dns.RcodeFormatError, ExtendedError{}), nil
	}
	q := question{name, query.Question[0].Qtype}
	var found *found
	err = r.traced(ctx, q, x.trust(), func(t *task) (*Result, error) {
		var err error
		found, err = r.exchange(ctx, t, q, query.RecursionDesired)
		return nil, err
	})
	switch {
	case err == nil:
		return x.answer(found)
	case errors.Is(err, errNotCached):
		return x.failed(dns.RcodeRefused, ExtendedError{dns.ExtendedErrorCodeNotAuthoritative, "recursion not desired"}), nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case errors.Is(err, ErrClosed):
		return nil, ErrClosed
	}
	return x.failed(dns.RcodeServerFailure, extendedOf(err)), nil
}

// errNotCached says that the answer is not in the cache and nobody may be asked.
var errNotCached = errors.New("not in the cache")

func (r *Resolver) exchange(ctx context.Context, t *task, q question, recurse bool) (*found, error) {
	if recurse {
		return r.answer(ctx, t, q)
	}
	if f, ok := r.searchCache(t, q); ok {
		t.tellFound(f)
		return f, nil
	}
	return nil, errNotCached
}

// exchange is one query and the reply being made to it.
type exchange struct {
	query *dns.Msg
	reply *dns.Msg
	opt   *dns.OPT // of the query; nil: no EDNS
}

func newExchange(query *dns.Msg) *exchange {
	x := &exchange{query: query, reply: new(dns.Msg), opt: query.IsEdns0()}
	x.reply.MsgHdr = dns.MsgHdr{
		Id: query.Id, Response: true, Opcode: query.Opcode, RecursionAvailable: true,
		RecursionDesired: query.RecursionDesired, CheckingDisabled: query.CheckingDisabled,
	}
	x.reply.Question = append(x.reply.Question, query.Question...)
	if x.opt != nil {
		x.reply.SetEdns0(udpSize, x.opt.Do())
	}
	return x
}

// refuse gives the response code for what is no question for a resolver.
func (x *exchange) refuse() (rcode int, extended ExtendedError) {
	if x.query.Opcode != dns.OpcodeQuery {
		return dns.RcodeNotImplemented, ExtendedError{}
	}
	if len(x.query.Question) != 1 || x.optCount() > 1 {
		return dns.RcodeFormatError, ExtendedError{} // RFC 9619, RFC 6891 §6.1.1
	}
	if x.opt != nil && x.opt.Version() != 0 {
		return dns.RcodeBadVers, ExtendedError{}
	}
	q := x.query.Question[0]
	switch {
	case q.Qtype == dns.TypeNXNAME:
		return dns.RcodeFormatError, ExtendedError{extendedInvalidQueryType, "NXNAME is no type to ask for"} // RFC 9824 §3.4
	case q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR || q.Qclass != dns.ClassINET:
		return dns.RcodeRefused, ExtendedError{dns.ExtendedErrorCodeNotAuthoritative, ""}
	case isMeta(q.Qtype):
		return dns.RcodeNotImplemented, ExtendedError{dns.ExtendedErrorCodeNotSupported, ""}
	}
	return dns.RcodeSuccess, ExtendedError{}
}

// extendedInvalidQueryType is "Invalid Query Type". RFC 9824 §3.4.
const extendedInvalidQueryType = 30

func (x *exchange) optCount() int {
	n := 0
	for _, rr := range x.query.Extra {
		if rr.Header().Rrtype == dns.TypeOPT {
			n++
		}
	}
	return n
}

// trust: with CD the client judges for itself.
func (x *exchange) trust() cache.Trust {
	if x.query.CheckingDisabled {
		return cache.Unchecked
	}
	return cache.Checked
}

// do reports whether the client wants DNSSEC records. RFC 3225.
func (x *exchange) do() bool { return x.opt != nil && x.opt.Do() }

// failed makes the reply an error.
func (x *exchange) failed(rcode int, extended ExtendedError) *dns.Msg {
	x.reply.Rcode = rcode
	x.extend(extended)
	return x.reply
}

func (x *exchange) extend(e ExtendedError) {
	opt := x.reply.IsEdns0()
	if opt == nil || e == (ExtendedError{}) {
		return
	}
	opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: e.Code, ExtraText: e.Text})
}

// answer makes the reply of what was found.
func (x *exchange) answer(f *found) (*dns.Msg, error) {
	result, err := f.result()
	if err != nil {
		return x.failed(dns.RcodeServerFailure, ExtendedError{dns.ExtendedErrorCodeInvalidData, ""}), nil
	}
	x.reply.Rcode = f.rcode
	x.reply.Answer, x.reply.Ns = result.Answer, result.Authority
	if !x.do() {
		asked := f.q.rrtype
		x.reply.Answer = withoutDNSSEC(x.reply.Answer, asked)
		x.reply.Ns = withoutDNSSEC(x.reply.Ns, asked)
	}
	x.reply.AuthenticatedData = f.status == dnssec.Secure && (x.do() || x.query.AuthenticatedData)
	for _, e := range f.extended {
		x.extend(e)
	}
	return x.reply, nil
}

// withoutDNSSEC leaves out what a client that does not set DO must not be sent: RRSIG,
// NSEC and NSEC3 records it did not ask for. RFC 4035 §3.2.1.
func withoutDNSSEC(records []dns.RR, asked uint16) []dns.RR {
	kept := records[:0]
	for _, rr := range records {
		switch t := rr.Header().Rrtype; t {
		case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3:
			if t != asked && asked != dns.TypeANY {
				continue
			}
		}
		kept = append(kept, rr)
	}
	return kept
}

// ServeDNS makes a Resolver a dns.Handler: it answers query over w, truncated to what
// the client takes over UDP (RFC 6891 §6.2.5, RFC 9715), and with SERVFAIL where
// Exchange has an error. It does not ask who the client is: listening on an address
// that strangers reach makes an open resolver (RFC 5358).
func (r *Resolver) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	reply, err := r.Exchange(r.base, query)
	if errors.Is(err, errNoQuery) {
		return // answering an answer would make a loop
	}
	if err != nil {
		reply = newExchange(query).failed(dns.RcodeServerFailure, ExtendedError{dns.ExtendedErrorCodeNotReady, ""})
	}
	if _, datagram := w.RemoteAddr().(*net.UDPAddr); datagram {
		reply.Truncate(datagramSize(query))
	}
	// A client that is gone is told nothing; there is nobody else to tell.
	_ = w.WriteMsg(reply)
}

// datagramSize is the largest reply the client gets over UDP: what it takes, but no more
// than passes everywhere unfragmented.
func datagramSize(query *dns.Msg) int {
	opt := query.IsEdns0()
	if opt == nil {
		return dns.MinMsgSize
	}
	return min(max(int(opt.UDPSize()), dns.MinMsgSize), udpSize)
}
