package resolver_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// poisonWorld has a zone whose server turns hostile, and a victim. 203.0.113.66 is where
// the attacker wants everybody to go; its answers show that a query got there.
const poisonWorld = `
-- zone example. at 198.51.100.2 --
shop            NS    ns.shop
ns.shop         A     198.51.100.3
victim          NS    ns.victim
ns.victim       A     198.51.100.4
-- zone shop.example. at 198.51.100.3 --
@               NS    ns
ns              A     198.51.100.3
www             A     192.0.2.80
alias           CNAME www.victim.example.
mail            TXT   "no address"
sub             NS    ns.victim.example.
-- zone victim.example. at 198.51.100.4 --
@               NS    ns
ns              A     198.51.100.4
www             A     192.0.2.90
other           A     192.0.2.91
-- zone sub.shop.example. at 198.51.100.4 undelegated --
www             A     192.0.2.92
-- fault 203.0.113.66 --
replace NOERROR @ 300 IN A 203.0.113.66
set aa
`

// wantInnocent wants the right answers to questions about the victim, from the right
// servers.
func (w *world) wantInnocent() {
	w.Helper()
	w.want("www.victim.example.", dns.TypeA, 0, "www.victim.example. A 192.0.2.90")
	w.want("other.victim.example.", dns.TypeA, 0, "other.victim.example. A 192.0.2.91")
	w.want("ns.victim.example.", dns.TypeA, 0, "ns.victim.example. A 198.51.100.4")
	w.want("victim.example.", dns.TypeNS, 0, "victim.example. NS ns.victim.example.")
	w.want("www.sub.shop.example.", dns.TypeA, 0, "www.sub.shop.example. A 192.0.2.92")
	w.want("none.example.", dns.TypeA, dns.RcodeNameError)
	w.want("none.", dns.TypeA, dns.RcodeNameError)
}

// TestUnsolicitedRecords: a hostile server of shop.example. adds records to its
// replies. Nothing of them is believed, before or after the victim is known (attacks.md
// 2.2, item 9).
func TestUnsolicitedRecords(t *testing.T) {
	for _, record := range []string{
		"add answer www.victim.example. 9999 IN A 203.0.113.66",
		"add answer other.victim.example. 9999 IN A 203.0.113.66",
		"add answer victim.example. 9999 IN NS ns.evil.example.",
		"add answer example. 9999 IN NS ns.evil.example.",
		"add answer . 9999 IN NS ns.evil.example.",
		"add answer example. 9999 IN DNAME evil.example.",
		"add answer shop.example. 9999 IN NS ns.evil.example.",
		"add answer www.victim.example. 9999 IN CNAME www.shop.example.",
		"add authority victim.example. 9999 IN NS ns.shop.example.",
		"add authority victim.example. 9999 IN NS ns.evil.example.",
		"add authority example. 9999 IN NS ns.shop.example.",
		"add authority . 9999 IN NS ns.shop.example.",
		"add authority shop.example. 9999 IN NS ns.evil.shop.example.",
		"add authority sub.shop.example. 9999 IN NS ns.evil.shop.example.",
		"add authority example. 9999 IN SOA ns.evil.example. evil.example. 1 1 1 1 9999",
		"add authority victim.example. 9999 IN DS 1 13 2 00",
		"add additional www.victim.example. 9999 IN A 203.0.113.66",
		"add additional ns.victim.example. 9999 IN A 203.0.113.66",
		"add additional ns.example. 9999 IN A 203.0.113.66",
		"add additional ns1.example. 9999 IN A 203.0.113.66",
		"add additional victim.example. 9999 IN NS ns.evil.example.",
	} {
		t.Run(record, func(t *testing.T) {
			const glue = "\nadd additional ns.evil.example. 9999 IN A 203.0.113.66\nadd additional ns.evil.shop.example. 9999 IN A 203.0.113.66\n"
			// When the question is for the very name that is added, the hostile server
			// speaks of its own data; all other names are the victim's.
			inWorld(t, poisonWorld+"-- fault 198.51.100.3 --\n"+record+glue, func(w *world) {
				w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
				w.ask("mail.shop.example.", dns.TypeA)
				w.ask("none.shop.example.", dns.TypeA)
				w.want("mail.shop.example.", dns.TypeTXT, 0, `mail.shop.example. TXT "no address"`)
				w.want("alias.shop.example.", dns.TypeA, 0,
					"alias.shop.example. CNAME www.victim.example.", "www.victim.example. A 192.0.2.90")
				w.wantInnocent()
				time.Sleep(301 * time.Second)
				w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
				w.wantInnocent()
				w.count(0, resolvertest.To("203.0.113.66"))
			}, ipv4Only)
		})
	}
}

// TestNothingGoesToTheAttacker: whole rounds of questions, and not one packet to the
// address that hostile records name.
func TestNothingGoesToTheAttacker(t *testing.T) {
	for _, fault := range []string{
		// Promiscuous NS beside an answer (CVE-2025-11411), of the zone itself.
		"add authority shop.example. 9999 IN NS ns.evil.example.\nadd additional ns.evil.example. 9999 IN A 203.0.113.66",
		"add authority shop.example. 9999 IN NS ns.shop.example.\nadd additional ns.shop.example. 9999 IN A 203.0.113.66",
		// Of the parent and of the root.
		"add authority example. 9999 IN NS ns.shop.example.\nadd additional ns.shop.example. 9999 IN A 203.0.113.66",
		"add authority . 9999 IN NS ns.shop.example.\nadd additional ns.shop.example. 9999 IN A 203.0.113.66",
		// Of a zone below beside an answer.
		"when name www.shop.example.: add authority www.shop.example. 9999 IN NS ns.shop.example.\nadd additional ns.shop.example. 9999 IN A 203.0.113.66",
	} {
		t.Run(fault, func(t *testing.T) {
			inWorld(t, poisonWorld+"-- fault 198.51.100.3 --\n"+fault+"\n", func(w *world) {
				for i := range 5 {
					w.r.Resolve(w.Context(), "www.shop.example.", dns.TypeA)
					w.r.Resolve(w.Context(), fmt.Sprintf("n%d.shop.example.", i), dns.TypeA)
					w.r.Resolve(w.Context(), "mail.shop.example.", dns.TypeA)
					w.r.Resolve(w.Context(), fmt.Sprintf("n%d.victim.example.", i), dns.TypeA)
					w.r.Resolve(w.Context(), fmt.Sprintf("n%d.example.", i), dns.TypeA)
					w.r.Resolve(w.Context(), fmt.Sprintf("n%d.", i), dns.TypeA)
					time.Sleep(301 * time.Second)
				}
				w.count(0, resolvertest.To("203.0.113.66"))
			}, ipv4Only)
		})
	}
}

// TestCNAMETail: behind a CNAME stands the attacker's address for its target, in one
// message; five other libraries in this language return it.
func TestCNAMETail(t *testing.T) {
	for _, first := range []bool{true, false} {
		inWorld(t, poisonWorld+"-- fault 198.51.100.3 --\nwhen name alias.shop.example.: add answer www.victim.example. 9999 IN A 203.0.113.66\n", func(w *world) {
			if !first {
				w.wantInnocent()
			}
			for range 2 {
				w.want("alias.shop.example.", dns.TypeA, 0,
					"alias.shop.example. CNAME www.victim.example.", "www.victim.example. A 192.0.2.90")
			}
			w.wantInnocent()
			w.count(0, resolvertest.To("203.0.113.66"))
		}, ipv4Only)
	}
	// A chain through the victim's zone and back, all in one message.
	inWorld(t, poisonWorld+`
-- fault 198.51.100.3 --
when name alias.shop.example.: replace NOERROR alias.shop.example. 300 IN CNAME other.victim.example.
when name alias.shop.example.: add answer other.victim.example. 9999 IN CNAME www.shop.example.
when name alias.shop.example.: add answer www.shop.example. 9999 IN A 203.0.113.66
set aa
`, func(w *world) {
		w.want("alias.shop.example.", dns.TypeA, 0,
			"alias.shop.example. CNAME other.victim.example.", "other.victim.example. A 192.0.2.91")
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
		w.wantInnocent()
	}, ipv4Only)
}

// TestDNAMEOutsideTheZone: a server may not speak for a DNAME above the zone asked.
func TestDNAMEOutsideTheZone(t *testing.T) {
	for _, owner := range []string{"example.", ".", "victim.example."} {
		inWorld(t, poisonWorld+"-- fault 198.51.100.3 --\nwhen below none.shop.example.: replace NOERROR "+owner+" 9999 IN DNAME evil.test.\nset aa\n", func(w *world) {
			o := w.ask("none.shop.example.", dns.TypeA)
			if o.err == nil && len(o.Answer) > 0 {
				w.Errorf("DNAME at %s: got %v, want it not to be believed", owner, o)
			}
			w.wantInnocent()
		}, ipv4Only)
	}
}

// TestHostileReferrals: those that lead nowhere or elsewhere come from lame servers, which
// are passed over.
func TestHostileReferrals(t *testing.T) {
	for name, records := range map[string]string{
		"upward":         "add authority . 300 IN NS ns.evil.example.",
		"to the parent":  "add authority example. 300 IN NS ns.evil.example.",
		"to itself":      "add authority shop.example. 300 IN NS ns.evil.example.",
		"sideways":       "add authority victim.example. 300 IN NS ns.evil.example.",
		"not towards":    "add authority other.shop.example. 300 IN NS ns.evil.shop.example.",
		"of many owners": "add authority www.shop.example. 300 IN NS ns.evil.shop.example.\nadd authority a.www.shop.example. 300 IN NS ns.evil.shop.example.",
	} {
		t.Run(name, func(t *testing.T) {
			text := poisonWorld + "-- fault 198.51.100.3 --\nreplace NOERROR\nclear aa\n" + records +
				"\nadd additional ns.evil.example. 300 IN A 203.0.113.66\nadd additional ns.evil.shop.example. 300 IN A 203.0.113.66\n"
			inWorld(t, text, func(w *world) {
				w.wantError("a.www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer).atMost(w, 8)
				w.count(0, resolvertest.To("203.0.113.66"))
				w.want("www.victim.example.", dns.TypeA, 0, "www.victim.example. A 192.0.2.90")
			}, ipv4Only, minimiseOff)
		})
	}
}

// TestLameServerIsPassedOver for one that serves the zone, and remembered.
func TestLameServerIsPassedOver(t *testing.T) {
	for _, fault := range []string{"lame upward", "lame refused", "lame not-authoritative", "rcode SERVFAIL", "rcode FORMERR", "rcode NOTIMP", "rcode NOTAUTH", "clear aa\nset ra"} {
		t.Run(fault, func(t *testing.T) {
			inWorld(t, "-- zone shop.example. at 198.51.100.3 198.51.100.4 --\nwww A 192.0.2.80\n-- fault 198.51.100.3 --\n"+fault+"\n", func(w *world) {
				for i := range 20 {
					w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
					w.want(fmt.Sprintf("n%d.shop.example.", i), dns.TypeA, dns.RcodeNameError)
					time.Sleep(time.Second)
				}
			}, ipv4Only)
		})
	}
}

// TestGlueOfAReferral: which addresses of a referral are used. The parent example. is the
// hostile one here: it may speak for the names below it and for nothing else.
func TestGlueOfAReferral(t *testing.T) {
	const text = `
-- zone example. at 198.51.100.2 --
shop            NS    ns.host.test.
-- zone shop.example. at 198.51.100.3 --
@               NS    ns.host.test.
www             A     192.0.2.80
-- zone host.test. at 198.51.100.5 --
ns              A     198.51.100.3
other           A     192.0.2.70
-- fault 203.0.113.66 --
replace NOERROR @ 300 IN A 203.0.113.66
set aa
-- fault 198.51.100.2 --
`
	for name, faults := range map[string]string{
		"out of bailiwick":       "add additional ns.host.test. 9999 IN A 203.0.113.66",
		"of a name not listed":   "add additional other.host.test. 9999 IN A 203.0.113.66\nadd additional other.example. 9999 IN A 203.0.113.66",
		"of another class":       "add additional ns.host.test. 9999 CH A 203.0.113.66",
		"of the victim's server": "add additional ns1.host.test. 9999 IN A 203.0.113.66",
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, text+faults+"\n", func(w *world) {
				w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
				w.want("ns.host.test.", dns.TypeA, 0, "ns.host.test. A 198.51.100.3")
				w.want("other.host.test.", dns.TypeA, 0, "other.host.test. A 192.0.2.70")
				w.ask("other.example.", dns.TypeA)
				w.count(0, resolvertest.To("203.0.113.66"))
			}, ipv4Only)
		})
	}
	// All of it together, and nothing ever goes to the attacker.
	inWorld(t, text+`
add additional ns.host.test. 9999 IN A 203.0.113.66
add additional other.example. 9999 IN A 203.0.113.66
`, func(w *world) {
		for i := range 20 {
			w.r.Resolve(w.Context(), fmt.Sprintf("n%d.shop.example.", i), dns.TypeA)
			w.r.Resolve(w.Context(), fmt.Sprintf("n%d.host.test.", i), dns.TypeA)
		}
		w.count(0, resolvertest.To("203.0.113.66"))
	}, ipv4Only)
}

// TestWrongSOA: the SOA of another zone makes no denial, nor one that lasts.
func TestWrongSOA(t *testing.T) {
	for name, soa := range map[string]string{
		"of the parent": "example. 9999 IN SOA ns.example. evil.example. 1 1 1 1 9999",
		"of the root":   ". 9999 IN SOA ns.example. evil.example. 1 1 1 1 9999",
		"of a sibling":  "victim.example. 9999 IN SOA ns.example. evil.example. 1 1 1 1 9999",
		"beside":        "other.shop.example. 9999 IN SOA ns.example. evil.example. 1 1 1 1 9999",
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, poisonWorld+"-- fault 198.51.100.3 --\nwhen name none.shop.example.: remove authority *\nwhen name none.shop.example.: add authority "+soa+"\n", func(w *world) {
				if o := w.ask("none.shop.example.", dns.TypeA); o.err == nil && (o.TTL > 0 || len(o.Authority) > 0) {
					w.Errorf("got %v with TTL %v and authority %v, want no SOA to be believed", o, o.TTL, o.Authority)
				}
				w.wantInnocent()
				w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
			}, ipv4Only)
		})
	}
}

// TestNameErrorIsOfTheName: NXDOMAIN for one name, from a server of its zone, denies
// neither the names beside it nor the zone.
func TestNameErrorIsOfTheName(t *testing.T) {
	inWorld(t, poisonWorld+"-- fault 198.51.100.3 --\nwhen name gone.shop.example.: replace NXDOMAIN\nwhen name gone.shop.example.: add authority shop.example. 9999 IN SOA ns.shop.example. h.shop.example. 1 1 1 1 9999\n", func(w *world) {
		w.want("gone.shop.example.", dns.TypeA, dns.RcodeNameError)
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
		w.wantInnocent()
	}, ipv4Only)
}

// TestUnsafeAddresses: not a packet goes to addresses that no public server has, whatever
// glue or a name server's zone says (attacks.md 2.3, item 25).
func TestUnsafeAddresses(t *testing.T) {
	for _, addr := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.254",
		"192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.53", "198.19.255.254", "198.51.100.53", "203.0.113.53",
		"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1", "100::1", "2001::1", "2001:2:0:1::53",
		"2001:10::1", "2001:20::1", "2001:db8::53", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1",
	} {
		a := netip.MustParseAddr(addr)
		rrtype := "AAAA"
		if a.Is4() {
			rrtype = "A"
		}
		t.Run(addr, func(t *testing.T) {
			// As glue, and as the address in a name server's own zone.
			text := fmt.Sprintf(`
-- zone . at 193.0.14.129 --
-- zone example. at 192.5.5.241 --
glue            NS  ns.glue
ns.glue         %[1]s %[2]s
far             NS  ns.host.test.
-- zone test. at 192.5.5.242 --
-- zone host.test. at 192.5.5.243 --
ns              %[1]s %[2]s
`, rrtype, addr)
			inWorld(t, text, func(w *world) {
				for _, name := range []string{"www.glue.example.", "www.far.example."} {
					w.wantError(name, dns.TypeA, resolver.ErrNoServerAddress)
					w.count(0, resolvertest.To(a.Unmap().String()))
					w.count(0, resolvertest.To(addr))
				}
				w.want("none.example.", dns.TypeA, dns.RcodeNameError) // public ones are asked
			}, func(o *resolver.Options) { o.AllowServer = nil })
		})
	}
}

// TestAllowServerIsTheOnlyJudge: with it set, addresses that are no public ones may be
// asked and public ones not; those of the hints are exempt.
func TestAllowServerIsTheOnlyJudge(t *testing.T) {
	const text = `
-- zone . at 193.0.14.129 --
-- zone example. at 10.0.0.1 --
www             A   192.0.2.80
-- zone test. at 192.5.5.242 --
`
	inWorld(t, text, func(w *world) {
		w.want("www.example.", dns.TypeA, 0, "www.example. A 192.0.2.80")
		w.wantError("www.test.", dns.TypeA, resolver.ErrNoServerAddress)
		w.count(0, resolvertest.To("192.5.5.242"))
	}, func(o *resolver.Options) { o.AllowServer = func(a netip.Addr) bool { return a.IsPrivate() } })
}
