package wire

import (
	"bufio"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/test/realdata"
)

// compare fails unless the walker and miekg/dns see the same in a message that both
// accept: header, question, and of each record owner, type, class, TTL and data.
// Records whose RDATA the walker refuses come back as text.
func compare(t *testing.T, m *Message, msg *dns.Msg) (refused []string) {
	t.Helper()
	rcode := msg.Rcode &^ 0xF0 // Unpack adds the upper bits
	if m.ID != msg.Id || m.Opcode() != msg.Opcode || m.Rcode()&0xF != rcode&0xF ||
		(m.Flags&AA != 0) != msg.Authoritative || (m.Flags&TC != 0) != msg.Truncated || (m.Flags&QR != 0) != msg.Response ||
		(m.Flags&RD != 0) != msg.RecursionDesired || (m.Flags&RA != 0) != msg.RecursionAvailable ||
		(m.Flags&AD != 0) != msg.AuthenticatedData || (m.Flags&CD != 0) != msg.CheckingDisabled {
		t.Errorf("header: got ID %x, flags %x; miekg/dns has %+v", m.ID, m.Flags, msg.MsgHdr)
	}
	if m.NoQuestion != (len(msg.Question) == 0) {
		t.Errorf("no question: got %t; miekg/dns has %v", m.NoQuestion, msg.Question)
	} else if !m.NoQuestion {
		q := msg.Question[0]
		if want := (Question{dnsname.MustParse(q.Name), q.Qtype, q.Qclass}); m.Question != want {
			t.Errorf("question: got %v; miekg/dns has %v", m.Question, want)
		}
	}
	var additional []dns.RR
	for _, rr := range msg.Extra {
		if rr.Header().Rrtype != dns.TypeOPT {
			additional = append(additional, rr)
		}
	}
	if (m.EDNS != nil) != (len(additional) < len(msg.Extra)) {
		t.Errorf("EDNS: got %+v; miekg/dns has %v", m.EDNS, msg.Extra)
	}
	for _, section := range []struct {
		name string
		got  []Record
		want []dns.RR
	}{{"answer", m.Answer, msg.Answer}, {"authority", m.Authority, msg.Ns}, {"additional", m.Additional, additional}} {
		if len(section.got) != len(section.want) {
			t.Fatalf("%s: got %d records; miekg/dns has %d", section.name, len(section.got), len(section.want))
		}
		for i, rec := range section.got {
			if !compareRecord(t, m, rec, section.want[i]) {
				refused = append(refused, section.want[i].String())
			}
		}
	}
	return refused
}

// compareRecord reports whether the walker accepts the record's RDATA.
func compareRecord(t *testing.T, m *Message, rec Record, want dns.RR) bool {
	t.Helper()
	h := want.Header()
	if rec.Owner != dnsname.MustParse(h.Name) || rec.Type != h.Rrtype || rec.Class != h.Class || rec.TTL != h.Ttl {
		t.Errorf("got %s %d %d %d; miekg/dns has %v", rec.Owner, rec.TTL, rec.Class, rec.Type, h)
	}
	rdata, err := m.AppendRData(nil, rec)
	if err != nil {
		return false
	}
	header := *h // with the owner in the case miekg/dns saw
	header.Rdlength = uint16(len(rdata))
	got, _, err := dns.UnpackRRWithHeader(header, rdata, 0)
	if _, known := layouts[rec.Type]; !known && slices.ContainsFunc(rdata, func(c byte) bool { return c >= 0xC0 }) {
		return true // miekg/dns follows pointers in types where they are plain data (RFC 3597 §4)
	}
	if err != nil {
		t.Errorf("miekg/dns does not decode what was accepted of %v: %v", want, err)
		return true
	}
	h.Rdlength = header.Rdlength // not compressed any more
	if got.String() != want.String() {
		t.Errorf("got  %v\nmiekg/dns has %v", got, want)
	}
	return true
}

// zoneRecords has a record for every layout and a few types without one.
var zoneRecords = []string{
	"www.Example. 300 IN A 192.0.2.1",
	"www.example. 300 IN AAAA 2001:db8::1",
	"example. 86400 IN NS ns1.sub.Example.",
	"example. 0 IN SOA ns1.example. host\\.master.example. 2026010500 1800 900 604800 4294967295",
	"alias.example. 4294967295 IN CNAME www.Example.",
	"old.example. 60 IN DNAME new.other.",
	"1.2.0.192.in-addr.arpa. 60 IN PTR www.example.",
	"example. 60 IN MX 10 mx.example.",
	"example. 60 IN MX 0 .",
	"_sip._udp.example. 60 IN SRV 1 2 5060 sip.example.",
	"example. 60 IN NAPTR 100 50 \"s\" \"\" \"!^.*$!sip:a@example!\" _sip._udp.example.",
	"example. 60 IN RP mail.example. text.example.",
	"example. 60 IN AFSDB 1 afs.example.",
	"example. 60 IN KX 1 kx.example.",
	"example. 60 IN PX 1 a.example. b.example.",
	"example. 60 IN MINFO a.example. b.example.",
	"example. 60 IN TXT \"one\" \"\" \"thr\\226\\130\\172\\000ee\"",
	"example. 60 IN SPF \"v=spf1 -all\"",
	"example. 60 IN HINFO RFC8482 \"\"",
	"example. 60 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
	"example. 60 IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
	"example. 60 IN RRSIG A 8 2 300 20260118050000 20260105040000 21831 Example. AAECAwQFBgcICQ==",
	"example. 60 IN NSEC a.Example. A NS SOA TYPE65280",
	"0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example. 60 IN NSEC3 1 1 12 AABBCCDD 2t7b4g4vsa5smi47k61mv5bv1a22bojr NS SOA RRSIG",
	"example. 60 IN NSEC3PARAM 1 0 0 -",
	"example. 60 IN CSYNC 66 3 A NS AAAA",
	"example. 60 IN CDS 0 0 0 00",
	"example. 60 IN CDNSKEY 0 3 0 AA==",
	"_443._tcp.example. 60 IN TLSA 3 1 1 AABBCC",
	"example. 60 IN SSHFP 4 2 AABBCC",
	"example. 60 IN CAA 0 issue \"ca.example; policy=ev\"",
	"example. 60 IN SVCB 1 svc.Example. alpn=h2,h3 port=8443 ipv4hint=192.0.2.1 ipv6hint=2001:db8::1",
	"example. 60 IN HTTPS 0 svc.example.",
	"example. 60 IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
	"example. 60 IN URI 10 1 \"https://example/\"",
	"example. 60 IN ZONEMD 2026010500 1 1 7CBC69B9CC63CB946AC88CD3CBCED8CE90AA1CF77C3C2A7495F7F8E0540F703AD6817EF8ECC70D55461F97872F46FEA3",
	"example. 60 IN IPSECKEY 10 3 2 gw.example. AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==",
	"example. 60 IN AMTRELAY 10 0 3 relay.example.",
	"example. 60 IN LP 10 l64.example.",
	"example. 60 IN EUI64 00-00-5e-ef-10-00-00-2a",
	"example. 60 IN OPENPGPKEY AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==",
	"example. 60 CH TXT \"chaos\"",
	"example. 60 IN TYPE65280 \\# 5 C00C416263",
	"example. 60 IN TYPE65280 \\# 0",
	"\\000\\.\\255.example. 60 IN CNAME \\065\\;.example.",
	"example. 60 IN APL 1:192.0.2.0/24 !2:2001:db8::/32",
}

func records(t testing.TB) []dns.RR {
	t.Helper()
	var rrs []dns.RR
	for _, text := range zoneRecords {
		rr, err := dns.NewRR(text)
		if err != nil {
			t.Fatal(err)
		}
		rrs = append(rrs, rr)
	}
	return rrs
}

// Messages that miekg/dns packs are read alike by both, whatever is in them.
func TestParseAgreesWithMiekg(t *testing.T) {
	rrs := records(t)
	r := rand.New(rand.NewPCG(3, 4))
	some := func() []dns.RR {
		var out []dns.RR
		for range r.IntN(8) {
			out = append(out, rrs[r.IntN(len(rrs))])
		}
		return out
	}
	messages := make([]*dns.Msg, 0, 2000)
	for _, rr := range rrs {
		messages = append(messages, &dns.Msg{Answer: []dns.RR{rr}})
	}
	for len(messages) < cap(messages) {
		messages = append(messages, &dns.Msg{Answer: some(), Ns: some(), Extra: some()})
	}
	for i, msg := range messages {
		msg.SetQuestion("www.sub.example.", dns.TypeA)
		msg.MsgHdr = dns.MsgHdr{
			Id: uint16(r.Uint32()), Response: true, Opcode: r.IntN(16), Rcode: r.IntN(16), Authoritative: r.IntN(2) == 0,
			Truncated: r.IntN(2) == 0, RecursionDesired: r.IntN(2) == 0, RecursionAvailable: r.IntN(2) == 0,
			AuthenticatedData: r.IntN(2) == 0, CheckingDisabled: r.IntN(2) == 0,
		}
		if i%2 == 0 {
			msg.SetEdns0(1232, true)
		}
		msg.Compress = i%3 != 0
		b, err := msg.Pack()
		if err != nil {
			t.Fatalf("%v: %v", msg, err)
		}
		unpacked := new(dns.Msg)
		if err := unpacked.Unpack(b); err != nil {
			t.Fatalf("%v: %v", msg, err)
		}
		m, err := Parse(b)
		if err != nil {
			t.Fatalf("%v: %v", msg, err)
		}
		if refused := compare(t, m, unpacked); len(refused) > 0 {
			t.Errorf("RDATA refused of\n%s", strings.Join(refused, "\n"))
		}
		if t.Failed() {
			t.Fatalf("in\n%v", msg)
		}
	}
}

// TestParseCaptured reads replies recorded from live servers, some of them broken
// on purpose.
func TestParseCaptured(t *testing.T) {
	path := realdata.Path(t, "captured/zonemaster-2015-2025.jsonl.gz")
	count := 0
	for line, b := range captured(t, path) {
		count++
		msg := new(dns.Msg)
		if err := msg.Unpack(b); err != nil {
			t.Fatalf("line %d: miekg/dns: %v", line+1, err)
		}
		m, err := Parse(b)
		if err != nil {
			t.Errorf("line %d: %v\n%v", line+1, err, msg)
			continue
		}
		for _, rr := range compare(t, m, msg) {
			t.Errorf("line %d: RDATA refused of %s", line+1, rr)
		}
	}
	t.Logf("%d replies", count)
	if count == 0 {
		t.Error("no replies in the file")
	}
}

func captured(t *testing.T, path string) [][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all [][]byte
	lines := bufio.NewScanner(z)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var reply struct{ Wire string }
		if err := json.Unmarshal(lines.Bytes(), &reply); err != nil {
			t.Fatal(err)
		}
		b, err := base64.StdEncoding.DecodeString(reply.Wire)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// FuzzParse holds the walker to what stands behind it: what it accepts stays within
// its limits, miekg/dns reads the same in it where it reads it at all, and decodes
// every RDATA that the walker accepts.
func FuzzParse(f *testing.F) {
	f.Add(realReply(f))                                                                                 // a referral with compression
	f.Add(message(1, 1, 0, 1, question, aRecord, emptyOPT))                                             // an answer with EDNS
	f.Add(message(0, 0, 0, 0))                                                                          // header only
	f.Add(pointerChain(5))                                                                              // pointers to pointers
	f.Add(message(1, 2, 0, 0, question, record("\x00", 65280, pointer(afterQuestion+11)), rootRecord))  // RDATA like a loop
	f.Add(message(1, 1, 0, 0, question, record("\x01a"+pointer(afterQuestion), 65280, "")))             // a loop
	f.Add(message(1, 1, 0, 0, question, record(name255, dns.TypeNS, pointer(afterQuestion))))           // longest names
	f.Add(message(1, 0, 0, 1, question, opt(0, 1<<24, option(10, "8 bytes!")+option(15, "\x00\x01x")))) // options
	for _, rr := range records(f) {
		msg := &dns.Msg{Question: []dns.Question{{Name: "example.", Qtype: 1, Qclass: 1}}, Answer: []dns.RR{rr}, Compress: true}
		b, err := msg.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b) // every type that has a layout
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			if m != nil {
				t.Fatalf("%v beside error %v", m, err)
			}
			return
		}
		checkLimits(t, m)
		for _, section := range [][]Record{m.Answer, m.Authority, m.Additional} {
			for _, rec := range section {
				checkRData(t, m, rec)
			}
		}
		if msg := new(dns.Msg); msg.Unpack(b) == nil {
			compare(t, m, msg)
		}
	})
}

// FuzzRData tries the data of one record, alone in its message.
func FuzzRData(f *testing.F) {
	f.Add(dns.TypeNS, []byte("\x01a"+pointer(HeaderLen)))                                      // compressed
	f.Add(dns.TypeRRSIG, []byte(strings.Repeat("\x00", 18)+pointer(HeaderLen)+"SIG"))          // compressed where it must not be
	f.Add(dns.TypeNSEC, []byte(example+"\x00\x01\x40\x01\x01\x40"))                            // bitmap of two windows
	f.Add(dns.TypeNSEC3, []byte("\x01\x00\x00\x05\x02SS\x04HASH\x00\x02\x40\x00"))             // needless zero byte
	f.Add(dns.TypeHTTPS, []byte("\x00\x01\x00\x00\x00\x00\x02\x00\x01\x00\x01\x00\x03\x02h2")) // mandatory and alpn
	f.Add(dns.TypeIPSECKEY, []byte("\x0a\x03\x02"+example+"KEY"))                              // a name in the middle
	f.Add(dns.TypeHIP, []byte("\x01\x02\x00\x01HK\xc0\x00"))                                   // a pointer into its own RDATA
	f.Add(dns.TypeAPL, []byte("\x00\x01\x20\x04\x7f\x00\x00\x01"))                             // left to miekg/dns
	f.Add(uint16(65280), []byte("\xc0\x00"))                                                   // opaque
	f.Add(dns.TypeSOA, []byte{})                                                               // empty
	f.Fuzz(func(t *testing.T, rrtype uint16, rdata []byte) {
		// What is no RDATA must come back from the canonical form unharmed, too.
		if got := CanonicalRData(rrtype, string(rdata)); foldASCII(got) != foldASCII(string(rdata)) {
			t.Fatalf("%s %q: canonical form %q", dns.Type(rrtype), rdata, got)
		}
		if rrtype == dns.TypeOPT || len(rdata) > 1000 {
			return
		}
		m, err := Parse(message(1, 1, 0, 0, question, record("\x00", rrtype, string(rdata))))
		if err != nil {
			t.Fatal(err)
		}
		checkRData(t, m, m.Answer[0])
	})
}

func checkLimits(t *testing.T, m *Message) {
	t.Helper()
	if n := len(m.Answer) + len(m.Authority) + len(m.Additional); n > MaxRecords {
		t.Fatalf("%d records", n)
	}
	for _, section := range [][]Record{m.Answer, m.Authority, m.Additional} {
		for _, rec := range section {
			if name, err := dnsname.FromWire([]byte(rec.Owner)); err != nil || name != rec.Owner {
				t.Fatalf("owner %q: %v", string(rec.Owner), err)
			}
			if rec.TTLOffset < HeaderLen || rec.rdata+rec.rdlen > m.Len() {
				t.Fatalf("%+v is not inside the message", rec)
			}
		}
	}
}

// checkRData has RDATA that is accepted decoded, and looks at what its canonical
// form changes.
func checkRData(t *testing.T, m *Message, rec Record) {
	t.Helper()
	rdata, err := m.AppendRData(nil, rec)
	if err != nil {
		return
	}
	h := dns.RR_Header{Name: ".", Rrtype: rec.Type, Class: rec.Class, Rdlength: uint16(len(rdata))}
	if _, _, err := dns.UnpackRRWithHeader(h, rdata, 0); err != nil && !opaque(rec.Type) {
		t.Fatalf("%s %q: accepted, but miekg/dns: %v", dns.Type(rec.Type), rdata, err)
	}
	canonical := CanonicalRData(rec.Type, string(rdata))
	if foldASCII(canonical) != foldASCII(string(rdata)) {
		t.Fatalf("%s %q: canonical form %q", dns.Type(rec.Type), rdata, canonical)
	}
	if again := CanonicalRData(rec.Type, canonical); again != canonical {
		t.Fatalf("%s: canonical form %q of %q", dns.Type(rec.Type), again, canonical)
	}
}

// opaque reports whether the walker leaves a part of the type's RDATA undecoded (RFC 3597 §3).
func opaque(rrtype uint16) bool {
	layout, known := layouts[rrtype]
	return !known || slices.Contains(layout, free) || slices.Contains(layout, decoded)
}

// foldASCII lowers the 26 letters and nothing else, whatever the bytes around them.
func foldASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c | 0x20
		}
	}
	return string(b)
}

func ExampleParse() {
	query := Query{ID: 7, Name: dnsname.MustParse("www.example."), Type: dns.TypeA, Class: dns.ClassINET, EDNS: true, UDPSize: 1232}
	m, err := Parse(query.AppendTo(nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.ID, m.Question.Name, m.EDNS.UDPSize, m.Len())
	// Output:
	// 7 www.example. 1232 40
}
