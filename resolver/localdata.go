package resolver

import (
	"context"
	"fmt"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
)

// localData is all local zones. It is immutable.
type localData struct {
	generation uint64 // of SetLocalZones
	zones      map[dnsname.Name]*zoneData
}

// zoneData is a LocalZone as it is searched.
type zoneData struct {
	name        dnsname.Name
	transparent bool
	soa         *dnssec.RRset
	sets        map[dnsname.Name][]*dnssec.RRset // by name that exists; none for empty non-terminals
	wildcards   bool                             // some name is a wildcard
	redirects   bool                             // some name has a DNAME
}

func newLocalData(zones []LocalZone) (localData, error) {
	if len(zones) == 0 {
		return localData{}, nil
	}
	d := localData{zones: make(map[dnsname.Name]*zoneData, len(zones))}
	for _, z := range zones {
		data, err := z.data()
		switch {
		case err != nil:
			return localData{}, fmt.Errorf("resolver: options: %w", err)
		case d.zones[data.name] != nil:
			return localData{}, fmt.Errorf("resolver: options: two local zones are called %s", data.name)
		}
		d.zones[data.name] = data
	}
	return d, nil
}

// localData answers a client's question from the local zones; false when none of them
// answers it.
func (r *Resolver) localData(trust cache.Trust, q question) (*answer, bool) {
	f, ok := r.ours.Load().find(q)
	if ok && r.config.Validation == Validate && trust == cache.Checked {
		f.status = dnssec.Insecure
	}
	return f, ok
}

// find answers a question from the zones at and above the name, the nearest first.
func (d *localData) find(q question) (*answer, bool) {
	if len(d.zones) == 0 {
		return nil, false
	}
	for name := q.name; ; name = name.Parent() {
		if z := d.zones[name]; z != nil {
			if f, ok := z.find(q); ok {
				return f, true
			}
		}
		if name.IsRoot() {
			return nil, false
		}
	}
}

// has reports whether the zones answer questions for a name.
func (d *localData) has(name dnsname.Name) bool {
	_, ok := d.find(question{name, dns.TypeANY})
	return ok
}

// find answers a question for a name at or below the zone (RFC 1034 §4.3.2 step 3); false
// when it does not concern the zone.
func (z *zoneData) find(q question) (*answer, bool) {
	if q.rrtype == dns.TypeDS && q.name == z.name && !z.name.IsRoot() {
		return nil, false // the DS is on the parent's side (RFC 4035 §3.1.4.1)
	}
	sets, exists := z.sets[q.name]
	if !exists && (z.wildcards || z.redirects) {
		encloser := z.closestEncloser(q.name)
		if s := setOf(z.sets[encloser], dns.TypeDNAME); s != nil {
			return z.alias(q, s)
		}
		sets, exists = z.expanded(q.name, encloser)
	}
	if z.transparent && len(sets) == 0 {
		return nil, false
	}
	if s := setOf(sets, dns.TypeCNAME); s != nil && !isAliasType(q.rrtype) {
		return z.alias(q, s)
	}
	return z.answer(q, sets, exists), true
}

// closestEncloser returns the longest name above name that exists. RFC 4592 §3.3.1.
func (z *zoneData) closestEncloser(name dnsname.Name) dnsname.Name {
	for name != z.name {
		name = name.Parent()
		if _, ok := z.sets[name]; ok {
			break
		}
	}
	return name
}

// expanded returns the RRsets of the wildcard below the closest encloser, with name as
// their owner. RFC 4592 §3.3.2.
func (z *zoneData) expanded(name, encloser dnsname.Name) (sets []*dnssec.RRset, exists bool) {
	source, err := encloser.Wildcard()
	if err != nil {
		return nil, false
	}
	wild, exists := z.sets[source]
	for _, s := range wild {
		own := *s
		own.Owner = name
		sets = append(sets, &own)
	}
	return sets, exists
}

func (z *zoneData) alias(q question, s *dnssec.RRset) (*answer, bool) {
	step, ok := scrub.Redirect(q.name, s)
	if !ok {
		return nil, false
	}
	f := &answer{q: q, kind: kindAlias, aliases: []scrub.Alias{step}, ttl: min(s.TTL, maxTTL), fromCache: true, local: true}
	if step.TooLong {
		f.rcode = dns.RcodeYXDomain
	}
	return f, true
}

// answer returns the RRsets of the type among those of a name, or a denial.
func (z *zoneData) answer(q question, sets []*dnssec.RRset, exists bool) *answer {
	f := &answer{q: q, kind: kindAnswer, ttl: maxTTL, fromCache: true, local: true}
	for _, s := range sets {
		if s.Type == q.rrtype || q.rrtype == dns.TypeANY {
			f.sets = append(f.sets, s)
			f.ttl = min(f.ttl, s.TTL)
		}
	}
	if len(f.sets) > 0 {
		return f
	}
	f.kind, f.soa, f.ttl = kindNoData, z.soa, negativeTTL(z.soa)
	if !exists {
		f.kind, f.rcode = kindNameError, dns.RcodeNameError
	}
	return f
}

// overridesCache reports whether hooks or local zones affect the answer to a question for name,
// whatever the cache holds. Callers that answer from the cache without passing through
// answer must call it first, and then check whether the filter allows the addresses.
func (r *Resolver) overridesCache(ctx context.Context, name dnsname.Name) bool {
	return r.hasHooks(ctx) || r.ours.Load().has(name)
}
