package scrub

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

const (
	// maxSignatures is how many RRSIG records over one RRset are kept. A multi-signer
	// zone in the middle of an algorithm roll has four or so; more are the material
	// of KeyTrap (CVE-2023-50387).
	maxSignatures = 16
	// maxDenials is how many NSEC or NSEC3 RRsets are kept: a proof needs three, a
	// compound one (a wildcard CNAME's) a few more; PowerDNS keeps 10.
	maxDenials = 10
	// maxANY is how many RRsets are taken from a response to an ANY question, which
	// all have to be validated (Unbound: 24).
	maxANY = 24
	// maxLinks is how many aliases are taken from one response (Unbound's
	// iter-scrub-cname).
	maxLinks = 11
)

// Why a response is of no use although it parses.
var (
	// ErrMalformed: a record of the RRset asked for has malformed RDATA.
	ErrMalformed = errors.New("malformed RDATA in the answer")
	// ErrTooManyRecords: the RRset asked for is larger than the limit.
	ErrTooManyRecords = errors.New("too many records in one RRset")
)

// Asked is what the response is to.
type Asked struct {
	Zone       dnsname.Name // the zone that the server was asked as a server of
	Name       dnsname.Name
	Type       uint16
	MaxRecords int // of one RRset
	// Recursive: the server answers for others, so that a denial may be one of a zone
	// above.
	Recursive bool
}

// mayDeny reports whether the sender has a say on denials by records of that owner.
func (a Asked) mayDeny(owner dnsname.Name) bool { return a.Recursive || owner.IsAtOrBelow(a.Zone) }

// Alias is one step from a name to another.
type Alias struct {
	From, To dnsname.Name
	// Set is the CNAME RRset at From, or the DNAME RRset above it.
	Set *dnssec.RRset
	// TooLong is set when a DNAME makes a name of more than 255 octets (RFC 6672
	// §2.2: YXDOMAIN); To is then empty.
	TooLong bool
}

// IsDNAME reports whether the step is a DNAME's.
func (a Alias) IsDNAME() bool { return a.Set.Type == dns.TypeDNAME }

// Reply is what may be believed to be the sender's say.
type Reply struct {
	Rcode      int
	AA, RA     bool
	Answer     []*dnssec.RRset // what was asked for; several for ANY
	Aliases    []Alias
	SOA        *dnssec.RRset
	Denial     []*dnssec.RRset // NSEC and NSEC3
	NS         []glue.NS       // of a delegation below the zone, towards the name
	DS         *dnssec.RRset   // of that delegation
	Addresses  []glue.Address  // candidates for its glue
	Upward     bool            // NS records of the zone itself, or of one above or beside it
	ManyOwners bool            // NS records of several delegations below the zone
}

// Scrub applies the allow list to a response.
func Scrub(m *wire.Message, asked Asked) (*Reply, error) {
	s := scrubber{m: m, asked: asked}
	r := &Reply{Rcode: m.Rcode(), AA: m.Flags&wire.AA != 0, RA: m.Flags&wire.RA != 0}
	if err := s.answer(r); err != nil {
		return nil, err
	}
	if len(r.Answer) == 0 {
		s.aliases(r)
	}
	s.authority(r)
	return r, nil
}

type scrubber struct {
	m       *wire.Message
	asked   Asked
	scratch []byte // one record's RDATA
}

// answer takes the RRset asked for, or for ANY those at the name.
func (s *scrubber) answer(r *Reply) error {
	if !s.asked.Name.IsAtOrBelow(s.asked.Zone) {
		return nil
	}
	if s.wantsAlias() {
		if _, redirected := s.dname(s.asked.Name); redirected {
			return nil // the CNAME is what the server made of the DNAME
		}
	}
	if s.asked.Type != dns.TypeANY {
		set, err := s.rrset(s.m.Answer, s.asked.Name, s.asked.Type)
		if set != nil {
			r.Answer = []*dnssec.RRset{set}
		}
		return err
	}
	seen := make(map[uint16]bool)
	for _, rec := range s.m.Answer {
		if rec.Owner != s.asked.Name || rec.Type == dns.TypeRRSIG || seen[rec.Type] || len(r.Answer) == maxANY {
			continue
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
	for len(r.Aliases) < maxLinks && name.IsAtOrBelow(s.asked.Zone) {
		step, ok := s.alias(name)
		if !ok {
			return
		}
		r.Aliases = append(r.Aliases, step)
		if step.TooLong || s.wantsAlias() {
			return
		}
		name = step.To
	}
}

// wantsAlias reports whether the question is for the CNAME itself, which is not followed
// (RFC 1034 §3.6.2), nor is what a DNAME makes one of.
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
	for above := name; above != s.asked.Zone; {
		above = above.Parent()
		set, err := s.rrset(s.m.Answer, above, dns.TypeDNAME)
		if err == nil && set != nil {
			return Redirect(name, set)
		}
	}
	return Alias{}, false
}

// Redirect makes the step from name that a CNAME or DNAME RRset tells to take. Of
// several records, which neither type may have (RFC 2181 §10.1, RFC 6672 §2.4), none
// is better than the first.
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

// authority takes the denial and the delegation.
func (s *scrubber) authority(r *Reply) {
	zone, name := s.asked.Zone, s.asked.Name
	if len(r.Aliases) > 0 {
		name = r.Aliases[len(r.Aliases)-1].To
	}
	for i, rec := range s.m.Authority {
		if rec.Class != dns.ClassINET || s.seenBefore(i) {
			continue
		}
		inside := rec.Owner.IsAtOrBelow(zone)
		switch rec.Type {
		case dns.TypeSOA:
			if s.asked.mayDeny(rec.Owner) && r.SOA == nil && name.IsAtOrBelow(rec.Owner) {
				r.SOA, _ = s.rrset(s.m.Authority, rec.Owner, rec.Type)
			}
		case dns.TypeNSEC, dns.TypeNSEC3:
			if s.asked.mayDeny(rec.Owner) && len(r.Denial) < maxDenials {
				if set, err := s.rrset(s.m.Authority, rec.Owner, rec.Type); err == nil && set != nil {
					r.Denial = append(r.Denial, set)
				}
			}
		case dns.TypeNS:
			s.nameServer(r, i, inside)
		}
	}
	if len(r.NS) > 0 {
		r.DS, _ = s.rrset(s.m.Authority, r.NS[0].Owner, dns.TypeDS)
		s.addresses(r)
		if s.asked.Type == dns.TypeDS && r.DS != nil && r.DS.Owner == s.asked.Name {
			r.Answer = []*dnssec.RRset{r.DS} // it refers to the child, DS at hand, instead of answering
		}
	}
}

// seenBefore reports whether an earlier record of the authority section belongs to
// the same RRset as record i.
func (s *scrubber) seenBefore(i int) bool {
	rec := &s.m.Authority[i]
	if rec.Type == dns.TypeNS {
		return false // taken one by one
	}
	for j := range s.m.Authority[:i] {
		if other := &s.m.Authority[j]; other.Type == rec.Type && other.Owner == rec.Owner {
			return true
		}
	}
	return false
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

// rrset packs the records of one RRset in a section with the signatures over them;
// nil when there are none.
func (s *scrubber) rrset(section []wire.Record, owner dnsname.Name, rrtype uint16) (*dnssec.RRset, error) {
	var set *dnssec.RRset
	var records, signatures packer
	for _, rec := range section {
		if rec.Owner != owner || rec.Class != dns.ClassINET {
			continue
		}
		var into *packer
		switch rec.Type {
		case rrtype:
			into = &records
		case dns.TypeRRSIG:
			into = &signatures
		default:
			continue
		}
		var err error
		s.scratch, err = s.m.AppendRData(s.scratch[:0], rec)
		if into == &signatures && (err != nil || binary.BigEndian.Uint16(s.scratch) != rrtype || into.count == maxSignatures) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s %s: %w", ErrMalformed, owner, dns.Type(rrtype), err)
		}
		if rrtype == dns.TypeNSEC && into == &records && !s.insideNext() {
			continue
		}
		into.add(s.scratch)
		if set == nil {
			set = &dnssec.RRset{Owner: owner, Type: rrtype, Class: rec.Class, TTL: rec.TTL}
		}
		set.TTL = min(set.TTL, rec.TTL)
	}
	if records.count == 0 {
		return nil, nil
	}
	if records.count > s.asked.MaxRecords {
		return nil, fmt.Errorf("%w: %s %s has %d", ErrTooManyRecords, owner, dns.Type(rrtype), records.count)
	}
	set.Records, set.Signatures = dnssec.Packed(records.packed), dnssec.Packed(signatures.packed)
	return set, nil
}

// insideNext reports whether the next name of the NSEC record in scratch is inside the
// zone asked, as all names of a zone's chain are (RFC 4034 §4.1.1; CVE-2026-13321).
func (s *scrubber) insideNext() bool {
	end := 0
	for s.scratch[end] != 0 {
		end += int(s.scratch[end]) + 1
	}
	return s.asked.mayDeny(dnsname.Canonical(s.scratch[:end+1]))
}

// packer collects RDATA fields, each once (RFC 2181 §5).
type packer struct {
	packed []byte
	count  int
}

func (p *packer) add(rdata []byte) {
	if p.contains(rdata) {
		return
	}
	p.packed = binary.BigEndian.AppendUint16(p.packed, uint16(len(rdata)))
	p.packed = append(p.packed, rdata...)
	p.count++
}

func (p *packer) contains(rdata []byte) bool {
	for off := 0; off < len(p.packed); {
		n := int(binary.BigEndian.Uint16(p.packed[off:]))
		off += 2
		if string(p.packed[off:off+n]) == string(rdata) {
			return true
		}
		off += n
	}
	return false
}
