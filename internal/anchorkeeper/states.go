package anchorkeeper

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
)

// begin adds an anchor to the state of its zone, which is empty at first. The same anchor twice
// is one.
func begin(r dnssec.Rollover, a dnssec.Anchor, now time.Time) (dnssec.Rollover, error) {
	if len(r.Keys) == 0 {
		return dnssec.NewRollover([]dnssec.Anchor{a}, now)
	}
	return r.Adopt([]dnssec.Anchor{a}, now)
}

// merge decides what counts of the states that were stored, those in memory, and the anchors of
// the options. What was stored counts, since another process may have gone on with it, or an
// operator may have edited it; but what this process could not store yet counts for more. Either
// way a key that one of them knows as revoked is revoked; where that leaves no key, as when an old
// copy was restored after a rollover, the other one counts. Anchors of the options that none knows
// are added. The result has every zone of all.
func merge(stored, memory []dnssec.Rollover, unsaved map[string]bool, anchors []dnssec.Anchor, now time.Time) ([]dnssec.Rollover, error) {
	merged := slices.Clone(stored)
	for _, r := range memory {
		i := find(merged, r.Zone)
		if i < 0 {
			merged = append(merged, r)
			continue
		}
		base, other := merged[i], r
		if unsaved[r.Zone] {
			base, other = other, base
		}
		kept, err := base.KeepRevoked(other)
		if err != nil {
			return nil, err
		}
		if isLost(kept) {
			if kept, err = other.KeepRevoked(base); err != nil {
				return nil, err
			}
		}
		merged[i] = kept
	}
	for _, a := range anchors {
		i := find(merged, a.Zone())
		if i < 0 {
			merged, i = append(merged, dnssec.Rollover{}), len(merged)
		}
		r, err := begin(merged[i], a, now)
		if err != nil {
			return nil, err
		}
		merged[i] = r
	}
	slices.SortFunc(merged, func(a, b dnssec.Rollover) int { return strings.Compare(a.Zone, b.Zone) })
	return merged, nil
}

func find(states []dnssec.Rollover, zone string) int {
	return slices.IndexFunc(states, func(r dnssec.Rollover) bool { return r.Zone == zone })
}

// isLost reports whether no key of a zone is trusted any more.
func isLost(r dnssec.Rollover) bool {
	_, err := r.Anchors()
	return err != nil
}

// anchorsOf returns what validation is to trust. A zone without a trusted key gets an anchor that
// no key matches, so that its data is bogus: RFC 5011 §5 would have it unvalidated, which nobody
// would notice. Below another zone that is trusted it gets none, and counts by its DS there, as
// that section says.
func anchorsOf(states []dnssec.Rollover) ([]dnssec.Anchor, error) {
	var all []dnssec.Anchor
	for _, r := range states {
		if !isLost(r) {
			anchors, err := r.Anchors()
			if err != nil {
				return nil, err
			}
			for _, a := range anchors {
				ds, err := asDS(a)
				if err != nil {
					return nil, err
				}
				if !slices.Contains(all, ds) {
					all = append(all, ds)
				}
			}
			continue
		}
		if isBelowTrusted(r.Zone, states) {
			continue
		}
		dead, err := matchNothing(r)
		if err != nil {
			return nil, err
		}
		all = append(all, dead...)
	}
	return all, nil
}

func isBelowTrusted(zone string, states []dnssec.Rollover) bool {
	name, err := dnsname.Parse(zone)
	return err == nil && slices.ContainsFunc(states, func(r dnssec.Rollover) bool {
		above, err := dnsname.Parse(r.Zone)
		return err == nil && name.IsBelow(above) && !isLost(r)
	})
}

// asDS returns an anchor as a DS, so that it is the same whether the key has been seen yet or not:
// cached data belongs to the anchors that it was validated with.
func asDS(a dnssec.Anchor) (dnssec.Anchor, error) {
	rr, err := dns.NewRR(a.String())
	if err != nil {
		return a, err
	}
	key, ok := rr.(*dns.DNSKEY)
	if !ok {
		return a, nil
	}
	ds := key.ToDS(dns.SHA256)
	if ds == nil {
		return a, fmt.Errorf("no DS of %s", a)
	}
	ds.Hdr.Ttl = 0
	return dnssec.NewAnchor(ds)
}

// matchNothing returns anchors of a zone that no key has, since that would take a preimage of zero:
// one for each algorithm that its keys had, of which some may not be supported.
func matchNothing(r dnssec.Rollover) ([]dnssec.Anchor, error) {
	var dead []dnssec.Anchor
	for _, k := range r.Keys {
		rr, err := dns.NewRR(k.Record)
		if err != nil {
			return nil, err
		}
		ds := &dns.DS{
			Hdr:        dns.RR_Header{Name: r.Zone, Rrtype: dns.TypeDS, Class: dns.ClassINET},
			DigestType: dns.SHA256, Digest: strings.Repeat("0", 64),
		}
		switch rr := rr.(type) {
		case *dns.DNSKEY:
			ds.Algorithm = rr.Algorithm
		case *dns.DS:
			ds.Algorithm = rr.Algorithm
		}
		a, err := dnssec.NewAnchor(ds)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(dead, a) {
			dead = append(dead, a)
		}
	}
	return dead, nil
}

// sameKeys reports whether two states have the same keys in the same states.
func sameKeys(a, b dnssec.Rollover) bool {
	return slices.EqualFunc(a.Keys, b.Keys, func(a, b dnssec.RolloverKey) bool {
		return a.State == b.State && a.Record == b.Record
	})
}
