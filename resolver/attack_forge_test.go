package resolver_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// forgeWorld has one server for the zone that forgers aim at, 20 ms away.
const forgeWorld = `
-- zone shop.example. at 198.51.100.3 --
` + manyLetters + ` A 192.0.2.82
www             A     192.0.2.80
mail            A     192.0.2.81
-- fault * --
latency 20ms
`

// poison is the record in a forged reply.
const poison = "replace NOERROR www.shop.example. 300 IN A 203.0.113.66"

// target is the address of forgeWorld's one server, as a filter.
var target = resolvertest.To("198.51.100.3")

// wantGenuine asks and wants the zone's data, now and from the cache.
func (w *world) wantGenuine() asked {
	w.Helper()
	o := w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
	log := w.in.Log()
	w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
	if w.Failed() {
		w.Logf("queries of the first question:\n%s", resolvertest.Table(log))
	}
	return o
}

// TestForgedRepliesAreIgnored: packets that are no reply to the query change nothing,
// neither the answer nor the time nor the number of queries (attacks.md 2.1, items 6
// and 7; TuDoor). Each kind comes before the genuine reply, once and 1,000 times.
func TestForgedRepliesAreIgnored(t *testing.T) {
	for _, kind := range []string{
		"wrong-qr",
		"wrong-opcode 5",
		"wrong-opcode 4",
		"wrong-question other.example. A",
		"wrong-question www.shop.example. AAAA",
		"wrong-question www.shop.example. MX",
		"no-question",
		"no-question; rcode REFUSED",
		"garbage",
		"cut 0",
		"cut 5",
		"cut 12",
		"cut 20",
		"cut 60",
		"wrong-qr; wrong-id",
		"wrong-question other.example. A; wrong-id",
		"no-question; wrong-id",
	} {
		for _, n := range []int{1, 1000} {
			t.Run(fmt.Sprintf("%d %s", n, kind), func(t *testing.T) {
				inWorld(t, forgeWorld+fmt.Sprintf("-- fault 198.51.100.3 --\nforge %d %s; %s\n", n, poison, kind), func(w *world) {
					w.wantGenuine().atMost(w, 3).within(w, 60*time.Millisecond)
				}, ipv4Only)
			})
		}
	}
}

// TestWrongClassIsIgnored: a reply in another class is to another question.
func TestWrongClassIsIgnored(t *testing.T) {
	inWorld(t, forgeWorld, func(w *world) {
		w.in.Fault("198.51.100.3", resolvertest.Forged(3, resolvertest.Hook(func(_, reply *dns.Msg) {
			reply.Question[0].Qclass = dns.ClassCHAOS
			for _, rr := range reply.Answer {
				rr.(*dns.A).A[3] = 66
			}
		})))
		w.wantGenuine().atMost(w, 3).within(w, 60*time.Millisecond)
	}, ipv4Only)
	// Right question, records of another class.
	inWorld(t, forgeWorld, func(w *world) {
		w.in.Fault("198.51.100.3", resolvertest.Hook(func(_, reply *dns.Msg) {
			for _, rr := range reply.Answer {
				rr.Header().Class = dns.ClassCHAOS
			}
		}))
		if o := w.ask("www.shop.example.", dns.TypeA); o.err == nil && len(o.Answer) > 0 {
			w.Errorf("got %v, want no record of another class", o)
		}
	}, ipv4Only)
}

// TestSecondQuestionIsIgnored: QDCOUNT is one (RFC 9619).
func TestSecondQuestionIsIgnored(t *testing.T) {
	inWorld(t, forgeWorld, func(w *world) {
		w.in.Fault("198.51.100.3", resolvertest.Forged(3, resolvertest.Hook(func(_, reply *dns.Msg) {
			reply.Question = append(reply.Question, dns.Question{Name: "victim.example.", Qtype: dns.TypeA, Qclass: dns.ClassINET})
			for _, rr := range reply.Answer {
				rr.(*dns.A).A[3] = 66
			}
		})))
		w.wantGenuine().atMost(w, 3).within(w, 60*time.Millisecond)
	}, ipv4Only)
}

// TestWrongIDMeansTCP: a reply in which everything except the ID is right shows that
// somebody is guessing; the question moves to TCP at once (RFC 5452 §9.2).
func TestWrongIDMeansTCP(t *testing.T) {
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen udp: forge 1 "+poison+"; wrong-id\n", func(w *world) {
		w.wantGenuine().atMost(w, 4).within(w, 120*time.Millisecond)
	}, ipv4Only)
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen udp: forge 1000 "+poison+"; wrong-id\n", func(w *world) {
		w.ask("www.shop.example.", dns.TypeA)
		w.count(1, target, resolvertest.Over("udp"))
		w.count(1, target, resolvertest.Over("tcp"))
		w.wantGenuine()
		w.want("mail.shop.example.", dns.TypeA, 0, "mail.shop.example. A 192.0.2.81")
		w.count(1, target, resolvertest.Over("udp")) // each question begins over UDP
	}, ipv4Only)
}

// TestOddRepliesMeanTCP: when time ran out and nothing came but datagrams that have the
// right ID and are no replies, the server, or somebody on the path, corrupts what goes over
// UDP. Datagrams with another ID say nothing about the server.
func TestOddRepliesMeanTCP(t *testing.T) {
	for _, test := range []struct {
		fault string
		tcp   int
	}{
		{"wrong-qr", 1},
		{"wrong-opcode 5", 1},
		{"wrong-question other.example. A", 1},
		{"no-question", 1},
		{"garbage", 1},
		{"wrong-qr\nwhen udp: wrong-id", 0},
		{"drop", 0},
	} {
		t.Run(test.fault, func(t *testing.T) {
			inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen udp: "+test.fault+"\n", func(w *world) {
				o := w.ask("www.shop.example.", dns.TypeA)
				w.count(test.tcp, target, resolvertest.Over("tcp"))
				if test.tcp == 0 {
					if o.err == nil {
						w.Errorf("got %v, want an error", o)
					}
					return
				}
				o.check(w, "www.shop.example.", 0, "www.shop.example. A 192.0.2.80")
				w.count(1, target, resolvertest.Over("udp"))
			}, ipv4Only, minimiseOff)
		})
	}
}

// TestWrongIDOverTCP: on a connection an off-path attacker has no influence; a server that
// mixes up its IDs sends no answer.
func TestWrongIDOverTCP(t *testing.T) {
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwrong-id\n", func(w *world) {
		w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer).atMost(w, 2+3)
	}, ipv4Only)
}

// TestCaseMismatch: with only the letter case wrong, UDP gets one more try, then TCP;
// that a server changes the case is remembered for it alone, and not for ever.
func TestCaseMismatch(t *testing.T) {
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen udp first 1: random-case\n", func(w *world) {
		w.wantGenuine().atMost(w, 4)
		w.want(manyLetters+".shop.example.", dns.TypeA, 0, manyLetters+".shop.example. A 192.0.2.82")
		w.wantMixedCase(true)
	}, ipv4Only)
	inWorld(t, forgeWorld+`
-- zone fine.example. at 198.51.100.4 --
`+manyLetters+` A 192.0.2.90
-- fault 198.51.100.3 --
fold-case
`, func(w *world) {
		w.ask(manyLetters+".shop.example.", dns.TypeA)
		w.count(2, target, resolvertest.Over("udp"))
		w.count(1, target, resolvertest.Over("tcp"))
		w.wantGenuine()
		for range 5 {
			w.want("mail.shop.example.", dns.TypeA, 0, "mail.shop.example. A 192.0.2.81").atMost(w, 1)
			w.wantMixedCase(false)
			time.Sleep(310 * time.Second / 2)
		}
		w.want(manyLetters+".fine.example.", dns.TypeA, 0, manyLetters+".fine.example. A 192.0.2.90")
		w.wantMixedCase(true)
		time.Sleep(15 * time.Minute)
		w.in.Fault("198.51.100.3", resolvertest.Mend())
		w.want(manyLetters+".shop.example.", dns.TypeA, 0, manyLetters+".shop.example. A 192.0.2.82")
		w.wantMixedCase(true)
	}, ipv4Only)
}

// wantMixedCase checks whether the letters of the last question were mixed.
func (w *world) wantMixedCase(want bool) {
	w.Helper()
	log := w.in.Log(notPriming)
	if len(log) == 0 {
		return
	}
	name := log[len(log)-1].Name
	if got := name != strings.ToLower(name); got != want {
		w.Errorf("asked for %s: mixed case %t, want %t", name, got, want)
	}
}

// TestForgedCase: forged packets in the wrong case do not get in, and do not switch the
// letter case off for the server that they pretend to come from for one packet.
func TestForgedCase(t *testing.T) {
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen udp: forge 100 "+poison+"; random-case\n", func(w *world) {
		w.wantGenuine().atMost(w, 5)
	}, ipv4Only)
}

// TestNoCaseRandomisation: it can be turned off.
func TestNoCaseRandomisation(t *testing.T) {
	inWorld(t, forgeWorld, func(w *world) {
		w.wantGenuine()
		for _, q := range w.in.Log() {
			if q.Name != strings.ToLower(q.Name) {
				w.Errorf("asked for %s, want lower case", q.Name)
			}
		}
	}, func(o *resolver.Options) { o.DisableCaseRandomisation = true })
}

// TestEntropy: IDs repeat no more often than chance has it, and names of ten letters
// have about ten bits more.
func TestEntropy(t *testing.T) {
	// Without an SOA the denial is not kept.
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nremove authority *\n", func(w *world) {
		ids := make(map[uint16]int)
		spellings := make(map[string]int)
		const n = 2000
		for range n {
			w.ask("abcdefghij.shop.example.", dns.TypeA)
			for _, q := range w.in.Log(target) {
				ids[q.ID]++
				spellings[q.Name[:10]]++
			}
		}
		// 2,000 of 65,536 leave 1,970 distinct ones on average, with a deviation of 5.5;
		// of 1,024 spellings, 879 with a deviation of 10.
		if len(ids) < 1930 {
			w.Errorf("%d distinct IDs in %d queries, want about 1970", len(ids), n)
		}
		if len(spellings) < 800 {
			w.Errorf("%d distinct spellings of ten letters in %d queries, want about 879", len(spellings), n)
		}
	}, ipv4Only)
}

// TestTruncated: TC over UDP means TCP, whatever the reply holds (RFC 2181 §9).
func TestTruncated(t *testing.T) {
	for _, faults := range []string{
		"when udp: truncate",
		"when udp: set tc",
		"when udp: " + poison + "\nwhen udp: set tc",
		"when udp: set tc\nwhen udp: cut 34", // just the question
		"when udp: rcode NXDOMAIN\nwhen udp: set tc",
	} {
		t.Run(faults, func(t *testing.T) {
			inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\n"+faults+"\n", func(w *world) {
				w.wantGenuine().atMost(w, 4).within(w, 120*time.Millisecond)
			}, ipv4Only)
		})
	}
}

// TestOversized: a datagram larger than was offered counts as truncated (RFC 6891
// §6.2.5): fragments of it can be forged.
func TestOversized(t *testing.T) {
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen udp: "+poison+"\nwhen udp: oversize 1233\n", func(w *world) {
		w.wantGenuine().atMost(w, 4)
		w.ask("mail.shop.example.", dns.TypeA)
		w.count(1, target, resolvertest.Over("tcp"))
	}, ipv4Only)
	// Without EDNS nothing larger than 512 bytes was offered.
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nno-edns formerr\nwhen udp no-edns: "+poison+"\nwhen udp no-edns: oversize 513\n", func(w *world) {
		w.wantGenuine().atMost(w, 6)
	}, ipv4Only)
	// What fits is taken as it is.
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nudp-size 4096\n", func(w *world) {
		w.wantGenuine()
		w.count(0, resolvertest.Over("tcp"))
	}, ipv4Only)
}

// TestRcodeWithData: an error with records is an error.
func TestRcodeWithData(t *testing.T) {
	for _, rcode := range []string{"SERVFAIL", "REFUSED", "FORMERR", "NOTIMP", "NOTAUTH", "NOTZONE", "BADSIG"} {
		t.Run(rcode, func(t *testing.T) {
			inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nreplace "+rcode+" www.shop.example. 300 IN A 203.0.113.66\n", func(w *world) {
				w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer)
				w.in.Fault("198.51.100.3", resolvertest.Mend())
				time.Sleep(6 * time.Second)
				w.wantGenuine()
			}, ipv4Only)
		})
	}
}

// TestNameErrorWithData: RCODE and records contradict each other; the records are
// what the question was about.
func TestNameErrorWithData(t *testing.T) {
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen type A: replace NXDOMAIN other.shop.example. 300 IN A 203.0.113.66\n", func(w *world) {
		w.want("www.shop.example.", dns.TypeA, dns.RcodeNameError)
		w.want("other.shop.example.", dns.TypeMX, dns.RcodeNameError)
	}, ipv4Only)
}

// TestFormErrWithoutQuestion is the sign of a server that does not know EDNS, and
// nothing else (RFC 6891 §7).
func TestFormErrWithoutQuestion(t *testing.T) {
	for _, rcode := range []string{"FORMERR", "NOTIMP"} {
		inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nwhen edns: rcode "+rcode+"\nwhen edns: no-question\n", func(w *world) {
			w.in.Fault("198.51.100.3", resolvertest.Hook(func(query, reply *dns.Msg) {
				if query.IsEdns0() != nil {
					reply.Extra = nil
				}
			}))
			w.wantGenuine().atMost(w, 5)                                                               // without option, to confirm it, and then without EDNS
			w.want("mail.shop.example.", dns.TypeA, 0, "mail.shop.example. A 192.0.2.81").atMost(w, 1) // remembered
		}, ipv4Only)
	}
}

// TestEDNSFallback: queries without EDNS follow FORMERR, NOTIMP and BADVERS only, with an OPT
// record or not; silence and other errors do not turn it off.
func TestEDNSFallback(t *testing.T) {
	withoutEDNS := func(q resolvertest.Query) bool { return !q.EDNS }
	for _, test := range []struct {
		fault     string
		falls     bool
		succeeds  bool
		sendsLast int // of the next question
	}{
		{"no-edns formerr", true, true, 1},
		{"no-edns notimp", true, true, 1},
		{"no-edns ignore", false, true, 1},
		{"no-edns drop", false, false, 0},
		{"when edns: rcode SERVFAIL", false, false, 0},
		{"when edns: rcode REFUSED", false, false, 0},
		{"when edns: rcode FORMERR", true, true, 1},
		{"when edns: rcode NOTIMP", true, true, 1},
		{"when edns: rcode BADSIG", true, true, 1}, // BADVERS, that is
	} {
		t.Run(test.fault, func(t *testing.T) {
			inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\n"+test.fault+"\n", func(w *world) {
				o := w.ask("www.shop.example.", dns.TypeA)
				if (o.err == nil) != test.succeeds {
					w.Errorf("got %v, want success %t", o, test.succeeds)
				}
				if got := w.in.Count(target, withoutEDNS) > 0; got != test.falls {
					w.Errorf("asked without EDNS %t, want %t:\n%s", got, test.falls, resolvertest.Table(w.in.Log()))
				}
				if test.succeeds {
					w.want("mail.shop.example.", dns.TypeA, 0, "mail.shop.example. A 192.0.2.81").atMost(w, test.sendsLast)
				}
			}, ipv4Only)
		})
	}
	// It is forgotten in time, and was never true of others.
	inWorld(t, forgeWorld+"-- zone fine.example. at 198.51.100.4 --\nwww A 192.0.2.90\n-- fault 198.51.100.3 --\nno-edns formerr\n", func(w *world) {
		w.wantGenuine()
		w.want("www.fine.example.", dns.TypeA, 0, "www.fine.example. A 192.0.2.90")
		w.count(0, withoutEDNS)
		w.in.Fault("198.51.100.3", resolvertest.Mend())
		time.Sleep(16 * time.Minute)
		w.wantGenuine()
		w.ask("mail.shop.example.", dns.TypeA)
		w.count(0, withoutEDNS)
	}, ipv4Only)
}

// TestRefusedPort: a port that is unreachable makes the next server be asked at once,
// and does not end the wait: the ICMP message may be forged (attacks.md 5).
func TestRefusedPort(t *testing.T) {
	const text = `
-- zone shop.example. at 198.51.100.3 198.51.100.4 --
www             A     192.0.2.80
mail            A     192.0.2.81
-- fault * --
latency 20ms
-- fault 198.51.100.3 --
refuse
`
	for range 20 {
		inWorld(t, text, func(w *world) {
			w.wantGenuine().within(w, 85*time.Millisecond)
		}, ipv4Only)
	}
	inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\nrefuse\n", func(w *world) {
		o := w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer).within(w, 5*time.Second)
		o.atMost(w, 5)
	}, ipv4Only)
}

// TestCookies of every kind of server (RFC 7873 §5.3).
func TestCookies(t *testing.T) {
	for _, test := range []struct {
		name, fault string
		first, next int // sends to the server for a first and a second question at most
	}{
		{"knows cookies", "cookies", 1, 1},
		{"requires cookies", "require-cookies", 2, 1},
		{"never satisfied over UDP", "when udp: bad-cookie", 3, 3},
		{"never satisfied, but by none", "bad-cookie", 3, 3},
		{"echoes somebody else's", "when udp: cookies\nwhen udp: wrong-cookie", 2, 2},
		{"does not know cookies", "", 1, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\n"+test.fault+"\n", func(w *world) {
				for i, name := range []string{"www.shop.example.", "mail.shop.example."} {
					o := w.ask(name, dns.TypeA)
					sends := w.in.Count(target)
					want := []int{test.first, test.next}[i]
					switch {
					case o.err != nil:
						w.Errorf("%s: got %v, want an answer", name, o)
					case sends > want:
						w.Errorf("%s: got %d sends, want %d:\n%s", name, sends, want, resolvertest.Table(w.in.Log()))
					}
				}
			}, ipv4Only)
		})
	}
}

// TestForgedWithoutCookie: a server that has sent its cookie once always sends it; packets
// with another one or none are not its replies.
func TestForgedWithoutCookie(t *testing.T) {
	for _, forged := range []string{"wrong-cookie", "nocookie"} {
		inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\ncookies\n", func(w *world) {
			w.want("mail.shop.example.", dns.TypeA, 0, "mail.shop.example. A 192.0.2.81")
			fake, err := resolvertest.ParseFault(poison)
			if err != nil {
				w.Fatal(err)
			}
			spoil := resolvertest.WrongCookie()
			if forged == "nocookie" {
				spoil = resolvertest.Hook(func(_, reply *dns.Msg) {
					if opt := reply.IsEdns0(); opt != nil {
						opt.Option = nil
					}
				})
			}
			w.in.Fault("198.51.100.3", resolvertest.Forged(1, fake, spoil).When(resolvertest.Over("udp")))
			w.wantGenuine().atMost(w, 2)
		}, ipv4Only)
	}
}

// TestCookiesDiffer: each server gets a client cookie of its own (RFC 9018 §3), so that
// servers cannot compare notes, and no other server's server cookie.
func TestCookiesDiffer(t *testing.T) {
	inWorld(t, plainWorld+"-- fault * --\ncookies\n", func(w *world) {
		seen := make(map[string]string)
		for _, name := range []string{"www.shop.example.", "www.far.example.", "mail.shop.example.", "none.far.example."} {
			w.ask(name, dns.TypeA)
			for _, q := range w.in.Log() {
				if len(q.Cookie) < 8 {
					w.Fatalf("query without a cookie: %v", q)
				}
				if other, ok := seen[string(q.Cookie[:8])]; ok && other != q.Server.String() {
					w.Errorf("%s and %s got the same client cookie", other, q.Server)
				}
				seen[string(q.Cookie[:8])] = q.Server.String()
			}
		}
	}, ipv4Only)
}

// TestGarbageServer: a server that answers nothing but nonsense counts as silent, and costs
// no more.
func TestGarbageServer(t *testing.T) {
	for _, fault := range []string{"garbage", "cut 30", "wrong-qr", "wrong-opcode 5", "wrong-question a.example. A", "no-question"} {
		t.Run(fault, func(t *testing.T) {
			inWorld(t, forgeWorld+"-- fault 198.51.100.3 --\n"+fault+"\n", func(w *world) {
				w.wantError("www.shop.example.", dns.TypeA, resolver.ErrNoReachableServer).atMost(w, 2+3).within(w, 5*time.Second)
			}, ipv4Only)
		})
	}
}
