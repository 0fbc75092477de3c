package serve

import (
	"slices"
	"unicode/utf8"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/wire"
)

// response is what a reply says that does not follow from the query.
type response struct {
	rcode    int
	extended []failure.ExtendedError // each once
	cause    error                   // of SERVFAIL for want of an answer; else nil

	// The records, in one of two forms or none.
	found   *answer.Answer
	decoded *answer.Decoded // for hooks, and for replies that are a dns.Msg
}

// failed returns the response that is an error.
func (x *request) failed(rcode int, extended failure.ExtendedError) response {
	res := response{rcode: x.expressible(rcode)}
	res.extend(extended)
	return res
}

// expressible returns rcode, or SERVFAIL when the reply cannot carry it: hooks may choose a
// number that is no response code, or one that takes EDNS (RFC 6891 §6.1.3) where the query
// has none.
func (x *request) expressible(rcode int) int {
	const most = 0xf // of the header's four bits
	if !IsRcode(rcode) || rcode > most && !x.edns {
		return dns.RcodeServerFailure
	}
	return rcode
}

// IsRcode reports whether a response code fits into 12 bits. RFC 6891 §6.1.3.
func IsRcode(rcode int) bool { return 0 <= rcode && rcode <= 0xfff }

// maxExtraText is how many bytes of text an extended DNS error carries: it is for people,
// and names in it come from the network (RFC 8914 §2).
const maxExtraText = 200

// extend adds an extended DNS error, once.
func (res *response) extend(e failure.ExtendedError) {
	if e == (failure.ExtendedError{}) {
		return
	}
	e.Text = e.Text[:min(len(e.Text), maxExtraText)]
	for !utf8.ValidString(e.Text) && e.Text != "" {
		e.Text = e.Text[:len(e.Text)-1]
	}
	if !slices.Contains(res.extended, e) {
		res.extended = append(res.extended, e)
	}
}

// answered completes the response that has an answer's records.
func (x *request) answered(res *response) {
	var extended []failure.ExtendedError
	if res.found != nil {
		res.rcode, extended = res.found.Rcode, res.found.Extended
	} else {
		res.rcode, extended = res.decoded.Rcode, res.decoded.Extended
	}
	// A name that is denied compactly does not exist, and the client is told so. But a client
	// that sets DO may validate, and to a validator the proof is one of NODATA, so that NXDOMAIN
	// would be bogus: it gets NXDOMAIN only if it sets CO too. RFC 9824 §5.
	if res.rcode == dns.RcodeNameError && x.do && !x.co && res.deniesCompactly() {
		res.rcode = dns.RcodeSuccess
	}
	res.rcode = x.expressible(res.rcode)
	for _, e := range extended {
		res.extend(e)
	}
}

// deniesCompactly reports whether there is an NSEC record with the type NXNAME, which stands
// at names that do not exist. RFC 9824 §3.1.
func (res *response) deniesCompactly() bool {
	if res.decoded != nil {
		return slices.ContainsFunc(res.decoded.Authority, func(rr dns.RR) bool {
			nsec, ok := rr.(*dns.NSEC)
			return ok && slices.Contains(nsec.TypeBitMap, dns.TypeNXNAME)
		})
	}
	return slices.ContainsFunc(res.found.Denial, func(set *dnssec.RRset) bool {
		for rdata := range set.Records.All() {
			if set.Type == dns.TypeNSEC && wire.NSECHasType(rdata, dns.TypeNXNAME) {
				return true
			}
		}
		return false
	})
}

// isSecure reports whether all records are validated.
func (res *response) isSecure() bool {
	switch {
	case res.found != nil:
		return res.found.Status == dnssec.Secure
	case res.decoded != nil:
		return res.decoded.Status == dnssec.Secure
	}
	return false
}

// replyFlags returns the second word of the reply's header.
func (x *request) replyFlags(res *response) uint16 {
	flags := wire.QR | wire.RA | x.flags&(opcodeMask|wire.RD|wire.CD) | uint16(res.rcode&0xF)
	if res.isSecure() && (x.do || x.has(wire.AD)) {
		flags |= wire.AD // RFC 6840 §5.7, §5.8
	}
	return flags
}

// gets reports whether the client gets records of a type. Without DO it must not get RRSIG,
// NSEC and NSEC3 records but those that it asked for. RFC 4035 §3.2.1.
func (x *request) gets(rrtype uint16, authority bool) bool {
	switch rrtype {
	case dns.TypeRRSIG, dns.TypeNSEC, dns.TypeNSEC3:
		return x.do || !authority && (rrtype == x.rrtype || x.rrtype == dns.TypeANY)
	}
	return true
}

// explained returns the response to a question that has failed.
func (x *request) explained(f failure.Failure) response {
	switch {
	case f.Refusal != nil:
		return x.failed(f.Refusal.Rcode, f.Refusal.Extended)
	case f.Is(failure.Filtered):
		// No records, and no SOA either, so that clients do not cache it: the records do
		// exist. An error would make clients ask other servers.
		return x.failed(dns.RcodeSuccess, f.Extended())
	case f.Is(failure.NotCached):
		return x.failed(dns.RcodeRefused, failure.ExtendedError{Code: dns.ExtendedErrorCodeNotAuthoritative, Text: "recursion not desired"})
	}
	// A cached failure has a second extended error that says so: the first is then the same
	// each time.
	res := x.failed(dns.RcodeServerFailure, servfail(f))
	if f.Is(failure.Cached) {
		res.extend(failure.ExtendedCached)
	}
	return res
}

// closed returns the response to queries when the resolver is closed.
func (x *request) closed() response {
	return x.failed(dns.RcodeServerFailure, failure.ExtendedError{Code: dns.ExtendedErrorCodeNotReady, Text: "closed"})
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
