package resolver_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// besideWorld has a DNAME; its zone is the attacker's, who would have aliases beside it lead
// somewhere else.
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
				// What is asked for by its type is what the DNAME makes.
				if o := w.ask("www.old.shop.example.", dns.TypeCNAME); o.err != nil || !slices.Equal(brief(answerRecords(o.Answer)), byDNAME[:2]) {
					t.Errorf("the alias itself: got %v, want %q", o, byDNAME[:2])
				}
			}, ipv4Only, minimiseOff)
		})
	}
}

// TestAttackAliasAndDNAMEInTurn: what the cache has of a name holds until its end, whichever
// came first; an alias that is not signed is never taken of a zone that is.
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
		inWorld(t, fmt.Sprintf(besideWorld, ""), func(w *world) {
			w.want("mail.old.shop.example.", dns.TypeA, 0, beside...)
			w.in.Fault("198.51.100.3", bare)
			w.want("www.new.shop.example.", dns.TypeA, 0, byDNAME[2])
			w.want("www.old.shop.example.", dns.TypeA, 0, byDNAME...).atMost(w, 0)
		}, ipv4Only)
	})
	t.Run("signed", func(t *testing.T) {
		inWorld(t, fmt.Sprintf(besideWorld, "signed"), func(w *world) {
			w.in.Fault("198.51.100.3", bare)
			if got := outcome(w.r.Resolve(w.Context(), "www.old.shop.example.", dns.TypeA)); got != "bogus" {
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
