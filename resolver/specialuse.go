package resolver

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/policy"
)

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

// IsSpecialUse reports whether a resolver answers a name itself and never asks for it,
// unless Options.DisableLocalZones is set or a route is as long: localhost, invalid, local,
// onion, alt, home.arpa and resolver.arpa, the reverse zones of addresses that are not
// public, and all names below them (RFC 6303, RFC 6761). It returns false for a text that
// is not a name.
func IsSpecialUse(name string) bool {
	n, err := dnsname.Parse(name)
	if err != nil {
		return false
	}
	_, special := policy.SpecialUseOf(n)
	return special
}
