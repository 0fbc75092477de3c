package serve

import (
	"slices"
	"unicode/utf8"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/failure"

	"github.com/iterdns/iterdns/internal/upstream"
)

// responder is one query and the reply being made to it.
type responder struct {
	query *dns.Msg
	reply *dns.Msg
	opt   *dns.OPT // of the query; nil: no EDNS
}

func newResponder(query *dns.Msg) *responder {
	x := &responder{query: query, reply: &dns.Msg{Compress: true}, opt: query.IsEdns0()}
	x.reply.MsgHdr = dns.MsgHdr{
		Id: query.Id, Response: true, Opcode: query.Opcode, RecursionAvailable: true,
		RecursionDesired: query.RecursionDesired, CheckingDisabled: query.CheckingDisabled,
	}
	if len(query.Question) == 1 {
		x.reply.Question = slices.Clone(query.Question) // a reply with more would be malformed too
	}
	if x.opt != nil {
		x.reply.SetEdns0(upstream.UDPSize, x.opt.Do())
	}
	return x
}

// refuse returns the response code for a query that is not a question for a resolver;
// NOERROR for all others.
func (x *responder) refuse() (rcode int, extended failure.ExtendedError) {
	if x.query.Opcode != dns.OpcodeQuery {
		return dns.RcodeNotImplemented, failure.ExtendedError{Code: dns.ExtendedErrorCodeNotSupported, Text: "opcode"}
	}
	if len(x.query.Question) != 1 {
		return dns.RcodeFormatError, failure.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: "not exactly one question"} // RFC 9619 §4
	}
	if !x.wellFormedEDNS() {
		return dns.RcodeFormatError, failure.ExtendedError{Code: dns.ExtendedErrorCodeOther, Text: "OPT"}
	}
	if x.opt != nil && x.opt.Version() != 0 {
		return dns.RcodeBadVers, failure.ExtendedError{}
	}
	q := x.query.Question[0]
	switch {
	case q.Qtype == dns.TypeNXNAME:
		return dns.RcodeFormatError, failure.ExtendedError{Code: extendedInvalidQueryType, Text: "NXNAME"} // RFC 9824 §3.5
	case q.Qtype == dns.TypeAXFR || q.Qtype == dns.TypeIXFR:
		return dns.RcodeRefused, failure.ExtendedError{Code: dns.ExtendedErrorCodeNotAuthoritative, Text: "zone transfer"}
	case q.Qclass != dns.ClassINET:
		return dns.RcodeRefused, failure.ExtendedError{Code: dns.ExtendedErrorCodeNotAuthoritative, Text: "class"}
	case answer.IsMeta(q.Qtype):
		return dns.RcodeNotImplemented, failure.ExtendedError{Code: dns.ExtendedErrorCodeNotSupported, Text: "type"}
	}
	return dns.RcodeSuccess, failure.ExtendedError{}
}

// extendedInvalidQueryType is "Invalid Query Type". RFC 9824 §3.5.
const extendedInvalidQueryType = 30

// maxQueryOptions is how many EDNS options a query may have. Clients send up to five;
// Unbound takes 100, since one query could make it work through thousands.
const maxQueryOptions = 100

// wellFormedEDNS reports whether there is at most one OPT record, in the additional section
// and owned by the root (RFC 6891 §6.1.1, §6.1.2), with at most maxQueryOptions options and
// a well-formed cookie if any (RFC 7873 §5.2.2).
func (x *responder) wellFormedEDNS() bool {
	isOPT := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT }
	if slices.ContainsFunc(x.query.Answer, isOPT) || slices.ContainsFunc(x.query.Ns, isOPT) {
		return false
	}
	n := 0
	for _, rr := range x.query.Extra {
		if isOPT(rr) {
			n++
		}
	}
	if n == 0 {
		return true
	}
	cookie := CookieOf(x.query)
	return n == 1 && x.opt.Hdr.Name == "." && len(x.opt.Option) <= maxQueryOptions &&
		(cookie == nil || IsWellFormedCookie(cookie)) // RFC 7873 §5.2.2
}

// trust returns cache.Unchecked for queries with CD, whose client validates itself.
func (x *responder) trust() cache.Trust {
	if x.query.CheckingDisabled {
		return cache.Unchecked
	}
	return cache.Checked
}

// do reports whether the client wants DNSSEC records. RFC 3225.
func (x *responder) do() bool { return x.opt != nil && x.opt.Do() }

// failed makes the reply an error.
func (x *responder) failed(rcode int, extended failure.ExtendedError) *dns.Msg {
	x.reply.Rcode = x.expressible(rcode)
	x.extend(extended)
	return x.reply
}

// expressible returns rcode, or SERVFAIL when the reply cannot carry it: hooks may choose a
// number that is no response code, or one that takes EDNS (RFC 6891 §6.1.3) where the query
// has none.
func (x *responder) expressible(rcode int) int {
	const most = 0xf // of the header's four bits
	if !IsRcode(rcode) || rcode > most && x.opt == nil {
		return dns.RcodeServerFailure
	}
	return rcode
}

// IsRcode reports whether a response code fits into 12 bits. RFC 6891 §6.1.3.
func IsRcode(rcode int) bool { return 0 <= rcode && rcode <= 0xfff }

// maxExtraText is how many bytes of text an extended DNS error carries: it is for people,
// and names in it come from the network (RFC 8914 §2).
const maxExtraText = 200

// extend adds an extended DNS error to the reply, once.
func (x *responder) extend(e failure.ExtendedError) {
	opt := x.reply.IsEdns0()
	if opt == nil || e == (failure.ExtendedError{}) {
		return
	}
	text := e.Text[:min(len(e.Text), maxExtraText)]
	for !utf8.ValidString(text) && text != "" {
		text = text[:len(text)-1]
	}
	for _, o := range opt.Option {
		if ede, ok := o.(*dns.EDNS0_EDE); ok && ede.InfoCode == e.Code && ede.ExtraText == text {
			return
		}
	}
	opt.Option = append(opt.Option, &dns.EDNS0_EDE{InfoCode: e.Code, ExtraText: text})
}

// answer makes the reply from an answer, whose records become the reply's.
func (x *responder) answer(d *answer.Decoded) *dns.Msg {
	x.reply.Rcode = x.expressible(x.rcode(d))
	x.reply.Answer, x.reply.Ns = d.Answer, d.Authority
	if !x.do() {
		x.reply.Answer = withoutDNSSEC(x.reply.Answer, d.Question.Qtype)
		x.reply.Ns = withoutDNSSEC(x.reply.Ns, dns.TypeNone)
	}
	x.spell(d.Question.Name)
	x.reply.AuthenticatedData = d.Status == dnssec.Secure && (x.do() || x.query.AuthenticatedData)
	for _, e := range d.Extended {
		x.extend(e)
	}
	return x.reply
}

// rcode returns the response code. A name that is denied compactly does not exist, and the
// client is told so. But a client that sets DO may validate, and to a validator the proof
// is one of NODATA, so that NXDOMAIN would be bogus: it gets NXDOMAIN only if it sets CO
// too. RFC 9824 §5.
func (x *responder) rcode(d *answer.Decoded) int {
	if d.Rcode == dns.RcodeNameError && x.do() && !x.opt.Co() && slices.ContainsFunc(d.Authority, deniesCompactly) {
		return dns.RcodeSuccess
	}
	return d.Rcode
}

// deniesCompactly reports whether a record is an NSEC record with the type NXNAME, which
// stands at names that do not exist. RFC 9824 §3.1.
func deniesCompactly(rr dns.RR) bool {
	nsec, ok := rr.(*dns.NSEC)
	return ok && slices.Contains(nsec.TypeBitMap, dns.TypeNXNAME)
}

// spell changes owners that are the name of the question to its letter case, in which they
// compress against it, and which some clients compare.
func (x *responder) spell(name string) {
	asked := dns.Fqdn(x.query.Question[0].Name)
	if asked == name {
		return
	}
	for _, rr := range slices.Concat(x.reply.Answer, x.reply.Ns) {
		if rr.Header().Name == name {
			rr.Header().Name = asked
		}
	}
}

// withoutDNSSEC removes the records that a client without DO must not get: RRSIG, NSEC and
// NSEC3 records that it did not ask for. RFC 4035 §3.2.1.
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

// unresolved makes the reply SERVFAIL, with the reason and, for a cached failure, a second
// extended error that says so: the first is then the same each time.
func (x *responder) unresolved(f failure.Failure) *dns.Msg {
	x.failed(dns.RcodeServerFailure, servfail(f))
	if f.Is(failure.Cached) {
		x.extend(failure.ExtendedCached)
	}
	return x.reply
}

// servfail returns the extended DNS error that explains a SERVFAIL; it is never zero.
func servfail(f failure.Failure) failure.ExtendedError {
	e := f.Extended()
	if f.Told != nil {
		e = f.Told.Extended
	}
	switch {
	case e != (failure.ExtendedError{}):
	case f.Is(failure.Bogus):
		e.Code = dns.ExtendedErrorCodeDNSBogus
	default:
		e.Text = "resolution failed"
	}
	return e
}
