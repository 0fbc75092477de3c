package wire

import (
	"errors"
	"fmt"

	"github.com/miekg/dns"
)

// field is one part of a record's RDATA.
type field uint8

const (
	fixed1      field = iota // that many bytes
	fixed2                   //
	fixed4                   //
	fixed6                   //
	fixed16                  //
	fixed20                  //
	charString               // one byte of length and that many; RFC 1035 §3.3 <character-string>
	charStrings              // one or more to the end
	compressed               // a name that may be compressed on the wire, RFC 3597 §4
	lowered                  // a name never compressed, lower case in canonical form
	plain                    // a name never compressed, case kept in canonical form
	bitmap                   // a type bitmap to the end, RFC 4034 §4.1.2
	rest                     // anything to the end
	restNotNull              // at least one byte to the end
	free                     // anything to the end; miekg/dns may pack it differently
	decoded                  // anything to the end; miekg/dns checks the whole RDATA
)

// layouts has the fields of the types whose RDATA holds names (RFC 3597 §4, RFC
// 4034 §6.2, RFC 6840 §5.1), and of those so frequent that checking them here is
// worth it. RDATA of types that are not listed is opaque (RFC 3597 §3): no name in it is
// compared, expanded or lowered, and any bytes are allowed.
var layouts = map[uint16][]field{
	dns.TypeA:          {fixed4},
	dns.TypeAAAA:       {fixed16},
	dns.TypeNS:         {compressed},
	dns.TypeMD:         {compressed},
	dns.TypeMF:         {compressed},
	dns.TypeCNAME:      {compressed},
	dns.TypeMB:         {compressed},
	dns.TypeMG:         {compressed},
	dns.TypeMR:         {compressed},
	dns.TypePTR:        {compressed},
	dns.TypeDNAME:      {compressed},
	dns.TypeSOA:        {compressed, compressed, fixed20},
	dns.TypeMINFO:      {compressed, compressed},
	dns.TypeRP:         {compressed, compressed},
	dns.TypeMX:         {fixed2, compressed},
	dns.TypeAFSDB:      {fixed2, compressed},
	dns.TypeRT:         {fixed2, compressed},
	dns.TypeKX:         {fixed2, compressed},
	dns.TypePX:         {fixed2, compressed, compressed},
	dns.TypeSRV:        {fixed6, compressed},
	dns.TypeNAPTR:      {fixed4, charString, charString, charString, compressed},
	dns.TypeNXT:        {compressed, free}, // its old bitmaps are no bitmaps to miekg/dns
	dns.TypeSIG:        {fixed16, fixed2, compressed, restNotNull},
	dns.TypeRRSIG:      {fixed16, fixed2, lowered, restNotNull},
	dns.TypeNSEC:       {plain, bitmap},
	dns.TypeNSEC3:      {fixed4, charString, charString, bitmap},
	dns.TypeNSEC3PARAM: {fixed4, charString},
	dns.TypeCSYNC:      {fixed6, bitmap},
	dns.TypeTXT:        {charStrings},
	dns.TypeSPF:        {charStrings},
	dns.TypeHINFO:      {charString, charString},
	dns.TypeDS:         {fixed4, restNotNull},
	dns.TypeCDS:        {fixed4, restNotNull},
	dns.TypeDNSKEY:     {fixed4, rest},
	dns.TypeCDNSKEY:    {fixed4, rest},
	dns.TypeTLSA:       {fixed1, fixed2, restNotNull},
	dns.TypeSMIMEA:     {fixed1, fixed2, restNotNull},
	dns.TypeSSHFP:      {fixed2, restNotNull},
	dns.TypeCAA:        {fixed1, charString, free}, // backslashes are escapes to miekg/dns
	dns.TypeSVCB:       {fixed2, plain, decoded},
	dns.TypeHTTPS:      {fixed2, plain, decoded},
	dns.TypeLP:         {fixed2, plain},
	dns.TypeNSAPPTR:    {plain},
	dns.TypeTALINK:     {plain, plain},
}

// fieldReader copies RDATA field by field.
type fieldReader struct {
	buf      []byte
	off, end int
}

func (r *fieldReader) append(dst []byte, f field) ([]byte, error) {
	switch f {
	case fixed1:
		return r.take(dst, 1)
	case fixed2:
		return r.take(dst, 2)
	case fixed4:
		return r.take(dst, 4)
	case fixed6:
		return r.take(dst, 6)
	case fixed16:
		return r.take(dst, 16)
	case fixed20:
		return r.take(dst, 20)
	case charString:
		return r.charString(dst)
	case charStrings:
		var err error
		for first := true; (first || r.off < r.end) && err == nil; first = false {
			dst, err = r.charString(dst)
		}
		return dst, err
	case compressed:
		return r.name(dst, true)
	case lowered, plain:
		return r.name(dst, false)
	case bitmap:
		if !validBitmap(r.buf[r.off:r.end]) {
			return nil, fail(r.off, ErrRData)
		}
		return r.take(dst, r.end-r.off)
	case rest, free, decoded:
		return r.take(dst, r.end-r.off)
	case restNotNull:
		if r.off == r.end {
			return nil, fail(r.off, ErrRData)
		}
		return r.take(dst, r.end-r.off)
	}
	return nil, fail(r.off, ErrRData)
}

func (r *fieldReader) take(dst []byte, n int) ([]byte, error) {
	if r.off+n > r.end {
		return nil, fail(r.off, ErrRData)
	}
	dst = append(dst, r.buf[r.off:r.off+n]...)
	r.off += n
	return dst, nil
}

func (r *fieldReader) charString(dst []byte) ([]byte, error) {
	if r.off >= r.end {
		return nil, fail(r.off, ErrRData)
	}
	return r.take(dst, 1+int(r.buf[r.off]))
}

func (r *fieldReader) name(dst []byte, mayCompress bool) ([]byte, error) {
	start := len(dst)
	dst, next, err := expandName(dst, r.buf, r.off, r.end)
	if err != nil {
		var where *Error
		errors.As(err, &where)
		return nil, fail(where.Offset, fmt.Errorf("%w: %w", ErrRData, where.Err))
	}
	if !mayCompress && next-r.off != len(dst)-start {
		return nil, fail(r.off, ErrRData) // RFC 4034 §3.1.7, §4.1.1
	}
	r.off = next
	return dst, nil
}

// validBitmap reports whether b is a type bitmap: windows in order, none empty or
// longer than its 32 bytes. Trailing zero bytes should not be sent, but
// change no meaning, and are let through.
func validBitmap(b []byte) bool {
	for last := -1; len(b) > 0; {
		if len(b) < 2 {
			return false
		}
		window, n := int(b[0]), int(b[1])
		if window <= last || n == 0 || n > 32 || 2+n > len(b) {
			return false
		}
		last, b = window, b[2+n:]
	}
	return true
}
