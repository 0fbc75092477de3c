package scrub

import (
	"encoding/binary"
	"fmt"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

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
		if into == &signatures && (err != nil || binary.BigEndian.Uint16(s.scratch) != rrtype) {
			continue
		}
		if into == &signatures && into.count == maxSignatures {
			s.leftOut |= ExcessSignatures
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s %s: %w", ErrMalformed, owner, dns.Type(rrtype), err)
		}
		if rrtype == dns.TypeNSEC && into == &records && !s.insideNext() {
			continue
		}
		if into.add(s.scratch); records.count > s.asked.MaxRecords {
			// Each further record would be compared with all of these.
			s.leftOut |= ExcessRecords
			return nil, fmt.Errorf("%w: %s %s has more than %d", ErrTooManyRecords, owner, dns.Type(rrtype), s.asked.MaxRecords)
		}
		if set == nil {
			set = &dnssec.RRset{Owner: owner, Type: rrtype, Class: rec.Class, TTL: rec.TTL}
		}
		set.TTL = min(set.TTL, rec.TTL)
	}
	if records.count == 0 {
		return nil, nil
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
