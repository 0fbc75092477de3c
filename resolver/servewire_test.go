package resolver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// wired is what ServeWire sends to a client; nil when it sends nothing. sending is called when it
// does.
func wired(t testing.TB, r *resolver.Resolver, client resolver.WireClient, query []byte, sending ...func()) []byte {
	t.Helper()
	sent := 0
	var reply []byte
	asked := bytes.Clone(query)
	r.ServeWire(query, client, func(b []byte) {
		sent++
		reply = append([]byte{}, b...)
		for _, f := range sending {
			f()
		}
	})
	if sent > 1 {
		t.Errorf("%x was answered %d times", query, sent)
	}
	if !bytes.Equal(query, asked) {
		t.Errorf("the query has become %x, was %x", query, asked)
	}
	return reply
}

// unpacked reads a reply.
func unpacked(t testing.TB, reply []byte) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(reply); err != nil {
		t.Fatalf("the reply %x does not unpack: %v", reply, err)
	}
	return m
}

// way is how a query comes: as ServeDNS is told of it, and as ServeWire is.
type way struct {
	name   string
	remote net.Addr
	tls    *tls.ConnectionState
	wire   resolver.WireClient
}

var clientAt = netip.MustParseAddrPort("192.0.2.1:5353")

var ways = []way{
	{"UDP", overUDP, nil, resolver.WireClient{Addr: clientAt, MaxSize: 1232}},
	{"TCP", overTCP, nil, resolver.WireClient{Addr: clientAt}},
	{"TLS", overTCP, new(tls.ConnectionState), resolver.WireClient{Addr: clientAt, Encrypted: true}},
}

// sameAnswer asks one resolver with ServeDNS and its twin with ServeWire, and compares what
// they say, byte for byte as far as that can be: names may be compressed better, and so more
// records fit.
func sameAnswer(t *testing.T, dnsR, wireR *resolver.Resolver, w way, query *dns.Msg) *dns.Msg {
	t.Helper()
	c := &client{remote: w.remote, tls: w.tls}
	dnsR.ServeDNS(c, query.Copy())
	want := packed(t, c.reply)
	got := wired(t, wireR, w.wire, packed(t, query))
	compareReplies(t, fmt.Sprintf("%s, %v", w.name, query), query, got, want)
	return unpacked(t, got)
}

// sorts counts replies by what they have.
type sorts map[string]int

func (s sorts) add(m *dns.Msg) {
	s[dns.RcodeToString[m.Rcode]]++
	for sort, is := range map[string]bool{
		"TC": m.Truncated, "AD": m.AuthenticatedData, "answer": len(m.Answer) > 0, "denial": len(m.Ns) > 0,
		"cookie": optionOf(m, dns.EDNS0COOKIE) != nil, "NSID": optionOf(m, dns.EDNS0NSID) != nil,
		"padding": optionOf(m, dns.EDNS0PADDING) != nil, "extended error": len(codes(m)) > 0,
	} {
		if is {
			s[sort]++
		}
	}
	for _, rr := range slices.Concat(m.Answer, m.Ns) {
		s[dns.TypeToString[rr.Header().Rrtype]]++
	}
}

// want expects each sort to have occurred several times.
func (s sorts) want(t *testing.T, all ...string) {
	t.Helper()
	for _, sort := range all {
		if s[sort] == 0 {
			t.Errorf("no reply has %s", sort)
		}
	}
}

func compareReplies(t *testing.T, about string, query *dns.Msg, got, want []byte) {
	t.Helper()
	asked := "."
	if len(query.Question) == 1 {
		asked = query.Question[0].Name
	}
	wantMsg, gotMsg := unpacked(t, want), unpacked(t, got)
	for _, m := range []*dns.Msg{wantMsg, gotMsg} {
		withoutServerCookie(m)
	}
	switch isPadded := optionOf(wantMsg, dns.EDNS0PADDING) != nil; {
	case isPadded && len(got) != len(want):
		t.Fatalf("%s: padded to %d bytes, want %d", about, len(got), len(want))
	case len(got) > len(want) && !wantMsg.Truncated:
		t.Fatalf("%s: %d bytes, want at most %d\n%v", about, len(got), len(want), gotMsg)
	case isPadded: // to make up for how well the rest is compressed
		for _, m := range []*dns.Msg{wantMsg, gotMsg} {
			optionOf(m, dns.EDNS0PADDING).(*dns.EDNS0_PADDING).Padding = nil
			m.IsEdns0().Hdr.Rdlength = 0
		}
	case wantMsg.Truncated:
		keepFirst(wantMsg, gotMsg)
		gotMsg.Truncated = true // miekg/dns takes some replies for longer than they are
	}
	for _, m := range []*dns.Msg{wantMsg, gotMsg} {
		if opt := m.IsEdns0(); opt != nil {
			slices.SortFunc(opt.Option, func(a, b dns.EDNS0) int { return int(a.Option()) - int(b.Option()) })
		}
	}
	if got, want := readable(asked, gotMsg), readable(asked, wantMsg); got != want {
		t.Fatalf("ServeWire and ServeDNS differ for\n%s\ngot:\n%s\nwant:\n%s", about, got, want)
	}
}

// keepFirst drops the records that one truncated reply has more than the other, of which there
// are few: as many as fit because of better compression.
func keepFirst(a, b *dns.Msg) {
	n := min(len(a.Answer), len(b.Answer))
	a.Answer, b.Answer = a.Answer[:n], b.Answer[:n]
	n = min(len(a.Ns), len(b.Ns))
	a.Ns, b.Ns = a.Ns[:n], b.Ns[:n]
}

// withoutServerCookie cuts the part off a cookie that is made with the secret of one server.
func withoutServerCookie(m *dns.Msg) {
	if c, ok := optionOf(m, dns.EDNS0COOKIE).(*dns.EDNS0_COOKIE); ok && len(c.Cookie) == 2*(8+16) {
		c.Cookie = c.Cookie[:2*8]
	}
}

// wireWorld has every kind of answer: those that a cache can hold, failures, and more than fits
// into a datagram.
func wireWorld() string {
	var big strings.Builder
	big.WriteString("-- zone big.example. at 198.51.100.8 --\n")
	for i := range 60 {
		fmt.Fprintf(&big, "many A 192.0.2.%d\nmail MX %d in%d.mx.big.example.\n", i+1, i, i)
		fmt.Fprintf(&big, "text TXT \"%02d%s\"\n", i, strings.Repeat("x", 40))
	}
	for i := range 13 {
		fmt.Fprintf(&big, "@ NS ns%d\nns%d A 198.51.100.8\n", i, i)
	}
	for i := range 9 {
		fmt.Fprintf(&big, "c%d CNAME c%d\n", i, i+1)
	}
	big.WriteString("c9 A 192.0.2.1\nMiXeD CNAME MANY\nptr PTR a.b.c.test.\nsrv SRV 1 2 3 many\n")
	failing := clientWorld[strings.Index(clientWorld, "-- zone broken.example."):]
	failing = strings.NewReplacer("198.51.100.5", "198.51.100.9", "198.51.100.6", "198.51.100.10").Replace(failing)
	return fmt.Sprintf(hitWorld, strings.Repeat("x", 255)) + big.String() + failing
}

var wireTypes = []uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeCNAME, dns.TypeSOA, dns.TypeNS, dns.TypeDS, dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeNSEC3,
	dns.TypeMX, dns.TypeANY, dns.TypeRRSIG, dns.TypePTR, dns.TypeSRV, dns.TypeDNAME, dns.TypeAXFR, dns.TypeNXNAME, dns.TypeOPT, 65280,
}

// wireQueryOf makes one of the many queries for a name, with options as clients send them.
func wireQueryOf(rnd *rand.Rand, name string, qtype uint16) *dns.Msg {
	m := hitQueryOf(rnd, name, qtype)
	for _, o := range []dns.EDNS0{
		&dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: strings.Repeat("5a", []int{8, 24, 8, 24, 8, 24, 7}[rnd.IntN(7)])},
		&dns.EDNS0_NSID{Code: dns.EDNS0NSID},
		&dns.EDNS0_PADDING{Padding: make([]byte, 20)},
		&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.IPv4(192, 0, 2, 0)},
		&dns.EDNS0_LOCAL{Code: 65001, Data: []byte("x")},
	} {
		if opt := m.IsEdns0(); opt != nil && rnd.IntN(5) == 0 {
			opt.Option = append(opt.Option, o)
		}
	}
	switch rnd.IntN(30) {
	case 0:
		m.Opcode = rnd.IntN(16)
	case 1:
		m.Question[0].Qclass = dns.ClassCHAOS
	case 2:
		if opt := m.IsEdns0(); opt != nil {
			opt.SetVersion(1)
		}
	case 3:
		m.Extra = append(m.Extra, &dns.TXT{Hdr: dns.RR_Header{Name: "a.example.", Rrtype: dns.TypeTXT, Class: 1}, Txt: []string{"x"}})
	case 4:
		if opt := m.IsEdns0(); opt != nil {
			m.Extra = append(m.Extra, dns.Copy(opt))
		}
	case 5:
		if opt := m.IsEdns0(); opt != nil {
			opt.SetCo(true)
		}
	case 6:
		m.Authoritative, m.Truncated, m.RecursionAvailable, m.Zero, m.Rcode = true, true, true, true, rnd.IntN(16)
	}
	return m
}

// Thousands of queries of every kind: ServeWire says what ServeDNS says, whether the cache has
// the answer or not, and in no more bytes.
func TestServeWireSaysWhatServeDNSSays(t *testing.T) {
	names := append(hitNames(), "many.big.example.", "mail.big.example.", "big.example.", "text.big.example.", "c0.big.example.", "mixed.big.example.",
		"ptr.big.example.", "srv.big.example.", "none.big.example.", "www.broken.example.", "www.dead.example.", "host.corp.example.", "none.corp.example.",
		"fresh*.shop.example.", "fresh*.w.shop.example.", "fresh*.d.shop.example.", "fresh*.compact.example.", "fresh*.nsec3.example.", "fresh*.w.plain.test.")
	queries := 4000
	if testing.Short() || raceDetector {
		queries = 1500
	}
	hooks := resolver.Hooks{
		Before: func(_ context.Context, q dns.Question) (*resolver.Result, error) {
			switch {
			case strings.HasPrefix(q.Name, "none.plain"):
				return nil, &resolver.Refusal{Extended: resolver.ExtendedError{Code: dns.ExtendedErrorCodeFiltered, Text: "no"}}
			case strings.HasPrefix(q.Name, "x.c."):
				return nil, errors.New("a hook has failed")
			case strings.HasPrefix(q.Name, "alias.plain"):
				return &resolver.Result{Rcode: 23, Answer: []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 5}, A: net.IPv4(192, 0, 2, 99)}}}, nil
			}
			return nil, nil
		},
	}
	for about, change := range map[string]func(*resolver.Options){
		"plain":     func(*resolver.Options) {},
		"hooks":     func(o *resolver.Options) { o.Hooks = hooks },
		"unchecked": func(o *resolver.Options) { o.Validation = resolver.ValidateOff },
		"filter": func(o *resolver.Options) {
			o.AllowAddress = func(_ string, a netip.Addr) bool { return a != netip.MustParseAddr("192.0.2.85") }
		},
		"local": func(o *resolver.Options) {
			o.LocalZones = []resolver.LocalZone{{Zone: "corp.example.", Records: []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "host.corp.example.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 98)}}}}
		},
		"rotation":    func(o *resolver.Options) { o.Rotate = func(n int) int { return n / 2 } },
		"few aliases": func(o *resolver.Options) { o.Limits.Aliases = 3 },
		"anchor": func(o *resolver.Options) {
			o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "broken.example."}}
		},
		"stale": func(o *resolver.Options) { o.ServeStale = true },
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var twins [2]*resolver.Resolver
				for i := range twins { // of an Internet each: the state of one's servers is not the other's
					twins[i] = resolvertest.New(t, wireWorld()).Resolver(t, change, func(o *resolver.Options) {
						o.DisablePrefetch, o.NSID = true, "ns-7"
					})
				}
				rnd, seen := rand.New(rand.NewPCG(5, 6)), sorts{}
				for n := range queries {
					name := strings.ReplaceAll(names[rnd.IntN(len(names))], "*", fmt.Sprint(n))
					qtype := wireTypes[rnd.IntN(len(wireTypes))]
					if strings.HasPrefix(name, "mail.") {
						qtype = dns.TypeMX
					}
					query := wireQueryOf(rnd, name, qtype)
					if n%100 == 0 {
						time.Sleep(time.Duration(rnd.IntN(10_000)) * time.Millisecond)
					}
					w := ways[rnd.IntN(len(ways))]
					w.wire.Missed = rnd.IntN(2) == 0
					seen.add(sameAnswer(t, twins[0], twins[1], w, query))
				}
				// BADSIG is how miekg/dns calls BADVERS.
				seen.want(t, "NOERROR", "NXDOMAIN", "SERVFAIL", "FORMERR", "REFUSED", "NOTIMP", "BADSIG", "TC", "answer", "denial", "cookie", "NSID",
					"padding", "extended error", "RRSIG", "NSEC", "NSEC3", "CNAME", "DNAME", "MX")
				if about != "unchecked" {
					seen.want(t, "AD")
				}
			})
		})
	}
}

// A reply is no longer than the client takes and the server may send, whatever has to go into
// it, and filled as far as records fit.
func TestServeWireHoldsLimits(t *testing.T) {
	hook := resolver.Hooks{After: func(_ context.Context, _ dns.Question, result *resolver.Result, err error) (*resolver.Result, error) {
		return result, err
	}}
	for _, hooks := range []resolver.Hooks{{}, hook} {
		r := resolvertest.New(t, wireWorld()).Resolver(t, func(o *resolver.Options) {
			o.NSID, o.Hooks = strings.Repeat("i", 255), hooks
		})
		long := strings.Repeat("a.", 116) + "text.big.example." // a name of 249 bytes
		for _, name := range []string{"text.big.example.", "mail.big.example.", "many.big.example.", "www.dead.example.", long, "www.broken.example."} {
			for _, takes := range []uint16{0, 300, 512, 700, 1232, 4096, 65535} {
				for _, maxSize := range []int{1, 512, 600, 1232, 4096, 0} {
					query := ask(name, dns.TypeTXT, withEDNS)
					query.IsEdns0().SetUDPSize(takes)
					for _, o := range []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: strings.Repeat("5a", 8)}, &dns.EDNS0_PADDING{Padding: []byte{0}}} {
						query.IsEdns0().Option = append(query.IsEdns0().Option, o)
					}
					reply := wired(t, r, resolver.WireClient{Addr: clientAt, MaxSize: maxSize, Encrypted: true}, packed(t, query))
					limit := dns.MaxMsgSize
					if maxSize > 0 {
						limit = max(512, min(maxSize, int(takes)))
					}
					m := unpacked(t, reply)
					if len(reply) > limit {
						t.Errorf("%s, %d taken, %d allowed: %d bytes\n%v", name, takes, maxSize, len(reply), m)
					}
					if optionOf(m, dns.EDNS0COOKIE) == nil {
						t.Errorf("%s, %d taken, %d allowed: the cookie, which always has room, is missing in\n%v", name, takes, maxSize, m)
					}
				}
			}
		}
	}
}

// A hit allocates nothing, and is what AppendHit returns. All allocations of the process are counted, so
// that nothing else may be at work, and no second may begin between two replies, whose TTLs would differ.
func TestServeWireHits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, fmt.Sprintf(hitWorld, "x")).Resolver(t, func(o *resolver.Options) { o.Now = nil })
		for _, name := range []string{"www.shop.example.", "alias.shop.example.", "none.shop.example."} {
			query := packed(t, ask(name, dns.TypeA, withDO))
			wired(t, r, resolver.WireClient{}, query)
			synctest.Wait()
			want, ok := r.AppendHit(nil, query, 1232)
			if !ok {
				t.Fatalf("%s is no hit", name)
			}
			sent := 0
			send := func(reply []byte) {
				if bytes.Equal(reply, want) {
					sent++
				}
			}
			allocs := testing.AllocsPerRun(20, func() { r.ServeWire(query, resolver.WireClient{MaxSize: 1232}, send) })
			if sent != 21 || allocs > 0 && !raceDetector { // which has pools lose things
				t.Errorf("%s: %d of 21 replies are right, with %v allocations each, want none", name, sent, allocs)
			}
		}
	})
}

// dnsServerSays is what a dns.Server with AcceptQuery and ServeDNS answers, without the parts that
// ServeDNS has no say in; nil: nothing.
func dnsServerSays(r *resolver.Resolver, query []byte) *dns.Msg {
	if len(query) < 12 {
		return nil
	}
	word := func(i int) uint16 { return uint16(query[2*i])<<8 | uint16(query[2*i+1]) }
	h := dns.Header{Id: word(0), Bits: word(1), Qdcount: word(2), Ancount: word(3), Nscount: word(4), Arcount: word(5)}
	refused := func(rcode int) *dns.Msg { return &dns.Msg{MsgHdr: dns.MsgHdr{Id: h.Id, Rcode: rcode}} }
	switch resolver.AcceptQuery(h) {
	case dns.MsgIgnore:
		return nil
	case dns.MsgReject:
		return refused(dns.RcodeFormatError)
	case dns.MsgRejectNotImplemented:
		return refused(dns.RcodeNotImplemented)
	case dns.MsgAccept:
	}
	m := new(dns.Msg)
	if m.Unpack(query) != nil {
		return refused(dns.RcodeFormatError)
	}
	c := &client{remote: overTCP}
	r.ServeDNS(c, m)
	return c.reply
}

// wireMessage puts a query together: header words behind the ID, then the rest.
func wireMessage(flags, questions, answers, authorities, additionals uint16, rest ...string) []byte {
	b := []byte{0x12, 0x67}
	for _, word := range []uint16{flags, questions, answers, authorities, additionals} {
		b = append(b, byte(word>>8), byte(word))
	}
	return append(b, strings.Join(rest, "")...)
}

const (
	wireQuestion = "\x09localhost\x00\x00\x01\x00\x01"
	wireOPT      = "\x00\x00\x29\x04\xd0\x00\x00\x00\x00\x00\x00"
	wireTXT      = "\x01a\x00\x00\x10\x00\x01\x00\x00\x00\x00\x00\x02\x01x"
)

// withOptions is an OPT record with such options.
func withOptions(options string) string {
	return wireOPT[:9] + string([]byte{byte(len(options) >> 8), byte(len(options))}) + options
}

// typeMaps is the field of an NSEC record with all types of so many windows.
func typeMaps(windows int) string {
	var b strings.Builder
	for i := range windows {
		b.WriteString(string([]byte{byte(i), 32}) + strings.Repeat("\xff", 32))
	}
	return b.String()
}

// malformed has queries in wire format, and the code of the reply; 0 for those in order.
var malformed = []struct {
	name   string
	query  []byte
	rcode  int
	strict bool // a dns.Server answers something else
}{
	{"in order", wireMessage(0x100, 1, 0, 0, 0, wireQuestion), 0, false},
	{"with EDNS", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, wireOPT), 0, false},
	{"a record in each section", wireMessage(0x100, 1, 1, 1, 2, wireQuestion, wireTXT, wireTXT, wireTXT, wireOPT), 0, false},
	{"bytes behind it", wireMessage(0x100, 1, 0, 0, 0, wireQuestion, "more"), 0, false},
	{"of 64 KiB", wireMessage(0x100, 1, 0, 0, 0, wireQuestion, strings.Repeat("x", 65535-12-len(wireQuestion))), 0, false},
	{"an option of 64 KB", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, withOptions("\xfd\xe9\xfe\x00"+strings.Repeat("x", 0xfe00))), 0, false},
	{"the most options", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, withOptions(strings.Repeat("\xfd\xe9\x00\x00", 100))), 0, false},
	{"an owner by pointer", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, "\xc0\x0c"+wireTXT[3:]), 0, false},
	{"one option more", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, withOptions(strings.Repeat("\xfd\xe9\x00\x00", 101))), dns.RcodeFormatError, false},
	{"two OPT records", wireMessage(0x100, 1, 0, 0, 2, wireQuestion, wireOPT, wireOPT), dns.RcodeFormatError, false},
	{"an OPT record as answer", wireMessage(0x100, 1, 1, 0, 0, wireQuestion, wireOPT), dns.RcodeFormatError, false},
	{"an OPT record of a name", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, "\x01a"+wireOPT), dns.RcodeFormatError, false},
	{"an option cut off", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, withOptions("\xfd\xe9\x00\x05abc")), dns.RcodeFormatError, false},
	{"the code of an option cut off", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, withOptions("\xfd\xe9\x00")), dns.RcodeFormatError, false},
	{"a client subnet that is none", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, withOptions("\x00\x08\x00\x01x")), dns.RcodeFormatError, false},
	{"an OPT record longer than the query", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, wireOPT[:9]+"\x00\x09"), dns.RcodeFormatError, false},
	{"half an OPT record", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, wireOPT[:6]), dns.RcodeFormatError, false},
	{"a record cut off", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, wireTXT[:14]), dns.RcodeFormatError, false},
	{"RDATA of another form", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, wireTXT[:13]+"\x05x"), dns.RcodeFormatError, false},
	{"an owner that points to itself", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, "\xc0\x1b"+wireTXT[3:]), dns.RcodeFormatError, false},
	{"an owner in the header", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, "\xc0\x07"+wireTXT[3:]), dns.RcodeFormatError, true},
	{"an OPT record with a pointer to the root", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, "\xc0\x16"+wireOPT[1:]), dns.RcodeFormatError, true},
	{"no RDATA", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, wireTXT[:11]+"\x00\x00"), dns.RcodeFormatError, true},
	{"types by the thousand", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, "\x00\x00\x2f\x00\x01\x00\x00\x00\x00\x22\x01\x00", typeMaps(256)), 0, false},
	{"types that are none", wireMessage(0x100, 1, 0, 0, 1, wireQuestion, "\x00\x00\x2f\x00\x01\x00\x00\x00\x00\x00\x03\x00\x00\x21"), dns.RcodeFormatError, false},
	{"two questions", wireMessage(0x100, 2, 0, 0, 0, wireQuestion, wireQuestion), dns.RcodeFormatError, false},
	{"no question", wireMessage(0x100, 0, 0, 0, 0), dns.RcodeFormatError, false},
	{"no question, EDNS", wireMessage(0x100, 0, 0, 0, 1, wireOPT), dns.RcodeFormatError, false},
	{"65,535 answers", wireMessage(0x100, 1, 65535, 0, 0, wireQuestion), dns.RcodeFormatError, false},
	{"65,535 additional records", wireMessage(0x100, 1, 0, 0, 65535, wireQuestion), dns.RcodeFormatError, false},
	{"only a header", wireMessage(0x100, 1, 0, 0, 0), dns.RcodeFormatError, false},
	{"a name cut off", wireMessage(0x100, 1, 0, 0, 0, wireQuestion[:5]), dns.RcodeFormatError, false},
	{"a label of 64 bytes", wireMessage(0x100, 1, 0, 0, 0, "\x40", strings.Repeat("a", 64), "\x00\x00\x01\x00\x01"), dns.RcodeFormatError, false},
	{"a name of 256 bytes", wireMessage(0x100, 1, 0, 0, 0, strings.Repeat("\x01a", 126)+"\x02ab", "\x00\x00\x01\x00\x01"), dns.RcodeFormatError, false},
	{"a name that points to itself", wireMessage(0x100, 1, 0, 0, 0, "\xc0\x0c\x00\x01\x00\x01"), dns.RcodeFormatError, false},
	{"a name that points into the header", wireMessage(0x100, 1, 0, 0, 0, "\xc0\x04\x00\x01\x00\x01"), dns.RcodeFormatError, true},
	{"a name that points ahead", wireMessage(0x100, 1, 0, 0, 0, "\xc0\x12\x00\x01\x00\x01\x09localhost\x00"), dns.RcodeFormatError, true},
	{"no type", wireMessage(0x100, 1, 0, 0, 0, wireQuestion[:11]), dns.RcodeFormatError, true},
	{"no class", wireMessage(0x100, 1, 0, 0, 0, wireQuestion[:13]), dns.RcodeFormatError, true},
	{"fewer records than announced", wireMessage(0x100, 1, 0, 0, 2, wireQuestion, wireOPT), dns.RcodeFormatError, true},
	{"no record where one is announced", wireMessage(0x100, 1, 0, 0, 1, wireQuestion), dns.RcodeFormatError, true},
	{"an UPDATE with many records", wireMessage(5<<11, 1, 0, 9, 1, wireQuestion), dns.RcodeNotImplemented, false},
	{"another opcode, malformed", wireMessage(1<<11, 1, 0, 0, 0, "\xc0"), dns.RcodeNotImplemented, false},
	{"all opcodes' flags", wireMessage(0x7fff, 1, 0, 0, 0, wireQuestion), dns.RcodeNotImplemented, false},
}

// Bytes that are malformed get FORMERR when there is an ID to send it with, and a question that
// can be read is in it.
func TestServeWireMalformed(t *testing.T) {
	r := resolvertest.New(t, clientWorld).Resolver(t)
	for _, test := range malformed {
		reply := wired(t, r, resolver.WireClient{Addr: clientAt}, test.query)
		m := unpacked(t, reply)
		if m.Rcode != test.rcode || m.Id != 0x1267 || !m.Response || m.Opcode != int(test.query[2]>>3)&0xF {
			t.Errorf("%s: got\n%v\nwant %s", test.name, m, dns.RcodeToString[test.rcode])
		}
		if test.rcode != 0 && len(reply) > max(len(test.query), 12+11)+60 {
			t.Errorf("%s: a refusal of %d bytes to %d, which anybody can send in another's name", test.name, len(reply), len(test.query))
		}
		if isWhole := strings.Contains(string(test.query), wireQuestion) && test.query[5] == 1; (len(m.Question) == 1) != isWhole {
			t.Errorf("%s: %d questions in the reply, want one: %t", test.name, len(m.Question), isWhole)
		}
		if same := dnsServerSays(r, test.query).Rcode == test.rcode; same == test.strict {
			t.Errorf("%s: a dns.Server says the same: %t, want %t", test.name, same, !test.strict)
		}
		again, err := r.ExchangeWire(t.Context(), []byte("before"), test.query, 0)
		if err != nil || !bytes.HasPrefix(again, []byte("before")) || unpacked(t, again[6:]).Rcode != test.rcode {
			t.Errorf("%s: ExchangeWire returns %x, %v", test.name, again, err)
		}
	}
	for about, query := range map[string][]byte{
		"nothing": nil, "less than a header": wireMessage(0, 1, 0, 0, 0)[:11], "a response": wireMessage(0x8180, 1, 0, 0, 0, wireQuestion), "a malformed response": wireMessage(0x8000, 9, 9, 9, 9),
	} {
		if reply := wired(t, r, resolver.WireClient{}, query); reply != nil {
			t.Errorf("%s was answered with %x", about, reply)
		}
		if reply, err := r.ExchangeWire(t.Context(), []byte("before"), query, 0); err == nil || string(reply) != "before" {
			t.Errorf("%s: ExchangeWire returns %x, %v", about, reply, err)
		}
	}
}

// FuzzServeWire: whatever bytes arrive, there is one reply that belongs to them and keeps to the
// limit, or none; and it is what a dns.Server says, or FORMERR.
func FuzzServeWire(f *testing.F) {
	for _, test := range malformed { // what each tries stands there
		f.Add(test.query, uint16(0))
		f.Add(test.query, uint16(512))
	}
	for _, query := range []*dns.Msg{
		ask("alias.shop.example.", dns.TypeA, withDO),                                                 // a chain, signed
		ask("WWW.shop.example.", dns.TypeANY),                                                         // several RRsets, letter case
		ask("nx.shop.example.", dns.TypeMX, withAD),                                                   // a denial
		ask("www.broken.example.", dns.TypeA, withEDNS),                                               // bogus
		ask("www.shop.example.", dns.TypeA, withoutRD),                                                // from the cache alone
		ask("www.shop.example.", dns.TypeA, cookie(8)),                                                // a cookie
		ask("version.bind.", dns.TypeTXT, inClass(3)),                                                 // another class
		ask(`\000\.\255.shop.example.`, 65280),                                                        // bytes that need escapes
		ask(strings.Repeat("a.", 120)+"shop.example.", 1),                                             // a long name
		ask("www.shop.example.", dns.TypeA, withOption(&dns.EDNS0_PADDING{Padding: make([]byte, 9)})), // padding
	} {
		query.Id = 0x1267
		f.Add(packed(f, query), uint16(1232))
	}
	r := resolvertest.New(f, clientWorld).Resolver(f)
	f.Fuzz(func(t *testing.T, query []byte, maxSize uint16) {
		want := dnsServerSays(r, query)
		reply := wired(t, r, resolver.WireClient{Addr: clientAt, MaxSize: int(maxSize), Encrypted: true}, query)
		if reply == nil || want == nil {
			if reply != nil || want != nil {
				t.Fatalf("got %x, want %v", reply, want)
			}
			return
		}
		m := unpacked(t, reply)
		if !bytes.Equal(reply[:2], query[:2]) || !m.Response || m.Opcode != int(query[2]>>3)&0xF {
			t.Errorf("header of the reply is %+v", m.MsgHdr)
		}
		if m.Rcode != want.Rcode && m.Rcode != dns.RcodeFormatError {
			t.Errorf("got\n%v\nwant\n%v", m, want)
		}
		if maxSize > 0 && maxSize < 65535 && len(reply) > max(512, int(maxSize)) {
			t.Errorf("%d bytes, want at most %d", len(reply), max(512, maxSize))
		}
	})
}
