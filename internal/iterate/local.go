package iterate

import (
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/failure"
	"github.com/iterdns/iterdns/internal/policy"
	"github.com/iterdns/iterdns/internal/routes"
)

// localData is all local zones. It is immutable.
type localData struct {
	generation uint64 // of SetLocalZones
	zones      policy.LocalZones
}

// SetLocalZones replaces the local zones.
func (r *Iterator) SetLocalZones(zones policy.LocalZones) {
	for {
		old := r.localData.Load()
		if r.localData.CompareAndSwap(old, &localData{generation: old.generation + 1, zones: zones}) {
			return
		}
	}
}

// LocalGeneration is how often the local zones have been replaced.
func (r *Iterator) LocalGeneration() uint64 { return r.localData.Load().generation }

// HasLocalZone reports whether a local zone may answer questions for name.
func (r *Iterator) HasLocalZone(name dnsname.Name) bool { return r.localData.Load().zones.Has(name) }

// answerLocally answers a client's question from the local zones; false when none of them
// answers it.
func (r *Iterator) answerLocally(trust cache.Trust, q answer.Question) (*answer.Answer, bool) {
	a, ok := r.localData.Load().zones.Find(q.Name, q.Type)
	if !ok {
		return nil, false
	}
	f := localAnswer(q, a)
	if r.Settings.Validates && trust == cache.Checked {
		f.Status = dnssec.Insecure
	}
	return f, true
}

// localAnswer brings what a local zone or a special-use name says into the form of what
// servers say.
func localAnswer(q answer.Question, a policy.LocalAnswer) *answer.Answer {
	f := &answer.Answer{Q: q, Sets: a.Sets, Aliases: a.Aliases, SOA: a.SOA, TTL: answer.MaxTTL, FromCache: true, Local: true}
	for _, s := range a.Sets {
		f.TTL = min(f.TTL, s.TTL)
	}
	switch {
	case len(a.Aliases) > 0:
		f.Kind, f.TTL = answer.KindAlias, min(a.Aliases[0].Set.TTL, answer.MaxTTL)
		if a.Aliases[0].TooLong {
			f.Rcode = dns.RcodeYXDomain
		}
	case len(a.Sets) > 0:
		f.Kind = answer.KindAnswer
	case a.Exists:
		f.Kind, f.TTL = answer.KindNoData, negativeTTL(a.SOA)
	default:
		f.Kind, f.Rcode, f.TTL = answer.KindNameError, dns.RcodeNameError, negativeTTL(a.SOA)
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
func (r *Iterator) specialUse(trust cache.Trust, q answer.Question, direct bool) (*answer.Answer, bool) {
	if r.Settings.DisableLocalZones {
		return nil, false
	}
	zone, ok := policy.SpecialUseOf(q.Name)
	if !ok || zone.IsParents(q.Name, q.Type) {
		return nil, false
	}
	if rt := r.routes.CurrentRoutes().Match(routes.SearchedFrom(q)); rt != nil && rt.Zone.IsAtOrBelow(zone.Name) {
		return nil, false // the route's servers know the name
	}
	f := answerSpecialUse(zone, q, direct)
	if r.Settings.Validates && trust == cache.Checked {
		f.Status = dnssec.Insecure
	}
	return f, true
}

// answerSpecialUse returns what the zone says. direct is false when the question comes from
// an alias or a delegation.
func answerSpecialUse(zone policy.SpecialUse, q answer.Question, direct bool) *answer.Answer {
	a := zone.Answer(q.Name, q.Type, direct)
	f := localAnswer(q, a)
	if a.SOA == nil {
		return f
	}
	f.TTL = policy.LocalTTL // longer than others' denials, RFC 6303 §3
	f.Extended = []failure.ExtendedError{{Code: dns.ExtendedErrorCodeOther, Text: "answered locally: special-use name, " + zone.RFC}}
	return f
}

// Filtered returns the answer without the records that have addresses which are not
// allowed; failure.ErrFiltered when none is left. f itself, which the cache and others who
// wait for the answer keep, stays as it was. The name asked for decides, not the owner of the
// records: with DNS rebinding the attacker has a page under the name asked for, and an alias
// there that leads to records of somebody else is the attacker's too.
func (r *Iterator) Filtered(f *answer.Answer) (*answer.Answer, error) {
	allowed := r.Settings.Filter.Judge(f.Q.Name)
	if allowed == nil || f.Local {
		return f, nil
	}
	sets, removed := policy.Filter(f.Sets, allowed)
	if removed == 0 {
		return f, nil
	}
	if len(sets) == 0 {
		return nil, failure.ErrFiltered
	}
	less := *f
	less.Sets, less.Status = sets, f.Status.Worst(dnssec.Insecure) // what is left is not what was signed
	less.Extended = append(slices.Clip(f.Extended), failure.ExtendedError{
		Code: dns.ExtendedErrorCodeBlocked, Text: fmt.Sprintf("%d records left out: address not allowed", removed),
	})
	return &less, nil
}
