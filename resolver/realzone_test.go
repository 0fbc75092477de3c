package resolver_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/test/realserver"
	"github.com/iterdns/iterdns/resolver"
)

// realSecondary is one of the servers of example.com in TestRealZoneServers: all of them have the
// zone, at different serials.
type realSecondary struct {
	product realserver.Product
	addr    string
	serial  uint32
}

// text is the zone at the server: from serial 2 on it has the record, and the zone below is delegated
// to the same server.
func (s realSecondary) text() string {
	text := fmt.Sprintf(`$ORIGIN example.com.
$TTL 300
@ SOA ns1 hostmaster %d 7200 3600 86400 60
@ NS ns1
@ NS ns2
@ NS ns3
ns1 A 198.51.100.1
ns2 A 198.51.100.2
ns3 A 198.51.100.3
_acme-challenge.www CNAME www.acme.example.com.
acme NS ns1
*.wild TXT "wild"
old DNAME wild
leaf.ent A 192.0.2.1
`, s.serial)
	if s.serial > 1 {
		text += "_acme-challenge TXT \"token\"\n"
	}
	return text
}

func (s realSecondary) acme() string {
	return "$ORIGIN acme.example.com.\n$TTL 300\n@ SOA ns1.example.com. hostmaster 7 7200 3600 86400 60\n@ NS ns1.example.com.\nwww TXT \"token\"\n"
}

// TestRealZoneServers: NSD, Knot DNS and BIND serve one zone, and one below it, and one of them is out
// of step. The zone of each name is found, and what each server says.
func TestRealZoneServers(t *testing.T) {
	realserver.Need(t, realserver.Products()...)
	w := newRealWorld(t, `
example.com.      NS    ns1.example.com.
example.com.      NS    ns2.example.com.
ns1.example.com.  A     198.51.100.1
ns2.example.com.  A     198.51.100.2
`)
	for _, s := range []realSecondary{{realserver.NSD, "198.51.100.1", 2}, {realserver.Knot, "198.51.100.2", 2}, {realserver.BIND, "198.51.100.3", 1}} {
		server := realserver.Start(t, s.product,
			realserver.Zone{Origin: "example.com.", Text: s.text()}, realserver.Zone{Origin: "acme.example.com.", Text: s.acme()})
		w.router.Route(server.Addr(), netip.MustParseAddr(s.addr))
	}
	r := w.newResolver(t, func(netip.Addr) bool { return true })
	for _, fresh := range []bool{false, true} {
		for name, want := range map[string]string{
			"example.com":                     "example.com. below com.",
			"leaf.ent.example.com":            "example.com. below com.",
			"ent.example.com":                 "example.com. below com.",
			"nobody.example.com":              "example.com. below com. missing",
			"x.wild.example.com":              "example.com. below com.",
			"x.old.example.com":               "example.com. below com. alias",
			"_acme-challenge.www.example.com": "example.com. below com. alias",
			"www.acme.example.com":            "acme.example.com. below example.com.",
			"acme.example.com":                "acme.example.com. below example.com.",
			"com":                             "com. below .",
		} {
			z, err := r.FindZone(t.Context(), name, resolver.FindZoneOptions{WithoutCache: fresh})
			if err != nil {
				t.Fatal(name, err)
			}
			got := z.Apex + " below " + z.Parent
			if z.Missing {
				got += " missing"
			}
			if len(z.Aliases) > 0 {
				got += " alias"
			}
			if got != want || z.SOA == nil || len(z.NS) == 0 || z.Problem != nil {
				t.Errorf("%s: got %s, %+v, want %s", name, got, z, want)
			}
		}
	}
	z, err := r.FindZone(t.Context(), "_acme-challenge.example.com", resolver.FindZoneOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if z.Delegation == nil || len(z.Delegation.Servers) != 2 || len(z.NS) != 3 {
		t.Errorf("got %v and %v, want two name servers by the parent and three by the zone", z.Delegation, z.NS)
	}
	answers, err := r.AskServers(t.Context(), z, "_acme-challenge.example.com", dns.TypeTXT)
	if err != nil {
		t.Fatal(err)
	}
	for i := range answers.Servers {
		s := &answers.Servers[i]
		if s.Addr.Addr().String() == "198.51.100.2" && s.NSID == "" {
			t.Errorf("Knot DNS, which tells its host's name to those who ask, has not: %+v", s)
		}
		s.NSID = ""
	}
	if got, want := serverTexts(answers), []string{
		`198.51.100.1 ns1.example.com. parent zone glue own aa udp answer NOERROR TXT "token" serial 2`,
		`198.51.100.2 ns2.example.com. parent zone glue own aa udp answer NOERROR TXT "token" serial 2`,
		`198.51.100.3 ns3.example.com. zone own aa udp name error NXDOMAIN serial 1`,
	}; !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if answers.Agree() || !slices.Equal(answers.Serials(), []uint32{1, 2}) {
		t.Errorf("got agreement %t, serials %v", answers.Agree(), answers.Serials())
	}
	z, err = r.FindZone(t.Context(), "_acme-challenge.www.example.com", resolver.FindZoneOptions{FollowAliases: true})
	if err != nil || z.Apex != "acme.example.com." || z.Name != "www.acme.example.com." {
		t.Fatal(z, err)
	}
	answers, err = r.WaitFor(t.Context(), z, z.Name, dns.TypeTXT, func(a *resolver.ServerAnswers) bool {
		return a.Every(func(s *resolver.ServerAnswer) bool { return s.HasTXT("token") })
	})
	if err != nil || len(answers.Serials()) != 1 || answers.Serials()[0] != 7 {
		t.Error(answers, err)
	}
}
