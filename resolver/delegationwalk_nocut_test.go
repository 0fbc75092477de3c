package resolver_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// deepNames has names far below their zone, reverse ones among them.
const deepNames = `
-- zone shop.example. at 198.51.100.3 %[1]s --
x1.a.b.c.d.e      A      192.0.2.1
x1.a.b.c.d.e      TXT    "one"
x2.a.b.c.d.e      A      192.0.2.2
y.x1.a.b.c.d.e    A      192.0.2.3
alias.a.b.c.d.e   CNAME  x2.a.b.c.d.e
z.alias.a.b.c.d.e A      192.0.2.4
*.w.b.c.d.e       A      192.0.2.5
tree.e            DNAME  a.b.c.d.e
-- zone 8.b.d.0.1.0.0.2.ip6.arpa. at 198.51.100.4 %[1]s --
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR one.shop.example.
2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR two.shop.example.
`

const reverseName = ".0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."

// TestNoCutIsRemembered: what one question learnt about the names above its own, and about
// its own, the next one need not ask again (RFC 9156 §3).
func TestNoCutIsRemembered(t *testing.T) {
	const deep = "a.b.c.d.e.shop.example."
	type ask struct {
		name   string
		rrtype uint16
	}
	for _, test := range []struct {
		about        string
		first, again ask
		sends        int // for the second, in unsigned and in signed zones
	}{
		{"a neighbour", ask{"x1." + deep, dns.TypeA}, ask{"x2." + deep, dns.TypeA}, 1},
		{"another type", ask{"x1." + deep, dns.TypeA}, ask{"x1." + deep, dns.TypeTXT}, 1},
		{"a name below an answer", ask{"x1." + deep, dns.TypeA}, ask{"y.x1." + deep, dns.TypeA}, 1},
		{"a name below an answer of a rare type", ask{"x1." + deep, dns.TypeTXT}, ask{"y.x1." + deep, dns.TypeA}, 1},
		{"a name below NODATA", ask{"x1." + deep, dns.TypeMX}, ask{"y.x1." + deep, dns.TypeA}, 1},
		{"a name below an alias", ask{"alias." + deep, dns.TypeCNAME}, ask{"z.alias." + deep, dns.TypeA}, 1},
		{"beside a name that does not exist", ask{"none." + deep, dns.TypeA}, ask{"x2." + deep, dns.TypeA}, 1},
		{"a name that does not exist", ask{"x1." + deep, dns.TypeA}, ask{"none." + deep, dns.TypeA}, 1},
		{"higher up", ask{"x1." + deep, dns.TypeA}, ask{"any.w.b.c.d.e.shop.example.", dns.TypeA}, 2},
		{"beside a DNAME", ask{"x1.tree.e.shop.example.", dns.TypeDNAME}, ask{"x2." + deep, dns.TypeA}, 1},
		{"PTR", ask{"1" + reverseName, dns.TypePTR}, ask{"2" + reverseName, dns.TypePTR}, 1},
		{"PTR of what does not exist", ask{"1" + reverseName, dns.TypePTR}, ask{"3" + reverseName, dns.TypePTR}, 1},
		{"DS says nothing of the name", ask{"x1." + deep, dns.TypeDS}, ask{"y.x1." + deep, dns.TypeA}, 2},
	} {
		for _, words := range []string{"", "signed"} {
			t.Run(test.about+" "+words, func(t *testing.T) {
				inWorld(t, fmt.Sprintf(deepNames, words), func(w *world) {
					if o := w.ask(test.first.name, test.first.rrtype); o.err != nil {
						t.Fatal(o.err)
					}
					if o := w.ask(test.again.name, test.again.rrtype); o.err != nil || o.sends != test.sends {
						w.Errorf("%s: got %v after %d sends, want %d:\n%s", test.again.name, o, o.sends, test.sends, resolvertest.Table(w.in.Log(notPriming)))
					}
				}, ipv4Only)
			})
		}
	}
}

// TestNoCutEnds: it is forgotten when the denial ends, or the lease of the zone if that is
// sooner, and at once when a zone is cut there.
func TestNoCutEnds(t *testing.T) {
	const text = `
-- zone example. at 198.51.100.2 --
shop          %d  NS  ns.shop
ns.shop       %d  A   198.51.100.3
-- zone shop.example. at 198.51.100.3 --
@         86400   SOA ns hostmaster 1 3600 600 604800 %d
x1.a              A   192.0.2.1
x2.a              A   192.0.2.2
x3.a              A   192.0.2.3
`
	for _, test := range []struct {
		about         string
		lease, denial int // seconds
		alive         time.Duration
	}{
		{"the denial", 3600, 600, 600 * time.Second},
		{"the lease", 60, 600, 60 * time.Second},
		{"no TTL", 3600, 0, 5 * time.Second},
		{"a long TTL", 86400, 86400, time.Hour},
	} {
		t.Run(test.about, func(t *testing.T) {
			inWorld(t, fmt.Sprintf(text, test.lease, test.lease, test.denial), func(w *world) {
				// No longer than the denial, since the name asked for does not exist
				// either.
				w.ask("none.a.shop.example.", dns.TypeA)
				time.Sleep(test.alive - time.Second)
				w.want("x1.a.shop.example.", dns.TypeTXT, 0)
				w.count(0, resolvertest.Name("a.shop.example."))
				time.Sleep(time.Second + max(test.alive, 5*time.Second))
				w.want("x3.a.shop.example.", dns.TypeA, 0, "x3.a.shop.example. A 192.0.2.3")
				w.count(1, resolvertest.Name("a.shop.example."))
			}, ipv4Only)
		})
	}
	t.Run("a zone", func(t *testing.T) {
		inWorld(t, fmt.Sprintf(text, 3600, 3600, 600), func(w *world) {
			w.want("x1.a.shop.example.", dns.TypeA, 0, "x1.a.shop.example. A 192.0.2.1")
			err := w.in.Update(`
-- zone shop.example. at 198.51.100.3 --
a               60  NS  ns.a
ns.a            60  A   198.51.100.4
-- zone a.shop.example. at 198.51.100.4 --
x2.b                A   192.0.2.4
x3.b                A   192.0.2.5
`)
			if err != nil {
				t.Fatal(err)
			}
			w.want("x2.b.a.shop.example.", dns.TypeA, 0, "x2.b.a.shop.example. A 192.0.2.4")
			time.Sleep(61 * time.Second) // the delegation has ended: no more than a label for the servers above
			w.want("x3.b.a.shop.example.", dns.TypeA, 0, "x3.b.a.shop.example. A 192.0.2.5")
			w.count(1, resolvertest.Name("a.shop.example."), resolvertest.To("198.51.100.3"))
			w.count(0, resolvertest.Name("x3.b.a.shop.example."), resolvertest.To("198.51.100.3"))
		}, ipv4Only)
	})
}

// TestAttackMinimisedAgain: minimised queries do not multiply the cost of a chain of
// aliases, or of random names, to the servers of a zone (attacks.md 43).
func TestAttackMinimisedAgain(t *testing.T) {
	const aliases, labels = 10, ".a.b.c.d.ent.shop.example."
	var chain strings.Builder
	for i := range aliases {
		fmt.Fprintf(&chain, "c%d%s CNAME c%d%s\n", i, labels, i+1, labels)
	}
	fmt.Fprintf(&chain, "c%d%s A 192.0.2.80\nx.a.b.wild.shop.example. A 192.0.2.81\n*.wild.shop.example. A 192.0.2.82\n", aliases, labels)
	for about, fault := range map[string]string{
		"honest":              "latency 1ms",
		"no TTLs":             "add authority shop.example. 0 IN SOA ns. host. 1 1 1 1 0",
		"no SOA":              "remove authority shop.example. SOA",
		"refused":             "when type A name ent.shop.example.: rcode REFUSED",
		"no empty names":      "when type A name ent.shop.example.: replace NXDOMAIN",
		"an alias each, only": "when type A name a.b.c.d.ent.shop.example.: replace NXDOMAIN",
	} {
		t.Run(about, func(t *testing.T) {
			inWorld(t, "-- zone shop.example. at 198.51.100.3 --\n"+chain.String()+"-- fault 198.51.100.3 --\n"+fault+"\n", func(w *world) {
				w.in.Fault("shop.example.", resolvertest.Hook(firstAnswerOnly)) // one alias a message
				if o := w.ask("c0"+labels, dns.TypeA); o.err != nil || len(o.Answer) != aliases+1 {
					t.Fatalf("got %v", o)
				}
				asked := make(map[string]int)
				most := 0
				for _, q := range w.in.Log(notPriming) {
					k := fmt.Sprint(strings.ToLower(q.Name), q.Type, q.Server)
					asked[k]++
					most = max(most, asked[k])
				}
				t.Logf("%-20s %3d sends, %d of one question to one address <= 3", about, w.in.Count(notPriming), most)
				if most > 3 {
					w.Errorf("got %d sends of one question to one address, want 3 at most:\n%s", most, resolvertest.Table(w.in.Log()))
				}
				for i := range 50 {
					if o := w.ask(fmt.Sprintf("r%d%s", i, labels), dns.TypeA); o.err != nil || o.sends != 1 {
						w.Errorf("random name %d: got %v after %d sends, want 1", i, o, o.sends)
					}
				}
			}, ipv4Only)
		})
	}
}

// TestNoCutBelowAStub: it is learnt from the servers of a route too.
func TestNoCutBelowAStub(t *testing.T) {
	inWorld(t, fmt.Sprintf(deepNames, ""), func(w *world) {
		w.want("x1.a.b.c.d.e.shop.example.", dns.TypeA, 0, "x1.a.b.c.d.e.shop.example. A 192.0.2.1")
		w.want("x2.a.b.c.d.e.shop.example.", dns.TypeA, 0, "x2.a.b.c.d.e.shop.example. A 192.0.2.2")
		w.count(1, notPriming)
	}, ipv4Only, func(o *resolver.Options) {
		o.Routes = []resolver.Route{{Zone: "shop.example.", Kind: resolver.RouteStub, Servers: []resolver.RouteServer{{Addr: netip.MustParseAddrPort("198.51.100.3:53")}}}}
	})
}
