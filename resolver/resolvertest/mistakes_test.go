package resolvertest

import (
	"strings"
	"testing"
)

// TestMistakes: what people write by mistake gets a message that names the line, the word and what
// was expected.
func TestMistakes(t *testing.T) {
	const shop = "-- zone shop.example. at 192.0.2.53 --\n"
	const inShop = `line 2: in "-- zone shop.example. at 192.0.2.53 --": `
	for _, test := range []struct{ text, want string }{
		// Headers.
		{"-- zone shop.example. at 192.0.2.53\nwww A 192.0.2.1\n",
			`line 1: "-- zone shop.example. at 192.0.2.53": a section header has blanks and two hyphens at both ends, as in "-- zone example.com. --"`},
		{"zone shop.example. --\n",
			`line 1: "zone shop.example. --": a section header has blanks and two hyphens at both ends, as in "-- zone example.com. --"`},
		{shop + "- fault * --\ndead\n",
			`line 2: "- fault * --": a section header has blanks and two hyphens at both ends, as in "-- zone example.com. --"`},
		{shop + "--fault * --\ndead\n",
			`line 2: "--fault * --": a section header has blanks and two hyphens at both ends, as in "-- zone example.com. --"`},
		{"www A 192.0.2.1\n", `line 1: text before the first section header, which is not a # comment`},
		{"-- zones shop.example. --\n", `line 1: in "-- zones shop.example. --": unknown kind of section; there are zone, fault and intercept`},
		{"-- zone --\n", `line 1: in "-- zone --": a zone needs a name`},
		{"-- zone shop.example. at --\n", `line 1: in "-- zone shop.example. at --": "at" has no address behind it: want such as at 192.0.2.53`},
		{"-- zone shop.example. at signed --\n",
			`line 1: in "-- zone shop.example. at signed --": "signed" behind at is no address: want such as 192.0.2.53 or 2001:db8::53`},
		{"-- zone shop.example. at 192.0.2.300 --\n",
			`line 1: in "-- zone shop.example. at 192.0.2.300 --": "192.0.2.300" behind at is no address: want such as 192.0.2.53 or 2001:db8::53`},
		{"-- zone shop.example. 192.0.2.53 --\n",
			`line 1: in "-- zone shop.example. 192.0.2.53 --": "192.0.2.53" is no word of a zone header; addresses follow the word at`},
		{shop + "-- zone SHOP.example --\n", `line 2: in "-- zone SHOP.example --": zone shop.example. is there already, at line 1: want each zone once`},
		// Lines of a zone.
		{shop + "www AAA 2001:db8::1\n", inShop + `"AAA" is no type: AAAA?`},
		{shop + "www CNAMEE shop.example.\n", inShop + `"CNAMEE" is no type: CNAME?`},
		{shop + "www FOO bar\n", inShop + `"FOO" is no type: want one such as A, AAAA, MX or TYPE65280`},
		{shop + "www h A 192.0.2.1\n", inShop + `"h" is no type, and no TTL, as it has no number`},
		{shop + "mail A 192.0.2.1\n  m A 192.0.2.1\n",
			`line 3: in "-- zone shop.example. at 192.0.2.53 --": ` + `"m" is no type, and no TTL, as it has no number; the line begins with a blank, so that it has no name of its own: names begin in the first column`},
		{shop + "mail A 192.0.2.1\n  www A 192.0.2.1\n", `line 3: in "-- zone shop.example. at 192.0.2.53 --": ` +
			`"www" is no type, and no TTL, as it has no number; the line begins with a blank, so that it has no name of its own: names begin in the first column`},
		{shop + "  A 192.0.2.1\n  MX 10 mail\n",
			inShop + `"A 192.0.2.1" has no name, and there is no record before it whose name it could have: the zone's own name is @`},
		{shop + "$TTL h\n", inShop + `"$TTL h": want $TTL and a number of seconds, or such as 1h30m`},
		{shop + "$ORIGIN a..b\n", inShop + `"$ORIGIN a..b": want $ORIGIN and a domain name`},
		{shop + "$INCLUDE other.zone\n", inShop + `"$INCLUDE other.zone": no other file is read; write its records here`},
		{shop + "$TTLS 300\n", inShop + `"$TTLS" is no directive: want $TTL, $ORIGIN or $GENERATE`},
		{shop + "www\n", inShop + `"www" has no type behind it: want NAME [TTL] TYPE DATA`},
		{shop + "www A\n", inShop + `A without data: want an IPv4 address such as 192.0.2.1`},
		{shop + "www A 192.0.2.256\n", inShop + `A "192.0.2.256": want an IPv4 address such as 192.0.2.1`},
		{shop + "www A 2001:db8::1\n", inShop + `A "2001:db8::1": want an IPv4 address such as 192.0.2.1`},
		{shop + "www AAAA 192.0.2.1\n", inShop + `AAAA "192.0.2.1": want an IPv6 address such as 2001:db8::1`},
		{shop + "www A 192.0.2.1 192.0.2.2\n", inShop + `A: "192.0.2.2" is too much: want an IPv4 address such as 192.0.2.1, and a line for each record`},
		{shop + "@ MX mail\n", inShop + `MX "mail": want a preference from 0 to 65535`},
		{shop + "@ MX 10\n", inShop + `MX "10" is too short: want a preference from 0 to 65535, a domain name`},
		{shop + "_sip._tcp SRV 1 2 sip\n", inShop + `SRV "sip": want a port from 0 to 65535`},
		{shop + "www CNAME a..b\n", inShop + `CNAME "a..b": want a domain name`},
		{shop + "@ CAA issue ca.example\n", inShop + `CAA "issue": want flags from 0 to 255`},
		{shop + "www TXT\n", inShop + `TXT without data: want a string`},
		{shop + "a..b A 192.0.2.1\n", inShop + `"a..b" is no domain name, which begins the line`},
		{shop + "www.other.example. A 192.0.2.1\n", inShop + `www.other.example. A: the owner is not in the zone`},
		{shop + "www A 192.0.2.1\na NS ns.other.example.\n@ MX 10 mail\nx.a A 192.0.2.1\n",
			`line 5: in "-- zone shop.example. at 192.0.2.53 --": x.a.shop.example. A: it is at or below a delegation, so that this zone never has it in an answer; ` +
				`it belongs in the delegated zone, or, if it is an address, has to be one of a name server`},
		{"-- zone shop.example. signed break=expired:www --\nwww A 192.0.2.1\n",
			`line 1: in "-- zone shop.example. signed break=expired:www --": "break=expired:www": "www" is no type: want a type such as A, a name such as www/, or both such as www/A`},
		// Faults.
		{shop + "www A 192.0.2.80\n-- fault www.shop.example. --\ndead\n",
			`line 3: in "-- fault www.shop.example. --": fault for www.shop.example.: no such zone: that is a host; faults are for servers: want its address, 192.0.2.80, or its zone, shop.example.`},
		{shop + "-- fault shop.exampel. --\ndead\n",
			`line 2: in "-- fault shop.exampel. --": fault for shop.exampel.: no such zone: want an address, a prefix, a zone of this text or *`},
		{shop + "-- fault --\ndead\n", `line 2: in "-- fault --": a fault section needs the servers it is for`},
		{shop + "-- fault * --\n\ndeaf\n", `line 4: in "-- fault * --": "deaf": unknown fault; there are add, bad-cookie, clear, close, cookies, ` +
			`cut, dead, drip, drop, fold-case, forge, garbage, lame, latency, loss, mend, no-edns, no-question, oversize, random-case, rcode, refuse, remove, ` +
			`replace, require-cookies, reset, set, truncate, udp-size, unreachable, wrong-address, wrong-cookie, wrong-id, wrong-opcode, wrong-qr, wrong-question`},
		{shop + "-- fault * --\ntimeout\n", `line 3: in "-- fault * --": "timeout": unknown fault: drop, or dead, which takes no TCP connections either?`},
		{shop + "-- fault * --\nservfail\n", `line 3: in "-- fault * --": "servfail": unknown fault: rcode SERVFAIL?`},
		{shop + "-- fault * --\nDrop\n", `line 3: in "-- fault * --": "Drop": unknown fault: drop?`},
		{shop + "-- fault * --\nlatency 20\n", `line 3: in "-- fault * --": "latency 20": "20" is no duration such as 20ms`},
		{shop + "-- fault * --\nwhen name www.shop.exampel. : dead\n",
			`line 3: in "-- fault * --": fault when name www.shop.exampel.: no zone that is written has this name, which is absolute`},
		{shop + "www A 192.0.2.80\n-- fault * --\nwhen name www: dead\n",
			`line 4: in "-- fault * --": fault when name www.: no zone that is written has this name, which is absolute: www.shop.example.?`},
		{shop + "www A 192.0.2.80\n-- fault shop.example. --\nwhen name www: dead\n",
			`line 4: in "-- fault shop.example. --": fault when name www.: no zone that is written has this name, which is absolute: www.shop.example.?`},
	} {
		in, err := NewInternet(test.text)
		if err == nil || in != nil || err.Error() != test.want {
			t.Errorf("%q:\ngot  %v\nwant %s", test.text, err, test.want)
		}
	}
}

// TestIndented: a text may be indented as the program that has it, and records without a name of
// their own begin with a blank, as in every zone file.
func TestIndented(t *testing.T) {
	plain := `
-- zone shop.example. at 192.0.2.53 --
www   A     192.0.2.1
      AAAA  2001:db8::1
@     SOA   ns mail (
  1 2 3
4 5 )
m     A     192.0.2.2
-- fault 192.0.2.53 --
when name www.shop.example. type A: rcode SERVFAIL
`
	want := New(t, plain).dump("shop.example.")
	deeper := strings.ReplaceAll(plain, "\n", "\n\t\t")
	flatHeader := strings.NewReplacer("\t\t--", "--").Replace(deeper)
	for name, text := range map[string]string{"all": deeper, "records": flatHeader} {
		in, err := NewInternet(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		compare(t, in.dump("shop.example."), want)
	}
}
