package resolver_test

import (
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// unglued is a zone whose only server is in it, and whose parent sends the server's address
// only when asked for it: as glue, or in an answer.
const unglued = `
-- zone example. at 198.51.100.2 --
shop            600 NS  ns.shop
-- zone shop.example. at 198.51.100.3 undelegated --
@               NS  ns
ns         9999 A   198.51.100.4
www             A   192.0.2.80
mail            A   192.0.2.25
-- zone other.test. at 198.51.100.4 --
www             A   192.0.2.1
-- fault * --
latency 20ms
-- fault 198.51.100.2 --
`

func TestGlueAskedOfTheParent(t *testing.T) {
	for name, fault := range map[string]string{
		"glue":   "when name ns.shop.example.: add additional ns.shop.example. 9999 IN A 198.51.100.3\n",
		"answer": "when name ns.shop.example.: replace NOERROR ns.shop.example. 9999 IN A 198.51.100.3\n",
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, unglued+fault, func(w *world) {
				asked := []resolvertest.Filter{resolvertest.To("198.51.100.2"), resolvertest.Name("ns.shop.example.")}
				w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
				w.count(1, asked...)
				w.want("mail.shop.example.", dns.TypeA, 0, "mail.shop.example. A 192.0.2.25").atMost(w, 1)
				w.count(0, asked...)
				// It is glue and no answer, and not for longer than the delegation.
				w.want("ns.shop.example.", dns.TypeA, 0, "ns.shop.example. A 198.51.100.4")
				time.Sleep(601 * time.Second)
				w.in.Fault("198.51.100.2", resolvertest.Mend())
				w.wantError("new.shop.example.", dns.TypeA, resolver.ErrNoServerAddress)
				w.count(0, resolvertest.To("198.51.100.3"))
			})
		})
	}
}

// Many names without an address cost the attacker's parent no more than they would cost a
// victim elsewhere, and once.
func TestAttackUngluedServers(t *testing.T) {
	var text strings.Builder
	text.WriteString("-- zone attacker.example. at " + attackerAt + " --\n")
	for i := range 500 {
		text.WriteString("sub NS n" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".sub\n")
	}
	inWorld(t, text.String(), func(w *world) {
		w.ask("none.attacker.example.", dns.TypeA)
		o := w.ask("www.sub.attacker.example.", dns.TypeA)
		share := w.in.Count(resolvertest.To(attackerAt), resolvertest.Below("sub.attacker.example."), resolvertest.Not(resolvertest.Name("sub.attacker.example.")))
		wantCost(w.T, "500 in-domain names without glue", cost{sends: o.sends, share: share, took: o.took}, cost{sends: 7, share: 5, took: 300 * time.Millisecond})
		for range 5 {
			o = w.ask("www2.sub.attacker.example.", dns.TypeA)
			if o.sends > 5 {
				w.Errorf("got %d queries for another name there, want 5 at most", o.sends)
			}
		}
	}, ipv4Only)
}

// ownServers is a zone that names a server more than its parent does. That one is in another
// zone, or in its own and known by a look-up.
const ownServers = `
-- zone example. at 198.51.100.2 SIGNED --
shop            600 NS  ns1.shop
ns1.shop        600 A   198.51.100.3
-- zone shop.example. at 198.51.100.3 198.51.100.9 SIGNED --
@               9999 NS  ns1
@               9999 NS  ns.host.test.
@               9999 NS  ns2
ns1             9999 A   198.51.100.3
ns2             9999 A   198.51.100.10
www             A   192.0.2.80
mail            A   192.0.2.25
-- zone host.test. at 198.51.100.5 --
ns              9999 A   198.51.100.9
`

// The servers that only the zone lists are tried when those that its parent lists are
// silent: if the zone was asked for its NS records, has signed them, or sent them in a
// reply that cannot be forged blindly.
func TestOwnServersAsLastResort(t *testing.T) {
	const besides = "add authority shop.example. 9999 IN NS ns.host.test."
	learn := func(name string, qtype uint16) func(w *world) {
		return func(w *world) {
			if o := w.ask(name, qtype); o.err != nil || o.Rcode != dns.RcodeSuccess || len(o.Answer) == 0 {
				w.Errorf("%s: got %v, want an answer", name, o)
			}
		}
	}
	question, answer := learn("shop.example.", dns.TypeNS), learn("mail.shop.example.", dns.TypeA)
	for _, test := range []struct {
		name, signed, fault string
		learn               func(w *world)
		want                bool
	}{
		{"asked for", "", "latency 1ms", question, true},
		{"asked for, signed", "signed", "latency 1ms", question, true},
		{"nobody said so", "", "latency 1ms", answer, false},
		{"in a datagram without cookie", "", besides, answer, false},
		{"with the right cookie", "", "cookies\n" + besides, answer, true},
		{"over TCP", "", "truncate\n" + besides, answer, true},
		{"in a datagram, signed but for these", "signed", besides, answer, false},
		{"in a datagram, signed", "signed", "SIGNED", answer, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.ReplaceAll(ownServers, "SIGNED", test.signed)
			inWorld(t, text, func(w *world) {
				to := "198.51.100.3"
				if test.fault == "SIGNED" {
					w.addSignedNS(to)
				} else {
					for line := range strings.Lines(test.fault) {
						f, err := resolvertest.ParseFault(strings.TrimSpace(line))
						if err != nil {
							w.Fatal(err)
						}
						w.in.Fault(to, f)
					}
				}
				test.learn(w)
				w.ask("new.shop.example.", dns.TypeA)
				w.count(0, resolvertest.To("198.51.100.9"), resolvertest.Below("shop.example."))
				w.in.Fault(to, resolvertest.Mend(), resolvertest.Dead())
				for range 2 {
					if o := w.ask("www.shop.example.", dns.TypeA); (o.err == nil) != test.want {
						w.Errorf("got %v, want an answer: %t", o, test.want)
					}
					if !test.want {
						w.count(0, resolvertest.To("198.51.100.9"))
						w.count(0, resolvertest.To("198.51.100.5"))
					}
				}
				w.count(0, resolvertest.To("198.51.100.10")) // no address of ns2 is known
				// The parent's next referral starts without them, whatever the zone had
				// said.
				time.Sleep(601 * time.Second)
				for _, name := range []string{"late.shop.example.", "later.shop.example."} {
					if o := w.ask(name, dns.TypeA); o.err == nil {
						w.Errorf("%s: got %v from a delegation that does not have the answering server", name, o)
					}
				}
			}, ipv4Only)
		})
	}
}

// addSignedNS makes a server send the zone's NS records and their signature beside answers.
func (w *world) addSignedNS(server string) {
	w.Helper()
	options := w.in.Options()
	r, err := resolver.New(options)
	if err != nil {
		w.Fatal(err)
	}
	defer r.Close()
	result, err := r.Resolve(w.Context(), "shop.example.", dns.TypeNS)
	if err != nil {
		w.Fatal(err)
	}
	for _, rr := range result.Answer {
		f, err := resolvertest.ParseFault("when not-type NS: add authority " + strings.ReplaceAll(rr.String(), "\t", " "))
		if err != nil {
			w.Fatal(err)
		}
		w.in.Fault(server, f)
	}
}

// The plain retry comes after the servers that only the zone names, which may be those that
// need it, and is one send.
func TestOwnServersBeforeLastResort(t *testing.T) {
	const own = "198.51.100.9"
	plainly := func(q resolvertest.Query) bool { return q.Cookie == nil }
	refusesCookies := resolvertest.Rcode(dns.RcodeRefused).When(resolvertest.Not(plainly))
	inWorld(t, strings.ReplaceAll(ownServers, "SIGNED", ""), func(w *world) {
		w.ask("shop.example.", dns.TypeNS)
		w.in.Fault("198.51.100.3", resolvertest.Dead())
		w.in.Fault(own, refusesCookies)
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
		w.count(3, resolvertest.To("198.51.100.3"), resolvertest.Name("www.shop.example."))
		w.count(2, resolvertest.To(own))
		w.count(1, resolvertest.To(own), plainly)
		w.count(0, resolvertest.To("198.51.100.3"), plainly)
	}, ipv4Only)
}
