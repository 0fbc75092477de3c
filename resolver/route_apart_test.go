package resolver_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// apartWorld is the public side: an example. with a corp.example.
const apartWorld = `
-- zone . at 198.18.0.1 --
-- zone example. at 198.18.0.2 --
www             A       192.0.2.1
mail            A       192.0.2.2
a.pub           A       192.0.2.3
-- zone corp.example. at 198.51.100.9 --
www             A       192.0.2.66
sub             A       192.0.2.67
`

// apartInside is a network with a corp.example. of its own.
const apartInside = `
-- zone corp.example. at 10.0.0.53 undelegated --
www             A       10.0.0.80
alias           CNAME   mail.example.
chain           CNAME   www.pub.corp.example.
dn              DNAME   pub.corp.example.
`

// apart makes an Internet, a network behind 10.0.0.0/8, and a resolver that reaches both.
func apart(t *testing.T, inside string, change ...func(*resolver.Options)) (out, in *resolvertest.Internet, r *resolver.Resolver) {
	out, in = resolvertest.New(t, apartWorld), resolvertest.New(t, inside)
	dial := func(o *resolver.Options) {
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasPrefix(address, "10.") {
				return in.Dial(ctx, network, address)
			}
			return out.Dial(ctx, network, address)
		}
	}
	return out, in, out.Resolver(t, append(change, dial)...)
}

// lies are records that a hostile server adds to every reply.
const lies = `
add authority example. 86400 NS ns.evil.example.
add authority example. 86400 DS 1 8 2 00
add authority . 86400 NS ns.evil.example.
add authority example. 86400 SOA ns.evil.example. h. 1 1 1 1 86400
add additional ns.evil.example. 86400 A 203.0.113.66
add additional www.example. 86400 A 203.0.113.66
add answer www.example. 86400 A 203.0.113.66
add answer mail.example. 86400 A 203.0.113.66
add answer www.pub.corp.example. 86400 CNAME mail.example.
add answer www.pub.corp.example. 86400 A 203.0.113.66
`

// addressesOf asks for the A records of a name, and returns "rcode address…".
func addressesOf(t *testing.T, r *resolver.Resolver, name string) string {
	t.Helper()
	result, err := r.Resolve(t.Context(), name, dns.TypeA)
	if err != nil {
		return "error " + err.Error()
	}
	var got strings.Builder
	got.WriteString(dns.RcodeToString[result.Rcode])
	for _, rr := range result.Answer {
		if a, ok := rr.(*dns.A); ok {
			got.WriteString(" " + a.A.String())
		}
	}
	return got.String()
}

func wantAddresses(t *testing.T, r *resolver.Resolver, name, want string) {
	t.Helper()
	if got := addressesOf(t, r, name); got != want {
		t.Errorf("%s: got %s, want %s", name, got, want)
	}
}

// MaginotDNS, the one way: iteration uses nothing that a forwarder adds to its answer, nor
// its answers for names outside its route.
func TestForwarderPoisonsNothing(t *testing.T) {
	for _, kind := range []resolver.RouteKind{resolver.RouteForward, resolver.RouteStub} {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				out, _, r := apart(t, apartInside+"-- fault 10.0.0.53 --"+lies, func(o *resolver.Options) {
					o.Validation = resolver.ValidateOff
					o.Routes = []resolver.Route{
						{Zone: "corp.example", Kind: kind, Servers: server("10.0.0.53")},
						{Zone: "pub.corp.example", Kind: resolver.RouteIterate},
					}
				})
				wantAddresses(t, r, "www.corp.example.", "NOERROR 10.0.0.80")
				wantAddresses(t, r, "alias.corp.example.", "NOERROR 192.0.2.2")
				// www.pub.corp.example. is exempt, so that the public zone says it is not there.
				wantAddresses(t, r, "chain.corp.example.", "NXDOMAIN")
				wantAddresses(t, r, "www.dn.corp.example.", "NXDOMAIN")
				wantAddresses(t, r, "none.corp.example.", "NXDOMAIN")
				wantAddresses(t, r, "www.example.", "NOERROR 192.0.2.1")
				wantAddresses(t, r, "mail.example.", "NOERROR 192.0.2.2")
				wantAddresses(t, r, "evil.example.", "NXDOMAIN")
				if n := out.Count(resolvertest.To("203.0.113.66")); n != 0 {
					t.Errorf("the attacker's server was asked %d times", n)
				}
			})
		})
	}
}

// A forwarder, or a server of a route, that sends name servers and glue for the exempt zone
// below its route, as referral, as answer or beside one, delegates nothing: iteration
// follows the zones above the exempt one.
func TestForwarderDelegatesNoExemptZone(t *testing.T) {
	const exempt = `
-- zone . at 198.18.0.1 --
-- zone example. at 198.18.0.2 --
-- zone corp.example. at 198.51.100.9 --
-- zone pub.corp.example. at 198.51.100.10 --
www             A       192.0.2.3
mail            A       192.0.2.4
-- zone evil.example. at 203.0.113.66 --
`
	const evil = `
add authority pub.corp.example. 86400 NS ns.evil.example.
add authority pub.corp.example. 86400 NS ns1.pub.corp.example.
add additional ns.evil.example. 86400 A 203.0.113.66
add additional ns1.pub.corp.example. 86400 A 203.0.113.66
`
	for _, kind := range []resolver.RouteKind{resolver.RouteForward, resolver.RouteStub} {
		for name, faults := range map[string]string{
			"beside answers": evil,
			"as answers":     "replace NOERROR www.corp.example. 86400 A 10.0.0.80\nadd answer pub.corp.example. 86400 NS ns.evil.example.\n" + evil,
			"as referrals":   "replace NOERROR\n" + evil,
			"as aliases":     "replace NOERROR www.corp.example. 86400 CNAME www.pub.corp.example.\nadd answer www.pub.corp.example. 86400 A 203.0.113.66\n" + evil,
		} {
			t.Run(kind.String()+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					out, in := resolvertest.New(t, exempt), resolvertest.New(t, apartInside+"-- fault 10.0.0.53 --\n"+faults)
					r := out.Resolver(t, ipv4Only, func(o *resolver.Options) {
						o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
							if strings.HasPrefix(address, "10.") {
								return in.Dial(ctx, network, address)
							}
							return out.Dial(ctx, network, address)
						}
						o.Validation = resolver.ValidateOff
						o.Routes = []resolver.Route{
							{Zone: "corp.example", Kind: kind, Servers: server("10.0.0.53")},
							{Zone: "pub.corp.example", Kind: resolver.RouteIterate},
						}
					})
					for _, before := range []string{"www.corp.example.", "sub.corp.example.", "corp.example."} {
						r.Resolve(t.Context(), before, dns.TypeA)
						r.Resolve(t.Context(), before, dns.TypeNS)
					}
					if in.Count() == 0 {
						t.Fatal("the route was not taken")
					}
					wantAddresses(t, r, "www.pub.corp.example.", "NOERROR 192.0.2.3")
					r.Resolve(t.Context(), "www.corp.example.", dns.TypeTXT)
					wantAddresses(t, r, "mail.pub.corp.example.", "NOERROR 192.0.2.4")
					time.Sleep(2 * time.Hour) // what is right expires first
					r.Resolve(t.Context(), "www.corp.example.", dns.TypeMX)
					wantAddresses(t, r, "www.pub.corp.example.", "NOERROR 192.0.2.3")
					if n := out.Count(resolvertest.To("203.0.113.66")) + in.Count(resolvertest.To("203.0.113.66")); n != 0 {
						t.Errorf("the attacker's server was asked %d times", n)
					}
					if n := in.Count(resolvertest.Below("pub.corp.example.")); n != 0 {
						t.Errorf("the route's server was asked %d times for the exempt zone", n)
					}
				})
			})
		}
	}
}

// A route for everything has no effect on exempt zones either.
func TestForwardedRootPoisonsNoExemptZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, in, r := apart(t, apartInside+"-- zone test. at 10.0.0.53 undelegated --\nwww A 192.0.2.9\nto CNAME www.example.\n-- fault 10.0.0.53 --"+lies, func(o *resolver.Options) {
			o.Validation = resolver.ValidateOff
			o.Routes = []resolver.Route{
				{Zone: ".", Servers: server("10.0.0.53")},
				{Zone: "example", Kind: resolver.RouteIterate},
			}
		})
		wantAddresses(t, r, "www.test.", "NOERROR 192.0.2.9")
		wantAddresses(t, r, "to.test.", "NOERROR 192.0.2.1")
		wantAddresses(t, r, "www.example.", "NOERROR 192.0.2.1")
		wantAddresses(t, r, "mail.example.", "NOERROR 192.0.2.2")
		if n := in.Count(resolvertest.To("10.0.0.53"), resolvertest.Below("example.")); n != 0 {
			t.Errorf("the forwarder was asked %d times for names of the exempt zone", n)
		}
	})
}

// The other way: what the zones above a route say about it, by referral, denial or alias,
// has no effect in it. The signed root proves that local. does not exist, and example. that
// none.corp.example. and the like do not.
func TestIterationPoisonsNoRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, `
-- zone . at 198.18.0.1 signed --
-- zone example. at 198.18.0.2 signed --
a               A       192.0.2.1
z               A       192.0.2.2
alias           CNAME   www.corp.example.
-- zone corp.example. at 10.0.0.53 undelegated --
www             A       10.0.0.80
-- zone local. at 10.0.0.54 undelegated --
www             A       10.0.0.81
-- fault 198.18.0.2 --
when name alias.example.: add answer www.corp.example. A 203.0.113.66
`)
		r := in.Resolver(t, func(o *resolver.Options) {
			o.Routes = []resolver.Route{
				{Zone: "corp.example", Servers: server("10.0.0.53"), Unsigned: true},
				{Zone: "local", Kind: resolver.RouteStub, Servers: server("10.0.0.54"), Unsigned: true},
			}
		})
		// These denials cover the routes' names.
		wantAddresses(t, r, "b.example.", "NXDOMAIN")
		wantAddresses(t, r, "lo.", "NXDOMAIN")
		synctest.Wait() // for the priming
		in.ResetLog()
		wantAddresses(t, r, "c.example.", "NXDOMAIN")
		if n := in.Count(); n != 0 {
			t.Fatalf("the denial is not used for a neighbour: %d queries", n)
		}
		wantAddresses(t, r, "alias.example.", "NOERROR 10.0.0.80")
		wantAddresses(t, r, "www.corp.example.", "NOERROR 10.0.0.80")
		wantAddresses(t, r, "www.local.", "NOERROR 10.0.0.81")
		wantAddresses(t, r, "none.local.", "NXDOMAIN")
	})
}

// Routes that change leave the cache right: names that keep their route are answered from
// it, the others by the new one, and by the old one again when that comes back.
func TestSetRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out, in, r := apart(t, apartInside)
		routed := []resolver.Route{{Zone: "corp.example", Servers: server("10.0.0.53"), Unsigned: true}}
		set := func(routes []resolver.Route) {
			t.Helper()
			if err := r.SetRoutes(routes); err != nil {
				t.Fatal(err)
			}
			out.ResetLog()
			in.ResetLog()
		}
		sends := func(what string, want int) {
			t.Helper()
			if n := in.Count(notPriming) + out.Count(notPriming); n != want {
				t.Errorf("%s: got %d queries, want %d:\n%s%s", what, n, want, resolvertest.Table(in.Log()), resolvertest.Table(out.Log()))
			}
		}
		wantAddresses(t, r, "www.example.", "NOERROR 192.0.2.1")
		wantAddresses(t, r, "www.corp.example.", "NOERROR 192.0.2.66")
		set(routed)
		wantAddresses(t, r, "www.example.", "NOERROR 192.0.2.1")
		sends("what has no route", 0)
		wantAddresses(t, r, "www.corp.example.", "NOERROR 10.0.0.80")
		wantAddresses(t, r, "sub.corp.example.", "NXDOMAIN")
		sends("the new route", 2)
		set(nil)
		wantAddresses(t, r, "www.corp.example.", "NOERROR 192.0.2.66")
		sends("no route any more", 0)
		wantAddresses(t, r, "sub.corp.example.", "NOERROR 192.0.2.67")
		set(routed)
		wantAddresses(t, r, "www.corp.example.", "NOERROR 10.0.0.80")
		wantAddresses(t, r, "sub.corp.example.", "NXDOMAIN")
		sends("the route again", 0)
		for _, wrong := range [][]resolver.Route{
			{{Zone: "a..b", Servers: server("10.0.0.53")}},
			{{Zone: "example"}},
			{{Zone: "example", Servers: server("0.0.0.0")}},
			{{Zone: "example", Kind: resolver.RouteIterate, Servers: server("10.0.0.53")}},
			{{Zone: "example", Kind: 9, Servers: server("10.0.0.53")}},
			{{Zone: "example", Servers: server("10.0.0.53")}, {Zone: "EXAMPLE.", Servers: server("10.0.0.53")}},
			{{Zone: "example", Servers: []resolver.RouteServer{{Name: "ns.example"}}}},
			{{Zone: "example", Servers: []resolver.RouteServer{{Name: "ns.test", Transport: resolver.TransportTLS}}}},
			{{Zone: "example", ResolvConf: "/nonexistent/resolv.conf"}},
		} {
			if err := r.SetRoutes(wrong); err == nil || !strings.Contains(err.Error(), "route") {
				t.Errorf("%+v: got %v, want an error", wrong, err)
			}
			wantAddresses(t, r, "www.corp.example.", "NOERROR 10.0.0.80")
		}
		r.Close()
		if err := r.SetRoutes(nil); !errors.Is(err, resolver.ErrClosed) {
			t.Errorf("after Close: got %v, want ErrClosed", err)
		}
		if err := r.SetLocalZones(nil); !errors.Is(err, resolver.ErrClosed) {
			t.Errorf("SetLocalZones after Close: got %v, want ErrClosed", err)
		}
	})
}

// Negative trust anchors come and go likewise.
func TestSetNegativeTrustAnchors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, `
-- zone shop.example. at 198.51.100.3 signed break=expired:www/A --
www             A       192.0.2.80
-- zone fine.example. at 198.51.100.4 signed --
www             A       192.0.2.81
`)
		r := in.Resolver(t)
		status := func(name string, want dnssec.Status) {
			t.Helper()
			if got := statusOf(t, r, name); got != want {
				t.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
		status("www.fine.example.", dnssec.Secure)
		status("www.shop.example.", dnssec.Bogus)
		if err := r.SetNegativeTrustAnchors([]resolver.NegativeTrustAnchor{{Zone: "shop.example", Until: time.Now().Add(time.Hour)}}); err != nil {
			t.Fatal(err)
		}
		status("www.shop.example.", dnssec.Insecure)
		synctest.Wait() // for the priming
		in.ResetLog()
		status("www.fine.example.", dnssec.Secure)
		status("www.shop.example.", dnssec.Insecure)
		if n := in.Count(); n != 0 {
			t.Errorf("warm: got %d queries, want none", n)
		}
		if err := r.SetNegativeTrustAnchors([]resolver.NegativeTrustAnchor{{Zone: "a..b"}}); err == nil {
			t.Errorf("malformed: got no error")
		}
		status("www.shop.example.", dnssec.Insecure)
		if err := r.SetNegativeTrustAnchors(nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute) // so that the failure cached at first is not returned
		status("www.shop.example.", dnssec.Bogus)
	})
}

// Changing routes while questions are under way: every answer is one that was right by
// some routes of that time.
func TestSetRoutesWhileAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, r := apart(t, apartInside+"-- fault * --\nlatency 20ms\n")
		done := make(chan string)
		const askers, times = 8, 50
		for i := range askers {
			go func() {
				bad := ""
				for n := range times {
					name := "www.corp.example."
					if got := addressesOf(t, r, name); got != "NOERROR 192.0.2.66" && got != "NOERROR 10.0.0.80" {
						bad = got
					}
					time.Sleep(time.Duration(i+n) * time.Second)
				}
				done <- bad
			}()
		}
		var routes []resolver.Route
		for range 200 {
			time.Sleep(777 * time.Millisecond)
			if len(routes) == 0 {
				routes = []resolver.Route{{Zone: "corp.example", Servers: server("10.0.0.53"), Unsigned: true}}
			} else {
				routes = nil
			}
			if err := r.SetRoutes(routes); err != nil {
				t.Error(err)
			}
		}
		for range askers {
			if bad := <-done; bad != "" {
				t.Errorf("got %s", bad)
			}
		}
	})
}

// A stub zone is searched from its servers, whatever is delegated.
func TestRouteStub(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, `
-- zone . at 198.18.0.1 --
-- zone example. at 198.18.0.2 --
ns              A       10.0.0.53
-- zone corp.example. at 10.0.0.53 undelegated --
www             A       10.0.0.80
deep            NS      ns.deep
ns.deep         A       10.0.0.54
far             NS      ns.far
ns.far          A       10.0.0.55
-- zone deep.corp.example. at 10.0.0.54 undelegated --
www             A       10.0.0.81
-- zone far.corp.example. at 10.0.0.55 undelegated --
www             A       10.0.0.82
`)
		for name, servers := range map[string][]resolver.RouteServer{
			"address": server("10.0.0.53"), "name": {{Name: "ns.example"}},
		} {
			r := in.Resolver(t, func(o *resolver.Options) {
				o.AllowServer = func(a netip.Addr) bool { return a == netip.MustParseAddr("10.0.0.54") || !a.IsPrivate() }
				o.Routes = []resolver.Route{{Zone: "corp.example", Kind: resolver.RouteStub, Servers: servers, Unsigned: true}}
			})
			wantAddresses(t, r, "www.corp.example.", "NOERROR 10.0.0.80")
			wantAddresses(t, r, "www.deep.corp.example.", "NOERROR 10.0.0.81")
			if got := addressesOf(t, r, "www.far.corp.example."); !strings.HasPrefix(got, "error") {
				t.Errorf("%s: a server that is not allowed: got %s, want an error", name, got)
			}
			if n := in.Count(func(q resolvertest.Query) bool { return q.RD }); n != 0 {
				t.Errorf("%s: got %d queries with RD set", name, n)
			}
		}
	})
}

// A route takes precedence over special-use names as long as itself, and not over longer
// ones.
func TestRoutesAndSpecialUseNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, `
-- zone . at 10.0.0.53 undelegated --
host.home.arpa.             A       10.0.0.1
1.0.0.10.in-addr.arpa.      A       192.0.2.99
1.1.168.192.in-addr.arpa.   A       192.0.2.98
localhost.                  A       192.0.2.97
`)
		r := in.Resolver(t, func(o *resolver.Options) {
			o.DisableLocalZones, o.Validation = false, resolver.ValidateOff
			o.Routes = []resolver.Route{
				{Zone: ".", Servers: server("10.0.0.53")},
				{Zone: "home.arpa", Servers: server("10.0.0.53")},
				{Zone: "1.168.192.in-addr.arpa", Servers: server("10.0.0.53")},
			}
		})
		wantAddresses(t, r, "host.home.arpa.", "NOERROR 10.0.0.1")
		wantAddresses(t, r, "1.1.168.192.in-addr.arpa.", "NOERROR 192.0.2.98")
		wantAddresses(t, r, "1.0.0.10.in-addr.arpa.", "NXDOMAIN")
		wantAddresses(t, r, "localhost.", "NOERROR 127.0.0.1")
	})
}

// The DS of a route's zone belongs to the zone above it: asked for there, it leads to
// keys that come by the route.
func TestRouteToSignedZone(t *testing.T) {
	for _, kind := range []resolver.RouteKind{resolver.RouteForward, resolver.RouteStub} {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, `
-- zone . at 198.18.0.1 signed --
-- zone example. at 198.18.0.2 signed --
-- zone shop.example. at 198.51.100.3 signed --
www             A       192.0.2.80
`)
				r := in.Resolver(t, func(o *resolver.Options) {
					o.Routes = []resolver.Route{{Zone: "shop.example", Kind: kind, Servers: server("198.51.100.3")}}
				})
				for name, want := range map[string]dnssec.Status{"www.shop.example.": dnssec.Secure, "none.shop.example.": dnssec.Secure} {
					if got := statusOf(t, r, name); got != want {
						t.Errorf("%s: got %v, want %v", name, got, want)
					}
				}
				if n := in.Count(resolvertest.To("198.51.100.3"), resolvertest.Type(dns.TypeDS)); n != 0 {
					t.Errorf("the route's server was asked for %d DS", n)
				}
			})
		})
	}
}

// A question asked after routes have changed does not join one that goes by the old ones.
func TestSetRoutesWhileAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, r := apart(t, apartInside+"-- fault 10.0.0.53 --\nlatency 500ms\n", func(o *resolver.Options) {
			o.Routes = []resolver.Route{{Zone: "corp.example", Servers: server("10.0.0.53"), Unsigned: true}}
		})
		before := make(chan string)
		go func() { before <- addressesOf(t, r, "www.corp.example.") }()
		time.Sleep(100 * time.Millisecond)
		if err := r.SetRoutes(nil); err != nil {
			t.Fatal(err)
		}
		wantAddresses(t, r, "www.corp.example.", "NOERROR 192.0.2.66")
		if got, want := <-before, "NOERROR 10.0.0.80"; got != want {
			t.Errorf("asked before: got %s, want %s", got, want)
		}
		wantAddresses(t, r, "www.corp.example.", "NOERROR 192.0.2.66")
	})
}

// The caller may change the slices after the call.
func TestSetRoutesCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		routes := []resolver.Route{{Zone: "corp.example", Servers: server("10.0.0.53"), Unsigned: true}}
		anchors := []resolver.NegativeTrustAnchor{{Zone: "other.example"}}
		_, _, r := apart(t, apartInside, func(o *resolver.Options) { o.Routes, o.NegativeTrustAnchors = routes, anchors })
		for _, when := range []string{"New", "SetRoutes"} {
			routes[0].Servers[0].Addr = netip.AddrPort{}
			routes[0], anchors[0].Zone = resolver.Route{Zone: "a..b"}, "a..b"
			if err := r.SetNegativeTrustAnchors(nil); err != nil {
				t.Errorf("after %s: routes have changed: %v", when, err)
			}
			wantAddresses(t, r, "www.corp.example.", "NOERROR 10.0.0.80")
			routes[0] = resolver.Route{Zone: "corp.example", Servers: server("10.0.0.53"), Unsigned: true}
			if err := r.SetRoutes(routes); err != nil {
				t.Errorf("after %s: anchors have changed: %v", when, err)
			}
		}
	})
}
