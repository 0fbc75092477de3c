package resolver_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// hitWorld has every kind of answer that a cache can hold.
const hitWorld = `
-- zone shop.example. at 198.51.100.3 signed --
$TTL 300
@       SOA     ns hostmaster 1 3600 600 86400 60
www     A       192.0.2.80
www     A       192.0.2.81
www     TXT     "a text"
alias   CNAME   www
far     CNAME   alias.plain.test.
lost    CNAME   missing.plain.test.
empty   CNAME   www.plain.test.
loop    CNAME   loop
*.w     A       192.0.2.82
*.c     CNAME   www
d       DNAME   shop.example.
big     TXT     "` + "%s" + `"
child   NS      ns.child
ns.child A      198.51.100.3
a.name.of.many.labels A 192.0.2.83
-- zone nsec3.example. at 198.51.100.6 signed nsec3 --
$TTL 200
@       SOA     ns hostmaster 1 3600 600 86400 100
www     AAAA    2001:db8::80
*.w     A       192.0.2.82
-- zone compact.example. at 198.51.100.7 signed compact --
www     A       192.0.2.84
-- zone plain.test. at 198.51.100.5 --
www     A       192.0.2.85
alias   CNAME   www
*.w     A       192.0.2.86
`

func hitNames() []string {
	return []string{
		"www.shop.example.", "alias.shop.example.", "far.shop.example.", "lost.shop.example.", "empty.shop.example.",
		"loop.shop.example.", "x.w.shop.example.", "x.c.shop.example.", "www.d.shop.example.", "big.shop.example.",
		"none.shop.example.", "a.name.of.many.labels.shop.example.", "name.of.many.labels.shop.example.", "shop.example.",
		"www.nsec3.example.", "x.w.nsec3.example.", "none.nsec3.example.", "www.compact.example.", "none.compact.example.",
		"www.plain.test.", "alias.plain.test.", "x.w.plain.test.", "none.plain.test.", "localhost.", "none.invalid.", "test.", ".",
	}
}

// hitQueryOf makes one of the many queries for a name.
func hitQueryOf(rnd *rand.Rand, name string, qtype uint16) *dns.Msg {
	m := new(dns.Msg).SetQuestion(spelled(rnd, name), qtype)
	m.Id = uint16(rnd.Uint32())
	m.RecursionDesired, m.CheckingDisabled, m.AuthenticatedData = rnd.IntN(4) > 0, rnd.IntN(4) == 0, rnd.IntN(2) == 0
	if rnd.IntN(3) > 0 {
		m.SetEdns0([]uint16{0, 512, 1232, 4096, 65535}[rnd.IntN(5)], rnd.IntN(2) == 0)
	}
	return m
}

// spelled returns a name in random letter case.
func spelled(rnd *rand.Rand, name string) string {
	if rnd.IntN(2) == 0 {
		return name
	}
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' && rnd.IntN(2) == 0 {
			return c - 'a' + 'A'
		}
		return c
	}, name)
}

func packed(t testing.TB, m *dns.Msg) []byte {
	t.Helper()
	message, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// readable writes a reply so that equivalent ones are equal: owners other than the name
// asked for may be spelled, as far as they share its labels, as the client did.
func readable(asked string, m *dns.Msg) string {
	m = m.Copy()
	for _, section := range [][]dns.RR{m.Answer, m.Ns} {
		for _, rr := range section {
			if h := rr.Header(); !strings.EqualFold(h.Name, asked) {
				h.Name = strings.ToLower(h.Name)
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%+v %v\n", m.MsgHdr, m.Question)
	for i, section := range [][]dns.RR{m.Answer, m.Ns, m.Extra} {
		for _, rr := range section {
			fmt.Fprintf(&b, "%d %v\n", i, rr)
		}
	}
	return b.String()
}

// Thousands of queries for cached data in every form: AppendHit returns what Exchange
// returns to the same client at the same time.
func TestAppendHitSaysWhatExchangeSays(t *testing.T) {
	types := []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeCNAME, dns.TypeSOA, dns.TypeNS, dns.TypeDS, dns.TypeDNSKEY, dns.TypeNSEC, dns.TypeMX}
	queries := 20_000
	if testing.Short() {
		queries = 5_000
	}
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, fmt.Sprintf(hitWorld, strings.Repeat("x", 255)))
		for _, change := range []func(*resolver.Options){
			func(*resolver.Options) {},
			func(o *resolver.Options) { o.Validation = resolver.ValidateOff },
			func(o *resolver.Options) { o.Limits.Aliases = 2 },
		} {
			// Prefetches would change TTLs between the two.
			r := in.Resolver(t, change, func(o *resolver.Options) { o.DisablePrefetch = true })
			rnd := rand.New(rand.NewPCG(1, 2))
			hits := 0
			buf := make([]byte, 0, 65535)
			for n := range queries {
				name, qtype := hitNames()[rnd.IntN(len(hitNames()))], types[rnd.IntN(len(types))]
				query := hitQueryOf(rnd, name, qtype)
				if n%100 == 0 {
					time.Sleep(time.Duration(rnd.IntN(10_000)) * time.Millisecond)
				}
				message := packed(t, query)
				got, ok := r.AppendHit(buf, message, 0)
				want, err := r.Exchange(t.Context(), query)
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					if len(got) != len(buf) {
						t.Fatalf("%v: no hit, but %d bytes", query, len(got))
					}
					continue
				}
				hits++
				var reply dns.Msg
				if err := reply.Unpack(got); err != nil {
					t.Fatalf("%v: %v", query, err)
				}
				var again dns.Msg // the reply of Exchange, as it arrives
				if err := again.Unpack(packed(t, want)); err != nil {
					t.Fatal(err)
				}
				if got, want := readable(query.Question[0].Name, &reply), readable(query.Question[0].Name, &again); got != want {
					t.Fatalf("AppendHit and Exchange differ for\n%v\ngot:\n%s\nwant:\n%s", query, got, want)
				}
				checkCut(t, r, message, got, query)
			}
			if hits < queries/3 {
				t.Errorf("only %d of %d queries were hits", hits, queries)
			}
		}
	})
}

// checkCut compares a whole reply with one to a client that accepts less.
func checkCut(t *testing.T, r *resolver.Resolver, message, whole []byte, query *dns.Msg) {
	t.Helper()
	const datagram = 1232
	takes := dns.MinMsgSize
	if opt := query.IsEdns0(); opt != nil {
		takes = min(max(int(opt.UDPSize()), dns.MinMsgSize), datagram)
	}
	cut, ok := r.AppendHit([]byte("before"), message, datagram)
	if !ok || !bytes.HasPrefix(cut, []byte("before")) {
		t.Fatalf("%v: a hit over TCP, none over UDP", query)
	}
	cut = cut[len("before"):]
	if len(whole) <= takes {
		if !bytes.Equal(cut, whole) {
			t.Fatalf("%v: fits into %d bytes, but is\n%x, want\n%x", query, takes, cut, whole)
		}
		return
	}
	var m dns.Msg
	if err := m.Unpack(cut); err != nil {
		t.Fatal(err)
	}
	if len(cut) > takes || !m.Truncated || m.Rcode != int(whole[3]&0xF) {
		t.Fatalf("%v: does not fit into %d bytes, but is\n%v", query, takes, &m)
	}
	wantFilled(t, &m, whole, cut, takes)
}

// wantFilled expects the first records of a whole reply in one that was cut down, and as
// many as there was room for.
func wantFilled(t *testing.T, m *dns.Msg, whole, cut []byte, takes int) {
	t.Helper()
	var all dns.Msg
	if err := all.Unpack(whole); err != nil {
		t.Fatal(err)
	}
	left, kept := append(all.Answer, all.Ns...), append(m.Answer, m.Ns...)
	for i, rr := range kept {
		if rr.String() != left[i].String() {
			t.Fatalf("record %d is\n%v, want\n%v", i, rr, left[i])
		}
	}
	if next := left[len(kept)]; len(cut)+dns.Len(next) <= takes {
		t.Fatalf("%d of %d bytes, but this was left out:\n%v", len(cut), takes, next)
	}
}

// A client that does not ask again over TCP, as musl before 1.2.4, gets the same records
// from a reply with TC that came from the cache as from one that did not.
func TestTruncatedAlike(t *testing.T) {
	var shop, cdn strings.Builder
	shop.WriteString("-- zone shop.example. --\nalias CNAME edge.site.cdn.example.\nother CNAME www\n")
	cdn.WriteString("-- zone cdn.example. --\n")
	for i := range 60 {
		fmt.Fprintf(&shop, "www A 192.0.2.%d\nmail MX %d in%d.mx.cdn.example.\n", i+1, i, i)
		fmt.Fprintf(&cdn, "edge.site A 192.0.2.%d\n", i+1)
	}
	r := resolvertest.New(t, shop.String()+cdn.String()).Resolver(t)
	for _, test := range []struct {
		name   string
		rrtype uint16
		least  int // records without EDNS
	}{
		{"www.shop.example.", dns.TypeA, 29},
		{"alias.shop.example.", dns.TypeA, 28},
		{"other.shop.example.", dns.TypeA, 28},
		{"mail.shop.example.", dns.TypeMX, 22},
	} {
		for _, edns := range []bool{false, true} {
			query := new(dns.Msg).SetQuestion(test.name, test.rrtype)
			if edns {
				query.SetEdns0(600, false)
			}
			missed := served(r, overUDP, query)
			message, ok := r.AppendHit(nil, packed(t, query), 1232)
			if !ok {
				t.Fatalf("%s: no hit", test.name)
			}
			var hit dns.Msg
			if err := hit.Unpack(message); err != nil {
				t.Fatal(err)
			}
			if !hit.Truncated || !missed.Truncated || len(missed.Answer) < test.least || len(hit.Answer) != len(missed.Answer) {
				t.Errorf("%s, EDNS %t: %d records as a hit and %d as a miss, want as many, at least %d",
					test.name, edns, len(hit.Answer), len(missed.Answer), test.least)
			}
		}
	}
}

// TestAttackLongReplies: an alias to as many bytes as fit into a message makes a reply
// whose length the two bytes before it cannot express. It is no hit, and ServeDNS sends
// what fits.
func TestAttackLongReplies(t *testing.T) {
	for _, test := range []struct {
		about string
		last  int // bytes of the last text
		hit   bool
	}{
		{"as long as a message", 227, true},
		{"too long", 228, false},
	} {
		const texts = 250 // all others have 249 bytes
		var zones strings.Builder
		zones.WriteString("-- zone evil.example. --\nx CNAME y.evil.test.\n-- zone evil.test. --\n")
		for i := range texts - 1 {
			fmt.Fprintf(&zones, "y TXT %0249d\n", i)
		}
		fmt.Fprintf(&zones, "y TXT %0*d\n", test.last, texts)
		r := resolvertest.New(t, zones.String()).Resolver(t, func(o *resolver.Options) {
			o.Cache = cache.New(cache.Options{MaxEntry: 1 << 17})
		})
		query := new(dns.Msg).SetQuestion("x.evil.example.", dns.TypeTXT)
		missed := served(r, overTCP, query)
		if wire := packed(t, missed); len(wire) > dns.MaxMsgSize || missed.Truncated == test.hit {
			t.Errorf("%s: ServeDNS answers with %d bytes and %d records, TC %t", test.about, len(wire), len(missed.Answer), missed.Truncated)
		}
		for _, size := range []int{0, dns.MaxMsgSize, 1 << 20} {
			message, ok := r.AppendHit([]byte("before"), packed(t, query), size)
			if ok != test.hit || len(message)-len("before") > dns.MaxMsgSize || !ok && string(message) != "before" {
				t.Errorf("%s, size %d: hit %t with %d bytes, want %t", test.about, size, ok, len(message), test.hit)
			}
		}
		if message, ok := r.AppendHit(nil, packed(t, query), 1232); !ok || len(message) > dns.MinMsgSize {
			t.Errorf("%s, as a datagram: hit %t with %d bytes", test.about, ok, len(message))
		}
	}
}

// The queries that AppendHit leaves to Exchange, though the cache has the answer.
func TestAppendHitLeavesToOthers(t *testing.T) {
	plain := func() *dns.Msg { return new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA) }
	edns := func(change func(*dns.OPT)) *dns.Msg {
		m := plain()
		m.SetEdns0(1232, true)
		change(m.IsEdns0())
		return m
	}
	with := func(change func(*dns.Msg)) *dns.Msg {
		m := plain()
		change(m)
		return m
	}
	in := resolvertest.New(t, fmt.Sprintf(hitWorld, "x"))
	r := in.Resolver(t)
	if _, err := r.Resolve(t.Context(), "www.shop.example.", dns.TypeA); err != nil {
		t.Fatal(err)
	}
	for about, message := range map[string][]byte{
		"nothing":        nil,
		"a header":       packed(t, plain())[:12],
		"cut off":        packed(t, plain())[:20],
		"more behind it": append(packed(t, plain()), 0),
		"a response":     packed(t, with(func(m *dns.Msg) { m.Response = true })),
		"another opcode": packed(t, with(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify })),
		"truncated":      packed(t, with(func(m *dns.Msg) { m.Truncated = true })),
		"Z":              packed(t, with(func(m *dns.Msg) { m.Zero = true })),
		"an RCODE":       packed(t, with(func(m *dns.Msg) { m.Rcode = 1 })),
		"another class":  packed(t, with(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS })),
		"any class":      packed(t, with(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY })),
		"two questions":  packed(t, with(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) })),
		"no question":    packed(t, with(func(m *dns.Msg) { m.Question = nil })),
		"an answer": packed(t, with(func(m *dns.Msg) {
			m.Answer = append(m.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeTXT, Class: 1}})
		})),
		"no OPT": packed(t, with(func(m *dns.Msg) {
			m.Extra = append(m.Extra, &dns.TXT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeTXT, Class: 1}})
		})),
		"ANY":             packed(t, with(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeANY })),
		"AXFR":            packed(t, with(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR })),
		"EDNS version 1":  packed(t, edns(func(o *dns.OPT) { o.SetVersion(1) })),
		"EDNS flags":      packed(t, edns(func(o *dns.OPT) { o.SetZ(1) })),
		"a cookie":        packed(t, edns(func(o *dns.OPT) { o.Option = append(o.Option, &dns.EDNS0_COOKIE{Cookie: "0011223344556677"}) })),
		"NSID":            packed(t, edns(func(o *dns.OPT) { o.Option = append(o.Option, &dns.EDNS0_NSID{}) })),
		"padding":         packed(t, edns(func(o *dns.OPT) { o.Option = append(o.Option, &dns.EDNS0_PADDING{Padding: make([]byte, 8)}) })),
		"OPT of a name":   packed(t, edns(func(o *dns.OPT) { o.Hdr.Name = "a." })),
		"two OPT":         packed(t, with(func(m *dns.Msg) { m.SetEdns0(1232, true); m.Extra = append(m.Extra, m.Extra[0]) })),
		"a pointer":       append([]byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xC0, 12}, 0, 1, 0, 1),
		"a name too long": append(append([]byte{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte{1, 'a'}, 130)...), 0, 0, 1, 0, 1),
		"what is unknown": packed(t, with(func(m *dns.Msg) { m.Question[0].Name = "new.shop.example." })),
		"a local name":    packed(t, with(func(m *dns.Msg) { m.Question[0].Name = "localhost." })),
	} {
		if got, ok := r.AppendHit(nil, message, 0); ok || len(got) > 0 {
			t.Errorf("%s: got %x, %v; want no hit", about, got, ok)
		}
	}
	if _, ok := r.AppendHit(nil, packed(t, plain()), 0); !ok {
		t.Error("the plain query is no hit")
	}
	r.Close()
	if _, ok := r.AppendHit(nil, packed(t, plain()), 0); ok {
		t.Error("a hit after Close")
	}
}

// A hit allocates nothing, in any variant. All allocations of the process are counted, so that nothing
// else may be at work.
func TestAppendHitDoesNotAllocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, fmt.Sprintf(hitWorld, "x"))
		r := in.Resolver(t, func(o *resolver.Options) { o.Now = nil })
		buf := make([]byte, 0, 65535)
		rnd := rand.New(rand.NewPCG(3, 4))
		for _, name := range []string{
			"shop.example.", "www.shop.example.", "alias.shop.example.", "far.shop.example.", "lost.shop.example.", "none.shop.example.",
			"x.w.nsec3.example.", "none.compact.example.", "a.name.of.many.labels.shop.example.",
		} {
			for range 16 {
				query := hitQueryOf(rnd, name, dns.TypeA)
				query.RecursionDesired = true
				if _, err := r.Exchange(t.Context(), query); err != nil {
					t.Fatal(err)
				}
				message := packed(t, query)
				synctest.Wait()
				for _, size := range []int{0, 1232, 40} {
					hit := true
					allocs := testing.AllocsPerRun(20, func() {
						_, ok := r.AppendHit(buf, message, size)
						hit = hit && ok
					})
					if allocs != 0 || !hit {
						t.Errorf("%v, %d bytes: %v allocations, hit %v; want 0, true", query, size, allocs, hit)
					}
				}
			}
		}
	})
}

// Hits keep a name alive as other questions do, and are counted.
func TestAppendHitPrefetches(t *testing.T) {
	inWorld(t, prefetchWorld, func(w *world) {
		w.ask("alias.shop.example.", dns.TypeA)
		w.in.ResetLog()
		query := packed(t, new(dns.Msg).SetQuestion("alias.shop.example.", dns.TypeA))
		before := w.r.Stats()
		const seconds = 1000
		for i := range seconds {
			if _, ok := w.r.AppendHit(nil, query, 0); !ok {
				t.Fatalf("no hit after %d s", i)
			}
			time.Sleep(time.Second)
		}
		after := w.r.Stats()
		if n := after.Questions - before.Questions; n != seconds || after.FromCache-before.FromCache != seconds || after.Cache.Hits <= before.Cache.Hits {
			t.Errorf("%d questions, %d from the cache; want %d", n, after.FromCache-before.FromCache, seconds)
		}
		if n := w.in.Count(resolvertest.To("198.51.100.3")); n < 3 || n > 8 {
			t.Errorf("%d queries, want one or two in each of 3 lives", n)
		}
	}, minimiseOff)
}

// FuzzAppendHit takes any bytes for a query. A query that is answered is one that Exchange
// answers with the same RCODE and question.
func FuzzAppendHit(f *testing.F) {
	in := resolvertest.New(f, fmt.Sprintf(hitWorld, "x"))
	r := in.Resolver(f)
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, name := range hitNames() {
		query := hitQueryOf(rnd, name, dns.TypeA)
		query.RecursionDesired = true
		if _, err := r.Exchange(f.Context(), query); err != nil {
			f.Fatal(err)
		}
		f.Add(packed(f, query), 0)
		f.Add(packed(f, query), 512)
	}
	f.Fuzz(func(t *testing.T, message []byte, size int) {
		got, ok := r.AppendHit(nil, message, size)
		if !ok {
			return
		}
		var query, reply dns.Msg
		if err := query.Unpack(message); err != nil {
			t.Fatalf("answered what is no query: %x: %v", message, err)
		}
		if err := reply.Unpack(got); err != nil {
			t.Fatalf("%v: reply %x: %v", &query, got, err)
		}
		want, err := r.Exchange(t.Context(), &query)
		if err != nil {
			t.Fatalf("%v: %v", &query, err)
		}
		if reply.Rcode != want.Rcode || reply.Id != query.Id || len(reply.Question) != 1 || reply.Question[0] != query.Question[0] {
			t.Fatalf("got\n%v\nwant\n%v", &reply, want)
		}
		if size > 0 && size < 65535 && len(got) > max(size, len(message)+11) {
			t.Fatalf("%d bytes of reply, want %d at most", len(got), size)
		}
		if binary.BigEndian.Uint16(got[6:]) != uint16(len(want.Answer)) && !reply.Truncated {
			t.Fatalf("got\n%v\nwant\n%v", &reply, want)
		}
	})
}

// Features that affect answers turn the hits that they could affect into misses.
func TestAppendHitLeavesPolicyToOthers(t *testing.T) {
	hosts := []string{"www.shop.example.", "alias.shop.example.", "www.plain.test.", "far.shop.example."}
	for _, tt := range []struct {
		about  string
		change func(*resolver.Options)
		hits   []bool
	}{
		{"nothing", func(*resolver.Options) {}, []bool{true, true, true, true}},
		{"a hook", func(o *resolver.Options) {
			o.Hooks.After = func(_ context.Context, _ dns.Question, r *resolver.Result, err error) (*resolver.Result, error) {
				return r, err
			}
		}, []bool{false, false, false, false}},
		{"a filter", func(o *resolver.Options) { o.RebindingProtection = true }, []bool{false, false, false, false}},
		{"a route", func(o *resolver.Options) {
			o.Routes = []resolver.Route{{Zone: "plain.test.", Kind: resolver.RouteStub, Servers: []resolver.RouteServer{{Addr: netip.MustParseAddrPort("198.51.100.5:53")}}}}
		}, []bool{true, true, false, false}},
		{"a negative trust anchor", func(o *resolver.Options) {
			o.NegativeTrustAnchors = []resolver.NegativeTrustAnchor{{Zone: "shop.example."}}
		}, []bool{false, false, true, false}},
		{"a local zone", func(o *resolver.Options) {
			o.LocalZones = []resolver.LocalZone{{Zone: "plain.test.", Transparent: true, Records: []dns.RR{
				&dns.A{Hdr: dns.RR_Header{Name: "www.plain.test.", Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60}, A: net.IPv4(192, 0, 2, 99)},
			}}}
		}, []bool{true, true, false, false}},
	} {
		in := resolvertest.New(t, fmt.Sprintf(hitWorld, "x"))
		r := in.Resolver(t, tt.change)
		for i, host := range hosts {
			query := new(dns.Msg).SetQuestion(host, dns.TypeA)
			for range 2 {
				if _, err := r.Exchange(t.Context(), query); err != nil {
					t.Fatal(err)
				}
			}
			if got, ok := r.AppendHit(nil, packed(t, query), 0); ok != tt.hits[i] {
				t.Errorf("%s: %s: got %x, %v; want a hit: %v", tt.about, host, got, ok, tt.hits[i])
			}
		}
	}
}

// Data learnt by iteration is no hit once a route or a negative trust anchor has the name,
// and is one again without them.
func TestAppendHitAfterChange(t *testing.T) {
	in := resolvertest.New(t, fmt.Sprintf(hitWorld, "x"))
	r := in.Resolver(t)
	hosts := []string{"www.plain.test.", "far.shop.example.", "www.shop.example."}
	want := func(about string, hits ...bool) {
		t.Helper()
		for i, host := range hosts {
			query := packed(t, new(dns.Msg).SetQuestion(host, dns.TypeA))
			if got, ok := r.AppendHit(nil, query, 0); ok != hits[i] {
				t.Errorf("%s: %s: got %x, %v; want a hit: %v", about, host, got, ok, hits[i])
			}
		}
	}
	for _, host := range hosts {
		if _, err := r.Resolve(t.Context(), host, dns.TypeA); err != nil {
			t.Fatal(err)
		}
	}
	want("at first", true, true, true)
	server := []resolver.RouteServer{{Addr: netip.MustParseAddrPort("198.51.100.5:53")}}
	for _, change := range []struct {
		about string
		make  func() error
		hits  []bool
	}{
		{"with a route", func() error {
			return r.SetRoutes([]resolver.Route{{Zone: "plain.test.", Kind: resolver.RouteStub, Servers: server}})
		}, []bool{false, false, true}},
		{"without it", func() error { return r.SetRoutes(nil) }, []bool{true, true, true}},
		{"with a negative trust anchor", func() error {
			return r.SetNegativeTrustAnchors([]resolver.NegativeTrustAnchor{{Zone: "shop.example."}})
		}, []bool{true, false, false}},
		{"without it", func() error { return r.SetNegativeTrustAnchors(nil) }, []bool{true, true, true}},
	} {
		if err := change.make(); err != nil {
			t.Fatal(err)
		}
		want(change.about, change.hits...)
	}
}

// Records are rotated as Options.Rotate says. In the bubble no second begins between two replies, so that
// their TTLs are equal.
func TestAppendHitRotates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, fmt.Sprintf(hitWorld, "x"))
		turn := 0
		r := in.Resolver(t, func(o *resolver.Options) { o.Rotate = func(int) int { return turn } })
		query := new(dns.Msg).SetQuestion("www.shop.example.", dns.TypeA)
		for turn = range 5 {
			want, err := r.Exchange(t.Context(), query)
			if err != nil {
				t.Fatal(err)
			}
			message, ok := r.AppendHit(nil, packed(t, query), 0)
			var got dns.Msg
			if err := got.Unpack(message); err != nil || !ok || readable(query.Question[0].Name, &got) != readable(query.Question[0].Name, want) {
				t.Errorf("turned by %d: got %v, %v\nwant %v", turn, &got, ok, want)
			}
		}
	})
}
