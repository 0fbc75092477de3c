package resolvertest

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"
)

func TestEDNS(t *testing.T) {
	in := New(t, shop)
	q := query("www.shop.example.", dns.TypeA)
	q.IsEdns0().SetDo()
	opt := ask(t, in, shopServer, q).IsEdns0()
	if opt == nil || !opt.Do() || opt.UDPSize() != serverUDPSize || opt.Version() != 0 {
		t.Errorf("got OPT %v, want DO and size %d", opt, serverUDPSize)
	}
	q.Extra = nil
	if opt := ask(t, in, shopServer, q).IsEdns0(); opt != nil {
		t.Errorf("got OPT %v without having sent one (RFC 6891 §7)", opt)
	}
}

func TestEDNSVersionAndCount(t *testing.T) {
	in := New(t, shop)
	q := query("www.shop.example.", dns.TypeA)
	q.IsEdns0().SetVersion(1)
	reply := ask(t, in, shopServer, q)
	if reply.Rcode != dns.RcodeBadVers || reply.IsEdns0().Version() != 0 {
		t.Errorf("version 1: got %v, want BADVERS and version 0 (RFC 6891 §6.1.3)", reply)
	}
	q = query("www.shop.example.", dns.TypeA)
	q.SetEdns0(1232, false)
	if reply := ask(t, in, shopServer, q); reply.Rcode != dns.RcodeFormatError {
		t.Errorf("two OPT records: got %v, want FORMERR (RFC 6891 §6.1.1)", reply)
	}
}

func TestOldServersSendNoOPT(t *testing.T) {
	for _, refusal := range []EDNSRefusal{EDNSFormErr, EDNSNotImp, EDNSIgnored} {
		in := New(t, shop)
		in.Fault(shopServer, NoEDNS(refusal))
		if reply := ask(t, in, shopServer, query("www.shop.example.", dns.TypeA)); reply.IsEdns0() != nil {
			t.Errorf("refusal %d: got %v, want no OPT", refusal, reply)
		}
		plain := query("www.shop.example.", dns.TypeA)
		plain.Extra = nil
		if reply := ask(t, in, shopServer, plain); len(reply.Answer) != 1 {
			t.Errorf("refusal %d, query without OPT: got %v, want an answer", refusal, reply)
		}
	}
}

func TestQueriesThatAreNone(t *testing.T) {
	edit := func(change func(m *dns.Msg)) []byte {
		m := query("www.shop.example.", dns.TypeA)
		change(m)
		return wireOf(t, m)
	}
	plain := edit(func(*dns.Msg) {})
	const silence = -1
	tests := []struct {
		name string
		wire []byte
		want int // RCODE
	}{
		{"no question", edit(func(m *dns.Msg) { m.Question = nil }), dns.RcodeFormatError},
		{"two questions, RFC 9619", edit(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }), dns.RcodeFormatError},
		{"an update", edit(func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }), dns.RcodeNotImplemented},
		{"a notification", edit(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }), dns.RcodeNotImplemented},
		{"class CHAOS", edit(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }), dns.RcodeRefused},
		{"a reply", edit(func(m *dns.Msg) { m.Response = true }), silence},
		{"cut in the question", plain[:20], dns.RcodeFormatError},
		{"cut in the header", plain[:11], silence},
		{"cut reply", func() []byte { w := bytes.Clone(plain[:20]); w[2] |= 0x80; return w }(), silence},
		{"nothing", nil, silence},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := New(t, shop)
				wire, err := send(t, in, inMemory, "udp", shopServer, test.wire)
				got := silence
				if err == nil {
					got = int(wire[3] & 0xf)
				}
				if got != test.want {
					t.Errorf("got RCODE %d (%v), want %d", got, err, test.want)
				}
				if err == nil && !bytes.Equal(wire[:2], test.wire[:2]) {
					t.Errorf("got ID %x, want %x", wire[:2], test.wire[:2])
				}
			})
		})
	}
}

// sized is a zone with an RRset that takes some 16 bytes for each of n records.
func sized(n int) string {
	var b strings.Builder
	b.WriteString("-- zone shop.example. at 198.51.100.3 --\n")
	for i := range n {
		fmt.Fprintf(&b, "www A 192.0.2.%d\n", i)
	}
	return b.String()
}

func TestTruncation(t *testing.T) {
	tests := []struct {
		name    string
		records int
		edns    uint16 // 0: none
		network string
		want    bool
	}{
		{"fits into 512", 20, 0, "udp", false},
		{"does not", 40, 0, "udp", true},
		{"fits into what EDNS offers", 40, 1232, "udp", false},
		{"less than 512 counts as 512, RFC 6891 §6.2.3", 20, 100, "udp", false},
		{"more than the server sends", 100, 4096, "udp", true},
		{"TCP", 250, 0, "tcp", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := New(t, sized(test.records))
			q := query("www.shop.example.", dns.TypeA)
			q.Extra = nil
			if test.edns > 0 {
				q.SetEdns0(test.edns, false)
			}
			reply := exchangeOver(t, in, test.network, shopServer, q)
			if reply.Truncated != test.want {
				t.Errorf("got TC %v, want %v", reply.Truncated, test.want)
			}
			if n := len(reply.Answer); reply.Truncated && n != 0 || !reply.Truncated && n != test.records {
				t.Errorf("got %d of %d records, TC %v: an RRset is sent whole or not at all (RFC 2181 §9)", n, test.records, reply.Truncated)
			}
		})
	}
}

// TestGlueAndSize: glue in the child's domain is worth a TC, that of siblings is
// not (RFC 9471 §3.1, §3.2).
func TestGlueAndSize(t *testing.T) {
	delegation := func(child, host string) string {
		var b strings.Builder
		b.WriteString("-- zone example. at 192.0.2.1 --\nhost NS ns1.host\n")
		for i := range 20 {
			fmt.Fprintf(&b, "%s NS ns%d.%s\nns%d.%s AAAA 2001:db8::%d\n", child, i, host, i, host, i)
		}
		return b.String()
	}
	q := query("www.child.example.", dns.TypeA)
	q.SetEdns0(512, false)
	q.Extra = q.Extra[1:]

	in := New(t, delegation("child", "child"))
	reply := ask(t, in, "192.0.2.1", q)
	if !reply.Truncated {
		t.Errorf("in-domain glue does not fit: got %s, want TC", text(reply))
	}
	in = New(t, delegation("child", "host"))
	reply = ask(t, in, "192.0.2.1", q)
	if n := len(reply.Extra); reply.Truncated || n == 0 || n == 21 {
		t.Errorf("sibling glue does not fit: got %d records and TC %v, want some and no TC", n, reply.Truncated)
	}
}

func TestCookies(t *testing.T) {
	addr := netip.MustParseAddr(shopServer)
	client := []byte("clientck")
	good := append(bytes.Clone(client), serverCookie(addr, client)...)
	wrong := append(bytes.Clone(client), make([]byte, 16)...)
	tests := []struct {
		fault   string
		network string
		cookie  []byte
		rcode   int
		reply   []byte // cookie that comes back
	}{
		{"", "udp", client, dns.RcodeSuccess, nil},
		{"cookies", "udp", nil, dns.RcodeSuccess, nil},
		{"cookies", "udp", client, dns.RcodeSuccess, good},
		{"cookies", "udp", wrong, dns.RcodeSuccess, good},
		{"cookies", "udp", good, dns.RcodeSuccess, good},
		{"cookies", "udp", client[:7], dns.RcodeFormatError, nil},
		{"cookies", "udp", good[:15], dns.RcodeFormatError, nil},
		{"cookies", "udp", append(bytes.Clone(client), make([]byte, 33)...), dns.RcodeFormatError, nil},
		{"require-cookies", "udp", nil, dns.RcodeSuccess, nil},
		{"require-cookies", "udp", client, dns.RcodeBadCookie, good},
		{"require-cookies", "udp", wrong, dns.RcodeBadCookie, good},
		{"require-cookies", "udp", good, dns.RcodeSuccess, good},
		{"require-cookies", "tcp", client, dns.RcodeSuccess, good},
		{"bad-cookie", "udp", good, dns.RcodeBadCookie, good},
		{"bad-cookie", "tcp", good, dns.RcodeBadCookie, good},
		{"bad-cookie", "udp", nil, dns.RcodeSuccess, nil},
	}
	for _, test := range tests {
		in := New(t, shop+"-- fault "+shopServer+" --\n"+test.fault)
		q := query("www.shop.example.", dns.TypeA)
		if test.cookie != nil {
			opt := q.IsEdns0()
			opt.Option = append(opt.Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: hex.EncodeToString(test.cookie)})
		}
		reply := exchangeOver(t, in, test.network, shopServer, q)
		got := cookieOf(reply.IsEdns0())
		if reply.Rcode != test.rcode || !bytes.Equal(got, test.reply) {
			t.Errorf("%q, %s, cookie %x: got %s and %x, want %s and %x", test.fault, test.network, test.cookie,
				dns.RcodeToString[reply.Rcode], got, dns.RcodeToString[test.rcode], test.reply)
		}
		if logged := in.Log()[0].Cookie; !bytes.Equal(logged, test.cookie) {
			t.Errorf("log has cookie %x, want %x", logged, test.cookie)
		}
	}
}

func TestWrongCookie(t *testing.T) {
	in := New(t, shop+"-- fault "+shopServer+" --\nwrong-cookie")
	q := query("www.shop.example.", dns.TypeA)
	q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0001020304050607"}}
	got := cookieOf(ask(t, in, shopServer, q).IsEdns0())
	if len(got) != 24 || bytes.HasPrefix(got, []byte{0, 1, 2, 3, 4, 5, 6, 7}) {
		t.Errorf("got cookie %x, want another client part", got)
	}
}

// signedZone holds records as a signer would have left them; the signatures are
// only there to be found again.
const signedZone = `
-- zone example. at 192.0.2.1 --
@       SOA     ns h 1 1 1 1 300
@       NS      ns
ns      A       192.0.2.1
@       NSEC    deep.ent NS SOA RRSIG NSEC
@       RRSIG   SOA 15 1 300 20300101000000 20000101000000 1 example. c29h
@       RRSIG   NSEC 15 1 300 20300101000000 20000101000000 1 example. bnNlYzE=
deep.ent A      192.0.2.2
deep.ent NSEC   insecure A RRSIG NSEC
deep.ent RRSIG  A 15 3 300 20300101000000 20000101000000 1 example. YQ==
insecure NS     ns.insecure
insecure NSEC   ns NS RRSIG NSEC
ns.insecure A   192.0.2.3
ns      NSEC    secure A RRSIG NSEC
secure  NS      ns.secure
secure  DS      1 15 2 0000000000000000000000000000000000000000000000000000000000000000
secure  RRSIG   DS 15 2 300 20300101000000 20000101000000 1 example. ZHM=
secure  NSEC    *.wild NS DS RRSIG NSEC
ns.secure A     192.0.2.4
*.wild  A       192.0.2.5
*.wild  NSEC    @ A RRSIG NSEC
*.wild  RRSIG   A 15 2 300 20300101000000 20000101000000 1 example. d2lsZA==
`

// TestSignedZone: with DO, a server adds the signatures and proofs that its zone
// holds (RFC 4035 §3.1); without, it does not.
func TestSignedZone(t *testing.T) {
	tests := []struct {
		name  string
		qname string
		qtype uint16
		want  string // types and owners of the records, signatures as RRSIG(type)
	}{
		{"answer", "deep.ent.example.", dns.TypeA, "an A deep.ent.example. an RRSIG(A) deep.ent.example."},
		{"no data", "deep.ent.example.", dns.TypeTXT, "ns SOA example. ns RRSIG(SOA) example. ns NSEC deep.ent.example."},
		{"empty non-terminal", "ent.example.", dns.TypeTXT, "ns SOA example. ns RRSIG(SOA) example. ns NSEC example. ns RRSIG(NSEC) example."},
		{"name error", "nx.example.", dns.TypeA, "ns SOA example. ns RRSIG(SOA) example. ns NSEC ns.example. ns NSEC example. ns RRSIG(NSEC) example."},
		{"signed delegation", "www.secure.example.", dns.TypeA, "ns NS secure.example. ns DS secure.example. ns RRSIG(DS) secure.example. ar A ns.secure.example."},
		{"unsigned delegation", "www.insecure.example.", dns.TypeA, "ns NS insecure.example. ns NSEC insecure.example. ar A ns.insecure.example."},
		{"wildcard", "x.wild.example.", dns.TypeA, "an A x.wild.example. an RRSIG(A) x.wild.example. ns NSEC *.wild.example."},
		{"wildcard no data", "x.wild.example.", dns.TypeTXT, "ns SOA example. ns RRSIG(SOA) example. ns NSEC *.wild.example."},
		{"DS", "secure.example.", dns.TypeDS, "an DS secure.example. an RRSIG(DS) secure.example."},
		{"NSEC asked for", "ns.example.", dns.TypeNSEC, "an NSEC ns.example."},
	}
	in := New(t, signedZone)
	for _, test := range tests {
		q := query(test.qname, test.qtype)
		if got := types(ask(t, in, "192.0.2.1", q)); strings.Contains(got, "RRSIG") || test.qtype != dns.TypeNSEC && strings.Contains(got, "NSEC") {
			t.Errorf("%s without DO: got %s", test.name, got)
		}
		q.IsEdns0().SetDo()
		if got := types(ask(t, in, "192.0.2.1", q)); got != test.want {
			t.Errorf("%s\ngot:  %s\nwant: %s", test.name, got, test.want)
		}
	}
}

func types(m *dns.Msg) string {
	var words []string
	for i, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			rrtype := dns.Type(rr.Header().Rrtype).String()
			if sig, ok := rr.(*dns.RRSIG); ok {
				rrtype += "(" + dns.Type(sig.TypeCovered).String() + ")"
			}
			if rrtype != "OPT" {
				words = append(words, []string{"an", "ns", "ar"}[i], rrtype, rr.Header().Name)
			}
		}
	}
	return strings.Join(words, " ")
}
