package resolver_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestSendsLimit: the sum of all sends of a question, look-ups of name servers, TCP
// and restarts included, stays within Limits.Sends.
func TestSendsLimit(t *testing.T) {
	const text = plainWorld + `
-- zone hard.example. at 198.51.100.20 --
www             CNAME www.far.example.
`
	limit := func(n int) func(*resolver.Options) {
		return func(o *resolver.Options) { o.Limits.Sends = n }
	}
	for n := 1; n < 8; n++ {
		inWorld(t, text, func(w *world) {
			w.wantLimit("www.hard.example.", dns.TypeA, "Sends").atMost(w, n)
		}, ipv4Only, limit(n))
	}
	inWorld(t, text, func(w *world) {
		w.want("www.hard.example.", dns.TypeA, 0, "www.hard.example. CNAME www.far.example.", "www.far.example. A 192.0.2.90").atMost(w, 8)
	}, ipv4Only, limit(8))
}

// TestSendsAreNeverReset, neither by an alias nor by TCP: the product of the two is
// what CAMP attacks live from.
func TestSendsAreNeverReset(t *testing.T) {
	inWorld(t, chain("shop.example.", 20)+"-- fault 198.51.100.3 --\ntruncate\nwhen tcp: cut 5\n", func(w *world) {
		w.ask("n0.shop.example.", dns.TypeA).atMost(w, 12)
		if got := w.in.Count(); got > 12+1 {
			w.Errorf("got %d queries with those for priming, want at most 13", got)
		}
	}, ipv4Only, func(o *resolver.Options) { o.Limits.Sends = 12; o.Limits.Aliases = -1 })
	// An alias a message, and each needs TCP as well.
	inWorld(t, chain("shop.example.", 30)+"-- fault 198.51.100.3 --\ntruncate\n", func(w *world) {
		w.in.Fault("198.51.100.3", resolvertest.Hook(firstAnswerOnly))
		w.wantLimit("n0.shop.example.", dns.TypeA, "Sends").atMost(w, 40)
	}, ipv4Only, func(o *resolver.Options) { o.Limits.Sends = 40; o.Limits.Aliases = -1 })
}

// firstAnswerOnly makes a server send one link of a chain in each message.
func firstAnswerOnly(_, reply *dns.Msg) {
	if len(reply.Answer) > 1 {
		reply.Answer = reply.Answer[:1]
	}
}

// TestBytesLimit: replies are counted in bytes; big answers stay within the limit.
func TestBytesLimit(t *testing.T) {
	var zone strings.Builder
	zone.WriteString("-- zone shop.example. at 198.51.100.3 --\n")
	for i := range 100 {
		fmt.Fprintf(&zone, "big TXT %q\n", strings.Repeat(string(rune('a'+i%26)), 200)+fmt.Sprint(i))
	}
	zone.WriteString("small A 192.0.2.80\n")
	inWorld(t, zone.String(), func(w *world) {
		w.wantLimit("big.shop.example.", dns.TypeTXT, "Bytes")
		w.want("small.shop.example.", dns.TypeA, 0, "small.shop.example. A 192.0.2.80")
	}, func(o *resolver.Options) { o.Limits.Bytes = 10_000 })
	inWorld(t, zone.String(), func(w *world) {
		if o := w.ask("big.shop.example.", dns.TypeTXT); o.err != nil || len(o.Answer) != 100 {
			w.Errorf("20 KB in one answer: got %v", o.err)
		}
	})
}

// TestTimeLimit: a question ends when its time is over, whatever it waits for, with an
// error that is a timeout. One that needs nearly all of it is answered.
func TestTimeLimit(t *testing.T) {
	for _, fault := range []string{"drop", "latency 30s", "truncate\nwhen tcp: drip 100ms", "truncate\nwhen tcp: drop"} {
		t.Run(fault, func(t *testing.T) {
			inWorld(t, plainWorld+"-- fault shop.example. --\n"+fault+"\n", func(w *world) {
				o := w.ask("www.shop.example.", dns.TypeA).within(w, time.Second)
				var e *resolver.Error
				if !errors.As(o.err, &e) || !e.Timeout() || !e.Temporary() {
					w.Errorf("got %v, want an error that is a temporary timeout", o)
				}
				w.want("none.example.", dns.TypeA, dns.RcodeNameError)
			}, ipv4Only, func(o *resolver.Options) { o.Limits.Time = time.Second })
		})
	}
	inWorld(t, plainWorld+"-- fault * --\nlatency 310ms\n", func(w *world) {
		w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80").within(w, time.Second)
	}, ipv4Only, func(o *resolver.Options) { o.Limits.Time = time.Second })
}

// TestDefaultTimeLimit holds against servers that drip.
func TestDefaultTimeLimit(t *testing.T) {
	inWorld(t, plainWorld+"-- fault shop.example. --\ntruncate\nwhen tcp: drip 900ms\n", func(w *world) {
		o := w.ask("www.shop.example.", dns.TypeA).within(w, 10*time.Second)
		if o.err == nil {
			w.Errorf("got %v, want an error", o)
		}
	})
}

// TestSendsPerServer: one question goes to one address over one transport three times
// at most (RFC 9520 §3.1), whatever the server does.
func TestSendsPerServer(t *testing.T) {
	for _, fault := range []string{
		"drop", "rcode SERVFAIL", "rcode FORMERR", "no-edns formerr\nwhen no-edns: rcode FORMERR", "bad-cookie",
		"wrong-id", "fold-case", "garbage", "truncate\nwhen tcp: close", "truncate\nwhen tcp: reset", "refuse", "unreachable",
		"when udp: bad-cookie\nwhen tcp: close", "wrong-question other.example. A",
	} {
		t.Run(fault, func(t *testing.T) {
			inWorld(t, plainWorld+"-- fault shop.example. --\n"+fault+"\n", func(w *world) {
				w.ask("www.shop.example.", dns.TypeA)
				for _, network := range []string{"udp", "tcp"} {
					if got := w.in.Count(resolvertest.To("198.51.100.3"), resolvertest.Over(network), resolvertest.Name("www.shop.example.")); got > 3 {
						w.Errorf("%s: got %d queries over %s, want 3 at most:\n%s", fault, got, network, resolvertest.Table(w.in.Log()))
					}
				}
			}, ipv4Only)
		})
	}
}

// TestRecordsLimit: RRsets up to the limit are answers, larger ones a typed error;
// raising it lets them through.
func TestRecordsLimit(t *testing.T) {
	zone := func(n int) string {
		var b strings.Builder
		b.WriteString("-- zone shop.example. at 198.51.100.3 --\n")
		for i := range n {
			fmt.Fprintf(&b, "www A 198.18.%d.%d\n", i/256, i%256)
		}
		return b.String()
	}
	inWorld(t, zone(256), func(w *world) {
		if o := w.ask("www.shop.example.", dns.TypeA); o.err != nil || len(o.Answer) != 256 {
			w.Errorf("256 records: got %v", o.err)
		}
	})
	inWorld(t, zone(257), func(w *world) {
		w.wantLimit("www.shop.example.", dns.TypeA, "Records")
	})
	inWorld(t, zone(2000), func(w *world) {
		if o := w.ask("www.shop.example.", dns.TypeA); o.err != nil || len(o.Answer) != 2000 {
			w.Errorf("2,000 records with the limit raised: got %v", o.err)
		}
	}, func(o *resolver.Options) { o.Limits.Records = 2000 })
}

// TestReferralsLimit: a ladder of delegations, one a label.
func TestReferralsLimit(t *testing.T) {
	ladder := func(rungs int) (text, name string) {
		var b strings.Builder
		zone := "example."
		for i := range rungs {
			zone = fmt.Sprintf("d%d.%s", i, zone)
			fmt.Fprintf(&b, "-- zone %s at 203.0.113.%d --\n", zone, i+1)
		}
		return b.String() + "www A 192.0.2.80\n", "www." + zone
	}
	text, name := ladder(20)
	inWorld(t, text, func(w *world) {
		w.want(name, dns.TypeA, 0, name+" A 192.0.2.80")
	})
	inWorld(t, text, func(w *world) {
		w.wantLimit(name, dns.TypeA, "Referrals").atMost(w, 6)
	}, minimiseOff, func(o *resolver.Options) { o.Limits.Referrals = 5 })
	inWorld(t, text, func(w *world) {
		w.want(name, dns.TypeA, 0, name+" A 192.0.2.80")
	}, minimiseOff, func(o *resolver.Options) { o.Limits.Referrals = 21 })
}

// TestAddressesPerServer: of one name server no more addresses than this are used.
func TestAddressesPerServer(t *testing.T) {
	var glue, at strings.Builder
	for i := range 20 {
		fmt.Fprintf(&glue, "ns.shop A 198.51.100.%d\n", 100+i)
		fmt.Fprintf(&at, " 198.51.100.%d", 100+i)
	}
	text := "-- zone example. at 198.51.100.2 --\nshop NS ns.shop\n" + glue.String() +
		"-- zone shop.example. at" + at.String() + " undelegated --\n@ NS ns\n-- fault shop.example. --\nrcode SERVFAIL\n"
	for limit, want := range map[int]int{0: 6, 2: 2} {
		inWorld(t, text, func(w *world) {
			w.ask("www.shop.example.", dns.TypeA)
			if got := w.in.Count(resolvertest.Name("www.shop.example.")); got != want+1 {
				w.Errorf("limit %d: got %d queries, want one at each of %d addresses, and the plain retry", limit, got, want)
			}
			addrs := make(map[netip.Addr]bool)
			for _, q := range w.in.Log(resolvertest.Name("www.shop.example.")) {
				addrs[q.Server] = true
			}
			if len(addrs) != want {
				w.Errorf("limit %d: %d addresses were asked, want %d", limit, len(addrs), want)
			}
		}, ipv4Only, func(o *resolver.Options) { o.Limits.AddressesPerServer = limit })
	}
}

// TestFailedLookupsLimit: names of name servers that do not exist cost five look-ups,
// those whose servers are down ten (Unbound #687: the Dyn outage).
func TestFailedLookupsLimit(t *testing.T) {
	var names strings.Builder
	for i := range 13 {
		fmt.Fprintf(&names, "shop NS ns%d.victim.test.\n", i)
	}
	text := "-- zone example. at 198.51.100.2 --\n" + names.String() + "-- zone victim.test. at 198.51.100.9 --\n"
	inWorld(t, text, func(w *world) {
		w.wantLimit("www.shop.example.", dns.TypeA, "FailedServerLookups")
	}, ipv4Only)
	// The last one works.
	for i, works := range []string{"ns12", "ns0"} {
		inWorld(t, text+works+" A 198.51.100.10\n-- zone shop.example. at 198.51.100.10 undelegated --\nwww A 192.0.2.80\n-- fault 198.51.100.9 --\nwhen below victim.test. type A: latency 1ms\n", func(w *world) {
			for range 60 { // which five are tried is a matter of chance
				if o := w.ask("www.shop.example.", dns.TypeA); o.err == nil {
					return
				}
				time.Sleep(6 * time.Minute)
			}
			w.Errorf("case %d: one of 13 name servers works and is never found", i)
		}, ipv4Only)
	}
}

// TestOutageOfNameServers: names whose servers are down are given up for others, up to
// twice the limit.
func TestOutageOfNameServers(t *testing.T) {
	var text strings.Builder
	text.WriteString("-- zone example. at 198.51.100.2 --\n")
	for i := range 8 {
		fmt.Fprintf(&text, "shop NS ns.down%d.test.\n", i)
	}
	text.WriteString("shop NS ns.works.test.\n-- zone works.test. at 198.51.100.9 --\nns A 198.51.100.10\n")
	text.WriteString("-- zone shop.example. at 198.51.100.10 undelegated --\nwww A 192.0.2.80\n")
	for i := range 8 {
		fmt.Fprintf(&text, "-- zone down%d.test. at 203.0.113.%d --\nns A 198.51.100.10\n-- fault 203.0.113.%d --\nrcode SERVFAIL\n", i, i+1, i+1)
	}
	for range 10 {
		inWorld(t, text.String(), func(w *world) {
			w.want("www.shop.example.", dns.TypeA, 0, "www.shop.example. A 192.0.2.80")
		}, ipv4Only)
	}
}

// TestNoLimits: a negative field is no limit.
func TestNoLimits(t *testing.T) {
	none := resolver.Limits{
		Sends: -1, Bytes: -1, Time: -1, SendsPerServer: -1, FailedServerLookups: -1, AddressesPerServer: -1, Depth: -1,
		Aliases: -1, Minimised: -1, Referrals: -1, Records: -1, QueriesPerZone: -1, QueriesPerServer: -1, Questions: -1,
		Sockets: -1, Connections: -1,
	}
	inWorld(t, plainWorld, func(w *world) {
		w.want("www.far.example.", dns.TypeA, 0, "www.far.example. A 192.0.2.90")
	}, func(o *resolver.Options) { o.Limits = none })
}

// TestSendsOfValidation: queries of validation are charged to the same budget as those of
// the question itself, to the last query; a question that runs out of it in the midst of
// validation fails by its limit, and is not bogus.
func TestSendsOfValidation(t *testing.T) {
	// Five zones on the way, each with keys and a DS to be asked for; the keys of one are
	// too large for UDP, and the servers of another have names in a zone of their own.
	const text = `
-- zone shop.example. at 198.51.100.3 algorithm=13 ksk=1,2 zsk=1,2 --
www             CNAME   www.far.example.
-- zone far.example. at 198.51.100.4 signed --
@               NS      ns.names.example.
www             A       192.0.2.90
-- zone names.example. at 198.51.100.5 signed --
ns              A       198.51.100.4
-- fault shop.example. --
when type DNSKEY: truncate
-- fault * --
latency 20ms
`
	cost := 0
	inWorld(t, text, func(w *world) {
		done, err := spentBy(w.Context(), w.r, "www.shop.example.", dns.TypeA)
		if err != nil {
			t.Fatal(err)
		}
		cost = done.Sends
		keys := w.in.Count(resolvertest.Type(dns.TypeDNSKEY, dns.TypeDS))
		w.Logf("%d sends, %d of them validation's", cost, keys)
		if keys < cost/3 {
			t.Errorf("got %d queries for keys of %d: validation costs nothing here", keys, cost)
		}
	}, ipv4Only)
	// A question that joins a query under way pays for it too, so that the budget has to be
	// larger than the number of queries sent.
	for n, answered := 1, false; !answered; n++ {
		inWorld(t, text, func(w *world) {
			o := w.ask("www.shop.example.", dns.TypeA)
			w.settle()
			if answered = o.err == nil; answered && (o.Status != dnssec.Secure || n < cost || n > 2*cost) {
				t.Errorf("limit %d: got %v, %v; want the answer to take %d to %d, and to be Secure", n, o, o.Status, cost, 2*cost)
			}
			var failure *resolver.Error
			var limit *resolver.LimitError
			if !answered && (!errors.As(o.err, &limit) || limit.Limit != "Sends" || !errors.As(o.err, &failure) || failure.Status == dnssec.Bogus) {
				t.Errorf("limit %d: got %v, want the limit Sends and no verdict", n, o)
			}
			if got := w.in.Count(notPriming); got > n {
				t.Errorf("got %d queries with a limit of %d:\n%s", got, n, resolvertest.Table(w.in.Log()))
			}
		}, ipv4Only, func(o *resolver.Options) { o.Limits.Sends = n })
		if n > 3*cost {
			t.Fatalf("no answer with %d sends", n)
		}
	}
}

// TestSpentBudgetBlamesNobody: a server that a question had no query left for, or no bytes,
// was not silent, and is not marked down: otherwise an attacker that makes us spend a
// budget could have others' servers marked down.
func TestSpentBudgetBlamesNobody(t *testing.T) {
	const text = `
-- zone attacker.example. at 198.51.100.66 --
www             CNAME   www.victim.example.
-- zone victim.example. at 198.51.100.9 --
www             A       192.0.2.90
mail            A       192.0.2.91
`
	for field, limit := range map[string]func(*resolver.Options){
		"Sends": func(o *resolver.Options) { o.Limits.Sends = 1 },
		"Bytes": func(o *resolver.Options) { o.Limits.Bytes = 110 },
	} {
		t.Run(field, func(t *testing.T) {
			held := cache.New(cache.Options{})
			inWorld(t, text, func(w *world) {
				known := w.in.Resolver(w.T, ipv4Only, func(o *resolver.Options) { o.Cache = held })
				for _, zone := range []string{"attacker.example.", "victim.example."} {
					if _, err := known.Resolve(w.Context(), zone, dns.TypeMX); err != nil {
						t.Fatal(err)
					}
				}
				w.wantLimit("www.attacker.example.", dns.TypeA, field)
				w.settle()
				ctx := resolver.WithTrace(w.Context(), &resolver.Trace{Query: func(q resolver.QueryInfo) {
					if q.Reason == resolver.ReasonProbe {
						t.Errorf("%v is probed as if it were marked down", q.Server)
					}
				}})
				if o := w.askWith(ctx, "mail.victim.example.", dns.TypeA); o.err != nil || o.sends != 1 {
					t.Errorf("then: got %v after %d sends, want an answer after 1", o, o.sends)
				}
			}, ipv4Only, limit, func(o *resolver.Options) { o.Cache = held })
		})
	}
}
