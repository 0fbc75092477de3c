package resolver_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// bothWorld has a signed zone and one that is not on the same server.
const bothWorld = `
-- zone . at 198.41.0.4 signed --
-- zone example. at 198.51.100.2 signed --
-- zone signed.example. at 198.51.100.3 signed --
$TTL 60
@               SOA   ns hostmaster 1 3600 600 86400 60
*               A     192.0.2.80
-- zone plain.example. at 198.51.100.3 --
$TTL 60
@               SOA   ns hostmaster 1 3600 600 86400 60
*               A     192.0.2.81
-- fault * --
latency 20ms
`

// guesses is a fault by an attacker that has n errors of twelve bytes arrive before the
// reply, all but the last with a wrong ID.
func guesses(n, rcode int) resolvertest.Fault {
	sent := 0
	return resolvertest.Forged(n, resolvertest.RawHook(func(query, _ []byte) []byte {
		m := make([]byte, 12)
		id := binary.BigEndian.Uint16(query)
		if sent++; sent%n != 0 {
			id += uint16(sent)
		}
		binary.BigEndian.PutUint16(m, id)
		binary.BigEndian.PutUint16(m[2:], 0x8000|uint16(rcode)) // QR
		return m
	})).When(resolvertest.Over("udp"))
}

// find asks for an address and wants it, with the status.
func (w *world) find(name string, status dnssec.Status) asked {
	w.Helper()
	o := w.ask(name, dns.TypeA)
	if o.err != nil || o.Rcode != dns.RcodeSuccess || len(o.Answer) == 0 || o.Status != status {
		w.Errorf("%s: got %v, want a %v address", name, o, status)
	}
	return o
}

// wantSecure asks for names of the signed zone and wants each to be Secure, now and for half
// an hour.
func (w *world) wantSecure() {
	w.Helper()
	for i := range 7 {
		w.find(fmt.Sprintf("n%d.signed.example.", i), dnssec.Secure)
		time.Sleep(5 * time.Minute)
	}
}

// TestAttackForgedNoEDNS: for an error without a question only port and ID have to be
// guessed. A right one costs a query, but neither the answer nor the server's known EDNS
// support; a wrong one shows that somebody guesses (the kind of CVE-2026-52690).
func TestAttackForgedNoEDNS(t *testing.T) {
	withoutEDNS := func(q resolvertest.Query) bool { return !q.EDNS }
	for _, rcode := range []int{dns.RcodeFormatError, dns.RcodeNotImplemented} {
		for _, tt := range []struct{ n, times, udp, tcp int }{
			{1, 1, 2, 0},    // asked again, without option
			{1, 2, 2, 0},    // and refused again: the next server, of which there is none, or the plain retry
			{2, 1, 1, 1},    // a wrong one first
			{4096, 1, 1, 1}, // a wrong one first
		} {
			t.Run(fmt.Sprintf("%s, %d guesses, %d times", dns.RcodeToString[rcode], tt.n, tt.times), func(t *testing.T) {
				inWorld(t, bothWorld, func(w *world) {
					w.want("known.example.", dns.TypeA, dns.RcodeNameError)
					w.in.Fault("198.51.100.3", guesses(tt.n, rcode).First(tt.times))
					w.ask("first.plain.example.", dns.TypeA)
					w.in.Fault("198.51.100.3", resolvertest.Mend(), resolvertest.Latency(20*time.Millisecond))
					w.wantSecure()
				}, ipv4Only, minimiseOff)
				inWorld(t, bothWorld, func(w *world) {
					w.in.Fault("198.51.100.3", guesses(tt.n, rcode).First(1))
					o := w.want("www.plain.example.", dns.TypeA, 0, "www.plain.example. A 192.0.2.81")
					w.count(min(tt.udp, 2), target, resolvertest.Over("udp"))
					w.count(tt.tcp, target, resolvertest.Over("tcp"))
					w.count(0, withoutEDNS)
					o.atMost(w, 8)
					w.want("mail.plain.example.", dns.TypeA, 0, "mail.plain.example. A 192.0.2.81")
					w.count(1, target, func(q resolvertest.Query) bool { return q.Cookie != nil })
				}, ipv4Only, minimiseOff)
			})
		}
	}
}

// TestAttackNoEDNSBelowDS: whatever has been forged to make a server look like one without
// EDNS, its signed zones are asked for with EDNS, and not bogus; one that really has none
// still answers for the zones that are not signed, for one query each.
func TestAttackNoEDNSBelowDS(t *testing.T) {
	withEDNS := func(q resolvertest.Query) bool { return q.EDNS }
	inWorld(t, bothWorld, func(w *world) {
		w.in.Fault("198.51.100.3", guesses(1, dns.RcodeFormatError).First(2))
		w.want("www.plain.example.", dns.TypeA, 0, "www.plain.example. A 192.0.2.81")
		w.in.Fault("198.51.100.3", resolvertest.Mend(), resolvertest.Latency(20*time.Millisecond))
		w.want("mail.plain.example.", dns.TypeA, 0, "mail.plain.example. A 192.0.2.81")
		w.count(0, target, withEDNS) // it has worked: this server looks like one without EDNS
		w.wantSecure()
		w.want("new.plain.example.", dns.TypeA, 0, "new.plain.example. A 192.0.2.81")
		w.count(1, target, withEDNS, resolvertest.Type(dns.TypeA))
		w.in.Fault("198.51.100.3", guesses(1, dns.RcodeFormatError).First(2))
		w.want("newer.plain.example.", dns.TypeA, 0, "newer.plain.example. A 192.0.2.81")
		w.want("newest.plain.example.", dns.TypeA, 0, "newest.plain.example. A 192.0.2.81")
		w.count(1, target, withEDNS, resolvertest.Type(dns.TypeA)) // seen with EDNS, it is not believed to have none
	}, ipv4Only, minimiseOff)
	inWorld(t, bothWorld+"-- fault 198.51.100.3 --\nno-edns formerr\n", func(w *world) {
		w.want("www.plain.example.", dns.TypeA, 0, "www.plain.example. A 192.0.2.81")
		w.count(3, target)
		for i := range 7 {
			name := fmt.Sprintf("n%d.plain.example.", i)
			w.want(name, dns.TypeA, 0, name+" A 192.0.2.81")
			w.count(1, resolvertest.Name(name))
			time.Sleep(2 * time.Minute)
		}
		w.wantError("www.signed.example.", dns.TypeA, resolver.ErrNoReachableServer)
	}, ipv4Only, minimiseOff)
}

// TestAttackNoEDNSUnawares: where the resolver does not know yet that a zone is signed when
// it asks a server that it takes for one without EDNS, the bogus answer makes it ask again
// with EDNS.
func TestAttackNoEDNSUnawares(t *testing.T) {
	inWorld(t, bothWorld, func(w *world) {
		w.in.Fault("198.51.100.3", resolvertest.NoEDNS(resolvertest.EDNSFormErr))
		w.ask("www.plain.example.", dns.TypeA)
		cd := new(dns.Msg).SetQuestion("known.signed.example.", dns.TypeA)
		cd.CheckingDisabled = true // nothing is proven, but the zone cut is known
		if _, err := w.r.Exchange(w.Context(), cd); err != nil {
			w.Fatal(err)
		}
		w.in.Fault("198.51.100.3", resolvertest.Mend(), resolvertest.Latency(20*time.Millisecond))
		w.wantSecure()
	}, ipv4Only, minimiseOff)
}

// refusers are the ways in which servers refuse what should not matter to them, for a
// condition on the query.
var refusers = map[string]func(q, r *dns.Msg){
	"FORMERR, OPT echoed": func(q, r *dns.Msg) { r.Rcode, r.Extra = dns.RcodeFormatError, []dns.RR{dns.Copy(q.IsEdns0())} },
	"FORMERR without OPT": func(_, r *dns.Msg) { r.Rcode = dns.RcodeFormatError },
	"NOTIMP":              func(_, r *dns.Msg) { r.Rcode = dns.RcodeNotImplemented },
	"BADVERS":             func(q, r *dns.Msg) { r.Rcode, r.Extra = dns.RcodeBadVers, []dns.RR{dns.Copy(q.IsEdns0())} },
	"REFUSED":             func(_, r *dns.Msg) { r.Rcode = dns.RcodeRefused },
	"SERVFAIL":            func(_, r *dns.Msg) { r.Rcode = dns.RcodeServerFailure },
	"silence":             nil,
}

// refusing is a fault of servers that answer the queries that when picks in this way.
func refusing(answer func(q, r *dns.Msg), when resolvertest.Filter) resolvertest.Fault {
	if answer == nil {
		return resolvertest.Drop().When(when)
	}
	return resolvertest.Hook(func(q, r *dns.Msg) {
		r.Answer, r.Ns, r.Extra, r.Authoritative = nil, nil, nil, false
		answer(q, r)
	}).When(when)
}

// manyLetters is a label that is never all in lower case where letters are mixed, but once in 2^48.
const manyLetters = "abcdefghijklmnopqrstuvwxabcdefghijklmnopqrstuvwx"

// longName is a name in ladderWorld, of whose letters some are capitals if they are mixed.
func longName(i int) string { return fmt.Sprintf("%s%d.shop.example.", manyLetters, i) }

// ladderWorld has a zone with these servers and this signing.
func ladderWorld(servers, signing string) string {
	var names strings.Builder
	for _, name := range []string{"a", "b", "c", "d", "first", "later", "last"} {
		fmt.Fprintf(&names, "%s A 192.0.2.80\n", name)
	}
	for i := range 40 {
		fmt.Fprintf(&names, "n%[1]d A 192.0.2.80\n%[2]s A 192.0.2.80\n", i, longName(i))
	}
	return fmt.Sprintf(`
-- zone example. at 198.51.100.2 signed --
@               TXT   "proof that shop is not signed"
-- zone shop.example. at %s %s --
$TTL 60
%s
-- fault * --
latency 20ms
`, servers, signing, names.String())
}

// TestEDNSOptionRefused: servers that know EDNS and DO, and refuse a query with an option
// (DVE-2018-0002; BADVERS in .gov domains; firewalls), get queries without it, signed or
// not, with one server and with two. What they accept is remembered for a time, unless it
// is learnt from silence.
func TestEDNSOptionRefused(t *testing.T) {
	hasCookie := func(q resolvertest.Query) bool { return q.Cookie != nil }
	for how, answer := range refusers {
		for _, servers := range []string{"198.51.100.5", "198.51.100.5 198.51.100.6"} {
			for _, signing := range []string{"", "signed"} {
				t.Run(how+", "+servers+" "+signing, func(t *testing.T) {
					status := map[string]dnssec.Status{"": dnssec.Insecure, "signed": dnssec.Secure}[signing]
					inWorld(t, ladderWorld(servers, signing), func(w *world) {
						w.in.Fault("shop.example.", refusing(answer, hasCookie))
						for i := range 8 {
							o := w.find(fmt.Sprintf("n%d.shop.example.", i), status)
							if answer != nil && i == 7 { // one server may not be known yet
								o.atMost(w, len(strings.Fields(servers)))
							}
						}
						time.Sleep(31 * time.Minute)
						w.in.Fault("shop.example.", resolvertest.Mend(), resolvertest.Latency(20*time.Millisecond))
						w.find("later.shop.example.", status)
						w.find("last.shop.example.", status).atMost(w, 1)
						w.count(1, hasCookie)
					}, ipv4Only, minimiseOff)
				})
			}
		}
	}
}

// TestOneRefusalIsForgotten: an error that came once teaches nothing.
func TestOneRefusalIsForgotten(t *testing.T) {
	for how, answer := range refusers {
		t.Run(how, func(t *testing.T) {
			inWorld(t, ladderWorld("198.51.100.5", ""), func(w *world) {
				first := true
				w.in.Fault("shop.example.", refusing(answer, func(q resolvertest.Query) bool {
					once := first && strings.Contains(strings.ToLower(q.Name), "first")
					first = first && !once
					return once
				}))
				w.find("first.shop.example.", dnssec.Insecure)
				for i := range 3 {
					w.find(longName(i), dnssec.Insecure).atMost(w, 1)
					w.count(1, resolvertest.To("198.51.100.5"), func(q resolvertest.Query) bool { return q.Cookie != nil && q.Name != strings.ToLower(q.Name) })
				}
			}, ipv4Only, minimiseOff)
		})
	}
}

// TestMixedCaseRefused: servers that answer mixed letters with an error or with silence are
// asked in lower case as the plain retry, or in the last step down.
func TestMixedCaseRefused(t *testing.T) {
	isMixed := func(q resolvertest.Query) bool { return q.Name != strings.ToLower(q.Name) }
	for _, how := range []string{"REFUSED", "SERVFAIL", "silence", "FORMERR without OPT", "NOTIMP"} {
		for _, servers := range []string{"198.51.100.5", "198.51.100.5 198.51.100.6"} {
			for signing, status := range map[string]dnssec.Status{"": dnssec.Insecure, "signed": dnssec.Secure} {
				t.Run(how+", "+servers+" "+signing, func(t *testing.T) {
					inWorld(t, ladderWorld(servers, signing), func(w *world) {
						w.in.Fault("shop.example.", refusing(refusers[how], isMixed))
						for i := range 8 {
							w.find(longName(i), status)
							w.wantFewSends()
						}
						if how != "silence" && !strings.Contains(servers, " ") { // from silence nothing is learnt
							w.find(longName(8), status).atMost(w, 1)
						}
					}, ipv4Only, minimiseOff)
				})
			}
		}
	}
	// With MinimiseStrict the caller gets what the servers say.
	inWorld(t, ladderWorld("198.51.100.5", ""), func(w *world) {
		w.in.Fault("shop.example.", refusing(refusers["SERVFAIL"], isMixed))
		w.wantError(longName(0), dns.TypeA, resolver.ErrNoReachableServer)
	}, ipv4Only, func(o *resolver.Options) { o.Minimise = resolver.MinimiseStrict })
}

// wantFewSends fails if a question was sent to one address more than three times over UDP.
func (w *world) wantFewSends() {
	w.Helper()
	sends := make(map[string]int)
	for _, q := range w.in.Log(resolvertest.Over("udp")) {
		sends[fmt.Sprintf("%s %s to %s", strings.ToLower(q.Name), dns.TypeToString[q.Type], q.Server)]++
	}
	for question, n := range sends {
		if n > 3 {
			w.Errorf("%s: %d sends, want 3 at most:\n%s", question, n, resolvertest.Table(w.in.Log()))
		}
	}
}

// TestSilenceOfMany: where several servers are silent to queries as they are sent, and the
// question and the one for the zone's keys find them down together, each has its last
// resort.
func TestSilenceOfMany(t *testing.T) {
	for what, odd := range map[string]resolvertest.Filter{
		"cookie":        func(q resolvertest.Query) bool { return q.Cookie != nil },
		"mixed letters": func(q resolvertest.Query) bool { return q.Name != strings.ToLower(q.Name) },
	} {
		for signing, status := range map[string]dnssec.Status{"": dnssec.Insecure, "signed": dnssec.Secure} {
			for range 10 { // the order of the servers is a matter of chance
				inWorld(t, ladderWorld("198.51.100.5 198.51.100.6 198.51.100.7 198.51.100.8", signing), func(w *world) {
					w.in.Fault("shop.example.", resolvertest.Drop().When(odd))
					for i := range 6 {
						o := w.find(longName(i), status)
						w.wantFewSends()
						if o.err != nil {
							w.Fatalf("silent to %s, %s:\n%s", what, signing, resolvertest.Table(w.in.Log()))
						}
						time.Sleep(7 * time.Second)
					}
				})
			}
		}
	}
}

// TestCaseFoldedWithoutTCP: a server that lowers names and has no TCP is answered from each
// time; that it does so is remembered, and renewed for one query more.
func TestCaseFoldedWithoutTCP(t *testing.T) {
	for _, tcp := range noTCP {
		for _, servers := range []string{"198.51.100.5", "198.51.100.5 198.51.100.6"} {
			t.Run(tcp+", "+servers, func(t *testing.T) {
				inWorld(t, ladderWorld(servers, "")+"-- fault shop.example. --\nfold-case\nwhen tcp: "+tcp+"\n", func(w *world) {
					w.find(longName(0), dnssec.Insecure)
					for addr := range strings.FieldsSeq(servers) {
						if n := w.in.Count(resolvertest.To(addr), resolvertest.Over("udp")); n > 3 {
							w.Errorf("%s: %d sends over UDP, want 3 at most", addr, n)
						}
					}
					for i := range 30 {
						time.Sleep(100 * time.Second)
						w.find(longName(i+1), dnssec.Insecure)
						if len(strings.Fields(servers)) > 1 {
							continue // the other one may be asked for the first time
						}
						if n := w.in.Count(resolvertest.Name(longName(i + 1))); n > 2 {
							w.Errorf("question %d: %d sends, want 2 at most:\n%s", i, n, resolvertest.Table(w.in.Log()))
						}
						w.count(0, resolvertest.Over("tcp"))
					}
				}, ipv4Only, minimiseOff)
			})
		}
	}
}

// TestNameWithoutLetters: a server that lowers names sends one that has no letters as it was asked
// for, which does not mean that it would keep them.
func TestNameWithoutLetters(t *testing.T) {
	const text = "-- zone 4711. at 198.51.100.5 --\n1 A 192.0.2.80\n-- fault 198.51.100.5 --\nfold-case\nwhen tcp: refuse\n"
	inWorld(t, ladderWorld("198.51.100.5", "")+text, func(w *world) {
		for i := range 2 { // twice, to be sure
			w.find(longName(i), dnssec.Insecure)
		}
		time.Sleep(16 * time.Minute) // it is tried again
		w.find("1.4711.", dnssec.Insecure)
		w.find(longName(2), dnssec.Insecure)
		w.count(2, resolvertest.Name(longName(2)))
		w.count(0, resolvertest.Over("tcp"))
	}, ipv4Only, minimiseOff)
}

// TestCookieStops: a server that has sent a cookie and sends none any more is asked over
// TCP, and where it has none over UDP without a cookie; that it needs none is believed over
// TCP, or when its cookie has expired.
func TestCookieStops(t *testing.T) {
	stop := func(w *world) {
		w.find("a.shop.example.", dnssec.Insecure)
		w.in.Fault("198.51.100.5", resolvertest.Mend(), resolvertest.Latency(20*time.Millisecond))
	}
	text := ladderWorld("198.51.100.5", "") + "-- fault 198.51.100.5 --\ncookies\n"
	to := resolvertest.To("198.51.100.5")
	inWorld(t, text, func(w *world) {
		stop(w)
		w.find("b.shop.example.", dnssec.Insecure)
		w.count(1, to, resolvertest.Over("tcp"))
		w.find("c.shop.example.", dnssec.Insecure)
		w.count(0, to, resolvertest.Over("tcp")) // the reply over TCP had none
	}, ipv4Only, minimiseOff)
	inWorld(t, text, func(w *world) {
		w.find("a.shop.example.", dnssec.Insecure)
		w.in.Fault("198.51.100.5", resolvertest.WrongCookie().When(resolvertest.Over("udp")))
		for _, name := range []string{"b.shop.example.", "c.shop.example."} {
			w.find(name, dnssec.Insecure)
			w.count(1, to, resolvertest.Over("tcp")) // over TCP it shows one
		}
	}, ipv4Only, minimiseOff)
	for _, tcp := range noTCP {
		for after, sends := range map[time.Duration]int{0: 2, 59 * time.Minute: 2, time.Hour: 1, 24 * time.Hour: 1} {
			inWorld(t, text, func(w *world) {
				stop(w)
				no, err := resolvertest.ParseFault("when tcp: " + tcp)
				if err != nil {
					w.Fatal(err)
				}
				w.in.Fault("198.51.100.5", no)
				time.Sleep(after)
				w.find("b.shop.example.", dnssec.Insecure)
				if n := w.in.Count(to, resolvertest.Type(dns.TypeA), resolvertest.Over("udp")); n != sends {
					w.Errorf("no TCP by %s, after %v: %d sends, want %d:\n%s", tcp, after, n, sends, resolvertest.Table(w.in.Log()))
				}
			}, ipv4Only, minimiseOff)
		}
	}
}

// TestQuickForSomeOnly: the only server of a zone is quick for its keys and takes most of a
// second for everything else. It is waited for, and not marked down.
func TestQuickForSomeOnly(t *testing.T) {
	for _, latency := range []time.Duration{900 * time.Millisecond, 1900 * time.Millisecond} {
		for _, signing := range []string{"", "signed"} {
			status := map[string]dnssec.Status{"": dnssec.Insecure, "signed": dnssec.Secure}[signing]
			inWorld(t, ladderWorld("198.51.100.5", signing), func(w *world) {
				w.find("a.shop.example.", status)
				w.in.Fault("198.51.100.5", resolvertest.Latency(latency).When(func(q resolvertest.Query) bool { return q.Type == dns.TypeTXT }))
				for _, name := range []string{"b.shop.example.", "c.shop.example."} {
					w.want(name, dns.TypeTXT, 0)
				}
				w.find("d.shop.example.", status).within(w, 50*time.Millisecond)
			}, ipv4Only, minimiseOff)
		}
	}
}

// TestAnsweredMeanwhileIsNotSilent: a question that fails since its only server never answers
// it leaves the zone up, as others have been answered meanwhile.
func TestAnsweredMeanwhileIsNotSilent(t *testing.T) {
	inWorld(t, ladderWorld("198.51.100.5", ""), func(w *world) {
		w.find("a.shop.example.", dnssec.Insecure)
		w.in.Fault("198.51.100.5", resolvertest.Drop().When(func(q resolvertest.Query) bool { return q.Type == dns.TypeTXT }))
		failed := make(chan error)
		go func() {
			_, err := w.r.Resolve(w.Context(), "b.shop.example.", dns.TypeTXT)
			failed <- err
		}()
		for i := range 20 {
			time.Sleep(100 * time.Millisecond)
			name := fmt.Sprintf("n%d.shop.example.", i)
			if _, err := w.r.Resolve(w.Context(), name, dns.TypeA); err != nil {
				w.Errorf("%s: %v", name, err)
			}
		}
		if err := <-failed; err == nil {
			w.Error("an answer to the question that is never answered")
		}
		w.find("c.shop.example.", dnssec.Insecure).within(w, 50*time.Millisecond)
	}, ipv4Only, minimiseOff)
}

// TestAttackRefusedEverywhere: thirteen servers that refuse a question however they are asked
// cost a ladder at the first two of them, and the plain retry.
func TestAttackRefusedEverywhere(t *testing.T) {
	for _, rcode := range []string{"FORMERR", "NOTIMP", "BADSIG"} { // BADVERS, that is
		row := attack{
			name: "13 servers " + rcode, text: manyServers(13), known: known, faults: faulty("rcode " + rcode), ask: "www.attacker.example.",
			goal: cost{sends: 3 + 3 + 11 + 1, kept: 1, took: time.Second}, fails: resolver.ErrNoReachableServer,
		}
		row.run(t, row.name, ipv4Only)
	}
}

// TestAttackLastResort: servers that fail, from the beginning or after they have accepted
// queries with everything, cost one send more, or none.
func TestAttackLastResort(t *testing.T) {
	for _, fault := range []string{"rcode SERVFAIL", "rcode REFUSED"} {
		for servers, want := range map[int]int{1: 3, 2: 4, 13: 15, 40: 16} { // one of them to example., over TCP too for 40
			row := attack{
				name: fmt.Sprintf("%d servers %s, from the beginning", servers, fault), text: manyServers(servers) + faulty(fault),
				known: []string{"none.example."}, ask: "attacker.example.",
				goal: cost{sends: want, kept: min(servers, 13) + 2, took: time.Second}, fails: resolver.ErrNoReachableServer,
			}
			row.run(t, row.name, ipv4Only)
			// Few servers have all accepted cookies by then; of many, one that has not is
			// left.
			later, names := servers, 600
			if servers > 2 {
				later, names = 14, 100
			}
			row = attack{
				name: fmt.Sprintf("%d servers %s, later", servers, fault), text: manyServers(servers), faults: faulty(fault), ask: "www.attacker.example.",
				goal: cost{sends: later, kept: 1, took: time.Second}, fails: resolver.ErrNoReachableServer,
			}
			for i := range names {
				row.known = append(row.known, fmt.Sprintf("n%d.attacker.example.", i))
			}
			row.run(t, row.name, ipv4Only)
		}
	}
}

// TestForwarderFails: an error of a forwarder is about the name, and has no plain retry.
func TestForwarderFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, "-- zone example. at 198.51.100.1 --\n")
		in.Handle("10.0.0.3", dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
			w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeServerFailure))
		}))
		r := in.Resolver(t, func(o *resolver.Options) {
			o.Routes, o.Validation = []resolver.Route{{Zone: ".", Servers: server("10.0.0.3")}}, resolver.ValidateOff
		})
		if result, err := r.Resolve(t.Context(), "www.example.", dns.TypeA); err == nil {
			t.Errorf("got %v, want an error", result)
		}
		if n := in.Count(resolvertest.To("10.0.0.3")); n != 1 {
			t.Errorf("got %d queries, want 1:\n%s", n, resolvertest.Table(in.Log()))
		}
	})
}
