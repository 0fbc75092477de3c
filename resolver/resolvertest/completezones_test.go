package resolvertest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

// dump writes what a zone holds, in canonical order.
func (in *Internet) dump(zone string) string {
	z := in.zones[dnsname.MustParse(zone)]
	if z == nil {
		return "no zone\n"
	}
	var b strings.Builder
	for _, name := range z.order {
		for _, rrtype := range z.nodes[name].types {
			for _, rr := range z.nodes[name].sets[rrtype] {
				fmt.Fprintln(&b, strings.Join(strings.Fields(rr.String()), " "))
			}
		}
	}
	return b.String()
}

func TestDerivation(t *testing.T) {
	tests := []struct {
		name string
		text string
		zone string
		want string
	}{
		{"one zone", "-- zone shop.example. at 198.51.100.3 2001:db8::3 --\nwww A 192.0.2.80", "shop.example.", `
			shop.example. 3600 IN NS ns1.shop.example.
			shop.example. 3600 IN SOA ns1.shop.example. hostmaster.shop.example. 1 3600 600 604800 300
			ns1.shop.example. 3600 IN A 198.51.100.3
			ns1.shop.example. 3600 IN AAAA 2001:db8::3
			www.shop.example. 300 IN A 192.0.2.80`},
		{"its top-level zone", "-- zone shop.example. at 198.51.100.3 2001:db8::3 --", "example.", `
			example. 3600 IN NS ns1.example.
			example. 3600 IN SOA ns1.example. hostmaster.example. 1 3600 600 604800 300
			ns1.example. 3600 IN A 198.18.0.2
			ns1.example. 3600 IN AAAA 2001:2::2
			shop.example. 3600 IN NS ns1.shop.example.
			ns1.shop.example. 3600 IN A 198.51.100.3
			ns1.shop.example. 3600 IN AAAA 2001:db8::3`},
		{"its root", "-- zone shop.example. at 198.51.100.3 2001:db8::3 --", ".", `
			. 3600 IN NS ns1.
			. 3600 IN SOA ns1. hostmaster. 1 3600 600 604800 300
			example. 3600 IN NS ns1.example.
			ns1.example. 3600 IN A 198.18.0.2
			ns1.example. 3600 IN AAAA 2001:2::2
			ns1. 3600 IN A 198.18.0.1
			ns1. 3600 IN AAAA 2001:2::1`},
		{"a written root delegates directly", "-- zone . at 192.0.2.1 --\n-- zone shop.example. at 198.51.100.3 --", ".", `
			. 3600 IN NS ns1.
			. 3600 IN SOA ns1. hostmaster. 1 3600 600 604800 300
			shop.example. 3600 IN NS ns1.shop.example.
			ns1.shop.example. 3600 IN A 198.51.100.3
			ns1. 3600 IN A 192.0.2.1`},
		{"more addresses of one family", "-- zone shop.example. at 192.0.2.1 192.0.2.2 2001:db8::1 --", "shop.example.", `
			shop.example. 3600 IN NS ns1.shop.example.
			shop.example. 3600 IN NS ns2.shop.example.
			shop.example. 3600 IN SOA ns1.shop.example. hostmaster.shop.example. 1 3600 600 604800 300
			ns1.shop.example. 3600 IN A 192.0.2.1
			ns1.shop.example. 3600 IN AAAA 2001:db8::1
			ns2.shop.example. 3600 IN A 192.0.2.2`},
		{"addresses for written hosts", "-- zone shop.example. at 192.0.2.1 192.0.2.2 192.0.2.3 --\n@ NS a\n@ NS b\n@ NS c\nb A 192.0.2.2", "shop.example.", `
			shop.example. 300 IN NS a.shop.example.
			shop.example. 300 IN NS b.shop.example.
			shop.example. 300 IN NS c.shop.example.
			shop.example. 3600 IN SOA a.shop.example. hostmaster.shop.example. 1 3600 600 604800 300
			a.shop.example. 3600 IN A 192.0.2.1
			b.shop.example. 300 IN A 192.0.2.2
			c.shop.example. 3600 IN A 192.0.2.3`},
		{"the last host gets what is left", "-- zone shop.example. at 192.0.2.1 192.0.2.2 --\n@ NS a", "shop.example.", `
			shop.example. 300 IN NS a.shop.example.
			shop.example. 3600 IN SOA a.shop.example. hostmaster.shop.example. 1 3600 600 604800 300
			a.shop.example. 3600 IN A 192.0.2.1
			a.shop.example. 3600 IN A 192.0.2.2`},
		{"names that stand for something else", "-- zone shop.example. at 192.0.2.1 192.0.2.2 --\nns1 A 192.0.2.9\nns2 A 192.0.2.2\nns3 CNAME ns1\nns4 TXT x", "shop.example.", `
			shop.example. 3600 IN NS ns2.shop.example.
			shop.example. 3600 IN NS ns4.shop.example.
			shop.example. 3600 IN SOA ns2.shop.example. hostmaster.shop.example. 1 3600 600 604800 300
			ns1.shop.example. 300 IN A 192.0.2.9
			ns2.shop.example. 300 IN A 192.0.2.2
			ns3.shop.example. 300 IN CNAME ns1.shop.example.
			ns4.shop.example. 300 IN TXT "x"
			ns4.shop.example. 3600 IN A 192.0.2.1`},
		{"hosts elsewhere get no addresses", "-- zone shop.example. at 192.0.2.1 --\n@ NS ns.host.example.", "shop.example.", `
			shop.example. 300 IN NS ns.host.example.
			shop.example. 3600 IN SOA ns.host.example. hostmaster.shop.example. 1 3600 600 604800 300`},
		{"a written delegation is left alone", "-- zone shop.example. at 192.0.2.1 --\n-- zone example. at 192.0.2.9 --\nshop NS ns9.shop", "example.", `
			example. 3600 IN NS ns1.example.
			example. 3600 IN SOA ns1.example. hostmaster.example. 1 3600 600 604800 300
			ns1.example. 3600 IN A 192.0.2.9
			shop.example. 300 IN NS ns9.shop.example.`},
		{"written glue is left alone", "-- zone shop.example. at 192.0.2.1 2001:db8::1 --\n-- zone example. at 192.0.2.9 --\nns1.shop A 203.0.113.1", "example.", `
			example. 3600 IN NS ns1.example.
			example. 3600 IN SOA ns1.example. hostmaster.example. 1 3600 600 604800 300
			ns1.example. 3600 IN A 192.0.2.9
			shop.example. 3600 IN NS ns1.shop.example.
			ns1.shop.example. 300 IN A 203.0.113.1
			ns1.shop.example. 3600 IN AAAA 2001:db8::1`},
		{"undelegated", "-- zone shop.example. at 192.0.2.1 undelegated --\n-- zone example. at 192.0.2.9 --", "example.", `
			example. 3600 IN NS ns1.example.
			example. 3600 IN SOA ns1.example. hostmaster.example. 1 3600 600 604800 300
			ns1.example. 3600 IN A 192.0.2.9`},
		{"the nearest zone above delegates", "-- zone b.a.shop.example. at 192.0.2.1 --\n-- zone shop.example. at 192.0.2.2 --", "shop.example.", `
			shop.example. 3600 IN NS ns1.shop.example.
			shop.example. 3600 IN SOA ns1.shop.example. hostmaster.shop.example. 1 3600 600 604800 300
			b.a.shop.example. 3600 IN NS ns1.b.a.shop.example.
			ns1.b.a.shop.example. 3600 IN A 192.0.2.1
			ns1.shop.example. 3600 IN A 192.0.2.2`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			compare(t, New(t, test.text).dump(test.zone), test.want)
		})
	}
}

func TestServerAddresses(t *testing.T) {
	in := New(t, `
-- zone shop.example. --
@       NS      ns.host.example.
-- zone host.example. at 192.0.2.53 --
ns      A       192.0.2.54
ns      AAAA    2001:db8::54
-- zone other.example. --
-- zone twice.example. at 198.18.0.1 ::ffff:192.0.2.1 --
`)
	tests := []struct{ zone, want string }{
		{"shop.example.", "[192.0.2.54 2001:db8::54]"},
		{"host.example.", "[192.0.2.53]"},
		{"twice.example", "[192.0.2.1 198.18.0.1]"}, // and the pool leaves it out
		{".", "[198.18.0.2 2001:2::1]"},
		{"example.", "[198.18.0.3 2001:2::2]"},
		{"other.example.", "[198.18.0.4 2001:2::3]"},
		{"none.example.", "[]"},
	}
	for _, test := range tests {
		if got := fmt.Sprint(in.Servers(test.zone)); got != test.want {
			t.Errorf("%s: got %s, want %s", test.zone, got, test.want)
		}
	}
	if got := len(in.Servers("")); got != 11 {
		t.Errorf("got %d servers in all, want 11: %v", got, in.Servers(""))
	}
}

func TestZoneErrors(t *testing.T) {
	tests := []struct{ text, want string }{
		{"stray", "line 1: text before the first section"},
		{"-- --", "line 1: section header without a word"},
		{"-- zone --", "line 1: in \"-- zone --\": a zone needs a name"},
		{"-- zone a..b. --", "line 1: in \"-- zone a..b. --\": zone name"},
		{"-- zone a. at 192.0.2.300 --", "\"192.0.2.300\" behind at is no address"},
		{"-- zone a. 192.0.2.1 --", "\"192.0.2.1\" is no word of a zone header"},
		{"-- zone a. at 192.0.2.1 fe80::1%eth0 --", "is no address"},
		{"-- zone a. --\n-- zone A --", "line 2: in \"-- zone A --\": zone a. is there already, at line 1"},
		{"-- ask a. A --", "line 1: in \"-- ask a. A --\": unknown kind of section"},
		{"-- zone a. --\n\nwww A 192.0.2.1\nwww A 192.0.2\nwww A 192.0.2.2", "line 4: in \"-- zone a. --\": A \"192.0.2\": want an IPv4 address"},
		{"-- zone a. --\nwww A", "line 2: in \"-- zone a. --\": A without data"},
		{"-- zone a. --\nwww.b. A 192.0.2.1\n", "line 2: in \"-- zone a. --\": www.b. A: the owner is not in the zone"},
		{"-- zone a. --\n@ SOA ns h (\n 1 1 1\n 1 1 )\n@ SOA ns h 2 1 1 1 1\n", "line 5: in \"-- zone a. --\": a. SOA: more than one SOA"},
		{"-- zone a. --\nwww SOA ns h 1 1 1 1 1\n", "SOA at another name"},
		{"-- zone a. --\nwww CNAME b\nwww A 192.0.2.1\n", "line 3: in \"-- zone a. --\": www.a. A: CNAME and other data"},
		{"-- zone a. --\nwww A 192.0.2.1\nwww CNAME b\n", "line 3: in \"-- zone a. --\": www.a. CNAME: CNAME and other data"},
		{"-- zone a. --\nwww CNAME b\nwww CNAME c\n", "more than one CNAME"},
		{"-- zone a. --\nwww DNAME b\nwww DNAME c\n", "more than one CNAME or DNAME"},
		{"-- zone a. --\nwww CH TXT x\n", "only class IN"},
		{"-- zone a. --\nwww TYPE252 \\# 1 00\n", "messages only"},
		{"-- zone a. --\n$INCLUDE /etc/hostname\n", "$INCLUDE"},
		{"-- zone a. --\n$TTL x\n", "line 2: in \"-- zone a. --\": \"$TTL x\": want $TTL and a number"},
		{"-- zone a. --\n" + strings.Repeat("x", 64) + " A 192.0.2.1", "is no domain name"},
		{"-- fault --\ndead", "line 1: in \"-- fault --\": a fault section needs the servers"},
		{"-- fault a..b --\ndead", "line 1: in \"-- fault a..b --\""},
		{"-- fault nowhere. --\ndead", "no such zone"},
		{"-- intercept 192.0.2.1 --", "takes no words"},
	}
	for _, test := range tests {
		in, err := NewInternet(test.text)
		if err == nil || in != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q:\ngot  %v\nwant %s", test.text, err, test.want)
		}
	}
}

func TestZoneText(t *testing.T) {
	in := New(t, `
# A comment before all.
-- zone shop.example. at 192.0.2.1 --
# A comment in a zone.
; another
$TTL 60
www     A       192.0.2.80      ; and one behind a record
        AAAA    2001:db8::80
$ORIGIN sub
x   10  TXT     ( "two"
                  "lines" )
        IN 20 A 192.0.2.81
\065\.b A       192.0.2.82
www.shop.example. A 192.0.2.80
`)
	compare(t, in.dump("shop.example."), `
		shop.example. 3600 IN NS ns1.shop.example.
		shop.example. 3600 IN SOA ns1.shop.example. hostmaster.shop.example. 1 3600 600 604800 300
		ns1.shop.example. 3600 IN A 192.0.2.1
		A\.b.sub.shop.example. 60 IN A 192.0.2.82
		x.sub.shop.example. 10 IN TXT "two" "lines"
		x.sub.shop.example. 20 IN A 192.0.2.81
		www.shop.example. 60 IN A 192.0.2.80
		www.shop.example. 60 IN AAAA 2001:db8::80`)
}

func TestUpdate(t *testing.T) {
	in := New(t, shop)
	update := func(text string) {
		t.Helper()
		if err := in.Update(text); err != nil {
			t.Fatal(err)
		}
	}
	q := query("www.shop.example.", dns.TypeA)
	update("-- zone shop.example. --\nwww A 192.0.2.81")
	compare(t, text(ask(t, in, shopServer, q)), "NOERROR aa\nan www.shop.example. 300 IN A 192.0.2.81")
	update("-- zone shop.example. at 198.51.100.9 --\nwww A 192.0.2.82")
	compare(t, text(ask(t, in, "198.51.100.9", q)), "NOERROR aa\nan www.shop.example. 300 IN A 192.0.2.82")
	compare(t, text(ask(t, in, shopServer, q)), "REFUSED")
	update("-- zone new.example. at 198.51.100.9 --\nwww A 192.0.2.83\n-- fault 198.51.100.9 --\nset ra")
	compare(t, text(ask(t, in, "198.51.100.9", query("www.new.example.", dns.TypeA))), "NOERROR aa ra\nan www.new.example. 300 IN A 192.0.2.83")
	if err := in.Update("-- zone other.example. --\n-- zone shop.example. --\nwww A x"); err == nil {
		t.Error("no error")
	}
	if got := in.dump("other.example."); got != "no zone\n" {
		t.Errorf("an Update with an error left a zone:\n%s", got)
	}
	before := fmt.Sprint(in.Servers("."), in.Servers("example."))
	update("-- zone aaa.aaa. --")
	if after := fmt.Sprint(in.Servers("."), in.Servers("example.")); after != before {
		t.Errorf("derived servers moved from %s to %s", before, after)
	}
	if !slices.Equal(in.Servers("shop.example."), in.Servers("new.example.")) {
		t.Errorf("got %v and %v", in.Servers("shop.example."), in.Servers("new.example."))
	}
}
