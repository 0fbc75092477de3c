package dnssec

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

func packedFields(p Packed) []string { return slices.Collect(p.All()) }

func TestPack(t *testing.T) {
	longest := strings.Repeat("x", 0xFFFF)
	tests := []struct {
		name     string
		in, want []string
		size     int
	}{
		{"nothing", nil, nil, 0},
		{"one", []string{"abc"}, []string{"abc"}, 5},
		{"empty field", []string{""}, []string{""}, 2},
		{"several", []string{"a", "", "bcd", "a"}, []string{"a", "", "bcd", "a"}, 13},
		{"lengths of both bytes", []string{strings.Repeat("x", 258), "y"}, []string{strings.Repeat("x", 258), "y"}, 263},
		{"longest", []string{longest}, []string{longest}, 2 + 0xFFFF},
		{"longer than a record can be", []string{"a", longest + "x", "b"}, []string{"a", "b"}, 6},
	}
	for _, tt := range tests {
		p := Pack(tt.in...)
		if got := packedFields(p); !slices.Equal(got, tt.want) || p.Len() != len(tt.want) || len(p) != tt.size {
			t.Errorf("%s: got %d fields in %d bytes: %.50q; want %d in %d: %.50q",
				tt.name, p.Len(), len(p), got, len(tt.want), tt.size, tt.want)
		}
	}
}

func TestPackedAllStops(t *testing.T) {
	for f := range Pack("a", "b", "c").All() {
		if f == "b" {
			break
		}
		if f == "c" {
			t.Error("went on after the break")
		}
	}
}

// A Packed is made by Pack and With only, but one that is cut off must not be read
// past its end.
func TestPackedCutOff(t *testing.T) {
	whole := Pack("abc", "defg")
	for n := range len(whole) {
		want := []string(nil)
		if n >= 5 {
			want = []string{"abc"}
		}
		if got := packedFields(whole[:n]); !slices.Equal(got, want) {
			t.Errorf("the first %d bytes: got %q, want %q", n, got, want)
		}
	}
}

func rrsetRecord(t *testing.T, text string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return rr
}

func rrsetRecords(t *testing.T, texts ...string) []dns.RR {
	t.Helper()
	var out []dns.RR
	for _, text := range texts {
		out = append(out, rrsetRecord(t, text))
	}
	return out
}

// texts writes records in zone-file text.
func rrsetTexts(records []dns.RR) []string {
	var out []string
	for _, r := range records {
		out = append(out, strings.Join(strings.Fields(r.String()), " "))
	}
	return out
}

const (
	rrsetA        = "www.example. 300 IN A 192.0.2.1"
	rrsetA2       = "www.example. 300 IN A 192.0.2.2"
	rrsetSigned   = "www.example. 300 IN RRSIG A 15 2 300 20260118050000 20260105040000 21831 example. AAECAwQFBgcICQ=="
	rrsetSigned2  = "www.example. 300 IN RRSIG A 13 2 300 20260118050000 20260105040000 38696 example. AQECAwQFBgcICQ=="
	rrsetOverAAAA = "www.example. 300 IN RRSIG AAAA 15 2 300 20260118050000 20260105040000 21831 example. AAECAwQFBgcICQ=="
)

func TestNewRRset(t *testing.T) {
	s, err := NewRRset(rrsetRecords(t, "WWW.Example. 300 IN A 192.0.2.1", rrsetSigned, rrsetA2, "www.EXAMPLE. 300 IN A 192.0.2.1", rrsetSigned, rrsetSigned2)...)
	if err != nil {
		t.Fatal(err)
	}
	if want := dnsname.MustParse("www.example."); s.Owner != want || s.Type != dns.TypeA || s.Class != dns.ClassINET || s.TTL != 300 {
		t.Errorf("got %s %d %d %d, want %s %d %d 300", s.Owner, s.Type, s.Class, s.TTL, want, dns.TypeA, dns.ClassINET)
	}
	if want := Pack("\xc0\x00\x02\x01", "\xc0\x00\x02\x02"); s.Records != want || s.Len() != 2 {
		t.Errorf("records: got %q, want %q", s.Records, want)
	}
	if got := s.Signatures.Len(); got != 2 {
		t.Errorf("%d signatures, want 2", got)
	}
	if got, want := s.Size(), 13+2*(2+4)+2*(2+18+9+10); got != want {
		t.Errorf("size %d, want %d", got, want)
	}
}

// An RRset has one TTL, RFC 2181 §5.2.
func TestNewRRsetTTL(t *testing.T) {
	tests := []struct {
		name    string
		records []dns.RR
		want    uint32
	}{
		{"second record", rrsetRecords(t, rrsetA, "www.example. 60 IN A 192.0.2.2"), 60},
		{"repeated record", rrsetRecords(t, rrsetA, "www.example. 60 IN A 192.0.2.1"), 60},
		{"signature", rrsetRecords(t, rrsetA, strings.Replace(rrsetSigned, " 300 ", " 20 ", 1)), 20},
		{"signature above", rrsetRecords(t, rrsetA, strings.Replace(rrsetSigned, " 300 ", " 999 ", 1)), 300},
		{"zero", rrsetRecords(t, "www.example. 0 IN A 192.0.2.1", rrsetA2), 0},
		{"top bit", rrsetRecords(t, "www.example. 4294967295 IN A 192.0.2.1"), 1<<32 - 1},
	}
	for _, tt := range tests {
		s, err := NewRRset(tt.records...)
		if err != nil || s.TTL != tt.want {
			t.Errorf("%s: got %v, %v; want the TTL %d", tt.name, s, err, tt.want)
		}
	}
}

func TestNewRRsetRefuses(t *testing.T) {
	tests := map[string][]dns.RR{
		"nothing":                      nil,
		"signatures only":              rrsetRecords(t, rrsetSigned),
		"two owners":                   rrsetRecords(t, rrsetA, "example. 300 IN A 192.0.2.1"),
		"two types":                    rrsetRecords(t, rrsetA, "www.example. 300 IN AAAA 2001:db8::1"),
		"two classes":                  rrsetRecords(t, "www.example. 300 IN TXT x", "www.example. 300 CH TXT x"),
		"signature over another type":  rrsetRecords(t, rrsetA, rrsetOverAAAA),
		"signature of another owner":   rrsetRecords(t, rrsetA, strings.Replace(rrsetSigned, "www", "ftp", 1)),
		"record that does not pack":    {&dns.A{Hdr: dns.RR_Header{Name: "a..example.", Rrtype: dns.TypeA, Class: 1}}},
		"signature that does not pack": append(rrsetRecords(t, rrsetA), &dns.RRSIG{Hdr: dns.RR_Header{Name: "a..", Rrtype: dns.TypeRRSIG}, TypeCovered: dns.TypeA}),
		"RDATA that does not pack":     {&dns.TXT{Hdr: dns.RR_Header{Name: "example.", Rrtype: dns.TypeTXT, Class: 1}, Txt: []string{strings.Repeat("x", 2000)}}},
		"a bad one after good ones":    append(rrsetRecords(t, rrsetA), &dns.A{Hdr: dns.RR_Header{Name: "www.example", Rrtype: dns.TypeA, Class: 1}}),
	}
	for name, records := range tests {
		if s, err := NewRRset(records...); s != nil || err == nil {
			t.Errorf("%s: got %v, want an error", name, s)
		}
	}
}

// What is packed comes back the same, whatever the type, names in RDATA in the case
// they were received in.
func TestRRsetRoundTrip(t *testing.T) {
	for _, set := range [][]string{
		{rrsetA, rrsetA2, rrsetSigned, rrsetSigned2},
		{"example. 300 IN NS Ns1.Example.", "example. 300 IN NS ns2.example."},
		{"example. 300 IN SOA ns.example. Host\\.Master.example. 2026010500 1800 900 604800 86400"},
		{"example. 300 IN MX 10 mx.example.", "example. 300 IN MX 0 ."},
		{"example. 300 IN TXT \"a\" \"\" \"\\000\\255\\\"\""},
		{"example. 300 IN NSEC a.Example. A NS SOA TYPE65280"},
		{"example. 300 IN HTTPS 1 . alpn=\"h2\" port=\"443\""},
		{"example. 300 CH TXT \"chaos\""},
		{"example. 300 IN TYPE65280 \\# 2 c00c"},
		{"example. 300 IN TYPE65280 \\# 0"},
		{"a\\.b.\\000.example. 300 IN CNAME c\\.d.example."},
		{". 300 IN NS ."},
	} {
		s, err := NewRRset(rrsetRecords(t, set...)...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.AppendRRs(nil, 300, true)
		if err != nil {
			t.Fatal(err)
		}
		if want := rrsetTexts(rrsetRecords(t, set...)); !slices.Equal(rrsetTexts(got), want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(rrsetTexts(got), "\n"), strings.Join(want, "\n"))
		}
		again, err := NewRRset(got...)
		if err != nil || *again != *s {
			t.Errorf("packed again: got %+v, %v; want %+v", again, err, s)
		}
	}
}

func TestAppendRRs(t *testing.T) {
	s, err := NewRRset(rrsetRecords(t, rrsetA, rrsetSigned)...)
	if err != nil {
		t.Fatal(err)
	}
	before := rrsetRecords(t, "example. 1 IN A 192.0.2.9")
	got, err := s.AppendRRs(before, 7, false)
	if want := []string{"example. 1 IN A 192.0.2.9", "www.example. 7 IN A 192.0.2.1"}; err != nil || !slices.Equal(rrsetTexts(got), want) {
		t.Errorf("without signatures: got %q, %v; want %q", rrsetTexts(got), err, want)
	}
	got, err = s.AppendRRs(nil, 7, true)
	if err != nil || len(got) != 2 || got[1].Header().Ttl != 7 || got[1].Header().Rrtype != dns.TypeRRSIG {
		t.Errorf("with signatures: got %q, %v; want the record and its RRSIG with the TTL 7", rrsetTexts(got), err)
	}
	// Callers may do with the records what they like.
	got[0].(*dns.A).A[3] = 99
	got[0].Header().Name = "spoilt."
	if got, _ = s.AppendRRs(nil, 7, false); got[0].String() != rrsetRecord(t, strings.Replace(rrsetA, "300", "7", 1)).String() {
		t.Errorf("changing what was decoded changed the RRset: %s", got[0])
	}
}

func TestAppendRRsMalformed(t *testing.T) {
	good := RRset{Owner: dnsname.MustParse("example."), Type: dns.TypeA, Class: 1, Records: Pack("\xc0\x00\x02\x01")}
	badRecord, badSignature := good, good
	badRecord.Records = good.Records.With("short")
	badSignature.Signatures = Pack("short")
	for name, s := range map[string]RRset{"record": badRecord, "signature": badSignature} {
		got, err := s.AppendRRs(nil, 1, true)
		if err == nil || !strings.Contains(err.Error(), "example.") {
			t.Errorf("%s: got %v, %v; want an error that names the owner", name, got, err)
		}
	}
	if got, err := badSignature.AppendRRs(nil, 1, false); err != nil || len(got) != 1 {
		t.Errorf("signatures not asked for: got %v, %v", got, err)
	}
}

// FuzzPacked: fields come back as they went in, once each, in order; foreign bytes
// are never read past their end.
func FuzzPacked(f *testing.F) {
	f.Add("a", "b", "a")                        // a field twice
	f.Add("", "", "x")                          // empty fields
	f.Add("\x00\x01x", "\x00", "x")             // fields that look packed
	f.Add(strings.Repeat("x", 0x10000), "", "") // more than a record can hold
	f.Fuzz(func(t *testing.T, a, b, c string) {
		var want []string
		p := Packed("")
		for _, field := range []string{a, b, c} {
			p = p.With(field)
			if len(field) <= 0xFFFF && !slices.Contains(want, field) {
				want = append(want, field)
			}
		}
		if got := packedFields(p); !slices.Equal(got, want) || p != Pack(want...) {
			t.Fatalf("got %q, want %q", got, want)
		}
		total := 0
		for field := range Packed(a + b).All() {
			total += 2 + len(field)
		}
		if total > len(a+b) {
			t.Fatalf("%d bytes read of %d", total, len(a+b))
		}
	})
}

func BenchmarkAppendRRs(b *testing.B) {
	s := RRset{Owner: dnsname.MustParse("example."), Type: dns.TypeA, Class: 1, Records: Pack("\xc0\x00\x02\x01", "\xc0\x00\x02\x02")}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.AppendRRs(nil, 300, true); err != nil {
			b.Fatal(err)
		}
	}
}

// A record of a type that a program reads as unknown (RFC 3597) is what it would be
// otherwise.
func TestNewRRsetUnknownRRSIG(t *testing.T) {
	unknown := func(text string) dns.RR {
		rr := new(dns.RFC3597)
		if err := rr.ToRFC3597(rrsetRecord(t, text)); err != nil {
			t.Fatal(err)
		}
		return rr
	}
	want, err := NewRRset(rrsetRecords(t, rrsetA, rrsetSigned)...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := NewRRset(rrsetRecord(t, rrsetA), unknown(rrsetSigned))
	if err != nil || *got != *want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if s, err := NewRRset(rrsetRecord(t, rrsetA), unknown(rrsetOverAAAA)); err == nil {
		t.Errorf("over another type: got %+v, want an error", s)
	}
	short := &dns.RFC3597{Hdr: *unknown(rrsetSigned).Header(), Rdata: "00"}
	if s, err := NewRRset(rrsetRecord(t, rrsetA), short); err == nil {
		t.Errorf("cut off: got %+v, want an error", s)
	}
	grouped, err := GroupRRsets([]dns.RR{unknown(rrsetSigned), rrsetRecord(t, rrsetA), short}, false)
	if err != nil || len(grouped) != 1 || *grouped[0] != *want {
		t.Errorf("grouped: got %v, %v, want one RRset %+v", grouped, err, want)
	}
}

// Many records are put together in one go: each is there once, in order.
func TestNewRRsetManyRecords(t *testing.T) {
	const n = 4000
	var records []dns.RR
	for i := range 2 * n {
		records = append(records, &dns.A{
			Hdr: dns.RR_Header{Name: "www.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
			A:   net.IPv4(198, 18, byte(i%n>>8), byte(i%n)),
		})
	}
	s, err := NewRRset(records...)
	if err != nil || s.Len() != n {
		t.Fatalf("got %d records, %v, want %d", s.Len(), err, n)
	}
	i := 0
	for rdata := range s.Records.All() {
		if want := string([]byte{198, 18, byte(i >> 8), byte(i)}); rdata != want {
			t.Fatalf("record %d: got %x, want %x", i, rdata, want)
		}
		i++
	}
}
