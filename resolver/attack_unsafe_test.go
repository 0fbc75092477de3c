package resolver_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/glue"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// onlyPublic is the default of Options.AllowServer, and fails the test for each connection
// to any other address: not a packet may be sent.
func onlyPublic(t *testing.T, in *resolvertest.Internet) func(*resolver.Options) {
	return func(o *resolver.Options) {
		ipv4Only(o)
		o.AllowServer = nil
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if a := netip.MustParseAddrPort(address).Addr(); !resolver.PublicUnicast(a) {
				t.Errorf("a connection to %s was opened", address)
			}
			return in.Dial(ctx, network, address)
		}
	}
}

// inPublicWorld is inWorld with addresses as the Internet has them.
func inPublicWorld(t *testing.T, text string, play func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, text)
		play(&world{t, in, in.Resolver(t, onlyPublic(t, in))})
		if t.Failed() {
			t.Logf("queries since the last question began:\n%s", resolvertest.Table(in.Log()))
		}
	})
}

// TestUnsafeAmongSafe: a zone that has a public server beside one that may not be asked is
// resolved by that, whichever of them is drawn, at no cost.
func TestUnsafeAmongSafe(t *testing.T) {
	for name, servers := range map[string]string{
		"another server's glue": `
one             NS  ns1.one
one             NS  ns2.one
ns1.one         A   127.0.0.1
ns2.one         A   192.5.5.243
`,
		"the same server's glue": `
one             NS  ns1.one
ns1.one         A   0.0.0.0
ns1.one         A   192.5.5.243
ns1.one         A   10.0.0.1
ns1.one         A   169.254.169.254
`,
		"a name elsewhere": `
one             NS  ns.host.test.
one             NS  ns1.one
ns1.one         A   192.168.0.1
`,
		"sibling glue": `
one             NS  ns.two
one             NS  ns.host.test.
two             NS  ns.two
ns.two          A   127.0.0.1
`,
	} {
		t.Run(name, func(t *testing.T) {
			inPublicWorld(t, `
-- zone . at 193.0.14.129 --
-- zone example. at 192.5.5.241 --
`+servers+`
-- zone test. at 192.5.5.242 --
-- zone host.test. at 192.5.5.244 --
ns              A   192.5.5.243
-- zone one.example. at 192.5.5.243 undelegated --
*               A   192.0.2.80
`, func(w *world) {
				for _, label := range []string{"a", "b", "c", "d", "e"} {
					owner := label + ".one.example."
					w.want(owner, dns.TypeA, 0, owner+" A 192.0.2.80").within(w, time.Millisecond)
				}
			})
		})
	}
}

// TestUnsafeGlueLeavesTheCache: refusing the address of a server drops nothing from the
// cache (CVE-2026-50251: glue of 0.0.0.0 emptied a whole cache, and was then asked).
func TestUnsafeGlueLeavesTheCache(t *testing.T) {
	for _, bad := range []string{"0.0.0.0", "127.0.0.1", "255.255.255.255", "10.0.0.1"} {
		t.Run(bad, func(t *testing.T) {
			inPublicWorld(t, `
-- zone . at 193.0.14.129 --
-- zone example. at 192.5.5.241 --
www             A   192.0.2.80
evil            NS  ns.evil
ns.evil         A   `+bad+`
-- zone fine.example. at 192.5.5.242 --
www             A   192.0.2.81
`, func(w *world) {
				warm := func(sends int) {
					w.want("www.example.", dns.TypeA, 0, "www.example. A 192.0.2.80").atMost(w, sends)
					w.want("www.fine.example.", dns.TypeA, 0, "www.fine.example. A 192.0.2.81").atMost(w, sends)
					w.want("none.fine.example.", dns.TypeA, dns.RcodeNameError).atMost(w, sends)
				}
				warm(4)
				w.settle()
				before := w.r.Stats().Cache.Entries
				w.wantError("www.evil.example.", dns.TypeA, resolver.ErrNoServerAddress).atMost(w, 1)
				warm(0)
				if after := w.r.Stats().Cache.Entries; after < before {
					w.Errorf("the cache had %d entries and has %d, want no fewer", before, after)
				}
				w.want("other.fine.example.", dns.TypeA, dns.RcodeNameError).atMost(w, 1) // the cut too
			})
		})
	}
}

// TestUnsafePriming: addresses of root servers from the network that may not be asked
// replace none that may: a server keeps those of the hints, and one that has no other is
// left out. Those of the hints themselves are exempt.
func TestUnsafePriming(t *testing.T) {
	const root = `
-- zone . at 193.0.14.129 192.33.4.12 --
@                       3600  NS    a.root-servers.example.
@                       3600  NS    b.root-servers.example.
a.root-servers.example. 3600  A     193.0.14.129
b.root-servers.example. 3600  A     192.33.4.12
www                     10    A     192.0.2.80
`
	for name, faults := range map[string][]string{
		"all": {
			"remove additional A", "remove additional AAAA",
			"add additional a.root-servers.example. 3600 A 10.0.0.1", "add additional b.root-servers.example. 3600 A 127.0.0.1",
		},
		"one": {
			"remove additional a.root-servers.example. A", "add additional a.root-servers.example. 3600 A 0.0.0.0",
		},
		"beside public ones": {
			"add additional a.root-servers.example. 3600 A 10.0.0.1", "add additional b.root-servers.example. 3600 A 192.168.0.1",
		},
		"of a server that the hints do not have": {
			"add answer . 3600 NS c.root-servers.example.", "add additional c.root-servers.example. 3600 A 10.0.0.1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var text strings.Builder
			text.WriteString(root + "-- fault 193.0.14.129 192.33.4.12 --\n")
			for _, f := range faults {
				text.WriteString("when name . type NS: " + f + "\n")
			}
			inPublicWorld(t, text.String(), func(w *world) {
				w.want("www.", dns.TypeA, 0, "www. A 192.0.2.80")
				w.settle()
				for _, dead := range []string{"193.0.14.129", "192.33.4.12"} { // so that the other has to do
					w.in.Fault(dead, resolvertest.Dead())
					w.want("www.", dns.TypeA, 0, "www. A 192.0.2.80").within(w, time.Second)
					w.count(0, priming) // from what it has taught
					w.in.Fault(dead, resolvertest.Mend())
					time.Sleep(11 * time.Second) // www is asked for again
				}
			})
		})
	}
}

// TestHintsMayBePrivate: a root server that the caller of New names at a private address is
// asked there, also when the root says so itself.
func TestHintsMayBePrivate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, `
-- zone . at 10.0.0.53 --
@               60    NS    a.root-servers.example.
a.root-servers.example. 60 A 10.0.0.53
*               10    A     192.0.2.80
`)
		var mu sync.Mutex
		asked := make(map[string]int)
		r := in.Resolver(t, ipv4Only, func(o *resolver.Options) {
			o.AllowServer = nil
			o.RootHints = &glue.Delegation{}
			*o.RootHints = *in.Hints()
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				asked[address]++
				return in.Dial(ctx, network, address)
			}
		})
		w := &world{t, in, r}
		for range 3 {
			w.want("www.", dns.TypeA, 0, "www. A 192.0.2.80")
			time.Sleep(100 * time.Second)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(asked) != 1 || asked["10.0.0.53:53"] < 3 {
			t.Errorf("asked %v, want only the server of the hints", asked)
		}
	})
}
