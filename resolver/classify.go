package resolver

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
)

// responseKind is what a response is (RFC 1034 §4.3.1, RFC 2308 §2, RFC 9499 §4).
type responseKind uint8

const (
	unusable  responseKind = iota // an error, or nothing that makes sense: ask another server
	lame                          // the server does not serve the zone: ask another one
	answer                        // the RRset asked for
	alias                         // a CNAME or DNAME leads on
	referral                      // a delegation to a deeper zone
	noData                        // the name is there, the type is not
	nameError                     // the name is not there
	recursive                     // an answer out of the cache of something that is no authoritative server
)

// String gives the kind as in traces.
func (k responseKind) String() string {
	switch k {
	case unusable:
		return "unusable"
	case lame:
		return "lame"
	case answer:
		return "answer"
	case alias:
		return "alias"
	case referral:
		return "referral"
	case noData:
		return "no data"
	case nameError:
		return "name error"
	case recursive:
		return "recursive"
	}
	return "unknown"
}

// final reports whether another server need not be asked.
func (k responseKind) final() bool {
	switch k {
	case answer, alias, referral, noData, nameError:
		return true
	case unusable, lame, recursive:
		return false
	}
	return false
}

// classify says what a scrubbed response of a server of zone to q is.
func classify(r *scrub.Reply, q question, zone dnsname.Name) responseKind {
	switch r.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeYXDomain:
	case dns.RcodeRefused, dns.RcodeNotAuth:
		return lame
	default:
		return unusable
	}
	if k, ok := classifyAnswer(r); ok {
		return k
	}
	switch {
	case r.Rcode == dns.RcodeYXDomain:
		return unusable // without the DNAME that would explain it
	case r.Rcode == dns.RcodeNameError:
		return nameErrorOf(r)
	case len(r.NS) > 0 && r.SOA == nil:
		return referralOf(r, q)
	case r.SOA != nil:
		return noDataOf(r)
	case r.Upward:
		return lame // refers to itself, or to where we come from
	case r.AA:
		return noData
	case len(r.Denial) > 0 && !r.RA:
		return noData // if it is proven: see restsOnProof
	}
	return lame
}

// classifyForwarded says what a scrubbed response of a recursive server is. NS records
// beside it are none of its business. A response that is neither recursive nor
// authoritative, and has nothing to say, is that of a server which does not recurse for
// us.
func classifyForwarded(r *scrub.Reply) responseKind {
	switch r.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeYXDomain:
	case dns.RcodeRefused, dns.RcodeNotAuth:
		return lame
	default:
		return unusable
	}
	switch {
	case len(r.Answer) > 0:
		return answer
	case len(r.Aliases) > 0:
		return alias
	case r.Rcode == dns.RcodeYXDomain:
		return unusable // without the DNAME that would explain it
	case !r.RA && !r.AA:
		return lame
	case r.Rcode == dns.RcodeNameError:
		return nameError
	}
	return noData
}

// classifyAnswer looks at the answer section.
func classifyAnswer(r *scrub.Reply) (responseKind, bool) {
	kind := answer
	switch {
	case len(r.Answer) > 0:
	case len(r.Aliases) > 0:
		kind = alias
	default:
		return unusable, false
	}
	if !r.AA && r.RA {
		return recursive, true
	}
	return kind, true
}

// nameErrorOf: a denial out of a cache says nothing about the zone.
func nameErrorOf(r *scrub.Reply) responseKind {
	if !r.AA && r.RA {
		return recursive
	}
	return nameError
}

func noDataOf(r *scrub.Reply) responseKind {
	if !r.AA && r.RA {
		return recursive
	}
	return noData
}

// referralOf: a parent's servers that know nothing of DNSSEC answer a question for
// DS as any other one below the cut, which means that there is no DS.
func referralOf(r *scrub.Reply, q question) responseKind {
	if r.ManyOwners {
		return unusable
	}
	if q.rrtype == dns.TypeDS && r.NS[0].Owner == q.name {
		return noData
	}
	return referral
}
