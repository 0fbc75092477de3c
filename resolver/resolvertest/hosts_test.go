package resolvertest_test

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// TestHosts: everything that a Host can have is found.
func TestHosts(t *testing.T) {
	odd := strings.Repeat("x", 250) + "\"\\\t; ä"
	in := resolvertest.New(t, resolvertest.Hosts{
		"example.org":             {MX: []net.MX{{Host: "mail.example.org", Pref: 10}}, TXT: []string{odd, ""}, NS: []net.NS{{Host: "ns.example.org."}}},
		"Mail.example.org.":       {A: []string{"192.0.2.25"}, AAAA: []string{"2001:db8::25"}, Records: []string{`CAA 0 issue "ca.example"`}},
		"_smtp._tcp.example.org":  {SRV: []net.SRV{{Target: "mail.example.org", Port: 25, Priority: 1, Weight: 2}}},
		"www.example.org":         {CNAME: "example.net"},
		"example.net":             {CNAME: "host.example.net"},
		"host.example.net":        {A: []string{"192.0.2.80"}},
		"25.2.0.192.in-addr.arpa": {PTR: []string{"mail.example.org"}},
		"*.wild.example.org":      {A: []string{"192.0.2.99"}},
		"localmail":               {A: []string{"192.0.2.26"}},
		"printer.local":           {A: []string{"192.0.2.27"}},
	}.Text())
	r := in.Resolver(t)
	ctx := t.Context()
	check := func(what string, want string, got any, err error) {
		t.Helper()
		if text := fmt.Sprint(got); err != nil || text != want {
			t.Errorf("%s: got %s, %v, want %s", what, text, err, want)
		}
	}
	mx, err := r.LookupMX(ctx, "example.org")
	check("MX", "mail.example.org. 10", fmt.Sprint(mx[0].Host, " ", mx[0].Pref), err)
	txt, err := r.LookupTXT(ctx, "example.org")
	check("TXT", fmt.Sprint(2, true), fmt.Sprint(len(txt), txt[0] == odd || txt[1] == odd), err)
	_, srv, err := r.LookupSRV(ctx, "smtp", "tcp", "example.org")
	check("SRV", "mail.example.org. 25 1 2", fmt.Sprint(srv[0].Target, " ", srv[0].Port, srv[0].Priority, srv[0].Weight), err)
	ns, err := r.LookupNS(ctx, "example.org")
	check("NS", "ns.example.org.", ns[0].Host, err)
	names, err := r.LookupAddr(ctx, "192.0.2.25")
	check("PTR", "[mail.example.org.]", names, err)
	caa, err := resolver.Lookup[*dns.CAA](ctx, r, "mail.example.org")
	check("CAA", "ca.example", caa.Records[0].Value, err)
	for host, want := range map[string]string{
		"mail.example.org": "[192.0.2.25 2001:db8::25]", "www.example.org": "[192.0.2.80]", "a.wild.example.org": "[192.0.2.99]",
		"localmail": "[192.0.2.26]", "printer.local": "[192.0.2.27]",
	} {
		addrs, err := r.LookupNetIP(ctx, "ip", host)
		if len(addrs) == 2 && addrs[0].Is6() {
			addrs[0], addrs[1] = addrs[1], addrs[0]
		}
		check(host, want, addrs, err)
	}
	if _, err := resolvertest.NewInternet(resolvertest.Hosts{"www.example.org": {A: []string{"192.0.2.300"}}}.Text()); err == nil ||
		err.Error() != `line 2: in "-- zone example.org. --": A "192.0.2.300": want an IPv4 address such as 192.0.2.1` {
		t.Errorf("a bad address: got %v", err)
	}
}

// TestHostErrors: one look-up fails, and no other one, whatever the resolver asks on its way.
func TestHostErrors(t *testing.T) {
	hosts := resolvertest.Hosts{
		"example.org":        {MX: []net.MX{{Host: "mail.example.org", Pref: 10}}, A: []string{"192.0.2.1"}, Errors: map[uint16]int{dns.TypeTXT: dns.RcodeServerFailure}},
		"mail.example.org":   {A: []string{"192.0.2.25"}, AAAA: []string{"2001:db8::25"}, Errors: map[uint16]int{dns.TypeA: dns.RcodeServerFailure}},
		"a.mail.example.org": {A: []string{"192.0.2.26"}},
		"gone.example.org":   {A: []string{"192.0.2.27"}, Errors: map[uint16]int{dns.TypeANY: dns.RcodeRefused}},
	}
	for _, minimise := range []resolver.Minimise{resolver.MinimiseRelaxed, resolver.MinimiseOff} {
		r := resolvertest.New(t, hosts.Text()).Resolver(t, func(o *resolver.Options) { o.Minimise = minimise })
		for _, test := range []struct {
			name  string
			qtype uint16
			fails bool
		}{
			{"a.mail.example.org", dns.TypeA, false}, // first, so that minimised queries are sent
			{"mail.example.org", dns.TypeA, true},
			{"mail.example.org", dns.TypeAAAA, false},
			{"a.mail.example.org", dns.TypeTXT, false},
			{"example.org", dns.TypeMX, false},
			{"example.org", dns.TypeTXT, true},
			{"example.org", dns.TypeA, false},
			{"gone.example.org", dns.TypeA, true},
			{"gone.example.org", dns.TypeMX, true},
		} {
			_, err := r.Resolve(t.Context(), test.name, test.qtype)
			if (err != nil) != test.fails || test.fails && !errors.Is(err, resolver.ErrNoReachableServer) {
				t.Errorf("minimise %d: %s %s: got %v, want an error: %t", minimise, test.name, dns.Type(test.qtype), err, test.fails)
			}
		}
	}
}
