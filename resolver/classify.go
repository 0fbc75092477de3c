package resolver

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
)

// responseKind is what a response is (RFC 1034 §4.3.1, RFC 2308 §2, RFC 9499 §4).
type responseKind uint8

const (
	kindUnusable  responseKind = iota // an error, or nothing that makes sense: ask another server
	kindLame                          // the server does not serve the zone: ask another one
	kindAnswer                        // the RRset asked for
	kindAlias                         // a CNAME or DNAME leads on
	kindReferral                      // a delegation to a deeper zone
	kindNoData                        // the name is there, the type is not
	kindNameError                     // the name is not there
	kindRecursive                     // an answer out of the cache of something that is no authoritative server
)

// String gives the kind as in traces.
func (k responseKind) String() string {
	switch k {
	case kindUnusable:
		return "unusable"
	case kindLame:
		return "lame"
	case kindAnswer:
		return "answer"
	case kindAlias:
		return "alias"
	case kindReferral:
		return "referral"
	case kindNoData:
		return "no data"
	case kindNameError:
		return "name error"
	case kindRecursive:
		return "recursive"
	}
	return "unknown"
}

// final reports whether another server need not be asked.
func (k responseKind) final() bool {
	switch k {
	case kindAnswer, kindAlias, kindReferral, kindNoData, kindNameError:
		return true
	case kindUnusable, kindLame, kindRecursive:
		return false
	}
	return false
}

// classify says what a scrubbed response of a server of zone to q is.
func classify(r *scrub.Reply, q question, zone dnsname.Name) responseKind {
	switch r.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeYXDomain:
	case dns.RcodeRefused, dns.RcodeNotAuth:
		return kindLame
	default:
		return kindUnusable
	}
	if k, ok := classifyAnswer(r); ok {
		return k
	}
	switch {
	case r.Rcode == dns.RcodeYXDomain:
		return kindUnusable // without the DNAME that would explain it
	case r.Rcode == dns.RcodeNameError:
		return nameErrorOf(r)
	case len(r.NS) > 0 && r.SOA == nil:
		return referralOf(r, q)
	case r.SOA != nil:
		return noDataOf(r)
	case r.Upward:
		return kindLame // refers to itself, or to where we come from
	case r.AA:
		return kindNoData
	case len(r.Denial) > 0 && !r.RA:
		return kindNoData // if it is proven: see restsOnProof
	}
	return kindLame
}

// classifyForwarded says what a scrubbed response of a recursive server is. NS records
// beside it are none of its business. A response that is neither recursive nor
// authoritative, and has nothing to say, is that of a server which does not recurse for
// us.
func classifyForwarded(r *scrub.Reply) responseKind {
	switch r.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeYXDomain:
	case dns.RcodeRefused, dns.RcodeNotAuth:
		return kindLame
	default:
		return kindUnusable
	}
	switch {
	case len(r.Answer) > 0:
		return kindAnswer
	case len(r.Aliases) > 0:
		return kindAlias
	case r.Rcode == dns.RcodeYXDomain:
		return kindUnusable // without the DNAME that would explain it
	case !r.RA && !r.AA:
		return kindLame
	case r.Rcode == dns.RcodeNameError:
		return kindNameError
	}
	return kindNoData
}

// classifyAnswer looks at the answer section.
func classifyAnswer(r *scrub.Reply) (responseKind, bool) {
	kind := kindAnswer
	switch {
	case len(r.Answer) > 0:
	case len(r.Aliases) > 0:
		kind = kindAlias
	default:
		return kindUnusable, false
	}
	if !r.AA && r.RA {
		return kindRecursive, true
	}
	return kind, true
}

// nameErrorOf: a denial out of a cache says nothing about the zone.
func nameErrorOf(r *scrub.Reply) responseKind {
	if !r.AA && r.RA {
		return kindRecursive
	}
	return kindNameError
}

func noDataOf(r *scrub.Reply) responseKind {
	if !r.AA && r.RA {
		return kindRecursive
	}
	return kindNoData
}

// referralOf: a parent's servers that know nothing of DNSSEC answer a question for
// DS as any other one below the cut, which means that there is no DS.
func referralOf(r *scrub.Reply, q question) responseKind {
	if r.ManyOwners {
		return kindUnusable
	}
	if q.rrtype == dns.TypeDS && r.NS[0].Owner == q.name {
		return kindNoData
	}
	return kindReferral
}
