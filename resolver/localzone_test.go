package resolver_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// withZone adds a local zone to the options; a name with a leading ~ is transparent.
func withZone(t testing.TB, zone, text string) func(*resolver.Options) {
	name, transparent := strings.CutPrefix(zone, "~")
	z, err := resolver.ParseLocalZone(name, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	z.Transparent = transparent
	return func(o *resolver.Options) { o.LocalZones = append(o.LocalZones, z) }
}

// corpWorld is the outside of what local zones stand before.
const corpWorld = `
-- zone shop.example. at 198.51.100.3 signed --
www       A     192.0.2.80
www       AAAA  2001:db8::80
tocorp    CNAME nas.corp.example.
-- zone corp.example. at 198.51.100.4 --
www       A     192.0.2.90
nas       A     192.0.2.91
`

const insideCorp = `
nas    A     10.0.0.2
away   CNAME www.shop.example.
loop   CNAME loop
`

func TestLocalZoneAnswers(t *testing.T) {
	for _, test := range []struct {
		zone, name string
		qtype      uint16
		rcode      int
		want       []string
	}{
		{"corp.example", "nas.corp.example.", dns.TypeA, dns.RcodeSuccess, []string{"nas.corp.example. A 10.0.0.2"}},
		{"corp.example", "nas.corp.example.", dns.TypeAAAA, dns.RcodeSuccess, nil},
		{"corp.example", "www.corp.example.", dns.TypeA, dns.RcodeNameError, nil},
		{"~corp.example", "www.corp.example.", dns.TypeA, dns.RcodeSuccess, []string{"www.corp.example. A 192.0.2.90"}},
		{"~corp.example", "nas.corp.example.", dns.TypeA, dns.RcodeSuccess, []string{"nas.corp.example. A 10.0.0.2"}},
		{"corp.example", "away.corp.example.", dns.TypeA, dns.RcodeSuccess,
			[]string{"away.corp.example. CNAME www.shop.example.", "www.shop.example. A 192.0.2.80"}},
		{"corp.example", "tocorp.shop.example.", dns.TypeA, dns.RcodeSuccess,
			[]string{"tocorp.shop.example. CNAME nas.corp.example.", "nas.corp.example. A 10.0.0.2"}},
	} {
		t.Run(test.zone+" "+test.name, func(t *testing.T) {
			inWorld(t, corpWorld, func(w *world) {
				for _, from := range []string{"network", "cache"} {
					o := w.ask(test.name, test.qtype)
					if got := withoutSignatures(o.answers()); o.err != nil || o.Rcode != test.rcode || o.Status != dnssec.Insecure || !slices.Equal(got, test.want) {
						w.Errorf("%s: got %s %q, error %v, want %s %q, insecure", from, o, got, o.err, dns.RcodeToString[test.rcode], test.want)
					}
				}
			}, withZone(t, test.zone, insideCorp))
		})
	}
}

// answers returns the answer; none for an error.
func (o asked) answers() []dns.RR {
	if o.Result == nil {
		return nil
	}
	return o.Answer
}

func TestLocalZoneExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, corpWorld)
		r := in.Resolver(t, withZone(t, "corp.example", insideCorp))
		for _, change := range [][]func(*dns.Msg){{withAD}, {withDO}, {withCD, withAD}, {withoutRD}} {
			reply := exchanged(t, r, ask("Nas.corp.example.", dns.TypeA, change...))
			if types(reply.Answer) != "Nas.corp.example. A" || reply.AuthenticatedData {
				t.Errorf("got AD=%t\n%v", reply.AuthenticatedData, reply)
			}
			reply = exchanged(t, r, ask("nx.corp.example.", dns.TypeA, change...))
			if reply.Rcode != dns.RcodeNameError || types(reply.Ns) != "corp.example. SOA" || reply.AuthenticatedData {
				t.Errorf("got AD=%t\n%v\nwant NXDOMAIN with SOA", reply.AuthenticatedData, reply)
			}
		}
		// A loop of aliases is the zone's fault, and an error as anywhere.
		if reply := exchanged(t, r, ask("loop.corp.example.", dns.TypeA, withEDNS)); reply.Rcode != dns.RcodeServerFailure || len(codes(reply)) == 0 {
			t.Errorf("got\n%v\nwant SERVFAIL", reply)
		}
		if n := in.Count(); n != 0 {
			t.Errorf("got %d queries, want none", n)
		}
	})
}

// The methods of package net see local zones too, on each of their ways.
func TestLocalZoneNet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, corpWorld)
		r := in.Resolver(t, plain)
		want := func(when, host, addrs string) {
			t.Helper()
			for range 2 {
				got, err := r.LookupNetIP(t.Context(), "ip", host)
				if err != nil || strings.Join(netSorted(got), " ") != addrs {
					t.Errorf("%s: %s has %v, error %v, want %s", when, host, got, err, addrs)
				}
			}
		}
		want("before", "nas.corp.example", "192.0.2.91")
		want("before", "www.shop.example", "192.0.2.80 2001:db8::80")
		hosts, err := resolver.ParseHosts(strings.NewReader("10.0.0.3 nas.corp.example\nfd00::80 www.shop.example"))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.SetLocalZones([]resolver.LocalZone{hosts}); err != nil {
			t.Fatal(err)
		}
		want("with hosts", "nas.corp.example", "10.0.0.3")
		want("with hosts", "www.shop.example", "fd00::80")
		if names, err := r.LookupAddr(t.Context(), "10.0.0.3"); err != nil || !slices.Equal(names, []string{"nas.corp.example."}) {
			t.Errorf("got %v, error %v, want nas.corp.example.", names, err)
		}
		if err := r.SetLocalZones([]resolver.LocalZone{{Zone: "a..b"}}); err == nil {
			t.Error("got no error for a malformed zone")
		}
		want("after an error", "nas.corp.example", "10.0.0.3")
		r.SetLocalZones(nil)
		want("without", "nas.corp.example", "192.0.2.91")
		want("without", "www.shop.example", "192.0.2.80 2001:db8::80")
	})
}

// Name servers are where the network says: a local zone does not move them.
func TestLocalZoneLeavesServers(t *testing.T) {
	const outOfBailiwick = `
-- zone servers.example. at 198.51.100.6 --
ns   A 198.51.100.7
-- zone shop.example. at 198.51.100.7 --
@    NS ns.servers.example.
www  A 192.0.2.80
`
	inWorld(t, outOfBailiwick, func(w *world) {
		w.want("www.shop.example.", dns.TypeA, dns.RcodeSuccess, "www.shop.example. A 192.0.2.80")
		w.want("ns.servers.example.", dns.TypeA, dns.RcodeSuccess, "ns.servers.example. A 203.0.113.1")
	}, withZone(t, "servers.example", "ns A 203.0.113.1"))
}

// Local data may have private addresses, but not behind an alias from the network.
func TestLocalZoneAndRebinding(t *testing.T) {
	inWorld(t, corpWorld, func(w *world) {
		w.want("nas.corp.example.", dns.TypeA, dns.RcodeSuccess, "nas.corp.example. A 10.0.0.2")
		checkFiltered(w, "behind an alias", w.ask("tocorp.shop.example.", dns.TypeA))
		checkFiltered(w, "refused", w.ask("away.corp.example.", dns.TypeA))
	}, withZone(t, "corp.example", insideCorp), func(o *resolver.Options) {
		o.RebindingProtection = true
		o.AllowAddress = func(_ string, a netip.Addr) bool { return a.String() != "192.0.2.80" }
	})
}

// Local zones go before special-use names.
func TestLocalZoneBeforeSpecialUse(t *testing.T) {
	inWorld(t, corpWorld, func(w *world) {
		w.want("printer.local.", dns.TypeA, dns.RcodeSuccess, "printer.local. A 10.0.0.9")
		w.want("other.local.", dns.TypeA, dns.RcodeNameError)
		w.want("9.0.0.10.in-addr.arpa.", dns.TypePTR, dns.RcodeSuccess, "9.0.0.10.in-addr.arpa. PTR printer.local.")
		w.count(0)
	}, withZone(t, "~local", "printer A 10.0.0.9"), withZone(t, "~10.in-addr.arpa", "9.0.0 PTR printer.local."))
}

// TestExplainLocalDenial: a denial that no server made is not explained as a name that the Internet
// does not have.
func TestExplainLocalDenial(t *testing.T) {
	for _, test := range []struct{ name, want string }{
		{"printer.local", "No answer for printer.local: names at and below local. are not asked for in DNS (RFC 6762): this resolver denies them itself. Where the network has a server for them, a route (Options.Routes) leads to it."},
		{"home.arpa", "No answer for home.arpa: names at and below home.arpa. are not asked for in DNS (RFC 8375): "},
		{"www.corp.example", "No answer for www.corp.example: a local zone of this program (Options.LocalZones) has no such name."},
		{"text.corp.example", "No answer for text.corp.example: a local zone of this program (Options.LocalZones) has the name, but no records of the type that was asked for."},
		{"nobody.shop.example", "No answer for nobody.shop.example: the name does not exist; DNSSEC proves it, and it may be kept for "},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, corpWorld, func(w *world) {
				for _, from := range []string{"network", "cache"} {
					_, err := w.r.LookupNetIP(w.Context(), "ip", test.name)
					if got := resolver.Explain(err); !strings.HasPrefix(got, test.want) {
						w.Errorf("%s: got\n\t%s\nwant\n\t%s", from, got, test.want)
					}
				}
			}, withZone(t, "corp.example", "text TXT a\n"))
		})
	}
}
