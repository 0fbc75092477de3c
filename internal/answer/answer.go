package answer

import (
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/scrub"
	"github.com/iterdns/iterdns/internal/wire"
)

// MaxTTL is how long anything is kept or said to be good for (RFC 8767 §4; Unbound,
// Knot and PowerDNS: one day).
const MaxTTL = 86400

// Answer is what is known of one name and type: records, aliases, or a denial. A search
// joins the answers for the names of an alias chain to the first of them. An answer that a
// search has returned is shared by all callers that wait for it, and not changed.
type Answer struct {
	Q     Question // the question that is answered: the first of a chain
	Kind  Kind     // KindAnswer, KindAlias, KindNoData or KindNameError: what the chain ends at
	Rcode int      // that goes with kind

	Aliases []scrub.Alias   // the chain, from the name of q on
	Sets    []*dnssec.RRset // the records at its end; several for type ANY
	SOA     *dnssec.RRset   // of a denial; nil where none came
	Denial  []*dnssec.RRset // the proof of a denial, and of what was made from wildcards

	Status dnssec.Status // the worst of all parts
	TTL    uint32        // the lowest of all parts, in seconds

	FromCache bool       // no server was asked for any part of it
	Local     bool       // all of it is local data or about special-use names
	Fallback  bool       // a part of it comes from the fallback
	Stale     bool       // a part of it has expired (RFC 8767)
	OverBogus bool       // a part has expired and is given because the new one is bogus
	Due       []Question // parts in the cache to prefetch: in use and about to expire

	Extended []failure.ExtendedError // why it is not secure, if more is known, and what was not kept
	NotKept  error                   // a *cache.LimitError: why the cache did not take a part
}

// IsPositive reports whether there are records of the name searched.
func (a *Answer) IsPositive() bool { return a.Kind == KindAnswer || a.Kind == KindAlias }

// Records returns the records of a type in an answer, without the aliases.
func (a *Answer) Records(rrtype uint16) dnssec.Packed {
	for _, set := range a.Sets {
		if set.Type == rrtype {
			return set.Records
		}
	}
	return ""
}

// IsExpanded reports whether a part of the answer was made from a wildcard, so that a proof
// goes with it.
func (a *Answer) IsExpanded() bool {
	return slices.ContainsFunc(a.Sets, FromWildcard) ||
		slices.ContainsFunc(a.Aliases, func(step scrub.Alias) bool { return FromWildcard(step.Set) })
}

// FromWildcard reports whether a set was made from a wildcard, so that it takes a proof
// that nothing is closer: its signature counts fewer labels than its owner has (RFC 4034
// §3.1.3).
func FromWildcard(set *dnssec.RRset) bool {
	const labels = 3 // offset of the count in RRSIG RDATA
	for sig := range set.Signatures.All() {
		return len(sig) > labels && int(sig[labels]) < set.Owner.Labels() && !set.Owner.IsWildcard()
	}
	return false
}

// Response brings an answer into the form that the validator takes. zone is the one whose
// servers were asked; "" where that is not known.
func (a *Answer) Response(zone dnsname.Name) *dnssec.Response {
	resp := &dnssec.Response{Name: a.Q.Name, Type: a.Q.Type, Zone: zone}
	switch a.Kind {
	case KindAnswer:
		resp.Kind = dnssec.KindAnswer
	case KindAlias:
		resp.Kind = dnssec.KindAlias
	case KindNoData:
		resp.Kind = dnssec.KindNoData
	case KindNameError:
		resp.Kind = dnssec.KindNameError
	case KindReferral, KindLame, KindUnusable, KindRecursive: // no answer is one of these
	}
	for _, step := range a.Aliases {
		resp.Answer = append(resp.Answer, step.Set)
	}
	resp.Answer = append(resp.Answer, a.Sets...)
	if a.SOA != nil {
		resp.Authority = append(resp.Authority, a.SOA)
	}
	resp.Authority = append(resp.Authority, a.Denial...)
	return resp
}

// Reconcile sets the response code that the answer's records imply, whatever the reply's
// was: only records are signed and kept, so that otherwise a client answered from the cache
// would get another code than the first client. An RRset at a name shows that the name
// exists, and the target of an alias is asked for anyway (RFC 6604 §3). The SOA is the
// denial's, and belongs to no answer (RFC 2308 §2).
func (a *Answer) Reconcile() {
	switch a.Kind {
	case KindAnswer, KindNoData:
	case KindAlias:
		if a.Aliases[len(a.Aliases)-1].TooLong {
			a.Rcode = dns.RcodeYXDomain // RFC 6672 §2.2
		}
	case KindNameError:
		a.Rcode = dns.RcodeNameError
	case KindReferral, KindLame, KindUnusable, KindRecursive: // no answer is one of these
	}
	if a.IsPositive() {
		a.SOA = nil
	}
}

// NothingBelow makes of the denial of an ancestor one of the name searched (RFC 8020).
func (a *Answer) NothingBelow(q Question) *Answer {
	below := *a
	below.Q = q
	return &below
}

// TimeToLive returns the TTL as a duration.
func (a *Answer) TimeToLive() time.Duration { return time.Duration(a.TTL) * time.Second }

// AppendAddrs appends the addresses of A or AAAA records.
func AppendAddrs(addrs []netip.Addr, records dnssec.Packed) []netip.Addr {
	for rdata := range records.All() {
		if a, ok := wire.Addr(rdata); ok {
			addrs = append(addrs, a)
		}
	}
	return addrs
}
