package resolver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// hard is a zone that is no attack and is expensive all the same: the limits that stop
// attacks must let it through.
type hard struct {
	name, text string
	ask        string
	records    int // in the answer, signatures apart
	sends      int // at most
	took       time.Duration
}

// cdnChain is a chain of n aliases through the zones of six operators.
func cdnChain(n int) string {
	const operators = 6
	zones := make([]strings.Builder, operators)
	for i := range n + 1 {
		target := fmt.Sprintf("n%d CNAME n%d.cdn%d.example.\n", i, i+1, (i+1)%operators)
		if i == n {
			target = fmt.Sprintf("n%d A 192.0.2.80\n", i)
		}
		zones[i%operators].WriteString(target)
	}
	var b strings.Builder
	for i := range zones {
		fmt.Fprintf(&b, "-- zone cdn%d.example. at 198.51.100.%d signed --\n%s", i, 10+i, zones[i].String())
	}
	return b.String() + "-- fault * --\nlatency 20ms\n"
}

// cuts is a name below n zone cuts, each with a server of its own.
func cuts(n int) (text, name string) {
	var b strings.Builder
	name = "example."
	for i := range n {
		name = fmt.Sprintf("l%d.%s", i, name)
		fmt.Fprintf(&b, "-- zone %s at 198.51.100.%d signed --\n", name, 10+i)
	}
	b.WriteString("www A 192.0.2.80\n-- fault * --\nlatency 20ms\n")
	return b.String(), "www." + name
}

// outage is a zone at a provider with four names for its servers in as many zones, of
// which half have gone with all their servers (what Unbound's limit of five failed
// look-ups made of it is its issue 687).
func outage() string {
	var b strings.Builder
	b.WriteString("-- zone example. at 198.51.100.2 --\n")
	for i := range 12 {
		fmt.Fprintf(&b, "shop NS ns%d.provider%d.test.\n", i, i%4)
	}
	b.WriteString("-- zone shop.example. at 203.0.113.10 203.0.113.11 undelegated --\nwww A 192.0.2.80\n")
	for i := range 4 {
		fmt.Fprintf(&b, "-- zone provider%d.test. at 198.51.100.%d --\n", i, 20+i)
		for j := i; j < 12; j += 4 {
			fmt.Fprintf(&b, "ns%d A 203.0.113.%d\n", j, 10+j%2)
		}
	}
	b.WriteString("-- fault * --\nlatency 20ms\n-- fault 198.51.100.20 --\ndead\n-- fault 198.51.100.21 --\ndead\n")
	return b.String()
}

// manyNames is a zone with n names of servers.
func manyNames(n int) string {
	var b strings.Builder
	b.WriteString("-- zone attacker.example. at")
	for i := range n {
		fmt.Fprintf(&b, " 203.0.113.%d", i+1)
	}
	b.WriteString(" signed --\nwww A 192.0.2.80\n-- fault * --\nlatency 20ms\n")
	return b.String()
}

// manyAddresses is a zone with one name server that has n addresses.
func manyAddresses(n int) string {
	var glue, at strings.Builder
	for i := range n {
		fmt.Fprintf(&glue, "ns.shop A 198.51.100.%d\n", 100+i)
		fmt.Fprintf(&at, " 198.51.100.%d", 100+i)
	}
	return "-- zone example. at 198.51.100.2 --\nshop NS ns.shop\n" + glue.String() +
		"-- zone shop.example. at" + at.String() + " undelegated --\n@ NS ns\nwww A 192.0.2.80\n"
}

// TestAttackHardZones: zones that are expensive and honest resolve, within the limits that
// stop attacks, and their costs are printed beside the table of the attacks.
func TestAttackHardZones(t *testing.T) {
	deep, deepName := cuts(12)
	var big strings.Builder
	big.WriteString("-- zone attacker.example. at 203.0.113.1 signed --\n")
	for i := range 250 {
		fmt.Fprintf(&big, "www A 198.18.0.%d\n", i+1)
	}
	t.Logf("%-46s %5s %10s  %s", "honest zone", "sends", "time", "goal")
	for _, h := range []hard{
		{"13 slow servers", manyNames(13) + "-- fault attacker.example. --\nlatency 700ms\n", "www.attacker.example.", 1, 32, 5 * time.Second},
		{"40 names of servers", manyNames(40), "www.attacker.example.", 1, 12, time.Second},
		{"10 aliases across 6 zones, signed", cdnChain(10), "n0.cdn0.example.", 11, 60, 3 * time.Second},
		{"12 zone cuts deep, signed", deep, deepName, 1, 60, 3 * time.Second},
		{"large DNSKEY RRset, over TCP", "-- zone attacker.example. at 203.0.113.1 signed algorithm=8 bits=2048 ksk=1,2 zsk=1,2,3 --\nwww A 192.0.2.80\n", "www.attacker.example.", 1, 16, time.Second},
		{"RRset of 250 records", big.String(), "www.attacker.example.", 250, 16, time.Second},
		{"a name server with 20 addresses", manyAddresses(20), "www.shop.example.", 1, 12, time.Second},
		{"half of the provider is gone", outage(), "www.shop.example.", 1, 60, 8 * time.Second},
	} {
		t.Run(h.name, func(t *testing.T) {
			inWorld(t, h.text, func(w *world) {
				o := w.ask(h.ask, dns.TypeA)
				if o.err != nil {
					w.Fatalf("got %v, want %d records", o, h.records)
				}
				w.Logf("%-46s %5d %10v  <= %d, %v", h.name, o.sends, o.took.Round(time.Millisecond), h.sends, h.took)
				if got := len(brief(answerRecords(o.Answer))); got != h.records {
					w.Errorf("got %d records, want %d", got, h.records)
				}
				if o.sends > h.sends || o.took > h.took {
					w.Errorf("took %d sends and %v, want %d and %v at most:\n%s", o.sends, o.took, h.sends, h.took, resolvertest.Table(w.in.Log(notPriming)))
				}
			}, ipv4Only)
		})
	}
}

// answerRecords leaves RRSIG records out.
func answerRecords(rrs []dns.RR) []dns.RR {
	var out []dns.RR
	for _, rr := range rrs {
		if rr.Header().Rrtype != dns.TypeRRSIG {
			out = append(out, rr)
		}
	}
	return out
}
