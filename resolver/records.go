package resolver

import (
	"slices"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// setsOf packs decoded records as RRsets, in the order in which the first record of each
// stands, signatures with the records that they cover.
func setsOf(records []dns.RR) ([]*dnssec.RRset, error) {
	type key struct {
		owner  string
		rrtype uint16
	}
	var order []key
	byKey := make(map[key][]dns.RR)
	for _, rr := range records {
		k := key{dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype}
		if sig, ok := rr.(*dns.RRSIG); ok {
			k.rrtype = sig.TypeCovered
		}
		if byKey[k] == nil {
			order = append(order, k)
		}
		byKey[k] = append(byKey[k], rr)
	}
	sets := make([]*dnssec.RRset, len(order))
	for i, k := range order {
		var err error
		if sets[i], err = dnssec.NewRRset(byKey[k]...); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// indexOfSet finds an RRset; -1 when it is not there.
func indexOfSet(sets []*dnssec.RRset, owner dnsname.Name, rrtype uint16) int {
	return slices.IndexFunc(sets, func(s *dnssec.RRset) bool { return s.Owner == owner && s.Type == rrtype })
}

// lowestTTL is how long records may be kept together; 0 when there are none.
func lowestTTL(sections ...[]dns.RR) time.Duration {
	lowest, any := uint32(maxTTL), false
	for _, section := range sections {
		for _, rr := range section {
			lowest, any = min(lowest, rr.Header().Ttl), true
		}
	}
	if !any {
		return 0
	}
	return time.Duration(lowest) * time.Second
}
