package resolver

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
)

// classify says what a scrubbed response to q from a server of zone is.
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
		return kindLame // refers to itself or upward
	case r.AA:
		return kindNoData
	case len(r.Denial) > 0 && !r.RA:
		return kindNoData // if it is proven: see restsOnProof
	}
	return kindLame
}

// classifyForwarded says what a scrubbed response of a recursive server is, whose NS records
// do not matter. A response that is neither recursive nor authoritative, and says nothing,
// comes from a server that does not recurse for us.
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

// classifyAnswer classifies by the answer section; false when it is empty.
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

// nameErrorOf tells a name error from one out of a cache, which says nothing about the zone.
func nameErrorOf(r *scrub.Reply) responseKind {
	if !r.AA && r.RA {
		return kindRecursive
	}
	return kindNameError
}

// noDataOf does the same for NODATA.
func noDataOf(r *scrub.Reply) responseKind {
	if !r.AA && r.RA {
		return kindRecursive
	}
	return kindNoData
}

// referralOf tells a referral from the response to a DS query of a parent's servers that do
// not know DNSSEC: they answer as for any type below the cut, which means that there is no
// DS.
func referralOf(r *scrub.Reply, q question) responseKind {
	if r.ManyOwners {
		return kindUnusable
	}
	if q.rrtype == dns.TypeDS && r.NS[0].Owner == q.name {
		return kindNoData
	}
	return kindReferral
}
