package scenario

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/dnsname"
)

const shop = `# A shop.
# It sells.

-- zone shop.example. at 198.51.100.3 2001:db8::3 --
www     A       192.0.2.80
# not the doc
-- fault 198.51.100.3 --

latency 20ms

-- option minimise=strict --
-- ask www.shop.example. A --
NOERROR insecure
www.shop.example. 300 IN A 192.0.2.80
authority:
shop.example.   300   IN NS ns1.shop.example.
-- expect queries 3 --
-- expect queries <= 4 to 198.51.100.3 name www.shop.example. --
-- expect time <= 60ms --
-- expect network tcp --
-- negative-anchors a. b.example. --
-- negative-anchors --
-- sleep 5m --
-- fault * --
dead
-- zone shop.example. --
www A 192.0.2.81
-- ask www.shop.example. TYPE65280 --
error no reachable
-- ask nx.shop.example. AAAA --
NXDOMAIN
-- ask nx.shop.example. A --
NXDOMAIN secure stale
`

func TestParse(t *testing.T) {
	sc, err := Parse(shop)
	if err != nil {
		t.Fatal(err)
	}
	if sc.Doc != "A shop.\nIt sells." {
		t.Errorf("got doc %q", sc.Doc)
	}
	wantNetwork := "\n\n\n-- zone shop.example. at 198.51.100.3 2001:db8::3 --\nwww     A       192.0.2.80\n" +
		"# not the doc\n-- fault 198.51.100.3 --\n\nlatency 20ms\n\n"
	if got := strings.TrimRight(sc.Network, "\n"); got != strings.TrimRight(wantNetwork, "\n") {
		t.Errorf("got network\n%s\nwant\n%s", got, wantNetwork)
	}
	var got []string
	for _, step := range sc.Steps {
		got = append(got, describe(step))
	}
	want := []string{
		"11: option minimise strict",
		"12: ask www.shop.example. A: NOERROR insecure [www.shop.example.\t300\tIN\tA\t192.0.2.80] authority true [shop.example.\t300\tIN\tNS\tns1.shop.example.]",
		"17: expect queries 3 false 0s []",
		"18: expect queries 4 true 0s [[to 198.51.100.3] [name www.shop.example.]]",
		"19: expect time 0 true 60ms []",
		"20: expect network tcp",
		"21: negative-anchors [a. b.example.]",
		"22: negative-anchors []",
		"23: sleep 5m0s",
		"24: update \"-- fault * --\\ndead\"",
		"26: update \"-- zone shop.example. --\\nwww A 192.0.2.81\"",
		"28: ask www.shop.example. TYPE65280: error [no reachable]",
		"30: ask nx.shop.example. AAAA: NXDOMAIN  [] authority false []",
		"32: ask nx.shop.example. A: NXDOMAIN secure stale [] authority false []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// describe writes a step in one line.
func describe(s Step) string {
	line := fmt.Sprintf("%d: ", s.Section.Line)
	switch {
	case s.Ask != nil && s.Ask.Error:
		return line + fmt.Sprintf("ask %s %s: error %v", s.Ask.Name, dns.Type(s.Ask.Type), s.Ask.Words)
	case s.Ask != nil:
		return line + fmt.Sprintf("ask %s %s: %s %s %v authority %v %v", s.Ask.Name, dns.Type(s.Ask.Type),
			dns.RcodeToString[s.Ask.Rcode], strings.TrimSpace(s.Ask.Status+" "+s.Ask.Kind), s.Ask.Answer, s.Ask.HasAuthority, s.Ask.Authority)
	case s.Sleep != nil:
		return line + fmt.Sprintf("sleep %v", *s.Sleep)
	case s.Option != nil:
		return line + fmt.Sprintf("option %s %s", s.Option.Name, s.Option.Value)
	case s.NegativeAnchors != nil:
		return line + fmt.Sprintf("negative-anchors %v", *s.NegativeAnchors)
	case s.Expect != nil && s.Expect.What == "network":
		return line + "expect network " + s.Expect.Network
	case s.Expect != nil:
		return line + fmt.Sprintf("expect %s %d %v %v %v", s.Expect.What, s.Expect.Count, s.Expect.AtMost, s.Expect.Time, s.Expect.Filters)
	case s.Update != nil:
		return line + fmt.Sprintf("update %q", strings.TrimSpace(*s.Update))
	}
	return line + "nothing"
}

// TestUpdateKeepsLines: errors in it are told with the lines of the file.
func TestUpdateKeepsLines(t *testing.T) {
	sc, err := Parse(shop)
	if err != nil {
		t.Fatal(err)
	}
	_, sections, err := Split(*sc.Steps[9].Update)
	if err != nil || len(sections) != 1 || sections[0].Line != 24 {
		t.Fatalf("got %+v, %v, want the section of line 24", sections, err)
	}
	if got := sections[0].Lines(); len(got) != 1 || got[0] != (Line{Number: 25, Text: "dead"}) {
		t.Errorf("got %+v", got)
	}
}

func TestParseErrors(t *testing.T) {
	const ask = "-- ask a. A --\n"
	tests := []struct {
		text string
		line int
		want string
	}{
		{"stray", 1, "text before the first section header"},
		{"# fine\n\n  stray", 3, "text before the first section header"},
		{"--  --", 1, "without a word"},
		{"-- nonsense --", 1, "unknown kind"},
		{"-- ask a. --", 1, "a name and a type"},
		{"-- ask a. NOTYPE --", 1, "unknown type \"NOTYPE\""},
		{"-- ask a. TYPE65536 --", 1, "unknown type"},
		{ask, 1, "expected result"},
		{ask + "\n\nYES", 4, "an RCODE and a status"},
		{ask + "NOERROR maybe", 2, "status secure"},
		{ask + "NOERROR secure cached", 2, "an RCODE and a status"},
		{ask + "NOERROR\na. A x", 3, "bad A"},
		{ask + "NOERROR\n; comment", 3, "no record"},
		{ask + "error\na. A 192.0.2.1", 3, "no record"},
		{"-- sleep --", 1, "one duration"},
		{"-- sleep long --", 1, "no duration"},
		{"-- sleep -1s --", 1, "no duration"},
		{"-- sleep 1s --\nx", 2, "nothing can stand here"},
		{"-- option --", 1, "one word"},
		{"-- option minimise --", 1, "no option"},
		{"-- option a=b --\n\nx", 3, "nothing can stand here"},
		{"-- expect --", 1, "a value"},
		{"-- expect queries --", 1, "a value"},
		{"-- expect queries <= --", 1, "a value"},
		{"-- expect queries many --", 1, "no number"},
		{"-- expect queries -1 --", 1, "no number"},
		{"-- expect time 1 --", 1, "no duration"},
		{"-- expect rain 1 --", 1, "queries or time"},
		{"-- expect queries 1 from here --", 1, "no condition"},
		{"-- expect queries 1 to --", 1, "no condition"},
		{"-- expect queries 1 --\nx", 2, "nothing can stand here"},
	}
	for _, test := range tests {
		_, err := Parse(test.text)
		var e *Error
		if !errors.As(err, &e) || e.Line != test.line || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v, want line %d and %q", test.text, err, test.line, test.want)
		}
		if e != nil && e.Unwrap() == nil {
			t.Errorf("%q: error wraps nothing", test.text)
		}
	}
}

func TestErrorText(t *testing.T) {
	s := Section{File: "a.zone", Kind: "zone", Args: []string{"a."}, Line: 1}
	if got, want := s.Errorf(3, "bad").Error(), `a.zone:3: in "-- zone a. --": bad`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestZoneHeader(t *testing.T) {
	addrs := func(texts ...string) (parsed []netip.Addr) {
		for _, text := range texts {
			parsed = append(parsed, netip.MustParseAddr(text))
		}
		return parsed
	}
	tests := []struct {
		header string
		want   ZoneHeader
	}{
		{"-- zone . --", ZoneHeader{Origin: dnsname.Root}},
		{"-- zone Shop.example at 192.0.2.1 2001:db8::1 --", ZoneHeader{Origin: dnsname.MustParse("shop.example."), Addrs: addrs("192.0.2.1", "2001:db8::1")}},
		{"-- zone a. at ::ffff:192.0.2.1 undelegated --", ZoneHeader{Addrs: addrs("192.0.2.1"), Undelegated: true}},
		{"-- zone a. undelegated --", ZoneHeader{Undelegated: true}},
		{"-- zone a. signed --", ZoneHeader{Signing: Signing{Signed: true}}},
		{"-- zone a. at 192.0.2.1 algorithm=13 no-ds --", ZoneHeader{Addrs: addrs("192.0.2.1"), Signing: Signing{Signed: true, Algorithms: []uint8{13}, NoDS: true}}},
		{"-- zone a. algorithm=8,13 bits=2048 --", ZoneHeader{Signing: Signing{Signed: true, Algorithms: []uint8{8, 13}, Keys: KeyPlan{Bits: 2048}}}},
		{"-- zone a. nsec3 --", ZoneHeader{Signing: Signing{Signed: true, NSEC3: true}}},
		{"-- zone a. opt-out iterations=5 salt=aabb --", ZoneHeader{Signing: Signing{Signed: true, NSEC3: true, OptOut: true, Iterations: 5, Salt: "aabb"}}},
		{"-- zone a. compact csk --", ZoneHeader{Signing: Signing{Signed: true, Compact: true, Keys: KeyPlan{Combined: true}}}},
		{"-- zone a. ksk=1,2 zsk=2 sign=2 ds=1 digest=4 --", ZoneHeader{Signing: Signing{Signed: true, Keys: KeyPlan{KSK: []int{1, 2}, ZSK: []int{2}, Sign: []int{2}, DS: []int{1}, Digest: 4}}}},
		{"-- zone a. operators=2 --", ZoneHeader{Signing: Signing{Signed: true, Keys: KeyPlan{Operators: 2}}}},
		{"-- zone a. break=expired break=corrupt:A break=absent:www/NSEC break=unsigned:@/ --", ZoneHeader{Signing: Signing{Signed: true, Breaks: []Break{
			{Kind: BreakExpired}, {Kind: BreakCorrupt, Type: dns.TypeA}, {Kind: BreakAbsent, Name: "www", Type: dns.TypeNSEC}, {Kind: BreakUnsigned, Name: "@"},
		}}}},
	}
	for _, test := range tests {
		_, sections, err := Split(test.header)
		if err != nil {
			t.Fatal(err)
		}
		if test.want.Origin == "" {
			test.want.Origin = dnsname.MustParse("a.")
		}
		if h, err := ParseZoneHeader(sections[0]); err != nil || !reflect.DeepEqual(h, test.want) {
			t.Errorf("%s: got %+v, %v, want %+v", test.header, h, err, test.want)
		}
	}
}

func TestZoneHeaderErrors(t *testing.T) {
	for _, header := range []string{
		"-- zone --", "-- zone a..b --", "-- zone a. 192.0.2.1 --", "-- zone a. at here --", "-- zone a. at fe80::1%eth0 --",
		"-- zone a. algorithm=x --", "-- zone a. algorithm=256 --", "-- zone a. iterations=65536 --", "-- zone a. salt=x --",
		"-- zone a. signed=yes --", "-- zone a. algorithm=8, --", "-- zone a. ksk=0 --", "-- zone a. sign=10 --", "-- zone a. operators=0 --",
		"-- zone a. bits=many --", "-- zone a. digest=256 --", "-- zone a. break=all --", "-- zone a. break=expired:NOTYPE --",
	} {
		_, sections, err := Split(header)
		if err != nil {
			t.Fatal(err)
		}
		if h, err := ParseZoneHeader(sections[0]); err == nil {
			t.Errorf("%s: got %+v and no error", header, h)
		}
	}
}

func TestHeaders(t *testing.T) {
	for _, line := range []string{"--zone a.--", "-- zone a.", "zone a. --", "--", "---", "- zone a. --"} {
		if words, ok := header(line); ok {
			t.Errorf("%q: got a header %q", line, words)
		}
	}
	_, sections, err := Split("  -- zone a. --  \r\nwww A 192.0.2.1\r\n")
	if err != nil || len(sections) != 1 || sections[0].Body != "www A 192.0.2.1\n" {
		t.Errorf("got %+v, %v", sections, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(shop)                                             // every kind of section
	f.Add("")                                               // nothing
	f.Add("-- --")                                          // a header without a word
	f.Add("-- zone")                                        // a header that does not end
	f.Add("-- ask a. A --\nNOERROR\na. A \\# 4 c0000201")   // a record in generic form
	f.Add("-- ask a. A --\nNOERROR\na. TXT \"-- ask --\"")  // a record that looks like a header
	f.Add("-- ask a. A --\nerror\n-- zone a. --\n\x00\xff") // bytes that are no text
	f.Add("# only a comment\r\n")                           // line ends of other systems
	f.Add("-- expect queries <= 1 to 192.0.2.1 type A --")  // all parts of a bound
	f.Add("-- sleep 9223372036854775807ns --")              // the longest duration
	f.Add("-- ask a. A --\nNOERROR\n$GENERATE 1-9 a$ A 192.0.2.1")
	f.Fuzz(func(t *testing.T, text string) {
		sc, err := Parse(text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Line < 1 || e.Line > strings.Count(text, "\n")+1 {
				t.Errorf("error without a line of the text: %v", err)
			}
			return
		}
		if got, want := strings.Count(sc.Network, "\n"), strings.Count(text, "\n"); got != want {
			t.Errorf("the network has %d lines, the text %d", got, want)
		}
		_, sections, err := Split(sc.Network)
		if err != nil {
			t.Errorf("the network cannot be split: %v", err)
		}
		for _, s := range sections {
			if !isNetwork(s) {
				t.Errorf("the network has %s", s.Header())
			}
		}
	})
}
