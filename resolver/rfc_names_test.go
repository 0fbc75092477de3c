package resolver_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/cache"
	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// namesWorld serves, in public, the special-use names, with data that no client must get.
const namesWorld = `
-- zone . at 198.51.100.1 signed --
localhost       A     203.0.113.66
*.invalid       A     203.0.113.66
*.onion         A     203.0.113.66
*.alt           A     203.0.113.66
*.local         A     203.0.113.66
www.test        A     192.0.2.10
www.internal    A     192.0.2.11
-- zone arpa. at 198.51.100.2 signed --
ipv4only        A     192.0.0.170
ipv4only        A     192.0.0.171
home            NS    ns.home
ns.home         A     198.51.100.66
10.in-addr      NS    ns.home
*.ip6           PTR   evil.example.
81.2.0.193.in-addr PTR www.example.
-- zone example. at 198.51.100.3 signed --
www             A     192.0.2.12
tolocal         CNAME localhost.
toprinter       CNAME printer.local.
toreverse       CNAME 1.0.0.10.in-addr.arpa.
d               DNAME localhost.
byname          NS    localhost.
bymdns          NS    ns.local.
`

// online turns special-use names on as they are by default: resolvertest turns them off
// where zones below arpa. are written.
func online(o *resolver.Options) { o.DisableLocalZones = false }

// reversed returns the reverse name of an address.
func reversed(t *testing.T, addr string) string {
	t.Helper()
	name, err := dns.ReverseAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// checkNobodyAsked fails the test when a server has been asked.
func checkNobodyAsked(t *testing.T, in *resolvertest.Internet) {
	t.Helper()
	if n := in.Count(); n != 0 {
		t.Errorf("%d queries were sent:\n%s", n, resolvertest.Table(in.Log()))
	}
}

func TestRFC6761SpecialUseNames(t *testing.T) {
	for _, test := range []struct {
		name   string
		qtype  uint16
		rcode  int
		answer string // "" none: then the SOA of zone is there
		zone   string
	}{
		{name: "localhost.", qtype: dns.TypeA, answer: "localhost. 10800 IN A 127.0.0.1"},
		{name: "LocalHost", qtype: dns.TypeAAAA, answer: "localhost. 10800 IN AAAA ::1"},
		{name: "a.b.localhost.", qtype: dns.TypeA, answer: "a.b.localhost. 10800 IN A 127.0.0.1"},
		{name: "localhost.", qtype: dns.TypeTXT, zone: "localhost."},
		{name: "localhost.", qtype: dns.TypeHTTPS, zone: "localhost."},
		{name: "localhost.", qtype: dns.TypeDS, zone: "localhost."},
		{name: "invalid.", qtype: dns.TypeA, rcode: dns.RcodeNameError, zone: "invalid."},
		{name: "x.invalid.", qtype: dns.TypeA, rcode: dns.RcodeNameError, zone: "invalid."},
		{name: "x.onion.", qtype: dns.TypeAAAA, rcode: dns.RcodeNameError, zone: "onion."},        // RFC 7686 §2
		{name: "x.y.alt.", qtype: dns.TypeA, rcode: dns.RcodeNameError, zone: "alt."},             // RFC 9476 §3
		{name: "printer.local.", qtype: dns.TypeA, rcode: dns.RcodeNameError, zone: "local."},     // RFC 6762 §22.1
		{name: "local.", qtype: dns.TypeSOA, rcode: dns.RcodeNameError, zone: "local."},           // sent to find Active Directory
		{name: "nas.home.arpa.", qtype: dns.TypeA, rcode: dns.RcodeNameError, zone: "home.arpa."}, // RFC 8375 §4
		{name: "home.arpa.", qtype: dns.TypeA, zone: "home.arpa."},
		{name: "home.arpa.", qtype: dns.TypeSOA, answer: "home.arpa. 10800 IN SOA home.arpa. nobody.invalid. 1 3600 1200 604800 10800"},
		{name: "home.arpa.", qtype: dns.TypeNS, answer: "home.arpa. 10800 IN NS home.arpa."},
		{name: "_dns.resolver.arpa.", qtype: dns.TypeSVCB, zone: "resolver.arpa."}, // RFC 9462 §4
		{name: "resolver.arpa.", qtype: dns.TypeA, zone: "resolver.arpa."},
		{name: "d.f.ip6.arpa.", qtype: dns.TypeDNSKEY, zone: "d.f.ip6.arpa."},
	} {
		t.Run(test.name+" "+dns.TypeToString[test.qtype], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, namesWorld)
				result, err := in.Resolver(t, online).Resolve(t.Context(), test.name, test.qtype)
				if err != nil {
					t.Fatal(err)
				}
				if result.Rcode != test.rcode || result.Status != dnssec.Insecure || !result.FromCache || result.Stale || result.TTL != 3*time.Hour {
					t.Errorf("got %s %v from cache %t TTL %v, want %s insecure true 3h0m0s",
						dns.RcodeToString[result.Rcode], result.Status, result.FromCache, result.TTL, dns.RcodeToString[test.rcode])
				}
				if got := strings.Join(strings.Fields(joined(result.Answer)), " "); got != test.answer {
					t.Errorf("answer %q, want %q", got, test.answer)
				}
				checkLocalAuthority(t, result, test.zone)
				checkNobodyAsked(t, in)
			})
		})
	}
}

func joined(records []dns.RR) string {
	var lines []string
	for _, rr := range records {
		lines = append(lines, rr.String())
	}
	return strings.Join(lines, "\n")
}

// checkLocalAuthority wants the SOA of zone and a reason; neither when zone is "".
func checkLocalAuthority(t *testing.T, result *resolver.Result, zone string) {
	t.Helper()
	want, reasons := "", 0
	if zone != "" {
		want, reasons = fmt.Sprintf("%s 10800 IN SOA %s nobody.invalid. 1 3600 1200 604800 10800", zone, zone), 1
	}
	if got := strings.Join(strings.Fields(joined(result.Authority)), " "); got != want {
		t.Errorf("authority %q, want %q", got, want)
	}
	if len(result.Extended) != reasons {
		t.Errorf("extended errors %v, want %d", result.Extended, reasons)
	}
}

// Every zone of RFC 6303 §4 (and RFC 7793), by an address in it.
func TestRFC6303LocallyServedZones(t *testing.T) {
	addrs := map[string]string{
		"10.1.2.3": "10.in-addr.arpa.", "192.168.1.1": "168.192.in-addr.arpa.",
		"0.0.0.1": "0.in-addr.arpa.", "127.0.0.1": "127.in-addr.arpa.", "169.254.1.1": "254.169.in-addr.arpa.",
		"192.0.2.1": "2.0.192.in-addr.arpa.", "198.51.100.1": "100.51.198.in-addr.arpa.", "203.0.113.1": "113.0.203.in-addr.arpa.",
		"fd00::1": "d.f.ip6.arpa.", "fc00::1": "c.f.ip6.arpa.", "2001:db8::1": "8.b.d.0.1.0.0.2.ip6.arpa.",
		"fe80::1": "8.e.f.ip6.arpa.", "fe90::1": "9.e.f.ip6.arpa.", "fea0::1": "a.e.f.ip6.arpa.", "feb0::1": "b.e.f.ip6.arpa.",
	}
	for n := 16; n <= 31; n++ {
		addrs[fmt.Sprintf("172.%d.0.1", n)] = fmt.Sprintf("%d.172.in-addr.arpa.", n)
	}
	for n := 64; n <= 127; n++ {
		addrs[fmt.Sprintf("100.%d.0.1", n)] = fmt.Sprintf("%d.100.in-addr.arpa.", n)
	}
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, namesWorld)
		r := in.Resolver(t, online)
		for addr, zone := range addrs {
			result, err := r.Resolve(t.Context(), reversed(t, addr), dns.TypePTR)
			if err != nil {
				t.Fatal(err)
			}
			if result.Rcode != dns.RcodeNameError {
				t.Errorf("PTR of %s: got %s, want NXDOMAIN", addr, dns.RcodeToString[result.Rcode])
			}
			checkLocalAuthority(t, result, zone)
		}
		for _, addr := range []string{"255.255.255.255", "::", "::1"} { // zones of one name
			result, err := r.Resolve(t.Context(), reversed(t, addr), dns.TypePTR)
			if err != nil {
				t.Fatal(err)
			}
			if result.Rcode != dns.RcodeSuccess || len(result.Answer) != 0 {
				t.Errorf("PTR of %s: got %s %v, want NODATA", addr, dns.RcodeToString[result.Rcode], result.Answer)
			}
			checkLocalAuthority(t, result, reversed(t, addr))
		}
		checkNobodyAsked(t, in)
	})
}

// Names that only look special are looked up.
func TestRFC6761OrdinaryNames(t *testing.T) {
	for name, want := range map[string]string{
		"www.test.":             "192.0.2.10",
		"www.internal.":         "192.0.2.11",
		"www.example.":          "192.0.2.12",
		"ipv4only.arpa.":        "192.0.0.170", // RFC 8880 §7.1
		"notlocalhost.example.": "",
	} {
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, namesWorld)
			result, err := in.Resolver(t, online).Resolve(t.Context(), name, dns.TypeA)
			if err != nil {
				t.Fatal(err)
			}
			if got := joined(result.Answer); !strings.Contains(got, want) || result.Status != dnssec.Secure {
				t.Errorf("%s: got %v\n%s\nwant secure %s", name, result.Status, got, want)
			}
			if in.Count() == 0 {
				t.Errorf("%s: no server was asked", name)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, namesWorld)
		result, err := in.Resolver(t, online).Resolve(t.Context(), reversed(t, "193.0.2.81"), dns.TypePTR)
		if err != nil || !strings.Contains(joined(result.Answer), "www.example.") {
			t.Errorf("PTR of a public address: got %v, %v, want www.example.", result, err)
		}
	})
}

// Only arpa. can prove that the delegation of home.arpa. is unsigned.
func TestRFC8375DSIsAskedOfArpa(t *testing.T) {
	for _, name := range []string{"home.arpa.", "10.in-addr.arpa."} {
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, namesWorld)
			result, err := in.Resolver(t, online).Resolve(t.Context(), name, dns.TypeDS)
			if err != nil {
				t.Fatal(err)
			}
			if result.Rcode != dns.RcodeSuccess || len(result.Answer) != 0 || result.Status != dnssec.Secure || result.FromCache {
				t.Errorf("DS %s: got %s %v %v, want a secure NODATA from arpa.", name, dns.RcodeToString[result.Rcode], result.Status, result.Answer)
			}
			if in.Count(resolvertest.To("198.51.100.2"), resolvertest.Name(name), resolvertest.Type(dns.TypeDS)) == 0 {
				t.Errorf("DS %s was not asked of arpa.:\n%s", name, resolvertest.Table(in.Log()))
			}
			if n := in.Count(resolvertest.To("198.51.100.66")); n != 0 {
				t.Errorf("%d queries went to the servers that home.arpa. is delegated to", n)
			}
		})
	}
}

// An alias may lead into a special-use zone, for which no server is asked either. It cannot
// make a public name one for the loopback addresses.
func TestLocalNamesBehindAliases(t *testing.T) {
	for _, test := range []struct {
		name   string
		rcode  int
		answer string
	}{
		{"tolocal.example.", dns.RcodeSuccess, "tolocal.example. CNAME"},
		{"x.d.example.", dns.RcodeSuccess, "d.example. DNAME, x.d.example. CNAME"},
		{"toprinter.example.", dns.RcodeNameError, "toprinter.example. CNAME"},
		{"toreverse.example.", dns.RcodeNameError, "toreverse.example. CNAME"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := resolvertest.New(t, namesWorld)
				r := in.Resolver(t, online)
				for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeA} {
					reply := exchanged(t, r, ask(test.name, qtype, withAD))
					if got := types(reply.Answer); got != test.answer || reply.Rcode != test.rcode || reply.AuthenticatedData {
						t.Errorf("got %s AD=%t %s, want %s AD=false %s",
							dns.RcodeToString[reply.Rcode], reply.AuthenticatedData, got, dns.RcodeToString[test.rcode], test.answer)
					}
				}
				for _, name := range []string{"localhost", "local", "10.in-addr.arpa"} {
					if n := in.Count(resolvertest.Below(name)); n != 0 {
						t.Errorf("%d queries below %s:\n%s", n, name, resolvertest.Table(in.Log()))
					}
				}
			})
		})
	}
}

// A delegation to a special-use name leads nowhere, least of all to ourselves.
func TestLocalNamesOfServers(t *testing.T) {
	for _, name := range []string{"www.byname.example.", "www.bymdns.example."} {
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, namesWorld)
			if result, err := in.Resolver(t, online).Resolve(t.Context(), name, dns.TypeA); err == nil {
				t.Errorf("%s: got %v, want an error", name, result)
			}
			for _, special := range []string{"localhost", "local"} {
				if n := in.Count(resolvertest.Below(special)); n != 0 {
					t.Errorf("%s: %d queries below %s", name, n, special)
				}
			}
			if n := in.Count(resolvertest.To("127.0.0.1", "::1")); n != 0 {
				t.Errorf("%s: %d queries to ourselves", name, n)
			}
		})
	}
}

// With DisableLocalZones all of them are names like others.
func TestDisableLocalZones(t *testing.T) {
	for name, want := range map[string]string{
		"localhost.": "203.0.113.66", "x.onion.": "203.0.113.66", "x.local.": "203.0.113.66", "tolocal.example.": "203.0.113.66",
	} {
		synctest.Test(t, func(t *testing.T) {
			in := resolvertest.New(t, namesWorld)
			off := func(o *resolver.Options) { o.DisableLocalZones = true }
			result, err := in.Resolver(t, off).Resolve(t.Context(), name, dns.TypeA)
			if err != nil {
				t.Fatal(err)
			}
			if got := joined(result.Answer); !strings.Contains(got, want) {
				t.Errorf("%s: got\n%s\nwant %s", name, got, want)
			}
		})
	}
}

// Two resolvers on one cache: what one caches of localhost is not used by the other.
func TestLocalZonesInASharedCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, namesWorld)
		options := in.Options()
		options.Cache = cache.New(cache.Options{})
		options.DisableLocalZones = true
		ordinary, err := resolver.New(options)
		if err != nil {
			t.Fatal(err)
		}
		defer ordinary.Close()
		if _, err := ordinary.Resolve(t.Context(), "localhost.", dns.TypeA); err != nil {
			t.Fatal(err)
		}
		options.DisableLocalZones = false
		local, err := resolver.New(options)
		if err != nil {
			t.Fatal(err)
		}
		defer local.Close()
		result, err := local.Resolve(t.Context(), "localhost.", dns.TypeA)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := joined(result.Answer), "127.0.0.1"; !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// As a client of the server sees them: RD, CD and DO make no difference, AD is never set.
func TestLocalNamesOverExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := resolvertest.New(t, namesWorld)
		r := in.Resolver(t, online)
		for _, change := range []func(*dns.Msg){withDO, withCD, withAD, withoutRD, withEDNS} {
			reply := exchanged(t, r, ask("LOCALHOST.", dns.TypeA, change))
			if got := types(reply.Answer); got != "LOCALHOST. A" || reply.AuthenticatedData {
				t.Errorf("got %s AD=%t, want LOCALHOST. A AD=false", got, reply.AuthenticatedData)
			}
			reply = exchanged(t, r, ask("x.onion.", dns.TypeA, change))
			if got := types(reply.Ns); reply.Rcode != dns.RcodeNameError || got != "onion. SOA" {
				t.Errorf("got %s %s, want NXDOMAIN onion. SOA", dns.RcodeToString[reply.Rcode], got)
			}
		}
		reply := exchanged(t, r, ask("localhost.", dns.TypeANY))
		if got, want := types(reply.Answer), "localhost. A, localhost. AAAA"; got != want {
			t.Errorf("ANY: got %s, want %s", got, want)
		}
		checkNobodyAsked(t, in)
	})
}
