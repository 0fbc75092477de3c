package main

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
)

// message is a query of counts and whatever follows.
func message(counts [4]uint16, rest string) []byte {
	wire := []byte{0x12, 0x34, 1, 0} // RD
	for _, n := range counts {
		wire = binary.BigEndian.AppendUint16(wire, n)
	}
	return append(wire, rest...)
}

const (
	asked    = "\x03www\x04shop\x00\x00\x01\x00\x01"
	plain    = "\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"                         // OPT with DO
	textAt   = "\xc0\x0c\x00\x10\x00\x01\x00\x00\x00\x00\x00\x02\x01x"                // TXT at the name asked for
	withText = "\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x06\x00\x0c\x00\x02\x00\x00" // OPT with padding
	atHeader = "\xc0\x04\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"                     // OPT whose owner is in the header
	late     = "\xc0\xf0\x00\x10\x00\x01\x00\x00\x00\x00\x00\x00"                     // an owner behind itself
	cutOPT   = "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x05\x00\x0c\x00\x00"         // data ends early
	cutList  = "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x04\x00\x0c\x00\x07"         // an option ends early
	otherOPT = "\x01x\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"                    // owned by x.
)

// keptWay is a way back that keeps the answer.
type keptWay struct{ answer []byte }

func (w *keptWay) send(_ *query, answer []byte) error {
	w.answer = bytes.Clone(answer)
	return nil
}

// What is malformed is answered with FORMERR, whether that is seen before there is a worker or by the
// resolver, which looks at no more than an answer depends on.
func TestAttackMalformed(t *testing.T) {
	h := newTestHandler(t)
	options := func(n int) string {
		return plain[:9] + string(binary.BigEndian.AppendUint16(nil, uint16(4*n))) + strings.Repeat("\x00\x0c\x00\x00", n)
	}
	for _, test := range []struct {
		about  string
		counts [4]uint16
		rest   string
		opt    bool
		ok     bool
	}{
		{"a question", [4]uint16{1}, asked, false, true},
		{"with OPT", [4]uint16{1, 0, 0, 1}, asked + plain, true, true},
		{"with an option", [4]uint16{1, 0, 0, 1}, asked + withText, true, true},
		{"no question", [4]uint16{0, 0, 0, 1}, plain, true, false},
		{"records that no query needs", [4]uint16{1, 1, 1, 2}, asked + textAt + textAt + textAt + plain, true, true},
		{"100 options", [4]uint16{1, 0, 0, 1}, asked + options(100), true, true},
		{"101 options", [4]uint16{1, 0, 0, 1}, asked + options(101), false, false},
		{"a name in the header", [4]uint16{1}, "\xc0\x04\x00\x01\x00\x01", false, false},
		{"a name that ends in the header", [4]uint16{1}, "\x03www\xc0\x04\x00\x01\x00\x01", false, false},
		{"a label longer than there are", [4]uint16{1}, "\xc0\x04" + strings.Repeat("a", 191) + "\x00\x00\x01\x00\x01", false, false},
		{"an owner in the header", [4]uint16{1, 0, 0, 1}, asked + atHeader, false, false},
		{"an owner behind itself", [4]uint16{1, 1}, asked + late, false, false},
		{"two OPT", [4]uint16{1, 0, 0, 2}, asked + plain + plain, false, false},
		{"OPT as an answer", [4]uint16{1, 1}, asked + plain, false, false},
		{"OPT of another name", [4]uint16{1, 0, 0, 1}, asked + otherOPT, false, false},
		{"OPT cut off", [4]uint16{1, 0, 0, 1}, asked + cutOPT, false, false},
		{"an option cut off", [4]uint16{1, 0, 0, 1}, asked + cutList, false, false},
		{"a record that is not there", [4]uint16{1, 0, 0, 1}, asked, false, false},
		{"a question cut off", [4]uint16{1}, asked[:len(asked)-1], false, false},
		{"a name that is too long", [4]uint16{1}, strings.Repeat("\x3f"+strings.Repeat("a", 63), 4) + "\x00\x00\x01\x00\x01", false, false},
	} {
		var way keptWay
		q := query{handler: h, transport: overTCP, tally: new(tally), client: netip.MustParseAddrPort("127.0.0.1:1024"), way: &way, wire: message(test.counts, test.rest)}
		before := bytes.Clone(q.wire)
		if r := turnAway(answered, q.transport, q.wire); r != nil {
			q.refuse(r)
		} else {
			h.handle(&q)
		}
		var m dns.Msg
		if err := m.Unpack(way.answer); err != nil || !bytes.Equal(q.wire, before) {
			t.Fatalf("%s: %x, %v", test.about, way.answer, err)
		}
		if ok := m.Rcode != dns.RcodeFormatError; ok != test.ok || ok && (len(m.Question) != 1 || (m.IsEdns0() != nil) != test.opt) {
			t.Errorf("%s: got\n%v\nwant FORMERR %t, OPT %t", test.about, &m, !test.ok, test.opt)
		}
	}
}

// A refusal is made from what stands in front, is no longer than the query but for its
// reason, and says all that the DNS library would.
func TestAttackRefusal(t *testing.T) {
	why := resolver.ExtendedError{Code: dns.ExtendedErrorCodeProhibited, Text: "why"}
	for _, test := range []struct {
		about     string
		counts    [4]uint16
		rest      string
		questions int
		edns      bool
	}{
		{"a question", [4]uint16{1}, asked, 1, false},
		{"with OPT", [4]uint16{1, 0, 0, 1}, asked + plain, 1, true},
		{"no question", [4]uint16{0, 0, 0, 1}, plain, 0, true},
		{"OPT that is not right behind it", [4]uint16{1, 0, 0, 2}, asked + textAt + plain, 1, false},
		{"4,000 answers", [4]uint16{1, 4000}, asked + strings.Repeat(textAt, 20), 1, false},
		{"two questions", [4]uint16{2}, asked + asked, 0, false},
		{"a name in the header", [4]uint16{1}, "\xc0\x04\x00\x01\x00\x01", 0, false},
		{"nothing else", [4]uint16{1, 1, 1, 1}, "", 0, false},
	} {
		query := message(test.counts, test.rest)
		got := appendRefusal([]byte("before"), query, dns.RcodeRefused, why)
		wire, ok := bytes.CutPrefix(got, []byte("before"))
		var m dns.Msg
		if err := m.Unpack(wire); !ok || err != nil {
			t.Fatalf("%s: %x: %v", test.about, got, err)
		}
		packed, err := m.Pack()
		if err != nil || !bytes.Equal(packed, wire) {
			t.Errorf("%s: got %x, which is packed as %x, %v", test.about, wire, packed, err)
		}
		opt := m.IsEdns0()
		if m.Id != 0x1234 || !m.Response || !m.RecursionDesired || !m.RecursionAvailable || m.Rcode != dns.RcodeRefused ||
			len(m.Question) != test.questions || (opt != nil) != test.edns || opt != nil && !opt.Do() {
			t.Errorf("%s: got\n%v", test.about, &m)
		}
		if e := ede(&m); test.edns && (e == nil || e.InfoCode != why.Code || e.ExtraText != why.Text) {
			t.Errorf("%s: got the reason %v, want %v", test.about, e, why)
		}
		if reason := 6 + len(why.Text); len(wire) > len(query)+reason {
			t.Errorf("%s: %d bytes for %d", test.about, len(wire), len(query))
		}
	}
}

// What is refused is refused without a look at what is behind the question.
func TestAttackTurnAway(t *testing.T) {
	query := message([4]uint16{1}, asked)
	notify := message([4]uint16{1}, asked)
	notify[2] |= 4 << 3
	for _, test := range []struct {
		about   string
		verdict verdict
		by      transport
		wire    []byte
		want    *refusal
	}{
		{"a query", answered, overUDP, query, nil},
		{"of a stranger", refused, overUDP, query, &refuseStranger},
		{"of a stranger, malformed", refused, overTCP, message([4]uint16{1, 4000}, ""), &refuseStranger},
		{"too many, UDP", overRate, overUDP, query, &refuseToTCP},
		{"too many, TCP", overRate, overTCP, query, &refuseRate},
		{"4,000 answers", answered, overTCP, message([4]uint16{1, 4000}, asked), &refuseForm},
		{"no question", answered, overTCP, message([4]uint16{}, ""), &refuseForm},
		{"no question but OPT", answered, overTCP, message([4]uint16{0, 0, 0, 1}, plain), nil},
		{"a name in the header", answered, overUDP, message([4]uint16{1}, "\xc0\x04\x00\x01\x00\x01"), &refuseForm},
		{"a label longer than there are", answered, overUDP, message([4]uint16{1}, "\xc0\x04"+strings.Repeat("a", 191)+"\x00\x00\x01\x00\x01"), &refuseForm},
		{"NOTIFY", answered, overUDP, notify, &refuseOpcode},
	} {
		if got := turnAway(test.verdict, test.by, test.wire); got != test.want {
			t.Errorf("%s: got %v, want %v", test.about, got, test.want)
		}
	}
}
