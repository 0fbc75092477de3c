package scrub

import (
	"encoding/binary"
	"fmt"
	"strings"

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
	var room [256]byte // for the RDATA of a usual record
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
		rdata, err := s.m.AppendRData(room[:0], rec)
		if into == &signatures && (err != nil || binary.BigEndian.Uint16(rdata) != rrtype) {
			continue
		}
		if into == &signatures && into.count == maxSignatures {
			s.leftOut |= ExcessSignatures
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %s %s: %w", ErrMalformed, owner, dns.Type(rrtype), err)
		}
		if rrtype == dns.TypeNSEC && into == &records && !s.insideNext(rdata) {
			continue
		}
		if into.add(rdata); records.count > s.asked.MaxRecords {
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
	set.Records, set.Signatures = dnssec.Packed(records.packed.String()), dnssec.Packed(signatures.packed.String())
	return set, nil
}

// insideNext reports whether the next name of an NSEC record is inside the zone asked, as all
// names of a zone's chain are (RFC 4034 §4.1.1; CVE-2026-13321).
func (s *scrubber) insideNext(rdata []byte) bool {
	end := 0
	for rdata[end] != 0 {
		end += int(rdata[end]) + 1
	}
	return s.asked.mayDeny(dnsname.Canonical(rdata[:end+1]))
}

// packer collects RDATA fields, each once (RFC 2181 §5).
type packer struct {
	packed strings.Builder
	count  int
}

func (p *packer) add(rdata []byte) {
	if p.contains(rdata) {
		return
	}
	const length = 2
	p.packed.Grow(length + len(rdata))
	p.packed.WriteByte(byte(len(rdata) >> 8))
	p.packed.WriteByte(byte(len(rdata)))
	p.packed.Write(rdata)
	p.count++
}

func (p *packer) contains(rdata []byte) bool {
	for field := range dnssec.Packed(p.packed.String()).All() {
		if field == string(rdata) {
			return true
		}
	}
	return false
}
