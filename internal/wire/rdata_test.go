package wire

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// parseOne returns a message with the question example. and one record, at the end or
// with bytes behind it.
func parseOne(t *testing.T, rrtype uint16, rdata string, behind ...string) (*Message, Record) {
	t.Helper()
	parts := append([]string{question, record("\x00", rrtype, rdata)}, behind...)
	m, err := Parse(message(1, 1+len(behind), 0, 0, parts...))
	if err != nil {
		t.Fatal(err)
	}
	return m, m.Answer[0]
}

func TestAppendRData(t *testing.T) {
	ptr := pointer(HeaderLen)
	sub := "\x03Www" + ptr
	long := "\x03Www" + example
	soa := "\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x00\x00\x00\x05"
	sig := "\x00\x01\x08\x01\x00\x00\x01\x2c\x00\x00\x00\x02\x00\x00\x00\x01\x12\x34"
	tests := []struct {
		rrtype      uint16
		rdata, want string
		canonical   string // "": as want
	}{
		{dns.TypeA, loopback, loopback, ""},
		{dns.TypeAAAA, strings.Repeat("A", 16), strings.Repeat("A", 16), ""},
		{dns.TypeNS, ptr, example, ""},
		{dns.TypeNS, sub, long, strings.ToLower(long)},
		{dns.TypeNS, "\x00", "\x00", ""},
		{dns.TypeMD, sub, long, strings.ToLower(long)},
		{dns.TypeMF, sub, long, strings.ToLower(long)},
		{dns.TypeCNAME, sub, long, strings.ToLower(long)},
		{dns.TypeMB, sub, long, strings.ToLower(long)},
		{dns.TypeMG, sub, long, strings.ToLower(long)},
		{dns.TypeMR, sub, long, strings.ToLower(long)},
		{dns.TypePTR, sub, long, strings.ToLower(long)},
		{dns.TypeDNAME, sub, long, strings.ToLower(long)},
		{dns.TypeSOA, sub + sub + soa, long + long + soa, strings.ToLower(long) + strings.ToLower(long) + soa},
		{dns.TypeMINFO, ptr + sub, example + long, example + strings.ToLower(long)},
		{dns.TypeRP, sub + ptr, long + example, strings.ToLower(long) + example},
		{dns.TypeMX, "MX" + sub, "MX" + long, "MX" + strings.ToLower(long)},
		{dns.TypeAFSDB, "\x00\x01" + sub, "\x00\x01" + long, "\x00\x01" + strings.ToLower(long)},
		{dns.TypeRT, "\x00\x01" + sub, "\x00\x01" + long, "\x00\x01" + strings.ToLower(long)},
		{dns.TypeKX, "\x00\x01" + sub, "\x00\x01" + long, "\x00\x01" + strings.ToLower(long)},
		{dns.TypePX, "PX" + sub + ptr, "PX" + long + example, "PX" + strings.ToLower(long) + example},
		{dns.TypeSRV, "PRWTPO" + sub, "PRWTPO" + long, "PRWTPO" + strings.ToLower(long)},
		{dns.TypeNAPTR, "ORPR\x01U\x00\x02!!" + sub, "ORPR\x01U\x00\x02!!" + long, "ORPR\x01U\x00\x02!!" + strings.ToLower(long)},
		{dns.TypeNXT, sub + "\x00\x01\x40", long + "\x00\x01\x40", strings.ToLower(long) + "\x00\x01\x40"},
		{dns.TypeSIG, sig + sub + "SIG", sig + long + "SIG", sig + strings.ToLower(long) + "SIG"},
		{dns.TypeRRSIG, sig + long + "SIG", sig + long + "SIG", sig + strings.ToLower(long) + "SIG"},
		{dns.TypeNSEC, long + "\x00\x01\x40", long + "\x00\x01\x40", ""}, // RFC 6840 §5.1: case is kept
		{dns.TypeNSEC, long, long, ""},
		{dns.TypeNSEC, long + "\x00\x02\x40\x00", long + "\x00\x02\x40\x00", ""}, // a zero byte too many
		{dns.TypeNSEC3, "\x01\x00\x00\x05\x02SS\x04HASH\x00\x01\x40\x01\x01\x40", "\x01\x00\x00\x05\x02SS\x04HASH\x00\x01\x40\x01\x01\x40", ""},
		{dns.TypeNSEC3, "\x01\x00\x00\x05\x00\x04HASH", "\x01\x00\x00\x05\x00\x04HASH", ""},
		{dns.TypeNSEC3PARAM, "\x01\x00\x00\x05\x02SS", "\x01\x00\x00\x05\x02SS", ""},
		{dns.TypeCSYNC, "SERI\x00\x03\x00\x01\x40", "SERI\x00\x03\x00\x01\x40", ""},
		{dns.TypeTXT, "\x01A\x00\x03B C", "\x01A\x00\x03B C", ""},
		{dns.TypeTXT, "\x00", "\x00", ""},
		{dns.TypeSPF, "\x01A", "\x01A", ""},
		{dns.TypeHINFO, "\x07RFC8482\x00", "\x07RFC8482\x00", ""},
		{dns.TypeDS, "TT\x08\x02DIGEST", "TT\x08\x02DIGEST", ""},
		{dns.TypeCDS, "\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00", ""}, // RFC 8078 §4: delete
		{dns.TypeDNSKEY, "\x01\x01\x03\x08KEY", "\x01\x01\x03\x08KEY", ""},
		{dns.TypeCDNSKEY, "\x00\x00\x03\x00\x00", "\x00\x00\x03\x00\x00", ""},
		{dns.TypeTLSA, "\x03\x01\x01HASH", "\x03\x01\x01HASH", ""},
		{dns.TypeSMIMEA, "\x03\x01\x01HASH", "\x03\x01\x01HASH", ""},
		{dns.TypeSSHFP, "\x01\x01HASH", "\x01\x01HASH", ""},
		{dns.TypeCAA, "\x00\x05ISSUEca.example", "\x00\x05ISSUEca.example", ""},
		{dns.TypeSVCB, "\x00\x00" + long, "\x00\x00" + long, ""},
		{dns.TypeHTTPS, "\x00\x01\x00\x00\x01\x00\x03\x02h2\x00\x03\x00\x02\x01\xbb", "\x00\x01\x00\x00\x01\x00\x03\x02h2\x00\x03\x00\x02\x01\xbb", ""},
		{dns.TypeLP, "\x00\x01" + long, "\x00\x01" + long, ""},
		{dns.TypeNSAPPTR, long, long, ""},
		{dns.TypeTALINK, long + example, long + example, ""},
		{dns.TypeNXT, sub + "\x40", long + "\x40", strings.ToLower(long) + "\x40"}, // the bitmap of RFC 2535
		// Not listed: opaque, whatever miekg/dns makes of it (RFC 3597 §3).
		{dns.TypeLOC, "", "", ""},
		{dns.TypeLOC, strings.Repeat("\x00", 15), strings.Repeat("\x00", 15), ""},
		{dns.TypeEUI48, "EUI-4", "EUI-4", ""},
		{dns.TypeAPL, "\x00\x01\x20\x05\x7f\x00\x00\x01", "\x00\x01\x20\x05\x7f\x00\x00\x01", ""},
		{dns.TypeHIP, "\x01\x02\x00\x01HK" + "\xc0\x00", "\x01\x02\x00\x01HK" + "\xc0\x00", ""},
		{dns.TypeIPSECKEY, "\x00\x03\x02\xc0\x00KEY", "\x00\x03\x02\xc0\x00KEY", ""},
		{dns.TypeAMTRELAY, "\x00\x03\xc0\x00", "\x00\x03\xc0\x00", ""},
		{dns.TypeLOC, strings.Repeat("\x00", 16), strings.Repeat("\x00", 16), ""},
		{dns.TypeEUI48, "EUI-48", "EUI-48", ""},
		{dns.TypeNULL, "", "", ""},
		{dns.TypeNULL, "\xc0\x0c", "\xc0\x0c", ""},
		{dns.TypeAPL, "", "", ""},
		{dns.TypeHIP, "\x01\x02\x00\x01HK" + long, "\x01\x02\x00\x01HK" + long, ""},
		{dns.TypeIPSECKEY, "\x0a\x03\x02" + long + "KEY", "\x0a\x03\x02" + long + "KEY", ""},
		{dns.TypeAMTRELAY, "\x0a\x03" + long, "\x0a\x03" + long, ""},
		// Unknown: never decompressed, lowered or judged (RFC 3597 §3, §4, §7).
		{65280, "", "", ""},
		{65280, sub, sub, ""},
		{65280, "\xc0\xff\x80 ABC", "\xc0\xff\x80 ABC", ""},
		{dns.TypeNone, "\x03Www\x00", "\x03Www\x00", ""},
	}
	covered := make(map[uint16]bool)
	for _, tt := range tests {
		covered[tt.rrtype] = true
		t.Run(fmt.Sprintf("%s %q", dns.Type(tt.rrtype), tt.rdata), func(t *testing.T) {
			m, rec := parseOne(t, tt.rrtype, tt.rdata)
			got, err := m.AppendRData([]byte("before"), rec)
			if want := "before" + tt.want; err != nil || string(got) != want {
				t.Fatalf("got %q, %v; want %q", got, err, want)
			}
			if tt.canonical == "" {
				tt.canonical = tt.want
			}
			if got := CanonicalRData(tt.rrtype, tt.want); got != tt.canonical {
				t.Errorf("canonical form: got %q, want %q", got, tt.canonical)
			}
			if got := CanonicalRData(tt.rrtype, tt.canonical); got != tt.canonical {
				t.Errorf("canonical form again: got %q, want %q", got, tt.canonical)
			}
		})
	}
	for rrtype := range layouts {
		if !covered[rrtype] {
			t.Errorf("%s has a layout and no test", dns.Type(rrtype))
		}
	}
}

func TestAppendRDataRefuses(t *testing.T) {
	ptr := pointer(HeaderLen)
	sig := strings.Repeat("\x00", 18)
	first := afterQuestion + 11 // where the RDATA of the first record stands
	tests := []struct {
		rrtype uint16
		rdata  string
		reason error // beside ErrRData; nil: none
	}{
		{dns.TypeA, "", nil},
		{dns.TypeA, "\x7f\x00\x00", nil},
		{dns.TypeA, loopback + "\x00", nil},
		{dns.TypeAAAA, loopback, nil},
		{dns.TypeAAAA, strings.Repeat("\x00", 17), nil},
		{dns.TypeNS, "", ErrNameExpected},
		{dns.TypeNS, "\x03ww", ErrNameExpected},
		{dns.TypeNS, "\x03www", ErrNameExpected},
		{dns.TypeNS, "\xc0", ErrNameExpected},
		{dns.TypeNS, example + "\x00", nil},
		{dns.TypeNS, ptr + "\x00", nil},
		{dns.TypeNS, pointer(first), ErrPointer},
		{dns.TypeNS, "\x01a" + pointer(first), ErrPointer},
		{dns.TypeNS, pointer(0x3FFF), ErrPointer},
		{dns.TypeNS, pointer(first - 1), ErrNameExpected},            // its RDLENGTH as a label, which covers its own pointer
		{dns.TypeMX, "\x00\x14" + pointer(first+1), ErrNameExpected}, // a label that covers the record behind
		{dns.TypeNS, pointer(3), ErrPointer},
		{dns.TypeNS, "\x40\x00", ErrLabelType},
		{dns.TypeNS, "\x80\x00", ErrLabelType},
		{dns.TypeNS, name256, ErrNameTooLong},
		{dns.TypeNS, name255[:254] + ptr, ErrNameTooLong},
		{dns.TypeMX, "\x00", nil},
		{dns.TypeMX, "\x00\x0a", ErrNameExpected},
		{dns.TypeSOA, ptr + ptr + strings.Repeat("\x00", 19), nil},
		{dns.TypeSOA, ptr + ptr + strings.Repeat("\x00", 21), nil},
		{dns.TypeSOA, ptr, ErrNameExpected},
		{dns.TypeSRV, "PRWTP", nil},
		{dns.TypeSRV, "PRWTPO", ErrNameExpected},
		{dns.TypeNAPTR, "ORPR\x01U\x00", nil},
		{dns.TypeNAPTR, "ORPR\x01U\x00\xff!!" + ptr, nil},
		{dns.TypeRRSIG, sig + ptr + "SIG", nil}, // RFC 4034 §3.1.7: not compressed
		{dns.TypeRRSIG, sig + example, nil},     // no signature
		{dns.TypeRRSIG, sig, ErrNameExpected},
		{dns.TypeRRSIG, sig[:17], nil},
		{dns.TypeNSEC, ptr + "\x00\x01\x40", nil}, // RFC 4034 §4.1.1: not compressed
		{dns.TypeNSEC, example + "\x00", nil},
		{dns.TypeNSEC, example + "\x00\x00", nil},                              // empty window
		{dns.TypeNSEC, example + "\x00\x02\x40", nil},                          // cut off
		{dns.TypeNSEC, example + "\x00\x21" + strings.Repeat("\x01", 33), nil}, // too long
		{dns.TypeNSEC, example + "\x01\x01\x40\x00\x01\x40", nil},              // out of order
		{dns.TypeNSEC, example + "\x00\x01\x40\x00\x01\x40", nil},              // twice
		{dns.TypeNSEC3, "\x01\x00\x00\x05\xffSS", nil},
		{dns.TypeNSEC3, "\x01\x00\x00\x05\x00", nil},
		{dns.TypeNSEC3, "\x01\x00\x00\x05\x00\x04HASH\x00", nil},
		{dns.TypeNSEC3PARAM, "\x01\x00\x00\x05\x02S", nil},
		{dns.TypeNSEC3PARAM, "\x01\x00\x00\x05\x02SSx", nil},
		{dns.TypeCSYNC, "SERI\x00\x03\x00\x00", nil},
		{dns.TypeTXT, "", nil},
		{dns.TypeTXT, "\x02A", nil},
		{dns.TypeTXT, "\x01A\xff", nil},
		{dns.TypeHINFO, "\x01A", nil},
		{dns.TypeDS, "", nil},
		{dns.TypeDS, "TT\x08\x02", nil},
		{dns.TypeDNSKEY, "\x01\x01\x03", nil},
		{dns.TypeTLSA, "\x03\x01\x01", nil},
		{dns.TypeSSHFP, "\x01\x01", nil},
		{dns.TypeCAA, "\x00", nil},
		{dns.TypeCAA, "\x00\x09issue", nil},
		{dns.TypeSVCB, "", nil},
		{dns.TypeSVCB, "\x00", nil},
		{dns.TypeSVCB, "\x00\x01", ErrNameExpected},
		{dns.TypeSVCB, "\x00\x01" + ptr, nil},                                                // RFC 9460 §2.2: not compressed
		{dns.TypeSVCB, "\x00\x01\x00\x00\x03\x00", nil},                                      // half a parameter
		{dns.TypeSVCB, "\x00\x01\x00\x00\x03\x00\x02\x01", nil},                              // value cut off
		{dns.TypeSVCB, "\x00\x01\x00\x00\x03\x00\x03\x01\xbb\x00", nil},                      // port of three bytes
		{dns.TypeSVCB, "\x00\x01\x00\x00\x04\x00\x03\x7f\x00\x00", nil},                      // short ipv4hint
		{dns.TypeSVCB, "\x00\x01\x00\x00\x06\x00\x04" + loopback, nil},                       // short ipv6hint
		{dns.TypeHTTPS, "\x00\x01\x00\x00\x03\x00\x02\x01\xbb\x00\x03\x00\x02\x01\xbb", nil}, // key twice
		{dns.TypeHTTPS, "\x00\x01\x00\x00\x03\x00\x02\x01\xbb\x00\x01\x00\x03\x02h2", nil},   // keys out of order
		{dns.TypeHTTPS, "\x00\x01\x00\xff\xff\x00\x00", nil},                                 // the invalid key
		{dns.TypeLP, "\x00\x01" + ptr, nil},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%s %.30q", dns.Type(tt.rrtype), tt.rdata), func(t *testing.T) {
			// A record behind, which an overrun would read.
			m, rec := parseOne(t, tt.rrtype, tt.rdata, record("\x00", 65280, strings.Repeat("\x00", 40)))
			got, err := m.AppendRData(nil, rec)
			if got != nil || !errors.Is(err, ErrRData) {
				t.Fatalf("got %q, %v; want %v", got, err, ErrRData)
			}
			var where *Error
			if !errors.As(err, &where) || where.Offset < HeaderLen || where.Offset > m.Len() {
				t.Errorf("got %v, want a byte of the message", err)
			}
			for _, reason := range []error{ErrNameExpected, ErrPointer, ErrLabelType, ErrNameTooLong, ErrHops, ErrShort} {
				if errors.Is(err, reason) != (reason == tt.reason) {
					t.Errorf("got %v, want the reason %v", err, tt.reason)
				}
			}
		})
	}
}

// At the end of a message what ends is the message, not only the RDATA.
func TestAppendRDataAtTheEnd(t *testing.T) {
	m, rec := parseOne(t, dns.TypeNS, "\x03www")
	if _, err := m.AppendRData(nil, rec); !errors.Is(err, ErrRData) || !errors.Is(err, ErrShort) {
		t.Errorf("got %v, want %v and %v", err, ErrRData, ErrShort)
	}
}

// RDATA that compression made fit must not become longer than RDLENGTH can say.
func TestAppendRDataTooLong(t *testing.T) {
	sig := strings.Repeat("\x00", 18)
	m, rec := parseOne(t, dns.TypeSIG, sig+pointer(HeaderLen)+strings.Repeat("S", 0xFFFF-20-120))
	if out, err := m.AppendRData(nil, rec); err != nil || len(out) != 0xFFFF-120+7 {
		t.Fatalf("got %d bytes, %v; want %d", len(out), err, 0xFFFF-120+7)
	}
	in := message(1, 2, 0, 0, question, record(name255, 65280, ""),
		record("\x00", dns.TypeSIG, sig+pointer(afterQuestion)+strings.Repeat("S", 0xFFFF-20)))
	if m, err := Parse(in); err == nil {
		if out, err := m.AppendRData(nil, m.Answer[1]); !errors.Is(err, ErrRData) {
			t.Errorf("got %d bytes, %v; want %v", len(out), err, ErrRData)
		}
	} else {
		t.Fatal(err)
	}
}

// What is no RDATA of its type comes back as it is.
func TestCanonicalRDataMalformed(t *testing.T) {
	for _, rdata := range []string{"", "\x03WW", "\x03WWW", "\xc0\x0c", "\x01A\xc0\x00", "\x40A"} {
		if got := CanonicalRData(dns.TypeNS, rdata); got != rdata {
			t.Errorf("%q: got %q, want it unchanged", rdata, got)
		}
	}
	// A pointer that could be followed: one name written over the next.
	rdata := strings.Repeat("\x01A", 10) + "\x00" + pointer(HeaderLen) + strings.Repeat("B", 20)
	if got := CanonicalRData(dns.TypeSOA, rdata); got != rdata {
		t.Errorf("%q: got %q, want it unchanged", rdata, got)
	}
}

func TestTargetName(t *testing.T) {
	tests := []struct {
		rrtype uint16
		rdata  string
		want   dnsname.Name
	}{
		{dns.TypeNS, "\x03WWW\x00", "\x03www\x00"},
		{dns.TypeCNAME, example, example},
		{dns.TypeDNAME, "\x00", "\x00"},
		{dns.TypePTR, example, example},
		{dns.TypeMX, "\x00\x0a" + example, example},
		{dns.TypeMX, "\x00", ""},
		{dns.TypeMX, "\x00\x0a", ""},
		{dns.TypeNS, "", ""},
		{dns.TypeNS, "\x03WWW", ""},
		{dns.TypeNS, "\xc0\x0c", ""},
		{dns.TypeTXT, example, ""},
	}
	for _, tt := range tests {
		if got, ok := TargetName(tt.rrtype, tt.rdata); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s %q: got %q, %t; want %q", dns.Type(tt.rrtype), tt.rdata, string(got), ok, string(tt.want))
		}
	}
}

func TestAddr(t *testing.T) {
	tests := map[string]netip.Addr{
		"\xc0\x00\x02\x01": netip.MustParseAddr("192.0.2.1"),
		"\x20\x01\x0d\xb8" + strings.Repeat("\x00", 11) + "\x01": netip.MustParseAddr("2001:db8::1"),
		"":                         {},
		"\xc0\x00\x02":             {},
		"\xc0\x00\x02\x01\x00":     {},
		strings.Repeat("\x00", 17): {},
	}
	for rdata, want := range tests {
		if got, ok := Addr(rdata); got != want || ok != want.IsValid() {
			t.Errorf("%q: got %s, %t; want %s", rdata, got, ok, want)
		}
	}
}

func TestParseSOA(t *testing.T) {
	numbers := "\x78\xc3\x9c\x24\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04\x80\x00\x00\x05"
	for rdata, want := range map[string]SOA{
		"\x00\x00" + numbers:        {2026085412, 1<<31 + 5},
		example + example + numbers: {2026085412, 1<<31 + 5},
	} {
		if got, ok := ParseSOA(rdata); got != want || !ok {
			t.Errorf("%q: got %+v, %t; want %+v", rdata, got, ok, want)
		}
	}
	if got, ok := ParseSOA("\x00" + numbers); ok || got != (SOA{}) {
		t.Errorf("21 bytes: got %+v, %t; want nothing", got, ok)
	}
}

// draw makes short RDATA out of what parsers trip over: small numbers, what is special in text,
// and anything.
func draw(random *rand.Rand) string {
	rdata := make([]byte, random.IntN(40))
	for i := range rdata {
		switch random.IntN(3) {
		case 0:
			rdata[i] = byte(random.IntN(5))
		case 1:
			rdata[i] = "\\\"; .@0-"[random.IntN(8)]
		default:
			rdata[i] = byte(random.IntN(256))
		}
	}
	return string(rdata)
}

// Whatever RDATA a type has, it is refused or comes back byte by byte, be it decoded or opaque
// (RFC 3597 §3). What no layout describes is never refused.
func TestDecodeKeepsRData(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for number := range 65536 {
		rrtype := uint16(number)
		_, known := dns.TypeToRR[rrtype]
		rounds := 1
		if known {
			rounds = 500
		}
		if rrtype == dns.TypeOPT {
			continue // no record of a section
		}
		for range rounds {
			rdata := draw(random)
			m, rec := parseOne(t, rrtype, rdata)
			whole, err := m.AppendRData(nil, rec)
			if err != nil {
				if layouts[rrtype] == nil {
					t.Fatalf("%s %q: refused: %v", dns.Type(rrtype), rdata, err)
				}
				continue
			}
			checkDecoded(t, rrtype, whole)
		}
	}
}

func checkDecoded(t *testing.T, rrtype uint16, rdata []byte) {
	t.Helper()
	h := dns.RR_Header{Name: "www.example.", Rrtype: rrtype, Class: dns.ClassINET, Ttl: 300}
	rr, err := Decode(h, rdata)
	if err != nil {
		t.Fatalf("%s %q: %v", dns.Type(rrtype), rdata, err)
	}
	in := &dns.Msg{Answer: []dns.RR{rr}}
	packed, err := in.Pack()
	if err != nil {
		t.Fatalf("%s %q: %v does not pack: %v", dns.Type(rrtype), rdata, rr, err)
	}
	m, err := Parse(packed)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := m.AppendRData(nil, m.Answer[0]); err != nil || string(got) != string(rdata) || m.Answer[0].Type != rrtype {
		t.Fatalf("%s: got %q, %v; want %q from %T", dns.Type(rrtype), got, err, rdata, rr)
	}
}

// What the seeds of the property found, and what it must not lose: common records are decoded.
func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		rrtype uint16
		rdata  string
		opaque bool
	}{
		{dns.TypeA, loopback, false},
		{dns.TypeTXT, "\x03\\a;", false},
		{dns.TypeCAA, "\x00\x05issueca.example", false},
		{dns.TypeCAA, "\x00\x05issue\\@", true},
		{dns.TypeNSEC, example + "\x00\x01\x40", false},
		{dns.TypeNSEC, example + "\x00\x02\x40\x00", true},
		{dns.TypeURI, "\x00\x01\x00\x01https://a/", false},
		{dns.TypeURI, "\x00\x01\x00\x01\\a", true},
		{dns.TypeLOC, strings.Repeat("\x00", 16), false},
		{dns.TypeLOC, "\x00\x01", true},
		{dns.TypeUID, "\x00\x01", true},
		{dns.TypeGID, "", true},
		{dns.TypeUINFO, "A", true},
		{dns.TypeRKEY, "\x01", true},
		{dns.TypeDLV, "\x00", true},
		{dns.TypeNULL, "", false},
		{65280, "A", true},
	} {
		rr, err := Decode(dns.RR_Header{Name: ".", Rrtype: tt.rrtype, Class: dns.ClassINET}, []byte(tt.rdata))
		if _, opaque := rr.(*dns.RFC3597); err != nil || opaque != tt.opaque {
			t.Errorf("%s %q: got %v (%T), %v; want opaque %t", dns.Type(tt.rrtype), tt.rdata, rr, rr, err, tt.opaque)
		}
		checkDecoded(t, tt.rrtype, []byte(tt.rdata))
	}
	for _, rrtype := range []uint16{dns.TypeA, dns.TypeNS, dns.TypeDS, dns.TypeSVCB} {
		if rr, err := Decode(dns.RR_Header{Name: ".", Rrtype: rrtype, Class: dns.ClassINET}, []byte("\x01")); !errors.Is(err, ErrRData) {
			t.Errorf("%s: got %v, %v; want %v", dns.Type(rrtype), rr, err, ErrRData)
		}
	}
}

// Fields that are there are read even where they would pack to other bytes; none is made up.
func TestDecodeLoosely(t *testing.T) {
	for _, tt := range []struct {
		rrtype uint16
		rdata  string
		want   bool
	}{
		{dns.TypeCAA, "\x00\x05issue\\@", true},
		{dns.TypeURI, "\x00\x01\x00\x01\\a", true},
		{dns.TypeNSEC, example + "\x00\x02\x40\x00", true},
		{dns.TypeLOC, "\x00\x01", false},
		{dns.TypeUID, "\x00", false},
		{dns.TypeEUI48, "", false},
	} {
		opaque := &dns.RFC3597{Hdr: dns.RR_Header{Name: ".", Rrtype: tt.rrtype, Class: dns.ClassINET}, Rdata: hex.EncodeToString([]byte(tt.rdata))}
		if rr, ok := DecodeLoosely(opaque); ok != tt.want {
			t.Errorf("%s %q: got %v, %t; want %t", dns.Type(tt.rrtype), tt.rdata, rr, ok, tt.want)
		}
	}
}
