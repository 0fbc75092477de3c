package dnssec

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/wire"
)

// Packed is a sequence of RDATA fields in wire format, each behind its length in two
// bytes, names uncompressed and in the letter case received. It is
// immutable, so that cache, callers and validator may share it.
type Packed string

// Pack makes a Packed of RDATA fields. A field of more than 65,535 bytes cannot
// be carried by DNS and is left out.
func Pack(fields ...string) Packed {
	var b []byte
	for _, f := range fields {
		b = appendField(b, f)
	}
	return Packed(b)
}

func appendField[T string | []byte](dst []byte, field T) []byte {
	if len(field) > 0xFFFF {
		return dst
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(field)))
	return append(dst, field...)
}

// All returns the fields in order.
func (p Packed) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := p; len(rest) >= 2; {
			n := 2 + (int(rest[0])<<8 | int(rest[1]))
			if n > len(rest) || !yield(string(rest[2:n])) {
				return
			}
			rest = rest[n:]
		}
	}
}

// Len counts the fields.
func (p Packed) Len() int {
	n := 0
	for range p.All() {
		n++
	}
	return n
}

// RRset is one owner, class and type with all its records and the signatures that
// cover it (RFC 2181 §5, RFC 4035 §5.3), in packed form. Treat it as immutable once
// it is shared.
type RRset struct {
	Owner Name // canonical
	Type  uint16
	Class uint16
	// TTL in seconds: the lowest of the records and their signatures, since an
	// RRset has one TTL (RFC 2181 §5.2, RFC 4034 §3).
	TTL        uint32
	Records    Packed // RDATA of the records
	Signatures Packed // RDATA of the RRSIG records over them
}

// Len counts the records, signatures not included.
func (s *RRset) Len() int { return s.Records.Len() }

// Size is the length in bytes of what is packed.
func (s *RRset) Size() int { return len(s.Owner) + len(s.Records) + len(s.Signatures) }

// AppendRRs decodes the records, and with signatures the RRSIGs after them, into
// dst, all with the given TTL in seconds. What miekg/dns would not pack to the same bytes
// again becomes a *dns.RFC3597 with the type in its header (RFC 3597 §3). It fails when RDATA
// does not have the form of its type. The decoded records share nothing with s.
func (s *RRset) AppendRRs(dst []dns.RR, ttl uint32, signatures bool) ([]dns.RR, error) {
	h := dns.RR_Header{Name: s.Owner.String(), Rrtype: s.Type, Class: s.Class, Ttl: ttl}
	rows, count := [...]Packed{s.Records, s.Signatures}, s.Records.Len()
	if signatures {
		count += s.Signatures.Len()
	} else {
		rows[1] = ""
	}
	// One copy for all records: the decoder takes bytes, which are not s's to give.
	buf := append(append(make([]byte, 0, len(rows[0])+len(rows[1])), rows[0]...), rows[1]...)
	dst, err := appendRRs(slices.Grow(dst, count), rows[0], buf, h)
	if err != nil {
		return dst, err
	}
	h.Rrtype = dns.TypeRRSIG
	return appendRRs(dst, rows[1], buf[len(rows[0]):], h)
}

// appendRRs decodes fields, of which buf has a copy at its front.
func appendRRs(dst []dns.RR, fields Packed, buf []byte, h dns.RR_Header) ([]dns.RR, error) {
	const length = 2 // bytes before each field
	end := 0
	for rdata := range fields.All() {
		begin := end + length
		end = begin + len(rdata)
		rr, err := wire.Decode(h, buf[begin:end:end])
		if err != nil {
			return dst, fmt.Errorf("decode %s %s: %w", h.Name, dns.TypeToString[h.Rrtype], err)
		}
		dst = append(dst, rr)
	}
	return dst, nil
}

// NewRRset packs decoded records of one owner, class and type, with the RRSIGs
// that cover them in any order among them. It fails when the records do not belong
// together or do not pack.
func NewRRset(records ...dns.RR) (*RRset, error) {
	var s *RRset
	var signatures []dns.RR
	var data, signed uniqueFields
	for _, rr := range records {
		if rr.Header().Rrtype == dns.TypeRRSIG {
			signatures = append(signatures, rr)
			continue
		}
		owner, rdata, err := pack(rr)
		if err != nil {
			return nil, err
		}
		h := rr.Header()
		if s == nil {
			s = &RRset{Owner: owner, Type: h.Rrtype, Class: h.Class, TTL: h.Ttl}
		}
		if s.Owner != owner || s.Type != h.Rrtype || s.Class != h.Class {
			return nil, fmt.Errorf("%s is not of the RRset %s %s", rr, s.Owner, dns.TypeToString[s.Type])
		}
		data.add(rdata)
		s.TTL = min(s.TTL, h.Ttl)
	}
	if s == nil {
		return nil, fmt.Errorf("an RRset needs a record")
	}
	for _, rr := range signatures {
		owner, rdata, err := pack(rr)
		if err != nil {
			return nil, err
		}
		if covered, ok := typeCovered(rdata); !ok || owner != s.Owner || covered != s.Type {
			return nil, fmt.Errorf("%s does not cover %s %s", rr, s.Owner, dns.TypeToString[s.Type])
		}
		signed.add(rdata)
		s.TTL = min(s.TTL, rr.Header().Ttl)
	}
	s.Records, s.Signatures = data.packed(), signed.packed()
	return s, nil
}

// typeCovered returns the type that the RDATA of an RRSIG record begins with (RFC 4034
// §3.1.1), whatever Go type the record had: dns.RFC3597 is one.
func typeCovered(rdata string) (uint16, bool) {
	if len(rdata) < 2 {
		return 0, false
	}
	return uint16(rdata[0])<<8 | uint16(rdata[1]), true
}

// uniqueFields collects RDATA fields, each once: an RRset has no two equal records (RFC 2181
// §5). It does not look at all of them again for each.
type uniqueFields struct {
	buf   []byte
	seen  map[string]bool // nil until there are two: most RRsets have one record
	first string
	count int
}

func (u *uniqueFields) add(field string) {
	switch {
	case u.count == 0:
		u.first = field
	case u.seen == nil && field == u.first, u.seen[field]:
		return
	case u.seen == nil:
		u.seen = map[string]bool{u.first: true, field: true}
	default:
		u.seen[field] = true
	}
	u.buf = appendField(u.buf, field)
	u.count++
}

func (u *uniqueFields) packed() Packed { return Packed(u.buf) }

// pack returns a record's owner and its RDATA in uncompressed wire format.
func pack(rr dns.RR) (dnsname.Name, string, error) {
	if rr.Header().Name == "" { // miekg/dns packs it as nothing at all
		return "", "", fmt.Errorf("pack %s: %w", rr, dnsname.ErrEmpty)
	}
	buf := make([]byte, dns.Len(rr)+1)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return "", "", fmt.Errorf("pack %s: %w", rr, err)
	}
	ownerEnd := 0
	for buf[ownerEnd] != 0 {
		ownerEnd += int(buf[ownerEnd]) + 1
	}
	owner := dnsname.Canonical(buf[:ownerEnd+1])
	return owner, string(buf[ownerEnd+11 : end]), nil
}
