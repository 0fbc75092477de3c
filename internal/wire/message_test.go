package wire

import (
	"encoding/binary"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// message puts a header with the given counts in front of parts.
func message(qd, an, ns, ar int, parts ...string) []byte {
	b := []byte{0x12, 0x34, 0x84, 0x00}
	for _, n := range []int{qd, an, ns, ar} {
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	}
	return append(b, strings.Join(parts, "")...)
}

// record writes a record of class IN with the TTL 300.
func record(owner string, rrtype uint16, rdata string) string {
	b := binary.BigEndian.AppendUint16([]byte(owner), rrtype)
	b = append(b, 0, 1, 0, 0, 1, 44)
	b = binary.BigEndian.AppendUint16(b, uint16(len(rdata)))
	return string(b) + rdata
}

// pointer is a compression pointer to the byte at.
func pointer(at int) string {
	return string(binary.BigEndian.AppendUint16(nil, 0xC000|uint16(at)))
}

const (
	example  = "\x07example\x00" // 9 bytes
	question = example + "\x00\x01\x00\x01"
	// afterQuestion is where the first record stands in messages with question.
	afterQuestion = HeaderLen + len(question)
	loopback      = "\x7f\x00\x00\x01"
)

var (
	label63    = "\x3f" + strings.Repeat("a", 63)
	name255    = label63 + label63 + label63 + "\x3d" + strings.Repeat("a", 61) + "\x00"
	name256    = label63 + label63 + label63 + "\x3e" + strings.Repeat("a", 62) + "\x00"
	labels127  = strings.Repeat("\x01a", 127) + "\x00"
	emptyOPT   = "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
	aRecord    = record(pointer(HeaderLen), dns.TypeA, loopback)
	rootRecord = record("\x00", dns.TypeNULL, "")
)

func TestParse(t *testing.T) {
	in := message(1, 2, 1, 3,
		"\x07eXample\x00\x00\x01\x00\x01",
		aRecord,
		record("\x03WWW"+pointer(HeaderLen), dns.TypeNULL, "xyz"),
		record("\x00", dns.TypeNS, pointer(HeaderLen)),
		record(pointer(afterQuestion+len(aRecord)), dns.TypeA, loopback),
		emptyOPT,
		record("\x01a"+pointer(afterQuestion), 65280, ""))
	m, err := Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	if m.ID != 0x1234 || m.Flags != QR|AA || m.NoQuestion || m.Len() != len(in) {
		t.Errorf("header: got ID %x, flags %x, no question %t, length %d", m.ID, m.Flags, m.NoQuestion, m.Len())
	}
	if want := (Question{dnsname.MustParse("example."), dns.TypeA, dns.ClassINET}); m.Question != want {
		t.Errorf("question: got %v, want %v", m.Question, want)
	}
	type brief struct {
		owner  string
		rrtype uint16
		rdlen  int
	}
	sections := map[string][]brief{
		"answer":     {{"example.", dns.TypeA, 4}, {"www.example.", dns.TypeNULL, 3}},
		"authority":  {{".", dns.TypeNS, 2}},
		"additional": {{"www.example.", dns.TypeA, 4}, {"a.example.", 65280, 0}},
	}
	for name, got := range map[string][]Record{"answer": m.Answer, "authority": m.Authority, "additional": m.Additional} {
		var briefs []brief
		for _, rec := range got {
			briefs = append(briefs, brief{rec.Owner.String(), rec.Type, rec.rdlen})
			if rec.TTL != 300 || rec.Class != dns.ClassINET || binary.BigEndian.Uint32(in[rec.TTLOffset:]) != 300 {
				t.Errorf("%s: TTL %d at %d, class %d", rec.Owner, rec.TTL, rec.TTLOffset, rec.Class)
			}
		}
		if !reflect.DeepEqual(briefs, sections[name]) {
			t.Errorf("%s: got %v, want %v", name, briefs, sections[name])
		}
	}
	if m.EDNS == nil || m.EDNS.UDPSize != 1232 {
		t.Errorf("EDNS: got %+v, want a size of 1232", m.EDNS)
	}
}

// A caller that appends to one section must not write into the next.
func TestParseSectionsDoNotOverlap(t *testing.T) {
	m, err := Parse(message(1, 1, 1, 1, question, aRecord, rootRecord, aRecord))
	if err != nil {
		t.Fatal(err)
	}
	_ = append(m.Answer, Record{Type: 99})
	_ = append(m.Authority, Record{Type: 99})
	if m.Authority[0].Type != dns.TypeNULL || m.Additional[0].Type != dns.TypeA {
		t.Errorf("got types %d and %d after appending, want %d and %d",
			m.Authority[0].Type, m.Additional[0].Type, dns.TypeNULL, dns.TypeA)
	}
}

func TestParseNoQuestion(t *testing.T) {
	m, err := Parse([]byte{0, 1, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	if err != nil || !m.NoQuestion || m.Rcode() != dns.RcodeFormatError || m.Question != (Question{}) {
		t.Errorf("got %+v, %v; want a FORMERR without question", m, err)
	}
}

func TestOpcodeAndRcode(t *testing.T) {
	for _, tt := range []struct {
		flags         uint16
		edns          *EDNS
		opcode, rcode int
	}{
		{0, nil, 0, 0},
		{0x8403, nil, 0, dns.RcodeNameError},
		{0x2800, nil, dns.OpcodeUpdate, 0},
		{0xFFFF, nil, 15, 15},
		{0, &EDNS{ExtendedRcode: 1}, 0, dns.RcodeBadVers},
		{7, &EDNS{ExtendedRcode: 1}, 0, dns.RcodeBadCookie},
		{15, &EDNS{ExtendedRcode: 255}, 0, 4095},
	} {
		m := Message{Flags: tt.flags, EDNS: tt.edns}
		if m.Opcode() != tt.opcode || m.Rcode() != tt.rcode {
			t.Errorf("flags %04x, %v: got opcode %d, RCODE %d; want %d, %d",
				tt.flags, tt.edns, m.Opcode(), m.Rcode(), tt.opcode, tt.rcode)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	q := afterQuestion
	tests := []struct {
		name   string
		in     []byte
		offset int
		want   error
	}{
		{"nothing", nil, 0, ErrShort},
		{"11 bytes", make([]byte, 11), 11, ErrShort},
		{"two questions", message(2, 0, 0, 0, question, question), 4, ErrQuestions},
		{"65535 questions", message(0xFFFF, 0, 0, 0, question), 4, ErrQuestions},
		{"no question where one is announced", message(1, 0, 0, 0), HeaderLen, ErrShort},
		{"question without a class", message(1, 0, 0, 0, example, "\x00\x01\x00"), HeaderLen + 9, ErrShort},
		{"question name cut off", message(1, 0, 0, 0, "\x07exam"), HeaderLen, ErrShort},
		{"question name without root label", message(1, 0, 0, 0, "\x04exam"), HeaderLen + 5, ErrShort},
		{"question name points to itself", message(1, 0, 0, 0, pointer(HeaderLen), "\x00\x01\x00\x01"), HeaderLen, ErrPointer},
		{"question name points into the header", message(1, 0, 0, 0, pointer(4), "\x00\x01\x00\x01"), HeaderLen, ErrPointer},
		{"more records than fit", message(1, 4, 0, 0, question, aRecord), 6, ErrCounts},
		{"65535 records in each section", message(1, 0xFFFF, 0xFFFF, 0xFFFF, question), 6, ErrTooMany},
		{"5001 records", message(1, 5001, 0, 0, question, strings.Repeat(rootRecord, 5001)), 6, ErrTooMany},
		{"5001 records in three sections", message(0, 2000, 2000, 1001, strings.Repeat(rootRecord, 5001)), 6, ErrTooMany},
		{"record missing", message(1, 2, 0, 0, question, record(pointer(HeaderLen), 65280, "ten bytes!")), q + 22, ErrShort},
		{"record header cut off", message(1, 1, 0, 0, question, example, "\x00\x01\x00\x01\x00\x00"), q + 9, ErrShort},
		{"RDATA cut off", message(1, 1, 0, 0, question, aRecord[:len(aRecord)-1]), q + 10, ErrShort},
		{"one byte too many", message(1, 1, 0, 0, question, aRecord, "\x00"), q + len(aRecord), ErrTrailing},
		{"a record too many", message(1, 1, 0, 0, question, aRecord, aRecord), q + len(aRecord), ErrTrailing},
		{"pointer cut in two", message(1, 1, 0, 0, question, rootRecord[:10], "\xc0"), q + 9, ErrShort},
		{"pointer at the very end", message(1, 2, 0, 0, question, record("\x00", 65280, "ten bytes!"), "\xc0"), q + 21, ErrShort},
		{"forward pointer", message(1, 1, 0, 0, question, record(pointer(q+2), 65280, example)), q, ErrPointer},
		{"pointer to itself", message(1, 1, 0, 0, question, record(pointer(q), 65280, "")), q, ErrPointer},
		{"pointer to its own label", message(1, 1, 0, 0, question, record("\x01a"+pointer(q), 65280, "")), q + 2, ErrPointer},
		{"pointer behind the message", message(1, 1, 0, 0, question, record(pointer(0x3FFF), 65280, "")), q, ErrPointer},
		{"pointer into the header", message(1, 1, 0, 0, question, record(pointer(0), 65280, "")), q, ErrPointer},
		{"two pointers in a loop",
			message(1, 2, 0, 0, question, record("\x00", 65280, pointer(q+13)+pointer(q+11)), record(pointer(q+13), 65280, "")),
			q + 11, ErrPointer},
		{"label then loop",
			message(1, 2, 0, 0, question, record("\x00", 65280, "\x01a"+pointer(q+11)), record(pointer(q+11), 65280, "")),
			q + 13, ErrPointer},
		{"label type 01", message(1, 1, 0, 0, question, record("\x41\x00", 65280, "")), q, ErrLabelType},
		{"label type 10", message(1, 1, 0, 0, question, record("\x80\x00", 65280, "")), q, ErrLabelType},
		{"name of 256 bytes", message(1, 1, 0, 0, question, record(name256, 65280, "")), q + 255, ErrNameTooLong},
		{"name of 257 bytes by a pointer",
			message(1, 2, 0, 0, question, record(name255, 65280, ""), record("\x01a"+pointer(q), 65280, "")),
			q + 192, ErrNameTooLong},
		{"128 labels", message(1, 1, 0, 0, question, record("\x01a"+labels127, 65280, "")), q + 254, ErrNameTooLong},
		{"OPT in the answer", message(1, 1, 0, 0, question, emptyOPT), q + 11, ErrOPTPlace},
		{"OPT in the authority section", message(1, 0, 1, 0, question, emptyOPT), q + 11, ErrOPTPlace},
		{"OPT not owned by the root", message(1, 0, 0, 1, question, record("\x01a\x00", dns.TypeOPT, "")), q + 13, ErrOPTPlace},
		{"two OPT", message(1, 0, 0, 2, question, emptyOPT, emptyOPT), q + 22, ErrManyOPT},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, err := Parse(tt.in)
			var where *Error
			if m != nil || !errors.As(err, &where) || !errors.Is(err, tt.want) || where.Offset != tt.offset {
				t.Errorf("got %v, %v; want byte %d: %v", m, err, tt.offset, tt.want)
			}
			if err != nil && !strings.Contains(err.Error(), tt.want.Error()) {
				t.Errorf("%q does not say %q", err, tt.want)
			}
		})
	}
}

func TestParseLongestName(t *testing.T) {
	for name, in := range map[string][]byte{
		"plain":      message(1, 1, 0, 0, question, record(name255, 65280, "")),
		"127 labels": message(1, 1, 0, 0, question, record(labels127, 65280, "")),
		"remembered": message(1, 2, 0, 0, question, record(name255, 65280, ""), record(pointer(afterQuestion), 65280, "")),
		"label and pointer": message(1, 2, 0, 0, question, record(name255, 65280, ""),
			record(label63+pointer(afterQuestion+64), 65280, "")),
	} {
		m, err := Parse(in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if last := m.Answer[len(m.Answer)-1].Owner; len(last) != dnsname.MaxWire {
			t.Errorf("%s: got %d bytes, want %d", name, len(last), dnsname.MaxWire)
		}
	}
}

// pointerChain is a message whose last owner follows hops pointers.
func pointerChain(hops int) []byte {
	var rdata strings.Builder
	rdata.WriteString(example)
	at := afterQuestion + len(rootRecord)
	for i := range hops - 1 {
		target := at
		if i > 0 {
			target = at + len(example) + 2*(i-1)
		}
		rdata.WriteString(pointer(target))
	}
	last := at + len(example) + 2*(hops-2)
	return message(1, 2, 0, 0, question, record("\x00", 65280, rdata.String()), record(pointer(last), 65280, ""))
}

func TestParsePointerChain(t *testing.T) {
	m, err := Parse(pointerChain(MaxHops))
	if err != nil {
		t.Fatalf("%d pointers: %v", MaxHops, err)
	}
	if got := m.Answer[1].Owner; got != dnsname.MustParse("example.") {
		t.Errorf("%d pointers: got %s, want example.", MaxHops, got)
	}
	if m, err = Parse(pointerChain(MaxHops + 1)); !errors.Is(err, ErrHops) {
		t.Errorf("%d pointers: got %v, %v; want %v", MaxHops+1, m, err, ErrHops)
	}
}

func TestParseMaxRecords(t *testing.T) {
	m, err := Parse(message(1, 1000, 1500, 2500, question, strings.Repeat(rootRecord, MaxRecords)))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Answer) != 1000 || len(m.Authority) != 1500 || len(m.Additional) != 2500 {
		t.Errorf("got %d, %d, %d records; want 1000, 1500, 2500", len(m.Answer), len(m.Authority), len(m.Additional))
	}
}

// expanding is a message whose n owners are each a pointer to name255. Direct
// pointers meet the walker's memory of names, those along a chain do not.
func expanding(n int, chained bool) []byte {
	const reach = 0x3FFF // the highest place that a pointer can name
	parts := []string{question, record(name255, 65280, "")}
	at := afterQuestion + len(parts[1])
	target := afterQuestion
	var links []int // pointers in reach
	for i := range n - 1 {
		parts = append(parts, record(pointer(target), 65280, ""))
		if at <= reach {
			links = append(links, at)
		}
		switch {
		case !chained:
		case at > reach:
			target = links[i%len(links)]
		case i%100 == 99: // not too many hops
			target = afterQuestion
		default:
			target = at
		}
		at += len(parts[2])
	}
	return message(1, n, 0, 0, parts...)
}

func TestParseExpansion(t *testing.T) {
	most := (MaxExpanded - len(example)) / 255
	for _, chained := range []bool{false, true} {
		if _, err := Parse(expanding(most, chained)); err != nil {
			t.Errorf("chained %t: %d names of 255 bytes: %v", chained, most, err)
		}
		if _, err := Parse(expanding(most+1, chained)); !errors.Is(err, ErrExpansion) {
			t.Errorf("chained %t: %d names of 255 bytes: got %v, want %v", chained, most+1, err, ErrExpansion)
		}
	}
}

// worst returns messages of up to 64 KiB that are meant to cost as much as possible.
func worst() map[string][]byte {
	most := (MaxExpanded - len(example)) / 255
	options := strings.Repeat("\x00\x0f\x00\x24\x00\x00"+strings.Repeat("x", 34), 100)
	both := pointer(afterQuestion) + pointer(afterQuestion)
	mailbox := record("\x00", dns.TypeMINFO, both)
	fill := (0xFFFF - afterQuestion - 300) / len(mailbox)
	return map[string][]byte{
		"records":        message(1, MaxRecords, 0, 0, question, strings.Repeat(rootRecord, MaxRecords)),
		"long names":     expanding(most, false),
		"pointer chains": expanding(most, true),
		"too long names": expanding(MaxRecords, true),
		"long RDATA":     message(1, fill+1, 0, 0, question, record(name255, 65280, ""), strings.Repeat(mailbox, fill)),
		"options": message(1, 4000, 0, 1, question, strings.Repeat(rootRecord, 4000),
			record("\x00", dns.TypeOPT, options)),
	}
}

// digest does with a message what the resolver does: walk it and keep the RDATA.
func digest(b []byte) []string {
	m, err := Parse(b)
	if err != nil {
		return nil
	}
	var kept []string
	var buf []byte
	for _, section := range [][]Record{m.Answer, m.Authority, m.Additional} {
		for _, rec := range section {
			if out, err := m.AppendRData(buf[:0], rec); err == nil {
				kept, buf = append(kept, string(out)), out
			}
		}
	}
	return kept
}

// The worst message costs at most 4 MiB of memory, its RDATA written out included.
func TestWorstMessages(t *testing.T) {
	const limit = 4 << 20
	for name, in := range worst() {
		if len(in) > 0xFFFF {
			t.Fatalf("%s: %d bytes are no message", name, len(in))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		kept := digest(in)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > limit {
			t.Errorf("%s: %d bytes allocated, want at most %d", name, got, limit)
		}
		t.Logf("%s: %d bytes, %d RDATA kept, %d bytes allocated in %d pieces",
			name, len(in), len(kept), after.TotalAlloc-before.TotalAlloc, after.Mallocs-before.Mallocs)
	}
}

func BenchmarkParse(b *testing.B) {
	reply := realReply(b)
	b.Run("referral", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Parse(reply); err != nil {
				b.Fatal(err)
			}
		}
	})
	// What is to be beaten, or there would be no need for a walker.
	b.Run("referral by miekg", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := new(dns.Msg).Unpack(reply); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, in := range worst() {
		b.Run("worst "+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				digest(in)
			}
		})
	}
}

// realReply is a referral to a zone with 13 name servers and their glue.
func realReply(tb testing.TB) []byte {
	tb.Helper()
	m := new(dns.Msg).SetQuestion("www.zone.example.", dns.TypeA)
	m.Response = true
	for _, letter := range "abcdefghijklm" {
		ns := string(letter) + ".servers.example."
		m.Ns = append(m.Ns, &dns.NS{Hdr: dns.RR_Header{Name: "zone.example.", Rrtype: dns.TypeNS, Class: 1, Ttl: 172800}, Ns: ns})
		m.Extra = append(m.Extra,
			&dns.A{Hdr: dns.RR_Header{Name: ns, Rrtype: dns.TypeA, Class: 1, Ttl: 172800}, A: []byte{192, 0, 2, byte(letter)}},
			&dns.AAAA{Hdr: dns.RR_Header{Name: ns, Rrtype: dns.TypeAAAA, Class: 1, Ttl: 172800},
				AAAA: []byte{0x20, 1, 0xd, 0xb8, 15: byte(letter)}})
	}
	m.SetEdns0(1232, true)
	m.Compress = true
	b, err := m.Pack()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// TestParseNaming: a usual reply takes one piece of memory when its name is known, and reads as it
// does for Parse, whatever name is thought to be in it.
func TestParseNaming(t *testing.T) {
	in := message(1, 1, 0, 1, question, aRecord, emptyOPT)
	want, err := Parse(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, known := range []dnsname.Name{want.Question.Name, dnsname.Root, dnsname.MustParse("other.")} {
		if got, err := ParseNaming(in, known); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("with %s: got %+v, %v, want %+v", known, got, err, want)
		}
	}
	if got := testing.AllocsPerRun(100, func() { ParseNaming(in, want.Question.Name) }); got != 1 {
		t.Errorf("got %v allocations, want one", got)
	}
}
