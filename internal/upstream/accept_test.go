package upstream

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/budget"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/env"
	"github.com/iterdns/iterdns/internal/infra"
	"github.com/iterdns/iterdns/internal/limits"
	"github.com/iterdns/iterdns/internal/transport"
	"github.com/iterdns/iterdns/internal/wire"
)

// queryOut is an exchange whose query is out: for www.shop.example. A with the ID
// 0x1234, EDNS, a cookie, and letters mixed as written here.
func queryOut(network string) *exchange {
	filled := limits.Limits{}.Fill()
	x := &exchange{
		r: &Client{Env: new(env.Env)}, Request: Request{
			Q: answer.Question{Name: dnsname.MustParse("www.shop.example."), Type: dns.TypeA}, Budget: budget.New(&filled, nil),
		},
		queryForm: queryForm{network: network, edns: ednsCookie, case0x20: true},
		features:  infra.Features{Cookie: []byte("ourclient")[:clientCookieLen]},
	}
	q := wire.Query{ID: 0x1234, Name: x.Q.Name, Type: dns.TypeA, Class: dns.ClassINET, EDNS: true, UDPSize: UDPSize, Cookie: x.features.Cookie}
	x.query = q.AppendTo(nil)
	copy(wire.QuestionName(x.query), "\x03wWw\x04sHoP\x07eXaMpLe\x00")
	return x
}

// genuine is the reply to it.
func genuine() *dns.Msg {
	m := &dns.Msg{Question: []dns.Question{{Name: "wWw.sHoP.eXaMpLe.", Qtype: dns.TypeA, Qclass: dns.ClassINET}}}
	m.Id, m.Response, m.Authoritative = 0x1234, true, true
	rr, err := dns.NewRR("wWw.sHoP.eXaMpLe. 300 IN A 192.0.2.80")
	if err != nil {
		panic(err)
	}
	m.Answer = []dns.RR{rr}
	return m
}

func withCookie(m *dns.Msg, cookie string) {
	m.SetEdns0(UDPSize, false)
	m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: cookie})
}

// ourCookieHex is the client cookie of queryOut as miekg/dns writes it.
const ourCookieHex = "6f7572636c69656e"

// TestCheck: which messages are the reply, which are ignored, and which show that somebody
// guesses.
func TestCheck(t *testing.T) {
	type change func(m *dns.Msg)
	tests := []struct {
		name     string
		change   change
		udp, tcp transport.Verdict
		doubt    abandonReason
	}{
		{"genuine", func(*dns.Msg) {}, transport.Accept, transport.Accept, notAbandoned},
		{"QR=0", func(m *dns.Msg) { m.Response = false }, transport.Ignore, transport.Ignore, notAbandoned},
		{"opcode", func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, transport.Ignore, transport.Ignore, notAbandoned},
		{"name", func(m *dns.Msg) { m.Question[0].Name = "wWx.sHoP.eXaMpLe." }, transport.Ignore, transport.Ignore, notAbandoned},
		{"longer name", func(m *dns.Msg) { m.Question[0].Name = "a.wWw.sHoP.eXaMpLe." }, transport.Ignore, transport.Ignore, notAbandoned},
		{"shorter name", func(m *dns.Msg) { m.Question[0].Name = "sHoP.eXaMpLe." }, transport.Ignore, transport.Ignore, notAbandoned},
		{"other labels, same letters", func(m *dns.Msg) { m.Question[0].Name = `wWw\004sHoP.eXaMpLe.` }, transport.Ignore, transport.Ignore, notAbandoned},
		{"type", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA }, transport.Ignore, transport.Ignore, notAbandoned},
		{"class", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }, transport.Ignore, transport.Ignore, notAbandoned},
		{"two questions", func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, transport.Ignore, transport.Ignore, notAbandoned},
		{"no question", func(m *dns.Msg) { m.Question = nil }, transport.Ignore, transport.Ignore, notAbandoned},
		{"no question, SERVFAIL", func(m *dns.Msg) { m.Question, m.Rcode = nil, dns.RcodeServerFailure }, transport.Ignore, transport.Ignore, notAbandoned},
		{"no question, FORMERR", func(m *dns.Msg) { m.Question, m.Rcode = nil, dns.RcodeFormatError }, transport.Accept, transport.Accept, notAbandoned},
		{"no question, NOTIMP", func(m *dns.Msg) { m.Question, m.Rcode = nil, dns.RcodeNotImplemented }, transport.Accept, transport.Accept, notAbandoned},
		{"no question, FORMERR, ID", func(m *dns.Msg) { m.Question, m.Rcode, m.Id = nil, dns.RcodeFormatError, 1 }, transport.Abandon, transport.Ignore, wrongID},
		{"no question, NOTIMP, ID", func(m *dns.Msg) { m.Question, m.Rcode, m.Id = nil, dns.RcodeNotImplemented, 1 }, transport.Abandon, transport.Ignore, wrongID},
		{"no question, SERVFAIL, ID", func(m *dns.Msg) { m.Question, m.Rcode, m.Id = nil, dns.RcodeServerFailure, 1 }, transport.Ignore, transport.Ignore, notAbandoned},
		{"ID", func(m *dns.Msg) { m.Id++ }, transport.Abandon, transport.Ignore, wrongID},
		{"ID and case", func(m *dns.Msg) { m.Id++; m.Question[0].Name = "www.shop.example." }, transport.Abandon, transport.Ignore, wrongID},
		{"ID and name", func(m *dns.Msg) { m.Id++; m.Question[0].Name = "a.example." }, transport.Ignore, transport.Ignore, notAbandoned},
		{"case", func(m *dns.Msg) { m.Question[0].Name = "www.shop.example." }, transport.Abandon, transport.Accept, wrongCase},
		{"case of one letter", func(m *dns.Msg) { m.Question[0].Name = "WWw.sHoP.eXaMpLe." }, transport.Abandon, transport.Accept, wrongCase},
		{"our cookie", func(m *dns.Msg) { withCookie(m, ourCookieHex+"0102030405060708") }, transport.Accept, transport.Accept, notAbandoned},
		{"somebody else's cookie", func(m *dns.Msg) { withCookie(m, "00"+ourCookieHex[2:]+"0102030405060708") }, transport.Abandon, transport.Accept, wrongCookie},
		{"truncated", func(m *dns.Msg) { m.Truncated = true }, transport.Accept, transport.Accept, notAbandoned},
	}
	for _, tt := range tests {
		for network, want := range map[string]transport.Verdict{"udp": tt.udp, "tcp": tt.tcp} {
			m := genuine()
			tt.change(m)
			message, err := m.Pack()
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			x := queryOut(network)
			if got := x.accept(message); got != want {
				t.Errorf("%s over %s: got verdict %v, want %v", tt.name, network, got, want)
			}
			if network == "udp" && x.abandoned != tt.doubt {
				t.Errorf("%s: got doubt %v, want %v", tt.name, x.abandoned, tt.doubt)
			}
			if want != transport.Accept && x.accepted != nil {
				t.Errorf("%s over %s: something was kept of what was not accepted", tt.name, network)
			}
		}
	}
}

// TestCheckWithServerCookie: once a server has shown a cookie, a reply over UDP must
// have it.
func TestCheckWithServerCookie(t *testing.T) {
	for _, tt := range []struct {
		cookie string
		want   transport.Verdict
	}{
		{"", transport.Abandon},
		{ourCookieHex + "0102030405060708", transport.Accept},
		{"ff" + ourCookieHex[2:] + "0102030405060708", transport.Abandon},
	} {
		m := genuine()
		if tt.cookie != "" {
			withCookie(m, tt.cookie)
		}
		message, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		x := queryOut("udp")
		x.features.Cookies = true
		if got := x.accept(message); got != tt.want {
			t.Errorf("cookie %q: got verdict %v, want %v", tt.cookie, got, tt.want)
		}
	}
}

// TestCheckSizes: truncated and oversized datagrams are a reason to use TCP and nothing
// else, even if they would not parse; over TCP the size does not matter.
func TestCheckSizes(t *testing.T) {
	m := genuine()
	for range 8 {
		m.Extra = append(m.Extra, &dns.TXT{Hdr: dns.RR_Header{Name: "x.example.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{strings.Repeat("x", 250)}})
	}
	big, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	x := queryOut("udp")
	if got := x.accept(bytes.Clone(big)); got != transport.Accept || x.accepted != nil {
		t.Errorf("%d bytes over UDP: got verdict %v and message %v, want one that is not looked into", len(big), got, x.accepted)
	}
	if x = queryOut("tcp"); x.accept(bytes.Clone(big)) != transport.Accept || x.accepted == nil {
		t.Errorf("%d bytes over TCP: want them accepted", len(big))
	}
	if x = queryOut("udp"); x.offered() != UDPSize {
		t.Errorf("with EDNS: %d bytes offered, want %d", x.offered(), UDPSize)
	}
	if x.edns = ednsNone; x.offered() != dns.MinMsgSize {
		t.Errorf("without EDNS: %d bytes offered, want %d", x.offered(), dns.MinMsgSize)
	}
	cut := bytes.Clone(big[:len(big)-1])
	if x = queryOut("tcp"); x.accept(cut) != transport.Ignore {
		t.Errorf("a message that ends early: want it ignored")
	}
}

// TestCheckTakesTheCaseAway: names that a reply compresses against the question are
// handed on in lower case.
func TestCheckTakesTheCaseAway(t *testing.T) {
	m := genuine()
	m.Compress = true
	message, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	x := queryOut("udp")
	if x.accept(message) != transport.Accept {
		t.Fatal("not accepted")
	}
	if want := []byte(x.Q.Name); !bytes.Equal(message[wire.HeaderLen:wire.HeaderLen+len(want)], want) {
		t.Errorf("got question %q, want %q", message[wire.HeaderLen:wire.HeaderLen+len(want)], want)
	}
}

// TestEqualFold: ASCII letters have two cases, other bytes one, those 32 apart
// included.
func TestEqualFold(t *testing.T) {
	for a := range 256 {
		for b := range 256 {
			want := a == b || 'a' <= a|0x20 && a|0x20 <= 'z' && a|0x20 == b|0x20
			if got := equalFold([]byte{byte(a)}, []byte{byte(b)}); got != want {
				t.Errorf("%#x and %#x: got %t, want %t", a, b, got, want)
			}
		}
	}
}

// FuzzCheck: no message makes accept panic, and what it accepts has QR, the opcode, the
// ID and the question of the query, or is an error that may leave the question out.
func FuzzCheck(f *testing.F) {
	good, err := genuine().Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, true, false)      // as it should be
	f.Add(good, false, true)      // over TCP, from a server with cookies
	f.Add(good[:12], true, false) // the header alone
	f.Add(good[:30], true, false) // half the question
	noQuestion := append(bytes.Clone(good[:4]), make([]byte, 8)...)
	noQuestion[3] |= dns.RcodeFormatError
	f.Add(noQuestion, true, false) // an error without a question
	tc := bytes.Clone(good)
	tc[2] |= 2
	f.Add(tc[:40], true, false) // cut off
	f.Fuzz(func(t *testing.T, message []byte, udp, cookies bool) {
		network := "tcp"
		if udp {
			network = "udp"
		}
		x := queryOut(network)
		x.features.Cookies = cookies
		before := bytes.Clone(message)
		verdict := x.accept(message)
		if verdict != transport.Accept {
			if x.accepted != nil {
				t.Errorf("not accepted, but kept")
			}
			return
		}
		flags := binary.BigEndian.Uint16(before[2:])
		if flags&wire.QR == 0 || flags>>11&15 != 0 || !bytes.Equal(before[:2], x.query[:2]) {
			t.Errorf("accepted with header % x", before[:12])
		}
		if binary.BigEndian.Uint16(before[4:]) == 0 {
			if rcode := flags & 15; rcode != dns.RcodeFormatError && rcode != dns.RcodeNotImplemented {
				t.Errorf("accepted RCODE %d without a question", rcode)
			}
			return
		}
		ours := x.query[wire.HeaderLen : wire.HeaderLen+len(x.Q.Name)+4]
		theirs := before[wire.HeaderLen : wire.HeaderLen+len(ours)]
		if udp && !bytes.Equal(ours, theirs) || !strings.EqualFold(string(ours), string(theirs)) {
			t.Errorf("accepted question %q, want %q", theirs, ours)
		}
	})
}
