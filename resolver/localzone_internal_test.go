package resolver

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/dnssec"
	"github.com/iterdns/iterdns/internal/answer"
	"github.com/iterdns/iterdns/internal/dnsname"
	"github.com/iterdns/iterdns/internal/localzone"
)

func TestParseLocalZoneRefuses(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"syntax", "www A 192.0.2.1\nwww A 192.0.2\n", "line 2"},
		{"address", "www A 192.0.2.300\n", `line 1: A "192.0.2.300": want an IPv4 address such as 192.0.2.1`},
		{"type", "\n www AAA 2001:db8::1\n", `line 2: "AAA" is no type: AAAA?`},
		{"indentation", "mail A 192.0.2.1\n www A 192.0.2.2\n", `line 2: "www" is no type, and no TTL, as it has no number; the line begins with a blank`},
		{"units", "$TTL h\nwww A 192.0.2.1\n", `line 1: "$TTL h": want $TTL and a number of seconds`},
		{"include", "$INCLUDE /etc/hosts\n", "INCLUDE"},
		{"delegation", "sub NS ns.elsewhere.example.\n", "delegation"},
		{"outside", "www.elsewhere.example. A 192.0.2.1\n", "www.elsewhere.example. 3600 IN A 192.0.2.1 is outside the zone"},
		{"class", "www CH TXT \"x\"\n", "not of class IN"},
		{"signed", "www DS 1 8 2 " + strings.Repeat("00", 32) + "\n", "not signed"},
		{"key", "@ DNSKEY 257 3 15 " + strings.Repeat("A", 43) + "=\n", "not signed"},
		{"two CNAMEs", "www CNAME a\nwww CNAME b\n", "at most one"},
		{"CNAME and other data", "www CNAME a\nwww A 192.0.2.1\n", "CNAME and other records"},
		{"CNAME beside SOA", "@ SOA ns mail 1 2 3 4 5\n@ CNAME a.other.example.\n", "CNAME and other records"},
		{"below DNAME", "old DNAME new.example.\nwww.old A 192.0.2.1\n", "below the DNAME"},
		{"two SOAs", "@ SOA ns mail 1 2 3 4 5\n@ SOA ns mail 2 2 3 4 5\n", "at most one"},
		{"DNAME to nowhere", "old DNAME\n", "without data"},
		{"text without data", "www TXT\n", "without data"},
		{"SOA below", "sub SOA ns mail 1 2 3 4 5\n", "not at the name of the zone"},
	} {
		z, err := ParseLocalZone("corp.example", strings.NewReader(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "corp.example") {
			t.Errorf("%s: got %v, error %v, want one about %q", test.name, z, err, test.want)
		}
	}
	if _, err := ParseLocalZone("a..b", strings.NewReader("")); err == nil {
		t.Error("a zone called a..b: got no error")
	}
}

// TestParseLocalZoneIndented: a zone in a program's string may be indented as the program is.
func TestParseLocalZoneIndented(t *testing.T) {
	z, err := ParseLocalZone("corp.example", strings.NewReader(`
		www   A     192.0.2.1
		      AAAA  2001:db8::1
		m     TXT   (
		"a"
		"b" )
	`))
	if err != nil || len(z.Records) != 3 || z.Records[1].Header().Name != "www.corp.example." || z.Records[2].Header().Name != "m.corp.example." {
		t.Errorf("got %v, %v, want three records of www and m", z.Records, err)
	}
}

func TestLocalZonesRefused(t *testing.T) {
	for name, zones := range map[string][]LocalZone{
		"same name":  {{Zone: "Corp.example"}, {Zone: "corp.example."}},
		"no name":    {{}},
		"nil record": {{Zone: "corp.example", Records: []dns.RR{nil}}},
		"no data":    {{Zone: "corp.example", Records: []dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: "corp.example.", Rrtype: dns.TypeANY, Class: dns.ClassINET}}}}},
		"no address": {{Zone: "corp.example", Records: []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: "corp.example.", Rrtype: dns.TypeA, Class: dns.ClassINET}}}}},
		"nameless":   {{Zone: ".", Records: []dns.RR{&dns.A{Hdr: dns.RR_Header{Rrtype: dns.TypeA, Class: dns.ClassINET}}}}},
	} {
		if _, err := localZones(zones); err == nil || !strings.Contains(err.Error(), "local zone") {
			t.Errorf("%s: got error %v, want one about the local zone", name, err)
		}
	}
}

// corpZone has what RFC 1034 §4.3.2 and RFC 4592 distinguish.
const corpZone = `
$TTL 600
@         SOA   ns.corp.example. mail.corp.example. 1 3600 600 86400 120
@         NS    ns
www       A     10.0.0.80
www   60  A     10.0.0.81
www       AAAA  fd00::80
alias     CNAME www
away      CNAME www.public.example.
old       DNAME new.corp.example.
a.deep    TXT   "x"
*.wild    A     10.0.0.99
*.wild    TXT   "y"
b.wild    A     10.0.0.98
*.walias  CNAME www
`

func TestLocalZoneFind(t *testing.T) {
	z, err := ParseLocalZone("corp.example.", strings.NewReader(corpZone))
	if err != nil {
		t.Fatal(err)
	}
	d := make(map[bool]localzone.Zones)
	for _, transparent := range []bool{false, true} {
		z.Transparent = transparent
		data, err := localZones([]LocalZone{z})
		if err != nil {
			t.Fatal(err)
		}
		d[transparent] = data
	}
	for _, test := range []struct {
		name        string
		rrtype      uint16
		whole       string // RCODE, aliases' targets, types; "" passes
		transparent string // the same when it is transparent
	}{
		{"corp.example.", dns.TypeSOA, "NOERROR SOA 600", "NOERROR SOA 600"},
		{"corp.example.", dns.TypeNS, "NOERROR NS 600", "NOERROR NS 600"},
		{"corp.example.", dns.TypeMX, "NOERROR 120", "NOERROR 120"},
		{"corp.example.", dns.TypeDS, "", ""}, // the parent's
		{"www.corp.example.", dns.TypeA, "NOERROR A A 60", "NOERROR A A 60"},
		{"www.corp.example.", dns.TypeAAAA, "NOERROR AAAA 600", "NOERROR AAAA 600"},
		{"www.corp.example.", dns.TypeANY, "NOERROR A A AAAA 60", "NOERROR A A AAAA 60"},
		{"www.corp.example.", dns.TypeMX, "NOERROR 120", "NOERROR 120"},
		{"www.corp.example.", dns.TypeDS, "NOERROR 120", "NOERROR 120"},
		{"alias.corp.example.", dns.TypeA, "-> www.corp.example. 600", "-> www.corp.example. 600"},
		{"alias.corp.example.", dns.TypeCNAME, "NOERROR CNAME 600", "NOERROR CNAME 600"},
		{"away.corp.example.", dns.TypeMX, "-> www.public.example. 600", "-> www.public.example. 600"},
		{"old.corp.example.", dns.TypeDNAME, "NOERROR DNAME 600", "NOERROR DNAME 600"},
		{"old.corp.example.", dns.TypeA, "NOERROR 120", "NOERROR 120"},
		{"x.y.old.corp.example.", dns.TypeA, "-> x.y.new.corp.example. 600", "-> x.y.new.corp.example. 600"},
		{strings.Repeat("a.", 118) + "old.corp.example.", dns.TypeA, "-> " + strings.Repeat("a.", 118) + "new.corp.example. 600", "-> " + strings.Repeat("a.", 118) + "new.corp.example. 600"},
		{"deep.corp.example.", dns.TypeTXT, "NOERROR 120", ""}, // empty non-terminal
		{"a.deep.corp.example.", dns.TypeTXT, "NOERROR TXT 600", "NOERROR TXT 600"},
		{"nx.corp.example.", dns.TypeA, "NXDOMAIN 120", ""},
		{"below.www.corp.example.", dns.TypeA, "NXDOMAIN 120", ""},
		{"wild.corp.example.", dns.TypeA, "NOERROR 120", ""},
		{"x.wild.corp.example.", dns.TypeA, "NOERROR A 600", "NOERROR A 600"},
		{"x.y.wild.corp.example.", dns.TypeTXT, "NOERROR TXT 600", "NOERROR TXT 600"},
		{"x.wild.corp.example.", dns.TypeMX, "NOERROR 120", "NOERROR 120"},
		{"*.wild.corp.example.", dns.TypeA, "NOERROR A 600", "NOERROR A 600"},
		{"x.*.wild.corp.example.", dns.TypeA, "NXDOMAIN 120", ""}, // RFC 4592 §2.2.1: nothing above *
		{"b.wild.corp.example.", dns.TypeTXT, "NOERROR 120", "NOERROR 120"},
		{"x.b.wild.corp.example.", dns.TypeA, "NXDOMAIN 120", ""}, // b.wild blocks the wildcard
		{"x.walias.corp.example.", dns.TypeA, "-> www.corp.example. 600", "-> www.corp.example. 600"},
		{"corp.examples.", dns.TypeA, "", ""},
		{"notcorp.example.", dns.TypeA, "", ""},
		{"example.", dns.TypeA, "", ""},
		{".", dns.TypeNS, "", ""},
	} {
		for transparent, want := range map[bool]string{false: test.whole, true: test.transparent} {
			if got := localOutcome(t, d[transparent], dnsname.MustParse(test.name), test.rrtype); got != want {
				t.Errorf("%s %s, transparent %t: got %q, want %q", test.name, answer.TypeName(test.rrtype), transparent, got, want)
			}
		}
	}
}

// localOutcome says what local zones make of a question.
func localOutcome(t *testing.T, zones localzone.Zones, name dnsname.Name, rrtype uint16) string {
	t.Helper()
	a, ok := zones.Find(name, rrtype)
	if !ok {
		return ""
	}
	words := []string{"NOERROR"}
	ttl := uint32(math.MaxUint32)
	for _, s := range a.Sets {
		if s.Owner != name {
			t.Errorf("%s: record belongs to %s", name, s.Owner)
		}
		for range s.Len() {
			words = append(words, answer.TypeName(s.Type))
		}
		ttl = min(ttl, s.TTL)
	}
	denied := len(a.Sets) == 0 && len(a.Aliases) == 0
	if denied != (a.SOA != nil) {
		t.Fatalf("%s: denied %t, with SOA %v", name, denied, a.SOA)
	}
	switch {
	case len(a.Aliases) > 0:
		words, ttl = []string{"->", a.Aliases[0].To.String()}, a.Aliases[0].Set.TTL
	case denied:
		if !a.Exists {
			words[0] = "NXDOMAIN"
		}
		ttl = min(a.SOA.TTL, soaMinimum(a.SOA))
	}
	return fmt.Sprint(strings.Join(words, " "), " ", ttl)
}

// soaMinimum is the last field of an SOA, the negative TTL.
func soaMinimum(soa *dnssec.RRset) uint32 {
	rdata := slices.Collect(soa.Records.All())[0]
	return binary.BigEndian.Uint32([]byte(rdata[len(rdata)-4:]))
}

// A denial from a zone without SOA is kept for no longer than the zone's records.
func TestMadeUpSOA(t *testing.T) {
	hosts, err := ParseHosts(strings.NewReader("192.0.2.1 www.corp.example\n"))
	if err != nil {
		t.Fatal(err)
	}
	zone, err := ParseLocalZone("corp.example.", strings.NewReader("www 90 A 192.0.2.1\nmail 300 A 192.0.2.2\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		about string
		zone  LocalZone
		name  string
		want  uint32
	}{
		{"a hosts file", hosts, "www.corp.example.", hostsTTL},
		{"a zone", zone, "mail.corp.example.", 90},
		{"a zone, no name", zone, "nosuch.corp.example.", 90},
		{"a zone that is empty", LocalZone{Zone: "corp.example."}, "www.corp.example.", localzone.TTL},
	} {
		d, err := localZones([]LocalZone{test.zone})
		if err != nil {
			t.Fatal(err)
		}
		a, ok := d.Find(dnsname.MustParse(test.name), dns.TypeAAAA)
		if !ok || a.SOA == nil {
			t.Fatalf("%s: no denial", test.about)
		}
		if minimum := soaMinimum(a.SOA); a.SOA.TTL != test.want || minimum != test.want {
			t.Errorf("%s: the SOA lives for %d s and says %d, want %d", test.about, a.SOA.TTL, minimum, test.want)
		}
	}
}

func TestLocalZonesNested(t *testing.T) {
	parse := func(zone, text string, transparent bool) LocalZone {
		z, err := ParseLocalZone(zone, strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		z.Transparent = transparent
		return z
	}
	d, err := localZones([]LocalZone{
		parse(".", "www.corp.example A 192.0.2.1\nhost.lab.corp.example A 192.0.2.2\nlocalhost A 192.0.2.3\nother.example A 192.0.2.4", true),
		parse("corp.example", "www A 10.0.0.1", false),
		parse("lab.corp.example", "a A 10.0.0.2", true),
		parse("ads.example", "@ CNAME sink.example.", false),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"www.corp.example.":      "NOERROR A 3600", // of the nearest
		"host.lab.corp.example.": "NXDOMAIN 3600",  // passed on to corp.example, which does not have it
		"a.lab.corp.example.":    "NOERROR A 3600",
		"localhost.":             "NOERROR A 3600",
		"other.example.":         "NOERROR A 3600",
		"another.example.":       "",
		"ads.example.":           "-> sink.example. 3600",
		"x.ads.example.":         "NXDOMAIN 3600",
	} {
		n := dnsname.MustParse(name)
		if got := localOutcome(t, d, n, dns.TypeA); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		if got := d.Has(n); got != (want != "") {
			t.Errorf("has(%s) = %t", name, got)
		}
	}
}

func TestHostsAsLocalZone(t *testing.T) {
	z, err := ParseHosts(strings.NewReader(`
127.0.0.1   localhost loopback
::1         localhost
10.0.0.80   Www.corp.example www   # a comment
10.0.0.81   www.corp.example.
fd00::80    www.corp.example
fe80::1%lo0 link.example
0.0.0.0     ads.example
0.0.0.0     more-ads.example
10.0.0.99   ` + strings.Repeat("many.example ", 20) + `
10.0.0.82   a..b
nonsense
`))
	if err != nil {
		t.Fatal(err)
	}
	d, err := localZones([]LocalZone{z})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		rrtype uint16
		want   string
	}{
		{"localhost.", dns.TypeA, "NOERROR A 60"},
		{"localhost.", dns.TypeAAAA, "NOERROR AAAA 60"},
		{"www.corp.example.", dns.TypeA, "NOERROR A A 60"},
		{"www.corp.example.", dns.TypeAAAA, "NOERROR AAAA 60"},
		{"www.corp.example.", dns.TypeMX, "NOERROR 60"},
		{"www.", dns.TypeA, "NOERROR A 60"},
		{"www.", dns.TypeAAAA, "NOERROR 60"},
		{"corp.example.", dns.TypeA, ""},
		{"link.example.", dns.TypeAAAA, ""},
		{"ads.example.", dns.TypeA, "NOERROR A 60"},
		{"80.0.0.10.in-addr.arpa.", dns.TypePTR, "NOERROR PTR PTR 60"},
		{"1.0.0.127.in-addr.arpa.", dns.TypePTR, "NOERROR PTR PTR 60"},
		{"0.0.0.0.in-addr.arpa.", dns.TypePTR, ""},
		{"82.0.0.10.in-addr.arpa.", dns.TypePTR, ""},
		{"99.0.0.10.in-addr.arpa.", dns.TypePTR, "NOERROR PTR 60"},
	} {
		if got := localOutcome(t, d, dnsname.MustParse(test.name), test.rrtype); got != test.want {
			t.Errorf("%s %s: got %q, want %q", test.name, answer.TypeName(test.rrtype), got, test.want)
		}
	}
}

// FuzzParseLocalZone: whatever is taken for a zone answers every name in it.
func FuzzParseLocalZone(f *testing.F) {
	f.Add("corp.example", corpZone)
	f.Add(".", "localhost A 127.0.0.1\n$GENERATE 1-3 h$ A 192.0.2.$\n")
	f.Add("a", "@ CNAME @\n* DNAME b.\n")
	f.Add("0", "@ DNAME ")
	f.Fuzz(func(t *testing.T, zone, text string) {
		if strings.Contains(text, "$") {
			return // $GENERATE makes 65,536 records of one line
		}
		z, err := ParseLocalZone(zone, strings.NewReader(text))
		if err != nil {
			return
		}
		d, err := localZones([]LocalZone{z})
		if err != nil {
			t.Fatalf("parsed, but refused: %v", err)
		}
		for _, rr := range z.Records {
			if a, ok := d.Find(dnsname.MustParse(rr.Header().Name), rr.Header().Rrtype); !ok || len(a.Sets) == 0 && len(a.Aliases) == 0 {
				t.Errorf("%s is not found", rr)
			}
		}
		for _, s := range []string{"x.", "*."} {
			if n, err := dnsname.Parse(s + dns.Fqdn(zone)); err == nil {
				if _, ok := d.Find(n, dns.TypeA); !ok {
					t.Errorf("%s is not answered", n)
				}
			}
		}
	})
}
