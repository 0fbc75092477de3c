package resolver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/iterdns/iterdns/resolver"
	"github.com/iterdns/iterdns/resolver/resolvertest"
)

// lookups is what a program needs that was written against *net.Resolver.
type lookups interface {
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
	LookupIP(ctx context.Context, network, host string) ([]net.IP, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupPort(ctx context.Context, network, service string) (int, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupNS(ctx context.Context, name string) ([]*net.NS, error)
	LookupTXT(ctx context.Context, name string) ([]string, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

var (
	_ lookups = (*net.Resolver)(nil)
	_ lookups = (*resolver.Resolver)(nil)
)

// netWorld has a name for each thing that a look-up can meet.
const netWorld = `
-- zone shop.example. at 198.51.100.3 2001:db8::3 --
@        MX    20 Second.Shop.Example.
@        MX    10 mail
www      A     192.0.2.80
www      AAAA  2001:db8::80
four     A     192.0.2.4
six      AAAA  2001:db8::6
mapped   AAAA  ::ffff:192.0.2.7
alias    CNAME www
chain    CNAME alias
old      DNAME new.example.
dangling CNAME missing
toempty  CNAME mail-only
mail-only MX   10 mail
nullmx   MX    0 .
ipmx     MX    10 192.0.2.25.
badmx    MX    10 mail
badmx    MX    20 ba\ d
toodd    CNAME ba\ d
ba\ d   A     192.0.2.9
ba\ d   SRV   0 0 1 sip1
text     TXT   "one " "string" 
text     TXT   "quote \" backslash \\ octet \200"
text     TXT   ""
textalias CNAME text
_sip._tcp SRV  10 0 5060 sip1
_sip._tcp SRV  20 0 5061 sip2
_alias._tcp CNAME _sip._tcp
_bad._tcp SRV  10 0 1 sip1
_bad._tcp SRV  10 0 1 ba\ d
*.wild   A     192.0.2.81
under_score A  192.0.2.82
-- zone new.example. at 198.51.100.4 --
www      A     192.0.2.90
-- zone broken.example. at 198.51.100.5 --
www      A     192.0.2.91
-- fault 198.51.100.5 --
rcode SERVFAIL
-- zone half.example. at 198.51.100.6 --
www      A     192.0.2.92
none     TXT   "no address"
alias    CNAME www.broken.example.
old      DNAME broken.example.
-- fault 198.51.100.6 --
when type AAAA: rcode SERVFAIL
-- zone 2.0.192.in-addr.arpa. at 198.51.100.7 --
80       PTR   www.shop.example.
80       PTR   shop.example.
81       PTR   ba\ d.example.
82       CNAME 80
-- zone 8.b.d.0.1.0.0.2.ip6.arpa. at 198.51.100.7 --
0.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 PTR six.shop.example.
`

// plain makes a resolver's answers independent of the machine.
func plain(o *resolver.Options) {
	o.DisableHostsFile = true
	o.AddressOrder = resolver.OrderAsAnswered
}

// netCase is a look-up that both resolvers make.
type netCase struct {
	name string
	ask  func(context.Context, lookups) (any, error)
	// ours is our resolver's outcome where it differs from package net's, and why is the
	// reason.
	ours, why string
}

func netCases() []netCase {
	host := func(name string) func(context.Context, lookups) (any, error) {
		return func(ctx context.Context, l lookups) (any, error) {
			got, err := l.LookupHost(ctx, name)
			slices.Sort(got)
			return got, err
		}
	}
	ip := func(network, name string) func(context.Context, lookups) (any, error) {
		return func(ctx context.Context, l lookups) (any, error) {
			got, err := l.LookupIP(ctx, network, name)
			return netSorted(got), err
		}
	}
	netIP := func(network, name string) func(context.Context, lookups) (any, error) {
		return func(ctx context.Context, l lookups) (any, error) {
			got, err := l.LookupNetIP(ctx, network, name)
			return netSorted(got), err
		}
	}
	cname := func(name string) func(context.Context, lookups) (any, error) {
		return func(ctx context.Context, l lookups) (any, error) { return l.LookupCNAME(ctx, name) }
	}
	mx := func(name string) func(context.Context, lookups) (any, error) {
		return func(ctx context.Context, l lookups) (any, error) {
			got, err := l.LookupMX(ctx, name)
			return netValues(got), err
		}
	}
	ns := func(name string) func(context.Context, lookups) (any, error) {
		return func(ctx context.Context, l lookups) (any, error) {
			got, err := l.LookupNS(ctx, name)
			return netSorted(netValues(got)), err
		}
	}
	txt := func(name string) func(context.Context, lookups) (any, error) {
		return func(ctx context.Context, l lookups) (any, error) {
			got, err := l.LookupTXT(ctx, name)
			return netSorted(got), err
		}
	}
	srv := func(service, proto, name string) func(context.Context, lookups) (any, error) {
		return func(ctx context.Context, l lookups) (any, error) {
			canonical, got, err := l.LookupSRV(ctx, service, proto, name)
			return fmt.Sprint(canonical, netValues(got)), err
		}
	}
	addr := func(a string) func(context.Context, lookups) (any, error) {
		return func(ctx context.Context, l lookups) (any, error) {
			got, err := l.LookupAddr(ctx, a)
			return netSorted(got), err
		}
	}
	port := func(network, service string) func(context.Context, lookups) (any, error) {
		return func(ctx context.Context, l lookups) (any, error) { return l.LookupPort(ctx, network, service) }
	}
	ipAddr := func(name string) func(context.Context, lookups) (any, error) {
		return func(ctx context.Context, l lookups) (any, error) {
			got, err := l.LookupIPAddr(ctx, name)
			return netSorted(got), err
		}
	}
	return []netCase{
		{name: "host, both families", ask: host("www.shop.example")},
		{name: "host, absolute", ask: host("www.shop.example.")},
		{name: "host, upper case", ask: host("WWW.Shop.Example")},
		{name: "host, IPv4 only", ask: host("four.shop.example")},
		{name: "host, IPv6 only", ask: host("six.shop.example")},
		{name: "host, wildcard", ask: host("a.wild.shop.example")},
		{name: "host, underscore", ask: host("under_score.shop.example")},
		{name: "host, alias", ask: host("chain.shop.example")},
		{name: "host, DNAME", ask: host("www.old.shop.example")},
		{name: "host, name error", ask: host("missing.shop.example")},
		{name: "host, no data", ask: host("mail-only.shop.example")},
		{name: "host, dangling alias", ask: host("dangling.shop.example")},
		{name: "host, server failure", ask: host("www.broken.example")},
		{name: "host, one family fails", ask: host("www.half.example")},
		{name: "host, empty", ask: host("")},
		{name: "host, IPv4 literal", ask: host("192.0.2.1")},
		{name: "host, IPv6 literal with zone", ask: host("fe80::1%eth0")},
		{name: "host, literal of bad form", ask: host("192.0.2")},
		{name: "host, space", ask: host("www shop.example")},
		{name: "host, umlaut", ask: host("bücher.example")},
		{name: "host, empty label", ask: host("www..example")},
		{name: "host, hyphen at the end", ask: host("www-.example")},
		{name: "host, label of 64", ask: host(strings.Repeat("a", 64) + ".example")},
		{name: "host, label of 63", ask: host(strings.Repeat("a", 63) + ".wild.shop.example")},
		{name: "host, 254 characters", ask: host(strings.Repeat("a.", 123) + "example.")},
		{name: "host, 255 characters", ask: host(strings.Repeat("a.", 124) + "example")},
		{name: "host, onion", ask: host("shop.onion"),
			ours: "[] lookup shop.onion: no such host (not found)",
			why:  "net returns neither addresses nor an error"},
		{name: "host, root", ask: host(".")},
		{name: "IPAddr", ask: ipAddr("www.shop.example")},
		{name: "IPAddr, zone", ask: ipAddr("fe80::1%eth0")},
		{name: "IPAddr, empty", ask: ipAddr("")},
		{name: "IP, ip", ask: ip("ip", "www.shop.example")},
		{name: "IP, ip4", ask: ip("ip4", "www.shop.example")},
		{name: "IP, ip6", ask: ip("ip6", "www.shop.example")},
		{name: "IP, ip6 of an IPv4 host", ask: ip("ip6", "four.shop.example")},
		{name: "IP, ip4 of an IPv6 host", ask: ip("ip4", "six.shop.example")},
		{name: "IP, mapped", ask: ip("ip", "mapped.shop.example")},
		{name: "IP, tcp", ask: ip("tcp", "www.shop.example")},
		{name: "IP, unknown network", ask: ip("carrier-pigeon", "www.shop.example")},
		{name: "IP, literal", ask: ip("ip", "192.0.2.1")},
		{name: "IP, literal of the other family", ask: ip("ip4", "2001:db8::1"),
			ours: "[] lookup 2001:db8::1: no suitable address found (not found)",
			why:  "net returns a *net.AddrError, which errors.As finds in ours too; as a *net.DNSError it is like all others"},
		{name: "NetIP, ip", ask: netIP("ip", "www.shop.example")},
		{name: "NetIP, ip4", ask: netIP("ip4", "www.shop.example")},
		{name: "NetIP, not found", ask: netIP("ip6", "four.shop.example")},
		{name: "NetIP, zone", ask: netIP("ip", "fe80::1%eth0")},
		{name: "NetIP, literal", ask: netIP("ip", "192.0.2.1"),
			ours: "[192.0.2.1]",
			why:  "net returns ::ffff:192.0.2.1, which is not equal to what it returns for the same address from DNS"},
		{name: "CNAME, none", ask: cname("www.shop.example")},
		{name: "CNAME, none, letter case", ask: cname("WWW.Shop.example")},
		{name: "CNAME, one", ask: cname("alias.shop.example")},
		{name: "CNAME, IPv6 only", ask: cname("six.shop.example")},
		{name: "CNAME, name error", ask: cname("missing.shop.example")},
		{name: "CNAME, no address", ask: cname("mail-only.shop.example")},
		{name: "CNAME, dangling", ask: cname("dangling.shop.example")},
		{name: "CNAME, to a name without addresses", ask: cname("toempty.shop.example")},
		{name: "CNAME, to a zone that fails", ask: cname("alias.half.example")},
		{name: "CNAME, server failure", ask: cname("www.broken.example")},
		{name: "CNAME, literal", ask: cname("192.0.2.1")},
		{name: "CNAME, empty", ask: cname("")},
		{name: "CNAME, to what is no host name", ask: cname("toodd.shop.example")},
		{name: "CNAME, DNAME to a zone that fails", ask: cname("www.old.half.example")},
		{name: "MX", ask: mx("shop.example")},
		{name: "MX, null", ask: mx("nullmx.shop.example")},
		{name: "MX, address", ask: mx("ipmx.shop.example")},
		{name: "MX, malformed", ask: mx("badmx.shop.example")},
		{name: "MX, none", ask: mx("www.shop.example")},
		{name: "MX, name error", ask: mx("missing.shop.example")},
		{name: "MX, server failure", ask: mx("broken.example")},
		{name: "MX, no name", ask: mx("a b")},
		{name: "NS", ask: ns("shop.example")},
		{name: "NS, none", ask: ns("www.shop.example")},
		{name: "NS, root", ask: ns(".")},
		{name: "TXT", ask: txt("text.shop.example")},
		{name: "TXT, alias", ask: txt("textalias.shop.example")},
		{name: "TXT, none", ask: txt("www.shop.example")},
		{name: "TXT, onion", ask: txt("shop.onion"),
			ours: "[] lookup shop.onion: no such host (not found)",
			why:  "net says that it cannot unmarshal a message, though there is none"},
		{name: "SRV", ask: srv("sip", "tcp", "shop.example")},
		{name: "SRV, whole name", ask: srv("", "", "_sip._tcp.shop.example")},
		{name: "SRV, alias", ask: srv("alias", "tcp", "shop.example")},
		{name: "SRV, malformed", ask: srv("bad", "tcp", "shop.example")},
		{name: "SRV, name error", ask: srv("none", "tcp", "shop.example")},
		{name: "SRV, alias to what is no host name", ask: srv("", "", "toodd.shop.example")},
		{name: "SRV, no name", ask: srv("s i p", "tcp", "shop.example")},
		{name: "Addr, IPv4", ask: addr("192.0.2.80")},
		{name: "Addr, IPv6", ask: addr("2001:db8::80")},
		{name: "Addr, mapped", ask: addr("::ffff:192.0.2.80")},
		{name: "Addr, alias", ask: addr("192.0.2.82")},
		{name: "Addr, malformed", ask: addr("192.0.2.81")},
		{name: "Addr, none", ask: addr("192.0.2.99"),
			ours: "[] lookup 192.0.2.99: no such host (not found)",
			why:  "Name is what the caller passed; net puts the name below in-addr.arpa. there"},
		{name: "Addr, no address", ask: addr("www.shop.example")},
		{name: "Port, number", ask: port("tcp", "8080")},
		{name: "Port, service", ask: port("tcp", "https")},
		{name: "Port, upper case", ask: port("ip", "HTTP")},
		{name: "Port, unknown", ask: port("tcp", "no-such-service")},
		{name: "Port, unknown network", ask: port("carrier-pigeon", "http")},
		{name: "Port, too large", ask: port("tcp", "65536")},
		{name: "Port, empty", ask: port("tcp", "")},
	}
}

// TestNetDifferences makes the same look-ups through Go's own resolver and through
// ours. Whatever differs is in the table with its reason.
func TestNetDifferences(t *testing.T) {
	in := resolvertest.New(t, netWorld)
	r := in.Resolver(t, plain)
	theirs := r.NetResolver()
	for _, c := range netCases() {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.ask(t.Context(), r)
			gotText := netOutcome(got, err)
			want, err := c.ask(t.Context(), theirs)
			wantText := netOutcome(want, err)
			switch {
			case c.why == "" && gotText != wantText:
				t.Errorf("got\n\t%s\nwant, as package net:\n\t%s", gotText, wantText)
			case c.why != "" && gotText != c.ours:
				t.Errorf("got\n\t%s\nwant\n\t%s", gotText, c.ours)
			case c.why != "" && gotText == wantText:
				t.Errorf("got %s, as package net: the difference is none", gotText)
			}
		})
	}
}

// netOutcome writes what a look-up returned, with all that an error says but the server's
// address, which is resolv.conf's for package net.
func netOutcome(v any, err error) string {
	if err == nil {
		return fmt.Sprint(v)
	}
	text := fmt.Sprintf("%v %v", v, err)
	if e := new(net.DNSError); errors.As(err, &e) {
		text = fmt.Sprintf("%v lookup %s: %s", v, e.Name, netWords(e))
		if e.IsNotFound {
			text += " (not found)"
		}
		if e.IsTemporary {
			text += " (temporary)"
		}
		if e.IsTimeout {
			text += " (timeout)"
		}
	}
	return text
}

// netWords returns the text of an error without the reason behind it, which package net does not
// have.
func netWords(e *net.DNSError) string {
	for _, words := range []string{"server misbehaving", "i/o timeout", "operation was canceled"} {
		if strings.HasPrefix(e.Err, words+": ") {
			return words
		}
	}
	return e.Err
}

// netValues dereferences records, for printing.
func netValues[T any](pointers []*T) []T {
	var out []T
	for _, p := range pointers {
		out = append(out, *p)
	}
	return out
}

// netSorted returns values in an order that the answer does not decide.
func netSorted[T any](list []T) []string {
	var out []string
	for _, v := range list {
		out = append(out, fmt.Sprint(v))
	}
	slices.Sort(out)
	return out
}
