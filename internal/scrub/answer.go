package scrub

import (
	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// answer takes the RRset asked for, or for ANY those at the name.
func (s *scrubber) answer(r *Reply) error {
	if !s.asked.Name.IsAtOrBelow(s.asked.Zone) {
		return nil
	}
	if s.wantsAlias() {
		if _, redirected := s.dname(s.asked.Name); redirected {
			return nil // the server has synthesised the CNAME from the DNAME
		}
	}
	if s.asked.Type != dns.TypeANY {
		set, err := s.rrset(s.m.Answer, s.asked.Name, s.asked.Type)
		if set != nil {
			r.answerOnly(set)
		}
		return err
	}
	seen := make(map[uint16]bool)
	for _, rec := range s.m.Answer {
		if rec.Owner != s.asked.Name || rec.Type == dns.TypeRRSIG || seen[rec.Type] {
			continue
		}
		if len(r.Answer) == maxANY {
			s.leftOut |= ExcessTypes
			return nil
		}
		seen[rec.Type] = true
		set, err := s.rrset(s.m.Answer, rec.Owner, rec.Type)
		if err != nil {
			return err
		}
		if set != nil {
			r.Answer = append(r.Answer, set)
		}
	}
	return nil
}

// aliases follows the chain that starts at the name asked, as long as its owners are
// inside the zone asked. The CNAME that a server synthesises from a DNAME is not
// looked at; it is made anew from the DNAME (RFC 6672 §5.3.1).
func (s *scrubber) aliases(r *Reply) {
	name := s.asked.Name
	for name.IsAtOrBelow(s.asked.Zone) {
		step, ok := s.alias(name)
		if !ok {
			return
		}
		if len(r.Aliases) == maxLinks {
			s.leftOut |= ExcessAliases
			return
		}
		r.Aliases = append(r.Aliases, step)
		if step.TooLong || s.wantsAlias() {
			return
		}
		name = step.To
	}
}

// wantsAlias reports whether the question is for the CNAME itself: neither that one nor a
// CNAME synthesised from a DNAME is then followed (RFC 1034 §3.6.2).
func (s *scrubber) wantsAlias() bool {
	return s.asked.Type == dns.TypeCNAME || s.asked.Type == dns.TypeANY
}

func (s *scrubber) alias(name dnsname.Name) (Alias, bool) {
	if step, ok := s.dname(name); ok {
		return step, true
	}
	set, err := s.rrset(s.m.Answer, name, dns.TypeCNAME)
	if err != nil || set == nil {
		return Alias{}, false
	}
	return Redirect(name, set)
}

// dname takes a DNAME above name, inside the zone asked.
func (s *scrubber) dname(name dnsname.Name) (Alias, bool) {
	if !s.soughtDNAMEs {
		s.dnames, s.soughtDNAMEs = s.allDNAMEs(), true
	}
	for above := name; len(s.dnames) > 0 && above != s.asked.Zone; {
		above = above.Parent()
		if set := s.dnames[above]; set != nil {
			return Redirect(name, set)
		}
	}
	return Alias{}, false
}

// allDNAMEs returns the DNAME RRsets of the zone asked, nil where one is unusable. It is
// called once: a name of 127 labels and a chain of aliases would otherwise cause 1,400
// searches of up to 5,000 records.
func (s *scrubber) allDNAMEs() map[dnsname.Name]*dnssec.RRset {
	var all map[dnsname.Name]*dnssec.RRset
	for _, rec := range s.m.Answer {
		if _, ok := all[rec.Owner]; ok || rec.Type != dns.TypeDNAME || !rec.Owner.IsAtOrBelow(s.asked.Zone) {
			continue
		}
		if len(all) == maxDNAMEs {
			s.leftOut |= ExcessAliases
			break
		}
		if all == nil {
			all = make(map[dnsname.Name]*dnssec.RRset)
		}
		all[rec.Owner], _ = s.rrset(s.m.Answer, rec.Owner, dns.TypeDNAME)
	}
	return all
}

// Redirect returns the step from name that a CNAME or DNAME RRset asks for. If there are
// several records, which neither type may have (RFC 2181 §10.1, RFC 6672 §2.4), the
// first one counts.
func Redirect(name dnsname.Name, set *dnssec.RRset) (Alias, bool) {
	for rdata := range set.Records.All() {
		target, ok := wire.TargetName(set.Type, rdata)
		if !ok {
			return Alias{}, false
		}
		if set.Type == dns.TypeCNAME {
			return Alias{From: name, To: target, Set: set}, true
		}
		to, err := name.Replace(set.Owner, target)
		return Alias{From: name, To: to, Set: set, TooLong: err != nil}, true
	}
	return Alias{}, false
}
