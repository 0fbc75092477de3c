// Package zonetext reads zone files with the parser of miekg/dns, and decides what becomes of
// RDATA in the generic form (RFC 3597 §5): it stays as it is written.
//
// In comes the text of a zone file; out come its records, opaque where miekg/dns would alter
// them. The package never opens a file, and never judges whether the records make a zone.
//
// The parser decodes generic RDATA where it knows the type, and so refuses or alters RDATA that
// does not pack to the same bytes again. Here such records pass the parser under a type that it
// does not know.
package zonetext

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/wire"
)

// carrier is the type under which records pass the parser, one for private use (RFC 6895 §3.1).
// Their RDATA has their own type in front, so that records of this type need no exception.
const carrier = 65534

// typeLen is the length of a type in RDATA.
const typeLen = 2

// Wrap returns text, in the syntax of zone files, for the parser of miekg/dns. Line numbers stay.
// The records that the parser returns go through Unwrap.
func Wrap(text string) string {
	if !strings.Contains(text, `\#`) {
		return text
	}
	var out strings.Builder
	written := 0
	for e := range entries(text) {
		length, err := strconv.ParseUint(e.length.of(text), 10, 16)
		if err != nil || length+typeLen > wire.MaxLen {
			continue // the parser says what is wrong
		}
		fmt.Fprintf(&out, "%sTYPE%d%s%d %04x", text[written:e.rrtype.begin], carrier, text[e.rrtype.end:e.length.begin], length+typeLen, e.number)
		written = e.length.end
	}
	return out.String() + text[written:]
}

// Unwrap returns the record that rr was before Wrap, opaque if miekg/dns would alter it. It fails
// with wire.ErrRData when its RDATA does not have the form of its type.
func Unwrap(rr dns.RR) (dns.RR, error) {
	wrapped, ok := rr.(*dns.RFC3597)
	if !ok || wrapped.Hdr.Rrtype != carrier {
		return rr, nil
	}
	h := wrapped.Hdr
	rdata, err := hex.DecodeString(wrapped.Rdata)
	if err != nil || len(rdata) < typeLen {
		return nil, fmt.Errorf("RDATA of %s: %w", h.Name, wire.ErrRData)
	}
	h.Rrtype = binary.BigEndian.Uint16(rdata)
	if rr, err = wire.DecodeUnread(h, rdata[typeLen:]); err != nil {
		return nil, fmt.Errorf("%s %s: %w", h.Name, dns.Type(h.Rrtype), err)
	}
	return rr, nil
}

// NewRR is like dns.NewRR, but keeps RDATA in the generic form. The record is nil if the text has
// none.
func NewRR(text string) (dns.RR, error) {
	rr, err := dns.NewRR(Wrap(text))
	if err != nil || rr == nil {
		return nil, err
	}
	return Unwrap(rr)
}

// Records reads the records of a zone file, with a TTL in seconds for those without. Indentation
// that all lines share is taken away. $INCLUDE is refused. The error names the line, or the record.
func Records(text, origin string, ttl uint32) (records []dns.RR, err error) {
	text = Dedent(text)
	if err := Check(text); err != nil {
		return nil, err
	}
	parser := dns.NewZoneParser(strings.NewReader(Wrap(text)), dns.Fqdn(origin), "")
	parser.SetDefaultTTL(ttl)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if rr, err = Unwrap(rr); err != nil {
			return nil, err
		}
		records = append(records, rr)
	}
	return records, parser.Err()
}
