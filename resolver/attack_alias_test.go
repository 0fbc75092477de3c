package resolver_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// besideWorld has a DNAME; its zone is the attacker's, whose aliases beside the DNAME are
// to lead somewhere else.
const besideWorld = `
-- zone shop.example. at 198.51.100.3 %s --
old             DNAME   new
www.new         A       192.0.2.80
mail.new        A       192.0.2.81
elsewhere       A       192.0.2.66
-- fault * --
latency 20ms
`

// What the names of besideWorld are.
var (
	byDNAME = []string{"old.shop.example. DNAME new.shop.example.", "www.old.shop.example. CNAME www.new.shop.example.", "www.new.shop.example. A 192.0.2.80"}
	beside  = []string{"old.shop.example. DNAME new.shop.example.", "mail.old.shop.example. CNAME mail.new.shop.example.", "mail.new.shop.example. A 192.0.2.81"}
	byCNAME = []string{"www.old.shop.example. CNAME elsewhere.shop.example.", "elsewhere.shop.example. A 192.0.2.66"}
	atOwner = []string{"old.shop.example. CNAME elsewhere.shop.example.", "elsewhere.shop.example. A 192.0.2.66"}
)

// cnameFor is an alias to elsewhere.
func cnameFor(name string) dns.RR {
	return &dns.CNAME{Hdr: dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 300}, Target: "elsewhere.shop.example."}
}

// lyingBeside makes the zone's server put another alias before what a DNAME makes: for names
// below it, and for its owner.
func lyingBeside(query, reply *dns.Msg) {
	switch name := dns.CanonicalName(query.Question[0].Name); name {
	case "www.old.shop.example.", "mail.old.shop.example.":
		reply.Answer = slices.DeleteFunc(reply.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeCNAME })
		reply.Answer = append([]dns.RR{cnameFor(name)}, reply.Answer...)
	case "old.shop.example.":
		dname, _ := dns.NewRR("old.shop.example. 300 IN DNAME new.shop.example.")
		reply.Answer, reply.Ns = []dns.RR{cnameFor(name), dname}, nil
	}
}

// TestAttackAliasBesideDNAME: where a DNAME and another alias are in one message, the DNAME
// counts for the names below its owner, and the alias for the owner itself; asked for by
// many at once, from the servers and out of the cache, each name has one and the same
// answer, and no chain is of both (attacks.md 21, CVE-2026-12617).
func TestAttackAliasBesideDNAME(t *testing.T) {
	for _, words := range []string{"", "signed"} {
		t.Run("zone "+words, func(t *testing.T) {
			inWorld(t, fmt.Sprintf(besideWorld, words), func(w *world) {
				w.in.Fault("198.51.100.3", resolvertest.Hook(lyingBeside))
				want := map[string][]string{"www.old.shop.example.": byDNAME, "mail.old.shop.example.": beside, "old.shop.example.": atOwner}
				if words == "signed" {
					delete(want, "old.shop.example.") // that one is bogus: its CNAME is not signed
				}
				for range 2 { // at once, and out of the cache
					var all sync.WaitGroup
					for range 30 {
						for name, records := range want {
							all.Go(func() {
								result, err := w.r.Resolve(w.Context(), name, dns.TypeA)
								if err != nil || !slices.Equal(brief(answerRecords(result.Answer)), records) {
									t.Errorf("%s: got %v, %v, want %q", name, result, err, records)
								}
							})
						}
						all.Go(func() { w.r.Resolve(w.Context(), "old.shop.example.", dns.TypeA) })
					}
					all.Wait()
				}
				if got := w.in.Count(resolvertest.To("198.51.100.3"), resolvertest.Type(dns.TypeA)); got > 8 {
					t.Errorf("got %d queries for 7 names:\n%s", got, resolvertest.Table(w.in.Log()))
				}
				// A question for type CNAME gets the CNAME that the DNAME makes.
				if o := w.ask("www.old.shop.example.", dns.TypeCNAME); o.err != nil || !slices.Equal(brief(answerRecords(o.Answer)), byDNAME[:2]) {
					t.Errorf("the alias itself: got %v, want %q", o, byDNAME[:2])
				}
			}, ipv4Only, minimiseOff)
		})
	}
}

// TestAttackAliasAndDNAMEInTurn: what the cache has of a name holds until its end, whichever
// came first, the DNAME if the reply with it could not be forged; an alias that is not signed
// is never taken of a zone that is.
func TestAttackAliasAndDNAMEInTurn(t *testing.T) {
	bare := resolvertest.Hook(func(query, reply *dns.Msg) {
		if name := dns.CanonicalName(query.Question[0].Name); name == "www.old.shop.example." {
			reply.Answer, reply.Ns = []dns.RR{cnameFor(name)}, nil
		}
	})
	t.Run("alias first", func(t *testing.T) {
		inWorld(t, fmt.Sprintf(besideWorld, ""), func(w *world) {
			w.in.Fault("198.51.100.3", bare)
			w.want("www.old.shop.example.", dns.TypeA, 0, byCNAME...)
			w.in.Fault("198.51.100.3", resolvertest.Mend())
			w.want("mail.old.shop.example.", dns.TypeA, 0, beside...)
			w.want("www.old.shop.example.", dns.TypeA, 0, byCNAME...).atMost(w, 0)
			time.Sleep(301 * time.Second)
			w.want("www.old.shop.example.", dns.TypeA, 0, byDNAME...)
		}, ipv4Only)
	})
	t.Run("DNAME first", func(t *testing.T) {
		inWorld(t, fmt.Sprintf(besideWorld, "")+"-- fault 198.51.100.3 --\ncookies\n", func(w *world) {
			w.want("mail.old.shop.example.", dns.TypeA, 0, beside...)
			w.in.Fault("198.51.100.3", bare)
			w.want("www.new.shop.example.", dns.TypeA, 0, byDNAME[2])
			w.want("www.old.shop.example.", dns.TypeA, 0, byDNAME...).atMost(w, 0)
		}, ipv4Only)
	})
	t.Run("signed", func(t *testing.T) {
		inWorld(t, fmt.Sprintf(besideWorld, "signed"), func(w *world) {
			w.in.Fault("198.51.100.3", bare)
			if got := exchangeResult(w.r.Resolve(w.Context(), "www.old.shop.example.", dns.TypeA)); got != "bogus" {
				t.Errorf("got %s, want bogus", got)
			}
			w.in.Fault("198.51.100.3", resolvertest.Mend())
			if o := w.ask("mail.old.shop.example.", dns.TypeA); o.err != nil || !slices.Equal(brief(answerRecords(o.Answer)), beside) {
				t.Errorf("beside it: got %v, want %q", o, beside)
			}
			time.Sleep(afterRefusal)
			if o := w.ask("www.old.shop.example.", dns.TypeA); o.err != nil || !slices.Equal(brief(answerRecords(o.Answer)), byDNAME) {
				t.Errorf("then: got %v, want %q", o, byDNAME)
			}
		}, ipv4Only)
	})
}

// forgedAliases are replies for one name, or for a type of one, that would lead bank.shop.example.
// to the attacker.
var forgedAliases = []struct {
	about string
	rnd   string
	qtype uint16
	lie   []string
	// follows is what the caller gets: the chain is followed as ever.
	follows []string
}{
	{
		"a DNAME above the name", "rnd.shop.example.", dns.TypeA,
		[]string{"shop.example. 9999 IN DNAME evil.test."},
		[]string{"shop.example. DNAME evil.test.", "rnd.shop.example. CNAME rnd.evil.test.", "rnd.evil.test. A 203.0.113.66"},
	},
	{
		"the second alias of a chain", "rnd.shop.example.", dns.TypeA,
		[]string{"rnd.shop.example. 9999 IN CNAME bank.shop.example.", "bank.shop.example. 9999 IN CNAME rnd.evil.test."},
		[]string{"rnd.shop.example. CNAME bank.shop.example.", "bank.shop.example. CNAME rnd.evil.test.", "rnd.evil.test. A 203.0.113.66"},
	},
	{
		"a DNAME asked for", "shop.example.", dns.TypeDNAME,
		[]string{"shop.example. 9999 IN DNAME evil.test."},
		[]string{"shop.example. DNAME evil.test."},
	},
	{
		"a DNAME in an answer to ANY", "rnd.shop.example.", dns.TypeANY,
		[]string{"shop.example. 9999 IN DNAME evil.test."},
		[]string{"shop.example. DNAME evil.test.", "rnd.shop.example. CNAME rnd.evil.test."},
	},
}

// bankWorld has a zone that an attacker forges replies of, and the zone that the forged
// aliases lead to.
const bankWorld = `
-- zone shop.example. at 198.51.100.3 --
bank            A       192.0.2.80
www.bank        A       192.0.2.81
-- zone evil.test. at 198.51.100.66 --
*               A       203.0.113.66
-- fault 198.51.100.3 --
`

// TestAttackAliasesOfOthers: an attacker that guesses one reply over UDP, with random names
// for as many tries as it wants, redirects the name of that reply and no other (attacks.md
// 41). What came over TCP, or with a cookie, is kept for all names that it applies to.
func TestAttackAliasesOfOthers(t *testing.T) {
	for _, forged := range forgedAliases {
		for fault, vouched := range map[string]bool{"": false, "cookies": true, "when udp: truncate": true} {
			held := cache.New(cache.Options{})
			inWorld(t, bankWorld+fault+"\n", func(w *world) {
				w.ask("none.shop.example.", dns.TypeMX)
				w.ask("none.evil.test.", dns.TypeMX)
				w.in.Fault("198.51.100.3", resolvertest.Hook(func(query, reply *dns.Msg) {
					if dns.CanonicalName(query.Question[0].Name) == forged.rnd {
						reply.Rcode, reply.Authoritative, reply.Answer, reply.Ns = 0, true, nil, nil
						for _, line := range forged.lie {
							rr, err := dns.NewRR(line)
							if err != nil {
								panic(err)
							}
							reply.Answer = append(reply.Answer, rr)
						}
					}
				}))
				before := w.held(held)
				o := w.want(forged.rnd, forged.qtype, 0, forged.follows...)
				// Kept: the answer for this name, and the denial, proof or address behind it.
				if !vouched {
					got := cost{o.sends, w.in.Count(target), len(w.held(held)) - len(before), o.took}
					wantCost(w.T, "one forged reply: "+forged.about, got, cost{2, 1, 2, 100 * time.Millisecond})
				}
				w.want(forged.rnd, forged.qtype, 0, forged.follows...).atMost(w, 0)
				for range 2 {
					o = w.ask("bank.shop.example.", dns.TypeA)
					led := o.err == nil && len(o.Answer) != 1
					if led != (vouched && forged.qtype != dns.TypeANY || vouched && strings.Contains(forged.lie[0], "DNAME")) {
						w.Errorf("%s, fault %q: bank is %v", forged.about, fault, o)
					}
				}
				if !vouched {
					w.want("www.bank.shop.example.", dns.TypeA, 0, "www.bank.shop.example. A 192.0.2.81")
					w.want(forged.rnd, forged.qtype, 0, forged.follows...).atMost(w, 0)
				}
			}, ipv4Only, minimiseOff, func(o *resolver.Options) { o.Cache = held })
		}
	}
}

// TestAttackReferralOfOthers: a forged referral for a name that is known to be no zone cut,
// for which each random name below it would be a try, makes the question go over TCP and
// delegates nothing. A true one is followed: over TCP, or where that fails because it is
// the same from another port (attacks.md 41).
func TestAttackReferralOfOthers(t *testing.T) {
	const lie = "-- fault 198.51.100.3 --\nwhen udp: forge 1 replace NOERROR; clear aa; add authority bank.shop.example. 9999 IN NS ns.evil.test.\n"
	held := cache.New(cache.Options{})
	inWorld(t, bankWorld, func(w *world) {
		w.want("bank.shop.example.", dns.TypeA, 0, "bank.shop.example. A 192.0.2.80")
		before := w.held(held)
		if err := w.in.Update(lie); err != nil {
			t.Fatal(err)
		}
		o := w.want("rnd.bank.shop.example.", dns.TypeA, dns.RcodeNameError)
		got := cost{o.sends, w.in.Count(resolvertest.To("198.51.100.66")), len(w.held(held)) - len(before), o.took}
		wantCost(w.T, "one forged referral", got, cost{2, 0, 1, 100 * time.Millisecond})
		w.count(1, target, resolvertest.Over("tcp"))
		if n := w.r.Stats().Dropped[resolver.DroppedReferral]; n != 1 {
			t.Errorf("Stats count %d referrals dropped, want 1", n)
		}
		w.in.Fault("198.51.100.3", resolvertest.Mend())
		w.want("www.bank.shop.example.", dns.TypeA, 0, "www.bank.shop.example. A 192.0.2.81")
		w.count(0, resolvertest.To("198.51.100.66"))
	}, ipv4Only, func(o *resolver.Options) { o.Cache = held })
	for fault, sends := range map[string][2]int{
		"":                 {1, 1},
		"when tcp: drop":   {2, 1},
		"when tcp: refuse": {2, 1},
		"cookies":          {1, 0},
	} {
		inWorld(t, bankWorld+fault+"\n", func(w *world) {
			w.want("bank.shop.example.", dns.TypeA, 0, "bank.shop.example. A 192.0.2.80")
			if err := w.in.Update(`
-- zone shop.example. at 198.51.100.3 --
bank            NS      ns.bank
ns.bank         A       198.51.100.5
-- zone bank.shop.example. at 198.51.100.5 undelegated --
new             A       192.0.2.82
`); err != nil {
				t.Fatal(err)
			}
			w.want("new.bank.shop.example.", dns.TypeA, 0, "new.bank.shop.example. A 192.0.2.82")
			w.count(sends[0], target, resolvertest.Over("udp"))
			w.count(sends[1], target, resolvertest.Over("tcp"))
			w.want("bank.shop.example.", dns.TypeMX, 0)
			w.count(0, target) // there is a zone cut now
		}, ipv4Only)
	}
}

// hostedWorld has zones that all are on one host, which is named in a zone of its own.
func hostedWorld(fault string) string {
	var text strings.Builder
	text.WriteString("-- zone example. at 198.51.100.2 --\n-- zone host.example. at 198.51.100.3 --\n" +
		"-- zone evil.test. at 198.51.100.66 --\n-- fault * --\n" + fault + "\n")
	for i := range 8 {
		fmt.Fprintf(&text, "-- zone bank%d.test. at 198.51.100.3 --\n@ NS ns1.host.example.\nwww A 192.0.2.80\n", i)
	}
	return text.String()
}

// glueOf makes a server delegate a name to a host, with an address that the host may not have.
func glueOf(name, host, addr string) resolvertest.Fault {
	return resolvertest.Hook(func(query, reply *dns.Msg) {
		if dns.CanonicalName(query.Question[0].Name) != name {
			return
		}
		header := func(owner string, rrtype uint16) dns.RR_Header {
			return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: 9999}
		}
		reply.Rcode, reply.Authoritative, reply.Answer = 0, false, nil
		reply.Ns = []dns.RR{&dns.NS{Hdr: header(name, dns.TypeNS), Ns: host}}
		reply.Extra = append(reply.Extra, &dns.A{Hdr: header(host, dns.TypeA), A: net.ParseIP(addr)})
	})
}

// TestAttackGlueOfOthers: an attacker that guesses one referral of a random name, of which
// there are as many as it wants, gets that name, and none of the zones on the host whose
// address it forged (attacks.md 41). Addresses that cannot have been guessed spare others
// the look-up.
func TestAttackGlueOfOthers(t *testing.T) {
	for _, from := range []struct{ server, rnd string }{
		{"198.51.100.3", "rnd.host.example."}, // beside what the delegation of host.example. taught
		{"198.51.100.2", "rnd.example."},      // before it was heard of
	} {
		held := cache.New(cache.Options{})
		inWorld(t, hostedWorld(""), func(w *world) {
			w.ask("none."+from.rnd[len("rnd."):], dns.TypeMX)
			w.ask("none.evil.test.", dns.TypeMX)
			w.in.Fault(from.server, glueOf(from.rnd, "ns1.host.example.", "198.51.100.66"))
			before := w.held(held)
			o := w.ask(from.rnd, dns.TypeA)
			// Kept: the delegation that was forged, its failure, and what the host's own zone says.
			got := cost{o.sends, w.in.Count(resolvertest.To("198.51.100.66")), len(w.held(held)) - len(before), 0}
			wantCost(w.T, "one forged referral for "+from.rnd, got, cost{5, 1, 5, 0})
			for i := range 8 {
				w.want(fmt.Sprintf("www.bank%d.test.", i), dns.TypeA, 0, fmt.Sprintf("www.bank%d.test. A 192.0.2.80", i))
				w.count(0, resolvertest.To("198.51.100.66"))
			}
		}, ipv4Only, minimiseOff, func(o *resolver.Options) { o.Cache = held })
	}
	for fault, lookUps := range map[string]int{"": 1, "cookies": 0, "when udp: truncate": 0} {
		inWorld(t, hostedWorld(fault)+"-- zone rnd.example. at 198.51.100.3 undelegated --\n@ A 192.0.2.81\n", func(w *world) {
			w.in.Fault("198.51.100.2", glueOf("rnd.example.", "ns1.host.example.", "198.51.100.3"))
			w.want("rnd.example.", dns.TypeA, 0, "rnd.example. A 192.0.2.81")
			w.want("www.bank0.test.", dns.TypeA, 0, "www.bank0.test. A 192.0.2.80")
			if got := w.in.Count(resolvertest.To("198.51.100.2"), resolvertest.Type(dns.TypeA), notPriming); min(got, 1) != lookUps {
				t.Errorf("fault %q: asked %d times for the address of the host, want %d:\n%s", fault, got, lookUps, resolvertest.Table(w.in.Log()))
			}
		}, ipv4Only, minimiseOff)
	}
}

// TestAliasesKeptForOneName: a name that is an alias of an alias in the same zone is
// answered from the cache the second time, for whatever type, also by AppendHit; the alias
// itself is the chain's first.
func TestAliasesKeptForOneName(t *testing.T) {
	inWorld(t, "-- zone shop.example. at 198.51.100.3 --\na CNAME b\nb CNAME c\nc CNAME www\nwww A 192.0.2.80\n", func(w *world) {
		chain := []string{
			"a.shop.example. CNAME b.shop.example.", "b.shop.example. CNAME c.shop.example.",
			"c.shop.example. CNAME www.shop.example.", "www.shop.example. A 192.0.2.80",
		}
		w.want("a.shop.example.", dns.TypeA, 0, chain...)
		w.want("a.shop.example.", dns.TypeA, 0, chain...).atMost(w, 0)
		w.want("a.shop.example.", dns.TypeCNAME, 0, chain[0]).atMost(w, 0)
		w.want("a.shop.example.", dns.TypeMX, 0, chain[:3]...).atMost(w, 1)
		query, err := ask("a.shop.example.", dns.TypeA).Pack()
		if err != nil {
			t.Fatal(err)
		}
		reply := new(dns.Msg)
		message, ok := w.r.AppendHit(nil, query, 0)
		if !ok || reply.Unpack(message) != nil || !slices.Equal(brief(reply.Answer), chain) {
			t.Errorf("as bytes: got %v, %v, want %q", ok, reply, chain)
		}
		if query, err = ask("a.shop.example.", dns.TypeCNAME).Pack(); err != nil {
			t.Fatal(err)
		}
		if message, ok = w.r.AppendHit(nil, query, 0); ok {
			t.Errorf("the alias itself: got %x, want no hit", message)
		}
		w.want("b.shop.example.", dns.TypeA, 0, chain[1:]...).atMost(w, 1)
		w.want("a.shop.example.", dns.TypeA, 0, chain...).atMost(w, 0)
	}, ipv4Only)
}
