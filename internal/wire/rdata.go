package wire

import (
	"bytes"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// AppendRData appends the record's RDATA to dst with all names written out, letter
// case as received. It fails with ErrRData, beside which a bad name in it brings
// its own reason, when the RDATA does not have the form of its type. What it
// accepts, miekg/dns can decode.
func (m *Message) AppendRData(dst []byte, rec Record) ([]byte, error) {
	start := len(dst)
	layout, ok := layouts[rec.Type]
	if !ok {
		dst = append(dst, m.octets[rec.rdata:rec.rdata+rec.rdlen]...)
		if !wellFormed(rec.Type, dst[start:]) {
			return nil, fail(rec.rdata, ErrRData)
		}
		return dst, nil
	}
	r := fieldReader{octets: m.octets, off: rec.rdata, end: rec.rdata + rec.rdlen}
	for _, f := range layout {
		var err error
		if dst, err = r.append(dst, f); err != nil {
			return nil, err
		}
	}
	if r.off != r.end || len(dst)-start > 0xFFFF {
		return nil, fail(r.off, ErrRData)
	}
	if layout[len(layout)-1] == decoded && !wellFormed(rec.Type, dst[start:]) {
		return nil, fail(rec.rdata, ErrRData)
	}
	return dst, nil
}

// wellFormed asks miekg/dns, which decodes the record for callers later, whether
// it will be able to. Types it does not know are opaque (RFC 3597 §3).
func wellFormed(rrtype uint16, rdata []byte) bool {
	if _, known := dns.TypeToRR[rrtype]; !known {
		return true
	}
	if len(rdata) == 0 {
		// miekg/dns takes this for a dynamic update's record without RDATA, of any
		// type. Only these two may be empty: RFC 1035 §3.3.10, RFC 3123 §4.
		return rrtype == dns.TypeNULL || rrtype == dns.TypeAPL
	}
	h := dns.RR_Header{Name: ".", Rrtype: rrtype, Class: dns.ClassINET, Rdlength: uint16(len(rdata))}
	rr, off, err := dns.UnpackRRWithHeader(h, rdata, 0)
	if err != nil || off != len(rdata) {
		return false
	}
	switch rrtype {
	case dns.TypeHIP, dns.TypeIPSECKEY, dns.TypeAMTRELAY:
		// Names in the middle of what no layout describes. A pointer in one would
		// be followed within the RDATA, and the record not be the same again.
		return packsTo(rr, rdata)
	}
	return true
}

// packsTo reports whether rr in wire format has the given RDATA.
func packsTo(rr dns.RR, rdata []byte) bool {
	buf := make([]byte, dns.Len(rr)+1)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	return err == nil && bytes.Equal(buf[min(minRecord, end):end], rdata)
}

// CanonicalRData gives uncompressed RDATA in the canonical form of RFC 4034 §6.2 as
// RFC 6840 §5.1 corrects it: names of the listed types in lower case. The input is
// returned itself when there is nothing to change.
func CanonicalRData(rrtype uint16, rdata string) string {
	layout := layouts[rrtype]
	if !slices.ContainsFunc(layout, lowers) {
		return rdata
	}
	var out []byte
	r := fieldReader{octets: []byte(rdata), end: len(rdata)}
	for _, f := range layout {
		start := r.off
		if f == compressed {
			f = lowered // a pointer would have nothing to point at
		}
		skipped, err := r.append(nil, f)
		if err != nil {
			return rdata
		}
		if !lowers(f) {
			continue
		}
		if low := dnsname.Canonical(skipped); string(low) != rdata[start:r.off] {
			if out == nil {
				out = []byte(rdata)
			}
			copy(out[start:], low)
		}
	}
	if out == nil {
		return rdata
	}
	return string(out)
}

// lowers reports whether the field is a name that the canonical form lowers.
func lowers(f field) bool { return f == compressed || f == lowered }
