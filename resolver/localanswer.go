package resolver

import (
	"context"
	"fmt"

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

func newLocalData(zones []LocalZone) (localData, error) {
	list := make([]*policy.LocalZone, len(zones))
	for i, z := range zones {
		data, err := z.data()
		if err != nil {
			return localData{}, fmt.Errorf("resolver: options: %w", err)
		}
		list[i] = data
	}
	all, err := policy.NewLocalZones(list)
	if err != nil {
		return localData{}, fmt.Errorf("resolver: options: %w", err)
	}
	return localData{zones: all}, nil
}

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

// overridesCache reports whether hooks or local zones affect the answer to a question for name,
// whatever the cache holds. Callers that answer from the cache without passing through
// answer must call it first, and then check whether the filter allows the addresses.
func (r *Resolver) overridesCache(ctx context.Context, name dnsname.Name) bool {
	return r.hasHooks(ctx) || r.iterate.localData.Load().zones.Has(name)
}
