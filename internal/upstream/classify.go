package upstream

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
)

// classify says what a scrubbed response to q from a server of zone is.
func classify(r *scrub.Reply, q answer.Question, zone dnsname.Name) answer.Kind {
	switch r.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeYXDomain:
	case dns.RcodeRefused, dns.RcodeNotAuth:
		return answer.KindLame
	default:
		return answer.KindUnusable
	}
	if k, ok := classifyAnswer(r); ok {
		return k
	}
	switch {
	case r.Rcode == dns.RcodeYXDomain:
		return answer.KindUnusable // without the DNAME that would explain it
	case r.Rcode == dns.RcodeNameError:
		return nameErrorOf(r)
	case len(r.NS) > 0 && r.SOA == nil:
		return referralOf(r, q)
	case r.SOA != nil:
		return noDataOf(r)
	case r.Upward:
		return answer.KindLame // refers to itself or upward
	case r.AA:
		return answer.KindNoData
	case len(r.Denial) > 0 && !r.RA:
		return answer.KindNoData // if it is proven: see RestsOnProof
	}
	return answer.KindLame
}

// classifyForwarded says what a scrubbed response of a recursive server is, whose NS records
// do not matter. A response that is neither recursive nor authoritative, and says nothing,
// comes from a server that does not recurse for us.
func classifyForwarded(r *scrub.Reply) answer.Kind {
	switch r.Rcode {
	case dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeYXDomain:
	case dns.RcodeRefused, dns.RcodeNotAuth:
		return answer.KindLame
	default:
		return answer.KindUnusable
	}
	switch {
	case len(r.Answer) > 0:
		return answer.KindAnswer
	case len(r.Aliases) > 0:
		return answer.KindAlias
	case r.Rcode == dns.RcodeYXDomain:
		return answer.KindUnusable // without the DNAME that would explain it
	case !r.RA && !r.AA:
		return answer.KindLame
	case r.Rcode == dns.RcodeNameError:
		return answer.KindNameError
	}
	return answer.KindNoData
}

// classifyAnswer classifies by the answer section; false when it is empty.
func classifyAnswer(r *scrub.Reply) (answer.Kind, bool) {
	kind := answer.KindAnswer
	switch {
	case len(r.Answer) > 0:
	case len(r.Aliases) > 0:
		kind = answer.KindAlias
	default:
		return answer.KindUnusable, false
	}
	if !r.AA && r.RA {
		return answer.KindRecursive, true
	}
	return kind, true
}

// nameErrorOf tells a name error from one out of a cache, which says nothing about the zone.
func nameErrorOf(r *scrub.Reply) answer.Kind {
	if !r.AA && r.RA {
		return answer.KindRecursive
	}
	return answer.KindNameError
}

// noDataOf does the same for NODATA.
func noDataOf(r *scrub.Reply) answer.Kind {
	if !r.AA && r.RA {
		return answer.KindRecursive
	}
	return answer.KindNoData
}

// referralOf tells a referral from the response to a DS query of a parent's servers that do
// not know DNSSEC: they answer as for any type below the cut, which means that there is no
// DS.
func referralOf(r *scrub.Reply, q answer.Question) answer.Kind {
	if r.ManyOwners {
		return answer.KindUnusable
	}
	if q.Type == dns.TypeDS && r.NS[0].Owner == q.Name {
		return answer.KindNoData
	}
	return answer.KindReferral
}
