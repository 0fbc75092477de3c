package resolver_test

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// plainWorld has a zone two cuts below the root with in-domain glue, and one whose
// name servers are out of bailiwick, each server 20 ms away.
const plainWorld = `
-- zone shop.example. at 198.51.100.3 2001:db8::3 --
www             A     192.0.2.80
www             AAAA  2001:db8::80
mail            MX    10 www
a.ent           A     192.0.2.81
odd             TYPE65280 \# 4 0A0B0C0D
-- zone far.example. at 198.51.100.4 2001:db8::4 --
@               NS    ns1.host.test.
@               NS    ns2.host.test.
www             A     192.0.2.90
-- zone host.test. at 198.51.100.5 2001:db8::5 --
ns1             A     198.51.100.4
ns1             AAAA  2001:db8::4
ns2             A     198.51.100.4
ns2             AAAA  2001:db8::4
-- fault * --
latency 20ms
`

// TestColdSends asserts what the first question of all costs, priming apart.
func TestColdSends(t *testing.T) {
	both := func(*resolver.Options) {}
	for _, test := range []struct {
		name   string
		family func(*resolver.Options)
		sends  int
		took   time.Duration
	}{
		{"www.shop.example.", ipv4Only, 3, 60 * time.Millisecond},
		{"www.shop.example.", both, 3, 60 * time.Millisecond},
		{"www.far.example.", ipv4Only, 6, 120 * time.Millisecond},
		{"www.far.example.", both, 7, 120 * time.Millisecond},
	} {
		inWorld(t, plainWorld, func(w *world) {
			cold := w.ask(test.name, dns.TypeA)
			if cold.err != nil || len(cold.Answer) != 1 {
				w.Fatalf("%s: got %v, want an address", test.name, cold)
			}
			cold.atMost(w, test.sends).within(w, test.took)
			w.ask(test.name, dns.TypeA).atMost(w, 0).within(w, 0)
			w.settle()
			w.ask(test.name, dns.TypeA).atMost(w, 0)
		}, test.family)
	}
}

func TestKindsOfAnswer(t *testing.T) {
	const text = `
-- zone shop.example. at 198.51.100.3 --
www             A     192.0.2.80
www             AAAA  2001:db8::80
multi           A     192.0.2.1
multi           A     192.0.2.2
mail            MX    10 www
a.b.ent         A     192.0.2.81
*.wild          A     192.0.2.82
odd             TYPE65280 \# 4 0A0B0C0D
alias           CNAME www
outside         CNAME www.other.example.
outside-none    CNAME none.other.example.
outside-nodata  CNAME mail.other.example.
old             DNAME new.other.example.
sub.deep        A     192.0.2.83
\032space       A     192.0.2.84
-- zone other.example. at 198.51.100.4 --
www             A     192.0.2.90
mail            TXT   "no address"
www.new         A     192.0.2.91
-- zone a.b.c.skip.example. at 198.51.100.5 --
www             A     192.0.2.92
-- zone same.example. at 198.51.100.6 --
www             A     192.0.2.93
-- zone child.same.example. at 198.51.100.6 --
www             A     192.0.2.94
`
	for _, test := range []struct {
		name    string
		qtype   uint16
		rcode   int
		records []string
	}{
		{"www.shop.example.", dns.TypeA, 0, []string{"www.shop.example. A 192.0.2.80"}},
		{"www.shop.example", dns.TypeA, 0, []string{"www.shop.example. A 192.0.2.80"}},
		{"WWW.Shop.EXAMPLE.", dns.TypeA, 0, []string{"www.shop.example. A 192.0.2.80"}},
		{"multi.shop.example.", dns.TypeA, 0, []string{"multi.shop.example. A 192.0.2.1", "multi.shop.example. A 192.0.2.2"}},
		{"mail.shop.example.", dns.TypeMX, 0, []string{"mail.shop.example. MX 10 www.shop.example."}},
		{"mail.shop.example.", dns.TypeA, 0, nil},
		{"none.shop.example.", dns.TypeA, dns.RcodeNameError, nil},
		{"a.b.c.none.shop.example.", dns.TypeA, dns.RcodeNameError, nil},
		{"ent.shop.example.", dns.TypeA, 0, nil},
		{"b.ent.shop.example.", dns.TypeA, 0, nil},
		{"a.b.ent.shop.example.", dns.TypeA, 0, []string{"a.b.ent.shop.example. A 192.0.2.81"}},
		{"x.y.wild.shop.example.", dns.TypeA, 0, []string{"x.y.wild.shop.example. A 192.0.2.82"}},
		{`\032space.shop.example.`, dns.TypeA, 0, []string{`\ space.shop.example. A 192.0.2.84`}},
		{"odd.shop.example.", 65280, 0, []string{`odd.shop.example. TYPE65280 \# 4 0a0b0c0d`}},
		{"www.shop.example.", 65280, 0, nil},
		{"alias.shop.example.", dns.TypeA, 0, []string{"alias.shop.example. CNAME www.shop.example.", "www.shop.example. A 192.0.2.80"}},
		{"alias.shop.example.", dns.TypeCNAME, 0, []string{"alias.shop.example. CNAME www.shop.example."}},
		{"outside.shop.example.", dns.TypeA, 0, []string{"outside.shop.example. CNAME www.other.example.", "www.other.example. A 192.0.2.90"}},
		{"outside-none.shop.example.", dns.TypeA, dns.RcodeNameError, []string{"outside-none.shop.example. CNAME none.other.example."}},
		{"outside-nodata.shop.example.", dns.TypeA, 0, []string{"outside-nodata.shop.example. CNAME mail.other.example."}},
		{"www.old.shop.example.", dns.TypeA, 0, []string{
			"old.shop.example. DNAME new.other.example.",
			"www.old.shop.example. CNAME www.new.other.example.",
			"www.new.other.example. A 192.0.2.91",
		}},
		{"old.shop.example.", dns.TypeDNAME, 0, []string{"old.shop.example. DNAME new.other.example."}},
		{"old.shop.example.", dns.TypeA, 0, nil},
		{"www.old.shop.example.", dns.TypeCNAME, 0, []string{
			"old.shop.example. DNAME new.other.example.",
			"www.old.shop.example. CNAME www.new.other.example.",
		}},
		{"www.a.b.c.skip.example.", dns.TypeA, 0, []string{"www.a.b.c.skip.example. A 192.0.2.92"}},
		{"www.same.example.", dns.TypeA, 0, []string{"www.same.example. A 192.0.2.93"}},
		{"www.child.same.example.", dns.TypeA, 0, []string{"www.child.same.example. A 192.0.2.94"}},
	} {
		t.Run(test.name+"_"+dns.TypeToString[test.qtype], func(t *testing.T) {
			inWorld(t, text, func(w *world) {
				w.want(test.name, test.qtype, test.rcode, test.records...)
				w.want(test.name, test.qtype, test.rcode, test.records...).atMost(w, 0)
			})
		})
	}
}

// TestUnknownTypeIsByteIdentical: the RDATA of a type nobody knows passes untouched,
// letter case and what looks like compression included (RFC 3597 §4).
func TestUnknownTypeIsByteIdentical(t *testing.T) {
	const data = "0341626300c00cff00"
	inWorld(t, `
-- zone shop.example. at 198.51.100.3 --
odd TYPE65280 \# 9 `+data+`
`, func(w *world) {
		for range 2 {
			o := w.ask("odd.shop.example.", 65280)
			if o.err != nil || len(o.Answer) != 1 {
				w.Fatalf("got %v, want one record", o)
			}
			got, ok := o.Answer[0].(*dns.RFC3597)
			if !ok || !strings.EqualFold(got.Rdata, data) {
				w.Errorf("got %v, want RDATA %s", o.Answer[0], data)
			}
		}
	})
}

// TestNegativeHasSOA: a denial comes with the SOA that says how long it holds.
func TestNegativeHasSOA(t *testing.T) {
	inWorld(t, plainWorld, func(w *world) {
		for _, name := range []string{"none.shop.example.", "mail.shop.example."} {
			for range 2 {
				o := w.ask(name, dns.TypeA)
				if o.err != nil || len(o.Authority) != 1 || o.Authority[0].Header().Rrtype != dns.TypeSOA {
					w.Fatalf("%s: got %v with authority %v, want a SOA", name, o, o.Authority)
				}
				if o.TTL > 300*time.Second || o.TTL < 290*time.Second {
					w.Errorf("%s: got TTL %v, want the 300 s of the SOA", name, o.TTL)
				}
			}
		}
	})
}

// TestDSIsAskedAtTheParent, also where parent and child are on one server, and for a
// name that is no zone cut (RFC 4035 §3.1.4.1).
func TestDSIsAskedAtTheParent(t *testing.T) {
	const ds = "12345 13 2 3490A6806D47F17A34C29E2CE80E8A999FFBE4BE2E3F5B1D3F0A6F6F2A8D0F11"
	const text = `
-- zone example. at 198.51.100.2 --
shop            NS  ns.shop
ns.shop         A   198.51.100.3
shop            DS  ` + ds + `
plain           NS  ns.plain
ns.plain        A   198.51.100.3
-- zone shop.example. at 198.51.100.3 --
@               NS  ns
ns              A   198.51.100.3
www             A   192.0.2.80
-- zone plain.example. at 198.51.100.3 --
@               NS  ns
ns              A   198.51.100.3
-- zone same.example. at 198.51.100.2 --
www             A   192.0.2.81
child           DS  ` + ds + `
-- zone child.same.example. at 198.51.100.2 --
www             A   192.0.2.82
`
	record := strings.ToUpper(ds)
	inWorld(t, text, func(w *world) {
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80") // the cut is known now
		w.want("shop.example.", dns.TypeDS, 0, "shop.example. DS "+record)
		w.count(0, resolvertest.To("198.51.100.3"))
		w.want("plain.example.", dns.TypeDS, 0)
		w.count(0, resolvertest.To("198.51.100.3"))
		w.want("www.shop.example.", dns.TypeDS, 0)
		w.want("www.child.same.example.", dns.TypeA, 0, "www.child.same.example. A 192.0.2.82")
		w.want("child.same.example.", dns.TypeDS, 0, "child.same.example. DS "+record)
		w.want("none.example.", dns.TypeDS, dns.RcodeNameError)
	})
}

// TestANY: the records that one server returns are passed on, kept for some seconds, and
// for this question only (RFC 8482 §4.1).
func TestANY(t *testing.T) {
	inWorld(t, plainWorld, func(w *world) {
		for _, sends := range []int{3, 0} {
			o := w.ask("www.shop.example.", dns.TypeANY)
			if got := brief(o.Answer); o.err != nil || len(got) != 2 || o.TTL != cache.MaxBriefTTL*time.Second {
				w.Errorf("got %v %q for %v, want both addresses for half a minute", o, got, o.TTL)
			}
			o.atMost(w, sends)
		}
		if o := w.ask("www.shop.example.", dns.TypeA); o.sends != 1 {
			w.Errorf("A after ANY: got %d sends, want 1", o.sends)
		}
		time.Sleep((cache.MaxBriefTTL + 1) * time.Second)
		if o := w.ask("www.shop.example.", dns.TypeANY); o.sends != 1 {
			w.Errorf("ANY later: got %d sends, want 1", o.sends)
		}
	})
}

// TestReferralSkipsLabels: a delegation several labels below its parent.
func TestReferralSkipsLabels(t *testing.T) {
	inWorld(t, `
-- zone x.y.z.skip.example. at 198.51.100.5 --
www             A     192.0.2.92
`, func(w *world) {
		w.want("www.x.y.z.skip.example.", dns.TypeA, 0, "www.x.y.z.skip.example. A 192.0.2.92")
		w.want("other.x.y.z.skip.example.", dns.TypeA, dns.RcodeNameError).atMost(w, 1)
		w.want("y.z.skip.example.", dns.TypeA, 0)
	})
}

// TestMissingGlue: in-domain name servers without glue cannot be reached, others are
// looked up (RFC 9471 §2).
func TestMissingGlue(t *testing.T) {
	const text = `
-- zone example. at 198.51.100.2 --
noglue          NS  ns1.noglue
half            NS  ns1.half
half            NS  ns.host.test.
-- zone noglue.example. at 198.51.100.3 --
@               NS  ns1
ns1             A   198.51.100.3
www             A   192.0.2.80
-- zone half.example. at 198.51.100.4 --
@               NS  ns1
@               NS  ns.host.test.
ns1             A   198.51.100.4
www             A   192.0.2.81
-- zone host.test. at 198.51.100.5 --
ns              A   198.51.100.4
-- fault * --
latency 20ms
`
	inWorld(t, text, func(w *world) {
		w.want("www.half.example.", dns.TypeA, 0, "www.half.example. A 192.0.2.81")
		// One of them asks for the glue.
		w.wantError("www.noglue.example.", dns.TypeA, resolver.ErrNoServerAddress).
			within(w, 100*time.Millisecond).atMost(w, 3)
		w.count(1, resolvertest.Name("ns1.noglue.example."))
		w.count(0, resolvertest.To("198.51.100.3"))
		w.wantError("other.noglue.example.", dns.TypeA, resolver.ErrNoServerAddress).atMost(w, 0)
	})
}

// TestSiblingGlueWrong: glue for a sibling that points nowhere is overruled by what
// the sibling's own zone says, which is found when nothing else works.
func TestSiblingGlueWrong(t *testing.T) {
	const text = `
-- zone example. at 198.51.100.2 --
shop            NS  ns.host.example.
ns.host         A   198.51.100.99
host            NS  ns1.host
ns1.host        A   198.51.100.5
-- zone shop.example. at 198.51.100.3 --
@               NS  ns.host.example.
www             A   192.0.2.80
-- zone host.example. at 198.51.100.5 --
@               NS  ns1
ns1             A   198.51.100.5
ns              A   198.51.100.3
-- fault * --
latency 20ms
`
	inWorld(t, text, func(w *world) {
		// A question for the address is answered from its own zone.
		w.want("ns.host.example.", dns.TypeA, 0, "ns.host.example. A 198.51.100.3")
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80").within(w, 60*time.Millisecond)
		w.count(0, resolvertest.To("198.51.100.99"))
	}, ipv4Only)
	inWorld(t, text, func(w *world) {
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80").within(w, 5*time.Second)
	}, ipv4Only)
}

// TestGlueIsNoAnswer: addresses that came as glue may be sent to; questions for them are
// answered from their own zone (RFC 2181 §5.4.1).
func TestGlueIsNoAnswer(t *testing.T) {
	inWorld(t, `
-- zone example. at 198.51.100.2 --
shop            NS  ns.shop
ns.shop         A   198.51.100.3
-- zone shop.example. at 198.51.100.3 --
@               NS  ns
ns              A   192.0.2.53
www             A   192.0.2.80
`, func(w *world) {
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
		w.want("ns.shop.example.", dns.TypeA, 0, "ns.shop.example. A 192.0.2.53").atMost(w, 1)
		// The zone says the address of its server differently from its parent, and
		// wrongly: where nobody is, the one that worked still does.
		w.want("shop.example.", dns.TypeNS, 0, "shop.example. NS ns.shop.example.").within(w, 5*time.Second)
	}, ipv4Only)
}

// TestNSOfTheChildAnswers: the NS RRset of a referral is no answer for NS either.
func TestNSOfTheChildAnswers(t *testing.T) {
	inWorld(t, `
-- zone example. at 198.51.100.2 --
shop            NS  ns.shop
ns.shop         A   198.51.100.3
-- zone shop.example. at 198.51.100.3 --
@               NS  ns
@               NS  other
ns              A   198.51.100.3
other           A   198.51.100.3
`, func(w *world) {
		for range 2 {
			w.want("shop.example.", dns.TypeNS, 0,
				"shop.example. NS ns.shop.example.", "shop.example. NS other.shop.example.")
		}
	}, ipv4Only)
}

// TestQuestionsThatCannotBeAsked fail before anything is sent.
func TestQuestionsThatCannotBeAsked(t *testing.T) {
	long := strings.Repeat("a", 64)
	name256 := strings.Repeat(strings.Repeat("a", 63)+".", 4)
	inWorld(t, plainWorld, func(w *world) {
		for _, name := range []string{
			long + ".example.", "a..example.", name256, "..", ".example.", `a\25`, `a\256.example.`, `example\`,
		} {
			w.wantError(name, dns.TypeA, resolver.ErrName).atMost(w, 0)
		}
		for _, qtype := range []uint16{0, dns.TypeOPT, 128, 249, dns.TypeTSIG, dns.TypeIXFR, dns.TypeAXFR, dns.TypeMAILB, dns.TypeMAILA} {
			w.wantError("www.shop.example.", qtype, resolver.ErrMetaType).atMost(w, 0)
		}
		w.want(strings.Repeat(strings.Repeat("a", 63)+".", 3)+strings.Repeat("a", 53)+".example.", dns.TypeA, dns.RcodeNameError)
		w.r.Close()
		w.wantError("www.shop.example.", dns.TypeA, resolver.ErrClosed).atMost(w, 0)
	})
}

// TestEmptyAndRootNames: the root has a zone of its own.
func TestRootIsAZone(t *testing.T) {
	inWorld(t, plainWorld, func(w *world) {
		if o := w.ask(".", dns.TypeSOA); o.err != nil || len(o.Answer) != 1 {
			w.Errorf("SOA of the root: got %v", o)
		}
		w.want("none.", dns.TypeA, dns.RcodeNameError).atMost(w, 1)
		w.want("example.", dns.TypeA, 0)
	})
}
