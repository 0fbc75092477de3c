package zonetext

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/wire"
)

// read returns the records of a zone file.
func read(t *testing.T, text string) (records []dns.RR) {
	t.Helper()
	parser := dns.NewZoneParser(strings.NewReader(Wrap(text)), "example.", "")
	parser.SetDefaultTTL(3600)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		rr, err := Unwrap(rr)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		records = append(records, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return records
}

// TestGenericRDataIsKept: whatever RDATA an entry has in the generic form, of whichever type, is
// what its record packs to, or is refused for its form.
func TestGenericRDataIsKept(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	kept := 0
	for number := uint16(1); number < 270; number++ {
		for _, length := range []int{0, 1, 3, 5, 9, 21} {
			rdata := make([]byte, length)
			for i := range rdata {
				rdata[i] = "\\\"; .@0-\x00\x01\x02\x03\x40\xc0\xff\x7f"[random.IntN(16)]
			}
			h := dns.RR_Header{Name: "www.example.", Rrtype: number, Class: dns.ClassINET, Ttl: 300}
			if _, err := wire.DecodeUnread(h, rdata); err != nil {
				continue
			}
			for _, rrtype := range []string{fmt.Sprintf("TYPE%d", number), dns.Type(number).String()} {
				records := read(t, fmt.Sprintf("www 300 IN %s \\# %d %x\n", rrtype, length, rdata))
				if len(records) != 1 || records[0].Header().Rrtype != number {
					t.Fatalf("%s %x: got %v", rrtype, rdata, records)
				}
				packed := make([]byte, dns.MaxMsgSize)
				n, err := dns.PackRR(records[0], packed, 0, nil, false)
				if err != nil || !strings.HasSuffix(string(packed[:n]), string(rdata)) || n != len("\x03www\x07example\x00")+10+length {
					t.Errorf("%s %x: got %v, %v", rrtype, rdata, records[0], err)
				}
				kept++
			}
		}
	}
	if kept < 1000 {
		t.Errorf("%d records were tried", kept)
	}
}

// TestFormsOfGenericEntries: an entry is told by its words, wherever its owner, TTL, class,
// comments and parentheses stand; what is no generic entry stays as it is.
func TestFormsOfGenericEntries(t *testing.T) {
	for text, want := range map[string]string{
		"www LOC \\# 3 00ff41":                             "www.example. LOC 00ff41",
		"www LOC \\# 3 00 ff 41\n":                         "www.example. LOC 00ff41",
		"www IN 60 loc \\# 3 00ff41":                       "www.example. LOC 00ff41",
		"www 60 CLASS1 TYPE29 \\# 3 00ff41":                "www.example. LOC 00ff41",
		"loc LOC \\# 3 00ff41":                             "loc.example. LOC 00ff41",
		"www A 192.0.2.1\n\tLOC \\# 3 00ff41":              "www.example. LOC 00ff41",
		"www LOC ( ; A \\# 1 00\n \\# 3 00 ; \\#\n ff41 )": "www.example. LOC 00ff41",
		"www LOC \\# ( 3\n00ff41\n)\n":                     "www.example. LOC 00ff41",
		"www LOC \\# 0":                                    "www.example. LOC ",
		"www TYPE65534 \\# 3 00ff41":                       "www.example. TYPE65534 00ff41",
		"www A \\# 4 c0000201":                             "www.example. A 192.0.2.1",
		"www TXT A \\# 4 c0000201":                         `www.example. TXT "A" "#" "4" "c0000201"`,
		"www TXT \"A \\# 4 \nLOC \\# 3\" x":                `www.example. TXT "A # 4 \010LOC # 3" "x"`,
		"$TTL 60\n\\# A 192.0.2.1 ; LOC \\# 3 00ff41":      `\#.example. A 192.0.2.1`,
	} {
		records := read(t, text)
		last := records[len(records)-1]
		h := last.Header()
		got := fmt.Sprintf("%s %s %s", h.Name, dns.Type(h.Rrtype), strings.TrimPrefix(last.String(), h.String()))
		if opaque, ok := last.(*dns.RFC3597); ok {
			got = fmt.Sprintf("%s %s %s", h.Name, dns.Type(h.Rrtype), opaque.Rdata)
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// TestRefusedGenericEntries: what is wrong is said, by the parser or of the RDATA.
func TestRefusedGenericEntries(t *testing.T) {
	for _, text := range []string{
		"www A \\# 3 c00002", "www LOC \\# 3 00ff", "www LOC \\# x 00ff41", "www LOC \\#", "www LOC \\# 2 xy", "www LOC \\# 65535 00", "www MX \\# 2 000a",
	} {
		parser := dns.NewZoneParser(strings.NewReader(Wrap(text)), "example.", "")
		parser.SetDefaultTTL(3600)
		rr, ok := parser.Next()
		if ok {
			if rr, err := Unwrap(rr); err == nil {
				t.Errorf("%q: got %v, want an error", text, rr)
			}
		} else if parser.Err() == nil {
			t.Errorf("%q: got nothing, want an error", text)
		}
	}
}

// FuzzWrap: Wrap takes any text, and moves no line of it.
func FuzzWrap(f *testing.F) {
	f.Add("www LOC \\# ( 3\n00ff41\n) ; \\#\n")
	f.Add("\\# A \\# 4 \"\n")
	f.Fuzz(func(t *testing.T, text string) {
		wrapped := Wrap(text)
		if strings.Count(wrapped, "\n") != strings.Count(text, "\n") {
			t.Errorf("%q became %q", text, wrapped)
		}
	})
}
