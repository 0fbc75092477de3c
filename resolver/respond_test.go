package resolver_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// clientWorld has every kind of answer that a client's query can get.
const clientWorld = `
-- zone shop.example. at 198.51.100.3 signed --
www             A     192.0.2.80
www             A     192.0.2.81
alias           CNAME next
next            CNAME www
abroad          CNAME www.plain.example.
-- zone plain.example. at 198.51.100.4 --
www             A     192.0.2.83
-- zone broken.example. at 198.51.100.5 signed --
www             A     192.0.2.84
-- zone dead.example. at 198.51.100.6 --
www             A     192.0.2.85
-- fault 198.51.100.5 --
remove answer www.broken.example. RRSIG
-- fault 198.51.100.6 --
rcode SERVFAIL
`

// ask makes a query as a stub sends it.
func ask(name string, qtype uint16, change ...func(*dns.Msg)) *dns.Msg {
	m := new(dns.Msg).SetQuestion(name, qtype)
	for _, c := range change {
		c(m)
	}
	return m
}

func withEDNS(m *dns.Msg)  { m.SetEdns0(1232, false) }
func withDO(m *dns.Msg)    { m.SetEdns0(1232, true) }
func withCD(m *dns.Msg)    { m.CheckingDisabled = true }
func withAD(m *dns.Msg)    { m.AuthenticatedData = true }
func withoutRD(m *dns.Msg) { m.RecursionDesired = false }
func inClass(c uint16) func(*dns.Msg) {
	return func(m *dns.Msg) { m.Question[0].Qclass = c }
}

// exchanged is Exchange that must not fail, with the checks that every reply must pass.
func exchanged(t *testing.T, r *resolver.Resolver, query *dns.Msg) *dns.Msg {
	t.Helper()
	reply, err := r.Exchange(t.Context(), query)
	if err != nil {
		t.Fatalf("Exchange(%v): %v", query.Question, err)
	}
	checkEcho(t, query, reply)
	return reply
}

// checkEcho checks what every reply copies from its query.
func checkEcho(t *testing.T, query, reply *dns.Msg) {
	t.Helper()
	if reply.Id != query.Id || !reply.Response || !reply.RecursionAvailable || reply.Authoritative || reply.Truncated ||
		reply.Opcode != query.Opcode || reply.RecursionDesired != query.RecursionDesired || reply.CheckingDisabled != query.CheckingDisabled {
		t.Errorf("header of the reply is %+v to %+v", reply.MsgHdr, query.MsgHdr)
	}
	if len(query.Question) == 1 && !slices.Equal(reply.Question, query.Question) {
		t.Errorf("question of the reply is %v, want %v", reply.Question, query.Question)
	}
	if got, want := reply.IsEdns0() != nil, query.IsEdns0() != nil; got != want {
		t.Errorf("reply has EDNS: %t, want %t", got, want)
	}
	if _, err := reply.Pack(); err != nil {
		t.Errorf("reply does not pack: %v\n%v", err, reply)
	}
}

// codes returns the extended DNS errors of a reply.
func codes(reply *dns.Msg) []uint16 {
	var codes []uint16
	if opt := reply.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if ede, ok := o.(*dns.EDNS0_EDE); ok {
				codes = append(codes, ede.InfoCode)
			}
		}
	}
	return codes
}

// types returns the owner and type of each record, RRSIGs with what they cover.
func types(records []dns.RR) string {
	var words []string
	for _, rr := range records {
		word := rr.Header().Name + " " + dns.Type(rr.Header().Rrtype).String()
		if sig, ok := rr.(*dns.RRSIG); ok {
			word += "(" + dns.Type(sig.TypeCovered).String() + ")"
		}
		if len(words) == 0 || words[len(words)-1] != word {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

func TestExchangeAnswers(t *testing.T) {
	for _, test := range []struct {
		name   string
		query  *dns.Msg
		rcode  int
		ad     bool
		answer string
		ns     string
		ede    uint16 // 0: none
	}{
		{
			name:   "chain first, then the RRset",
			query:  ask("alias.shop.example.", dns.TypeA),
			answer: "alias.shop.example. CNAME, next.shop.example. CNAME, www.shop.example. A",
		},
		{
			name:  "DO brings signatures and AD",
			query: ask("alias.shop.example.", dns.TypeA, withDO),
			ad:    true,
			answer: "alias.shop.example. CNAME, alias.shop.example. RRSIG(CNAME), next.shop.example. CNAME, " +
				"next.shop.example. RRSIG(CNAME), www.shop.example. A, www.shop.example. RRSIG(A)",
		},
		{name: "AD asks for AD only", query: ask("www.shop.example.", dns.TypeA, withAD), ad: true, answer: "www.shop.example. A"},
		{name: "EDNS alone brings no AD", query: ask("www.shop.example.", dns.TypeA, withEDNS), answer: "www.shop.example. A"},
		{name: "insecure", query: ask("www.plain.example.", dns.TypeA, withDO), answer: "www.plain.example. A"},
		{
			name:   "secure alias to insecure data",
			query:  ask("abroad.shop.example.", dns.TypeA, withAD),
			answer: "abroad.shop.example. CNAME, www.plain.example. A",
		},
		{
			name:  "denial without proof",
			query: ask("nx.shop.example.", dns.TypeA, withAD),
			rcode: dns.RcodeNameError, ad: true,
			ns: "shop.example. SOA",
		},
		{
			name:  "denial with proof",
			query: ask("www.shop.example.", dns.TypeTXT, withDO),
			ad:    true,
			ns:    "shop.example. SOA, shop.example. RRSIG(SOA), www.shop.example. NSEC, www.shop.example. RRSIG(NSEC)",
		},
		{name: "RRSIG asked for", query: ask("www.shop.example.", dns.TypeRRSIG), answer: "www.shop.example. RRSIG(A), www.shop.example. RRSIG(NSEC)"},
		{name: "NSEC asked for", query: ask("www.shop.example.", dns.TypeNSEC), answer: "www.shop.example. NSEC"},
		{name: "no NSEC in the denial of NSEC", query: ask("nx.shop.example.", dns.TypeNSEC), rcode: dns.RcodeNameError, ns: "shop.example. SOA"},
		{name: "bogus", query: ask("www.broken.example.", dns.TypeA, withDO), rcode: dns.RcodeServerFailure, ede: dns.ExtendedErrorCodeRRSIGsMissing},
		{name: "bogus without EDNS", query: ask("www.broken.example.", dns.TypeA), rcode: dns.RcodeServerFailure},
		{name: "CD returns bogus data", query: ask("www.broken.example.", dns.TypeA, withDO, withCD), answer: "www.broken.example. A"},
		{name: "no server works", query: ask("www.dead.example.", dns.TypeA, withEDNS), rcode: dns.RcodeServerFailure, ede: dns.ExtendedErrorCodeNoReachableAuthority},
		{name: "not in the cache", query: ask("www.shop.example.", dns.TypeA, withEDNS, withoutRD), rcode: dns.RcodeRefused, ede: dns.ExtendedErrorCodeNotAuthoritative},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := resolvertest.New(t, clientWorld).Resolver(t)
				reply := exchanged(t, r, test.query)
				if reply.Rcode != test.rcode || reply.AuthenticatedData != test.ad {
					t.Errorf("got %s AD=%t, want %s AD=%t", dns.RcodeToString[reply.Rcode], reply.AuthenticatedData, dns.RcodeToString[test.rcode], test.ad)
				}
				if got := types(reply.Answer); got != test.answer {
					t.Errorf("answer\ngot  %s\nwant %s", got, test.answer)
				}
				if got := types(reply.Ns); got != test.ns {
					t.Errorf("authority\ngot  %s\nwant %s", got, test.ns)
				}
				var want []uint16
				if test.ede != 0 {
					want = []uint16{test.ede}
				}
				if got := codes(reply); !slices.Equal(got, want) {
					t.Errorf("extended errors %v, want %v", got, want)
				}
			})
		})
	}
}

func TestExchangeWithoutRecursion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, clientWorld)
		r := in.Resolver(t)
		exchanged(t, r, ask("alias.shop.example.", dns.TypeA))
		in.ResetLog()
		time.Sleep(100 * time.Second)
		reply := exchanged(t, r, ask("alias.shop.example.", dns.TypeA, withoutRD))
		if got, want := types(reply.Answer), "alias.shop.example. CNAME, next.shop.example. CNAME, www.shop.example. A"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := reply.Answer[0].Header().Ttl; got != 200 {
			t.Errorf("TTL %d after 100 of 300 s, want 200", got)
		}
		exchanged(t, r, ask("other.shop.example.", dns.TypeA, withoutRD))
		priming := resolvertest.Name(".") // of the first question, in the background
		if n := in.Count(resolvertest.Not(priming)); n != 0 {
			t.Errorf("RD=0 caused %d queries:\n%s", n, resolvertest.Table(in.Log()))
		}
	})
}

// The letter case of the question comes back, in the question and at its name.
func TestExchangeLetterCase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, clientWorld).Resolver(t)
		for range 2 { // from the servers, then out of the cache
			reply := exchanged(t, r, ask("aLiAs.SHOP.example.", dns.TypeA))
			if got, want := types(reply.Answer), "aLiAs.SHOP.example. CNAME, next.shop.example. CNAME, www.shop.example. A"; got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		if reply := exchanged(t, r, ask("alias.shop.example.", dns.TypeA)); reply.Answer[0].Header().Name != "alias.shop.example." {
			t.Errorf("another client got %s", reply.Answer[0])
		}
	})
}

func TestExchangeRefuses(t *testing.T) {
	opt := func(version uint8, owner string) func(*dns.Msg) {
		return func(m *dns.Msg) {
			o := &dns.OPT{Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeOPT, Class: 1232}}
			o.SetVersion(version)
			m.Extra = append(m.Extra, o)
		}
	}
	second := func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }
	none := func(m *dns.Msg) { m.Question = nil }
	misplaced := func(m *dns.Msg) { m.Ns = append(m.Ns, &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}) }
	opcode := func(n int) func(*dns.Msg) { return func(m *dns.Msg) { m.Opcode = n } }
	for _, test := range []struct {
		name  string
		query *dns.Msg
		rcode int
		ede   []uint16
	}{
		{"no question", ask("www.shop.example.", dns.TypeA, none, withEDNS), dns.RcodeFormatError, []uint16{dns.ExtendedErrorCodeOther}},
		{"two questions", ask("www.shop.example.", dns.TypeA, second, withEDNS), dns.RcodeFormatError, []uint16{dns.ExtendedErrorCodeOther}},
		{"two OPT", ask("www.shop.example.", dns.TypeA, opt(0, "."), opt(0, ".")), dns.RcodeFormatError, []uint16{dns.ExtendedErrorCodeOther}},
		{"OPT not at the root", ask("www.shop.example.", dns.TypeA, opt(0, "example.")), dns.RcodeFormatError, []uint16{dns.ExtendedErrorCodeOther}},
		{"OPT in the authority section", ask("www.shop.example.", dns.TypeA, misplaced), dns.RcodeFormatError, nil},
		{"EDNS version 1", ask("www.shop.example.", dns.TypeA, opt(1, ".")), dns.RcodeBadVers, nil},
		{"EDNS version 1 without a question", ask("www.shop.example.", dns.TypeA, none, opt(1, ".")), dns.RcodeBadVers, nil},
		{"EDNS version 255", ask("www.shop.example.", dns.TypeA, opt(255, ".")), dns.RcodeBadVers, nil},
		{"IQUERY", ask("www.shop.example.", dns.TypeA, opcode(1), withEDNS), dns.RcodeNotImplemented, []uint16{dns.ExtendedErrorCodeNotSupported}},
		{"STATUS", ask("www.shop.example.", dns.TypeA, opcode(dns.OpcodeStatus)), dns.RcodeNotImplemented, nil},
		{"NOTIFY", ask("www.shop.example.", dns.TypeSOA, opcode(dns.OpcodeNotify)), dns.RcodeNotImplemented, nil},
		{"UPDATE", ask("www.shop.example.", dns.TypeSOA, opcode(dns.OpcodeUpdate)), dns.RcodeNotImplemented, nil},
		{"class CH", ask("version.bind.", dns.TypeTXT, inClass(dns.ClassCHAOS), withEDNS), dns.RcodeRefused, []uint16{dns.ExtendedErrorCodeNotAuthoritative}},
		{"class HS", ask("www.shop.example.", dns.TypeA, inClass(dns.ClassHESIOD)), dns.RcodeRefused, nil},
		{"class ANY", ask("www.shop.example.", dns.TypeA, inClass(dns.ClassANY)), dns.RcodeRefused, nil},
		{"class NONE", ask("www.shop.example.", dns.TypeA, inClass(dns.ClassNONE)), dns.RcodeRefused, nil},
		{"AXFR", ask("shop.example.", dns.TypeAXFR, withEDNS), dns.RcodeRefused, []uint16{dns.ExtendedErrorCodeNotAuthoritative}},
		{"IXFR", ask("shop.example.", dns.TypeIXFR), dns.RcodeRefused, nil},
		{"NXNAME", ask("www.shop.example.", dns.TypeNXNAME, withEDNS), dns.RcodeFormatError, []uint16{30}},
		{"OPT as type", ask("www.shop.example.", dns.TypeOPT, withEDNS), dns.RcodeNotImplemented, []uint16{dns.ExtendedErrorCodeNotSupported}},
		{"malformed name", ask("www..example.", dns.TypeA, withEDNS), dns.RcodeFormatError, []uint16{dns.ExtendedErrorCodeOther}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, clientWorld)
				r := in.Resolver(t)
				reply, err := r.Exchange(t.Context(), test.query)
				if err != nil {
					t.Fatal(err)
				}
				if reply.Rcode != test.rcode || reply.Id != test.query.Id || !reply.Response || reply.Opcode != test.query.Opcode || len(reply.Answer) > 0 {
					t.Errorf("got\n%v\nwant %s", reply, dns.RcodeToString[test.rcode])
				}
				if got := codes(reply); !slices.Equal(got, test.ede) {
					t.Errorf("extended errors %v, want %v", got, test.ede)
				}
				if len(test.query.Question) != 1 && len(reply.Question) != 0 {
					t.Errorf("reply to %d questions has %d", len(test.query.Question), len(reply.Question))
				}
				if opt := reply.IsEdns0(); opt != nil && opt.Version() != 0 {
					t.Errorf("reply has EDNS version %d, want 0", opt.Version())
				}
				if n := in.Count(); n != 0 {
					t.Errorf("%d queries were sent:\n%s", n, resolvertest.Table(in.Log()))
				}
			})
		})
	}
}

// EDNS options of a client's query are neither returned nor sent to servers.
func TestExchangeOptionsStayHere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, clientWorld)
		const secret = "\xde\xad\xbe\xef"
		seen := make(chan string, 100)
		in.Fault("*", resolvertest.RawHook(func(query, reply []byte) []byte {
			if strings.Contains(string(query), secret) {
				seen <- "query with an option of the client's"
			}
			return reply
		}))
		r := in.Resolver(t)
		query := ask("www.shop.example.", dns.TypeA, withEDNS)
		query.IsEdns0().Option = []dns.EDNS0{
			&dns.EDNS0_LOCAL{Code: 65001, Data: []byte(secret)},
			&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 32, Address: []byte(secret)},
		}
		reply := exchanged(t, r, query)
		if got := reply.IsEdns0().Option; len(got) != 0 {
			t.Errorf("reply has options %v", got)
		}
		if len(seen) > 0 {
			t.Error(<-seen)
		}
	})
}

func TestExchangeErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, clientWorld)
		in.Fault("198.51.100.3", resolvertest.Latency(300*time.Millisecond))
		r := in.Resolver(t)
		if _, err := r.Exchange(t.Context(), nil); err == nil {
			t.Error("Exchange of nil returned no error")
		}
		response := ask("www.shop.example.", dns.TypeA)
		response.Response = true
		if reply, err := r.Exchange(t.Context(), response); err == nil || reply != nil {
			t.Errorf("Exchange of a response returned %v, %v", reply, err)
		}
		ended, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("client is gone")
		cancel(gone)
		if _, err := r.Exchange(ended, ask("www.shop.example.", dns.TypeA)); !errors.Is(err, gone) {
			t.Errorf("with an ended context: got %v, want %v", err, gone)
		}
		late, cancelLate := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancelLate()
		start := time.Now()
		if _, err := r.Exchange(late, ask("www.shop.example.", dns.TypeA)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("at the deadline: got %v, want %v", err, context.DeadlineExceeded)
		}
		if took := time.Since(start); took != 100*time.Millisecond {
			t.Errorf("returned after %v, want 100ms", took)
		}
		r.Close()
		if _, err := r.Exchange(t.Context(), ask("www.shop.example.", dns.TypeA)); !errors.Is(err, resolver.ErrClosed) {
			t.Errorf("after Close: got %v, want %v", err, resolver.ErrClosed)
		}
		if _, err := r.Exchange(t.Context(), ask("x.localhost.", dns.TypeA)); !errors.Is(err, resolver.ErrClosed) {
			t.Errorf("local name after Close: got %v, want %v", err, resolver.ErrClosed)
		}
	})
}

// The message that Exchange returns belongs to the caller: changing it changes nothing for
// others.
func TestExchangeReplyIsOwned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, clientWorld).Resolver(t)
		exchanged(t, r, ask("www.shop.example.", dns.TypeA, withDO))
		first := exchanged(t, r, ask("www.shop.example.", dns.TypeA, withDO))
		want := first.String()
		id := first.Id
		for _, rr := range first.Answer {
			rr.Header().Name, rr.Header().Ttl = "evil.example.", 1
			if a, ok := rr.(*dns.A); ok {
				copy(a.A, "\xcb\x00\x71\x42")
			}
		}
		second := exchanged(t, r, ask("www.shop.example.", dns.TypeA, withDO))
		second.Id = id
		if got := second.String(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// FuzzExchange: whatever query arrives, the reply packs and belongs to it.
func FuzzExchange(f *testing.F) {
	seed := func(query *dns.Msg) {
		query.Id = 4711
		packed, err := query.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(packed)
	}
	seed(ask("alias.shop.example.", dns.TypeA, withDO))                              // an alias chain
	seed(ask("WWW.shop.example.", dns.TypeANY))                                      // letter case, several RRsets
	seed(ask("nx.shop.example.", dns.TypeMX, withAD))                                // a denial
	seed(ask("www.broken.example.", dns.TypeA, withEDNS))                            // bogus
	seed(ask("localhost.", dns.TypeAAAA, withEDNS))                                  // a special-use name
	seed(ask("1.0.0.10.in-addr.arpa.", dns.TypePTR, withCD))                         // a local reverse zone
	seed(ask("shop.example.", dns.TypeAXFR, withoutRD))                              // no data type
	seed(ask("version.bind.", dns.TypeTXT, inClass(dns.ClassCHAOS)))                 // another class
	seed(ask(`\000\.\255.shop.example.`, 65280))                                     // bytes that need escapes, unknown type
	seed(ask(strings.Repeat("a.", 120)+"shop.example.", dns.TypeA))                  // a long name
	seed(ask("www.shop.example.", dns.TypeA, withEDNS, withEDNS))                    // two OPT records
	seed(ask("www.shop.example.", dns.TypeA, func(m *dns.Msg) { m.Opcode = 15 }))    // another opcode
	seed(ask("www.shop.example.", dns.TypeA, func(m *dns.Msg) { m.Question = nil })) // QDCOUNT 0

	in := resolvertest.New(f, clientWorld)
	r := in.Resolver(f)
	f.Fuzz(func(t *testing.T, packed []byte) {
		query := new(dns.Msg)
		if query.Unpack(packed) != nil {
			return
		}
		reply, err := r.Exchange(t.Context(), query)
		if query.Response {
			if err == nil {
				t.Fatalf("a response was answered with\n%v", reply)
			}
			return
		}
		if err != nil {
			t.Fatalf("Exchange: %v", err)
		}
		if reply.Id != query.Id || !reply.Response || reply.Opcode != query.Opcode {
			t.Errorf("header of the reply is %+v to %+v", reply.MsgHdr, query.MsgHdr)
		}
		if len(query.Question) == 1 && !slices.Equal(reply.Question, query.Question) {
			t.Errorf("question of the reply is %v, want %v", reply.Question, query.Question)
		}
		wire, err := reply.Pack()
		if err != nil {
			t.Fatalf("reply does not pack: %v\n%v", err, reply)
		}
		if err := new(dns.Msg).Unpack(wire); err != nil {
			t.Errorf("reply does not unpack: %v", err)
		}
	})
}
