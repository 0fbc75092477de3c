package wire

import (
	"bytes"
	"encoding/hex"
	"slices"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// AppendRData appends the record's RDATA to dst with all names uncompressed, letter
// case as received. It fails with ErrRData when the RDATA does not have the form of
// its type; for a malformed name the error wraps that reason too.
func (m *Message) AppendRData(dst []byte, rec Record) ([]byte, error) {
	start := len(dst)
	layout, ok := layouts[rec.Type]
	if !ok {
		return append(dst, m.msg[rec.rdata:rec.rdata+rec.rdlen]...), nil
	}
	r := fieldReader{buf: m.msg, off: rec.rdata, end: rec.rdata + rec.rdlen}
	for _, f := range layout {
		var err error
		if dst, err = r.append(dst, f); err != nil {
			return nil, err
		}
	}
	if r.off != r.end || len(dst)-start > 0xFFFF {
		return nil, fail(r.off, ErrRData)
	}
	if slices.Contains(layout, decoded) && !wellFormed(rec.Type, dst[start:]) {
		return nil, fail(rec.rdata, ErrRData)
	}
	return dst, nil
}

// SkipRecord returns the type of the record at an offset of a message, and where it ends. It
// fails when the record does not have the form of its type, for which it makes nothing of what
// the record says; the options of an OPT record are not looked at.
func SkipRecord(msg []byte, off int) (rrtype uint16, end int, err error) {
	var rec Record
	w := walker{msg: msg}
	if end, err = w.record(off, &rec); err != nil || rec.Type == typeOPT {
		return rec.Type, end, err
	}
	if layout, ok := layouts[rec.Type]; ok && !slices.Contains(layout, free) {
		m := Message{msg: msg}
		_, err = m.AppendRData(nil, rec)
		return rec.Type, end, err
	}
	if _, _, err := dns.UnpackRR(msg[:end], off); err != nil {
		return rec.Type, end, fail(rec.rdata, ErrRData)
	}
	return rec.Type, end, nil
}

// wellFormed asks miekg/dns whether it can decode the RDATA. What it decodes may keep a part of
// that, so that it gets a copy: AppendRData is then known to keep nothing of dst.
func wellFormed(rrtype uint16, rdata []byte) bool {
	h := dns.RR_Header{Name: ".", Rrtype: rrtype, Class: dns.ClassINET, Rdlength: uint16(len(rdata))}
	_, off, err := dns.UnpackRRWithHeader(h, bytes.Clone(rdata), 0)
	return err == nil && off == len(rdata)
}

// DecodeUnread is Decode for RDATA that AppendRData has not read, whose form is unknown.
func DecodeUnread(h dns.RR_Header, rdata []byte) (dns.RR, error) {
	if !fits(h.Rrtype, rdata) {
		return nil, ErrRData
	}
	return Decode(h, rdata)
}

// Decode returns the record with this header and uncompressed RDATA: as miekg/dns decodes it,
// if that packs to the same bytes again; else it is opaque, a *dns.RFC3597 of its type (RFC
// 3597 §3). It fails with ErrRData when the RDATA does not have the form of its type.
func Decode(h dns.RR_Header, rdata []byte) (dns.RR, error) {
	h.Rdlength = uint16(len(rdata))
	rr, off, err := dns.UnpackRRWithHeader(h, rdata, 0)
	switch {
	case err == nil && off == len(rdata) && (isFaithful(h.Rrtype) || packsTo(rr, rdata)):
		return rr, nil
	case !fits(h.Rrtype, rdata):
		return nil, ErrRData
	}
	return &dns.RFC3597{Hdr: h, Rdata: hex.EncodeToString(rdata)}, nil
}

// DecodeLoosely decodes a record that Decode returned opaque, for callers that need its fields:
// these may pack to other bytes, but none is made up. It returns false if that is impossible.
func DecodeLoosely(rr *dns.RFC3597) (dns.RR, bool) {
	rdata, err := hex.DecodeString(rr.Rdata)
	if err != nil {
		return nil, false
	}
	h := rr.Hdr
	h.Rdlength = uint16(len(rdata))
	loose, off, err := dns.UnpackRRWithHeader(h, rdata, 0)
	if err != nil || off != len(rdata) {
		return nil, false
	}
	// miekg/dns reads RDATA that ends early as if zeros followed, and packs these.
	packed, err := pack(loose)
	return loose, err == nil && len(packed) <= len(rdata)
}

// isFaithful reports whether miekg/dns packs all RDATA that fits the type's layout to the same
// bytes again.
func isFaithful(rrtype uint16) bool {
	layout, ok := layouts[rrtype]
	return ok && !slices.ContainsFunc(layout, mayChange)
}

// mayChange reports whether miekg/dns may pack such a field to other bytes than it had. It drops
// the zeros at the end of bitmaps, which RFC 4034 §4.1.2 forbids.
func mayChange(f field) bool { return f == bitmap || f == free || f == decoded }

// fits reports whether uncompressed RDATA has the form of its type, if that has one.
func fits(rrtype uint16, rdata []byte) bool {
	r := fieldReader{buf: rdata, end: len(rdata)}
	for _, f := range layouts[rrtype] {
		if _, err := r.append(nil, uncompressed(f)); err != nil {
			return false
		}
	}
	return r.off == r.end || layouts[rrtype] == nil
}

// uncompressed returns the field for RDATA outside a message, where a pointer has nothing to
// point at.
func uncompressed(f field) field {
	if f == compressed {
		return lowered
	}
	return f
}

// packsTo reports whether rr in wire format has the given RDATA.
func packsTo(rr dns.RR, rdata []byte) bool {
	packed, err := pack(rr)
	return err == nil && bytes.Equal(packed, rdata)
}

// pack returns the RDATA of rr in wire format.
func pack(rr dns.RR) ([]byte, error) {
	h := *rr.Header()
	rr.Header().Name = "." // of known length
	defer func() { *rr.Header() = h }()
	buf := make([]byte, dns.Len(rr)+1)
	end, err := dns.PackRR(rr, buf, 0, nil, false)
	if err != nil {
		return nil, err
	}
	return buf[min(minRecord, end):end], nil
}

// CanonicalRData returns uncompressed RDATA in the canonical form of RFC 4034 §6.2 as
// RFC 6840 §5.1 corrects it: names of the listed types in lower case. The input is
// returned itself when there is nothing to change.
func CanonicalRData(rrtype uint16, rdata string) string {
	layout := layouts[rrtype]
	if !slices.ContainsFunc(layout, lowers) || !hasCapital(rdata) {
		return rdata
	}
	var out []byte
	r := fieldReader{buf: []byte(rdata), end: len(rdata)}
	for _, f := range layout {
		start := r.off
		f = uncompressed(f)
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

// hasCapital reports whether a byte may be a letter that the canonical form lowers.
func hasCapital(rdata string) bool {
	for i := range len(rdata) {
		if 'A' <= rdata[i] && rdata[i] <= 'Z' {
			return true
		}
	}
	return false
}

// lowers reports whether the field is a name that the canonical form lowers.
func lowers(f field) bool { return f == compressed || f == lowered }
