package localzone

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/scrub"
)

// Zone is a zone that is answered here. It is immutable.
type Zone struct {
	name        dnsname.Name
	transparent bool
	soa         *dnssec.RRset
	sets        map[dnsname.Name][]*dnssec.RRset // by name that exists; none for empty non-terminals
	wildcards   bool                             // some name is a wildcard
	redirects   bool                             // some name has a DNAME
}

// Data is what a name that is answered here has for a question: RRsets, an alias, or
// neither, and then an SOA.
type Data struct {
	Sets    []*dnssec.RRset
	Aliases []scrub.Alias // one at most
	Exists  bool          // the name
	SOA     *dnssec.RRset
}

// NewZone makes a zone of its RRsets, which are all at name or below it. transparent
// lets questions for names without records pass as if the zone were not there. A zone without
// an SOA gets one.
func NewZone(name dnsname.Name, transparent bool, sets []*dnssec.RRset) (*Zone, error) {
	z := &Zone{name: name, transparent: transparent, sets: make(map[dnsname.Name][]*dnssec.RRset)}
	for _, s := range sets {
		z.add(s)
	}
	if err := z.check(); err != nil {
		return nil, err
	}
	z.complete()
	return z, nil
}

// Zones are zones by their names. It is immutable.
type Zones map[dnsname.Name]*Zone

// NewZones puts zones together; two of one name are an error.
func NewZones(zones []*Zone) (Zones, error) {
	all := make(Zones, len(zones))
	for _, z := range zones {
		if all[z.name] != nil {
			return nil, fmt.Errorf("two local zones are called %s", z.name)
		}
		all[z.name] = z
	}
	return all, nil
}

// Find answers a question from the zones at and above the name, the nearest first; false
// when none of them answers it.
func (zones Zones) Find(name dnsname.Name, rrtype uint16) (Data, bool) {
	if len(zones) == 0 {
		return Data{}, false
	}
	for at := name; ; at = at.Parent() {
		if z := zones[at]; z != nil {
			if a, ok := z.find(name, rrtype); ok {
				return a, true
			}
		}
		if at.IsRoot() {
			return Data{}, false
		}
	}
}

// Has reports whether the zones answer questions for a name.
func (zones Zones) Has(name dnsname.Name) bool {
	_, ok := zones.Find(name, dns.TypeANY)
	return ok
}

// find answers a question for a name at or below the zone (RFC 1034 §4.3.2 step 3); false
// when it does not concern the zone.
func (z *Zone) find(name dnsname.Name, rrtype uint16) (Data, bool) {
	if rrtype == dns.TypeDS && name == z.name && !z.name.IsRoot() {
		return Data{}, false // the DS is on the parent's side (RFC 4035 §3.1.4.1)
	}
	sets, exists := z.sets[name]
	if !exists && (z.wildcards || z.redirects) {
		encloser := z.closestEncloser(name)
		if s := setOf(z.sets[encloser], dns.TypeDNAME); s != nil {
			return alias(name, s)
		}
		sets, exists = z.expanded(name, encloser)
	}
	if z.transparent && len(sets) == 0 {
		return Data{}, false
	}
	if s := setOf(sets, dns.TypeCNAME); s != nil && rrtype != dns.TypeCNAME && rrtype != dns.TypeANY {
		return alias(name, s)
	}
	return z.answer(rrtype, sets, exists), true
}

// closestEncloser returns the longest name above name that exists. RFC 4592 §3.3.1.
func (z *Zone) closestEncloser(name dnsname.Name) dnsname.Name {
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
func (z *Zone) expanded(name, encloser dnsname.Name) (sets []*dnssec.RRset, exists bool) {
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

// alias follows a CNAME or DNAME by one step; false when it leads nowhere.
func alias(name dnsname.Name, s *dnssec.RRset) (Data, bool) {
	step, ok := scrub.Redirect(name, s)
	if !ok {
		return Data{}, false
	}
	return Data{Aliases: []scrub.Alias{step}, Exists: true}, true
}

// answer returns the RRsets of the type among those of a name, or a denial.
func (z *Zone) answer(rrtype uint16, sets []*dnssec.RRset, exists bool) Data {
	a := Data{Exists: exists}
	for _, s := range sets {
		if s.Type == rrtype || rrtype == dns.TypeANY {
			a.Sets = append(a.Sets, s)
		}
	}
	if len(a.Sets) == 0 {
		a.SOA = z.soa
	}
	return a
}

// add adds an RRset; the names between its owner and the zone's name then exist too.
func (z *Zone) add(s *dnssec.RRset) {
	z.sets[s.Owner] = append(z.sets[s.Owner], s)
	for name := s.Owner; name != z.name; {
		name = name.Parent()
		if _, ok := z.sets[name]; !ok {
			z.sets[name] = nil
		}
	}
}

// check returns what is wrong with the zone as a whole; nil when nothing is.
func (z *Zone) check() error {
	for name, sets := range z.sets {
		for _, s := range sets {
			if slices.Contains(slices.Collect(s.Records.All()), "") && !mayBeEmpty(s.Type) {
				return fmt.Errorf("%s has a record of type %s without data", name, dns.Type(s.Type))
			}
			single := s.Type == dns.TypeCNAME || s.Type == dns.TypeDNAME || s.Type == dns.TypeSOA
			switch {
			case single && s.Len() > 1:
				return fmt.Errorf("%s has %d records of type %s, want at most one", name, s.Len(), dns.Type(s.Type))
			case s.Type == dns.TypeCNAME && len(sets) > 1:
				return fmt.Errorf("%s has a CNAME and other records (RFC 1034 §3.6.2)", name)
			}
		}
		for above := name; above != z.name; {
			above = above.Parent()
			if setOf(z.sets[above], dns.TypeDNAME) != nil {
				return fmt.Errorf("%s is below the DNAME of %s (RFC 6672 §2.4)", name, above)
			}
		}
	}
	return nil
}

// mayBeEmpty reports whether records of a type may have empty RDATA: NULL (RFC 1035
// §3.3.10), APL (RFC 3123 §4), and unknown types. An empty record of any other type is a
// form of dynamic updates, or an address that was forgotten.
func mayBeEmpty(rrtype uint16) bool {
	_, known := dns.TypeToRR[rrtype]
	return !known || rrtype == dns.TypeNULL || rrtype == dns.TypeAPL
}

// complete adds an SOA and fills in what find looks at.
func (z *Zone) complete() {
	apex := z.sets[z.name]
	if z.soa = setOf(apex, dns.TypeSOA); z.soa == nil {
		z.soa = madeUpSOA(z.name, z.lowestTTL())
		if !z.transparent && setOf(apex, dns.TypeCNAME) == nil {
			apex = append(apex, z.soa)
		}
	}
	if len(apex) > 0 || !z.transparent {
		z.sets[z.name] = apex
	}
	for name, sets := range z.sets {
		z.wildcards = z.wildcards || name.IsWildcard()
		z.redirects = z.redirects || setOf(sets, dns.TypeDNAME) != nil
		slices.SortStableFunc(sets, func(a, b *dnssec.RRset) int { return cmp.Compare(a.Type, b.Type) })
	}
}

// lowestTTL returns the lowest TTL in the zone, at most TTL. As the negative TTL it
// lets clients see additions to the zone as soon as changes.
func (z *Zone) lowestTTL() uint32 {
	lowest := uint32(TTL)
	for _, sets := range z.sets {
		for _, s := range sets {
			lowest = min(lowest, s.TTL)
		}
	}
	return lowest
}

func setOf(sets []*dnssec.RRset, rrtype uint16) *dnssec.RRset {
	for _, s := range sets {
		if s.Type == rrtype {
			return s
		}
	}
	return nil
}
