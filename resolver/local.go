package resolver

import (
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/policy"
)

// localData is all local zones. It is immutable.
type localData struct {
	generation uint64 // of SetLocalZones
	zones      policy.LocalZones
}

// setLocalZones replaces the local zones.
func (r *iterator) setLocalZones(zones policy.LocalZones) {
	for {
		old := r.localData.Load()
		if r.localData.CompareAndSwap(old, &localData{generation: old.generation + 1, zones: zones}) {
			return
		}
	}
}

// localGeneration is how often the local zones have been replaced.
func (r *iterator) localGeneration() uint64 { return r.localData.Load().generation }

// hasLocalZone reports whether a local zone may answer questions for name.
func (r *iterator) hasLocalZone(name dnsname.Name) bool { return r.localData.Load().zones.Has(name) }

// answerLocally answers a client's question from the local zones; false when none of them
// answers it.
func (r *iterator) answerLocally(trust cache.Trust, q question) (*answer, bool) {
	a, ok := r.localData.Load().zones.Find(q.name, q.rrtype)
	if !ok {
		return nil, false
	}
	f := localAnswer(q, a)
	if r.settings.Validates && trust == cache.Checked {
		f.status = dnssec.Insecure
	}
	return f, true
}

// localAnswer brings what a local zone or a special-use name says into the form of what
// servers say.
func localAnswer(q question, a policy.LocalAnswer) *answer {
	f := &answer{q: q, sets: a.Sets, aliases: a.Aliases, soa: a.SOA, ttl: maxTTL, fromCache: true, local: true}
	for _, s := range a.Sets {
		f.ttl = min(f.ttl, s.TTL)
	}
	switch {
	case len(a.Aliases) > 0:
		f.kind, f.ttl = kindAlias, min(a.Aliases[0].Set.TTL, maxTTL)
		if a.Aliases[0].TooLong {
			f.rcode = dns.RcodeYXDomain
		}
	case len(a.Sets) > 0:
		f.kind = kindAnswer
	case a.Exists:
		f.kind, f.ttl = kindNoData, negativeTTL(a.SOA)
	default:
		f.kind, f.rcode, f.ttl = kindNameError, dns.RcodeNameError, negativeTTL(a.SOA)
	}
	return f
}

// specialUse answers a question about a special-use name; false when it is none. No server
// is asked, whether the question comes from a client, an alias, or a delegation to a name
// server with such a name; except those of a route whose zone is as long as the special-use
// name or longer.
//
// The addresses of localhost are returned only for questions for localhost itself (direct).
// Behind an alias localhost has none: clients that filter private addresses against DNS
// rebinding see those that come from the network, and a CNAME must not get round that by
// having us add the address. The public DNS has no address there either. A name server that
// is called localhost has no address either: asking it would be asking ourselves.
func (r *iterator) specialUse(trust cache.Trust, q question, direct bool) (*answer, bool) {
	if r.settings.DisableLocalZones {
		return nil, false
	}
	zone, ok := policy.SpecialUseOf(q.name)
	if !ok || zone.IsParents(q.name, q.rrtype) {
		return nil, false
	}
	if rt := r.routes.currentRoutes().match(searchedFrom(q)); rt != nil && rt.zone.IsAtOrBelow(zone.Name) {
		return nil, false // the route's servers know the name
	}
	f := answerSpecialUse(zone, q, direct)
	if r.settings.Validates && trust == cache.Checked {
		f.status = dnssec.Insecure
	}
	return f, true
}

// answerSpecialUse returns what the zone says. direct is false when the question comes from
// an alias or a delegation.
func answerSpecialUse(zone policy.SpecialUse, q question, direct bool) *answer {
	a := zone.Answer(q.name, q.rrtype, direct)
	f := localAnswer(q, a)
	if a.SOA == nil {
		return f
	}
	f.ttl = policy.LocalTTL // longer than others' denials, RFC 6303 §3
	f.extended = []extendedError{{dns.ExtendedErrorCodeOther, "answered locally: special-use name, " + zone.RFC}}
	return f
}

// filtered returns the answer without the records that have addresses which are not
// allowed; errFiltered when none is left. f itself, which the cache and others who wait for
// the answer keep, stays as it was. The name asked for decides, not the owner of the
// records: with DNS rebinding the attacker has a page under the name asked for, and an
// alias there that leads to records of somebody else is the attacker's too.
func (r *iterator) filtered(f *answer) (*answer, error) {
	allowed := r.settings.Filter.Judge(f.q.name)
	if allowed == nil || f.local {
		return f, nil
	}
	sets, removed := policy.Filter(f.sets, allowed)
	if removed == 0 {
		return f, nil
	}
	if len(sets) == 0 {
		return nil, errFiltered
	}
	less := *f
	less.sets, less.status = sets, f.status.Worst(dnssec.Insecure) // what is left is not what was signed
	less.extended = append(slices.Clip(f.extended), extendedError{
		dns.ExtendedErrorCodeBlocked, fmt.Sprintf("%d records left out: address not allowed", removed),
	})
	return &less, nil
}
