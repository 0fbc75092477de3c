package scrub

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// authority takes the denial and the delegation.
func (s *scrubber) authority(r *Reply) {
	zone, name := s.asked.Zone, s.asked.Name
	if len(r.Aliases) > 0 {
		name = r.Aliases[len(r.Aliases)-1].To
	}
	seen := make(seenSets)
	denials := 0 // useless ones included: each takes a search of the section
	for i, rec := range s.m.Authority {
		if rec.Class != dns.ClassINET || seen.again(rec) {
			continue
		}
		inside := rec.Owner.IsAtOrBelow(zone)
		switch rec.Type {
		case dns.TypeSOA:
			if s.asked.mayDeny(rec.Owner) && r.SOA == nil && name.IsAtOrBelow(rec.Owner) {
				r.SOA, _ = s.rrset(s.m.Authority, rec.Owner, rec.Type)
			}
		case dns.TypeNSEC, dns.TypeNSEC3:
			if !s.asked.mayDeny(rec.Owner) {
				continue
			}
			if denials++; denials > maxDenials {
				s.leftOut |= ExcessDenials
			} else if set, err := s.rrset(s.m.Authority, rec.Owner, rec.Type); err == nil && set != nil {
				r.Denial = append(r.Denial, set)
			}
		case dns.TypeNS:
			s.nameServer(r, i, inside)
		}
	}
	if len(r.NS) > 0 {
		r.DS, _ = s.rrset(s.m.Authority, r.NS[0].Owner, dns.TypeDS)
		s.addresses(r)
		if s.asked.Type == dns.TypeDS && r.DS != nil && r.DS.Owner == s.asked.Name {
			r.answerOnly(r.DS) // the server sent a referral, with the DS, instead of an answer
		}
	}
}

// seenSets are the RRsets of which a record has been met in a section.
type seenSets map[seenSet]bool

type seenSet struct {
	owner  dnsname.Name
	rrtype uint16
}

// again notes the RRset of a record, and reports whether it was noted before. NS records,
// which are taken one by one, and types that are not used are not noted.
func (s seenSets) again(rec wire.Record) bool {
	switch rec.Type {
	case dns.TypeSOA, dns.TypeNSEC, dns.TypeNSEC3:
	default:
		return false
	}
	id := seenSet{rec.Owner, rec.Type}
	was := s[id]
	s[id] = true
	return was
}

func (s *scrubber) nameServer(r *Reply, i int, inside bool) {
	rec := s.m.Authority[i]
	if !inside || rec.Owner == s.asked.Zone || !s.asked.Name.IsAtOrBelow(rec.Owner) {
		r.Upward = true
		return
	}
	if len(r.NS) > 0 && r.NS[0].Owner != rec.Owner {
		r.ManyOwners = true
		return
	}
	rdata, err := s.m.AppendRData(nil, rec)
	if err != nil {
		return
	}
	if target, ok := wire.TargetName(dns.TypeNS, string(rdata)); ok {
		r.NS = append(r.NS, glue.NS{Owner: rec.Owner, Target: target, TTL: rec.TTL})
	}
}

// addresses lists the additional section's address records of the name servers.
func (s *scrubber) addresses(r *Reply) {
	servers := make(map[dnsname.Name]bool, len(r.NS))
	for _, ns := range r.NS {
		servers[ns.Target] = true
	}
	for _, rec := range s.m.Additional {
		if rec.Type != dns.TypeA && rec.Type != dns.TypeAAAA || rec.Class != dns.ClassINET || !servers[rec.Owner] {
			continue
		}
		rdata, err := s.m.AppendRData(nil, rec)
		if err != nil {
			continue
		}
		if addr, ok := wire.Addr(string(rdata)); ok {
			r.Addresses = append(r.Addresses, glue.Address{Owner: rec.Owner, Addr: addr, TTL: rec.TTL})
		}
	}
}

// ApexNS returns the NS records of the zone asked that its servers send beside an answer: the
// zone's own list of its servers, which is no part of the delegation. It is nil when there are
// none, or unusable ones.
func ApexNS(m *wire.Message, zone dnsname.Name, maxRecords int) *dnssec.RRset {
	s := scrubber{m: m, asked: Asked{Zone: zone, Name: zone, Type: dns.TypeNS, MaxRecords: maxRecords}}
	set, err := s.rrset(m.Authority, zone, dns.TypeNS)
	if err != nil {
		return nil
	}
	return set
}
