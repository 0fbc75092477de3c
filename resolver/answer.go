package resolver

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/wire"
)

// maxTTL is how long anything is kept or said to be good for (RFC 8767 §4; Unbound,
// Knot and PowerDNS: one day).
const maxTTL = 86400

// answer is what is known of one name and type: records, aliases, or a denial. A search
// joins the answers for the names of an alias chain to the first of them. An answer that a
// search has returned is shared by all callers that wait for it, and not changed.
type answer struct {
	q     question     // the question that is answered: the first of a chain
	kind  responseKind // kindAnswer, kindAlias, kindNoData or kindNameError: what the chain ends at
	rcode int          // that goes with kind

	aliases []scrub.Alias   // the chain, from the name of q on
	sets    []*dnssec.RRset // the records at its end; several for type ANY
	soa     *dnssec.RRset   // of a denial; nil where none came
	denial  []*dnssec.RRset // the proof of a denial, and of what was made from wildcards

	status dnssec.Status // the worst of all parts
	ttl    uint32        // the lowest of all parts, in seconds

	fromCache bool       // no server was asked for any part of it
	local     bool       // all of it is local data or about special-use names
	stale     bool       // a part of it has expired (RFC 8767)
	due       []question // parts in the cache to prefetch: in use and about to expire

	extended []extendedError // why it is not secure, if more is known, and what was not kept
	notKept  error           // a *cache.LimitError: why the cache did not take a part
}

// isPositive reports whether there are records of the name searched.
func (a *answer) isPositive() bool { return a.kind == kindAnswer || a.kind == kindAlias }

// records returns the records of a type in an answer, without the aliases.
func (a *answer) records(rrtype uint16) dnssec.Packed {
	for _, set := range a.sets {
		if set.Type == rrtype {
			return set.Records
		}
	}
	return ""
}

// isExpanded reports whether a part of the answer was made from a wildcard, so that a proof
// goes with it.
func (a *answer) isExpanded() bool {
	return slices.ContainsFunc(a.sets, fromWildcard) ||
		slices.ContainsFunc(a.aliases, func(step scrub.Alias) bool { return fromWildcard(step.Set) })
}

// fromWildcard reports whether a set was made from a wildcard, so that it takes a proof
// that nothing is closer: its signature counts fewer labels than its owner has (RFC 4034
// §3.1.3).
func fromWildcard(set *dnssec.RRset) bool {
	const labels = 3 // offset of the count in RRSIG RDATA
	for sig := range set.Signatures.All() {
		return len(sig) > labels && int(sig[labels]) < set.Owner.Labels() && !set.Owner.IsWildcard()
	}
	return false
}

// response brings an answer into the form that the validator takes. zone is the one whose
// servers were asked; "" where that is not known.
func (a *answer) response(zone dnsname.Name) *dnssec.Response {
	resp := &dnssec.Response{Name: a.q.name, Type: a.q.rrtype, Zone: zone}
	switch a.kind {
	case kindAnswer:
		resp.Kind = dnssec.KindAnswer
	case kindAlias:
		resp.Kind = dnssec.KindAlias
	case kindNoData:
		resp.Kind = dnssec.KindNoData
	case kindNameError:
		resp.Kind = dnssec.KindNameError
	case kindReferral, kindLame, kindUnusable, kindRecursive: // no answer is one of these
	}
	for _, step := range a.aliases {
		resp.Answer = append(resp.Answer, step.Set)
	}
	resp.Answer = append(resp.Answer, a.sets...)
	if a.soa != nil {
		resp.Authority = append(resp.Authority, a.soa)
	}
	resp.Authority = append(resp.Authority, a.denial...)
	return resp
}

// reconcile sets the response code that the answer's records imply, whatever the reply's
// was: only records are signed and kept, so that otherwise a client answered from the cache
// would get another code than the first client. An RRset at a name shows that the name
// exists, and the target of an alias is asked for anyway (RFC 6604 §3). The SOA is the
// denial's, and belongs to no answer (RFC 2308 §2).
func (a *answer) reconcile() {
	switch a.kind {
	case kindAnswer, kindNoData:
	case kindAlias:
		if a.aliases[len(a.aliases)-1].TooLong {
			a.rcode = dns.RcodeYXDomain // RFC 6672 §2.2
		}
	case kindNameError:
		a.rcode = dns.RcodeNameError
	case kindReferral, kindLame, kindUnusable, kindRecursive: // no answer is one of these
	}
	if a.isPositive() {
		a.soa = nil
	}
}

// nothingBelow makes of the denial of an ancestor one of the name searched (RFC 8020).
func (a *answer) nothingBelow(q question) *answer {
	below := *a
	below.q = q
	return &below
}

func (a *answer) timeToLive() time.Duration { return time.Duration(a.ttl) * time.Second }

// appendAddrs appends the addresses of A or AAAA records.
func appendAddrs(addrs []netip.Addr, records dnssec.Packed) []netip.Addr {
	for rdata := range records.All() {
		if a, ok := wire.Addr(rdata); ok {
			addrs = append(addrs, a)
		}
	}
	return addrs
}
