package drawing

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
)

// TestAliasPath: aliases are followed to where they come back, and no further than the zone that says so.
func TestAliasPath(t *testing.T) {
	for _, test := range []struct{ from, zone, records, want string }{
		{"www.example.", "example.", "www.example. CNAME b.example.", "b.example"},
		{"WWW.example.", "example.", "www.example. CNAME b.example.\nb.example. CNAME www.Example.", "b.example, then back to www.Example"},
		{"www.example.", "example.", "www.example. CNAME www.example.", "back to www.example"},
		{"www.example.", "example.", "www.example. CNAME b.net.\nb.net. CNAME c.net.", "b.net"},
		{"www.example.", ".", "www.example. CNAME b.net.\nb.net. CNAME c.net.", "b.net, then c.net"},
		{"a.b.example.", "example.", "b.example. DNAME net.", "a.net"},
		{"b.example.", "example.", "b.example. DNAME net.", ""},
		{"www.example.", "example.", "www.example. A 192.0.2.1", ""},
		{`a\.b.example.`, "example.", "example. DNAME .", `a\.b`},
	} {
		var rrs []dns.RR
		for line := range strings.Lines(test.records) {
			rr, err := dns.NewRR(line)
			if err != nil {
				t.Fatal(err)
			}
			rrs = append(rrs, rr)
		}
		if got := AliasPath(test.from, test.zone, rrs); got != test.want {
			t.Errorf("%s: got %q, want %q", test.records, got, test.want)
		}
	}
}

// TestFold: rounds that end as the one before are folded, all others stay.
func TestFold(t *testing.T) {
	round := func(found string) []*Node {
		zone := &Node{Left: ".", begins: true, Below: []*Node{{Left: "query"}}}
		if found != "" {
			zone.Below = append(zone.Below, &Node{Left: "validated", Right: found, validated: true})
		}
		return []*Node{zone, {Left: "example."}}
	}
	for _, test := range []struct{ rounds, want []string }{
		{[]string{"bogus"}, []string{".", "example."}},
		{[]string{"bogus", "bogus", "bogus"}, []string{".", "example.", "asked again 2 times, with the same result"}},
		{[]string{"bogus", "bogus", "secure"}, []string{".", "example.", "asked again 1 time, with the same result", ".", "example."}},
		{[]string{"", ""}, []string{".", "example.", ".", "example."}},
	} {
		top := &Node{Left: "www.example. A", Below: []*Node{{Left: "before"}}}
		lines := 0
		for _, found := range test.rounds {
			top.Below = append(top.Below, round(found)...)
			lines += 2
		}
		Fold([]*Node{top})
		var got []string
		for _, n := range top.Below[1:] {
			got = append(got, n.Left)
			if n.Folded {
				lines -= len(n.Below) - 1
			}
		}
		if !slices.Equal(got, test.want) || len(got) != lines {
			t.Errorf("%q: got %q, want %q", test.rounds, got, test.want)
		}
	}
}

// TestWrap: no character is lost but the blanks at the ends of lines, and no line is too long.
func TestWrap(t *testing.T) {
	for _, text := range []string{"", "one", "a few words that do not fit", strings.Repeat("x", 50), "ä ö ü " + strings.Repeat("é", 30), "    blanks    "} {
		for n := range 30 {
			lines := wrap(text, n, 2)
			if got, want := strings.Join(lines, ""), text; strings.ReplaceAll(got, " ", "") != strings.ReplaceAll(want, " ", "") {
				t.Errorf("%q in %d: got %q", text, n, lines)
			}
			for _, line := range lines {
				if len([]rune(line)) > max(n, 3) {
					t.Errorf("%q in %d: got a line %q", text, n, line)
				}
			}
		}
	}
}

// TestLook: a zone whose data is bogus is not drawn as one where all is well, and one that was only walked
// through not as one where something is wrong.
func TestLook(t *testing.T) {
	p := NewPicture("www.example. A", &Trust{Zones: []*Zone{
		{Name: ".", Status: dnssec.Secure}, {Name: "example.", Status: dnssec.Secure, Sets: []Set{{Text: "www.example. A", Status: dnssec.Bogus}}},
	}}, &Walk{zones: []*walkedZone{{name: "net."}, {name: "a.net."}}})
	want := map[string]string{".": "secure", "example.": "bogus", "net.": "way", "a.net.": "way"}
	for _, b := range p.boxes {
		if got := b.look().class; got != want[b.name] {
			t.Errorf("%s: got %s, want %s", b.name, got, want[b.name])
		}
	}
	for _, drawn := range []string{InlineSVG(p), NarrowSVG(p)} {
		if strings.Contains(drawn, "box indeterminate") || !strings.Contains(drawn, "keys secure, data bogus") || !strings.Contains(drawn, ">on the way<") {
			t.Errorf("got\n%s", drawn)
		}
	}
}
