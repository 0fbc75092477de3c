package resolver_test

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// rebindWorld has names of an attacker's, with addresses of hosts of the user's network.
const rebindWorld = `
-- zone evil.example. at 198.51.100.3 signed --
both      A     192.0.2.80
both      A     10.0.0.1
both      AAAA  2001:db8::80
inside    A     192.168.0.1
inside    AAAA  fd00::1
mapped    AAAA  ::ffff:127.0.0.1
nat64     AAAA  64:ff9b::a00:1
half      A     192.0.2.80
half      AAAA  fe80::1
abroad    CNAME nas.corp.example.
home      CNAME localhost.
hints     HTTPS 1 . ipv4hint=10.0.0.1
hints     HTTPS 2 . ipv4hint=192.0.2.80
hints6    SVCB  1 . ipv6hint=::1
text      TXT   "10.0.0.1"
-- zone corp.example. at 198.51.100.4 --
nas       A     192.168.0.2
away      CNAME inside.evil.example.
`

func rebinding(o *resolver.Options) {
	o.RebindingProtection = true
	o.PrivateDomains = []string{"Corp.Example"}
}

func TestRebindingProtection(t *testing.T) {
	for _, test := range []struct {
		name   string
		qtype  uint16
		status dnssec.Status
		want   []string // nil: ErrFiltered
	}{
		{"both.evil.example.", dns.TypeA, dnssec.Insecure, []string{"both.evil.example. A 192.0.2.80"}},
		{"inside.evil.example.", dns.TypeA, 0, nil},
		{"inside.evil.example.", dns.TypeAAAA, 0, nil},
		{"mapped.evil.example.", dns.TypeAAAA, 0, nil},
		{"nat64.evil.example.", dns.TypeAAAA, 0, nil},
		{"half.evil.example.", dns.TypeAAAA, 0, nil},
		{"abroad.evil.example.", dns.TypeA, 0, nil}, // the name asked for counts, not the owner of the records
		{"home.evil.example.", dns.TypeA, dnssec.Insecure, []string{"home.evil.example. CNAME localhost."}},
		{"hints.evil.example.", dns.TypeHTTPS, dnssec.Insecure, []string{`hints.evil.example. HTTPS 2 . ipv4hint="192.0.2.80"`}},
		{"hints6.evil.example.", dns.TypeSVCB, 0, nil},
		{"text.evil.example.", dns.TypeTXT, dnssec.Secure, []string{`text.evil.example. TXT "10.0.0.1"`}},
		{"nas.corp.example.", dns.TypeA, dnssec.Insecure, []string{"nas.corp.example. A 192.168.0.2"}},
		{"away.corp.example.", dns.TypeA, dnssec.Insecure, []string{"away.corp.example. CNAME inside.evil.example.", "inside.evil.example. A 192.168.0.1"}},
		{"localhost.", dns.TypeA, dnssec.Insecure, []string{"localhost. A 127.0.0.1"}},
	} {
		t.Run(test.name+dns.TypeToString[test.qtype], func(t *testing.T) {
			inWorld(t, rebindWorld, func(w *world) {
				// The second time the answer comes from the cache, which has all of it.
				for _, from := range []string{"network", "cache"} {
					o := w.ask(test.name, test.qtype)
					if test.want == nil {
						checkFiltered(w, from, o)
						continue
					}
					if o.err != nil || o.Status != test.status {
						w.Fatalf("%s: got error %v, want status %v", from, o.err, test.status)
					}
					if got := withoutSignatures(o.Answer); !slices.Equal(got, test.want) {
						w.Errorf("%s: got %q, want %q", from, got, test.want)
					}
				}
			}, rebinding)
		})
	}
}

func checkFiltered(w *world, from string, o asked) {
	w.Helper()
	var failed *resolver.Error
	if !errors.Is(o.err, resolver.ErrFiltered) || !errors.As(o.err, &failed) || failed.Extended.Code != dns.ExtendedErrorCodeBlocked {
		w.Errorf("%s: got %s, want ErrFiltered with the extended error Blocked", from, o)
	}
}

func withoutSignatures(records []dns.RR) []string {
	return brief(slices.DeleteFunc(slices.Clone(records), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeRRSIG }))
}

// A changed answer is not what was signed: no AD, no signatures, and it says so.
func TestRebindingProtectionExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, rebindWorld).Resolver(t, rebinding)
		for _, withoutRecursion := range []bool{false, true} {
			change := []func(*dns.Msg){withDO}
			if withoutRecursion {
				change = append(change, withoutRD)
			}
			for name, want := range map[string]string{"both.evil.example.": "both.evil.example. A", "inside.evil.example.": ""} {
				reply := exchanged(t, r, ask(name, dns.TypeA, change...))
				if got := types(reply.Answer); reply.Rcode != dns.RcodeSuccess || got != want || reply.AuthenticatedData || len(reply.Ns) != 0 {
					t.Errorf("%s: got AD=%t, authority %v, answer %s, want %q alone\n%v", name, reply.AuthenticatedData, reply.Ns, got, want, reply)
				}
				if got := codes(reply); !slices.Equal(got, []uint16{dns.ExtendedErrorCodeBlocked}) {
					t.Errorf("%s: got extended errors %v, want Blocked", name, got)
				}
			}
		}
	})
}

// Bogus data is bogus, whatever a filter would leave of it; and data that was not validated
// is filtered all the same.
func TestFilterAfterValidation(t *testing.T) {
	inWorld(t, `
-- zone evil.example. at 198.51.100.3 signed break=corrupt:in/A break=corrupt:mixed/A break=corrupt:hint/HTTPS --
in     A      10.0.0.1
mixed  A      192.0.2.80
mixed  A      10.0.0.1
hint   HTTPS  1 . ipv4hint=10.0.0.1
fine   A      192.0.2.81
`, func(w *world) {
		for range 2 { // from the servers, and out of the cache
			for name, want := range map[string]string{"in.evil.example.": "", "mixed.evil.example.": "A 192.0.2.80", "hint.evil.example.": ""} {
				qtype := dns.TypeA
				if want == "" && name[0] == 'h' {
					qtype = dns.TypeHTTPS
				}
				var failed *resolver.Error
				if o := w.ask(name, qtype); !errors.As(o.err, &failed) || failed.Extended.Code != dns.ExtendedErrorCodeDNSBogus && !errors.Is(o.err, resolver.ErrCached) {
					w.Errorf("%s: got %s, want it to be bogus", name, o)
				}
				w.wantNotCached(name, qtype)
				reply := exchanged(w.T, w.r, ask(name, qtype, withEDNS, withCD))
				got := strings.TrimPrefix(strings.Join(withoutSignatures(reply.Answer), ", "), name+" ")
				if reply.Rcode != dns.RcodeSuccess || got != want || !slices.Contains(codes(reply), dns.ExtendedErrorCodeBlocked) {
					w.Errorf("%s, not checked: got\n%v\nwant %q", name, reply, want)
				}
			}
			if o := w.ask("fine.evil.example.", dns.TypeA); o.err != nil || o.Status != dnssec.Secure {
				w.Errorf("fine: got %s", o)
			}
		}
	}, rebinding)
}

// The methods of package net read the cache in ways of their own.
func TestRebindingProtectionNet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolvertest.New(t, rebindWorld).Resolver(t, rebinding, plain)
		for range 2 {
			for name, want := range map[string]string{
				"both.evil.example": "[192.0.2.80 2001:db8::80]", "half.evil.example": "[192.0.2.80]", "nas.corp.example": "[192.168.0.2]",
			} {
				if got, err := r.LookupNetIP(t.Context(), "ip", name); err != nil || strings.Join(netSorted(got), " ") != want[1:len(want)-1] {
					t.Errorf("%s: got %v, error %v, want %s", name, got, err, want)
				}
			}
			for _, name := range []string{"inside.evil.example", "abroad.evil.example"} {
				for _, network := range []string{"ip", "ip4", "ip6"} {
					got, err := r.LookupNetIP(t.Context(), network, name)
					var de *net.DNSError
					if !errors.As(err, &de) || !de.IsNotFound {
						t.Errorf("%s %s: got %v, error %v, want no such host", network, name, got, err)
					}
				}
				before := r.Stats().Questions
				_, _ = r.LookupNetIP(t.Context(), "ip4", name)
				if n := r.Stats().Questions - before; n != 1 {
					t.Errorf("%s: one question out of the cache is counted as %d", name, n)
				}
				if c, err := r.DialContext(t.Context(), "tcp", name+":80"); err == nil {
					c.Close()
					t.Errorf("%s: connected, want no such host", name)
				}
			}
		}
	})
}

func TestAllowAddress(t *testing.T) {
	var mu sync.Mutex
	var names []string // guarded by mu
	inWorld(t, rebindWorld, func(w *world) {
		o := w.ask("abroad.evil.example.", dns.TypeA)
		if got, want := withoutSignatures(o.Answer), []string{"abroad.evil.example. CNAME nas.corp.example.", "nas.corp.example. A 192.168.0.2"}; !slices.Equal(got, want) {
			w.Fatalf("got %q, error %v, want %q", got, o.err, want)
		}
		if o.Status != dnssec.Insecure || len(o.Extended) != 0 {
			w.Errorf("got status %v and %v, want Insecure and nothing said", o.Status, o.Extended)
		}
		checkFiltered(w, "refused by the function", w.ask("half.evil.example.", dns.TypeA))
	}, minimiseOff, func(o *resolver.Options) {
		o.AllowAddress = func(name string, a netip.Addr) bool {
			mu.Lock()
			defer mu.Unlock()
			names = append(names, name)
			return a != netip.MustParseAddr("192.0.2.80")
		}
	})
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"abroad.evil.example.", "half.evil.example."}; !slices.Equal(names, want) {
		t.Errorf("asked about %q, want %q", names, want)
	}
}

// With both, both have to allow an address.
func TestAllowAddressBesideRebindingProtection(t *testing.T) {
	inWorld(t, rebindWorld, func(w *world) {
		if got := withoutSignatures(w.ask("half.evil.example.", dns.TypeA).Answer); !slices.Equal(got, []string{"half.evil.example. A 192.0.2.80"}) {
			w.Errorf("got %q, want the public address", got)
		}
		checkFiltered(w, "private", w.ask("inside.evil.example.", dns.TypeA))
		checkFiltered(w, "refused in a private domain", w.ask("nas.corp.example.", dns.TypeA))
	}, rebinding, func(o *resolver.Options) {
		o.AllowAddress = func(_ string, a netip.Addr) bool { return a != netip.MustParseAddr("192.168.0.2") }
	})
}
