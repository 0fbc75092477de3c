package scrub

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/iterdns/iterdns/internal/wire"
)

var (
	foreignReplies = flag.Int("replies", 100_000, "how many replies TestForeignRecordsChangeNothing makes")
	foreignSeed    = flag.Uint64("seed", 1, "the seed that they follow from")
)

// TestForeignRecordsChangeNothing adds records of which the sender has no say to replies
// of every kind, any of them to any section: everything arrives that would without them,
// and nothing else.
func TestForeignRecordsChangeNothing(t *testing.T) {
	genuine := []reply{
		{answer: "www.shop.example. A 192.0.2.1\nwww.shop.example. A 192.0.2.2\n" + sigOfA},
		{answer: "www.shop.example. CNAME www.victim.example."},
		{answer: "www.shop.example. CNAME a.shop.example.\na.shop.example. CNAME b.shop.example."},
		{authority: soaText + "\nwww.shop.example. NSEC x.shop.example. MX\nshop.example. NSEC a.shop.example. SOA"},
		{authority: "www.shop.example. NS ns.www.shop.example.\nwww.shop.example. DS 1 13 2 00", additional: "ns.www.shop.example. A 192.0.2.1\nns.www.shop.example. AAAA 2001:db8::1"},
		{},
	}
	// Outside shop.example., or of name servers that no referral names.
	owners := []string{".", "example.", "victim.example.", "www.victim.example.", "ns.victim.example.", "*.example.", "test.", "shop.test.", "xshop.example."}
	pool := recordPool(t, owners, []string{
		"A 203.0.113.66", "AAAA 2001:db8::66", "NS %s", "CNAME %s", "DNAME %s", "SOA %s h. 1 2 3 4 5", "MX 10 %s", "TXT x",
		"DS 1 13 2 00", "DNSKEY 257 3 13 AAAA", "NSEC %s A", "NSEC3 1 0 0 - 00000000000000000000000000000000 A",
		"RRSIG A 13 2 300 20300101000000 20200101000000 1 %s AAAA", "TYPE65280 \\# 1 00",
	})
	random := rand.New(rand.NewPCG(*foreignSeed, 0))
	want := make([][]string, len(genuine))
	for i, g := range genuine {
		want[i] = kept(t, g.message(t, "www.shop.example.", dns.TypeA), nil)
	}
	for n := range *foreignReplies {
		i := n % len(genuine)
		m := new(dns.Msg)
		m.SetQuestion("www.shop.example.", dns.TypeA)
		m.Response, m.Authoritative, m.Compress = true, true, random.IntN(2) == 0
		m.Answer, m.Ns, m.Extra = records(t, genuine[i].answer), records(t, genuine[i].authority), records(t, genuine[i].additional)
		for range 1 + random.IntN(4) {
			section := []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra}[random.IntN(3)]
			*section = slices.Insert(*section, random.IntN(len(*section)+1), pool[random.IntN(len(pool))])
		}
		if got := kept(t, parsed(t, m), m); !slices.Equal(got, want[i]) {
			t.Fatalf("seed %d, reply %d: got\n%s\nwant\n%s\nof\n%v", *foreignSeed, n, strings.Join(got, "\n"), strings.Join(want[i], "\n"), m)
		}
	}
}

// kept is what Scrub lets through of a reply to www.shop.example. A, remarks apart.
func kept(t *testing.T, m *wire.Message, shown *dns.Msg) []string {
	t.Helper()
	r, err := scrubbed(m, asked())
	if err != nil {
		t.Fatalf("%v of\n%v", err, shown)
	}
	return slices.DeleteFunc(describe(r), func(line string) bool { return line == "upward" || line == "many owners" })
}
